// A run that was stopped, or broke, and went on leaves what a run without interruption leaves, bit for bit.

import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { names } from '../../src/runs/layout.ts'
import { bestCheckpoint, checkpoints, readEvents, readMetrics, transcriptSteps } from '../../src/runs/read.ts'
import type { Method } from '../../src/supervision/method.ts'
import { scope } from '../../src/torch/context.ts'
import { scalar } from '../../src/torch/create.ts'
import { writeSafetensors } from '../../src/torch/safetensors-write.ts'
import { folderOf } from '../models/goldens.ts'
import { brokenImage, configOf, otherCheckpoint, presetOf, questions, runTo, sameRun, temporaryFolder, writeRows } from './runs.ts'

interface Variant {
  readonly method: Method
  readonly config: (folder: string) => Partial<ConfigInput>
}

/** Untrained models differ so much that every token would be at its bound, where it gives no gradient. */
function unclipped(name: string): Method {
  const method = presetOf(name)
  return { ...method, terms: Object.fromEntries(Object.entries(method.terms).map(([term, table]) => [term, { ...table, clip: null }])) }
}

const steering = presetOf('vgs', { scale: { keep: ['standard'], under: ['standard', 'visual'], every: 2 } })

/** What a checkpoint must hold, in all forms that it has. */
const variants: { readonly [name: string]: Variant } = {
  'an adapter with dropout': {
    method: unclipped('vigos'),
    config: () => ({ adapter: { rank: 4, alpha: 8, dropout: 0.3 }, checkpoints: { every: 2 } }),
  },
  'whole weights under a moving average': {
    method: presetOf('opsd-ema', { ema: { decay: 0.7 } }),
    config: () => ({ adapter: null, parts: ['language', 'merger'], checkpoints: { every: 3 } }),
  },
  'an adapter under its own moving average': {
    method: presetOf('opsd-ema', { ema: { decay: 0.5 } }),
    config: () => ({ adapter: { rank: 2 }, checkpoints: { every: 4, best: { metric: 'validation/tokens', goal: 'min' } } }),
  },
  'a teacher and a measured scale, vision in training': {
    method: steering,
    config: (folder) => ({
      teacher: { path: otherCheckpoint(join(folder, 'teacher'), 5) },
      adapter: { rank: 2, dropout: 0.1, vision: true, targets: ['q_proj', 'qkv'] },
      rollout: { maxTokens: 4, samples: 2, temperature: 0.9, topP: 0.95 },
      checkpoints: { every: 5 },
    }),
  },
  'the other family, several answers to a prompt': {
    method: presetOf('grpo', {
      terms: { correctness: { kind: 'reinforce', rewards: { correct: 1 } }, words: { kind: 'imitate', weight: 0.1 } },
    }),
    config: () => ({ model: { path: folderOf('qwen3_vl') }, adapter: null, rollout: { maxTokens: 5, samples: 3 }, checkpoints: { every: 2 } }),
  },
}

const steps = 7
const interruptions = [{ stopAfter: 3 }, { resume: true, failAfter: 5 }, { resume: true, stopAfter: 6 }] as const

for (const [name, { method, config }] of Object.entries(variants)) {
  test(`stopped, broken and resumed = never interrupted: ${name}`, async (context) => {
    const folder = temporaryFolder(context)
    const rows = questions(6)
    // Row 1 is found before training, row 4 only when it is drawn, in every epoch.
    const spoilt = rows.map((row, i) => ({ ...row, answer: i === 1 ? null : row.answer, images: i === 4 ? [brokenImage(folder)] : row.images }))
    const base = configOf(folder, spoilt, {
      ...config(folder),
      data: { sources: writeRows(join(folder, 'rows.jsonl'), spoilt), onBad: 'skip' },
      validation: { sources: writeRows(join(folder, 'held-out.jsonl'), questions(2)), every: 2, maxTokens: 3 },
      optimisation: { batch: 2, steps, rate: 3e-3, warmup: 1, schedule: 'cosine', weightDecay: 0.01, tokensPerPass: 200 },
    })
    const at = (run: string) => ({ ...base, run: { ...base.run, folder: join(folder, run), transcripts: { every: 2, rollouts: 3 } } })
    assert.equal(await runTo(at('whole'), method), 'finished')
    for (const interruption of interruptions) await runTo(at('broken'), method, interruption)
    assert.equal(await runTo(at('broken'), method, { resume: true }), 'finished')
    sameRun(join(folder, 'broken'), join(folder, 'whole'), name)

    const run = join(folder, 'broken')
    assert.deepEqual(
      readMetrics(run).map(({ step }) => step),
      Array.from({ length: steps }, (_, i) => i + 1),
    )
    assert.ok(readMetrics(run).every(({ metrics }) => (metrics['gradientNorm']?.sum ?? 0) > 0))
    assert.deepEqual(transcriptSteps(run), [1, 2, 4, 6])
    const events = readEvents(run)
    const every = base.checkpoints.every
    const fromStep = events.flatMap((event) => (event.type === 'resumed' ? [event.fromStep] : []))
    const before = Math.max(3, every * Math.floor(4 / every))
    assert.deepEqual(fromStep, [3, before, 6])
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'stopped' ? [event.step, event.reason] : [])),
      [3, 'signal', 6, 'signal'],
    )
    assert.deepEqual([...new Set(events.flatMap((event) => (event.type === 'row-skipped' ? [event.row] : [])))].sort(), [1, 4])
    const validated = readMetrics(run).flatMap(({ step, metrics }) => (metrics['validation/correct']?.count === 2 ? [step] : []))
    assert.deepEqual(validated, [2, 4, 6])
    assert.deepEqual(checkpoints(run).at(-1)?.step, steps)
    if (typeof method.scale !== 'number') {
      const [first, second, third, fourth] = readMetrics(run).map(({ metrics }) => metrics['scale']?.sum)
      assert.ok(first === second && second !== third && third === fourth, 'measured every other step, from the first on')
    }
    if (base.checkpoints.best !== null) assert.equal(bestCheckpoint(run)?.metric, 'validation/tokens')
  })
}

