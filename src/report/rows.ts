// Rows of names with what was measured for each: points with intervals, or bars. Lying down, so that long names stay readable on a phone.

import { ArgumentError } from '../errors.ts'
import type { Interval } from '../statistics/interval.ts'
import {
  axisBottom,
  type Chart,
  checkInterval,
  checkSeries,
  frame,
  label,
  legend,
  line,
  lineHeight,
  marker,
  narrowWidth,
  type Reference,
  textWidth,
  unit,
  valueText,
  wrapped,
} from './chart.ts'
import { type Html, html } from './html.ts'
import { defaultDigits, fixed, intervalText } from './numbers.ts'
import { type Axis, type Scale, scaleOf } from './scale.ts'

/** A row of an interval chart. */
export interface IntervalRow extends Interval {
  readonly label: string
  /** Rows of one group stand together under its name. */
  readonly group?: string
  /** What the row is about, such as the method of the paper: drawn in colour. */
  readonly emphasis?: boolean
}

export interface IntervalChart {
  readonly x: Axis
  readonly rows: readonly IntervalRow[]
  readonly reference?: Reference
  /** Digits after the point of the numbers at the right. */
  readonly digits?: number
}

/** A row of bars, one for each series; null where nothing was measured. */
export interface BarRow {
  readonly label: string
  readonly values: readonly (Interval | number | null)[]
  readonly group?: string
}

export interface BarChart {
  readonly x: Axis
  readonly series: readonly string[]
  readonly rows: readonly BarRow[]
  readonly digits?: number
}

/** A row before it has its place: its name, the height of what is drawn for it, and the texts at its right, one for each line drawn. */
interface Row {
  readonly label: string
  readonly group: string | undefined
  readonly texts: readonly string[]
  /** Between the lines that are drawn. */
  readonly pitch: number
}

interface Layout {
  readonly left: number
  readonly right: number
  readonly bottom: number
  /** Group names, row names, numbers. */
  readonly words: readonly Html[]
  /** The middle of each row's lines. */
  readonly places: readonly (readonly number[])[]
}

function layOut(rows: readonly Row[], width: number, top: number): Layout {
  const narrow = width < narrowWidth
  const numbers = Math.max(...rows.flatMap(({ texts }) => texts.map(textWidth)))
  const names = Math.min(width * 0.36, Math.max(...rows.map((row) => textWidth(row.label) + 4)))
  const left = narrow ? 20 : names + 14
  // In narrow figures numbers stand above their line unless there are several lines for one name.
  const above = narrow && rows.every(({ texts }) => texts.length === 1)
  const right = above ? width - 20 : width - numbers - 18
  const words: Html[] = []
  const places: number[][] = []
  let y = top
  let group: string | undefined
  for (const row of rows) {
    if (row.group !== group && row.group !== undefined) {
      y += group === undefined && places.length === 0 ? 0 : 8
      words.push(label(0, y + 12, row.group, 'start', 'group'))
      y += lineHeight + 4
    }
    group = row.group
    const lines = wrapped(row.label, narrow ? width - (above ? numbers + 12 : 0) : names)
    const drawn = row.texts.length * row.pitch
    const nameTop = narrow ? y : y + Math.max(0, (drawn - lines.length * lineHeight) / 2)
    for (const [i, text] of lines.entries()) words.push(label(narrow ? 0 : names, nameTop + i * lineHeight + 12, text, narrow ? 'start' : 'end'))
    const start = narrow ? y + lines.length * lineHeight : y + Math.max(0, (lines.length * lineHeight - drawn) / 2)
    const middles = row.texts.map((_, i) => start + (i + 0.5) * row.pitch)
    for (const [i, text] of row.texts.entries()) words.push(label(width, above ? y + 12 : (middles[i] as number) + 4, text, 'end', 'value'))
    places.push(middles)
    y = Math.max(start + drawn, y + (narrow ? 0 : lines.length * lineHeight)) + (narrow ? 10 : 6)
  }
  return { left, right, bottom: y, words, places }
}

/** The wrong end of an interval would draw backwards and an empty chart would have no axis. */
function checkRows(rows: readonly { readonly label: string }[]): void {
  if (rows.length === 0) throw new ArgumentError('a chart needs at least one row')
}

/** How many ticks fit beside each other. */
const wantedTicks = (left: number, right: number): number => Math.max(2, Math.floor((right - left) / 70))

/**
 * A forest plot: for each row a point on its interval, and the numbers at the right.
 * @throws ArgumentError that names the row, for NaN or low above high
 */
