// Whose weights a view scores with, and what the vision towers made of a batch's images: once for each image and tower, shared by all
// views and by the rollouts, as long as the tower does not train.

import type { Run } from '../models/linear.ts'
import type { ImageFeatures, Model } from '../models/model.ts'
import type { EncodedImage } from '../processing/patches.ts'
import { dispose, keep, noGrad, scope } from '../torch/context.ts'
import type { WeightSource } from './method.ts'

/** A model as a pass applies it. */
export interface Scorer {
  readonly model: Model
  readonly run: Run
  /** Stands for the weights of the vision tower: scorers with the same object make the same features. */
  readonly tower: object
}

/** Everyone who can score; null for those whom the method does not ask. */
export interface Scorers {
  /** The one that trains, with its run in training. */
  readonly student: Scorer
  /** Whether gradients reach the student's vision tower. */
  readonly towerTrains: boolean
  readonly base: Scorer | null
  readonly ema: Scorer | null
  readonly teacher: Scorer | null
}

/** The student as it answers and as it teaches itself: without dropout, and keeping nothing for a gradient. */
export function atRest({ model, run, tower }: Scorer): Scorer {
  return { model, run: { adapter: run.adapter, training: false, recompute: false }, tower }
}

/** The scorer of weights that do not train in this pass. */
export function frozenScorer(scorers: Scorers, weights: WeightSource): Scorer | null {
  return weights === 'student' ? atRest(scorers.student) : scorers[weights]
}

const patchesOf = ({ grid: [time, height, width] }: EncodedImage): number => time * height * width

/** Splits a list, in order, so that each part's sizes sum to `budget` at most; what is larger stands alone. */
export function batched<T>(items: readonly T[], sizeOf: (item: T) => number, budget: number): T[][] {
  const parts: T[][] = []
  let room = 0
  for (const item of items) {
    const size = sizeOf(item)
    if (parts.length === 0 || size > room) {
      parts.push([])
      room = budget
    }
    ;(parts.at(-1) as T[]).push(item)
    room -= size
  }
  return parts
}

/** Features without gradient, kept until `dispose`. */
export class FeatureStore implements Disposable {
  readonly #features = new Map<object, Map<EncodedImage, ImageFeatures>>()
  readonly #patchesPerPass: number

  constructor(patchesPerPass: number) {
    this.#patchesPerPass = patchesPerPass
  }

  /** The features of images, in their order; those that the tower has not seen yet are encoded together. */
  of({ model, run, tower }: Scorer, images: readonly EncodedImage[]): ImageFeatures[] {
    const known = this.#features.get(tower) ?? new Map<EncodedImage, ImageFeatures>()
    this.#features.set(tower, known)
    const missing = [...new Set(images)].filter((image) => !known.has(image))
    for (const part of batched(missing, patchesOf, this.#patchesPerPass)) {
      const made = noGrad(() => scope(() => keep(model.encodeImages(part, { ...run, training: false, recompute: false }))))
      for (const [i, image] of part.entries()) known.set(image, made[i] as ImageFeatures)
    }
    return images.map((image) => known.get(image) as ImageFeatures)
  }

  [Symbol.dispose](): void {
    for (const known of this.#features.values()) for (const { tokens, layers } of known.values()) dispose([tokens, layers])
    this.#features.clear()
  }
}
