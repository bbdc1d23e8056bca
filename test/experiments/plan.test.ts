// What a plan comes to: which bases are made, which are used, and the jobs with the files that they leave for each other and for the report.

import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { resolveMethod } from '../../src/cli/method.ts'
import { readConfig } from '../../src/config/load.ts'
import { palrFault } from '../../src/diagnostics/active.ts'
import { probeFault } from '../../src/diagnostics/probe.ts'
import { type Arm, opsd, vigos } from '../../src/experiments/arms.ts'
import { trainJob } from '../../src/experiments/commands.ts'
import { comparisonReport } from '../../src/experiments/comparison-report.ts'
import { measures } from '../../src/experiments/graded.ts'
import type { Job } from '../../src/experiments/jobs.ts'
import { acceptedSeeds, baseJobs, candidates, comparisonJobs, ExperimentFiles, type ExperimentPlan } from '../../src/experiments/plan.ts'
import { experimentNamed, experiments } from '../../src/experiments/registry.ts'
import { parsePage } from '../report/xml.ts'
import { answersOf, diagnosisOf, newFolder, rightOf, smallPlan, writeBase, writeGrades, writeJson } from './made.ts'

/** Files of an experiment with bases of the seeds from 1 on, accepted or not; null: not there. */
function withBases(plan: ExperimentPlan, accepted: readonly (boolean | null)[]): ExperimentFiles {
  const files = new ExperimentFiles(newFolder())
  for (const [i, each] of accepted.entries()) {
    if (each !== null) writeBase(files.base(plan.recipe, i + 1), { seed: i + 1, recipe: plan.recipe, accepted: each })
  }
  return files
}

const ids = (jobs: readonly Job[]): string[] => jobs.map(({ id }) => id)
/** The value of an option in a command. */
const option = ({ command }: Job, name: string): string | undefined => (command.includes(name) ? command[command.indexOf(name) + 1] : undefined)
const sets = ({ command }: Job): string[] => command.filter((_, i) => command[i - 1] === '--set')

test('bases count in the order of their seeds, up to the first that is not there', () => {
  const seedsOf = (accepted: readonly (boolean | null)[]): number[][] => {
    const files = withBases(smallPlan, accepted)
    return [candidates(smallPlan, files).map(({ seed }) => seed), acceptedSeeds(smallPlan, files)]
  }
  assert.deepEqual(seedsOf([]), [[], []])
  assert.deepEqual(seedsOf([true, false, true]), [
    [1, 2, 3],
    [1, 3],
  ])
  // Whichever process was faster: a later seed does not push in.
  assert.deepEqual(seedsOf([true, null, true, true]), [[1], [1]])
  // The first three of four accepted ones.
  assert.deepEqual(seedsOf([false, true, true, true, true]), [
    [1, 2, 3, 4, 5],
    [2, 3, 4],
  ])
  // A sixth is no candidate.
  assert.deepEqual(seedsOf([false, false, true, false, true, true]), [
    [1, 2, 3, 4, 5],
    [3, 5],
  ])
})

test('as many bases are made as are missing; rejected ones are replaced until seeds run out', () => {
  const made = (accepted: readonly boolean[]): string[] => ids(baseJobs(smallPlan, withBases(smallPlan, accepted)))
  assert.deepEqual(made([]), ['base 1', 'base 2', 'base 3'])
  assert.deepEqual(made([true, true, true]), [])
  assert.deepEqual(made([true, false, true]), ['base 4'])
  assert.deepEqual(made([false, false, true]), ['base 4', 'base 5'])
  assert.deepEqual(made([false, false, false]), ['base 4', 'base 5'])
  assert.deepEqual(made([false, false, true, true]), ['base 5'])
  assert.deepEqual(made([false, false, false, true, true]), [])
})

test('teacher and control are made besides, each where others look for it', () => {
  const plan: ExperimentPlan = { ...smallPlan, bases: 1, teacher: { recipe: 'sibling', seed: 4 }, control: { recipe: 'candid', arms: [], about: '' } }
  const files = new ExperimentFiles('/x/experiments/small')
  assert.deepEqual(
    baseJobs(plan, files).map(({ id, output, command }) => [id, output, command.slice(2).join(' ')]),
    [
      [
        'teacher',
        '/x/experiments/bases/sibling-teacher-4/base.json',
        '/x/experiments/bases/sibling-teacher-4 --recipe sibling --seed 4 --json --size teacher',
      ],
      [
        'base 1',
        '/x/experiments/bases/tempted-student-1/base.json',
        '/x/experiments/bases/tempted-student-1 --recipe tempted --seed 1 --json --size student',
      ],
      [
        'control',
        '/x/experiments/bases/candid-student-1/base.json',
        '/x/experiments/bases/candid-student-1 --recipe candid --seed 1 --json --size student',
      ],
    ],
  )
})

