// One diagnosis as a page for people: what `sightline diagnose --report` writes.

import type { Diagnosis } from '../diagnostics/diagnosis.ts'
import { binChart } from '../report/bins.ts'
import { beside, details, figure, type KeyFigure, keyFigures, paragraph } from '../report/blocks.ts'
import { type Html, html, page } from '../report/html.ts'
import { lineChart } from '../report/line.ts'
import { fixed, significant } from '../report/numbers.ts'
import { barChart } from '../report/rows.ts'
import type { Axis } from '../report/scale.ts'
import { type Column, table } from '../report/table.ts'
import type { Interval } from '../statistics/interval.ts'
import {
  angleChart,
  type DynamicsStep,
  dependencyBins,
  dynamicsMeasures,
  faintNote,
  type LossName,
  lossNames,
  type Ratio,
  ratioOf,
} from './diagnosis-charts.ts'
import { transcripts } from './diagnosis-rollouts.ts'

type Palr = NonNullable<Diagnosis['palr']>
type Dependency = NonNullable<Diagnosis['dependency']>
type Geometry = NonNullable<Diagnosis['geometry']>
type Estimate = Geometry['whole']['norms']['std']

const ofPart = (times: number, { value, low, high }: Estimate): Interval | number | null =>
  value === null ? null : low === null || high === null ? times * value : { value: times * value, low: times * low, high: times * high }

/** Charts over bins draw a value without bounds as a point. */
const pointOf = (value: number): Interval => ({ value, low: value, high: value })
const written = (value: number | null, unit = ''): string => (value === null ? '–' : `${significant(value)}${unit}`)
const share = (ratio: Ratio): string => {
  const value = ratioOf(ratio)
  return value === null ? '–' : `${fixed(100 * value, 0)} %`
}
const count = (tokens: number): string => `${fixed(tokens, 0)} ${tokens === 1 ? 'token' : 'tokens'}`
const totalOf = (ratios: readonly Ratio[]): Ratio => ({
  sum: ratios.reduce((sum, ratio) => sum + ratio.sum, 0),
  count: ratios.reduce((sum, ratio) => sum + ratio.count, 0),
})

function keys({ valid, correct, palr, dependency, geometry }: Diagnosis): KeyFigure[] {
  const leak = palr?.groups['all']
  const angle = geometry?.whole.angles.visLang
  const bounds = ({ low, high }: Estimate, times: number, digits: number): { readonly note?: string } =>
    low === null || high === null ? {} : { note: `95 %: ${fixed(times * low, digits)} to ${fixed(times * high, digits)}` }
  const number = (value: number | null, unit: string, digits: number): string => (value === null ? '–' : `${fixed(value, digits)}${unit}`)
  return [
    { label: 'Valid', value: share(valid), note: `of ${fixed(valid.count, 0)} rollouts` },
    { label: 'Correct', value: share(correct) },
    ...(leak === undefined
      ? []
      : [{ label: 'PALR, all tokens', value: number(leak.value === null ? null : 100 * leak.value, ' %', 1), ...bounds(leak, 100, 1) }]),
    ...(dependency === null
      ? []
      : [{ label: 'Visual dependency', value: written(ratioOf(totalOf(dependency.bins.map((bin) => bin.dependency)))), note: 'nats a token' }]),
    ...(angle === undefined ? [] : [{ label: 'Angle of Vis and Lang', value: number(angle.value, '°', 0), ...bounds(angle, 1, 0) }]),
  ]
}

function palrFigure({ groups, rollouts, valid, wrongAnswers, cap }: Palr): Html {
  const supervised = Object.entries(groups).map(([name, { tokens }]) => `${name} ${fixed(tokens, 0)}`)
  return figure({
    title: 'PALR by group of tokens',
    subtitle: 'share of the teachers’ push that comes from the answer and not from the picture, %; whiskers: 95 % bootstrap over rollouts',
    chart: barChart({
      ...{ x: { label: '%', include: [0, 100] }, series: ['PALR'], digits: 1 },
      rows: Object.entries(groups).map(([label, group]) => ({ label, values: [ofPart(100, group)] })),
    }),
    note: `${valid} valid of ${rollouts} rollouts. Supervised tokens: ${supervised.join(', ')}. Wrong answers for each sample: ${wrongAnswers}${cap === null ? '' : `; log-ratios up to ${cap} nats`}.`,
  })
}

const rangeOf = ({ low, high }: { readonly low: number; readonly high: number }): string => `VDS ${significant(low)} to ${significant(high)} nats`

