// What an experiment found, as a page for people: one file.

import { existsSync } from 'node:fs'
import { rules } from '../nano/recipe.ts'
import { beside, figure, paragraph } from '../report/blocks.ts'
import { type Html, html, page } from '../report/html.ts'
import { lineChart } from '../report/line.ts'
import { fixed } from '../report/numbers.ts'
import { barChart, intervalChart } from '../report/rows.ts'
import { type Cell, type Column, table } from '../report/table.ts'
import { Answers, armNames, type ExperimentSummary, armLabel as labelOf, meanMeasure, overBases, summarise } from './compare.ts'
import { diagnosisFigures } from './diagnosis-figures.ts'
import { type Measure, measures, readAnswers } from './graded.ts'
import { type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'
import { taskTables } from './tasks-report.ts'

const shown = Object.values(measures)
const columnsOf = (of: readonly Measure[]): Column[] => of.map(({ label }) => ({ header: label, kind: 'number' }))
const emphasised = 'vigos'

const measureNamed = (name: string): Measure => shown.find((measure) => measure.name === name) as Measure

/** Two tables, since all measures beside each other would be wider than the page. */
function armTables({ plan, means, used }: ExperimentSummary): Html[] {
  const { score, prior, overall, description, follows, valid } = measures
  const groups = [
    { what: 'Answers', of: [score, prior, overall] },
    { what: 'Descriptions and form', of: [description, follows, valid] },
  ]
  return groups.map(({ what, of }) =>
    table({
      caption: `${what}: means over ${used.length} bases with 95 % t intervals`,
      columns: [{ header: 'Arm', kind: 'text' }, ...columnsOf(of)],
      rows: armNames(plan).map((arm) => ({
        cells: [labelOf(plan, arm), ...of.map(({ name }): Cell => overBases(means[arm]?.[name] ?? []))],
        emphasis: arm === emphasised,
      })),
      note: `${plan.steps} steps of ${plan.batch} prompts; ${plan.questions} questions × ${plan.answers} answers at temperature 1. All bases are asked the same questions, so an interval does not hold how much depends on which these are.`,
    }),
  )
}

function forests({ plan, comparisons, used }: ExperimentSummary): Html[] {
  return plan.against.flatMap(({ arm: second, measures: names }) =>
    names.map((name) => {
      const all = comparisons.filter((each) => each.measure === name && each.second === second)
      const rows = all.flatMap(({ first, interval, p, adjusted }) =>
        interval === null || p === null || adjusted === null
          ? []
          : [{ label: `${labelOf(plan, first)}, p\u00a0${p.toFixed(3)}\u00a0(${adjusted.toFixed(2)})`, ...interval, emphasis: first === emphasised }],
      )
      const absent = all.filter(({ interval }) => interval === null).map(({ first }) => labelOf(plan, first))
      const missing = absent.length === 0 ? '' : ` Not measured on every base: ${absent.join(', ')}.`
      if (rows.length === 0) return paragraph(`${measureNamed(name).label} less ${labelOf(plan, second)}.${missing}`)
      return figure({
        title: `${measureNamed(name).label}: arms less ${labelOf(plan, second)}`,
        subtitle: 'mean paired difference over bases, 95 % t interval',
        chart: intervalChart({
          x: { label: 'difference', include: [0] },
          rows,
          reference: { at: 0, label: labelOf(plan, second) },
          digits: 3,
        }),
        note: `p: exact two-sided sign-flip test over bases, in brackets corrected after Holm; with ${used.length} bases it cannot be below ${(2 ** (1 - used.length)).toFixed(3)}.${missing}`,
      })
    }),
  )
}

function curves(plan: ExperimentPlan, answers: Answers): Html {
  const steps = [0, ...plan.curve.at, plan.steps]
  const chart = (measure: Measure): Html[] => {
    const series = plan.curve.arms.map((arm) => ({
      name: labelOf(plan, arm),
      points: steps.flatMap((step) => {
        const mean = overBases(step === 0 ? answers.values(untrained, measure) : answers.values(arm, measure, step === plan.steps ? null : step))
        return mean === null ? [] : [{ x: step, y: mean.value, low: mean.low, high: mean.high }]
      }),
    }))
    const drawn = series.filter(({ points }) => points.length > 0)
    if (drawn.length === 0) return []
    return [
      figure({
        title: measure.label,
        subtitle: 'by step, mean over bases and 95 % t interval',
        chart: lineChart({ x: { label: 'step' }, y: { label: measure.label, include: [0, 1] }, series: drawn }),
        size: 'half',
      }),
    ]
  }
  return beside(...chart(measures.score), ...chart(measures.description))
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
        note: 'Over the questions that have a value under both arms: where much is malformed, these are fewer than the means above are taken over.',
        rows: comparisons
          .filter((each) => each.measure === name && each.second === second)
          .map(({ first, within }) => ({ cells: [labelOf(plan, first), ...within], emphasis: first === emphasised })),
      }),
    ),
  )
}

