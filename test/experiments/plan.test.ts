// What a plan comes to: which bases are made, which are used, and the jobs with the files that they leave for each other and for the report.

import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { resolveMethod } from '../../src/cli/method.ts'
import { readConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { worldNamed } from '../../src/data/worlds/registry.ts'
import { palrFault } from '../../src/diagnostics/active.ts'
import { probeFault } from '../../src/diagnostics/probe.ts'
import { type Arm, opsd, vigos } from '../../src/experiments/arms.ts'
import { trainJob } from '../../src/experiments/commands.ts'
import { comparisonReport } from '../../src/experiments/comparison-report.ts'
import { measures } from '../../src/experiments/graded.ts'
import type { Job } from '../../src/experiments/jobs.ts'
import { acceptedSeeds, baseJobs, candidates, comparisonJobs, ExperimentFiles, type ExperimentPlan, type Part } from '../../src/experiments/plan.ts'
import { experimentNamed, experiments } from '../../src/experiments/registry.ts'
import { recipes } from '../../src/nano/recipe.ts'
import { parsePage } from '../report/xml.ts'
import { answersOf, diagnosisOf, newFolder, rightOf, smallPlan, writeBase, writeFigures, writeGrades, writeJson } from './made.ts'

/** Files of an experiment with bases of the seeds from 1 on, accepted or not; null: not there. */
function withBases(plan: ExperimentPlan, accepted: readonly (boolean | null)[], blindtest: string | null = null): ExperimentFiles {
  const files = new ExperimentFiles(newFolder(), blindtest)
  for (const [i, each] of accepted.entries()) {
    if (each !== null) writeBase(files.base(plan.recipe, i + 1), { seed: i + 1, recipe: plan.recipe, accepted: each })
  }
  return files
}

const ids = (jobs: readonly Job[]): string[] => jobs.map(({ id }) => id)
/** The value of an option in a command. */
const option = ({ command }: Job, name: string): string | undefined => (command.includes(name) ? command[command.indexOf(name) + 1] : undefined)
/** All values of an option that may be given several times. */
const valuesOf = ({ command }: Pick<Job, 'command'>, name: string): string[] => command.filter((_, i) => command[i - 1] === name)
const sets = (job: Job): string[] => valuesOf(job, '--set')
/** Paths in the value of a setting: quoted, in a list, or bare. */
const pathsOf = (value: string): string[] => (/^["[]/.test(value) ? [JSON.parse(value) as string | string[]].flat() : [value])

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
  const files = new ExperimentFiles('/x/experiments/small', null)
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
  const home = dirname(files.data('tempted', 2, 'natural'))
  const [trained, ofControl] = [(arm: string) => [`train tempted 2 ${arm}`], ['train candid 1 vigos']]
  assert.deepEqual(
    jobs.map(({ id, needs }) => [id, needs]),
    [
      ['asked prior', []],
      ['data tempted 2 natural', []],
      ['grade tempted 2 base', []],
      ['train tempted 2 opsd', ['data tempted 2 natural']],
      ['grade tempted 2 opsd', trained('opsd')],
      ['train tempted 2 vigos', ['data tempted 2 natural']],
      ['grade tempted 2 vigos', trained('vigos')],
      ['grade tempted 2 vigos at 2', trained('vigos')],
      ['grade tempted 2 vigos at 4', trained('vigos')],
      ['diagnose tempted 2 vigos palr last', [...trained('vigos'), 'asked prior']],
      ['diagnose tempted 2 vigos palr none', [...trained('vigos'), 'asked prior']],
      // The control has no curve and no diagnosis.
      ['data candid 1 natural', []],
      ['grade candid 1 base', []],
      ['train candid 1 vigos', ['data candid 1 natural']],
      ['grade candid 1 vigos', ofControl],
    ],
  )
  const job = (id: string): Job => jobs.find((each) => each.id === id) as Job
  // Twelve pictures, so that each is seen once; other bases see others.
  assert.deepEqual(job('data tempted 2 natural').command, [
    ...['world', 'make', 'natural', '--out', join(home, 'data-natural'), '--count', '12', '--seed', '52'],
  ])
  // As many questions as the diagnosis that needs most.
  assert.deepEqual(job('asked prior').command.slice(3), ['--out', files.asked('prior'), '--count', '9', '--seed', '70', '--splits', 'score'])
  const said = sets(job('train tempted 2 vigos'))
  for (const expected of [
    `model.path=${JSON.stringify(files.base('tempted', 2))}`,
    `teacher.path=${files.base('sibling', 1, 'teacher')}`,
    ...['run.seed=2', 'optimisation.steps=6', 'optimisation.batch=2', 'checkpoints.every=2', 'checkpoints.keep=6'],
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
  assert.deepEqual(job('diagnose tempted 2 vigos palr last').command.slice(-2), ['--cap', '2'])
  assert.deepEqual(comparisonJobs({ ...plan, diagnoses: [] }, files)[0]?.id, 'data tempted 2 natural')
})

const scenes: Part = { world: 'prior', share: 0.75, pixels: 56, tasks: null, splits: null }
const figures: Part = { world: 'blind', share: 0.25, pixels: 112, tasks: ['nested_squares', 'rows_columns'], splits: ['easy'] }
/** Asks for figures of every arm, and is trained on both worlds. */
const figurePlan: ExperimentPlan = {
  ...{ ...smallPlan, bases: 2, recipe: 'apprentice', from: 'tempted', arms: [opsd], curve: { at: [2], arms: ['opsd'] }, pixels: 56 },
  data: [{ ...scenes, world: 'natural' }, figures],
  sets: ['rollout.maxTokens=112', 'parts=[vision,merger,language]'],
  ...{ figures: { drawn: figures, count: 40, seed: 90 }, asked: [scenes, figures] },
  diagnoses: [
    { arm: 'opsd', what: 'dependency,geometry', checkpoint: 'none', samples: 16, more: [] },
    { arm: 'opsd', what: 'dynamics', checkpoint: 'last', samples: 8, more: [] },
  ],
}

test('the jobs of a plan with figures, one by one', () => {
  const files = withBases({ ...figurePlan, bases: 1 }, [false, true])
  const jobs = comparisonJobs({ ...figurePlan, bases: 1 }, files)
  const data = ['data apprentice 2 natural', 'data apprentice 2 blind']
  const asked = ['asked prior', 'asked blind']
  const trained = ['train apprentice 2 opsd']
  assert.deepEqual(
    jobs.map(({ id, needs }) => [id, needs]),
    [
      ['figures', []],
      ...[...asked, ...data].map((id) => [id, []]),
      ['grade apprentice 2 base', []],
      ['figures apprentice 2 base', ['figures']],
      ['train apprentice 2 opsd', data],
      ['grade apprentice 2 opsd', trained],
      ['figures apprentice 2 opsd', [...trained, 'figures']],
      // Figures are asked for at the end alone.
      ['grade apprentice 2 opsd at 2', trained],
      ['diagnose apprentice 2 opsd dependency,geometry none', [...trained, ...asked]],
      ['diagnose apprentice 2 opsd dynamics last', [...trained, ...asked]],
    ],
  )
  const job = (id: string): Job => jobs.find((each) => each.id === id) as Job
  const drawn = (id: string): string => job(id).command.slice(2).join(' ')
  const [folder, home] = [dirname(files.figureQuestions), dirname(files.data('apprentice', 2, 'blind'))]
  const parts = '--tasks nested_squares,rows_columns --splits easy'
  // The same for all bases: 40 figures, and of the 16 samples of the larger diagnosis three quarters scenes.
  assert.equal(drawn('figures'), `blind --out ${join(folder, 'figures')} --count 40 --seed 90 --pixels 112 ${parts}`)
  assert.equal(drawn('asked prior'), `prior --out ${join(folder, 'asked-prior')} --count 12 --seed 70 --pixels 56`)
  assert.equal(drawn('asked blind'), `blind --out ${join(folder, 'asked-blind')} --count 4 --seed 70 --pixels 112 ${parts}`)
  // Each base's own: nine and three of the twelve prompts of six steps.
  assert.equal(drawn('data apprentice 2 natural'), `natural --out ${join(home, 'data-natural')} --count 9 --seed 52 --pixels 56`)
  assert.equal(drawn('data apprentice 2 blind'), `blind --out ${join(home, 'data-blind')} --count 3 --seed 52 --pixels 112 ${parts}`)
  const said = sets(job(trained[0] as string))
  assert.deepEqual(
    pathsOf(said.find((set) => set.startsWith('data.sources='))?.slice('data.sources='.length) ?? ''),
    ['natural', 'blind'].map((world) => files.data('apprentice', 2, world)),
  )
  for (const set of figurePlan.sets) assert.ok(said.includes(set), set)
  for (const id of ['grade apprentice 2 base', 'grade apprentice 2 opsd', 'grade apprentice 2 opsd at 2'])
    assert.equal(option(job(id), '--pixels'), '56')
  const [ofBase, ofArm] = [job('figures apprentice 2 base'), job('figures apprentice 2 opsd')]
  assert.deepEqual([option(ofBase, '--model'), option(ofArm, '--model')], [files.base('apprentice', 2), join(home, 'opsd', 'final')])
  assert.deepEqual([option(ofBase, '--out'), option(ofArm, '--out')], [join(home, 'base.figures'), join(home, 'opsd.figures')])
  assert.deepEqual(valuesOf(ofArm, '--suite'), [`blind-world=${files.figureQuestions}`])
  const [diagnosed, dynamics] = [job('diagnose apprentice 2 opsd dependency,geometry none'), job('diagnose apprentice 2 opsd dynamics last')]
  assert.deepEqual(valuesOf(diagnosed, '--data'), [files.asked('prior'), files.asked('blind')])
  assert.equal(diagnosed.output, join(home, 'opsd-dependency-geometry-none.diagnosis.json'))
  assert.equal(dynamics.output, join(home, 'opsd-dynamics-last.diagnosis.json'))

  // Where the benchmark is given, every arm is asked for it too, and nothing else changes, so that what was finished without it can go on.
  const more = comparisonJobs({ ...figurePlan, bases: 1 }, new ExperimentFiles(folder, '/data/blind test'))
  const asks = more.filter(({ id }) => id.startsWith('benchmark '))
  assert.deepEqual(
    more.filter((each) => !asks.includes(each)),
    jobs,
  )
  assert.deepEqual(
    asks.map((each) => [each.id, each.needs, each.output, valuesOf(each, '--suite')]),
    [
      ['benchmark apprentice 2 base', [], join(home, 'base.benchmark', 'scores.json'), ['vlms-are-blind=/data/blind test']],
      ['benchmark apprentice 2 opsd', trained, join(home, 'opsd.benchmark', 'scores.json'), ['vlms-are-blind=/data/blind test']],
    ],
  )
})

test('a base goes on from one of the recipe before it where that is there', () => {
  const plan: ExperimentPlan = {
    ...figurePlan,
    bases: 3,
    teacher: { recipe: 'sibling', seed: 1 },
    control: { recipe: 'candid', arms: [], about: '' },
  }
  const files = new ExperimentFiles(newFolder(), null)
  writeBase(files.base('tempted', 1), { seed: 1, accepted: false })
  writeBase(files.base('tempted', 3), { seed: 3 })
  const begun = (): (readonly [string, string | undefined])[] => baseJobs(plan, files).map((job) => [job.id, option(job, '--from')])
  // Neither the teacher nor the control begins as the bases do.
  const others = ['teacher', 'control'] as const
  assert.deepEqual(begun(), [
    [others[0], undefined],
    ['base 1', files.base('tempted', 1)],
    ['base 2', undefined],
    ['base 3', files.base('tempted', 3)],
    [others[1], undefined],
  ])
  writeBase(files.base('tempted', 2), { seed: 2 })
  assert.deepEqual(begun()[2], ['base 2', files.base('tempted', 2)])
  assert.ok(baseJobs({ ...plan, from: null }, files).every((job) => option(job, '--from') === undefined))
})

const blindtest = '/data/blindtest'
for (const plan of experiments) {
  test(`${plan.name}: jobs read what others leave, and the report reads nothing else`, () => {
    const files = withBases(plan, [false, ...Array.from({ length: plan.bases }, () => true)], blindtest)
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
      const suites = valuesOf(job, '--suite').map((suite) => suite.slice(suite.indexOf('=') + 1))
      const places = [
        ...['--model', '--data'].flatMap((name) => valuesOf(job, name)),
        ...suites,
        ...(job.command[0] === 'diagnose' ? [job.command[1]] : []),
      ]
      const inSets = sets(job).flatMap((set) => pathsOf(/^(?:model\.path|data\.sources|teacher\.path)=(.*)$/.exec(set)?.[1] ?? '[]'))
      assert.ok(job.command[0] === 'world' || places.length + inSets.length > 0, job.id)
      for (const place of [...places, ...inSets]) assert.ok(there.has(place as string) || place === blindtest, `${job.id} reads ${place}`)
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
      const [suite = ''] = valuesOf({ command }, '--suite')[0]?.split('=') ?? []
      if (command[0] === 'eval')
        writeFigures(dirname(output), suite, { [suite === 'blind-world' ? 'touching_circles' : 'touching circles']: [0.5, 4] })
    }
    for (const { output } of made) writeBase(dirname(output), { seed: 1, recipe: plan.control?.recipe ?? 'sibling' })
    parsePage(comparisonReport(plan, files))
  })

  test(`${plan.name}: figures that are asked for were nobody's lessons`, () => {
    // Lessons of a base are drawn with the seed after its own.
    const { data, questions, diagnosis } = plan.seeds
    const taught = [...Array(plan.candidates + 2).keys(), ...Array.from({ length: plan.candidates }, (_, i) => data + i + 1)]
    if (plan.figures !== null) for (const seed of [questions, diagnosis, plan.figures.seed]) assert.ok(!taught.includes(seed), `${seed}`)
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
    // Shares are of a whole, and every world is there with these parts.
    for (const parts of [plan.data, plan.asked])
      assert.equal(
        parts.reduce((sum, { share }) => sum + share, 0),
        1,
      )
    for (const { world, share: _, ...parts } of [...plan.data, ...plan.asked, ...(plan.figures === null ? [] : [plan.figures.drawn])])
      assert.ok(
        worldNamed(world)
          .sample(1, 0, parts)
          .svg?.includes(`width="${parts.pixels ?? ''}`),
        `${world} ${JSON.stringify(parts)}`,
      )
    // What the recipe begins with is what another one is in whole.
    if (plan.from !== null) assert.deepEqual(recipes[plan.recipe].stages.slice(0, recipes[plan.from].stages.length), recipes[plan.from].stages)
  })
}

test('what all arms of a plan share is what their configurations say', async () => {
  const fieldOf = (config: Config, path: string): unknown =>
    path.split('.').reduce<unknown>((value, name) => (value as Readonly<Record<string, unknown>> | null)?.[name], config)
  // As people write it: a list without quotation marks.
  const written = (value: unknown): string => JSON.stringify(value)?.replaceAll('"', '') ?? 'not there'
  for (const plan of experiments) {
    const jobs = comparisonJobs(plan, withBases({ ...plan, bases: 1 }, [true])).filter(({ command }) => command[0] === 'train')
    assert.ok(jobs.length >= plan.arms.length, plan.name)
    for (const job of jobs) {
      const { config } = readConfig('nano', sets(job))
      await resolveMethod(config)
      for (const set of [`optimisation.batch=${plan.batch}`, `optimisation.steps=${plan.steps}`, ...plan.sets]) {
        const [name = '', value] = set.split('=')
        assert.equal(written(fieldOf(config, name)), value, `${job.id}: ${set}`)
      }
    }
  }
})

test('what is diagnosed can be measured of the arm’s method, and the instruments say nothing against it', async () => {
  const faults = { palr: palrFault, dependency: probeFault, geometry: probeFault, dynamics: probeFault }
  for (const { diagnoses, arms, name } of experiments) {
    for (const { arm, what } of diagnoses) {
      const found = arms.find((each) => each.name === arm) as Arm
      const job = trainJob('t', [], { arm: found, base: '/b', data: ['/d'], folder: '/f', seed: 1, steps: 60, sets: ['teacher.path=/t'] })
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
