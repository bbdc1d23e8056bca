// Reads the JSON files of a checkpoint's folder field by field, so that every wrong entry is an error that names file, field and value.

import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { FileFormatError } from '../errors.ts'

/** The text of a file, or null if there is none. */
export async function readTextIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new FileFormatError(`${path}: cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

/** A JSON object of a file. */
export class JsonObject {
  /** The file, and the way to the object in it; error messages start with it. */
  readonly place: string
  readonly fields: Readonly<Record<string, unknown>>

  constructor(place: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new FileFormatError(`${place}: expected a JSON object, got ${inspect(value, { depth: 0 })}`)
    this.place = place
    this.fields = value as Record<string, unknown>
  }

  /** The object in a file, or null if there is no such file. */
  static async readIfThere(path: string): Promise<JsonObject | null> {
    const text = await readTextIfThere(path)
    if (text === null) return null
    try {
      return new JsonObject(path, JSON.parse(text))
    } catch (error) {
      if (error instanceof FileFormatError) throw error
      throw new FileFormatError(`${path}: no valid JSON: ${(error as Error).message}`, { cause: error })
    }
  }

  /** The field's value; undefined if it is missing or null, which the files of checkpoints use alike. */
  get(name: string): unknown {
    return (Object.hasOwn(this.fields, name) ? this.fields[name] : undefined) ?? undefined
  }

  /** The error for a field whose value is not what is expected. */
  wrong(name: string, expected: string): FileFormatError {
    return new FileFormatError(`${this.place}: ${name} must be ${expected}, got ${inspect(this.get(name), { depth: 1 })}`)
  }

  object(name: string): JsonObject | null {
    const value = this.get(name)
    return value === undefined ? null : new JsonObject(`${this.place}: ${name}`, value)
  }

  array(name: string): readonly unknown[] {
    const value = this.get(name) ?? []
    if (!Array.isArray(value)) throw this.wrong(name, 'an array')
    return value
  }

  text(name: string): string | null {
    const value = this.get(name) ?? null
    if (value !== null && typeof value !== 'string') throw this.wrong(name, 'a string')
    return value
  }

  /** A positive integer. */
  size(name: string): number | null {
    const value = this.get(name) ?? null
    if (value !== null && !(Number.isSafeInteger(value) && (value as number) > 0)) throw this.wrong(name, 'an integer from 1')
    return value as number | null
  }
}
