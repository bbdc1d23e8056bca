// Decoding, resizing and cutting against Pillow and both back-ends of transformers' Qwen2VLImageProcessor.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { decodeImage } from '../../src/processing/image.ts'
import { type PatchRule, toPatches } from '../../src/processing/patches.ts'
import { type Raster, raster } from '../../src/processing/raster.ts'
import { resizeBicubic, smartResize } from '../../src/processing/resize.ts'
import { random } from '../support.ts'
import { golden, readGolden } from './goldens.ts'

interface Config {
  readonly patch_size: number
  readonly merge_size: number
  readonly temporal_patch_size: number
  readonly size: { readonly shortest_edge: number; readonly longest_edge: number }
  readonly image_mean: [number, number, number]
  readonly image_std: [number, number, number]
}

interface Row {
  readonly name: string
  readonly height: number
  readonly width: number
  readonly sha256: string
  readonly resized: Readonly<Record<string, { grid: [number, number, number]; offset: number; verticalFirst: boolean }>>
}

const { configs, images, exact } = readGolden<{
  configs: Readonly<Record<string, Config>>
  images: readonly Row[]
  exact: { name: string; pixels: Readonly<Record<string, string>> }
}>('images.json')
const samples = gunzipSync(readFileSync(golden('processing', 'images.bin.gz')))

function rule(config: Config): PatchRule {
  const { patch_size, merge_size, temporal_patch_size, image_mean, image_std } = config
  const patch = { patchSize: patch_size, mergeSize: merge_size, temporalPatchSize: temporal_patch_size }
  return { ...patch, rescaleFactor: 1 / 255, mean: image_mean, deviation: image_std }
}

function sha256(data: Uint8Array | Float32Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** The share of samples that differ by more than `allowed`. */
function share(a: Uint8Array, b: Uint8Array, allowed: number): number {
  assert.equal(a.length, b.length)
  return a.reduce((count, value, i) => count + (Math.abs(value - (b[i] as number)) > allowed ? 1 : 0), 0) / a.length
}

/** Resamples patches' pixels back to 0 … 255 in the order of the image: the inverse that the goldens were made with, written again. */
function toSamples(
  { pixels, grid }: ReturnType<typeof toPatches>,
  { patchSize, mergeSize, temporalPatchSize, mean, deviation }: PatchRule,
): Uint8Array {
  const [, rows, columns] = grid
  const out = new Uint8Array(rows * columns * 3 * patchSize ** 2)
  const patchLength = 3 * temporalPatchSize * patchSize ** 2
  for (let i = 0; i < pixels.length; i++) {
    const patch = Math.floor(i / patchLength)
    const rest = i % patchLength
    const channel = Math.floor(rest / (temporalPatchSize * patchSize ** 2))
    const [y, x] = [Math.floor(rest / patchSize) % patchSize, rest % patchSize]
    const block = Math.floor(patch / mergeSize ** 2)
    const perRow = columns / mergeSize
    const row = Math.floor(block / perRow) * mergeSize + Math.floor((patch % mergeSize ** 2) / mergeSize)
    const column = (block % perRow) * mergeSize + (patch % mergeSize)
    const at = ((row * patchSize + y) * columns * patchSize + column * patchSize + x) * 3 + channel
    out[at] = Math.round(((pixels[i] as number) * (deviation[channel] as number) + (mean[channel] as number)) * 255)
  }
  return out
}

for (const row of images) {
  test(`${row.name}: decoded as Pillow does, patches as both back-ends make them`, async (context) => {
    const image = await decodeImage(golden('images', row.name))
    assert.deepEqual([image.height, image.width], [row.height, row.width])
    context.diagnostic(`decoded ${sha256(image.data) === row.sha256 ? 'equal to' : 'otherwise than'} Pillow`)
    for (const [key, config] of Object.entries(configs)) {
      const { grid, offset, verticalFirst } = row.resized[key] as Row['resized'][string]
      const { patch_size: patchSize, merge_size: mergeSize, size } = config
      const bounds = { minPixels: size.shortest_edge, maxPixels: size.longest_edge }
      const { height, width } = smartResize(image.height, image.width, { factor: patchSize * mergeSize, ...bounds })
      const encoded = toPatches(resizeBicubic(image, height, width), rule(config))
      assert.deepEqual(encoded.grid, grid)
      const own = toSamples(encoded, rule(config))
      const pillow = samples.subarray(offset, offset + own.length)
      const torchvision = samples.subarray(offset + own.length, offset + 2 * own.length).map((difference, i) => difference + (pillow[i] as number))
      context.diagnostic(`${key}: differ from Pillow ${share(own, pillow, 0).toFixed(5)}, from torchvision ${share(own, torchvision, 0).toFixed(5)}`)
      // libheif and libavif, Pillow's, convert to RGB with roundings of their own.
      const allowed = row.name.endsWith('.avif') ? 2 : 1
      assert.ok(share(own, torchvision, allowed) <= 0.001, `torchvision: ${share(own, torchvision, allowed)} differ by more than ${allowed}/255`)
      // Pillow from 13 on resizes tall images in another order; there the goldens of its back-end are no bar.
      if (!verticalFirst) assert.ok(share(own, pillow, allowed) <= 0.001, `Pillow: ${share(own, pillow, allowed)} differ by more than ${allowed}/255`)
      if (!verticalFirst && sha256(image.data) === row.sha256) assert.deepEqual(own, new Uint8Array(pillow))
    }
  })
}

test('all files but AVIF decode to the very samples of Pillow', async () => {
  for (const { name, sha256: expected } of images.filter(({ name }) => !name.endsWith('.avif')))
    assert.equal(sha256((await decodeImage(golden('images', name))).data), expected, name)
})

test('normalised pixels equal the reference to the last bit', async () => {
  const image = await decodeImage(golden('images', exact.name))
  const config = configs['patch14'] as Config
  assert.equal(sha256(toPatches(image, rule(config)).pixels), exact.pixels['patch14'])
  const half = { ...config, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] } satisfies Config
  assert.equal(sha256(toPatches(image, rule(half)).pixels), exact.pixels['patch14half'])
})

