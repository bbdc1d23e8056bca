// What a step leaves behind: metrics as numerator and count, and transcripts that say of every token who taught it what.

import { createHash } from 'node:crypto'
import type { EncodedImage } from '../processing/patches.ts'
import type { Processor } from '../processing/processor.ts'
import type { Metrics, Transcript } from '../runs/schema.ts'
import { activeTerms } from '../supervision/check.ts'
import type { Report } from '../supervision/evaluate.ts'
import type { Method } from '../supervision/method.ts'
import type { Rollout } from './rollouts.ts'

const once = (value: number): { sum: number; count: number } => ({ sum: value, count: 1 })
const share = <T>(items: readonly T[], test: (item: T) => boolean): { sum: number; count: number } => ({
  sum: items.filter(test).length,
  count: items.length,
})

/** What rollouts were like, whatever learns from them; where they come from the data, nothing of whether they are right: nobody answered. */
export function rolloutMetrics(rollouts: readonly Rollout[], { rollout: { by } }: Pick<Method, 'rollout'>): Metrics {
  return {
    ...(by !== 'data' && { correct: share(rollouts, ({ correct }) => correct), answered: share(rollouts, ({ answer }) => answer !== null) }),
    valid: share(rollouts, ({ division }) => division.valid),
    /** Ended by a token or text that ends answers, and not for want of room. */
    ended: share(rollouts, ({ reason }) => reason !== 'length'),
    tokens: { sum: rollouts.reduce((sum, { ids }) => sum + ids.length, 0), count: rollouts.length },
  }
}

/** What the optimisation was like. */
export interface Update {
  readonly rate: number
  /** Before clipping. */
  readonly norm: number
  readonly skipped: boolean
}

/** Mean visual dependency, where it was measured. */
function dependencyMetrics({ dependencies }: Report): Metrics {
  const values = dependencies.flatMap((each) => Array.from(each ?? []))
  return values.length === 0 ? {} : { dependency: { sum: values.reduce((sum, value) => sum + value, 0), count: values.length } }
}

/** The report on a step without rollouts. */
export function emptyReport(method: Method): Report {
  const none = { sum: 0, count: 0 }
  return {
    terms: new Map(activeTerms(method).map(([name]) => [name, { loss: none, value: none, clipped: none }])),
    ...{ loss: Number.NaN, scale: 1, tokens: [], dependencies: [], computed: { frozen: 0, trained: 0 }, seconds: { frozen: 0, trained: 0 } },
  }
}

/** All metrics of a step. */
export function stepMetrics(rollouts: readonly Rollout[], report: Report, update: Update, method: Method): Metrics {
  const terms = Array.from(report.terms, ([name, { loss, value, clipped }]) => [
    [`loss/${name}`, loss],
    [`value/${name}`, value],
    [`clipped/${name}`, clipped],
  ])
  return {
    loss: once(report.loss),
    ...Object.fromEntries(terms.flat()),
    ...rolloutMetrics(rollouts, method),
    ...dependencyMetrics(report),
    ...{ gradientNorm: once(update.norm), rate: once(update.rate), scale: once(report.scale), skipped: once(update.skipped ? 1 : 0) },
  }
}

const hashes = new WeakMap<EncodedImage, string>()

/** The hash of what the model saw of an image: its patches and their grid. */
function hashOf(image: EncodedImage): string {
  const known = hashes.get(image)
  if (known !== undefined) return known
  const { pixels, grid } = image
  const hash = createHash('sha256')
    .update(grid.join())
    .update(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength))
    .digest('hex')
  hashes.set(image, hash)
  return hash
}

/** What every transcript of a step shares. */
export interface TranscriptFrame {
  readonly step: number
  readonly method: Method
  readonly processor: Processor
  readonly report: Report
  /** By row: the reward and advantage of the first reinforcing term. */
  readonly credits: readonly ({ readonly reward: number; readonly advantage: number } | null)[]
}

/** A rollout with what became of each of its tokens. @param row its index in the report */
export function transcriptOf(rollout: Rollout, row: number, { step, method, processor, report, credits }: TranscriptFrame): Transcript {
  const { prompted, division, ids } = rollout
  const { sample, contexts } = prompted
  const context = contexts.get(method.rollout.view)
  const side = processor.imageRule.patchSize
  const terms = [...(report.tokens[row] ?? [])]
  const dependencies = report.dependencies[row]
  const credit = credits[row]
  return {
    ...{ step, row: sample.row, id: sample.id, sample: rollout.index, seed: rollout.seed, policyStep: step - 1 },
    image: (context?.images ?? []).map((image) => ({ sha256: hashOf(image), width: image.grid[2] * side, height: image.grid[1] * side })),
    ...{ problem: sample.problem, answer: sample.answer, prompt: context?.text ?? '', prefill: method.views[method.rollout.view]?.prefill ?? '' },
    ...{ text: rollout.text, reason: rollout.reason },
    tokens: Array.from(ids, (id, t) => {
      const [start, end] = rollout.spans[t] as readonly [number, number]
      // A gate of 0 stands where a term supervises nothing; a value may be NaN where it should not be.
      const here = terms.filter(([, { gates }]) => gates[t] !== 0)
      return {
        ...{ id, text: rollout.text.slice(start, end), segment: division.segments[t] as string, logprob: rollout.logprobs?.[t] ?? null },
        terms: Object.fromEntries(
          here.map(([name, { values, clipped, gates }]) => [
            name,
            { value: values[t] as number, clipped: clipped[t] === 1, factor: gates[t] as number },
          ]),
        ),
        ...(dependencies && { dependency: dependencies[t] as number }),
      }
    }),
    ...{ valid: division.valid, fault: division.fault, answerGiven: rollout.answer, correct: rollout.correct },
    ...credit,
  }
}
