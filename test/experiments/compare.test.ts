// The numbers of an experiment against those worked by hand: three bases, so Student's t has 2 degrees of freedom and 8 sign patterns.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { Answers, type Comparison, type ExperimentSummary, meanMeasure, overBases, summarise } from '../../src/experiments/compare.ts'
import { measures } from '../../src/experiments/graded.ts'
import { ExperimentFiles, type ExperimentPlan } from '../../src/experiments/plan.ts'
import { close } from '../support.ts'
import { answersOf, newFolder, rightOf, smallPlan, writeBase, writeGrades } from './made.ts'

/** The 97.5 % quantile of Student's t with 2 degrees of freedom: (2p − 1) √(2 / (4p (1 − p))). */
const t2 = 0.95 * Math.sqrt(2 / (4 * 0.975 * 0.025))

/** Of four questions each, by base: how many are right of Score and of Prior, and which descriptions are true. */
type Found = readonly (readonly [score: number, prior: number, described: readonly (boolean | null)[]])[]
const half = [true, false]
const found: Readonly<Record<string, Found>> = {
  base: [
    [1, 2, half],
    [1, 2, half],
    [1, 2, half],
  ],
  'same-prompt': [
    [1, 4, half],
    [1, 0, half],
    [1, 2, half],
  ],
  opsd: [
    [1, 0, half],
    [2, 0, [null, null]],
    [2, 0, half],
  ],
  vigos: [
    [3, 2, [true, true]],
    [3, 2, [true, true]],
    [4, 2, [true, null]],
  ],
}

function made(plan: ExperimentPlan = smallPlan): ExperimentFiles {
  const files = new ExperimentFiles(newFolder(), null)
  for (const [i, seed] of [1, 3, 4].entries()) {
    for (const [arm, values] of Object.entries(found)) {
      const [score, prior, described] = values[i] as Found[number]
      writeGrades(files.grades(plan.recipe, seed, arm, null), answersOf(rightOf(score, 4), rightOf(prior, 4), described))
    }
  }
  for (const seed of [1, 2, 3, 4]) writeBase(files.base(plan.recipe, seed), { seed, accepted: seed !== 2 })
  return files
}

const compared = ({ comparisons }: ExperimentSummary, first: string, second: string, measure = 'score'): Comparison => {
  const chosen = comparisons.filter((each) => each.first === first && each.second === second && each.measure === measure)
  assert.equal(chosen.length, 1)
  return chosen[0] as Comparison
}

const files = made()
const summary = summarise(smallPlan, files)

test('bases are told in the order of seeds, with what they broke; the accepted ones are used', () => {
  assert.deepEqual(
    summary.bases.map(({ seed, accepted, broken }) => [seed, accepted, broken]),
    [
      [1, true, []],
      [2, false, ['caption/descriptionTruth']],
      [3, true, []],
      [4, true, []],
    ],
  )
  assert.deepEqual(summary.used, [1, 3, 4])
})

test('means are by arm, measure and base; null where nothing can be measured', () => {
  assert.deepEqual(Object.keys(summary.means), ['base', 'same-prompt', 'opsd', 'vigos'])
  assert.deepEqual(summary.means['opsd']?.['score'], [1 / 4, 2 / 4, 2 / 4])
  assert.deepEqual(summary.means['opsd']?.['description'], [1 / 2, null, 1 / 2])
  assert.deepEqual(summary.means['vigos']?.['overall'], [5 / 8, 5 / 8, 6 / 8])
  assert.deepEqual(summary.means['vigos']?.['description'], [1, 1, 1])
  assert.equal(meanMeasure([], measures.overall), null)
  // As JSON it is what it was.
  assert.deepEqual(JSON.parse(JSON.stringify(summary)), summary)
})

