// From a prompt to what a model reads: token ids with a place for every image token, and the patches of the images.

import { join } from 'node:path'
import { inspect } from 'node:util'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { Fields } from '../fields.ts'
import { ChatTemplate } from './chat-template.ts'
import { checkPixelLimit, decodeImage, defaultPixelLimit } from './image.ts'
import { type ImageRule, readImageRule } from './image-rule.ts'
import { type EncodedImage, imageTokens, toPatches } from './patches.ts'
import type { ImageSource, Message, Part } from './prompt.ts'
import { raster } from './raster.ts'
import { resizeBicubic, smartResize } from './resize.ts'
import { Tokenizer } from './tokenizer.ts'

/** A conversation for a model to continue. */
export interface Prompt {
  readonly messages: readonly Message[]
  /** Text that the answer starts with, put after the generation prompt. */
  readonly prefill?: string
  /** Whether the text ends with the start of an assistant's turn; true unless said. */
  readonly addGenerationPrompt?: boolean
  /** Further variables of the chat template, such as `add_vision_id` or `enable_thinking`. */
  readonly templateVariables?: Readonly<Record<string, unknown>>
}

/** What a model reads. */
export interface Encoded {
  /** [T], each image's placeholder repeated for every token that the image takes. */
  readonly ids: Int32Array
  /** In the order of the prompt; an image that is given twice appears twice, as the same object. */
  readonly images: readonly EncodedImage[]
  /** The rendered prompt, with one placeholder for each image. */
  readonly text: string
}

/** Bounds that take the place of the checkpoint's own. */
export interface ProcessorOverrides {
  readonly minPixels?: number
  readonly maxPixels?: number
  /** Pixels that an image file may have before resizing. */
  readonly pixelLimit?: number
}

/** The placeholders of the Qwen-VL families in the text. */
const imagePlaceholder = '<|image_pad|>'
const placeholders = [imagePlaceholder, '<|video_pad|>']

/** A checkpoint's tokenizer, chat template and image rule. */
export class Processor {
  readonly tokenizer: Tokenizer
  readonly template: ChatTemplate
  readonly imageRule: ImageRule
  /** The ids that end an answer: eos_token_id of generation_config.json, else the tokenizer's eos_token. */
  readonly stopIds: readonly number[]
  readonly #pixelLimit: number
  readonly #imageId: number

  constructor(parts: {
    readonly tokenizer: Tokenizer
    readonly template: ChatTemplate
    readonly imageRule: ImageRule
    readonly stopIds: readonly number[]
    readonly pixelLimit: number
  }) {
    this.tokenizer = parts.tokenizer
    this.template = parts.template
    this.imageRule = parts.imageRule
    this.stopIds = parts.stopIds
    this.#pixelLimit = parts.pixelLimit
    this.#imageId = parts.tokenizer.idOf(imagePlaceholder)
  }

