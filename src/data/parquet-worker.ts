// The thread in which parquet files are parsed: a damaged one can make the parser loop for ever or eat all memory, and then only this thread ends.

import { parentPort } from 'node:worker_threads'
import { ArgumentError, FileFormatError, SightlineError } from '../errors.ts'
import { ParquetFile } from './parquet-file.ts'

/** What is asked about a file. It names the file every time, since a thread that was started anew knows nothing. */
export interface Request {
  readonly what: 'names' | 'size' | 'cells' | 'close'
  /** A number for each opening. */
  readonly source: number
  readonly path: string
  readonly columns: readonly string[]
  readonly row: number
}

/** An answer; or an error, of the file or else of the arguments; or a sign of life while one is being worked out. */
export type Reply = { readonly value: unknown } | { readonly fault: string; readonly ofFile: boolean } | 'alive'

/** Milliseconds between signs of life. */
const pulse = 500

const port = parentPort
if (port === null) throw new ArgumentError('parquet-worker.ts runs as a worker only')
const files = new Map<number, Promise<ParquetFile>>()

// When one column of a read fails, the parser leaves others to fail unheard. The read itself reports the first.
process.on('unhandledRejection', () => undefined)

/** A value whose bytes are its own: they are cut from pages of megabytes, which a message would carry as a whole. */
function owned(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map(owned)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, owned(inside)]))
}

async function answer({ what, source, path, columns, row }: Request): Promise<unknown> {
  const opened = files.get(source) ?? (what === 'close' ? null : ParquetFile.open(path, columns))
  if (opened === null) return null
  files.set(source, opened)
  const file = await opened.catch((error: unknown) => {
    files.delete(source)
    throw error
  })
  if (what === 'close') {
    files.delete(source)
    await file.close()
    return null
  }
  return what === 'cells' ? owned(await file.cells(row)) : file[what]
}

function throwing(error: unknown): never {
  throw error
}

port.on('message', async (request: Request) => {
  const timer = setInterval(() => port.postMessage('alive' satisfies Reply), pulse)
  try {
    port.postMessage({ value: await answer(request) } satisfies Reply)
  } catch (error) {
    // Not thrown here, where it would count as one more rejection that is let pass.
    if (!(error instanceof SightlineError)) setImmediate(() => throwing(error))
    else port.postMessage({ fault: error.message, ofFile: error instanceof FileFormatError } satisfies Reply)
  } finally {
    clearInterval(timer)
  }
})
