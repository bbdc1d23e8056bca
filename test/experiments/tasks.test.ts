// Accuracy and visual dependency task by task, worked by hand: from files to groups of tasks, and from those to the tables of a report.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { worldNamed } from '../../src/data/worlds/registry.ts'
import type { DiagnosedRollout, Diagnosis } from '../../src/diagnostics/diagnosis.ts'
import { opsd, vigos } from '../../src/experiments/arms.ts'
import { comparisonReport } from '../../src/experiments/comparison-report.ts'
import { ExperimentFiles, type ExperimentPlan, type Part, untrained } from '../../src/experiments/plan.ts'
import { dependencyGroups, overTasks, type TaskAccuracy, taskAccuracies } from '../../src/experiments/tasks.ts'
import { parsePage, textOf } from '../report/xml.ts'
import { close } from '../support.ts'
import { answersByTask, diagnosisOf, newFolder, smallPlan, writeBase, writeFigures, writeGrades, writeJson } from './made.ts'
import { hasTable, pointsOf, rowsOf } from './read.ts'

const scenes: Part = { world: 'prior', share: 0.5, pixels: 56, tasks: null, splits: ['score', 'neutral'] }
const figures: Part = { world: 'blind', share: 0.5, pixels: 112, tasks: ['touching_circles', 'line_intersections', 'rows_columns'], splits: ['easy'] }

const plan: ExperimentPlan = {
  ...{ ...smallPlan, arms: [opsd, { ...vigos, label: 'Vi & GOS' }], curve: { at: [], arms: ['vigos'] } },
  against: [{ arm: 'opsd', measures: ['score'] }],
  ...{ asked: [scenes, figures], figures: { drawn: figures, count: 12, seed: 9 } },
  diagnoses: [
    { arm: 'opsd', what: 'dependency,geometry', checkpoint: 'none', samples: 8, more: [] },
    { arm: 'opsd', what: 'dynamics', checkpoint: 'last', samples: 8, more: [] },
    { arm: 'vigos', what: 'dynamics', checkpoint: 'last', samples: 8, more: [] },
  ],
}
/** Of the accepted bases. */
const seeds = [1, 3, 4]

/** The first sample of seed 7 that is of this task, as diagnoses name it. */
function sampleOf({ world, tasks, splits }: Part, task: string, split: string): string {
  for (let index = 0; index < 100; index++) {
    const sample = worldNamed(world).sample(7, index, { tasks, splits })
    if (sample.task === task && sample.split === split) return sample.id
  }
  throw new Error(`no ${split}, ${task} among a hundred`)
}

const answered = (id: string, dependency: readonly number[] | null): DiagnosedRollout => ({
  ...{ id, row: 0, problem: '', answer: 'blue', answerGiven: null, correct: false, valid: true, palr: null, dependency },
  ...{ tokens: (dependency ?? []).map(() => 'a'), segments: (dependency ?? []).map(() => 'answer') },
})

/** Steps 2 and 6; everything grows by a tenth from base to base. */
function dynamicsOf(base: number, scale: number): Diagnosis['dynamics'] {
  const by = 1 + 0.1 * base
  const ratio = (mean: number) => ({ sum: 4 * mean * by * scale, count: 4 })
  return [2, 6].map((step) => {
    const [vis, lang] = [ratio(0.1 * step), ratio(0.2 * step)]
    const all = { std: ratio(1), vis, lang }
    const dependent = { std: ratio(1), vis: ratio(0.3 * step), lang: ratio(0.4 * step) }
    // At the end the second base has a gradient of zero, which has no angle.
    const cosine = step === 6 && base === 1 ? null : 0.05 * step * by * scale
    return { step, tokens: 4, dependency: ratio(1), all, dependent, norms: { std: 0.5 * step * by * scale, vis: 0.6 * step * by * scale }, cosine }
  })
}

type Values = readonly number[]
/** By arm, right answers of ten to two tasks of scenes, for each base. */
const right: Readonly<Record<string, { readonly fact: Values; readonly number: Values }>> = {
  [untrained]: { fact: [1, 2, 3], number: [5, 5, 5] },
  opsd: { fact: [2, 4, 6], number: [6, 6, 9] },
  vigos: { fact: [8, 8, 8], number: [6, 7, 8] },
}
/** By arm, accuracies of three tasks of figures and of one that only the benchmark has. */
const drawn: Readonly<Record<string, { readonly circles: Values; readonly lines: Values; readonly grids: Values; readonly letters: Values }>> = {
  [untrained]: { circles: [0.5, 0.5, 0.5], lines: [0.25, 0.25, 0.25], grids: [0, 0, 0], letters: [0.1, 0.1, 0.1] },
  opsd: { circles: [0.5, 0.75, 0.75], lines: [0.25, 0.25, 0.5], grids: [0, 0.125, 0.125], letters: [0.2, 0.2, 0.2] },
  vigos: { circles: [0.75, 1, 1], lines: [0.5, 0.75, 1], grids: [0.125, 0.125, 0.25], letters: [0.3, 0.5, 0.6] },
}

