// Distillation losses: a three-word vocabulary by hand, float64 loops as the oracle, and the chunked form against the naive one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { gradient, requireGrad } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { fromTypedArray, tensor } from '../../src/torch/create.ts'
import {
  crossEntropyOfLogits,
  type Divergence,
  divergenceOfLogits,
  divergenceReference,
  linearCrossEntropy,
  linearDivergence,
} from '../../src/torch/divergence.ts'
import { memory, resetPeakMemory } from '../../src/torch/memory.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { checkGradient, close, randomTensor, relativeError, withoutLeaks } from '../support.ts'

const divergences: readonly Divergence[] = [{ kind: 'forwardKl' }, { kind: 'reverseKl' }, { kind: 'jsd', beta: 0.3 }, { kind: 'jsd', beta: 0.5 }]
const name = (divergence: Divergence): string => JSON.stringify(divergence)

/** Plain loops over probabilities, straight from the definitions. */
function oracle(student: readonly number[], target: readonly number[], divergence: Divergence, temperature: number): number {
  const probabilities = (logits: readonly number[]): number[] => {
    const top = Math.max(...logits)
    const weights = logits.map((x) => Math.exp((x - top) / temperature))
    const total = weights.reduce((a, b) => a + b)
    return weights.map((weight) => weight / total)
  }
  const [p, q] = [probabilities(student), probabilities(target)]
  const kl = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * Math.log(x / (b[i] as number)), 0)
  if (divergence.kind === 'forwardKl') return kl(q, p)
  if (divergence.kind === 'reverseKl') return kl(p, q)
  const { beta } = divergence
  const m = p.map((x, i) => (1 - beta) * x + beta * (q[i] as number))
  return beta * kl(q, m) + (1 - beta) * kl(p, m)
}

test('a vocabulary of three words, by hand', () => {
  scope(() => {
    // p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2)
    const student = tensor([[Math.log(2), 0, 0]], { dtype: 'float64' })
    const target = tensor([[0, 0, Math.log(2)]], { dtype: 'float64' })
    const value = (divergence: Divergence): number => divergenceReference(student, target, divergence, 1).values.item()
    // KL(q‖p) = ¼·ln(½) + ½·ln 2 = ¼ ln 2, and the same the other way round for this symmetric pair
    close([value({ kind: 'forwardKl' })], [Math.log(2) / 4])
    close([value({ kind: 'reverseKl' })], [Math.log(2) / 4])
    // m = (3/8, 1/4, 3/8): ½·KL(q‖m) + ½·KL(p‖m) = ¼ ln(2/3) + ½ ln(4/3)
    close([value({ kind: 'jsd', beta: 0.5 })], [0.25 * Math.log(2 / 3) + 0.5 * Math.log(4 / 3)])
    // The direction shows when the pair is not symmetric: q certain, p uniform.
    const certain = tensor([[1000, 0, 0]], { dtype: 'float64' })
    const uniform = tensor([[0, 0, 0]], { dtype: 'float64' })
    close(divergenceReference(uniform, certain, { kind: 'forwardKl' }, 1).values, [Math.log(3)])
    assert.ok(divergenceReference(uniform, certain, { kind: 'reverseKl' }, 1).values.item() > 600)
    // The gradient of the forward KL is p − q.
    close(divergenceReference(student, target, { kind: 'forwardKl' }, 1).gradient, [0.25, 0, -0.25])
  })
})

