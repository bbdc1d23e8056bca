// The counter-based uniform numbers: known answers of the generator, and statistics of how they are used.

import assert from 'node:assert/strict'
import test from 'node:test'
import { philox, uniformAt } from '../../src/rollout/uniform.ts'

test('Philox4x32-10 gives the known answers of its authors (Random123, kat_vectors)', () => {
  const all = 0xffffffff
  assert.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
  assert.deepEqual(philox([all, all, all, all], [all, all]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
  assert.deepEqual(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  )
})

/** Numbers along one of the three coordinates, the others fixed. */
const along = {
  seed: (i: number) => uniformAt(i, 3, 4),
  sample: (i: number) => uniformAt(7, i, 4),
  step: (i: number) => uniformAt(7, 3, i),
  'upper half of the seed': (i: number) => uniformAt(i * 2 ** 32, 3, 4),
}

for (const [name, at] of Object.entries(along)) {
  test(`uniform along ${name}, and neighbours are independent`, () => {
    const count = 20_000
    const values = Array.from({ length: count }, (_, i) => at(i))
    assert.ok(values.every((value) => value >= 0 && value < 1))
    // Neighbours in a 16 × 16 table: 255 degrees of freedom, standard deviation √510 ≈ 22.6; six of them are allowed.
    const cells = new Float64Array(256)
    for (let i = 0; i + 1 < count; i += 2) {
      const cell = Math.floor(16 * (values[i] as number)) * 16 + Math.floor(16 * (values[i + 1] as number))
      cells[cell] = (cells[cell] as number) + 1
    }
    const expected = count / 2 / 256
    const chiSquare = cells.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0)
    assert.ok(Math.abs(chiSquare - 255) < 6 * 22.6, `chi-square ${chiSquare} of 255 degrees of freedom`)
    const mean = values.reduce((sum, value) => sum + value, 0) / count
    assert.ok(Math.abs(mean - 0.5) < 6 * Math.sqrt(1 / 12 / count), `mean ${mean}`)
    // The variance of the correlation of independent numbers is 1 / count.
    const products = values.slice(1).reduce((sum, value, i) => sum + (value - 0.5) * ((values[i] as number) - 0.5), 0)
    assert.ok(Math.abs((12 * products) / count) < 6 / Math.sqrt(count), `correlation ${(12 * products) / count}`)
  })
}