test('smartResize equals the reference on 240 sizes', () => {
  const rows = readGolden<readonly [number, number, number, number, number, [number, number] | null][]>('sizes.json')
  for (const [height, width, factor, minPixels, maxPixels, expected] of rows) {
    const resize = (): unknown => smartResize(height, width, { factor, minPixels, maxPixels })
    if (expected) assert.deepEqual(resize(), { height: expected[0], width: expected[1] }, `${height} x ${width}`)
    else assert.throws(resize, ArgumentError)
  }
})

test('resizeBicubic by hand: a constant stays, equal sizes copy, weights at the edge', () => {
  const grey = raster(new Uint8Array(7 * 5 * 3).fill(77), 7, 5)
  assert.ok(resizeBicubic(grey, 3, 11).data.every((value) => value === 77))
  assert.deepEqual(resizeBicubic(grey, 7, 5), grey)
  // Two samples to four: centres at −0.25, 0.25, 0.75, 1.25; Keys' cubic at distances ¼ and ¾ gives 0.8671875 and 0.2265625 before
  // normalisation, at 1¼ −0.0703125.
  const step = raster(Uint8Array.from([0, 0, 0, 255, 255, 255]), 1, 2)
  const out = resizeBicubic(step, 1, 4)
  const right = (near: number, far: number): number => Math.round(Math.min(255, Math.max(0, (255 * near) / (near + far))))
  const red = [0, 1, 2, 3].map((x) => out.data[x * 3])
  assert.deepEqual(red, [right(-0.0703125, 0.8671875), right(0.2265625, 0.8671875), right(0.8671875, 0.2265625), right(0.8671875, -0.0703125)])
})

