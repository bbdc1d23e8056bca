// An evaluation as a page: what came out with intervals, by group, form apart from ability, and answers to read.

import type { Question } from '../benchmarks/benchmark.ts'
import type { Dependency } from '../benchmarks/suites.ts'
import { details, figure, keyFigures } from '../report/blocks.ts'
import { type Html, html, page } from '../report/html.ts'
import { fixed, intervalText } from '../report/numbers.ts'
import { intervalChart } from '../report/rows.ts'
import { table } from '../report/table.ts'
import type { Interval } from '../statistics/interval.ts'
import type { Plan } from './plan.ts'
import { answerCards, shownAnswers } from './report-answers.ts'
import type { BenchmarkScores, Finished, Statistics } from './scores.ts'
import type { EvaluationScores } from './suite-scores.ts'

const percent = ({ value, low, high }: Interval): Interval => ({ value: 100 * value, low: 100 * low, high: 100 * high })
const shown = (interval: Interval | null | undefined): Interval | null => (interval === null || interval === undefined ? null : percent(interval))
const digits = 1
const inWords = (interval: Interval): string => intervalText(percent(interval), (value) => fixed(value, digits))

const dependencies: { readonly [D in Dependency]: string } = {
  high: 'high visual dependency',
  low: 'low visual dependency',
  text: 'text alone',
}

/** From more than so many groups on, a table is opened only when it is asked for. */
const manyGroups = 12

const namesOf = (all: readonly Statistics[]): string[] => [...new Set(all.flatMap((statistics) => Object.keys(statistics)))]

const numbers = (headers: readonly string[]) => headers.map((header) => ({ header, kind: 'number', digits }) as const)

/** The statistic that sums a list up: over all answers where there are several. */
const headlineOf = (statistics: Statistics): readonly [string, Interval] | null =>
  Object.entries(statistics).find(([name]) => name.startsWith('Avg@')) ?? Object.entries(statistics)[0] ?? null

function overview({ benchmarks, mean, suites }: EvaluationScores): Html {
  const statistics = namesOf(benchmarks.flatMap(({ measures }) => measures.slice(0, 1).map((measure) => measure.statistics)))
  const rows = benchmarks.map(({ title, questions, measures: [first] }) => ({
    cells: [title, first?.label ?? '–', questions, ...statistics.map((name) => shown(first?.statistics[name]))],
  }))
  const meanRow = (label: string, found: Statistics, what = '') => ({
    ...{ cells: [label, what, null, ...statistics.map((name) => shown(found[name]))], emphasis: true, apart: true },
  })
  const means = [
    ...(mean === null ? [] : [meanRow('Mean of these', mean)]),
    ...suites.flatMap(({ name, statistics: found, dependency }) => [
      meanRow(`Suite ${name}`, found, 'mean over its rows'),
      ...Object.entries(dependency).map(([group, of]) => meanRow(`Suite ${name}, ${dependencies[group as Dependency]}`, of, 'mean over its rows')),
    ]),
  ]
  return table({
    caption: 'The first measure of each benchmark, in %, with 95 % intervals',
    columns: [
      { header: 'Benchmark', kind: 'text' },
      { header: 'Measure', kind: 'text' },
      { header: 'Questions', kind: 'number', digits: 0 },
      ...numbers(statistics),
    ],
    rows: [...rows, ...means],
    note: 'Intervals by drawing questions, each with all its answers, 10 000 times. What nobody could decide counts as wrong.',
  })
}

function formTable({ benchmarks }: EvaluationScores): Html {
  return table({
    caption: 'Form and ability, in % of all answers',
    columns: [
      { header: 'Benchmark', kind: 'text' },
      ...numbers(['Right', 'Of the form asked for', 'Right, of these', 'Cut off', 'Undecided']),
      { header: 'Tokens', kind: 'number', digits: 0 },
    ],
    rows: benchmarks.map(({ title, form: { right, valid, rightIfValid, cut, undecided, tokens } }) => ({
      cells: [title, ...[right, valid, rightIfValid, cut, undecided].map(shown), tokens],
    })),
    note: 'An answer in another form is graded like any other; whether it has the form is counted apart. Cut off: it reached the longest length that was allowed. Undecided: no rule could tell, and no judge was asked or could say. Were all of these right, the share of right answers would be higher by as much.',
  })
}

function measuresTable({ title, measures }: BenchmarkScores): Html {
  const statistics = namesOf(measures.map((measure) => measure.statistics))
  return table({
    caption: `${title}: its measures, in %`,
    columns: [{ header: 'Measure', kind: 'text' }, { header: 'Units', kind: 'number', digits: 0 }, ...numbers(statistics)],
    rows: measures.map(({ label, units, statistics: found }, i) => ({
      cells: [label, units, ...statistics.map((name) => shown(found[name]))],
      emphasis: i === 0,
    })),
  })
}

