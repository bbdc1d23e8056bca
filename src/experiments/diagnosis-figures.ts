// The papers' instruments over the bases of an experiment: PALR by segment, and angles of gradients by visual dependency.

import { readFileSync } from 'node:fs'
import type { Diagnosis } from '../diagnostics/diagnosis.ts'
import type { Geometry } from '../diagnostics/geometry.ts'
import { beside, figure } from '../report/blocks.ts'
import { type Html, html } from '../report/html.ts'
import { lineChart } from '../report/line.ts'
import { type Cell, type Column, table } from '../report/table.ts'
import type { Interval } from '../statistics/interval.ts'
import { overBases } from './compare.ts'
import { angleChart, dynamicsMeasures, faintNote, type LossName, type PairName } from './diagnosis-charts.ts'
import { type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'

type Planned = ExperimentPlan['diagnoses'][number]

const labelOf = ({ arms }: ExperimentPlan, { arm, checkpoint }: Planned): string =>
  `${arms.find(({ name }) => name === arm)?.label ?? arm}${checkpoint === 'none' ? `, ${untrained}` : ''}`

/** The mean over bases with its t interval; null where one has no value, since that of the others would be another mean. */
const over = (values: readonly (number | null | undefined)[]): Interval | null => overBases(values.map((value) => value ?? null))

function palrTable(plan: ExperimentPlan, found: readonly (readonly [Planned, readonly Diagnosis[]])[]): Html | null {
  const rows = found.filter(([, diagnoses]) => diagnoses.some(({ palr }) => palr !== null))
  if (rows.length === 0) return null
  const groups = [...new Set(rows.flatMap(([, diagnoses]) => diagnoses.flatMap(({ palr }) => Object.keys(palr?.groups ?? {}))))]
  const percent = (value: number | null | undefined): number | null => (typeof value === 'number' ? 100 * value : null)
  return table({
    caption: 'PALR in %: the share of the teachers’ push that comes from the answer and not from the picture',
    columns: [{ header: 'Arm', kind: 'text' }, ...groups.map((header): Column => ({ header, kind: 'number', digits: 1 }))],
    rows: rows.map(([planned, diagnoses]) => ({
      cells: [labelOf(plan, planned), ...groups.map((group): Cell => over(diagnoses.map(({ palr }) => percent(palr?.groups[group]?.value))))],
    })),
    note: 'Own rollouts of the students on questions whose picture contradicts what is usual; mean over bases with 95 % t interval, none where a base has no such tokens.',
  })
}

function angleFigure(title: string, all: readonly Geometry[]): Html {
  const above = all[0]?.above ?? null
  const bins = Math.max(...all.map((geometry) => geometry.bins.length))
  return figure({
    title,
    subtitle: 'angles between the gradients of the three losses by visual dependency of tokens, and their norms; mean over bases, 95 % t interval',
    chart: angleChart(
      Array.from({ length: bins }, (_, i) => {
        const angle = (pair: PairName): Interval | null => over(all.map((geometry) => geometry.bins[i]?.angles[pair].value))
        const norm = (loss: LossName): number | null => over(all.map((geometry) => geometry.bins[i]?.norms[loss].value))?.value ?? null
        return {
          angles: { stdVis: angle('stdVis'), stdLang: angle('stdLang'), visLang: angle('visLang') },
          norms: { std: norm('std'), vis: norm('vis'), lang: norm('lang') },
        }
      }),
    ),
    note: `All trainable parameters, exactly${above === null ? '' : `; tokens whose ℓ_Std is up to ${above} nats are left out`}. A bin is without a mark where it has no angle on one of the bases. ${faintNote}`,
  })
}

function dynamicsFigures(plan: ExperimentPlan, found: readonly (readonly [Planned, readonly Diagnosis[]])[]): Html | null {
  const rows = found.filter(([, diagnoses]) => diagnoses.some(({ dynamics }) => dynamics !== null))
  if (rows.length === 0) return null
  const charts = Object.values(dynamicsMeasures).flatMap(({ title, unit, of }) => {
    const series = rows.map(([planned, diagnoses]) => ({
      name: plan.arms.find(({ name }) => name === planned.arm)?.label ?? planned.arm,
      points: (diagnoses[0]?.dynamics ?? []).flatMap(({ step }) => {
        const at = diagnoses.map(({ dynamics }) => dynamics?.find((each) => each.step === step))
        const value = over(at.map((each) => (each === undefined ? null : of(each))))
        return value === null ? [] : [{ x: step, y: value.value, low: value.low, high: value.high }]
      }),
    }))
    const known = series.filter(({ points }) => points.length > 0)
    return known.length === 0
      ? []
      : [
          figure({
            title,
            subtitle: 'own rollouts of each step; mean over bases, 95 % t interval',
            chart: lineChart({ x: { label: 'step' }, y: { label: title, ...(unit !== '' && { unit }) }, series: known }),
            size: 'half',
          }),
        ]
  })
  return html`${Array.from({ length: Math.ceil(charts.length / 2) }, (_, i) => beside(...charts.slice(2 * i, 2 * i + 2)))}`
}

/** Figures and tables of what was diagnosed; null where nothing was. @param seeds of the bases */
export function diagnosisFigures(plan: ExperimentPlan, files: ExperimentFiles, seeds: readonly number[]): Html | null {
  if (plan.diagnoses.length === 0) return null
  const found = plan.diagnoses.map((planned) => {
    const read = (seed: number): Diagnosis =>
      JSON.parse(readFileSync(files.diagnosis(plan.recipe, seed, planned.arm, planned.what, planned.checkpoint), 'utf8')) as Diagnosis
    return [planned, seeds.map(read)] as const
  })
  const geometries = found.flatMap(([planned, diagnoses]) => {
    const all = diagnoses.map(({ geometry }) => geometry).filter((geometry) => geometry !== null)
    return all.length === 0 ? [] : [angleFigure(labelOf(plan, planned), all)]
  })
  return html`${palrTable(plan, found)}${geometries}${dynamicsFigures(plan, found)}`
}
