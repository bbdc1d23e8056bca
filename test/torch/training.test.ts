// What a training step is made of: backward, accumulation, checkpointing, clipping, AdamW, schedules and generators.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError, OperatorError } from '../../src/errors.ts'
import { gradient, gradientsOf, requireGrad, setGradient, widenGradients, zeroGradients } from '../../src/torch/autograd.ts'
import { backward, checkpoint, dropCheckpoints } from '../../src/torch/backward.ts'
import { dispose, keep, noGrad, scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import type { DType } from '../../src/torch/dtype.ts'
import { memory, resetPeakMemory } from '../../src/torch/memory.ts'
import { rmsNorm, swiglu } from '../../src/torch/nn.ts'
import { ops } from '../../src/torch/operators.ts'
import { AdamW, clipGradients, gradientNorm, scaleGradients } from '../../src/torch/optimizer.ts'
import { Generator, seed } from '../../src/torch/random.ts'
import { learningRate } from '../../src/torch/schedule.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, random, randomTensor, withoutLeaks } from '../support.ts'

const gradientOf = (each: Tensor): number[] => (gradient(each) as Tensor).toArray()

test('backward adds up; zeroGradients clears; a given gradient weighs', () => {
  withoutLeaks(() => {
    const x = requireGrad(tensor([1, 2, 3]))
    backward(x.square().sum())
    assert.deepEqual(gradientOf(x), [2, 4, 6])
    backward(x.mul(3), { gradient: tensor([1, 0, 2]) })
    assert.deepEqual(gradientOf(x), [5, 4, 12])
    zeroGradients([x])
    assert.equal(gradient(x), null)
    setGradient(x, tensor([7, 7, 7]))
    assert.deepEqual(gradientOf(x), [7, 7, 7])
    const [direct, none] = gradientsOf([x.pow(3).sum()], [x, requireGrad(tensor([1]))])
    assert.deepEqual(direct?.toArray(), [3, 12, 27])
    assert.equal(none, null)
    assert.deepEqual(gradientOf(x), [7, 7, 7])
    // A second derivative: d²(x³)/dx² = 6x
    const [slope] = gradientsOf([x.pow(3).sum()], [x], { createGraph: true })
    assert.deepEqual(gradientsOf([(slope as Tensor).sum()], [x])[0]?.toArray(), [6, 12, 18])
  })
})

test('what cannot be differentiated is a typed error', () => {
  scope(() => {
    const x = requireGrad(tensor([1, 2]))
    assert.throws(
      () => backward(x.mul(2)),
      (error: unknown) => error instanceof OperatorError && /scalar outputs/.test(error.message),
    )
    assert.throws(
      () => backward(tensor([1]).sum()),
      (error: unknown) => error instanceof OperatorError && /does not require grad/.test(error.message),
    )
    assert.throws(() => requireGrad(tensor([1], { dtype: 'int64' })), OperatorError)
    assert.throws(() => setGradient(x, tensor([1, 2, 3])), /needs the shape, dtype and device of its tensor/)
    const twice = x.square().sum()
    backward(twice)
    assert.throws(() => backward(twice), /second time/)
  })
})

test('four micro-batches accumulate to the gradient of the whole', () => {
  scope(() => {
    const [x, y] = [randomTensor([32, 8], 1), randomTensor([32, 4], 2)]
    const weight = requireGrad(randomTensor([4, 8], 3))
    const loss = (a: Tensor, b: Tensor): Tensor => ops.linear(a, weight).sub(b).square().sum().div(x.dim(0))
    backward(loss(x, y))
    const whole = gradientOf(weight)
    zeroGradients([weight])
    for (let start = 0; start < 32; start += 8) backward(loss(x.narrow(0, start, 8), y.narrow(0, start, 8)))
    close(gradientOf(weight), whole, { relative: 1e-12, absolute: 1e-14 })
  })
})

interface Block {
  readonly gate: Tensor
  readonly up: Tensor
  readonly down: Tensor
  readonly norm: Tensor
}

const width = 24

function makeBlocks(count: number, dtype: DType = 'float32'): Block[] {
  const weight = (shape: number[], at: number): Tensor => requireGrad(randomTensor(shape, at, -0.3, 0.3).to({ dtype }))
  return Array.from({ length: count }, (_, i) => ({
    gate: weight([48, width], 4 * i),
    up: weight([48, width], 4 * i + 1),
    down: weight([width, 48], 4 * i + 2),
    norm: requireGrad(ops.ones([width], { dtype })),
  }))
}

function runBlock({ gate, up, down, norm }: Block, x: Tensor, extra?: Tensor): Tensor {
  const inner = rmsNorm(x, norm, 1e-6)
  const out = x.add(ops.linear(swiglu(ops.linear(inner, gate), ops.linear(inner, up)), down))
  return extra === undefined ? out : out.add(extra)
}

test('checkpointed gradients are bit-identical, with side inputs that share a graph and with randomness', () => {
  withoutLeaks(() => {
    const blocks = makeBlocks(6)
    const tower = requireGrad(randomTensor([width, width], 77).to({ dtype: 'float32' }))
    const input = randomTensor([40, width], 99).to({ dtype: 'float32' })
    const parameters = [tower, ...blocks.flatMap((block) => Object.values(block) as Tensor[])]
    const run = (wrap: <R extends Tensor>(body: (...inputs: Tensor[]) => R, ...inputs: Tensor[]) => R): number[][] =>
      scope(() => {
        seed(5)
        zeroGradients(parameters)
        // Like DeepStack: features of one tower, made before the layers, enter several of them.
        const features = ops.linear(input, tower).tanh()
        const sides = [features.mul(0.1), features.mul(0.2), features.square()]
        let x = input
        for (const [i, block] of blocks.entries()) {
          const side = sides[i]
          const noisy = (each: Tensor, extra?: Tensor): Tensor => runBlock(block, each, extra).mul(ops.rand(each.shape).add(0.5))
          x = side === undefined ? wrap(noisy, x) : wrap(noisy, x, side)
          if (i === 3) x = x.mul(1.5) // an operator between two checkpoints
        }
        const loss = x.square().mean()
        backward(loss)
        return [loss.toArray(), ...parameters.map(gradientOf)]
      })
    const plain = run((body, ...inputs) => body(...inputs))
    const again = run((body, ...inputs) => checkpoint(body, ...inputs))
    assert.deepEqual(again, plain)
  })
})

test('checkpointing saves memory and leaves nothing behind', () => {
  scope(() => {
    const blocks = makeBlocks(20)
    const input = ops.ones([1000, width])
    const peak = (checkpointed: boolean): number => {
      const before = memory()
      resetPeakMemory()
      scope(() => {
        let x = input
        for (const block of blocks) x = checkpointed ? checkpoint((each) => runBlock(block, each), x) : runBlock(block, x)
        backward(x.square().mean())
      })
      const bytes = memory().cpuPeakBytes - before.cpuBytes
      assert.equal(memory().tensors, before.tensors)
      return bytes
    }
    peak(false) // the first run also allocates the parameters' gradients
    const [plain, saved] = [peak(false), peak(true)]
    assert.ok(saved < plain / 3, `${saved} of ${plain} bytes`)
  })
})

test('two losses over checkpoints, a graph that is given up, and several outputs', () => {
  withoutLeaks(() => {
    const weight = requireGrad(tensor([2, 3]))
    const twice = (x: Tensor): Tensor => x.mul(weight).mul(2)
    const first = checkpoint(twice, tensor([1, 1])).sum()
    const second = checkpoint(twice, tensor([10, 10])).sum()
    backward(first)
    assert.deepEqual(gradientOf(weight), [2, 2])
    backward(second)
    assert.deepEqual(gradientOf(weight), [22, 22])
    checkpoint(twice, tensor([5, 5]))
    dropCheckpoints()
    zeroGradients([weight])
    const [a, b] = checkpoint((x) => [x.mul(weight), x.add(weight)] as const, tensor([3, 4]))
    backward(a.sum().add(b.mul(10).sum()))
    assert.deepEqual(gradientOf(weight), [13, 14])
    assert.throws(() => checkpoint((x) => x, weight), ArgumentError)
    assert.equal(noGrad(() => checkpoint(twice, tensor([1, 1]))).requiresGrad, false)
  })
})

/** AdamW in float64 loops, from the paper's algorithm 2. */
function adamwOracle(
  start: readonly number[],
  gradients: readonly (readonly number[])[],
  o: { rate: number; beta1: number; beta2: number; eps: number; decay: number },
): number[] {
  const p = [...start]
  const [m, v] = [p.map(() => 0), p.map(() => 0)]
  for (const [t, g] of gradients.entries()) {
    for (let i = 0; i < p.length; i++) {
      const [mi, vi, gi, pi] = [m[i] as number, v[i] as number, g[i] as number, p[i] as number]
      m[i] = o.beta1 * mi + (1 - o.beta1) * gi
      v[i] = o.beta2 * vi + (1 - o.beta2) * gi * gi
      const step = (m[i] as number) / (1 - o.beta1 ** (t + 1)) / (Math.sqrt((v[i] as number) / (1 - o.beta2 ** (t + 1))) + o.eps)
      p[i] = pi - o.rate * o.decay * pi - o.rate * step
    }
  }
  return p
}

for (const dtype of ['float32', 'float64'] as const) {
  test(`AdamW equals its definition: ${dtype}`, () => {
    scope(() => {
      const o = { rate: 0.03, beta1: 0.8, beta2: 0.95, eps: 1e-6, decay: 0.1 }
      const next = random(3)
      const start = Array.from({ length: 37 }, () => next() * 2 - 1)
      const gradients = Array.from({ length: 7 }, () => start.map(() => next() * 2 - 1))
      const parameter = requireGrad(tensor(start, { dtype }))
      const skipped = requireGrad(tensor([5], { dtype }))
      using optimizer = new AdamW(
        [
          ['a', parameter],
          ['skipped', skipped],
        ],
        { rate: 99, beta1: o.beta1, beta2: o.beta2, eps: o.eps, weightDecay: o.decay },
      )
      for (const each of gradients) {
        setGradient(parameter, tensor(each, { dtype }))
        optimizer.step(o.rate)
      }
      close(parameter, adamwOracle(start, gradients, o), { relative: 1e-6, absolute: dtype === 'float64' ? 1e-12 : 1e-6 })
      assert.deepEqual(skipped.toArray(), [5])
      // A parameter whose gradient comes later starts its own bias correction.
      setGradient(skipped, tensor([1], { dtype }))
      optimizer.step(o.rate)
      close(skipped, adamwOracle([5], [[1]], o), { relative: 1e-6 })
    })
  })
}

test('per-parameter decay and rate', () => {
  scope(() => {
    const make = (): Tensor => requireGrad(tensor([1]))
    const all = { plain: make(), slow: make(), undecayed: make() }
    using optimizer = new AdamW(Object.entries(all), {
      rate: 0.1,
      weightDecay: (name) => (name === 'undecayed' ? 0 : 0.5),
      rateScale: (name) => (name === 'slow' ? 0.1 : 1),
    })
    for (const each of Object.values(all)) setGradient(each, tensor([2]))
    optimizer.step()
    // The first step of Adam is rate · sign(gradient).
    close(all.plain, [1 - 0.05 - 0.1])
    close(all.slow, [1 - 0.005 - 0.01])
    close(all.undecayed, [1 - 0.1])
  })
})

test('half-precision parameters do not lose small steps', () => {
  scope(() => {
    const parameter = requireGrad(ops.ones([4], { dtype: 'bfloat16' }))
    using optimizer = new AdamW([['w', parameter]], { rate: 1e-4, weightDecay: 0 })
    for (let i = 0; i < 100; i++) {
      setGradient(parameter, ops.ones([4], { dtype: 'bfloat16' }))
      optimizer.step()
    }
    // Each step is 1e-4, below bfloat16's resolution at 1 (2^-8); a hundred make 0.01.
    close(parameter, new Array(4).fill(0.98828125)) // 0.99 rounded to bfloat16
    close(optimizer.state().tensors.get('w.master') as Tensor, new Array(4).fill(0.99), { relative: 1e-5 })
  })
})

test('gradients of half-precision parameters add up in float32, and norm, clip, scale and step read the sum', () => {
  withoutLeaks(() => {
    const [passes, slope] = [1024, 0.7123]
    const start = noGrad(() => scope(() => ops.ones([8, 8], { dtype: 'bfloat16' })))
    const [half, wide] = [requireGrad(start.clone()), requireGrad(start.toDtype('float32'))]
    const both = [half, wide]
    for (let pass = 0; pass < passes; pass++) {
      for (const each of both)
        scope(() =>
          backward(
            each
              .toDtype('float32')
              .mul(slope / passes)
              .sum(),
          ),
        )
      widenGradients(both)
    }
    // Each part is rounded to bfloat16 once, 1/256 at most of itself; that of the other parameter stays as it is.
    close([...new Set(gradientOf(half))], [slope], { relative: 1 / 256 })
    close([...new Set(gradientOf(wide))], [slope], { relative: 1e-4 })
    const sum = gradientOf(half)[0] as number
    close([gradientNorm([half])], [8 * sum], { relative: 1e-6 })
    scaleGradients([half], 0.5)
    close([gradientNorm([half])], [4 * sum], { relative: 1e-6 })
    assert.ok(clipGradients([half], 1) > 1)
    close([gradientNorm([half])], [1], { relative: 1e-5 })
    // A pass that nobody has widened yet counts as well.
    scope(() => backward(half.sum()))
    close([...new Set(gradientOf(half))], [1 + 1 / 8], { relative: 1e-5 })
    using optimizer = new AdamW([['half', half]], { rate: 1e-3, weightDecay: 0 })
    optimizer.step()
    close([...new Set((optimizer.state().tensors.get('half.first_moment') as Tensor).toArray())], [0.1 * (1 + 1 / 8)], { relative: 1e-5 })
    zeroGradients(both)
    assert.deepEqual([gradient(half), gradientNorm([half])], [null, 0])
    setGradient(
      half,
      noGrad(() => ops.ones([8, 8], { dtype: 'bfloat16' })),
    )
    widenGradients([half])
    setGradient(half, null)
    assert.equal(gradient(half), null)
    dispose([start, both])
  })
})

test('the norm of half-precision gradients is taken in float32', () => {
  withoutLeaks(() => {
    for (const dtype of ['bfloat16', 'float16'] as const) {
      const parameter = requireGrad(ops.zeros([3], { dtype }))
      backward(parameter.sum())
      assert.equal(gradientNorm([parameter]), Math.fround(Math.sqrt(3)))
      zeroGradients([parameter])
    }
  })
})

test('a run resumed from the saved state continues bit for bit', () => {
  scope(() => {
    const gradientAt = (step: number): Tensor => randomTensor([10], step).to({ dtype: 'float32' })
    const advance = (optimizer: AdamW, parameter: Tensor, from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        setGradient(parameter, gradientAt(i))
        optimizer.step()
      }
    }
    const begin = (): Tensor => requireGrad(randomTensor([10], 50).to({ dtype: 'float32' }))
    const whole = begin()
    using one = new AdamW([['w', whole]], { rate: 0.01 })
    advance(one, whole, 0, 8)
    const half = begin()
    using two = new AdamW([['w', half]], { rate: 0.01 })
    advance(two, half, 0, 4)
    const saved = { steps: two.state().steps, tensors: new Map(Array.from(two.state().tensors, ([name, each]) => [name, each.clone()])) }
    const resumed = requireGrad(half.detach().clone())
    using three = new AdamW([['w', resumed]], { rate: 0.01 })
    three.load(saved)
    advance(three, resumed, 4, 8)
    assert.deepEqual(resumed.toArray(), whole.toArray())
    assert.throws(() => three.load({ steps: {}, tensors: saved.tensors }), /no steps of w/)
    assert.throws(() => three.load({ steps: { w: 1 }, tensors: new Map() }), /no w.first_moment/)
    assert.throws(
      () =>
        new AdamW(
          [
            ['a', half],
            ['a', half],
          ],
          { rate: 1 },
        ),
      /two parameters are named a/,
    )
  })
})

