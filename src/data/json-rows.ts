// Reads rows from JSON lines and JSON arrays of any size: one pass notes where rows stand, each is parsed when it is asked for.

import { dirname } from 'node:path'
import { FileFormatError } from '../errors.ts'
import type { Cells, ChooseColumns } from './columns.ts'
import { PlacedFile } from './file.ts'
import type { Source } from './source.ts'

/** Bytes that a row may have; V8's texts end at 512 MiB. */
const rowLimit = 2 ** 28
/** Bytes that are looked through at once. */
const chunkSize = 2 ** 20
/** Rows that are looked at to learn which columns there are. */
const probedRows = 100

/** Byte offsets of rows and the lines on which they begin, from 1. */
interface Places {
  readonly starts: number[]
  readonly ends: number[]
  readonly lines: number[]
}

const code = (letter: string): number => letter.charCodeAt(0)
const [newline, quote, backslash, comma] = [code('\n'), code('"'), code('\\'), code(',')]
const [openList, closeList, openObject, closeObject] = [code('['), code(']'), code('{'), code('}')]
const isBlank = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13)

/**
 * Opens JSON lines or one JSON array of objects; the first letter tells which, never the name. Blank lines are passed over. A damaged line
 * is an error when it is read, a damaged array when it is opened.
 *
 * @throws FileFormatError if there are no rows, or none of the first has the columns that are needed
 */
export async function openJsonRows(path: string, choose: ChooseColumns): Promise<Source> {
  const file = await PlacedFile.open(path)
  try {
    const places = await findRows(file)
    const size = places.starts.length
    if (size === 0) throw new FileFormatError(`${path}: no rows`)
    const cells = (row: number): Promise<Cells> => readRow(file, places.starts[row] ?? 0, places.ends[row] ?? 0)
    const columns = choose(await columnsOfFirstRows(path, Math.min(size, probedRows), cells), path)
    return { name: path, folder: dirname(path), size, columns, cells, line: (row) => places.lines[row] ?? null, close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function readRow(file: PlacedFile, start: number, end: number): Promise<Cells> {
  if (end - start > rowLimit) throw new FileFormatError(`a row of ${end - start} bytes; the limit is ${rowLimit}: keep images in files`)
  const bytes = await file.read(start, end)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new FileFormatError(`no valid JSON: ${(cause as Error).message}`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Cells
  throw new FileFormatError(`${JSON.stringify(value).slice(0, 100)} instead of a JSON object`)
}

/** The columns that the first rows have, damaged ones left out: those are reported by their numbers when all rows are checked. */
async function columnsOfFirstRows(path: string, count: number, cells: (row: number) => Promise<Cells>): Promise<readonly string[]> {
  const names = new Set<string>()
  let fault: FileFormatError | null = null
  for (let row = 0; row < count; row++) {
    try {
      for (const name of Object.keys(await cells(row))) names.add(name)
    } catch (error) {
      if (!(error instanceof FileFormatError)) throw error
      fault ??= error
    }
  }
  if (names.size === 0 && fault !== null)
    throw new FileFormatError(`${path}: none of the first rows can be read; the first: ${fault.message}`, { cause: fault })
  return [...names]
}

async function findRows(file: PlacedFile): Promise<Places> {
  const head = await file.read(0, Math.min(file.size, chunkSize))
  const start = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0
  const first = head.findIndex((byte, at) => at >= start && !isBlank(byte))
  return head[first] === openList ? await findElements(file, start) : await findLines(file, start)
}

async function* chunks(file: PlacedFile, from: number): AsyncGenerator<{ readonly bytes: Uint8Array; readonly at: number }> {
  for (let at = from; at < file.size; at += chunkSize) yield { bytes: await file.read(at, Math.min(file.size, at + chunkSize)), at }
}

async function findLines(file: PlacedFile, from: number): Promise<Places> {
  const places: Places = { starts: [], ends: [], lines: [] }
  let start = from
  let line = 1
  let blank = true
  const finish = (end: number): void => {
    if (blank) return
    places.starts.push(start)
    places.ends.push(end)
    places.lines.push(line)
  }
  for await (const { bytes, at } of chunks(file, from)) {
    for (let next = 0; next < bytes.length; ) {
      const found = bytes.indexOf(newline, next)
      const end = found === -1 ? bytes.length : found
      for (let i = next; blank && i < end; i++) blank = isBlank(bytes[i] as number)
      next = end + 1
      if (found === -1) continue
      finish(at + end)
      start = at + next
      line++
      blank = true
    }
  }
  finish(file.size)
  return places
}

/** The last of the bytes from `from` on that do not end a text, escape a letter or end a line: images in base64 are megabytes of such. */
function lastPlain(bytes: Uint8Array, from: number): number {
  let next = from + 1
  while (next < bytes.length && bytes[next] !== quote && bytes[next] !== backslash && bytes[next] !== newline) next++
  return next - 1
}

/** The elements of an array, found by counting brackets outside of texts; whether they are valid shows when they are parsed. */
async function findElements(file: PlacedFile, from: number): Promise<Places> {
  const places: Places = { starts: [], ends: [], lines: [] }
  let [depth, line, start, end, startLine] = [0, 1, -1, -1, 1]
  let [inText, escaped, closed] = [false, false, false]
  const wrong = (what: string): FileFormatError => new FileFormatError(`${file.path}:${line}: ${what}; expected one JSON array of objects`)
  const finish = (): void => {
    if (start === -1) throw wrong('an element is missing')
    places.starts.push(start)
    places.ends.push(end)
    places.lines.push(startLine)
    start = -1
  }
  for await (const { bytes, at } of chunks(file, from)) {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] as number
      if (byte === newline) line++
      if (inText) {
        if (escaped) escaped = false
        else if (byte === backslash) escaped = true
        else if (byte === quote) inText = false
        else i = lastPlain(bytes, i)
        end = at + i + 1
        continue
      }
      if (isBlank(byte)) continue
      if (closed) throw wrong('something follows the array')
      if ((byte === closeList || byte === closeObject) && --depth === 0) {
        if (byte !== closeList) throw wrong('the array ends with }')
        // An empty array has no element to finish.
        if (start !== -1 || places.starts.length > 0) finish()
        closed = true
        continue
      }
      if (byte === comma && depth === 1) {
        finish()
        continue
      }
      if (start === -1 && depth > 0) [start, startLine] = [at + i, line]
      if (byte === openList || byte === openObject) depth++
      inText = byte === quote
      end = at + i + 1
    }
  }
  if (!closed) throw wrong('the array does not end')
  return places
}
