// Generation inside the process: several samples of several prompts, decoded together, as a stream of events.

import { setImmediate } from 'node:timers/promises'
import { ArgumentError } from '../errors.ts'
import { type Adapter, plainRun } from '../models/linear.ts'
import type { ImageFeatures, ImageInput, Model } from '../models/model.ts'
import { fewRows } from '../torch/nn.ts'
import { Batch, type Plan } from './batch.ts'
import { type DoneEvent, Sample, type TokenEvent } from './sample.ts'
import type { Draw } from './sampler.ts'
import { type Sampling, samplingOf } from './sampling.ts'
import { StopText, type TextStream } from './stop.ts'

/** A prompt to continue, and how. */
export interface Request {
  /** The prompt's tokens, each image's token repeated for every row of its features. */
  readonly ids: Int32Array
  /**
   * In the order of the prompt. Inputs are encoded once for all samples and requests that hold the same object; features are the
   * caller's, and stay so.
   */
  readonly images: readonly (ImageInput | ImageFeatures)[]
  /** How many answers; sample i draws numbers of its own. */
  readonly samples: number
  /** What is left out has the value of `defaultSampling`. */
  readonly sampling: Partial<Sampling>
  /**
   * An integer in [0, 2^53). Requests with one seed draw the same numbers, so give each its own; or one for each sample, which then draws as
   * the only sample of a request with that seed.
   */
  readonly seed: number | readonly number[]
  readonly maxTokens: number
  /** What ends an answer: these tokens, and these strings, even where they span tokens. */
  readonly stop: { readonly ids: readonly number[]; readonly strings: readonly string[] }
}

export interface GenerateOptions {
  /** Low-rank updates to apply; none by default. */
  readonly adapter?: Adapter | null
  /** Makes a sample's text; without it texts are empty and stop strings are refused. */
  readonly text?: () => TextStream
  /** Samples that are decoded together at most. Above the default, the last bits of a result may depend on what runs beside it. */
  readonly maxRows?: number
  /** Ends samples that are not done, with what they have. */
  readonly signal?: AbortSignal
}

/** A token, at once when it is drawn; after a sample's last token, its end. */
export type GenerationEvent = TokenEvent | DoneEvent

/**
 * Generates answers as a stream. Samples of all requests are decoded together; when one ends, the next takes its place, in the order of
 * the requests. On the CPU, up to the default `maxRows`, the same request gives the same tokens and log-probabilities, bit for bit,
 * whatever else is generated. Between steps the event loop runs. Leaving the loop over the events early frees everything.
 * @throws ArgumentError at once for requests out of range, naming them by their index
 */
export function generate(model: Model, requests: readonly Request[], options: GenerateOptions = {}): AsyncGenerator<GenerationEvent, void, void> {
  const { maxRows = fewRows } = options
  if (!Number.isSafeInteger(maxRows) || maxRows < 1) throw new ArgumentError(`generate: maxRows is ${maxRows}; it must be an integer from 1 up`)
  return events(
    model,
    requests.map((request, i) => planOf(model, request, i, options)),
    requests.map(({ stop }) => stop.strings),
    maxRows,
    options,
  )
}

/** `generate` to the end: the samples of each request, both in their order. */
export async function generateAll(model: Model, requests: readonly Request[], options: GenerateOptions = {}): Promise<DoneEvent[][]> {
  const answers: DoneEvent[][] = requests.map(() => [])
  for await (const event of generate(model, requests, options)) {
    if (event.kind === 'done') (answers[event.request] as DoneEvent[])[event.sample] = event
  }
  return answers
}

async function* events(
  model: Model,
  plans: readonly Plan[],
  strings: readonly (readonly string[])[],
  maxRows: number,
  { adapter = null, text, signal }: GenerateOptions,
): AsyncGenerator<GenerationEvent, void, void> {
  using batch = new Batch(model, { ...plainRun, adapter }, plans, maxRows)
  const waiting = plans.flatMap((plan) =>
    Array.from({ length: plan.samples }, (_, i) => {
      const own = text === undefined ? null : new StopText(text(), strings[plan.request] as readonly string[])
      return new Sample(plan, i, own)
    }),
  )
  let active: Sample<Plan>[] = []
  while (waiting.length + active.length > 0) {
    if (signal?.aborted) {
      for (const sample of [...active, ...waiting]) yield sample.done()
      return
    }
    const next = active.length < maxRows ? waiting.shift() : undefined
    const drawn = next === undefined ? active : [next]
    const draws = next === undefined ? batch.step(active) : [batch.start(next)]
    if (next !== undefined) active.push(next)
    for (const [i, sample] of drawn.entries()) {
      yield sample.take(draws[i] as Draw)
      if (sample.reason === null) continue
      batch.release(sample)
      yield sample.done()
    }
    active = active.filter(({ reason }) => reason === null)
    await setImmediate()
  }
}

/** What is wrong with a request is said with its index. */
function planOf(model: Model, request: Request, index: number, options: GenerateOptions): Plan {
  try {
    return checked(model, request, index, options)
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error
    throw new ArgumentError(`request ${index}: ${error.message}`, { cause: error })
  }
}

function checked(model: Model, request: Request, index: number, { text }: GenerateOptions): Plan {
  const { ids, images, samples, seed, maxTokens, stop } = request
  const { vocabulary, maxPositions } = model.config.language
  for (const [name, value] of Object.entries({ samples, maxTokens })) {
    if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} is ${value}; it must be an integer from 1 up`)
  }
  for (const one of typeof seed === 'number' ? [seed] : seed) {
    if (!Number.isSafeInteger(one) || one < 0) throw new ArgumentError(`seed is ${one}; it must be an integer from 0 to 2^53 − 1`)
  }
  if (typeof seed !== 'number' && seed.length !== samples) throw new ArgumentError(`there are ${seed.length} seeds for ${samples} samples`)
  if (ids.length === 0) throw new ArgumentError('the prompt has no tokens')
  for (const id of [...ids, ...stop.ids]) {
    if (!(Number.isSafeInteger(id) && id >= 0 && id < vocabulary)) throw new ArgumentError(`token ${id}; this model knows 0 to ${vocabulary - 1}`)
  }
  if (stop.strings.includes('')) throw new ArgumentError('an empty stop string would end every answer; leave it out')
  if (stop.strings.length > 0 && text === undefined) {
    throw new ArgumentError('stop strings need the text of tokens: give options.text, such as () => tokenizer.textStream()')
  }
  if (ids.length + maxTokens > maxPositions) {
    throw new ArgumentError(`${ids.length} tokens of prompt and ${maxTokens} to generate; this model has ${maxPositions} positions`)
  }
  for (const [i, image] of images.entries()) model.checkImage(image, `image ${i + 1}`)
  return {
    request: index,
    sampling: samplingOf(request.sampling),
    seed,
    maxTokens,
    samples,
    stopIds: new Set(stop.ids),
    promptIds: new Set(ids),
    ids,
    images,
    next: model.positions({ ids, images }).next,
  }
}
