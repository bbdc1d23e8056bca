// Rows of JSON lines, JSON arrays and folders: where they stand, what images and other cells become, and what errors say.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { type Dataset, type DatasetOptions, openDataset } from '../../src/data/dataset.ts'
import { RowError } from '../../src/data/sample.ts'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { random } from '../support.ts'

const folder = await mkdtemp(join(tmpdir(), 'sightline-data-'))
after(() => rm(folder, { recursive: true }))

const png = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1')
const base64 = png.toString('base64')

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  return path
}

async function using(sources: readonly string[], options: DatasetOptions, body: (dataset: Dataset) => Promise<void>): Promise<void> {
  const dataset = await openDataset(sources, options)
  try {
    await body(dataset)
  } finally {
    await dataset.close()
  }
}

async function refused(sources: readonly string[], kind: typeof ArgumentError, message: RegExp, options: DatasetOptions = {}): Promise<void> {
  await assert.rejects(openDataset(sources, options), (error: Error) => {
    assert.ok(error instanceof kind, `${error.name}: ${error.message}`)
    assert.match(error.message, message)
    return true
  })
}

async function imagesOf(cell: unknown, options: DatasetOptions = {}): Promise<readonly (string | Uint8Array)[]> {
  const path = await write('images.jsonl', JSON.stringify({ question: 'q', answer: 'a', image: cell }))
  let images: readonly (string | Uint8Array)[] = []
  await using([path], options, async (dataset) => {
    images = (await dataset.sample(0)).images
  })
  return images
}

test('images are paths, data: URIs, base64, structs, lists of these, or absent', async () => {
  const bytes = new Uint8Array(png)
  assert.deepEqual(await imagesOf('a/b.png'), [join(folder, 'a/b.png')])
  assert.deepEqual(await imagesOf('/a/b.png'), ['/a/b.png'])
  assert.deepEqual(await imagesOf('a/b.png', { imageRoot: '/data' }), ['/data/a/b.png'])
  assert.deepEqual(await imagesOf(`data:image/png;base64,${base64}`), [`data:image/png;base64,${base64}`])
  assert.deepEqual(await imagesOf(base64), [bytes])
  assert.deepEqual(await imagesOf({ bytes: base64, path: 'x.png' }), [bytes])
  assert.deepEqual(await imagesOf({ bytes: null, path: 'x.png' }), [join(folder, 'x.png')])
  assert.deepEqual(await imagesOf(['x.png', { path: 'y.png' }, base64]), [join(folder, 'x.png'), join(folder, 'y.png'), bytes])
  for (const none of [null, [], { bytes: null, path: null }]) assert.deepEqual(await imagesOf(none), [])
})

test('images that cannot be are refused with the reason', async () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['', /the image is an empty text$/],
    ['https://example.org/a.png', /not fetched from the network/],
    [5, /the image is a number; expected a path/],
    [['a.png', null], /image 2 of 2 is nothing; expected/],
    [[['a.png']], /image 1 of 1 is a list of 1; expected/],
    [{ url: 'x' }, /the image is an object with url; expected/],
  ]
  for (const [cell, message] of cases)
    await assert.rejects(imagesOf(cell), (error: Error) => error instanceof RowError && message.test(error.message))
})

test('cells become a sample; other usual names; what is null is passed over', async () => {
  const rows = [
    { question: 'one', answer: 5, id: 7, solution: 'because' },
    { prompt: 'two', problem: null, answer: '\\boxed{B}', qid: 'x', solution: '', images: [] },
    { problem: 'three', question: 'other', answer: 0.5, problem_id: '9', image: 'c.png' },
  ]
  const path = await write('cells.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'))
  await using([path], {}, async (dataset) => {
    assert.deepEqual(await dataset.sample(0), { row: 0, id: '7', problem: 'one', images: [], answer: '5', solution: 'because' })
    assert.deepEqual(await dataset.sample(1), { row: 1, id: 'x', problem: 'two', images: [], answer: 'B', solution: null })
    const images = [join(folder, 'c.png')]
    assert.deepEqual(await dataset.sample(2), { row: 2, id: '9', problem: 'three', images, answer: '0.5', solution: null })
  })
})

test('lines and arrays: blank lines, CRLF, a byte order mark, no last newline, brackets and quotes in texts, any size', async () => {
  const next = random(7)
  const alphabet = ['[', ']', '{', '}', '"', '\\', ',', '\n', '\r', ' ', 'ü', '∑', '🙂', 'a', ':', '\u2028']
  const text = (length: number): string => Array.from({ length }, () => alphabet[Math.floor(next() * alphabet.length)]).join('')
  for (let round = 0; round < 60; round++) {
    // Some rows are larger than what is looked through at once.
    const long = round % 20 === 0 ? 1_500_000 : 40
    const rows = Array.from({ length: 1 + Math.floor(next() * 12) }, (_, i) => ({
      problem: `p${i}${text(next() * long)}`,
      answer: String(i),
      more: [text(5), { a: [] }],
    }))
    const newline = ['\n', '\r\n', '\n\n \n'][round % 3] as string
    const lines = rows.map((row) => JSON.stringify(row)).join(newline) + (round % 2 ? newline : '')
    const array = JSON.stringify(rows, null, round % 4)
    for (const content of [lines, array]) {
      const path = await write(`round.${round % 2 ? 'json' : 'jsonl'}`, `${round % 5 ? '' : '\ufeff'}${content}`)
      await using([path], {}, async (dataset) => {
        assert.equal(dataset.size, rows.length)
        for (const [row, { problem, answer }] of [...rows.entries()].reverse()) {
          const sample = await dataset.sample(row)
          assert.deepEqual([sample.problem, sample.answer], [problem, answer])
          const before = content === lines ? row * (newline.split('\n').length - 1) + 1 : null
          if (before !== null) assert.equal(dataset.where(row).line, before)
        }
      })
    }
  }
})

