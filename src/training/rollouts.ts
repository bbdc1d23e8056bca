// The answers that a step learns from: written by the policy of the moment, by the teacher, or taken from the data; divided and judged.

import { finalAnswer, sameAnswer } from '../data/answers.ts'
import type { Sample } from '../data/sample.ts'
import { ArgumentError } from '../errors.ts'
import type { Encoded, Processor } from '../processing/processor.ts'
import { generateAll } from '../rollout/generate.ts'
import type { DoneEvent } from '../rollout/sample.ts'
import type { Sampling } from '../rollout/sampling.ts'
import { uniformAt } from '../rollout/uniform.ts'
import type { Method, View } from '../supervision/method.ts'
import { atRest, type FeatureStore, type Scorer } from '../supervision/scorers.ts'
import { answerText, type Division, divide } from '../supervision/segments.ts'
import type { Trainee } from './trainee.ts'

/** A sample with what each view reads before its rollouts. */
export interface Prompted {
  readonly sample: Sample
  /** Its place in the order of the data, which seeds its rollouts. */
  readonly position: number
  readonly contexts: ReadonlyMap<string, Encoded>
}

/** An answer to a sample, and what it is. */
export interface Rollout {
  readonly prompted: Prompted
  /** Index among the answers to this sample. */
  readonly index: number
  readonly ids: Int32Array
  /** Text of the ids with special tokens, and each token's place in it. */
  readonly text: string
  readonly spans: readonly (readonly [start: number, end: number])[]
  /** Under the policy that wrote it; null for answers from the data. */
  readonly logprobs: Float32Array | null
  readonly seed: number | null
  readonly reason: DoneEvent['reason'] | 'data'
  readonly division: Division
  readonly answer: string | null
  readonly correct: boolean
}

/** Of a trainee, what writes rollouts. */
export type Writers = Pick<Trainee, 'scorers' | 'processors'>

/** How rollouts are written. */
export interface WritingOptions {
  readonly samples: number
  readonly maxTokens: number
  readonly sampling: Partial<Sampling>
  readonly maxRows: number
  readonly stop: readonly string[]
  /** Seed of the run. */
  readonly seed: number
  /** What is imitated where answers come from the data. */
  readonly response: string
}

/** The seed of the sample at a position: 53 bits that differ between positions and between runs. */
export const seedAt = (seed: number, position: number): number => Math.floor(uniformAt(seed, 0, position) * 2 ** 53)

/** Divides and judges answers of one view. */
class Judge {
  readonly #method: Method
  readonly #view: View
  readonly #trainee: Writers
  readonly #stopIds: ReadonlySet<number>
  readonly #emptyIds: ReadonlySet<number>

  constructor(method: Method, trainee: Writers) {
    this.#method = method
    this.#view = method.views[method.rollout.view] as View
    this.#trainee = trainee
    const { stopIds, tokenizer } = trainee.processors.student
    const pad = tokenizer.namedTokens['pad_token']
    this.#stopIds = new Set(stopIds)
    this.#emptyIds = new Set(pad === undefined ? stopIds : [...stopIds, tokenizer.idOf(pad)])
  }

  judge(prompted: Prompted, index: number, answer: Pick<Rollout, 'ids' | 'logprobs' | 'seed' | 'reason'>): Rollout {
    const { tokenizer } = this.#trainee.processors.student
    const { text, spans } = tokenizer.offsets(answer.ids)
    const { prefill } = this.#view
    const division = divide(this.#method.format, { prefill, text, spans, ids: answer.ids }, { stopIds: this.#stopIds, emptyIds: this.#emptyIds })
    const { text: said, bare } = answerText(this.#method.format, { prefill, text })
    const given = finalAnswer(said) ?? ((bare && said.trim()) || null)
    const correct = given !== null && sameAnswer(given, prompted.sample.answer)
    return { ...answer, prompted, index, text, spans, division, answer: given, correct }
  }
}

/** The tokens of a sample's response and of its end. @throws ArgumentError for too many */
export function responseOf(
  { solution, answer }: Sample,
  { tokenizer, stopIds }: Processor,
  { response, maxTokens }: Pick<WritingOptions, 'response' | 'maxTokens'>,
): Int32Array {
  // Rows without a solution are here only if the response has no {solution}.
  const text = response.replace(/\{(answer|solution)\}/g, (_, name: string) => (name === 'answer' ? answer : (solution ?? '')))
  const ids = Int32Array.from([...tokenizer.encode(text), stopIds[0] as number])
  if (ids.length > maxTokens) {
    throw new ArgumentError(`the response has ${ids.length} tokens, rollout.maxTokens allows ${maxTokens}; raise it, or leave the row out`)
  }
  return ids
}

function fromData(method: Method, trainee: Writers, prompts: readonly Prompted[], options: WritingOptions): Rollout[] {
  const judge = new Judge(method, trainee)
  return prompts.map((prompted) => {
    const ids = responseOf(prompted.sample, trainee.processors.student, options)
    return judge.judge(prompted, 0, { ids, logprobs: null, seed: null, reason: 'data' })
  })
}

/** The answers to some prompts, in their order, those of one prompt together. */
export async function writeRollouts(
  method: Method,
  trainee: Writers,
  prompts: readonly Prompted[],
  store: FeatureStore,
  options: WritingOptions,
): Promise<Rollout[]> {
  const { by, view } = method.rollout
  if (by === 'data') return fromData(method, trainee, prompts, options)
  const { scorers, processors } = trainee
  const scorer = by === 'teacher' ? (scorers.teacher as Scorer) : atRest(scorers.student)
  const { tokenizer, stopIds } = processors.student
  // All at once, so that a pass through the tower has as many images as it may.
  store.of(
    scorer,
    prompts.flatMap(({ contexts }) => (contexts.get(view) as Encoded).images),
  )
  const requests = prompts.map(({ contexts, position }) => {
    const { ids, images } = contexts.get(view) as Encoded
    return {
      ...{ ids, images: store.of(scorer, images), samples: options.samples, sampling: options.sampling, maxTokens: options.maxTokens },
      ...{ seed: seedAt(options.seed, position), stop: { ids: stopIds, strings: options.stop } },
    }
  })
  const answers = await generateAll(scorer.model, requests, {
    ...{ adapter: scorer.run.adapter, text: () => tokenizer.textStream(), maxRows: options.maxRows },
  })
  const judge = new Judge(method, trainee)
  return prompts.flatMap((prompted, i) =>
    (answers[i] as DoneEvent[]).map(({ ids, logprobs, reason }, index) =>
      judge.judge(prompted, index, { ids, logprobs, seed: requests[i]?.seed as number, reason }),
    ),
  )
}
