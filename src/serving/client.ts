// A client of any server that speaks the OpenAI chat protocol: bounded, patient with faults that pass, clear about those that do not.

import { ArgumentError } from '../errors.ts'
import { type Exchange, type HttpReply, openHttp } from './http.ts'
import { bodyOf, type ChatRequest, type Choice, complaintOf, type Fault, readModels, readReply } from './protocol.ts'
import { excerpt, ServerError } from './server-error.ts'
import { askedPause, type Backoff, pauseAfter, realWaiting, Slots, type Waiting } from './waiting.ts'

export interface ServerOptions {
  /** Where it is, with or without /v1: http://127.0.0.1:8000 and https://example.org/openai/v1 are both fine. */
  readonly url: string
  /** As the server names it; null for its only one. */
  readonly model: string | null
  /** Null for a server that asks for none. It is sent to this server only and never shown. */
  readonly apiKey: string | null
  /** Requests at once. */
  readonly concurrency: number
  /** For one try of a request, until its reply is there to the end. */
  readonly timeoutMs: number
  /** Further tries after the first. */
  readonly retries: number
  readonly backoff: Backoff
}

export const serverDefaults = {
  model: null,
  apiKey: null,
  concurrency: 32,
  timeoutMs: 600_000,
  retries: 6,
  backoff: { firstMs: 1000, longestMs: 60_000 },
} as const satisfies Omit<ServerOptions, 'url'>

/** A server that asks for a longer pause is left: who waits that long would rather resume later. */
const longestAskedMs = 600_000

/** What setTimeout can wait. */
const longestTimerMs = 2 ** 31 - 1

/** Statuses below 500 after which a further try may do: timeout, conflict, too early, too many requests. */
const passingStatuses: readonly number[] = [408, 409, 425, 429]
/** Statuses from 500 that say that the server will never do this. */
const lastingStatuses: readonly number[] = [501, 505]

const advice: { readonly [status: number]: string } = {
  400: 'the server does not take this request; see what it says, and what its version and its length of context allow',
  401: 'give the API key of this server',
  403: 'see what this API key may use',
  404: "see that the address and the model's name are right: GET /models lists the names",
  413: 'the request is too large: make images smaller, or raise the limit of the server',
  422: 'the server does not take this request; see what it says',
  429: 'ask for fewer at once (concurrency), or later',
}

/** A failed try. */
interface Failure {
  readonly status: number | null
  readonly what: string
  readonly todo: string
  readonly passing: boolean
  /** The pause that the server asks for, in milliseconds. */
  readonly askedMs: number | null
  readonly cause: unknown
}

/** The reason with which a try is stopped whose time is over; never thrown to callers. */
class TimeOver extends Error {}

/** A server with one of its models. */
export class Server implements AsyncDisposable {
  /** Its address up to /v1, without a slash at the end. */
  readonly url: string
  readonly model: string
  readonly concurrency: number
  readonly #calls: Calls

  /** For `openServer`. */
  constructor(calls: Calls, model: string) {
    this.url = calls.base
    this.model = model
    this.concurrency = calls.options.concurrency
    this.#calls = calls
  }

