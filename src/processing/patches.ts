// Cuts a resized image into the normalised patches that the vision towers of Qwen2-VL and its successors read.

import { ArgumentError } from '../errors.ts'
import type { Raster } from './raster.ts'

/** How an image becomes patches, from a checkpoint's preprocessor configuration. */
export interface PatchRule {
  /** Pixels along a patch's side. */
  readonly patchSize: number
  /** Patches along the side of a block that the model merges to one token. */
  readonly mergeSize: number
  /** Frames in a patch; a still image is repeated. */
  readonly temporalPatchSize: number
  /** Multiplies samples of 0 … 255 before normalisation. */
  readonly rescaleFactor: number
  /** Mean and standard deviation of each channel after rescaling. */
  readonly mean: readonly [number, number, number]
  readonly deviation: readonly [number, number, number]
}

/** An image as the model takes it. */
export interface EncodedImage {
  /** [gridHeight · gridWidth, 3 · temporalPatchSize · patchSize²], in the order of merge blocks; a row is [channel, frame, y, x]. */
  readonly pixels: Float32Array
  /** [frames, gridHeight, gridWidth] in patches; one frame. */
  readonly grid: readonly [number, number, number]
}

/** Tokens that an image takes in the prompt: one for each block of mergeSize² patches. */
export function imageTokens({ grid: [frames, height, width] }: EncodedImage, mergeSize: number): number {
  return (frames * height * width) / mergeSize ** 2
}

/** value → normalised value of a channel, in float32 as the reference computes it: mean and deviation are scaled, not the samples. */
function normaliser(rescaleFactor: number, mean: number, deviation: number): Float32Array {
  const scale = 1 / rescaleFactor
  const centre = Math.fround(Math.fround(mean) * Math.fround(scale))
  const width = Math.fround(Math.fround(deviation) * Math.fround(scale))
  return Float32Array.from({ length: 256 }, (_, value) => Math.fround(value - centre) / width)
}

/**
 * Normalised patches of an image, ordered as `patchify` of transformers' Qwen2VLImageProcessor orders them: blocks of mergeSize x mergeSize
 * patches row by row, the patches of a block row by row.
 * @throws ArgumentError if the image's sides are no multiples of patchSize · mergeSize
 */
export function toPatches(image: Raster, rule: PatchRule): EncodedImage {
  const { patchSize, mergeSize, temporalPatchSize } = rule
  const { data, height, width } = image
  const block = patchSize * mergeSize
  if (height % block !== 0 || width % block !== 0)
    throw new ArgumentError(`toPatches: the sides must be multiples of ${block}, got ${height} x ${width}; resize the image first`)
  const [gridHeight, gridWidth] = [height / patchSize, width / patchSize]
  const area = patchSize * patchSize
  const pixels = new Float32Array(gridHeight * gridWidth * 3 * temporalPatchSize * area)
  const tables = rule.mean.map((mean, channel) => normaliser(rule.rescaleFactor, mean, rule.deviation[channel] as number))
  let at = 0
  const patch = (top: number, left: number): void => {
    for (const [channel, table] of tables.entries()) {
      const start = at
      for (let y = top; y < top + patchSize; y++) {
        let from = (y * width + left) * 3 + channel
        for (let x = 0; x < patchSize; x++, from += 3) pixels[at++] = table[data[from] as number] as number
      }
      for (let frame = 1; frame < temporalPatchSize; frame++, at += area) pixels.copyWithin(at, start, start + area)
    }
  }
  for (let blockTop = 0; blockTop < height; blockTop += block)
    for (let blockLeft = 0; blockLeft < width; blockLeft += block)
      for (let y = 0; y < block; y += patchSize) for (let x = 0; x < block; x += patchSize) patch(blockTop + y, blockLeft + x)
  return { pixels, grid: [1, gridHeight, gridWidth] }
}
