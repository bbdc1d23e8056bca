// The check of all rows before training: every kind of bad row is found with its number, line and reason, and skipped or fatal by choice.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspectRows } from '../../src/data/check.ts'
import { openDataset } from '../../src/data/dataset.ts'
import { FileFormatError } from '../../src/errors.ts'

const folder = await mkdtemp(join(tmpdir(), 'sightline-check-'))
after(() => rm(folder, { recursive: true }))

const heads = ['\xff\xd8\xff\xe0', '\x89PNG\r\n\x1a\n', 'RIFF\x10\0\0\0WEBPVP8 ', 'GIF89a', 'GIF87a', 'II*\0', 'MM\0*', '\0\0\0\x20ftypavif']
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

async function write(name: string, rows: readonly unknown[]): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'))
  return path
}

const fine = { problem: 'p', answer: 'a' }

test('good images of every format pass, as files, base64 and data: URIs', async () => {
  const rows: unknown[] = [fine, { ...fine, images: [] }]
  for (const [i, head] of heads.entries()) {
    await writeFile(join(folder, `${i}.img`), bytes(`${head}rest`))
    const base64 = bytes(`${head}rest`).toString('base64')
    rows.push({ ...fine, images: [`${i}.img`, base64, `data:image/any;base64,${base64}`] })
  }
  const dataset = await openDataset([await write('good.jsonl', rows)])
  const { good, bad } = await inspectRows(dataset, { onBad: 'stop' })
  assert.deepEqual(bad, [])
  assert.deepEqual(good, Int32Array.from(rows.keys()))
  await dataset.close()
})

test('bad rows are listed with line and reason; the others stay', async () => {
  await writeFile(join(folder, 'empty.png'), '')
  await writeFile(join(folder, 'page.png'), '<html>not found</html>')
  await writeFile(join(folder, 'real.png'), bytes(heads[1] as string))
  await mkdir(join(folder, 'folder.png'))
  const rows = [
    fine,
    '',
    { ...fine, image: 'real.png' },
    { ...fine, image: 'missing.png' },
    { ...fine, image: 'empty.png' },
    { ...fine, image: 'page.png' },
    { ...fine, image: 'folder.png' },
    { ...fine, images: ['real.png', 'missing.png'] },
    { ...fine, image: `data:image/png;base64,${bytes('BMxxxxxxxxxxxx').toString('base64')}` },
    { ...fine, image: 'data:image/png,raw' },
    { ...fine, image: 'data:image/png;base64,' },
    { ...fine, image: 'A'.repeat(5000) },
    { problem: 'p' },
    '{"problem',
    fine,
  ]
  const path = await write('bad.jsonl', rows)
  const dataset = await openDataset([path])
  const told: string[] = []
  const { good, bad } = await inspectRows(dataset, { onBad: 'skip', progress: (done, size) => void told.push(`${done}/${size}`) })
  assert.deepEqual([...good], [0, 1, 13])
  assert.deepEqual([told.length, told[0], told[13]], [14, '1/14', '14/14'])
  // What a reader asks besides, which may take its time.
  const { bad: picky } = await inspectRows(dataset, { onBad: 'skip', fault: async ({ row }) => (row === 1 ? 'not this one' : null) })
  assert.deepEqual([picky.length, picky[0]?.row, picky[0]?.reason], [bad.length + 1, 1, 'not this one'])
  const expected: readonly (readonly [number, RegExp])[] = [
    [2, /^there is no image file .*missing\.png$/],
    [3, /^an empty image: .*empty\.png$/],
    [4, /^an HTML page, not one of JPEG, PNG, .*: .*page\.png$/],
    [5, /^not a file: .*folder\.png$/],
    [6, /^there is no image file .*missing\.png$/],
    [7, /^BMP, not one of JPEG, .*: data: URI$/],
    [8, /^a data: URI that is not base64/],
    [9, /^an empty image: data: URI$/],
    [10, /^the image file .*A… cannot be read \(ENAMETOOLONG\)$/],
    [11, /^answer is missing$/],
    [12, /^no valid JSON/],
  ]
  assert.deepEqual(
    bad.map(({ row, source, line }) => [row, source, line]),
    // Line 2 is blank, so rows after the first stand one line further down.
    expected.map(([row]) => [row, path, row + 2]),
  )
  for (const [i, [, reason]] of expected.entries()) assert.match(bad[i]?.reason ?? '', reason)
  assert.ok(bad.every(({ reason }) => reason.length < 1000))

  await assert.rejects(inspectRows(dataset, { onBad: 'stop' }), (error: Error) => {
    assert.ok(error instanceof FileFormatError)
    const lines = error.message.split('\n')
    assert.equal(lines.length, 13)
    assert.equal(lines[0], '11 of 14 rows cannot be used:')
    assert.equal(lines[1], `  row 2 (${path}:4): there is no image file ${join(folder, 'missing.png')}`)
    assert.deepEqual(lines.slice(-2), ['  and 1 more', "Mend them, or leave them out with data.onBad 'skip'."])
    return true
  })
  await dataset.close()
})

test('images in parquet are looked at; when no row is left, skipping is no way out', async () => {
  const files = join(import.meta.dirname, 'files')
  const dataset = await openDataset([join(files, 'vision-zstd.parquet'), join(files, 'struct.parquet')])
  const { good, bad } = await inspectRows(dataset, { onBad: 'skip' })
  assert.equal(good.length, 17)
  assert.deepEqual(bad, [{ row: 15, source: join(files, 'struct.parquet'), reason: `there is no image file ${join(files, '5.png')}` }])
  await dataset.close()
  const hopeless = await openDataset([await write('hopeless.jsonl', [{ problem: 'p', answer: null }])])
  await assert.rejects(inspectRows(hopeless, { onBad: 'skip' }), /^FileFormatError: 1 of 1 rows cannot be used:\n.*\nNo row is left\.$/)
  await hopeless.close()
})
