// Runs views over rollouts: which tokens a view must read to give the hidden states that terms ask for, packed into few passes.

import { type Branch, branchHidden, tokensOf, trunksOf } from '../models/branches.ts'
import type { ImageFeatures } from '../models/model.ts'
import type { EncodedImage } from '../processing/patches.ts'
import type { Encoded } from '../processing/processor.ts'
import { keep, noGrad, scope } from '../torch/context.ts'
import { int64 } from '../torch/create.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { View } from './method.ts'
import { batched, type FeatureStore, type Scorer } from './scorers.ts'
import type { Division } from './segments.ts'

/** A rollout with what its views read before it. */
export interface Readable {
  readonly ids: Int32Array
  readonly division: Division
  readonly contexts: ReadonlyMap<string, Encoded>
}

/** One view's reading of one rollout, as far as the last token that is asked for. */
export interface Reading {
  readonly view: string
  readonly row: number
  readonly ids: Int32Array
  readonly images: readonly EncodedImage[]
  /** Tokens of the rollout whose distribution is asked for, ascending. */
  readonly positions: Int32Array
  /** The hidden state that predicts token t of the rollout has the index `offset + t`. */
  readonly offset: number
}

/** What a view reads to score the given tokens of a rollout. */
export function readingOf(name: string, view: View, row: number, { ids, division, contexts }: Readable, positions: Int32Array): Reading {
  const context = contexts.get(name) as Encoded
  const from = view.reads === 'all' ? 0 : (division.places[view.reads.from]?.from ?? 0)
  const last = positions.at(-1) as number
  const read = ids.subarray(from, last)
  const all = new Int32Array(context.ids.length + read.length)
  all.set(context.ids)
  all.set(read, context.ids.length)
  return { view: name, row, ids: all, images: context.images, positions, offset: context.ids.length - from - 1 }
}

/** Hidden states of views: for each view one tensor, and where the state of a rollout's token lies in it. */
export interface Scored {
  readonly hidden: ReadonlyMap<string, Tensor>
  /** By view and row: for each token of the rollout its index in `hidden`, −1 where it was not asked for. */
  readonly index: ReadonlyMap<string, ReadonlyMap<number, Int32Array>>
}

/** Tokens that a pass computes, for the record. */
export type Count = (tokens: number) => void
type Features = (images: readonly EncodedImage[]) => readonly ImageFeatures[]

const lengthOf = ({ ids }: Reading): number => ids.length

/** Notes where the states of readings will lie, view by view. */
function layout(
  readings: readonly Reading[],
  lengths: (row: number) => number,
): { index: Map<string, Map<number, Int32Array>>; byView: Map<string, Reading[]> } {
  const index = new Map<string, Map<number, Int32Array>>()
  const byView = Map.groupBy(readings, ({ view }) => view)
  for (const [view, own] of byView) {
    const rows = new Map<number, Int32Array>()
    let next = 0
    for (const { row, positions } of own) {
      const places = new Int32Array(lengths(row)).fill(-1)
      for (const t of positions) places[t] = next++
      rows.set(row, places)
    }
    index.set(view, rows)
  }
  return { index, byView }
}

/** One pass over readings by one scorer: for each view the asked hidden states, in the order of its readings. */
function onePass(
  scorer: Scorer,
  readings: readonly Reading[],
  features: Features,
  options: { readonly share: boolean; readonly count: Count },
): Map<string, Tensor> {
  return scope(() => {
    const branches = new Map<Branch, Reading>()
    for (const reading of readings) {
      const branch = { ids: reading.ids, images: features(reading.images), needed: (reading.positions[0] as number) + reading.offset }
      branches.set(branch, reading)
    }
    const trunks = options.share ? trunksOf([...branches.keys()]) : [...branches.keys()].map((branch) => ({ shared: 0, branches: [branch] }))
    options.count(tokensOf(trunks))
    const { hidden, first } = branchHidden(scorer.model, trunks, scorer.run)
    const rows = new Map<Reading, number>()
    for (const [i, trunk] of trunks.entries()) {
      for (const [j, branch] of trunk.branches.entries()) rows.set(branches.get(branch) as Reading, first[i]?.[j] as number)
    }
    return new Map(
      Array.from(
        Map.groupBy(readings, ({ view }) => view),
        ([view, own]) => {
          const wanted = own.flatMap((reading) => Array.from(reading.positions, (t) => (rows.get(reading) as number) + reading.offset + t))
          return [view, hidden.indexSelect(0, int64(wanted, { device: scorer.model.device }))]
        },
      ),
    )
  })
}

/**
 * Hidden states of readings that do not train, all by one scorer. Readings of one rollout's sample stand together, so that they share what
 * they have in common.
 */
export function scoreFrozen(
  scorer: Scorer,
  readings: readonly Reading[],
  store: FeatureStore,
  options: { readonly tokensPerPass: number; readonly lengths: (row: number) => number; readonly count: Count },
): Scored {
  // By row and not by view: what views of one sample share is shared within a pass.
  const ordered = readings.toSorted((a, b) => a.row - b.row)
  const { index, byView } = layout(ordered, options.lengths)
  const sizes = new Map(Array.from(byView, ([view, own]) => [view, own.reduce((sum, { positions }) => sum + positions.length, 0)]))
  return noGrad(() =>
    scope(() => {
      // All at once, so that a pass through the tower has as many images as it may.
      const imagesOf = (images: readonly EncodedImage[]): ImageFeatures[] => store.of(scorer, images)
      imagesOf(ordered.flatMap(({ images }) => images))
      const whole = new Map<string, { readonly states: Tensor; readonly filled: number }>()
      for (const part of batched(ordered, lengthOf, options.tokensPerPass)) {
        for (const [view, own] of onePass(scorer, part, imagesOf, { share: true, count: options.count })) {
          const [size, count] = [sizes.get(view) as number, own.dim(0)]
          // Copied pass by pass into their place, since joining them at the end would hold all of them twice.
          const { states, filled } = whole.get(view) ?? {
            states: count === size ? own : ops.empty([size, own.dim(1)], { dtype: own.dtype, device: own.device }),
            filled: 0,
          }
          if (states !== own) {
            states.narrow(0, filled, count).copy_(own)
            own.dispose()
          }
          whole.set(view, { states, filled: filled + count })
        }
      }
      return { hidden: keep(new Map(Array.from(whole, ([view, { states }]) => [view, states]))), index }
    }),
  )
}

/** Hidden states of readings that train, in one pass, with gradients. */
export function scoreTrained(
  scorer: Scorer,
  readings: readonly Reading[],
  features: Features,
  options: { readonly lengths: (row: number) => number; readonly count: Count },
): Scored {
  const { index } = layout(readings, options.lengths)
  return { hidden: onePass(scorer, readings, features, { share: !scorer.run.recompute, count: options.count }), index }
}
