// The few shapes and colours that pictures are drawn from, as SVG. Coordinates are integers, so that what is true of a picture can be computed
// exactly from what is written in it.

import type { Random } from './random.ts'

/** A picture is a square with this side, whatever its size in pixels; x goes right, y goes down. */
export const side = 10_000

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Circle extends Point {
  /** Up to the outer edge of its line. */
  readonly radius: number
}

/** How a shape looks. Lines have round ends; `fill` and `line` are colours. */
export interface Paint {
  readonly line?: string
  readonly width?: number
  readonly fill?: string
  readonly opacity?: number
}

/** A colour with the word for it. */
export interface Ink {
  readonly name: InkName
  readonly colour: string
}

type Range = readonly [low: number, high: number]

/** Hue, saturation and lightness of what everybody calls by these names; all stand out from papers. */
const inkRanges = {
  red: [
    [-5, 5],
    [80, 95],
    [42, 52],
  ],
  orange: [
    [26, 34],
    [92, 100],
    [48, 54],
  ],
  brown: [
    [20, 28],
    [50, 65],
    [24, 30],
  ],
  green: [
    [115, 140],
    [60, 85],
    [28, 40],
  ],
  teal: [
    [174, 182],
    [70, 90],
    [38, 44],
  ],
  blue: [
    [212, 228],
    [80, 95],
    [42, 55],
  ],
  purple: [
    [270, 282],
    [60, 80],
    [38, 48],
  ],
  pink: [
    [322, 332],
    [85, 95],
    [62, 70],
  ],
  gray: [
    [0, 0],
    [0, 0],
    [50, 58],
  ],
  black: [
    [0, 0],
    [0, 0],
    [0, 8],
  ],
} as const satisfies { readonly [name: string]: readonly [hue: Range, saturation: Range, lightness: Range] }

export type InkName = keyof typeof inkRanges
export const inkNames = Object.keys(inkRanges) as readonly InkName[]

/** Inks of different names, each of a random shade. */
export function inks(random: Random, count: number): Ink[] {
  return random.several(inkNames, count).map((name) => {
    const [hue, saturation, lightness] = inkRanges[name].map(([low, high]) => Math.round(random.between(low, high))) as [number, number, number]
    return { name, colour: `hsl(${(hue + 360) % 360},${saturation}%,${lightness}%)` }
  })
}

/** A light colour to draw on: white, or a tint. */
export function paper(random: Random): string {
  return random.chance(0.5) ? '#ffffff' : `hsl(${random.integer(360)},${random.within(10, 70)}%,${random.within(90, 97)}%)`
}

function look({ line, width, fill, opacity }: Paint): string {
  const lines = line === undefined ? '' : ` stroke="${line}" stroke-width="${width ?? 1}" stroke-linecap="round" stroke-linejoin="round"`
  return `fill="${fill ?? 'none'}"${lines}${opacity === undefined ? '' : ` opacity="${opacity}"`}`
}

const listed = (points: readonly Point[]): string => points.map(({ x, y }) => `${x},${y}`).join(' ')

/** A circle of which nothing reaches beyond its radius: a line lies inside. */
export function circle({ x, y, radius }: Circle, paint: Paint): string {
  const inner = paint.line === undefined ? radius : radius - (paint.width ?? 1) / 2
  return `<circle cx="${x}" cy="${y}" r="${inner}" ${look(paint)}/>`
}

export const ellipse = ({ x, y }: Point, rx: number, ry: number, paint: Paint): string =>
  `<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" ${look(paint)}/>`

export const polyline = (points: readonly Point[], paint: Paint): string => `<polyline points="${listed(points)}" ${look(paint)}/>`

export const polygon = (points: readonly Point[], paint: Paint): string => `<polygon points="${listed(points)}" ${look(paint)}/>`

/** A square or other rectangle whose lines run along these edges. */
export const rectangle = (from: Point, to: Point, paint: Paint): string => polygon([from, { x: to.x, y: from.y }, to, { x: from.x, y: to.y }], paint)

/** Lines in units of their own, such as letters: moved to a point and made larger. */
export const drawing = (lines: string, at: Point, scale: number, paint: Paint): string =>
  `<path d="${lines}" transform="translate(${at.x} ${at.y}) scale(${scale})" ${look(paint)}/>`

/** The SVG document of shapes on a paper, the last on top. */
export function picture(pixels: number, background: string, shapes: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${pixels}" height="${pixels}" viewBox="0 0 ${side} ${side}">`,
    `<rect width="${side}" height="${side}" fill="${background}"/>`,
    ...shapes,
    '</svg>',
  ].join('\n')
}
