// Tensors from JavaScript numbers and typed arrays.

import { ArgumentError } from '../errors.ts'
import { adopt, currentContext, engineFor } from './context.ts'
import { type Device, type DType, type DTypeArrays, dtypes, isDType, type TypedArray } from './dtype.ts'
import { ops } from './operators.ts'
import type { Tensor } from './tensor.ts'

/** Numbers nested to any depth; every list of one level equally long. */
export type Nested = number | boolean | readonly Nested[]

function shapeOf(value: Nested): number[] {
  const shape: number[] = []
  let level: Nested | undefined = value
  while (Array.isArray(level)) {
    shape.push(level.length)
    level = (level as readonly Nested[])[0]
  }
  return shape
}

function flatten(value: Nested, shape: readonly number[], axis: number, into: (number | boolean)[]): void {
  if (!Array.isArray(value)) {
    if (axis !== shape.length) throw new ArgumentError(`tensor: a number stands where a list of ${shape[axis]} should, at depth ${axis}`)
    into.push(value as number | boolean)
    return
  }
  if (value.length !== shape[axis])
    throw new ArgumentError(`tensor: a list of ${value.length} at depth ${axis}, where the first one has ${shape[axis] ?? 'a number'}`)
  for (const element of value) flatten(element, shape, axis + 1, into)
}

/** float32 and others as the bytes of their typed array; the half types go through float32. */
function numbersToArray(numbers: readonly (number | boolean)[], dtype: DType): TypedArray {
  const array = new dtypes[dtype].array(new ArrayBuffer(numbers.length * dtypes[dtype].bytes))
  for (let i = 0; i < numbers.length; i++) {
    const value = Number(numbers[i])
    if (!dtypes[dtype].floating && !Number.isInteger(value)) throw new ArgumentError(`tensor: ${value} in a tensor of ${dtype}`)
    array[i] = dtype === 'int64' ? BigInt(value) : value
  }
  return array
}

/**
 * A tensor that holds a copy of a typed array's elements; the bytes are copied once, never element by element.
 * @param shape one axis by default
 * @param options.dtype of the elements; needed where the array leaves it open (Uint16Array: bfloat16 or float16; Uint8Array: uint8 or bool)
 */
export function fromTypedArray<K extends DType>(
  data: DTypeArrays[K],
  options: { readonly dtype: K; readonly shape?: readonly number[]; readonly device?: Device },
): Tensor {
  const { dtype, shape = [data.length], device = 'cpu' } = options
  if (!isDType(dtype)) throw new ArgumentError(`fromTypedArray: unknown dtype ${String(dtype)}; expected one of ${Object.keys(dtypes).join(', ')}`)
  if (!(data instanceof dtypes[dtype].array)) {
    throw new ArgumentError(
      `fromTypedArray: ${dtype} comes in a ${dtypes[dtype].array.name}, got ${Object.prototype.toString.call(data).slice(8, -1)}`,
    )
  }
  const wanted = shape.reduce((product, length) => product * length, 1)
  if (shape.some((length) => !Number.isSafeInteger(length) || length < 0) || wanted !== data.length) {
    throw new ArgumentError(`fromTypedArray: ${data.length} elements do not fill the shape [${shape.join(', ')}]`)
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const context = currentContext()
  const handle = engineFor(context).fromBytes(bytes, dtypes[dtype].code, shape)
  const made = adopt(handle, 'fromTypedArray', context)
  if (device === 'cpu') return made
  const moved = made.to({ device })
  made.dispose()
  return moved
}

/** A tensor from nested lists of numbers: `tensor([[1, 2], [3, 4]])`. float32 unless told otherwise. */
export function tensor(values: Nested, options: { readonly dtype?: DType; readonly device?: Device } = {}): Tensor {
  const { dtype = 'float32', device = 'cpu' } = options
  const shape = shapeOf(values)
  const numbers: (number | boolean)[] = []
  flatten(values, shape, 0, numbers)
  if (dtype !== 'bfloat16' && dtype !== 'float16') return fromTypedArray(numbersToArray(numbers, dtype) as never, { dtype, shape, device })
  const wide = fromTypedArray(numbersToArray(numbers, 'float32') as Float32Array, { dtype: 'float32', shape, device })
  const narrow = wide.to({ dtype })
  wide.dispose()
  return narrow
}

/**
 * A tensor of int64, such as the positions that indexing takes and the ids of tokens.
 * @param values integers up to ±2^53; another number is an `ArgumentError`
 * @param options.shape one axis by default
 */
export function int64(values: ArrayLike<number>, options: { readonly shape?: readonly number[]; readonly device?: Device } = {}): Tensor {
  const data = BigInt64Array.from(values, (value, i) => {
    if (!Number.isSafeInteger(value)) throw new ArgumentError(`int64: value ${i} is ${value}; expected an integer up to ±2^53`)
    return BigInt(value)
  })
  return fromTypedArray(data, { dtype: 'int64', ...options })
}

/** A scalar tensor of a dtype. */
export function scalar(value: number, dtype: DType = 'float32'): Tensor {
  return ops.full([], value, { dtype })
}
