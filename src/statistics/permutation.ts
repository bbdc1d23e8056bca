// The sign-flip test of paired differences: exact for few pairs, which is what experiments with six or eight bases have.

import { ArgumentError } from '../errors.ts'
import { checkNumbers } from './interval.ts'
import { randomWords } from './random.ts'

/** Up to so many pairs all 2^n flips are counted. */
export const mostExactPairs = 16
/** Sums that differ by less than this share of all magnitudes tie: their difference is rounding. */
const tie = 2 ** -40

/** What is held against "the differences are symmetrical about 0": that they lean either way, upwards, or downwards. */
export type Alternative = 'two-sided' | 'greater' | 'less'

export interface SignFlipTest {
  /** Mean of the differences. */
  readonly mean: number
  readonly p: number
  /** Whether all 2^n flips were counted. */
  readonly exact: boolean
  /** How many flips were counted or drawn. */
  readonly flips: number
}

/**
 * Fisher's randomisation test for pairs (The Design of Experiments, 1935, section 21): under the null hypothesis each difference could as well
 * have had the other sign. p is the share of sign patterns whose mean is at least as extreme as the one seen, ties included; the smallest that n
 * pairs can give is 2^−n one-sided and 2^(1−n) two-sided. With more than 16 pairs, patterns are drawn and p = (1 + extreme) / (1 + drawn)
 * (Phipson and Smyth 2010), which is never 0.
 *
 * @param differences one for each pair, after less before
 * @param options.flips how many patterns are drawn when there are too many to count
 * @param options.seed of the drawn patterns
 */
export function signFlipTest(
  differences: readonly number[],
  options: { readonly alternative?: Alternative; readonly flips?: number; readonly seed?: number } = {},
): SignFlipTest {
  const { alternative = 'two-sided', flips = 100_000, seed = 0 } = options
  checkNumbers(differences, 'differences')
  if (!Number.isSafeInteger(flips) || flips < 1) throw new ArgumentError(`flips is ${flips}; expected an integer from 1 up`)
  const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)
  const seen = sum(differences)
  const slack = tie * sum(differences.map(Math.abs))
  const extremes: { readonly [A in Alternative]: (flipped: number) => boolean } = {
    'two-sided': (flipped) => Math.abs(flipped) >= Math.abs(seen) - slack,
    greater: (flipped) => flipped >= seen - slack,
    less: (flipped) => flipped <= seen + slack,
  }
  const extreme = extremes[alternative]
  const exact = differences.length <= mostExactPairs
  const all = exact ? 2 ** differences.length : flips
  const word = randomWords(seed)
  let count = 0
  for (let pattern = 0; pattern < all; pattern++) {
    let flipped = 0
    let bits = pattern
    for (let i = 0; i < differences.length; i++) {
      if (!exact && i % 32 === 0) bits = word()
      const difference = differences[i] as number
      flipped += bits & (1 << (i & 31)) ? -difference : difference
    }
    if (extreme(flipped)) count++
  }
  return { mean: seen / differences.length, p: exact ? count / all : (1 + count) / (1 + all), exact, flips: all }
}
