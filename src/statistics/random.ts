// A stream of seeded random words for resampling, so that an interval is a function of its data and seed alone.

import { ArgumentError } from '../errors.ts'
import { philox } from '../rollout/uniform.ts'

/** The last word of the counter; rollouts leave it 0, so that no resampling shares their numbers. */
const place = 1

/**
 * Uniform 32-bit integers: xoshiro128++ (Blackman and Vigna, Scrambled Linear Pseudorandom Number Generators, 2021), which is many times
 * faster than the counter-based generator that makes its first state.
 * @param seed integer in [0, 2^53)
 */
export function randomWords(seed: number): () => number {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new ArgumentError(`seed is ${seed}; expected an integer from 0 up to 2^53`)
  return xoshiro(philox([0, 0, 0, place], [seed >>> 0, Math.floor(seed / 2 ** 32)]))
}

/** The generator from a state of four words, not all of them 0. */
export function xoshiro(state: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = state
  return () => {
    const sum = (a + d) | 0
    const word = (((sum << 7) | (sum >>> 25)) + a) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return word
  }
}
