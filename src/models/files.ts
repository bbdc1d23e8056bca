// How folders of adapters and models get their small files: written aside and on the disk for good before they take their places.

import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** A new name beside `path`, for what will take its place. */
export const temporaryBeside = (path: string): string => join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.tmp`)

/** Writes a new file and puts it on the disk for good. */
export function writeSynced(path: string, text: string): void {
  const file = openSync(path, 'wx')
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
