// Matrix products, softmax, normalisation, losses and attention, by their definitions.

import assert from 'node:assert/strict'
import { OperatorError } from '../../../src/errors.ts'
import { native } from '../../../src/torch/native.ts'
import { ops } from '../../../src/torch/operators.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { type Case, equals, holds, refuses } from './case.ts'
import { at, build, integers, lines, type Nd, nd, product, reduce, reshaped, scalarOf, toTensor, total, uniform, vector, zip } from './ndarray.ts'

const still = { gradient: false }
const transposed = (x: Nd): Nd => build(x.shape.toReversed(), (index) => at(x, index.toReversed()), x.dtype)
const sum = zip((x, y) => x + y)

const row = uniform([4], 1)
const left = uniform([3, 4], 2)
const right = uniform([4, 5], 3)

const products: Case[] = [
  equals('matmul', 'two matrices', [left, right], (x, y) => x.matmul(y), product),
  equals(
    'matmul',
    'two vectors',
    [row, uniform([4], 4)],
    (x, y) => x.matmul(y),
    (x, y) => reshaped(product(reshaped(x, [1, 4]), reshaped(y, [4, 1])), []),
  ),
  equals(
    'matmul',
    'a vector and a matrix',
    [row, right],
    (x, y) => x.matmul(y),
    (x, y) => reshaped(product(reshaped(x, [1, 4]), y), [5]),
  ),
  equals(
    'matmul',
    'a matrix and a vector',
    [left, row],
    (x, y) => x.matmul(y),
    (x, y) => reshaped(product(x, reshaped(y, [4, 1])), [3]),
  ),
  equals('matmul', 'a batch and a matrix', [uniform([2, 3, 4], 5), right], (x, y) => x.matmul(y), product),
  equals('matmul', 'batches that broadcast', [uniform([2, 1, 3, 4], 6), uniform([3, 4, 2], 7)], (x, y) => x.matmul(y), product),
  equals('matmul', 'an inner axis of no length', [nd([2, 0], []), nd([0, 3], [])], (x, y) => x.matmul(y), product, still),
  equals('matmul', 'int64', [integers([3, 4], 8, -9, 9), integers([4, 2], 9, -9, 9)], (x, y) => x.matmul(y), product),
  equals('matmul', 'large matrices', [uniform([70, 65], 10), uniform([65, 67], 11)], (x, y) => x.matmul(y), product, {
    ...still,
    tolerance: 1e-11,
    float32: false,
  }),
  refuses('matmul', 'inner axes that differ', () => toTensor(left).matmul(toTensor(left)), /shapes cannot be multiplied/),
  equals('mm', 'two matrices', [left, right], (x, y) => x.mm(y), product),
  refuses('mm', 'a vector', () => toTensor(left).mm(toTensor(row)), /must be a matrix/),
  equals('bmm', 'two batches', [uniform([2, 3, 4], 12), uniform([2, 4, 5], 13)], (x, y) => x.bmm(y), product),
  refuses('bmm', 'batches of different lengths', () => toTensor(uniform([2, 3, 4], 12)).bmm(toTensor(uniform([3, 4, 5], 13))), /batch2/),
  equals(
    'addmm',
    'a matrix added',
    [uniform([3, 5], 14), left, right],
    (c, x, y) => c.addmm(x, y),
    (c, x, y) => sum(c, product(x, y)),
  ),
  equals(
    'addmm',
    'a row that broadcasts',
    [uniform([5], 15), left, right],
    (c, x, y) => c.addmm(x, y),
    (c, x, y) => sum(product(x, y), c),
  ),
  equals(
    'addmm',
    'beta and alpha',
    [uniform([3, 5], 14), left, right],
    (c, x, y) => c.addmm(x, y, { beta: 0.5, alpha: -2 }),
    (c, x, y) => zip((old, dot) => 0.5 * old - 2 * dot)(c, product(x, y)),
  ),
  equals(
    'addmm',
    'beta 0, which drops NaN',
    [build([3, 5], () => Number.NaN), left, right],
    (c, x, y) => c.addmm(x, y, { beta: 0 }),
    (_, x, y) => product(x, y),
    still,
  ),
  ...[[4], [3, 4], [2, 3, 4], [2, 1, 3, 4]].flatMap((shape) => {
    const flat = (x: Nd): Nd => reshaped(x, [x.data.length / 4, 4])
    const output = (x: Nd, weight: Nd): Nd => reshaped(product(flat(x), transposed(weight)), [...x.shape.slice(0, -1), weight.shape[0] ?? 0])
    const inputs = [uniform(shape, 16), uniform([5, 4], 17)]
    return [
      equals('linear', `[${shape}] without a bias`, inputs, (x, w) => ops.linear(x, w), output),
      equals(
        'linear',
        `[${shape}] with a bias`,
        [...inputs, uniform([5], 18)],
        (x, w, b) => ops.linear(x, w, b),
        (x, w, b) => sum(output(x, w), b),
      ),
    ]
  }),
  refuses(
    'linear',
    'a weight of another width',
    () => ops.linear(toTensor(left), toTensor(left.shape[1] === 4 ? uniform([5, 3], 1) : left)),
    /multiplied/,
  ),
]

