// Bootstrap intervals against all resamples counted one by one, the normal distribution, and their own words drawn by other code.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootstrap, bootstrapDifference, bootstrapRatio } from '../../src/statistics/bootstrap.ts'
import { quantile } from '../../src/statistics/interval.ts'
import { randomWords, xoshiro } from '../../src/statistics/random.ts'
import { close, random } from '../support.ts'

test('xoshiro128++ gives the words of its reference', () => {
  const word = xoshiro([1, 2, 3, 4])
  const expected = [641, 1573767, 3222811527, 3517856514, 836907274, 4247214768, 3867114732, 1355841295, 495546011, 621204420]
  assert.deepEqual(
    expected.map(() => word()),
    expected,
  )
})

test('streams of neighbouring seeds differ, and the upper half of a seed counts', () => {
  const first = (seed: number): string => {
    const word = randomWords(seed)
    return [word(), word(), word(), word()].join(' ')
  }
  assert.equal(new Set([0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1].map(first)).size, 6)
  assert.throws(() => randomWords(0.5), /seed is 0.5/)
})

/** Every resample of a few units, and the quantile of the statistic over them. */
function exhaustive(units: number, statistic: (indices: Uint32Array) => number): Float64Array {
  const values: number[] = []
  for (let code = 0; code < units ** units; code++) {
    values.push(statistic(Uint32Array.from({ length: units }, (_, i) => Math.floor(code / units ** i) % units)))
  }
  return Float64Array.from(values).sort()
}

test('percentile interval of four units against all 256 resamples', () => {
  const values = [0.1, 0.7, 1.9, 4.3]
  const mean = (indices: Uint32Array): number => [...indices].reduce((sum, index) => sum + (values[index] as number), 0) / indices.length
  const all = exhaustive(4, mean)
  for (const confidence of [0.95, 0.8, 0.5]) {
    const { value, low, high } = bootstrap(4, mean, { confidence, resamples: 200_000, seed: 3 })
    close([value], [1.75])
    // The distribution has steps: where the quantile falls near one, either side of it is right.
    const near = (q: number, got: number): void => {
      const [from, to] = [quantile(all, q - 0.006), quantile(all, q + 0.006)]
      assert.ok(got >= from - 1e-12 && got <= to + 1e-12, `${got} between ${from} and ${to}`)
    }
    near((1 - confidence) / 2, low)
    near((1 + confidence) / 2, high)
  }
})

test('a mean of many units has about the normal interval', () => {
  const next = random(8)
  const parts = Array.from({ length: 2000 }, () => ({ sum: next(), count: 1 }))
  const mean = parts.reduce((sum, part) => sum + part.sum, 0) / 2000
  const error = Math.sqrt(parts.reduce((sum, part) => sum + (part.sum - mean) ** 2, 0) / 2000 / 2000)
  const { value, low, high } = bootstrapRatio(parts)
  close([value], [mean])
  close([low, high], [mean - 1.96 * error, mean + 1.96 * error], { absolute: 0.1 * error, relative: 0 })
})

test('a ratio of sums draws both sums together, by the words of its seed', () => {
  const parts = Array.from({ length: 9 }, (_, i) => ({ sum: (i * 5) % 7, count: 1 + ((i * 3) % 4) }))
  const word = randomWords(11)
  const ratios: number[] = []
  for (let resample = 0; resample < 500; resample++) {
    const drawn = parts.map(() => parts[Math.floor((word() / 2 ** 32) * 9)] as { sum: number; count: number })
    ratios.push(drawn.reduce((sum, part) => sum + part.sum, 0) / drawn.reduce((sum, part) => sum + part.count, 0))
  }
  ratios.sort((a, b) => a - b)
  // 500 values: the 0.05 quantile lies at 24.95, so between the 25th and the 26th.
  const at = (place: number): number => {
    const [a, b] = [ratios[Math.floor(place)] as number, ratios[Math.ceil(place)] as number]
    return a + (b - a) * (place - Math.floor(place))
  }
  const got = bootstrapRatio(parts, { seed: 11, resamples: 500, confidence: 0.9 })
  const sums = parts.reduce((sum, part) => sum + part.sum, 0)
  const counts = parts.reduce((sum, part) => sum + part.count, 0)
  close([got.value, got.low, got.high], [sums / counts, at(24.95), at(474.05)], { relative: 1e-12 })
})

