// Tables write what they are given, mark the best as it is written, and refuse what has no place.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { html } from '../../src/report/html.ts'
import { type Cell, type TableRow, table } from '../../src/report/table.ts'
import { all, only, parseXml, textOf } from './xml.ts'

const interval = (value: number, half: number) => ({ value, low: value - half, high: value + half })

const columns = [
  { header: 'Method', kind: 'text' },
  { header: 'Score', kind: 'number', best: 'highest' },
  { header: 'Loss', kind: 'number', digits: 3, best: 'lowest' },
  { header: 'Note', kind: 'text' },
] as const

const rows: readonly TableRow[] = [
  { cells: ['base <b>', interval(0.95, 0.01), 0.0004, html`<i>kept</i>`], group: 'Before', apart: true },
  { cells: ['OPSD', interval(0.808, 0.03), 0.5, null], group: 'After' },
  { cells: ['ViGOS', interval(0.812, 0.026), 0.25, 'x'], group: 'After', emphasis: true },
  { cells: ['other', 0.7, null, ''], group: 'After' },
]

const built = (more: readonly TableRow[] = rows) => parseXml(table({ caption: 'Accuracy & more', columns, rows: more, note: 'Over bases.' }).text)

test('cells are written with their digits and intervals', () => {
  const body = only(built(), 'tbody')
  const texts = all(body, 'tr').map((row) => row.children.flatMap((cell) => (typeof cell === 'string' ? [] : [textOf(cell)])))
  assert.deepEqual(texts, [
    ['Before'],
    ['base <b>', '0.95[0.94, 0.96]', '0.000', 'kept'],
    ['After'],
    ['OPSD', '0.81[0.78, 0.84]', '0.500', '–'],
    ['ViGOS', '0.81[0.79, 0.84]', '0.250', 'x'],
    ['other', '0.70', '–', ''],
  ])
})

test('the best is marked among the rows that are compared, and values that look equal alike', () => {
  assert.deepEqual(all(only(built(), 'tbody'), 'b').map(textOf), ['0.81', '0.81', '0.250'])
  assert.match(textOf(only(built(), 'p', 'note')), /^Over bases\. The best of a column is bold\.$/)
})

test('numbers stand right and rows have heads', () => {
  const root = built()
  assert.equal(textOf(only(root, 'caption')), 'Accuracy & more')
  assert.deepEqual(
    all(root, 'th')
      .filter((head) => head.attributes['scope'] === 'row')
      .map(textOf),
    ['base <b>', 'OPSD', 'ViGOS', 'other'],
  )
  const second = all(only(root, 'tbody'), 'tr')[1]
  assert.ok(second)
  assert.deepEqual(
    all(second, 'td').map((cell) => cell.attributes['class']),
    ['number', 'number', 'text'],
  )
  assert.equal(all(root, 'tr', 'emphasis').length, 1)
  // A number without an interval keeps the others' place.
  assert.equal(all(only(root, 'tbody'), 'span', 'ci').length, 4)
})

test('one row has no best', () => {
  assert.equal(all(only(built(rows.slice(2, 3)), 'tbody'), 'b').length, 0)
})

test('what has no place in a table is refused by row and column', () => {
  const with_ =
    (...cells: Cell[]) =>
    () =>
      built([{ cells }])
  assert.throws(with_('a', 1, 2), /row 0 has 3 cells for the 4 columns/)
  assert.throws(with_('a', Number.NaN, 2, 'b'), /row 0, column 1: NaN cannot be shown; give null/)
  assert.throws(with_('a', { value: 1, low: 0, high: Infinity }, 2, 'b'), /column 1: Infinity/)
  assert.throws(with_('a', 1, 2, 3), /row 0, column 3: a number in a column of text/)
})
