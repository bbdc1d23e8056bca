// A language model that judges answers where rules abstain: it sees question, reference and answer as text, and what it says is kept.

import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod'
import { ArgumentError } from '../errors.ts'
import type { Expected, Verdict } from '../grading/verdict.ts'
import { Appender, cutBrokenTail, readLines } from '../runs/files.ts'
import type { Server } from '../serving/client.ts'
import type { ChatRequest } from '../serving/protocol.ts'
import { ServerError } from '../serving/server-error.ts'
import { realWaiting, Slots, type Waiting } from '../serving/waiting.ts'
import { promptOf, verdictOf } from './judge-words.ts'

/** An answer that no rule could decide. */
export interface Asked {
  readonly problem: string
  readonly expected: Expected
  /** All that the model wrote. */
  readonly response: string
  /** The answer that the model marked in it; null if it marked none. Only this is judged where it is there. */
  readonly given: string | null
}

/** A verdict with what was asked and said. */
export interface Judgement {
  readonly verdict: Verdict
  readonly prompt: string
  readonly reply: string
}

export interface JudgeOptions {
  /** A .jsonl file of what was judged before; it is made, and grows. One process at a time. */
  readonly cache: string
  /** Tokens that a reply may take. */
  readonly maxTokens: number
  /** On top of the server's concurrency; null for no bound. What the cache answers does not count. */
  readonly requestsPerMinute: number | null
}

export const judgeDefaults = { maxTokens: 1024, requestsPerMinute: null } as const satisfies Omit<JudgeOptions, 'cache'>

const cached = z.object({
  /** SHA-256 of model and prompt. */
  key: z.string(),
  model: z.string(),
  prompt: z.string(),
  /** That the reply could take. */
  maxTokens: z.number(),
  reply: z.string(),
  verdict: z.object({ outcome: z.enum(['right', 'wrong', 'undecided']), credit: z.number(), given: z.string().nullable(), rule: z.string() }),
})

export class Judge implements AsyncDisposable {
  /** For the record: the server's address with the model's name. */
  readonly name: string
  readonly #server: Server
  readonly #options: JudgeOptions
  readonly #waiting: Waiting
  readonly #slots: Slots
  readonly #known: Map<string, Judgement & { readonly maxTokens: number }>
  readonly #file: Appender
  /** Requests under way, so that two equal questions make one. */
  readonly #running = new Map<string, Promise<Judgement>>()
  readonly #counts = { asked: 0, cached: 0, undecided: 0 }
  /** With what the server failed for good; then those who still wait for their turn need not learn it one by one. */
  #failure: ServerError | null = null
  /** Before this time no further request may go out. */
  #nextAt = 0

  /** For `openJudge`. */
  constructor(server: Server, options: JudgeOptions, waiting: Waiting) {
    const { cache, maxTokens, requestsPerMinute: rate } = options
    if (!(Number.isInteger(maxTokens) && maxTokens > 0))
      throw new ArgumentError(`maxTokens of a judge is ${maxTokens}; expected an integer from 1 up`)
    if (rate !== null && !(rate > 0)) throw new ArgumentError(`requestsPerMinute is ${rate}; expected above 0, or null for no bound`)
    this.name = `${server.url} ${server.model}`
    this.#server = server
    this.#options = options
    this.#waiting = waiting
    this.#slots = new Slots(server.concurrency)
    mkdirSync(dirname(cache), { recursive: true })
    this.#file = new Appender(cache)
    try {
      cutBrokenTail(cache)
      this.#known = new Map(readLines(cache, cached).map(({ value }) => [value.key, value]))
    } catch (error) {
      this.#file[Symbol.dispose]()
      throw error
    }
  }

  /** Requests that were sent, verdicts that the cache had, and verdicts that left it undecided (of both). */
  get counts(): { readonly asked: number; readonly cached: number; readonly undecided: number } {
    return { ...this.#counts }
  }

  /**
   * Judges an answer. A reply that cannot be read leaves it undecided, and is asked for again only where it may take more tokens than it could.
   * @throws ServerError if the server fails for good, from then on at once for all that the cache lacks; the signal's reason once it is aborted. What was judged before stays in the cache
   */
  async judge(asked: Asked, signal: AbortSignal): Promise<Judgement> {
    const prompt = promptOf(asked)
    const key = createHash('sha256')
      .update(JSON.stringify([this.#server.model, prompt]))
      .digest('hex')
    const judgement = await this.#of(key, prompt, asked, signal)
    if (judgement.verdict.outcome === 'undecided') this.#counts.undecided++
    const { verdict, reply } = judgement
    return { verdict, prompt, reply }
  }

  async #of(key: string, prompt: string, asked: Asked, signal: AbortSignal): Promise<Judgement> {
    const before = this.#known.get(key)
    // What could not be read may only have been cut short.
    const enough = before !== undefined && (before.verdict.outcome !== 'undecided' || before.maxTokens >= this.#options.maxTokens)
    const known = enough ? before : this.#running.get(key)
    if (known !== undefined) {
      this.#counts.cached++
      return await known
    }
    const running = this.#ask(key, prompt, asked, signal)
    this.#running.set(key, running)
    try {
      return await running
    } finally {
      this.#running.delete(key)
    }
  }

  async #ask(key: string, prompt: string, { expected, given }: Asked, signal: AbortSignal): Promise<Judgement> {
    using _slot = await this.#slots.take(signal)
    if (this.#failure !== null) throw this.#failure
    await this.#rest(signal)
    this.#counts.asked++
    const { maxTokens } = this.#options
    const message = { role: 'user', content: prompt } as const
    const fixed = { prefill: '', n: 1, seed: null, temperature: 0, topP: 1, topK: null, logprobs: false, extra: {} } as const
    const reply = await this.#reply({ messages: [message], ...fixed, maxTokens }, signal)
    const judgement = { verdict: verdictOf(reply, expected.kind, given), prompt, maxTokens, reply }
    this.#file.add({ key, model: this.#server.model, ...judgement })
    this.#known.set(key, judgement)
    return judgement
  }

  async #reply(request: ChatRequest, signal: AbortSignal): Promise<string> {
    try {
      const [choice] = await this.#server.chat(request, signal)
      return choice?.text ?? ''
    } catch (error) {
      if (error instanceof ServerError) this.#failure ??= error
      throw error
    }
  }

  /** Waits until a further request may go out, and takes its place in the row. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { requestsPerMinute: rate } = this.#options
    if (rate === null) return
    const now = this.#waiting.now()
    const at = Math.max(now, this.#nextAt)
    this.#nextAt = at + 60_000 / rate
    if (at > now) await this.#waiting.sleep(at - now, signal)
  }

  /** Closes the cache and the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#file[Symbol.dispose]()
    await this.#server[Symbol.asyncDispose]()
  }
}

/**
 * Opens a judge with its cache. A last line that a kill left unfinished is cut off, and asked for again.
 * @throws FileFormatError for a cache that something else wrote; StorageError if it cannot be written
 */
export function openJudge(server: Server, options: Pick<JudgeOptions, 'cache'> & Partial<JudgeOptions>, waiting: Waiting = realWaiting): Judge {
  return new Judge(server, { ...judgeDefaults, ...options }, waiting)
}
