// Qwen3-VL, dense (arXiv 2511.21631): a vision tower with learned positions that are interpolated to the image, whose intermediate
// features are added into the first layers of the language model (DeepStack), and interleaved multimodal rotary positions.

import type { Fields } from '../fields.ts'
import { attention } from '../torch/attention.ts'
import { fromTypedArray, int64 } from '../torch/create.ts'
import { embedding, layerNorm, linear, type Rotary } from '../torch/nn.ts'
import type { Tensor } from '../torch/tensor.ts'
import { type Encode, type Family, type ModelConfig, readLanguage, readTokens, readVision } from './family.ts'
import { type Linear, project, type Run, runBlock } from './linear.ts'
import { type Grid, interleavedPlan, patchPositions, rotaryOf } from './positions.ts'
import type { Weights } from './weights.ts'

interface Config extends ModelConfig {
  /** The learned positions are a square of this side. */
  readonly positionSide: number
  /** The tower's layers whose output is added, in this order, into the language model's first layers. */
  readonly deepStackLayers: readonly number[]
}

const normEps = 1e-6

function readConfig(fields: Fields): Config {
  const text = fields.part('text_config')
  const { sections, base, ...language } = readLanguage(text)
  const vision = fields.part('vision_config')
  vision.oneOf('hidden_act', ['gelu_pytorch_tanh'], 'gelu_pytorch_tanh')
  const shape = readVision(vision, language.width)
  const positionSide = Math.sqrt(vision.count('num_position_embeddings'))
  if (!Number.isInteger(positionSide)) throw vision.wrong('num_position_embeddings', 'a square number')
  const deepStackLayers = vision.integers('deepstack_visual_indexes')
  const ascending = deepStackLayers.every((layer, i) => i === 0 || layer > (deepStackLayers[i - 1] as number))
  if (!ascending || deepStackLayers.some((layer) => layer >= shape.depth) || deepStackLayers.length > language.layers) {
    throw vision.wrong('deepstack_visual_indexes', `ascending layers below ${shape.depth}, at most ${language.layers} of them`)
  }
  const bias = text.flag('attention_bias', false)
  return {
    family: 'qwen3_vl',
    tokens: readTokens(fields),
    vision: shape,
    deepStack: deepStackLayers.length,
    positionSide,
    deepStackLayers,
    language: {
      ...language,
      rotary: interleavedPlan(language.headWidth, sections, base),
      biases: { qkv: bias, output: bias },
      headNorms: true,
      tied: fields.flag('tie_word_embeddings', text.flag('tie_word_embeddings', false)),
    },
  }
}

/** Bilinear interpolation of the learned square to each image, corners on corners: for each patch four rows of the table, and weights. */
export function interpolation(grids: readonly Grid[], merge: number, side: number): { rows: Int32Array; weights: Float32Array } {
  const places = patchPositions(grids, merge)
  const total = places.length / 2
  const rows = new Int32Array(4 * total)
  const weights = new Float32Array(4 * total)
  const along = (place: number, length: number): { low: number; high: number; share: number } => {
    // In float32, as the reference computes it: the share of the next row is the rest of a number that may be large.
    const exact = Math.fround(Math.fround(place * (side - 1)) / Math.max(length - 1, 1))
    const low = Math.floor(exact)
    return { low, high: Math.min(low + 1, side - 1), share: exact - low }
  }
  let n = 0
  for (const [, height, width] of grids) {
    for (const end = n + height * width; n < end; n++) {
      const [y, x] = [along(places[n] as number, height), along(places[total + n] as number, width)]
      const corners = [y.low * side + x.low, y.low * side + x.high, y.high * side + x.low, y.high * side + x.high]
      for (const [i, corner] of corners.entries()) {
        rows[4 * n + i] = corner
        weights[4 * n + i] = (i < 2 ? 1 - y.share : y.share) * (i % 2 === 0 ? 1 - x.share : x.share)
      }
    }
  }
  return { rows, weights }
}

