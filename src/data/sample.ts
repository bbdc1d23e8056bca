// A sample is what methods teach from: a problem with its images and the answer. This file makes one from a row's cells.

import { FileFormatError } from '../errors.ts'
import { cleanAnswer } from './answers.ts'
import { type Cells, type Columns, cellOf, kindOf, type Role } from './columns.ts'
import { imagesOf, type SampleImage } from './images.ts'

export interface Sample {
  /** Its place in the whole data set, from 0. */
  readonly row: number
  /** The cell of the id column as text, otherwise the row number. */
  readonly id: string
  readonly problem: string
  /** Absolute paths, data: URIs, or the bytes of encoded files. */
  readonly images: readonly SampleImage[]
  /** The short final answer, cleaned: what is graded. */
  readonly answer: string
  /** A worked solution, where there is one. */
  readonly solution: string | null
}

/** A row that cannot be used. The message names file, line where there are lines, row and reason. */
export class RowError extends FileFormatError {
  readonly row: number
  readonly source: string
  readonly line: number | null
  readonly reason: string
  constructor(row: number, source: string, line: number | null, reason: string, cause: unknown) {
    super(`${source}${line === null ? '' : `:${line}`}: row ${row}: ${reason}`, { cause })
    this.row = row
    this.source = source
    this.line = line
    this.reason = reason
  }
}

/**
 * The sample in a row.
 *
 * @param folder the folder that relative image paths start from
 * @throws FileFormatError, whose message names no file, for a missing problem or answer and for cells of the wrong type
 */
export function sampleOf(row: number, cells: Cells, columns: Columns, folder: string): Sample {
  const text = (role: Role): string | null => textOf(cells, columns[role])
  const needed = (role: Role, value: string | null): string => {
    if (value !== null && value.trim() !== '') return value
    throw new FileFormatError(`${columns[role].join(' or ')} is ${value === null ? 'missing' : 'empty'}`)
  }
  const answer = text('answer')
  const solution = text('solution')
  const problem = text('problem')
  const images = imagesOf(cellOf(cells, columns.images)?.value, folder)
  return {
    row,
    id: text('id') ?? String(row),
    // An image can stand alone: then it is to be described.
    problem: problem === '' && images.length > 0 ? '' : needed('problem', problem),
    images,
    answer: needed('answer', answer === null ? null : cleanAnswer(answer)),
    solution: solution === null || solution.trim() === '' ? null : solution,
  }
}

/** The text of a cell, null if there is none. Numbers become text: ids and answers often are numbers. */
function textOf(cells: Cells, columns: readonly string[]): string | null {
  const cell = cellOf(cells, columns)
  if (cell === null) return null
  const { column, value } = cell
  if (typeof value === 'string') return value
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))) return String(value)
  // Some writers of parquet do not mark texts as such.
  if (value instanceof Uint8Array) return decoded(value, column)
  throw new FileFormatError(`${column} is ${kindOf(value)}; expected a text`)
}

function decoded(bytes: Uint8Array, column: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new FileFormatError(`${column} is ${bytes.length} bytes that are no UTF-8; expected a text`, { cause })
  }
}
