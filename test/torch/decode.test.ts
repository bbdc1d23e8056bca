// The kernels of generation against sums in plain float64 numbers, their independence of what is computed beside them, and refusals.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError, OperatorError } from '../../src/errors.ts'
import { type Decoding, decodeAttention, decodeAttentionReference } from '../../src/torch/attention.ts'
import { gradient, requireGrad } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { enableGrad, inferenceMode, noGrad, scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import { native } from '../../src/torch/native.ts'
import { applyRotary, applyRotaryReference, fewRows, linear, rotaryTables } from '../../src/torch/nn.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, random, randomTensor, relativeError, withoutLeaks } from '../support.ts'

const float = (shape: readonly number[], seed: number, low = -1, high = 1): Tensor => randomTensor(shape, seed, low, high).toDtype('float32')

/** Rows × weightsᵀ + bias in float64. */
function products(input: Tensor, weight: Tensor, bias: Tensor | null): number[] {
  const [rows, depth, width] = [input.dim(0), input.dim(1), weight.dim(0)]
  const [x, w, b] = [input.toArray(), weight.toArray(), bias?.toArray()]
  return Array.from({ length: rows * width }, (_, i) => {
    const [r, n] = [Math.floor(i / width), i % width]
    let total = b?.[n] ?? 0
    for (let k = 0; k < depth; k++) total += (x[r * depth + k] as number) * (w[n * depth + k] as number)
    return total
  })
}

for (const dtype of ['float32', 'bfloat16'] as const) {
  test(`rows against ${dtype} weights of every awkward size`, () => {
    withoutLeaks(() => {
      for (const depth of [0, 1, 7, 63, 64, 65, 100]) {
        for (const width of [1, 3, 6, 17]) {
          const weight = float([width, depth], 1).toDtype(dtype)
          const bias = float([width], 2)
          for (const rows of [0, 1, 2, 3, 4, 7, 8, 9]) {
            const input = float([rows, depth], 3)
            for (const added of [null, bias]) {
              const what = `${rows} rows, depth ${depth}, width ${width}`
              const own = ops.fusedLinearRows(input, weight, added)
              assert.deepEqual(own.shape, [rows, width])
              close(own, products(input, weight, added), { absolute: 4e-6, relative: 1e-6 }, what)
            }
          }
        }
      }
    })
  })

  test(`a row against ${dtype} weights has the same bits alone, among others and on any number of threads`, () => {
    withoutLeaks(() => {
      for (const [width, depth] of [
        [1003, 300],
        [17, 65],
      ] as const) {
        const [weight, bias, input] = [float([width, depth], 1).toDtype(dtype), float([width], 2), float([fewRows, depth], 3)]
        const run = (rows: Tensor): Tensor => ops.fusedLinearRows(rows, weight, bias)
        native().threads(2)
        const whole = run(input)
        for (const threads of [1, 2]) {
          native().threads(threads)
          for (const rows of [1, 2, 3, 5, 8, 33]) {
            const start = fewRows - rows
            assert.deepEqual(run(input.narrow(0, start, rows)).data(), whole.narrow(0, start, rows).contiguous().data(), `${rows} rows`)
          }
        }
      }
    })
  })
}

test('rows and weights with gaps are read as they lie', () => {
  scope(() => {
    const [base, wide] = [float([9, 40], 1), float([10, 40], 2)]
    const [input, weight] = [base.narrow(1, 3, 20), wide.narrow(1, 5, 20)]
    close(ops.fusedLinearRows(input, weight, null), products(input, weight, null), { absolute: 4e-6 })
    const [turned, columns] = [float([20, 9], 3).transpose(0, 1), float([20, 10], 4).transpose(0, 1)]
    close(ops.fusedLinearRows(turned, columns, null), products(turned, columns, null), { absolute: 4e-6 })
    const bias = float([20], 5).narrow(0, 0, 10)
    close(ops.fusedLinearRows(input, weight, bias), products(input, weight, bias), { absolute: 4e-6 })
  })
})

test('linear: few rows without gradient do not depend on each other, in any shape', () => {
  withoutLeaks(() => {
    const [weight, bias] = [float([19, 33], 1), float([19], 2)]
    const input = float([2, 3, 33], 3)
    const expected = products(input.view([6, 33]), weight, bias)
    for (const mode of [enableGrad, noGrad, inferenceMode]) {
      const whole = mode(() => linear(input, weight, bias))
      assert.deepEqual(whole.shape, [2, 3, 19])
      close(whole, expected, { absolute: 4e-6 })
      if (mode === enableGrad) continue
      const alone = mode(() => linear(input.select(0, 1).select(0, 2), weight, bias))
      assert.deepEqual(alone.shape, [19])
      assert.deepEqual(alone.data(), whole.view([6, 19]).select(0, 5).data())
      const many = mode(() => linear(float([fewRows + 1, 33], 4), weight, bias))
      close(many, products(float([fewRows + 1, 33], 4), weight, bias), { absolute: 4e-6 })
    }
  })
})

test('linear: bfloat16 weights serve float32 rows, few or many, with or without gradient', () => {
  withoutLeaks(() => {
    const [weight, bias] = [float([19, 33], 1).toDtype('bfloat16'), float([19], 2).toDtype('bfloat16')]
    for (const rows of [5, fewRows + 1]) {
      const input = float([rows, 33], 3)
      for (const mode of [enableGrad, noGrad]) {
        const own = mode(() => linear(input, weight, bias))
        assert.equal(own.dtype, 'float32')
        close(own, products(input, weight, bias), { absolute: 4e-6 })
      }
    }
    const [input, learned] = [requireGrad(float([3, 33], 4)), requireGrad(weight.detach())]
    backward(linear(input, learned, bias).sum())
    close(gradient(input) as Tensor, ops.cat([0, 0, 0].map(() => weight.toDtype('float32').sum(0, true))), { absolute: 4e-6 })
    assert.ok(relativeError(gradient(learned) as Tensor, input.detach().sum(0, true).expand([19, 33])) < 0.005)
  })
})

test('rotation equals its reference, with gradient, whatever the strides', () => {
  for (const [tokens, heads, width] of [
    [5, 3, 8],
    [7, 1, 6],
    [3, 2, 80],
    [0, 2, 4],
  ] as const) {
    withoutLeaks(() => {
      // Tables whose halves differ: the gradient is the transposed rotation, not one by a negative angle.
      const [cos, sin] = [float([tokens, width], 1), float([tokens, width], 2)]
      const layouts: readonly ((x: Tensor) => Tensor)[] = [
        (x) => x.view([tokens, heads, width]),
        (x) => x.view([heads, tokens, width]).transpose(0, 1),
        (x) => x.view([tokens, width, heads]).transpose(1, 2),
      ]
      for (const layout of layouts) {
        const run = (rotate: typeof applyRotary, dtype: 'float32' | 'float64'): readonly [Tensor, Tensor] => {
          const leaf = requireGrad(
            randomTensor([tokens * heads * width], 3)
              .toDtype(dtype)
              .detach(),
          )
          const turned = rotate(layout(leaf), { cos: cos.toDtype(dtype), sin: sin.toDtype(dtype) })
          if (dtype === 'float32') assert.equal(turned.isContiguous, true)
          backward(turned.mul(randomTensor(turned.shape, 4).toDtype(dtype)).sum())
          return [turned, gradient(leaf) as Tensor]
        }
        const expected = run(applyRotaryReference, 'float64')
        for (const [i, each] of run(applyRotary, 'float32').entries()) {
          const error = relativeError(each, expected[i] as Tensor)
          assert.ok(error < 1e-6, `${i === 0 ? 'value' : 'gradient'}: ${error}`)
        }
      }
    })
  }
})

test('rotation keeps lengths, and angles add up', () => {
  scope(() => {
    const x = float([4, 2, 16], 1)
    const at = (positions: number[]) => rotaryTables(tensor(positions), 16)
    const once = applyRotary(x, at([5, 9, 2, 0]))
    close(once.square().sum(-1), x.square().sum(-1), { absolute: 1e-5 })
    close(applyRotary(once, at([1, 2, 3, 4])), applyRotary(x, at([6, 11, 5, 4])), { absolute: 2e-6, relative: 1e-5 })
  })
})

/** The attention of one row and head in float64. */
function attended(query: readonly number[], keys: readonly (readonly number[])[], values: readonly (readonly number[])[], scale: number): number[] {
  const scores = keys.map((key) => scale * key.reduce((total, value, d) => total + value * (query[d] as number), 0))
  const most = Math.max(...scores)
  const weights = scores.map((score) => Math.exp(score - most))
  const total = weights.reduce((a, b) => a + b)
  return query.map((_, d) => weights.reduce((out, weight, j) => out + (weight / total) * (values[j]?.[d] as number), 0))
}

interface Shape {
  readonly heads: number
  readonly groups: number
  readonly width: number
  readonly prefixes: readonly number[]
}

/** Rows with random prefixes, slots and lengths. */
function decoding({ heads, groups, width, prefixes }: Shape, rows: number): readonly [Tensor, Decoding] {
  const next = random(rows + width)
  const below = (limit: number): number => Math.floor(next() * limit)
  const [slots, capacity] = [rows + 2, 37]
  const prefixOf = Array.from({ length: rows }, () => below(prefixes.length + 1) - 1)
  const order = Array.from({ length: slots }, (_, slot) => slot).sort(() => next() - 0.5)
  return [
    float([rows, heads, width], 1, -2, 2),
    {
      prefixKeys: prefixes.map((length, i) => float([length, groups, width], 10 + i, -2, 2)),
      prefixValues: prefixes.map((length, i) => float([length, groups, width], 20 + i)),
      prefixOf,
      keys: float([slots, capacity, groups, width], 2, -2, 2),
      values: float([slots, capacity, groups, width], 3),
      slots: order.slice(0, rows),
      lengths: prefixOf.map((prefix) => (prefix >= 0 && (prefixes[prefix] as number) > 0 ? below(capacity + 1) : 1 + below(capacity))),
    },
  ]
}

/** The rows `from` … `to` of what is decoded. */
function part([query, all]: readonly [Tensor, Decoding], from: number, to: number): readonly [Tensor, Decoding] {
  const cut = (list: readonly number[]): number[] => list.slice(from, to)
  return [query.narrow(0, from, to - from), { ...all, prefixOf: cut(all.prefixOf), slots: cut(all.slots), lengths: cut(all.lengths) }]
}

const shapes: readonly Shape[] = [
  { heads: 1, groups: 1, width: 1, prefixes: [] },
  { heads: 4, groups: 2, width: 64, prefixes: [130, 3] },
  { heads: 7, groups: 1, width: 7, prefixes: [1, 0, 65] },
  { heads: 6, groups: 6, width: 80, prefixes: [50] },
  { heads: 16, groups: 2, width: 128, prefixes: [700] },
]

for (const shape of shapes) {
  test(`one query for each row: ${JSON.stringify(shape)}`, () => {
    withoutLeaks(() => {
      const { heads, groups, width } = shape
      const rows = 33
      const whole = decoding(shape, rows)
      const [query, all] = whole
      const own = decodeAttention(query, all)

      // Against the formula, in numbers.
      const vectors = (t: Tensor, group: number): number[][] => {
        const flat = t.select(-2, group).contiguous().toArray()
        return Array.from({ length: flat.length / width }, (_, j) => flat.slice(j * width, (j + 1) * width))
      }
      const seen = (prefixes: readonly Tensor[], cache: Tensor, row: number, group: number): number[][] => {
        const prefix = prefixes[all.prefixOf[row] as number]
        const mine = vectors(cache.select(0, all.slots[row] as number), group).slice(0, all.lengths[row])
        return prefix === undefined ? mine : [...vectors(prefix, group), ...mine]
      }
      for (const row of [0, 1, 2, 17, rows - 1]) {
        for (let head = 0; head < heads; head++) {
          const group = Math.floor((head * groups) / heads)
          const [keys, values] = [seen(all.prefixKeys, all.keys, row, group), seen(all.prefixValues, all.values, row, group)]
          const expected = attended(query.select(0, row).select(0, head).toArray(), keys, values, width ** -0.5)
          close(own.select(0, row).select(0, head), expected, { absolute: 3e-6 }, `row ${row}, head ${head}`)
        }
      }

      // Against the same in stock operators, in float64.
      const wide = (t: Tensor): Tensor => t.toDtype('float64')
      const exact = decodeAttentionReference(wide(query), {
        ...all,
        keys: wide(all.keys),
        values: wide(all.values),
        prefixKeys: all.prefixKeys.map(wide),
        prefixValues: all.prefixValues.map(wide),
      })
      assert.ok(relativeError(own, exact) < 3e-6)

      // Alone, among a few, on one thread and two: the same bits.
      for (const threads of [1, 2]) {
        native().threads(threads)
        for (const count of [1, 8]) {
          for (let from = 0; from + count <= rows; from += count) {
            const few = decodeAttention(...part(whole, from, from + count))
            assert.deepEqual(few.data(), own.narrow(0, from, count).contiguous().data())
          }
        }
      }
    })
  })
}

test('entries beyond a length are never read, and NaN within it is not hidden', () => {
  scope(() => {
    const [query, all] = decoding({ heads: 2, groups: 1, width: 32, prefixes: [5] }, 1)
    const options = { ...all, slots: [1], lengths: [20] }
    const before = decodeAttention(query, options).data()
    const poison = (from: number): Tensor => {
      const keys = all.keys.clone()
      keys.select(0, 1).narrow(0, from, 1).fill_(Number.NaN)
      return keys
    }
    assert.deepEqual(decodeAttention(query, { ...options, keys: poison(20), values: all.values }).data(), before)
    assert.ok(
      decodeAttention(query, { ...options, keys: poison(19) })
        .toArray()
        .every(Number.isNaN),
    )
  })
})

test('what the kernels do not take is refused, naming it', () => {
  scope(() => {
    const [x, w] = [ops.zeros([2, 8]), ops.zeros([3, 8])]
    const refused = (body: () => unknown, text: RegExp): void =>
      assert.throws(body, (error) => error instanceof OperatorError && text.test(error.message))
    refused(() => ops.fusedLinearRows(ops.zeros([8]), w, null), /input must be a float32 CPU tensor \[rows, depth\]/)
    refused(() => ops.fusedLinearRows(x.toDtype('float64'), w, null), /input must be a float32/)
    refused(() => ops.fusedLinearRows(x, ops.zeros([3, 7]), null), /weight must be a float32 or bfloat16 CPU tensor \[width, 8\]/)
    refused(() => ops.fusedLinearRows(x, w.toDtype('float16'), null), /weight must be a float32 or bfloat16/)
    refused(() => ops.fusedLinearRows(x, ops.zeros([]), null), /weight must be/)
    refused(() => ops.fusedLinearRows(x, w, ops.zeros([8])), /bias must be a float32 CPU tensor \[3\]/)
    refused(() => ops.fusedLinearRows(x, requireGrad(w.clone()), null), /linear_rows has no gradient: run it without recording/)
    noGrad(() => close(linear(x, requireGrad(w.clone())), [0, 0, 0, 0, 0, 0]))

    const heads = ops.zeros([4, 2, 6])
    refused(() => ops.fusedRotary(ops.zeros([4, 6]), ops.zeros([4, 6]), ops.zeros([4, 6])), /x must be a float32 CPU tensor \[tokens, heads, width\]/)
    refused(() => ops.fusedRotary(heads, ops.zeros([4, 6]), ops.zeros([3, 6])), /cos and sin must be float32 CPU tensors \[4, 6\]/)
    refused(() => ops.fusedRotary(ops.zeros([4, 2, 5]), ops.zeros([4, 5]), ops.zeros([4, 5])), /the width must be even, got 5/)

    const [query, all] = decoding({ heads: 4, groups: 2, width: 8, prefixes: [3] }, 2)
    const good = { ...all, prefixOf: [0, -1], slots: [0, 1], lengths: [0, 1] }
    const run = (changed: Partial<Decoding>, q = query): Tensor => decodeAttention(q, { ...good, ...changed })
    assert.equal(run({}).size, 64)
    refused(() => run({ prefixOf: [1, -1] }), /prefix_of of row 0 is 1, but there are 1 prefixes/)
    refused(() => run({ prefixOf: [0, -2] }), /prefix_of of row 1 is -2/)
    refused(() => run({ slots: [0, 4] }), /slot 4 of row 1 is outside the 4 of the cache/)
    refused(() => run({ slots: [-1, 0] }), /slot -1 of row 0/)
    refused(() => run({ lengths: [0, 38] }), /length 38 of row 1 is outside the capacity of 37/)
    refused(() => run({ lengths: [0, 0] }), /row 1 sees no key/)
    refused(() => run({ lengths: [0] }), /must each have 2 elements/)
    refused(() => run({ prefixValues: [] }), /prefix_keys and prefix_values must be equally long/)
    refused(() => run({ values: all.values.narrow(1, 0, 36) }), /keys and values .* of one shape that ends with \[2, 8\]/)
    refused(() => run({ prefixKeys: [ops.zeros([3, 1, 8])] }), /prefix_keys and prefix_values .* \[2, 8\]/)
    refused(() => run({ keys: ops.zeros([4, 37, 8, 2]).transpose(2, 3) }), /must have unit stride/)
    refused(() => run({}, ops.zeros([2, 3, 8])), /the 3 query heads must be a multiple of the 2 key heads/)
    refused(() => run({}, requireGrad(query.detach())), /decode_attention has no gradient/)

    const reference = (changed: Partial<Decoding>): Tensor => decodeAttentionReference(query, { ...good, ...changed })
    for (const [changed, text] of [
      [{ prefixOf: [1, -1] }, /prefixOf of row 0 is 1/],
      [{ slots: [0, 4] }, /slot 4 of row 1/],
      [{ lengths: [0, 38] }, /length 38 of row 1/],
      [{ lengths: [0, 0] }, /row 1 sees no key/],
      [{ lengths: [0] }, /2 query rows but 1 elements in lengths/],
    ] as const) {
      assert.throws(
        () => reference(changed),
        (error) => error instanceof ArgumentError && text.test(error.message),
      )
    }
  })
})
