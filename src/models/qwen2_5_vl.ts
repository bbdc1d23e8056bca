// Qwen2.5-VL (arXiv 2502.13923): a vision tower that attends within windows, with a few layers of full attention, and the Qwen2.5
// language model with sectioned multimodal rotary positions.

import type { Fields } from '../fields.ts'
import { attention } from '../torch/attention.ts'
import { int64 } from '../torch/create.ts'
import { linear, type Rotary, rmsNorm, swiglu } from '../torch/nn.ts'
import type { Tensor } from '../torch/tensor.ts'
import { type Encode, type Family, type ModelConfig, readLanguage, readTokens, readVision } from './family.ts'
import { project, type Run, runBlock } from './linear.ts'
import { type Grid, patchPositions, rotaryOf, sectionedPlan } from './positions.ts'
import type { Weights } from './weights.ts'

interface Config extends ModelConfig {
  /** Side of a window, in merged squares. */
  readonly window: number
  /** The layers that attend over the whole image. */
  readonly fullLayers: ReadonlySet<number>
}

const normEps = 1e-6

function readConfig(fields: Fields): Config {
  // Published files hold the text model's fields at the top level; transformers ≥ 4.52 writes them into a part of their own.
  const text = fields.has('text_config') ? fields.part('text_config') : fields
  const { sections, base, ...language } = readLanguage(text)
  if (language.headWidth * language.heads !== language.width) throw text.wrong('hidden_size', `a multiple of the ${language.heads} attention heads`)
  const vision = fields.part('vision_config')
  vision.oneOf('hidden_act', ['silu'], 'silu')
  const shape = readVision(vision, language.width)
  const window = vision.count('window_size') / (shape.patch * shape.merge)
  if (!Number.isInteger(window)) throw vision.wrong('window_size', `a multiple of patch_size · spatial_merge_size = ${shape.patch * shape.merge}`)
  return {
    family: 'qwen2_5_vl',
    tokens: readTokens(fields),
    vision: shape,
    deepStack: 0,
    window,
    fullLayers: new Set(vision.integers('fullatt_block_indexes')),
    language: {
      ...language,
      rotary: sectionedPlan(language.headWidth, sections, base),
      biases: { qkv: true, output: false },
      headNorms: false,
      tied: fields.flag('tie_word_embeddings', text.flag('tie_word_embeddings', false)),
    },
  }
}

/** The merged squares of all images, window by window, and where windows and images begin (in squares; the last entry is the end). */
export function windowOrder(grids: readonly Grid[], merge: number, window: number): { order: number[]; windows: number[]; images: number[] } {
  const order: number[] = []
  const windows = [0]
  const images = [0]
  for (const [, height, width] of grids) {
    const [rows, columns, first] = [height / merge, width / merge, order.length]
    for (let top = 0; top < rows; top += window) {
      for (let left = 0; left < columns; left += window) {
        for (let row = top; row < Math.min(top + window, rows); row++)
          for (let column = left; column < Math.min(left + window, columns); column++) order.push(first + row * columns + column)
        windows.push(order.length)
      }
    }
    images.push(order.length)
  }
  return { order, windows, images }
}

function buildVision(weights: Weights, { vision, language, window, fullLayers }: Config): Encode {
  const { width, heads, inner, merge, channels, temporalPatch, patch } = vision
  const at = 'model.visual'
  const square = merge * merge
  const embed = weights.tensor(`${at}.patch_embed.proj.weight`, [width, channels, temporalPatch, patch, patch])
  const blocks = Array.from({ length: vision.depth }, (_, i) => ({
    norm1: weights.tensor(`${at}.blocks.${i}.norm1.weight`, [width]),
    norm2: weights.tensor(`${at}.blocks.${i}.norm2.weight`, [width]),
    qkv: weights.linear(`${at}.blocks.${i}.attn.qkv`, 3 * width, width, true),
    proj: weights.linear(`${at}.blocks.${i}.attn.proj`, width, width, true),
    gate: weights.linear(`${at}.blocks.${i}.mlp.gate_proj`, inner, width, true),
    up: weights.linear(`${at}.blocks.${i}.mlp.up_proj`, inner, width, true),
    down: weights.linear(`${at}.blocks.${i}.mlp.down_proj`, width, inner, true),
  }))
  const merger = {
    norm: weights.tensor(`${at}.merger.ln_q.weight`, [width]),
    first: weights.linear(`${at}.merger.mlp.0`, square * width, square * width, true),
    second: weights.linear(`${at}.merger.mlp.2`, language.width, square * width, true),
  }

  const block = (layer: (typeof blocks)[number], h: Tensor, starts: readonly number[], rotary: Rotary, run: Run): Tensor => {
    const qkv = project(layer.qkv, rmsNorm(h, layer.norm1, normEps), run).view([h.dim(0), 3, heads, width / heads])
    const [q, k, v] = [qkv.select(1, 0), qkv.select(1, 1), qkv.select(1, 2)]
    const mixed = attention(q, k, v, { queryStarts: starts, causal: false, rotary })
    const middle = h.add(project(layer.proj, mixed.view([h.dim(0), width]), run))
    const x = rmsNorm(middle, layer.norm2, normEps)
    return middle.add(project(layer.down, swiglu(project(layer.gate, x, run), project(layer.up, x, run)), run))
  }

  return (patches, grids, run) => {
    const { order, windows, images } = windowOrder(grids, merge, window)
    const { device } = patches
    const byWindow = int64(order, { device })
    // Rows of a patch table, moved a merged square at a time.
    const moved = (rows: Tensor): Tensor =>
      rows
        .view([order.length, square * rows.dim(1)])
        .indexSelect(0, byWindow)
        .view([-1, rows.dim(1)])
    const inOrder = rotaryOf(vision.rotary, patchPositions(grids, merge), 2, device)
    const rotary = { cos: moved(inOrder.cos), sin: moved(inOrder.sin) }
    const patchStarts = (starts: readonly number[]): number[] => starts.map((start) => start * square)
    const [windowStarts, imageStarts] = [patchStarts(windows), patchStarts(images)]
    let h = moved(linear(patches, embed.view([width, -1])))
    for (const [i, layer] of blocks.entries()) {
      const starts = fullLayers.has(i) ? imageStarts : windowStarts
      const body = (...[x, cos, sin]: Tensor[]): Tensor => block(layer, x as Tensor, starts, { cos: cos as Tensor, sin: sin as Tensor }, run)
      h = runBlock(run, body, h, rotary.cos, rotary.sin)
    }
    const joined = rmsNorm(h, merger.norm, normEps).view([-1, square * width])
    const merged = project(merger.second, project(merger.first, joined, run).gelu(), run)
    const back = new Array<number>(order.length)
    for (const [place, original] of order.entries()) back[original] = place
    return { tokens: merged.indexSelect(0, int64(back, { device })), layers: [] }
  }
}

export const qwen25: Family<Config> = {
  name: 'qwen2_5_vl',
  readConfig,
  buildVision,
  // The published checkpoints: visual.…, model.layers.…, model.embed_tokens.weight, model.norm.weight.
  renamed: (stored) => {
    if (stored.startsWith('visual.')) return `model.${stored}`
    return stored.replace(/^model\.(?=(layers|embed_tokens|norm)\.)/, 'model.language_model.')
  },
}
