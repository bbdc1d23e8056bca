// Opening benchmarks: drawn worlds equal the worlds, sources that cannot be used are told, and what the Hub has in parts comes in parts.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { openBenchmark } from '../../src/benchmarks/open.ts'
import { benchmarkNamed } from '../../src/benchmarks/registry.ts'
import { belongsTo, readHubName } from '../../src/data/hub.ts'
import { RowError } from '../../src/data/sample.ts'
import { priorWorld } from '../../src/data/worlds/prior/world.ts'
import { samplesOf } from '../../src/data/worlds/world.ts'
import { renderPng, writeWorld } from '../../src/data/worlds/write.ts'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { image, inFolder, read, writeLines, writeParquet } from './support.ts'

test('a drawn benchmark has the samples of its world, and the same when it was written before', async () => {
  const drawn = { seed: 5, count: 7, splits: ['score'], pixels: 64 }
  const questions = await read('prior-world', null, drawn)
  const samples = [...samplesOf(priorWorld, drawn)]
  assert.deepEqual(
    questions.map(({ id, problem, expected, groups }) => [id, problem, expected.answer, groups]),
    samples.map(({ id, problem, answer, task, split }) => [id, problem, answer, { task, split }]),
  )
  assert.deepEqual(questions[3]?.images, [await renderPng(samples[3]?.svg ?? '')])
  await inFolder(async (folder) => {
    const path = join(folder, 'world')
    const facts = { world: priorWorld, seed: 5, tasks: priorWorld.tasks, splits: ['score'], pixels: 64 }
    await writeWorld(path, samples, { format: 'parquet', facts })
    const written = await read('prior-world', path)
    assert.deepEqual(
      written.map((question) => ({ ...question, images: question.images.length })),
      questions.map((question) => ({ ...question, images: question.images.length })),
    )
  })
  assert.equal((await read('blind-world', null, { count: 9, limit: 4 })).length, 4)
  await assert.rejects(read('blind-world', null, { splits: ['score'] }), ArgumentError)
  await assert.rejects(read('blind-world', null, { seed: -1 }), /seed is -1/)
  await assert.rejects(read('blind-world', null, { count: 0 }), /count is 0/)
})

test('parts of a split are read without what lies beside them', async () => {
  await inFolder(async (folder) => {
    const row = { task: 'Depth', image: image('room'), choices: ['a', 'b'], answer: '(A)', prompt: 'Which?', source: 'Omni3D' }
    const columns = {
      type: 'text',
      task: 'text',
      image: 'bytes',
      choices: 'texts',
      answer: 'text',
      prompt: 'text',
      source: 'text',
      idx: 'integer',
    } as const
    await writeParquet(join(folder, 'test_2d.parquet'), columns, [{ ...row, type: '2D', idx: 0n }])
    await writeParquet(join(folder, 'test_3d.parquet'), columns, [{ ...row, type: '3D', idx: 0n }])
    await writeLines(join(folder, 'test_2d.jsonl'), [{ idx: 0, type: '2D', filename: 'img/2D/0.png' }])
    assert.deepEqual(
      (await read('cv-bench', folder)).map(({ id }) => id),
      ['2D-0', '3D-0'],
    )
  })
})

test('questions can be read twice, and are told about', async () => {
  await inFolder(async (folder) => {
    const row = { problem: 'x?', answer: '1', subject: 's', level: 1 }
    await writeLines(join(folder, 'a.jsonl'), [
      { ...row, unique_id: 'a' },
      { ...row, unique_id: 'b' },
    ])
    await writeLines(join(folder, 'b.jsonl'), [{ ...row, unique_id: 'c' }])
    const opened = await openBenchmark(benchmarkNamed('math500'), { source: folder, limit: null })
    for (let time = 0; time < 2; time++) {
      const ids: string[] = []
      for await (const { id } of opened.questions()) ids.push(id)
      assert.deepEqual(ids, ['a', 'b', 'c'])
    }
    assert.equal(opened.size, 3)
    assert.equal(opened.describe(), `MATH500: 3 rows in 2 files\n${join(folder, 'a.jsonl')}: 2 rows\n${join(folder, 'b.jsonl')}: 1 rows`)
    await opened.close()
    await writeLines(join(folder, 'b.jsonl'), [{ ...row, unique_id: 'a' }])
    await assert.rejects(read('math500', folder), /math500: two questions have the id "a"/)
    await writeLines(join(folder, 'b.jsonl'), [
      { ...row, unique_id: 'c' },
      { ...row, unique_id: 'd', answer: '' },
    ])
    await assert.rejects(read('math500', folder), (error: unknown) => {
      assert.ok(error instanceof RowError)
      assert.equal(error.message, `${join(folder, 'b.jsonl')}:2: row 3: answer is missing or empty`)
      return true
    })
  })
})