for (const divergence of divergences) {
  for (const temperature of [1, 0.7, 3]) {
    test(`values and gradients of ${name(divergence)} at temperature ${temperature}`, () => {
      scope(() => {
        const [rows, width] = [6, 37]
        const [student, target] = [randomTensor([rows, width], 1, -4, 4), randomTensor([rows, width], 2, -4, 4)]
        const reference = divergenceReference(student, target, divergence, temperature)
        const row = (x: Tensor, r: number): number[] => x.select(0, r).toArray()
        const expected = Array.from({ length: rows }, (_, r) => oracle(row(student, r), row(target, r), divergence, temperature))
        close(reference.values, expected, { relative: 1e-12 })
        // The hand-derived gradient against differences of the oracle.
        const h = 1e-5
        const numeric = Array.from({ length: width }, (_, v) => {
          const moved = (shift: number): number[] => row(student, 2).map((x, i) => (i === v ? x + shift : x))
          return (oracle(moved(h), row(target, 2), divergence, temperature) - oracle(moved(-h), row(target, 2), divergence, temperature)) / (2 * h)
        })
        close(reference.gradient.select(0, 2), numeric, { absolute: 1e-9, relative: 1e-6 })
        // The fused kernel, in float32.
        const fused = divergenceOfLogits(student.to({ dtype: 'float32' }), target.to({ dtype: 'float32' }), divergence, temperature)
        close(fused.values, expected, { absolute: 1e-6, relative: 2e-6 })
        assert.ok(relativeError(fused.gradient, reference.gradient) < 2e-6)
      })
    })
  }

  test(`${name(divergence)} of a distribution from itself is zero, and so is its gradient`, () => {
    scope(() => {
      const logits = randomTensor([3, 50], 5, -20, 20).to({ dtype: 'float32' })
      const { values, gradient: slope } = divergenceOfLogits(logits.clone(), logits.clone(), divergence)
      const exact = divergence.kind !== 'jsd'
      close(values, [0, 0, 0], { absolute: exact ? 0 : 1e-7 })
      close(slope, new Array(150).fill(0), { absolute: exact ? 0 : 1e-7 })
    })
  })

  test(`${name(divergence)} with probabilities that underflow, and with NaN`, () => {
    scope(() => {
      const student = tensor([[200, 0, -200, -1000]])
      const target = tensor([[199, 3, -300, -900]])
      const { values, gradient: slope } = divergenceOfLogits(student.clone(), target.clone(), divergence)
      const wide = divergenceReference(student.toDtype('float64'), target.toDtype('float64'), { kind: 'forwardKl' }, 1)
      assert.ok(Number.isFinite(values.item()) && slope.toArray().every(Number.isFinite) && Number.isFinite(wide.values.item()))
      assert.ok(Number.isNaN(divergenceOfLogits(tensor([[Number.NaN, 0]]), tensor([[0, 0]]), divergence).values.item()))
      assert.ok(Number.isNaN(divergenceOfLogits(tensor([[1, 0]]), tensor([[Number.NaN, 0]]), divergence).values.item()))
    })
  })
}

/** The loss on whole logits through recorded operators: what the chunked form must equal. */
function naive(studentLogits: Tensor, targetLogits: Tensor, divergence: Divergence, temperature: number): Tensor {
  const logP = studentLogits.div(temperature).logSoftmax(-1)
  const logQ = targetLogits.detach().div(temperature).logSoftmax(-1)
  const [p, q] = [logP.exp(), logQ.exp()]
  if (divergence.kind === 'forwardKl') return q.mul(logQ.sub(logP)).sum(-1)
  if (divergence.kind === 'reverseKl') return p.mul(logP.sub(logQ)).sum(-1)
  const m = p
    .mul(1 - divergence.beta)
    .add(q.mul(divergence.beta))
    .log()
  return q
    .mul(logQ.sub(m))
    .sum(-1)
    .mul(divergence.beta)
    .add(
      p
        .mul(logP.sub(m))
        .sum(-1)
        .mul(1 - divergence.beta),
    )
}

for (const dtype of ['float32', 'float64'] as const) {
  for (const divergence of divergences) {
    test(`linearDivergence = the naive loss: ${name(divergence)}, ${dtype}`, () => {
      withoutLeaks(() => {
        const [tokens, vocabulary, width, teacherWidth, temperature] = [23, 101, 16, 24, 1.3]
        const make = (shape: number[], seed: number): Tensor => randomTensor(shape, seed).to({ dtype })
        const teacher = { hidden: make([tokens, teacherWidth], 3), head: make([vocabulary, teacherWidth], 4) }
        const clipped = (values: Tensor, weights: Tensor): Tensor => values.clamp(null, 0.4).mul(weights)
        const weights = make([tokens], 8)
        const run = (loss: (hidden: Tensor, head: Tensor) => Tensor): Tensor[] => {
          const [hidden, head] = [requireGrad(make([tokens, width], 1)), requireGrad(make([vocabulary, width], 2))]
          const value = loss(hidden, head)
          backward(value.mul(2.5))
          return [value, gradient(hidden) as Tensor, gradient(head) as Tensor]
        }
        const expected = run((hidden, head) =>
          clipped(
            naive(hidden.matmul(head.transpose(0, 1)), teacher.hidden.matmul(teacher.head.transpose(0, 1)), divergence, temperature),
            weights,
          ).sum(),
        )
        for (const chunk of [1, 7, 23, 100]) {
          const own = run((hidden, head) => {
            const perToken = (values: Tensor, start: number): Tensor => clipped(values, weights.narrow(0, start, values.dim(0)))
            return linearDivergence({ hidden, head }, teacher, divergence, { temperature, chunk, perToken }).loss
          })
          const tolerance = dtype === 'float64' ? 1e-12 : 1e-5
          for (const [i, each] of own.entries()) assert.ok(relativeError(each, expected[i] as Tensor) < tolerance, `part ${i}, chunk ${chunk}`)
        }
      })
    })
  }
}

