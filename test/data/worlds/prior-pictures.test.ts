// PriorWorld's pictures, measured in their pixels: colours, sizes and numbers of things are those that the truth tells.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp from 'sharp'
import { closeUp } from '../../../src/data/worlds/prior/cold-start.ts'
import { drawPicture } from '../../../src/data/worlds/prior/picture.ts'
import { drawThing, type Thing } from '../../../src/data/worlds/prior/scene.ts'
import { kinds, places } from '../../../src/data/worlds/prior/things.ts'
import { priorWorld } from '../../../src/data/worlds/prior/world.ts'
import { Random } from '../../../src/data/worlds/random.ts'
import { samplesOf } from '../../../src/data/worlds/world.ts'
import { renderPng } from '../../../src/data/worlds/write.ts'

/** Hues as painters' wheels have them, by hand; black and white have none. */
const hues: Readonly<Record<string, number>> = { yellow: 54, red: 357, green: 118, purple: 285, orange: 27, blue: 218 }

interface Pixels {
  readonly side: number
  readonly data: Buffer
}

async function pixelsOf(svg: string): Promise<Pixels> {
  const { data, info } = await sharp(await renderPng(svg))
    .raw()
    .toBuffer({ resolveWithObject: true })
  assert.equal(info.channels, 3)
  assert.equal(info.width, info.height)
  return { side: info.width, data }
}

/** Hue in degrees, saturation and lightness from 0 to 1, of a pixel. */
function hsl({ side, data }: Pixels, x: number, y: number): readonly [hue: number, saturation: number, lightness: number] {
  const at = 3 * (y * side + x)
  const [r, g, b] = [data[at], data[at + 1], data[at + 2]].map((value) => (value as number) / 255) as [number, number, number]
  const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)]
  const range = most - least
  const hue = range === 0 ? 0 : most === r ? (g - b) / range : most === g ? 2 + (b - r) / range : 4 + (r - g) / range
  return [(60 * hue + 360) % 360, range === 0 ? 0 : range / (1 - Math.abs(most + least - 1)), (most + least) / 2]
}

const apart = (a: number, b: number): number => Math.abs(((a - b + 540) % 360) - 180)

/** Whether a pixel is painted in a colour; backgrounds are grey, between a third and two thirds of white. */
function painted(colour: string, [hue, saturation, lightness]: readonly [number, number, number]): boolean {
  if (colour === 'black') return lightness < 0.2
  if (colour === 'white') return lightness > 0.8
  return saturation > 0.35 && apart(hue, hues[colour] as number) < 10
}

/** The share of a square that is painted so, and its pieces of at least `least` pixels, joined along sides and corners. */
function found(
  pixels: Pixels,
  [left, top, width]: readonly [number, number, number],
  colour: string,
  least = 4,
): { readonly share: number; readonly pieces: number } {
  const is = Array.from({ length: width * width }, (_, i) => painted(colour, hsl(pixels, left + (i % width), top + Math.floor(i / width))))
  const share = is.filter(Boolean).length / is.length
  let pieces = 0
  for (let start = 0; start < is.length; start++) {
    let size = 0
    const open = is[start] ? [start] : []
    is[start] = false
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      size++
      const [x, y] = [at % width, Math.floor(at / width)]
      for (let v = Math.max(0, y - 1); v <= Math.min(width - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          if (is[v * width + u]) open.push(v * width + u)
          is[v * width + u] = false
        }
      }
    }
    if (size >= least) pieces++
  }
  return { share, pieces }
}

const squareOf = (place: string, side: number): readonly [number, number, number] => {
  const half = side / 2
  return [place.endsWith('right') ? half : 0, place.startsWith('bottom') ? half : 0, half]
}

const thingsOf = (truth: unknown): readonly Thing[] => (truth as { readonly things: readonly Thing[] }).things

