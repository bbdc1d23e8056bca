// A server that speaks the OpenAI chat protocol as vLLM does, answers with a function of the test, and fails where it is told to.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** A request as the server understood it, once for each answer that is wanted. */
export interface ChatAsked {
  /** From 0, in the order in which requests came; the same for all answers of one request. */
  readonly nth: number
  /** The parsed body. */
  readonly body: Readonly<Record<string, unknown>>
  readonly system: string | null
  /** Texts of the user's turn, joined, with `<image>` where an image stands. */
  readonly user: string
  readonly images: readonly Buffer[]
  readonly prefill: string
  /** As vLLM seeds the answers of one request: `seed + choice`. */
  readonly seed: number | null
  /** Which of the answers of the request, from 0. */
  readonly choice: number
}

export type FakeAnswer =
  | string
  | {
      readonly text: string | null
      readonly finish?: string
      readonly tokens?: number
      readonly logprobs?: readonly number[]
      readonly reasoning?: string
    }

/** What goes wrong with a request. */
export type Fault =
  /** The socket is destroyed: before anything is sent, after the headers, or in the middle of the body. */
  | { readonly kind: 'drop'; readonly at: 'start' | 'headers' | 'body' }
  /** Nothing more is sent, from the start or from the middle of the body on. */
  | { readonly kind: 'stall'; readonly at: 'start' | 'body' }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** The body ends in its middle, with a length that fits. */
  | { readonly kind: 'truncate' }
  /** The reply has another number of choices. */
  | { readonly kind: 'count'; readonly choices: number }
  /** Another body with status 200. */
  | { readonly kind: 'body'; readonly body: string; readonly type?: string }
  | { readonly kind: 'slow'; readonly ms: number }

export interface FakeOptions {
  readonly answer: (asked: ChatAsked) => FakeAnswer | Promise<FakeAnswer>
  /** The fault of request number `nth`, from 0; null for none. */
  readonly faults?: (nth: number) => Fault | null
  /** Of GET /v1/models. */
  readonly models?: readonly string[]
  /** With one, requests without it get 401. */
  readonly apiKey?: string
  /** 0 for a free one. */
  readonly port?: number
}

export interface FakeServer extends AsyncDisposable {
  /** Without /v1. */
  readonly url: string
  /** The bodies of all chat requests so far. */
  readonly requests: readonly Readonly<Record<string, unknown>>[]
  /** The most chat requests that were under way at once. */
  readonly peak: number
  /** Ends it with all its connections, as a kill does. */
  close(): Promise<void>
}

type Part = { readonly type: string; readonly text?: string; readonly image_url?: { readonly url: string } }
type Message = { readonly role: string; readonly content: string | readonly Part[] }

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** What vLLM says of a request that it does not take; null if it takes it. */
function complaintOf(
  body: Readonly<Record<string, unknown>>,
  models: readonly string[],
): { readonly status: number; readonly message: string } | null {
  const messages = body['messages'] as readonly Message[]
  if (!models.includes(body['model'] as string)) return { status: 404, message: `The model \`${body['model']}\` does not exist.` }
  const continued = body['continue_final_message'] === true
  if (continued && body['add_generation_prompt'] !== false) {
    return { status: 400, message: 'Cannot set both `continue_final_message` and `add_generation_prompt` to True.' }
  }
  if (continued !== (messages.at(-1)?.role === 'assistant')) return { status: 400, message: 'the last message is not one to continue' }
  return null
}

