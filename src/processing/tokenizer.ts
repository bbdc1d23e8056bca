// Text ↔ token ids of a checkpoint's byte-level BPE tokenizer, with the exact place of every token in the text.

import { join } from 'node:path'
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { Fields } from '../fields.ts'
import { byteCharacters, characterAt, TextStream, tokenBytes } from './byte-level.ts'

/** What we use of the library; its own declarations do not resolve under Node's module rules. */
interface Encoder {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly number[] }
  token_to_id(token: string): number | undefined
  readonly normalizer: ((text: string) => string) | null
  readonly pre_tokenizer: (text: string) => readonly string[]
  readonly model: (pieces: readonly string[]) => readonly string[]
}

/** Start and end (exclusive) in UTF-16 units. */
export type Span = readonly [start: number, end: number]

interface Entry {
  readonly bytes: Uint8Array
  readonly special: boolean
}

const nothing: Entry = { bytes: new Uint8Array(0), special: false }

/**
 * A tokenizer in the format of Hugging Face's tokenizer.json, of the byte-level BPE kind (GPT-2, Qwen, Llama 3 …).
 *
 * Ids that the vocabulary does not have (models pad theirs) decode to nothing, as with Hugging Face's library. Splitting follows the
 * Unicode version of Node; Hugging Face's Rust library has its own, so characters new in Unicode 17 may split differently there.
 */
export class Tokenizer {
  /** One more than the highest id that has a token. A model's vocabulary may be padded beyond. */
  readonly vocabularySize: number
  /** The named special tokens of tokenizer_config.json, such as eos_token, for chat templates. */
  readonly namedTokens: Readonly<Record<string, string>>
  readonly #library: Encoder
  readonly #entries: readonly (Entry | undefined)[]

  private constructor(library: Encoder, entries: readonly (Entry | undefined)[], namedTokens: Readonly<Record<string, string>>) {
    this.#library = library
    this.#entries = entries
    this.vocabularySize = entries.length
    this.namedTokens = namedTokens
  }

  /**
   * Reads tokenizer.json, and tokenizer_config.json if it is there, in a checkpoint's folder.
   * @throws FileFormatError if a file is missing or damaged, or the tokenizer is not byte-level BPE
   */
  static async open(folder: string): Promise<Tokenizer> {
    const path = join(folder, 'tokenizer.json')
    const fields = Fields.ofFile(path)
    const config = Fields.ofFileIfThere(join(folder, 'tokenizer_config.json')) ?? new Fields(path, {})
    const vocabulary = byteLevelVocabulary(fields)
    const added = addedTokens(fields, config)
    const entries: (Entry | undefined)[] = []
    for (const token of Object.keys(vocabulary.values))
      entries[vocabulary.id(token, highestId)] = { bytes: tokenBytes(token) ?? new TextEncoder().encode(token), special: false }
    for (const { id, content, special } of added) entries[id] = { bytes: new TextEncoder().encode(content), special }
    try {
      const library: Encoder = new Library({ ...fields.values, added_tokens: added }, config.values)
      return new Tokenizer(library, entries, namedTokens(config))
    } catch (error) {
      throw new FileFormatError(`${path}: the tokenizer cannot be built: ${(error as Error).message}`, { cause: error })
    }
  }

  /**
   * The ids of a text; nothing is added around it.
   * @param options.special what a special or added token written in the text becomes: its id (`recognise`, as Hugging Face does, the
   *   default), or ordinary tokens that spell it (`asText`: text of strangers cannot inject control tokens)
   */
  encode(text: string, options: { readonly special?: 'recognise' | 'asText' } = {}): Int32Array {
    const { special = 'recognise' } = options
    const library = this.#library
    if (special === 'recognise') return Int32Array.from(library.encode(text, { add_special_tokens: false }).ids)
    const normalised = library.normalizer?.(text) ?? text
    return Int32Array.from(library.model(library.pre_tokenizer(normalised)), (token) => this.idOf(token))
  }

  /** The text of ids; invalid UTF-8 becomes U+FFFD. `skipSpecial` leaves out special tokens (not other added ones). */
  decode(ids: ArrayLike<number>, options: { readonly skipSpecial?: boolean } = {}): string {
    const kept = options.skipSpecial ? Array.from(ids).filter((id) => !this.isSpecial(id)) : ids
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#bytes(kept))
  }

  /** The bytes that a token stands for; none for ids that the vocabulary does not have. @throws ArgumentError if `id` is no id at all */
  bytesOf(id: number): Uint8Array {
    return this.#entry(id).bytes.slice()
  }

