// Reads how a checkpoint wants its images: preprocessor_config.json of the Qwen2-VL family of image processors.

import { join } from 'node:path'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { JsonObject } from './json.ts'
import type { PatchRule } from './patches.ts'

/** Sizes and patches of a checkpoint's image processor. */
export interface ImageRule extends PatchRule {
  readonly minPixels: number
  readonly maxPixels: number
}

/** The image processors that resize with smart_resize and cut patches as Qwen2-VL does. Suffixes name the reference's back-ends. */
const knownProcessor = /^(Qwen2VL|Qwen2_5_VL|Qwen3VL)ImageProcessor(Fast|Pil)?$/

/** The defaults of transformers' Qwen2VLImageProcessor, which files leave out. */
const defaults = {
  patch_size: 14,
  merge_size: 2,
  temporal_patch_size: 2,
  shortest_edge: 56 * 56,
  longest_edge: 28 * 28 * 1280,
  rescale_factor: 1 / 255,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
} as const

/** Steps that are always done; a file that switches one off is refused. */
const steps = ['do_resize', 'do_rescale', 'do_normalize', 'do_convert_rgb'] as const

/** Pillow's number of the bicubic filter. */
const bicubic = 3

/**
 * The image rule of a checkpoint's folder, from processor_config.json (as transformers 5 saves it) or else preprocessor_config.json.
 * @throws FileFormatError if neither is there, the processor is unknown, or a field is wrong
 * @throws ArgumentError if the overrides exclude each other
 */
export async function readImageRule(folder: string, overrides: { readonly minPixels?: number; readonly maxPixels?: number }): Promise<ImageRule> {
  const nested = (await JsonObject.readIfThere(join(folder, 'processor_config.json')))?.object('image_processor')
  const file = nested ?? (await JsonObject.readIfThere(join(folder, 'preprocessor_config.json')))
  if (!file) throw new FileFormatError(`${join(folder, 'preprocessor_config.json')}: there is no such file; it says how images are prepared`)
  const type = file.text('image_processor_type')
  if (!type || !knownProcessor.test(type))
    throw new FileFormatError(`${file.place}: image_processor_type ${type} is not supported; known are Qwen2VLImageProcessor, …Fast and …Pil`)
  for (const step of steps) if ((file.get(step) ?? true) !== true) throw file.wrong(step, 'true (images cannot go without this step)')
  if ((file.get('resample') ?? bicubic) !== bicubic) throw file.wrong('resample', `${bicubic} (bicubic)`)
  const size = file.object('size')
  const minPixels = overrides.minPixels ?? file.size('min_pixels') ?? size?.size('shortest_edge') ?? defaults.shortest_edge
  const maxPixels = overrides.maxPixels ?? file.size('max_pixels') ?? size?.size('longest_edge') ?? defaults.longest_edge
  for (const [name, value] of Object.entries({ minPixels, maxPixels }))
    if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} must be an integer from 1, got ${value}`)
  if (minPixels > maxPixels) throw new ArgumentError(`${file.place}: minPixels ${minPixels} is above maxPixels ${maxPixels}`)
  return {
    patchSize: file.size('patch_size') ?? defaults.patch_size,
    mergeSize: file.size('merge_size') ?? defaults.merge_size,
    temporalPatchSize: file.size('temporal_patch_size') ?? defaults.temporal_patch_size,
    rescaleFactor: positive(file, 'rescale_factor', file.get('rescale_factor') ?? defaults.rescale_factor),
    mean: channels(file, 'image_mean', defaults.image_mean),
    deviation: channels(file, 'image_std', defaults.image_std).map((value) => positive(file, 'image_std', value)) as [number, number, number],
    minPixels,
    maxPixels,
  }
}

function positive(file: JsonObject, name: string, value: unknown): number {
  if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) throw file.wrong(name, 'above 0')
  return value
}

function channels(file: JsonObject, name: string, missing: readonly [number, number, number]): readonly [number, number, number] {
  const value = file.get(name) ?? missing
  if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite)) throw file.wrong(name, 'three numbers')
  return value as [number, number, number]
}
