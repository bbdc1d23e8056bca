// What comparing two answers can say, and how to join what was said of their parts.

import type { Verdict } from './verdict.ts'

export interface Comparison {
  readonly outcome: Verdict['outcome']
  /** Which rule decided, or why none could, in a few words. */
  readonly rule: string
}

export const right = (rule: string): Comparison => ({ outcome: 'right', rule })
export const wrong = (rule: string): Comparison => ({ outcome: 'wrong', rule })
export const undecided = (rule: string): Comparison => ({ outcome: 'undecided', rule })

/** Of parts that must all be right: one wrong part makes all wrong. */
export function every(parts: readonly Comparison[], rule: string): Comparison {
  return parts.find(({ outcome }) => outcome === 'wrong') ?? parts.find(({ outcome }) => outcome === 'undecided') ?? right(rule)
}

/** Of references of which one is enough: an undecided one leaves it open. */
export function some(parts: readonly Comparison[]): Comparison {
  const found = parts.find(({ outcome }) => outcome === 'right') ?? parts.find(({ outcome }) => outcome === 'undecided') ?? parts[0]
  return found ?? undecided('nothing to compare with')
}

/**
 * Of two collections without an order: right if each element of either has a right one in the other. Wrong if an element is wrong against all
 * of the others; undecided if only an undecided comparison stands in the way.
 */
export function matched<T>(given: readonly T[], expected: readonly T[], compare: (given: T, expected: T) => Comparison, rule: string): Comparison {
  const table = given.map((a) => expected.map((b) => compare(a, b).outcome))
  const columns = expected.map((_, j) => table.map((row) => row[j] ?? 'wrong'))
  const lines = [...table, ...columns]
  if (lines.every((line) => line.includes('right'))) return right(rule)
  if (lines.some((line) => line.every((outcome) => outcome === 'wrong'))) return wrong('another element or one too few')
  return undecided('elements that could not be compared')
}