  /**
   * The text of ids, and where in it each token lies. A span starts with the character that holds the token's first byte and ends with the
   * one that holds its last, so tokens that share a character overlap there. A run of invalid bytes that decodes to one U+FFFD counts as a
   * character. Tokens without bytes have an empty span.
   */
  offsets(ids: ArrayLike<number>): { readonly text: string; readonly spans: readonly Span[] } {
    const bytes = this.#bytes(ids)
    // UTF-16 units before the character of each byte, and after it.
    const starts = new Int32Array(bytes.length + 1)
    const ends = new Int32Array(bytes.length)
    let text = ''
    for (let at = 0; at < bytes.length; ) {
      const { length, code } = characterAt(bytes, at)
      const start = text.length
      text += String.fromCodePoint(code)
      starts.fill(start, at, at + length)
      ends.fill(text.length, at, at + length)
      at += length
    }
    starts[bytes.length] = text.length
    let at = 0
    const spans = Array.from(ids, (id): Span => {
      const start = starts[at] as number
      at += this.#entry(id).bytes.length
      return [start, Math.max(start, this.#entry(id).bytes.length === 0 ? start : (ends[at - 1] as number))]
    })
    return { text, spans }
  }

  /** A decoder for ids that arrive one by one: `push(id)` gives the text that is certain by now, `end()` the rest. */
  textStream(): { push(id: number): string; end(): string } {
    const stream = new TextStream()
    return { push: (id) => stream.push(this.#entry(id).bytes), end: () => stream.end() }
  }

  /** The id of a token as the vocabulary writes it. @throws ArgumentError if there is none */
  idOf(token: string): number {
    const id = this.#library.token_to_id(token)
    if (id === undefined) throw new ArgumentError(`the tokenizer has no token ${JSON.stringify(token)}`)
    return id
  }

  /** Whether the id is of a special (control) token. */
  isSpecial(id: number): boolean {
    return this.#entry(id).special
  }

  #entry(id: number): Entry {
    if (!Number.isSafeInteger(id) || id < 0) throw new ArgumentError(`a token id must be an integer from 0, got ${id}`)
    return this.#entries[id] ?? nothing
  }

  #bytes(ids: ArrayLike<number>): Uint8Array {
    const parts = Array.from(ids, (id) => this.#entry(id).bytes)
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }
}

/** A table of all ids must fit in memory whatever a file says. */
const highestId = 2 ** 24 - 1

/** The model's vocabulary, after checking that this is byte-level BPE. */
function byteLevelVocabulary(fields: Fields): Fields {
  const model = fields.part('model')
  if (model.values['type'] !== 'BPE') throw model.wrong('type', 'BPE: only byte-level BPE is supported')
  for (const role of ['pre_tokenizer', 'decoder'])
    if (!mentions(fields.values[role], 'ByteLevel')) throw fields.wrong(role, 'ByteLevel in it: only byte-level BPE is supported')
  const vocabulary = model.part('vocab')
  const missing = byteCharacters.filter((character) => !Object.hasOwn(vocabulary.values, character))
  if (missing.length > 0) throw new FileFormatError(`${fields.file}: model.vocab lacks ${missing.length} of the 256 bytes, such as ${missing[0]}`)
  return vocabulary
}

/** Whether a component of tokenizer.json, or a part of a Sequence, has a type. */
function mentions(component: unknown, type: string): boolean {
  if (typeof component !== 'object' || component === null) return false
  const { type: own, ...rest } = component as Record<string, unknown>
  return own === type || Object.values(rest).some((part) => Array.isArray(part) && part.some((each) => mentions(each, type)))
}

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

/** The added tokens of tokenizer.json, and those that only tokenizer_config.json has. */
function addedTokens(fields: Fields, config: Fields): readonly AddedToken[] {
  const own = fields.parts('added_tokens', []).map(addedToken)
  const ids = new Set(own.map(({ id }) => id))
  const table = config.part('added_tokens_decoder', null)
  const others = Object.keys(table?.values ?? {}).flatMap((key) => {
    const entry = table?.part(key, null)
    return entry && !ids.has(Number(key)) ? [addedToken(new Fields(entry.file, { ...entry.values, id: Number(key) }, entry.path))] : []
  })
  return [...own, ...others]
}

function addedToken(entry: Fields): AddedToken {
  const content = entry.text('content')
  if (content === '') throw entry.wrong('content', 'a text that is not empty')
  return { ...entry.values, id: entry.id('id', highestId), content, special: entry.values['special'] === true }
}

/** bos_token, eos_token … of tokenizer_config.json; each is a string or an object with `content`. */
function namedTokens(config: Fields): Readonly<Record<string, string>> {
  const names = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token']
  return Object.fromEntries(
    names.flatMap((name) => {
      const nested = typeof config.values[name] === 'object' ? config.part(name, null) : null
      const token = nested === null ? config.text(name, null) : nested.text('content', null)
      return token ? [[name, token]] : []
    }),
  )
}
