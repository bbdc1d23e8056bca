// What was measured bin by bin, such as angles between gradients by visual dependency, over the norms that say which bins carry a signal.

import { ArgumentError } from '../errors.ts'
import type { Interval } from '../statistics/interval.ts'
import {
  axisLeft,
  type Chart,
  checkFinite,
  checkInterval,
  checkSeries,
  frame,
  label,
  leftMargin,
  legend,
  level,
  line,
  marker,
  type Reference,
  textWidth,
  unit,
  valueText,
} from './chart.ts'
import { type Html, html } from './html.ts'
import { significant } from './numbers.ts'
import { type Axis, type Scale, scaleOf } from './scale.ts'

/** A bin: its short name beneath the axis and what it holds, for its tooltip. */
export interface Bin {
  readonly label: string
  readonly detail?: string
}

/** A value with its interval; `faint` where it means little, such as the angle of a gradient that is almost zero. */
export interface BinValue extends Interval {
  readonly faint?: boolean
}

export interface BinChart {
  readonly bins: readonly Bin[]
  /** What the bins divide, such as "tenth of tokens by visual dependency". */
  readonly binsLabel: string
  readonly y: Axis
  /** One value for each bin; null where there is none. */
  readonly series: readonly { readonly name: string; readonly values: readonly (BinValue | null)[] }[]
  readonly reference?: Reference
  /** The smaller panel beneath, with series of its own, such as gradient norms. */
  readonly under?: {
    readonly y: Axis
    readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[]
  }
}

function check({ bins, series, under }: BinChart): void {
  if (bins.length === 0) throw new ArgumentError('a bin chart needs at least one bin')
  for (const panel of [series, under?.series].filter((each) => each !== undefined)) {
    checkSeries(panel.map(({ name }) => name))
    for (const { name, values } of panel) {
      if (values.length !== bins.length) throw new ArgumentError(`series "${name}" has ${values.length} values for the ${bins.length} bins`)
      for (const [i, value] of values.entries()) {
        if (typeof value === 'number') checkFinite(value, name, `bin ${i}`)
        else if (value !== null) checkInterval(value, name, `bin ${i}`)
      }
    }
  }
}

/**
 * Points with intervals in each bin, side by side, joined by thin lines; beneath, a second panel over the same bins. A bin's marks are spread
 * about its middle.
 * @throws ArgumentError that names the series, for NaN, low above high, or as many values as there are no bins
 */
export function binChart(chart: BinChart): Chart {
  check(chart)
  const { bins, series, under, reference } = chart
  return (target) => {
    const { width } = target
    const key = legend(
      series.map(({ name }) => name),
      0,
      20,
      width,
    )
    const top = 30 + key.height
    const bottom = top + Math.round(Math.min(240, width * 0.5))
    const values = series.flatMap((each) => each.values.flatMap((value) => (value === null ? [] : [value.value, value.low, value.high])))
    const y = scaleOf([...values, ...(reference === undefined ? [] : [reference.at])], chart.y, { from: bottom, to: top, wanted: 5, round: true })
    const underKey = under === undefined ? null : legend(namesOf(under.series), 0, bottom + 34, width)
    const underTop = bottom + 42 + (underKey?.height ?? 0)
    const underBottom = underTop + 84
    const norms = under?.series.flatMap((each) => each.values.filter((value) => value !== null)) ?? []
    const underY = under === undefined ? null : scaleOf(norms, under.y, { from: underBottom, to: underTop, wanted: 3, round: true })
    const left = leftMargin(underY === null ? [y] : [y, underY])
    const right = width - 4
    const step = (right - left) / bins.length
    const middle = (bin: number): number => left + (bin + 0.5) * step
    const spread = Math.min(9, (step * 0.7) / series.length)
    const end = under === undefined ? bottom : underBottom
    const across =
      (index: number): ((bin: number) => number) =>
      (bin) =>
        middle(bin) + (index - (series.length - 1) / 2) * spread
    const points = series.flatMap((each, i) =>
      each.values.flatMap((value, bin) =>
        value === null ? [] : [value.low, value.value, value.high].map((part) => [across(i)(bin), y.at(part)] as const),
      ),
    )
    const held = reference === undefined ? null : level(reference, y, left, right, points)
    const upper = series.map((each, i) => intervals(each, i, bins, y, across(i)))
    const lower =
      under === undefined || underY === null
        ? null
        : [
            label(0, bottom + 28, under.y.label, 'start', 'axis'),
            underKey?.body ?? null,
            axisLeft(underY, left, right),
            under.series.map((each, i) => joined(each, i, bins, underY, middle)),
          ]
    const body = [
      label(0, 12, chart.y.label, 'start', 'axis'),
      key.body,
      axisLeft(y, left, right),
      held,
      upper,
      lower,
      binNames(bins, middle, step, end),
      label((left + right) / 2, end + 34, chart.binsLabel, 'middle', 'axis'),
    ]
    return frame(target, summary(chart), end + 40, body)
  }
}

