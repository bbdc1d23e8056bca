// Who answers: a model in this process or a server, asked in one way.

import type { SampleImage } from '../data/images.ts'

/** One question as it is put to a model, to be answered several times. */
export interface Request {
  /** Names the question among those of the evaluation. */
  readonly key: string
  readonly system: string | null
  readonly user: string
  readonly images: readonly SampleImage[]
  /** What the answer begins with; it is not part of what the model writes. Empty for none. */
  readonly prefill: string
  /** The answers that are wanted: their indices, each with a seed of its own, so that an answer does not depend on what is asked beside it. */
  readonly samples: readonly { readonly index: number; readonly seed: number }[]
}

/** How all answers of an evaluation are decoded. */
export interface Decoding {
  /** 0 takes the likeliest token. */
  readonly temperature: number
  /** From 0 to 1; 1 for no cut. */
  readonly topP: number
  /** Null for no cut. */
  readonly topK: number | null
  readonly maxTokens: number
}

export interface Answer {
  readonly key: string
  readonly index: number
  /** What the model wrote, without the prefill and without special tokens at its end. */
  readonly text: string
  /** Why it ended: of itself, at `maxTokens`, or at what the server calls so. */
  readonly ended: 'stop' | 'length'
  /** Tokens written; null where a server does not say. */
  readonly tokens: number | null
  /** Sum of their log-probabilities under the decoding distribution's model, in nats; null where it is not known. */
  readonly logprob: number | null
}

export interface Responder extends AsyncDisposable {
  /** What it is, for the record: a folder, or a server's address with the model's name. */
  readonly name: string
  /**
   * Answers requests; `onAnswer` is told of each answer as soon as it is there, in any order, and what it does is waited for.
   * @throws what ends the evaluation; answers that were told stay
   */
  answer(requests: Iterable<Request> | AsyncIterable<Request>, signal: AbortSignal, onAnswer: (answer: Answer) => void | Promise<void>): Promise<void>
}
