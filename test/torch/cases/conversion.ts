// All eight dtypes: in from typed arrays, converted to each other, out again; and copies that keep or cut the gradient.

import assert from 'node:assert/strict'
import { gradient, requireGrad } from '../../../src/torch/autograd.ts'
import { backward } from '../../../src/torch/backward.ts'
import { fromTypedArray } from '../../../src/torch/create.ts'
import { type DType, type DTypeArrays, dtypeNames, dtypes } from '../../../src/torch/dtype.ts'
import { ops } from '../../../src/torch/operators.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { random } from '../../support.ts'
import { type Case, compare, equals, holds, isLike, refuses } from './case.ts'
import { build, integers, toTensor, uniform, vector } from './ndarray.ts'

/** Two ways to the same conversion. */
const ways: readonly { readonly name: 'toDtype' | 'to'; readonly convert: (x: Tensor, dtype: DType) => Tensor }[] = [
  { name: 'toDtype', convert: (x, dtype) => x.toDtype(dtype) },
  { name: 'to', convert: (x, dtype) => x.to({ dtype }) },
]

/** Arrays of every dtype with elements at both ends of its range. */
const samples: { readonly [K in DType]: DTypeArrays[K] } = {
  float32: Float32Array.of(0, -0, 1.5, -3.25, 3.4e38, 1e-45, Infinity, Number.NaN),
  float64: Float64Array.of(0, -0, 0.1, -1 / 3, 1e308, 5e-324, -Infinity, Number.NaN),
  bfloat16: Uint16Array.of(0, 0x8000, 0x3f80, 0xc040, 0x7f7f, 1, 0x7f80, 0x7fc0),
  float16: Uint16Array.of(0, 0x8000, 0x3c00, 0xc200, 0x7bff, 1, 0x7c00, 0x7e00),
  int64: BigInt64Array.of(0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 7n, -7n, 1n),
  int32: Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31), 7, -7, 1, 2),
  uint8: Uint8Array.of(0, 1, 2, 127, 128, 254, 255, 3),
  bool: Uint8Array.of(0, 1, 1, 0, 1, 0, 0, 1),
}

function roundTrip<K extends DType>(dtype: K): void {
  const shape = [2, 2, 2]
  const data = samples[dtype]
  const made = fromTypedArray(data, { dtype, shape })
  isLike(made, shape, dtype)
  assert.deepEqual(made.dataAs(dtype), data)
  assert.deepEqual(made.transpose(0, 2).transpose(0, 2).contiguous().data(), data)
  // A window into a larger buffer, at an offset.
  const larger = new dtypes[dtype].array(new ArrayBuffer(12 * dtypes[dtype].bytes))
  larger.set(data as never, 3)
  assert.deepEqual(fromTypedArray(larger.subarray(3, 11) as DTypeArrays[K], { dtype }).data(), data)
  for (const { convert } of ways) assert.deepEqual(convert(made, dtype).data(), data)
}

// ---- half types, rounded by hand ------------------------------------------------------------------------------------------------

const scratch = new DataView(new ArrayBuffer(4))
function bitsOf(value: number): number {
  scratch.setFloat32(0, value)
  return scratch.getUint32(0)
}

/** To the nearest multiple of 2^drop, ties to the even one, then without the dropped bits. */
function roundBits(bits: number, drop: number): number {
  const unit = 2 ** drop
  const low = Math.floor(bits / unit)
  const rest = bits - low * unit
  return rest > unit / 2 || (rest === unit / 2 && low % 2 === 1) ? low + 1 : low
}

/** The upper half of a float32's bits. */
function toBfloat16(value: number): number {
  return Number.isNaN(value) ? 0x7fc0 : roundBits(bitsOf(value), 16)
}

