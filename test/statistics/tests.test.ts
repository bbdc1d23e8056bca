// Means, shares, the sign-flip test and decisions against numbers worked by hand and counted by other ways.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { holm, nonInferiority } from '../../src/statistics/decide.ts'
import { meanOf } from '../../src/statistics/mean.ts'
import { type Alternative, mostExactPairs, signFlipTest } from '../../src/statistics/permutation.ts'
import { shareOf } from '../../src/statistics/share.ts'
import { close } from '../support.ts'

test('mean, standard error and t interval by hand', () => {
  // 1 2 3 4: mean 2.5, s² = (2.25 + 0.25 + 0.25 + 2.25) / 3 = 5/3, s/√4 = √(5/12), t of 3 degrees of freedom 3.18244630528371
  const { value, low, high, deviation, standardError, count } = meanOf([1, 2, 3, 4])
  const error = Math.sqrt(5 / 12)
  close([value, deviation, standardError, count], [2.5, Math.sqrt(5 / 3), error, 4], { relative: 1e-14 })
  close([low, high], [2.5 - 3.18244630528371 * error, 2.5 + 3.18244630528371 * error], { relative: 1e-12 })
  // 90 %, two values: t of one degree of freedom is tan(0.45 π)
  const two = meanOf([0, 2], 0.9)
  close([two.low, two.high], [1 - Math.tan(0.45 * Math.PI), 1 + Math.tan(0.45 * Math.PI)], { relative: 1e-12 })
  const same = meanOf([7, 7, 7])
  assert.deepEqual([same.value, same.low, same.high, same.standardError], [7, 7, 7, 0])
})

test('a large offset costs the mean no digits', () => {
  const { value, deviation } = meanOf([1e9 + 1, 1e9 + 2, 1e9 + 3])
  assert.equal(value, 1e9 + 2)
  assert.equal(deviation, 1)
})

test('a mean of fewer than two values, of NaN, or of a wrong confidence is refused', () => {
  assert.throws(() => meanOf([1]), /values: 1 given; expected at least 2/)
  assert.throws(() => meanOf([1, Number.NaN]), /values\[1\] is NaN; expected a finite number/)
  for (const confidence of [0, 1, 95, Number.NaN]) assert.throws(() => meanOf([1, 2], confidence), ArgumentError)
})

test('sign-flip tests by hand', () => {
  const p = (differences: readonly number[], alternative: Alternative): number => {
    const result = signFlipTest(differences, { alternative })
    assert.equal(result.exact, true)
    assert.equal(result.flips, 2 ** differences.length)
    return result.p
  }
  assert.equal(p([1, 2, 3], 'greater'), 1 / 8)
  assert.equal(p([1, 2, 3], 'two-sided'), 2 / 8)
  assert.equal(p([1, 2, 3], 'less'), 1)
  // ±3 ±1 ±2: 6 4 2 0 0 −2 −4 −6, and 2 was seen. In tenths the two sums 0 and the tie at 2 round differently.
  for (const unit of [1, 0.1, 1e-7]) {
    const differences = [3 * unit, unit, -2 * unit]
    assert.equal(p(differences, 'greater'), 3 / 8)
    assert.equal(p(differences, 'less'), 6 / 8)
    assert.equal(p(differences, 'two-sided'), 6 / 8)
  }
  assert.equal(p([0, 0], 'two-sided'), 1)
  // Six bases that all gain: the smallest p that six can give.
  assert.equal(p([0.19, 0.24, 0.22, 0.2, 0.01, 0.3], 'two-sided'), 2 / 64)
  assert.equal(signFlipTest([3, 1, -2]).mean, 2 / 3)
})

test('sums that tie in whole numbers tie in tenths too, where they round differently', () => {
  for (let i = 0; i < 200; i++) {
    const whole = Array.from({ length: 5 + (i % 4) }, (_, k) => ((i * 13 + k * k * 7 + k) % 9) - 3)
    for (const alternative of ['two-sided', 'greater', 'less'] as const) {
      const [exact, rounded] = [whole, whole.map((each) => each / 10)].map((differences) => signFlipTest(differences, { alternative }).p)
      assert.equal(rounded, exact, `${whole.join(' ')}, ${alternative}`)
    }
  }
})

/** By counting sums of whole numbers: how many of the 2^n sign patterns have each sum. */
function signSums(differences: readonly number[]): Map<number, number> {
  let counts = new Map([[0, 1]])
  for (const difference of differences) {
    const next = new Map<number, number>()
    for (const [sum, count] of counts) {
      for (const to of [sum + difference, sum - difference]) next.set(to, (next.get(to) ?? 0) + count)
    }
    counts = next
  }
  return counts
}

