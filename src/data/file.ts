// Reads pieces of a large file from any place, so that data sets of gigabytes are never held in memory.

import { type FileHandle, open } from 'node:fs/promises'
import { ArgumentError, FileFormatError } from '../errors.ts'

/** Linux reads at most 2 GiB at once. */
const mostAtOnce = 2 ** 30

/** An open file. Reads may overlap. */
export class PlacedFile {
  readonly path: string
  readonly size: number
  readonly #handle: FileHandle

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path
    this.size = size
    this.#handle = handle
  }

  /** @throws ArgumentError if it cannot be opened or is no file */
  static async open(path: string): Promise<PlacedFile> {
    let handle: FileHandle
    try {
      handle = await open(path, 'r')
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      throw new ArgumentError(code === 'ENOENT' ? `${path}: there is no such file` : `${path}: cannot be opened: ${message}`, { cause })
    }
    const status = await handle.stat()
    if (status.isFile()) return new PlacedFile(path, status.size, handle)
    await handle.close()
    throw new ArgumentError(`${path}: not a file`)
  }

  /** The bytes from `start` to before `end`. @throws FileFormatError if the file does not have them */
  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(start >= 0 && start <= end && end <= this.size))
      throw new FileFormatError(`it points to the bytes ${start} to ${end} of a file of ${this.size}; it is damaged`)
    const bytes = new Uint8Array(end - start)
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, done, Math.min(bytes.length - done, mostAtOnce), start + done)
      if (bytesRead === 0) throw new FileFormatError(`it ended at byte ${start + done}, of ${this.size} when it was opened; it was changed meanwhile`)
      done += bytesRead
    }
    return bytes
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
