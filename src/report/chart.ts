// What all charts share: the frame with its texts for screen readers, axes, legends, marks, and the checks of what is given.

import { ArgumentError } from '../errors.ts'
import { type Content, type Html, html } from './html.ts'
import { intervalText, significant } from './numbers.ts'
import { seriesColours } from './palette.ts'
import type { Scale } from './scale.ts'

/** For what a chart is drawn: its texts, and its width in units of which text is 12 high. */
export interface Frame {
  readonly title: string
  readonly description?: string
  readonly width: number
}

/** A chart that can be drawn at any width; `figure` draws it twice, for wide and for narrow screens. */
export type Chart = (frame: Frame) => Html

/** Below this width labels go above what they name, and legends above the figure. */
export const narrowWidth = 480
export const fontSize = 12
/** Of a character on the average, as a share of the font's size: that of a wide sans, since the reader's font is not known. */
const characterWidth = 0.62
/** Height of a line of text. */
export const lineHeight = 16

/** A line across the plot to hold values against, such as 90° or the base's score. */
export interface Reference {
  readonly at: number
  readonly label: string
}

/** A place, to a hundredth of a unit. */
export const unit = (place: number): string => String(Math.round(place * 100) / 100 || 0)

/** About the width of a text. */
export function textWidth(text: string): number {
  return Math.ceil([...text].length * fontSize * characterWidth)
}

/** Breaks a text into lines of at most `width`, between words where there are any. */
export function wrapped(text: string, width: number): string[] {
  const fitting = Math.max(1, Math.floor(width / (fontSize * characterWidth)))
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && [...last].length + 1 + [...word].length <= fitting) {
      lines[lines.length - 1] = `${last} ${word}`
      continue
    }
    const characters = [...word]
    do lines.push(characters.splice(0, fitting).join(''))
    while (characters.length > 0)
  }
  return lines
}

/** @throws ArgumentError that names the series, if a number is not finite */
export function checkFinite(value: number, series: string, what: string): void {
  if (!Number.isFinite(value)) throw new ArgumentError(`series "${series}": ${what} is ${value}; expected a finite number`)
}

/** @throws ArgumentError if there are none, more than there are colours, or two of one name */
export function checkSeries(names: readonly string[]): void {
  if (names.length === 0) throw new ArgumentError('a chart needs at least one series')
  if (names.length > seriesColours.length) {
    throw new ArgumentError(`${names.length} series; at most ${seriesColours.length} can be told apart, so divide them over several charts`)
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new ArgumentError(`two series are called "${twice}"`)
}

/** @throws ArgumentError that names the series, unless low ≤ high and all are finite */
export function checkInterval(value: { readonly value: number; readonly low: number; readonly high: number }, series: string, what: string): void {
  for (const part of ['value', 'low', 'high'] as const) checkFinite(value[part], series, `${part} of ${what}`)
  if (value.low > value.high) throw new ArgumentError(`series "${series}": ${what} has low ${value.low} above high ${value.high}`)
}

/** The figure itself: scaled by its viewBox, named and described for those who do not see it. */
export function frame({ title, description, width }: Frame, summary: string, height: number, body: Content): Html {
  const described = description === undefined ? summary : `${description} ${summary}`
  return html`<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 ${unit(width)} ${unit(height)}" width="${unit(width)}" height="${unit(height)}"><title>${title}</title><desc>${described}</desc>
${body}</svg>`
}

/** @param anchor which end of the text lies at x */
export function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end' = 'start', className = ''): Html {
  return html`<text x="${unit(x)}" y="${unit(y)}" class="${`${anchor} ${className}`.trim()}">${text}</text>`
}

export function line(x1: number, y1: number, x2: number, y2: number, className: string): Html {
  return html`<line x1="${unit(x1)}" y1="${unit(y1)}" x2="${unit(x2)}" y2="${unit(y2)}" class="${className}"/>`
}

/** Numbers up the left side, with lines across the plot. */
export function axisLeft(scale: Scale, left: number, right: number): Html[] {
  return scale.ticks.map(
    ({ value, label: text }) =>
      html`<g class="tick y">${[line(left, scale.at(value), right, scale.at(value), 'grid'), label(left - 6, scale.at(value) + 4, text, 'end')]}</g>`,
  )
}

