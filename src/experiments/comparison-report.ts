// What an experiment found, as a page for people: one file.

import { existsSync } from 'node:fs'
import { beside, figure } from '../report/blocks.ts'
import { type Html, html, page } from '../report/html.ts'
import { lineChart } from '../report/line.ts'
import { barChart, intervalChart } from '../report/rows.ts'
import { type Cell, type Column, table } from '../report/table.ts'
import type { Interval } from '../statistics/interval.ts'
import { meanOf } from '../statistics/mean.ts'
import { Answers, armNames, type ExperimentSummary, meanMeasure, summarise } from './compare.ts'
import { diagnosisFigures } from './diagnosis-figures.ts'
import { type Measure, measures, readAnswers } from './graded.ts'
import { type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'

const shown = Object.values(measures)
const columns: readonly Column[] = shown.map(({ label }) => ({ header: label, kind: 'number', digits: 3 }))
const emphasised = 'vigos'

const measureNamed = (name: string): Measure => shown.find((measure) => measure.name === name) as Measure
const labelOf = ({ arms }: ExperimentPlan, arm: string): string =>
  arm === untrained ? 'Base' : (arms.find(({ name }) => name === arm)?.label ?? arm)

/** The mean over bases with its t interval. */
function over(values: readonly number[]): Interval {
  const { value, low, high } = meanOf(values)
  return { value, low, high }
}

function armTable({ plan, means, used }: ExperimentSummary): Html {
  return table({
    caption: `Means over ${used.length} bases with 95 % t intervals`,
    columns: [{ header: 'Arm', kind: 'text' }, ...columns],
    rows: armNames(plan).map((arm) => ({
      cells: [labelOf(plan, arm), ...shown.map((measure): Cell => over(means[arm]?.[measure.name] ?? []))],
      emphasis: arm === emphasised,
    })),
    note: `${plan.steps} steps of ${plan.batch} prompts; ${plan.questions} questions × ${plan.answers} answers at temperature 1.`,
  })
}

function forests({ plan, comparisons, used }: ExperimentSummary): Html[] {
  return plan.against.flatMap(({ arm: second, measures: names }) =>
    names.map((name) => {
      const rows = comparisons.filter((each) => each.measure === name && each.second === second)
      return figure({
        title: `${measureNamed(name).label}: arms less ${labelOf(plan, second)}`,
        subtitle: 'mean paired difference over bases, 95 % t interval',
        chart: intervalChart({
          x: { label: 'difference', include: [0] },
          rows: rows.map(({ first, interval, p, adjusted }) => ({
            ...{ label: `${labelOf(plan, first)} · p ${p.toFixed(3)} (${adjusted.toFixed(2)})`, ...interval, emphasis: first === emphasised },
          })),
          reference: { at: 0, label: labelOf(plan, second) },
          digits: 3,
        }),
        note: `p: exact two-sided sign-flip test over bases, in brackets corrected after Holm; with ${used.length} bases it cannot be below ${(2 ** (1 - used.length)).toFixed(3)}.`,
      })
    }),
  )
}

function curves(plan: ExperimentPlan, answers: Answers): Html {
  const steps = [0, ...plan.curve.at, plan.steps]
  const chart = (measure: Measure): Html =>
    figure({
      title: measure.label,
      subtitle: 'by step, mean over bases and 95 % t interval',
      chart: lineChart({
        x: { label: 'step' },
        y: { label: measure.label, include: [0, 1] },
        series: plan.curve.arms.map((arm) => ({
          name: labelOf(plan, arm),
          points: steps.map((step) => {
            const { value, low, high } = over(
              step === 0 ? answers.values(untrained, measure) : answers.values(arm, measure, step === plan.steps ? null : step),
            )
            return { x: step, y: value, low, high }
          }),
        })),
      }),
      size: 'half',
    })
  return beside(chart(measures.score), chart(measures.description))
}

function priors({ plan, prior }: ExperimentSummary): Html {
  return table({
    caption: `Prior against the base: is it lower by less than ${plan.margin}?`,
    columns: [
      { header: 'Arm', kind: 'text' },
      { header: 'Difference', kind: 'number', digits: 3 },
      { header: 'Verdict', kind: 'text' },
    ],
    rows: prior.map(({ arm, value, low, high, verdict }) => ({
      cells: [labelOf(plan, arm), { value, low, high }, verdict],
      emphasis: arm === emphasised,
    })),
  })
}

function perBase({ plan, comparisons, used }: ExperimentSummary): Html[] {
  return plan.against.flatMap(({ arm: second, measures: names }) =>
    names.map((name) =>
      table({
        caption: `${measureNamed(name).label} less ${labelOf(plan, second)}, base by base, with 95 % intervals over questions`,
        columns: [{ header: 'Arm', kind: 'text' }, ...used.map((seed): Column => ({ header: `base ${seed}`, kind: 'number', digits: 2 }))],
        rows: comparisons
          .filter((each) => each.measure === name && each.second === second)
          .map(({ first, within }) => ({ cells: [labelOf(plan, first), ...within], emphasis: first === emphasised })),
      }),
    ),
  )
}

function bases({ bases: tried }: ExperimentSummary): Html {
  const names = [...new Set(tried.flatMap(({ measured }) => Object.keys(measured)))].filter((name) =>
    tried.some(({ measured }) => measured[name] !== 0),
  )
  return table({
    caption: `Bases that were tried, in order: ${tried.filter(({ accepted }) => accepted).length} of ${tried.length} accepted`,
    columns: [
      { header: 'Seed', kind: 'text' },
      { header: 'Verdict', kind: 'text' },
      ...names.map((header): Column => ({ header, kind: 'number', digits: 2 })),
    ],
    rows: tried.map(({ seed, accepted, measured, broken }) => ({
      cells: [`${seed}`, accepted ? 'accepted' : `rejected: ${broken.join(', ')}`, ...names.map((name): Cell => measured[name] ?? null)],
      apart: !accepted,
    })),
    note: 'The rules look at the base alone and were fixed before any method was run on it.',
  })
}

function control(plan: ExperimentPlan, files: ExperimentFiles): Html | null {
  if (plan.control === null) return null
  const { recipe, about } = plan.control
  const arms = [untrained, ...plan.control.arms].filter((arm) => existsSync(files.grades(recipe, 1, arm, null)))
  const accepted = files.record(recipe, 1)?.accepted === true
  return table({
    caption: `${about}${accepted ? '' : ' (this base broke a rule; it is shown all the same)'}`,
    columns: [{ header: 'Arm', kind: 'text' }, ...columns],
    rows: arms.map((arm) => {
      const answers = readAnswers(files.grades(recipe, 1, arm, null))
      return { cells: [labelOf(plan, arm), ...shown.map((measure): Cell => meanMeasure(answers, measure))], emphasis: arm === emphasised }
    }),
  })
}

function meansByBase({ plan, means, used }: ExperimentSummary): Html {
  return figure({
    title: 'Score, base by base',
    subtitle: 'share of right answers where the picture contradicts what is usual',
    chart: barChart({
      x: { label: 'Score', include: [0, 1] },
      series: used.map((seed) => `base ${seed}`),
      rows: armNames(plan).map((arm) => ({ label: labelOf(plan, arm), values: means[arm]?.['score'] ?? [] })),
      digits: 2,
    }),
  })
}

/** The report of an experiment whose jobs are all done. */
export function comparisonReport(plan: ExperimentPlan, files: ExperimentFiles): string {
  const summary = summarise(plan, files)
  const negative = control(plan, files)
  const diagnosed = diagnosisFigures(plan, files, summary.used)
  return page({
    title: plan.title,
    subtitle: `${plan.lead} ${summary.used.length} bases are the units of replication.`,
    sections: [
      { title: 'Arms', body: armTable(summary) },
      { title: 'Differences', body: forests(summary) },
      { title: 'Curves', body: curves(plan, new Answers(plan, files)) },
      { title: 'Prior', body: priors(summary) },
      ...(diagnosed === null ? [] : [{ title: 'Diagnoses', body: diagnosed }]),
      { title: 'Base by base', body: html`${meansByBase(summary)}${perBase(summary)}` },
      ...(negative === null ? [] : [{ title: 'Negative control', body: negative }]),
      { title: 'Bases', body: bases(summary) },
    ],
    footer: html`<p>sightline experiment ${plan.name}; how to read it is in docs/experiments.md.</p>`,
  })
}
