// Reductions over no, one and several axes, and what works along one axis.

import type { DType } from '../../../src/torch/dtype.ts'
import { ops } from '../../../src/torch/operators.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { type Case, equals, refuses } from './case.ts'
import { booleans, type Dims, distinct, integers, lines, type Nd, nd, reduce, scalarOf, toTensor, total, uniform, vector } from './ndarray.ts'

const cube = uniform([3, 4, 5], 1)
const ordered = distinct([3, 4, 5], 2)
const still = { gradient: false }

/** Each way to name axes, with and without keepdim. */
const ways: readonly { readonly dims: Dims; readonly keepdim: boolean }[] = [null, 0, -1, [1], [0, 2], [-1, 0], [0, 1, 2]].flatMap((dims) => [
  { dims, keepdim: false },
  { dims, keepdim: true },
])
const shown = (dims: Dims, keepdim: boolean): string => `over ${JSON.stringify(dims)}${keepdim ? ', kept' : ''}`

const mean = (values: number[]): number => total(values) / values.length
const spread = (unbiased: boolean) => (values: number[]) => {
  const centre = mean(values)
  return total(values.map((x) => (x - centre) ** 2)) / (values.length - Number(unbiased))
}
const normOf = (ord: number) => (values: number[]) => {
  const sizes = values.map(Math.abs)
  if (ord === Infinity) return Math.max(...sizes)
  if (ord === -Infinity) return Math.min(...sizes)
  if (ord === 0) return sizes.filter((x) => x !== 0).length
  return total(sizes.map((x) => x ** ord)) ** (1 / ord)
}
const logSum = (values: number[]): number => {
  const most = Math.max(...values)
  return Number.isFinite(most) ? most + Math.log(total(values.map((x) => Math.exp(x - most)))) : most
}
const first = (values: number[]): number => values.indexOf(Math.max(...values))
const over = (dims: Dims, keepdim: boolean, f: (values: number[]) => number, dtype?: DType) => (x: Nd) => reduce(x, dims, keepdim, f, dtype)

const byAxes = ways.flatMap(({ dims, keepdim }) => {
  const what = shown(dims, keepdim)
  const list = [
    equals('sum', what, [cube], (x) => x.sum(dims, keepdim), over(dims, keepdim, total)),
    equals('mean', what, [cube], (x) => x.mean(dims, keepdim), over(dims, keepdim, mean)),
    equals('variance', what, [cube], (x) => x.variance(dims, true, keepdim), over(dims, keepdim, spread(true))),
    equals('variance', `${what}, biased`, [cube], (x) => x.variance(dims, false, keepdim), over(dims, keepdim, spread(false))),
    equals('norm', what, [cube], (x) => x.norm(2, dims, keepdim), over(dims, keepdim, normOf(2))),
    equals(
      'amax',
      what,
      [ordered],
      (x) => x.amax(dims ?? [], keepdim),
      over(dims, keepdim, (values) => Math.max(...values)),
    ),
    equals(
      'amin',
      what,
      [ordered],
      (x) => x.amin(dims ?? [], keepdim),
      over(dims, keepdim, (values) => Math.min(...values)),
    ),
  ]
  if (dims !== null) list.push(equals('logsumexp', what, [cube], (x) => x.logsumexp(dims, keepdim), over(dims, keepdim, logSum)))
  if (!Array.isArray(dims)) {
    const dim = dims as number | null
    list.push(equals('argmax', what, [ordered], (x) => x.argmax(dim, keepdim), over(dim, keepdim, first, 'int64'), still))
  }
  return list
})

const dtypesAndEdges: Case[] = [
  equals('sum', 'int32 to int64', [integers([3, 4], 3, -9, 9, 'int32')], (x) => x.sum(1), over(1, false, total, 'int64')),
  equals('sum', 'bool to int64', [booleans([3, 4], 4)], (x) => x.sum(), over(null, false, total, 'int64')),
  equals('sum', 'nothing', [nd([0, 3], [])], (x) => x.sum(0), over(0, false, total), still),
  equals('sum', 'no axes named, which is all', [cube], (x) => x.sum([]), over(null, false, total)),
  equals('sum', 'a scalar', [scalarOf(2.5)], (x) => x.sum(), over(null, false, total)),
  equals('sum', 'more elements than one thread takes', [uniform([2, 20_000], 5)], (x) => x.sum(1), over(1, false, total), {
    gradient: false,
    tolerance: 1e-11,
    float32: false,
    threads: 4,
  }),
  refuses('sum', 'an axis that is not there', () => toTensor(cube).sum(3), /[Dd]imension out of range/),
  refuses('mean', 'int64', () => toTensor(integers([3], 1, 0, 5)).mean(), /floating point/),
  equals('mean', 'nothing', [nd([0], [])], (x) => x.mean(), over(null, false, mean), still),
  ...[0, 1, 3, 2.5, Infinity, -Infinity].map((ord) =>
    equals('norm', `of order ${ord}`, [ordered], (x) => x.norm(ord, [0, -1]), over([0, 2], false, normOf(ord)), { gradient: ord !== 0 }),
  ),
  refuses('amax', 'an empty axis', () => toTensor(nd([0, 3], [])).amax(0), /amax/),
  equals(
    'amax',
    'int64',
    [integers([3, 4], 6, -9, 9)],
    (x) => x.amax(-1),
    over(-1, false, (values) => Math.max(...values)),
  ),
  equals(
    'amax',
    'NaN',
    [vector([1, Number.NaN, 3])],
    (x) => x.amax(),
    over(null, false, () => Number.NaN),
    still,
  ),
  equals(
    'amin',
    'int64',
    [integers([3, 4], 6, -9, 9)],
    (x) => x.amin(-1),
    over(-1, false, (values) => Math.min(...values)),
  ),
  equals(
    'amin',
    'NaN',
    [vector([1, Number.NaN, 3])],
    (x) => x.amin(),
    over(null, false, () => Number.NaN),
    still,
  ),
  equals('argmax', 'the first of equals', [vector([1, 5, 2, 5, 5])], (x) => x.argmax(), over(null, false, first, 'int64'), still),
  equals('argmax', 'int64', [nd([2, 3], [1, 9, 2, 7, 0, 3], 'int64')], (x) => x.argmax(1), over(1, false, first, 'int64')),
  refuses('argmax', 'nothing', () => toTensor(nd([0], [])).argmax(), /argmax/),
  equals('logsumexp', 'without overflow', [nd([2, 2], [1000, 1001, -1000, -1001])], (x) => x.logsumexp(1), over(1, false, logSum), {
    float32: false,
  }),
  equals('logsumexp', 'infinities', [nd([2, 2], [-Infinity, 0, -Infinity, -Infinity])], (x) => x.logsumexp(-1), over(1, false, logSum), still),
]

