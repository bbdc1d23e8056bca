// From verdicts to numbers: the benchmark's own measures at one answer and over several, by group, with intervals; and what of it is form.

import type { Benchmark, Graded, Measure } from '../benchmarks/benchmark.ts'
import { type BootstrapOptions, bootstrapRatio, type Part } from '../statistics/bootstrap.ts'
import type { Interval } from '../statistics/interval.ts'
import type { Item, QuestionSet } from './questions.ts'
import type { StoredAnswer, VerdictLine } from './store.ts'

/** Statistics by their names, such as `Acc@1`, `Avg@5`, `Pass@5`. */
export type Statistics = Readonly<Record<string, Interval>>

export interface MeasureScores {
  readonly name: string
  readonly label: string
  /** What it is a mean over: mostly questions. */
  readonly units: number
  readonly statistics: Statistics
}

export interface GroupScores {
  readonly group: string
  readonly units: number
  readonly statistics: Statistics
}

/** Shares of all answers. */
export interface FormScores {
  /** Of the form that was asked for. */
  readonly valid: Interval
  readonly right: Interval
  /** Of the valid ones; null where none is. */
  readonly rightIfValid: Interval | null
  /** Cut off at the length that was allowed. */
  readonly cut: Interval
  /** About which nobody could decide; they count as wrong. */
  readonly undecided: Interval
  /** Mean number of tokens; null where a server did not tell. */
  readonly tokens: number | null
}

export interface BenchmarkScores {
  readonly benchmark: string
  readonly title: string
  readonly questions: number
  readonly samples: number
  /** Answers that a judge decided on. */
  readonly judged: number
  /** Measures without a single complete unit are left out. The first is the one to show. */
  readonly measures: readonly MeasureScores[]
  /** The first measure, by grouping and group. */
  readonly groups: Readonly<Record<string, readonly GroupScores[]>>
  readonly form: FormScores
}

/** A benchmark with all that was answered and found. */
export interface Finished {
  readonly set: QuestionSet
  readonly answers: readonly StoredAnswer[]
  readonly verdicts: readonly VerdictLine[]
}

/** By statistic, what each unit adds. */
export type Parts = ReadonlyMap<string, readonly Part[]>

/**
 * The expected best of k answers drawn without replacement from these values, unbiased for the best of k answers: with values v₁ ≤ … ≤ vₙ,
 * Σᵢ vᵢ C(i−1, k−1) / C(n, k). For right and wrong this is Pass@k of Chen et al. (arXiv 2107.03374, eq. 1), 1 − C(n−c, k) / C(n, k).
 * @param k integer from 1 to the number of values
 */
export function bestOf(values: readonly number[], k: number): number {
  const n = values.length
  const sorted = values.toSorted((a, b) => b - a)
  // The share of draws whose best is the i-th largest: C(n−1−i, k−1) / C(n, k), from one to the next.
  let [share, sum] = [k / n, 0]
  for (const [i, value] of sorted.entries()) {
    sum += value * share
    share *= (n - k - i) / (n - 1 - i)
    if (!(share > 0)) break
  }
  return sum
}