/** Whether the larger sibling is what it should be. */
function teacherNote({ teacher }: ExperimentPlan, files: ExperimentFiles): string {
  if (teacher === null) return ''
  const broken = files.record(teacher.recipe, teacher.seed, 'teacher')?.verdicts.filter(({ kept }) => !kept) ?? []
  const said = broken.map(({ measure, value, least, most }) => `${measure} ${value === null ? 'not measured' : fixed(value)} (${least} to ${most})`)
  return broken.length === 0
    ? ' The sibling keeps its own rules.'
    : ` The sibling breaks rules of its own, and teaches all the same: ${said.join(', ')}.`
}

function bases({ plan, bases: tried }: ExperimentSummary): Html {
  const kept = rules[plan.recipe]
  return table({
    caption: `Bases that were tried, in order: ${tried.filter(({ accepted }) => accepted).length} of ${tried.length} accepted`,
    columns: [
      { header: 'Seed', kind: 'text' },
      { header: 'Verdict', kind: 'text' },
      ...kept.map(({ measure }): Column => ({ header: measure, kind: 'number' })),
    ],
    rows: tried.map(({ seed, accepted, measured, broken }) => ({
      cells: [`${seed}`, accepted ? 'accepted' : `rejected: ${broken.join(', ')}`, ...kept.map(({ measure }): Cell => measured[measure] ?? null)],
      apart: !accepted,
    })),
    note: `The rules look at the base alone and were fixed before any method was run on it: ${kept.map(({ measure, least, most }) => `${measure} ${least} to ${most}`).join(', ')}.`,
  })
}

function control(plan: ExperimentPlan, files: ExperimentFiles): Html | null {
  if (plan.control === null) return null
  const { recipe, about } = plan.control
  const arms = [untrained, ...plan.control.arms].filter((arm) => existsSync(files.grades(recipe, 1, arm, null)))
  const accepted = files.record(recipe, 1)?.accepted === true
  return table({
    caption: `${about}${accepted ? '' : ' (this base broke a rule; it is shown all the same)'}`,
    columns: [{ header: 'Arm', kind: 'text' }, ...columnsOf(shown)],
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
  const tasks = taskTables(plan, files)
  return page({
    title: plan.title,
    subtitle: `${plan.lead}${teacherNote(plan, files)} ${summary.used.length} bases are the units of replication.`,
    sections: [
      { title: 'Arms', body: armTables(summary) },
      { title: 'Differences', body: forests(summary) },
      { title: 'Curves', body: curves(plan, new Answers(plan, files)) },
      { title: 'Prior', body: priors(summary) },
      ...(tasks === null ? [] : [{ title: 'Tasks', body: tasks }]),
      ...(diagnosed === null ? [] : [{ title: 'Diagnoses', body: diagnosed }]),
      { title: 'Base by base', body: html`${meansByBase(summary)}${perBase(summary)}` },
      ...(negative === null ? [] : [{ title: 'Negative control', body: negative }]),
      { title: 'Bases', body: bases(summary) },
    ],
    footer: html`<p>sightline experiment ${plan.name}; how to read it is in docs/experiments.md.</p>`,
  })
}