// ---- along an axis --------------------------------------------------------------------------------------------------------------

const softmax = (values: number[]): number[] => {
  const most = Math.max(...values)
  const powers = values.map((x) => Math.exp(x - most))
  return powers.map((x) => x / total(powers))
}
const logSoftmax = (values: number[]): number[] => softmax(values).map(Math.log)

const cube = uniform([2, 3, 5], 20)
const normalised: Case[] = [
  ...[0, 1, 2, -1].flatMap((dim) => [
    equals(
      'softmax',
      `along ${dim}`,
      [cube],
      (x) => x.softmax(dim),
      (x) => lines(x, dim, softmax),
    ),
    equals(
      'logSoftmax',
      `along ${dim}`,
      [cube],
      (x) => x.logSoftmax(dim),
      (x) => lines(x, dim, logSoftmax),
    ),
  ]),
  equals(
    'softmax',
    'large numbers and minus infinity',
    [vector([1000, -Infinity, 999])],
    (x) => x.softmax(0),
    (x) => lines(x, 0, softmax),
    { ...still, float32: false },
  ),
  equals(
    'logSoftmax',
    'large numbers',
    [vector([1000, -1000, 999])],
    (x) => x.logSoftmax(0),
    () => vector([-Math.log1p(Math.exp(-1)), -2000 - Math.log1p(Math.exp(-1)), -1 - Math.log1p(Math.exp(-1))]),
    {
      ...still,
      float32: false,
    },
  ),
  equals(
    'softmax',
    'a long line',
    [uniform([2, 1500], 21)],
    (x) => x.softmax(-1),
    (x) => lines(x, -1, softmax),
    { ...still, float32: false },
  ),
  equals(
    'softmax',
    'a scalar',
    [scalarOf(3)],
    (x) => x.softmax(0),
    () => scalarOf(1),
    { float32: false },
  ),
  refuses('softmax', 'int64', () => toTensor(integers([3], 1, 0, 9)).softmax(0), /not implemented for 'Long'/),
  refuses('logSoftmax', 'an axis that is not there', () => toTensor(cube).logSoftmax(3), /[Dd]imension out of range/),
]

/** Over the last `axes` axes. */
function layerNorm(x: Nd, axes: number, eps: number, weight?: Nd, bias?: Nd): Nd {
  const dims = Array.from({ length: axes }, (_, i) => -1 - i)
  const mean = reduce(x, dims, true, (values) => total(values) / values.length)
  const variance = reduce(zip((value, centre) => (value - centre) ** 2)(x, mean), dims, true, (values) => total(values) / values.length)
  const unit = zip((value, centre, spread) => (value - centre) / Math.sqrt(spread + eps))(x, mean, variance)
  const scaled = weight ? zip((value, by) => value * by)(unit, weight) : unit
  return bias ? sum(scaled, bias) : scaled
}

const norms: Case[] = [
  equals(
    'layerNorm',
    'the last axis',
    [cube],
    (x) => ops.layerNorm(x, [5]),
    (x) => layerNorm(x, 1, 1e-5),
  ),
  equals(
    'layerNorm',
    'two axes',
    [cube],
    (x) => ops.layerNorm(x, [3, 5]),
    (x) => layerNorm(x, 2, 1e-5),
  ),
  equals(
    'layerNorm',
    'weight, bias and eps',
    [cube, uniform([5], 22), uniform([5], 23)],
    (x, w, b) => ops.layerNorm(x, [5], w, b, 0.1),
    (x, w, b) => layerNorm(x, 1, 0.1, w, b),
  ),
  equals(
    'layerNorm',
    'a weight alone, two axes',
    [cube, uniform([3, 5], 24)],
    (x, w) => ops.layerNorm(x, [3, 5], w),
    (x, w) => layerNorm(x, 2, 1e-5, w),
  ),
  equals(
    'layerNorm',
    'a bias alone',
    [cube, uniform([5], 25)],
    (x, b) => ops.layerNorm(x, [5], null, b),
    (x, b) => layerNorm(x, 1, 1e-5, undefined, b),
  ),
  refuses('layerNorm', 'a shape that is not the last axes', () => ops.layerNorm(toTensor(cube), [3]), /normalized_shape/),
]

// ---- losses -----------------------------------------------------------------------------------------------------------------------

function crossEntropy(logits: Nd, target: Nd, reduction: number, ignore: number, weight?: Nd): Nd {
  const logs = lines(logits, -1, logSoftmax)
  const weights = target.data.map((label) => (label === ignore ? 0 : weight ? at(weight, [label]) : 1))
  const each = target.data.map((label, row) => (label === ignore ? 0 : -(weights[row] as number) * at(logs, [row, label])))
  if (reduction === 0) return vector(each, logits.dtype)
  return scalarOf(total(each) / (reduction === 1 ? total(weights) : 1), logits.dtype)
}

