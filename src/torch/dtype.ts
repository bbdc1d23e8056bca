// Element types and devices: the names used everywhere, and what they are to libtorch and to typed arrays.

import { ArgumentError } from '../errors.ts'

/** The element types, by the names PyTorch uses. */
export type DType = 'float32' | 'float64' | 'bfloat16' | 'float16' | 'int64' | 'int32' | 'uint8' | 'bool'

/** Where a tensor lives: `cpu`, `cuda` (the current GPU) or `cuda:1`. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`

/**
 * The typed array that holds a tensor's elements. JavaScript has no arrays of bfloat16, so both half types come as their
 * 16-bit patterns; `bool` comes as bytes 0 and 1.
 */
export interface DTypeArrays {
  float32: Float32Array
  float64: Float64Array
  bfloat16: Uint16Array
  float16: Uint16Array
  int64: BigInt64Array
  int32: Int32Array
  uint8: Uint8Array
  bool: Uint8Array
}

export type TypedArray = DTypeArrays[DType]

interface DTypeFacts<K extends DType> {
  /** c10::ScalarType */
  readonly code: number
  readonly bytes: number
  readonly floating: boolean
  readonly array: new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => DTypeArrays[K]
}

export const dtypes: { readonly [K in DType]: DTypeFacts<K> } = {
  float32: { code: 6, bytes: 4, floating: true, array: Float32Array },
  float64: { code: 7, bytes: 8, floating: true, array: Float64Array },
  bfloat16: { code: 15, bytes: 2, floating: true, array: Uint16Array },
  float16: { code: 5, bytes: 2, floating: true, array: Uint16Array },
  int64: { code: 4, bytes: 8, floating: false, array: BigInt64Array },
  int32: { code: 3, bytes: 4, floating: false, array: Int32Array },
  uint8: { code: 0, bytes: 1, floating: false, array: Uint8Array },
  bool: { code: 11, bytes: 1, floating: false, array: Uint8Array },
}

export const dtypeNames = Object.keys(dtypes) as readonly DType[]

const byCode = new Map(dtypeNames.map((name) => [dtypes[name].code, name]))

/** The name of a c10::ScalarType; a type that Sightline does not use is an error. */
export function dtypeOf(code: number): DType {
  const name = byCode.get(code)
  if (name === undefined) {
    throw new ArgumentError(`a tensor has the element type ${code} of c10::ScalarType; Sightline uses ${dtypeNames.join(', ')}`)
  }
  return name
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(dtypes, value)
}

/** Whether sums in this type lose what is small beside them. */
export function isHalf(dtype: DType): boolean {
  return dtype === 'bfloat16' || dtype === 'float16'
}

export function isDevice(value: unknown): value is Device {
  return typeof value === 'string' && /^(cpu|cuda(:\d+)?)$/.test(value)
}

/** c10::DeviceType and an index, as a name. */
export function deviceOf(type: number, index: number): Device {
  if (type === 0) return 'cpu'
  if (type === 1) return index < 0 ? 'cuda' : `cuda:${index}`
  throw new ArgumentError(`a tensor lives on the device type ${type} of c10::DeviceType; Sightline uses cpu and cuda`)
}