function buildVision(weights: Weights, { vision, language, positionSide, deepStackLayers }: Config): Encode {
  const { width, heads, inner, merge, channels, temporalPatch, patch } = vision
  const at = 'model.visual'
  const joinedWidth = merge * merge * width
  const embed = {
    weight: weights.tensor(`${at}.patch_embed.proj.weight`, [width, channels, temporalPatch, patch, patch]),
    bias: weights.tensor(`${at}.patch_embed.proj.bias`, [width]),
  }
  const learned = weights.tensor(`${at}.pos_embed.weight`, [positionSide * positionSide, width])
  const blocks = Array.from({ length: vision.depth }, (_, i) => ({
    norm1: weights.norm(`${at}.blocks.${i}.norm1`, width),
    norm2: weights.norm(`${at}.blocks.${i}.norm2`, width),
    qkv: weights.linear(`${at}.blocks.${i}.attn.qkv`, 3 * width, width, true),
    proj: weights.linear(`${at}.blocks.${i}.attn.proj`, width, width, true),
    up: weights.linear(`${at}.blocks.${i}.mlp.linear_fc1`, inner, width, true),
    down: weights.linear(`${at}.blocks.${i}.mlp.linear_fc2`, width, inner, true),
  }))
  // The last merger norms each patch; those of DeepStack norm the joined square.
  const mergerAt = (name: string, normWidth: number): Merger => ({
    norm: weights.norm(`${name}.norm`, normWidth),
    normWidth,
    first: weights.linear(`${name}.linear_fc1`, joinedWidth, joinedWidth, true),
    second: weights.linear(`${name}.linear_fc2`, language.width, joinedWidth, true),
  })
  const merger = mergerAt(`${at}.merger`, width)
  const deepMergers = deepStackLayers.map((_, i) => mergerAt(`${at}.deepstack_merger_list.${i}`, joinedWidth))

  const block = (layer: (typeof blocks)[number], h: Tensor, starts: readonly number[], rotary: Rotary, run: Run): Tensor => {
    const x = layerNorm(h, layer.norm1.weight, layer.norm1.bias, normEps)
    const qkv = project(layer.qkv, x, run).view([h.dim(0), 3, heads, width / heads])
    const [q, k, v] = [qkv.select(1, 0), qkv.select(1, 1), qkv.select(1, 2)]
    const mixed = attention(q, k, v, { queryStarts: starts, causal: false, rotary })
    const middle = h.add(project(layer.proj, mixed.view([h.dim(0), width]), run))
    const y = layerNorm(middle, layer.norm2.weight, layer.norm2.bias, normEps)
    return middle.add(project(layer.down, project(layer.up, y, run).gelu({ approximate: 'tanh' }), run))
  }

  return (patches, grids, run) => {
    const { device } = patches
    const { rows, weights: shares } = interpolation(grids, merge, positionSide)
    const table = embedding(learned, int64(rows, { shape: [rows.length / 4, 4], device })).toDtype(patches.dtype) // [P, 4, width]
    const share = fromTypedArray(shares, { dtype: 'float32', shape: [shares.length / 4, 4, 1], device })
    const positions = table.mul(share.toDtype(table.dtype)).sum(1)
    const rotary = rotaryOf(vision.rotary, patchPositions(grids, merge), 2, device)
    const starts = [0]
    for (const [, height, wide] of grids) starts.push((starts.at(-1) as number) + height * wide)
    const deep: Tensor[] = []
    let h = linear(patches, embed.weight.view([width, -1]), embed.bias).add(positions)
    for (const [i, layer] of blocks.entries()) {
      const body = (...[x, cos, sin]: Tensor[]): Tensor => block(layer, x as Tensor, starts, { cos: cos as Tensor, sin: sin as Tensor }, run)
      h = runBlock(run, body, h, rotary.cos, rotary.sin)
      const which = deepStackLayers.indexOf(i)
      if (which >= 0) deep[which] = mergeSquares(deepMergers[which] as Merger, h, joinedWidth, run)
    }
    return { tokens: mergeSquares(merger, h, joinedWidth, run), layers: deep }
  }
}

interface Merger {
  readonly norm: { readonly weight: Tensor; readonly bias: Tensor }
  readonly normWidth: number
  readonly first: Linear
  readonly second: Linear
}

/** [P, width] → [P / merge², width of the language model]. */
function mergeSquares(merger: Merger, h: Tensor, joinedWidth: number, run: Run): Tensor {
  const normed = layerNorm(h.view([-1, merger.normWidth]), merger.norm.weight, merger.norm.bias, normEps)
  return project(merger.second, project(merger.first, normed.view([-1, joinedWidth]), run).gelu(), run)
}

export const qwen3: Family<Config> = {
  name: 'qwen3_vl',
  readConfig,
  buildVision,
  renamed: (stored) => stored,
}
