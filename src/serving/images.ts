// Makes of images the data: URIs that servers take.

import { readFile } from 'node:fs/promises'
import { FileFormatError } from '../errors.ts'
import { type ReadableFormat, readableFormats, sniff } from '../sniff.ts'

const mediaTypes: { readonly [F in ReadableFormat]: string } = {
  JPEG: 'image/jpeg',
  PNG: 'image/png',
  WebP: 'image/webp',
  GIF: 'image/gif',
  TIFF: 'image/tiff',
  AVIF: 'image/avif',
}

/** An absolute path, a data: URI (passed on as it is), or the bytes of an encoded file. */
export type ServedImage = string | Uint8Array

/** The image as a data: URI of the same bytes. @throws FileFormatError if there is no such file, or it is no image that can be read */
export async function dataUri(image: ServedImage): Promise<string> {
  if (typeof image !== 'string') return uriOf(image, 'an image')
  return image.startsWith('data:') ? image : uriOf(await bytesOf(image), image)
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new FileFormatError(`${path.slice(0, 300)}: the image cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause })
  }
}

function uriOf(bytes: Uint8Array, what: string): string {
  const format = sniff(bytes)
  if ('refused' in format) throw new FileFormatError(`${what}: ${format.refused}, not one of ${readableFormats.join(', ')}`)
  return `data:${mediaTypes[format.readable]};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}`
}
