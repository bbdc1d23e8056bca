// Says which columns of a data set hold what: by the names that the user gives, otherwise by the well-known ones.

import { ArgumentError, FileFormatError } from '../errors.ts'

/** The usual names of each column, in the order in which they are tried. */
export const usualNames = {
  problem: ['problem', 'question', 'prompt'],
  images: ['images', 'image'],
  answer: ['answer'],
  solution: ['solution'],
  id: ['problem_id', 'id', 'qid'],
} as const satisfies { readonly [role: string]: readonly string[] }

export type Role = keyof typeof usualNames
const roles = Object.keys(usualNames) as Role[]
const required: readonly Role[] = ['problem', 'answer']

/** Names that the user gives; null and absent mean the usual names. */
export type ColumnNames = { readonly [role in Role]?: string | null }

/** For each role the columns to look at, the first that holds something counts. */
export type Columns = { readonly [role in Role]: readonly string[] }

/** Chooses a file's columns once it is known which it has. */
export type ChooseColumns = (present: readonly string[], file: string) => Columns

/** The cells of a row by the names of their columns. */
export type Cells = { readonly [column: string]: unknown }

/**
 * A rule for choosing columns.
 *
 * @param extraImages further names for the column of images, for folders of images
 * @param field what errors call the given names
 * @returns a function that throws ArgumentError for a given name that a file lacks, FileFormatError if no usual one is there
 */
export function chooseColumns(given: ColumnNames, extraImages: readonly string[] = [], field = 'columns'): ChooseColumns {
  return (present, file) => {
    const listed = present.length === 0 ? 'none' : present.map((name) => JSON.stringify(name)).join(', ')
    const names = (role: Role): readonly string[] => {
      const name = given[role] ?? null
      if (name !== null) {
        if (present.includes(name)) return [name]
        throw new ArgumentError(`${file}: ${field}.${role} is ${JSON.stringify(name)}, but its columns are ${listed}`)
      }
      const usual = role === 'images' ? [...usualNames.images, ...extraImages] : usualNames[role]
      if (!required.includes(role) || usual.some((each) => present.includes(each))) return usual
      throw new FileFormatError(
        `${file}: no column of the ${role} (${usual.join(', ')}) among ${listed}; say with ${field}.${role} what it is called`,
      )
    }
    return Object.fromEntries(roles.map((role) => [role, names(role)])) as Columns
  }
}

/** The first cell of a role that holds something, with its column; null if none does. */
export function cellOf(cells: Cells, columns: readonly string[]): { readonly column: string; readonly value: unknown } | null {
  for (const column of columns) {
    const value = Object.hasOwn(cells, column) ? cells[column] : null
    if (value !== null && value !== undefined) return { column, value }
  }
  return null
}

/** A value in words, for errors. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return `a list of ${value.length}`
  return typeof value === 'object' ? `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no fields'}` : `a ${typeof value}`
}
