// Reads reports of experiments back: the cells of a table by its caption, and what a chart says of itself and of its points.

import assert from 'node:assert/strict'
import { all, type Element, textOf } from '../report/xml.ts'

const tablesOf = (page: Element, caption: string): Element[] =>
  all(page, 'table').filter((each) => all(each, 'caption').some((one) => textOf(one).startsWith(caption)))

export const hasTable = (page: Element, caption: string): boolean => tablesOf(page, caption).length > 0

/** The cells of the one table with a caption that begins so. */
export function rowsOf(page: Element, caption: string): string[][] {
  const tables = tablesOf(page, caption)
  assert.equal(tables.length, 1, caption)
  const cellsOf = (row: Element): string[] => row.children.flatMap((cell) => (typeof cell === 'string' ? [] : textOf(cell)))
  return tables.flatMap((each) => all(each, 'tr').map(cellsOf))
}

const chartsOf = (page: Element, title: string): Element[] =>
  all(page, 'svg').filter((svg) => all(svg, 'title').some((each) => textOf(each) === title))

/** The descriptions of the charts of a title; each is drawn for wide and for narrow screens. */
export const charts = (page: Element, title: string): string[] => chartsOf(page, title).map((svg) => all(svg, 'desc').map(textOf).join())

/** What a chart says of each of its points. */
export function pointsOf(page: Element, title: string): string[] {
  const [chart] = chartsOf(page, title)
  assert.ok(chart !== undefined, title)
  return all(chart, 'g', 'mark').flatMap((mark) => all(mark, 'title').map(textOf))
}
