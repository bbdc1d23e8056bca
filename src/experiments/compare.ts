// What an experiment found, as numbers: every arm on every base, and arms against each other with paired statistics.

import type { Graded } from '../nano/evaluate.ts'
import { holm, type NonInferiority, nonInferiority } from '../statistics/decide.ts'
import type { Interval } from '../statistics/interval.ts'
import { meanOf } from '../statistics/mean.ts'
import { signFlipTest } from '../statistics/permutation.ts'
import { differenceWithin, type Measure, measures, readAnswers } from './graded.ts'
import { acceptedSeeds, candidates, type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'

/** Draws of the intervals within a base, of which there are many. */
const resamples = 2000

export interface Comparison {
  readonly measure: string
  readonly first: string
  readonly second: string
  /** By base: first − second. */
  readonly differences: readonly number[]
  /** Of their mean: Student's t, over bases. */
  readonly interval: Interval
  /** Exact sign-flip test over bases, two-sided; it cannot be below 2^(1 − bases). */
  readonly p: number
  /** Holm's correction over the arms that are held against the same one by the same measure. */
  readonly adjusted: number
  /** Within each base, over questions. */
  readonly within: readonly Interval[]
}

/** What `summary.json` says. */
export interface ExperimentSummary {
  readonly plan: ExperimentPlan
  /** Every base that was tried, in the order of seeds, with the measures whose rule it broke. */
  readonly bases: readonly {
    readonly seed: number
    readonly accepted: boolean
    readonly measured: Readonly<Record<string, number>>
    readonly broken: readonly string[]
  }[]
  /** Seeds of the bases that were used. */
  readonly used: readonly number[]
  /** By arm and measure: a value for each base. */
  readonly means: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>
  readonly comparisons: readonly Comparison[]
  readonly prior: readonly ({ readonly arm: string } & NonInferiority)[]
}

/** Mean of a measure over answers; NaN where it applies to none. */
export function meanMeasure(answers: readonly Graded[], { of }: Measure): number {
  const values = answers.map(of).filter((value) => value !== null)
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The graded answers of an experiment, each file read once. */
export class Answers {
  readonly #plan: ExperimentPlan
  readonly #files: ExperimentFiles
  readonly #read = new Map<string, readonly Graded[]>()
  readonly seeds: readonly number[]

  constructor(plan: ExperimentPlan, files: ExperimentFiles) {
    this.#plan = plan
    this.#files = files
    this.seeds = acceptedSeeds(plan, files)
  }

  /** @param step of a curve; null: the end */
  of(arm: string, seed: number, step: number | null = null): readonly Graded[] {
    const file = this.#files.grades(this.#plan.recipe, seed, arm, step)
    const known = this.#read.get(file) ?? readAnswers(file)
    this.#read.set(file, known)
    return known
  }

  /** By base. */
  values(arm: string, measure: Measure, step: number | null = null): number[] {
    return this.seeds.map((seed) => meanMeasure(this.of(arm, seed, step), measure))
  }
}

/** Mean difference with Student's t interval. @throws ArgumentError for fewer than two bases */
const over = (differences: readonly number[]): Interval => {
  const { value, low, high } = meanOf(differences)
  return { value, low, high }
}

const differencesOf = (answers: Answers, first: string, second: string, measure: Measure): number[] => {
  const other = answers.values(second, measure)
  return answers.values(first, measure).map((value, i) => value - (other[i] as number))
}

function compareAll(answers: Answers, arms: readonly string[], second: string, measure: Measure): Comparison[] {
  const rows = arms
    .filter((arm) => arm !== second)
    .map((first) => {
      const differences = differencesOf(answers, first, second, measure)
      return {
        ...{ measure: measure.name, first, second, differences, interval: over(differences), p: signFlipTest(differences).p },
        within: answers.seeds.map((seed) => differenceWithin(answers.of(second, seed), answers.of(first, seed), measure, { resamples })),
      }
    })
  const adjusted = holm(rows.map(({ p }) => p))
  return rows.map((row, i) => ({ ...row, adjusted: adjusted[i] as number }))
}

/** The names of the arms, the base first. */
export const armNames = ({ arms }: ExperimentPlan): string[] => [untrained, ...arms.map(({ name }) => name)]

/** Everything that is tested. @throws ArgumentError for fewer than two bases */
export function summarise(plan: ExperimentPlan, files: ExperimentFiles): ExperimentSummary {
  const answers = new Answers(plan, files)
  const arms = armNames(plan)
  const all = Object.values(measures)
  return {
    plan,
    bases: candidates(plan, files).map(({ seed, accepted, measured, verdicts }) => ({
      ...{ seed, accepted, measured },
      broken: verdicts.filter(({ kept }) => !kept).map(({ measure }) => measure),
    })),
    used: answers.seeds,
    means: Object.fromEntries(arms.map((arm) => [arm, Object.fromEntries(all.map((measure) => [measure.name, answers.values(arm, measure)]))])),
    comparisons: plan.against.flatMap(({ arm, measures: names }) =>
      all.filter(({ name }) => names.includes(name)).flatMap((measure) => compareAll(answers, arms, arm, measure)),
    ),
    prior: arms
      .filter((arm) => arm !== untrained)
      .map((arm) => ({ arm, ...nonInferiority(over(differencesOf(answers, arm, untrained, measures.prior)), plan.margin) })),
  }
}
