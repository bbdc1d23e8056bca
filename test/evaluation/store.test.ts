// The store: a file cut at any byte is gone on with, ends in the order of the questions, and takes nothing that is not its own.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileFormatError } from '../../src/errors.ts'
import { files, ResponseStore } from '../../src/evaluation/store.ts'
import { stored, sumQuestions, temporaryFolder } from './support.ts'

const items = sumQuestions(3)
const order = [
  ['q2', 1],
  ['q0', 0],
  ['q1', 1],
  ['q2', 0],
  ['q0', 1],
  ['q1', 0],
] as const
const answerOf = (id: string, index: number) => stored(id, index, { text: `${id} “${index}”\n`, logprob: -(index + 1) / 3 })
const sorted = order
  .toSorted()
  .map(([id, index]) => `${JSON.stringify(answerOf(id, index))}\n`)
  .join('')

test('answers come in any order and end in that of the questions', (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, files.responses)
  {
    using store = new ResponseStore(folder, items, 2)
    for (const [id, index] of order.slice(0, 4)) store.add(answerOf(id, index))
    store.add({ ...answerOf('q2', 1), text: 'again' })
    assert.deepEqual([store.done, store.total], [4, 6])
    assert.deepEqual([...items.map(({ id }) => store.missing(id)), store.missing('q9')], [[1], [0], [], []])
  }
  using store = new ResponseStore(folder, items, 2)
  for (const [id, index] of order.slice(4)) store.add(answerOf(id, index))
  assert.deepEqual(
    store.finish(),
    order.toSorted().map(([id, index]) => answerOf(id, index)),
  )
  assert.equal(readFileSync(path, 'utf8'), sorted)
})

test('cut at any byte, the file is gone on with and comes out the same', (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, files.responses)
  const whole = Buffer.from(order.map(([id, index]) => `${JSON.stringify(answerOf(id, index))}\n`).join(''))
  for (let length = 0; length <= whole.length; length += length > 100 ? 13 : 3) {
    writeFileSync(path, whole.subarray(0, length))
    using store = new ResponseStore(folder, items, 2)
    assert.equal(store.done, whole.subarray(0, length).toString().split('\n').length - 1, `${length} bytes`)
    for (const { id } of items) for (const index of store.missing(id)) store.add(answerOf(id, index))
    store.finish()
    assert.equal(readFileSync(path, 'utf8'), sorted, `${length} bytes`)
  }
})

test('answers to other questions, or twice, are refused with their line', (context) => {
  const folder = temporaryFolder(context)
  for (const lines of [[stored('q9', 0)], [stored('q0', 2)], [stored('q0', 0), stored('q0', 0)]]) {
    writeFileSync(join(folder, files.responses), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    assert.throws(
      () => new ResponseStore(folder, items, 2),
      (error: Error) => error instanceof FileFormatError && error.message.includes(`line ${lines.length}`),
    )
  }
  writeFileSync(join(folder, files.responses), `{"id":"q0"}\n${JSON.stringify(stored('q1', 0))}\n`)
  assert.throws(() => new ResponseStore(folder, items, 2), /line 1/)
})
