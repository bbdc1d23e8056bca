// Damaged files: whatever bytes are changed, a file is refused, its rows are reported, or it still can be read. Nothing crashes or hangs.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { inspectRows } from '../../src/data/check.ts'
import { chooseColumns } from '../../src/data/columns.ts'
import { openDataset } from '../../src/data/dataset.ts'
import { openParquet, ParquetReader } from '../../src/data/parquet.ts'
import { FileFormatError } from '../../src/errors.ts'
import { random } from '../support.ts'

const folder = await mkdtemp(join(tmpdir(), 'sightline-damage-'))
after(() => rm(folder, { recursive: true }))
const files = join(import.meta.dirname, 'files')
const names = ['vision-none', 'vision-snappy', 'vision-gzip', 'vision-zstd', 'vision-brotli', 'vision-lz4', 'struct', 'bytes', 'paged']

/** A copy with up to eight bytes changed, and sometimes cut. */
function damaged(bytes: Uint8Array, seed: number, cuts: boolean): Uint8Array {
  const next = random(seed)
  const copy = new Uint8Array(bytes)
  const flips = 1 + Math.floor(next() * 8)
  for (let i = 0; i < flips; i++) copy[Math.floor(next() * copy.length)] = Math.floor(next() * 256)
  return cuts && next() < 0.2 ? copy.subarray(0, Math.floor(next() * copy.length)) : copy
}

/** What becomes of a file: everything else than these three outcomes fails the test. */
async function outcome(path: string): Promise<'refused' | 'rows refused' | 'read'> {
  try {
    const dataset = await openDataset([path])
    try {
      const { bad } = await inspectRows(dataset, { onBad: 'skip' })
      return bad.length > 0 ? 'rows refused' : 'read'
    } finally {
      await dataset.close()
    }
  } catch (error) {
    assert.ok(error instanceof FileFormatError, `${path}: ${(error as Error).stack}`)
    return 'refused'
  }
}

test('200 damaged parquet files', async () => {
  const counts = { refused: 0, 'rows refused': 0, read: 0 }
  for (let seed = 0; seed < 200; seed++) {
    const path = join(folder, `${seed}.parquet`)
    await writeFile(path, damaged(await readFile(join(files, `${names[seed % names.length]}.parquet`)), seed, true))
    counts[await outcome(path)]++
  }
  assert.ok(counts.refused > 50 && counts['rows refused'] > 10 && counts.read > 10, JSON.stringify(counts))
})

test('200 damaged files of JSON lines and JSON arrays', async () => {
  const image = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1').toString('base64')
  const rows = Array.from({ length: 12 }, (_, i) => ({
    problem: `problem ${i}, "quoted" ∑`,
    answer: String(i),
    id: i,
    images: [image, { bytes: image }],
  }))
  const contents = [rows.map((row) => JSON.stringify(row)).join('\n'), JSON.stringify(rows, null, 1)]
  const counts = { refused: 0, 'rows refused': 0, read: 0 }
  for (let seed = 0; seed < 200; seed++) {
    const path = join(folder, `${seed}.json`)
    await writeFile(path, damaged(Buffer.from(contents[seed % 2] as string), seed, true))
    counts[await outcome(path)]++
  }
  assert.ok(counts.refused > 10 && counts['rows refused'] > 50, JSON.stringify(counts))
})

test('a file in which the parser loops for ever costs its thread; others are read as before', async () => {
  const path = join(folder, 'loop.parquet')
  // A negative number of values in a run of packed bits.
  await writeFile(path, damaged(await readFile(join(files, 'struct.parquet')), 519, false))
  const reader = new ParquetReader(1500)
  const healthy = await openParquet(join(files, 'bytes.parquet'), chooseColumns({}), reader)
  const looping = await openParquet(path, chooseColumns({}), reader)
  const asked = [looping.cells(0), healthy.cells(0), looping.cells(1)]
  const [first, second, third] = await Promise.allSettled(asked)
  assert.equal(second?.status, 'fulfilled')
  for (const result of [first, third]) {
    assert.ok(result?.status === 'rejected' && result.reason instanceof FileFormatError)
    assert.match(result.reason.message, /^damaged: the parser gave no sign of life for 1\.5 s$/)
  }
  assert.deepEqual(Object.keys(await healthy.cells(7)).sort(), ['answer', 'image', 'problem'])
  await looping.close()
  await healthy.close()
})

test('a main thread that is busy for long does not take the parser for lost', async () => {
  const reader = new ParquetReader(1000)
  const source = await openParquet(join(files, 'paged.parquet'), chooseColumns({}), reader)
  const asked = source.cells(3)
  // The question leaves in the next turn.
  await Promise.resolve()
  await Promise.resolve()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)
  assert.equal((await asked)['problem'], 'Wieviel ist 3 + 3? ∑')
  await source.close()
})

test('an idle parser does not keep a program alive', async () => {
  const script = `import { openDataset } from ${JSON.stringify(join(import.meta.dirname, '../../src/data/dataset.ts'))}
    const dataset = await openDataset([${JSON.stringify(join(files, 'bytes.parquet'))}])
    process.stdout.write((await dataset.sample(2)).answer)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000 })
  assert.equal(stdout, '4')
})
