// Comparison, logic and selection by a mask.

import assert from 'node:assert/strict'
import { ops } from '../../../src/torch/operators.ts'
import { type Case, equals, holds, refuses } from './case.ts'
import {
  atBroadcast,
  booleans,
  build,
  edited,
  integers,
  type Nd,
  nd,
  positions,
  scalarOf,
  toStrided,
  toTensor,
  uniform,
  vector,
  zip,
} from './ndarray.ts'

const a = integers([3, 1, 4], 1, -2, 3, 'float64')
const b = integers([2, 1], 2, -2, 3, 'float64')
const edges = [vector([1, Number.NaN, Infinity, -Infinity, 0]), vector([Number.NaN, Number.NaN, Infinity, 3, -0])]
const bits = [booleans([3, 1, 4], 3), booleans([2, 1], 4)]
const mask = booleans([3, 4], 5)
const matrix = uniform([3, 4], 6)
const still = { gradient: false }

const relations = {
  eq: (x: number, y: number) => x === y,
  ne: (x: number, y: number) => x !== y,
  lt: (x: number, y: number) => x < y,
  le: (x: number, y: number) => x <= y,
  gt: (x: number, y: number) => x > y,
  ge: (x: number, y: number) => x >= y,
}

const compared = (['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const).flatMap((name) => {
  const holdsFor = relations[name]
  const oracle = zip((x, y) => Number(holdsFor(x, y)), 'bool')
  const withOne = zip((x) => Number(holdsFor(x, 1)), 'bool')
  return [
    equals(name, 'tensors that broadcast', [a, b], (x, y) => x[name](y), oracle, still),
    equals(name, 'a number', [a], (x) => x[name](1), withOne, still),
    equals(name, 'NaN, infinities and both zeros', edges, (x, y) => x[name](y), oracle, still),
    equals(name, 'int64', [integers([7], 7, -2, 3)], (x) => x[name](1), withOne),
    equals(name, 'int64 with float64', [integers([7], 7, -2, 3), uniform([7], 8)], (x, y) => x[name](y), oracle, still),
    equals(name, 'bool', [bits[0] as Nd, bits[1] as Nd], (x, y) => x[name](y), oracle),
  ]
})

const logic: Case[] = (['logicalAnd', 'logicalOr'] as const).flatMap((name) => {
  const oracle = zip((x, y) => Number(name === 'logicalAnd' ? x !== 0 && y !== 0 : x !== 0 || y !== 0), 'bool')
  return [
    equals(name, 'bool that broadcast', bits, (x, y) => x[name](y), oracle),
    equals(name, 'numbers', [a, b], (x, y) => x[name](y), oracle, still),
  ]
})

const not = zip((x) => Number(x === 0), 'bool')
const nan = zip((x) => Number(Number.isNaN(x)), 'bool')
const finite = zip((x) => Number(Number.isFinite(x)), 'bool')
const tests: Case[] = [
  equals('logicalNot', 'bool', [mask], (x) => x.logicalNot(), not),
  equals('logicalNot', 'numbers', [a], (x) => x.logicalNot(), not, still),
  equals('isnan', 'numbers', [edges[0] as Nd], (x) => x.isnan(), nan, still),
  equals('isnan', 'int64', [integers([3], 9, 0, 5)], (x) => x.isnan(), nan),
  equals('isfinite', 'numbers', [edges[0] as Nd], (x) => x.isfinite(), finite, still),
  equals('isfinite', 'int64', [integers([3], 9, 0, 5)], (x) => x.isfinite(), finite),
]

/** The elements of `array` where `mask` holds, both broadcast to one shape. */
function selected(array: Nd, mask: Nd): Nd {
  const met = zip((x) => x)
  const shape = zip((x, _) => x)(array, mask).shape
  const kept = positions(shape).filter((index) => atBroadcast(met(mask), index) !== 0)
  return vector(
    kept.map((index) => atBroadcast(array, index)),
    array.dtype,
  )
}

function scattered(self: Nd, mask: Nd, source: Nd): Nd {
  let next = 0
  return edited(self, (set) => {
    for (const index of positions(self.shape)) if (atBroadcast(mask, index) !== 0) set(index, () => source.data[next++] as number)
  })
}

function nonzeros(array: Nd): Nd {
  const found = positions(array.shape).filter((_, i) => array.data[i] !== 0)
  return nd([found.length, array.shape.length], found.flat(), 'int64')
}