for (const { pixels, count, least } of [
  { pixels: null, count: 80, least: 0.02 },
  { pixels: 224, count: 15, least: 0.02 },
  // Legs of ants are thinner than a pixel here.
  { pixels: 56, count: 80, least: 0.008 },
]) {
  test(`quarters hold their things' colours and no others (${pixels ?? 'as the world has it'})`, async () => {
    const side = pixels ?? 112
    for (const sample of samplesOf(priorWorld, { seed: 8, count, pixels })) {
      const picture = await pixelsOf(sample.svg as string)
      assert.equal(sample.pixels, side)
      assert.equal(picture.side, side)
      const things = thingsOf(sample.truth)
      for (const place of places) {
        const thing = things.find((each) => each.place === place)
        for (const colour of [...Object.keys(hues), 'black', 'white']) {
          const { share } = found(picture, squareOf(place, side), colour)
          const what = `${sample.id}: ${place} ${thing?.count} ${thing?.size} ${thing?.name} is ${thing?.colour}; ${share} of it ${colour}`
          // Small things are a tenth of a quarter; edges and the neighbours' overhang are less.
          if (colour === thing?.colour) assert.ok(share > least, what)
          else assert.ok(share < 0.015, what)
        }
      }
    }
  })
}

test('as many keys are to be seen as the truth counts', async () => {
  const key = kinds.find(({ name }) => name === 'key')
  assert.ok(key !== undefined)
  for (const [pixels, count] of [
    [112, 60],
    [448, 12],
  ] as const) {
    for (let seed = 0; seed < count; seed++) {
      const place = places[seed % 4] as (typeof places)[number]
      const thing = drawThing(new Random(seed, 0), key, place, seed % 3 === 0)
      const picture = await pixelsOf(drawPicture(new Random(seed, 1), [thing], pixels))
      const { pieces } = found(picture, squareOf(place, pixels), thing.colour, pixels / 28)
      assert.equal(pieces, { one: 1, two: 2, three: 3 }[thing.count], `seed ${seed}: ${thing.count} ${thing.size} ${thing.colour} at ${pixels}`)
    }
  }
})

test('big things are larger than small ones, of every kind', async () => {
  for (const kind of kinds) {
    const shares: Record<string, number[]> = { big: [], small: [] }
    for (let seed = 0; seed < 10; seed++) {
      const size = seed % 2 === 0 ? 'big' : 'small'
      const thing = { ...drawThing(new Random(seed, 0), kind, 'top left', true), size, count: 'one', colour: 'red' }
      const picture = await pixelsOf(drawPicture(new Random(seed, 1), [thing], 112))
      shares[size]?.push(found(picture, squareOf('top left', 112), 'red').share)
    }
    const [big, small] = [Math.min(...(shares['big'] ?? [])), Math.max(...(shares['small'] ?? []))]
    assert.ok(big > 1.5 * small, `${kind.name}: big ${big}, small ${small}`)
  }
})

test('close-ups show one thing that fills a picture of a quarter’s size', async () => {
  const seen = new Set<string>()
  for (let index = 0; index < 120; index++) {
    const { svg, response, problem, reference, kind } = closeUp(4, index)
    assert.deepEqual([problem, reference, kind], ['', null, 'closeUp'])
    const [, name = '', count, size, colour = ''] = /^<description> (\w+) (one|two|three) (big|small) (\w+) <\/description>$/.exec(response) ?? []
    const picture = await pixelsOf(svg as string)
    assert.equal(picture.side, 56)
    const { share } = found(picture, [0, 0, 56], colour)
    assert.ok(share > 0.02, `${index}: ${count} ${size} ${colour} ${name} takes ${share}`)
    seen.add(name)
  }
  assert.equal(seen.size, kinds.length)
})

test('the same random numbers give the same picture in any size', async () => {
  const [small, large] = [112, 224].map((pixels) => priorWorld.sample(2, 9, { pixels }).svg as string) as [string, string]
  assert.equal(small.replace('width="112" height="112"', 'width="224" height="224"'), large)
})
