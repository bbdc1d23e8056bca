// Ticks at round numbers, places by hand, and how numbers are written.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixed, intervalText, significant } from '../../src/report/numbers.ts'
import { linearTicks, scaleOf } from '../../src/report/scale.ts'
import { close } from '../support.ts'

const labels = (low: number, high: number, wanted: number, unit = ''): string[] => linearTicks(low, high, wanted, unit).map(({ label }) => label)

test('ticks at round numbers', () => {
  assert.deepEqual(labels(0, 1, 5), ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0'])
  assert.deepEqual(labels(0, 60, 6), ['0', '10', '20', '30', '40', '50', '60'])
  assert.deepEqual(labels(-0.03, 0.011, 4), ['−0.02', '0.00'])
  assert.deepEqual(labels(0, 180, 6, '°'), ['0°', '30°', '60°', '90°', '120°', '150°', '180°'])
  assert.deepEqual(labels(0, 100, 3, '°'), ['0°', '45°', '90°'])
  assert.deepEqual(labels(0, 20_000, 2), ['0', '10\u202f000', '20\u202f000'])
  assert.deepEqual(labels(0.1, 0.3, 2, '%'), ['0.1\u202f%', '0.2\u202f%', '0.3\u202f%'])
})

test('ticks are round, few and within, whatever the range', () => {
  for (let exponent = -9; exponent <= 9; exponent++) {
    for (let i = 1; i < 40; i++) {
      const low = (i * 7 - 100) * 10 ** exponent
      const high = low + i * 10 ** exponent
      const ticks = linearTicks(low, high, 5)
      assert.ok(ticks.length >= 2 && ticks.length <= 6, `${low} to ${high}: ${ticks.length} ticks`)
      assert.equal(new Set(ticks.map(({ label }) => label)).size, ticks.length, `${low} to ${high}: ${ticks.map(({ label }) => label).join(' ')}`)
      for (const { value } of ticks) assert.ok(value >= low - Math.abs(low) * 1e-9 && value <= high + Math.abs(high) * 1e-9)
    }
  }
})

test('a lengthened axis begins and ends with a number, whatever the range', () => {
  for (const unit of ['', '°']) {
    for (let i = 0; i < 400; i++) {
      const low = ((i * 37) % 101) / 7 - 6
      const values = [low, low + 0.01 * 1.03 ** i]
      const { ticks, low: first, high: last } = scaleOf(values, { label: 'a', unit }, { from: 0, to: 1, wanted: 3 + (i % 3), round: true })
      assert.ok(ticks.length >= 2 && ticks.length <= 8, `${values.join(' to ')}: ${ticks.length} ticks`)
      close([ticks[0]?.value ?? Number.NaN, ticks.at(-1)?.value ?? Number.NaN], [first, last], { absolute: 1e-9 })
      assert.ok(first <= low && last >= (values[1] as number))
    }
  }
})

test('places by hand, linear and logarithmic', () => {
  const place = { from: 100, to: 0, wanted: 5, round: false }
  const linear = scaleOf([2, 6], { label: 'a' }, place)
  close([linear.at(2), linear.at(3), linear.at(6)], [100, 75, 0])
  const log = scaleOf([1, 100], { label: 'a', log: true }, place)
  close([log.at(1), log.at(10), log.at(100)], [100, 50, 0])
  const rounded = scaleOf([0.13, 0.81], { label: 'a' }, { ...place, round: true })
  close([rounded.low, rounded.high], [0, 1])
  const reaching = scaleOf([0.4, 0.6], { label: 'a', include: [0, 1] }, place)
  close([reaching.low, reaching.high, reaching.at(0.5)], [0, 1, 50])
})

test('a logarithmic axis shows powers of ten, or more where there is room', () => {
  const ticks = (low: number, high: number, wanted: number): string[] =>
    scaleOf([low, high], { label: 'a', log: true }, { from: 0, to: 1, wanted, round: false }).ticks.map(({ label }) => label)
  assert.deepEqual(ticks(1e-6, 1, 7), ['10⁻⁶', '10⁻⁵', '0.0001', '0.001', '0.01', '0.1', '1'])
  assert.deepEqual(ticks(1e-6, 1, 3), ['10⁻⁶', '0.0001', '0.01', '1'])
  assert.deepEqual(ticks(0.02, 1, 5), ['0.02', '0.05', '0.1', '0.2', '0.5', '1'])
  assert.deepEqual(ticks(0.01, 10, 5), ['0.01', '0.03', '0.1', '0.3', '1', '3', '10'])
  assert.equal(ticks(40, 47, 4).length >= 2, true)
})

test('values that are all equal stand in the middle', () => {
  const place = { from: 0, to: 10, wanted: 5, round: false }
  for (const value of [0, 3, -2]) close([scaleOf([value, value], { label: 'a' }, place).at(value)], [5])
  close([scaleOf([4], { label: 'a', log: true }, place).at(4)], [5])
})

test('what has no logarithm, and no values at all, are refused by the name of the axis', () => {
  const place = { from: 0, to: 1, wanted: 5, round: false }
  assert.throws(() => scaleOf([0, 1], { label: 'loss', log: true }, place), /axis "loss" is logarithmic, but a value is 0/)
  assert.throws(() => scaleOf([], { label: 'loss' }, place), /axis "loss": there is no value/)
})

test('numbers are written with a true minus and without a negative zero', () => {
  assert.deepEqual(
    [fixed(-0.004), fixed(-0.005, 3), fixed(12345.6, 1), fixed(1234, 0), fixed(-1e6, 0)],
    ['0.00', '−0.005', '12\u202f345.6', '1234', '−1\u202f000\u202f000'],
  )
  assert.deepEqual([0, 0.12345, -3.1449, 99.96, 0.00012, 1234.5].map(significant), ['0', '0.123', '−3.14', '100', '0.000120', '1235'])
  assert.deepEqual([1e-5, 2.5e6, -1.234e-9, 999_999].map(significant), ['1.00 × 10⁻⁵', '2.50 × 10⁶', '−1.23 × 10⁻⁹', '1.00 × 10⁶'])
  assert.equal(
    intervalText({ value: 0.81, low: 0.779, high: 0.841 }, (value) => fixed(value)),
    '0.81 [0.78, 0.84]',
  )
})
