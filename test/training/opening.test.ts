// What a run is refused for before it begins, what it may change when it goes on, and what it begins from.

import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Config, type ConfigInput, configSchema } from '../../src/config/schema.ts'
import { loadModel } from '../../src/models/registry.ts'
import { latestCheckpoint, readEvents, readMetrics } from '../../src/runs/read.ts'
import { ratio } from '../../src/runs/schema.ts'
import type { DistillTerm, Method, View } from '../../src/supervision/method.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import { train } from '../../src/training/loop.ts'
import { openSession } from '../../src/training/session.ts'
import { folderOf } from '../models/goldens.ts'
import {
  bareQuestions,
  brokenImage,
  configOf,
  imagePath,
  otherCheckpoint,
  presetOf,
  questions,
  runTo,
  sameRun,
  temporaryFolder,
  writeRows,
} from './runs.ts'

/** A configuration with other values in some sections. */
const changed = (config: Config, changes: { readonly [Section in keyof Config]?: object }): Config => ({
  ...config,
  ...Object.fromEntries(Object.entries(changes).map(([section, values]) => [section, { ...(config[section as keyof Config] as object), ...values }])),
})

test('terms that learn from sampled tokens need draws from what they train', async (context) => {
  const folder = temporaryFolder(context)
  const { terms } = presetOf('opsd-sampled')
  const tempered = presetOf('opsd-sampled', { terms: { privileged: { ...(terms['privileged'] as DistillTerm), temperature: 2 } } })
  const refused: readonly (readonly [method: Method, given: Partial<ConfigInput>, message: RegExp | null])[] = [
    [presetOf('grpo'), { adapter: { rank: 1 } }, /the term correctness learns from .*: set adapter\.dropout to 0 \(it is 0\.05\)$/],
    [presetOf('grpo-vgs'), { adapter: { rank: 1, dropout: 0.1 } }, /adapter\.dropout to 0/],
    [presetOf('grpo'), { rollout: { samples: 2, temperature: 0.7 } }, /set rollout\.temperature to 1 \(it is 0\.7\)$/],
    [presetOf('grpo'), { rollout: { samples: 2, topK: 5, minP: 0.1 } }, /set rollout\.topK to 0 \(it is 5\), rollout\.minP to 0 \(it is 0\.1\)$/],
    [presetOf('opsd-sampled'), { adapter: null, rollout: { topP: 0.99, topK: 3 } }, /set rollout\.topP to 1 \(it is 0\.99\), rollout\.topK to 0/],
    [presetOf('opsd-sampled'), { adapter: null, rollout: { temperature: 0 } }, /rollout\.temperature to 1 \(it is 0\)/],
    [tempered, { adapter: null }, /rollout\.temperature to 2 \(it is 1\)/],
    [tempered, { adapter: null, rollout: { temperature: 2 } }, null],
    // The paper's own sampling.
    [presetOf('grpo'), { rollout: { samples: 2, topP: 0.99 } }, null],
    // Divergences over the vocabulary are exact at each token, whatever it was drawn from.
    [presetOf('opsd'), { adapter: { rank: 1 }, rollout: { temperature: 1.1, topK: 20, topP: 0.95 } }, null],
  ]
  for (const [i, [method, given, message]] of refused.entries()) {
    const base = { adapter: { rank: 1, dropout: 0 }, rollout: { samples: method.name.startsWith('grpo') ? 2 : 1, maxTokens: 2 }, ...given }
    const config = configOf(folder, questions(1), { ...base, optimisation: { batch: 1, steps: 1 }, run: { folder: join(folder, `${i}`) } })
    if (message === null) assert.equal(await runTo(config, method), 'finished')
    else {
      await assert.rejects(runTo(config, method), { name: 'ArgumentError', message })
      assert.ok(!existsSync(config.run.folder))
    }
  }
})