/** An experiment that is done, with the benchmark's pictures or without. */
function made(blindtest: string | null): ExperimentFiles {
  const files = new ExperimentFiles(newFolder(), blindtest)
  const [fact, number] = [sampleOf(scenes, 'fact', 'score'), sampleOf(scenes, 'number', 'neutral')]
  const [circles, lines, grids] = [...(figures.tasks ?? [])].map((task) => sampleOf(figures, task, 'easy')) as [string, string, string]
  for (const [base, seed] of seeds.entries()) {
    const at = (values: Values): number => values[base] as number
    for (const [arm, { fact, number }] of Object.entries(right)) {
      const scored = { 'score/fact': [at(fact), 10], 'neutral/number': [at(number), 10], 'prior/plain': [9, 10] } as const
      writeGrades(files.grades('tempted', seed, arm, null), answersByTask(scored))
    }
    for (const [arm, { circles, lines, grids, letters }] of Object.entries(drawn)) {
      const tasks = [
        ['touching_circles', [at(circles), 4]] as const,
        ['line_intersections', [at(lines), 4]] as const,
        ['rows_columns', [at(grids), 8]] as const,
      ]
      // In another order for every base: groups are found by their names.
      const turned = Object.fromEntries([...tasks.slice(base), ...tasks.slice(0, base)])
      const real = { 'touching circles': [at(circles) / 2, 100], 'circled letter': [at(letters), 50] } as const
      writeFigures(files.figures('tempted', seed, arm, 'figures'), 'blind-world', turned)
      if (blindtest !== null) writeFigures(files.figures('tempted', seed, arm, 'benchmark'), 'vlms-are-blind', real)
    }
    const rollouts = [
      answered(fact, [1, 3]),
      answered(fact, [base, base]),
      answered(number, [0.5]),
      answered(circles, [0.25, 0.25, 0.7]),
      answered(lines, [2 * base]),
      answered(grids, [4]),
      answered(grids, null),
    ]
    writeJson(files.diagnosis('tempted', seed, 'opsd', 'dependency,geometry', 'none'), diagnosisOf({ rollouts }))
    writeJson(files.diagnosis('tempted', seed, 'opsd', 'dynamics', 'last'), diagnosisOf({ dynamics: dynamicsOf(base, 1) }))
    writeJson(files.diagnosis('tempted', seed, 'vigos', 'dynamics', 'last'), diagnosisOf({ dynamics: dynamicsOf(base, 2) }))
  }
  for (const seed of [1, 2, 3, 4]) writeBase(files.base('tempted', seed), { seed, accepted: seed !== 2 })
  return files
}

test('tasks with their questions, their dependency over all tokens, and every arm’s accuracy on every base', () => {
  const found = taskAccuracies(plan, made('/data/blindtest'))
  assert.deepEqual(
    found.map(({ place, task, count }) => [place, task, count]),
    [
      ['scenes', 'neutral, number', 10],
      ['scenes', 'prior, plain', 10],
      ['scenes', 'score, fact', 10],
      ['figures', 'touching circles', 4],
      ['figures', 'line intersections', 4],
      ['figures', 'rows columns', 8],
      ['benchmark', 'touching circles', 100],
      ['benchmark', 'circled letter', 50],
    ],
  )
  // Of facts the twelve tokens of three bases are 1, 3, b and b: 18 / 12. Circles 1.2 / 3; lines (0 + 2 + 4) / 3. Nobody answered the plain ones.
  const dependencies = found.map(({ dependency }) => dependency)
  assert.deepEqual(
    dependencies.map((each) => each === null),
    [false, true, false, false, false, false, false, true],
  )
  close(
    dependencies.filter((each) => each !== null),
    [0.5, 1.5, 0.4, 2, 4, 0.4],
  )
  const of = (place: TaskAccuracy['place'], task: string): TaskAccuracy['accuracy'] =>
    (found.find((each) => each.place === place && each.task === task) as TaskAccuracy).accuracy
  assert.deepEqual(of('scenes', 'score, fact'), { base: [0.1, 0.2, 0.3], opsd: [0.2, 0.4, 0.6], vigos: [0.8, 0.8, 0.8] })
  assert.deepEqual(of('scenes', 'prior, plain'), { base: [0.9, 0.9, 0.9], opsd: [0.9, 0.9, 0.9], vigos: [0.9, 0.9, 0.9] })
  for (const [arm, { circles, lines, grids, letters }] of Object.entries(drawn)) {
    assert.deepEqual(of('figures', 'touching circles')[arm], circles)
    assert.deepEqual(of('figures', 'line intersections')[arm], lines)
    assert.deepEqual(of('figures', 'rows columns')[arm], grids)
    assert.deepEqual(of('benchmark', 'circled letter')[arm], letters)
  }
})

