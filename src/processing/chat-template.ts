// Renders a conversation to the text that a model was trained on, by the checkpoint's own Jinja template.

import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { FileFormatError } from '../errors.ts'
import { Fields, readTextIfThere } from '../fields.ts'
import type { Message } from './prompt.ts'

/** What we use of the library; its own declarations do not resolve under Node's module rules. */
interface Renderer {
  render(variables: Record<string, unknown>): string
}

/** Where a template comes from, and its text. */
interface Source {
  readonly place: string
  readonly text: string
}

/** A checkpoint's chat template. */
export class ChatTemplate {
  readonly #place: string
  readonly #renderer: Renderer

  private constructor({ place, text }: Source) {
    this.#place = place
    this.#renderer = guard(place, () => new Template(text) as Renderer)
  }

  /**
   * Opens the template of a checkpoint's folder: chat_template.jinja, else chat_template.json, else chat_template in tokenizer_config.json
   * (of several named ones the one called `default`).
   * @throws FileFormatError if there is none, or it does not parse
   */
  static async open(folder: string): Promise<ChatTemplate> {
    const source = fromJinja(folder) ?? fromJson(folder, 'chat_template.json') ?? fromJson(folder, 'tokenizer_config.json')
    if (!source) throw new FileFormatError(`${folder}: no chat template (chat_template.jinja, chat_template.json or in tokenizer_config.json)`)
    return new ChatTemplate(source)
  }

  /**
   * The text of a conversation. The template sees `messages` with images as placeholders without data, `add_generation_prompt`, `tools`
   * and `documents` (none), and `variables`: the named special tokens, and switches of the template such as `add_vision_id`.
   * @throws FileFormatError if the template fails or raises an exception of its own; the message names its file
   */
  render(
    messages: readonly Message[],
    options: { readonly addGenerationPrompt: boolean; readonly variables: Readonly<Record<string, unknown>> },
  ): string {
    const plain = messages.map(({ role, content }) => ({
      role,
      content: typeof content === 'string' ? content : content.map((part) => (part.type === 'text' ? { ...part } : { type: 'image', image: '' })),
    }))
    const { addGenerationPrompt, variables } = options
    return guard(this.#place, () =>
      this.#renderer.render({ tools: null, documents: null, ...variables, messages: plain, add_generation_prompt: addGenerationPrompt }),
    )
  }
}

function guard<T>(place: string, body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw new FileFormatError(`${place}: the chat template failed: ${(error as Error).message}`, { cause: error })
  }
}

function fromJinja(folder: string): Source | null {
  const place = join(folder, 'chat_template.jinja')
  const text = readTextIfThere(place)
  return text === null ? null : { place, text }
}

function fromJson(folder: string, name: string): Source | null {
  const place = join(folder, name)
  const fields = Fields.ofFileIfThere(place)
  if (!fields?.has('chat_template')) return null
  if (!Array.isArray(fields.values['chat_template'])) return { place, text: fields.text('chat_template') }
  const named = fields.parts('chat_template')
  const text = named.find((entry) => entry.values['name'] === 'default')?.text('template')
  if (!text)
    throw new FileFormatError(`${place}: chat_template holds ${named.map((entry) => entry.values['name']).join(', ')}, but none is called default`)
  return { place, text }
}
