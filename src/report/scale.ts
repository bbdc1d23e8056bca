// Axes: from numbers to places in a figure, with ticks at round numbers.

import { ArgumentError } from '../errors.ts'
import { fixed, powerOfTen, significant } from './numbers.ts'

/** What an axis shows. */
export interface Axis {
  readonly label: string
  /** Written after numbers, such as ° or %. */
  readonly unit?: string
  readonly log?: boolean
  /** Numbers that the axis must reach, such as 0, or the bounds 0 and 1 of a share. */
  readonly include?: readonly number[]
}

export interface Tick {
  readonly value: number
  readonly label: string
}

export interface Scale {
  readonly low: number
  readonly high: number
  readonly ticks: readonly Tick[]
  /** From a value to its place, in the figure's units. */
  at(value: number): number
}

/** Rounds off what binary fractions add to multiples of a step. */
const clean = (value: number): number => Number(value.toPrecision(12))

/** The smallest of 1, 2, 5, 10, 20 … (of degrees: 5, 10, 15, 30, 45, 90 …) times a power of ten that makes at most about `wanted` steps. */
function stepOf(span: number, wanted: number, unit: string): number {
  // A hair less, so that a span of just so many round steps gets these.
  const least = (span / wanted) * (1 - 1e-9)
  const angles = unit === '°' ? [5, 10, 15, 30, 45, 90].find((angle) => angle >= least) : undefined
  if (angles !== undefined && least > 2) return angles
  const power = 10 ** Math.floor(Math.log10(least))
  return clean(power * (least <= power ? 1 : least <= 2 * power ? 2 : least <= 5 * power ? 5 : 10))
}

/** Multiples of a round step from `low` to `high`. */
export function linearTicks(low: number, high: number, wanted: number, unit = ''): Tick[] {
  return multiples(low, high, stepOf(high - low, wanted, unit), unit)
}

function multiples(low: number, high: number, step: number, unit: string): Tick[] {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)]
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const value = clean((first + i) * step)
    const text = Math.abs(value) >= 1e7 || (step < 1e-5 && value !== 0) ? significant(value) : fixed(value, digits)
    return { value, label: text + (unit === '°' ? unit : unit === '' ? '' : `\u202f${unit}`) }
  })
}

/** Powers of ten, and between them 3, or 2 and 5 times each, where the axis reaches over so few that there is room. */
function logTicks(low: number, high: number, wanted: number, unit: string): Tick[] {
  const [first, last] = [Math.floor(Math.log10(low) - 1e-9), Math.ceil(Math.log10(high) + 1e-9)]
  const span = Math.log10(high / low)
  const every = Math.max(1, Math.ceil(span / wanted - 1e-9))
  const factors = 3 * span <= wanted + 1 ? [1, 2, 5] : 2 * span <= wanted + 1 ? [1, 3] : [1]
  const ticks: Tick[] = []
  for (let exponent = first; exponent <= last; exponent++) {
    for (const factor of factors) {
      const value = clean(factor * 10 ** exponent)
      if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9) || exponent % every !== 0) continue
      const far = exponent < -4 || exponent > 5
      const text = far ? (factor === 1 ? '' : `${factor} × `) + powerOfTen(exponent) : fixed(value, Math.max(0, -exponent))
      ticks.push({ value, label: unit === '' || unit === '°' ? text + unit : `${text}\u202f${unit}` })
    }
  }
  return ticks.length >= 2 ? ticks : linearTicks(low, high, wanted, unit)
}

/** The same ends a little apart, for values that are all equal. */
function widened(low: number, high: number, log: boolean): readonly [number, number] {
  if (high > low) return [low, high]
  if (log) return [low / 2, high * 2]
  return low === 0 ? [-1, 1] : [low - Math.abs(low) / 2, high + Math.abs(low) / 2]
}

/**
 * A scale over all values, which must be finite (checked by whoever knows the series' names) and positive on a logarithmic axis.
 * @param place from where to where, how many ticks fit, and whether the axis is lengthened to the next tick
 */
export function scaleOf(
  values: readonly number[],
  axis: Axis,
  place: { readonly from: number; readonly to: number; readonly wanted: number; readonly round: boolean },
): Scale {
  const { log = false, unit = '', include = [] } = axis
  const { from, to, wanted, round } = place
  const all = [...values, ...include]
  if (all.length === 0) throw new ArgumentError(`axis "${axis.label}": there is no value to show`)
  const least = all.reduce((a, b) => Math.min(a, b))
  if (log && !(least > 0)) throw new ArgumentError(`axis "${axis.label}" is logarithmic, but a value is ${least}; leave it out or use a linear axis`)
  let [low, high] = widened(
    least,
    all.reduce((a, b) => Math.max(a, b)),
    log,
  )
  // The step of the lengthened axis, which would be another one if it were chosen anew.
  const step = log ? 0 : stepOf(high - low, wanted, unit)
  if (round) {
    low = log ? low / 1.1 : clean(Math.floor(low / step + 1e-9) * step)
    high = log ? high * 1.1 : clean(Math.ceil(high / step - 1e-9) * step)
  }
  const length = log ? Math.log(high / low) : high - low
  const at = (value: number): number => from + ((to - from) * (log ? Math.log(value / low) : value - low)) / length
  return { low, high, ticks: log ? logTicks(low, high, wanted, unit) : multiples(low, high, step, unit), at }
}
