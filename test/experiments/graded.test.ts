// Statistics of graded answers against numbers worked by hand.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { differenceWithin, meanWithin, measures, readAnswers } from '../../src/experiments/graded.ts'
import { type Graded, summaryOf } from '../../src/nano/evaluate.ts'

const plain = { task: 'plain', text: '', valid: true, ended: true, believed: false, described: null, follows: null, stated: 0, true: 0 }
const answer = (index: number, split: string, correct: boolean, more: Partial<Graded> = {}): Graded => ({ ...plain, index, split, correct, ...more })

/** Two questions of score (one and two of two right), one of prior, one of neutral. */
const before = [
  answer(0, 'score', true, { described: true, follows: true }),
  answer(0, 'score', false, { described: false, follows: null }),
  answer(1, 'prior', true, { described: false, follows: false }),
  answer(1, 'prior', true),
  answer(2, 'score', true, { valid: false }),
  answer(2, 'score', true, { described: true, follows: true }),
  answer(3, 'neutral', false),
  answer(3, 'neutral', true),
]

test('means are over answers, of the split and of those that have a value', () => {
  const values = Object.fromEntries(Object.values(measures).map((measure) => [measure.name, meanWithin(before, measure, { resamples: 50 }).value]))
  assert.deepEqual(values, { score: 3 / 4, prior: 1, overall: 6 / 8, description: 2 / 3, follows: 1, valid: 7 / 8 })
  // The same as what a grade prints.
  const shares = summaryOf(before)
  for (const [name, of] of [
    ['score', 'score'],
    ['prior', 'prior'],
    ['overall', 'overall'],
    ['description', 'descriptionTruth'],
    ['follows', 'follows'],
    ['valid', 'valid'],
  ] as const) {
    const { sum, count } = shares[of] as { sum: number; count: number }
    assert.equal(values[name], sum / count)
  }
})

test('questions are drawn with all their answers', () => {
  // Of two questions, ½ and 1: draws give ½, ¾ or 1 with chances ¼, ½, ¼, so the 95 % interval reaches from ½ to 1.
  assert.deepEqual(meanWithin(before, measures.score, { seed: 1 }), { value: 0.75, low: 0.5, high: 1 })
  // Sixteen answers to one question are one unit, whatever they are.
  const one = Array.from({ length: 16 }, (_, i) => answer(5, 'score', i % 4 === 0))
  assert.deepEqual(meanWithin(one, measures.score), { value: 0.25, low: 0.25, high: 0.25 })
  // As sixteen questions they would not be: the interval is about ± 2 · √(¼ · ¾ / 16) ≈ 0.21.
  const { low, high } = meanWithin(
    one.map((each, index) => ({ ...each, index })),
    measures.score,
  )
  assert.ok(low < 0.1 && high > 0.4)
})

test('differences pair questions; those without a value in either are left out', () => {
  const after = [
    answer(0, 'score', true, { described: true }),
    answer(0, 'score', true, { described: true }),
    answer(0, 'score', true),
    answer(0, 'score', false),
    answer(2, 'score', false),
    answer(9, 'score', true, { described: true }),
  ]
  // Question 0: from ½ to ¾; question 2: from 1 to 0; 9 was not asked before. Every question counts the same.
  assert.deepEqual(differenceWithin(before, after, measures.score, { seed: 1 }), { value: (0.25 - 1) / 2, low: -1, high: 0.25 })
  // Of descriptions only question 0 has a value in both: from ½ to 1.
  assert.deepEqual(differenceWithin(before, after, measures.description), { value: 0.5, low: 0.5, high: 0.5 })
  const same = differenceWithin(before, before, measures.overall)
  assert.deepEqual(same, { value: 0, low: 0, high: 0 })
  const [there, back] = [differenceWithin(before, after, measures.score), differenceWithin(after, before, measures.score)]
  assert.equal(back.value, -there.value)
})

test('the order of answers does not matter, a seed decides', () => {
  const many = Array.from({ length: 60 }, (_, i) => answer(i % 20, 'score', (i * 7) % 3 === 0))
  assert.deepEqual(meanWithin(many, measures.score), meanWithin(many, measures.score))
  assert.equal(meanWithin([...many].reverse(), measures.score).value, meanWithin(many, measures.score).value)
  assert.equal(differenceWithin(many, [...many].reverse(), measures.score).value, 0)
})

test('a measure that nothing has is an error, not a number', () => {
  assert.throws(() => meanWithin([answer(0, 'prior', true)], measures.score), ArgumentError)
  assert.throws(() => differenceWithin(before, [answer(8, 'score', true)], measures.score), ArgumentError)
})

test('answers are read back from a file of grades', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-graded-'))
  try {
    writeFileSync(join(folder, 'grades.json'), JSON.stringify({ options: {}, summary: summaryOf(before), answers: before }))
    assert.deepEqual(readAnswers(join(folder, 'grades.json')), before)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
