// The ways to count verdicts that several benchmarks share. A measure is a mean over units, so that all are resampled in one way.

import type { Graded, Measure, Unit } from './benchmark.ts'

/** The group of a question; the empty text where it has none. */
export const groupOf = (graded: Graded, grouping: string): string => graded.question.groups[grouping] ?? ''

export const isRight = (graded: Graded): boolean => graded.verdict.credit === 1

/** What a measure says of answers: the mean of its units by their weights; null without units. */
export function meanOf(units: readonly Unit[]): number | null {
  const whole = units.reduce((sum, { weight = 1 }) => sum + weight, 0)
  return whole === 0 ? null : units.reduce((sum, { value, weight = 1 }) => sum + value * weight, 0) / whole
}

const unitOf = (graded: Graded): Unit => ({ id: graded.question.id, value: graded.verdict.credit })

/** The mean credit of the questions that `counts` takes. */
export function over(name: string, label: string, counts: (graded: Graded) => boolean): Measure {
  return { name, label, units: (graded) => graded.filter(counts).map(unitOf) }
}

/** The share of right answers; where a judge gives parts of a point, the mean of what it gives. */
export const accuracy: Measure = over('accuracy', 'Accuracy', () => true)

/** The mean credit of the questions of one group. */
export const within = (grouping: string, group: string, name: string, label: string): Measure =>
  over(name, label, (graded) => groupOf(graded, grouping) === group)

/** A measure that sees only the questions that `counts` takes. */
export const among = (measure: Measure, counts: (graded: Graded) => boolean): Measure => ({
  ...measure,
  units: (graded) => measure.units(graded.filter(counts)),
})

/** Items by a key; those with the key null are left out. */
export function byKey<T>(items: readonly T[], key: (item: T) => string | null): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = key(item)
    if (name === null) continue
    const group = groups.get(name) ?? []
    group.push(item)
    groups.set(name, group)
  }
  return groups
}

/** The share of groups of questions that are all answered right. `key` names the group of a question, null for none. */
export function allRight(name: string, label: string, key: (graded: Graded) => string | null): Measure {
  return { name, label, units: (graded) => [...byKey(graded, key)].map(([id, group]) => ({ id, value: group.every(isRight) ? 1 : 0 })) }
}

/**
 * The mean over groups of their accuracies, whatever their sizes: each question counts by one over its group's size. With several groupings,
 * the mean over the groups of the first of the means over those of the second within, and so on.
 */
export function balanced(name: string, label: string, groupings: readonly string[]): Measure {
  const weighed = (graded: readonly Graded[], [first, ...rest]: readonly string[], weight: number): readonly Unit[] => {
    if (first === undefined) return graded.map((each) => ({ ...unitOf(each), weight: weight / graded.length }))
    const groups = [...byKey(graded, (each) => groupOf(each, first)).values()]
    return groups.flatMap((group) => weighed(group, rest, weight / groups.length))
  }
  return { name, label, units: (graded) => weighed(graded, groupings, 1) }
}
