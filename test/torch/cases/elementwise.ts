// Arithmetic and functions of single elements against JavaScript's own.

import assert from 'node:assert/strict'
import { ops } from '../../../src/torch/operators.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { type Case, equals, holds, type OperatorName, refuses } from './case.ts'
import { integers, type Nd, nd, scalarOf, toTensor, uniform, vector, zip } from './ndarray.ts'

const a = uniform([3, 1, 4], 1)
const b = uniform([2, 1], 2)
const away = uniform([3, 5], 3, 0.4, 1.9)

/** erf by its series with positive terms only, which loses nothing to cancellation. */
export function erf(x: number): number {
  if (!(Math.abs(x) <= 6)) return Math.sign(x)
  let term = x
  let sum = 0
  for (let n = 0; sum + term !== sum; n++) {
    sum += term
    term *= (2 * x * x) / (2 * n + 3)
  }
  return ((2 / Math.sqrt(Math.PI)) * sum) / Math.exp(x * x)
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** With the sign of the divisor, as in Python. */
export function modulo(x: number, y: number): number {
  const rest = x % y
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest
}

function halfToEven(x: number): number {
  const below = Math.floor(x)
  if (!Number.isFinite(x) || x - below !== 0.5) return x - below < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}

// ---- two operands ---------------------------------------------------------------------------------------------------------------

const arithmetic: Case[] = [
  equals(
    'add',
    'tensors that broadcast',
    [a, b],
    (x, y) => x.add(y),
    zip((x, y) => x + y),
  ),
  equals(
    'add',
    'alpha',
    [a, b],
    (x, y) => x.add(y, { alpha: -2.5 }),
    zip((x, y) => x - 2.5 * y),
  ),
  equals(
    'add',
    'a number',
    [a],
    (x) => x.add(0.75),
    zip((x) => x + 0.75),
  ),
  equals(
    'add',
    'a number and alpha',
    [a],
    (x) => x.add(0.75, { alpha: 3 }),
    zip((x) => x + 2.25),
  ),
  equals(
    'add',
    'int64 and a bigint beyond 2^53',
    [vector([1, 2, 3], 'int64')],
    (x) => x.add(2n ** 60n).sub(2n ** 60n),
    zip((x) => x),
  ),
  equals(
    'add',
    'int64 and float64 to float64',
    [vector([1, 2], 'int64'), vector([0.5, 0.25])],
    (x, y) => x.add(y),
    zip((x, y) => x + y, 'float64'),
    {
      float32: false,
    },
  ),
  equals(
    'add',
    'uint8 that wraps around',
    [vector([250, 7], 'uint8'), vector([10, 7], 'uint8')],
    (x, y) => x.add(y),
    zip((x, y) => (x + y) % 256),
  ),
  equals(
    'add',
    'a scalar tensor, and empty ones',
    [nd([2, 0], []), scalarOf(3)],
    (x, y) => x.add(y),
    zip((x, y) => x + y),
    { gradient: false },
  ),
  equals(
    'add',
    'more elements than one thread takes',
    [uniform([40_001], 4), uniform([40_001], 5)],
    (x, y) => x.add(y),
    zip((x, y) => x + y),
    { gradient: false, threads: 4 },
  ),
  refuses('add', 'shapes that do not meet', () => toTensor(away).add(toTensor(b.shape.length === 2 ? uniform([4], 1) : b)), /size of tensor/),
  refuses('add', 'a string', () => toTensor(a).add('1' as never), /`other` must be a Tensor, got "1"/),

  equals(
    'sub',
    'tensors that broadcast',
    [a, b],
    (x, y) => x.sub(y),
    zip((x, y) => x - y),
  ),
  equals(
    'sub',
    'alpha',
    [a, b],
    (x, y) => x.sub(y, { alpha: 0.5 }),
    zip((x, y) => x - 0.5 * y),
  ),
  equals(
    'sub',
    'a number and alpha',
    [a],
    (x) => x.sub(0.75, { alpha: 2 }),
    zip((x) => x - 1.5),
  ),
  equals(
    'mul',
    'tensors that broadcast',
    [a, b],
    (x, y) => x.mul(y),
    zip((x, y) => x * y),
  ),
  equals(
    'mul',
    'a number',
    [a],
    (x) => x.mul(-1.5),
    zip((x) => x * -1.5),
  ),
  equals(
    'mul',
    'int32 and a fraction to float32',
    [vector([1, 2, 3], 'int32')],
    (x) => x.mul(0.5),
    zip((x) => x / 2, 'float32'),
  ),
  equals(
    'mul',
    'a boolean',
    [a],
    (x) => x.mul(true),
    zip((x) => x),
  ),
  equals(
    'div',
    'tensors that broadcast',
    [a, uniform([2, 1], 6, 0.5, 2)],
    (x, y) => x.div(y),
    zip((x, y) => x / y),
  ),
  equals(
    'div',
    'a number',
    [a],
    (x) => x.div(3),
    zip((x) => x / 3),
  ),
  equals(
    'div',
    'by zero',
    [vector([1, -1, 0])],
    (x) => x.div(0),
    zip((x) => x / 0),
    { gradient: false },
  ),
  equals(
    'div',
    'int64 truly',
    [vector([7, -7], 'int64')],
    (x) => x.div(2),
    zip((x) => x / 2, 'float32'),
  ),
  equals(
    'pow',
    'tensors that broadcast',
    [uniform([3, 1], 7, 0.3, 2), uniform([1, 4], 8)],
    (x, y) => x.pow(y),
    zip((x, y) => x ** y),
  ),
  ...[2, 3, -1, -2, 0.5, 2.7, 0].map((exponent) =>
    equals(
      'pow',
      `to the power ${exponent}`,
      [uniform([3, 5], 9, 0.3, 2)],
      (x) => x.pow(exponent),
      zip((x) => x ** exponent),
    ),
  ),
  equals(
    'pow',
    'of negative numbers',
    [vector([-2, -0.5])],
    (x) => x.pow(3),
    zip((x) => x ** 3),
  ),
  equals(
    'remainder',
    'tensors of all signs',
    [vector([5.3, -5.3, 5.3, -5.3, 0]), vector([2.1, 2.1, -2.1, -2.1, 2])],
    (x, y) => x.remainder(y),
    zip((x, y) => modulo(x, y)),
    {
      gradient: false,
    },
  ),
  equals(
    'remainder',
    'away from its jumps',
    [uniform([4], 10, 2.1, 2.9), uniform([3, 1], 11, 0.85, 0.95)],
    (x, y) => x.remainder(y),
    zip((x, y) => modulo(x, y)),
  ),
  equals(
    'remainder',
    'int64 and a number',
    [vector([7, -7, 6, -6, 0], 'int64')],
    (x) => x.remainder(-4),
    zip((x) => modulo(x, -4)),
  ),
  holds('remainder', 'the lowest integers by −1', () => {
    const lowest = ops.full([3], -(2n ** 63n), { dtype: 'int64' })
    assert.deepEqual(lowest.remainder(-1).toArray(), [0, 0, 0])
    assert.deepEqual(lowest.remainder(toTensor(vector([-1, -1, 1], 'int64'))).toArray(), [0, 0, 0])
    assert.deepEqual(
      ops
        .full([3], -(2 ** 31), { dtype: 'int32' })
        .remainder(-1)
        .toArray(),
      [0, 0, 0],
    )
  }),
  refuses('remainder', 'an int64 division by zero', () => toTensor(vector([7], 'int64')).remainder(0), /[Zz]ero/),
  equals(
    'rsub',
    'tensors that broadcast',
    [a, b],
    (x, y) => x.rsub(y, { alpha: 2 }),
    zip((x, y) => y - 2 * x),
  ),
  equals(
    'rsub',
    'a number',
    [a],
    (x) => x.rsub(1),
    zip((x) => 1 - x),
  ),
  equals(
    'rsub',
    'a number and alpha',
    [a],
    (x) => x.rsub(1, { alpha: 0.5 }),
    zip((x) => 1 - 0.5 * x),
  ),
  equals(
    'lerp',
    'a weight for each element',
    [a, b, uniform([3, 2, 4], 12, -0.5, 1.5)],
    (x, y, w) => x.lerp(y, w),
    zip((x, y, w) => x + w * (y - x)),
  ),
  ...[0.25, 0.8, -1].map((weight) =>
    equals(
      'lerp',
      `the weight ${weight}`,
      [a, b],
      (x, y) => x.lerp(y, weight),
      zip((x, y) => x + weight * (y - x)),
    ),
  ),
  ...(['maximum', 'minimum'] as const).flatMap((name) => {
    const oracle = zip((x, y) => (name === 'maximum' ? Math.max(x, y) : Math.min(x, y)))
    return [
      equals(name, 'tensors that broadcast', [a, b], (x, y) => x[name](y), oracle),
      equals(
        name,
        'NaN and infinities',
        [vector([1, Number.NaN, -Infinity, 2]), vector([Number.NaN, 1, 3, Infinity])],
        (x, y) => x[name](y),
        oracle,
        { gradient: false },
      ),
      equals(name, 'int64', [integers([5], 1, -9, 9), integers([5], 2, -9, 9)], (x, y) => x[name](y), oracle),
    ]
  }),
  equals(
    'clamp',
    'both limits',
    [a],
    (x) => x.clamp(-0.7, 1.1),
    zip((x) => Math.min(Math.max(x, -0.7), 1.1)),
  ),
  equals(
    'clamp',
    'only a lower one',
    [a],
    (x) => x.clamp(0.1),
    zip((x) => Math.max(x, 0.1)),
  ),
  equals(
    'clamp',
    'only an upper one',
    [a],
    (x) => x.clamp(null, 0.1),
    zip((x) => Math.min(x, 0.1)),
  ),
  equals(
    'clamp',
    'NaN and infinities',
    [vector([Number.NaN, Infinity, -Infinity])],
    (x) => x.clamp(-1, 1),
    zip((x) => Math.min(Math.max(x, -1), 1)),
    { gradient: false },
  ),
  refuses('clamp', 'no limit at all', () => toTensor(a).clamp(), /[Aa]t least one of/),
]

// ---- one operand ----------------------------------------------------------------------------------------------------------------

type Unary = (x: number) => number

const whole = uniform([5, 7], 20, -2.9, 2.9)
const positive = uniform([5, 7], 21, 0.2, 3)
const inner = uniform([5, 7], 22, -0.9, 0.9)
const special = [0, -0, 1, -1, Infinity, -Infinity, Number.NaN, 700, -700, 1e-300]

interface Function1 {
  readonly name: OperatorName
  readonly call: (x: Tensor) => Tensor
  readonly f: Unary
  readonly domain: Nd
  /** Beside the numbers of the domain, what happens at the edges; absent where JavaScript's function differs there. */
  readonly special?: readonly number[]
}

const logOfSigmoid: Unary = (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)))
const phi: Unary = (x) => (1 + erf(x / Math.SQRT2)) / 2