test('the task of a sample is that of its world with the parts that were asked for', () => {
  // With every part of the world the same index is another question.
  const id = sampleOf(figures, 'rows_columns', 'easy')
  const index = Number(id.split('-')[2])
  assert.notEqual(worldNamed('blind').sample(7, index, {}).task, 'rows_columns')
  const files = made(null)
  for (const seed of seeds)
    writeJson(
      files.diagnosis('tempted', seed, 'opsd', 'dependency,geometry', 'none'),
      diagnosisOf({ rollouts: [answered(id, [seed]), answered(sampleOf(scenes, 'number', 'neutral'), [])] }),
    )
  const known = taskAccuracies(plan, files).filter(({ dependency }) => dependency !== null)
  // Seeds 1, 3 and 4. An answer of no token tells nothing.
  assert.deepEqual(
    known.map(({ place, task, dependency }) => [place, task, dependency]),
    [['figures', 'rows columns', 8 / 3]],
  )
})

test('thirds of the tasks that are drawn, from low to high, and means in which each task counts the same', () => {
  const task = (name: string, dependency: number | null, place: TaskAccuracy['place'] = 'figures'): TaskAccuracy => ({
    ...{ place, task: name, count: 1, dependency },
    accuracy: { a: [dependency ?? 0, 1] },
  })
  const namesOf = (tasks: readonly TaskAccuracy[]): string[][] => dependencyGroups(tasks).map((group) => group.map((each) => each.task))
  assert.deepEqual(namesOf([task('c', 3), task('a', 1), task('z', null), task('b', 2, 'scenes'), task('a', 1, 'benchmark')]), [['a'], ['b'], ['c']])
  // Four, five, seven and eight tasks: 1 + 2 + 1, 2 + 1 + 2, 2 + 3 + 2, 3 + 2 + 3.
  const sizes = [4, 5, 7, 8].map((count) => dependencyGroups(Array.from({ length: count }, (_, i) => task(`${i}`, -i))).map(({ length }) => length))
  assert.deepEqual(sizes, [[1, 2, 1], [2, 1, 2], [2, 3, 2], [3, 2, 3]]) // biome-ignore format: a list for each
  assert.deepEqual(namesOf([]), [[], [], []])
  // However many questions: (0.5 + 0.25) / 2.
  assert.deepEqual(overTasks([{ ...task('a', 0.5), count: 100 }, task('b', 0.25)], 'a'), [0.375, 1])
  assert.deepEqual(overTasks([], 'a'), [])
})

