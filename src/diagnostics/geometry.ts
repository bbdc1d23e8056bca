// The geometry of VGS (arXiv 2606.00564, figure 3): angles between the gradients of ℓ_Std, ℓ_Vis and ℓ_Lang, and their norms, for tokens in
// bins of visual dependency.

import { ArgumentError } from '../errors.ts'
import type { Readable } from '../supervision/passes.ts'
import type { FeatureStore } from '../supervision/scorers.ts'
import { dispose } from '../torch/context.ts'
import { type BootstrapOptions, bootstrap, type Estimate } from './bootstrap.ts'
import { defaultBins, equalFrequencyBins } from './dependency.ts'
import { type ByLoss, byLoss, type Gradient, gramOf, type Measured, ProbedBatch } from './gradients.ts'
import { type Loss, losses } from './probe.ts'

/** Angles between gradients in degrees, norms of gradients of the mean over the tokens. Null: a vector is zero, or there are no tokens. */
export interface Directions {
  readonly norms: ByLoss<Estimate>
  readonly angles: { readonly stdVis: Estimate; readonly stdLang: Estimate; readonly visLang: Estimate }
}

/** Some tokens together. */
export interface TokenGroup extends Directions {
  readonly tokens: number
  /** Mean visual dependency and mean losses, in nats; null without tokens. */
  readonly dependency: number | null
  readonly losses: ByLoss<number | null>
}

export interface GeometryBin extends TokenGroup {
  /** Edges of visual dependency: low < VDS ≤ high, and in the lowest bin low ≤ VDS. */
  readonly low: number
  readonly high: number
}

export interface Geometry {
  /** Only tokens with ℓ_Std above it were looked at; null: all. */
  readonly above: number | null
  /** What intervals resample. */
  readonly batches: number
  readonly bins: readonly GeometryBin[]
  /** All bins together. */
  readonly whole: TokenGroup
}

export interface GeometryOptions extends BootstrapOptions {
  readonly bins?: number
  /** Leaves out tokens with ℓ_Std up to it, whose gradients are noise; null (the default, and the paper's way): none. */
  readonly above?: number | null
}

const pairs = { stdVis: ['std', 'vis'], stdLang: ['std', 'lang'], visLang: ['vis', 'lang'] } as const satisfies {
  readonly [K in keyof Directions['angles']]: readonly [Loss, Loss]
}

/** Degrees between vectors, from their inner products; null where one is zero. */
export function angleOf(product: number, squareA: number, squareB: number): number | null {
  if (!(squareA > 0 && squareB > 0)) return null
  return (180 / Math.PI) * Math.acos(Math.min(1, Math.max(-1, product / Math.sqrt(squareA * squareB))))
}

/**
 * Angles and norms of the sum of batches' gradients, with intervals by drawing batches again.
 * @param gram of the batches' gradients, loss after loss for each batch
 * @param tokens of each batch
 */
export function directionsOf(gram: Float64Array, tokens: readonly number[], options: BootstrapOptions): Directions {
  const [n, width] = [tokens.length, losses.length]
  const statistics = (counts: Float64Array): (number | null)[] => {
    const product = (a: Loss, b: Loss): number => {
      let sum = 0
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const at = (width * i + losses.indexOf(a)) * width * n + width * j + losses.indexOf(b)
          sum += (counts[i] as number) * (counts[j] as number) * (gram[at] as number)
        }
      }
      return sum
    }
    const total = tokens.reduce((sum, each, i) => sum + each * (counts[i] as number), 0)
    const squares = byLoss((loss) => product(loss, loss))
    return [
      ...losses.map((loss) => (total === 0 ? null : Math.sqrt(Math.max(0, squares[loss])) / total)),
      ...Object.values(pairs).map(([a, b]) => angleOf(product(a, b), squares[a], squares[b])),
    ]
  }
  const found = bootstrap(n, statistics, options)
  const at = (i: number): Estimate => found[i] as Estimate
  return { norms: byLoss((loss) => at(losses.indexOf(loss))), angles: { stdVis: at(3), stdLang: at(4), visLang: at(5) } }
}

/** By batch and row: the chosen tokens. */
type Choice = readonly (readonly number[][])[]

function groupTokens(batches: readonly ProbedBatch[], choice: Choice, options: BootstrapOptions): TokenGroup {
  const gradients: Gradient[] = []
  try {
    for (const [b, batch] of batches.entries()) {
      const own = batch.gradients(choice[b] ?? [])
      gradients.push(...losses.map((loss) => own[loss]))
    }
    const counts = choice.map((rows) => rows.reduce((sum, { length }) => sum + length, 0))
    const tokens = counts.reduce((sum, each) => sum + each, 0)
    const mean = (of: (batch: ProbedBatch, row: number, t: number) => number): number | null => {
      if (tokens === 0) return null
      let sum = 0
      for (const [b, rows] of choice.entries()) {
        for (const [row, positions] of rows.entries()) for (const t of positions) sum += of(batches[b] as ProbedBatch, row, t)
      }
      return sum / tokens
    }
    return {
      tokens,
      dependency: mean(({ dependencies }, row, t) => dependencies[row]?.[t] as number),
      losses: byLoss((loss) => mean(({ values }, row, t) => values[row]?.[loss][t] as number)),
      ...directionsOf(gramOf(gradients), counts, options),
    }
  } finally {
    dispose(gradients)
  }
}

/** The tokens of batches that are looked at, each with its dependency. */
function tokensOf(batches: readonly ProbedBatch[], above: number | null): { batch: number; row: number; t: number; dependency: number }[] {
  return batches.flatMap(({ dependencies, values }, batch) =>
    dependencies.flatMap((own, row) =>
      Array.from(own, (dependency, t) => ({ batch, row, t, dependency })).filter(
        ({ t }) => above === null || (values[row]?.std[t] as number) > above,
      ),
    ),
  )
}

/**
 * The geometry of rollouts. Bins are those of all tokens together and stay as they are when batches are drawn again. In memory: three gradients
 * for each batch.
 * @param batches of rollouts, with the contexts of the probe's views; 8 or so give intervals
 * @throws ArgumentError where no token is left to look at
 */
export function measureGeometry(
  measured: Measured,
  batches: readonly (readonly Readable[])[],
  store: FeatureStore,
  { bins: count = defaultBins, above = null, ...options }: GeometryOptions = {},
): Geometry {
  using stack = new DisposableStack()
  const probed = batches.map((rows) => stack.use(new ProbedBatch(measured, rows, store)))
  const tokens = tokensOf(probed, above)
  if (tokens.length === 0) throw new ArgumentError(`no token has a standard loss above ${above}; lower the bound, or give more rollouts`)
  const { edges, bins } = equalFrequencyBins(
    tokens.map(({ dependency }) => dependency),
    count,
  )
  const chosen = (test: (index: number) => boolean): Choice => {
    const choice = batches.map((rows) => rows.map((): number[] => []))
    for (const [i, { batch, row, t }] of tokens.entries()) if (test(i)) choice[batch]?.[row]?.push(t)
    return choice
  }
  return {
    ...{ above, batches: batches.length },
    bins: Array.from({ length: count }, (_, bin) => ({
      ...{ low: edges[bin] as number, high: edges[bin + 1] as number },
      ...groupTokens(
        probed,
        chosen((i) => bins[i] === bin),
        options,
      ),
    })),
    whole: groupTokens(
      probed,
      chosen(() => true),
      options,
    ),
  }
}
