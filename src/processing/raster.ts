// A decoded image: the plain value between decoding, resizing and cutting into patches.

import { ArgumentError } from '../errors.ts'

/** RGB samples of 8 bits, row by row: `data` is [height, width, 3]. */
export interface Raster {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
}

/** A Raster of `data` [height, width, 3]. @throws ArgumentError if the sizes are no positive integers or do not fit the data. */
export function raster(data: Uint8Array, height: number, width: number): Raster {
  if (!Number.isSafeInteger(height) || !Number.isSafeInteger(width) || height < 1 || width < 1)
    throw new ArgumentError(`raster: height and width must be integers from 1, got ${height} x ${width}`)
  if (data.length !== height * width * 3)
    throw new ArgumentError(`raster: ${height} x ${width} RGB needs ${height * width * 3} bytes, got ${data.length}`)
  return { data, height, width }
}
