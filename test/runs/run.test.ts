// A run folder says what was written into it, numbers without a word in JSON included, and is what it was after a rewind.

import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError, FileFormatError, StorageError } from '../../src/errors.ts'
import { Appender } from '../../src/runs/files.ts'
import { bestCheckpoint, isRun, latestCheckpoint, readEvents, readMetrics, readRun, readTranscripts, transcriptSteps } from '../../src/runs/read.ts'
import { createRun, openRun } from '../../src/runs/run.ts'
import type { NewEvent } from '../../src/runs/schema.ts'
import { ratio } from '../../src/runs/schema.ts'
import { mean, metricsOf, newRun, policy, stepsOf, temporaryFolder, train, transcriptOf } from './example.ts'

/** One of each type, so that a type without an example does not compile. */
const events: { readonly [T in NewEvent['type']]: Extract<NewEvent, { type: T }> } = {
  started: { type: 'started', step: 0 },
  resumed: { type: 'resumed', step: 20, fromStep: 20, changes: ['run.badSteps: 5 → 9'] },
  step: {
    type: 'step',
    step: 1,
    seconds: { rollout: 1.5, teachers: 0.25, student: 0.5, update: 0 },
    tokens: { rollout: 100, scored: 80, trained: 80 },
    tokensPerSecond: Number.POSITIVE_INFINITY,
  },
  checkpoint: { type: 'checkpoint', step: 20, folder: 'checkpoints/step-000020', best: true },
  validation: { type: 'validation', step: 20, metrics: metricsOf(4) },
  'row-skipped': { type: 'row-skipped', step: 3, row: 17, reason: 'no image' },
  'step-skipped': { type: 'step-skipped', step: 3, reason: 'loss is NaN', rows: 'skipped/step-000003.jsonl' },
  warning: { type: 'warning', step: 3, message: 'two\nlines' },
  stopped: { type: 'stopped', step: 4, reason: 'signal' },
  finished: { type: 'finished', step: 4 },
  failed: { type: 'failed', step: 4, message: 'out of memory' },
}

test('what is written is what is read', (context) => {
  const folder = join(temporaryFolder(context), 'new', 'run')
  const before = Date.now()
  using run = createRun(folder, newRun)
  for (const event of Object.values(events)) run.addEvent(event)
  for (const step of [1, 2, 3, 7]) run.addMetrics(step, metricsOf(step))
  run.addTranscripts(7, [transcriptOf(7, 0)])
  run.addTranscripts(7, [transcriptOf(7, 1)])
  run.addTranscripts(1_234_567, [transcriptOf(1_234_567, 0)])

  const read = readRun(folder)
  assert.deepEqual(read.config, newRun.config)
  assert.deepEqual(read.method, newRun.method)
  const { version, id, createdAt, machine, ...rest } = read.run
  assert.deepEqual(rest, { sightline: '0.1.0', command: newRun.command, engine: newRun.engine })
  assert.equal(version, 1)
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.equal(machine.node, process.version)
  assert.ok(machine.cpus >= 1 && machine.memoryBytes > 2 ** 20 && machine.platform === process.platform)
  const withoutTime = readEvents(folder).map(({ time, ...event }) => {
    assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now(), time)
    return event
  })
  assert.ok(Date.parse(createdAt) >= before)
  assert.deepEqual(withoutTime, Object.values(events))
  assert.deepEqual(
    readMetrics(folder),
    [1, 2, 3, 7].map((step) => ({ step, metrics: metricsOf(step) })),
  )
  assert.deepEqual(transcriptSteps(folder), [7, 1_234_567])
  assert.deepEqual(readTranscripts(folder, 7), [transcriptOf(7, 0), transcriptOf(7, 1)])
  assert.deepEqual(readTranscripts(folder, 8), [])
  assert.ok(existsSync(join(folder, 'rollouts/step-000007.jsonl')))
  // The form itself is a contract.
  const [first, second] = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').split('\n')
  assert.equal(
    first,
    '{"step":1,"metrics":{"loss":{"sum":0.3333333333333333,"count":7},"gradient norm":{"sum":"Infinity","count":1},"empty":{"sum":0,"count":0}}}',
  )
  assert.ok(second?.includes('"-Infinity"'))
})

