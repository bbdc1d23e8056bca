// Answers from an OpenAI-compatible server, asked like a model of this process.

import { ArgumentError } from '../errors.ts'
import type { Server } from '../serving/client.ts'
import { dataUri } from '../serving/images.ts'
import type { Choice, ServedPart } from '../serving/protocol.ts'
import { ServerError } from '../serving/server-error.ts'
import type { Answer, Decoding, Request, Responder } from './responder.ts'

/**
 * What stands for no cut and no penalty. It is sent, because servers take what a request leaves out from the checkpoint's
 * generation_config.json (vLLM: --generation-config auto), where Qwen has a repetition penalty and a top_k: then nobody decodes as was asked.
 * A server that refuses unknown fields, such as OpenAI's own, needs `extra: {}` (`--standard-fields`).
 */
export const neutralSampling = { top_k: -1, min_p: 0, repetition_penalty: 1 } as const

export interface RemoteOptions {
  /**
   * False sends a request for each answer, with its own seed, so that an answer is the same whatever else is asked. True asks for all answers to a
   * question at once (`n`, with the seed of the first), which reads the prompt once even where the server has no prefix cache; the server seeds the
   * others itself, so that an answer depends on which ones are asked for together, and a resumed evaluation may give others.
   */
  readonly groupSamples: boolean
  /**
   * Whether the server repeats the prefill at the beginning of its text (vLLM does not). It cannot be told from a text: a model may well write the
   * prefill again. With true it is cut off once, and a text without it is an error.
   */
  readonly echo: boolean
  /** Asks for log-probabilities, at the cost of larger replies. */
  readonly logprobs: boolean
  /** Further fields of each request, as the server calls them. */
  readonly extra: Readonly<Record<string, unknown>>
}

export const remoteDefaults: RemoteOptions = { groupSamples: false, echo: false, logprobs: false, extra: neutralSampling }

/** Marks in a text that say where its images stand. */
const imageMark = '<image>'

/**
 * The user's turn: images where the text marks them with `<image>`, else before the text. Without images the marks go.
 * @throws ArgumentError if the marks are not as many as the images
 */
export function userParts(text: string, images: Request['images']): readonly ServedPart[] {
  const texts = text.split(imageMark)
  const marks = texts.length - 1
  const worded = (each: string): ServedPart[] => (each === '' ? [] : [{ type: 'text', text: each }])
  const shown = images.map((image): ServedPart => ({ type: 'image', image }))
  if (marks > 0 && marks === images.length) return texts.flatMap((each, i) => [...worded(each), ...shown.slice(i, i + 1)])
  if (marks > 0 && images.length > 0) throw new ArgumentError(`the question marks ${marks} images with ${imageMark}, but has ${images.length}`)
  return [...shown, ...worded(texts.join('').trim())]
}

/** Answers of one question that are asked for in one request. */
interface Job {
  readonly request: Request
  /** With its images as data: URIs, made once for all answers. */
  readonly parts: readonly ServedPart[]
  readonly samples: Request['samples']
}

const encoded = async (part: ServedPart): Promise<ServedPart> => (part.type === 'image' ? { ...part, image: await dataUri(part.image) } : part)

async function* jobsOf(requests: Iterable<Request> | AsyncIterable<Request>, grouped: boolean): AsyncGenerator<Job, void, void> {
  for await (const request of requests) {
    if (request.samples.length === 0) continue
    const parts = await Promise.all(userParts(request.user, request.images).map(encoded))
    for (const samples of grouped ? [request.samples] : request.samples.map((sample) => [sample])) yield { request, parts, samples }
  }
}

/**
 * A server as a responder. As many requests are under way as the server's concurrency allows, and no more questions are taken than these need.
 * After a failure no further one is sent; those under way end first and are told. Disposing of it closes the server.
 */
export function remoteResponder(server: Server, decoding: Decoding, options: Partial<RemoteOptions> = {}): Responder {
  const { groupSamples, echo, logprobs, extra } = { ...remoteDefaults, ...options }

  const ask = ({ request: { system, prefill }, parts, samples }: Job, signal: AbortSignal): Promise<readonly Choice[]> =>
    server.chat(
      {
        messages: [...(system === null ? [] : [{ role: 'system', content: system } as const]), { role: 'user', content: parts }],
        ...{ prefill, n: samples.length, seed: samples[0]?.seed ?? null },
        ...{ temperature: decoding.temperature, topP: decoding.topP, topK: decoding.topK, maxTokens: decoding.maxTokens },
        ...{ logprobs, extra },
      },
      signal,
    )

  /** Asks for the answers of a job and tells those that can be used. @throws after that, if one cannot */
  async function finish(job: Job, signal: AbortSignal, onAnswer: (answer: Answer) => void | Promise<void>): Promise<void> {
    const { key, prefill } = job.request
    const refusals: string[] = []
    for (const [i, choice] of (await ask(job, signal)).entries()) {
      const read = readAnswer(choice, echo ? prefill : '')
      if ('refusal' in read) refusals.push(read.refusal)
      else await onAnswer({ key, index: job.samples[i]?.index ?? i, ...read })
    }
    const [refusal] = refusals
    if (refusal !== undefined) throw new ServerError(`${server.url}: ${refusal}`, null)
  }

  return {
    name: `${server.url} ${server.model}`,
    async answer(requests, signal, onAnswer) {
      const jobs = jobsOf(requests, groupSamples)
      const failures: unknown[] = []
      const work = async (): Promise<void> => {
        try {
          for (let next = await jobs.next(); !next.done && failures.length === 0; next = await jobs.next()) {
            const { value: job } = next
            signal.throwIfAborted()
            await finish(job, signal, onAnswer).catch((error: unknown) => Promise.reject(placed(error, job)))
          }
        } catch (error) {
          failures.push(error)
        }
      }
      await Promise.all(Array.from({ length: server.concurrency }, work))
      await jobs.return()
      // The first says why it ended; what failed beside it failed for the same reason or will be met again.
      if (failures.length > 0) throw failures[0]
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** Names the question in what a server did wrong. */
function placed(error: unknown, { request, samples }: Job): unknown {
  if (!(error instanceof ServerError)) return error
  const which = samples.map(({ index }) => index).join(', ')
  return new ServerError(`${request.key}, answer ${which}: ${error.message}`, error.status, error)
}

const endings: { readonly [finish: string]: Answer['ended'] } = { stop: 'stop', length: 'length' }

/** @param echoed what the text begins with without being part of it */
function readAnswer(
  { text, finish, tokens, logprob, reasoning }: Choice,
  echoed: string,
): Omit<Answer, 'key' | 'index'> | { readonly refusal: string } {
  const ended = Object.hasOwn(endings, finish) ? endings[finish] : undefined
  if (ended === undefined) {
    return {
      refusal: `the answer ended with finish_reason ${JSON.stringify(finish)}; expected ${Object.keys(endings).join(' or ')}. See the server's log`,
    }
  }
  if (reasoning !== null) {
    const todo = 'start the server so that it leaves the text whole (vLLM: without --reasoning-parser)'
    return { refusal: `thoughts are taken out of the text, so that its form cannot be judged; ${todo}` }
  }
  if (!text.startsWith(echoed)) {
    const said = `the server is said to repeat the prefill ${JSON.stringify(echoed)}`
    return { refusal: `${said}, but its text begins ${JSON.stringify(text.slice(0, 60))}; leave out echo` }
  }
  return { text: text.slice(echoed.length), ended, tokens, logprob }
}