test('the default is the mean over tokens, and values are those of every token', () => {
  scope(() => {
    const student = { hidden: requireGrad(randomTensor([5, 4], 1)), head: randomTensor([9, 4], 2) }
    const teacher = { hidden: randomTensor([5, 4], 3), head: student.head }
    const { loss, values } = linearDivergence(student, teacher, { kind: 'forwardKl' }, { chunk: 2 })
    close(loss, [values.toArray().reduce((a, b) => a + b) / 5], { relative: 1e-12 })
    checkGradient((hidden) => linearDivergence({ hidden, head: student.head }, teacher, { kind: 'reverseKl' }).loss, [student.hidden.detach()])
    checkGradient(
      (hidden, head) => linearCrossEntropy({ hidden, head }, tensor([0, 8, 3, 3, 1], { dtype: 'int64' }), { chunk: 2, temperature: 2 }).loss,
      [student.hidden.detach(), student.head],
    )
  })
})

test('a target of several parts is the weighted sum of their logits (VGS, eq. 10)', () => {
  scope(() => {
    const part = (seed: number): { hidden: Tensor; head: Tensor } => ({ hidden: randomTensor([4, 6], seed), head: randomTensor([11, 6], seed + 1) })
    const [student, blindStudent, teacher, blindTeacher] = [part(1), part(3), part(5), part(7)]
    const logits = ({ hidden, head }: { hidden: Tensor; head: Tensor }): Tensor => hidden.matmul(head.transpose(0, 1))
    const log = (x: { hidden: Tensor; head: Tensor }): Tensor => logits(x).logSoftmax(-1)
    const target = log(blindStudent).add(log(teacher)).sub(log(blindTeacher)) // log p₀ + log q − log q₀
    const expected = divergenceReference(logits(student), target, { kind: 'reverseKl' }, 1).values
    const own = linearDivergence(student, [blindStudent, teacher, { ...blindTeacher, weight: -1 }], { kind: 'reverseKl' }).values
    close(own, expected, { relative: 1e-11 })
  })
})

test('a clipped token gives its clip as value and no gradient', () => {
  scope(() => {
    const hidden = requireGrad(randomTensor([6, 4], 1, -3, 3))
    const [head, teacher] = [randomTensor([9, 4], 2), { hidden: randomTensor([6, 4], 3, -3, 3), head: randomTensor([9, 4], 4) }]
    const { values } = noGrad(() => linearDivergence({ hidden, head }, teacher, { kind: 'forwardKl' }))
    const [below = 0, above = 0] = values
      .toArray()
      .toSorted((a, b) => a - b)
      .slice(3, 5)
    const clip = (below + above) / 2
    const { loss } = linearDivergence({ hidden, head }, teacher, { kind: 'forwardKl' }, { perToken: (each) => each.clamp(null, clip) })
    backward(loss)
    const rows = (gradient(hidden) as Tensor).abs().sum(1).toArray()
    values.toArray().forEach((value, t) => {
      assert.equal(rows[t] === 0, value > clip, `token ${t}`)
    })
  })
})

test('cross-entropy equals the stock operator', () => {
  scope(() => {
    const targets = tensor([3, 0, 6, 6], { dtype: 'int64' })
    const run = (loss: (hidden: Tensor, head: Tensor) => Tensor): Tensor[] => {
      const [hidden, head] = [
        requireGrad(randomTensor([4, 5], 1).to({ dtype: 'float32' })),
        requireGrad(randomTensor([7, 5], 2).to({ dtype: 'float32' })),
      ]
      const value = loss(hidden, head)
      backward(value)
      return [value, gradient(hidden) as Tensor, gradient(head) as Tensor]
    }
    const own = run((hidden, head) => linearCrossEntropy({ hidden, head }, targets, { chunk: 3 }).loss)
    const stock = run((hidden, head) => hidden.matmul(head.transpose(0, 1)).crossEntropy(targets))
    for (const [i, each] of own.entries()) assert.ok(relativeError(each, stock[i] as Tensor) < 1e-6)
  })
})