const functions: readonly Function1[] = [
  { name: 'neg', call: (x) => x.neg(), f: (x) => -x, domain: whole, special },
  { name: 'abs', call: (x) => x.abs(), f: Math.abs, domain: whole, special },
  { name: 'sign', call: (x) => x.sign(), f: Math.sign, domain: whole, special: [0, 3, -3, Infinity, -Infinity] },
  { name: 'square', call: (x) => x.square(), f: (x) => x * x, domain: whole, special },
  { name: 'sqrt', call: (x) => x.sqrt(), f: Math.sqrt, domain: positive, special },
  { name: 'rsqrt', call: (x) => x.rsqrt(), f: (x) => 1 / Math.sqrt(x), domain: positive, special: [0, 4, -1, Infinity, Number.NaN] },
  { name: 'reciprocal', call: (x) => x.reciprocal(), f: (x) => 1 / x, domain: positive, special },
  { name: 'exp', call: (x) => x.exp(), f: Math.exp, domain: whole, special },
  { name: 'expm1', call: (x) => x.expm1(), f: Math.expm1, domain: whole, special },
  { name: 'log', call: (x) => x.log(), f: Math.log, domain: positive, special },
  { name: 'log1p', call: (x) => x.log1p(), f: Math.log1p, domain: positive, special },
  { name: 'sin', call: (x) => x.sin(), f: Math.sin, domain: whole, special },
  { name: 'cos', call: (x) => x.cos(), f: Math.cos, domain: whole, special },
  { name: 'acos', call: (x) => x.acos(), f: Math.acos, domain: inner, special: [1, -1, 0, 1.5, Number.NaN] },
  { name: 'tanh', call: (x) => x.tanh(), f: Math.tanh, domain: whole, special },
  { name: 'erf', call: (x) => x.erf(), f: erf, domain: whole, special: [0, Infinity, -Infinity, 5, -5] },
  { name: 'sigmoid', call: (x) => x.sigmoid(), f: sigmoid, domain: whole, special },
  { name: 'logSigmoid', call: (x) => x.logSigmoid(), f: logOfSigmoid, domain: whole, special: [0, 700, -700, Infinity, Number.NaN] },
  { name: 'relu', call: (x) => x.relu(), f: (x) => Math.max(x, 0), domain: whole, special },
  { name: 'silu', call: (x) => x.silu(), f: (x) => x * sigmoid(x), domain: whole, special: [0, 700, -700, Infinity, Number.NaN] },
  { name: 'gelu', call: (x) => x.gelu(), f: (x) => x * phi(x), domain: whole, special: [0, 8, -8, Infinity, Number.NaN] },
  {
    name: 'gelu',
    call: (x) => x.gelu({ approximate: 'tanh' }),
    f: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    domain: whole,
    special: [0, 8, -8, Infinity, Number.NaN],
  },
  { name: 'floor', call: (x) => x.floor(), f: Math.floor, domain: whole, special },
  { name: 'ceil', call: (x) => x.ceil(), f: Math.ceil, domain: whole, special },
  { name: 'round', call: (x) => x.round(), f: halfToEven, domain: whole, special: [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, Infinity, -Infinity] },
]

