// The pieces of a transformer against formulas written out in plain numbers, and the fused kernels against stock operators in float64.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attention, attentionReference } from '../../src/torch/attention.ts'
import { gradient, requireGrad } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import { applyRotary, layerNorm, linear, rmsNorm, rmsNormReference, rotaryTables, swiglu } from '../../src/torch/nn.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { checkGradient, close, randomTensor, relativeError, withoutLeaks } from '../support.ts'

/** Holds a fused float32 function against its float64 reference: value and the gradient of every input. */
function agrees(
  fused: (...inputs: Tensor[]) => Tensor,
  reference: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  tolerance = 2e-6,
): void {
  withoutLeaks(() => {
    const run = (body: (...inputs: Tensor[]) => Tensor, dtype: 'float32' | 'float64'): Tensor[] => {
      const leaves = inputs.map((input) => requireGrad(input.to({ dtype })))
      const output = body(...leaves)
      backward(output.mul(randomTensor(output.shape, 7).toDtype(dtype)).sum())
      return [output, ...leaves.map((leaf) => gradient(leaf) ?? leaf.zerosLike())]
    }
    const own = run(fused, 'float32')
    const expected = run(reference, 'float64')
    for (const [i, each] of own.entries()) {
      const error = relativeError(each, expected[i] as Tensor)
      assert.ok(error < tolerance, `${i === 0 ? 'value' : `gradient of input ${i - 1}`}: relative error ${error}`)
    }
  })
}

test('linear, layerNorm and rmsNorm by hand', () => {
  scope(() => {
    close(
      linear(
        tensor([[1, 2]]),
        tensor([
          [3, 4],
          [5, 6],
          [7, 8],
        ]),
        tensor([0.5, 0, -1]),
      ),
      [11.5, 17, 22],
    )
    // mean 2, variance 1: (1−2, 3−2) · weight + bias
    close(layerNorm(tensor([[1, 3]]), tensor([2, 10]), tensor([0, 1]), 0), [-2, 11], { relative: 1e-5 })
    // rms of (3, 4) is √12.5
    close(rmsNorm(tensor([[3, 4]]), tensor([1, 2]), 0), [3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5)])
    close(rmsNorm(tensor([[0, 0]]), tensor([1, 2]), 1e-6), [0, 0])
  })
})

test('swiglu by hand', () => {
  const silu = (x: number): number => x / (1 + Math.exp(-x))
  const [gate, up] = [
    [-100, -2, 0, 1, 50],
    [1, 2, 3, 4, 5],
  ]
  scope(() =>
    close(
      swiglu(tensor(gate), tensor(up)),
      gate.map((x, i) => silu(x) * (up[i] as number)),
      { absolute: 1e-7, relative: 1e-6 },
    ),
  )
})

test('the references are differentiated rightly', () => {
  scope(() => {
    checkGradient((x, w) => rmsNormReference(x, w, 1e-6), [randomTensor([3, 5], 1), randomTensor([5], 2)])
    checkGradient((g, u) => swiglu(g, u), [randomTensor([7], 3, -3, 3), randomTensor([7], 4)])
    checkGradient((x, c, s) => applyRotary(x, { cos: c, sin: s }), [randomTensor([3, 2, 4], 5), randomTensor([3, 4], 6), randomTensor([3, 4], 7)])
    for (const causal of [true, false]) {
      checkGradient(
        (q, k, v) => attentionReference(q, k, v, { queryStarts: [0, 2, 3], keyStarts: [0, 3, 5], causal, scale: 0.7 }),
        [randomTensor([3, 4, 2], 8), randomTensor([5, 2, 2], 9), randomTensor([5, 2, 2], 10)],
      )
    }
  })
})

for (const width of [3, 15, 16, 17, 192]) {
  test(`fused rmsNorm and swiglu, width ${width}`, () => {
    const shape = [9, 2, width]
    const inputs = [randomTensor(shape, 1, -3, 3), randomTensor([width], 2)]
    agrees(
      (x, w) => rmsNorm(x, w, 1e-5),
      (x, w) => rmsNormReference(x, w, 1e-5),
      inputs,
    )
    agrees(swiglu, (g, u) => g.silu().mul(u), [randomTensor(shape, 3, -8, 8), randomTensor(shape, 4)])
    // A view with gaps: the kernels must not read it as if it were contiguous.
    agrees(
      (x, w) => rmsNorm(x.transpose(0, 1), w, 1e-5),
      (x, w) => rmsNormReference(x.transpose(0, 1), w, 1e-5),
      inputs,
    )
  })
}

test('rotary tables and rotation by hand', () => {
  scope(() => {
    const { cos, sin } = rotaryTables(tensor([0, 3], { dtype: 'int64' }), 4, 100)
    const angles = [0, 0, 0, 0, 3, 0.3, 3, 0.3] // base^(−2i/4) = 1, 0.1
    close(cos, angles.map(Math.cos))
    close(sin, angles.map(Math.sin))
    const turned = applyRotary(tensor([[[1, 2, 3, 4]], [[1, 2, 3, 4]]]), { cos, sin })
    const at = (a: number, b: number, t: number): [number, number] => [a * Math.cos(t) - b * Math.sin(t), b * Math.cos(t) + a * Math.sin(t)]
    const [[x0, x2], [x1, x3]] = [at(1, 3, 3), at(2, 4, 0.3)]
    close(turned, [1, 2, 3, 4, x0, x1, x2, x3])
  })
})

interface Case {
  readonly queries: readonly number[]
  readonly keys?: readonly number[]
  readonly heads: number
  readonly groups: number
  readonly width: number
  readonly causal: boolean
  readonly rotary: boolean
}

