// Reads JSON configuration strictly: every value is checked where it is read, and an error names file, field, value and what is allowed.

import { readFileSync } from 'node:fs'
import { FileFormatError } from '../errors.ts'

type Json = { readonly [name: string]: unknown }

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const shown = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value).slice(0, 200))

/** The object in a JSON file, or in a part of one. */
export class Fields {
  readonly file: string
  readonly path: string
  readonly values: Json

  constructor(file: string, values: unknown, path = '') {
    if (!isObject(values)) throw new FileFormatError(`${file}: the file holds ${shown(values)}; expected a JSON object`)
    this.file = file
    this.values = values
    this.path = path
  }

  /** The whole of a JSON file. */
  static ofFile(file: string): Fields {
    let values: unknown
    try {
      values = JSON.parse(readFileSync(file, 'utf8'))
    } catch (cause) {
      throw new FileFormatError(`${file}: ${(cause as Error).message}`, { cause })
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

  #read<T>(name: string, expected: string, fits: (value: unknown) => value is T, fallback: T | undefined): T {
    const value = this.has(name) ? this.values[name] : fallback
    if (!fits(value)) throw this.wrong(name, expected)
    return value
  }

  /** A positive integer below 2^31. */
  count(name: string, fallback?: number): number {
    return this.countUpTo(name, 2 ** 31 - 1, fallback)
  }

  /** A positive integer with a bound: what is made in a loop must not be asked for a billion times by a damaged file. */
  countUpTo(name: string, most: number, fallback?: number): number {
    const fits = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0 && (value as number) <= most
    return this.#read(name, `a positive integer, at most ${most}`, fits, fallback)
  }

  /** A non-negative integer below 2^31: a token id. */
  id(name: string): number {
    const fits = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31
    return this.#read(name, 'an integer ≥ 0', fits, undefined)
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

  text(name: string, fallback?: string): string {
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

  part(name: string): Fields {
    const values = this.values[name]
    if (!isObject(values)) throw this.wrong(name, 'a JSON object')
    return new Fields(this.file, values, `${this.path}${name}.`)
  }

  /** Refuses a field whose presence would change the computation. */
  refuse(name: string, reason: string): void {
    if (this.has(name)) throw this.wrong(name, `none: ${reason}`)
  }
}
