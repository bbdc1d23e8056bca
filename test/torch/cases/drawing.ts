// Random numbers: what is drawn, that a seed decides it, and that a saved state draws it again.

import assert from 'node:assert/strict'
import type { DType } from '../../../src/torch/dtype.ts'
import { ops } from '../../../src/torch/operators.ts'
import { Generator, seed } from '../../../src/torch/random.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { type Case, holds, isLike, type OperatorName, refuses } from './case.ts'
import { build, nd, toStrided, toTensor, vector } from './ndarray.ts'

const many = 40_000

interface Moments {
  readonly mean: number
  readonly variance: number
  /** Of a single draw from the fourth moment, to know how far a sample variance strays. */
  readonly kurtosis: number
}

interface Draw {
  readonly operator: OperatorName
  readonly what: string
  /** `count` numbers from the generator, or from the default one. */
  readonly draw: (count: number, generator: Generator | null) => Tensor
  readonly dtype: DType
  readonly range: (value: number) => boolean
  readonly moments?: Moments
}

/** Of numbers spread evenly over [low, high]. */
const even = (low: number, high: number): Moments => ({ mean: (low + high) / 2, variance: (high - low) ** 2 / 12, kurtosis: 1.8 })
const normal = (mean: number, deviation: number): Moments => ({ mean, variance: deviation ** 2, kurtosis: 3 })

const draws: readonly Draw[] = [
  {
    operator: 'rand',
    what: 'float32',
    draw: (n, generator) => ops.rand([n], { generator }),
    dtype: 'float32',
    range: (x) => x >= 0 && x < 1,
    moments: even(0, 1),
  },
  {
    operator: 'rand',
    what: 'float64',
    draw: (n, generator) => ops.rand([n], { generator, dtype: 'float64' }),
    dtype: 'float64',
    range: (x) => x >= 0 && x < 1,
    moments: even(0, 1),
  },
  {
    operator: 'randn',
    what: 'float32',
    draw: (n, generator) => ops.randn([n], { generator }),
    dtype: 'float32',
    range: Number.isFinite,
    moments: normal(0, 1),
  },
  {
    operator: 'randn',
    what: 'bfloat16',
    draw: (n, generator) => ops.randn([n], { generator, dtype: 'bfloat16' }),
    dtype: 'bfloat16',
    range: Number.isFinite,
    moments: normal(0, 1),
  },
  {
    operator: 'randint',
    what: 'int64',
    draw: (n, generator) => ops.randint(-3, 4, [n], { generator }),
    dtype: 'int64',
    range: (x) => Number.isInteger(x) && x >= -3 && x < 4,
    moments: { mean: 0, variance: 4, kurtosis: 1.75 },
  },
  {
    operator: 'randint',
    what: 'a wide range',
    draw: (n, generator) => ops.randint(0, 2 ** 40, [n], { generator, dtype: 'float64' }),
    dtype: 'float64',
    range: (x) => x >= 0 && x < 2 ** 40,
    moments: even(0, 2 ** 40),
  },
  {
    operator: 'randperm',
    what: 'int64',
    draw: (n, generator) => ops.randperm(n, { generator }),
    dtype: 'int64',
    range: (x) => Number.isInteger(x) && x >= 0,
  },
  {
    operator: 'multinomial',
    what: 'with replacement',
    draw: (n, generator) => toTensor(vector([1, 2, 0, 1], 'float32')).multinomial(n, true, { generator }),
    dtype: 'int64',
    range: (x) => [0, 1, 3].includes(x),
    moments: { mean: 1.25, variance: 1.1875, kurtosis: 2.1 },
  },
  {
    operator: 'bernoulli',
    what: 'float64',
    draw: (n, generator) => ops.full([n], 0.3, { dtype: 'float64' }).bernoulli({ generator }),
    dtype: 'float64',
    range: (x) => x === 0 || x === 1,
    moments: { mean: 0.3, variance: 0.21, kurtosis: 1.76 },
  },
  {
    operator: 'normal_',
    what: 'float32',
    draw: (n, generator) => ops.empty([n]).normal_(2, 0.5, { generator }),
    dtype: 'float32',
    range: Number.isFinite,
    moments: normal(2, 0.5),
  },
  {
    operator: 'uniform_',
    what: 'float64',
    draw: (n, generator) => ops.empty([n], { dtype: 'float64' }).uniform_(-2, 3, { generator }),
    dtype: 'float64',
    range: (x) => x >= -2 && x < 3,
    moments: even(-2, 3),
  },
]

function hasMoments(values: readonly number[], { mean, variance, kurtosis }: Moments): void {
  const centre = values.reduce((sum, x) => sum + x, 0) / values.length
  const spread = values.reduce((sum, x) => sum + (x - centre) ** 2, 0) / values.length
  // Five standard errors, plus the rounding of the half types; the seed is fixed, so this holds always or never.
  const off = Math.abs(centre - mean)
  assert.ok(off < 5 * Math.sqrt(variance / values.length) + 1e-3 * Math.sqrt(variance), `mean ${centre}, expected ${mean}`)
  const strayed = Math.abs(spread - variance)
  assert.ok(strayed < 5 * variance * Math.sqrt((kurtosis - 1) / values.length) + 2e-3 * variance, `variance ${spread}, expected ${variance}`)
}

