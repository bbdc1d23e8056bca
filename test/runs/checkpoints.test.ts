// Checkpoints are whole or not there, and those that stay are the latest and the best.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { KeepPolicy } from '../../src/runs/checkpoints.ts'
import { bestOf, surplus } from '../../src/runs/checkpoints.ts'
import { bestCheckpoint, checkpointAt, checkpoints, latestCheckpoint, readEvents } from '../../src/runs/read.ts'
import { createRun, openRun } from '../../src/runs/run.ts'
import { mean, newRun, policy, stepsOf, temporaryFolder } from './example.ts'

const max = { metric: 'accuracy', goal: 'max' } as const
const min = { metric: 'accuracy', goal: 'min' } as const
const none = Number.NaN

/** Values of the checkpoints of steps 10, 20, ... as they are saved; a text for one without the metric. */
const table: readonly { values: readonly (number | 'none')[]; policy: KeepPolicy; stay: readonly number[]; best: number | null }[] = [
  { values: [1, 2, 3, 4], policy: { keep: 2, best: null }, stay: [30, 40], best: null },
  { values: [1, 2, 3, 4], policy: { keep: 2, best: max }, stay: [30, 40], best: 40 },
  { values: [1, 2, 3, 4], policy: { keep: 2, best: min }, stay: [10, 30, 40], best: 10 },
  { values: [1, 5, 3, 4], policy: { keep: 1, best: max }, stay: [20, 40], best: 20 },
  { values: [5, 5, 5, 5], policy: { keep: 1, best: max }, stay: [10, 40], best: 10 },
  { values: [5, 5, 5, 5], policy: { keep: 1, best: min }, stay: [10, 40], best: 10 },
  { values: [none, 2, none, none], policy: { keep: 1, best: max }, stay: [20, 40], best: 20 },
  { values: [none, none], policy: { keep: 1, best: max }, stay: [20], best: null },
  { values: ['none', 'none', 1, 'none'], policy: { keep: 1, best: min }, stay: [30, 40], best: 30 },
  { values: [-1, Number.NEGATIVE_INFINITY, 0], policy: { keep: 1, best: min }, stay: [20, 30], best: 20 },
  { values: [3, 2, 1], policy: { keep: 7, best: max }, stay: [10, 20, 30], best: 10 },
]

for (const [i, { values, policy, stay, best }] of table.entries()) {
  test(`keep policy ${i}: of ${values.join(', ')} with ${JSON.stringify(policy)} stay ${stay.join(', ')}`, async (context) => {
    const folder = temporaryFolder(context)
    using run = createRun(folder, { ...newRun, checkpoints: policy })
    for (const [at, value] of values.entries()) await run.saveCheckpoint(10 * (at + 1), value === 'none' ? {} : mean(2 * value, 2), () => {})
    assert.deepEqual(stepsOf(folder), stay)
    assert.equal(bestCheckpoint(folder)?.step ?? null, best)
    assert.equal(latestCheckpoint(folder)?.step, 10 * values.length)
    assert.deepEqual(
      readdirSync(join(folder, 'checkpoints')).sort(),
      [...(best === null ? [] : ['best.json']), ...stay.map((step) => `step-0000${step}`)].sort(),
    )
    const saved = readEvents(folder).map((event) => (event.type === 'checkpoint' ? [event.step, event.folder] : []))
    assert.deepEqual(
      saved,
      values.map((_, at) => [10 * (at + 1), `checkpoints/step-0000${10 * (at + 1)}`]),
    )
  })
}

test('what stays is a function of what there is: the latest and the best, by brute force', () => {
  for (let code = 0; code < 3 ** 5; code++) {
    const values = Array.from({ length: 5 }, (_, i) => Math.floor(code / 3 ** i) % 3)
    const candidates = values.map((value, i) => ({ step: i + 1, metrics: mean(value) }))
    for (const keep of [1, 2, 5]) {
      const expected = values.indexOf(Math.max(...values)) + 1
      assert.deepEqual(bestOf(candidates, max), { step: expected, value: Math.max(...values) })
      const gone = [1, 2, 3, 4, 5].filter((step) => step <= 5 - keep && step !== expected)
      assert.deepEqual(surplus(candidates, { keep, best: max }), gone)
    }
  }
})