test('the jobs of a small plan, one by one', () => {
  const plan: ExperimentPlan = {
    ...{ ...smallPlan, bases: 1, arms: [opsd, vigos], teacher: { recipe: 'sibling', seed: 1 } },
    curve: { at: [2, 4], arms: ['vigos'] },
    control: { recipe: 'candid', arms: ['vigos'], about: '' },
    diagnoses: [
      { arm: 'vigos', what: 'palr', checkpoint: 'last', samples: 3, more: ['--cap', '2'] },
      { arm: 'vigos', what: 'palr', checkpoint: 'none', samples: 9, more: [] },
    ],
  }
  const files = withBases(plan, [false, true])
  const jobs = comparisonJobs(plan, files)
  const home = dirname(files.data('tempted', 2))
  const [trained, ofControl] = [(arm: string) => [`train tempted 2 ${arm}`], ['train candid 1 vigos']]
  assert.deepEqual(
    jobs.map(({ id, needs }) => [id, needs]),
    [
      ['asked', []],
      ['data tempted 2', []],
      ['grade tempted 2 base', []],
      ['train tempted 2 opsd', ['data tempted 2']],
      ['grade tempted 2 opsd', trained('opsd')],
      ['train tempted 2 vigos', ['data tempted 2']],
      ['grade tempted 2 vigos', trained('vigos')],
      ['grade tempted 2 vigos at 2', trained('vigos')],
      ['grade tempted 2 vigos at 4', trained('vigos')],
      ['diagnose tempted 2 vigos last', [...trained('vigos'), 'asked']],
      ['diagnose tempted 2 vigos none', [...trained('vigos'), 'asked']],
      // The control has no curve and no diagnosis.
      ['data candid 1', []],
      ['grade candid 1 base', []],
      ['train candid 1 vigos', ['data candid 1']],
      ['grade candid 1 vigos', ofControl],
    ],
  )
  const job = (id: string): Job => jobs.find((each) => each.id === id) as Job
  // Twelve pictures, so that each is seen once; other bases see others.
  assert.deepEqual(job('data tempted 2').command, ['world', 'make', 'natural', '--out', join(home, 'data'), '--count', '12', '--seed', '52'])
  // As many questions as the diagnosis that needs most.
  assert.deepEqual(job('asked').command.slice(3), ['--out', files.asked, '--count', '9', '--seed', '70', '--splits', 'score'])
  const said = sets(job('train tempted 2 vigos'))
  for (const expected of [
    `model.path=${JSON.stringify(files.base('tempted', 2))}`,
    `teacher.path=${files.base('sibling', 1, 'teacher')}`,
    ...['run.seed=2', 'optimisation.steps=6', 'optimisation.batch=2', 'checkpoints.every=2', 'checkpoints.keep=3'],
  ]) {
    assert.ok(said.includes(expected), expected)
  }
  assert.ok(!sets(job('train tempted 2 opsd')).some((each) => each.startsWith('checkpoints.')))
  const at4 = job('grade tempted 2 vigos at 4')
  assert.deepEqual(
    ['--model', '--weights', '--out', '--count', '--samples', '--seed'].map((name) => option(at4, name)),
    [files.base('tempted', 2), join(home, 'vigos', 'checkpoints', 'step-000004'), join(home, 'vigos-4.grades.json'), '8', '2', '60'],
  )
  assert.equal(option(job('grade tempted 2 vigos'), '--model'), join(home, 'vigos', 'final'))
  assert.equal(option(job('grade tempted 2 base'), '--model'), files.base('tempted', 2))
  assert.deepEqual(job('diagnose tempted 2 vigos last').command.slice(-2), ['--cap', '2'])
  assert.deepEqual(comparisonJobs({ ...plan, diagnoses: [] }, files)[0]?.id, 'data tempted 2')
})

