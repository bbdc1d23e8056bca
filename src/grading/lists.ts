// Compares tuples, which have an order, and sets, which have none.

import { type Comparison, every, matched, undecided, wrong } from './comparison.ts'
import { compareMath } from './math.ts'
import { numberWord, wordValue } from './numbers.ts'
import { plain } from './plain.ts'
import { enclosed, split } from './shape.ts'
import type { Expected } from './verdict.ts'

/** Names of elements and their place; elements that all have names are put into this order. */
const places: { readonly [label: string]: number } = { row: 0, column: 1, x: 0, y: 1, z: 2, width: 0, height: 1 }
const spelledLabels: { readonly [label: string]: string } = { rows: 'row', columns: 'column', cols: 'column', col: 'column' }

const labelled = /\b(rows?|columns?|cols?)\b\s*(?:[=:]|is|are)?\s*\{?\s*(\d{1,4}|[a-z]{3,9})\s*\}?/gi
const counted = /(\d{1,4}|[a-z]{3,9})\s+(rows?|columns?|cols?)\b/gi

/** The last number of rows and of columns that a text names, in this order, as a tuple; null if it does not name both. */
export function rowsAndColumns(text: string): string | null {
  const bare = text.replace(/[*\\]/g, '')
  const found = new Map<string, string>()
  const keep = (word: string, value: string): void => {
    const number = numberIn(value)
    if (number !== null) found.set(label(word), number)
  }
  for (const [, word = '', value = ''] of bare.matchAll(labelled)) keep(word, value)
  // With numbers before the words, none may also stand after them: "rows: 5 columns" would be read twice.
  if (found.size === 0) for (const [, value = '', word = ''] of bare.matchAll(counted)) keep(word, value)
  const [rows, columns] = [found.get('row'), found.get('column')]
  return rows === undefined || columns === undefined ? null : `(${rows},${columns})`
}

const label = (word: string): string => spelledLabels[word.toLowerCase()] ?? word.toLowerCase()

function numberIn(text: string): string | null {
  if (/^\d+$/.test(text)) return text
  const word = numberWord.exec(text)?.[0]
  return word === undefined || word.length !== text.length ? null : String(wordValue(word))
}

/** `(rows, columns) = (5, 6)`: both names before both values. */
const pairOfLabels = /^\(?\s*(rows?|col(?:umn)?s?)\s*(?:,|and)\s*(rows?|col(?:umn)?s?)\s*\)?\s*[=:]\s*(.+)$/i

/** Elements in order; null if the text is no tuple. */
function tupleIn(answer: string): readonly string[] | null {
  const text = plain(rowsAndColumns(answer) ?? answer)
    .replace(/^between\s+/i, '')
    .replace(/\\(?:lparen|langle)/g, '(')
    .replace(/\\(?:rparen|rangle)/g, ')')
  const [, first = '', second = '', values = ''] = pairOfLabels.exec(text) ?? []
  if (values !== '') {
    const pair = label(first) === label(second) ? null : tupleIn(values)
    return pair?.length !== 2 ? null : label(first) === 'row' ? pair : [...pair].reverse()
  }
  const inside = (enclosed(text)?.inside ?? text).replace(/[,;]\s*$/, '')
  const braced = inside.match(/\{[^{}]+\}/g)
  const items =
    braced !== null && braced.length > 1 && /^[\s{},;]*$/.test(inside.replace(/\{[^{}]+\}/g, ''))
      ? braced.map((item) => item.slice(1, -1).trim())
      : split(inside, /,\s*(?:and\s+)?|;\s*|\s+(?:and|by|x|\\times)\s+|(?<=\d)\s*(?:x|\\times)\s*(?=\d)/)
  const named = items.map((item) => /^\{?\s*([a-z]+)\s*(?:=|:|\bis\b)\s*\{?(.+?)\}?$/i.exec(item))
  const ranks = named.map((each) => places[label(each?.[1] ?? '')])
  const sorted = ranks.includes(undefined) ? items : items.map((_, place) => named[ranks.indexOf(place)]?.[2] ?? '')
  const twice = [/\brows?\b/i, /\bcol(?:umn)?s?\b/i].some((word) => items.filter((item) => word.test(item)).length > 1)
  return items.length < 2 || twice || sorted.includes('') ? null : sorted.map((item) => item.replace(/^\\?\{(.*?)\\?\}$/, '$1'))
}

/** Element by element, in order; elements with names such as `rows=` and `columns=`, or `x=` and `y=`, in the order of the names. */
export function compareTuple(given: string, expected: string, tolerance: Expected['tolerance']): Comparison {
  const [a, b] = [tupleIn(given), tupleIn(expected)]
  if (b === null) return undecided('a reference that is no tuple')
  if (a === null) return /^[\s{}()]*[-+]?\d+(?:\.\d+)?[\s{}()]*$/.test(given) ? wrong('one number') : undecided('no tuple')
  if (a.length > b.length && /\d,\d{3}(?!\d)/.test(given)) return undecided('commas that may be separators')
  if (a.length !== b.length) return wrong('another number of elements')
  return every(
    a.map((item, i) => compareMath(item, b[i] ?? '', tolerance)),
    'same elements in order',
  )
}

const elementName = /^([a-z])(?:_\{?\d\}?)?\s*=\s*/i

/** Elements; null if they have several names, since which is which would be lost. */
function setIn(answer: string): readonly string[] | null {
  const text = plain(answer)
  const body = enclosed(text)?.inside ?? text
  const items = split(body, /,\s*(?:and\s+|or\s+)?|;\s*|\s+(?:and|or|&)\s+/).filter((item) => item !== '')
  const names = new Set(items.flatMap((item) => elementName.exec(item)?.[1] ?? []))
  if (names.size > 1) return null
  return items.flatMap((item) => {
    const value = item.replace(elementName, '')
    return value.split('\\pm').length === 2 ? [value.replace('\\pm', '+').replace(/^\s*\+/, ''), value.replace('\\pm', '-')] : [value]
  })
}

/** Letters of options beside each other, as in `AC`, `A. C.` and "both A and C are correct", as a list. */
function lettersApart(answer: string): string {
  const text = plain(answer)
    .replace(/^(?:both|options?|choices?|letters?)\s+/i, '')
    .replace(/\s+are\s+(?:both\s+)?(?:correct|right|true)$/i, '')
  return /^[A-J](?:[.)]?\s*[A-J])*[.)]?$/.test(text) ? [...text.replace(/[^A-J]/g, '')].join(', ') : text
}

/** The same elements in any order, however often each is named. */
export function compareSet(given: string, expected: string, tolerance: Expected['tolerance']): Comparison {
  const options = /^[A-J](?:, [A-J])*$/.test(expected)
  const [a, b] = [setIn(options ? lettersApart(given) : given), setIn(expected)]
  if (a === null || b === null) return undecided('elements with several names')
  if (a.length === 0 || b.length === 0) return a.length === b.length ? undecided('no elements') : wrong('no elements')
  return matched(a, b, (x, y) => compareMath(x, y, tolerance), 'same elements')
}