test('sources that cannot be used', async () => {
  await inFolder(async (folder) => {
    await assert.rejects(read('mmmu', join(folder, 'none')), /there is no such file or folder/)
    await assert.rejects(read('mmmu', folder), ArgumentError)
    await assert.rejects(read('mmmu', null), /no hub options/)
    await assert.rejects(read('geo3k', folder, { limit: 0 }), /limit is 0/)
    await writeLines(join(folder, 'rows.jsonl'), [{ images: [image('x')], question: 'x' }])
    await assert.rejects(read('geo3k', folder), (error: unknown) => {
      assert.ok(error instanceof FileFormatError)
      assert.equal(
        error.message,
        `${join(folder, 'rows.jsonl')}: no file of Geometry3K: it lacks the columns problem, answer; it has images, question`,
      )
      return true
    })
  })
})

test('names of data sets with configurations, and the files that belong to them', () => {
  const wanted = readHubName('hf:MMMU/MMMU_Pro:standard (10 options)/test')
  assert.deepEqual(wanted, { name: 'MMMU/MMMU_Pro', revision: null, configuration: 'standard (10 options)', split: 'test' })
  assert.ok(belongsTo('standard (10 options)/test-00000-of-00002.parquet', wanted))
  assert.ok(!belongsTo('standard (4 options)/test-00000-of-00001.parquet', wanted))
  assert.ok(belongsTo('Art/validation-00000-of-00001.parquet', { split: 'validation' }))
  assert.ok(!belongsTo('testmini_text_only.parquet', { split: 'testmini' }))
  assert.throws(() => readHubName('hf:a/b:../x'), ArgumentError)
})

test('one configuration of a data set is downloaded, and no other', async () => {
  await inFolder(async (folder) => {
    const columns = { id: 'text', image: 'image', options: 'text', answer: 'text', subject: 'text' } as const
    const row = { id: 'test_Math_1', image: { bytes: image('x'), path: null }, options: "['a', 'b']", answer: 'B', subject: 'Math' }
    await writeParquet(join(folder, 'vision.parquet'), columns, [row])
    const bytes = await readFile(join(folder, 'vision.parquet'))
    const asked: string[] = []
    const server = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? '')
      asked.push(path)
      const paths = ['standard (10 options)', 'vision'].map((each) => ({
        type: 'file',
        path: `${each}/test-00000-of-00001.parquet`,
        size: bytes.length,
      }))
      if (path.startsWith('/api/datasets/MMMU/MMMU_Pro/tree/')) response.end(JSON.stringify(paths))
      else if (path.endsWith('.parquet')) response.end(bytes)
      else response.writeHead(404).end()
    }).listen(0, '127.0.0.1')
    try {
      await new Promise((listening) => server.once('listening', listening))
      const hub = { cache: join(folder, 'cache'), endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
      const [question, ...others] = await read('mmmu-pro-vision', null, { hub })
      assert.deepEqual([question?.id, others.length], ['test_Math_1', 0])
      assert.deepEqual(asked, [
        '/api/datasets/MMMU/MMMU_Pro/parquet/vision/test',
        '/api/datasets/MMMU/MMMU_Pro/tree/main?recursive=true',
        '/datasets/MMMU/MMMU_Pro/resolve/main/vision/test-00000-of-00001.parquet',
      ])
      // It lies in a place of its own.
      await assert.rejects(read('mmmu-pro-10', null, { hub }), /lacks the columns question, image_1/)
      assert.ok(existsSync(join(folder, 'cache/MMMU--MMMU_Pro/main/standard (10 options)/test')))
    } finally {
      server.close()
    }
  })
})

const blindTest = join(import.meta.dirname, '../../../shared/data/blindtest')

test('the real images of BlindTest', { skip: existsSync(blindTest) ? false : 'the data is not here' }, async () => {
  const questions = await read('vlms-are-blind', blindTest)
  assert.equal(questions.length, 587)
  assert.ok(questions.every(({ images }) => images.every((path) => typeof path === 'string' && existsSync(path))))
  const kinds = new Set(questions.map(({ groups, expected }) => `${groups['task']}: ${expected.kind}`))
  assert.deepEqual([...kinds].sort(), [
    'counting shapes: number',
    'line intersections: number',
    'nested squares: number',
    'overlapping circles: yesNo',
    'rows columns: tuple',
    'touching circles: yesNo',
  ])
})
