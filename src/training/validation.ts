// Answers held-out samples now and then, with the most probable tokens, to see whether the student gets better at what it was not shown.

import { NotFiniteError } from '../errors.ts'
import type { Metrics } from '../runs/schema.ts'
import { activeTerms } from '../supervision/check.ts'
import type { Method } from '../supervision/method.ts'
import { FeatureStore } from '../supervision/scorers.ts'
import type { Batches, OnSkip } from './batches.ts'
import { rolloutMetrics } from './record.ts'
import { type WritingOptions, writeRollouts } from './rollouts.ts'
import type { Trainee } from './trainee.ts'

/** What its metrics' names begin with. */
export const validationPrefix = 'validation/'

/** Prompts that are answered together. */
const together = 64

/** A method's rollouts as the student's own, whoever wrote those that it learns from, and nobody to score them. */
export function answering(method: Method): Method {
  const { by, view } = method.rollout
  const own = by === 'teacher' ? (activeTerms(method)[0]?.[1].student ?? view) : view
  return { ...method, rollout: { by: 'student', view: own }, terms: {}, dependency: null }
}

export class Validation {
  readonly #method: Method
  readonly #trainee: Trainee
  readonly #batches: Batches
  readonly #every: number
  readonly #writing: WritingOptions
  readonly #patchesPerPass: number

  /** @param method as `answering` makes it; @param batches held-out samples, in their order */
  constructor(
    method: Method,
    trainee: Trainee,
    batches: Batches,
    options: { readonly every: number; readonly writing: WritingOptions; readonly patchesPerPass: number },
  ) {
    this.#method = method
    this.#trainee = trainee
    this.#batches = batches
    this.#every = options.every
    this.#writing = { ...options.writing, samples: 1, sampling: { temperature: 0 } }
    this.#patchesPerPass = options.patchesPerPass
  }

  /**
   * Metrics after a step, their names beginning with `validationPrefix`; none where none is due, or where the student cannot answer any more.
   * Samples that are skipped are not counted.
   */
  async after(step: number, warn: (message: string) => void): Promise<Metrics> {
    if (step % this.#every !== 0) return {}
    try {
      return await this.#measured((row, reason) => warn(`validation without row ${row}: ${reason}`))
    } catch (error) {
      if (!(error instanceof NotFiniteError)) throw error
      warn(`no validation: ${error.message}`)
      return {}
    }
  }

  async #measured(onSkip: OnSkip): Promise<Metrics> {
    const sums: Record<string, { sum: number; count: number }> = {}
    for (let start = 0; start < this.#batches.size; start += together) {
      using store = new FeatureStore(this.#patchesPerPass)
      const prompts = await this.#batches.between(start, Math.min(start + together, this.#batches.size), onSkip)
      const rollouts = await writeRollouts(this.#method, this.#trainee, prompts, store, this.#writing)
      for (const [name, { sum, count }] of Object.entries(rolloutMetrics(rollouts, this.#method))) {
        const total = sums[validationPrefix + name] ?? { sum: 0, count: 0 }
        sums[validationPrefix + name] = { sum: total.sum + sum, count: total.count + count }
      }
    }
    return sums
  }
}