const drawn = draws.flatMap(({ operator, what, draw, dtype, range, moments }): Case[] => [
  holds(operator, `${what}: shape, range and moments`, () => {
    using generator = Generator.seeded(17)
    const result = draw(many, generator)
    isLike(result, [many], dtype)
    const values = result.toArray()
    assert.ok(values.every(range), `a value outside the range: ${values.find((value) => !range(value))}`)
    if (moments) hasMoments(values, moments)
    isLike(draw(operator === 'multinomial' ? 1 : 0, generator), operator === 'multinomial' ? [1] : [0], dtype)
  }),
  holds(operator, `${what}: a seed decides`, () => {
    using first = Generator.seeded(5)
    using second = Generator.seeded(5)
    using other = Generator.seeded(6)
    const numbers = draw(100, first).toArray()
    assert.deepEqual(draw(100, second).toArray(), numbers)
    assert.notDeepEqual(draw(100, other).toArray(), numbers)
    assert.notDeepEqual(draw(100, first).toArray(), numbers, 'a second draw differs')
    second.seed(5)
    assert.deepEqual(draw(100, second).toArray(), numbers)
  }),
  holds(operator, `${what}: a saved state draws the same again`, () => {
    using generator = Generator.seeded(8)
    draw(7, generator)
    const state = generator.state()
    assert.equal(state.dtype, 'uint8')
    const numbers = [draw(33, generator).toArray(), draw(5, generator).toArray()]
    generator.setState(state)
    assert.deepEqual([draw(33, generator).toArray(), draw(5, generator).toArray()], numbers)
    using elsewhere = Generator.seeded(9)
    elsewhere.setState(state)
    assert.deepEqual(draw(33, elsewhere).toArray(), numbers[0], 'in another generator too')
  }),
  holds(operator, `${what}: the default generator`, () => {
    seed(3)
    const numbers = draw(50, null).toArray()
    const state = Generator.default().state()
    const later = draw(50, null).toArray()
    using own = Generator.seeded(4)
    Generator.default().setState(state)
    draw(50, own)
    assert.deepEqual(draw(50, null).toArray(), later, 'untouched by a generator of its own')
    seed(3)
    assert.deepEqual(draw(50, null).toArray(), numbers)
  }),
])

const special: Case[] = [
  holds('rand', 'any shape', () => isLike(ops.rand([2, 0, 3]), [2, 0, 3], 'float32')),
  holds('randn', 'any shape', () => isLike(ops.randn([2, 3, 4], { dtype: 'float64' }), [2, 3, 4], 'float64')),
  holds('randint', 'any shape and dtype', () => isLike(ops.randint(0, 9, [2, 3], { dtype: 'int32' }), [2, 3], 'int32')),
  holds('randint', 'every value of a small range', () => assert.equal(new Set(ops.randint(0, 5, [500]).toArray()).size, 5)),
  refuses('randint', 'an empty range', () => ops.randint(4, 4, [1]), /expects 'from' to be less than 'to'|from.*to/),
  holds('randperm', 'each number once', () => {
    const order = ops.randperm(1000).toArray()
    assert.deepEqual(
      order.toSorted((a, b) => a - b),
      Array.from({ length: 1000 }, (_, i) => i),
    )
    assert.notDeepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
  }),
  holds('randperm', 'every first number about equally often', () => {
    using generator = Generator.seeded(11)
    const firsts = Array.from({ length: 2000 }, () => ops.randperm(4, { generator }).select(0, 0).item())
    for (const value of [0, 1, 2, 3]) {
      const count = firsts.filter((first) => first === value).length
      assert.ok(Math.abs(count - 500) < 5 * Math.sqrt(375), `${value} came first ${count} times`)
    }
  }),
  refuses('randperm', 'a negative number', () => ops.randperm(-1), /non-negative|negative dimension/),
  holds('multinomial', 'without replacement, each position once', () => {
    const weights = toTensor(build([5, 6], ([row = 0, column = 0]) => 1 + row + column, 'float32'))
    const rows = weights.multinomial(6)
    isLike(rows, [5, 6], 'int64')
    for (const row of rows.unbind()) assert.deepEqual(row.sort()[0]?.toArray(), [0, 1, 2, 3, 4, 5])
  }),
  holds('multinomial', 'never a weight of 0', () => {
    const weights = toStrided(nd([2, 3], [0, 1, 1, 1, 0, 1], 'float32')).view
    const [first, second] = weights.multinomial(2).sort()[0]?.unbind() ?? []
    assert.deepEqual(first?.toArray(), [1, 2])
    assert.deepEqual(second?.toArray(), [0, 2])
  }),
  refuses('multinomial', 'more than there are', () => ops.ones([3]).multinomial(4), /more samples than|cannot sample/),
  refuses('multinomial', 'negative weights', () => toTensor(vector([1, -1])).multinomial(1), /< 0/),
  refuses('multinomial', 'NaN', () => toTensor(vector([1, Number.NaN])).multinomial(1), /nan/),
  refuses('multinomial', 'only zeros', () => ops.zeros([3]).multinomial(1), /sum of probabilities|invalid/),
  holds('bernoulli', '0 and 1 are certain', () =>
    assert.deepEqual(
      toTensor(vector([0, 1, 0, 1]))
        .bernoulli()
        .toArray(),
      [0, 1, 0, 1],
    ),
  ),
  refuses('bernoulli', 'a probability above 1', () => ops.full([3], 1.5).bernoulli(), /p in \[0, 1\]|p_in/),
  refuses('normal_', 'a negative deviation', () => ops.zeros([3]).normal_(0, -1), /std/),
  refuses('uniform_', 'an empty range', () => ops.zeros([3]).uniform_(1, 0), /from|range/),
  ...(['normal_', 'uniform_'] as const).map((name) =>
    holds(name, 'in place, through a view with gaps', () => {
      const { base, view } = toStrided(build([3, 4], () => 7))
      assert.equal(view[name](), view)
      assert.ok(view.toArray().every((value) => value !== 7))
      assert.ok(base.select(-1, 0).toArray().every(Number.isNaN), 'the gaps are untouched')
    }),
  ),
]

export const drawing: readonly Case[] = [...drawn, ...special]
