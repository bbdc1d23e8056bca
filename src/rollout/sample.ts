// One answer as it grows: its tokens, their log-probabilities and its text, and when it ends.

import type { Draw, DrawRow } from './sampler.ts'
import type { Sampling } from './sampling.ts'
import type { StopText } from './stop.ts'
import { uniformAt } from './uniform.ts'

/** Why an answer ended: a stop token, a stop string, as many tokens as allowed, or the caller's signal. */
export type EndReason = 'stop-id' | 'stop-string' | 'length' | 'cancelled'

/** Which answer an event is about. */
interface Place {
  /** Index of the request. */
  readonly request: number
  /** Which of the request's samples, from 0. */
  readonly sample: number
}

export interface TokenEvent extends Place, Draw {
  readonly kind: 'token'
  /** Text that is certain now; '' while a character or what may be a stop string is unfinished, and for a stop token. */
  readonly text: string
}

export interface DoneEvent extends Place {
  readonly kind: 'done'
  readonly reason: EndReason
  /** All tokens, the stop token or those of the stop string included. */
  readonly ids: Int32Array
  /** As in `Draw`, for each token. */
  readonly logprobs: Float32Array
  readonly sampledLogprobs: Float32Array
  /** The text, without stop token and stop string. All token events' texts together; if cancelled, also what they held back. */
  readonly text: string
}

/** What all samples of a request have in common. */
export interface SamplePlan {
  readonly request: number
  readonly sampling: Sampling
  /** Of all samples, each then with its index; or one for each. */
  readonly seed: number | readonly number[]
  readonly maxTokens: number
  readonly stopIds: ReadonlySet<number>
  /** The tokens that occur in the prompt. */
  readonly promptIds: ReadonlySet<number>
}

export class Sample<P extends SamplePlan> {
  readonly plan: P
  readonly index: number
  readonly ids: number[] = []
  readonly #draws: Draw[] = []
  readonly #counts = new Map<number, number>()
  readonly #text: StopText | null
  #reason: EndReason | null = null

  /** @param text of this sample alone; null for none */
  constructor(plan: P, index: number, text: StopText | null) {
    this.plan = plan
    this.index = index
    this.#text = text
  }

  /** Why it ended; null while it grows. */
  get reason(): EndReason | null {
    return this.#reason
  }

  /** What decides over its next token besides the logits. */
  get nextDraw(): DrawRow {
    const { sampling, seed, promptIds } = this.plan
    const [own, index] = typeof seed === 'number' ? [seed, this.index] : [seed[this.index] as number, 0]
    return { sampling, uniform: uniformAt(own, index, this.ids.length), prompt: promptIds, output: this.#counts }
  }

  /** Takes the token in, and ends if it is the last. */
  take(draw: Draw): TokenEvent {
    const { id } = draw
    this.ids.push(id)
    this.#draws.push(draw)
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
    let text = ''
    if (this.plan.stopIds.has(id)) this.#reason = 'stop-id'
    else {
      const pushed = this.#text?.push(id)
      text = pushed?.text ?? ''
      if (pushed?.stopped) this.#reason = 'stop-string'
      else if (this.ids.length === this.plan.maxTokens) this.#reason = 'length'
    }
    if (this.#reason === 'stop-id' || this.#reason === 'length') text += this.#text?.end() ?? ''
    return { kind: 'token', request: this.plan.request, sample: this.index, ...draw, text }
  }

  /** The answer as it is; one that still grew is cancelled. */
  done(): DoneEvent {
    if (this.#reason === null) {
      this.#reason = 'cancelled'
      this.#text?.end()
    }
    return {
      kind: 'done',
      request: this.plan.request,
      sample: this.index,
      reason: this.#reason,
      ids: Int32Array.from(this.ids),
      logprobs: Float32Array.from(this.#draws, ({ logprob }) => logprob),
      sampledLogprobs: Float32Array.from(this.#draws, ({ sampledLogprob }) => sampledLogprob),
      text: this.#text?.text ?? '',
    }
  }
}