test('a ratio is sum over count, and not a number without a count', () => {
  assert.equal(ratio({ sum: 3, count: 4 }), 0.75)
  assert.ok(Number.isNaN(ratio({ sum: 0, count: 0 })))
})

test('extra fields of newer writers are passed over; wrong fields and newer versions are refused', (context) => {
  const folder = temporaryFolder(context)
  createRun(folder, newRun)[Symbol.dispose]()
  const time = new Date().toISOString()
  const append = (text: string): void => appendFileSync(join(folder, 'events.jsonl'), `${text}\n`)
  append(`{"type":"started","step":0,"time":"${time}","new":[1]}`)
  assert.deepEqual(readEvents(folder), [{ type: 'started', step: 0, time }])
  append(`{"type":"started","step":-1,"time":"${time}"}`)
  assert.throws(() => readEvents(folder), { name: 'FileFormatError', message: /events\.jsonl: line 2: step: / })
  assert.throws(() => openRun(folder, policy), FileFormatError)
  writeFileSync(join(folder, 'events.jsonl'), `{"type":"exploded","step":0,"time":"${time}"}\n`)
  assert.throws(() => readEvents(folder), { name: 'FileFormatError', message: /line 1: type: / })

  writeFileSync(join(folder, 'metrics.jsonl'), '{"step":2,"metrics":{}}\n{"step":2,"metrics":{}}\n')
  writeFileSync(join(folder, 'events.jsonl'), '')
  assert.throws(() => openRun(folder, policy), { name: 'FileFormatError', message: /metrics\.jsonl: line 2: step 2 after step 2/ })
  assert.ok(!existsSync(join(folder, 'run.lock')))

  const path = join(folder, 'run.json')
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace('"version": 1', '"version": 2').replace('"command"', '"order"'))
  const newer = { name: 'FileFormatError', message: /run\.json: is of version 2; this Sightline reads versions up to 1/ }
  assert.throws(() => readRun(folder), newer)
  assert.throws(() => openRun(folder, policy), newer)
  writeFileSync(path, text.replace('"version": 1', '"version": "1"'))
  assert.throws(() => readRun(folder), { name: 'FileFormatError', message: /run\.json: version: / })
  writeFileSync(path, text)
  rmSync(join(folder, 'method.json'))
  assert.throws(() => readRun(folder), { name: 'FileFormatError', message: /method\.json: is missing/ })
})

test('a viewer passes an unfinished last line over, and leaves it', (context) => {
  const folder = temporaryFolder(context)
  using run = createRun(folder, newRun)
  run.addMetrics(1, metricsOf(1))
  const path = join(folder, 'metrics.jsonl')
  for (const tail of ['{"step":2,"metr', '{"step":2,"metrics":{}}', '\0\0\0\n']) {
    const before = readFileSync(path)
    appendFileSync(path, tail)
    assert.deepEqual(readMetrics(folder), [{ step: 1, metrics: metricsOf(1) }], tail)
    assert.equal(readFileSync(path).length, before.length + Buffer.byteLength(tail))
    writeFileSync(path, before)
  }
})