test('the report’s tables hold means over bases with t intervals: by dependency, by task, and arms against each other', () => {
  const page = parsePage(comparisonReport(plan, made('/data/blindtest')))
  // Three bases: t is 4.303. Low of OPSD: (circles + number) / 2 is 0.55, 0.675, 0.825; facts are 0.2, 0.4, 0.6; (lines + grids) / 2.
  assert.deepEqual(rowsOf(page, 'Accuracy by visual dependency'), [
    ['Arm', 'low: 0.40 to 0.50 nats', 'middle: 1.50 to 1.50 nats', 'high: 2.00 to 4.00 nats'],
    ['Base', '0.50[0.50, 0.50]', '0.20[−0.05, 0.45]', '0.13[0.13, 0.13]'],
    ['OPSD', '0.68[0.34, 1.03]', '0.40[−0.10, 0.90]', '0.21[−0.03, 0.45]'],
    ['Vi & GOS', '0.81[0.51, 1.10]', '0.80[0.80, 0.80]', '0.46[0.07, 0.85]'],
  ])
  assert.match(
    textOf(page),
    /low: figures touching circles; scenes neutral, number\. +middle: scenes score, fact\. +high: figures line intersections; figures rows columns\./,
  )

  // Means over three tasks of figures: OPSD 0.25, 0.375, 0.458; ViGOS 0.208, 0.25, 0.292 above it; the base 0, 0.125, 0.208 below it.
  assert.deepEqual(rowsOf(page, 'Figures: arms less OPSD'), [
    ['Arm', 'figures (BlindWorld)', 'p', 'real pictures (VlmsAreBlind)', 'p'],
    ['Base', '−0.111[−0.372, 0.149]', '0.500 (0.50)', '−0.092[−0.181, −0.002]', '0.250 (0.50)'],
    ['Vi & GOS', '0.250[0.146, 0.354]', '0.250 (0.50)', '0.196[0.006, 0.386]', '0.250 (0.50)'],
  ])

  const ofScenes = rowsOf(page, 'Accuracy by task, scenes')
  assert.deepEqual(ofScenes[0], ['Task (questions)', 'Dependency', 'Base', 'OPSD', 'Vi & GOS'])
  assert.deepEqual(
    ofScenes.slice(1).map(([task, dependency, , second]) => [task, dependency, second]),
    [
      ['neutral, number (10)', '0.50', '0.70[0.27, 1.13]'],
      ['prior, plain (10)', '–', '0.90[0.90, 0.90]'],
      ['score, fact (10)', '1.50', '0.40[−0.10, 0.90]'],
      // (0.6 + 0.9 + 0.2) / 3, (0.6 + 0.9 + 0.4) / 3, (0.9 + 0.9 + 0.6) / 3.
      ['all tasks', '–', '0.67[0.37, 0.97]'],
    ],
  )
  assert.deepEqual(
    rowsOf(page, 'Accuracy by task, figures').map(([task, dependency]) => [task, dependency]),
    [
      ['Task (questions)', 'Dependency'],
      ['touching circles (4)', '0.40'],
      ['line intersections (4)', '2.00'],
      ['rows columns (8)', '4.00'],
      ['all tasks', '–'],
    ],
  )
  const real = rowsOf(page, 'Accuracy by task, real pictures')
  // 0.25, 0.375, 0.375.
  assert.deepEqual(real[1], ['touching circles (100)', '0.40', '0.25[0.25, 0.25]', '0.33[0.15, 0.51]', '0.46[0.28, 0.64]'])
  assert.deepEqual(real[2]?.slice(0, 2), ['circled letter (50)', '–'])
  assert.doesNotMatch(textOf(page), /were not given/)
})

test('without the benchmark its tables are left out, and the report says so; a plan without figures has no tasks', () => {
  const files = made(null)
  const page = parsePage(comparisonReport(plan, files))
  assert.match(textOf(page), /The benchmark’s real pictures were not given \(--blindtest\)\./)
  assert.ok(hasTable(page, 'Accuracy by task, figures') && !hasTable(page, 'Accuracy by task, real pictures'))
  assert.deepEqual(rowsOf(page, 'Figures: arms less OPSD').at(-1), ['Vi & GOS', '0.250[0.146, 0.354]', '0.250 (0.50)'])
  const plain = parsePage(comparisonReport({ ...plan, figures: null }, files))
  assert.ok(!hasTable(plain, 'Accuracy by task') && !hasTable(plain, 'Accuracy by visual dependency'))
  assert.doesNotMatch(textOf(plain), /were not given/)
  // What nobody diagnosed is in no third.
  const undiagnosed = parsePage(comparisonReport({ ...plan, diagnoses: [] }, files))
  assert.ok(hasTable(undiagnosed, 'Accuracy by task, figures') && !hasTable(undiagnosed, 'Accuracy by visual dependency'))
})

test('dynamics by step: means over bases with t intervals, where all have a value', () => {
  const page = parsePage(comparisonReport(plan, made(null)))
  // Every value is 1, 1.1 and 1.2 times the first base's, and twice as much with ViGOS: 1.1 ± 4.303 · 0.1 / √3.
  assert.deepEqual(pointsOf(page, 'Visual loss'), [
    'OPSD, step 2: 0.220 [0.170, 0.270]',
    'OPSD, step 6: 0.660 [0.511, 0.809]',
    'Vi & GOS, step 2: 0.440 [0.341, 0.539]',
    'Vi & GOS, step 6: 1.32 [1.02, 1.62]',
  ])
  const first = (title: string): string | undefined => pointsOf(page, title)[0]
  assert.equal(first('Language loss'), 'OPSD, step 2: 0.440 [0.341, 0.539]')
  assert.equal(first('Visual loss, dependent tokens'), 'OPSD, step 2: 0.660 [0.511, 0.809]')
  assert.equal(first('Language loss, dependent tokens'), 'OPSD, step 2: 0.880 [0.681, 1.08]')
  assert.equal(first('Norm of the standard gradient'), 'OPSD, step 2: 1.10 [0.852, 1.35]')
  assert.equal(first('Norm of the visual gradient'), 'OPSD, step 2: 1.32 [1.02, 1.62]')
  // At step 6 one of three bases has none: the mean of the others would be another one.
  assert.deepEqual(pointsOf(page, 'Cosine of standard and visual gradient').slice(0, 2), [
    'OPSD, step 2: 0.110 [0.0852, 0.135]',
    'Vi & GOS, step 2: 0.220 [0.170, 0.270]',
  ])
})
