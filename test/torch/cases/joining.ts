// Tensors repeated, joined and taken apart.

import { ops } from '../../../src/torch/operators.ts'
import { type Case, equals, refuses } from './case.ts'
import {
  at,
  axesOf,
  build,
  distinct,
  integers,
  type Nd,
  nd,
  picked,
  range,
  reshaped,
  scalarOf,
  toTensor,
  uniform,
  vector,
  without,
} from './ndarray.ts'

const cube = distinct([2, 3, 4], 1)
const whole = integers([2, 3, 4], 2, -99, 99)
const view = { aliases: 'always' } as const

const tiled = (x: Nd, repeats: readonly number[]): Nd => {
  const wide = reshaped(x, [...repeats.slice(x.shape.length).map(() => 1), ...x.shape])
  return build(
    wide.shape.map((length, axis) => length * (repeats[axis] as number)),
    (index) =>
      at(
        wide,
        index.map((i, axis) => i % (wide.shape[axis] as number)),
      ),
    x.dtype,
  )
}
const places = (repeats: Nd): number[] => repeats.data.flatMap((count, i) => new Array<number>(count).fill(i))
const joined = (arrays: readonly Nd[], dim: number): Nd => {
  const [first] = arrays
  if (!first) throw new Error('nothing to join')
  const [axis = 0] = axesOf(dim, first.shape.length)
  const slices = arrays.flatMap((array) => range(0, array.shape[axis] as number).map((i) => picked(array, axis, [i])))
  return build(first.shape.with(axis, slices.length), (index) => at(slices[index[axis] as number] as Nd, index.with(axis, 0)), first.dtype)
}
const stacked = (arrays: readonly Nd[], dim: number): Nd => {
  const rank = (arrays[0]?.shape.length ?? 0) + 1
  const axis = dim < 0 ? dim + rank : dim
  return joined(
    arrays.map((array) => reshaped(array, array.shape.toSpliced(axis, 0, 1))),
    axis,
  )
}
const pieces = (x: Nd, dim: number, sizes: readonly number[]): Nd[] =>
  sizes.map((length, i) => {
    const start = sizes.slice(0, i).reduce((sum, each) => sum + each, 0)
    return picked(x, dim, range(start, start + length))
  })
const slices = (x: Nd, dim: number): Nd[] => {
  const [axis = 0] = axesOf(dim, x.shape.length)
  return range(0, x.shape[axis] as number).map((i) => without(picked(x, axis, [i]), axis))
}

