// Draws the samples of each step in the seeded order of the data and prepares what their views read. Its place is one number.

import type { Dataset } from '../data/dataset.ts'
import { rowAt } from '../data/order.ts'
import type { Sample } from '../data/sample.ts'
import { FileFormatError, SightlineError } from '../errors.ts'
import { contextsOf, type Example, type Processors } from '../supervision/contexts.ts'
import type { Method } from '../supervision/method.ts'
import type { Prompted } from './rollouts.ts'

export interface BatchOptions {
  readonly seed: number
  readonly shuffle: boolean
  readonly reference: 'answer' | 'solution'
  readonly onBad: 'stop' | 'skip'
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
    const drawn: { sample: Sample; example: Example; position: number }[] = []
    const prompts: Prompted[] = []
    let [next, failures] = [position, 0]
    while (prompts.length < count) {
      while (drawn.length <= prompts.length + 1) {
        const row = this.#rows[rowAt(next, { size: this.size, seed: this.#options.seed, shuffle: this.#options.shuffle })] as number
        const sample = await this.#dataset.sample(row)
        drawn.push({ sample, example: this.#exampleOf(sample), position: next++ })
      }
      const [own, other] = drawn.slice(prompts.length) as [(typeof drawn)[number], (typeof drawn)[number]]
      try {
        // The next sample in the order lends its image to views that see another's.
        const contexts = await contextsOf(this.#method, own.example, other.example, this.#processors)
        prompts.push({ sample: own.sample, position: own.position, contexts })
      } catch (error) {
        if (!(error instanceof SightlineError)) throw error
        const reason = `row ${own.sample.row} (${own.sample.id}): ${error.message}`
        if (this.#options.onBad === 'stop')
          throw new FileFormatError(`${reason}\nset data.onBad to skip to go on without such rows`, { cause: error })
        onSkip(own.sample.row, error.message)
        drawn.splice(prompts.length, 1)
        failures++
        if (failures >= this.size) throw new FileFormatError(`none of the ${this.size} rows can be used; the last: ${reason}`, { cause: error })
      }
    }
    // The sample that only lent its image is drawn again.
    return { prompts, position: (prompts.at(-1)?.position as number) + 1 }
  }

  #exampleOf({ problem, answer, solution, images }: Sample): Example {
    return { problem, images, reference: this.#options.reference === 'solution' ? (solution ?? answer) : answer }
  }
}
