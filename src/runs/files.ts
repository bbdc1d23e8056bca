// How the files of a run folder are written and read so that a kill or a full disk at any moment costs no more than the last line.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type * as z from 'zod'
import { FileFormatError, StorageError } from '../errors.ts'
import { readTextIfThere } from '../fields.ts'
import { encode } from './schema.ts'

const newline = 0x0a

/** What a write begins with; such names are leftovers once nobody writes the folder. */
export const temporaryPrefix = '.tmp-'
export const temporaryIn = (folder: string): string => join(folder, `${temporaryPrefix}${crypto.randomUUID()}`)

const isSystemError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'syscall' in error

/** Whether an error of the system says that the disk, or the user's share of it, is full. */
export const isDiskFull = (error: unknown): error is NodeJS.ErrnoException =>
  isSystemError(error) && (error.code === 'ENOSPC' || error.code === 'EDQUOT')

export function storageError(path: string, cause: NodeJS.ErrnoException): StorageError {
  const advice = isDiskFull(cause) ? 'free space on the disk' : 'see that the folder is there and may be written'
  return new StorageError(`${path}: cannot be written: ${cause.message}; ${advice}, then resume the run`, { cause })
}

/** Does what writes to `path`; errors of the system become a `StorageError` that names it. */
export function storing<T>(path: string, body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw isSystemError(error) ? storageError(path, error) : error
  }
}

/** Puts a file, or the names in a folder, on the disk for good. */
export function sync(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** The same for a folder and all that is in it. */
export function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) syncTree(path)
    else if (entry.isFile()) sync(path)
  }
  sync(folder)
}

/**
 * Hours of work should not end at a folder that is not there.
 * @throws StorageError if the folder of a file is missing or may not be written, or if what is there is no file
 */
export function checkWritable(path: string): void {
  storing(path, () => accessSync(dirname(resolve(path)), constants.W_OK))
  if (existsSync(path) && !statSync(path).isFile()) throw new StorageError(`${path}: cannot be written: it is there and no file; name a new one`)
}

