// The answers to one benchmark on disk: added as they come, whole after a kill at any moment, and in the end in the order of the questions.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { FileFormatError } from '../errors.ts'
import { Appender, cutBrokenTail, readLines, removeTemporaries, replaceLines } from '../runs/files.ts'
import type { Item } from './questions.ts'

export const files = { responses: 'responses.jsonl', verdicts: 'verdicts.jsonl', scores: 'scores.json' } as const

const text = z.string()
const natural = z.int().min(0)

const responseLine = z.object({
  id: text,
  /** Which of the answers to this question. */
  index: natural,
  text,
  ended: z.enum(['stop', 'length']),
  tokens: natural.nullable(),
  logprob: z.number().nullable(),
})
export type StoredAnswer = z.output<typeof responseLine>

const verdictLine = z.object({
  id: text,
  index: natural,
  outcome: z.enum(['right', 'wrong', 'undecided']),
  credit: z.number(),
  given: text.nullable(),
  rule: text,
  /** Whether the answer has the form that was asked for. */
  valid: z.boolean(),
  /** Who decided where no rule could, and on which words; null where rules did, or nobody was asked. */
  judge: z.object({ model: text, prompt: text, reply: text }).nullable(),
})
export type VerdictLine = z.output<typeof verdictLine>

const keyOf = (id: string, index: number): string => JSON.stringify([id, index])

/** Lines in the order of the questions, then of the samples. */
function ordered<T extends { readonly id: string; readonly index: number }>(lines: readonly T[], items: readonly Item[]): T[] {
  const places = new Map(items.map(({ id }, place) => [id, place]))
  return lines.toSorted((a, b) => (places.get(a.id) as number) - (places.get(b.id) as number) || a.index - b.index)
}

/** The answers to a benchmark. Dispose of it to close its file. */
export class ResponseStore implements Disposable {
  readonly #path: string
  readonly #items: readonly Item[]
  readonly #samples: number
  readonly #ids: ReadonlySet<string>
  /** As they lie in the file. */
  readonly #answers = new Map<string, StoredAnswer>()
  readonly #appender: Appender

  /**
   * Opens the store of a folder, which is made if need be. A line that a kill left unfinished is cut off.
   * @throws FileFormatError for answers to other questions, and for damage that no kill leaves
   */
  constructor(folder: string, items: readonly Item[], samples: number) {
    mkdirSync(folder, { recursive: true })
    removeTemporaries(folder)
    this.#path = join(folder, files.responses)
    this.#items = items
    this.#samples = samples
    if (existsSync(this.#path)) cutBrokenTail(this.#path)
    this.#ids = new Set(items.map(({ id }) => id))
    for (const [line, { value }] of readLines(this.#path, responseLine).entries()) {
      const { id, index } = value
      if (!this.#ids.has(id) || index >= samples || this.#answers.has(keyOf(id, index))) {
        throw new FileFormatError(`${this.#path}: line ${line + 1}: answer ${index} of ${JSON.stringify(id)} has no place here; restore the file`)
      }
      this.#answers.set(keyOf(id, index), value)
    }
    this.#appender = new Appender(this.#path)
  }

  /** Answers that there are. */
  get done(): number {
    return this.#answers.size
  }

  /** Answers that there will be. */
  get total(): number {
    return this.#items.length * this.#samples
  }

  /** The samples of a question without an answer; of a question of another shard none. */
  readonly missing = (id: string): readonly number[] =>
    this.#ids.has(id) ? Array.from({ length: this.#samples }, (_, index) => index).filter((index) => !this.#answers.has(keyOf(id, index))) : []

  /** Keeps an answer. @throws StorageError if it cannot be written */
  add(answer: StoredAnswer): void {
    const key = keyOf(answer.id, answer.index)
    if (this.#answers.has(key)) return
    // In the schema's order of fields, whoever answered: what is read again is written as it was.
    const line = responseLine.parse(answer)
    this.#appender.add(line)
    this.#answers.set(key, line)
  }

  /** All answers in order; the file is put into that order, so that nothing tells in which they came. The last that is asked of a store. */
  finish(): readonly StoredAnswer[] {
    const lying = [...this.#answers.values()]
    const answers = ordered(lying, this.#items)
    this.#appender.sync()
    if (answers.some((answer, i) => answer !== lying[i])) replaceLines(this.#path, answers)
    return answers
  }

  [Symbol.dispose](): void {
    this.#appender[Symbol.dispose]()
  }
}

/** The answers in a folder, as they lie there. */
export const readAnswers = (folder: string): StoredAnswer[] => readLines(join(folder, files.responses), responseLine).map(({ value }) => value)

/** The verdicts in a folder. */
export const readVerdicts = (folder: string): VerdictLine[] => readLines(join(folder, files.verdicts), verdictLine).map(({ value }) => value)

/** Writes what shards found as one. @returns it in order */
export function writeMerged(
  folder: string,
  items: readonly Item[],
  found: { readonly answers: readonly StoredAnswer[]; readonly verdicts: readonly VerdictLine[] },
): typeof found {
  const merged = { answers: ordered(found.answers, items), verdicts: ordered(found.verdicts, items) }
  mkdirSync(folder, { recursive: true })
  replaceLines(join(folder, files.responses), merged.answers)
  replaceLines(join(folder, files.verdicts), merged.verdicts)
  return merged
}
