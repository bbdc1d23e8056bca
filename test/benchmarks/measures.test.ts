// Scores from verdicts made by hand against values worked by hand.

import assert from 'node:assert/strict'
import test from 'node:test'
import { meanOf } from '../../src/benchmarks/measures.ts'
import { benchmarkNamed, benchmarks } from '../../src/benchmarks/registry.ts'
import { benchmarksNamed, type Dependency, suites } from '../../src/benchmarks/suites.ts'
import { ArgumentError } from '../../src/errors.ts'
import type { BenchmarkScores } from '../../src/evaluation/scores.ts'
import { scoreSuites } from '../../src/evaluation/suite-scores.ts'
import { graded, measured } from './support.ts'

const q = (id: string, groups: Readonly<Record<string, string>>, credit: number) => graded({ id, groups }, credit)

/** The score of a suite, or of its rows of one visual dependency, when these benchmarks were run; null if some are missing. */
function suiteScore(name: string, scores: Readonly<Record<string, number | null>>, dependency: Dependency | null = null): number | null {
  const scored = Object.entries(scores).flatMap(([benchmark, value]) =>
    value === null ? [] : [{ scores: { benchmark } as BenchmarkScores, headline: new Map([['Acc@1', [{ id: '0', sum: value, count: 1 }]]]) }],
  )
  const found = scoreSuites(scored, { resamples: 10 }).suites.find((each) => each.name === name)
  return (dependency === null ? found?.statistics : found?.dependency[dependency])?.['Acc@1']?.value ?? null
}

const near = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-12, `${actual}, expected ${expected}`)

test('means of units', () => {
  assert.equal(meanOf([]), null)
  near(
    meanOf([
      { id: 'a', value: 1 },
      { id: 'b', value: 0.5 },
    ]),
    0.75,
  )
  // (3·1 + 1·0) / 4
  near(
    meanOf([
      { id: 'a', value: 1, weight: 3 },
      { id: 'b', value: 0 },
    ]),
    0.75,
  )
})

test('ViLP: Score is the mean of positions 2 and 3, Prior is position 1', () => {
  // Right by position: 2 of 3, 1 of 3, 2 of 3.
  const right = [
    [1, 0, 1],
    [1, 1, 0],
    [0, 0, 1],
  ]
  const all = right.flatMap((row, i) => row.map((credit, j) => q(`${i}-${j + 1}`, { position: String(j + 1) }, credit)))
  for (const name of ['vilp-f', 'vilp-p']) {
    near(measured(name, 'score', all), (1 / 3 + 2 / 3) / 2)
    near(measured(name, 'prior', all), 2 / 3)
  }
})

test('MathVerse: accuracy of all versions and of each', () => {
  const credits = {
    'Text Dominant': [1, 1, 0, 1],
    'Text Lite': [1, 0, 0, 1],
    'Vision Intensive': [0, 0, 1, 1],
    'Vision Dominant': [0, 0, 0, 1],
    'Vision Only': [0, 0, 0, 0],
  }
  const all = Object.entries(credits).flatMap(([version, each]) => each.map((credit, i) => q(`${version}-${i}`, { version }, credit)))
  near(measured('mathverse', 'accuracy', all), 8 / 20)
  near(measured('mathverse', 'text-dominant', all), 3 / 4)
  near(measured('mathverse', 'text-lite', all), 2 / 4)
  near(measured('mathverse', 'vision-intensive', all), 2 / 4)
  near(measured('mathverse', 'vision-dominant', all), 1 / 4)
  near(measured('mathverse', 'vision-only', all), 0)
})

test('MMMU-Pro: overall is the mean of ten options and vision, whatever their sizes', () => {
  const ten = [1, 1, 0, 1, 0].map((credit, i) => q(String(i), {}, credit))
  const vision = [1, 0, 0, 0].map((credit, i) => q(String(i), {}, credit))
  const scores: Readonly<Record<string, number | null>> = {
    'mmmu-pro-10': measured('mmmu-pro-10', 'accuracy', ten),
    'mmmu-pro-vision': measured('mmmu-pro-vision', 'accuracy', vision),
  }
  // (3/5 + 1/4) / 2
  near(suiteScore('mmmu-pro', scores), 0.425)
  assert.equal(suiteScore('mmmu-pro', { 'mmmu-pro-10': 0.6 }), null)
})