test('equal seeds give equal intervals, others do not', () => {
  const parts = Array.from({ length: 30 }, (_, i) => ({ sum: Math.sin(i), count: 1 }))
  assert.deepEqual(bootstrapRatio(parts, { seed: 4, resamples: 300 }), bootstrapRatio(parts, { seed: 4, resamples: 300 }))
  assert.notDeepEqual(bootstrapRatio(parts, { seed: 4, resamples: 300 }), bootstrapRatio(parts, { seed: 5, resamples: 300 }))
})

test('paired differences count every prompt once and keep its samples together', () => {
  // Differences of means: 0.5, −0.25 and 1.
  const pairs = [
    { before: [0, 0, 0, 0], after: [1, 0, 1, 0] },
    { before: [1, 1], after: [1, 1, 1, 0] },
    { before: [0], after: [1] },
  ]
  const { value, low, high } = bootstrapDifference(pairs, { resamples: 4000 })
  close([value], [1.25 / 3])
  // 1 in 27 resamples holds the second prompt alone, 1 in 27 the third alone: both beyond the 2.5 % quantiles.
  assert.deepEqual([low, high], [-0.25, 1])
  // What all prompts have in common is not uncertain, however hard each of them is.
  const shifted = Array.from({ length: 40 }, (_, i) => ({ before: [i, i + 1], after: [i + 2, i + 3] }))
  const common = bootstrapDifference(shifted, { resamples: 200 })
  close([common.value, common.low, common.high], [2, 2, 2])
  // A prompt's eight equal samples are one piece of evidence, not eight.
  const half = Array.from({ length: 20 }, (_, i) => ({ before: new Array<number>(8).fill(0), after: new Array<number>(8).fill(i % 2) }))
  const interval = bootstrapDifference(half, { resamples: 4000 })
  const error = Math.sqrt(0.25 / 20)
  close([interval.low, interval.high], [0.5 - 1.96 * error, 0.5 + 1.96 * error], { absolute: 0.2 * error + 0.03, relative: 0 })
})

test('undefined resamples are left out, too many refused', () => {
  const parts = (empty: number): { sum: number; count: number }[] => [
    ...Array.from({ length: empty }, () => ({ sum: 0, count: 0 })),
    ...Array.from({ length: 3 }, (_, i) => ({ sum: i, count: 2 })),
  ]
  // (3/6)^6 of the resamples are 0 / 0: 1.6 %.
  const { value, low, high } = bootstrapRatio(parts(3))
  close([value], [0.5])
  assert.ok(low >= 0 && high <= 1 && low < high)
  // One of 20 counts: (19/20)^20 of the resamples, 36 %, are 0 / 0.
  assert.throws(() => bootstrapRatio(parts(19).slice(0, 20)), /not defined for 3\d\.\d % of the resamples of 20 units/)
  assert.throws(() => bootstrapRatio([{ sum: 0, count: 0 }]), /the statistic of the 1 units is NaN/)
  assert.throws(() => bootstrapRatio([]), /units: 0 given|sums: 0 given/)
  assert.throws(() => bootstrapRatio([{ sum: Number.NaN, count: 1 }]), /sums\[0\] is NaN/)
  assert.throws(() => bootstrapDifference([{ before: [], after: [1] }]), /pair 0, before: 0 given/)
  assert.throws(() => bootstrapRatio(parts(0), { resamples: 0 }), /resamples is 0/)
})