test('what is refused says why', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-'))
  context.after(() => rm(folder, { recursive: true }))
  const photo = readFileSync(golden('images', 'photo-420.jpg'))
  const path = join(folder, 'cut.jpg')
  await writeFile(path, photo.subarray(0, 9000))
  const refuses = (source: string | Uint8Array, kind: typeof ArgumentError | typeof FileFormatError, message: RegExp): Promise<void> =>
    assert.rejects(decodeImage(source), (error) => error instanceof kind && message.test(error.message))
  await refuses(path, FileFormatError, /cut\.jpg: a damaged JPEG image/)
  await refuses('https://example.com/a.png', ArgumentError, /not fetched from the network/)
  await refuses(join(folder, 'missing.png'), ArgumentError, /missing\.png: cannot be read/)
  await refuses(folder, ArgumentError, /not a file/)
  await refuses('data:image/png,abc', ArgumentError, /base64/)
  await refuses(new Uint8Array(0), FileFormatError, /empty/)
  const named: readonly (readonly [string, RegExp])[] = [
    ['<svg xmlns="http://www.w3.org/2000/svg"/>', /SVG/],
    ['%PDF-1.7', /PDF/],
    ['BM123456', /BMP/],
    ['\0\0\0\x18ftypheic\0\0\0\0', /HEIC/],
    ['<!DOCTYPE html><html>', /HTML/],
    ['nonsense', /unknown format \(first bytes 6e 6f/],
  ]
  for (const [text, message] of named) await refuses(Buffer.from(text, 'latin1'), FileFormatError, message)
  await assert.rejects(decodeImage(photo, { pixelLimit: 1000 }), /423 x 317 is 134091 pixels, the limit is 1000/)
  const data = `data:image/jpeg;base64,${photo.toString('base64')}`
  assert.deepEqual(await decodeImage(data), await decodeImage(photo))
  assert.throws(() => smartResize(1, 201, { factor: 28, minPixels: 1, maxPixels: 1e6 }), /ratio/)
  assert.throws(() => toPatches(raster(new Uint8Array(30 * 28 * 3), 30, 28), rule(configs['patch14'] as Config)), /multiples of 28/)
})

test('resizeBicubic agrees with a plain evaluation of the filter', () => {
  const next = random(4)
  for (let trial = 0; trial < 40; trial++) {
    const [height, width, newHeight, newWidth] = [40, 40, 50, 50].map((top) => 1 + Math.floor(next() * top)) as [number, number, number, number]
    const image = raster(
      Uint8Array.from({ length: height * width * 3 }, () => Math.floor(next() * 256)),
      height,
      width,
    )
    const expected = plainResize(image, newHeight, newWidth)
    resizeBicubic(image, newHeight, newWidth).data.forEach((value, i) => {
      // Rounding between the passes and to 22 bits moves a sample by one at most, and by a little more where the first pass was clipped.
      assert.ok(Math.abs(value - (expected[i] as number)) <= 1.6, `trial ${trial}: ${value}, expected ${expected[i]}`)
    })
  }
})

/** The two passes in floating point, the first clipped to 0 … 255 but not rounded. */
function plainResize(image: Raster, height: number, width: number): number[] {
  const clip = (x: number): number => Math.min(255, Math.max(0, x))
  const keys = (x: number): number => {
    const t = Math.abs(x)
    return t < 1 ? 1.5 * t ** 3 - 2.5 * t ** 2 + 1 : t < 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0
  }
  const along = (line: readonly number[], to: number): number[] => {
    if (line.length === to) return [...line]
    const scale = line.length / to
    const stretch = Math.max(1, scale)
    return Array.from({ length: to }, (_, i) => {
      const weights = line.map((_, j) => {
        const distance = j + 0.5 - (i + 0.5) * scale
        return Math.abs(distance) < 2 * stretch ? keys(distance / stretch) : 0
      })
      const sum = weights.reduce((a, b) => a + b, 0)
      return clip(line.reduce((total, value, j) => total + (value * (weights[j] as number)) / sum, 0))
    })
  }
  const out = new Array<number>(height * width * 3)
  for (let channel = 0; channel < 3; channel++) {
    const rows = Array.from({ length: image.height }, (_, y) =>
      along(
        Array.from({ length: image.width }, (_, x) => image.data[(y * image.width + x) * 3 + channel] as number),
        width,
      ),
    )
    for (let x = 0; x < width; x++)
      along(
        rows.map((row) => row[x] as number),
        height,
      ).forEach((value, y) => {
        out[(y * width + x) * 3 + channel] = value
      })
  }
  return out
}
