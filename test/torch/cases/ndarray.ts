// Arrays of any rank in plain JavaScript: what the operators' oracles compute with, written apart from libtorch.

import { fromTypedArray } from '../../../src/torch/create.ts'
import type { DType } from '../../../src/torch/dtype.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { random } from '../../support.ts'

/** Elements in row-major order. */
export interface Nd {
  readonly shape: readonly number[]
  readonly data: readonly number[]
  readonly dtype: DType
}

type Index = readonly number[]

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1)
}

export function nd(shape: readonly number[], data: readonly number[], dtype: DType = 'float64'): Nd {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} elements for the shape [${shape.join(', ')}]`)
  return { shape, data, dtype }
}

export function scalarOf(value: number, dtype: DType = 'float64'): Nd {
  return nd([], [value], dtype)
}

export function vector(data: readonly number[], dtype: DType = 'float64'): Nd {
  return nd([data.length], data, dtype)
}

/** Every position of a shape in row-major order. */
export function positions(shape: readonly number[]): number[][] {
  let found: number[][] = [[]]
  for (const length of shape) found = found.flatMap((head) => Array.from({ length }, (_, i) => [...head, i]))
  return found
}

export function build(shape: readonly number[], value: (index: Index) => number, dtype: DType = 'float64'): Nd {
  return nd(shape, positions(shape).map(value), dtype)
}

/** The element at a position; a negative index counts from the end. Beyond the array it is an error: an oracle must not guess. */
export function at(array: Nd, index: Index): number {
  let offset = 0
  for (const [axis, length] of array.shape.entries()) {
    const i = index[axis] ?? Number.NaN
    const place = i < 0 ? i + length : i
    if (!(place >= 0 && place < length)) throw new Error(`position [${index.join(', ')}] of an array [${array.shape.join(', ')}]`)
    offset = offset * length + place
  }
  return array.data[offset] as number
}

// ---- inputs -------------------------------------------------------------------------------------------------------------------

export function uniform(shape: readonly number[], seed: number, low = -2, high = 2): Nd {
  const next = random(seed)
  return build(shape, () => low + (high - low) * next())
}

/** Integers in [low, high). */
export function integers(shape: readonly number[], seed: number, low: number, high: number, dtype: DType = 'int64'): Nd {
  const next = random(seed)
  return build(shape, () => low + Math.floor((high - low) * next()), dtype)
}

export function booleans(shape: readonly number[], seed: number): Nd {
  return integers(shape, seed, 0, 2, 'bool')
}

/** 0 … n − 1 in a seeded order. */
export function shuffled(n: number, seed: number): number[] {
  const next = random(seed)
  return Array.from({ length: n }, (_, value) => ({ value, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value)
}

/** Values no two of which lie closer than 0.1: where a maximum or an order is differentiable. */
export function distinct(shape: readonly number[], seed: number): Nd {
  const size = sizeOf(shape)
  return nd(
    shape,
    shuffled(size, seed).map((rank) => (rank - size / 2) * 0.1 + 0.013),
  )
}

/** As float32 stores the elements. */
export function rounded(array: Nd): Nd {
  return array.dtype === 'float64' ? nd(array.shape, array.data.map(Math.fround), 'float32') : array
}

// ---- what oracles are made of -------------------------------------------------------------------------------------------------

export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)
    return lengths.find((length) => length !== 1) ?? 1
  })
}

/** The element that an array broadcast to a longer index shows there. */
export function atBroadcast(array: Nd, index: Index): number {
  const skipped = index.length - array.shape.length
  return at(
    array,
    array.shape.map((length, axis) => (length === 1 ? 0 : (index[axis + skipped] as number))),
  )
}

/** `f` over elements that meet when the arrays are broadcast; the dtype is the first array's unless told otherwise. */
export function zip(f: (...values: number[]) => number, dtype?: DType): (...arrays: Nd[]) => Nd {
  return (...arrays) =>
    build(
      broadcastShape(...arrays.map(({ shape }) => shape)),
      (index) => f(...arrays.map((array) => atBroadcast(array, index))),
      dtype ?? arrays[0]?.dtype ?? 'float64',
    )
}

export type Dims = number | readonly number[] | null

/** Axes as non-negative numbers in order; null and [] are all of them. */
export function axesOf(dims: Dims, rank: number): number[] {
  const list = dims === null ? [] : typeof dims === 'number' ? [dims] : dims
  if (list.length === 0) return Array.from({ length: rank }, (_, axis) => axis)
  return list.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b)
}

export function reduce(array: Nd, dims: Dims, keepdim: boolean, f: (values: number[]) => number, dtype: DType = array.dtype): Nd {
  const axes = axesOf(dims, array.shape.length)
  const kept = array.shape.map((length, axis) => (axes.includes(axis) ? 1 : length))
  const inner = positions(axes.map((axis) => array.shape[axis] as number))
  const full = build(
    kept,
    (index) =>
      f(
        inner.map((within) =>
          at(
            array,
            index.map((i, axis) => (axes.includes(axis) ? (within[axes.indexOf(axis)] as number) : i)),
          ),
        ),
      ),
    dtype,
  )
  return keepdim
    ? full
    : nd(
        kept.filter((_, axis) => !axes.includes(axis)),
        full.data,
        dtype,
      )
}

/** Each line along an axis through `f`, which may change its length. */
export function lines(array: Nd, dim: number, f: (values: number[]) => readonly number[], dtype: DType = array.dtype): Nd {
  const [axis = 0] = axesOf(dim, array.shape.length)
  const others = array.shape.map((length, k) => (k === axis ? 1 : length))
  const changed = new Map<string, readonly number[]>()
  for (const start of positions(others)) {
    const line = Array.from({ length: array.shape[axis] ?? 0 }, (_, i) => at(array, start.with(axis, i)))
    changed.set(start.join(), f(line))
  }
  const length = changed.values().next().value?.length ?? 0
  return build(array.shape.with(axis, length), (index) => changed.get(index.with(axis, 0).join())?.[index[axis] ?? 0] ?? Number.NaN, dtype)
}

/** Copies `array` with some elements set: what in-place and scattering operators are held against. */
export function edited(array: Nd, edit: (set: (index: Index, update: (old: number) => number) => void) => void): Nd {
  const data = [...array.data]
  const offsets = build(array.shape, (index) => index.reduce((offset, i, axis) => offset * (array.shape[axis] as number) + i, 0))
  edit((index, update) => {
    const offset = at(offsets, index)
    data[offset] = update(data[offset] as number)
  })
  return nd(array.shape, data, array.dtype)
}

export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

/** [B…, M, K] · [B…, K, N] with leading axes broadcast, by the definition. */
export function product(a: Nd, b: Nd): Nd {
  const [rows = 0, depth = 0] = a.shape.slice(-2)
  const columns = b.shape.at(-1) ?? 0
  const lead = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  return build(
    [...lead, rows, columns],
    (index) => {
      const head = index.slice(0, -2)
      const pick = (array: Nd, i: number, j: number): number => {
        const own = array.shape.slice(0, -2)
        return at(array, [...own.map((length, axis) => (length === 1 ? 0 : (head[axis + head.length - own.length] as number))), i, j])
      }
      const [i = 0, j = 0] = index.slice(-2)
      return total(Array.from({ length: depth }, (_, k) => pick(a, i, k) * pick(b, k, j)))
    },
    a.dtype,
  )
}

// ---- rearrangement ------------------------------------------------------------------------------------------------------------

export function reshaped(array: Nd, shape: readonly number[]): Nd {
  return nd(shape, array.data, array.dtype)
}

/** start, start + step, … before end. */
export function range(start: number, end: number, step = 1): number[] {
  return Array.from({ length: Math.max(0, Math.ceil((end - start) / step)) }, (_, i) => start + i * step)
}

/** The slices at some places along an axis. */
export function picked(array: Nd, dim: number, places: readonly number[]): Nd {
  const [axis = 0] = axesOf(dim, array.shape.length)
  const shape = array.shape.with(axis, places.length)
  return build(shape, (index) => at(array, index.with(axis, places[index[axis] as number] as number)), array.dtype)
}

/** Without an axis of length 1. */
export function without(array: Nd, dim: number): Nd {
  const [axis = 0] = axesOf(dim, array.shape.length)
  return reshaped(array, array.shape.toSpliced(axis, 1))
}

// ---- tensors ------------------------------------------------------------------------------------------------------------------

export function toTensor({ shape, data, dtype }: Nd): Tensor {
  switch (dtype) {
    case 'float64':
      return fromTypedArray(Float64Array.from(data), { dtype, shape })
    case 'float32':
      return fromTypedArray(Float32Array.from(data), { dtype, shape })
    case 'int64':
      return fromTypedArray(BigInt64Array.from(data, BigInt), { dtype, shape })
    case 'int32':
      return fromTypedArray(Int32Array.from(data), { dtype, shape })
    case 'uint8':
    case 'bool':
      return fromTypedArray(Uint8Array.from(data), { dtype, shape })
    default:
      throw new Error(`oracles do not compute in ${dtype}`)
  }
}

/** What lies in memory between the elements of `toStrided`. An operator that reads it shows. */
export function filler(dtype: DType): number {
  return dtype === 'float64' || dtype === 'float32' ? Number.NaN : dtype === 'bool' ? 1 : 111
}

/** The same array with its axes reversed in memory and filler after each element; `base` is that memory, `view` the array. */
export function toStrided(array: Nd): { readonly base: Tensor; readonly view: Tensor } {
  const { shape, dtype } = array
  if (shape.length === 0) {
    const base = toTensor(vector([filler(dtype), array.data[0] as number], dtype))
    return { base, view: base.select(0, 1) }
  }
  const reversed = shape.map((_, axis) => shape.length - 1 - axis)
  const inMemory = [...reversed.map((axis) => shape[axis] as number), 2]
  const base = toTensor(build(inMemory, (index) => (index.at(-1) === 1 ? at(array, index.slice(0, -1).reverse()) : filler(dtype)), dtype))
  return { base, view: base.select(-1, 1).permute(reversed) }
}