  /**
   * Renders, tokenises and prepares a prompt. Special tokens in the messages' text are recognised, as in the reference; image and video
   * placeholders in it are refused.
   * @throws ArgumentError for video parts, unknown parts, placeholders in the text, and images that decodeImage or smartResize refuse
   * @throws FileFormatError for damaged images and failing templates
   */
  async encode({ messages, prefill = '', addGenerationPrompt = true, templateVariables = {} }: Prompt): Promise<Encoded> {
    const sources = imagesOf(messages, prefill)
    const variables = { ...this.tokenizer.namedTokens, ...templateVariables }
    const text = this.template.render(messages, { addGenerationPrompt, variables }) + prefill
    const compact = this.tokenizer.encode(text)
    const found = compact.reduce((count, id) => count + (id === this.#imageId ? 1 : 0), 0)
    if (found !== sources.length)
      throw new ArgumentError(`the prompt has ${sources.length} images, but the chat template wrote ${found} of ${imagePlaceholder}`)
    const encoded = new Map<ImageSource, EncodedImage>()
    // One after the other, so that only one image is in memory at full size.
    for (const source of new Set(sources)) encoded.set(source, await this.encodeImage(source))
    const images = sources.map((source) => encoded.get(source) as EncodedImage)
    return { ids: this.#expand(compact, images), images, text }
  }

  /** Decodes if need be, resizes and cuts an image to patches. */
  async encodeImage(source: ImageSource): Promise<EncodedImage> {
    if (typeof source === 'object' && 'pixels' in source) return source
    const { patchSize, mergeSize, minPixels, maxPixels } = this.imageRule
    const image =
      typeof source === 'string' || source instanceof Uint8Array
        ? await decodeImage(source, { pixelLimit: this.#pixelLimit })
        : raster(source.data, source.height, source.width)
    const { height, width } = smartResize(image.height, image.width, { factor: patchSize * mergeSize, minPixels, maxPixels })
    return toPatches(resizeBicubic(image, height, width), this.imageRule)
  }

  #expand(compact: Int32Array, images: readonly EncodedImage[]): Int32Array {
    const counts = images.map((image) => imageTokens(image, this.imageRule.mergeSize))
    const ids = new Int32Array(compact.length - counts.length + counts.reduce((sum, count) => sum + count, 0))
    let at = 0
    let next = 0
    for (const id of compact) {
      const end = at + (id === this.#imageId ? (counts[next++] as number) : 1)
      ids.fill(id, at, end)
      at = end
    }
    return ids
  }
}

/**
 * Opens the processor of a checkpoint's folder in the layout of the Hugging Face Hub.
 * @throws FileFormatError if a file is missing, damaged or of an unsupported kind
 */
export async function openProcessor(folder: string, overrides: ProcessorOverrides = {}): Promise<Processor> {
  const [tokenizer, template] = await Promise.all([Tokenizer.open(folder), ChatTemplate.open(folder)])
  const imageRule = readImageRule(folder, overrides)
  const stopIds = readStopIds(folder, tokenizer)
  return new Processor({ tokenizer, template, imageRule, stopIds, pixelLimit: checkPixelLimit(overrides.pixelLimit ?? defaultPixelLimit) })
}

function readStopIds(folder: string, tokenizer: Tokenizer): readonly number[] {
  const fields = Fields.ofFileIfThere(join(folder, 'generation_config.json'))
  const ids = typeof fields?.values['eos_token_id'] === 'number' ? [fields.id('eos_token_id')] : (fields?.integers('eos_token_id', []) ?? [])
  if (ids.length > 0) return ids
  const end = tokenizer.namedTokens['eos_token']
  if (end === undefined) throw new FileFormatError(`${folder}: neither generation_config.json nor tokenizer_config.json says which token ends a text`)
  return [tokenizer.idOf(end)]
}

/** The images of messages in order, after checking every part: callers may hand on data that no compiler has seen. */
function imagesOf(messages: readonly Message[], prefill: string): readonly ImageSource[] {
  if (messages.length === 0) throw new ArgumentError('a prompt needs at least one message')
  refusePlaceholders(prefill, 'the prefill')
  return messages.flatMap(({ role, content }, i) => {
    const place = `message ${i} (${role})`
    if (typeof content === 'string') {
      refusePlaceholders(content, place)
      return []
    }
    if (!Array.isArray(content)) throw new ArgumentError(`${place}: its content is ${shown(content)}; expected a text or a list of parts`)
    return content.flatMap((part: Part) => {
      const type: unknown = part?.type
      if (type === 'image' && isImage((part as { image?: unknown }).image)) return [(part as { image: ImageSource }).image]
      const text = (part as { text?: unknown } | null)?.text
      if (type !== 'text' || typeof text !== 'string') throw unknownPart(part, place)
      refusePlaceholders(text, place)
      return []
    })
  })
}

/** Whether something can be an image; what it holds is checked when it is read. */
function isImage(value: unknown): value is ImageSource {
  return (
    typeof value === 'string' ||
    value instanceof Uint8Array ||
    (typeof value === 'object' && value !== null && ('data' in value || 'pixels' in value))
  )
}

const shown = (value: unknown): string => inspect(value, { depth: 1 }).slice(0, 200)

function unknownPart(part: unknown, place: string): ArgumentError {
  const video = (part as { type?: unknown } | null)?.type === 'video'
  const what = video ? 'videos are not supported' : `${shown(part)} is no part of a message`
  return new ArgumentError(`${place}: ${what}; use { type: 'text', text } and { type: 'image', image }, for a video its frames as images`)
}

function refusePlaceholders(text: string, place: string): void {
  const found = placeholders.find((placeholder) => text.includes(placeholder))
  if (found) throw new ArgumentError(`${place}: the text contains ${found}, which stands for an image or video; remove it, or give an image part`)
}