test('a misspelt metric for the best checkpoint is refused, with those that there are', async (context) => {
  const folder = temporaryFolder(context)
  const teacher = otherCheckpoint(join(folder, 'teacher'), 5)
  const at = (metric: string, validation: ConfigInput['validation'] = null, name = 'run'): Config =>
    configOf(folder, questions(2), {
      teacher: { path: teacher },
      adapter: { rank: 1 },
      rollout: { maxTokens: 2 },
      optimisation: { batch: 1, steps: 2 },
      checkpoints: { every: 2, best: { metric } },
      validation,
      run: { folder: join(folder, name) },
    })
  const validation = { sources: writeRows(join(folder, 'held-out.jsonl'), questions(1)), every: 2, maxTokens: 1 }
  const method = presetOf('vgs')
  await assert.rejects(
    runTo(at('validation/corect', validation), method),
    /best\.metric is validation\/corect; this run has loss, .*validation\/correct/,
  )
  await assert.rejects(runTo(at('los'), method), (error: Error) => error.message.endsWith('gradientNorm, rate, scale, skipped'))
  await assert.rejects(runTo(at('validation/correct'), method), /give validation, and checkpoints\.every as a multiple/)
  assert.ok(!existsSync(join(folder, 'run')))
  // Every name of a step counts, and no other.
  await runTo(at('loss', validation), method)
  const names = Object.keys(readMetrics(join(folder, 'run')).at(-1)?.metrics ?? {})
  const listed = await runTo(at('?', validation), method).catch((error: Error) => error.message.replace(/.* has /, '').split(', '))
  assert.deepEqual(new Set(listed), new Set(names))
})

test('samples without an image are bad rows where a view would see nothing, or visual dependency nothing to differ in', async (context) => {
  const folder = temporaryFolder(context)
  const teacher = otherCheckpoint(join(folder, 'teacher'), 5)
  const rows = questions(3).map((row, i) => (i === 1 ? { ...row, images: [] } : row))
  const at = (onBad: 'stop' | 'skip', name: string): Config =>
    configOf(folder, rows, {
      teacher: { path: teacher },
      data: { sources: writeRows(join(folder, 'rows.jsonl'), rows), onBad },
      adapter: { rank: 1 },
      optimisation: { batch: 2, epochs: 1 },
      run: { folder: join(folder, name) },
    })
  const reasons = {
    vigos: /there is no image, and the view perception sees nothing else; /,
    vgs: /there is no image, and visual dependency is measured by it; /,
  }
  for (const [name, reason] of Object.entries(reasons)) {
    await assert.rejects(runTo(at('stop', name), presetOf(name)), (error: Error) => {
      assert.match(error.message, /^1 of 3 rows cannot be used:\n {2}row 1 /)
      assert.match(error.message, reason)
      return true
    })
    await runTo(at('skip', name), presetOf(name))
    const skipped = readEvents(join(folder, name)).flatMap((event) => (event.type === 'row-skipped' ? [[event.row, reason.test(event.reason)]] : []))
    assert.deepEqual(skipped, [[1, true]])
  }
  // Others can do without.
  await runTo(at('stop', 'opd'), presetOf('opd'))
})