/** Writes a text file, piece by piece, so that a reader finds the old one or the new one, whole. */
export function replaceText(path: string, pieces: Iterable<string>): void {
  const temporary = temporaryIn(dirname(path))
  storing(path, () => {
    try {
      const file = openSync(temporary, 'wx')
      try {
        for (const piece of pieces) writeFileSync(file, piece)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(temporary, path)
    } finally {
      rmSync(temporary, { force: true })
    }
    sync(dirname(path))
  })
}

/** The same with a value as JSON. */
export const replaceJson = (path: string, value: unknown): void => replaceText(path, [`${encode(value, 2)}\n`])

/** The same with values as lines of JSON. */
export function replaceLines(path: string, values: Iterable<unknown>): void {
  replaceText(
    path,
    (function* () {
      for (const value of values) yield `${encode(value)}\n`
    })(),
  )
}

/** Removes a folder so that no reader finds a part of it under its name. */
export function removeFolder(path: string): void {
  const aside = temporaryIn(dirname(path))
  renameSync(path, aside)
  rmSync(aside, { recursive: true })
}

/** Removes what writers that were killed left unfinished. */
export function removeTemporaries(folder: string): void {
  for (const name of readdirSync(folder)) if (name.startsWith(temporaryPrefix)) rmSync(join(folder, name), { recursive: true, force: true })
}

/** `value` if it is what the schema says; else a `FileFormatError` that names place and field. */
export function checked<S extends z.ZodType>(where: string, schema: S, value: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  const [issue] = error.issues
  throw new FileFormatError(`${where}: ${issue?.path.join('.') || 'the whole'}: ${issue?.message}`)
}

/** A JSON file, or null if there is none. */
export function readJsonIfThere<S extends z.ZodType>(path: string, schema: S): z.output<S> | null {
  const text = readTextIfThere(path)
  return text === null ? null : checked(path, schema, parsed(path, text))
}

/** The same for a file with a field `version`; one above `newest` is refused before its other fields are looked at. */
export function readVersionedIfThere<S extends z.ZodType>(path: string, schema: S, newest: number): z.output<S> | null {
  const text = readTextIfThere(path)
  if (text === null) return null
  const value = parsed(path, text)
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : null
  if (typeof version === 'number' && version > newest) {
    throw new FileFormatError(`${path}: is of version ${version}; this Sightline reads versions up to ${newest}. Use the newer one that wrote it`)
  }
  return checked(path, schema, value)
}

function parsed(where: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FileFormatError(`${where}: no valid JSON: ${(cause as Error).message}`, { cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The JSON of a line; null if it is none. (No line of a run folder is the word null.) */
function parsedLine(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (error) {
    // The two ways in which bytes are no JSON; anything else is not about them.
    if (error instanceof SyntaxError || error instanceof TypeError) return null
    throw error
  }
}

/** A line of a .jsonl file. */
export interface Line<T> {
  readonly value: T
  /** Bytes from the beginning of the file up to the end of the line. */
  readonly end: number
}

/**
 * The lines of a .jsonl file that may be written at this moment: none if there is no file; a last line that is unfinished or no JSON is
 * passed over. Any other line that does not fit is a `FileFormatError`.
 */
export function readLines<S extends z.ZodType>(path: string, schema: S): Line<z.output<S>>[] {
  const bytes = readBytesIfThere(path)
  const lines: Line<z.output<S>>[] = []
  for (let start = 0, end = 0; ; start = end) {
    end = bytes.indexOf(newline, start) + 1
    if (end === 0) return lines
    const where = `${path}: line ${lines.length + 1}`
    const value = parsedLine(bytes.subarray(start, end - 1))
    if (value !== null) lines.push({ value: checked(where, schema, value), end })
    else if (end === bytes.length) return lines
    else throw new FileFormatError(`${where}: no valid JSON, and others follow it; a killed run does not leave that. Restore the file from a copy`)
  }
}

function readBytesIfThere(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw new FileFormatError(`${path}: cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** The bytes after the last newline before `end`, without reading the file from its beginning. */
function lineBefore(file: number, end: number): { readonly start: number; readonly bytes: Uint8Array } {
  for (let size = 2 ** 16; ; size *= 2) {
    const from = Math.max(0, end - size)
    const bytes = Buffer.alloc(end - from)
    for (let done = 0, read = 0; done < bytes.length; done += read) {
      read = readSync(file, bytes, done, bytes.length - done, from + done)
      if (read === 0) throw new FileFormatError('a file of the run became shorter while it was read; nothing else may write into the folder')
    }
    const start = bytes.lastIndexOf(newline) + 1
    if (start > 0 || from === 0) return { start: from + start, bytes: bytes.subarray(start) }
  }
}

/** Cuts a last line off that is unfinished or no JSON, as a kill or a power failure leaves it. Returns how many bytes went. */
export function cutBrokenTail(path: string): number {
  return storing(path, () => {
    const file = openSync(path, 'r+')
    try {
      const { size } = fstatSync(file)
      let keep = lineBefore(file, size).start
      if (keep > 0) {
        const { start, bytes } = lineBefore(file, keep - 1)
        if (parsedLine(bytes) === null) keep = start
      }
      if (keep < size) cutAt(file, keep)
      return size - keep
    } finally {
      closeSync(file)
    }
  })
}

function cutAt(file: number, length: number): void {
  ftruncateSync(file, length)
  fsyncSync(file)
}

/** Keeps the first bytes of a file. */
export function cutFile(path: string, length: number): void {
  storing(path, () => {
    const file = openSync(path, 'r+')
    try {
      cutAt(file, length)
    } finally {
      closeSync(file)
    }
  })
}

/** A .jsonl file that grows. Closed when its scope ends. */
export class Appender implements Disposable {
  readonly #path: string
  readonly #file: number

  constructor(path: string) {
    this.#path = path
    this.#file = storing(path, () => openSync(path, 'a'))
  }

  /** Adds a line in one write. If the disk does not take all of it, the part that it took is removed again. */
  add(value: unknown): void {
    const line = Buffer.from(`${encode(value)}\n`)
    let done = 0
    storing(this.#path, () => {
      try {
        while (done < line.length) done += writeSync(this.#file, line, done)
      } catch (error) {
        if (done > 0) ftruncateSync(this.#file, fstatSync(this.#file).size - done)
        throw error
      }
    })
  }

  /** Puts all lines on the disk for good. */
  sync(): void {
    storing(this.#path, () => fsyncSync(this.#file))
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
