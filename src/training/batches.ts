// Draws the samples of each step in the seeded order of the data and prepares what their views read. Its place is one number.

import type { Dataset } from '../data/dataset.ts'
import { rowAt } from '../data/order.ts'
import type { Sample } from '../data/sample.ts'
import { ArgumentError, FileFormatError, SightlineError } from '../errors.ts'
import type { Encoded } from '../processing/processor.ts'
import { borrowsImages, contextsOf, type Example, ImageCache, type Processors } from '../supervision/contexts.ts'
import type { Method } from '../supervision/method.ts'
import type { Prompted } from './rollouts.ts'

export interface BatchOptions {
  readonly seed: number
  readonly shuffle: boolean
  readonly reference: 'answer' | 'solution'
  readonly onBad: 'stop' | 'skip'
  /** Tokens that a view's context may have. */
  readonly longestContext: number
  /** Refuses, by an error, samples that cannot be used for another reason. */
  readonly check: (sample: Sample) => void
}

/** A sample that could not be prepared, and why. */
export type OnSkip = (row: number, reason: string) => void

/** An endless stream of prompts. */
export class Batches {
  readonly #dataset: Dataset
  readonly #rows: Int32Array
  readonly #method: Method
  readonly #processors: Processors
  readonly #options: BatchOptions

  /** @param rows those of the data set that can be used */
  constructor(dataset: Dataset, rows: Int32Array, method: Method, processors: Processors, options: BatchOptions) {
    this.#dataset = dataset
    this.#rows = rows
    this.#method = method
    this.#processors = processors
    this.#options = options
  }

  /** How many samples an epoch has. */
  get size(): number {
    return this.#rows.length
  }

  /**
   * The next `count` prompts from a position on, and the position after them. A sample that cannot be prepared is skipped and told, or
   * stops with its error.
   */
  async draw(position: number, count: number, onSkip: OnSkip): Promise<{ readonly prompts: readonly Prompted[]; readonly position: number }> {
    const cache = new ImageCache()
    const drawn: (Prompted & { readonly example: Example })[] = []
    let [next, failures] = [position, 0]
    for (; drawn.length < count; next++) {
      const row = this.#rows[rowAt(next, { size: this.size, seed: this.#options.seed, shuffle: this.#options.shuffle })] as number
      try {
        const sample = await this.#dataset.sample(row)
        this.#options.check(sample)
        const example = this.#exampleOf(sample)
        // Its own image stands for one that is borrowed, until it is known which samples can be used.
        const contexts = await contextsOf(this.#method, example, example, this.#processors, cache)
        this.#checkLengths(contexts)
        drawn.push({ sample, position: next, contexts, example })
        failures = 0
      } catch (error) {
        if (!(error instanceof SightlineError)) throw error
        if (this.#options.onBad === 'stop') {
          throw new FileFormatError(`row ${row}: ${error.message}\nset data.onBad to skip to go on without such rows`, { cause: error })
        }
        onSkip(row, error.message)
        failures++
        // So many in a row hold a whole epoch, wherever they begin.
        if (failures >= 2 * this.size - 1)
          throw new FileFormatError(`none of the ${this.size} rows can be used; row ${row}: ${error.message}`, { cause: error })
      }
    }
    return { prompts: borrowsImages(this.#method) ? await this.#lent(drawn, cache) : drawn, position: next }
  }

  /** Each sample's views with the image of the next in the batch; the last borrows the first's. */
  async #lent(drawn: readonly (Prompted & { readonly example: Example })[], cache: ImageCache): Promise<Prompted[]> {
    const lent: Prompted[] = []
    for (const [i, { sample, position, example }] of drawn.entries()) {
      const other = drawn[(i + 1) % drawn.length]?.example as Example
      lent.push({ sample, position, contexts: await contextsOf(this.#method, example, other, this.#processors, cache) })
    }
    return lent
  }

  /** Every view must have room for what it reads and a whole answer. */
  #checkLengths(contexts: ReadonlyMap<string, Encoded>): void {
    const { longestContext } = this.#options
    for (const [view, { ids }] of contexts) {
      if (ids.length <= longestContext) continue
      throw new ArgumentError(
        `the view ${view} reads ${ids.length} tokens before the answer; the model has room for ${longestContext} besides rollout.maxTokens. ` +
          'Lower model.maxPixels or rollout.maxTokens, or leave the row out',
      )
    }
  }

  #exampleOf({ problem, answer, solution, images }: Sample): Example {
    // Rows without a solution are here only if no view reads it.
    return { problem, images, reference: this.#options.reference === 'solution' ? (solution ?? '') : answer }
  }
}