const namesOf = (series: readonly { readonly name: string }[]): string[] => series.map(({ name }) => name)

/** Bins' names beneath the axis; every second, third … where they would touch. */
function binNames(bins: readonly Bin[], middle: (bin: number) => number, step: number, bottom: number): Html[] {
  const every = Math.ceil((Math.max(...bins.map((bin) => textWidth(bin.label))) + 4) / step)
  return bins.map(({ label: text, detail }, i) => {
    const shown = i % every === 0 ? label(middle(i), bottom + 17, text, 'middle') : null
    return html`<g class="tick x">${[detail === undefined ? null : html`<title>${text}: ${detail}</title>`, line(middle(i), bottom, middle(i), bottom + 4, 'grid'), shown]}</g>`
  })
}

/** A path through the bins that have a value, broken where one has none. */
function pathOf(places: readonly (readonly [x: number, y: number] | null)[]): string {
  return places
    .map((place, i) => (place === null ? '' : `${i > 0 && (places[i - 1] ?? null) !== null ? 'L' : 'M'}${unit(place[0])},${unit(place[1])}`))
    .join('')
}

function intervals(each: BinChart['series'][number], series: number, bins: readonly Bin[], y: Scale, x: (bin: number) => number): Html {
  const path = pathOf(each.values.map((value, bin) => (value === null ? null : [x(bin), y.at(value.value)])))
  const marks = each.values.map((value, bin) => {
    if (value === null) return null
    const faint = value.faint === true ? 'faint' : ''
    return html`<g class="${`mark ${faint}`.trim()}"><title>${each.name}, ${bins[bin]?.label ?? ''}: ${valueText(value)}</title>${[
      line(x(bin), y.at(value.low), x(bin), y.at(value.high), `interval s${series}`),
      marker(x(bin), y.at(value.value), series),
    ]}</g>`
  })
  return html`<g class="series"><path class="line thin s${series}" d="${path}"/>${marks}</g>`
}

function joined(
  each: { readonly name: string; readonly values: readonly (number | null)[] },
  series: number,
  bins: readonly Bin[],
  y: Scale,
  x: (bin: number) => number,
): Html {
  const path = pathOf(each.values.map((value, bin) => (value === null ? null : [x(bin), y.at(value)])))
  const marks = each.values.map((value, bin) =>
    value === null
      ? null
      : html`<g class="mark"><title>${each.name}, ${bins[bin]?.label ?? ''}: ${significant(value)}</title>${marker(x(bin), y.at(value), series)}</g>`,
  )
  return html`<g class="series"><path class="line thin s${series}" d="${path}"/>${marks}</g>`
}

function summary({ bins, binsLabel, y, series }: BinChart): string {
  const each = series.map(({ name, values }) => {
    const texts = values.map((value, i) => `${bins[i]?.label ?? ''}: ${value === null ? 'none' : valueText(value)}`)
    return `${name}: ${texts.join(', ')}`
  })
  return `${y.label} by ${binsLabel}. ${each.join('; ')}.`
}
