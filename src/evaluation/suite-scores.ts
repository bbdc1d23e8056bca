// Means over benchmarks as papers report them: of suites, and of the groups in them that depend on seeing more or less.

import { type Dependency, type Suite, type SuiteRow, suites } from '../benchmarks/suites.ts'
import { type BootstrapOptions, bootstrapMeanOfRatios, type WeighedRatio } from '../statistics/bootstrap.ts'
import type { BenchmarkScores, Scored, Statistics } from './scores.ts'

export interface SuiteScores {
  readonly name: string
  readonly about: string
  /** The mean over its rows, each the mean of its benchmarks' first measures. */
  readonly statistics: Statistics
  /** The same of the rows of each visual dependency, where the paper groups them. */
  readonly dependency: Readonly<Partial<Record<Dependency, Statistics>>>
}

/** What `OUT/scores.json` says. */
export interface EvaluationScores {
  readonly benchmarks: readonly BenchmarkScores[]
  /** Of the benchmarks' first measures, each counting the same; null for a single one. */
  readonly mean: Statistics | null
  /** Suites of which every benchmark was evaluated. */
  readonly suites: readonly SuiteScores[]
}

type Headlines = ReadonlyMap<string, Scored['headline']>

/** The weighted mean of headlines, of those statistics that all of them have. */
function meanOf(headlines: Headlines, weights: ReadonlyMap<string, number>, options: BootstrapOptions): Statistics {
  const each = Array.from(weights, ([name, weight]) => ({ headline: headlines.get(name) ?? new Map(), weight }))
  const names = [...(each[0]?.headline.keys() ?? [])].filter((name) => each.every(({ headline }) => (headline.get(name)?.length ?? 0) > 0))
  const ratios = (name: string): WeighedRatio[] => each.map(({ headline, weight }) => ({ parts: headline.get(name) ?? [], weight }))
  return Object.fromEntries(names.map((name) => [name, bootstrapMeanOfRatios(ratios(name), options)]))
}

/** How much each benchmark counts in the mean over rows. */
function weightsOf(rows: readonly SuiteRow[]): Map<string, number> {
  const weights = new Map<string, number>()
  for (const { benchmarks } of rows) for (const name of benchmarks) weights.set(name, (weights.get(name) ?? 0) + 1 / benchmarks.length)
  return weights
}

function scoresOf({ name, about, rows }: Suite, headlines: Headlines, options: BootstrapOptions): SuiteScores {
  const groups = [...new Set(rows.flatMap(({ dependency }) => dependency ?? []))].map((group) => {
    const inside = rows.filter(({ dependency }) => dependency === group)
    return [group, meanOf(headlines, weightsOf(inside), options)] as const
  })
  return { name, about, statistics: meanOf(headlines, weightsOf(rows), options), dependency: Object.fromEntries(groups) }
}

/** The mean over benchmarks, and the scores of suites that are complete. */
export function scoreSuites(scored: readonly Scored[], options: BootstrapOptions = {}): Pick<EvaluationScores, 'mean' | 'suites'> {
  const headlines: Headlines = new Map(scored.map(({ scores, headline }) => [scores.benchmark, headline]))
  const complete = suites.filter(({ rows }) => rows.every(({ benchmarks }) => benchmarks.every((name) => headlines.has(name))))
  const equal = new Map(Array.from(headlines.keys(), (name) => [name, 1]))
  return {
    mean: headlines.size > 1 ? meanOf(headlines, equal, options) : null,
    suites: complete.map((suite) => scoresOf(suite, headlines, options)),
  }
}
