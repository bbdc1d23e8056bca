// One pass over sequences of which many begin alike: what they share (a system turn, an image, a prompt) is computed once, and every
// branch attends to it.

import { ArgumentError } from '../errors.ts'
import { attention } from '../torch/attention.ts'
import { currentContext, dispose, keep, scope } from '../torch/context.ts'
import { applyRotary } from '../torch/nn.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Attend } from './language.ts'
import type { Run } from './linear.ts'
import type { ImageFeatures, Model, Sequence } from './model.ts'

/** A sequence of which the hidden states from index `needed` on are asked for. */
export interface Branch extends Sequence {
  readonly needed: number
}

/** Branches whose first `shared` tokens, and the images in them, are the same. */
export interface Trunk {
  readonly shared: number
  readonly branches: readonly Branch[]
}

/** Beginnings shorter than this cost more to share than to compute again. */
const worthSharing = 16

/** Gathers branches of equal beginnings. Two branches can share only if their images are the same objects, in order. */
export function trunksOf(branches: readonly Branch[]): Trunk[] {
  const trunks: { shared: number; branches: Branch[] }[] = []
  for (const branch of branches) {
    let best: { trunk: (typeof trunks)[number]; shared: number } | null = null
    for (const trunk of trunks) {
      const other = trunk.branches[0] as Branch
      if (other.images.length !== branch.images.length || other.images.some((image, i) => image !== branch.images[i])) continue
      const most = Math.min(trunk.shared, branch.needed)
      let shared = 0
      while (shared < most && other.ids[shared] === branch.ids[shared]) shared++
      // Joining must not shorten what the others share by more than this branch saves.
      const lost = trunk.branches.length > 1 ? (trunk.shared - shared) * (trunk.branches.length - 1) : 0
      if (shared >= worthSharing && shared > lost && shared > (best?.shared ?? 0)) best = { trunk, shared }
    }
    if (best === null) trunks.push({ shared: branch.needed, branches: [branch] })
    else {
      best.trunk.shared = best.shared
      best.trunk.branches.push(branch)
    }
  }
  return trunks.map(({ shared, branches: own }) => ({ shared: own.length > 1 ? shared : 0, branches: own }))
}

/** Tokens that a pass over trunks computes. */
export function tokensOf(trunks: readonly Trunk[]): number {
  let sum = 0
  for (const { shared, branches } of trunks) sum += branches.reduce((total, { ids }) => total + ids.length - shared, shared)
  return sum
}

/** How many of the images lie in the first `length` tokens. */
function imagesWithin(model: Model, { ids, images }: Sequence, length: number): number {
  let tokens = 0
  for (let t = 0; t < length; t++) if (ids[t] === model.config.tokens.image) tokens++
  let count = 0
  for (const image of images) {
    if (tokens === 0) break
    tokens -= image.tokens.dim(0)
    count++
  }
  if (tokens !== 0) throw new ArgumentError('branches: the shared beginning ends inside an image')
  return count
}

/** A stretch of a sequence on its way into the model. */
interface Stretch {
  readonly ids: ArrayLike<number>
  readonly positions: Int32Array
  readonly images: readonly ImageFeatures[]
}

function stretch(model: Model, sequence: Sequence, from: number, to: number): Stretch {
  const { ids, images } = sequence
  const length = ids.length
  const all = model.positions(sequence).ids
  const positions = new Int32Array(3 * (to - from))
  for (let axis = 0; axis < 3; axis++) positions.set(all.subarray(axis * length + from, axis * length + to), axis * (to - from))
  return {
    ids: Array.prototype.slice.call(ids, from, to) as number[],
    positions,
    images: images.slice(imagesWithin(model, sequence, from), imagesWithin(model, sequence, to)),
  }
}

function startsOf(lengths: readonly number[]): number[] {
  const starts = [0]
  for (const length of lengths) starts.push((starts.at(-1) as number) + length)
  return starts
}

function runStretches(model: Model, stretches: readonly Stretch[], run: Run, attend: Attend): Tensor {
  const total = stretches.reduce((sum, { ids }) => sum + ids.length, 0)
  const ids = new Int32Array(total)
  const positions = new Int32Array(3 * total)
  let at = 0
  for (const each of stretches) {
    const { length } = each.ids
    ids.set(Array.from(each.ids), at)
    for (let axis = 0; axis < 3; axis++) positions.set(each.positions.subarray(axis * length, (axis + 1) * length), axis * total + at)
    at += length
  }
  return model.run(
    { ids, positions },
    stretches.flatMap(({ images }) => images),
    run,
    attend,
  )
}

/**
 * Last hidden states of all branches. Equal to `Model.hidden` of the branches one by one, gradients included (then without
 * `run.recompute`, whose blocks cannot hand on keys and values: an `ArgumentError` if something is shared).
 * @returns hidden [Σ tokens, width], and for each trunk and branch the row of its index 0: index t ≥ needed is row `first + t`
 */
export function branchHidden(
  model: Model,
  trunks: readonly Trunk[],
  run: Run,
): { readonly hidden: Tensor; readonly first: readonly (readonly number[])[] } {
  const sharing = trunks.filter(({ shared }) => shared > 0)
  if (sharing.length > 0 && run.recompute && currentContext().mode === 'grad') {
    throw new ArgumentError('branchHidden: recomputed blocks cannot share a beginning; give trunks with shared = 0')
  }
  const keys: Tensor[] = []
  const values: Tensor[] = []
  try {
    return scope(() => {
      const prefixStarts = startsOf(sharing.map(({ shared }) => shared))
      if (sharing.length > 0) {
        const remember: Attend = (_, query, key, value, rotary) => {
          const rotated = applyRotary(key, rotary)
          keys.push(keep(rotated))
          values.push(keep(value))
          return attention(applyRotary(query, rotary), rotated, value, { queryStarts: prefixStarts, causal: true })
        }
        const beginnings = sharing.map(({ shared, branches }) => stretch(model, branches[0] as Branch, 0, shared))
        runStretches(model, beginnings, run, remember)
      }
      const branches = trunks.flatMap((trunk) => trunk.branches.map((branch) => ({ branch, trunk })))
      const queryStarts = startsOf(branches.map(({ branch, trunk }) => branch.ids.length - trunk.shared))
      const keyStarts = startsOf(branches.map(({ branch }) => branch.ids.length))
      const attend: Attend = (layer, query, key, value, rotary) => {
        if (sharing.length === 0) return attention(query, key, value, { queryStarts, causal: true, rotary })
        const joined = (own: Tensor, before: Tensor): Tensor =>
          ops.cat(
            branches.flatMap(({ trunk }, i) => {
              const start = queryStarts[i] as number
              const mine = own.narrow(0, start, (queryStarts[i + 1] as number) - start)
              return trunk.shared === 0 ? [mine] : [before.narrow(0, prefixStarts[sharing.indexOf(trunk)] as number, trunk.shared), mine]
            }),
          )
        return attention(
          applyRotary(query, rotary),
          joined(applyRotary(key, rotary), keys[layer] as Tensor),
          joined(value, values[layer] as Tensor),
          {
            ...{ queryStarts, keyStarts },
            causal: true,
          },
        )
      }
      const rest = branches.map(({ branch, trunk }) => stretch(model, branch, trunk.shared, branch.ids.length))
      const hidden = runStretches(model, rest, run, attend)
      let next = 0
      const first = trunks.map((trunk) => trunk.branches.map(() => (queryStarts[next++] as number) - trunk.shared))
      return { hidden, first }
    })
  } finally {
    dispose([keys, values])
  }
}
