// Chooses an image's size for the model and resizes to it, bit for bit as the reference does with Pillow.

import { ArgumentError } from '../errors.ts'
import { type Raster, raster } from './raster.ts'

/** Multiples of `factor` pixels a side, and the bounds of the area in pixels. */
export interface SizeRule {
  readonly factor: number
  readonly minPixels: number
  readonly maxPixels: number
}

/** The largest ratio of the sides that the reference takes. */
const aspectLimit = 200

/** Python's round(): halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest !== 0.5) return Math.round(x)
  return floor % 2 === 0 ? floor : floor + 1
}

/**
 * The size to resize height x width to: both sides multiples of `factor`, the area within the bounds, the ratio kept as well as that allows
 * (`smart_resize` of transformers' models/qwen2_vl/image_processing_qwen2_vl.py).
 * @throws ArgumentError for sides that are no positive integers, a ratio above 200, or bounds that exclude each other
 */
export function smartResize(height: number, width: number, { factor, minPixels, maxPixels }: SizeRule): { height: number; width: number } {
  for (const [name, value] of Object.entries({ height, width, factor, minPixels, maxPixels }))
    if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`smartResize: ${name} must be an integer from 1, got ${value}`)
  if (minPixels > maxPixels) throw new ArgumentError(`smartResize: minPixels ${minPixels} is above maxPixels ${maxPixels}`)
  if (Math.max(height, width) / Math.min(height, width) > aspectLimit)
    throw new ArgumentError(`smartResize: the ratio of the sides must be at most ${aspectLimit}, got ${height} x ${width}; crop the image`)
  const rounded = { height: roundHalfEven(height / factor) * factor, width: roundHalfEven(width / factor) * factor }
  if (rounded.height * rounded.width > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels)
    const side = (length: number): number => Math.max(factor, Math.floor(length / shrink / factor) * factor)
    return { height: side(height), width: side(width) }
  }
  if (rounded.height * rounded.width < minPixels) {
    const grow = Math.sqrt(minPixels / (height * width))
    const side = (length: number): number => Math.ceil((length * grow) / factor) * factor
    return { height: side(height), width: side(width) }
  }
  return rounded
}

/** Bits behind the point in Pillow's fixed-point weights: 32 − 8 for a sample − 2 for overshoot and sign. */
const fractionBits = 22

/** Keys' cubic with a = −0.5, as Pillow has it. */
function cubic(x: number): number {
  const a = -0.5
  const t = Math.abs(x)
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a
  return 0
}

/** For each output sample: the first input sample, how many, and their weights at output · `taps`. */
interface Weights {
  readonly taps: number
  readonly first: Int32Array
  readonly count: Int32Array
  readonly fixed: Int32Array
}

/** Pillow's precompute_coeffs and normalize_coeffs_8bpc: the filter is stretched when shrinking (antialias). */
function weightsFor(from: number, to: number): Weights {
  const scale = from / to
  const stretch = Math.max(scale, 1)
  const support = 2 * stretch
  const taps = Math.ceil(support) * 2 + 1
  const first = new Int32Array(to)
  const count = new Int32Array(to)
  const fixed = new Int32Array(to * taps)
  const window = new Float64Array(taps)
  for (let at = 0; at < to; at++) {
    const centre = (at + 0.5) * scale
    const low = Math.max(0, Math.trunc(centre - support + 0.5))
    const size = Math.min(from, Math.trunc(centre + support + 0.5)) - low
    let sum = 0
    for (let i = 0; i < size; i++) {
      const weight = cubic((i + low - centre + 0.5) * (1 / stretch))
      window[i] = weight
      sum += weight
    }
    for (let i = 0; i < size; i++) {
      const weight = sum === 0 ? (window[i] as number) : (window[i] as number) / sum
      fixed[at * taps + i] = Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * 2 ** fractionBits)
    }
    first[at] = low
    count[at] = size
  }
  return { taps, first, count, fixed }
}

/** Filters rows of `rowLength` samples along the height. */
function filterRows(source: Uint8Array, rowLength: number, { taps, first, count, fixed }: Weights): Uint8Array {
  const rows = first.length
  const out = new Uint8ClampedArray(rows * rowLength)
  const sums = new Int32Array(rowLength)
  for (let row = 0; row < rows; row++) {
    sums.fill(1 << (fractionBits - 1))
    const size = count[row] as number
    for (let tap = 0; tap < size; tap++) {
      const weight = fixed[row * taps + tap] as number
      const start = ((first[row] as number) + tap) * rowLength
      for (let i = 0; i < rowLength; i++) sums[i] = ((sums[i] as number) + Math.imul(source[start + i] as number, weight)) | 0
    }
    const target = row * rowLength
    for (let i = 0; i < rowLength; i++) out[target + i] = (sums[i] as number) >> fractionBits
  }
  return new Uint8Array(out.buffer)
}

/** Filters [height, width, 3] along the width. */
function filterColumns(source: Uint8Array, height: number, width: number, { taps, first, count, fixed }: Weights): Uint8Array {
  const columns = first.length
  const out = new Uint8ClampedArray(height * columns * 3)
  let target = 0
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < columns; column++) {
      let from = (row * width + (first[column] as number)) * 3
      let r = 1 << (fractionBits - 1)
      let g = r
      let b = r
      const end = column * taps + (count[column] as number)
      for (let tap = column * taps; tap < end; tap++) {
        const weight = fixed[tap] as number
        r = (r + Math.imul(source[from] as number, weight)) | 0
        g = (g + Math.imul(source[from + 1] as number, weight)) | 0
        b = (b + Math.imul(source[from + 2] as number, weight)) | 0
        from += 3
      }
      out[target] = r >> fractionBits
      out[target + 1] = g >> fractionBits
      out[target + 2] = b >> fractionBits
      target += 3
    }
  }
  return new Uint8Array(out.buffer)
}

/**
 * Resizes with Pillow's antialiased bicubic filter, bit for bit (`Image.resize(size, BICUBIC)`, src/libImaging/Resample.c): along the width
 * first, rounded to 8 bits, then along the height. A side that keeps its length is not filtered.
 * @throws ArgumentError if the new sides are no positive integers
 */
export function resizeBicubic(image: Raster, height: number, width: number): Raster {
  if (!Number.isSafeInteger(height) || !Number.isSafeInteger(width) || height < 1 || width < 1)
    throw new ArgumentError(`resizeBicubic: height and width must be integers from 1, got ${height} x ${width}`)
  let { data } = image
  if (width !== image.width) data = filterColumns(data, image.height, image.width, weightsFor(image.width, width))
  if (height !== image.height) data = filterRows(data, width * 3, weightsFor(image.height, height))
  return raster(data, height, width)
}