test('decay shrinks matrices, and neither norms nor biases', async (context) => {
  const folder = temporaryFolder(context)
  const after = async (weightDecay: number): Promise<Map<string, number[]>> => {
    const config = configOf(folder, questions(2), {
      adapter: null,
      parts: ['language', 'merger'],
      rollout: { maxTokens: 40 },
      optimisation: { batch: 2, steps: 1, rate: 1e-2, schedule: 'constant', weightDecay },
      run: { folder: join(folder, `${weightDecay}`) },
    })
    let values = new Map<string, number[]>()
    await runTo(config, presetOf('sft'), {
      watch: ({ trainee }) => {
        values = new Map(Array.from(trainee.parameters, ([name, tensor]) => [name, tensor.toArray()]))
      },
    })
    return values
  }
  const [plain, decayed] = [await after(0), await after(0.5)]
  using checkpoint = loadModel(folderOf('qwen2_5_vl'), { dtype: 'float32' })
  let [matrices, vectors] = [0, 0]
  for (const [name, values] of decayed) {
    const before = checkpoint.model.parameters.get(name)
    assert.ok(before !== undefined)
    const share = before.rank >= 2 ? 1e-2 * 0.5 : 0
    if (before.rank >= 2) matrices++
    else vectors++
    const initial = before.toArray()
    const others = plain.get(name) as number[]
    for (const [i, value] of values.entries()) {
      const expected = (others[i] as number) - share * (initial[i] as number)
      assert.ok(Math.abs(value - expected) <= 1e-7, `${name}[${i}]: ${value}, expected ${expected}`)
    }
    if (before.rank < 2) assert.deepEqual(values, others)
  }
  assert.ok(matrices > 5 && vectors > 5 && decayed.has('model.language_model.embed_tokens.weight'))
})

test('a run that broke over a row goes on without it, and says what changed; it ends as one that skipped from the beginning', async (context) => {
  const folder = temporaryFolder(context)
  const rows = questions(4).map((row, i) => (i === 2 ? { ...row, images: [brokenImage(folder)] } : row))
  const sources = writeRows(join(folder, 'rows.jsonl'), rows)
  const stopping = configOf(folder, rows, {
    data: { sources, onBad: 'stop', shuffle: false },
    adapter: { rank: 2 },
    optimisation: { batch: 1, steps: 4, rate: 1e-2 },
    checkpoints: { every: 1, keep: 1 },
  })
  const method = presetOf('opsd')
  await assert.rejects(runTo(stopping, method), /^FileFormatError: row 2: .*\nset data\.onBad to skip/)
  const skipping = changed(stopping, { data: { onBad: 'skip' } })
  const rescued = changed(skipping, { checkpoints: { keep: 3 }, run: { badSteps: 9, transcripts: { every: 99, rollouts: 1 } } })
  await runTo(rescued, method, { resume: true, stopAfter: 3 })
  // Back as it was, but for the row.
  assert.equal(await runTo(skipping, method, { resume: true }), 'finished')
  const whole = changed(skipping, { run: { folder: join(folder, 'whole') } })
  await runTo(whole, method)
  rmSync(join(stopping.run.folder, 'rollouts'), { recursive: true })
  rmSync(join(whole.run.folder, 'rollouts'), { recursive: true })
  sameRun(stopping.run.folder, whole.run.folder, 'rescued')

  const said = readEvents(stopping.run.folder).flatMap((event) => (event.type === 'resumed' ? [event.changes] : []))
  const without = 'data.onBad: "stop" → "skip" (rows that cannot be used are left out from now on)'
  assert.deepEqual(said, [
    [without, 'checkpoints.keep: 1 → 3', 'run.transcripts: null → {"every":99,"rollouts":1}', 'run.badSteps: 5 → 9'],
    [without],
  ])
  const stored = configSchema.parse(JSON.parse(readFileSync(join(stopping.run.folder, 'config.json'), 'utf8')))
  assert.deepEqual(stored, stopping)
})