/** Bins on a logarithmic axis; null where no token has a dependency above zero, so that there is no such axis. */
function dependencyByBin(bins: Dependency['bins']): Html | null {
  const floor = Math.min(...bins.flatMap(({ low, high, dependency }) => [low, high, ratioOf(dependency) ?? 0]).filter((value) => value > 0))
  if (floor === Infinity) return null
  const values = bins.map(({ low, high, dependency }) => {
    const value = ratioOf(dependency)
    return value === null || value <= 0 ? null : { value, low: Math.max(floor, low), high: Math.max(floor, high) }
  })
  return figure({
    title: 'Visual dependency by bin',
    subtitle: 'mean VDS of each tenth of the tokens, nats; lines: from its lower to its upper edge',
    chart: binChart({
      bins: bins.map((bin, i) => ({ label: `${i}`, detail: `${rangeOf(bin)}, ${count(bin.dependency.count)}` })),
      ...{ binsLabel: dependencyBins, y: { label: 'nats', log: true }, series: [{ name: 'VDS', values }] },
    }),
  })
}

function dependencyFigures({ bins, segments }: Dependency): Html {
  const tokens = Object.entries(segments).map(([name, { count: each }]) => `${name} ${fixed(each, 0)}`)
  return html`${dependencyByBin(bins) ?? paragraph('No token depends on the picture: VDS is nowhere above 0.')}${figure({
    title: 'Visual dependency by segment',
    subtitle: 'mean VDS, nats',
    chart: barChart({
      ...{ x: { label: 'nats' }, series: ['VDS'], digits: 3 },
      rows: Object.entries(segments).map(([label, ratio]) => ({ label, values: [ratioOf(ratio)] })),
    }),
    note: `Tokens: ${tokens.join(', ')}.`,
  })}`
}

function geometryFigures({ bins, whole, above, batches }: Geometry): Html {
  const names = Object.entries(lossNames) as [LossName, string][]
  const holds = bins.map((bin) => `${rangeOf(bin)}, ${count(bin.tokens)}`)
  const angleOf = ({ value, low, high }: Estimate): Interval | null =>
    value === null ? null : low === null || high === null ? pointOf(value) : { value, low, high }
  const angles = figure({
    title: 'Angles by visual dependency',
    subtitle: 'between the gradients of the three losses, and beneath the norms of these gradients; lines: 95 % bootstrap over batches',
    chart: angleChart(
      bins.map(({ angles: { stdVis, stdLang, visLang }, norms: { std, vis, lang } }, i) => ({
        detail: holds[i] as string,
        angles: { stdVis: angleOf(stdVis), stdLang: angleOf(stdLang), visLang: angleOf(visLang) },
        norms: { std: std.value, vis: vis.value, lang: lang.value },
      })),
    ),
    note: `${batches} ${batches === 1 ? 'batch, which gives no intervals' : 'batches'}${above === null ? '' : `; tokens of a standard loss above ${above} nats`}. All trainable parameters, exactly. ${faintNote}`,
  })
  const byBin = (title: string, subtitle: string, y: Axis, of: readonly (readonly [name: string, values: readonly (number | null)[]])[]): Html[] => {
    const series = of.flatMap(([name, values]) => {
      const points = values.flatMap((value, x) => (value === null || (y.log === true && value <= 0) ? [] : [{ x, y: value }]))
      return points.length === 0 ? [] : [{ name, points }]
    })
    return series.length === 0 ? [] : [figure({ title, subtitle, chart: lineChart({ x: { label: dependencyBins }, y, series }), size: 'half' })]
  }
  const tokens = bins.map((bin) => bin.tokens)
  const halves = [
    ...byBin(
      'Losses by bin',
      'mean over the tokens of each bin',
      { label: 'nats', log: true },
      names.map(([loss, name]) => [name, bins.map(({ losses }) => losses[loss])]),
    ),
    ...byBin('Tokens by bin', 'how many each bin holds; equal values share one', { label: 'tokens', include: [0] }, [['tokens', tokens]]),
  ]
  const row = (name: string, { tokens, dependency, losses, norms }: Geometry['whole']) => ({
    cells: [
      ...[name, fixed(tokens, 0), written(dependency)],
      ...names.map(([loss]) => written(losses[loss])),
      ...names.map(([loss]) => written(norms[loss].value)),
    ],
    emphasis: name === 'all',
  })
  const numbers = table({
    caption: 'Means and norms by bin',
    columns: [
      { header: 'Bin', kind: 'text' },
      ...['Tokens', 'VDS', ...names.map(([, name]) => `ℓ ${name}`), ...names.map(([, name]) => `‖∇${name}‖`)].map(
        (header): Column => ({ header, kind: 'number' }),
      ),
    ],
    rows: [...bins.map((bin, i) => row(`${i}`, bin)), row('all', whole)],
    note: 'Losses and VDS in nats a token.',
  })
  return html`${angles}${beside(...halves)}${details('The numbers', numbers)}`
}