  /**
   * The `n` answers to a conversation. It waits for its turn, and tries again after faults that pass: no connection, timeouts, statuses 408,
   * 409, 425, 429 and 5xx, replies that are cut or do not fit the protocol.
   *
   * @throws ServerError for a refusal at once, for other faults after the last try; the signal's reason as soon as it is aborted; FileFormatError
   * for an image that cannot be read
   */
  async chat(request: ChatRequest, signal: AbortSignal): Promise<readonly Choice[]> {
    if (!Number.isInteger(request.n) || request.n < 1) throw new ArgumentError(`n is ${request.n}; expected a whole number from 1`)
    const read = (text: string): { readonly choices: readonly Choice[] } | Fault => readReply(text, request.n)
    const body = async (): Promise<string> => JSON.stringify(await bodyOf(request, this.model))
    return (await this.#calls.call('POST', '/chat/completions', body, read, signal)).choices
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#calls.close()
  }
}

/**
 * Opens a server. With `model: null` it is asked for its models, of which there must be one.
 *
 * @param waiting clock, chance and sleep
 * @throws ArgumentError for options that cannot be; ServerError if the server must be asked and does not answer
 */
export async function openServer(
  options: ServerOptions,
  signal: AbortSignal = new AbortController().signal,
  waiting: Waiting = realWaiting,
): Promise<Server> {
  const calls = new Calls(options, waiting)
  try {
    return new Server(calls, options.model ?? (await onlyModel(calls, signal)))
  } catch (error) {
    calls.close()
    throw error
  }
}

async function onlyModel(calls: Calls, signal: AbortSignal): Promise<string> {
  const { names } = await calls.call('GET', '/models', async () => '', readModels, signal)
  const [name, ...others] = names
  if (name === undefined) throw new ServerError(`${calls.base}: the server lists no model; load one, or name the model`, 200)
  if (others.length === 0) return name
  const listed = names.slice(0, 20).join(', ')
  throw new ServerError(`${calls.base}: the server has ${names.length} models; say which one: ${listed}${names.length > 20 ? ', …' : ''}`, 200)
}

/** The address up to the version. @throws ArgumentError if it is none */
export function baseOf(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null
  const said = url?.username || url?.password ? 'a URL with a name or password' : given
  if (url === null || !/^https?:$/.test(url.protocol)) throw new ArgumentError(`${said}: expected the address of a server, as http://HOST:PORT`)
  // What is in an address ends up in records.
  if (url.username !== '' || url.password !== '')
    throw new ArgumentError('the address of the server holds a name or password; give it as the API key')
  if (url.search !== '' || url.hash !== '') throw new ArgumentError(`${url.origin}${url.pathname}: the address of a server takes no ? and #`)
  const path = url.pathname.replace(/\/+$/, '').replace(/\/(chat\/completions|models)$/, '')
  const hasVersion = path.split('/').some((part) => /^v\d/.test(part))
  return `${url.origin}${path}${hasVersion ? '' : '/v1'}`
}

function check({ apiKey, concurrency, timeoutMs, retries, backoff }: ServerOptions): void {
  const whole = (name: string, value: number, least: number): void => {
    if (!Number.isInteger(value) || value < least) throw new ArgumentError(`${name} is ${value}; expected a whole number from ${least}`)
  }
  whole('concurrency', concurrency, 1)
  whole('retries', retries, 0)
  if (!(timeoutMs > 0 && timeoutMs <= longestTimerMs)) throw new ArgumentError(`timeoutMs is ${timeoutMs}; expected above 0 up to ${longestTimerMs}`)
  const { firstMs, longestMs } = backoff
  if (!(firstMs >= 0 && longestMs >= firstMs && longestMs <= longestTimerMs)) {
    throw new ArgumentError(`backoff goes from ${firstMs} to ${longestMs} ms; expected 0 ≤ firstMs ≤ longestMs ≤ ${longestTimerMs}`)
  }
  if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new ArgumentError('the API key is empty, or has spaces, line ends or other signs that no key has')
}

/** Requests to one server, with slots and tries. */
class Calls {
  readonly base: string
  readonly options: ServerOptions
  readonly close: () => void
  readonly #waiting: Waiting
  readonly #slots: Slots
  readonly #exchange: Exchange

  constructor(options: ServerOptions, waiting: Waiting) {
    check(options)
    this.base = baseOf(options.url)
    this.options = options
    this.#waiting = waiting
    this.#slots = new Slots(options.concurrency)
    const http = openHttp(this.base.startsWith('https:'))
    this.#exchange = http.exchange
    this.close = http.close
  }

