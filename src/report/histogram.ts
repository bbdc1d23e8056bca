// How values are distributed: counts in bins between round numbers, or shares where several series are held against each other.

import { ArgumentError } from '../errors.ts'
import { quantile } from '../statistics/interval.ts'
import { axisBottom, axisLeft, type Chart, checkFinite, checkSeries, frame, label, leftMargin, legend, line, type Reference, unit } from './chart.ts'
import { type Html, html } from './html.ts'
import { significant } from './numbers.ts'
import { type Axis, linearTicks, scaleOf } from './scale.ts'

export interface Histogram {
  readonly x: Axis
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[]
  /** About how many bins; otherwise by the rule of Freedman and Diaconis. */
  readonly bins?: number
  /** Upright lines. */
  readonly references?: readonly Reference[]
}

const [fewestBins, mostBins] = [5, 60]

/** Bins of width 2 · IQR / ∛n (Freedman and Diaconis 1981), of the series with fewest values so that none is divided too finely. */
function wantedBins(series: Histogram['series'], span: number): number {
  const counts = series.map(({ values }) => {
    const sorted = Float64Array.from(values).sort()
    const width = (2 * (quantile(sorted, 0.75) - quantile(sorted, 0.25))) / Math.cbrt(sorted.length)
    return width > 0 ? Math.ceil(span / width) : Math.ceil(Math.sqrt(sorted.length))
  })
  return Math.min(mostBins, Math.max(fewestBins, Math.min(...counts)))
}

/** Edges at multiples of a round step, from at most the least value to at least the greatest. */
export function histogramEdges(least: number, greatest: number, bins: number): number[] {
  const pad = greatest > least ? 0 : Math.abs(least) / 2 || 0.5
  const [low, high] = [least - pad, greatest + pad]
  const inner = linearTicks(low, high, bins).map(({ value }) => value)
  const step = (inner[1] as number) - (inner[0] as number)
  const edges = [...inner]
  while ((edges[0] as number) > low) edges.unshift(Number(((edges[0] as number) - step).toPrecision(12)))
  while ((edges.at(-1) as number) < high) edges.push(Number(((edges.at(-1) as number) + step).toPrecision(12)))
  return edges
}

/** How many values lie in each bin [edge, next edge); the last holds its upper edge too. */
export function histogramCounts(values: readonly number[], edges: readonly number[]): number[] {
  const counts = new Array<number>(edges.length - 1).fill(0)
  for (const value of values) {
    const after = edges.findIndex((edge) => edge > value)
    const bin = after === -1 ? counts.length - 1 : after - 1
    counts[bin] = (counts[bin] as number) + 1
  }
  return counts
}

/**
 * A histogram. One series is drawn as counts; several as shares of each, one over another, with outlines.
 * @throws ArgumentError that names the series, for NaN or no values
 */
export function histogram(chart: Histogram): Chart {
  const { series, references = [] } = chart
  checkSeries(series.map(({ name }) => name))
  if (chart.x.log === true) throw new ArgumentError('histograms have a linear axis; give the logarithms of the values')
  for (const { name, values } of series) {
    if (values.length === 0) throw new ArgumentError(`series "${name}" has no value; leave it out`)
    for (const [i, value] of values.entries()) checkFinite(value, name, `value ${i}`)
  }
  const all = series.flatMap(({ values }) => values)
  const [least, greatest] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))]
  const edges = histogramEdges(least, greatest, chart.bins ?? wantedBins(series, greatest - least))
  const several = series.length > 1
  const heights = series.map(({ values }) => histogramCounts(values, edges).map((count) => (several ? count / values.length : count)))
  return (target) => {
    const { width } = target
    const names = series.map(({ name }) => name)
    const key = several ? legend(names, 0, 20, width) : null
    const top = 30 + (key?.height ?? 0)
    const bottom = top + Math.round(Math.min(220, width * 0.45))
    const yLabel = several ? 'Share of values' : 'Number of values'
    const y = scaleOf(heights.flat(), { label: yLabel, include: [0] }, { from: bottom, to: top, wanted: 4, round: true })
    const left = leftMargin([y])
    const right = width - 14
    const spots = [...edges, ...references.map(({ at }) => at)]
    const x = scaleOf(spots, chart.x, { from: left, to: right, wanted: Math.max(2, Math.floor((right - left) / 75)), round: false })
    const drawn = heights.map((bars, i) => {
      const rects = bars.map((height, bin) => {
        const [from, to] = [edges[bin] as number, edges[bin + 1] as number]
        const text = `${names[i]}, ${significant(from)} to ${significant(to)}: ${significant(height)}`
        return html`<rect class="bin s${i}" x="${unit(x.at(from))}" y="${unit(y.at(height))}" width="${unit(x.at(to) - x.at(from))}" height="${unit(y.at(0) - y.at(height))}"><title>${text}</title></rect>`
      })
      return html`<g class="series">${[...rects, outline(bars, edges, i, x.at, y.at)]}</g>`
    })
    const side = (at: number): 'start' | 'end' => (x.at(at) > (left + right) / 2 ? 'end' : 'start')
    const held = references.map(({ at, label: text }, i) => [
      line(x.at(at), top - 4, x.at(at), bottom, 'reference'),
      label(x.at(at) + (side(at) === 'end' ? -4 : 4), top + 6 + i * 14, text, side(at), 'remark'),
    ])
    const body = [
      label(0, 12, yLabel, 'start', 'axis'),
      key?.body ?? null,
      axisLeft(y, left, right),
      axisBottom(x, bottom, bottom, chart.x.label, (left + right) / 2),
      drawn,
      held,
    ]
    return frame(target, summary(chart, edges, heights), bottom + 40, body)
  }
}

/** The upper edge of all bars of a series, so that series stay readable where they overlap. */
function outline(
  bars: readonly number[],
  edges: readonly number[],
  series: number,
  x: (value: number) => number,
  y: (value: number) => number,
): Html {
  const steps = bars.map((height, bin) => `V${unit(y(height))}H${unit(x(edges[bin + 1] as number))}`)
  return html`<path class="line thin s${series}" d="M${unit(x(edges[0] as number))},${unit(y(0))}${steps.join('')}V${unit(y(0))}"/>`
}

function summary({ x, series }: Histogram, edges: readonly number[], heights: readonly (readonly number[])[]): string {
  const each = series.map(({ name, values }, i) => {
    const bars = heights[i] ?? []
    const peak = bars.reduce((best, height, bin) => (height > (bars[best] as number) ? bin : best), 0)
    const [from, to] = [significant(edges[peak] as number), significant(edges[peak + 1] as number)]
    return `${name}, ${values.length} values, most between ${from} and ${to}`
  })
  return `Histogram of ${x.label}: ${each.join('; ')}.`
}
