// Reading and writing at positions that are themselves tensors.

import { ops } from '../../../src/torch/operators.ts'
import { type Case, equals, refuses } from './case.ts'
import {
  at,
  atBroadcast,
  booleans,
  broadcastShape,
  build,
  edited,
  integers,
  type Nd,
  nd,
  positions,
  scalarOf,
  shuffled,
  toTensor,
  uniform,
  vector,
} from './ndarray.ts'

const cube = uniform([3, 4, 5], 1)
const whole = integers([3, 4], 2, -99, 99)
const rows = vector([2, 0, 2, 1], 'int64')

/** self[…, index, …] for int64 indices of adjacent axes from `axis` on, which broadcast to one block of axes in their place. */
function indexed(self: Nd, axis: number, indices: readonly Nd[]): Nd {
  const block = broadcastShape(...indices.map(({ shape }) => shape))
  const shape = [...self.shape.slice(0, axis), ...block, ...self.shape.slice(axis + indices.length)]
  return build(
    shape,
    (index) => {
      const inside = index.slice(axis, axis + block.length)
      return at(self, [...index.slice(0, axis), ...indices.map((each) => atBroadcast(each, inside)), ...index.slice(axis + block.length)])
    },
    self.dtype,
  )
}

/** The positions along each of a mask's axes where it holds. */
function heldBy(mask: Nd): Nd[] {
  const found = positions(mask.shape).filter((_, i) => mask.data[i] !== 0)
  return mask.shape.map((_, axis) =>
    vector(
      found.map((index) => index[axis] as number),
      'int64',
    ),
  )
}

const mask = booleans([3, 4], 3)
const line = booleans([4], 4)
const block = integers([2, 2], 5, 0, 3)
const index: Case[] = [
  equals(
    'index',
    'the first axis',
    [cube, rows],
    (x, i) => x.index([i]),
    (x, i) => indexed(x, 0, [i]),
  ),
  equals(
    'index',
    'negative positions',
    [cube, vector([-1, -3, 0], 'int64')],
    (x, i) => x.index([i]),
    (x, i) => indexed(x, 0, [i]),
  ),
  equals(
    'index',
    'a block of positions',
    [cube, block],
    (x, i) => x.index([i]),
    (x, i) => indexed(x, 0, [i]),
  ),
  equals(
    'index',
    'a later axis',
    [cube, rows],
    (x, i) => x.index([null, i]),
    (x, i) => indexed(x, 1, [i]),
  ),
  equals(
    'index',
    'the last axis, in a block',
    [cube, block],
    (x, i) => x.index([null, null, i]),
    (x, i) => indexed(x, 2, [i]),
  ),
  equals(
    'index',
    'two axes at once',
    [cube, rows, vector([3, 1, -1, 0], 'int64')],
    (x, i, j) => x.index([i, j]),
    (x, i, j) => indexed(x, 0, [i, j]),
  ),
  equals(
    'index',
    'two axes that broadcast',
    [cube, integers([2, 1], 6, 0, 4), integers([3], 7, 0, 5)],
    (x, i, j) => x.index([null, i, j]),
    (x, i, j) => indexed(x, 1, [i, j]),
  ),
  equals(
    'index',
    'three axes',
    [cube, rows, rows, rows],
    (x, i, j, k) => x.index([i, j, k]),
    (x, ...all) => indexed(x, 0, all),
  ),
  equals(
    'index',
    'a mask over two axes',
    [cube, mask],
    (x, m) => x.index([m]),
    (x, m) => indexed(x, 0, heldBy(m)),
  ),
  equals(
    'index',
    'a mask over a later axis',
    [cube, line],
    (x, m) => x.index([null, m]),
    (x, m) => indexed(x, 1, heldBy(m)),
  ),
  equals(
    'index',
    'int64 elements',
    [whole, rows],
    (x, i) => x.index([i]),
    (x, i) => indexed(x, 0, [i]),
  ),
  equals(
    'index',
    'no positions',
    [cube, vector([], 'int64')],
    (x, i) => x.index([i]),
    (x, i) => indexed(x, 0, [i]),
    { gradient: false },
  ),
  refuses('index', 'a position beyond the end', () => toTensor(cube).index([toTensor(vector([3], 'int64'))]), /out of bounds/),
  refuses('index', 'more indices than axes', () => toTensor(vector([1])).index([toTensor(rows), toTensor(rows)]), /too many indices/),
  refuses('index', 'a mask of another length', () => toTensor(cube).index([toTensor(booleans([2], 1))]), /mask/),
  refuses('index', 'float64 positions', () => toTensor(cube).index([toTensor(vector([0]))]), /tensors used as indices/),
]

