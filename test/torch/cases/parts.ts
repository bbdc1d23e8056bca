// Parts of a tensor, and its elements in another order.

import { type Case, equals, refuses } from './case.ts'
import { at, axesOf, build, distinct, integers, type Nd, picked, range, reshaped, toTensor, vector, without } from './ndarray.ts'

const cube = distinct([2, 3, 4], 1)
const whole = integers([2, 3, 4], 2, -99, 99)
const view = { aliases: 'always' } as const

/** A Python slice's places: ends beyond the axis are clipped. */
function slicePlaces(length: number, start: number | null, end: number | null, step: number): number[] {
  const clip = (value: number): number => Math.min(Math.max(value < 0 ? value + length : value, 0), length)
  return range(clip(start ?? 0), clip(end ?? length), step)
}

const shifted = (x: Nd, shift: number, dim: number): Nd => {
  const length = x.shape.at(dim) ?? 1
  return picked(
    x,
    dim,
    range(0, length).map((i) => (((i - shift) % length) + length) % length),
  )
}
const banded = (x: Nd, keep: (i: number, j: number) => boolean): Nd =>
  build(x.shape, (index) => (keep(index.at(-2) ?? 0, index.at(-1) ?? 0) ? at(x, index) : 0), x.dtype)

/** `around` lists (before, after) for each axis, the first axis first. */
function padded(x: Nd, around: readonly (readonly [number, number])[], value: number): Nd {
  const shape = x.shape.map((length, axis) => length + (around[axis]?.[0] ?? 0) + (around[axis]?.[1] ?? 0))
  return build(
    shape,
    (index) => {
      const from = index.map((i, axis) => i - (around[axis]?.[0] ?? 0))
      return from.every((i, axis) => i >= 0 && i < (x.shape[axis] as number)) ? at(x, from) : value
    },
    x.dtype,
  )
}

export const parts: readonly Case[] = [
  equals(
    'narrow',
    'an axis',
    [cube],
    (x) => x.narrow(1, 1, 2),
    (x) => picked(x, 1, [1, 2]),
    view,
  ),
  equals(
    'narrow',
    'counted from the end',
    [cube],
    (x) => x.narrow(-1, -3, 2),
    (x) => picked(x, 2, [1, 2]),
    view,
  ),
  equals(
    'narrow',
    'nothing',
    [cube],
    (x) => x.narrow(2, 4, 0),
    (x) => picked(x, 2, []),
    { ...view, gradient: false },
  ),
  refuses('narrow', 'beyond the end', () => toTensor(cube).narrow(1, 2, 2), /exceeds dimension size/),
  ...(
    [
      [0, null, null, 1],
      [1, 1, null, 1],
      [2, null, -1, 2],
      [-1, -3, 99, 1],
      [2, -99, 3, 3],
      [1, 2, 1, 1],
    ] as const
  ).map(([dim, start, end, step]) =>
    equals(
      'slice',
      `${dim}, ${start}, ${end}, ${step}`,
      [cube],
      (x) => x.slice(dim, start, end, step),
      (x) => picked(x, dim, slicePlaces(x.shape.at(dim) ?? 0, start, end, step)),
      { ...view, gradient: !(start === 2 && end === 1) },
    ),
  ),
  equals(
    'slice',
    'everything by default',
    [cube],
    (x) => x.slice(),
    (x) => x,
    view,
  ),
  refuses('slice', 'a negative step', () => toTensor(cube).slice(0, null, null, -1), /step must be positive/),
  ...[
    [0, 1],
    [1, -1],
    [-1, 2],
    [-3, 0],
  ].map(([dim = 0, i = 0]) =>
    equals(
      'select',
      `${dim}, ${i}`,
      [cube],
      (x) => x.select(dim, i),
      (x) => without(picked(x, dim, [i]), dim),
      view,
    ),
  ),
  refuses('select', 'beyond the end', () => toTensor(cube).select(1, 3), /out of range/),
  ...[[0], [-1], [0, 2], [0, 1, 2]].map((dims) =>
    equals(
      'flip',
      `[${dims}]`,
      [cube],
      (x) => x.flip(dims),
      (x) =>
        build(
          x.shape,
          (index) =>
            at(
              x,
              index.map((i, axis) => (axesOf(dims, 3).includes(axis) ? (x.shape[axis] as number) - 1 - i : i)),
            ),
          x.dtype,
        ),
    ),
  ),
  equals(
    'roll',
    'one axis',
    [cube],
    (x) => x.roll(1, 1),
    (x) => shifted(x, 1, 1),
  ),
  equals(
    'roll',
    'backwards, further than around',
    [cube],
    (x) => x.roll(-9, -1),
    (x) => shifted(x, -9, -1),
  ),
  equals(
    'roll',
    'two axes',
    [cube],
    (x) => x.roll([1, -2], [0, 2]),
    (x) => shifted(shifted(x, 1, 0), -2, 2),
  ),
  equals(
    'roll',
    'no axis named, which is the flattened order',
    [cube],
    (x) => x.roll(5),
    (x) => reshaped(shifted(reshaped(x, [24]), 5, 0), x.shape),
  ),
  ...[0, 1, -1, 5].flatMap((diagonal) => [
    equals(
      'tril',
      `from ${diagonal}`,
      [cube],
      (x) => x.tril(diagonal),
      (x) => banded(x, (i, j) => j - i <= diagonal),
    ),
    equals(
      'triu',
      `from ${diagonal}`,
      [cube],
      (x) => x.triu(diagonal),
      (x) => banded(x, (i, j) => j - i >= diagonal),
    ),
  ]),
  equals(
    'tril',
    'bool',
    [build([3, 3], () => 1, 'bool')],
    (x) => x.tril(),
    (x) => banded(x, (i, j) => j <= i),
  ),
  refuses('tril', 'a vector', () => toTensor(vector([1, 2])).tril(), /at least 2 dimensions|out of range/),
  equals(
    'pad',
    'the last axis',
    [cube],
    (x) => x.pad([1, 2]),
    (x) =>
      padded(
        x,
        [
          [0, 0],
          [0, 0],
          [1, 2],
        ],
        0,
      ),
  ),
  equals(
    'pad',
    'all axes, with a value',
    [cube],
    (x) => x.pad([1, 0, 0, 2, 1, 1], -1.5),
    (x) =>
      padded(
        x,
        [
          [1, 1],
          [0, 2],
          [1, 0],
        ],
        -1.5,
      ),
  ),
  equals(
    'pad',
    'negative, which crops',
    [cube],
    (x) => x.pad([-1, -1, 1, -1]),
    (x) =>
      padded(
        x,
        [
          [0, 0],
          [1, -1],
          [-1, -1],
        ],
        0,
      ),
  ),
  equals(
    'pad',
    'int64',
    [whole],
    (x) => x.pad([1, 1], 7),
    (x) =>
      padded(
        x,
        [
          [0, 0],
          [0, 0],
          [1, 1],
        ],
        7,
      ),
  ),
  refuses('pad', 'an odd number of lengths', () => toTensor(cube).pad([1, 2, 3]), /divisible by 2|even/),
]
