// Operators that write into their first argument, and those on lists of tensors.

import assert from 'node:assert/strict'
import { requireGrad } from '../../../src/torch/autograd.ts'
import { noGrad } from '../../../src/torch/context.ts'
import { ops } from '../../../src/torch/operators.ts'
import { type Case, changes, compare, equals, holds, refuses } from './case.ts'
import {
  at,
  booleans,
  edited,
  integers,
  type Nd,
  positions,
  product,
  reduce,
  rounded,
  scalarOf,
  toStrided,
  toTensor,
  total,
  uniform,
  vector,
  zip,
} from './ndarray.ts'

const self = uniform([3, 4], 1)
const other = uniform([3, 1], 2)
const whole = integers([3, 4], 3, -9, 9)
const positive = uniform([3, 4], 4, 0.3, 2)
const mask = booleans([3, 4], 5)
const sum = zip((x, y) => x + y)

const arithmetic: Case[] = [
  changes('add_', 'a tensor that broadcasts', [self, other], (x, y) => x.add_(y), sum),
  changes(
    'add_',
    'alpha',
    [self, other],
    (x, y) => x.add_(y, { alpha: -0.5 }),
    zip((x, y) => x - 0.5 * y),
  ),
  changes(
    'add_',
    'a number',
    [self],
    (x) => x.add_(1.5),
    zip((x) => x + 1.5),
  ),
  changes(
    'add_',
    'a number and alpha',
    [self],
    (x) => x.add_(1.5, { alpha: 2 }),
    zip((x) => x + 3),
  ),
  changes('add_', 'int64', [whole, whole], (x, y) => x.add_(y), sum),
  changes(
    'add_',
    'itself',
    [self],
    (x) => x.add_(x),
    zip((x) => 2 * x),
  ),
  changes(
    'sub_',
    'a tensor that broadcasts',
    [self, other],
    (x, y) => x.sub_(y),
    zip((x, y) => x - y),
  ),
  changes(
    'sub_',
    'alpha',
    [self, other],
    (x, y) => x.sub_(y, { alpha: 2 }),
    zip((x, y) => x - 2 * y),
  ),
  changes(
    'sub_',
    'a number and alpha',
    [self],
    (x) => x.sub_(1, { alpha: 0.25 }),
    zip((x) => x - 0.25),
  ),
  changes(
    'mul_',
    'a tensor that broadcasts',
    [self, other],
    (x, y) => x.mul_(y),
    zip((x, y) => x * y),
  ),
  changes(
    'mul_',
    'a number',
    [self],
    (x) => x.mul_(-0.5),
    zip((x) => -0.5 * x),
  ),
  changes(
    'div_',
    'a tensor that broadcasts',
    [self, uniform([4], 6, 0.5, 2)],
    (x, y) => x.div_(y),
    zip((x, y) => x / y),
  ),
  changes(
    'div_',
    'a number',
    [self],
    (x) => x.div_(4),
    zip((x) => x / 4),
  ),
  changes(
    'lerp_',
    'the weight 0.3',
    [self, uniform([3, 4], 7)],
    (x, y) => x.lerp_(y, 0.3),
    zip((x, y) => x + 0.3 * (y - x)),
  ),
  changes(
    'lerp_',
    'the weight 0.9',
    [self, uniform([3, 4], 7)],
    (x, y) => x.lerp_(y, 0.9),
    zip((x, y) => x + 0.9 * (y - x)),
  ),
  changes(
    'exp_',
    'numbers',
    [self],
    (x) => x.exp_(),
    zip((x) => Math.exp(x)),
  ),
  changes(
    'sqrt_',
    'numbers',
    [positive],
    (x) => x.sqrt_(),
    zip((x) => Math.sqrt(x)),
  ),
  changes(
    'addcmul_',
    'a product',
    [self, other, uniform([4], 8)],
    (x, y, z) => x.addcmul_(y, z),
    zip((x, y, z) => x + y * z),
  ),
  changes(
    'addcmul_',
    'a value',
    [self, other, uniform([4], 8)],
    (x, y, z) => x.addcmul_(y, z, { value: -1.5 }),
    zip((x, y, z) => x - 1.5 * y * z),
  ),
  changes(
    'addcdiv_',
    'a quotient',
    [self, other, positive],
    (x, y, z) => x.addcdiv_(y, z),
    zip((x, y, z) => x + y / z),
  ),
  changes(
    'addcdiv_',
    'a value',
    [self, other, positive],
    (x, y, z) => x.addcdiv_(y, z, { value: -0.1 }),
    zip((x, y, z) => x - (0.1 * y) / z),
  ),
  changes(
    'addmm_',
    'a product',
    [self, uniform([3, 5], 9), uniform([5, 4], 10)],
    (c, x, y) => c.addmm_(x, y),
    (c, x, y) => sum(c, product(x, y)),
  ),
  changes(
    'addmm_',
    'beta and alpha',
    [self, uniform([3, 5], 9), uniform([5, 4], 10)],
    (c, x, y) => c.addmm_(x, y, { beta: -1, alpha: 0.5 }),
    (c, x, y) => zip((old, dot) => 0.5 * dot - old)(c, product(x, y)),
  ),
  refuses('add_', 'a shape that would grow', () => toTensor(other).add_(toTensor(self)), /doesn't match the broadcast shape/),
  refuses('add_', 'a fraction into int64', () => toTensor(whole).add_(0.5), /can't be cast/),
  refuses('div_', 'int64, whose quotients are fractions', () => toTensor(whole).div_(2), /can't be cast/),
  refuses('mul_', 'overlapping elements', () => toTensor(other).expand([3, 4]).mul_(toTensor(self)), /single memory location/),
  refuses('mul_', 'a trainable leaf', () => requireGrad(toTensor(self)).mul_(2), /leaf Variable/),
  holds('mul_', 'a trainable leaf without recording', () => {
    const leaf = requireGrad(toTensor(self))
    assert.equal(
      noGrad(() => leaf.mul_(2)),
      leaf,
    )
    compare(leaf, zip((x) => 2 * x)(self))
  }),
]

// ---- filling and copying --------------------------------------------------------------------------------------------------------

const filling: Case[] = [
  changes(
    'copy_',
    'of one shape',
    [self, positive],
    (x, y) => x.copy_(y),
    zip((_, y) => y),
  ),
  changes(
    'copy_',
    'that broadcasts',
    [self, uniform([4], 11)],
    (x, y) => x.copy_(y),
    zip((_, y) => y),
  ),
  changes(
    'copy_',
    'int64 into float64',
    [self, whole],
    (x, y) => x.copy_(y),
    zip((_, y) => y),
  ),
  changes(
    'copy_',
    'float64 into int64, towards 0',
    [whole, self],
    (x, y) => x.copy_(y),
    zip((_, y) => Math.trunc(y)),
    { gradient: false },
  ),
  changes(
    'copy_',
    'a scalar',
    [self, scalarOf(3)],
    (x, y) => x.copy_(y),
    zip((_, y) => y),
  ),
  changes(
    'zero_',
    'numbers',
    [self],
    (x) => x.zero_(),
    zip(() => 0),
  ),
  changes(
    'zero_',
    'bool',
    [mask],
    (x) => x.zero_(),
    zip(() => 0),
  ),
  changes(
    'fill_',
    'a number',
    [self],
    (x) => x.fill_(-0.25),
    zip(() => -0.25),
  ),
  changes(
    'fill_',
    'int64',
    [whole],
    (x) => x.fill_(7),
    zip(() => 7),
  ),
  changes(
    'fill_',
    'NaN',
    [self],
    (x) => x.fill_(Number.NaN),
    zip(() => Number.NaN),
    { gradient: false },
  ),
  changes(
    'maskedFill_',
    'a number',
    [self, mask],
    (x, m) => x.maskedFill_(m, 9),
    zip((x, m) => (m ? 9 : x)),
  ),
  changes(
    'maskedFill_',
    'a mask that broadcasts',
    [self, booleans([4], 12)],
    (x, m) => x.maskedFill_(m, 9),
    zip((x, m) => (m ? 9 : x)),
  ),
]

/** Slices of `source` along `dim` combined into those of `array` at `index`. */
const combined = (array: Nd, dim: number, index: Nd, source: Nd, combine: (old: number, value: number) => number): Nd => {
  const axis = dim < 0 ? dim + array.shape.length : dim
  return edited(array, (set) => {
    for (const from of positions(source.shape)) set(from.with(axis, at(index, [from[axis] as number])), (old) => combine(old, at(source, from)))
  })
}

const twice = vector([2, 0, 2], 'int64')
const each = vector([3, 0, 1], 'int64')
const tall = uniform([4, 3], 13)
const writing: Case[] = [0, -2].flatMap((dim) => [
  changes(
    'indexCopy_',
    `along ${dim}`,
    [tall, each, uniform([3, 3], 14)],
    (x, i, s) => x.indexCopy_(dim, i, s),
    (x, i, s) => combined(x, dim, i, s, (_, value) => value),
  ),
  changes(
    'indexAdd_',
    `along ${dim}`,
    [tall, twice, uniform([3, 3], 14)],
    (x, i, s) => x.indexAdd_(dim, i, s),
    (x, i, s) => combined(x, dim, i, s, (old, value) => old + value),
  ),
])
const places = integers([2, 3], 15, 0, 4)
const scattered = (x: Nd, dim: number, i: Nd, s: Nd): Nd =>
  edited(x, (set) => {
    for (const from of positions(i.shape)) set(from.with(dim, at(i, from)), (old) => old + at(s, from))
  })
const moreWriting: Case[] = [
  changes(
    'indexCopy_',
    'the last axis',
    [self, vector([1, 3], 'int64'), uniform([3, 2], 16)],
    (x, i, s) => x.indexCopy_(-1, i, s),
    (x, i, s) => combined(x, -1, i, s, (_, value) => value),
  ),
  changes(
    'indexAdd_',
    'alpha',
    [self, vector([1, 1], 'int64'), uniform([3, 2], 16)],
    (x, i, s) => x.indexAdd_(1, i, s, { alpha: -3 }),
    (x, i, s) => combined(x, 1, i, s, (old, value) => old - 3 * value),
  ),
  changes(
    'indexAdd_',
    'int64',
    [whole, vector([0, 0], 'int64'), integers([2, 4], 17, 0, 9)],
    (x, i, s) => x.indexAdd_(0, i, s),
    (x, i, s) => combined(x, 0, i, s, (old, value) => old + value),
  ),
  changes(
    'scatterAdd_',
    'the first axis',
    [tall, places, uniform([2, 3], 18)],
    (x, i, s) => x.scatterAdd_(0, i, s),
    (x, i, s) => scattered(x, 0, i, s),
  ),
  changes(
    'scatterAdd_',
    'the last axis',
    [self, places, uniform([2, 3], 18)],
    (x, i, s) => x.scatterAdd_(1, i, s),
    (x, i, s) => scattered(x, 1, i, s),
  ),
  refuses(
    'indexCopy_',
    'a position beyond the end',
    () => toTensor(tall).indexCopy_(0, toTensor(vector([4], 'int64')), toTensor(uniform([1, 3], 1))),
    /out of (range|bounds)/,
  ),
  refuses(
    'indexAdd_',
    'a position beyond the end',
    () => toTensor(tall).indexAdd_(0, toTensor(vector([-9], 'int64')), toTensor(uniform([1, 3], 1))),
    /out of (range|bounds)/,
  ),
  refuses(
    'scatterAdd_',
    'a position beyond the end',
    () => toTensor(tall).scatterAdd_(0, toTensor(integers([1, 1], 1, 4, 5)), toTensor(tall)),
    /out of bounds/,
  ),
]

// ---- lists ----------------------------------------------------------------------------------------------------------------------

const norm = (ord: number) => (x: Nd) =>
  reduce(x, null, false, (values) => {
    const sizes = values.map(Math.abs)
    return ord === Infinity ? Math.max(...sizes) : total(sizes.map((size) => size ** ord)) ** (1 / ord)
  })
const several = [self, uniform([5], 20), uniform([], 21), uniform([2, 1, 2], 22)]
/** PyTorch 1.13 has no gradient of it. */
const underived = { gradient: false }
const lists: Case[] = [
  ...[2, 1, Infinity].map((ord) =>
    equals(
      'foreachNorm',
      `of order ${ord}`,
      several,
      (...tensors) => ops.foreachNorm(tensors, ord),
      (...arrays) => arrays.map(norm(ord)),
      underived,
    ),
  ),
  equals(
    'foreachNorm',
    'of order 2 by default',
    several,
    (...tensors) => ops.foreachNorm(tensors),
    (...arrays) => arrays.map(norm(2)),
    underived,
  ),
  refuses('foreachNorm', 'int64', () => ops.foreachNorm([toTensor(whole)]), /floating/),
  holds('foreachMul_', 'each in place', () => {
    for (const arrays of [several, several.map(rounded)]) {
      const tensors = arrays.map(toTensor)
      assert.equal(ops.foreachMul_(tensors, -0.5), undefined)
      for (const [i, array] of arrays.entries()) compare(tensors[i] as never, zip((x) => -0.5 * x)(array))
    }
  }),
  holds('foreachMul_', 'through views with gaps', () => {
    const both = several.map((array) => toStrided(array))
    ops.foreachMul_(
      both.map(({ view }) => view),
      3,
    )
    for (const [i, { view }] of both.entries()) compare(view, zip((x) => 3 * x)(several[i] as Nd))
  }),
  refuses('foreachMul_', 'no tensors', () => ops.foreachMul_([], 2), /at least one tensor|non-empty/),
]

export const inplace: readonly Case[] = [...arithmetic, ...filling, ...writing, ...moreWriting, ...lists]