/** The two results of an operator as a list. */
const pair = (results: Readonly<Record<number, Tensor>>): Tensor[] => Object.values(results)

const running = (values: number[]): number[] => values.map((_, i) => total(values.slice(0, i + 1)))
const truth = (combine: (values: number[]) => boolean) => (x: Nd) => reduce(x, null, false, (values) => Number(combine(values)), 'bool')
const some = truth((values) => values.some((x) => x !== 0))
const every = truth((values) => values.every((x) => x !== 0))

const logic: Case[] = [
  ...[0, 1, -1].map((dim) =>
    equals(
      'cumsum',
      `along ${dim}`,
      [cube],
      (x) => x.cumsum(dim),
      (x) => lines(x, dim, running),
    ),
  ),
  equals(
    'cumsum',
    'int32 to int64',
    [integers([5], 7, 0, 9, 'int32')],
    (x) => x.cumsum(0),
    (x) => lines(x, 0, running, 'int64'),
  ),
  ...[[0, 0, 0], [0, 1, 0], [1, 1, 1], []].flatMap((data) => [
    equals('any', `of ${data}`, [vector(data, 'bool')], (x) => x.any(), some, { aliases: 'unchecked' }),
    equals('all', `of ${data}`, [vector(data, 'bool')], (x) => x.all(), every, { aliases: 'unchecked' }),
    equals('any', `of the numbers ${data}`, [vector(data)], (x) => x.any(), some, still),
    equals('all', `of the numbers ${data}`, [vector(data)], (x) => x.all(), every, still),
  ]),
  equals('any', 'of a matrix', [booleans([3, 4], 8)], (x) => x.any(), some),
  equals('all', 'of a matrix', [booleans([3, 4], 9)], (x) => x.all(), every),
]

/** Values in order, or (`places`) where they stood; equal values keep their order. */
function sorted(x: Nd, dim: number, descending: boolean, count: number | undefined, places: boolean): Nd {
  const order = (values: number[]): number[] =>
    values
      .map((_, i) => i)
      .sort((i, j) => ((values[i] as number) - (values[j] as number)) * (descending ? -1 : 1))
      .slice(0, count)
  return lines(x, dim, (values) => order(values).map((i) => (places ? i : (values[i] as number))), places ? 'int64' : x.dtype)
}

/** topk without order: only which elements, hence sorted here. */
function unordered(k: number): Case {
  return equals(
    'topk',
    `${k} without order`,
    [ordered],
    (x) => (x.topk(k, -1, true, false)[0] ?? x).sort(-1, true)[0] ?? x,
    (x) => sorted(x, -1, true, k, false),
  )
}

const ranking: Case[] = [0, 1, -1].flatMap((dim) =>
  [true, false].flatMap((flag) => {
    const length = ordered.shape.at(dim) ?? 0
    const both = (count?: number) => (x: Nd) => [sorted(x, dim, flag, count, false), sorted(x, dim, flag, count, true)]
    return [
      equals('sort', `along ${dim}, ${flag ? 'descending' : 'ascending'}`, [ordered], (x) => pair(x.sort(dim, flag)), both()),
      ...[1, 2, length].map((k) =>
        equals('topk', `${k} ${flag ? 'largest' : 'smallest'} along ${dim}`, [ordered], (x) => pair(x.topk(k, dim, flag)), both(k)),
      ),
    ]
  }),
)

const ends: Case[] = [
  equals(
    'sort',
    'the last axis by default',
    [ordered],
    (x) => pair(x.sort()),
    (x) => [sorted(x, -1, false, undefined, false), sorted(x, -1, false, undefined, true)],
  ),
  equals(
    'sort',
    'a long line',
    [distinct([1000], 10)],
    (x) => x.sort()[0] ?? x,
    (x) => sorted(x, 0, false, undefined, false),
    { ...still, float32: false },
  ),
  equals(
    'topk',
    'the last axis by default',
    [ordered],
    (x) => pair(x.topk(2)),
    (x) => [sorted(x, -1, true, 2, false), sorted(x, -1, true, 2, true)],
  ),
  unordered(3),
  refuses('topk', 'more than there are', () => toTensor(ordered).topk(6), /k/),
  refuses('sort', 'an axis that is not there', () => toTensor(ordered).sort(-4), /[Dd]imension out of range/),
  refuses('sum', 'a fraction as an axis', () => ops.sum(toTensor(cube), 0.5), /`dim` must be an array of which each element is an integer, got 0.5/),
  refuses('sum', 'a fraction among the axes', () => ops.sum(toTensor(cube), [0, Number.NaN]), /an integer, got NaN at index 1/),
]

export const reduction: readonly Case[] = [...byAxes, ...dtypesAndEdges, ...logic, ...ranking, ...ends]