test('a folder that holds a run, or files under its names, is refused; leftovers of a killed beginning are not', (context) => {
  const folder = temporaryFolder(context)
  createRun(folder, newRun)[Symbol.dispose]()
  assert.throws(() => createRun(folder, newRun), { name: 'ArgumentError', message: /holds a run already; resume it, or give another folder/ })
  assert.ok(isRun(folder) && !existsSync(join(folder, 'run.lock')))

  const model = temporaryFolder(context)
  writeFileSync(join(model, 'config.json'), '{"model_type":"qwen3_vl"}')
  assert.throws(() => createRun(model, newRun), { name: 'ArgumentError', message: /holds config\.json, and no run; give a new or an empty folder/ })
  assert.throws(() => openRun(model, policy), { name: 'ArgumentError', message: /holds no run/ })
  assert.throws(() => readRun(join(model, 'none')), { name: 'ArgumentError', message: /holds no run/ })
  assert.deepEqual(readdirSync(model), ['config.json'])
  assert.equal(readFileSync(join(model, 'config.json'), 'utf8'), '{"model_type":"qwen3_vl"}')

  const pictures = temporaryFolder(context)
  for (const name of ['.hidden', 'a.png', 'b.png', 'c.png', 'd.png', 'e.png', 'f.png']) writeFileSync(join(pictures, name), '')
  assert.throws(() => createRun(pictures, newRun), {
    name: 'ArgumentError',
    message: /holds a\.png, b\.png, c\.png, d\.png, e\.png and 1 more, and no run; give a new or an empty folder/,
  })
  assert.equal(readdirSync(pictures).length, 7)

  const killed = temporaryFolder(context)
  mkdirSync(join(killed, 'rollouts'))
  writeFileSync(join(killed, 'config.json'), '{}')
  writeFileSync(join(killed, '.tmp-1'), '{"st')
  writeFileSync(join(killed, 'run.lock'), JSON.stringify({ pid: 2 ** 22 + 1, started: 'b/1', host: hostname(), since: new Date().toISOString() }))
  using run = createRun(killed, newRun)
  run.addMetrics(1, metricsOf(1))
  assert.deepEqual(readdirSync(killed).sort(), [
    'checkpoints',
    'config.json',
    'events.jsonl',
    'method.json',
    'metrics.jsonl',
    'rollouts',
    'run.json',
    'run.lock',
  ])
  assert.deepEqual(readRun(killed).config, newRun.config)
})

test('steps are written once, in order, and only while the run is open', async (context) => {
  const folder = temporaryFolder(context)
  const run = createRun(folder, newRun)
  assert.throws(() => run.addMetrics(0, {}), { name: 'ArgumentError', message: /metrics of step 0 where a step above 0 was due/ })
  run.addMetrics(5, {})
  for (const step of [5, 4, 5.5, Number.NaN]) assert.throws(() => run.addMetrics(step, {}), ArgumentError)
  assert.throws(() => run.addTranscripts(5, [transcriptOf(6, 0)]), {
    name: 'ArgumentError',
    message: /a transcript of step 6 was given with those of step 5/,
  })
  assert.throws(() => run.addTranscripts(-1, []), { name: 'ArgumentError', message: /step is -1/ })
  assert.deepEqual(transcriptSteps(folder), [])
  run[Symbol.dispose]()
  run[Symbol.dispose]()
  const closed = { name: 'ArgumentError', message: /was closed/ }
  assert.throws(() => run.addMetrics(6, {}), closed)
  assert.throws(() => run.addEvent(events.started), closed)
  assert.throws(() => run.rewindTo(0), closed)
  await assert.rejects(
    run.saveCheckpoint(6, {}, () => {}),
    closed,
  )
  using again = openRun(folder, policy)
  assert.throws(() => again.addMetrics(5, {}), ArgumentError)
  again.addMetrics(6, {})
  assert.deepEqual(
    readMetrics(folder).map(({ step }) => step),
    [5, 6],
  )
})

/** The files that a run which was interrupted must share with one that was not. */
function repeatable(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /^(metrics|rollouts|checkpoints).*\.json|state$/.test(name),
  )
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

