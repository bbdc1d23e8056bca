// The commands of experiments are understood by the programs that they call, down to the last arm.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { benchmarkNamed } from '../../src/benchmarks/registry.ts'
import { resolveMethod } from '../../src/cli/method.ts'
import { readConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { asked, promptingOf } from '../../src/evaluation/modes.ts'
import { type Arm, groundingArms, mixedArms, opsd, reinforcementArms, steeringArms, vigos } from '../../src/experiments/arms.ts'
import { baseJob, diagnoseJob, figuresJob, gradeJob, trainJob, worldJob } from '../../src/experiments/commands.ts'
import { figureSuites } from '../../src/experiments/plan.ts'
import { wordedAs } from '../../src/nano/prompts.ts'
import { measured } from '../../src/nano/recipe.ts'
import { usedViews } from '../../src/supervision/check.ts'
import type { Method } from '../../src/supervision/method.ts'

const places = { base: '/bases/one', data: ['/x/data'], folder: '/x/run' }

/** What `sightline train` makes of a job. Experiments whose teacher is a larger model name it by --set. */
async function trained(arm: Arm, more: Partial<Parameters<typeof trainJob>[2]> = {}): Promise<{ readonly config: Config; readonly method: Method }> {
  const { command } = trainJob('a', [], { arm, ...places, seed: 7, steps: 60, ...more })
  assert.deepEqual(command.slice(0, 4), ['train', 'nano', '--resume', '--json'])
  const pairs = command.slice(4)
  assert.ok(pairs.every((part, i) => (part === '--set') === (i % 2 === 0)))
  const { config } = readConfig(
    'nano',
    pairs.filter((_, i) => i % 2 === 1),
  )
  return { config, method: await resolveMethod(config) }
}

test('a training command says what is trained on what, whatever the folders are called', async () => {
  for (const odd of ['/a b/c: d #e', '/it\'s/"quoted"', '{x}', '2024', 'true', '~/ü\\n', '- a', '@home=1']) {
    const { config } = await trained(opsd, { base: odd, data: [odd, '/more'], folder: odd, seed: 3, steps: 11 })
    assert.equal(config.model.path, odd)
    assert.deepEqual(config.data.sources, [odd, '/more'])
    assert.equal(config.run.folder, odd)
    assert.deepEqual([config.run.seed, config.optimisation.steps, config.method, config.run.threads], [3, 11, 'opsd-same-prompt', 1])
    assert.ok(config.change['prompts'], 'the prompts of nano stay')
  }
  const { config } = await trained(vigos, { sets: ['checkpoints.every=20', 'checkpoints.keep=3'] })
  assert.deepEqual([config.checkpoints.every, config.checkpoints.keep], [20, 3])
  const job = trainJob('b', ['a'], { arm: vigos, ...places, seed: 0, steps: 10 })
  assert.deepEqual([job.id, job.needs, job.output], ['b', ['a'], '/x/run/final/config.json'])
  assert.equal(trainJob('c', [], { arm: vigos, ...places, seed: 0, steps: 20 }).work, 2 * job.work)
})

for (const [what, arms] of Object.entries({ grounding: groundingArms, steering: steeringArms, reinforcement: reinforcementArms, mixed: mixedArms })) {
  test(`${what}: every arm is a method, with names and labels of its own`, async () => {
    assert.equal(new Set(arms.map(({ name }) => name)).size, arms.length)
    assert.equal(new Set(arms.map(({ label }) => label)).size, arms.length)
    for (const arm of arms) {
      const teacher = /opd|vgs|steering|weighted/.test(arm.name) ? ['teacher.path=/bases/sibling'] : []
      const { method } = await trained(arm, { sets: teacher })
      // A nano base begins every answer with its description, and knows nano's words alone.
      for (const [name, { prefill, prompt }] of usedViews(method)) {
        assert.equal(prefill, '<description>', `${arm.name}: ${name}`)
        // No prompt: the picture alone, as in a caption.
        if (prompt === null) continue
        const { user, system } = method.prompts[prompt] as Method['prompts'][string]
        assert.equal(system, null, `${arm.name}: ${prompt}`)
        assert.ok(user === '' || / Describe, think, answer\.$/.test(user), `${arm.name}: ${name} asks ${JSON.stringify(user)}`)
      }
    }
  })
}

test('the configurations of nano that are shipped say what the arms of their names do', () => {
  const changeOf = (name: string, ...sets: string[]): unknown =>
    readConfig(name, ['model.path=/m', 'data.sources=/d', 'run.folder=/r', ...sets]).config.change
  const { prompts } = changeOf('nano', 'method=vigos') as { readonly prompts: object }
  assert.deepEqual(changeOf('nano-vigos'), { prompts, ...vigos.change })
  const vgs = steeringArms.find(({ name }) => name === 'vgs') as Arm
  assert.deepEqual(changeOf('nano-vgs', 'teacher.path=/t'), { prompts, ...vgs.change })
})

test('the arms of grounding differ from ViGOS as their names say', async () => {
  const terms = async (name: string): Promise<Method['terms']> => {
    const arm = groundingArms.find((each) => each.name === name)
    assert.ok(arm !== undefined, name)
    return (await trained(arm)).method.terms
  }
  const whole = await terms('vigos')
  assert.deepEqual(Object.keys(whole).sort(), ['perception', 'reasoning', 'reference'])
  const { perception, reasoning, reference } = whole
  assert.deepEqual(await terms('no-perception'), { reasoning, reference })
  assert.deepEqual(await terms('no-reasoning'), { perception, reference })
  // Without the reference teacher the others also teach what is malformed.
  const everywhere = (term: Method['terms'][string] | undefined): object => {
    assert.ok(term?.kind === 'distill')
    return { ...term, on: { ...(term.on as object), invalid: 'all' } }
  }
  assert.deepEqual(await terms('no-reference'), { perception: everywhere(perception), reasoning: everywhere(reasoning) })
  assert.deepEqual(await terms('description-only'), { perception })
  for (const { name } of groundingArms) {
    for (const term of Object.values(await terms(name))) {
      if (term.kind === 'distill') assert.equal(term.clip?.token, name === 'clip-0.05' ? 0.05 : undefined, name)
    }
  }
})

/** The arguments that follow an option, wherever it stands. */
const valuesOf = (command: readonly string[], name: string): string[] => command.filter((_, i) => command[i - 1] === name)

test('other commands name their files', () => {
  const drawn = { world: 'prior', folder: '/x/asked', count: 96, seed: 72, pixels: null, tasks: null, splits: null }
  const draw = ['world', 'make', 'prior', '--out', '/x/asked', '--count', '96', '--seed', '72']
  const job = worldJob('w', drawn)
  assert.deepEqual(job, { id: 'w', needs: [], output: '/x/asked/world.json', work: job.work, command: draw })
  assert.deepEqual(worldJob('w', { ...drawn, splits: ['score', 'neutral'] }).command, [...draw, '--splits', 'score,neutral'])
  assert.deepEqual(worldJob('w', { ...drawn, pixels: 56, tasks: ['plain', 'fact'], splits: ['score'] }).command, [
    ...[...draw, '--pixels', '56', '--tasks', 'plain,fact', '--splits', 'score'],
  ])
  assert.equal(worldJob('w', { ...drawn, count: 192 }).work, 2 * job.work)

  const grading = { model: '/m', out: '/x/g.json', count: 600, samples: 4, seed: 1, pixels: null }
  const graded = gradeJob('g', ['t'], { ...grading, weights: '/w', mode: 'caption' })
  assert.deepEqual([graded.output, graded.needs], ['/x/g.json', ['t']])
  assert.deepEqual(graded.command.slice(-4), ['--weights', '/w', '--mode', 'caption'])
  assert.ok(!graded.command.includes('--pixels'))
  assert.deepEqual(valuesOf(gradeJob('g', [], { ...grading, pixels: 56 }).command, '--pixels'), ['56'])

  const diagnosing = { run: '/r', what: 'dependency,geometry', checkpoint: 'last', samples: 96, out: '/x/d.json', seed: 7 }
  const diagnosed = diagnoseJob('d', ['t'], { ...diagnosing, data: ['/d', '/e f'], more: ['--above', '0.001'] })
  assert.deepEqual(diagnosed.command.slice(0, 4), ['diagnose', '/r', '--what', 'dependency,geometry'])
  assert.deepEqual(valuesOf(diagnosed.command, '--data'), ['/d', '/e f'])
  assert.deepEqual(diagnosed.command.slice(-2), ['--above', '0.001'])
  assert.equal(diagnosed.output, '/x/d.json')

  const made = baseJob('b', { folder: '/b', recipe: 'candid', seed: 2 })
  const make = ['base', 'make', '/b', '--recipe', 'candid', '--seed', '2', '--json']
  assert.deepEqual([made.command, made.output], [make, '/b/base.json'])
  assert.deepEqual(baseJob('b', { folder: '/b', recipe: 'candid', seed: 2, size: 'teacher', family: 'qwen3_vl', from: '/a' }).command, [
    ...make,
    ...['--size', 'teacher', '--family', 'qwen3_vl', '--from', '/a'],
  ])
})

test('figures are asked for with the wording and form of nano', () => {
  const options = { model: '/run/final', out: '/x/opd.figures', suite: 'blind-world', source: '/x/my figures', count: 400 }
  const own = figuresJob('f', ['t', 'figures'], options)
  const rest = ['--mode', 'structured', '--wording', 'nano', '--max-tokens', `${measured.figure.maxTokens}`, '--threads', '1', '--json']
  assert.deepEqual(own.command, ['eval', '--model', '/run/final', '--out', '/x/opd.figures', '--suite', 'blind-world=/x/my figures', ...rest])
  assert.deepEqual([own.id, own.needs, own.output], ['f', ['t', 'figures'], '/x/opd.figures/scores.json'])
  assert.equal(figuresJob('f', [], { ...options, count: 800 }).work, 2 * own.work)
  // Asked and begun as these models learned it.
  const prompting = promptingOf({ mode: 'structured', prefill: null, wording: 'nano' })
  assert.deepEqual(
    [prompting.system, asked(prompting, 'How many?'), prompting.prefill],
    [null, wordedAs('structured', 'How many?', ''), '<description>'],
  )
  // Both are benchmarks that there are.
  for (const suite of Object.values(figureSuites)) assert.deepEqual(benchmarkNamed(suite).groupings.includes('task'), true, suite)
})

test('the control of mixed is ViGOS with its perception counted twice, and nothing else', async () => {
  const of = async (name: string): Promise<Method> => (await trained(mixedArms.find((arm) => arm.name === name) as Arm)).method
  const [{ terms, ...whole }, { terms: doubled, ...control }] = [await of('vigos'), await of('vigos-doubled')]
  assert.deepEqual(control, whole)
  const { perception } = terms
  assert.equal(perception?.weight, 1)
  assert.deepEqual(doubled, { ...terms, perception: { ...perception, weight: 2 } })
})
