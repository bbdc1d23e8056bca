// A benchmark's questions as they are answered and graded: read through once, kept without images, put to a model piece by piece.

import type { Benchmark, Question } from '../benchmarks/benchmark.ts'
import { FileFormatError } from '../errors.ts'
import { QuestionsDigest } from './identity.ts'
import { asked, type Prompting } from './modes.ts'
import { type PlannedBenchmark, type Shard, seedOf, takes } from './plan.ts'
import type { Request } from './responder.ts'

/** Where questions come from, each with an id of its own: an opened benchmark. */
export interface Questions {
  /** From the first on, each time it is called. */
  questions(): AsyncIterable<Question>
  close(): Promise<void>
}

/** A question without its images, of which there are too many to hold. */
export type Item = Omit<Question, 'images'>

export interface QuestionSet {
  readonly benchmark: Benchmark
  readonly opened: Questions
  readonly planned: PlannedBenchmark
  /** All questions, in order. */
  readonly items: readonly Item[]
}

/**
 * Reads all questions of a benchmark.
 * @param onQuestion is told how many were read
 * @throws FileFormatError for images that cannot be read, and if there are no questions
 */
export async function scanQuestions(
  benchmark: Benchmark,
  opened: Questions,
  about: Pick<PlannedBenchmark, 'source' | 'drawn' | 'limit'>,
  onQuestion: (read: number) => void = () => {},
): Promise<QuestionSet> {
  const where = about.source ?? benchmark.name
  const digest = new QuestionsDigest()
  const items: Item[] = []
  for await (const question of opened.questions()) {
    const { images: _, ...item } = question
    try {
      await digest.add(question)
    } catch (cause) {
      if (!(cause instanceof FileFormatError)) throw cause
      throw new FileFormatError(`${where}: question ${item.id}: ${cause.message}`, { cause })
    }
    onQuestion(items.push(item))
  }
  if (items.length === 0) throw new FileFormatError(`${where}: has no questions of ${benchmark.name}`)
  return { benchmark, opened, items, planned: { name: benchmark.name, ...about, questions: items.length, sha256: digest.end() } }
}

/** The questions that a shard answers. */
export const itemsOf = ({ items }: Pick<QuestionSet, 'items'>, shard: Shard | null): readonly Item[] =>
  items.filter((_, place) => takes(shard, place))

/** What is still to be asked, in order. @param missing the samples of a question that have no answer */
export async function* requestsOf(
  { benchmark, opened }: QuestionSet,
  { prompting, seed, missing }: { readonly prompting: Prompting; readonly seed: number; readonly missing: (id: string) => readonly number[] },
): AsyncGenerator<Request, void, void> {
  for await (const { id, problem, images } of opened.questions()) {
    const samples = missing(id).map((index) => ({ index, seed: seedOf(seed, benchmark.name, id, index) }))
    if (samples.length === 0) continue
    yield { key: id, system: prompting.system, user: asked(prompting, problem), images, prefill: prompting.prefill, samples }
  }
}