for (const plan of experiments) {
  test(`${plan.name}: jobs read what others leave, and the report reads nothing else`, () => {
    const files = withBases(plan, [false, ...Array.from({ length: plan.bases }, () => true)])
    const [made, jobs] = [baseJobs(plan, files), comparisonJobs(plan, files)]
    // Rejected bases and all: the others are there.
    assert.deepEqual(ids(made), [plan.teacher === null ? [] : 'teacher', plan.control === null ? [] : 'control'].flat())
    const outputs = [...made, ...jobs].map(({ output }) => output)
    assert.equal(new Set(outputs).size, outputs.length)
    assert.equal(new Set(ids(jobs)).size, jobs.length)
    const bases = new Set([...acceptedSeeds(plan, files).map((seed) => files.base(plan.recipe, seed)), ...made.map(({ output }) => dirname(output))])
    for (const job of jobs) {
      const needed = job.needs.map((id) => (jobs.find((each) => each.id === id) as Job).output)
      // Folders that are complete once the jobs needed are done: data, results, and the runs around these.
      const there = new Set([...bases, ...needed.map((path) => dirname(path)), ...needed.map((path) => dirname(dirname(path)))])
      const places = [option(job, '--model'), option(job, '--data'), job.command[0] === 'diagnose' ? job.command[1] : undefined]
      const inSets = sets(job).flatMap((set) => /^(?:model\.path|data\.sources|teacher\.path)="?([^"]*)"?$/.exec(set)?.[1] ?? [])
      for (const place of [...places, ...inSets]) if (place !== undefined) assert.ok(there.has(place), `${job.id} reads ${place}`)
      const weights = option(job, '--weights')
      if (weights === undefined) continue
      const [, step] = /step-(\d{6})$/.exec(weights) ?? []
      const training = sets(jobs.find(({ id }) => id === job.needs[0]) as Job)
      const number = (name: string): number => Number(training.find((set) => set.startsWith(`${name}=`))?.slice(name.length + 1))
      assert.ok(there.has(dirname(dirname(weights))))
      // The checkpoint is written, and not removed by those after it.
      const every = number('checkpoints.every')
      assert.equal(Number(step) % every, 0, weights)
      assert.ok((plan.steps - Number(step)) / every < number('checkpoints.keep'), weights)
    }
    for (const { output, command } of jobs) {
      if (command[0] === 'grade') writeGrades(output, answersOf(rightOf(2, 4), rightOf(3, 4), [true, false, null, true]))
      if (command[0] === 'diagnose') writeJson(output, diagnosisOf({ palr: { all: 0.2 }, angles: [40, 50] }))
    }
    for (const { output } of made) writeBase(dirname(output), { seed: 1, recipe: plan.control?.recipe ?? 'sibling' })
    parsePage(comparisonReport(plan, files))
  })

  test(`${plan.name}: names in the plan are those of arms and measures`, () => {
    const arms = [...plan.arms.map(({ name }) => name), 'base']
    for (const arm of [
      ...plan.curve.arms,
      ...plan.against.map(({ arm }) => arm),
      ...(plan.control?.arms ?? []),
      ...plan.diagnoses.map(({ arm }) => arm),
    ])
      assert.ok(arms.includes(arm), arm)
    for (const name of plan.against.flatMap(({ measures: names }) => names)) assert.ok(name in measures, name)
    assert.deepEqual(
      [...plan.curve.at],
      plan.curve.at.toSorted((a, b) => a - b),
    )
    assert.ok(plan.curve.at.every((step) => step < plan.steps) && plan.candidates >= plan.bases)
  })
}

test('what is diagnosed can be measured of the arm’s method, and the instruments say nothing against it', async () => {
  const faults = { palr: palrFault, dependency: probeFault, geometry: probeFault }
  for (const { diagnoses, arms, name } of experiments) {
    for (const { arm, what } of diagnoses) {
      const found = arms.find((each) => each.name === arm) as Arm
      const job = trainJob('t', [], { arm: found, base: '/b', data: '/d', folder: '/f', seed: 1, steps: 60, sets: ['teacher.path=/t'] })
      const method = await resolveMethod(
        readConfig(
          'nano',
          sets(job).filter((set) => name !== 'grounding' || !set.startsWith('teacher')),
        ).config,
      )
      for (const each of what.split(',')) assert.equal(faults[each as keyof typeof faults](method), null, `${name}: ${each} of ${arm}`)
    }
  }
})

test('experiments are found by their names; what is none is told which there are', () => {
  for (const plan of experiments) assert.equal(experimentNamed(plan.name), plan)
  assert.equal(new Set(experiments.map(({ name }) => name)).size, 4)
  assert.throws(() => experimentNamed('Grounding'), /no experiment "Grounding"; expected one of grounding, steering, reinforcement, mixed/)
})