function toFloat16(value: number): number {
  const sign = bitsOf(value) >= 2 ** 31 ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(value)) return 0x7e00
  // Below 2^-14 the numbers are multiples of 2^-24; above, 10 bits of the significand stay and the exponent loses 127 − 15.
  const code = size < 2 ** -14 ? roundBits(size * 2 ** 40, 16) : roundBits(bitsOf(size), 13) - (112 << 10)
  return sign + Math.min(code, 0x7c00)
}

function fromHalf(bits: number, dtype: 'bfloat16' | 'float16'): number {
  const [exponentBits, fractionBits, bias] = dtype === 'bfloat16' ? [8, 7, 127] : [5, 10, 15]
  const sign = bits >= 0x8000 ? -1 : 1
  const exponent = (bits % 0x8000) >> fractionBits
  const fraction = bits % (1 << fractionBits)
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits)
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias)
}

/** Random float32 of all magnitudes, and each half number with its neighbours and the ties between. */
function hardNumbers(dtype: 'bfloat16' | 'float16'): Float32Array {
  const next = random(1)
  const numbers = [0, -0, Infinity, -Infinity, Number.NaN, 65504, 65519.99, 65520, 65536, 1e-45, 3.4e38, -3.4e38, 2 ** -25, 2 ** -24, 2 ** -14]
  for (let i = 0; i < 4000; i++) numbers.push((next() < 0.5 ? -1 : 1) * (1 + next()) * 2 ** Math.floor(next() * 60 - 32))
  for (let bits = 0; bits < 0x7c00; bits += 37) {
    const here = fromHalf(bits, dtype)
    const there = fromHalf(bits + 1, dtype)
    if (Number.isFinite(there)) numbers.push(here, (here + there) / 2, here * 0.49 + there * 0.51, -(here + there) / 2)
  }
  return Float32Array.from(numbers)
}

const halves: Case[] = ways.flatMap(({ name, convert }) =>
  (['bfloat16', 'float16'] as const).flatMap((dtype) => [
    holds(name, `float32 rounded to ${dtype}`, () => {
      const numbers = hardNumbers(dtype)
      const bits = convert(fromTypedArray(numbers, { dtype: 'float32' }), dtype).dataAs(dtype)
      const oracle = dtype === 'bfloat16' ? toBfloat16 : toFloat16
      for (const [i, value] of numbers.entries()) {
        const found = bits[i] as number
        const same = Number.isNaN(value) ? Number.isNaN(fromHalf(found, dtype)) : found === oracle(value)
        assert.ok(same, `${value}: bits ${found.toString(16)}, expected ${oracle(value).toString(16)}`)
      }
    }),
    holds(name, `every ${dtype} to float32 and back`, () => {
      const bits = Uint16Array.from({ length: 65536 }, (_, i) => i)
      const wide = convert(fromTypedArray(bits, { dtype }), 'float32').dataAs('float32')
      for (let i = 0; i < 65536; i++) assert.ok(Object.is(wide[i], fromHalf(i, dtype)), `bits ${i.toString(16)}: ${wide[i]}`)
      const back = convert(fromTypedArray(wide, { dtype: 'float32' }), dtype).dataAs(dtype)
      for (let i = 0; i < 65536; i++) if (!Number.isNaN(wide[i])) assert.equal(back[i], i)
    }),
  ]),
)

// ---- from each dtype to each ----------------------------------------------------------------------------------------------------

/** Numbers that every dtype holds, and what bool makes of them. */
const common = [0, 1, 2, 5, 100, 0]
const pairs: Case[] = dtypeNames.flatMap((from) =>
  ways.map(({ name, convert }) =>
    holds(name, `${from} to every other`, () => {
      const source = convert(toTensor(vector(common)), from)
      const stored = from === 'bool' ? common.map((value) => Number(value !== 0)) : common
      assert.deepEqual(source.toArray(), stored)
      for (const to of dtypeNames) {
        const converted = convert(source, to)
        isLike(converted, [common.length], to)
        assert.deepEqual(converted.toArray(), to === 'bool' ? stored.map((value) => Number(value !== 0)) : stored, `to ${to}`)
      }
    }),
  ),
)

