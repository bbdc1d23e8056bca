// Scores: Pass@k against every draw counted out, measures and shares against values worked by hand, intervals against an independent bootstrap.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bestOf, scoreBenchmark } from '../../src/evaluation/scores.ts'
import { scoreSuites } from '../../src/evaluation/suite-scores.ts'
import { bootstrapMeanOfRatios, bootstrapRatio } from '../../src/statistics/bootstrap.ts'
import { randomWords } from '../../src/statistics/random.ts'
import { close } from '../support.ts'
import { stored, sumQuestions, sums, verdict } from './support.ts'

/** All ways to choose k of some values. */
function* draws(values: readonly number[], k: number): Generator<number[]> {
  if (k === 0) yield []
  for (const [i, value] of values.entries()) if (k > 0) for (const rest of draws(values.slice(i + 1), k - 1)) yield [value, ...rest]
}

test('the best of k is the mean over all draws of k answers', () => {
  for (const values of [
    [1, 0, 0, 1, 0],
    [0, 0, 0],
    [1, 1],
    [0.3, 0.9, 0, 1, 0.5, 0.5, 0.2],
  ]) {
    for (let k = 1; k <= values.length; k++) {
      const all = [...draws(values, k)].map((drawn) => Math.max(...drawn))
      close([bestOf(values, k)], [all.reduce((sum, best) => sum + best, 0) / all.length], { absolute: 1e-12 }, `${values} best of ${k}`)
    }
  }
})

test('Pass@k is that of Chen et al. also for many answers', () => {
  // Their stable form: 1 − Π_{i = n−c+1}^{n} (1 − k / i).
  for (const [n, c, k] of [
    [16, 3, 4],
    [200, 17, 100],
    [1000, 1, 10],
    [100, 100, 7],
    [5, 0, 5],
    [16, 12, 8],
  ] as const) {
    let missed = 1
    for (let i = n - c + 1; i <= n; i++) missed *= 1 - k / i
    const expected = n - c < k ? 1 : 1 - missed
    close([bestOf([...Array<number>(c).fill(1), ...Array<number>(n - c).fill(0)], k)], [expected], { absolute: 1e-12 }, `${n} ${c} ${k}`)
  }
  // By hand: two of five right, two drawn: 1 − C(3,2)/C(5,2) = 1 − 3/10.
  close([bestOf([0, 1, 0, 1, 0], 2)], [0.7])
})

const items = sumQuestions(4).map(({ images: _, ...item }) => item)
/** By question, the credits of three answers. */
const credits = [
  [1, 0, 0],
  [1, 1, 1],
  [0, 0, 0],
  [0, 1, 0.5],
]
const verdicts = credits.flatMap((row, q) => row.map((credit, index) => verdict(`q${q}`, index, credit)))
const answers = verdicts.map(({ id, index }) => stored(id, index))
const valuesOf = (statistics: Readonly<Record<string, { readonly value: number }>>) =>
  Object.fromEntries(Object.entries(statistics).map(([name, { value }]) => [name, value]))

test('measures over answers, pairs and groups are those worked by hand', () => {
  const { scores } = scoreBenchmark(sums, items, 3, answers, verdicts)
  const [accuracy, pairs] = scores.measures
  assert.deepEqual(Object.keys(accuracy?.statistics ?? {}), ['Acc@1', 'Avg@3', 'Pass@2', 'Pass@3'])
  assert.equal(accuracy?.units, 4)
  // Avg@3: (1/3 + 1 + 0 + 1/2)/4. Pass@2: q0 2/3, q1 1, q2 0, q3 (1 + 1 + 0.5)/3. Pass@3: 1, 1, 0, 1.
  close(Object.values(valuesOf(accuracy?.statistics ?? {})), [1 / 2, 11 / 24, (2 / 3 + 1 + 0 + 5 / 6) / 4, 3 / 4], { absolute: 1e-12 })
  // Pairs (q0 q1) and (q2 q3), by answer: (1, 0), (0, 0), (0, 0).
  assert.equal(pairs?.units, 2)
  close(Object.values(valuesOf(pairs?.statistics ?? {})), [1 / 2, 1 / 6, 1 / 3, 1 / 2], { absolute: 1e-12 })
  const parity = Object.fromEntries(
    (scores.groups['parity'] ?? []).map(({ group, units, statistics }) => [group, [units, statistics['Avg@3']?.value]]),
  )
  assert.deepEqual(parity, { even: [2, 1 / 6], odd: [2, 3 / 4] })
})

test('with one answer there is Acc@1 alone, and the interval is that of the units', () => {
  const first = verdicts.filter(({ index }) => index === 0)
  const { scores } = scoreBenchmark(
    sums,
    items,
    1,
    first.map(({ id }) => stored(id, 0)),
    first,
  )
  const expected = bootstrapRatio([1, 1, 0, 0].map((sum) => ({ sum, count: 1 })))
  assert.deepEqual(scores.measures[0]?.statistics, { 'Acc@1': expected })
  assert.ok(expected.low < 0.5 && expected.high > 0.5)
})

test('intervals are those of a bootstrap over questions written here', () => {
  const { scores } = scoreBenchmark(sums, items, 3, answers, verdicts)
  const word = randomWords(0)
  const means = credits.map((row) => row.reduce((sum, value) => sum + value, 0) / 3)
  const resampled = Array.from({ length: 10_000 }, () => {
    let sum = 0
    for (let i = 0; i < 4; i++) sum += means[Math.floor((word() / 2 ** 32) * 4)] as number
    return sum / 4
  }).sort((a, b) => a - b)
  const at = (share: number): number => {
    const place = share * (resampled.length - 1)
    const [low, high] = [resampled[Math.floor(place)] as number, resampled[Math.ceil(place)] as number]
    return low + (high - low) * (place - Math.floor(place))
  }
  const average = scores.measures[0]?.statistics['Avg@3']
  close([average?.low as number, average?.high as number], [at(0.025), at(0.975)], { absolute: 1e-12 })
})

