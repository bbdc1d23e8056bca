// What the benchmark of the optimisation step computes on: models of three sizes, and rollouts with what their views read before them.

import { descriptionThinkBoxed } from '../src/methods/formats.ts'
import type { EncodedImage } from '../src/processing/patches.ts'
import type { Encoded } from '../src/processing/processor.ts'
import type { Row } from '../src/supervision/gather.ts'
import { methodSchema } from '../src/supervision/method.ts'
import { divide } from '../src/supervision/segments.ts'
import { imageToken, type ModelSize, merge, patchSize } from './models.ts'

export interface StepSize {
  readonly name: string
  /** The model that teaches itself; at the largest size with the vocabulary of the real ones. */
  readonly self: ModelSize
  /** Student and larger teacher, of proportions like those of Qwen3-VL 2B and 4B: head and vision tower beside the blocks. */
  readonly student: ModelSize
  readonly teacher: ModelSize
  /** Patches along the side of each row's image. */
  readonly patches: number
  readonly rollout: { readonly median: number; readonly least: number; readonly most: number }
  /** Lengths of the problem, shortest and longest. */
  readonly problem: readonly [number, number]
  readonly rank: number
  /** How often steps are timed after their first time. */
  readonly rounds: { readonly self: number; readonly steered: number }
}

const heads = (count: number, headWidth: number) => ({ heads: count, groups: count / 2, headWidth })

export const sizes: readonly StepSize[] = [
  {
    ...{ name: 'small', patches: 12, rollout: { median: 40, least: 20, most: 90 }, problem: [16, 32], rank: 4, rounds: { self: 3, steered: 3 } },
    self: { ...heads(4, 16), width: 64, inner: 192, layers: 4, vocabulary: 4096, vision: { width: 64, depth: 3, heads: 4 } },
    student: { ...heads(4, 16), width: 64, inner: 256, layers: 4, vocabulary: 1024, vision: { width: 48, depth: 3, heads: 3 } },
    teacher: { ...heads(6, 16), width: 96, inner: 384, layers: 5, vocabulary: 1024, vision: { width: 48, depth: 3, heads: 3 } },
  },
  {
    ...{ name: 'middle', patches: 24, rollout: { median: 80, least: 40, most: 180 }, problem: [24, 48], rank: 4, rounds: { self: 2, steered: 2 } },
    self: { ...heads(4, 32), width: 128, inner: 512, layers: 6, vocabulary: 32_000, vision: { width: 96, depth: 3, heads: 3 } },
    student: { ...heads(4, 32), width: 128, inner: 512, layers: 6, vocabulary: 3072, vision: { width: 96, depth: 3, heads: 3 } },
    teacher: { ...heads(6, 32), width: 192, inner: 768, layers: 7, vocabulary: 3072, vision: { width: 96, depth: 3, heads: 3 } },
  },
  {
    ...{ name: 'large', patches: 40, rollout: { median: 130, least: 60, most: 300 }, problem: [30, 60], rank: 4, rounds: { self: 1, steered: 2 } },
    self: { ...heads(4, 32), width: 128, inner: 1024, layers: 10, vocabulary: 151_936, vision: { width: 128, depth: 3, heads: 4 } },
    student: { ...heads(8, 32), width: 256, inner: 768, layers: 6, vocabulary: 4096, vision: { width: 128, depth: 3, heads: 4 } },
    teacher: { ...heads(10, 32), width: 320, inner: 1152, layers: 9, vocabulary: 4096, vision: { width: 128, depth: 3, heads: 4 } },
  },
]

/** Eight quantiles of the normal distribution, shuffled: lengths of rollouts are lognormal. */
const normal = [0.157, -1.534, 0.887, -0.489, 1.534, -0.157, -0.887, 0.489]
const sigma = 0.5
/** The one rollout of the eight that breaks the format. */
const invalidRow = 7
/** Tokens that wording takes beside problem and reference. */
const [systemTokens, studentWording, teacherWording] = [24, 50, 70]
/** Share of a valid rollout that describes the image. */
const described = 0.4
const stop = 4

/** Numbers in [0, 1) that look like chance, the same in every run. */
function noise(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** The texts of T tokens that are a valid rollout in ViGOS's format, or one that never closes its reasoning. */
function pieces(length: number, valid: boolean): string[] {
  const words = (count: number): string[] => new Array<string>(count).fill(' word')
  const tail = valid ? ['</think>', '\\boxed{', 'answer', '}'] : []
  const rest = length - tail.length - 3
  const description = Math.round(described * rest)
  return [...words(description), '</description>', '<think>', ...words(rest - description), ...tail, '<end>']
}

/** The rows of a batch, with contexts for the views of ViGOS and of VGS; views that see an image share the object. */
export function rowsOf({ patches, rollout, problem }: StepSize, vocabulary: number): Row[] {
  const format = methodSchema.shape.format.parse(descriptionThinkBoxed)
  const next = noise(1)
  const tokens = (count: number): number[] => Array.from({ length: count }, () => 100 + Math.floor(next() * (vocabulary - 100)))
  const [system, turn, answer, asStudent, asReasoner, asReference] = [systemTokens, 3, 3, studentWording, teacherWording, teacherWording].map(tokens)
  return normal.map((z, row) => {
    const length = Math.round(Math.min(rollout.most, Math.max(rollout.least, rollout.median * Math.exp(sigma * z))))
    const texts = pieces(length, row !== invalidRow)
    const ends = [0]
    for (const text of texts) ends.push((ends.at(-1) as number) + text.length)
    const spans = texts.map((_, t) => [ends[t], ends[t + 1]] as [number, number])
    const ids = Int32Array.from([...tokens(length - 1), stop])
    const division = divide(
      format,
      { prefill: '<description>', text: texts.join(''), spans, ids },
      { stopIds: new Set([stop]), emptyIds: new Set([stop]) },
    )
    const pixels = Float32Array.from({ length: patches ** 2 * 3 * 2 * patchSize ** 2 }, () => 4 * next() - 2)
    const image: EncodedImage = { pixels, grid: [1, patches, patches] }
    const shown = [imageToken + 2, ...new Array<number>((patches / merge) ** 2).fill(imageToken), imageToken + 3]
    const between = (share: number): number => Math.round(problem[0] + share * (problem[1] - problem[0]))
    const [asked, reference] = [tokens(between(next())), tokens(between(next()))]
    const sighted = (...parts: (readonly number[] | undefined)[]): Encoded => context([turn, shown, ...parts, answer], [image])
    const contexts = {
      student: sighted(asked, asStudent),
      perception: sighted(),
      reasoning: sighted(asked, reference, asReasoner),
      reference: sighted(asked, reference, asReference),
    }
    const blind = context([system, turn, asked, answer], [])
    const steered = context([system, turn, shown, asked, answer], [image])
    return {
      ...{ ids, division, advantages: new Map<string, number>(), logprobs: new Float32Array(length) },
      contexts: new Map(Object.entries({ ...contexts, teacher: steered, teacherBlind: blind, studentBlind: blind, steered })),
    }
  })
}

function context(parts: readonly (readonly number[] | undefined)[], images: readonly EncodedImage[]): Encoded {
  return { ids: Int32Array.from(parts.flatMap((part) => part ?? [])), images, text: '' }
}

/** The same rows as VGS's student reads them: its prompt has a system turn and no structure. */
export function steeredRows(rows: readonly Row[]): Row[] {
  return rows.map((row) => ({ ...row, contexts: new Map([...row.contexts, ['student', row.contexts.get('steered') as Encoded]]) }))
}