const trunc = (dtype: DType) => () => vector([-2, 2, 0, 0, 7], dtype)
const fractions = vector([-2.9, 2.9, 0.5, -0.99, 7])
const once = { gradient: false, float32: false }
const conversions: Case[] = ways.flatMap(({ name, convert }) => [
  equals(name, 'fractions to int64, towards 0', [fractions], (x) => convert(x, 'int64'), trunc('int64'), once),
  equals(name, 'fractions to int32, towards 0', [fractions], (x) => convert(x, 'int32'), trunc('int32'), once),
  equals(
    name,
    'fractions to bool, all but 0',
    [vector([-0.1, 0, Number.NaN, 3])],
    (x) => convert(x, 'bool'),
    () => vector([1, 0, 1, 1], 'bool'),
    once,
  ),
  equals(
    name,
    'float64 to float32',
    [vector([0.1, 1e300, 1e-300, 16777217])],
    (x) => convert(x, 'float32'),
    () => vector([Math.fround(0.1), Infinity, 0, 16777216], 'float32'),
    once,
  ),
  holds(name, 'the gradient comes back in the first dtype', () => {
    const leaf = requireGrad(toTensor(uniform([3], 1)))
    backward(convert(leaf, 'float32').mul(2).sum())
    const arrived = gradient(leaf)
    assert.ok(arrived)
    compare(arrived, vector([2, 2, 2]))
  }),
])

const table = uniform([3, 4], 2)
const copies: Case[] = [
  equals(
    'toDtype',
    'the same dtype, which is no copy',
    [table],
    (x) => x.toDtype(x.dtype),
    (x) => x,
    { aliases: 'always' },
  ),
  equals(
    'to',
    'always a copy',
    [table],
    (x) => x.to(),
    (x) => x,
  ),
  equals(
    'to',
    'a device',
    [table],
    (x) => x.to({ device: 'cpu' }),
    (x) => x,
  ),
  equals(
    'to',
    'a device and a dtype',
    [integers([3, 4], 3, -9, 9)],
    (x) => x.to({ device: 'cpu', dtype: 'float64' }),
    (x) => build(x.shape, ([i = 0, j = 0]) => x.data[i * 4 + j] as number),
  ),
  refuses('toDtype', 'an unknown dtype', () => toTensor(table).toDtype('int8' as never), /got "int8"/),
  refuses('to', 'an unknown option', () => toTensor(table).to({ copy: true } as never), /has no option `copy`/),
  equals(
    'detach',
    'the same memory',
    [table],
    (x) => x.detach(),
    (x) => x,
    { aliases: 'always', gradient: false },
  ),
  holds('detach', 'cuts the gradient', () => {
    const leaf = requireGrad(toTensor(table))
    assert.equal(leaf.mul(2).requiresGrad, true)
    assert.equal(leaf.mul(2).detach().requiresGrad, false)
    backward(leaf.mul(leaf.detach()).sum())
    const arrived = gradient(leaf)
    assert.ok(arrived)
    compare(arrived, table)
  }),
  equals(
    'clone',
    'memory of its own',
    [table],
    (x) => x.clone(),
    (x) => x,
  ),
  equals(
    'clone',
    'bool',
    [vector([1, 0, 1], 'bool')],
    (x) => x.clone(),
    (x) => x,
  ),
  holds('clone', 'every dtype', () => {
    for (const dtype of dtypeNames) assert.deepEqual(ops.ones([3], { dtype }).clone().toArray(), [1, 1, 1])
  }),
]

const typedArrays: Case[] = dtypeNames.map((dtype) => holds('clone', `typed arrays of ${dtype} in and out`, () => roundTrip(dtype)))

export const conversion: readonly Case[] = [...typedArrays, ...halves, ...pairs, ...conversions, ...copies]