test('what changes bits alone may change too and says so; nothing else may', async (context) => {
  const folder = temporaryFolder(context)
  const config = configOf(folder, questions(2), {
    data: { sources: writeRows(join(folder, 'rows.jsonl'), questions(2)), onBad: 'skip' },
    adapter: { rank: 1 },
    rollout: { maxTokens: 2 },
    optimisation: { batch: 1, steps: 2 },
    checkpoints: { every: 1 },
  })
  const method = presetOf('opsd')
  await runTo(config, method, { stopAfter: 1 })
  const other = changed(config, {
    optimisation: { tokensPerPass: 64, recompute: true },
    rollout: { maxRows: 1 },
    run: { threads: 2 },
    checkpoints: { every: 7 },
  })
  for (const [changes, message] of [
    [{ data: { onBad: 'stop' } }, /data\.onBad: "skip" in the run, "stop" now/],
    [{ checkpoints: { best: { metric: 'loss', goal: 'min' } } }, /checkpoints\.best: null in the run/],
    [{ optimisation: { rate: 1 } }, /\n {2}optimisation\.rate: .*\n.*What may change is data\.onBad to skip, run\.badSteps, .*rollout\.maxRows$/],
  ] as const) {
    await assert.rejects(runTo(changed(other, changes), method, { resume: true }), (error: Error) => {
      assert.match(error.message, message)
      // What may change is not listed among what may not.
      assert.equal(error.message.split('\n').length, 3)
      return true
    })
  }
  assert.equal(await runTo(other, method, { resume: true }), 'finished')
  const [changes] = readEvents(config.run.folder).flatMap((event) => (event.type === 'resumed' ? [event.changes] : []))
  const bits = '(the last bits of its numbers may differ)'
  const packing = '(the last bits of its numbers may differ, and with adapter.dropout what is dropped)'
  assert.deepEqual(changes, [
    `rollout.maxRows: 64 → 1 ${bits}`,
    `optimisation.tokensPerPass: 8192 → 64 ${packing}`,
    `optimisation.recompute: false → true ${packing}`,
    'checkpoints.every: 1 → 7',
    `run.threads: null → 2 ${bits}`,
  ])
})

test('validation decodes its samples before training; broken ones stop the run, or are told and left out', async (context) => {
  const folder = temporaryFolder(context)
  const own = join(folder, 'own.png')
  cpSync(imagePath('alpha.png'), own)
  const held = questions(4).map((row, i) => ({ ...row, images: [i === 1 ? brokenImage(folder) : i === 2 ? own : imagePath('rocket.jpg')] }))
  const at = (onBad: 'stop' | 'skip'): Config =>
    configOf(folder, bareQuestions(3), {
      data: { sources: writeRows(join(folder, 'rows.jsonl'), bareQuestions(3)), onBad },
      adapter: { rank: 1 },
      rollout: { maxTokens: 2 },
      optimisation: { batch: 1, steps: 2 },
      validation: { sources: writeRows(join(folder, 'held-out.jsonl'), held), every: 1, maxTokens: 1 },
    })
  await assert.rejects(
    runTo(at('stop'), presetOf('opsd')),
    /^FileFormatError: 1 of 4 rows cannot be used:\n {2}row 1 \(.*held-out\.jsonl:2\): .*broken\.png/,
  )
  assert.ok(!existsSync(join(folder, 'run')))
  const config = at('skip')
  await runTo(config, presetOf('opsd'), {
    watch: (_, { step }) => {
      // A file that goes away while the run trains.
      if (step === 1) rmSync(own)
    },
  })
  assert.deepEqual(
    readMetrics(config.run.folder).map(({ metrics }) => metrics['validation/tokens']),
    [
      { sum: 3, count: 3 },
      { sum: 2, count: 2 },
    ],
  )
  const warnings = readEvents(config.run.folder).flatMap((event) => (event.type === 'warning' ? [[event.step, event.message]] : []))
  assert.deepEqual(
    warnings.map(([step]) => step),
    [0, 2],
  )
  assert.match(warnings[0]?.[1] as string, /^validation: 1 of 4 rows cannot be used:\n {2}row 1 \(.*:2\): /)
  assert.match(warnings[1]?.[1] as string, /^validation without row 2: .*own\.png/)
})