test("suites: ViGOS's eight rows count the same, VGS's by dependency", () => {
  const run = (suite: string, scores: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(benchmarksNamed([suite]).map(({ name }) => [name, scores[name] ?? 0.5]))
  // Seven rows of 0.5, and MMMU-Pro's (0.2 + 0.6) / 2.
  near(suiteScore('vigos', run('vigos', { 'mmmu-pro-10': 0.2, 'mmmu-pro-vision': 0.6 })), (7 * 0.5 + 0.4) / 8)
  const all = run('vgs-dependency', { 'mmmu-pro-4': 0.4, logicvista: 0.6, geo3k: 0.1, 'we-math': 0.3, math500: 0.8 })
  near(suiteScore('vgs-dependency', all, 'high'), 0.5)
  near(suiteScore('vgs-dependency', all, 'low'), 0.2)
  near(suiteScore('vgs-dependency', all, 'text'), 0.8)
  assert.equal(suiteScore('vigos', run('vigos', {}), 'low'), null)
  assert.deepEqual(
    benchmarksNamed(['vilp', 'vilp-f', 'geo3k', 'mmmu-pro']).map(({ name }) => name),
    ['vilp-f', 'vilp-p', 'geo3k', 'mmmu-pro-10', 'mmmu-pro-vision'],
  )
  assert.throws(() => benchmarksNamed(['vigoss']), /no benchmark or suite "vigoss"; benchmarks: mm-vet, .*; suites: vigos, /)
})

test('CV-Bench: the mean of 2D, itself the mean of two sources, and 3D', () => {
  const of = (type: string, source: string, credits: readonly number[]) => credits.map((credit, i) => q(`${source}-${i}`, { type, source }, credit))
  const all = [...of('2D', 'ADE20K', [1, 0]), ...of('2D', 'COCO', [1, 1, 1, 0]), ...of('3D', 'Omni3D', [0, 0, 1, 0, 0])]
  near(measured('cv-bench', 'overall', all), ((1 / 2 + 3 / 4) / 2 + 1 / 5) / 2)
  near(measured('cv-bench', 'accuracy', all), 5 / 11)
  near(measured('cv-bench', '2d', all), (1 / 2 + 3 / 4) / 2)
  near(measured('cv-bench', '3d', all), 1 / 5)
})

test('VlmsAreBlind: over questions and over tasks', () => {
  const all = [q('a', { task: 'x' }, 1), q('b', { task: 'x' }, 1), q('c', { task: 'x' }, 0), q('d', { task: 'y' }, 0)]
  near(measured('vlms-are-blind', 'accuracy', all), 2 / 4)
  near(measured('vlms-are-blind', 'task-mean', all), (2 / 3 + 0) / 2)
})

test('HallusionBench: per question, per question over figures, per figure over questions', () => {
  const row = (category: string, figure: number, question: number, credit: number) =>
    q(`${category}-${figure}-${question}`, { category, subcategory: 'map', set: '0', figure: String(figure), question: String(question) }, credit)
  const all = [...[row('VD', 0, 0, 1), row('VD', 0, 1, 1), row('VD', 1, 0, 1), row('VD', 1, 1, 0)], ...[row('VS', 0, 0, 0), row('VS', 1, 0, 1)]]
  near(measured('hallusion-bench', 'a-acc', all), 4 / 6)
  // VD question 0 is right on both figures; VD 1 and VS 0 are not.
  near(measured('hallusion-bench', 'q-acc', all), 1 / 3)
  // VD figure 0 and VS figure 1; VS figure 0 is none.
  near(measured('hallusion-bench', 'f-acc', all), 2 / 3)
})

test('VLind: each stage counts the instances that pass the stages before', () => {
  const instance = (
    id: string,
    [knowledge, perception, context]: readonly [number, number, number],
    pictures: readonly (readonly [number, number])[],
  ) => {
    const groups = (stage: string, picture = '') => ({ instance: id, stage, picture, questions: String(6 + 2 * pictures.length) })
    const pair = (stage: string, [yes, no]: readonly [number, number], picture = '') => [
      q(`${id}-${stage}-${picture}-true`, groups(stage, picture), yes),
      q(`${id}-${stage}-${picture}-false`, groups(stage, picture), no),
    ]
    return [
      ...pair('knowledge', [1, knowledge]),
      ...pair('perception', [perception, 1]),
      ...pair('context', [1, context]),
      ...pictures.flatMap((both, i) => pair('prior', both, String(i))),
    ]
  }
  const all = [
    ...instance(
      '0',
      [1, 1, 1],
      [
        [1, 1],
        [1, 0],
      ],
    ),
    ...instance('1', [1, 1, 1], [[1, 1]]),
    ...instance(
      '2',
      [1, 0, 1],
      [
        [1, 1],
        [0, 0],
      ],
    ),
    ...instance('3', [0, 1, 1], [[0, 1]]),
    ...instance('4', [1, 1, 0], [[1, 1]]),
  ]
  const score = (name: string, from = all) => measured('vlind', name, from)
  near(score('knowledge'), 4 / 5)
  near(score('perception'), 4 / 5)
  // Of 0, 1, 2 and 4, all but the last.
  near(score('context'), 3 / 4)
  near(score('context-accuracy'), 4 / 5)
  // 0 and 1 pass all stages before: (1/2 + 1) / 2.
  near(score('language-prior'), 3 / 4)
  near(score('language-prior-accuracy'), (1 / 2 + 1 + 1 / 2 + 0 + 1) / 5)
  // An instance without one of its questions does not count.
  near(score('language-prior', all.slice(1)), 1)
})

test('We-Math: mastery, generalization, knowledge and rote, strict and loose', () => {
  const problem = (id: string, steps: readonly number[], whole: number) => {
    const groups = (part: string) => ({ problem: id, steps: `${steps.length}steps`, part })
    return [
      ...steps.map((credit, i) => q(`${id}-${steps.length}-${i + 1}`, groups(String(i + 1)), credit)),
      q(`${id}-${steps.length}-multi`, groups('multi'), whole),
    ]
  }
  const all = [
    ...problem('a', [1, 1], 1),
    ...problem('b', [1, 1], 0),
    ...problem('c', [1, 0], 1),
    ...problem('d', [0, 0], 1),
    ...problem('e', [0, 1], 0),
    // An id that a problem of two steps has too.
    ...problem('a', [1, 1, 1], 1),
    ...problem('b', [0, 0, 1], 1),
    ...problem('c', [1, 1, 1], 0),
  ]
  const score = (name: string) => measured('we-math', name, all)
  // Of eight: mastered 2, half for 2; loosely also c and the second b.
  near(score('score-strict'), (2 + 2 * 0.5) / 8)
  near(score('score-loose'), (4 + 2 * 0.5) / 8)
  near(score('insufficient-knowledge'), 1 / 8)
  near(score('inadequate-generalization'), 2 / 8)
  near(score('mastery-strict'), 2 / 8)
  near(score('mastery-loose'), 4 / 8)
  // Five wholes are right.
  near(score('rote-strict'), 3 / 5)
  near(score('rote-loose'), 1 / 5)
  near(score('one-step'), (2 + 2 + 1 + 0 + 1 + 3 + 1 + 3) / 19)
  near(score('two-step'), 3 / 5)
  near(score('three-step'), 2 / 3)
  // Without one of its steps a problem does not count.
  near(measured('we-math', 'score-strict', all.slice(1)), (1 + 2 * 0.5) / 7)
})

test('MM-Vet: mean credit, and of the questions that take an ability', () => {
  const all = [q('a', { capabilities: 'math,ocr' }, 0.5), q('b', { capabilities: 'rec' }, 1), q('c', { capabilities: 'ocr,rec' }, 0.1)]
  near(measured('mm-vet', 'accuracy', all), 1.6 / 3)
  near(measured('mm-vet', 'ocr', all), 0.3)
  near(measured('mm-vet', 'rec', all), 0.55)
  near(measured('mm-vet', 'math', all), 0.5)
  assert.equal(measured('mm-vet', 'gen', all), null)
})

test('MathVista by form, PriorWorld by split', () => {
  const vista = [q('a', { type: 'multi_choice' }, 1), q('b', { type: 'free_form' }, 0), q('c', { type: 'free_form' }, 1)]
  near(measured('mathvista', 'multi-choice', vista), 1)
  near(measured('mathvista', 'free-form', vista), 1 / 2)
  const prior = [q('a', { split: 'score' }, 0), q('b', { split: 'score' }, 1), q('c', { split: 'prior' }, 1), q('d', { split: 'neutral' }, 1)]
  near(measured('prior-world', 'score', prior), 1 / 2)
  near(measured('prior-world', 'prior', prior), 1)
  near(measured('prior-world', 'accuracy', prior), 3 / 4)
})

test('names of benchmarks and measures are distinct and can be typed', () => {
  assert.equal(new Set(benchmarks.map(({ name }) => name)).size, benchmarks.length)
  for (const { name, measures } of benchmarks) {
    for (const each of [name, ...measures.map((measure) => measure.name)]) assert.match(each, /^[a-z0-9]+(?:-[a-z0-9]+)*$/)
    assert.equal(new Set(measures.map((measure) => measure.name)).size, measures.length, name)
    for (const { units } of measures) assert.deepEqual(units([]), [])
  }
  for (const { rows } of suites) for (const each of rows) assert.equal(benchmarksNamed(each.benchmarks).length, each.benchmarks.length)
  assert.throws(
    () => benchmarkNamed('mmvet'),
    (error: unknown) => error instanceof ArgumentError && error.message.includes('mm-vet, mmmu, mmmu-pro-10'),
  )
})