type MeasureName = keyof typeof dynamicsMeasures

/** Which measures share a chart. */
const dynamicsCharts: readonly {
  readonly title: string
  readonly subtitle: string
  readonly unit: string
  readonly lines: readonly (readonly [MeasureName, string])[]
}[] = [
  {
    ...{ title: 'Losses, all tokens', subtitle: 'mean over the tokens of own rollouts, nats', unit: 'nats' },
    lines: [
      ['vis', 'Vis'],
      ['lang', 'Lang'],
    ],
  },
  {
    ...{ title: 'Losses, dependent tokens', subtitle: 'the same over bins 7 to 9 of visual dependency, nats', unit: 'nats' },
    lines: [
      ['dependentVis', 'Vis'],
      ['dependentLang', 'Lang'],
    ],
  },
  {
    ...{ title: 'Gradient norms', subtitle: 'of the mean standard and visual loss, by all trainable parameters', unit: 'norm' },
    lines: [
      ['normStd', 'Std'],
      ['normVis', 'Vis'],
    ],
  },
  {
    ...{ title: 'Cosine', subtitle: 'between the standard and the visual gradient', unit: 'cosine' },
    lines: [['cosine', 'cosine']],
  },
]

function dynamicsFigures(steps: readonly DynamicsStep[]): Html {
  const numbers = table({
    caption: 'Dynamics by checkpoint',
    columns: [{ header: 'Measure', kind: 'text' }, ...steps.map(({ step }): Column => ({ header: `step ${step}`, kind: 'number' }))],
    rows: [
      { cells: ['Tokens', ...steps.map(({ tokens }) => fixed(tokens, 0))] },
      ...Object.values(dynamicsMeasures).map(({ title, unit, of }) => ({
        cells: [unit === '' ? title : `${title}, ${unit}`, ...steps.map((step) => written(of(step)))],
      })),
    ],
    note: 'Dependent tokens are bins 7 to 9.',
  })
  if (steps.length < 2) return numbers
  const charts = dynamicsCharts.flatMap(({ title, subtitle, unit, lines }) => {
    const series = lines.flatMap(([measure, name]) => {
      const points = steps.flatMap((step) => {
        const y = dynamicsMeasures[measure].of(step)
        return y === null ? [] : [{ x: step.step, y }]
      })
      return points.length === 0 ? [] : [{ name, points }]
    })
    const chart = series.length === 0 ? null : lineChart({ x: { label: 'step' }, y: { label: unit, include: [0] }, series })
    return chart === null ? [] : [figure({ title, subtitle, chart, size: 'half' })]
  })
  return html`${beside(...charts)}${details('The numbers', numbers)}`
}

/**
 * The report of a diagnosis, one file. Instruments that were not asked for are left out.
 * @throws ArgumentError that names the series, where a number is not finite
 */
export function diagnosisReport(diagnosis: Diagnosis): string {
  const { method, checkpoint, samples, seed, palr, dependency, geometry, dynamics } = diagnosis
  const rollouts = transcripts(diagnosis)
  return page({
    title: `Diagnosis of ${method}, ${checkpoint === null ? 'as it begins' : `step ${checkpoint}`}`,
    subtitle: `${samples} held-out ${samples === 1 ? 'sample' : 'samples'}, one rollout of the student for each; seed ${seed}.`,
    head: keyFigures(keys(diagnosis)),
    sections: [
      ...(palr === null
        ? []
        : [
            {
              title: 'Leakage',
              lead: 'PALR asks what moves the teachers: the answer that they were shown (near 100 %), or the picture (near 0).',
              body: palrFigure(palr),
            },
          ]),
      ...(dependency === null
        ? []
        : [
            {
              title: 'Visual dependency',
              lead: 'VDS = KL(q‖q₀): how far the teacher with the picture is from the teacher without it, token by token.',
              body: dependencyFigures(dependency),
            },
          ]),
      ...(geometry === null
        ? []
        : [
            {
              title: 'Geometry',
              lead: 'Whether the standard, the visual and the language loss pull the weights the same way (0°), past each other (90°) or apart (180°), from the tokens that depend least on the picture (bin 0) to those that depend most (bin 9).',
              body: geometryFigures(geometry),
            },
          ]),
      ...(dynamics === null
        ? []
        : [{ title: 'Dynamics', lead: 'The run’s checkpoints, each on rollouts of its own weights.', body: dynamicsFigures(dynamics) }]),
      ...(rollouts === null ? [] : [rollouts]),
    ],
    footer: html`<p>sightline diagnose; how to read every figure is in docs/diagnostics.md. Nothing in this page is loaded from elsewhere.</p>`,
  })
}