/** Numbers along the bottom and what they mean. @param grid how far up lines reach; the plot's bottom for short ticks only */
export function axisBottom(scale: Scale, y: number, grid: number, name: string, middle: number): Html[] {
  const ticks = scale.ticks.map(
    ({ value, label: text }) =>
      html`<g class="tick x">${[line(scale.at(value), grid, scale.at(value), y + 4, 'grid'), label(scale.at(value), y + 17, text, 'middle')]}</g>`,
  )
  return [...ticks, label(middle, y + 34, name, 'middle', 'axis')]
}

/** How far left of a plot the numbers of its left axis reach. */
export function leftMargin(scales: readonly Scale[]): number {
  return 8 + Math.max(...scales.flatMap(({ ticks }) => ticks.map((tick) => textWidth(tick.label))))
}

/** A form for each series, around (0, 0), so that colour is never the only difference. */
const forms: readonly string[] = [
  'M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z',
  'M-3.2,-3.2h6.4v6.4h-6.4z',
  'M0,-4.6L4.6,0L0,4.6L-4.6,0z',
  'M0,-4.4L4.2,3.2H-4.2z',
  'M0,4.4L4.2,-3.2H-4.2z',
  'M-3.8,-1.2h2.6v-2.6h2.4v2.6h2.6v2.4h-2.6v2.6h-2.4v-2.6h-2.6z',
]

/** Where a text could stand. */
export interface Spot {
  readonly x: number
  readonly y: number
  readonly anchor: 'start' | 'end'
}

/** The first of the spots at which the text covers fewest of the points. */
export function clearest(spots: readonly [Spot, ...Spot[]], text: string, points: readonly (readonly [x: number, y: number])[]): Spot {
  const covered = ({ x, y, anchor }: Spot): number => {
    const left = anchor === 'start' ? x : x - textWidth(text)
    const inside = ([px, py]: readonly [number, number]): boolean =>
      px > left - 5 && px < left + textWidth(text) + 5 && py > y - fontSize - 3 && py < y + 6
    return points.filter(inside).length
  }
  return spots.reduce((best, spot) => (covered(spot) < covered(best) ? spot : best))
}

/** A level line across the plot with its name at an end, above or below, where it covers least. */
export function level(
  { at, label: text }: Reference,
  y: Scale,
  left: number,
  right: number,
  points: readonly (readonly [x: number, y: number])[],
): Html {
  const place = y.at(at)
  const [above, below] = [place - 5, place + 13]
  const spot = clearest(
    [
      { x: left + 4, y: above, anchor: 'start' },
      { x: right - 2, y: above, anchor: 'end' },
      { x: right - 2, y: below, anchor: 'end' },
      { x: left + 4, y: below, anchor: 'start' },
    ],
    text,
    points,
  )
  return html`<g class="held">${[line(left, place, right, place, 'reference'), label(spot.x, spot.y, text, spot.anchor, 'remark')]}</g>`
}

/** A series' form at a place. @param series its index; null for one without colour */
export function marker(x: number, y: number, series: number | null, className = ''): Html {
  const name = `point ${series === null ? '' : `s${series}`} ${className}`.replace(/ +/g, ' ').trim()
  return html`<path class="${name}" transform="translate(${unit(x)},${unit(y)})" d="${forms[series ?? 0] ?? forms[0] ?? ''}"/>`
}

/** Names with their forms, in as many lines as they need. */
export function legend(names: readonly string[], left: number, top: number, width: number): { readonly body: Html; readonly height: number } {
  let [x, row] = [left, 0]
  const items = names.map((name, series) => {
    const needed = 14 + textWidth(name) + 14
    if (x > left && x + needed - 14 > left + width) [x, row] = [left, row + 1]
    const y = top + row * lineHeight + 11
    const item = html`<g>${[marker(x + 5, y - 4, series), label(x + 14, y, name)]}</g>`
    x += needed
    return item
  })
  return { body: html`<g class="legend">${items}</g>`, height: (row + 1) * lineHeight + 4 }
}

/** What a value's tooltip says after its name. */
export function valueText(value: { readonly value: number; readonly low?: number; readonly high?: number }): string {
  const { value: middle, low, high } = value
  return low === undefined || high === undefined ? significant(middle) : intervalText({ value: middle, low, high }, significant)
}