for (const pairs of [mostExactPairs, mostExactPairs + 1, 40]) {
  test(`sign-flip test of ${pairs} pairs against a count of sums`, () => {
    const differences = Array.from({ length: pairs }, (_, i) => ((i * 7) % 11) - 4)
    const seen = differences.reduce((sum, each) => sum + each, 0)
    const counts = [...signSums(differences)]
    const share = (extreme: (sum: number) => boolean): number =>
      counts.reduce((total, [sum, count]) => total + (extreme(sum) ? count : 0), 0) / 2 ** pairs
    for (const [alternative, extreme] of [
      ['greater', (sum: number) => sum >= seen],
      ['less', (sum: number) => sum <= seen],
      ['two-sided', (sum: number) => Math.abs(sum) >= Math.abs(seen)],
    ] as const) {
      const flips = 20_000
      const { p, exact } = signFlipTest(differences, { alternative, flips, seed: 5 })
      const expected = share(extreme)
      assert.equal(exact, pairs <= mostExactPairs)
      // Drawn: within four standard errors.
      const error = exact ? 1e-15 : 4 * Math.sqrt((expected * (1 - expected)) / flips) + 1 / flips
      assert.ok(Math.abs(p - expected) <= error, `${alternative}: ${p}, expected ${expected} ± ${error}`)
    }
  })
}

test('drawn flips follow the seed and never give p = 0', () => {
  const differences = Array.from({ length: 30 }, (_, i) => 1 + i / 10)
  assert.equal(signFlipTest(differences, { flips: 999 }).p, 1 / 1000)
  const mixed = differences.map((each, i) => (i % 3 === 0 ? -each : each))
  const p = (seed: number): number => signFlipTest(mixed, { flips: 2000, seed }).p
  assert.equal(p(1), p(1))
  assert.notEqual(p(1), p(2))
  assert.throws(() => signFlipTest([]), /differences: 0 given; expected at least 1/)
  assert.throws(() => signFlipTest(mixed, { flips: 0 }), /flips is 0/)
  assert.throws(() => signFlipTest(mixed, { seed: -1 }), /seed is -1/)
})

test("Wilson's interval holds the roots of its defining equation (found by mpmath)", () => {
  for (const [successes, trials, confidence, low, high] of [
    [0, 10, 0.95, 0, 0.277532799862889],
    [3, 10, 0.95, 0.107791267406301, 0.603221852538855],
    [81, 263, 0.95, 0.255288519878274, 0.3662095769828],
    [50, 50, 0.99, 0.882847908282372, 1],
    [1, 1, 0.9, 0.269865948784054, 1],
  ] as const) {
    const interval = shareOf(successes, trials, confidence)
    close([interval.value, interval.low, interval.high], [successes / trials, low, high], { absolute: 1e-14, relative: 1e-13 })
  }
  for (const [successes, trials] of [
    [1, 0],
    [5, 4],
    [-1, 4],
    [0.5, 4],
  ] as const) {
    assert.throws(() => shareOf(successes, trials), ArgumentError)
  }
})

test("Holm's correction by hand", () => {
  // Ascending .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, the last raised to .06.
  close(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], { relative: 1e-14 })
  assert.deepEqual(holm([0.5, 0.9, 0.5]), [1, 1, 1])
  assert.deepEqual(holm([]), [])
  assert.throws(() => holm([0.2, 1.2]), /pValues\[1\] is 1.2/)
})

test('non-inferiority reads the interval against the margin', () => {
  const verdict = (low: number, high: number): string => {
    const result = nonInferiority({ value: (low + high) / 2, low, high }, 0.02)
    return `${result.verdict}${result.superior ? ', superior' : ''}`
  }
  assert.equal(verdict(-0.019, 0.03), 'non-inferior')
  assert.equal(verdict(-0.019, -0.001), 'non-inferior')
  assert.equal(verdict(0.001, 0.03), 'non-inferior, superior')
  assert.equal(verdict(-0.02, 0.03), 'inconclusive')
  assert.equal(verdict(-0.05, -0.01), 'inconclusive')
  assert.equal(verdict(-0.05, -0.021), 'inferior')
  assert.throws(() => nonInferiority({ value: 0, low: 0, high: 0 }, 0), /margin is 0/)
  assert.throws(() => nonInferiority({ value: 0, low: 1, high: 0 }, 0.1), ArgumentError)
})
