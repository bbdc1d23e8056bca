// Quantiles against NumPy's, gates by tiers, bounds of first and last tokens, and what each token counts.

import assert from 'node:assert/strict'
import test from 'node:test'
import { vgs } from '../../src/methods/vgs.ts'
import { vigos } from '../../src/methods/vigos.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import type { DistillTerm, Method, Term } from '../../src/supervision/method.ts'
import { gateOf, limitsOf, planTerms, quantile } from '../../src/supervision/plan.ts'
import type { Division } from '../../src/supervision/segments.ts'
import { close } from '../support.ts'

test('quantiles are those of numpy.quantile', () => {
  const values = Float64Array.of(0.1, 0.4, 0.4, 1.5, 2, 7)
  // numpy.quantile([0.1, 0.4, 0.4, 1.5, 2, 7], [0, 0.1, 0.25, 0.4, 0.5, 0.7, 0.9, 0.99, 1])
  const expected = [0.1, 0.25, 0.4, 0.4, 0.95, 1.75, 4.5, 6.75, 7]
  close(
    [0, 0.1, 0.25, 0.4, 0.5, 0.7, 0.9, 0.99, 1].map((q) => quantile(values, q)),
    expected,
    { absolute: 1e-14, relative: 1e-14 },
  )
  assert.deepEqual(
    [0, 0.3, 0.99].map((q) => quantile(Float64Array.of(5), q)),
    [5, 5, 5],
  )
  close([quantile(Float64Array.of(1, 2), 0.7)], [1.7], { absolute: 1e-15, relative: 0 })
})

test('gates: the highest quantile that a token exceeds counts; ties do not exceed', () => {
  const values = Float64Array.of(5, 1, 4, 2, 3)
  const gate = gateOf(
    [
      { above: 0.25, factor: 0.5 },
      { above: 0.5, factor: -2 },
    ],
    values,
  )
  // Thresholds 2 and 3.
  assert.deepEqual([1, 2, 2.001, 3, 3.001, 9].map(gate), [0, 0, 0.5, 0.5, -2, -2])
  assert.deepEqual(Array.from(values), [5, 1, 4, 2, 3])
  const flat = gateOf([{ above: 0.7, factor: 1 }], Float64Array.of(1, 1, 1, 1))
  assert.deepEqual([0, 1].map(flat), [0, 0])
  const lowest = gateOf([{ above: 0, factor: 3 }], Float64Array.of(2, 1, 4))
  assert.deepEqual([1, 1.5, 4].map(lowest), [0, 3, 3])
})

const perception = vigos.terms['perception']
const claimOf = (...positions: number[]) => ({ row: 0, share: 1, positions })
const clipped = (clip: Partial<NonNullable<DistillTerm['clip']>> | null): Term => {
  assert.ok(perception?.kind === 'distill')
  return { ...perception, clip: clip === null ? null : { token: null, first: null, last: null, how: 'clamp', ...clip } }
}

test('bounds: the first and the last token of a claim have their own, and the smaller of two holds', () => {
  const limits = (clip: Parameters<typeof clipped>[0], ...positions: number[]): number[] => Array.from(limitsOf(clipped(clip), claimOf(...positions)))
  assert.deepEqual(limits({ token: 0.05 }, 3, 4, 9), [0.05, 0.05, 0.05])
  assert.deepEqual(limits({ first: 0.1 }, 3, 4, 9), [0.1, Infinity, Infinity])
  assert.deepEqual(limits({ last: 0.2 }, 3, 4, 9), [Infinity, Infinity, 0.2])
  assert.deepEqual(limits({ token: 0.15, first: 0.1, last: 0.2 }, 3, 4, 9), [0.1, 0.15, 0.15])
  assert.deepEqual(limits({ first: 0.1, last: 0.2 }, 7), [0.1])
  assert.deepEqual(limits({ first: 0.3, last: 0.2 }, 7), [0.2])
  assert.deepEqual(limits({ last: 0.2 }, 7), [0.2])
  assert.deepEqual(limits(null, 1, 2), [Infinity, Infinity])
  assert.deepEqual(Array.from(limitsOf({ ...(vgs.terms['standard'] as Term) }, claimOf(0, 1))), [Infinity, Infinity])
})

const division = (valid: boolean, segments: readonly string[]): Division => ({
  ...{ valid, fault: valid ? null : 'no', parts: ['description', 'reasoning', 'answer'], segments, texts: {}, places: {} },
})
const rows = [
  { ids: [1, 2, 3, 4], division: division(true, ['description', 'description', 'delimiters', 'reasoning']) },
  { ids: [1, 2, 3], division: division(false, ['other', 'other', 'end']) },
  { ids: [1, 2, 3], division: division(true, ['description', 'answer', 'end']) },
  { ids: [], division: division(false, []) },
]

function plansOf(mean: 'tokens' | 'responses', on: Record<string, Term['on']>): unknown {
  const terms = Object.fromEntries(Object.entries(on).map(([name, each]) => [name, { ...(perception as Term), on: each, mean }]))
  const method: Method = defineMethod({ ...vigos, terms } as never)
  return planTerms(method, rows).map(({ name, claims, count }) => [name, count, claims.map(({ row, positions, share }) => [row, positions, share])])
}

test('claims: valid rollouts by segment, invalid ones whole, and each token its share of the mean', () => {
  const on = {
    first: { valid: 'description' },
    second: { valid: ['reasoning', 'answer'], invalid: 'all' },
    third: 'all',
    fourth: { invalid: 'all' },
  } as const
  assert.deepEqual(plansOf('tokens', on), [
    [
      'first',
      3,
      [
        [0, [0, 1], 1 / 3],
        [2, [0], 1 / 3],
      ],
    ],
    [
      'second',
      5,
      [
        [0, [3], 1 / 5],
        [1, [0, 1, 2], 1 / 5],
        [2, [1], 1 / 5],
      ],
    ],
    [
      'third',
      10,
      [
        [0, [0, 1, 2, 3], 1 / 10],
        [1, [0, 1, 2], 1 / 10],
        [2, [0, 1, 2], 1 / 10],
      ],
    ],
    ['fourth', 3, [[1, [0, 1, 2], 1 / 3]]],
  ])
  assert.deepEqual(plansOf('responses', on), [
    [
      'first',
      2,
      [
        [0, [0, 1], 1 / 4],
        [2, [0], 1 / 2],
      ],
    ],
    [
      'second',
      3,
      [
        [0, [3], 1 / 3],
        [1, [0, 1, 2], 1 / 9],
        [2, [1], 1 / 3],
      ],
    ],
    [
      'third',
      3,
      [
        [0, [0, 1, 2, 3], 1 / 12],
        [1, [0, 1, 2], 1 / 9],
        [2, [0, 1, 2], 1 / 9],
      ],
    ],
    ['fourth', 1, [[1, [0, 1, 2], 1 / 3]]],
  ])
  assert.deepEqual(plansOf('tokens', { only: { valid: 'delimiters' } }), [['only', 1, [[0, [2], 1]]]])
  assert.deepEqual(plansOf('responses', { only: { valid: 'other' } }), [['only', 0, []]])
})