test('looking through rows is told row by row, and events as they are written', async (context) => {
  const folder = temporaryFolder(context)
  const config = configOf(folder, bareQuestions(3), {
    adapter: { rank: 1 },
    validation: { sources: writeRows(join(folder, 'held-out.jsonl'), bareQuestions(2)) },
  })
  const [seen, events]: [string[], unknown[]] = [[], []]
  await using _session = await openSession(config, presetOf('opsd'), {
    progress: (what, done, size) => void seen.push(`${what} ${done}/${size}`),
    onEvent: (event) => void events.push(event),
  })
  assert.deepEqual(seen, ['validation 1/2', 'validation 2/2', 'data 1/3', 'data 2/3', 'data 3/3'])
  assert.deepEqual(events, readEvents(config.run.folder))
  assert.equal(events.length, 1)
})

test('an adapter can begin from one of the same form; the base stays the model without it', async (context) => {
  const folder = temporaryFolder(context)
  const at = (name: string, adapter: object, rate: number): Config =>
    configOf(folder, questions(2), {
      adapter: { rank: 2, alpha: 4, dropout: 0, ...adapter },
      rollout: { maxTokens: 40 },
      optimisation: { batch: 2, steps: 3, rate, schedule: 'constant' },
      run: { folder: join(folder, name) },
    })
  const first = at('first', { dropout: 0.1 }, 1e-2)
  await runTo(first, presetOf('sft'))
  const from = join(first.run.folder, 'final')
  const values = (path: string): Map<string, number[]> => {
    using file = openSafetensors(path)
    return new Map(file.names.map((name) => [name, file.tensor(name).toArray()]))
  }
  const trained = values(join(from, 'adapter_model.safetensors'))
  // Steps that are too small to change anything.
  const second = at('second', { from }, 1e-30)
  await runTo(second, presetOf('sft'))
  assert.deepEqual(values(join(second.run.folder, 'final', 'adapter_model.safetensors')), trained)
  const losses = (config: Config): number[] =>
    readMetrics(config.run.folder).map(({ metrics }) => ratio(metrics['loss'] ?? { sum: Number.NaN, count: 1 }))
  assert.ok((losses(second)[0] as number) < (losses(first)[0] as number), 'it knows what the first has learnt')
  // Against its own base a new adapter has no divergence, one with a past has.
  const divergence = async (name: string, adapter: object): Promise<number> => {
    const student = presetOf('opsd').views['student'] as View
    const method = presetOf('opsd', {
      rollout: { by: 'data', view: 'student' },
      views: { student, base: { ...student, weights: 'base' } },
      terms: { same: { kind: 'distill', target: 'base', divergence: 'reverseKl' } },
    })
    const config = at(name, adapter, 1e-30)
    await runTo(config, method)
    return losses(config)[0] as number
  }
  assert.ok(Math.abs(await divergence('new', {})) < 1e-6)
  assert.ok((await divergence('with a past', { from })) > 1e-3)
  assert.ok(latestCheckpoint(second.run.folder) !== null)

  for (const [other, message] of [
    [{ rank: 3 }, /adapter\.from .*final: model\.language_model\.\S+ has rank 2 scaled by 2 there, and rank 3 scaled by 1\.33/],
    [{ alpha: 8 }, /has rank 2 scaled by 2 there, and rank 2 scaled by 4 by this configuration; set adapter\.rank, alpha, targets/],
    [{ targets: ['q_proj'] }, /k_proj has rank 2 scaled by 2 there, and no update by this configuration/],
  ] as const) {
    await assert.rejects(runTo(at('other', { from, ...other }, 1), presetOf('sft')), { name: 'ArgumentError', message })
  }
  await assert.rejects(runTo(at('other', { from: join(folder, 'nowhere') }, 1), presetOf('sft')), /nowhere/)
})

