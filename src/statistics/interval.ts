// What every estimate is reported as, the one default of its confidence, and the checks that all of statistics shares.

import { ArgumentError } from '../errors.ts'

/** An estimate with its interval, low ≤ high. The percentile bootstrap's interval need not hold the value. */
export interface Interval {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** The share of such intervals that should hold the true value, where nothing else is asked for. */
export const defaultConfidence = 0.95

/** @throws ArgumentError unless there are at least `atLeast` values and all are finite; `what` names them. */
export function checkNumbers(values: ArrayLike<number>, what: string, atLeast = 1): void {
  if (values.length < atLeast) throw new ArgumentError(`${what}: ${values.length} given; expected at least ${atLeast}`)
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new ArgumentError(`${what}[${i}] is ${values[i]}; expected a finite number`)
  }
}

/** @throws ArgumentError unless 0 < confidence < 1 */
export function checkConfidence(confidence: number): void {
  if (!(confidence > 0 && confidence < 1)) throw new ArgumentError(`confidence is ${confidence}; expected a number between 0 and 1, such as 0.95`)
}

/**
 * The value below which the share `q` of the values lies, interpolated linearly between neighbours (Hyndman and Fan's definition 7, 1996;
 * NumPy's default).
 * @param sorted ascending, at least one
 */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const at = (sorted.length - 1) * q
  const below = Math.floor(at)
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number]
  return low + (high - low) * (at - below)
}