test('the line of an element of an array', async () => {
  const path = await write('lines.json', '[\n  {"problem": "a",\n  "answer": "1"},\n\n {"problem": "b", "answer": "2"} , {"problem": 5}\n]\n')
  await using([path], {}, async (dataset) => {
    assert.deepEqual(
      [0, 1, 2].map((row) => dataset.where(row).line),
      [2, 5, 5],
    )
    await assert.rejects(dataset.sample(2), { message: `${path}:5: row 2: answer is missing` })
  })
})

test('bad rows say file, line, row and reason; the others are read', async () => {
  const good = JSON.stringify({ problem: 'p', answer: 'a' })
  const lines = [good, '{"problem": "p", "answer"', '[1]', '"text"', '{"answer": "a"}', '{"problem": "p"}', '{"problem": " ", "answer": "a"}', good]
  lines.push(
    '{"problem": "p", "answer": "\\\\boxed{}"}',
    '{"problem": ["p"], "answer": "a"}',
    '{"problem": true, "answer": "a"}',
    '{"problem":"p","answer":""}',
  )
  const path = await write('bad.jsonl', lines.join('\n'))
  const expected = new Map([
    [1, /no valid JSON: /],
    [2, /\[1\] instead of a JSON object$/],
    [3, /"text" instead of a JSON object$/],
    [4, /problem or question or prompt is missing$/],
    [5, /answer is missing$/],
    [6, /problem or question or prompt is empty$/],
    [9, /problem is a list of 1; expected a text$/],
    [10, /problem is a boolean; expected a text$/],
    [11, /answer is empty$/],
  ])
  await using([path], {}, async (dataset) => {
    assert.equal((await dataset.sample(7)).problem, 'p')
    // An empty box is not taken off, or nothing would stay.
    assert.equal((await dataset.sample(8)).answer, '\\boxed{}')
    for (const [row, message] of expected)
      await assert.rejects(dataset.sample(row), (error: Error) => {
        assert.ok(error instanceof RowError && error instanceof FileFormatError)
        assert.ok(error.message.startsWith(`${path}:${row + 1}: row ${row}: `), error.message)
        assert.match(error.reason, message)
        return true
      })
  })
  const latin = await write('latin.jsonl', Buffer.from(`${good}\n{"problem": "\xfc", "answer": "a"}`, 'latin1'))
  await using([latin], {}, async (dataset) => assert.rejects(dataset.sample(1), /latin\.jsonl:2: row 1: no valid JSON/))
})

test('files that cannot be opened', async () => {
  await refused([], ArgumentError, /there are no sources/)
  await refused([join(folder, 'none.jsonl')], ArgumentError, /there is no such file or folder/)
  await refused([await write('a.csv', 'a,b')], ArgumentError, /a\.csv: expected a file \.jsonl, \.json, \.parquet, or a folder$/)
  await refused(['hf:a/b'], ArgumentError, /no hub options/)
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /: no rows$/],
    ['\n \n', /: no rows$/],
    ['[]', /: no rows$/],
    ['{', /none of the first rows can be read; the first: no valid JSON/],
    ['{"a": 1}', /no column of the problem \(problem, question, prompt\) among "a"; say with columns\.problem/],
    ['{"problem": "p"}', /no column of the answer \(answer\) among "problem"/],
    ['[{"problem": "p"}', /:1: the array does not end/],
    ['[1,]', /:1: an element is missing/],
    ['[,1]', /:1: an element is missing/],
    ['[1]\n2', /:2: something follows the array/],
    ['[{"a": "]"}}', /:1: the array ends with }/],
  ]
  for (const [content, message] of cases) await refused([await write('case.jsonl', content)], FileFormatError, message)
  const fine = await write('fine.jsonl', '{"problem": "p", "answer": "a"}')
  await refused([fine], ArgumentError, /columns\.images is "picture", but its columns are "problem", "answer"$/, { columns: { images: 'picture' } })
  for (const limit of [0, -1, 1.5]) await refused([fine], ArgumentError, /limit is /, { limit })
})

test('folders: all files in the order of their names, or images with their metadata.jsonl; splits are not mixed', async () => {
  const row = (problem: string): string => JSON.stringify({ problem, answer: 'a' })
  await write('many/b.jsonl', row('b'))
  await write('many/a.jsonl', `${row('a0')}\n${row('a1')}`)
  await write('many/notes.txt', 'nothing')
  await using([join(folder, 'many')], {}, async (dataset) => {
    const problems = await Promise.all([0, 1, 2].map(async (at) => (await dataset.sample(at)).problem))
    assert.deepEqual(problems, ['a0', 'a1', 'b'])
    assert.equal(dataset.where(2).source, join(folder, 'many/b.jsonl'))
  })
  await write('pictures/metadata.jsonl', JSON.stringify({ file_name: 'x/1.png', question: 'q', answer: 'a' }))
  await write('pictures/x/1.png', png)
  await using([join(folder, 'pictures')], {}, async (dataset) => {
    assert.deepEqual((await dataset.sample(0)).images, [join(folder, 'pictures/x/1.png')])
  })
  await write('splits/train-0.jsonl', row('a'))
  await write('splits/test-0.jsonl', row('a'))
  await refused([join(folder, 'splits')], ArgumentError, /files of several splits \(test, train\)/)
  await write('empty/a.png', png)
  await refused([join(folder, 'empty')], ArgumentError, /no \.parquet, no \.jsonl and no metadata\.jsonl/)
})