export function intervalChart(chart: IntervalChart): Chart {
  const { rows, reference, digits = defaultDigits } = chart
  checkRows(rows)
  for (const row of rows) checkInterval(row, row.label, 'the interval')
  const write = (value: number): string => fixed(value, digits)
  return (target) => {
    const top = reference === undefined ? 4 : 24
    const laid = layOut(
      rows.map((row) => ({ label: row.label, group: row.group, texts: [intervalText(row, write)], pitch: 18 })),
      target.width,
      top,
    )
    const { left, right, bottom } = laid
    const values = [...rows.flatMap(({ value, low, high }) => [value, low, high]), ...(reference === undefined ? [] : [reference.at])]
    const x = scaleOf(values, chart.x, { from: left, to: right, wanted: wantedTicks(left, right), round: true })
    const marks = rows.map((row, i) => {
      const y = laid.places[i]?.[0] as number
      const shade = row.emphasis === true ? 's0' : 'plain'
      return html`<g class="mark"><title>${row.label}: ${valueText(row)}</title>${[
        line(x.at(row.low), y, x.at(row.high), y, `interval ${shade}`),
        marker(x.at(row.value), y, row.emphasis === true ? 0 : null),
      ]}</g>`
    })
    const held = reference === undefined ? null : heldAt(reference, x, top, bottom, target.width)
    const each = rows.map((row) => `${row.label} ${intervalText(row, write)}`)
    const body = [axisBottom(x, bottom, top, chart.x.label, (left + right) / 2), held, marks, laid.words]
    return frame(target, `Intervals of ${chart.x.label}: ${each.join('; ')}.`, bottom + 40, body)
  }
}

function heldAt({ at, label: text }: Reference, x: Scale, top: number, bottom: number, width: number): Html {
  const half = textWidth(text) / 2
  const middle = Math.min(width - half, Math.max(half, x.at(at)))
  return html`<g class="held">${[line(x.at(at), top - 6, x.at(at), bottom, 'reference'), label(middle, top - 10, text, 'middle', 'remark')]}</g>`
}

/**
 * Bars from 0, with whiskers for intervals, grouped by row; the series are named above.
 * @throws ArgumentError that names row and series, for NaN, low above high, or rows of other lengths than the series
 */
export function barChart(chart: BarChart): Chart {
  const { series, rows, digits = defaultDigits } = chart
  checkSeries(series)
  checkRows(rows)
  if (chart.x.log === true) throw new ArgumentError('bars have no logarithmic axis, since they begin at 0; use an interval chart')
  const data = rows.map((row) => {
    if (row.values.length !== series.length) {
      throw new ArgumentError(`row "${row.label}" has ${row.values.length} values for the ${series.length} series`)
    }
    return row.values.map((value, i) => {
      const bar = typeof value === 'number' ? { value, low: value, high: value } : value
      if (bar !== null) checkInterval(bar, `${series[i]}, ${row.label}`, 'the bar')
      return { bar, whisker: bar !== null && typeof value !== 'number' }
    })
  })
  const write = (value: number): string => fixed(value, digits)
  const text = ({ bar, whisker }: (typeof data)[number][number]): string =>
    bar === null ? '–' : whisker ? intervalText(bar, write) : write(bar.value)
  return (target) => {
    const key = series.length > 1 ? legend(series, 0, 0, target.width) : null
    const top = (key?.height ?? 0) + 6
    const laid = layOut(
      rows.map((row, i) => ({ label: row.label, group: row.group, texts: (data[i] ?? []).map(text), pitch: 15 })),
      target.width,
      top,
    )
    const { left, right, bottom } = laid
    const values = data.flatMap((row) => row.flatMap(({ bar }) => (bar === null ? [] : [bar.value, bar.low, bar.high])))
    const axis = { ...chart.x, include: [0, ...(chart.x.include ?? [])] }
    const x = scaleOf(values, axis, { from: left, to: right, wanted: wantedTicks(left, right), round: true })
    const marks = data.map((row, i) =>
      row.map(({ bar, whisker }, j) => {
        if (bar === null) return null
        const y = laid.places[i]?.[j] as number
        const [from, to] = [Math.min(x.at(0), x.at(bar.value)), Math.max(x.at(0), x.at(bar.value))]
        const name = [rows[i]?.label, series.length > 1 ? series[j] : undefined].filter((part) => part !== undefined).join(', ')
        return html`<g class="mark"><title>${name}: ${valueText(whisker ? bar : { value: bar.value })}</title><rect class="bar s${j}" x="${unit(from)}" y="${unit(y - 6)}" width="${unit(to - from)}" height="12"/>${
          whisker ? line(x.at(bar.low), y, x.at(bar.high), y, 'whisker') : null
        }</g>`
      }),
    )
    const each = rows.map((row, i) => `${row.label} ${(data[i] ?? []).map((cell, j) => `${series[j]} ${text(cell)}`).join(', ')}`)
    const zero = line(x.at(0), top, x.at(0), bottom, 'zero')
    const body = [key?.body ?? null, axisBottom(x, bottom, top, chart.x.label, (left + right) / 2), marks, zero, laid.words]
    return frame(target, `Bars of ${chart.x.label}: ${each.join('; ')}.`, bottom + 40, body)
  }
}