test('a row that stops the run costs nothing of what was done before it', async (context) => {
  const folder = temporaryFolder(context)
  const rows = questions(5).map((row, i) => (i === 3 ? { ...row, images: [brokenImage(folder)] } : row))
  const config = configOf(folder, rows, {
    data: { sources: writeRows(join(folder, 'rows.jsonl'), rows), shuffle: false },
    adapter: { rank: 2, dropout: 0.2 },
    optimisation: { batch: 1, steps: 4, rate: 1e-2 },
    checkpoints: { every: 50 },
  })
  const method = presetOf('opsd')
  await assert.rejects(runTo(config, method), /^FileFormatError: row 3: /)
  assert.equal(latestCheckpoint(config.run.folder)?.step, 3)
  // Again without a step between: nothing is left to save.
  await assert.rejects(runTo(config, method, { resume: true }), /^FileFormatError: row 3: /)
  const skipping = changed(config, { data: { onBad: 'skip' } })
  assert.equal(await runTo(skipping, method, { resume: true }), 'finished')
  const whole = changed(skipping, { run: { folder: join(folder, 'whole') } })
  await runTo(whole, method)
  sameRun(config.run.folder, whole.run.folder, 'rescued')

  // The same where the error comes after the draw: the step's place in the data is not taken.
  const own = changed(config, { data: { shuffle: true }, run: { folder: join(folder, 'own') } })
  const failing = { ...own, data: { ...own.data, sources: [writeRows(join(folder, 'good.jsonl'), questions(5))] } }
  {
    await using session = await openSession(failing, method)
    const write = session.writing
    // Refused when the third step is written.
    Object.defineProperty(session, 'writing', { get: () => (session.progress.position < 2 ? write : { ...write, maxTokens: -1 }) })
    await assert.rejects(
      train(session, new AbortController().signal, () => {}),
      /maxTokens is -1/,
    )
    assert.equal(session.progress.position, 2)
  }
  assert.equal(latestCheckpoint(failing.run.folder)?.step, 2)
})

test('marks that do not fit the images are seen before the run', async (context) => {
  const folder = temporaryFolder(context)
  const rows = questions(3).map((row, i) => (i === 1 ? { ...row, problem: '<image> or <image>?' } : row))
  const config = configOf(folder, rows, { adapter: { rank: 1 } })
  await assert.rejects(runTo(config, presetOf('opsd')), (error: Error) => {
    assert.match(error.message, /^1 of 3 rows cannot be used:\n {2}row 1 .*: the problem marks 2 images with <image>, but 1 are given\n/)
    return true
  })
  assert.ok(!existsSync(config.run.folder))
})

test('a run does not go on with other data, wherever they lie', async (context) => {
  const folder = temporaryFolder(context)
  const rows = bareQuestions(4)
  const config = configOf(folder, rows, {
    method: 'opsd',
    adapter: { rank: 1 },
    rollout: { maxTokens: 2 },
    optimisation: { batch: 1, steps: 3 },
    checkpoints: { every: 1 },
  })
  const method = presetOf('opsd')
  await runTo(config, method, { stopAfter: 1 })
  const path = join(folder, 'data.jsonl')
  const other = (i: number, change: object) => rows.map((row, at) => (at === i ? { ...row, ...change } : row))
  for (const [given, message] of [
    [[...rows, ...rows], /the data of this run have changed: 4 rows when it began, 8 now; 4 usable rows when it began, 8 now\. Restore them/],
    [other(2, { answer: '7' }), /as many rows as when it began, but some hold something else/],
    [[...rows].reverse(), /but some hold something else/],
  ] as const) {
    writeRows(path, given)
    await assert.rejects(runTo(config, method, { resume: true }), { name: 'ArgumentError', message })
  }
  assert.equal(latestCheckpoint(config.run.folder)?.step, 1)
  assert.ok(!existsSync(join(config.run.folder, 'run.lock')))
  writeRows(path, rows)
  assert.equal(await runTo(config, method, { resume: true }), 'finished')
})

