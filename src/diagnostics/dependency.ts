// How much each token of a rollout owes to the image: visual dependency VDS_t = KL(q‖q₀) of a teacher with and without it (VGS, eq. 12), and
// bins of tokens by it.

import { ArgumentError } from '../errors.ts'
import { dependency } from '../supervision/joint.ts'
import type { Readable, Scored } from '../supervision/passes.ts'
import { quantile } from '../supervision/plan.ts'
import type { FeatureStore, Scorers } from '../supervision/scorers.ts'
import { dispose, scope } from '../torch/context.ts'
import { Asked, scoreViews, viewRows } from './frozen.ts'
import type { Probe } from './probe.ts'

/** Visual dependency of every token from hidden states of the probe's teacher views at all tokens; by row. */
export function dependenciesOf(probe: Probe, scorers: Scorers, rows: readonly Readable[], { hidden, index }: Scored): Float32Array[] {
  const { teacher, teacherBlind } = probe.views
  return scope(() => {
    const views = viewRows(scorers, new Map(Object.entries(probe.method.views)), hidden)
    const [sighted, blind] = [views.get(teacher), views.get(teacherBlind)]
    if (sighted === undefined || blind === undefined) return rows.map(() => new Float32Array())
    const at = (view: string): Int32Array => Int32Array.from(rows.flatMap((_, row) => Array.from(index.get(view)?.get(row) ?? [])))
    // The order of rows in the hidden states is the same for both views, since both were asked for all tokens of all rows.
    const order = at(teacher)
    if (at(teacherBlind).some((place, i) => place !== order[i])) throw new Error('the two views of visual dependency lie in different orders')
    const values = dependency(sighted, blind)
    return rows.map((_, row) => Float32Array.from(index.get(teacher)?.get(row) ?? [], (place) => values[place] as number))
  })
}

/** Visual dependency of every token of rollouts, in nats, by row. */
export function measureDependency(
  probe: Probe,
  scorers: Scorers,
  rows: readonly Readable[],
  store: FeatureStore,
  { tokensPerPass }: { readonly tokensPerPass: number },
): Float32Array[] {
  const asked = new Asked()
  for (const view of [probe.views.teacher, probe.views.teacherBlind]) for (const [row, { ids }] of rows.entries()) asked.add(view, row, ids.keys())
  const scored = scoreViews(scorers, new Map(Object.entries(probe.method.views)), rows, asked, store, tokensPerPass)
  try {
    return dependenciesOf(probe, scorers, rows, scored)
  } finally {
    dispose(scored.hidden)
  }
}

/** Bins of values by their quantiles. */
export interface Bins {
  /** count + 1 edges, from the smallest value to the largest. */
  readonly edges: readonly number[]
  /** Of each value its bin, from 0. */
  readonly bins: Int32Array
  /** Values in each bin. */
  readonly sizes: readonly number[]
}

/** How many bins the paper has. */
export const defaultBins = 10

/**
 * Bins of equal frequency. A value belongs to bin b if it lies above the b-th inner edge and not above the next: as in the gates of methods,
 * what is above the quantile 0.7 are bins 7 to 9. Equal values share a bin, so that with many of them bins are uneven, or empty.
 * @throws ArgumentError for no values, and for values that are not finite
 */
export function equalFrequencyBins(values: ArrayLike<number>, count: number = defaultBins): Bins {
  if (!Number.isSafeInteger(count) || count < 1) throw new ArgumentError(`${count} bins; expected an integer from 1 up`)
  const sorted = Float64Array.from(values).sort()
  if (sorted.length === 0) throw new ArgumentError('bins of no values; give rollouts that have tokens')
  const bad = Array.from(values).findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new ArgumentError(`value ${bad} of ${values.length} is ${values[bad]}; expected finite numbers`)
  const edges = Array.from({ length: count + 1 }, (_, i) => quantile(sorted, i / count))
  const inner = edges.slice(1, -1)
  const bins = Int32Array.from(values, (value) => inner.filter((edge) => value > edge).length)
  const sizes = Array.from({ length: count }, (_, bin) => bins.filter((each) => each === bin).length)
  return { edges, bins, sizes }
}
