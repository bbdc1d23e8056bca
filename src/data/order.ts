// The order in which samples are taken: an endless stream of epochs, each a fresh permutation, of which the position is just a number.

import { ArgumentError } from '../errors.ts'

/** Permutations that are kept: the current epoch's, and one for another reader such as a validation set. */
const keptPermutations = 2
const kept = new Map<string, Uint32Array>()

/**
 * The row at a position of the stream. Every row comes exactly once per epoch, that is in positions k · size to (k + 1) · size. A function
 * of its arguments alone: a run resumes by its position.
 *
 * @param position integer ≥ 0
 * @param order `size` rows, at least one; `seed` an integer in [0, 2^53); without `shuffle` every epoch has the order of the data
 */
export function rowAt(position: number, order: { readonly size: number; readonly seed: number; readonly shuffle: boolean }): number {
  const { size, seed, shuffle } = order
  if (!Number.isSafeInteger(position) || position < 0) throw new ArgumentError(`position is ${position}; expected an integer from 0 up`)
  if (!Number.isInteger(size) || size < 1 || size > 2 ** 32) throw new ArgumentError(`size is ${size}; expected an integer from 1 to 2^32`)
  if (!Number.isSafeInteger(seed) || seed < 0) throw new ArgumentError(`seed is ${seed}; expected an integer from 0 up to 2^53`)
  const place = position % size
  return shuffle ? (permutation(size, seed, Math.floor(position / size))[place] as number) : place
}

function permutation(size: number, seed: number, epoch: number): Uint32Array {
  const key = `${size} ${seed} ${epoch}`
  const rows = kept.get(key) ?? shuffled(size, seed, epoch)
  kept.delete(key)
  kept.set(key, rows)
  const [oldest] = kept.keys()
  if (oldest !== undefined && kept.size > keptPermutations) kept.delete(oldest)
  return rows
}

/** Fisher and Yates' shuffle. */
function shuffled(size: number, seed: number, epoch: number): Uint32Array {
  const next = generator(seed, epoch)
  const rows = Uint32Array.from({ length: size }, (_, i) => i)
  for (let i = size - 1; i > 0; i--) {
    const j = below(i + 1, next)
    const moved = rows[i] as number
    rows[i] = rows[j] as number
    rows[j] = moved
  }
  return rows
}

/** A uniform integer in [0, bound): numbers past the last multiple of the bound are drawn again, so that none is favoured. */
export function below(bound: number, next: () => number): number {
  const past = 2 ** 32 - (2 ** 32 % bound)
  let drawn = next()
  while (drawn >= past) drawn = next()
  return drawn % bound
}

/** The generator sfc32 of PractRand (Doty-Humphrey): uniform 32-bit integers from three words, the first 15 thrown away as there. */
export function generator(seed: number, epoch: number): () => number {
  let [a, b, c, counter] = [seed | 0, Math.floor(seed / 2 ** 32) | 0, epoch | 0, 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let i = 0; i < 15; i++) next()
  return next
}