const selected = (x: Nd, dim: number, i: Nd): Nd => indexed(x, dim < 0 ? dim + x.shape.length : dim, [i])

/** For each position of `index`, where it points to in `self`: along `dim` to the value, elsewhere to its own place. */
function targets(index: Nd, dim: number): { readonly from: number[]; readonly to: number[] }[] {
  const axis = dim < 0 ? dim + index.shape.length : dim
  return positions(index.shape).map((from) => ({ from, to: from.with(axis, at(index, from)) }))
}

const gathered = (x: Nd, dim: number, i: Nd): Nd =>
  nd(
    i.shape,
    targets(i, dim).map(({ to }) => at(x, to)),
    x.dtype,
  )

const scattered = (x: Nd, dim: number, i: Nd, value: (old: number, from: readonly number[]) => number): Nd =>
  edited(x, (set) => {
    for (const { from, to } of targets(i, dim)) set(to, (old) => value(old, from))
  })

const added = (x: Nd, dim: number, i: Nd, source: Nd, alpha = 1): Nd => {
  const axis = dim < 0 ? dim + x.shape.length : dim
  return edited(x, (set) => {
    for (const from of positions(source.shape)) set(from.with(axis, at(i, [from[axis] as number])), (old) => old + alpha * at(source, from))
  })
}

/** Lines along `dim` each without repetition, so that the order of writing does not matter. */
function once(shape: readonly number[], dim: number, length: number): Nd {
  const axis = dim < 0 ? dim + shape.length : dim
  const orders = new Map<string, number[]>()
  return build(
    shape,
    (position) => {
      const key = position.with(axis, 0).join()
      if (!orders.has(key)) orders.set(key, shuffled(length, 40 + orders.size))
      return orders.get(key)?.[position[axis] as number] as number
    },
    'int64',
  )
}

