// What the files of benchmarks share: cells as texts, lists and images, options with their letters, and what a right answer is.

import { type Cells, kindOf } from '../data/columns.ts'
import { imagesOf, type SampleImage } from '../data/images.ts'
import { FileFormatError } from '../errors.ts'
import type { AnswerKind, Expected } from '../grading/verdict.ts'
import { pythonList } from './python-list.ts'

/** What is asked where picture and question are one image. */
export const shownInImage = 'Please answer the question shown in the image.'

/** A cell as text; numbers become text. Null if there is nothing in it, or only white space. @throws FileFormatError for other values */
export function optionalText(cells: Cells, column: string): string | null {
  const value = Object.hasOwn(cells, column) ? cells[column] : null
  if (value === null || value === undefined) return null
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint')
    throw new FileFormatError(`${column} is ${kindOf(value)}; expected a text`)
  const text = String(value)
  return text.trim() === '' ? null : text
}

/** A cell that must hold a text, without white space around it. @throws FileFormatError if it holds none */
export function text(cells: Cells, column: string): string {
  const value = optionalText(cells, column)
  if (value === null) throw new FileFormatError(`${column} is missing or empty`)
  return value.trim()
}

/** The fields of a cell that is a struct, or JSON of one; none if there is nothing in it. */
export function struct(cells: Cells, column: string): Cells {
  const value = Object.hasOwn(cells, column) ? cells[column] : null
  if (value === null || value === undefined) return {}
  if (typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array)) return value as Cells
  throw new FileFormatError(`${column} is ${kindOf(value)}; expected an object`)
}

/** The texts of a cell that is a list, or a list as Python writes it; none if there is nothing in it. */
export function list(cells: Cells, column: string): readonly string[] {
  const value = Object.hasOwn(cells, column) ? cells[column] : null
  if (value === null || value === undefined || value === '') return []
  const items = typeof value === 'string' ? pythonList(value) : value
  if (!Array.isArray(items) || !items.every((item) => typeof item === 'string' || typeof item === 'number' || typeof item === 'bigint'))
    throw new FileFormatError(`${column} is ${kindOf(value)}; expected a list of texts`)
  return items.map(String)
}

/** The images of a column; none if there is nothing in it. @throws FileFormatError for what is no image */
export function images(cells: Cells, column: string, folder: string): readonly SampleImage[] {
  const value = Object.hasOwn(cells, column) ? cells[column] : null
  return value === '' ? [] : imagesOf(value, folder)
}

/** The images of a column that must hold some. */
export function neededImages(cells: Cells, column: string, folder: string): readonly SampleImage[] {
  const found = images(cells, column, folder)
  if (found.length === 0) throw new FileFormatError(`${column} holds no image`)
  return found
}

export const letterOf = (index: number): string => String.fromCharCode('A'.charCodeAt(0) + index)

/** Options below each other, as `A. text` or `(A) text`. */
export function lettered(options: readonly string[], style: 'A.' | '(A)' = 'A.'): string {
  return options.map((option, i) => `${style === 'A.' ? `${letterOf(i)}.` : `(${letterOf(i)})`} ${option}`).join('\n')
}

/**
 * The options that are written in a text, as `A. one`, `A: one, B: two`, `(A) one` or `A) one`: the last run of letters from A on, each to the
 * next letter, the last one to the end of its line. None where there are fewer than two.
 */
export function optionsIn(question: string): readonly string[] {
  const marks = [...question.matchAll(/(?<=^|[\s(,;])([A-J])(?:\)[.:]?|[.:])/gm)]
  const start = marks.findLastIndex((mark, i) => mark[1] === 'A' && marks[i + 1]?.[1] === 'B')
  if (start === -1) return []
  const run = marks.slice(start)
  const wrong = run.findIndex((mark, i) => mark[1] !== letterOf(i))
  const kept = wrong === -1 ? run : run.slice(0, wrong)
  return kept.map((mark, i) => {
    const from = mark.index + mark[0].length
    const rest = question.slice(from, kept[i + 1]?.index)
    const own = i === kept.length - 1 ? (rest.trimStart().split('\n')[0] ?? '') : rest
    return own.trim().replace(/[\s,;(]+$/, '')
  })
}

const exact = { relative: 0, absolute: 0 } as const

/** What a right answer is, with all that is not said empty and the tolerance nothing. */
export function expected(kind: AnswerKind, answer: string, rest: Partial<Omit<Expected, 'kind' | 'answer'>> = {}): Expected {
  return { kind, answer, also: [], options: [], tolerance: exact, ...rest }
}

/**
 * The letter of an option as the answer.
 *
 * @param answer such as `B`, `(b)` or `B.`
 * @throws FileFormatError if it is no letter, or none of those that the options have
 */
export function choice(answer: string, options: readonly string[]): Expected {
  const letter = /^\(?([A-Za-z])[).:]*$/.exec(answer.trim())?.[1]?.toUpperCase()
  if (letter === undefined) throw new FileFormatError(`the answer is ${JSON.stringify(answer)}; expected the letter of an option`)
  if (options.length > 0 && letter > letterOf(options.length - 1))
    throw new FileFormatError(`the answer is ${letter}, but there are ${options.length} options`)
  return expected('choice', letter, { options })
}

/** As `choice`, with the options that are written in a text; none where what was found there cannot be all, since it has no such letter. */
export function choiceIn(answer: string, question: string): Expected {
  const { answer: letter } = choice(answer, [])
  const options = optionsIn(question)
  return choice(letter, letter > letterOf(options.length - 1) ? [] : options)
}

export const isNumber = (answer: string): boolean => /^[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?$/.test(answer) && /\d/.test(answer)

/** A free answer of mathematics: a number where it is written as one, otherwise an expression. */
export const mathematical = (answer: string): Expected => expected(isNumber(answer) ? 'number' : 'math', answer)

/** A free answer of a few words, by how it looks: yes or no, a number, a pair of numbers, otherwise a text. */
export function brief(answer: string): Expected {
  if (/^(?:yes|no)$/i.test(answer)) return expected('yesNo', answer.toLowerCase())
  if (isNumber(answer)) return expected('number', answer)
  const [, rows, columns] = /^\(?\s*(\d+)\s*,\s*(\d+)\s*\)?$/.exec(answer) ?? []
  return rows === undefined || columns === undefined ? expected('text', answer) : expected('tuple', `(${rows},${columns})`)
}
