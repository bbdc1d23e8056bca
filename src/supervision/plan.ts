// Which term supervises which token with which share, in plain numbers: counted over the whole optimisation batch before any loss is
// computed, so that accumulation over parts of the batch changes nothing.

import { activeTerms } from './check.ts'
import type { DistillTerm, Method, Term } from './method.ts'
import { type Division, positionsOf } from './segments.ts'

/** What a plan must know of a rollout. */
export interface Divided {
  /** T tokens of the rollout. */
  readonly ids: ArrayLike<number>
  readonly division: Division
}

/** The tokens of one rollout that a term supervises. */
export interface Claim {
  readonly row: number
  /** Ascending indices into the rollout. */
  readonly positions: readonly number[]
  /** What each of them counts in the term's mean. */
  readonly share: number
}

export interface TermPlan {
  readonly name: string
  readonly term: Term
  readonly claims: readonly Claim[]
  /** What the mean divides by: tokens, or responses that have one. */
  readonly count: number
}

/** The tokens that a term supervises in a rollout. */
function supervised({ on }: Term, { division }: Divided): number[] {
  if (on === 'all') return positionsOf(division, 'all')
  if (division.valid) return on.valid === undefined ? [] : positionsOf(division, on.valid)
  return on.invalid === undefined ? [] : positionsOf(division, on.invalid)
}

/** Every active term's tokens in a batch, in the order of the method's table. A term that none of the rollouts concerns counts 0. */
export function planTerms(method: Method, rows: readonly Divided[]): TermPlan[] {
  return activeTerms(method).map(([name, term]) => {
    const found = rows.flatMap((row, i) => {
      const positions = supervised(term, row)
      return positions.length === 0 ? [] : [{ row: i, positions }]
    })
    const tokens = found.reduce((sum, { positions }) => sum + positions.length, 0)
    const count = term.mean === 'tokens' ? tokens : found.length
    const claims = found.map((each) => ({ ...each, share: term.mean === 'tokens' ? 1 / count : 1 / (count * each.positions.length) }))
    return { name, term, claims, count }
  })
}

/** The value below which the share `q` of the values lies, interpolated linearly between neighbours (as NumPy's default). */
export function quantile(sorted: Float64Array, q: number): number {
  const at = (sorted.length - 1) * q
  const below = Math.floor(at)
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number]
  return low + (high - low) * (at - below)
}

/** From a token's visual dependency to what multiplies the term's weight there. */
export type Gate = (dependency: number) => number

/** The gates of a term by the quantiles of a batch's visual dependencies (VGS, eq. 16 and 24). */
export function gateOf(gates: NonNullable<DistillTerm['gates']>, dependencies: Float64Array): Gate {
  const sorted = dependencies.toSorted()
  const tiers = gates.map(({ above, factor }) => ({ threshold: quantile(sorted, above), factor }))
  return (dependency) => tiers.findLast(({ threshold }) => dependency > threshold)?.factor ?? 0
}

/** The upper bound of each of a claim's values; Infinity where there is none. */
export function limitsOf(term: Term, { positions }: Claim): Float64Array {
  const clip = term.kind === 'distill' ? term.clip : null
  const limits = new Float64Array(positions.length).fill(clip?.token ?? Infinity)
  if (clip === null) return limits
  const bound = (i: number, limit: number | null): void => {
    limits[i] = Math.min(limits[i] as number, limit ?? Infinity)
  }
  bound(0, clip.first)
  bound(positions.length - 1, clip.last)
  return limits
}
