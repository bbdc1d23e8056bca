// Draws a scene as SVG: icons in quarters of a picture, on varied backgrounds.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { FileFormatError } from '../../../errors.ts'
import type { Random } from '../random.ts'
import type { Thing } from './scene.ts'
import { kindOf, paints, places } from './things.ts'

/** Side of a picture of four quarters, in pixels. */
export const side = 112
const quarter = side / 2
export const closeUpSide = quarter
const iconSide = 512

/** Who drew the icons, and under which licence they may be shown. */
export const attribution =
  'Icons by Lorc, Delapouite and contributors of https://game-icons.net, CC BY 3.0 (https://creativecommons.org/licenses/by/3.0/), recoloured.'

type Icons = Readonly<Record<string, { readonly body: string }>>
let icons: Icons | undefined

function iconOf(name: string): string {
  const file = '@iconify-json/game-icons/icons.json'
  icons ??= (JSON.parse(readFileSync(createRequire(import.meta.url).resolve(file), 'utf8')) as { readonly icons: Icons }).icons
  const icon = icons[kindOf(name).icon]
  if (icon === undefined)
    throw new FileFormatError(`${file} has no ${kindOf(name).icon}, which draws the ${name}; install the version that package.json names`)
  return icon.body
}

const around = (random: Random, centre: number, spread: number): number => random.between(centre - spread, centre + spread)
const hsl = (hue: number, saturation: number, lightness: number): string =>
  `hsl(${((hue + 360) % 360).toFixed(0)},${Math.min(100, Math.max(0, saturation)).toFixed(0)}%,${Math.min(100, Math.max(0, lightness)).toFixed(0)}%)`

/** A muted background: a gradient, often with stripes or dots, so that nothing but the things is the same in all pictures. */
function background(random: Random, width: number): string {
  const tone = (): string => hsl(random.between(0, 360), random.between(0, 12), around(random, 50, 14))
  const [from, to, mark] = [tone(), tone(), tone()]
  const angle = random.within(0, 179)
  const gap = random.within(6, 15)
  const pattern = random.choose(['none', 'stripes', 'dots'] as const)
  const drawn = {
    none: '',
    stripes: `<pattern id="p" width="${gap}" height="${gap}" patternUnits="userSpaceOnUse" patternTransform="rotate(${angle})"><rect width="${gap / 3}" height="${gap}" fill="${mark}"/></pattern>`,
    dots: `<pattern id="p" width="${gap}" height="${gap}" patternUnits="userSpaceOnUse" patternTransform="rotate(${angle})"><circle cx="${gap / 2}" cy="${gap / 2}" r="${gap / 5}" fill="${mark}"/></pattern>`,
  }[pattern]
  return (
    `<defs><linearGradient id="g" gradientTransform="rotate(${angle} 0.5 0.5)"><stop stop-color="${from}"/><stop offset="1" stop-color="${to}"/></linearGradient>${drawn}</defs>` +
    `<rect width="${width}" height="${width}" fill="url(#g)"/>${pattern === 'none' ? '' : `<rect width="${width}" height="${width}" fill="url(#p)" opacity="0.5"/>`}`
  )
}

/** Where the copies of a thing stand in its quarter, in halves of it, and how large they may be there. */
const layouts: Readonly<Record<string, { readonly at: readonly (readonly [x: number, y: number])[]; readonly scale: number }>> = {
  one: { at: [[0, 0]], scale: 1 },
  two: { at: [[-0.5, 0], [0.5, 0]], scale: 0.54 }, // biome-ignore format: a line for each
  three: { at: [[-0.5, 0.45], [0.5, 0.45], [0, -0.45]], scale: 0.5 }, // biome-ignore format: a line for each
}

/** Share of the room that a thing takes. */
const sizes: Readonly<Record<string, number>> = { big: 0.92, small: 0.56 }

function drawThing(random: Random, thing: Thing, left: number, top: number): string {
  const [hue, saturation, lightness] = paints[thing.colour as keyof typeof paints]
  const colour = hsl(around(random, hue, 5), around(random, saturation, 6), around(random, lightness, 4))
  const layout = layouts[thing.count] as (typeof layouts)[string]
  const width = quarter * layout.scale * (sizes[thing.size] as number) * around(random, 1, 0.05)
  const [dx, dy] = [around(random, 0, 2), around(random, 0, 2)]
  const tilt = around(random, 0, 8)
  const body = iconOf(thing.name)
  const copies = layout.at.map(([x, y]) => {
    const [cx, cy] = [left + (quarter / 2) * (1 + x) + dx, top + (quarter / 2) * (1 + y) + dy]
    return `<g transform="translate(${cx.toFixed(1)} ${cy.toFixed(1)}) rotate(${tilt.toFixed(1)}) scale(${(width / iconSide).toFixed(4)}) translate(${-iconSide / 2} ${-iconSide / 2})">${body}</g>`
  })
  return `<g color="${colour}">${copies.join('')}</g>`
}

const svg = (pixels: number, width: number, content: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${pixels}" height="${pixels}" viewBox="0 0 ${width} ${width}">${content}</svg>`

/** A picture of `pixels` × `pixels`; the same random numbers give the same picture in any size. */
export function drawPicture(random: Random, things: readonly Thing[], pixels: number): string {
  const drawn = things.map((thing) => {
    const index = places.indexOf(thing.place)
    return drawThing(random, thing, (index % 2) * quarter, Math.floor(index / 2) * quarter)
  })
  return svg(pixels, side, background(random, side) + drawn.join(''))
}

/** One thing alone, filling a picture of a quarter's size: what a model learns to see first. */
export const drawCloseUp = (random: Random, thing: Thing): string =>
  svg(closeUpSide, closeUpSide, background(random, closeUpSide) + drawThing(random, thing, 0, 0))
