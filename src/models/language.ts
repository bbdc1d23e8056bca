// The language model that both families share: pre-norm blocks of grouped-query attention and SwiGLU. What differs between them
// (biases, norms on queries and keys, the rotary plan) is in the configuration.

import { attention } from '../torch/attention.ts'
import { type Rotary, rmsNorm, swiglu } from '../torch/nn.ts'
import type { Tensor } from '../torch/tensor.ts'
import { type Linear, project, type Run, runBlock } from './linear.ts'
import type { RotaryPlan } from './positions.ts'
import type { Weights } from './weights.ts'

export interface LanguageConfig {
  readonly width: number
  readonly inner: number
  readonly layers: number
  readonly heads: number
  /** Heads of keys and values; each serves heads / groups query heads (arXiv 2305.13245). */
  readonly groups: number
  readonly headWidth: number
  readonly vocabulary: number
  readonly eps: number
  readonly rotary: RotaryPlan
  /** Biases on the query, key and value projections, and on the output projection. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean }
  /** RMSNorm on each head's query and key, before rotation. */
  readonly headNorms: boolean
  /** Whether the output head is the embedding matrix. */
  readonly tied: boolean
  readonly maxPositions: number
}

/**
 * Mixes tokens: who sees whom is the caller's (packed sequences, a prompt that fills a cache, a step of decoding; see cache.ts).
 * @param query [T, heads, D], not yet rotated
 * @param key [T, groups, D], not yet rotated
 * @returns [T, heads, D]
 */
export type Attend = (layer: number, query: Tensor, key: Tensor, value: Tensor, rotary: Rotary) => Tensor

interface Layer {
  readonly inputNorm: Tensor
  readonly q: Linear
  readonly k: Linear
  readonly v: Linear
  readonly o: Linear
  readonly headNorms: { readonly q: Tensor; readonly k: Tensor } | null
  readonly middleNorm: Tensor
  readonly gate: Linear
  readonly up: Linear
  readonly down: Linear
}

export interface Language {
  readonly config: LanguageConfig
  readonly embed: Tensor
  readonly layers: readonly Layer[]
  readonly norm: Tensor
  /** [V, D]; the embedding matrix itself where they are tied. */
  readonly head: Tensor
}

const prefix = 'model.language_model'
export const embeddingName = `${prefix}.embed_tokens.weight`
export const headName = 'lm_head.weight'

export function buildLanguage(weights: Weights, config: LanguageConfig): Language {
  const { width, inner, heads, groups, headWidth, vocabulary, biases } = config
  const embed = weights.tensor(embeddingName, [vocabulary, width])
  const layers = Array.from({ length: config.layers }, (_, i): Layer => {
    const at = `${prefix}.layers.${i}`
    const norm = (name: string, size = width): Tensor => weights.tensor(`${at}.${name}.weight`, [size])
    return {
      inputNorm: norm('input_layernorm'),
      q: weights.linear(`${at}.self_attn.q_proj`, heads * headWidth, width, biases.qkv),
      k: weights.linear(`${at}.self_attn.k_proj`, groups * headWidth, width, biases.qkv),
      v: weights.linear(`${at}.self_attn.v_proj`, groups * headWidth, width, biases.qkv),
      o: weights.linear(`${at}.self_attn.o_proj`, width, heads * headWidth, biases.output),
      headNorms: config.headNorms ? { q: norm('self_attn.q_norm', headWidth), k: norm('self_attn.k_norm', headWidth) } : null,
      middleNorm: norm('post_attention_layernorm'),
      gate: weights.linear(`${at}.mlp.gate_proj`, inner, width, false),
      up: weights.linear(`${at}.mlp.up_proj`, inner, width, false),
      down: weights.linear(`${at}.mlp.down_proj`, width, inner, false),
    }
  })
  const norm = weights.tensor(`${prefix}.norm.weight`, [width])
  return { config, embed, layers, norm, head: config.tied ? embed : weights.tensor(headName, [vocabulary, width]) }
}

function block({ config, layers }: Language, i: number, h: Tensor, rotary: Rotary, attend: Attend, run: Run): Tensor {
  const layer = layers[i] as Layer
  const { eps, headWidth } = config
  const tokens = h.dim(0)
  const x = rmsNorm(h, layer.inputNorm, eps)
  const heads = (linear: Linear): Tensor => project(linear, x, run).view([tokens, -1, headWidth])
  const [q, k, v] = [heads(layer.q), heads(layer.k), heads(layer.v)]
  const norms = layer.headNorms
  const mixed = attend(i, norms === null ? q : rmsNorm(q, norms.q, eps), norms === null ? k : rmsNorm(k, norms.k, eps), v, rotary)
  const middle = h.add(project(layer.o, mixed.view([tokens, -1]), run))
  const y = rmsNorm(middle, layer.middleNorm, eps)
  return middle.add(project(layer.down, swiglu(project(layer.gate, y, run), project(layer.up, y, run)), run))
}

/** Image features to add to the tokens at `rows` after each of the first layers (DeepStack, arXiv 2406.04334). */
export interface DeepStack {
  /** int64 [N]. */
  readonly rows: Tensor
  /** For each of the first layers: [N, width]. */
  readonly features: readonly Tensor[]
}

/** Hidden states after the last norm: h [T, width] → [T, width]. Each block frees what its gradient does not need. */
export function runLanguage(language: Language, h: Tensor, rotary: Rotary, attend: Attend, run: Run, deepStack: DeepStack | null): Tensor {
  const { layers, norm, config } = language
  let state = h
  for (let i = 0; i < layers.length; i++) {
    const body = (...[x, cos, sin, rows, features]: Tensor[]): Tensor => {
      const out = block(language, i, x as Tensor, { cos: cos as Tensor, sin: sin as Tensor }, attend, run)
      return rows === undefined || features === undefined ? out : out.indexAdd(0, rows, features)
    }
    const features = deepStack?.features[i]
    const added = deepStack === null || features === undefined ? [] : [deepStack.rows, features]
    state = runBlock(run, body, state, rotary.cos, rotary.sin, ...added)
  }
  return rmsNorm(state, norm, config.eps)
}

/** Attention within packed sequences that begin at `starts` (the last entry is the end). */
export function packedAttention(starts: readonly number[]): Attend {
  return (_, query, key, value, rotary) => attention(query, key, value, { queryStarts: starts, causal: true, rotary })
}