  /** @param read makes of the text of a reply what is wanted of it */
  async call<T extends object>(
    method: 'GET' | 'POST',
    path: string,
    body: () => Promise<string>,
    read: (text: string) => T | Fault,
    signal: AbortSignal,
  ): Promise<T> {
    // The slot is kept through the pauses: a server that is too busy is not sent others in the meantime.
    using _slot = await this.#slots.take(signal)
    const { retries, backoff, apiKey } = this.options
    const url = new URL(`${this.base}${path}`)
    const headers = {
      accept: 'application/json',
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
    }
    const request = { method, url, headers, body: await body() }
    for (let failures = 1; ; failures++) {
      const result = await this.#attempt(() => this.#timed((inTime) => this.#exchange(request, inTime), signal), read, signal)
      if ('value' in result) return result.value
      const asked = result.askedMs ?? 0
      if (!result.passing || failures > retries || asked > longestAskedMs) throw this.#error(`${method} ${url}`, result, failures)
      // Those who are told the same pause must not come back in the same moment.
      const pause = asked > 0 ? asked + pauseAfter(1, backoff, this.#waiting.random) : pauseAfter(failures, backoff, this.#waiting.random)
      await this.#waiting.sleep(pause, signal)
    }
  }

  async #timed<T>(body: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    const controller = new AbortController()
    const stop = (): void => controller.abort(signal.reason)
    const timer = setTimeout(() => controller.abort(new TimeOver()), this.options.timeoutMs)
    signal.addEventListener('abort', stop, { once: true })
    try {
      return await body(controller.signal)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
  }

  async #attempt<T extends object>(
    send: () => Promise<HttpReply>,
    read: (text: string) => T | Fault,
    signal: AbortSignal,
  ): Promise<{ readonly value: T } | Failure> {
    let reply: HttpReply
    try {
      reply = await send()
    } catch (error) {
      if (signal.aborted) throw signal.reason
      return this.#lost(error)
    }
    const { status, body } = reply
    if (status < 200 || status > 299) return this.#refused(reply)
    const value = read(body)
    if (!('fault' in value)) return { value }
    const said = excerpt(complaintOf(body), this.options.apiKey)
    return {
      ...{ status, askedMs: null, passing: true, cause: undefined },
      what: `status ${status}, but ${value.fault}${said === '' ? '' : `; the reply is ${said}`}`,
      todo: 'see that the address is that of an OpenAI-compatible server, and its log',
    }
  }

  #lost(error: unknown): Failure {
    const common = { status: null, passing: true, askedMs: null, cause: error }
    if (error instanceof TimeOver) {
      const what = `no whole reply within ${this.options.timeoutMs / 1000} s`
      return { ...common, what, todo: 'see whether the server hangs; allow more time (timeoutMs) or ask for fewer at once (concurrency)' }
    }
    const { code, message } = error as NodeJS.ErrnoException
    // Where a name has several addresses, the message of the whole is empty.
    return {
      ...common,
      what: `the connection failed (${code ?? excerpt(message, this.options.apiKey)})`,
      todo: 'see that the server runs and that its address is right',
    }
  }

  #refused({ status, headers, body }: HttpReply): Failure {
    const said = excerpt(complaintOf(body), this.options.apiKey)
    const { location } = headers
    const moved = status >= 300 && status < 400 && location !== undefined
    return {
      ...{ status, cause: undefined },
      what: `status ${status}${said === '' ? '' : `: ${said}`}`,
      todo: moved ? `the server is at ${excerpt(location, this.options.apiKey)}; give that address` : (advice[status] ?? "see the server's log"),
      passing: passingStatuses.includes(status) || (status >= 500 && !lastingStatuses.includes(status)),
      askedMs: askedPause(headers['retry-after'], this.#waiting.now()),
    }
  }

  #error(request: string, { status, what, todo, passing, askedMs, cause }: Failure, tries: number): ServerError {
    const long = passing && askedMs !== null && askedMs > longestAskedMs ? `; it asks for a pause of ${Math.round(askedMs / 1000)} s` : ''
    return new ServerError(`${request}: ${what}${long}${tries > 1 ? `, on the last of ${tries} tries` : ''}; ${todo}`, status, cause)
  }
}
