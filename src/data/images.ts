// Makes of the many ways in which data sets hold images the three that a processor reads: paths, data: URIs and encoded bytes.

import { open, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { FileFormatError } from '../errors.ts'
import { headBytes, readableFormats, sniff } from '../sniff.ts'
import { cellOf, kindOf } from './columns.ts'

/** An absolute path, a data: URI, or the bytes of an encoded file. */
export type SampleImage = string | Uint8Array

/** As many letters of base64 as hold what tells a format. */
const headLetters = Math.ceil(headBytes / 3) * 4

const isImage = (head: Uint8Array): boolean => 'readable' in sniff(head)

function headOfBase64(text: string, from = 0): Uint8Array {
  return Buffer.from(text.slice(from, from + headLetters), 'base64')
}

/**
 * The images of a cell: a path, a data: URI, base64 (told from a path by the image that it begins), encoded bytes, `{bytes, path}` as Hugging
 * Face stores images, or a list of these.
 *
 * @param folder the folder that relative paths start from
 * @throws FileFormatError, whose message names no file, for anything else
 */
export function imagesOf(cell: unknown, folder: string): readonly SampleImage[] {
  if (cell === null || cell === undefined) return []
  if (Array.isArray(cell)) return cell.map((each, i) => imageOf(each, folder, `image ${i + 1} of ${cell.length}`))
  return isEmptyStruct(cell) ? [] : [imageOf(cell, folder, 'the image')]
}

/** Parquet readers give a struct that is null as one whose fields are. */
function isEmptyStruct(cell: unknown): boolean {
  return typeof cell === 'object' && cell !== null && 'bytes' in cell && Object.values(cell).every((value) => value === null || value === undefined)
}

function imageOf(cell: unknown, folder: string, what: string): SampleImage {
  if (cell instanceof Uint8Array) return cell
  if (typeof cell === 'string') return imageOfText(cell, folder, what)
  if (typeof cell === 'object' && cell !== null && !Array.isArray(cell)) {
    const inside = cellOf(cell as { readonly [name: string]: unknown }, ['bytes', 'path'])
    if (inside?.column === 'path' && inside.value instanceof Uint8Array) return imageOfText(Buffer.from(inside.value).toString(), folder, what)
    if (typeof inside?.value === 'string' || inside?.value instanceof Uint8Array) return imageOf(inside.value, folder, what)
  }
  throw new FileFormatError(`${what} is ${kindOf(cell)}; expected a path, a data: URI, base64, bytes or {bytes, path}`)
}

function imageOfText(text: string, folder: string, what: string): SampleImage {
  if (text === '') throw new FileFormatError(`${what} is an empty text`)
  if (text.startsWith('data:')) return text
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text))
    throw new FileFormatError(`${what} is the address ${text.slice(0, 100)}; images are not fetched from the network: download it and give its path`)
  if (isImage(headOfBase64(text))) return new Uint8Array(Buffer.from(text, 'base64'))
  return resolve(folder, text)
}

/** What is wrong with an image as far as its first bytes tell; null if nothing. Nothing is decoded. */
export async function imageFault(image: SampleImage): Promise<string | null> {
  if (typeof image !== 'string') return headFault(image, 'image')
  if (!image.startsWith('data:')) return await fileFault(image)
  const start = /^data:[^,]{0,200};base64,/.exec(image)?.[0].length
  return start === undefined ? 'a data: URI that is not base64 (data:image/png;base64,…)' : headFault(headOfBase64(image, start), 'data: URI')
}

async function fileFault(path: string): Promise<string | null> {
  const shown = path.length > 300 ? `${path.slice(0, 300)}…` : path
  try {
    const status = await stat(path)
    if (!status.isFile()) return `not a file: ${shown}`
    const handle = await open(path)
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0)
      return headFault(buffer.subarray(0, bytesRead), shown)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    // The message would repeat the path, which can be a megabyte of base64 that is no image.
    const { code } = cause as NodeJS.ErrnoException
    if (code === undefined) throw cause
    return code === 'ENOENT' ? `there is no image file ${shown}` : `the image file ${shown} cannot be read (${code})`
  }
}

function headFault(head: Uint8Array, what: string): string | null {
  if (head.length === 0) return `an empty image: ${what}`
  const format = sniff(head)
  return 'readable' in format ? null : `${format.refused}, not one of ${readableFormats.join(', ')}: ${what}`
}
