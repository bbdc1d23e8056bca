// Which command made each result in a folder, so that what another plan left there is not taken for what this one asks for. Equal commands
// give equal results, so a result that is made again needs nothing of what was made from it to be made again.

import { existsSync, readFileSync } from 'node:fs'
import { ArgumentError } from '../errors.ts'
import type { BaseRecord } from '../nano/base.ts'
import { replaceJson } from '../runs/files.ts'
import type { Job } from './jobs.ts'

export class Ledger {
  readonly #file: string
  readonly #places: readonly (readonly [path: string, name: string])[]
  readonly #made: Record<string, readonly string[]>

  /**
   * @param file where it is kept
   * @param places absolute paths in commands with what stands for them, longest first: a folder that was moved holds the same results
   */
  constructor(file: string, places: readonly (readonly [path: string, name: string])[]) {
    this.#file = file
    this.#places = places
    this.#made = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, readonly string[]>) : {}
  }

  /** A job whose result is there. @throws ArgumentError if another command made it, or nobody knows which */
  check({ id, command, output }: Job): void {
    const [before, now] = [this.#made[id], this.#placed(command)]
    if (before === undefined) throw new ArgumentError(`${output} is there, but not which command made it (${this.#file}, ${id}); ${todo}`)
    if (!equal(before, now)) throw new ArgumentError(`${output} (${id}) was made by another command: ${changes(before, now)}; ${todo}`)
  }

  /** Notes that a job begins. @throws StorageError if it cannot be written */
  begin({ id, command }: Job): void {
    this.#note(id, this.#placed(command))
  }

  /** A model that results are made with. @throws ArgumentError if they were made with another one */
  uses(id: string, { family, size, recipe, seed, measured }: BaseRecord): void {
    const now = [family, size, recipe, `${seed}`, ...Object.entries(measured).map(([name, value]) => `${name}=${value}`)]
    const before = this.#made[id]
    if (before !== undefined && !equal(before, now)) {
      throw new ArgumentError(`${this.#file}: results were made with another ${id}: ${changes(before, now)}; ${todo}`)
    }
    if (before === undefined) this.#note(id, now)
  }

  #note(id: string, words: readonly string[]): void {
    this.#made[id] = words
    replaceJson(this.#file, this.#made)
  }

  readonly #placed = (command: readonly string[]): readonly string[] =>
    command.map((word) => this.#places.reduce((text, [path, name]) => text.replaceAll(path, name), word))
}

const todo = 'name a new folder, or remove the result and what was made from it'

const equal = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((word, i) => word === b[i])

/** What stands in one and not in the other. */
function changes(before: readonly string[], now: readonly string[]): string {
  const without = (words: readonly string[], others: readonly string[]): string => words.filter((word) => !others.includes(word)).join(' ')
  return `then ${without(before, now) || 'nothing else'}, now ${without(now, before) || 'nothing else'}`
}
