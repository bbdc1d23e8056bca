// Rows of parquet files that pyarrow wrote (tools/goldens/data.py), in all codecs and shapes of images, against the formulas they were made with.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Dataset, type DatasetOptions, openDataset } from '../../src/data/dataset.ts'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { random } from '../support.ts'

const folder = join(import.meta.dirname, 'files')

async function withFiles(names: readonly string[], options: DatasetOptions, body: (dataset: Dataset) => Promise<void>): Promise<void> {
  const dataset = await openDataset(
    names.map((name) => join(folder, `${name}.parquet`)),
    options,
  )
  try {
    await body(dataset)
  } finally {
    await dataset.close()
  }
}

/** The bytes of an image, by the formula of data.py. */
function image(row: number, which: number): Uint8Array {
  return new Uint8Array(Buffer.from(`\x89PNG\r\n\x1a\n${`image ${which} of row ${row} `.repeat(1 + (row % 3))}`, 'latin1'))
}

const listed = (row: number): Uint8Array[] => [[image(row, 0)], [image(row, 0), image(row, 1)], [], []][row % 4] as Uint8Array[]
const texts = (row: number) => ({ problem: `Wieviel ist ${row} + ${row}? ∑`, answer: String(2 * row) })

for (const codec of ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4']) {
  test(`the columns of Vision-SR1-47K, compressed by ${codec}`, async () => {
    await withFiles([`vision-${codec}`], {}, async (dataset) => {
      assert.equal(dataset.size, 10)
      for (const row of [9, 0, 4, 3, 8, 1, 2, 5, 6, 7, 0]) {
        const solution = row % 2 ? null : `Twice ${row}.`
        const expected = { row, id: String(2n ** 60n + BigInt(row)), ...texts(row), images: listed(row), solution }
        assert.deepEqual(await dataset.sample(row), expected)
      }
    })
  })
}

test('one struct a row: a null is no image, without bytes the path counts', async () => {
  await withFiles(['struct'], {}, async (dataset) => {
    for (let row = 0; row < 8; row++) {
      const images = row === 3 ? [] : row === 5 ? [join(folder, '5.png')] : [image(row, 0)]
      assert.deepEqual(await dataset.sample(row), { row, id: String(row), ...texts(row), images, solution: null })
    }
  })
  await withFiles(['struct'], { imageRoot: '/images' }, async (dataset) => assert.deepEqual((await dataset.sample(5)).images, ['/images/5.png']))
})

test('bytes without a struct, texts that are not marked as such', async () => {
  await withFiles(['bytes'], {}, async (dataset) => {
    for (let row = 0; row < 8; row++)
      assert.deepEqual(await dataset.sample(row), { row, id: String(row), ...texts(row), images: [image(row, 0)], solution: null })
  })
})

test('with a page index any row in any order, several at once', async () => {
  await withFiles(['paged'], {}, async (dataset) => {
    const next = random(1)
    const rows = Array.from({ length: 200 }, () => Math.floor(next() * 60))
    const samples = await Promise.all(rows.map((row) => dataset.sample(row)))
    for (const [i, row] of rows.entries()) assert.deepEqual(samples[i], { row, id: String(row), ...texts(row), images: listed(row), solution: null })
  })
})

test('several files are one data set; a limit counts over all', async () => {
  await withFiles(['vision-none', 'struct', 'bytes'], { limit: 20 }, async (dataset) => {
    assert.equal(dataset.size, 20)
    assert.match(dataset.describe(), /^the first 20 of 26 rows in 3 files\n.*vision-none\.parquet: 10 rows\n.*struct\.parquet: 8 rows\n/)
    assert.deepEqual(await dataset.sample(19), { row: 19, id: '19', ...texts(1), images: [image(1, 0)], solution: null })
    assert.deepEqual(dataset.where(10), { source: join(folder, 'struct.parquet'), line: null })
    await assert.rejects(dataset.sample(20), new ArgumentError('there is no row 20; the data set has rows 0 to 19'))
    await assert.rejects(dataset.sample(-1), ArgumentError)
    await assert.rejects(dataset.sample(0.5), ArgumentError)
  })
})

test('columns by name; an error says which there are', async () => {
  await withFiles(['vision-none'], { columns: { problem: 'data_source', id: 'answer', images: null } }, async (dataset) => {
    const { problem, id } = await dataset.sample(1)
    assert.deepEqual({ problem, id }, { problem: 'made', id: '\\boxed{2}' })
  })
  const opened = (columns: DatasetOptions['columns'] & {}) => openDataset([join(folder, 'bytes.parquet')], { columns })
  await assert.rejects(opened({ solution: 'steps' }), (error: Error) => {
    assert.ok(error instanceof ArgumentError)
    assert.match(error.message, /bytes\.parquet: columns\.solution is "steps", but its columns are "problem", "answer", "image"$/)
    return true
  })
  await withFiles(['vision-none'], { columns: { answer: 'options' } }, async (dataset) => {
    await assert.rejects(dataset.sample(1), (error: Error) => {
      assert.ok(error instanceof FileFormatError)
      assert.match(error.message, /vision-none\.parquet: row 1: options is a list of 1; expected a text$/)
      return true
    })
  })
})
