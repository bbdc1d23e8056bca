// The papers' instruments over the bases of an experiment: PALR by segment, and angles of gradients by visual dependency.

import { readFileSync } from 'node:fs'
import type { Diagnosis } from '../diagnostics/diagnosis.ts'
import type { Geometry } from '../diagnostics/geometry.ts'
import { binChart } from '../report/bins.ts'
import { figure } from '../report/blocks.ts'
import { type Html, html } from '../report/html.ts'
import { type Cell, type Column, table } from '../report/table.ts'
import type { Interval } from '../statistics/interval.ts'
import { meanOf } from '../statistics/mean.ts'
import { type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'

type Planned = ExperimentPlan['diagnoses'][number]

const labelOf = ({ arms }: ExperimentPlan, { arm, checkpoint }: Planned): string =>
  `${arms.find(({ name }) => name === arm)?.label ?? arm}${checkpoint === 'none' ? `, ${untrained}` : ''}`

/** The mean over bases with its t interval; null where fewer than two have a value. */
function over(values: readonly (number | null | undefined)[]): Interval | null {
  const known = values.filter((value) => typeof value === 'number')
  if (known.length < 2) return null
  const { value, low, high } = meanOf(known)
  return { value, low, high }
}

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
    note: 'Own rollouts of the students on questions whose picture contradicts what is usual; mean over bases with 95 % t interval.',
  })
}

const angles = { stdVis: 'Std, Vis', stdLang: 'Std, Lang', visLang: 'Vis, Lang' } as const

function angleFigure(title: string, all: readonly Geometry[]): Html {
  const bins = Math.max(...all.map((geometry) => geometry.bins.length))
  const indices = Array.from({ length: bins }, (_, i) => i)
  const norms = { std: 'Std', vis: 'Vis', lang: 'Lang' } as const
  return figure({
    title,
    subtitle: 'angles between the gradients of the three losses by visual dependency of tokens, and their norms; mean over bases, 95 % t interval',
    chart: binChart({
      bins: indices.map((i) => ({ label: `${i}` })),
      binsLabel: 'tenth of tokens by visual dependency',
      y: { label: 'angle', unit: '°' },
      series: Object.entries(angles).map(([key, name]) => ({
        name,
        values: indices.map((i) => over(all.map((geometry) => geometry.bins[i]?.angles[key as keyof typeof angles].value))),
      })),
      reference: { at: 90, label: 'perpendicular' },
      under: {
        y: { label: 'norm', log: true },
        series: Object.entries(norms).map(([key, name]) => ({
          name,
          values: indices.map((i) => over(all.map((geometry) => geometry.bins[i]?.norms[key as keyof typeof norms].value))?.value ?? null),
        })),
      },
    }),
    note: 'All trainable parameters, exactly. Where norms are small the angle is noise.',
  })
}

/** Figures and tables of what was diagnosed; null where nothing was. @param seeds of the bases */
export function diagnosisFigures(plan: ExperimentPlan, files: ExperimentFiles, seeds: readonly number[]): Html | null {
  if (plan.diagnoses.length === 0) return null
  const found = plan.diagnoses.map((planned) => {
    const read = (seed: number): Diagnosis =>
      JSON.parse(readFileSync(files.diagnosis(plan.recipe, seed, planned.arm, planned.checkpoint), 'utf8')) as Diagnosis
    return [planned, seeds.map(read)] as const
  })
  const geometries = found.flatMap(([planned, diagnoses]) => {
    const all = diagnoses.map(({ geometry }) => geometry).filter((geometry) => geometry !== null)
    return all.length === 0 ? [] : [angleFigure(labelOf(plan, planned), all)]
  })
  return html`${palrTable(plan, found)}${geometries}`
}