test('arms are paired by base: differences, t interval, sign flips', () => {
  const one = compared(summary, 'vigos', 'opsd')
  // 2/4, 1/4, 2/4: mean 5/12, deviation √(1/48), standard error 1/12.
  assert.deepEqual(one.differences, [0.5, 0.25, 0.5])
  const { value, low, high } = one.interval as NonNullable<Comparison['interval']>
  close([value, low, high], [5 / 12, 5 / 12 - t2 / 12, 5 / 12 + t2 / 12])
  // All of one sign: of 8 patterns that and its mirror.
  assert.equal(one.p, 2 / 8)
  // 0, −1/4, −1/4: both zeros of the first and both mirrors.
  assert.deepEqual([compared(summary, 'base', 'opsd').differences, compared(summary, 'base', 'opsd').p], [[0, -0.25, -0.25], 4 / 8])
  // 0, 0, 0.
  assert.deepEqual(
    [compared(summary, 'same-prompt', 'base').p, compared(summary, 'same-prompt', 'base').interval],
    [1, { value: 0, low: 0, high: 0 }],
  )
})

test('Holm corrects over the arms against one other by one measure', () => {
  const family = (second: string, measure = 'score'): (readonly [string, number | null, number | null])[] =>
    summary.comparisons.filter((each) => each.second === second && each.measure === measure).map(({ first, p, adjusted }) => [first, p, adjusted])
  // ¼ · 3, then ½ · 2, then 1 · 1, none above 1.
  assert.deepEqual(family('base'), [
    ['same-prompt', 1, 1],
    ['opsd', 1 / 2, 1],
    ['vigos', 1 / 4, 3 / 4],
  ])
  assert.deepEqual(family('opsd'), [
    ['base', 1 / 2, 1],
    ['same-prompt', 1 / 2, 1],
    ['vigos', 1 / 4, 3 / 4],
  ])
  assert.equal(summary.comparisons.length, 9)
})

test('a comparison without a value on a base is none, and what there is by base stays', () => {
  const { differences, interval, p, adjusted, within } = compared(summary, 'vigos', 'opsd', 'description')
  assert.deepEqual([differences, interval, p, adjusted], [[0.5, null, 0.5], null, null, null])
  assert.equal(within[0]?.value, 0.5)
  assert.equal(within[1], null)
  // Only the first question has a description of both.
  assert.deepEqual(within[2], { value: 0, low: 0, high: 0 })
})

test('those that have a p-value are corrected among themselves', () => {
  const plan: ExperimentPlan = { ...smallPlan, against: [{ arm: 'base', measures: ['description'] }] }
  const own = summarise(plan, files).comparisons.map(({ first, p, adjusted }) => [first, p, adjusted])
  // vigos: ½, ½, ½, so p is ¼, and of two it is doubled.
  assert.deepEqual(own, [
    ['same-prompt', 1, 1],
    ['opsd', null, null],
    ['vigos', 1 / 4, 1 / 2],
  ])
})

test('within a base questions are the units', () => {
  const [first] = compared(summary, 'vigos', 'opsd').within
  assert.equal(first?.value, 0.5)
  // Two of four questions differ, by 1: the mean of four draws is binomial, and its 2.5 % and 97.5 % quantiles are 0 and 1.
  assert.deepEqual([first?.low, first?.high], [0, 1])
})

test('Prior is not inferior where the whole interval lies above the margin', () => {
  assert.deepEqual(
    summary.prior.map(({ arm, value, verdict }) => [arm, value, verdict]),
    [
      ['same-prompt', 0, 'inconclusive'],
      ['opsd', -0.5, 'inferior'],
      ['vigos', 0, 'non-inferior'],
    ],
  )
  const wide = summary.prior[0]
  // ½, −½, 0: deviation ½.
  close([wide?.low ?? 0, wide?.high ?? 0], [(-t2 * 0.5) / Math.sqrt(3), (t2 * 0.5) / Math.sqrt(3)])
  assert.equal(summarise({ ...smallPlan, margin: 2 }, files).prior[0]?.verdict, 'non-inferior')
})

test('curves read the answers of their step', () => {
  writeGrades(files.grades('tempted', 3, 'vigos', 2), answersOf(rightOf(2, 4), rightOf(4, 4)))
  const answers = new Answers(smallPlan, files)
  assert.equal(meanMeasure(answers.of('vigos', 3, 2), measures.score), 1 / 2)
  assert.equal(meanMeasure(answers.of('vigos', 3), measures.score), 3 / 4)
})

test('means over bases: null without a value, an error for one base', () => {
  assert.equal(overBases([0.5, null, 0.5]), null)
  assert.throws(() => overBases([0.5]), ArgumentError)
  assert.throws(() => summarise({ ...smallPlan, bases: 1 }, files), ArgumentError)
})
