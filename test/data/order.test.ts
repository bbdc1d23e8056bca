// The order of samples: permutations by property, their uniformity by statistics, and a fixed beginning, since runs resume by it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rowAt } from '../../src/data/order.ts'
import { ArgumentError } from '../../src/errors.ts'
import { random } from '../support.ts'

const epoch = (size: number, seed: number, k: number, shuffle = true): number[] =>
  Array.from({ length: size }, (_, i) => rowAt(k * size + i, { size, seed, shuffle }))

test('every row comes exactly once per epoch, whatever the size, seed and epoch', () => {
  const next = random(5)
  for (let round = 0; round < 300; round++) {
    const size = 1 + Math.floor(next() * (round < 250 ? 40 : 3000))
    const seed = Math.floor(next() * 2 ** (round % 2 ? 53 : 8))
    const rows = epoch(size, seed, Math.floor(next() * 1000))
    assert.deepEqual(
      rows.toSorted((a, b) => a - b),
      Array.from({ length: size }, (_, i) => i),
    )
  }
})

test('a position means the same row whatever was asked before', () => {
  const order = { size: 97, seed: 3, shuffle: true }
  const straight = Array.from({ length: 97 * 6 }, (_, position) => rowAt(position, order))
  const next = random(6)
  for (let i = 0; i < 1000; i++) {
    const position = Math.floor(next() * straight.length)
    assert.equal(rowAt(position, order), straight[position])
  }
})

test('epochs and seeds have orders of their own; without shuffling the order is that of the data', () => {
  const orders = new Set<string>()
  for (const seed of [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1]) for (let k = 0; k < 20; k++) orders.add(epoch(30, seed, k).join(' '))
  assert.equal(orders.size, 6 * 20)
  assert.deepEqual(epoch(5, 1, 3, false), [0, 1, 2, 3, 4])
})

test('all 24 orders of four rows are equally frequent', () => {
  const counts = new Map<string, number>()
  const drawn = 24_000
  for (let k = 0; k < drawn; k++) {
    const key = epoch(4, 11, k).join('')
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  assert.equal(counts.size, 24)
  const expected = drawn / 24
  const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  // The upper 0.1 % quantile for 23 degrees of freedom.
  assert.ok(chiSquared < 49.73, `χ² is ${chiSquared}`)
})

/** sfc32 and the shuffle written again with whole numbers of any size. */
function oracle(size: number, seed: bigint, k: bigint): number[] {
  const mask = 0xffffffffn
  let [a, b, c, d] = [seed & mask, seed >> 32n, k & mask, 1n]
  const next = (): bigint => {
    const sum = (a + b + d) & mask
    d = (d + 1n) & mask
    a = b ^ (b >> 9n)
    b = (c + (c << 3n)) & mask
    c = ((((c << 21n) | (c >> 11n)) & mask) + sum) & mask
    return sum
  }
  for (let i = 0; i < 15; i++) next()
  const rows = Array.from({ length: size }, (_, i) => i)
  for (let i = size - 1; i > 0; i--) {
    const bound = BigInt(i + 1)
    let drawn = next()
    while (drawn >= (1n << 32n) - ((1n << 32n) % bound)) drawn = next()
    const j = Number(drawn % bound)
    ;[rows[i], rows[j]] = [rows[j] as number, rows[i] as number]
  }
  return rows
}

test('the orders are those of the generator as it is published', () => {
  for (const [size, seed, k] of [
    [10, 0, 0],
    [100, 42, 7],
    [1000, 2 ** 52 + 12345, 3],
  ] as const)
    assert.deepEqual(epoch(size, seed, k), oracle(size, BigInt(seed), BigInt(k)))
  // Runs that were started before must go on as they began.
  assert.deepEqual(epoch(8, 0, 0), [5, 7, 3, 1, 4, 6, 2, 0])
})

test('bad arguments are refused', () => {
  const order = { size: 3, seed: 0, shuffle: true }
  for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => rowAt(position, order), ArgumentError)
  for (const size of [0, -1, 1.5, 2 ** 33]) assert.throws(() => rowAt(0, { ...order, size }), ArgumentError)
  for (const seed of [-1, 0.5, 2 ** 53]) assert.throws(() => rowAt(0, { ...order, seed }), ArgumentError)
})
