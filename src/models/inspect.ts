// What a checkpoint is and what memory work with it takes, from its headers (a head that should be tied is compared, nothing else is read).

import { readdirSync } from 'node:fs'
import { openSafetensors } from '../torch/safetensors.ts'
import type { ModelConfig } from './family.ts'
import { describeModel, matchWeights } from './registry.ts'
import { partOf } from './teacher.ts'

/** Weights and bytes of a part, as stored. */
export interface PartSize {
  readonly weights: number
  /** 0 where the folder holds no weights. */
  readonly bytes: number
}

export interface Inspection {
  readonly folder: string
  readonly family: string
  readonly config: ModelConfig
  readonly vision: PartSize
  readonly merger: PartSize
  readonly language: PartSize
  /** How the weights are stored, such as `BF16`, and how many weights each type has. */
  readonly storedTypes: ReadonlyMap<string, number>
  /** Keys and values of one token in all layers, float32. */
  readonly cacheBytesPerToken: number
  readonly memory: readonly MemoryNeed[]
}

/** Bytes for one way to train, on the CPU. */
export interface MemoryNeed {
  readonly way: string
  readonly weights: number
  /** Gradients, both moments of AdamW and, for half-precision weights, their float32 copy and the float32 sums of their gradients. */
  readonly training: number
  /** Highest use in a step of each token of context: all blocks kept, or all but their inputs computed again. */
  readonly activationsPerToken: { readonly kept: number; readonly recomputed: number }
}

const float = 4
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/**
 * Reads config.json and the headers of the weights, which are held against each other as in `loadModel`.
 * @param rank of the low-rank adapter whose memory is estimated, on the language model's seven projections, with dropout (ViGOS trains r 64)
 */
export function inspectModel(folder: string, rank: number): Inspection {
  const description = describeModel(folder)
  const { config, shapes } = description
  const hasWeights = readdirSync(folder).some((name) => name.includes('.safetensors'))
  const storedTypes = new Map<string, number>()
  const parts = { vision: { weights: 0, bytes: 0 }, merger: { weights: 0, bytes: 0 }, language: { weights: 0, bytes: 0 } }
  for (const [name, shape] of shapes) parts[partOf(name)].weights += sizeOf(shape)
  if (hasWeights) {
    using file = openSafetensors(folder)
    for (const [name, { info }] of matchWeights(file, folder, description)) {
      parts[partOf(name)].bytes += info.bytes
      storedTypes.set(info.storedType, (storedTypes.get(info.storedType) ?? 0) + sizeOf(info.shape))
    }
  }
  const { layers, width, inner, heads, groups, headWidth } = config.language
  const total = parts.vision.weights + parts.merger.weights + parts.language.weights
  // Per block: its input, norms and middle; queries, keys, values (twice where heads are normed) and attention's output; gate, up, product.
  const norms = config.language.headNorms ? heads + groups : 0
  const block = float * (4 * width + (2 * heads + 2 * groups + norms) * headWidth + 3 * inner)
  const ends = float * (3 * width + 2 * headWidth)
  // Recomputed, one block at a time is kept whole, and about as much again is its gradients.
  const activationsPerToken = { kept: layers * block + ends, recomputed: float * layers * width + 2 * block + ends }
  // Per block, dropout's masks of a byte and what they let through, and the low rank between A and B, for seven projections.
  const updates = (1 + float) * (5 * width + heads * headWidth + inner) + 7 * float * rank
  const adapted = { kept: activationsPerToken.kept + layers * updates, recomputed: activationsPerToken.recomputed + updates }
  const lowRank = layers * rank * (4 * width + 2 * (heads + groups) * headWidth + 3 * (width + inner))
  return {
    folder,
    family: config.family,
    config,
    ...parts,
    storedTypes,
    cacheBytesPerToken: float * layers * 2 * groups * headWidth,
    memory: [
      { way: `LoRA r ${rank}, base in bfloat16`, weights: 2 * total + float * lowRank, training: 3 * float * lowRank, activationsPerToken: adapted },
      { way: `LoRA r ${rank}, base in float32`, weights: float * (total + lowRank), training: 3 * float * lowRank, activationsPerToken: adapted },
      { way: 'language model in full, float32', weights: float * total, training: 3 * float * parts.language.weights, activationsPerToken },
      { way: 'everything in full, float32', weights: float * total, training: 3 * float * total, activationsPerToken },
      {
        way: 'everything in full, bfloat16 with float32 copies',
        weights: 2 * total,
        training: (2 + 4 * float) * total,
        activationsPerToken,
      },
    ],
  }
}