const matrix = uniform([4, 5], 10)
const along: Case[] = [
  ...[0, 1, -1].flatMap((dim) => {
    const i = integers([6], 11, 0, 3)
    const source = uniform([3, 4, 5].with(dim, 6), 12)
    return [
      equals(
        'indexSelect',
        `along ${dim}`,
        [cube, i],
        (x, p) => x.indexSelect(dim, p),
        (x, p) => selected(x, dim, p),
      ),
      equals(
        'indexAdd',
        `along ${dim}`,
        [cube, i, source],
        (x, p, s) => x.indexAdd(dim, p, s),
        (x, p, s) => added(x, dim, p, s),
      ),
    ]
  }),
  equals(
    'indexAdd',
    'alpha',
    [matrix, vector([1, 1], 'int64'), uniform([2, 5], 13)],
    (x, p, s) => x.indexAdd(0, p, s, { alpha: -2 }),
    (x, p, s) => added(x, 0, p, s, -2),
  ),
  equals(
    'indexSelect',
    'int64',
    [whole, rows],
    (x, p) => x.indexSelect(0, p),
    (x, p) => selected(x, 0, p),
  ),
  refuses('indexSelect', 'a position beyond the end', () => toTensor(matrix).indexSelect(0, toTensor(vector([4], 'int64'))), /out of range/),
  refuses(
    'indexAdd',
    'a position beyond the end',
    () => toTensor(matrix).indexAdd(0, toTensor(vector([4], 'int64')), toTensor(uniform([1, 5], 1))),
    /out of (range|bounds)/,
  ),
  ...[0, 1, -2].flatMap((dim) => {
    const read = integers([3, 4], 14, 0, 4)
    const places = once([3, 3], dim, dim === 1 ? 5 : 4)
    const source = uniform([3, 4], 15)
    return [
      equals(
        'gather',
        `along ${dim}`,
        [matrix, read],
        (x, i) => x.gather(dim, i),
        (x, i) => gathered(x, dim, i),
      ),
      equals(
        'scatter',
        `along ${dim}`,
        [matrix, places, uniform([3, 3], 15)],
        (x, i, s) => x.scatter(dim, i, s),
        (x, i, s) => scattered(x, dim, i, (_, from) => at(s, from)),
      ),
      equals(
        'scatter',
        `part of the source along ${dim}`,
        [matrix, places, source],
        (x, i, s) => x.scatter(dim, i, s),
        (x, i, s) => scattered(x, dim, i, (_, from) => at(s, from)),
        { gradient: false },
      ),
      equals(
        'scatter',
        `a number along ${dim}`,
        [matrix, read],
        (x, i) => x.scatter(dim, i, 2.5),
        (x, i) => scattered(x, dim, i, () => 2.5),
      ),
      equals(
        'scatterAdd',
        `along ${dim}`,
        [matrix, read, source],
        (x, i, s) => x.scatterAdd(dim, i, s),
        (x, i, s) => scattered(x, dim, i, (old, from) => old + at(s, from)),
      ),
    ]
  }),
  equals(
    'gather',
    'int64',
    [whole, integers([3, 2], 16, 0, 4)],
    (x, i) => x.gather(1, i),
    (x, i) => gathered(x, 1, i),
  ),
  equals(
    'gather',
    'three axes',
    [cube, integers([3, 2, 5], 17, 0, 4)],
    (x, i) => x.gather(1, i),
    (x, i) => gathered(x, 1, i),
  ),
  refuses('gather', 'a position beyond the end', () => toTensor(matrix).gather(1, toTensor(integers([4, 1], 1, 5, 6))), /out of bounds/),
  refuses('gather', 'negative positions', () => toTensor(matrix).gather(1, toTensor(integers([4, 1], 1, -1, 0))), /out of bounds/),
  refuses('scatter', 'a position beyond the end', () => toTensor(matrix).scatter(1, toTensor(integers([4, 1], 1, 5, 6)), 0), /out of bounds/),
  refuses(
    'scatterAdd',
    'a position beyond the end',
    () => toTensor(matrix).scatterAdd(1, toTensor(integers([4, 1], 1, 5, 6)), toTensor(matrix)),
    /out of bounds/,
  ),
  refuses('gather', 'fractions as positions', () => toTensor(matrix).gather(1, toTensor(uniform([4, 1], 1))), /int64/),
]

const words = uniform([5, 3], 20)
const embeddings: Case[] = [[4], [2, 3], [], [0, 2]].map((shape) =>
  equals(
    'embedding',
    `[${shape}]`,
    [words, integers(shape, 21, 0, 5)],
    (w, i) => ops.embedding(w, i),
    (w, i) => indexed(w, 0, [i]),
    { gradient: !shape.includes(0) },
  ),
)
const edges: Case[] = [
  equals(
    'embedding',
    'int32 positions',
    [words, integers([4], 22, 0, 5, 'int32')],
    (w, i) => ops.embedding(w, i),
    (w, i) => indexed(w, 0, [i]),
  ),
  refuses('embedding', 'a position beyond the end', () => ops.embedding(toTensor(words), toTensor(vector([5], 'int64'))), /out of range/),
  refuses('embedding', 'a negative position', () => ops.embedding(toTensor(words), toTensor(scalarOf(-1, 'int64'))), /out of range/),
]

export const indexing: readonly Case[] = [...index, ...along, ...embeddings, ...edges]
