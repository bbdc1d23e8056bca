// Reads JSON configuration strictly: every value is checked where it is read, and an error names file, field, value and what is allowed.

import { readFileSync } from 'node:fs'
import { FileFormatError } from './errors.ts'

type Json = { readonly [name: string]: unknown }

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const shown = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value).slice(0, 200))

/** Sizes and ids of checkpoints fit into 32 bits. */
const largest = 2 ** 31 - 1

/** The text of a file, or null if there is none. */
export function readTextIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new FileFormatError(`${file}: cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/**
 * The object in a JSON file, or in a part of one. A field that is null counts as missing, since checkpoints use both alike. Where a field
 * is missing a fallback takes its place; the fallback null says that there may be none. Whatever else does not fit is a `FileFormatError`.
 */
export class Fields {
  readonly file: string
  /** The way to this part in the file, as `text_config.` or `added_tokens[3].`; empty for the whole. */
  readonly path: string
  readonly values: Json

  constructor(file: string, values: unknown, path = '') {
    if (!isObject(values)) throw new FileFormatError(`${file}: ${path.slice(0, -1) || 'the whole'} is ${shown(values)}; expected a JSON object`)
    this.file = file
    this.values = values
    this.path = path
  }

  /** The whole of a JSON file. */
  static ofFile(file: string): Fields {
    const fields = Fields.ofFileIfThere(file)
    if (fields === null) throw new FileFormatError(`${file}: there is no such file; its folder must hold it`)
    return fields
  }

  /** The whole of a JSON file, or null if there is no such file. */
  static ofFileIfThere(file: string): Fields | null {
    const text = readTextIfThere(file)
    if (text === null) return null
    let values: unknown
    try {
      values = JSON.parse(text)
    } catch (cause) {
      throw new FileFormatError(`${file}: no valid JSON: ${(cause as Error).message}`, { cause })
    }
    return new Fields(file, values)
  }

  /** An error about one field. */
  wrong(name: string, expected: string): FileFormatError {
    return new FileFormatError(`${this.file}: ${this.path}${name} is ${shown(this.values[name])}; expected ${expected}`)
  }

  has(name: string): boolean {
    return this.values[name] !== undefined && this.values[name] !== null
  }

  #read<T, F extends T | null = never>(name: string, expected: string, fits: (value: unknown) => value is T, fallback?: F): T | F {
    if (fallback === null && !this.has(name)) return fallback
    const value = this.has(name) ? this.values[name] : fallback
    if (!fits(value)) throw this.wrong(name, expected)
    return value
  }

  /** A positive integer below 2^31. */
  count<F extends number | null = never>(name: string, fallback?: F): number | F {
    return this.countUpTo(name, largest, fallback)
  }

  /** A positive integer with a bound: what is made in a loop must not be asked for a billion times by a damaged file. */
  countUpTo<F extends number | null = never>(name: string, most: number, fallback?: F): number | F {
    const fits = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0 && (value as number) <= most
    return this.#read(name, `a positive integer, at most ${most}`, fits, fallback)
  }

  /** A token id: an integer ≥ 0, with a bound where a table of all ids is made. */
  id(name: string, most: number = largest): number {
    const fits = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most
    return this.#read(name, `an integer from 0 to ${most}`, fits)
  }

  /** A finite number above zero. */
  positive(name: string, fallback?: number): number {
    const fits = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value > 0
    return this.#read(name, 'a number above 0', fits, fallback)
  }

  /** A finite number of at least zero. */
  notNegative(name: string, fallback?: number): number {
    const fits = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0
    return this.#read(name, 'a number ≥ 0', fits, fallback)
  }

  flag(name: string, fallback?: boolean): boolean {
    return this.#read(name, 'true or false', (value): value is boolean => typeof value === 'boolean', fallback)
  }

  text<F extends string | null = never>(name: string, fallback?: F): string | F {
    return this.#read(name, 'a text', (value): value is string => typeof value === 'string', fallback)
  }

  /** A list of integers ≥ 0. */
  integers(name: string, fallback?: readonly number[]): readonly number[] {
    const fits = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every((each) => Number.isInteger(each) && each >= 0)
    return this.#read(name, 'a list of integers ≥ 0', fits, fallback)
  }

  /** One of the values that are supported; anything else is an error that lists them. */
  oneOf<T extends string>(name: string, allowed: readonly T[], fallback?: T): T {
    const fits = (value: unknown): value is T => allowed.includes(value as T)
    return this.#read(name, `one of ${allowed.join(', ')}`, fits, fallback)
  }

  part<F extends null = never>(name: string, fallback?: F): Fields | F {
    if (fallback === null && !this.has(name)) return fallback
    return new Fields(this.file, this.values[name], `${this.path}${name}.`)
  }

  /** A list of objects. */
  parts(name: string, fallback?: readonly []): readonly Fields[] {
    const fits = (value: unknown): value is readonly unknown[] => Array.isArray(value)
    const list = this.#read(name, 'a list of JSON objects', fits, fallback)
    return list.map((values, i) => new Fields(this.file, values, `${this.path}${name}[${i}].`))
  }

  /** Refuses a field whose presence would change the computation. */
  refuse(name: string, reason: string): void {
    if (this.has(name)) throw this.wrong(name, `none: ${reason}`)
  }
}
