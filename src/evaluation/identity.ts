// Tells models and questions apart by what they hold, so that an evaluation never goes on with others than it began with.

import { createHash, type Hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Question } from '../benchmarks/benchmark.ts'
import type { SampleImage } from '../data/images.ts'
import { ArgumentError, FileFormatError } from '../errors.ts'

/** Files of a model, adapter or checkpoint folder that decide what it answers. Notes, optimiser states and logs do not. */
const deciding = [
  /\.safetensors$/,
  /^(config|generation_config|preprocessor_config|processor_config|adapter_config|added_tokens|special_tokens_map)\.json$/,
  /^(tokenizer|tokenizer_config|vocab|chat_template)\.json$/,
  /^chat_template\.jinja$/,
  /^merges\.txt$/,
]

/** Files up to this size are read whole; of larger ones so many pieces are, evenly spaced, since training changes all of a weight. */
const wholeBytes = 64 * 2 ** 20
const pieces = { count: 256, bytes: 2 ** 16 } as const

function addFile(hash: Hash, path: string): void {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    hash.update(`${size}\0`)
    const [length, count] = size <= wholeBytes ? [2 ** 20, Math.ceil(size / 2 ** 20)] : [pieces.bytes, pieces.count]
    const buffer = Buffer.alloc(length)
    for (let i = 0; i < count; i++) {
      const from = size <= wholeBytes ? i * length : Math.floor(((size - length) * i) / (count - 1))
      hash.update(buffer.subarray(0, readSync(file, buffer, 0, length, from)))
    }
  } finally {
    closeSync(file)
  }
}

/**
 * A digest of what a model's folders hold. @param folders in their roles, such as `model` and `adapter`
 * @throws ArgumentError for a folder that is not there or holds no model
 */
export function modelDigest(folders: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256')
  for (const [role, folder] of Object.entries(folders)) {
    let names: string[]
    try {
      names = readdirSync(folder).filter((name) => deciding.some((pattern) => pattern.test(name)))
    } catch (cause) {
      throw new ArgumentError(`--${role} ${folder}: cannot be opened: ${(cause as Error).message}`, { cause })
    }
    if (names.length === 0) throw new ArgumentError(`--${role} ${folder}: holds no model files (*.safetensors, config.json)`)
    for (const name of names.sort()) {
      hash.update(`${role}\0${name}\0`)
      addFile(hash, join(folder, name))
    }
  }
  return hash.digest('hex')
}

/** The bytes of an image as it is stored. @throws FileFormatError if its file cannot be read */
export async function imageBytes(image: SampleImage): Promise<Uint8Array> {
  if (typeof image !== 'string') return image
  if (image.startsWith('data:')) return Buffer.from(image.slice(image.indexOf(',') + 1), 'base64')
  try {
    return await readFile(image)
  } catch (cause) {
    throw new FileFormatError(`the image file ${image} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** A digest of questions in their order, images included. */
export class QuestionsDigest {
  readonly #hash = createHash('sha256')

  async add({ id, problem, expected, groups, images }: Question): Promise<void> {
    const pictures: string[] = []
    for (const image of images)
      pictures.push(
        createHash('sha256')
          .update(await imageBytes(image))
          .digest('hex'),
      )
    this.#hash.update(`${JSON.stringify([id, problem, expected, Object.entries(groups).sort(), pictures])}\n`)
  }

  end(): string {
    return this.#hash.digest('hex')
  }
}