test('a checkpoint holds what was written, its step and its metrics', async (context) => {
  const folder = temporaryFolder(context)
  using run = createRun(folder, newRun)
  const metrics = { accuracy: { sum: 1, count: 4 }, loss: { sum: Number.NaN, count: 1 } }
  await run.saveCheckpoint(20, metrics, (path) => {
    assert.deepEqual(stepsOf(folder), [], 'not there before it is whole')
    mkdirSync(join(path, 'adapter'))
    writeFileSync(join(path, 'adapter', 'weights'), 'w')
  })
  const path = join(folder, 'checkpoints/step-000020')
  assert.deepEqual(checkpoints(folder), [{ step: 20, folder: path, metrics }])
  assert.equal(readFileSync(join(path, 'adapter/weights'), 'utf8'), 'w')
  assert.deepEqual(JSON.parse(readFileSync(join(path, 'checkpoint.json'), 'utf8')), {
    version: 1,
    step: 20,
    metrics: { accuracy: { sum: 1, count: 4 }, loss: { sum: 'NaN', count: 1 } },
  })
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'checkpoints/best.json'), 'utf8')), { step: 20, metric: 'accuracy', value: 0.25 })
  for (const step of [20, 19]) {
    await assert.rejects(
      run.saveCheckpoint(step, {}, () => {}),
      { name: 'ArgumentError', message: /after that of step 20; rewind/ },
    )
  }
  assert.equal(checkpointAt(folder, 19), null)
})

test('a writer that throws leaves nothing, and the run goes on', async (context) => {
  const folder = temporaryFolder(context)
  using run = createRun(folder, newRun)
  await run.saveCheckpoint(1, mean(1), () => {})
  const before = readdirSync(folder, { recursive: true }).sort()
  const failure = new Error('out of memory')
  const write = (path: string): void => {
    writeFileSync(join(path, 'half'), 'x')
    throw failure
  }
  await assert.rejects(run.saveCheckpoint(2, mean(2), write), (error) => error === failure)
  await assert.rejects(
    run.saveCheckpoint(2, mean(2), async (path) => write(path)),
    (error) => error === failure,
  )
  const full = (path: string): void => {
    mkdirSync(join(path, 'deep'))
    writeFileSync('/dev/full', 'x')
  }
  await assert.rejects(run.saveCheckpoint(2, mean(2), full), { name: 'StorageError', message: /step-000002: cannot be written: ENOSPC.*free space/ })
  assert.deepEqual(readdirSync(folder, { recursive: true }).sort(), before)
  assert.equal(bestCheckpoint(folder)?.step, 1)
  await run.saveCheckpoint(2, mean(2), () => {})
  assert.equal(bestCheckpoint(folder)?.step, 2)
})

test('what a kill left unfinished goes when the run is opened; what it left undone is done with the next checkpoint', async (context) => {
  const folder = temporaryFolder(context)
  {
    using run = createRun(folder, { ...newRun, checkpoints: { keep: 9, best: max } })
    for (const step of [1, 2, 3, 4]) await run.saveCheckpoint(step, mean(step === 2 ? 9 : step), () => {})
  }
  const path = join(folder, 'checkpoints')
  mkdirSync(join(path, '.tmp-killed'))
  writeFileSync(join(path, '.tmp-killed', 'weights'), 'half')
  writeFileSync(join(folder, '.tmp-json'), '{')
  // As after a kill between the checkpoint and best.json.
  writeFileSync(join(path, 'best.json'), '{"step":1,"metric":"accuracy","value":1}')
  using run = openRun(folder, policy)
  assert.deepEqual(
    [...readdirSync(path), ...readdirSync(folder)].filter((name) => name.startsWith('.')),
    [],
  )
  assert.deepEqual(stepsOf(folder), [1, 2, 3, 4])
  await run.saveCheckpoint(5, mean(5), () => {})
  assert.deepEqual(stepsOf(folder), [2, 4, 5])
  assert.equal(bestCheckpoint(folder)?.value, 9)
  assert.equal(bestCheckpoint(folder)?.step, 2)
})

test('a best checkpoint that somebody removed is none; a damaged or newer checkpoint is an error', async (context) => {
  const folder = temporaryFolder(context)
  using run = createRun(folder, newRun)
  await run.saveCheckpoint(3, mean(3), () => {})
  const path = join(folder, 'checkpoints/step-000003')
  const info = join(path, 'checkpoint.json')
  for (const [text, message] of [
    ['{"version":2}', /checkpoint\.json: is of version 2/],
    ['{"version":1,"step":4,"metrics":{}}', /checkpoint\.json: step is 4; expected 3/],
    ['{"version":1,"step":3}', /checkpoint\.json: metrics: /],
    ['{"ver', /checkpoint\.json: no valid JSON/],
  ] as const) {
    writeFileSync(info, text)
    assert.throws(() => latestCheckpoint(folder), { name: 'FileFormatError', message })
  }
  rmSync(path, { recursive: true })
  assert.equal(bestCheckpoint(folder), null)
  assert.equal(latestCheckpoint(folder), null)
})

test('a policy that keeps none is refused', (context) => {
  const folder = temporaryFolder(context)
  for (const keep of [0, -1, 1.5, Number.NaN]) {
    const wrong = { name: 'ArgumentError', message: /keep is .*; it must be an integer ≥ 1/ }
    assert.throws(() => createRun(folder, { ...newRun, checkpoints: { keep, best: null } }), wrong)
    assert.throws(() => openRun(folder, { keep, best: null }), wrong)
  }
  assert.deepEqual(readdirSync(folder), [])
})
