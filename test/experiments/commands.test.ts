// The commands of experiments are understood by the programs that they call, down to the last arm.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveMethod } from '../../src/cli/method.ts'
import { readConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { type Arm, groundingArms, mixedArms, opsd, reinforcementArms, steeringArms, vigos } from '../../src/experiments/arms.ts'
import { baseJob, diagnoseJob, gradeJob, trainJob, worldJob } from '../../src/experiments/commands.ts'
import { usedViews } from '../../src/supervision/check.ts'
import type { Method } from '../../src/supervision/method.ts'

const places = { base: '/bases/one', data: '/x/data', folder: '/x/run' }

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
    const { config } = await trained(opsd, { base: odd, data: odd, folder: odd, seed: 3, steps: 11 })
    assert.equal(config.model.path, odd)
    assert.deepEqual(config.data.sources, [odd])
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

test('other commands name their files', () => {
  assert.deepEqual(worldJob('w', { world: 'prior', folder: '/x/asked', count: 96, seed: 72, splits: 'score' }), {
    ...{ id: 'w', needs: [], output: '/x/asked/world.json', work: worldJob('w', { world: 'prior', folder: '/y', count: 96, seed: 1 }).work },
    command: ['world', 'make', 'prior', '--out', '/x/asked', '--count', '96', '--seed', '72', '--splits', 'score'],
  })
  const graded = gradeJob('g', ['t'], { model: '/m', out: '/x/g.json', count: 600, samples: 4, seed: 1, weights: '/w', mode: 'caption' })
  assert.deepEqual([graded.output, graded.needs], ['/x/g.json', ['t']])
  assert.deepEqual(graded.command.slice(-4), ['--weights', '/w', '--mode', 'caption'])
  const diagnosed = diagnoseJob('d', ['t'], { run: '/r', what: 'palr', checkpoint: 'last', data: '/d', samples: 96, out: '/x/d.json', seed: 7 })
  assert.deepEqual(diagnosed.command.slice(0, 4), ['diagnose', '/r', '--what', 'palr'])
  assert.equal(diagnosed.output, '/x/d.json')
  assert.deepEqual(baseJob('b', { folder: '/b', recipe: 'candid', seed: 2 }).command, [
    'base',
    'make',
    '/b',
    '--recipe',
    'candid',
    '--seed',
    '2',
    '--json',
  ])
  assert.equal(baseJob('b', { folder: '/b', recipe: 'candid', seed: 2 }).output, '/b/base.json')
})
