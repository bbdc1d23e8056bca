// The mean of independent values with its standard error and Student's t interval.

import { checkConfidence, checkNumbers, defaultConfidence, type Interval } from './interval.ts'
import { tQuantile } from './student.ts'

/** A mean, the standard deviation of its values and the standard error of the mean. */
export interface Mean extends Interval {
  readonly deviation: number
  readonly standardError: number
  /** How many values. */
  readonly count: number
}

/**
 * Mean x̄ with standard deviation s (divisor n − 1), standard error s / √n and interval x̄ ± t · s / √n, t the quantile of Student's t with
 * n − 1 degrees of freedom (Student, The Probable Error of a Mean, 1908). Of paired values give the differences: their t interval.
 * @param values independent, at least two
 * @throws ArgumentError if there are fewer or one is not finite
 */
export function meanOf(values: readonly number[], confidence = defaultConfidence): Mean {
  checkNumbers(values, 'values', 2)
  checkConfidence(confidence)
  const count = values.length
  const rough = values.reduce((sum, value) => sum + value, 0) / count
  // What rounding left in the first mean is taken out with the second.
  const value = rough + values.reduce((sum, each) => sum + (each - rough), 0) / count
  const deviation = Math.sqrt(values.reduce((sum, each) => sum + (each - value) ** 2, 0) / (count - 1))
  const standardError = deviation / Math.sqrt(count)
  const half = tQuantile((1 + confidence) / 2, count - 1) * standardError
  return { value, low: value - half, high: value + half, deviation, standardError, count }
}
