// The interval of a share of independent trials, which is right also near 0 and 1 and for few trials.

import { ArgumentError } from '../errors.ts'
import { checkConfidence, defaultConfidence, type Interval } from './interval.ts'
import { normalQuantile } from './student.ts'

/**
 * Wilson's score interval (Probable Inference, the Law of Succession, and Statistical Inference, 1927): with z the normal quantile, the shares p
 * whose |p̂ − p| ≤ z √(p (1 − p) / n), that is (p̂ + z²/2n ± z √(p̂ (1 − p̂)/n + z²/4n²)) / (1 + z²/n). It stays within 0 and 1. For
 * several samples of one prompt, which are not independent, use `bootstrapRatio`.
 * @param successes integer from 0 to `trials`
 * @param trials at least 1
 */
export function shareOf(successes: number, trials: number, confidence = defaultConfidence): Interval {
  if (!Number.isSafeInteger(trials) || trials < 1) throw new ArgumentError(`trials are ${trials}; expected an integer from 1 up`)
  if (!Number.isSafeInteger(successes) || successes < 0 || successes > trials) {
    throw new ArgumentError(`successes are ${successes}; expected an integer from 0 to the ${trials} trials`)
  }
  checkConfidence(confidence)
  const z = normalQuantile((1 + confidence) / 2)
  const value = successes / trials
  const middle = value + (z * z) / (2 * trials)
  const half = z * Math.sqrt((value * (1 - value)) / trials + (z * z) / (4 * trials * trials))
  const whole = 1 + (z * z) / trials
  // At the ends the bound is the share itself, up to rounding.
  return { value, low: successes === 0 ? 0 : (middle - half) / whole, high: successes === trials ? 1 : (middle + half) / whole }
}
