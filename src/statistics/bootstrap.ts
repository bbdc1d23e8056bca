// Intervals by resampling: of any statistic, of a ratio of sums, and of paired differences over prompts with several samples each.

import { ArgumentError } from '../errors.ts'
import { checkConfidence, checkNumbers, defaultConfidence, type Interval, quantile } from './interval.ts'
import { randomWords } from './random.ts'

/** More undefined resamples than this share, and the interval would tell of the others only. */
const mostUndefined = 0.05

export interface BootstrapOptions {
  /** Integer in [0, 2^53): equal seeds give equal intervals. */
  readonly seed?: number
  readonly resamples?: number
  readonly confidence?: number
}

/**
 * The percentile bootstrap (Efron 1979): units are drawn with replacement, as many as there are, and the interval reaches from the (1 − c) / 2 to
 * the (1 + c) / 2 quantile of the statistic over the resamples. A unit is whatever is independent of the others: a base, a prompt
 * with all its samples, a batch. With fewer than about ten units such intervals are too narrow; use `meanOf` there.
 *
 * @param units how many there are
 * @param statistic of the units with these indices, of which some come several times; NaN where it is not defined. Resamples where it is not are
 *   left out; the interval is then one given that it is defined.
 * @throws ArgumentError if the statistic is not defined for the units themselves, or not for one in twenty resamples
 */
export function bootstrap(units: number, statistic: (indices: Uint32Array) => number, options: BootstrapOptions = {}): Interval {
  if (!Number.isSafeInteger(units) || units < 1) throw new ArgumentError(`units: ${units} given; expected at least 1`)
  const indices = Uint32Array.from({ length: units }, (_, i) => i)
  const value = statistic(indices)
  if (!Number.isFinite(value)) throw new ArgumentError(`the statistic of the ${units} units is ${value}; an interval needs a finite one`)
  const redrawn = (word: () => number): number => {
    for (let i = 0; i < units; i++) indices[i] = Math.floor((word() / 2 ** 32) * units)
    return statistic(indices)
  }
  return intervalOf(value, units, redrawn, options)
}

/** The percentile interval of a statistic. @param redrawn the statistic of another resample of the units, drawn with these random words */
function intervalOf(value: number, units: number, redrawn: (word: () => number) => number, options: BootstrapOptions): Interval {
  const { seed = 0, resamples = 10_000, confidence = defaultConfidence } = options
  if (!Number.isSafeInteger(resamples) || resamples < 1) throw new ArgumentError(`resamples is ${resamples}; expected an integer from 1 up`)
  checkConfidence(confidence)
  const word = randomWords(seed)
  const found: number[] = []
  for (let resample = 0; resample < resamples; resample++) {
    const drawn = redrawn(word)
    if (Number.isFinite(drawn)) found.push(drawn)
  }
  const undefinedShare = 1 - found.length / resamples
  if (undefinedShare > mostUndefined) {
    throw new ArgumentError(
      `the statistic is not defined for ${(100 * undefinedShare).toFixed(1)} % of the resamples of ${units} units; give more units, or leave out those that count nothing`,
    )
  }
  const sorted = Float64Array.from(found).sort()
  return { value, low: quantile(sorted, (1 - confidence) / 2), high: quantile(sorted, (1 + confidence) / 2) }
}

/** What one unit adds to a ratio of sums, such as a metric of one rollout. */
export interface Part {
  readonly sum: number
  readonly count: number
}

/**
 * Bootstrap of Σ sum / Σ count over units: an accuracy over prompts with several samples each, PALR over rollouts, a loss over responses of
 * different lengths. Numerator and denominator are drawn together.
 */
export function bootstrapRatio(parts: readonly Part[], options: BootstrapOptions = {}): Interval {
  const columns = columnsOf(parts)
  return bootstrap(parts.length, (indices) => ratioOf(columns, indices), options)
}

interface Columns {
  readonly sums: Float64Array
  readonly counts: Float64Array
}

function columnsOf(parts: readonly Part[]): Columns {
  const [sums, counts] = [Float64Array.from(parts, ({ sum }) => sum), Float64Array.from(parts, ({ count }) => count)]
  checkNumbers(sums, 'sums')
  checkNumbers(counts, 'counts')
  return { sums, counts }
}

function ratioOf({ sums, counts }: Columns, indices: Uint32Array): number {
  let [sum, count] = [0, 0]
  for (const index of indices) {
    sum += sums[index] as number
    count += counts[index] as number
  }
  return sum / count
}

/** A ratio Σ sum / Σ count that is part of a mean. */
export interface WeighedRatio {
  readonly parts: readonly Part[]
  /** How much it counts, above 0. */
  readonly weight: number
}

/**
 * Bootstrap of the weighted mean of several ratios: a mean over benchmarks. Units are drawn within each ratio, and the ratios are taken to be
 * fixed: the interval tells how the mean moves with other questions, not with other benchmarks.
 */
export function bootstrapMeanOfRatios(ratios: readonly WeighedRatio[], options: BootstrapOptions = {}): Interval {
  const whole = ratios.reduce((sum, { weight }) => sum + weight, 0)
  if (!(whole > 0)) throw new ArgumentError(`the weights of ${ratios.length} ratios sum to ${whole}; expected at least 1 ratio, and weights above 0`)
  const each = ratios.map(({ parts, weight }) => ({
    columns: columnsOf(parts),
    indices: Uint32Array.from(parts, (_, i) => i),
    share: weight / whole,
  }))
  const mean = (): number => each.reduce((sum, { columns, indices, share }) => sum + share * ratioOf(columns, indices), 0)
  const value = mean()
  if (!Number.isFinite(value)) throw new ArgumentError(`the mean of the ${ratios.length} ratios is ${value}; an interval needs a finite one`)
  const redrawn = (word: () => number): number => {
    for (const { indices } of each) for (let i = 0; i < indices.length; i++) indices[i] = Math.floor((word() / 2 ** 32) * indices.length)
    return mean()
  }
  const units = ratios.reduce((sum, { parts }) => sum + parts.length, 0)
  return intervalOf(value, units, redrawn, options)
}

/** One prompt under two treatments, with as many samples as there were under each. */
export interface Pair {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/**
 * Bootstrap of the mean over prompts of (mean of after − mean of before). Prompts are drawn, each with all its samples of both treatments: what
 * makes a prompt hard stays in both, and samples of one prompt are not taken for independent ones. Every prompt counts the same.
 */
export function bootstrapDifference(pairs: readonly Pair[], options: BootstrapOptions = {}): Interval {
  const mean = (values: readonly number[], what: string): number => {
    checkNumbers(values, what)
    return values.reduce((sum, value) => sum + value, 0) / values.length
  }
  const parts = pairs.map(({ before, after }, i) => ({ sum: mean(after, `pair ${i}, after`) - mean(before, `pair ${i}, before`), count: 1 }))
  return bootstrapRatio(parts, options)
}
