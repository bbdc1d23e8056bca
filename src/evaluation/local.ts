// Answers by a model in this process: a folder in Hugging Face's format, with an adapter or the weights of a run's checkpoint.

import { ArgumentError } from '../errors.ts'
import type { Adapter } from '../models/linear.ts'
import type { Model } from '../models/model.ts'
import { loadAdapter } from '../models/peft.ts'
import { putWeights } from '../models/put-weights.ts'
import { type LoadOptions, loadModel } from '../models/registry.ts'
import { openProcessor, type Processor } from '../processing/processor.ts'
import type { Message } from '../processing/prompt.ts'
import { type Request as GenerationRequest, generate } from '../rollout/generate.ts'
import type { DoneEvent } from '../rollout/sample.ts'
import { setThreads } from '../torch/native.ts'
import { fewRows } from '../torch/nn.ts'
import { userParts } from './remote.ts'
import type { Answer, Decoding, Request, Responder } from './responder.ts'

/** A model of this machine. */
export interface LocalModel {
  readonly folder: string
  /** Folder of a PEFT adapter; null for none. */
  readonly adapter: string | null
  /** Folder of a checkpoint of a run that trained weights of this model; null for the model as it is. */
  readonly weights: string | null
  /** Bound of an image's pixels; null for the model's own. */
  readonly maxPixels: number | null
  /** Null: as `loadModel` has it. */
  readonly dtype: NonNullable<LoadOptions['dtype']> | null
  readonly device: NonNullable<LoadOptions['device']>
}

export interface LocalOptions extends LocalModel {
  readonly decoding: Decoding
  /** Answers that are written together. On the CPU, up to the default, an answer does not depend on what is written beside it. */
  readonly batchRows?: number
  /** Null: as many as there are cores. */
  readonly threads: number | null
}

/** Requests are taken in until so many times the rows wait, so that rows are seldom idle, or their images hold so many numbers. */
const ahead = { rows: 4, pixels: 64e6 } as const

interface Waiting {
  readonly request: Request
  readonly generation: GenerationRequest
}

class LocalResponder implements Responder {
  readonly name: string
  readonly #stack: DisposableStack
  readonly #model: Model
  readonly #adapter: Adapter | null
  readonly #processor: Processor
  readonly #decoding: Decoding
  readonly #rows: number

  constructor(
    stack: DisposableStack,
    parts: { readonly name: string; readonly model: Model; readonly adapter: Adapter | null; readonly processor: Processor },
    { decoding, batchRows = fewRows }: Pick<LocalOptions, 'decoding' | 'batchRows'>,
  ) {
    this.name = parts.name
    this.#stack = stack
    this.#model = parts.model
    this.#adapter = parts.adapter
    this.#processor = parts.processor
    this.#decoding = decoding
    this.#rows = batchRows
  }

  async answer(
    requests: Iterable<Request> | AsyncIterable<Request>,
    signal: AbortSignal,
    onAnswer: (answer: Answer) => void | Promise<void>,
  ): Promise<void> {
    let waiting: Waiting[] = []
    let [samples, pixels] = [0, 0]
    const flush = async (): Promise<void> => {
      await this.#write(waiting, signal, onAnswer)
      ;[waiting, samples, pixels] = [[], 0, 0]
    }
    for await (const request of requests) {
      if (signal.aborted) return
      const generation = await this.#prepared(request)
      waiting.push({ request, generation })
      samples += generation.samples
      for (const image of generation.images) pixels += 'pixels' in image ? image.pixels.length : 0
      if (samples >= ahead.rows * this.#rows || pixels >= ahead.pixels) await flush()
    }
    await flush()
  }

  async #prepared({ key, system, user, images, prefill, samples }: Request): Promise<GenerationRequest> {
    const { temperature, topP, topK, maxTokens } = this.#decoding
    const before: Message[] = system === null ? [] : [{ role: 'system', content: system }]
    try {
      const encoded = await this.#processor.encode({ messages: [...before, { role: 'user', content: userParts(user, images) }], prefill })
      const { maxPositions } = this.#model.config.language
      if (encoded.ids.length + maxTokens > maxPositions) {
        throw new ArgumentError(
          `its prompt has ${encoded.ids.length} tokens and ${maxTokens} may be written, but the model has ${maxPositions} positions; lower --max-tokens or --max-pixels`,
        )
      }
      return {
        ...{ ids: encoded.ids, images: encoded.images, samples: samples.length, seed: samples.map(({ seed }) => seed) },
        ...{ sampling: { temperature, topP, topK: topK ?? 0 }, maxTokens, stop: { ids: this.#processor.stopIds, strings: [] } },
      }
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause
      // A question that cannot be put is a fault of the data or the settings; which one it is, only this place knows.
      cause.message = `question ${key}: ${cause.message}`
      throw cause
    }
  }

  async #write(waiting: readonly Waiting[], signal: AbortSignal, onAnswer: (answer: Answer) => void | Promise<void>): Promise<void> {
    const options = { adapter: this.#adapter, text: () => this.#processor.tokenizer.textStream(), maxRows: this.#rows, signal }
    const requests = waiting.map(({ generation }) => generation)
    for await (const event of generate(this.#model, requests, options)) {
      if (event.kind === 'done' && event.reason !== 'cancelled') await onAnswer(answerOf(event, (waiting[event.request] as Waiting).request))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stack.dispose()
  }
}

function answerOf({ sample, reason, ids, logprobs, text }: DoneEvent, { key, samples }: Request): Answer {
  return {
    ...{ key, index: (samples[sample] as Request['samples'][number]).index, text, tokens: ids.length },
    ended: reason === 'length' ? 'length' : 'stop',
    logprob: logprobs.reduce((sum, logprob) => sum + logprob, 0),
  }
}

/**
 * A model of this machine that answers. Each answer draws from its own seed, and on the CPU its bits do not depend on what is asked beside
 * it: an evaluation that was interrupted gives the answers of one that was not. Dispose of it to free the model.
 * @throws errors of loading
 */
export async function localResponder(options: LocalOptions): Promise<Responder> {
  const { folder, adapter, weights, maxPixels, dtype, device, threads } = options
  if (threads !== null) setThreads(threads)
  const processor = await openProcessor(folder, maxPixels === null ? {} : { maxPixels })
  using stack = new DisposableStack()
  const { model } = stack.use(loadModel(folder, dtype === null ? { device } : { dtype, device }))
  if (weights !== null) putWeights(model.parameters, weights)
  const updates = adapter === null ? null : stack.use(loadAdapter(adapter, model))
  return new LocalResponder(stack.move(), { name: folder, model, adapter: updates, processor }, options)
}
