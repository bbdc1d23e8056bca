// Reads how a checkpoint wants its images: preprocessor_config.json of the Qwen2-VL family of image processors.

import { join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { Fields } from '../fields.ts'
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
export function readImageRule(folder: string, overrides: { readonly minPixels?: number; readonly maxPixels?: number }): ImageRule {
  const nested = Fields.ofFileIfThere(join(folder, 'processor_config.json'))?.part('image_processor', null)
  const fields = nested ?? Fields.ofFile(join(folder, 'preprocessor_config.json'))
  if (!knownProcessor.test(fields.text('image_processor_type')))
    throw fields.wrong('image_processor_type', 'Qwen2VLImageProcessor, …Fast or …Pil: others are not supported')
  for (const step of steps) if (!fields.flag(step, true)) throw fields.wrong(step, 'true: images cannot go without this step')
  if ((fields.values['resample'] ?? bicubic) !== bicubic) throw fields.wrong('resample', `${bicubic} (bicubic)`)
  const size = fields.part('size', null)
  const minPixels = overrides.minPixels ?? fields.count('min_pixels', null) ?? size?.count('shortest_edge', null) ?? defaults.shortest_edge
  const maxPixels = overrides.maxPixels ?? fields.count('max_pixels', null) ?? size?.count('longest_edge', null) ?? defaults.longest_edge
  for (const [name, value] of Object.entries({ minPixels, maxPixels }))
    if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} must be an integer from 1, got ${value}`)
  if (minPixels > maxPixels) throw new ArgumentError(`${fields.file}: minPixels ${minPixels} is above maxPixels ${maxPixels}`)
  const deviation = channels(fields, 'image_std', defaults.image_std)
  if (deviation.some((value) => value <= 0)) throw fields.wrong('image_std', 'three numbers above 0')
  return {
    patchSize: fields.count('patch_size', defaults.patch_size),
    mergeSize: fields.count('merge_size', defaults.merge_size),
    temporalPatchSize: fields.count('temporal_patch_size', defaults.temporal_patch_size),
    rescaleFactor: fields.positive('rescale_factor', defaults.rescale_factor),
    mean: channels(fields, 'image_mean', defaults.image_mean),
    deviation,
    minPixels,
    maxPixels,
  }
}

function channels(fields: Fields, name: string, missing: readonly [number, number, number]): readonly [number, number, number] {
  const value = fields.values[name] ?? missing
  if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite)) throw fields.wrong(name, 'three numbers')
  return value as [number, number, number]
}
