// `sightline train` on data that are broken, or come from a hub.

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Output, trainCommand } from '../../src/cli/train.ts'
import { isRun, readEvents, readMetrics } from '../../src/runs/read.ts'
import { brokenImage, type DataRow, questions, temporaryFolder } from '../training/runs.ts'
import { call, written } from './training.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('bad rows stop the run before it begins, or when they are drawn, or are skipped and told', async (context) => {
  const folder = temporaryFolder(context)
  const missing = { ...questions(1)[0], images: [join(folder, 'nowhere.png')] } as DataRow
  const broken = { ...questions(1)[0], images: [brokenImage(folder)] } as DataRow
  const [first, second] = questions(2) as [DataRow, DataRow]
  const data = (onBad: 'stop' | 'skip') => ({ data: { sources: join(folder, 'data.jsonl'), shuffle: false, onBad } })
  const { path, run: place } = written(folder, data('stop'), [first, missing, broken, second])
  await assert.rejects(
    call(path),
    /1 of 4 rows cannot be used:\n {2}row 1 .*there is no image file .*nowhere\.png\nMend them, or leave them out with data\.onBad/,
  )
  assert.ok(!isRun(place))

  written(folder, data('stop'), [first, broken, second])
  await assert.rejects(call(path), /row 1: .*broken\.png.*\nset data\.onBad to skip/)
  assert.equal(readEvents(place).at(-1)?.type, 'failed')
  assert.equal(readMetrics(place).length, 1)
  rmSync(place, { recursive: true })

  const { path: skipping } = written(folder, { ...data('skip'), optimisation: { batch: 1, epochs: 2 } }, [first, missing, broken, second])
  const skipped = await call(skipping)
  assert.equal(skipped.status, 0)
  assert.equal(skipped.lines[1], '1 of 4 rows left out (see events.jsonl)')
  assert.deepEqual(
    skipped.lines.filter((line) => line.startsWith('row')).map((line) => line.slice(0, 22)),
    ['row 2 is left out: /tm'],
  )
  // Three rows pass the first look: two epochs are six steps, in which the broken one never counts; it is told once.
  const events = readEvents(place)
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'row-skipped' ? [[event.step, event.row]] : [])),
    [
      [0, 1],
      [2, 2],
    ],
  )
  assert.equal(readMetrics(place).length, 6)
  rmSync(place, { recursive: true })

  // A step that is longer than an epoch meets a broken row several times.
  const { path: small } = written(folder, { ...data('skip'), optimisation: { batch: 5, steps: 1 } }, [first, broken, broken])
  assert.equal((await call(small)).status, 0)
  assert.deepEqual(
    readEvents(place).flatMap((event) => (event.type === 'row-skipped' ? [event.row] : [])),
    [1, 2],
  )
  rmSync(place, { recursive: true })

  const { path: hopeless } = written(folder, data('skip'), [broken, broken])
  await assert.rejects(call(hopeless), /none of the 2 rows can be used; row [01]: /)
})

test('data of a hub come from the place that the environment names, and what is fetched is told', async (context) => {
  const folder = temporaryFolder(context)
  const { path } = written(folder)
  const before = { ...process.env }
  context.after(() => {
    process.env = before
  })
  process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9'
  process.env['XDG_CACHE_HOME'] = folder
  const sets = ['data.sources=hf:owner/name']
  await assert.rejects(call(path, { sets }), /127\.0\.0\.1:9/)
  const cache = join(folder, 'sightline', 'datasets', 'owner--name', 'main', 'train')
  mkdirSync(cache, { recursive: true })
  cpSync(join(root, 'test/data/files/struct.parquet'), join(cache, 'a.parquet'))
  writeFileSync(join(cache, 'files.json'), '["a.parquet"]')
  const said: string[] = []
  const output: Output = { print: (line) => void said.push(line), status: undefined }
  for (const show of ['line', 'json', 'nothing'] as const) await assert.rejects(trainCommand({ config: path, sets, resume: false, show }, output))
  assert.deepEqual(said, ['owner/name: no network, so the files of the last download are taken'])
})
