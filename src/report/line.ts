// Lines over steps or doses: several series with their bands, each named at its end.

import { ArgumentError } from '../errors.ts'
import {
  axisBottom,
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
  lineHeight,
  marker,
  narrowWidth,
  type Reference,
  textWidth,
  unit,
  valueText,
} from './chart.ts'
import { type Html, html } from './html.ts'
import { significant } from './numbers.ts'
import { type Axis, type Scale, scaleOf } from './scale.ts'

/** One point; `low` and `high` are both given or both left out. */
export interface LinePoint {
  readonly x: number
  readonly y: number
  readonly low?: number
  readonly high?: number
}

export interface LineSeries {
  readonly name: string
  /** By ascending x, at least one. */
  readonly points: readonly LinePoint[]
}

export interface LineChart {
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly LineSeries[]
  /** Level lines. */
  readonly references?: readonly Reference[]
}

/** Up to so many points a series shows each of them. */
const mostMarkers = 24
const longestEndLabel = 180

const bounds = ({ y, low = y, high = y }: LinePoint): { readonly value: number; readonly low: number; readonly high: number } => ({
  value: y,
  low,
  high,
})

function check({ series }: LineChart): void {
  checkSeries(series.map(({ name }) => name))
  for (const { name, points } of series) {
    if (points.length === 0) throw new ArgumentError(`series "${name}" has no point; leave it out`)
    for (const [i, point] of points.entries()) {
      checkFinite(point.x, name, `x of point ${i}`)
      checkInterval(bounds(point), name, `point ${i}`)
      if ((point.low === undefined) !== (point.high === undefined)) throw new ArgumentError(`series "${name}": point ${i} has one of low and high`)
      if (i > 0 && point.x <= (points[i - 1] as LinePoint).x) {
        throw new ArgumentError(`series "${name}": x of point ${i} is ${point.x}, not above the one before it`)
      }
    }
  }
}

/** Runs of neighbouring points with bounds. A run of one has no area; it is drawn as a whisker. */
function bands(points: readonly LinePoint[]): LinePoint[][] {
  const runs: LinePoint[][] = [[]]
  for (const point of points) {
    if (point.low === undefined) runs.push([])
    else runs.at(-1)?.push(point)
  }
  return runs.filter((run) => run.length > 0)
}

function drawSeries({ name, points }: LineSeries, index: number, x: Scale, y: Scale, xName: string): { readonly band: Html; readonly stroke: Html } {
  const place = (at: number, value: number): string => `${unit(x.at(at))},${unit(y.at(value))}`
  const areas = bands(points).map((run) => {
    if (run.length === 1) return run.map(({ x: at, low = 0, high = 0 }) => line(x.at(at), y.at(low), x.at(at), y.at(high), `whisker s${index}`))
    const upper = run.map(({ x: at, high = 0 }) => place(at, high))
    const lower = run.toReversed().map(({ x: at, low = 0 }) => place(at, low))
    return html`<path class="band s${index}" d="M${[...upper, ...lower].join('L')}Z"/>`
  })
  const path = html`<path class="line s${index}" d="M${points.map(({ x: at, y: value }) => place(at, value)).join('L')}"/>`
  const shown = points.length <= mostMarkers ? points : []
  const marks = shown.map((point) => {
    const { x: at, y: value, ...rest } = point
    const text = `${name}, ${xName} ${significant(at)}: ${valueText({ value, ...rest })}`
    return html`<g class="mark"><title>${text}</title>${marker(x.at(at), y.at(value), index)}</g>`
  })
  return { band: html`${areas}`, stroke: html`<g class="series">${[path, ...marks]}</g>` }
}

/** Places on a series' line, close enough to see what a text would cover. */
function alongLine(points: readonly LinePoint[], x: Scale, y: Scale): (readonly [x: number, y: number])[] {
  const places = points.map((point) => [x.at(point.x), y.at(point.y)] as const)
  return places.flatMap(([x1, y1], i) => {
    const [x0, y0] = places[i - 1] ?? [x1, y1]
    const count = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / 10))
    return Array.from({ length: count }, (_, k) => [x0 + ((x1 - x0) * (k + 1)) / count, y0 + ((y1 - y0) * (k + 1)) / count] as const)
  })
}