const chosen = zip((c, x, y) => (c !== 0 ? x : y))
const choose = (c: Nd, x: Nd, y: Nd): Nd => ({ ...chosen(c, x, y), dtype: x.dtype })
const filled = zip((x, m, value) => (m !== 0 ? value : x))
const filledWith7 = zip((x, m) => (m !== 0 ? -7.5 : x))

const selection: Case[] = [
  equals('where', 'of one shape', [mask, matrix, uniform([3, 4], 10)], (c, x, y) => ops.where(c, x, y), choose),
  equals('where', 'that broadcast', [booleans([2, 1, 1], 11), uniform([3, 1], 12), uniform([4], 13)], (c, x, y) => ops.where(c, x, y), choose),
  equals('where', 'int64', [mask, integers([3, 4], 14, 0, 9), scalarOf(-1, 'int64')], (c, x, y) => ops.where(c, x, y), choose),
  equals('maskedFill', 'a number', [matrix, mask], (x, m) => x.maskedFill(m, -7.5), filledWith7),
  equals('maskedFill', 'a mask that broadcasts', [matrix, booleans([3, 1], 15)], (x, m) => x.maskedFill(m, -7.5), filledWith7),
  equals(
    'maskedFill',
    'minus infinity',
    [matrix, mask],
    (x, m) => x.maskedFill(m, -Infinity),
    zip((x, m) => (m ? -Infinity : x)),
    still,
  ),
  equals('maskedFill', 'a scalar tensor', [matrix, mask, scalarOf(0.3)], (x, m, value) => x.maskedFill(m, value), filled),
  equals(
    'maskedFill',
    'int64',
    [integers([3, 4], 16, 0, 9), mask],
    (x, m) => x.maskedFill(m, -1),
    zip((x, m) => (m ? -1 : x)),
  ),
  refuses('maskedFill', 'a mask that is not bool', () => toTensor(matrix).maskedFill(toTensor(matrix), 0), /`mask` must be bool/),
  equals('maskedScatter', 'of one shape', [matrix, mask, uniform([13], 17)], (x, m, s) => x.maskedScatter(m, s), scattered),
  equals('maskedScatter', 'a mask that broadcasts', [matrix, booleans([4], 18), uniform([3, 5], 19)], (x, m, s) => x.maskedScatter(m, s), scattered),
  equals(
    'maskedScatter',
    'int64',
    [integers([6], 20, 0, 9), booleans([6], 21), integers([6], 22, 10, 99)],
    (x, m, s) => x.maskedScatter(m, s),
    scattered,
  ),
  refuses(
    'maskedScatter',
    'too few elements',
    () => toTensor(vector([1, 2])).maskedScatter(toTensor(vector([1, 1], 'bool')), toTensor(vector([1]))),
    /source/,
  ),
  equals('maskedSelect', 'of one shape', [matrix, mask], (x, m) => x.maskedSelect(m), selected),
  equals('maskedSelect', 'that broadcast', [uniform([3, 1], 23), booleans([4], 24)], (x, m) => x.maskedSelect(m), selected),
  equals('maskedSelect', 'nothing', [matrix, build([3, 4], () => 0, 'bool')], (x, m) => x.maskedSelect(m), selected, still),
  equals('nonzero', 'a matrix', [integers([3, 4], 25, -1, 2, 'float64')], (x) => x.nonzero(), nonzeros, still),
  equals('nonzero', 'three axes of bool', [booleans([2, 3, 4], 26)], (x) => x.nonzero(), nonzeros),
  equals('nonzero', 'only zeros', [build([2, 2], () => 0, 'int64')], (x) => x.nonzero(), nonzeros, { aliases: 'unchecked' }),
  holds('equal', 'shapes and elements', () => {
    const x = toTensor(matrix)
    assert.equal(x.equal(x.clone()), true)
    assert.equal(x.equal(toStrided(matrix).view), true)
    assert.equal(x.equal(toTensor(uniform([3, 4], 7))), false)
    assert.equal(x.equal(x.transpose(0, 1)), false)
    assert.equal(x.equal(x.unsqueeze(0)), false)
    assert.equal(toTensor(edges[0] as Nd).equal(toTensor(edges[0] as Nd)), false, 'NaN is not equal to itself')
    assert.equal(toTensor(mask).equal(toTensor(mask)), true)
    assert.equal(toTensor(nd([0], [])).equal(toTensor(nd([0], []))), true)
  }),
]

export const comparison: readonly Case[] = [...compared, ...logic, ...tests, ...selection]