/** The k for which Pass@k is told: powers of two, and all answers. */
const passes = (samples: number): number[] => {
  const powers = Array.from({ length: 20 }, (_, i) => 2 ** (i + 1)).filter((k) => k < samples)
  return samples > 1 ? [...powers, samples] : []
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/** What a measure's units add to each statistic. @param bySample the verdicts on one answer to each question, for each sample */
function partsOf(measure: Measure, bySample: readonly (readonly Graded[])[]): Parts {
  const found = new Map<string, { readonly weight: number; readonly values: number[] }>()
  const first: Part[] = []
  for (const [sample, graded] of bySample.entries()) {
    for (const { id, value, weight = 1 } of measure.units(graded)) {
      const unit = found.get(id) ?? { weight, values: [] }
      found.set(id, unit)
      unit.values.push(value)
      if (sample === 0) first.push({ sum: weight * value, count: weight })
    }
  }
  const samples = bySample.length
  if (samples === 1) return new Map([['Acc@1', first]])
  const units = [...found.values()]
  const best = (k: number): Part[] =>
    // A unit that applies only to some answers, such as a question asked once another is right, cannot tell of more.
    units.filter(({ values }) => values.length >= k).map(({ weight, values }) => ({ sum: weight * bestOf(values, k), count: weight }))
  return new Map([
    ['Acc@1', first],
    [`Avg@${samples}`, units.map(({ weight, values }) => ({ sum: weight * total(values), count: weight * values.length }))],
    ...passes(samples).map((k) => [`Pass@${k}`, best(k)] as const),
  ])
}

function statisticsOf(parts: Parts, options: BootstrapOptions): Statistics {
  const known = [...parts].filter(([, each]) => each.length > 0)
  return Object.fromEntries(known.map(([name, each]) => [name, bootstrapRatio(each, options)]))
}

/** The verdicts on the first, second, … answers, each in the order of the questions. */
function samplesOf(items: readonly Item[], samples: number, verdicts: readonly VerdictLine[]): Graded[][] {
  const questions = new Map(items.map(({ id, groups }) => [id, { id, groups }]))
  const bySample: Graded[][] = Array.from({ length: samples }, () => [])
  for (const { id, index, outcome, credit, given, rule } of verdicts) {
    const question = questions.get(id)
    if (question !== undefined) bySample[index]?.push({ question, verdict: { outcome, credit, given, rule } })
  }
  return bySample
}

function formOf(items: readonly Item[], answers: readonly StoredAnswer[], verdicts: readonly VerdictLine[], options: BootstrapOptions): FormScores {
  const share = (of: (verdict: VerdictLine, answer: StoredAnswer) => boolean, among: (verdict: VerdictLine) => boolean = () => true) => {
    const parts = new Map(items.map(({ id }) => [id, { sum: 0, count: 0 }]))
    for (const [i, verdict] of verdicts.entries()) {
      const part = parts.get(verdict.id)
      if (part === undefined || !among(verdict)) continue
      part.sum += Number(of(verdict, answers[i] as StoredAnswer))
      part.count++
    }
    const counted = [...parts.values()].filter(({ count }) => count > 0)
    return counted.length === 0 ? null : bootstrapRatio(counted, options)
  }
  const tokens = answers.map((answer) => answer.tokens)
  const known = tokens.filter((count) => count !== null)
  return {
    valid: share(({ valid }) => valid) as Interval,
    right: share(({ outcome }) => outcome === 'right') as Interval,
    rightIfValid: share(
      ({ outcome }) => outcome === 'right',
      ({ valid }) => valid,
    ),
    cut: share((_, { ended }) => ended === 'length') as Interval,
    undecided: share(({ outcome }) => outcome === 'undecided') as Interval,
    tokens: known.length < tokens.length ? null : total(known) / known.length,
  }
}

/** The scores of a benchmark with what its first measure is made of, from which means over benchmarks come. */
export interface Scored {
  readonly scores: BenchmarkScores
  readonly headline: Parts
}

/**
 * Scores of a benchmark whose questions all have their answers.
 * @param answers and verdicts: of the same answers, in the order of questions and samples
 */
export function scoreBenchmark(
  benchmark: Benchmark,
  items: readonly Item[],
  samples: number,
  answers: readonly StoredAnswer[],
  verdicts: readonly VerdictLine[],
  options: BootstrapOptions = {},
): Scored {
  const bySample = samplesOf(items, samples, verdicts)
  const measured = benchmark.measures.map((measure) => ({ measure, parts: partsOf(measure, bySample) }))
  const [first] = measured as [(typeof measured)[number]]
  const unitsOf = (parts: Parts): number => Math.max(...Array.from(parts.values(), ({ length }) => length))
  const groups = benchmark.groupings.map((grouping) => {
    const names = [...new Set(items.flatMap((item) => item.groups[grouping] ?? []))]
    const scored = names.map((group) => {
      const parts = partsOf(
        first.measure,
        bySample.map((graded) => graded.filter(({ question }) => question.groups[grouping] === group)),
      )
      return { group, units: unitsOf(parts), statistics: statisticsOf(parts, options) }
    })
    return [grouping, scored.filter(({ units }) => units > 0)] as const
  })
  const scores: BenchmarkScores = {
    ...{ benchmark: benchmark.name, title: benchmark.title, questions: items.length, samples },
    judged: verdicts.filter(({ judge }) => judge !== null).length,
    measures: measured
      .map(({ measure: { name, label }, parts }) => ({ name, label, units: unitsOf(parts), statistics: statisticsOf(parts, options) }))
      .filter(({ units }) => units > 0),
    groups: Object.fromEntries(groups.filter(([, scored]) => scored.length > 0)),
    form: formOf(items, answers, verdicts, options),
  }
  return { scores, headline: first.parts }
}
