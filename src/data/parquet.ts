// Opens parquet files as sources of rows. They are parsed in a thread of their own, which a damaged file may take down without harm.

import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ArgumentError, FileFormatError } from '../errors.ts'
import type { Cells, ChooseColumns } from './columns.ts'
import type { Reply, Request } from './parquet-worker.ts'
import type { Source } from './source.ts'

/** Memory of the thread's objects; the bytes of images do not count. Before an array of JavaScript ends the process, this ends the thread. */
const resourceLimits = { maxOldGenerationSizeMb: 1000 }

/** The parser looped, ran out of memory or broke. */
class ParserLostError extends FileFormatError {}

/** A thread that parses parquet files, one question at a time, so that it is known which file took it down. It starts anew when it is lost. */
export class ParquetReader {
  readonly #silence: number
  #worker: Worker | null = null
  #last: Promise<unknown> = Promise.resolve()

  /** @param silence milliseconds without a sign of life after which the parser counts as lost */
  constructor(silence = 60_000) {
    this.#silence = silence
  }

  async ask(request: Request): Promise<unknown> {
    const asked = this.#last.then(() => this.#answer(request))
    // The next question waits for this one, whatever becomes of it; who asked hears of errors.
    this.#last = asked.catch(() => undefined)
    return await asked
  }

  async #answer(request: Request): Promise<unknown> {
    this.#worker ??= this.#started()
    const worker = this.#worker
    worker.ref()
    try {
      const reply = await this.#reply(worker, request)
      if ('value' in reply) return reply.value
      throw reply.ofFile ? new FileFormatError(reply.fault) : new ArgumentError(reply.fault)
    } catch (error) {
      if (error instanceof ParserLostError) {
        this.#worker = null
        await worker.terminate()
      }
      throw error
    } finally {
      worker.unref()
    }
  }

  #started(): Worker {
    // Options of the program, such as those of --eval, are not for it.
    const worker = new Worker(new URL('./parquet-worker.ts', import.meta.url), { resourceLimits, execArgv: [] })
    worker.on('error', () => {
      if (this.#worker === worker) this.#worker = null
    })
    return worker
  }

  #reply(worker: Worker, request: Request): Promise<Exclude<Reply, 'alive'>> {
    const { promise, resolve, reject } = Promise.withResolvers<Exclude<Reply, 'alive'>>()
    const lost = (why: string): void => reject(new ParserLostError(`damaged: the parser ${why}`))
    const silent = (): void => lost(`gave no sign of life for ${this.#silence / 1000} s`)
    // When this thread was busy for long, signs of life wait in its queue: they are read before a second timer ends.
    const suspect = (): void => {
      timer = setTimeout(silent, Math.min(1000, this.#silence))
    }
    let timer = setTimeout(suspect, this.#silence)
    const heard = (reply: Reply): void => {
      clearTimeout(timer)
      if (reply === 'alive') timer = setTimeout(suspect, this.#silence)
      else resolve(reply)
    }
    const broke = (error: Error): void => lost(`broke: ${error.message}`)
    worker.on('message', heard).on('error', broke)
    worker.postMessage(request)
    return promise.finally(() => {
      clearTimeout(timer)
      worker.off('message', heard).off('error', broke)
    })
  }
}

const shared = new ParquetReader()
let opened = 0

/**
 * Opens a parquet file. Rows are decoded by pages where there is an index of them, otherwise by row groups, and the last two are kept.
 *
 * @throws FileFormatError if it is damaged or lacks the columns or rows that are needed
 */
export async function openParquet(path: string, choose: ChooseColumns, reader: ParquetReader = shared): Promise<Source> {
  opened += 1
  const source = opened
  const ask = (what: Request['what'], columns: readonly string[], row = 0): Promise<unknown> => reader.ask({ what, source, path, columns, row })
  const naming = async (question: Promise<unknown>): Promise<unknown> => {
    try {
      return await question
    } catch (error) {
      if (error instanceof FileFormatError) throw new FileFormatError(`${path}: ${error.message}`, { cause: error })
      throw error
    }
  }
  const present = (await naming(ask('names', []))) as readonly string[]
  await ask('close', [])
  const chosen = choose(present, path)
  const columns = [...new Set(Object.values(chosen).flat())].filter((name) => present.includes(name))
  const size = (await naming(ask('size', columns))) as number
  const close = async (): Promise<void> => {
    await ask('close', columns)
  }
  if (size === 0) {
    await close()
    throw new FileFormatError(`${path}: no rows`)
  }
  let lost: ParserLostError | null = null
  const cells = async (row: number): Promise<Cells> => {
    // Where the parser was lost once it would be again, at every row nearby.
    if (lost !== null) throw lost
    try {
      return (await ask('cells', columns, row)) as Cells
    } catch (error) {
      if (error instanceof ParserLostError) lost = error
      throw error
    }
  }
  return { name: path, folder: dirname(path), size, columns: chosen, cells, line: () => null, close }
}
