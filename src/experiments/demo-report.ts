// What the demonstration found, as a page for people and as numbers for programs.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { attribution } from '../data/worlds/prior/picture.ts'
import type { DiagnosedRollout, Diagnosis } from '../diagnostics/diagnosis.ts'
import { type BaseRecord, readRecord, recordFile } from '../nano/base.ts'
import { beside, details, figure, keyFigures, paragraph } from '../report/blocks.ts'
import { type Html, html, page } from '../report/html.ts'
import { lineChart } from '../report/line.ts'
import { fixed } from '../report/numbers.ts'
import { barChart } from '../report/rows.ts'
import { type Column, table } from '../report/table.ts'
import { imageSource, type ReportToken, rolloutCard, type TokenStyle, tokenLegend } from '../report/tokens.ts'
import { readMetrics } from '../runs/read.ts'
import type { Interval } from '../statistics/interval.ts'
import { demoFiles, demoPlan } from './demo.ts'
import { applies, differenceWithin, type Measure, meanWithin, measures, readAnswers } from './graded.ts'

const models = ['base', 'opsd', 'vigos'] as const
type ModelName = (typeof models)[number]
const labels: { readonly [M in ModelName]: string } = { base: 'Base', opsd: 'OPSD', vigos: 'ViGOS' }

/** What `summary.json` says. Null: there was nothing to measure it on, such as no valid description. */
export interface DemoSummary {
  readonly score_before: number | null
  readonly score_opsd: number | null
  readonly score_vigos: number | null
  /** Interval of Score of ViGOS less that of the base, over questions. */
  readonly score_gain_low: number | null
  readonly score_gain_high: number | null
  readonly prior_before: number | null
  readonly prior_vigos: number | null
  readonly description_truth_opsd: number | null
  readonly description_truth_vigos: number | null
  /** In %, by method and group of tokens; null where no teacher is active. */
  readonly palr: Readonly<Record<string, Readonly<Record<string, number | null>>>>
  readonly seconds: number
}

const readDiagnosis = (file: string): Diagnosis => JSON.parse(readFileSync(file, 'utf8')) as Diagnosis

function measured(folder: string) {
  const files = demoFiles(folder)
  const answers = Object.fromEntries(models.map((name) => [name, readAnswers(files.grades[name])])) as Record<
    ModelName,
    ReturnType<typeof readAnswers>
  >
  const means = Object.fromEntries(
    models.map((name) => [
      name,
      Object.fromEntries(
        Object.values(measures).map((measure) => [measure.name, applies(measure, answers[name]) ? meanWithin(answers[name], measure) : null]),
      ),
    ]),
  ) as Record<ModelName, Record<keyof typeof measures, Interval | null>>
  const gain = (after: ModelName, before: ModelName, measure: Measure): Interval | null =>
    applies(measure, answers[before], answers[after]) ? differenceWithin(answers[before], answers[after], measure) : null
  const diagnoses = {
    before: readDiagnosis(files.diagnoses.before),
    opsd: readDiagnosis(files.diagnoses.opsd),
    vigos: readDiagnosis(files.diagnoses.vigos),
  }
  return { files, means, gain, diagnoses }
}
type Measured = ReturnType<typeof measured>

const percentOf = (value: number | null | undefined): number | null => (value === null || value === undefined ? null : 100 * value)

function palrOf({ palr }: Diagnosis): Record<string, number | null> {
  return Object.fromEntries(Object.entries(palr?.groups ?? {}).map(([name, { value }]) => [name, percentOf(value)]))
}

/** The numbers of a finished demonstration. */
export function demoSummary(folder: string, seconds: number): DemoSummary {
  const { means, gain, diagnoses } = measured(folder)
  const gained = gain('vigos', 'base', measures.score)
  const value = (model: ModelName, measure: keyof typeof measures): number | null => means[model][measure]?.value ?? null
  return {
    ...{ score_before: value('base', 'score'), score_opsd: value('opsd', 'score'), score_vigos: value('vigos', 'score') },
    ...{ score_gain_low: gained?.low ?? null, score_gain_high: gained?.high ?? null },
    ...{ prior_before: value('base', 'prior'), prior_vigos: value('vigos', 'prior') },
    ...{ description_truth_opsd: value('opsd', 'description'), description_truth_vigos: value('vigos', 'description') },
    palr: { opsd: palrOf(diagnoses.opsd), vigos: palrOf(diagnoses.vigos) },
    seconds: Math.round(seconds),
  }
}

