// The same elements in another shape: views and reshapes.

import assert from 'node:assert/strict'
import { type Case, equals, holds, refuses } from './case.ts'
import { at, atBroadcast, axesOf, build, distinct, integers, type Nd, reshaped, scalarOf, sizeOf, toStrided, toTensor, uniform } from './ndarray.ts'

const cube = distinct([2, 3, 4], 1)
const whole = integers([2, 3, 4], 2, -99, 99)
const view = { aliases: 'always' } as const
const viewIfPossible = { aliases: 'contiguous' } as const
/** A view that an input with gaps cannot have. */
const dense = { aliases: 'always', strided: false } as const

const permuted = (x: Nd, dims: readonly number[]): Nd => {
  const axes = dims.map((axis) => (axis < 0 ? axis + x.shape.length : axis))
  return build(
    axes.map((axis) => x.shape[axis] as number),
    (index) =>
      at(
        x,
        x.shape.map((_, axis) => index[axes.indexOf(axis)] as number),
      ),
    x.dtype,
  )
}
const swapped = (x: Nd, i: number, j: number): Nd => {
  const axes = axesOf(null, x.shape.length)
  const [a = 0, b = 0] = [axes.at(i), axes.at(j)]
  return permuted(x, axes.with(a, b).with(b, a))
}
const expanded = (x: Nd, shape: readonly number[]): Nd => build(shape, (index) => atBroadcast(x, index), x.dtype)

export const shape: readonly Case[] = [
  ...[[24], [6, 4], [2, -1], [-1], [4, 3, 2], [2, 1, 3, 1, 4]].flatMap((shape) => {
    const known = sizeOf(shape.filter((length) => length >= 0))
    const full = shape.map((length) => (length < 0 ? 24 / known : length))
    return [
      equals(
        'view',
        `[${shape}]`,
        [cube],
        (x) => x.view(shape),
        (x) => reshaped(x, full),
        dense,
      ),
      equals(
        'reshape',
        `[${shape}]`,
        [cube],
        (x) => x.reshape(shape),
        (x) => reshaped(x, full),
        { aliases: 'unchecked' },
      ),
    ]
  }),
  equals(
    'view',
    'a scalar as a vector',
    [scalarOf(2)],
    (x) => x.view([1, 1]),
    (x) => reshaped(x, [1, 1]),
    view,
  ),
  equals(
    'view',
    'an axis with gaps, split',
    [uniform([6], 3)],
    (x) => x.view([2, 3]),
    (x) => reshaped(x, [2, 3]),
    view,
  ),
  equals(
    'view',
    'int64',
    [whole],
    (x) => x.view([6, 4]),
    (x) => reshaped(x, [6, 4]),
    dense,
  ),
  equals(
    'view',
    'axes with gaps, each split',
    [cube],
    (x) => x.view([2, 1, 3, 2, 2]),
    (x) => reshaped(x, [2, 1, 3, 2, 2]),
    view,
  ),
  refuses('view', 'what needs a copy', () => toStrided(cube).view.view([-1]), /view size is not compatible/),
  refuses('view', 'another number of elements', () => toTensor(cube).view([5, 5]), /shape '\[5, 5\]' is invalid/),
  refuses('view', 'two open axes', () => toTensor(cube).view([-1, -1]), /only one dimension can be inferred/),
  equals(
    'reshape',
    'a view where possible',
    [cube],
    (x) => x.reshape([6, 4]),
    (x) => reshaped(x, [6, 4]),
    viewIfPossible,
  ),
  equals(
    'reshape',
    'int64',
    [whole],
    (x) => x.reshape([4, 6]),
    (x) => reshaped(x, [4, 6]),
    viewIfPossible,
  ),
  refuses('reshape', 'another number of elements', () => toTensor(cube).reshape([7]), /invalid for input/),
  equals(
    'flatten',
    'everything',
    [cube],
    (x) => x.flatten(),
    (x) => reshaped(x, [24]),
    viewIfPossible,
  ),
  equals(
    'flatten',
    'the last axes',
    [cube],
    (x) => x.flatten(1),
    (x) => reshaped(x, [2, 12]),
    viewIfPossible,
  ),
  equals(
    'flatten',
    'the first axes',
    [cube],
    (x) => x.flatten(0, -2),
    (x) => reshaped(x, [6, 4]),
    viewIfPossible,
  ),
  equals(
    'flatten',
    'a scalar',
    [scalarOf(2)],
    (x) => x.flatten(),
    (x) => reshaped(x, [1]),
    view,
  ),
  ...[0, 1, 3, -1, -4].map((dim) =>
    equals(
      'unsqueeze',
      `${dim}`,
      [cube],
      (x) => x.unsqueeze(dim),
      (x) => reshaped(x, x.shape.toSpliced(dim < 0 ? dim + 4 : dim, 0, 1)),
      view,
    ),
  ),
  refuses('unsqueeze', 'an axis beyond the last', () => toTensor(cube).unsqueeze(4), /[Dd]imension out of range/),
  equals(
    'squeeze',
    'an axis of length 1',
    [uniform([2, 1, 3], 4)],
    (x) => x.squeeze(1),
    (x) => reshaped(x, [2, 3]),
    view,
  ),
  equals(
    'squeeze',
    'counted from the end',
    [uniform([2, 3, 1], 4)],
    (x) => x.squeeze(-1),
    (x) => reshaped(x, [2, 3]),
    view,
  ),
  equals(
    'squeeze',
    'another axis, which stays',
    [uniform([2, 1, 3], 4)],
    (x) => x.squeeze(2),
    (x) => x,
    view,
  ),
  ...[
    [0, 1],
    [0, 2],
    [1, -1],
    [-3, -2],
    [1, 1],
  ].map(([i = 0, j = 0]) =>
    equals(
      'transpose',
      `${i} and ${j}`,
      [cube],
      (x) => x.transpose(i, j),
      (x) => swapped(x, i, j),
      view,
    ),
  ),
  ...[
    [2, 0, 1],
    [0, 1, 2],
    [-1, 0, -2],
  ].map((dims) =>
    equals(
      'permute',
      `[${dims}]`,
      [cube],
      (x) => x.permute(dims),
      (x) => permuted(x, dims),
      view,
    ),
  ),
  equals(
    'permute',
    'int64',
    [whole],
    (x) => x.permute([2, 1, 0]),
    (x) => permuted(x, [2, 1, 0]),
    view,
  ),
  refuses('permute', 'an axis named twice', () => toTensor(cube).permute([0, 0, 1]), /[Rr]epeated dim|duplicate dims/),
  equals(
    'expand',
    'axes of length 1',
    [uniform([3, 1], 5)],
    (x) => x.expand([3, 4]),
    (x) => expanded(x, [3, 4]),
    view,
  ),
  equals(
    'expand',
    'new axes, others kept',
    [uniform([3, 1], 5)],
    (x) => x.expand([2, -1, 4]),
    (x) => expanded(x, [2, 3, 4]),
    view,
  ),
  refuses('expand', 'an axis of another length', () => toTensor(cube).expand([2, 3, 5]), /expanded size/),
  equals(
    'contiguous',
    'a matrix',
    [uniform([3, 4], 6)],
    (x) => x.contiguous(),
    (x) => x,
    viewIfPossible,
  ),
  holds('contiguous', 'leaves no gaps', () => {
    const { view: gappy } = toStrided(cube)
    assert.equal(gappy.isContiguous, false)
    assert.equal(gappy.contiguous().isContiguous, true)
  }),
]
