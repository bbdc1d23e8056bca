// Random choices for worlds: every sample has a stream of its own, so that any of them can be made again without the others.

import { ArgumentError } from '../../errors.ts'
import { below, generator, rowAt } from '../order.ts'

/** Seeds of worlds end here: the words above tell the streams of samples from those of turns. */
const seeds = 2 ** 32

function checked(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value >= seeds) throw new ArgumentError(`${name} is ${value}; expected an integer from 0 up to 2^32`)
}

/** A stream of random choices, a function of a seed and an index alone. */
export class Random {
  readonly #next: () => number

  /** @param seed and index: integers in [0, 2^32) */
  constructor(seed: number, index: number) {
    checked('seed', seed)
    checked('index', index)
    this.#next = generator(seed, index)
  }

  /** A number in [0, 1), of 32 bits. */
  uniform(): number {
    return this.#next() / 2 ** 32
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform()
  }

  /** An integer in [0, bound). */
  integer(bound: number): number {
    if (!(Number.isInteger(bound) && bound > 0)) throw new ArgumentError(`there is no integer in [0, ${bound})`)
    return below(bound, this.#next)
  }

  /** An integer from low to high, both included. */
  within(low: number, high: number): number {
    return low + this.integer(high - low + 1)
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.uniform() < probability
  }

  /** One of a list, each as likely. @throws ArgumentError if the list is empty */
  choose<T>(list: readonly T[]): T {
    if (list.length === 0) throw new ArgumentError('there is nothing to choose from')
    return list[this.integer(list.length)] as T
  }

  /** The list in a random order, as a new one. */
  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list]
    return list.map(() => rest.splice(this.integer(rest.length), 1)[0] as T)
  }

  /** Several different ones of a list, in a random order. @throws ArgumentError if the list has fewer */
  several<T>(list: readonly T[], count: number): T[] {
    if (count > list.length) throw new ArgumentError(`${count} of a list of ${list.length}`)
    return this.shuffled(list).slice(0, count)
  }

  /** A number of the normal distribution (Box and Muller's method). */
  normal(mean = 0, deviation = 1): number {
    // 1 − u is never 0.
    return mean + deviation * Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform())
  }
}

/**
 * Which of `count` choices the sample with this index gets: in every run of `count` indices each comes exactly once, in a random order. So tasks,
 * splits and answers are balanced exactly, not only on average.
 *
 * @param which what is chosen, an integer in [0, 2^20): different ones have independent orders
 */
export function turn(seed: number, which: number, index: number, count: number): number {
  checked('seed', seed)
  return rowAt(index, { size: count, seed: (which + 1) * seeds + seed, shuffle: true })
}