test('weights of units count, and units that apply to some answers only count there', () => {
  const weighed = {
    ...sums,
    measures: [
      {
        name: 'weighed',
        label: 'Weighed',
        // q1 counts three times, and q3 only where it is not wrong.
        units: (graded: Parameters<(typeof sums.measures)[0]['units']>[0]) =>
          graded
            .map(({ question: { id }, verdict: { credit } }) => ({ id, value: credit, weight: id === 'q1' ? 3 : 1 }))
            .filter(({ id, value }) => id !== 'q3' || value > 0),
      },
    ],
  } as const
  const statistics = valuesOf(scoreBenchmark(weighed, items, 3, answers, verdicts).scores.measures[0]?.statistics ?? {})
  // Acc@1: q0 1, q1 1 (3), q2 0. Avg@3: sums 1 + 9 + 0 + 1.5 over 3 + 9 + 3 + 2. Pass@3: q3 has two answers only.
  close(Object.values(statistics), [4 / 5, 11.5 / 17, (2 / 3 + 3 + 0 + 1) / 6, (1 + 3 + 0) / 5], { absolute: 1e-12 })
})

test('form is told apart from ability', () => {
  const lines = verdicts.map((line, i) => ({
    ...line,
    valid: i % 2 === 0,
    outcome: i === 2 ? ('undecided' as const) : line.outcome,
    judge: i === 4 ? { model: 'm', prompt: 'p', reply: 'r' } : null,
  }))
  const told = answers.map((answer, i) => ({ ...answer, ended: i < 3 ? ('length' as const) : ('stop' as const), tokens: i }))
  const { form, judged } = scoreBenchmark(sums, items, 3, told, lines).scores
  const values = [form.valid, form.right, form.rightIfValid, form.cut, form.undecided].map((each) => each?.value as number)
  // Right: places 0, 3, 4, 5, 10; of these valid (even): 0, 4, 10.
  close(values, [6 / 12, 5 / 12, 3 / 6, 3 / 12, 1 / 12], { absolute: 1e-12 })
  assert.deepEqual([form.tokens, judged], [5.5, 1])
  const silent = scoreBenchmark(
    sums,
    items,
    3,
    [{ ...(told[0] as (typeof told)[0]), tokens: null }, ...told.slice(1)],
    lines.map((line) => ({ ...line, valid: false })),
  )
  assert.deepEqual([silent.scores.form.tokens, silent.scores.form.rightIfValid], [null, null])
})

test('the mean over ratios counts each by its weight, and draws within each', () => {
  const ones = (values: readonly number[]) => values.map((sum) => ({ sum, count: 1 }))
  const parts = ones([1, 1, 1, 1, 0, 0, 0, 0])
  // One alone has the interval of its own.
  assert.deepEqual(bootstrapMeanOfRatios([{ parts, weight: 7 }], { seed: 3 }), bootstrapRatio(parts, { seed: 3 }))
  // Two of variance v₁ and v₂: 3/4 of one and 1/4 of the other have (9 v₁ + v₂) / 16; a percentile interval comes near the normal one.
  const many = (share: number, count: number) => ones(Array.from({ length: count }, (_, i) => (i < share * count ? 1 : 0)))
  const { value, low, high } = bootstrapMeanOfRatios([
    { parts: many(0.3, 400), weight: 3 },
    { parts: many(0.8, 100), weight: 1 },
  ])
  const half = 1.96 * Math.sqrt((9 * (0.21 / 400) + 0.16 / 100) / 16)
  close([value, low, high], [0.425, 0.425 - half, 0.425 + half], { absolute: 0.003 })
  assert.throws(() => bootstrapMeanOfRatios([]), /expected at least 1 ratio/)
})

test('suites are scored by rows, and by visual dependency', () => {
  const scoredOf = (benchmark: string, values: readonly number[]) => {
    const set = { ...sums, name: benchmark }
    const items = sumQuestions(values.length).map(({ images: _, ...item }) => item)
    const lines = values.map((credit, i) => verdict(`q${i}`, 0, credit))
    return scoreBenchmark(
      set,
      items,
      1,
      lines.map(({ id }) => stored(id, 0)),
      lines,
    )
  }
  const found = scoreSuites([scoredOf('mmmu-pro-10', [1, 0, 0, 0]), scoredOf('mmmu-pro-vision', [1, 1, 1, 0, 0, 0]), scoredOf('vilp-f', [1, 1])])
  // By hand: (1/4 + 1/2) / 2, and with the third (1/4 + 1/2 + 1) / 3.
  close([found.suites[0]?.statistics['Acc@1']?.value as number, found.mean?.['Acc@1']?.value as number], [3 / 8, 7 / 12], { absolute: 1e-12 })
  assert.deepEqual(
    found.suites.map(({ name }) => name),
    ['mmmu-pro'],
  )
  const names = ['mmmu-pro-4', 'logicvista', 'geo3k', 'we-math', 'math500']
  const dependency = scoreSuites(names.map((name, i) => scoredOf(name, [1, ...Array<number>(i).fill(0)]))).suites.find(
    ({ name }) => name === 'vgs-dependency',
  )
  const values = ['high', 'low', 'text'].map((group) => dependency?.dependency[group as 'high']?.['Acc@1']?.value as number)
  close(values, [(1 + 1 / 2) / 2, (1 / 3 + 1 / 4) / 2, 1 / 5], { absolute: 1e-12 })
  assert.equal(scoreSuites([scoredOf('vilp-f', [1])]).mean, null)
})