function results({ means, gain }: Measured): Html {
  const shown = [measures.score, measures.prior, measures.overall, measures.description, measures.follows, measures.valid]
  const differences = [
    ['ViGOS − base', 'vigos', 'base'],
    ['OPSD − base', 'opsd', 'base'],
    ['ViGOS − OPSD', 'vigos', 'opsd'],
  ] as const
  // Measures stand below each other: side by side they would be wider than the page.
  const columns = (headers: readonly string[]): Column[] => [
    { header: 'Measure', kind: 'text' },
    ...headers.map((header) => ({ header, kind: 'number' as const })),
  ]
  return html`${table({
    caption: 'What the models answer, as shares with 95 % intervals',
    columns: columns(models.map((name) => labels[name])),
    rows: shown.map((measure) => ({
      cells: [measure.label, ...models.map((name) => means[name][measure.name])],
      emphasis: measure === measures.score,
    })),
    note: `${demoPlan.questions} questions, ${demoPlan.answers} answers each at temperature 1; intervals by drawing questions with all their answers. Score: questions whose picture contradicts what is usual. Prior: those whose picture does not. Description truth: how often a valid description has the unusual attribute right that is asked for.`,
  })}${table({
    caption: 'Differences on the same questions',
    columns: columns(differences.map(([label]) => label)),
    rows: shown.map((measure) => ({
      cells: [measure.label, ...differences.map(([, after, before]) => gain(after, before, measure))],
      emphasis: measure === measures.score,
    })),
    note: 'One base and one run of each method: these intervals speak of these models, not of the methods. sightline experiment grounding replicates over bases.',
  })}`
}

function losses({ files }: Measured): Html {
  const charts = (['opsd', 'vigos'] as const).map((name) => {
    const metrics = readMetrics(files.runs[name])
    const terms = Object.keys(metrics[0]?.metrics ?? {}).filter((metric) => metric.startsWith('loss/'))
    const series = terms.map((term) => ({
      name: term.slice('loss/'.length),
      points: metrics.flatMap(({ step, metrics: values }) => {
        const value = values[term]
        return value === undefined || value.count === 0 ? [] : [{ x: step, y: value.sum / value.count }]
      }),
    }))
    return figure({
      title: labels[name],
      subtitle: 'loss of each term by step, nats a token',
      chart: lineChart({ x: { label: 'step' }, y: { label: 'nats', include: [0] }, series: series.filter(({ points }) => points.length > 0) }),
      size: 'half',
    })
  })
  return beside(...charts)
}

function leakage({ diagnoses }: Measured): Html {
  const groups = Object.keys(diagnoses.vigos.palr?.groups ?? {})
  const series = (['opsd', 'vigos'] as const).map((name) => ({ label: labels[name], groups: diagnoses[name].palr?.groups ?? {} }))
  const rows = groups.map((name) => ({
    label: name,
    values: series.map((each) => {
      const group = each.groups[name]
      return group?.value == null || group.low === null || group.high === null
        ? null
        : { value: 100 * group.value, low: 100 * group.low, high: 100 * group.high }
    }),
  }))
  return figure({
    title: 'PALR by segment',
    subtitle: 'share of the teachers’ push that comes from the answer and not from the picture, %',
    chart: barChart({ x: { label: '%', include: [0, 100] }, series: series.map(({ label }) => label), rows, digits: 0 }),
    note: `Own rollouts of each trained student on ${demoPlan.diagnosed} questions whose picture contradicts what is usual; wrong answers are those of other questions, the other picture is the next question's. Low is good: the teacher that is active there looks at the picture.`,
  })
}

const style: TokenStyle = {
  segments: ['description', 'reasoning', 'answer'],
  teachers: ['perception', 'reasoning', 'reference', 'privileged'],
  ground: 'segment',
}

