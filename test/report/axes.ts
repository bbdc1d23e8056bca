// Reads a chart as a person would: two numbers of an axis say where all others lie, and every mark must be there.

import assert from 'node:assert/strict'
import type { Chart } from '../../src/report/chart.ts'
import { all, type Element, numeric, only, parseXml, textOf } from './xml.ts'

export const widths = [720, 460, 360] as const

export function drawn(chart: Chart, width = 720): Element {
  return parseXml(chart({ title: 'Title <b>', description: 'Description & more.', width }).text)
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹'

/** The number that a tick says. */
function numberIn(text: string): number {
  const power = /^(?:(\d) × )?10(⁻?)([⁰¹²³⁴-⁹]+)$/u.exec(text)
  if (power !== null) {
    const [, factor = '1', minus, digits = ''] = power
    return Number(factor) * 10 ** (Number([...digits].map((sign) => superscripts.indexOf(sign)).join('')) * (minus === '' ? 1 : -1))
  }
  return Number(text.replace('−', '-').replace(/[°\u202f%]/g, ''))
}

/**
 * From a value to its place along an axis, by the axis's first and last number; the others must agree.
 * @param panel which axis where there are several of one kind
 */
export function axis(
  chart: Element,
  which: 'x' | 'y',
  options: { readonly log?: boolean; readonly from?: number; readonly to?: number } = {},
): (value: number) => number {
  const { log = false, from = 0, to } = options
  const ticks = all(chart, 'g', 'tick', which)
    .slice(from, to)
    .map((tick) => ({ value: numberIn(textOf(only(tick, 'text'))), place: numeric(only(tick, 'line'), `${which}1`) }))
  assert.ok(ticks.length >= 2, `${which} has ${ticks.length} numbers`)
  const scale = (value: number): number => (log ? Math.log(value) : value)
  const [first, last] = [ticks[0], ticks.at(-1)] as [(typeof ticks)[number], (typeof ticks)[number]]
  const at = (value: number): number =>
    first.place + ((last.place - first.place) * (scale(value) - scale(first.value))) / (scale(last.value) - scale(first.value))
  for (const { value, place } of ticks) near(place, at(value), `tick ${value}`)
  return at
}

/** Places are written to a hundredth, and the axis is read from two such. */
export function near(place: number, expected: number, what: string): void {
  assert.ok(Math.abs(place - expected) <= 0.03, `${what}: at ${place}, expected ${expected}`)
}

/** Where a mark's form stands. */
export function pointOf(mark: Element): readonly [number, number] {
  const found = /^translate\((-?[\d.]+),(-?[\d.]+)\)$/.exec(mark.attributes['transform'] ?? '')
  assert.ok(found, `transform is ${mark.attributes['transform']}`)
  return [Number(found[1]), Number(found[2])]
}

/** The corners of a path of straight lines. */
export function corners(path: Element): (readonly [number, number])[] {
  return (path.attributes['d'] ?? '')
    .replace(/^M|Z$/g, '')
    .split(/[ML]/)
    .map((pair) => pair.split(',').map(Number) as [number, number])
}

/** Every number in the figure's marks and texts lies inside of its box. */
export function insideBox(chart: Element): void {
  const [, , width = 0, height = 0] = (chart.attributes['viewBox'] ?? '').split(' ').map(Number)
  const inside = (x: number, y: number, what: string): void =>
    assert.ok(x >= -0.01 && x <= width + 0.01 && y >= -0.01 && y <= height + 0.01, `${what} at ${x}, ${y} of ${width} × ${height}`)
  for (const mark of all(chart, 'path', 'point')) inside(...pointOf(mark), 'point')
  for (const line of all(chart, 'line')) {
    inside(numeric(line, 'x1'), numeric(line, 'y1'), `line ${line.attributes['class']}`)
    inside(numeric(line, 'x2'), numeric(line, 'y2'), `line ${line.attributes['class']}`)
  }
  for (const text of all(chart, 'text')) {
    // A narrower font than the charts reckon with: what is outside here is cut off everywhere.
    const length = [...textOf(text)].length * 12 * 0.5
    const classes = (text.attributes['class'] ?? '').split(' ')
    const x = numeric(text, 'x') - (classes.includes('end') ? length : classes.includes('middle') ? length / 2 : 0)
    inside(x, numeric(text, 'y') - 9, `text "${textOf(text)}"`)
    inside(x + length, numeric(text, 'y'), `text "${textOf(text)}"`)
  }
}