test('a checkpoint that is damaged is named, and the run goes on without it', async (context) => {
  const folder = temporaryFolder(context)
  const config = configOf(folder, bareQuestions(3), {
    adapter: { rank: 1 },
    rollout: { maxTokens: 2 },
    optimisation: { batch: 1, steps: 4 },
    checkpoints: { every: 1, keep: 3 },
  })
  const method = presetOf('opsd')
  await runTo(config, method, { stopAfter: 3 })
  const last = join(config.run.folder, 'checkpoints', 'step-000003')
  for (const file of ['optimizer.safetensors', 'state.json', 'adapter/adapter_model.safetensors']) {
    const sound = readFileSync(join(last, file))
    writeFileSync(join(last, file), sound.subarray(0, sound.length / 2))
    await assert.rejects(runTo(config, method, { resume: true }), (error: Error) => {
      assert.ok(error.message.includes(`\nIf the checkpoint is damaged, remove ${last} to go on from step 2`), error.message)
      return true
    })
    writeFileSync(join(last, file), sound)
  }
  rmSync(last, { recursive: true })
  assert.equal(await runTo(config, method, { resume: true }), 'finished')
})

test('what cannot begin says what to set', async (context) => {
  const folder = temporaryFolder(context)
  const validation = { sources: join(folder, 'data.jsonl'), maxTokens: 128_000 }
  for (const [given, message] of [
    [
      { model: { path: 'Owner/A-Model' } },
      /model\.path Owner\/A-Model: there is no such folder; download it, .* hf download Owner\/A-Model --local-dir/,
    ],
    [{ model: { path: '/no/where' } }, /hf download NAME --local-dir \/no\/where/],
    [{ teacher: { path: 'nowhere' }, method: 'opd' }, /teacher\.path nowhere: there is no such folder/],
    [{ rollout: { maxTokens: 128_000 } }, /rollout\.maxTokens is 128000; the model has room for 128000 tokens/],
    [{ validation }, /validation\.maxTokens is 128000; the model has room for/],
    [{ model: { path: folderOf('qwen2_5_vl'), minPixels: null, maxPixels: 10 } }, /maxPixels 10; set model\.minPixels and model\.maxPixels/],
    [{ data: { sources: join(folder, 'data.jsonl'), columns: { problem: 'x' } } }, /data\.columns\.problem is "x"/],
    [{ validation: { ...validation, maxTokens: 1, columns: { answer: 'x' } } }, /validation\.columns\.answer is "x"/],
  ] as const) {
    const config = configOf(folder, questions(2), { adapter: { rank: 1 }, ...(given as Partial<ConfigInput>) })
    await assert.rejects(runTo(config, presetOf(config.method === 'opd' ? 'opd' : 'opsd')), { name: 'ArgumentError', message })
    assert.ok(!existsSync(config.run.folder))
  }
  // Before a model is loaded.
  mkdirSync(join(folder, 'run'))
  writeFileSync(join(folder, 'run', 'notes.txt'), '')
  await assert.rejects(runTo(configOf(folder, questions(2), { model: { path: '/no/where' } }), presetOf('opsd')), /run: holds notes\.txt, and no run/)
})

test('a row that turned out broken stays left out, whatever becomes of its image, and is told once', async (context) => {
  const folder = temporaryFolder(context)
  const image = brokenImage(folder)
  const rows = questions(3).map((row, i) => (i === 1 ? { ...row, images: [image] } : row))
  const sources = writeRows(join(folder, 'rows.jsonl'), rows)
  const config = configOf(folder, rows, { data: { sources, onBad: 'skip', shuffle: false }, adapter: { rank: 1 } })
  await using session = await openSession(config, presetOf('opsd'))
  const told: number[] = []
  const drawn = async (position: number): Promise<number[]> =>
    (await session.batches.draw(position, 3, (row) => void told.push(row))).prompts.map(({ sample }) => sample.row)
  assert.deepEqual(await drawn(0), [0, 2, 0])
  cpSync(imagePath('alpha.png'), image)
  assert.deepEqual(await drawn(3), [0, 2, 0])
  assert.deepEqual(told, [1])
})