/** Tokens with their teacher, and how far it pulls: |log q − log p|. */
function tokensOf({ tokens, segments, palr }: DiagnosedRollout): ReportToken[] {
  return tokens.map((text, t) => {
    const teacher = palr?.terms[t] ?? null
    return { text, segment: segments[t] ?? 'other', teacher, loss: teacher === null ? null : (palr?.shift[t] ?? null), clipped: false, gate: 1 }
  })
}

function transcripts({ files, diagnoses }: Measured): Html {
  const pictures = new Map(
    readFileSync(join(files.asked, 'samples.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly id: string; readonly images: readonly string[] })
      .map(({ id, images }) => [id, join(files.asked, images[0] as string)]),
  )
  const cards = diagnoses.before.rollouts.slice(0, demoPlan.shown).map((before, i) => {
    const views = [
      ['before', before],
      ['after OPSD', diagnoses.opsd.rollouts[i]],
      ['after ViGOS', diagnoses.vigos.rollouts[i]],
    ] as const
    return rolloutCard({
      image: {
        source: imageSource(readFileSync(pictures.get(before.id) as string), 'image/png'),
        alt: `picture of the question “${before.problem}”`,
      },
      ...{ problem: before.problem, answer: before.answer, style },
      rollouts: views.flatMap(([label, rollout]) =>
        rollout === undefined
          ? []
          : [
              {
                label,
                verdict: rollout.valid ? (rollout.correct ? 'right' : 'wrong') : 'malformed',
                right: rollout.correct,
                tokens: tokensOf(rollout),
              },
            ],
      ),
    })
  })
  return html`${tokenLegend(style)}${cards}`
}

const architectures: { readonly [F in BaseRecord['family']]: string } = { qwen2_5_vl: 'Qwen2.5-VL', qwen3_vl: 'Qwen3-VL' }

/** What the model was, in a sentence. */
function about(base: string): string {
  if (!existsSync(join(base, recordFile))) return `Two methods on the model in ${base}.`
  const { family, recipe, seed } = readRecord(base)
  return `A small model of ${architectures[family]}’s architecture (recipe ${recipe}, seed ${seed}), before and after.`
}

/** The report, one file. @param base folder of the model @param seconds that it took */
export function demoReport(folder: string, base: string, seconds: number): string {
  const found = measured(folder)
  const { means, gain } = found
  const gained = gain('vigos', 'base', measures.score)
  const share = (interval: Interval | null): string => (interval === null ? '–' : fixed(interval.value))
  return page({
    title: 'Looking again: a nano model before and after ViGOS',
    subtitle: `${about(base)} ${demoPlan.steps} steps of post-training by each method, ${Math.round(seconds)} seconds in all.`,
    head: keyFigures([
      {
        label: 'Score',
        value: `${share(means.base.score)} → ${share(means.vigos.score)}`,
        note: gained === null ? 'ViGOS' : `ViGOS; gain ${fixed(gained.low)} to ${fixed(gained.high)}`,
      },
      { label: 'Score with OPSD', value: `${share(means.base.score)} → ${share(means.opsd.score)}` },
      { label: 'Prior', value: `${share(means.base.prior)} → ${share(means.vigos.prior)}`, note: 'ViGOS' },
      { label: 'Description truth', value: `${share(means.opsd.description)} and ${share(means.vigos.description)}`, note: 'OPSD and ViGOS' },
    ]),
    sections: [
      {
        title: 'Results',
        lead: 'A tempted base describes pictures well when it only describes, and believes what is usual once a question is put: bananas are yellow. OPSD lets a copy that knows the answer score all it writes; ViGOS lets one that sees nothing but the picture score the description.',
        body: results(found),
      },
      { title: 'Training', lead: 'Each term compares the student with one teacher on the student’s own words.', body: losses(found) },
      { title: 'Leakage', lead: 'PALR asks what moves the teachers: the answer they were shown, or the picture.', body: leakage(found) },
      {
        title: 'Eight rollouts',
        lead: 'The first questions of the list, not chosen. Ground: segment. Underline: which teacher is active there, thicker the further it is from the student.',
        body: transcripts(found),
      },
    ],
    footer: html`${paragraph(attribution)}${details('How to read this', paragraph('docs/experiments.md explains every figure. Nothing in this page is loaded from elsewhere.'))}`,
  })
}
