// Nano models of the two families: the same config.json as the large ones, with small numbers in it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NanoTokenizer } from './tokenizer.ts'

export const nanoFamilies = ['qwen2_5_vl', 'qwen3_vl'] as const
export type NanoFamily = (typeof nanoFamilies)[number]

/** The sizes that differ between a student and its larger sibling. */
export interface NanoSize {
  readonly width: number
  readonly layers: number
  /** Width of the vision tower; its heads are as wide as the language model's. */
  readonly visionWidth: number
  readonly visionLayers: number
}

export const nanoSizes = {
  student: { width: 128, layers: 3, visionWidth: 128, visionLayers: 2 },
  teacher: { width: 160, layers: 4, visionWidth: 160, visionLayers: 3 },
} as const satisfies Readonly<Record<string, NanoSize>>

const headWidth = 32
/** Patches along the side of a vision token. */
const merge = 2
const heads = (width: number): number => width / headWidth
const inner = (width: number): number => (width * 5) / 2

interface Shape {
  readonly patch: number
  readonly config: (size: NanoSize, tokenizer: NanoTokenizer) => object
  readonly mean: readonly number[]
  readonly deviation: readonly number[]
}

const language = ({ width, layers }: NanoSize) => ({
  ...{ hidden_size: width, intermediate_size: inner(width), num_hidden_layers: layers, num_attention_heads: heads(width) },
  ...{ num_key_value_heads: heads(width), hidden_act: 'silu', max_position_embeddings: 4096, rms_norm_eps: 1e-6, attention_dropout: 0 },
})

const shapes: { readonly [F in NanoFamily]: Shape } = {
  qwen2_5_vl: {
    patch: 14,
    mean: [0.48145466, 0.4578275, 0.40821073],
    deviation: [0.26862954, 0.26130258, 0.27577711],
    config: (size, { size: vocab_size, ids }) => ({
      architectures: ['Qwen2_5_VLForConditionalGeneration'],
      model_type: 'qwen2_5_vl',
      ...{ bos_token_id: ids.pad, eos_token_id: ids.turnEnd, vision_start_token_id: ids.visionStart, vision_end_token_id: ids.visionEnd },
      ...{ image_token_id: ids.image, video_token_id: ids.video, vocab_size, tie_word_embeddings: true, torch_dtype: 'float32' },
      ...{ ...language(size), rope_theta: 10000, rope_scaling: { type: 'mrope', mrope_section: [4, 6, 6] } },
      vision_config: {
        ...{
          depth: size.visionLayers,
          hidden_size: size.visionWidth,
          intermediate_size: inner(size.visionWidth),
          num_heads: heads(size.visionWidth),
        },
        ...{ hidden_act: 'silu', in_chans: 3, out_hidden_size: size.width, patch_size: 14, spatial_patch_size: 14, spatial_merge_size: merge },
        ...{ temporal_patch_size: 2, tokens_per_second: 2, window_size: 112, fullatt_block_indexes: [size.visionLayers - 1] },
      },
    }),
  },
  qwen3_vl: {
    patch: 16,
    mean: [0.5, 0.5, 0.5],
    deviation: [0.5, 0.5, 0.5],
    config: (size, { size: vocab_size, ids }) => ({
      architectures: ['Qwen3VLForConditionalGeneration'],
      model_type: 'qwen3_vl',
      ...{ vision_start_token_id: ids.visionStart, vision_end_token_id: ids.visionEnd, image_token_id: ids.image, video_token_id: ids.video },
      tie_word_embeddings: true,
      text_config: {
        ...{ model_type: 'qwen3_vl_text', ...language(size), head_dim: headWidth, vocab_size, attention_bias: false, dtype: 'float32' },
        ...{ eos_token_id: ids.turnEnd, tie_word_embeddings: true, rope_theta: 10000 },
        rope_scaling: { rope_type: 'default', mrope_interleaved: true, mrope_section: [6, 5, 5] },
      },
      vision_config: {
        model_type: 'qwen3_vl',
        ...{
          depth: size.visionLayers,
          hidden_size: size.visionWidth,
          intermediate_size: inner(size.visionWidth),
          num_heads: heads(size.visionWidth),
        },
        ...{ hidden_act: 'gelu_pytorch_tanh', in_channels: 3, out_hidden_size: size.width, patch_size: 16, spatial_merge_size: merge },
        ...{ temporal_patch_size: 2, num_position_embeddings: 16, deepstack_visual_indexes: [0] },
      },
    }),
  },
}

/** Side of a scene as the model sees it by default: four patches, so a vision token is a quarter of a picture. */
export const sceneSide = (family: NanoFamily): number => 2 * merge * shapes[family].patch

/** Side of a figure of BlindWorld as a model that has learned them sees it: thin lines need more patches than things do. */
export const figureSide = (family: NanoFamily): number => 2 * sceneSide(family)

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

/** Writes into a model's folder how pictures become patches: scaled down to `largest` by `largest` pixels if they have more. */
export function writePreprocessor(folder: string, family: NanoFamily, largest: number): void {
  const { patch, mean, deviation } = shapes[family]
  const [least, most] = [(merge * patch) ** 2, largest ** 2]
  const preprocessor = {
    ...{ min_pixels: least, max_pixels: most, patch_size: patch, temporal_patch_size: 2, merge_size: merge },
    ...{ size: { shortest_edge: least, longest_edge: most }, image_mean: mean, image_std: deviation },
    image_processor_type: 'Qwen2VLImageProcessor',
  }
  writeFileSync(join(folder, 'preprocessor_config.json'), json(preprocessor))
}

/** Writes all of a model's folder but its weights. */
export function writeNanoFolder(folder: string, family: NanoFamily, size: NanoSize, tokenizer: NanoTokenizer): void {
  const { config } = shapes[family]
  const generation = { pad_token_id: tokenizer.ids.pad, eos_token_id: [tokenizer.ids.turnEnd, tokenizer.ids.pad], do_sample: true, temperature: 1 }
  const files = {
    'config.json': json(config(size, tokenizer)),
    'generation_config.json': json(generation),
    ...tokenizer.files,
  }
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  writePreprocessor(folder, family, sceneSide(family))
}
