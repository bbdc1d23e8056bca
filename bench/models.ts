// Random models of any size for the benchmarks: a configuration in Hugging Face's format, and weights drawn for it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Checkpoint, randomModel } from '../src/models/registry.ts'

export interface ModelSize {
  readonly width: number
  readonly inner: number
  readonly layers: number
  readonly heads: number
  readonly groups: number
  readonly headWidth: number
  readonly vocabulary: number
  readonly vision: { readonly width: number; readonly depth: number; readonly heads: number }
}

export const imageToken = 10
/** Pixels along a patch's side, and patches along the side of a token. */
export const [patchSize, merge] = [16, 2]

/** A Qwen3-VL of this size with a tied head; its configuration is written into `folder`, its weights are not. */
export function makeModel(folder: string, size: ModelSize, deviation = 0.02): Checkpoint {
  const { width, inner, layers, heads, groups, headWidth, vocabulary, vision } = size
  const third = headWidth / 8
  mkdirSync(folder, { recursive: true })
  const config = {
    architectures: ['Qwen3VLForConditionalGeneration'],
    model_type: 'qwen3_vl',
    ...{ image_token_id: imageToken, video_token_id: imageToken + 1, vision_start_token_id: imageToken + 2, vision_end_token_id: imageToken + 3 },
    tie_word_embeddings: true,
    text_config: {
      model_type: 'qwen3_vl_text',
      ...{ hidden_size: width, intermediate_size: inner, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: groups },
      ...{ head_dim: headWidth, vocab_size: vocabulary, max_position_embeddings: 8192, rms_norm_eps: 1e-6, hidden_act: 'silu', rope_theta: 5e6 },
      rope_scaling: { rope_type: 'default', mrope_interleaved: true, mrope_section: [2 * third, third, third] },
      tie_word_embeddings: true,
    },
    vision_config: {
      model_type: 'qwen3_vl',
      ...{ depth: vision.depth, hidden_size: vision.width, intermediate_size: 4 * vision.width, num_heads: vision.heads, in_channels: 3 },
      ...{ patch_size: patchSize, temporal_patch_size: 2, spatial_merge_size: merge, num_position_embeddings: 256, out_hidden_size: width },
      ...{ deepstack_visual_indexes: [1, 2], hidden_act: 'gelu_pytorch_tanh' },
    },
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  return randomModel(folder, { seed: 1, deviation })
}
