// Worlds as data sets: what is written is read again by our own readers, equal seeds give equal bytes, and nothing is ever half there.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet'
import sharp from 'sharp'
import { openDataset } from '../../../src/data/dataset.ts'
import { blindWorld } from '../../../src/data/worlds/blind/blind.ts'
import { samplesOf, type WorldSample } from '../../../src/data/worlds/world.ts'
import { type Format, formats, renderPng, writeWorld } from '../../../src/data/worlds/write.ts'
import { ArgumentError, StorageError } from '../../../src/errors.ts'

function temporary(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-worlds-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const facts = (seed: number) => ({ world: blindWorld, seed, tasks: blindWorld.tasks, splits: blindWorld.splits, pixels: 64 })
const some = (count: number, seed = 7): WorldSample[] => [...samplesOf(blindWorld, { seed, count, pixels: 64 })]
const write = (folder: string, format: Format, seed = 7, count = 12) => writeWorld(folder, some(count, seed), { format, facts: facts(seed) })

/** Hashes of all files by their paths. */
function hashes(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    files
      .map((file) => join(file.parentPath, file.name))
      .sort()
      .map((path) => [path.slice(folder.length), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  )
}

for (const format of formats) {
  test(`${format}: every sample is read again with its picture`, async (context) => {
    const folder = join(temporary(context), 'w')
    const samples = some(12)
    assert.equal(await write(folder, format), 12)
    const dataset = await openDataset([folder])
    try {
      assert.equal(dataset.size, 12)
      for (const [row, { id, problem, answer, solution, pixels, ...rest }] of samples.entries()) {
        const read = await dataset.sample(row)
        assert.deepEqual({ ...read, images: read.images.length }, { row, id, problem, answer, solution, images: 1 })
        const image = sharp(read.images[0])
        const png = await renderPng(rest.svg ?? '')
        assert.deepEqual(await image.clone().raw().toBuffer(), await sharp(png).raw().toBuffer())
        const { width, height, format: kind, channels } = await image.metadata()
        assert.deepEqual([width, height, kind, channels], [pixels, pixels, 'png', 3])
      }
    } finally {
      await dataset.close()
    }
    const { version, ...said } = JSON.parse(readFileSync(join(folder, 'world.json'), 'utf8')) as { version: string }
    assert.match(version, /^\d+\.\d+\.\d+/)
    const { name, about, attribution } = blindWorld
    assert.deepEqual(said, { ...facts(7), world: name, about, attribution, format, count: 12 })
  })

  test(`${format}: equal seeds give equal bytes, other seeds others`, async (context) => {
    const folder = temporary(context)
    for (const [name, seed] of [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ] as const)
      await write(join(folder, name), format, seed)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => hashes(join(folder, name)))
    assert.deepEqual(a, b)
    assert.ok(Object.entries(a ?? {}).every(([path, hash]) => c?.[path] !== hash))
  })

  test(`${format}: a folder that is there stays as it is; a failure leaves nothing behind`, async (context) => {
    const folder = temporary(context)
    mkdirSync(join(folder, 'there'))
    await assert.rejects(
      write(join(folder, 'there'), format),
      (error: Error) => error instanceof ArgumentError && /is there already/.test(error.message),
    )
    function* failing(): Generator<WorldSample> {
      yield* some(10)
      throw new RangeError('the world ends')
    }
    const options = { format, facts: facts(7) }
    await assert.rejects(writeWorld(join(folder, 'new'), failing(), options), /the world ends/)
    await assert.rejects(writeWorld(join(folder, 'new'), [...some(3), ...some(1)], options), /two samples have the id "blind-7-0"/)
    await assert.rejects(writeWorld(join(folder, 'new'), [{ ...(some(1)[0] as WorldSample), svg: '<svg' }], options), /unsupported image format/)
    writeFileSync(join(folder, 'file'), '')
    await assert.rejects(writeWorld(join(folder, 'file', 'new'), some(1), options), StorageError)
    assert.deepEqual(readdirSync(folder).sort(), ['file', 'there'])
  })
}

test('jsonl: the columns, the truth as an object', async (context) => {
  const folder = join(temporary(context), 'w')
  await write(folder, 'jsonl')
  const rows = readFileSync(join(folder, 'samples.jsonl'), 'utf8').trimEnd().split('\n')
  for (const [i, sample] of some(12).entries()) {
    const { id, problem, answer, solution, task, split, truth } = sample
    assert.deepEqual(JSON.parse(rows[i] ?? ''), { id, problem, images: [`images/${id}.png`], answer, solution, world: 'blind', task, split, truth })
  }
})

test('parquet: groups of at most 100 rows, images as the datasets library has them; progress is told', async (context) => {
  const folder = join(temporary(context), 'w')
  const told: number[] = []
  await writeWorld(folder, samplesOf(blindWorld, { seed: 3, count: 230, tasks: ['nested_squares'], pixels: 48 }), {
    format: 'parquet',
    facts: facts(3),
    onProgress: (done) => void told.push(done),
  })
  assert.deepEqual(
    told,
    Array.from({ length: 230 }, (_, i) => i + 1),
  )
  const metadata = await parquetMetadataAsync(await asyncBufferFromFile(join(folder, 'samples.parquet')))
  assert.deepEqual(
    metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
    [100, 100, 30],
  )
  const hint = JSON.parse(metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value ?? '{}')
  assert.deepEqual(hint.info.features.images, [{ _type: 'Image' }])
  assert.deepEqual(
    metadata.row_groups[0]?.columns.map(({ meta_data }) => meta_data?.path_in_schema.join('.')),
    ['id', 'problem', 'images.list.element.bytes', 'images.list.element.path', 'answer', 'solution', 'world', 'task', 'split', 'truth'],
  )
})
