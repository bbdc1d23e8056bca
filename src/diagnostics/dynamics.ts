// What changes while a run goes on (VGS, arXiv 2606.00564, figures 4 and 7): visual and language loss, for all tokens and for the visually
// dependent ones, and how the gradients of the standard and of the visual loss lie to each other.

import type { Metrics } from '../runs/schema.ts'
import type { Ratio } from '../supervision/gather.ts'
import type { Readable } from '../supervision/passes.ts'
import type { FeatureStore } from '../supervision/scorers.ts'
import { dispose } from '../torch/context.ts'
import { defaultBins, equalFrequencyBins } from './dependency.ts'
import { type ByLoss, byLoss, gramOf, type Measured, ProbedBatch } from './gradients.ts'

/** Bins 7 to 9 of 10: the visually dependent tokens. */
export const dependentBins = { from: 7, count: defaultBins } as const

export interface Dynamics {
  readonly tokens: number
  readonly dependency: Ratio
  /** Over all tokens, and over those of bins 7 to 9; in nats. */
  readonly all: ByLoss<Ratio>
  readonly dependent: ByLoss<Ratio>
  /** ‖∇ℓ_Std‖ and ‖∇ℓ_Vis‖ of the means over all tokens, by all trainable parameters. */
  readonly norms: { readonly std: number; readonly vis: number }
  /** Cosine of the angle between these two; null where one is zero. */
  readonly cosine: number | null
}

/** The dynamics at one moment of a run, from rollouts of that moment. There must be tokens in them. */
export function measureDynamics(measured: Measured, rows: readonly Readable[], store: FeatureStore): Dynamics {
  using batch = new ProbedBatch(measured, rows, store)
  const dependencies = batch.dependencies.flatMap((each) => Array.from(each))
  const { bins } = equalFrequencyBins(dependencies, dependentBins.count)
  const ratio = (values: readonly number[]): Ratio => ({ sum: values.reduce((sum, value) => sum + value, 0), count: values.length })
  const all = byLoss((loss) => batch.values.flatMap((each) => Array.from(each[loss])))
  const own = batch.gradients(rows.map(({ ids }) => Int32Array.from(ids.keys())))
  try {
    const [ss = 0, sv = 0, , vv = 0] = gramOf([own.std, own.vis])
    return {
      tokens: dependencies.length,
      dependency: ratio(dependencies),
      all: byLoss((loss) => ratio(all[loss])),
      dependent: byLoss((loss) => ratio(all[loss].filter((_, i) => (bins[i] as number) >= dependentBins.from))),
      norms: { std: Math.sqrt(ss) / dependencies.length, vis: Math.sqrt(vv) / dependencies.length },
      cosine: ss > 0 && vv > 0 ? sv / Math.sqrt(ss * vv) : null,
    }
  } finally {
    dispose(own)
  }
}

/** Dynamics as metrics of a run. */
export function dynamicsMetrics({ dependency, all, dependent, norms, cosine }: Dynamics): Metrics {
  const once = (value: number): Ratio => ({ sum: value, count: 1 })
  return {
    'dynamics/dependency': dependency,
    ...{ 'dynamics/std': all.std, 'dynamics/vis': all.vis, 'dynamics/lang': all.lang },
    ...{ 'dynamics/std/dependent': dependent.std, 'dynamics/vis/dependent': dependent.vis, 'dynamics/lang/dependent': dependent.lang },
    ...{ 'dynamics/norm/std': once(norms.std), 'dynamics/norm/vis': once(norms.vis) },
    'dynamics/cosine': cosine === null ? { sum: 0, count: 0 } : once(cosine),
  }
}
