// Decodes image files to RGB, as Pillow and transformers' convert_to_rgb do, within bounds of memory and time.

import { readFile, stat } from 'node:fs/promises'
import sharp from 'sharp'
import { ArgumentError, FileFormatError, SightlineError } from '../errors.ts'
import { readableFormats, sniff } from '../sniff.ts'
import { type Raster, raster } from './raster.ts'

/** Pixels that an image may have unless the caller says otherwise: 64 Mpixel, 192 MB of RGB. */
export const defaultPixelLimit = 64e6

/** The limit itself. @throws ArgumentError if it is no integer from 1 */
export function checkPixelLimit(pixelLimit: number): number {
  if (!Number.isSafeInteger(pixelLimit) || pixelLimit < 1) throw new ArgumentError(`pixelLimit is ${pixelLimit}; expected an integer from 1 up`)
  return pixelLimit
}

/** Encoded bytes that a file may have. */
const byteLimit = 512e6

/** Seconds on the clock after which libvips gives up on an image. */
const secondsLimit = 60
const tookTooLong = (error: unknown): boolean => error instanceof Error && error.message.startsWith('timeout')

// Warnings of the codecs (stray bytes, odd tags) are let pass, as Pillow does; errors and missing data are not.
const reading = { failOn: 'error', ignoreIcc: true } as const

// An image is decoded once; libvips' cache of operations would only hold on to its memory.
sharp.cache(false)

/**
 * Decodes a JPEG, PNG, WebP, GIF, TIFF or AVIF image; the bytes tell which, never the name.
 *
 * The EXIF orientation is applied. Alpha is laid over white, as transformers ≥ 5.23 does with images in memory (and Qwen's own tools do): a
 * transparent chart stays readable. Grey becomes RGB; 16-bit samples keep their high byte (Pillow does the same
 * for RGB, but clips 16-bit grey at 255: here it is scaled); CMYK is converted without a profile; embedded colour profiles are ignored, as
 * Pillow does. Of an animation or a multi-page file the first frame counts. A damaged or truncated file is an error, never a half image.
 * Samples equal Pillow's, but for AVIF with subsampled chroma, which libheif spreads in another way than Pillow's libavif (by 3 of 255 in
 * the mean on hard texture).
 *
 * @param source a path, a `data:` URI (base64), or the encoded bytes
 * @throws ArgumentError for an http(s) address, a file that cannot be read, more pixels than `pixelLimit` (checked before decoding), or too long a decoding
 * @throws FileFormatError for other formats and for damaged files
 */
export async function decodeImage(source: string | Uint8Array, options: { readonly pixelLimit?: number } = {}): Promise<Raster> {
  const { pixelLimit = defaultPixelLimit } = options
  checkPixelLimit(pixelLimit)
  const name = describe(source)
  const bytes = await readSource(source, name)
  const format = sniff(bytes)
  if ('refused' in format) throw new FileFormatError(`${name}: this is ${format.refused}, not one of ${readableFormats.join(', ')}; convert it`)
  try {
    // Once more: a machine that was suspended meanwhile has done nothing wrong, and neither has the image.
    return await decode(bytes, name, pixelLimit).catch((error: unknown) =>
      tookTooLong(error) ? decode(bytes, name, pixelLimit) : Promise.reject(error),
    )
  } catch (error) {
    if (error instanceof SightlineError) throw error
    if (tookTooLong(error)) throw new ArgumentError(`${name}: takes longer than ${secondsLimit} s to decode; shrink it`, { cause: error })
    throw new FileFormatError(`${name}: a damaged ${format.readable} image: ${(error as Error).message}`, { cause: error })
  }
}

async function decode(bytes: Uint8Array, name: string, pixelLimit: number): Promise<Raster> {
  // metadata() reads the header only. Its own limit is off, ours says more clearly what to do.
  const { width, height, space, hasAlpha } = await sharp(bytes, { ...reading, limitInputPixels: false }).metadata()
  if (width * height > pixelLimit)
    throw new ArgumentError(`${name}: ${width} x ${height} is ${width * height} pixels, the limit is ${pixelLimit}; shrink it or raise pixelLimit`)
  const inCmyk = space === 'cmyk'
  const image = sharp(bytes, { ...reading, limitInputPixels: pixelLimit, autoOrient: true }).timeout({ seconds: secondsLimit })
  const ready = inCmyk ? image.pipelineColourspace('cmyk').toColourspace('cmyk') : image.toColourspace('srgb')
  const { data, info } = await ready.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  const samples = new Uint8Array(data.buffer, data.byteOffset, data.length)
  const expected = inCmyk || hasAlpha ? 4 : 3
  if (info.channels < expected) throw new FileFormatError(`${name}: decoded to ${info.channels} channels instead of ${expected}`)
  const toRgb = inCmyk ? cmykToRgb : info.channels === 4 ? overWhite : (rgb: Uint8Array): Uint8Array => rgb
  return raster(toRgb(samples, info.channels), info.height, info.width)
}

/** A product of two samples over 255, rounded, as Pillow computes it. */
function over255(product: number): number {
  const rounded = product + 128
  return ((rounded >> 8) + rounded) >> 8
}

/** Pillow's conversion without a profile: (255 − ink) · (255 − key) / 255; `stride` samples a pixel. */
function cmykToRgb(samples: Uint8Array, stride: number): Uint8Array {
  return converted(samples, stride, (ink, key) => 255 - key - over255(ink * (255 - key)))
}

/** Pillow's alpha_composite on opaque white; `stride` samples a pixel. */
function overWhite(samples: Uint8Array, stride: number): Uint8Array {
  return converted(samples, stride, (colour, alpha) => over255(colour * alpha + 255 * (255 - alpha)))
}

function converted(samples: Uint8Array, stride: number, rule: (colour: number, fourth: number) => number): Uint8Array {
  const rgb = new Uint8Array((samples.length / stride) * 3)
  for (let from = 0, to = 0; from < samples.length; from += stride, to += 3) {
    const fourth = samples[from + 3] as number
    for (let channel = 0; channel < 3; channel++) rgb[to + channel] = rule(samples[from + channel] as number, fourth)
  }
  return rgb
}

function describe(source: string | Uint8Array): string {
  if (typeof source !== 'string') return `an image of ${source.length} bytes`
  return source.startsWith('data:') ? `the image in ${source.slice(0, 40)}…` : source
}

async function readSource(source: string | Uint8Array, name: string): Promise<Uint8Array> {
  if (typeof source !== 'string') return source
  if (source.startsWith('data:')) {
    const match = /^data:[^,]*;base64,/.exec(source)
    if (!match) throw new ArgumentError(`${name}: a data: URI must be base64 (data:image/png;base64,…)`)
    return Buffer.from(source.slice(match[0].length), 'base64')
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(source))
    throw new ArgumentError(`${name}: images are not fetched from the network; download it and give its path, or give its bytes or a data: URI`)
  try {
    const status = await stat(source)
    // A pipe or a device could block for ever.
    if (!status.isFile()) throw new ArgumentError(`${name}: not a file`)
    if (status.size > byteLimit) throw new ArgumentError(`${name}: ${status.size} bytes, the limit for an image file is ${byteLimit}`)
    return await readFile(source)
  } catch (error) {
    if (error instanceof SightlineError) throw error
    throw new ArgumentError(`${name}: cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