function groupFigures({ measures: [first], groups }: BenchmarkScores): Html[] {
  return Object.entries(groups).map(([grouping, scored]) => {
    const rows = scored.flatMap(({ group, units, statistics }) => {
      const headline = headlineOf(statistics)
      return headline === null ? [] : [{ label: `${group} (${units})`, ...percent(headline[1]) }]
    })
    const name = headlineOf(scored[0]?.statistics ?? {})?.[0] ?? ''
    const drawn = figure({
      title: `By ${grouping}`,
      subtitle: `${first?.label ?? ''}, ${name}, %, with 95 % intervals; number of units in brackets`,
      chart: intervalChart({ x: { label: '%', include: [0, 100] }, rows, digits }),
    })
    return rows.length > manyGroups ? details(`By ${grouping}: ${rows.length} groups`, drawn) : drawn
  })
}

/** Who decided where no rule could, and how often. */
function judgesOf(finished: readonly Finished[]): string {
  const verdicts = finished.flatMap((each) => each.verdicts)
  const judged = verdicts.flatMap(({ judge }) => (judge === null ? [] : [judge.model]))
  return judged.length === 0 ? 'none' : `${[...new Set(judged)].join(', ')}: asked about ${judged.length} of ${verdicts.length} answers`
}

function settingsTable({ model, prompting, decoding, samples, seed, benchmarks, sightline }: Plan, finished: readonly Finished[]): Html {
  const rows: (readonly [string, string])[] = [
    ['Model', model.name],
    ['Identity', model.identity],
    ...Object.entries(model.options).map(([name, value]) => [name, String(value)] as const),
    ['Mode', prompting.mode],
    ['System turn', prompting.system ?? 'none'],
    ['User turn', prompting.user],
    ['Prefill', prompting.prefill === '' ? 'none' : prompting.prefill],
    [
      'Decoding',
      `temperature ${decoding.temperature}, top-p ${decoding.topP}, top-k ${decoding.topK ?? 'off'}, at most ${decoding.maxTokens} tokens`,
    ],
    ['Answers to each question', String(samples)],
    ['Seed', String(seed)],
    ['Judge', judgesOf(finished)],
    ...benchmarks.map(({ name, source, drawn, limit, questions, sha256 }) => {
      const from = source ?? `drawn with seed ${drawn?.seed}`
      return [name, `${questions} questions${limit === null ? '' : ` (the first ${limit} rows)`}, ${from}, sha256 ${sha256.slice(0, 16)}…`] as const
    }),
    ['Sightline', sightline],
  ]
  const columns = [
    { header: 'Setting', kind: 'text' },
    { header: 'Value', kind: 'text' },
  ] as const
  // Prompts are long: cells of text do not break unless they are told.
  const cells = rows.map(([name, value]) => ({ cells: [name, html`<span style="white-space:pre-wrap">${value}</span>`] }))
  return table({ caption: 'What was asked, and how', columns, rows: cells })
}

/** The report, one file. Of each benchmark some answers are shown, for which its questions are read once more. */
export async function evaluationReport(plan: Plan, scores: EvaluationScores, finished: readonly Finished[]): Promise<string> {
  const sections = []
  for (const [i, benchmark] of scores.benchmarks.entries()) {
    const found = finished[i] as Finished
    const chosen = shownAnswers(found)
    const pictured = await picturesOf(found, new Set(chosen.map(({ answer }) => answer.id)))
    sections.push({
      title: benchmark.title,
      lead: found.set.benchmark.about,
      body: html`${measuresTable(benchmark)}${groupFigures(benchmark)}${await answerCards(plan.prompting, chosen, pictured)}`,
    })
  }
  const count = scores.benchmarks.reduce((sum, { questions }) => sum + questions, 0)
  const figures = scores.benchmarks.slice(0, 4).flatMap(({ title, measures: [first] }) => {
    const headline = first === undefined ? null : headlineOf(first.statistics)
    return headline === null
      ? []
      : [{ label: title, value: `${fixed(100 * headline[1].value, digits)} %`, note: `${headline[0]}, ${inWords(headline[1])}` }]
  })
  return page({
    title: `Evaluation of ${plan.model.name.split('/').filter(Boolean).at(-1) ?? plan.model.name}`,
    subtitle: `${count} questions, ${plan.samples === 1 ? 'one answer' : `${plan.samples} answers`} each, mode ${plan.prompting.mode}.`,
    head: keyFigures(figures),
    sections: [
      { title: 'Results', body: html`${overview(scores)}${formTable(scores)}` },
      ...sections,
      { title: 'Settings', lead: 'Everything that answers and verdicts depend on.', body: settingsTable(plan, finished) },
    ],
    footer: 'All answers are in responses.jsonl of each benchmark, what was found of them in verdicts.jsonl, the numbers in scores.json.',
  })
}

async function picturesOf({ set }: Finished, ids: ReadonlySet<string>): Promise<Map<string, Question>> {
  const found = new Map<string, Question>()
  if (ids.size === 0) return found
  for await (const question of set.opened.questions()) {
    if (ids.has(question.id)) found.set(question.id, question)
    if (found.size === ids.size) break
  }
  return found
}
