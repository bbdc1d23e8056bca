// The part of the OpenAI chat protocol that we speak: what a request looks like, and what of a reply can be trusted.
//
// Sources: the OpenAI API reference (chat completions), and vLLM's OpenAI-compatible server for top_k, add_generation_prompt and
// continue_final_message.

import * as z from 'zod'
import { dataUri, type ServedImage } from './images.ts'

/** A piece of a message. */
export type ServedPart = { readonly type: 'text'; readonly text: string } | { readonly type: 'image'; readonly image: ServedImage }

export interface ServedMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string | readonly ServedPart[]
}

/** A request for answers to one conversation. */
export interface ChatRequest {
  readonly messages: readonly ServedMessage[]
  /** What the answer begins with; the server continues it. Empty for none. Plain OpenAI servers do not know this; vLLM and SGLang do. */
  readonly prefill: string
  /** How many answers. vLLM seeds them with `seed`, `seed + 1`, … */
  readonly n: number
  /** Null leaves it to the server. */
  readonly seed: number | null
  readonly temperature: number
  readonly topP: number
  /** Null is not sent, which leaves it to the server. */
  readonly topK: number | null
  readonly maxTokens: number
  /** Whether the log-probabilities of the answers' tokens are wanted. */
  readonly logprobs: boolean
  /** Further fields of the body, as the server calls them. Those above go before them. */
  readonly extra: Readonly<Record<string, unknown>>
}

/** One answer of a server. */
export interface Choice {
  readonly text: string
  /** Why it ended, in the server's word: mostly `stop` or `length`. */
  readonly finish: string
  /** Tokens written, the one that ends it included; null where the server does not say. */
  readonly tokens: number | null
  /** Sum of its tokens' log-probabilities in nats; null where the server does not give them. */
  readonly logprob: number | null
  /** Thoughts that the server took out of the text; null where it has none. */
  readonly reasoning: string | null
}

/** The JSON body of a request. @throws FileFormatError for an image that cannot be read */
export async function bodyOf(request: ChatRequest, model: string): Promise<Record<string, unknown>> {
  const messages = await Promise.all(request.messages.map(async ({ role, content }) => ({ role, content: await contentOf(content) })))
  return {
    ...request.extra,
    model,
    messages: request.prefill === '' ? messages : [...messages, { role: 'assistant', content: request.prefill }],
    ...(request.prefill === '' ? {} : { add_generation_prompt: false, continue_final_message: true }),
    n: request.n,
    ...(request.seed === null ? {} : { seed: request.seed }),
    temperature: request.temperature,
    top_p: request.topP,
    ...(request.topK === null ? {} : { top_k: request.topK }),
    max_tokens: request.maxTokens,
    ...(request.logprobs ? { logprobs: true } : {}),
  }
}

async function contentOf(content: ServedMessage['content']): Promise<unknown> {
  if (typeof content === 'string') return content
  // Text alone goes as a string: chat templates of text models take no parts.
  if (content.every((part) => part.type === 'text')) return content.map(({ text }) => text).join('')
  return await Promise.all(
    content.map(async (part) => (part.type === 'text' ? part : { type: 'image_url', image_url: { url: await dataUri(part.image) } })),
  )
}

/** A reply that cannot be used, in words that follow "status 200, but". */
export interface Fault {
  readonly fault: string
}

const reply = z.object({
  choices: z.array(
    z.object({
      index: z.int().min(0).nullish(),
      message: z.object({ content: z.string().nullish(), reasoning_content: z.string().nullish(), reasoning: z.string().nullish() }),
      finish_reason: z.string(),
      logprobs: z.object({ content: z.array(z.object({ logprob: z.number() })).nullish() }).nullish(),
    }),
  ),
  usage: z.object({ completion_tokens: z.int().min(0).nullish() }).nullish(),
})
type Replied = z.output<typeof reply>['choices'][number]

/** Reads `n` answers, in the order of their indices. */
export function readReply(text: string, n: number): { readonly choices: readonly Choice[] } | Fault {
  const parsed = readJson(text, reply)
  if ('fault' in parsed) return parsed
  const { choices, usage } = parsed.value
  if (choices.length !== n) return { fault: `it has ${choices.length} choices; expected ${n}` }
  const ordered = inOrder(choices)
  if (ordered === null)
    return { fault: `the indices of its choices are ${choices.map(({ index }) => index ?? 'missing').join(', ')}; expected 0 to ${n - 1}` }
  const written = usage?.completion_tokens ?? null
  const read = ordered.map((choice) => readChoice(choice, n === 1 ? written : null, written !== null && written >= n))
  const fault = read.find((each) => 'fault' in each)
  return fault ?? { choices: read.flatMap((each) => ('fault' in each ? [] : [each])) }
}

/** By their indices if these are 0 to n - 1; as they come if none has one; else null. */
function inOrder(choices: readonly Replied[]): readonly Replied[] | null {
  if (choices.every(({ index }) => index === undefined || index === null)) return choices
  const ordered = choices.toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1))
  return ordered.every(({ index }, i) => index === i) ? ordered : null
}

/** @param wrote whether the server says that it wrote tokens for every answer */
function readChoice({ message, finish_reason: finish, logprobs }: Replied, tokens: number | null, wrote: boolean): Choice | Fault {
  const reasoning = message.reasoning_content || message.reasoning || null
  const text = message.content ?? null
  // How vLLM calls requests that it gave up itself.
  if (finish === 'abort' || finish === 'error') return { fault: `it ended an answer with finish_reason ${JSON.stringify(finish)}` }
  // Refusals, tool calls and thoughts that ran out of tokens have no text; what they mean is the caller's to say.
  if ((finish === 'stop' || finish === 'length') && reasoning === null) {
    if (text === null) return { fault: 'an answer has no content' }
    // A model may end at once, and its end is a token; a server that wrote none did not ask the model.
    if (text === '' && !wrote) return { fault: 'an answer is empty, and the server does not say that it wrote a token' }
  }
  const each = logprobs?.content ?? null
  return {
    ...{ text: text ?? '', finish, reasoning },
    tokens: each?.length ?? tokens,
    logprob: each?.reduce((sum, { logprob }) => sum + logprob, 0) ?? null,
  }
}

const models = z.object({ data: z.array(z.object({ id: z.string().min(1) })) })

/** The names of the models of GET /models. */
export function readModels(text: string): { readonly names: readonly string[] } | Fault {
  const parsed = readJson(text, models)
  return 'fault' in parsed ? parsed : { names: parsed.value.data.map(({ id }) => id) }
}

function readJson<S extends z.ZodType>(text: string, schema: S): { readonly value: z.output<S> } | Fault {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    // Without the parser's message, which shows some of the text: what is shown of it goes through `excerpt`.
    return { fault: `its body of ${text.length} characters is no JSON` }
  }
  const { success, data, error } = schema.safeParse(value)
  if (success) return { value: data }
  const [issue] = error.issues
  return { fault: `its JSON does not fit: ${issue?.path.join('.') || 'the whole'}: ${issue?.message}` }
}

const complaint = z.union([
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
  z.object({ error: z.string() }).transform(({ error }) => error),
  z.object({ message: z.string() }).transform(({ message }) => message),
  z.object({ detail: z.string() }).transform(({ detail }) => detail),
])

/** What the server says of an error: its message where it has the usual form, else the whole text. */
export function complaintOf(text: string): string {
  const parsed = readJson(text, complaint)
  return 'fault' in parsed ? text : parsed.value
}