function starts(lengths: readonly number[]): number[] {
  const all = [0]
  for (const length of lengths) all.push((all.at(-1) as number) + length)
  return all
}

const cases: readonly Case[] = [
  { queries: [5], heads: 1, groups: 1, width: 8, causal: true, rotary: false },
  { queries: [1, 160, 0, 49, 96], heads: 6, groups: 6, width: 32, causal: true, rotary: true },
  { queries: [70, 33], heads: 4, groups: 2, width: 80, causal: false, rotary: true },
  { queries: [17, 64], heads: 8, groups: 1, width: 72, causal: false, rotary: false },
  { queries: [1, 3, 50], keys: [9, 3, 130], heads: 4, groups: 2, width: 64, causal: true, rotary: false },
  { queries: [4, 2], keys: [1, 700], heads: 2, groups: 2, width: 7, causal: false, rotary: false },
  { queries: [1100], heads: 2, groups: 1, width: 128, causal: true, rotary: true },
]

for (const each of cases) {
  const { queries, keys = queries, heads, groups, width, causal, rotary } = each
  test(`fused attention: ${JSON.stringify(each)}`, () => {
    const [tokens, sources] = [starts(queries).at(-1) as number, starts(keys).at(-1) as number]
    const inputs = [
      randomTensor([tokens, heads, width], 1, -2, 2),
      randomTensor([sources, groups, width], 2, -2, 2),
      randomTensor([sources, groups, width], 3),
    ]
    const positions = tensor(queries.flatMap((length) => Array.from({ length }, (_, i) => i)))
    const tables = rotary ? rotaryTables(positions, width) : null
    const [queryStarts, keyStarts, scale] = [starts(queries), starts(keys), width ** -0.5]
    agrees(
      (q, k, v) => attention(q, k, v, { queryStarts, keyStarts, causal, rotary: tables }),
      (q, k, v) => {
        const [turnedQ, turnedK] = tables === null ? [q, k] : [applyRotary(q, tables), applyRotary(k, tables)]
        return attentionReference(turnedQ as Tensor, turnedK as Tensor, v, { queryStarts, keyStarts, causal, scale })
      },
      inputs,
      5e-6,
    )
  })
}

test('fused attention reads strided heads (one projection for query, key and value)', () => {
  const [heads, width, lengths] = [3, 16, [20, 31]]
  const tokens = starts(lengths).at(-1) as number
  const parts = (x: Tensor): [Tensor, Tensor, Tensor] => x.view([tokens, 3, heads, width]).unbind(1) as [Tensor, Tensor, Tensor]
  const options = { queryStarts: starts(lengths), keyStarts: starts(lengths), causal: true, scale: width ** -0.5 }
  agrees(
    (x) => attention(...parts(x), options),
    (x) => attentionReference(...parts(x), options),
    [randomTensor([tokens, 3 * heads * width], 1)],
    5e-6,
  )
})

test('packed sequences do not see each other, and causal queries do not see what follows', () => {
  scope(() => {
    const make = (seed: number): Tensor => randomTensor([12, 2, 16], seed).toDtype('float32')
    const [q, k, v] = [make(1), make(2), make(3)]
    const options = { queryStarts: [0, 5, 12], causal: true }
    const whole = attention(q, k, v, options)
    const alone = attention(q.narrow(0, 5, 7), k.narrow(0, 5, 7), v.narrow(0, 5, 7), { queryStarts: [0, 7], causal: true })
    assert.deepEqual(whole.narrow(0, 5, 7).toArray(), alone.toArray())
    const changed = v.clone()
    changed.narrow(0, 9, 3).fill_(1e6)
    assert.deepEqual(attention(q, k, changed, options).narrow(0, 0, 9).toArray(), whole.narrow(0, 0, 9).toArray())
  })
})

test('attention propagates NaN instead of hiding it', () => {
  scope(() => {
    const q = ops.full([3, 1, 16], Number.NaN)
    const v = ops.ones([3, 1, 16])
    assert.ok(
      Number.isNaN(
        attention(q, v, v, { queryStarts: [0, 3], causal: true })
          .sum()
          .item(),
      ),
    )
    assert.ok(
      Number.isNaN(
        swiglu(ops.full([3], Number.NaN), ops.ones([3]))
          .sum()
          .item(),
      ),
    )
    assert.ok(
      Number.isNaN(
        rmsNorm(ops.full([3], Number.NaN), ops.ones([3]), 1e-6)
          .sum()
          .item(),
      ),
    )
  })
})

test('attention refuses what does not fit, naming it', () => {
  scope(() => {
    const x = ops.zeros([4, 2, 8])
    const run = (options: Partial<Parameters<typeof attention>[3]>, key = x): Tensor =>
      attention(x, key, key, { queryStarts: [0, 4], causal: true, ...options })
    assert.throws(() => run({ queryStarts: [0, 3] }), /query_starts must begin with 0 and end with the 4 tokens/)
    assert.throws(() => run({ queryStarts: [0, 5, 4] }), /query_starts must not decrease/)
    assert.throws(() => run({ keyStarts: [0, 3] }, ops.zeros([3, 2, 8])), /sequence 0 has 4 queries but only 3 keys/)
    assert.throws(() => run({ keyStarts: [0, 4] }, ops.zeros([4, 3, 8])), /the 2 query heads must be a multiple of the 3 key heads/)
    assert.throws(() => run({ rotary: { cos: ops.zeros([4, 4]), sin: ops.zeros([4, 4]) } }), /cos and sin must be float32 \[4, 8\]/)
  })
})