const unary = functions.flatMap(({ name, call, f, domain, special: edges }) => {
  const oracle = zip((x) => f(x))
  const list = [equals(name, 'numbers', [domain], call, oracle), equals(name, 'a scalar', [scalarOf(0.4)], call, oracle)]
  if (edges) list.push(equals(name, 'edges of its domain', [vector(edges)], call, oracle, { gradient: false, float32: false }))
  return list
})

const integral: Case[] = [
  equals(
    'abs',
    'int64',
    [integers([6], 30, -9, 9)],
    (x) => x.abs(),
    zip((x) => Math.abs(x)),
  ),
  equals(
    'neg',
    'int32',
    [integers([6], 31, -9, 9, 'int32')],
    (x) => x.neg(),
    zip((x) => 0 - x),
  ),
  equals(
    'sign',
    'int64',
    [integers([6], 32, -2, 3)],
    (x) => x.sign(),
    zip((x) => Math.sign(x)),
  ),
  equals(
    'exp',
    'int64 to float32',
    [vector([0, 1, 2], 'int64')],
    (x) => x.exp(),
    zip((x) => Math.exp(x), 'float32'),
    { tolerance: 1e-6 },
  ),
  refuses('gelu', 'an unknown approximation', () => toTensor(a).gelu({ approximate: 'cubic' }), /approximate/),
  refuses('neg', 'bool', () => toTensor(vector([1], 'bool')).neg(), /bool/),
]

export const elementwise: readonly Case[] = [...arithmetic, ...unary, ...integral]
