// What an experiment found, as numbers: every arm on every base, and arms against each other with paired statistics.

import type { Graded } from '../nano/evaluate.ts'
import { holm, type NonInferiority, nonInferiority } from '../statistics/decide.ts'
import type { Interval } from '../statistics/interval.ts'
import { meanOf } from '../statistics/mean.ts'
import { signFlipTest } from '../statistics/permutation.ts'
import { applies, differenceWithin, type Measure, measures, readAnswers } from './graded.ts'
import { acceptedSeeds, candidates, type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'

/** Draws of the intervals within a base, of which there are many. */
const resamples = 2000

export interface Comparison {
  readonly measure: string
  readonly first: string
  readonly second: string
  /** By base: first − second; null where one of them has nothing to be measured on, such as no valid description. */
  readonly differences: readonly (number | null)[]
  /** Of their mean: Student's t, over bases; null where a base has none, since that of the others would be another comparison. */
  readonly interval: Interval | null
  /** Exact sign-flip test over bases, two-sided; it cannot be below 2^(1 − bases). Null as above. */
  readonly p: number | null
  /** Holm's correction over the arms that are held against the same one by the same measure. Null as above. */
  readonly adjusted: number | null
  /** Within each base, over questions. Null where no question has a value in both. */
  readonly within: readonly (Interval | null)[]
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
  /** By arm and measure: a value for each base; null where there is nothing to measure. */
  readonly means: Readonly<Record<string, Readonly<Record<string, readonly (number | null)[]>>>>
  readonly comparisons: readonly Comparison[]
  readonly prior: readonly ({ readonly arm: string } & NonInferiority)[]
}

/** Mean of a measure over answers; null where it applies to none. */
export function meanMeasure(answers: readonly Graded[], { of }: Measure): number | null {
  const values = answers.map(of).filter((value) => value !== null)
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
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
  values(arm: string, measure: Measure, step: number | null = null): (number | null)[] {
    return this.seeds.map((seed) => meanMeasure(this.of(arm, seed, step), measure))
  }
}

/** All values, or null where one is missing. */
const complete = (values: readonly (number | null)[]): readonly number[] | null => {
  const known = values.filter((value) => value !== null)
  return known.length === values.length ? known : null
}

/** The mean over bases with Student's t interval; null where a base has no value. @throws ArgumentError for fewer than two bases */
export function overBases(values: readonly (number | null)[]): Interval | null {
  const known = complete(values)
  if (known === null) return null
  const { value, low, high } = meanOf(known)
  return { value, low, high }
}

const differencesOf = (answers: Answers, first: string, second: string, measure: Measure): (number | null)[] => {
  const other = answers.values(second, measure)
  return answers.values(first, measure).map((value, i) => {
    const less = other[i] ?? null
    return value === null || less === null ? null : value - less
  })
}

function compareAll(answers: Answers, arms: readonly string[], second: string, measure: Measure): Comparison[] {
  const rows = arms
    .filter((arm) => arm !== second)
    .map((first) => {
      const differences = differencesOf(answers, first, second, measure)
      const known = complete(differences)
      return {
        ...{ measure: measure.name, first, second, differences, interval: overBases(differences), p: known === null ? null : signFlipTest(known).p },
        within: answers.seeds.map((seed) => {
          const [before, after] = [answers.of(second, seed), answers.of(first, seed)]
          return applies(measure, before, after) ? differenceWithin(before, after, measure, { resamples }) : null
        }),
      }
    })
  const adjusted = holm(rows.flatMap(({ p }) => p ?? [])).values()
  return rows.map((row) => ({ ...row, adjusted: row.p === null ? null : (adjusted.next().value ?? null) }))
}

/** How an arm is called in tables. */
export const armLabel = ({ arms }: ExperimentPlan, arm: string): string =>
  arm === untrained ? 'Base' : (arms.find(({ name }) => name === arm)?.label ?? arm)

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
      .flatMap((arm) => {
        const difference = overBases(differencesOf(answers, arm, untrained, measures.prior))
        return difference === null ? [] : [{ arm, ...nonInferiority(difference, plan.margin) }]
      }),
  }
}
