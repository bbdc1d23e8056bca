// What may be concluded: that something got no worse, and which of several comparisons stand together.

import { ArgumentError } from '../errors.ts'
import type { Interval } from './interval.ts'

/** inconclusive: the interval holds the margin, so the data do not say. */
export type Verdict = 'non-inferior' | 'inferior' | 'inconclusive'

export interface NonInferiority extends Interval {
  readonly margin: number
  readonly verdict: Verdict
  /** Whether the whole interval lies above 0. */
  readonly superior: boolean
}

/**
 * Non-inferiority of something new, where more is better: it holds if the whole interval of (new − old) lies above −margin (CONSORT
 * extension, Piaggio et al. 2012). A two-sided interval of 95 % makes it a test at the one-sided level 2.5 %.
 * @param difference new − old, by any method
 * @param margin > 0, fixed before the data were seen
 */
export function nonInferiority(difference: Interval, margin: number): NonInferiority {
  const { value, low, high } = difference
  if (!(margin > 0)) throw new ArgumentError(`margin is ${margin}; expected a number above 0`)
  if (!(low <= high)) throw new ArgumentError(`the interval reaches from ${low} to ${high}; expected low ≤ high`)
  const verdict = low > -margin ? 'non-inferior' : high < -margin ? 'inferior' : 'inconclusive'
  return { value, low, high, margin, verdict, superior: low > 0 }
}

/**
 * Holm's step-down correction (A Simple Sequentially Rejective Multiple Test Procedure, 1979): of m p-values in ascending order the k-th is
 * multiplied by m − k + 1, no result is below the one before it, none above 1. A comparison whose result is at most α stands, and the chance that
 * any true null hypothesis falls is at most α, whatever depends on what.
 * @returns in the order of `pValues`
 */
export function holm(pValues: readonly number[]): number[] {
  for (const [i, p] of pValues.entries()) if (!(p >= 0 && p <= 1)) throw new ArgumentError(`pValues[${i}] is ${p}; expected a number from 0 to 1`)
  const order = pValues.map((p, i) => ({ p, i })).toSorted((a, b) => a.p - b.p)
  const adjusted = new Array<number>(pValues.length)
  let least = 0
  for (const [k, { p, i }] of order.entries()) {
    least = Math.min(1, Math.max(least, p * (order.length - k)))
    adjusted[i] = least
  }
  return adjusted
}
