// What a file of rows looks like to a data set, whatever its format.

import type { Cells, Columns } from './columns.ts'

/** An open file of rows. */
export interface Source {
  /** The file, as errors name it. */
  readonly name: string
  /** The folder that relative paths in it start from. */
  readonly folder: string
  /** Number of rows. */
  readonly size: number
  readonly columns: Columns
  /** The cells of row `row` of this file, from 0. @throws FileFormatError, whose message does not name the file, if it is damaged there */
  cells(row: number): Promise<Cells>
  /** The line on which the row stands, from 1; null in files without lines. */
  line(row: number): number | null
  close(): Promise<void>
}
