// Draws the samples of each step in the seeded order of the data and prepares what their views read. Its place is one number.

import type { Dataset } from '../data/dataset.ts'
import { rowAt } from '../data/order.ts'
import type { Sample } from '../data/sample.ts'
import { ArgumentError, FileFormatError, SightlineError } from '../errors.ts'
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

type Drawn = Prompted & { readonly example: Example }

/**
 * What the views of a method read of a sample, with its own image in the place of one that is borrowed: it is not known yet which others can
 * be used. @throws SightlineError for a sample that cannot be used
 */
export async function prepare(
  sample: Sample,
  method: Method,
  processors: Processors,
  { reference, longestContext, check }: Pick<BatchOptions, 'reference' | 'longestContext' | 'check'>,
  cache: ImageCache = new ImageCache(),
): Promise<Omit<Drawn, 'position'>> {
  check(sample)
  const { problem, answer, solution, images } = sample
  // Rows without a solution are here only if no view reads it.
  const example = { problem, images, reference: reference === 'solution' ? (solution ?? '') : answer }
  const contexts = await contextsOf(method, example, example, processors, cache)
  for (const [view, { ids }] of contexts) {
    if (ids.length <= longestContext) continue
    throw new ArgumentError(
      `the view ${view} reads ${ids.length} tokens before the answer; the model has room for ${longestContext} besides rollout.maxTokens. ` +
        'Lower model.maxPixels or rollout.maxTokens, or leave the row out',
    )
  }
  return { sample, contexts, example }
}

/** Samples that are prepared at the same time: images are decoded by threads of their own. It bounds how many are in memory at full size. */
const ahead = 4

/** An endless stream of prompts. */
export class Batches {
  readonly #dataset: Dataset
  readonly #rows: Int32Array
  readonly #method: Method
  readonly #processors: Processors
  readonly #options: BatchOptions
  /** Rows that turned out broken, so that no epoch decodes and tells them again. */
  readonly #broken = new Map<number, SightlineError>()

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

  #rowAt(position: number): number {
    return this.#rows[rowAt(position, { size: this.size, seed: this.#options.seed, shuffle: this.#options.shuffle })] as number
  }

  /** The sample at a position, or the error that keeps it from being used. */
  async #at(position: number, cache: ImageCache): Promise<Drawn | SightlineError> {
    const row = this.#rowAt(position)
    const known = this.#broken.get(row)
    if (known !== undefined) return known
    try {
      const sample = await this.#dataset.sample(row)
      return { ...(await prepare(sample, this.#method, this.#processors, this.#options, cache)), position }
    } catch (error) {
      if (error instanceof SightlineError) return error
      throw error
    }
  }

  /** The samples from a position on, in order, a few prepared ahead; `wanted` says how many more are needed. */
  async *#from(position: number, wanted: () => number, cache: ImageCache): AsyncGenerator<readonly [position: number, one: Drawn | SightlineError]> {
    const begun: Promise<Drawn | SightlineError>[] = []
    for (let next = position; wanted() > 0; next++) {
      while (begun.length < Math.min(ahead, wanted())) {
        const one = this.#at(next + begun.length, cache)
        // Whoever awaits it gets its error; until then it must not count as unhandled.
        one.catch(() => undefined)
        begun.push(one)
      }
      yield [next, await (begun.shift() as (typeof begun)[number])]
    }
  }

  /** Where such rows are skipped, tells of one that cannot be used when it is met first; else stops with its error. */
  #refuse(position: number, error: SightlineError, onSkip: OnSkip): void {
    const row = this.#rowAt(position)
    if (this.#options.onBad === 'stop') {
      throw new FileFormatError(`row ${row}: ${error.message}\nset data.onBad to skip to go on without such rows`, { cause: error })
    }
    if (this.#broken.has(row)) return
    this.#broken.set(row, error)
    onSkip(row, error.message)
  }

  /**
   * The next `count` prompts from a position on, and the position after them. A sample that cannot be prepared is skipped and told, or
   * stops with its error.
   */
  async draw(position: number, count: number, onSkip: OnSkip): Promise<{ readonly prompts: readonly Prompted[]; readonly position: number }> {
    const cache = new ImageCache()
    const drawn: Drawn[] = []
    let [after, failures] = [position, 0]
    for await (const [at, one] of this.#from(position, () => count - drawn.length, cache)) {
      after = at + 1
      if (one instanceof SightlineError) {
        this.#refuse(at, one, onSkip)
        failures++
        // So many in a row hold a whole epoch, wherever they begin.
        if (failures >= 2 * this.size - 1) {
          throw new FileFormatError(`none of the ${this.size} rows can be used; row ${this.#rowAt(at)}: ${one.message}`, { cause: one })
        }
      } else {
        drawn.push(one)
        failures = 0
      }
    }
    return { prompts: await this.#lent(drawn, cache), position: after }
  }

  /** The prompts of some positions, and no others in the place of those that are skipped. */
  async between(start: number, end: number, onSkip: OnSkip): Promise<readonly Prompted[]> {
    const cache = new ImageCache()
    const drawn: Drawn[] = []
    let left = end - start
    for await (const [at, one] of this.#from(start, () => left, cache)) {
      left--
      if (one instanceof SightlineError) this.#refuse(at, one, onSkip)
      else drawn.push(one)
    }
    return await this.#lent(drawn, cache)
  }

  /** Each sample's views, where they borrow with the image of the next in the batch; the last borrows the first's. */
  async #lent(drawn: readonly Drawn[], cache: ImageCache): Promise<readonly Prompted[]> {
    if (!borrowsImages(this.#method)) return drawn
    const lent: Prompted[] = []
    for (const [i, { sample, position, example }] of drawn.entries()) {
      const other = drawn[(i + 1) % drawn.length]?.example as Example
      lent.push({ sample, position, contexts: await contextsOf(this.#method, example, other, this.#processors, cache) })
    }
    return lent
  }
}