function askedOf(body: Readonly<Record<string, unknown>>, nth: number, choice: number): ChatAsked {
  const messages = body['messages'] as readonly Message[]
  const content = messages.find(({ role }) => role === 'user')?.content ?? ''
  const parts: readonly Part[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  const textOf = (role: string): string | null => (messages.find((each) => each.role === role)?.content as string | undefined) ?? null
  const seed = body['seed'] as number | undefined
  return {
    ...{ nth, body, choice },
    system: textOf('system'),
    user: parts.map((part) => (part.type === 'text' ? (part.text ?? '') : '<image>')).join(''),
    images: parts.flatMap(({ image_url: image }) => (image === undefined ? [] : [Buffer.from(image.url.split(',')[1] ?? '', 'base64')])),
    prefill: textOf('assistant') ?? '',
    seed: seed === undefined ? null : seed + choice,
  }
}

function completionOf(body: Readonly<Record<string, unknown>>, answers: readonly FakeAnswer[]): unknown {
  const full = answers.map((answer) => (typeof answer === 'string' ? { text: answer } : answer))
  // A word a token, and one for the end.
  const tokensOf = (answer: (typeof full)[number]): number => answer.tokens ?? (answer.text ?? '').split(/\s+/).filter(Boolean).length + 1
  return {
    id: 'chatcmpl-0',
    object: 'chat.completion',
    created: 0,
    model: body['model'],
    choices: full.map((answer, index) => ({
      index,
      message: { role: 'assistant', content: answer.text, ...(answer.reasoning === undefined ? {} : { reasoning_content: answer.reasoning }) },
      logprobs: body['logprobs'] === true ? { content: (answer.logprobs ?? []).map((logprob) => ({ token: 'x', logprob, top_logprobs: [] })) } : null,
      finish_reason: answer.finish ?? 'stop',
    })),
    usage: { prompt_tokens: 1, total_tokens: 1, completion_tokens: full.reduce((sum, answer) => sum + tokensOf(answer), 0) },
  }
}

function send(response: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...headers }).end(body)
}

const errorBody = (message: string, code: number): string => JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code } })

/** Sends a reply as the fault has it. */
async function deliver(response: ServerResponse, body: string, fault: Fault | null): Promise<void> {
  const half = body.slice(0, Math.ceil(body.length / 2))
  const begin = (text: string): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) })
    response.flushHeaders()
    if (text !== '') response.write(text)
  }
  if (fault === null) return send(response, 200, body)
  switch (fault.kind) {
    case 'drop':
      if (fault.at !== 'start') begin(fault.at === 'body' ? half : '')
      // What was written must be on its way first.
      if (fault.at !== 'start') await delay(5)
      response.destroy()
      return
    case 'stall':
      if (fault.at === 'body') begin(half)
      return
    case 'status':
      return send(response, fault.status, fault.body ?? errorBody(`status ${fault.status} on purpose`, fault.status), fault.headers)
    case 'truncate':
      return send(response, 200, half)
    case 'body':
      return send(response, 200, fault.body, { 'content-type': fault.type ?? 'application/json' })
    case 'slow':
      await delay(fault.ms)
      return send(response, 200, body)
    case 'count':
      return send(response, 200, body)
  }
}

/** Starts a server on this machine. */
export async function startFakeServer({ answer, faults = () => null, models = ['fake'], apiKey, port = 0 }: FakeOptions): Promise<FakeServer> {
  const requests: Readonly<Record<string, unknown>>[] = []
  let running = 0
  let peak = 0
  let closed = false

  async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await bodyOf(request)) as Readonly<Record<string, unknown>>
    const nth = requests.push(body) - 1
    const complaint = complaintOf(body, models)
    if (complaint !== null) return send(response, complaint.status, errorBody(complaint.message, complaint.status))
    const fault = faults(nth)
    // Those that never read what is written need not write it.
    if (fault?.kind === 'status' || fault?.kind === 'body') return await deliver(response, '', fault)
    const count = fault?.kind === 'count' ? fault.choices : ((body['n'] as number | undefined) ?? 1)
    const answers = await Promise.all(Array.from({ length: count }, async (_, choice) => await answer(askedOf(body, nth, choice))))
    if (!closed) await deliver(response, JSON.stringify(completionOf(body, answers)), fault)
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      return send(response, 401, errorBody(`Incorrect API key provided: ${request.headers.authorization ?? 'none'}`, 401))
    }
    if (request.method === 'GET' && request.url === '/v1/models') {
      return send(response, 200, JSON.stringify({ object: 'list', data: models.map((id) => ({ id, object: 'model', owned_by: 'vllm' })) }))
    }
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions') return send(response, 404, JSON.stringify({ detail: 'Not Found' }))
    running++
    peak = Math.max(peak, running)
    response.once('close', () => running--)
    await chat(request, response)
  }

  const server = createServer((request, response) => {
    // A test's function that throws is seen as a status that no fault has.
    serve(request, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, 418, errorBody(`the test's own function failed: ${error}`, 418))
      else response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    const ended = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await ended
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    get peak() {
      return peak
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
