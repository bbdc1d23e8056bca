// What a family of models says about itself: how its configuration is read and what its vision tower computes. The rest is shared.

import type { Fields } from '../fields.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { LanguageConfig } from './language.ts'
import type { Run } from './linear.ts'
import { type Grid, planePlan, type RotaryPlan } from './positions.ts'
import type { Weights } from './weights.ts'

/** No model of these families has a tenth of it. */
const mostLayers = 1000

/** Sizes that every vision tower has. */
export interface VisionShape {
  readonly channels: number
  readonly patch: number
  readonly temporalPatch: number
  /** Side of the square of patches that become one token. */
  readonly merge: number
  readonly width: number
  readonly depth: number
  readonly heads: number
  readonly inner: number
  readonly rotary: RotaryPlan
}

export interface SpecialTokens {
  readonly image: number
  readonly video: number
}

export interface ModelConfig {
  readonly family: string
  readonly vision: VisionShape
  readonly language: LanguageConfig
  readonly tokens: SpecialTokens
  /** How many of the language model's first layers get image features of their own (DeepStack). */
  readonly deepStack: number
}

/** What a tower makes of packed images: one row for each merged square of patches, in prompt order. */
export interface VisionFeatures {
  /** [N, width of the language model]. */
  readonly tokens: Tensor
  /** DeepStack features for the first layers of the language model, each [N, width]; none in Qwen2.5-VL. */
  readonly layers: readonly Tensor[]
}

/** @param patches [P, channels · temporalPatch · patch²], the images' patches one after another, in the tower's dtype */
export type Encode = (patches: Tensor, grids: readonly Grid[], run: Run) => VisionFeatures

export interface Family<C extends ModelConfig = ModelConfig> {
  readonly name: string
  readonly readConfig: (fields: Fields) => C
  readonly buildVision: (weights: Weights, config: C) => Encode
  /** The present name of a weight that an older layout of checkpoints calls otherwise. */
  readonly renamed: (stored: string) => string
}

/** Values that both families' text configurations share; refuses whatever would change the computation and is not supported. */
export function readLanguage(
  fields: Fields,
): Omit<LanguageConfig, 'rotary' | 'biases' | 'headNorms' | 'tied'> & { sections: readonly number[]; base: number } {
  const [width, heads] = [fields.count('hidden_size'), fields.count('num_attention_heads')]
  const groups = fields.count('num_key_value_heads', heads)
  fields.oneOf('hidden_act', ['silu'], 'silu')
  if (fields.flag('use_sliding_window', false)) throw fields.wrong('use_sliding_window', 'false: sliding-window attention is not supported')
  if (heads % groups !== 0) throw fields.wrong('num_key_value_heads', `a divisor of the ${heads} attention heads`)
  const headWidth = fields.count('head_dim', width / heads)
  const rope = readRope(fields, headWidth)
  return {
    width,
    heads,
    groups,
    headWidth,
    inner: fields.count('intermediate_size'),
    layers: fields.countUpTo('num_hidden_layers', mostLayers),
    vocabulary: fields.count('vocab_size'),
    eps: fields.positive('rms_norm_eps'),
    maxPositions: fields.count('max_position_embeddings'),
    ...rope,
  }
}

/** Rotary settings, under their name of today (`rope_parameters`) or of older files (`rope_scaling` and `rope_theta`). */
function readRope(fields: Fields, headWidth: number): { sections: readonly number[]; base: number } {
  const scaling = fields.part(fields.has('rope_parameters') ? 'rope_parameters' : 'rope_scaling')
  const supported = ['default', 'mrope'] as const
  for (const name of ['rope_type', 'type']) if (scaling.has(name)) scaling.oneOf(name, supported)
  const sections = scaling.integers('mrope_section')
  if (sections.length !== 3 || 2 * (sections[0] as number) + 2 * (sections[1] as number) + 2 * (sections[2] as number) !== headWidth) {
    throw scaling.wrong('mrope_section', `three numbers (time, height, width) that add up to half the head width of ${headWidth}`)
  }
  return { sections, base: (scaling.has('rope_theta') ? scaling : fields).positive('rope_theta') }
}

/** Sizes that both vision configurations share. A name that older files lack has the value that transformers gives it. */
export function readVision(fields: Fields, languageWidth: number): VisionShape {
  const [width, heads] = [fields.count('hidden_size'), fields.count('num_heads')]
  if (width % (4 * heads) !== 0) throw fields.wrong('hidden_size', `a multiple of 4 · num_heads = ${4 * heads}`)
  if (fields.count('out_hidden_size') !== languageWidth) throw fields.wrong('out_hidden_size', `the language model's hidden_size, ${languageWidth}`)
  return {
    width,
    heads,
    channels: fields.count('in_channels', 3),
    patch: fields.count('patch_size'),
    temporalPatch: fields.count('temporal_patch_size', 2),
    merge: fields.count('spatial_merge_size', 2),
    depth: fields.countUpTo('depth', mostLayers),
    inner: fields.count('intermediate_size'),
    rotary: planePlan(width / heads, visionRotaryBase(fields)),
  }
}

/** Files of before transformers 5 do not name it; it was always this. */
function visionRotaryBase(fields: Fields): number {
  if (!fields.has('rope_parameters')) return 10000
  const rope = fields.part('rope_parameters')
  rope.oneOf('rope_type', ['axial'])
  return rope.positive('rope_theta')
}

export function readTokens(fields: Fields): SpecialTokens {
  return { image: fields.id('image_token_id'), video: fields.id('video_token_id') }
}