test('clipping by the global norm', () => {
  withoutLeaks(() => {
    const [a, b, none] = [requireGrad(tensor([1, 1])), requireGrad(tensor([[1]])), requireGrad(tensor([1]))]
    const set = (): void => {
      setGradient(a, tensor([3, 0]))
      setGradient(b, tensor([[4]]))
    }
    set()
    assert.equal(clipGradients([a, b, none], 10), 5)
    assert.deepEqual(gradientOf(a), [3, 0])
    assert.equal(clipGradients([a, b, none], 0.1), 5)
    close([...gradientOf(a), ...gradientOf(b)], [0.06, 0, 0.08], { relative: 1e-5 })
    setGradient(a, tensor([Number.NaN, 1]))
    assert.ok(Number.isNaN(clipGradients([a, b], 0.01)))
    close(gradientOf(b), [0.08], { relative: 1e-5 })
    assert.equal(clipGradients([none], 1), 0)
  })
})

test('schedules by hand', () => {
  const at = (kind: 'constant' | 'linear' | 'cosine', warmup: number, steps: readonly number[]): number[] =>
    steps.map((step) => learningRate({ kind, peak: 2, warmup, total: 12 }, step))
  close(at('constant', 4, [0, 1, 4, 100]), [0, 0.5, 2, 2])
  close(at('linear', 2, [0, 1, 2, 7, 12, 50]), [0, 1, 2, 1, 0, 0])
  close(at('linear', 0, [0, 6, 12]), [2, 1, 0])
  close(at('cosine', 2, [2, 7, 12]), [2, 1, 0], { absolute: 1e-12 })
  close(at('cosine', 2, [4.5]), [1 + Math.SQRT1_2])
  assert.throws(() => learningRate({ kind: 'linear', peak: 1, warmup: 5, total: 3 }, 0), ArgumentError)
})

test('generators: same seed, same numbers; a saved state draws them again; streams are independent', () => {
  withoutLeaks(() => {
    const draw = (generator: Generator): number[] => scope(() => ops.randn([5], { generator }).toArray())
    using a = Generator.seeded(7)
    using b = Generator.seeded(7)
    using c = Generator.seeded(8)
    const first = draw(a)
    assert.deepEqual(draw(b), first)
    assert.notDeepEqual(draw(c), first)
    const state = keep(a.state())
    const second = draw(a)
    seed(1)
    ops.randn([100])
    a.setState(state)
    assert.deepEqual(draw(a), second)
    dispose(state)
    assert.throws(() => a.seed(-1), ArgumentError)
    const gone = Generator.seeded(1)
    gone[Symbol.dispose]()
    assert.throws(() => draw(gone), /generator was disposed/)
  })
})