test('from every checkpoint the run ends the same, and from none it begins again', async (context) => {
  const folder = temporaryFolder(context)
  const method = presetOf('opsd')
  const config = configOf(folder, questions(5), {
    adapter: { rank: 2, dropout: 0.2 },
    optimisation: { batch: 2, epochs: 2, rate: 1e-2 },
    checkpoints: { every: 1, keep: 9 },
    run: { folder: join(folder, 'run'), transcripts: { every: 1, rollouts: 1 } },
  })
  await runTo(config, method)
  const whole = join(folder, 'run')
  assert.deepEqual(
    checkpoints(whole).map(({ step }) => step),
    [1, 2, 3, 4, 5],
  )
  for (const from of [0, 1, 2, 3, 4, 5]) {
    const copy = join(folder, `from-${from}`)
    cpSync(whole, copy, { recursive: true })
    for (const { step, folder: path } of checkpoints(copy)) if (step > from) rmSync(path, { recursive: true })
    await runTo({ ...config, run: { ...config.run, folder: copy } }, method, { resume: true })
    sameRun(copy, whole, `from ${from}`)
  }
})

test('a wish to stop in the last step changes nothing: the run is finished', async (context) => {
  const folder = temporaryFolder(context)
  const config = configOf(folder, questions(2), { adapter: { rank: 2 }, rollout: { maxTokens: 40 }, optimisation: { batch: 1, steps: 2 } })
  assert.equal(await runTo(config, presetOf('sft'), { stopAfter: 2 }), 'finished')
  assert.equal(readEvents(config.run.folder).at(-1)?.type, 'finished')
})

test('a checkpoint that lacks a file, or is of another run, is refused and named', async (context) => {
  const folder = temporaryFolder(context)
  const method = presetOf('opsd-ema')
  const config = configOf(folder, questions(2), { adapter: { rank: 2 }, optimisation: { batch: 1, steps: 1 } })
  await runTo(config, method)
  const state = checkpoints(config.run.folder)[0]?.folder as string
  for (const file of ['adapter/adapter_model.safetensors', 'optimizer.safetensors', 'average.safetensors', 'random.safetensors', 'state.json']) {
    const copy = join(folder, file)
    cpSync(config.run.folder, copy, { recursive: true })
    rmSync(join(copy, state.slice(config.run.folder.length), file))
    const moved = { ...config, run: { ...config.run, folder: copy } }
    await assert.rejects(runTo(moved, method, { resume: true }), new RegExp(`${file.replace('.', '\\.')}`))
  }
  const poor = join(folder, 'poor')
  cpSync(config.run.folder, poor, { recursive: true })
  const path = join(poor, names.checkpoints, 'step-000001', 'adapter/adapter_model.safetensors')
  scope(() => writeSafetensors(path, new Map([['x', scalar(1)]])))
  const lacking = runTo({ ...config, run: { ...config.run, folder: poor } }, method, { resume: true })
  await assert.rejects(lacking, /adapter_model\.safetensors: lacks .*q_proj.*; was the configuration of this run changed\?/)
  // Weights of another rank under the same configuration.
  const other = configOf(temporaryFolder(context), questions(2), { adapter: { rank: 4 }, optimisation: { batch: 1, steps: 1 } })
  await runTo(other, method)
  const copy = join(folder, 'rank')
  cpSync(config.run.folder, copy, { recursive: true })
  const weights = join(names.checkpoints, 'step-000001', 'adapter/adapter_model.safetensors')
  cpSync(join(other.run.folder, weights), join(copy, weights))
  const mixed = { ...config, run: { ...config.run, folder: copy } }
  await assert.rejects(runTo(mixed, method, { resume: true }), /adapter_model\.safetensors: .* is float32\[4, .*expected float32\[2/)
})