const logits = uniform([6, 4], 30)
const labels = vector([0, 3, 1, 1, 2, 0], 'int64')
const gaps = vector([0, -100, 1, -100, 2, 3], 'int64')
const rates = uniform([4], 31, 0.5, 2)
const losses: Case[] = [0, 1, 2].flatMap((reduction) => [
  equals(
    'crossEntropy',
    `reduction ${reduction}`,
    [logits, labels],
    (x, t) => x.crossEntropy(t, null, reduction),
    (x, t) => crossEntropy(x, t, reduction, -100),
  ),
  equals(
    'crossEntropy',
    `reduction ${reduction}, labels left out`,
    [logits, gaps],
    (x, t) => x.crossEntropy(t, null, reduction),
    (x, t) => crossEntropy(x, t, reduction, -100),
  ),
  equals(
    'crossEntropy',
    `reduction ${reduction}, another label left out`,
    [logits, labels],
    (x, t) => x.crossEntropy(t, null, reduction, 1),
    (x, t) => crossEntropy(x, t, reduction, 1),
  ),
  equals(
    'crossEntropy',
    `reduction ${reduction}, weights`,
    [logits, gaps],
    (x, t) => x.crossEntropy(t, toTensor(rates).toDtype(x.dtype), reduction),
    (x, t) => crossEntropy(x, t, reduction, -100, rates),
  ),
])
const lossEdges: Case[] = [
  equals(
    'crossEntropy',
    'the mean by default',
    [logits, labels],
    (x, t) => x.crossEntropy(t),
    (x, t) => crossEntropy(x, t, 1, -100),
  ),
  refuses(
    'crossEntropy',
    'a label beyond the classes',
    () => toTensor(logits).crossEntropy(toTensor(vector([0, 1, 2, 3, 4, 0], 'int64'))),
    /out of bounds/,
  ),
  refuses('crossEntropy', 'another number of labels', () => toTensor(logits).crossEntropy(toTensor(vector([0], 'int64'))), /batch_size/),
]

// ---- attention ----------------------------------------------------------------------------------------------------------------------

function attention(query: Nd, key: Nd, value: Nd, allowed: (i: number, j: number) => boolean, scale: number): Nd {
  const keyT = build([...key.shape.slice(0, -2), key.shape.at(-1) ?? 0, key.shape.at(-2) ?? 0], (index) =>
    at(key, [...index.slice(0, -2), index.at(-1) ?? 0, index.at(-2) ?? 0]),
  )
  const scores = product(query, keyT)
  const masked = build(scores.shape, (index) => (allowed(index.at(-2) ?? 0, index.at(-1) ?? 0) ? at(scores, index) * scale : -Infinity), query.dtype)
  return product(lines(masked, -1, softmax), value)
}

const heads = [uniform([2, 3, 4], 40), uniform([2, 5, 4], 41), uniform([2, 5, 4], 42)]
const square = [uniform([2, 3, 4], 43), uniform([2, 3, 4], 44), uniform([2, 3, 4], 45)]
const seen = nd([3, 5], [1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1], 'bool')
const attend = ops.scaledDotProductAttention
const attentions: Case[] = native().describe().torch.startsWith('1.')
  ? [
      holds('scaledDotProductAttention', 'is missing before PyTorch 2, and says so', () => {
        const [q, k, v] = heads.map(toTensor) as [Tensor, Tensor, Tensor]
        assert.throws(
          () => attend(q, k, v),
          (error) => error instanceof OperatorError && /^scaledDotProductAttention: .*no operator/.test(error.message),
        )
      }),
    ]
  : [
      equals(
        'scaledDotProductAttention',
        'everything seen',
        heads,
        (q, k, v) => attend(q, k, v),
        (q, k, v) => attention(q, k, v, () => true, 0.5),
      ),
      equals(
        'scaledDotProductAttention',
        'causal',
        square,
        (q, k, v) => attend(q, k, v, null, 0, true),
        (q, k, v) => attention(q, k, v, (i, j) => j <= i, 0.5),
      ),
      equals(
        'scaledDotProductAttention',
        'a mask',
        [...heads, seen],
        (q, k, v, mask) => attend(q, k, v, mask),
        (q, k, v, mask) => attention(q, k, v, (i, j) => at(mask, [i, j]) !== 0, 0.5),
      ),
      equals(
        'scaledDotProductAttention',
        'another scale',
        heads,
        (q, k, v) => attend(q, k, v, null, 0, false, { scale: 0.3 }),
        (q, k, v) => attention(q, k, v, () => true, 0.3),
      ),
    ]

export const matrix: readonly Case[] = [...products, ...normalised, ...norms, ...losses, ...lossEdges, ...attentions]
