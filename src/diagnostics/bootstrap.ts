// Intervals of a statistic by drawing its units (rollouts, batches) again with replacement: percentile bootstrap, seeded.

import { defaultConfidence, quantile } from '../statistics/interval.ts'
import { randomWords } from '../statistics/random.ts'

/** An estimate; bounds are null where there are too few units to resample. */
export interface Estimate {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
}

export interface BootstrapOptions {
  /** How often the units are drawn; 1000 by default. */
  readonly draws?: number
  /** Integer in [0, 2^53); 0 by default. */
  readonly seed?: number
}

/**
 * Statistics of the units as they are, each with its interval (95 %). All are computed from the same draws.
 * @param units how many there are; with fewer than 2 there are no bounds
 * @param statistics from how often each unit counts to the values; null where one is not defined, as an angle to a zero vector is not
 */
export function bootstrap(
  units: number,
  statistics: (counts: Float64Array) => readonly (number | null)[],
  { draws = 1000, seed = 0 }: BootstrapOptions = {},
): Estimate[] {
  const values = statistics(new Float64Array(units).fill(1))
  if (units < 2) return values.map((value) => ({ value, low: null, high: null }))
  const next = randomWords(seed)
  const drawn = values.map((): number[] => [])
  for (let draw = 0; draw < draws; draw++) {
    const counts = new Float64Array(units)
    for (let i = 0; i < units; i++) {
      const unit = Math.floor((next() / 2 ** 32) * units)
      counts[unit] = (counts[unit] as number) + 1
    }
    for (const [i, value] of statistics(counts).entries()) if (value !== null) drawn[i]?.push(value)
  }
  const tail = (1 - defaultConfidence) / 2
  return values.map((value, i) => {
    const sorted = Float64Array.from(drawn[i] ?? []).sort()
    // Of a statistic that is mostly undefined the rest of the draws says little.
    if (value === null || sorted.length < draws / 2) return { value, low: null, high: null }
    return { value, low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
  })
}
