// Tables of results: numbers under each other by their points, intervals quiet beside their values, the best of a column marked.

import { ArgumentError } from '../errors.ts'
import type { Interval } from '../statistics/interval.ts'
import { type Content, Html, html } from './html.ts'
import { defaultDigits, fixed } from './numbers.ts'

export interface Column {
  readonly header: Content
  /** Numbers and intervals are aligned at their points; text stands left. */
  readonly kind: 'text' | 'number'
  readonly digits?: number
  /** Whether the highest or the lowest value of the column is marked. */
  readonly best?: 'highest' | 'lowest'
}

/** A number, an interval, text, markup, or null for nothing measured. */
export type Cell = number | Interval | string | Html | null

export interface TableRow {
  readonly cells: readonly Cell[]
  /** Rows of one group stand together under its name. */
  readonly group?: string
  /** What the table is about, such as the method of the paper. */
  readonly emphasis?: boolean
  /** Left out of the choice of the best, such as a control. */
  readonly apart?: boolean
}

export interface TableOptions {
  readonly caption: Content
  readonly columns: readonly Column[]
  readonly rows: readonly TableRow[]
  readonly note?: Content
}

const isInterval = (cell: Cell): cell is Interval => cell !== null && typeof cell === 'object' && !(cell instanceof Html)
const numberOf = (cell: Cell): number | null => (typeof cell === 'number' ? cell : isInterval(cell) ? cell.value : null)

function check({ columns, rows }: TableOptions): void {
  for (const [i, { cells }] of rows.entries()) {
    if (cells.length !== columns.length) throw new ArgumentError(`row ${i} has ${cells.length} cells for the ${columns.length} columns`)
    for (const [j, cell] of cells.entries()) {
      const numbers = typeof cell === 'number' ? [cell] : isInterval(cell) ? [cell.value, cell.low, cell.high] : []
      const bad = numbers.find((value) => !Number.isFinite(value))
      if (bad !== undefined) throw new ArgumentError(`row ${i}, column ${j}: ${bad} cannot be shown; give null where nothing was measured`)
      if (numbers.length > 0 && columns[j]?.kind !== 'number') throw new ArgumentError(`row ${i}, column ${j}: a number in a column of text`)
    }
  }
}

/** The best value of a column as it is written, so that values that look equal are marked alike; null if none is asked for. */
function bestOf(column: Column, index: number, rows: readonly TableRow[]): string | null {
  const { best, digits = defaultDigits } = column
  const values = rows.flatMap(({ cells, apart = false }) => (apart ? [] : (numberOf(cells[index] ?? null) ?? [])))
  if (best === undefined || values.length < 2) return null
  return fixed(best === 'highest' ? Math.max(...values) : Math.min(...values), digits)
}

/**
 * A table that scrolls inside its box where it is too wide.
 * @throws ArgumentError for NaN, a number in a column of text, or rows of other lengths than the columns
 */
export function table(options: TableOptions): Html {
  check(options)
  const { caption, columns, rows, note = null } = options
  const best = columns.map((column, i) => bestOf(column, i, rows))
  const withInterval = columns.map((_, i) => rows.some(({ cells }) => isInterval(cells[i] ?? null)))
  const body: Html[] = []
  let group: string | undefined
  for (const row of rows) {
    if (row.group !== group && row.group !== undefined) {
      body.push(html`<tr class="group"><th colspan="${columns.length}" scope="colgroup"><span>${row.group}</span></th></tr>`)
    }
    group = row.group
    const cells = row.cells.map((cell, i) => {
      if (i === 0 && columns[0]?.kind === 'text') return html`<th scope="row">${cell as Content}</th>`
      return writeCell(cell, columns[i] as Column, row.apart === true ? null : (best[i] ?? null), withInterval[i] === true)
    })
    body.push(html`<tr${row.emphasis === true ? new Html(' class="emphasis"') : null}>${cells}</tr>`)
  }
  const heads = columns.map(({ header, kind }) => html`<th scope="col" class="${kind}">${header}</th>`)
  const marked = best.some((each) => each !== null) ? html` <span class="bestnote">The best of a column is bold.</span>` : null
  return html`<div class="tablebox"><div class="scroll" role="region" tabindex="0" aria-label="Table"><table>
<caption><span>${caption}</span></caption>
<thead><tr>${heads}</tr></thead>
<tbody>${body}</tbody></table></div>
${note === null && marked === null ? null : html`<p class="note">${[note, marked]}</p>`}</div>`
}

function writeCell(cell: Cell, { kind, digits = defaultDigits }: Column, best: string | null, withInterval: boolean): Html {
  const value = numberOf(cell)
  if (value === null || typeof cell === 'string') return html`<td class="${kind}">${cell === null ? '–' : (cell as Content)}</td>`
  const text = fixed(value, digits)
  const shown = text === best ? html`<b>${text}</b>` : html`${text}`
  const interval = isInterval(cell) ? html`<span class="ci">[${fixed(cell.low, digits)}, ${fixed(cell.high, digits)}]</span>` : null
  // A number without an interval in a column with intervals keeps the others' place.
  return html`<td class="number">${[shown, interval === null && withInterval ? html`<span class="ci"></span>` : interval]}</td>`
}