test('the fused cross-entropy equals its reference, and refuses a target outside the vocabulary', () => {
  scope(() => {
    const [logits, targets] = [randomTensor([9, 70], 1, -9, 9), tensor([0, 69, 5, 5, 1, 33, 2, 60, 16], { dtype: 'int64' })]
    for (const temperature of [1, 0.5]) {
      const own = crossEntropyOfLogits(logits.to({ dtype: 'float32' }), targets, temperature)
      const reference = crossEntropyOfLogits(logits.clone(), targets, temperature)
      close(own.values, reference.values, { relative: 2e-6, absolute: 1e-6 })
      assert.ok(relativeError(own.gradient, reference.gradient) < 2e-6)
    }
    assert.throws(
      () => crossEntropyOfLogits(ops.zeros([1, 4]), tensor([4], { dtype: 'int64' }), 1),
      /target 4 of token 0 is outside the vocabulary of 4/,
    )
  })
})

test('half-precision weights: the divergence is taken in float32 and gradients come back in the dtype of their tensor', () => {
  scope(() => {
    const make = (shape: number[], seed: number): Tensor => randomTensor(shape, seed).to({ dtype: 'bfloat16' })
    const [hidden, head] = [requireGrad(make([8, 16], 1)), requireGrad(make([32, 16], 2))]
    const teacher = { hidden: make([8, 16], 3), head: make([32, 16], 4) }
    const { loss, values } = linearDivergence({ hidden, head }, teacher, { kind: 'forwardKl' })
    backward(loss)
    assert.equal(values.dtype, 'float32')
    assert.equal(gradient(hidden)?.dtype, 'bfloat16')
    const exact = linearDivergence(
      { hidden: hidden.detach().toDtype('float64'), head: head.detach().toDtype('float64') },
      { hidden: teacher.hidden.toDtype('float64'), head: teacher.head.toDtype('float64') },
      { kind: 'forwardKl' },
    )
    assert.ok(relativeError(values, exact.values) < 0.02)
  })
})

test('without gradients only values are computed, and nothing of the size of the head is allocated', () => {
  scope(() => {
    const [tokens, vocabulary, width] = [64, 20_000, 8]
    const half = { hidden: ops.zeros([tokens, width]), head: ops.zeros([vocabulary, width]) }
    requireGrad(half.head)
    resetPeakMemory()
    const before = memory().cpuBytes
    noGrad(() => linearDivergence(half, half, { kind: 'forwardKl' }, { chunk: 4 }))
    const peak = memory().cpuPeakBytes - before
    assert.ok(peak < 2 * 4 * vocabulary * 4 + 4096, `${peak} bytes`)
  })
})

test('jsd in stock operators: a token that both sides find impossible adds nothing', () => {
  scope(() => {
    const [student, target] = [tensor([[0, 1, -800]], { dtype: 'float64' }), tensor([[1, 0, -800]], { dtype: 'float64' })]
    const divergence = { kind: 'jsd', beta: 0.3 } as const
    const { values, gradient: slope } = divergenceReference(student, target, divergence, 1)
    const two = divergenceReference(student.narrow(1, 0, 2), target.narrow(1, 0, 2), divergence, 1)
    close(values, two.values)
    close(slope, [...two.gradient.toArray(), 0])
  })
})

test('what does not fit is refused by name', () => {
  scope(() => {
    const student = { hidden: ops.zeros([3, 4]), head: ops.zeros([9, 4]) }
    const fails = (run: () => unknown, message: RegExp): void =>
      assert.throws(run, (error: unknown) => error instanceof ArgumentError && message.test(error.message))
    fails(
      () => linearDivergence(student, { hidden: ops.zeros([3, 4]), head: ops.zeros([10, 4]) }, { kind: 'forwardKl' }),
      /target 0: .*padded vocabulary pass head.narrow\(0, 0, 9\)/,
    )
    fails(() => linearDivergence(student, { hidden: ops.zeros([2, 4]), head: ops.zeros([9, 4]) }, { kind: 'forwardKl' }), /expected hidden \[3, D\]/)
    fails(() => linearDivergence(student, student, { kind: 'jsd', beta: 1 }), /beta 1/)
    fails(() => linearDivergence(student, student, { kind: 'forwardKl' }, { temperature: 0 }), /temperature: 0/)
    fails(() => linearDivergence(student, student, { kind: 'forwardKl' }, { perToken: (values) => values.sum() }), /perToken: returned/)
    fails(
      () => linearDivergence({ ...student, hidden: ops.zeros([0, 4]) }, { ...student, hidden: ops.zeros([0, 4]) }, { kind: 'forwardKl' }),
      /no tokens/,
    )
    fails(() => linearCrossEntropy(student, fromTypedArray(Int32Array.of(1, 2, 3), { dtype: 'int32' })), /expected int64\[3\]/)
  })
})