const counts = vector([2, 0, 3], 'int64')
const pair = [uniform([2, 3], 7), uniform([2, 3], 8), uniform([2, 3], 9)]
export const joining: readonly Case[] = [
  ...[
    [2, 3],
    [1, 1],
    [2, 1, 3],
    [0, 2],
  ].map((repeats) =>
    equals(
      'repeat',
      `[${repeats}]`,
      [uniform([2, 3], 7)],
      (x) => x.repeat(repeats),
      (x) => tiled(x, repeats),
    ),
  ),
  refuses('repeat', 'fewer counts than axes', () => toTensor(cube).repeat([2]), /[Nn]umber of dimensions of repeat/),
  equals(
    'repeatInterleave',
    'along an axis',
    [cube, counts],
    (x, n) => x.repeatInterleave(n, 1),
    (x, n) => picked(x, 1, places(n)),
  ),
  equals(
    'repeatInterleave',
    'counted from the end',
    [cube, counts],
    (x, n) => x.repeatInterleave(n, -2),
    (x, n) => picked(x, 1, places(n)),
  ),
  equals(
    'repeatInterleave',
    'one count for all',
    [cube, vector([2], 'int64')],
    (x, n) => x.repeatInterleave(n, 0),
    (x) => picked(x, 0, [0, 0, 1, 1]),
  ),
  equals(
    'repeatInterleave',
    'flattened',
    [uniform([3, 2], 10), vector([1, 2, 0, 1, 3, 1], 'int64')],
    (x, n) => x.repeatInterleave(n),
    (x, n) => picked(reshaped(x, [6]), 0, places(n)),
  ),
  refuses('repeatInterleave', 'negative counts', () => toTensor(cube).repeatInterleave(toTensor(vector([-1, 1, 1], 'int64')), 1), /negative/),
  ...[0, 1, -1].flatMap((dim) => [
    equals(
      'cat',
      `along ${dim}`,
      pair,
      (x, y, z) => ops.cat([x, y, z], dim),
      (...arrays) => joined(arrays, dim),
    ),
    equals(
      'stack',
      `along ${dim}`,
      pair,
      (x, y, z) => ops.stack([x, y, z], dim),
      (...arrays) => stacked(arrays, dim),
    ),
  ]),
  equals(
    'stack',
    'as the last axis',
    pair,
    (x, y, z) => ops.stack([x, y, z], 2),
    (...arrays) => stacked(arrays, 2),
  ),
  equals(
    'stack',
    'scalars',
    [scalarOf(1), scalarOf(2)],
    (x, y) => ops.stack([x, y]),
    () => vector([1, 2]),
    { float32: false },
  ),
  equals(
    'cat',
    'different lengths, one 0',
    [uniform([2, 3], 7), uniform([1, 3], 8), nd([0, 3], [])],
    (x, y, z) => ops.cat([x, y, z]),
    (...arrays) => joined(arrays, 0),
  ),
  equals(
    'cat',
    'int64',
    [whole, whole],
    (x, y) => ops.cat([x, y], 2),
    (...arrays) => joined(arrays, 2),
  ),
  equals(
    'cat',
    'int64 and float64 to float64',
    [vector([1, 2], 'int64'), vector([0.5])],
    (x, y) => ops.cat([x, y]),
    () => vector([1, 2, 0.5]),
    {
      float32: false,
      gradient: false,
    },
  ),
  refuses('cat', 'nothing', () => ops.cat([]), /non-empty list/),
  refuses(
    'cat',
    'other axes that differ',
    () => ops.cat([toTensor(uniform([2, 3], 7)), toTensor(uniform([2, 4], 7))]),
    /Sizes of tensors must match/,
  ),
  refuses('cat', 'a number in the list', () => ops.cat([toTensor(cube), 3 as never]), /must hold only elements that are a Tensor, got 3 at index 1/),
  refuses('stack', 'different shapes', () => ops.stack([toTensor(cube), toTensor(vector([1]))]), /equal size/),
  equals(
    'split',
    'an axis',
    [cube],
    (x) => x.split([1, 0, 2], 1),
    (x) => pieces(x, 1, [1, 0, 2]),
    view,
  ),
  equals(
    'split',
    'the first axis by default',
    [cube],
    (x) => x.split([1, 1]),
    (x) => pieces(x, 0, [1, 1]),
    view,
  ),
  equals(
    'split',
    'the last axis',
    [cube],
    (x) => x.split([3, 1], -1),
    (x) => pieces(x, -1, [3, 1]),
    view,
  ),
  refuses('split', 'sizes that do not add up', () => toTensor(cube).split([1, 1], 1), /split_sizes to sum exactly to 3/),
  equals(
    'chunk',
    'pieces of one size',
    [cube],
    (x) => x.chunk(2, 2),
    (x) => pieces(x, 2, [2, 2]),
    view,
  ),
  equals(
    'chunk',
    'a smaller last piece',
    [uniform([7, 2], 11)],
    (x) => x.chunk(3),
    (x) => pieces(x, 0, [3, 3, 1]),
    view,
  ),
  equals(
    'chunk',
    'fewer pieces than asked for',
    [cube],
    (x) => x.chunk(9, -2),
    (x) => pieces(x, 1, [1, 1, 1]),
    view,
  ),
  refuses('chunk', 'no pieces', () => toTensor(cube).chunk(0), /chunk/),
  ...[0, 1, -1].map((dim) =>
    equals(
      'unbind',
      `along ${dim}`,
      [cube],
      (x) => x.unbind(dim),
      (x) => slices(x, dim),
      view,
    ),
  ),
]