/** Moves labels apart so that none covers another, keeping their order, within [top, bottom]. */
function apart(places: readonly number[], top: number, bottom: number): number[] {
  const order = places.map((place, i) => ({ place, i })).toSorted((a, b) => a.place - b.place)
  const found: number[] = []
  for (const [rank, { place }] of order.entries()) found.push(Math.max(place, rank === 0 ? top : (found[rank - 1] as number) + lineHeight - 1))
  for (let rank = found.length - 1, limit = bottom; rank >= 0; rank--, limit -= lineHeight - 1) {
    found[rank] = Math.min(found[rank] as number, limit)
  }
  const moved = new Array<number>(places.length)
  for (const [rank, { i }] of order.entries()) moved[i] = found[rank] as number
  return moved
}

/** Each series' name beside its last point, with a thin line to it where it had to move. */
function endLabels(series: readonly LineSeries[], x: Scale, y: Scale, right: number, top: number, bottom: number): Html[] {
  const ends = series.map(({ points }) => points.at(-1) as LinePoint)
  const places = apart(
    ends.map(({ y: value }) => y.at(value)),
    top,
    bottom,
  )
  return series.map(({ name }, i) => {
    const [end, place] = [ends[i] as LinePoint, places[i] as number]
    const leader = line(x.at(end.x) + 6, y.at(end.y), right + 6, place, 'leader')
    const far = Math.abs(y.at(end.y) - place) > 3 || right - x.at(end.x) > 3
    return html`<g class="named">${[far ? leader : null, label(right + 9, place + 4, name, 'start', `name s${i}`)]}</g>`
  })
}

/**
 * Lines with confidence bands. Series are named at their ends where there is room, else in a legend above.
 * @throws ArgumentError that names the series, for NaN, an order of x that runs backwards, or no points
 */
export function lineChart(chart: LineChart): Chart {
  check(chart)
  const { series, references = [] } = chart
  return (target) => {
    const { width } = target
    const names = series.map(({ name }) => name)
    const direct = series.length > 1 && width >= narrowWidth && Math.max(...names.map(textWidth)) <= longestEndLabel
    const key = direct || series.length === 1 ? null : legend(names, 0, 20, width)
    const top = 30 + (key?.height ?? 0)
    const bottom = top + Math.round(Math.min(300, width * 0.55))
    const values = series.flatMap(({ points }) => points.flatMap((point) => Object.values(bounds(point))))
    const levels = references.map(({ at }) => at)
    const y = scaleOf([...values, ...levels], chart.y, { from: bottom, to: top, wanted: 5, round: true })
    const left = leftMargin([y])
    const right = width - (direct ? 12 + Math.max(...names.map(textWidth)) : 14)
    const places = series.flatMap(({ points }) => points.map((point) => point.x))
    const x = scaleOf(places, chart.x, {
      from: left + 6,
      to: right - (direct ? 2 : 0),
      wanted: Math.max(2, Math.floor((right - left) / 75)),
      round: false,
    })
    const drawn = series.map((each, i) => drawSeries(each, i, x, y, chart.x.label))
    const held = references.map((each) =>
      level(
        each,
        y,
        left,
        right,
        series.flatMap(({ points }) => alongLine(points, x, y)),
      ),
    )
    const body = [
      label(0, 12, chart.y.label, 'start', 'axis'),
      key?.body ?? null,
      axisLeft(y, left, right),
      axisBottom(x, bottom, bottom, chart.x.label, (left + right) / 2),
      drawn.map(({ band }) => band),
      held,
      drawn.map(({ stroke }) => stroke),
      direct ? endLabels(series, x, y, right, top, bottom) : null,
    ]
    return frame(target, summary(chart), bottom + 40, body)
  }
}

function summary({ x, y, series }: LineChart): string {
  const each = series.map(({ name, points }) => {
    const [first, last] = [points[0] as LinePoint, points.at(-1) as LinePoint]
    return `${name} goes from ${significant(first.y)} at ${significant(first.x)} to ${significant(last.y)} at ${significant(last.x)}`
  })
  return `Lines of ${y.label} over ${x.label}: ${each.join('; ')}.`
}