test('rewinding to any checkpoint and going on gives the run that was never rewound; events stay', async (context) => {
  const whole = temporaryFolder(context)
  const all = { keep: 100, best: policy.best }
  using run = createRun(whole, { ...newRun, checkpoints: all })
  await train(run, 14)
  assert.deepEqual(stepsOf(whole), [3, 6, 9, 12, 14])
  const expected = repeatable(whole)
  assert.equal(expected.size, 1 + 14 + 5 * 2 + 1)
  for (const back of [12, 9, 3, 0]) {
    const history = readEvents(whole)
    run.rewindTo(back)
    assert.deepEqual(
      stepsOf(whole),
      [3, 6, 9, 12].filter((step) => step <= back),
    )
    assert.equal(readMetrics(whole).length, back)
    assert.deepEqual(
      transcriptSteps(whole),
      Array.from({ length: back }, (_, i) => i + 1),
    )
    assert.equal(bestCheckpoint(whole)?.step ?? 0, back >= 3 ? 3 : 0, 'step 3 has the highest accuracy, 10')
    assert.equal(existsSync(join(whole, 'checkpoints/best.json')), back > 0)
    assert.deepEqual(readEvents(whole), history)
    await train(run, 14)
    assert.deepEqual(repeatable(whole), expected)
  }
})

test('a disk that is full and a folder that cannot be written are told as such', (context) => {
  using full = new Appender('/dev/full')
  assert.throws(() => full.add({ step: 1 }), { name: 'StorageError', message: /\/dev\/full: cannot be written: ENOSPC.*free space on the disk/ })
  const folder = temporaryFolder(context)
  writeFileSync(join(folder, 'file'), '')
  assert.throws(() => createRun(join(folder, 'file', 'run'), newRun), { name: 'StorageError', message: /file\/run: cannot be written: ENOTDIR/ })
  // Where Node's own way to make folders does not come back.
  assert.throws(() => createRun('/proc/foo/run', newRun), { name: 'StorageError', message: /\/proc\/foo\/run: cannot be written: ENOENT/ })
  using run = createRun(join(folder, 'run'), newRun)
  rmSync(join(folder, 'run', 'rollouts'), { recursive: true })
  assert.throws(() => run.addTranscripts(1, [transcriptOf(1, 0)]), StorageError)
})

test('a damaged checkpoint is an error that says how to go on without it', async (context) => {
  const folder = temporaryFolder(context)
  using run = createRun(folder, newRun)
  await run.saveCheckpoint(3, mean(1), () => {})
  await run.saveCheckpoint(5, mean(2), () => {})
  const [third, fifth] = ['step-000003', 'step-000005'].map((name) => join(folder, 'checkpoints', name)) as [string, string]
  writeFileSync(join(fifth, 'checkpoint.json'), '{"version": 1, "st')
  assert.throws(() => latestCheckpoint(folder), {
    name: 'FileFormatError',
    message: new RegExp(`no valid JSON.*\\n.*remove ${fifth} to go on from step 3$`),
  })
  writeFileSync(join(fifth, 'checkpoint.json'), '{"version": 1, "step": 4, "metrics": {}}')
  assert.throws(() => latestCheckpoint(folder), { name: 'FileFormatError', message: /step is 4; expected 5.*\n.*to go on from step 3$/ })
  rmSync(fifth, { recursive: true })
  assert.equal(latestCheckpoint(folder)?.step, 3)
  writeFileSync(join(third, 'checkpoint.json'), '')
  assert.throws(() => latestCheckpoint(folder), { name: 'FileFormatError', message: /to go on from step 0$/ })
})

test('checkpoint metrics may lack the metric of the policy', async (context) => {
  using run = createRun(temporaryFolder(context), newRun)
  await run.saveCheckpoint(1, {}, () => {})
  assert.equal(bestCheckpoint(run.folder), null)
  await run.saveCheckpoint(2, mean(1, 2), () => {})
  assert.deepEqual(bestCheckpoint(run.folder), {
    step: 2,
    folder: join(run.folder, 'checkpoints/step-000002'),
    metrics: mean(1, 2),
    metric: 'accuracy',
    value: 0.5,
  })
})
