// What tests of benchmarks share: small files of real columns, written and read, and verdicts made by hand.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { SchemaElement } from 'hyparquet'
import { parquetWriteFile } from 'hyparquet-writer'
import type { Graded, Measure, Question } from '../../src/benchmarks/benchmark.ts'
import { meanOf } from '../../src/benchmarks/measures.ts'
import { type OpenOptions, openBenchmark } from '../../src/benchmarks/open.ts'
import { benchmarkNamed } from '../../src/benchmarks/registry.ts'

/** The bytes of no real image, which tell which one they are. */
export const image = (name: string): Uint8Array => new Uint8Array(Buffer.from(`\x89PNG\r\n\x1a\n${name}`, 'latin1'))

/** The names that `image` was given. */
export const namesOf = (question: Question): string[] =>
  question.images.map((each) => (typeof each === 'string' ? each : Buffer.from(each).subarray(8).toString('latin1')))

export type Row = Readonly<Record<string, unknown>>

export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'benchmarks-'))
  try {
    await body(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

export async function writeLines(path: string, rows: readonly Row[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const plain = (_: string, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value)
  await writeFile(path, rows.map((row) => JSON.stringify(row, plain)).join('\n'))
}

const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const
const group = (children: number) => ({ repetition_type: 'OPTIONAL', num_children: children }) as const

/** Elements of a schema: a text, an integer, an image as the `datasets` library stores it, bytes, and lists of texts and of bytes. */
const kinds = {
  text: (name: string) => [{ name, ...text }],
  integer: (name: string) => [{ name, type: 'INT64', repetition_type: 'OPTIONAL' } as const],
  image: (name: string) => [
    { name, ...group(2) },
    { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' } as const,
    { name: 'path', ...text },
  ],
  bytes: (name: string) => [{ name, type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' } as const],
  texts: (name: string) => [
    { name, converted_type: 'LIST', ...group(1) } as const,
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 } as const,
    { name: 'element', ...text },
  ],
  byteLists: (name: string) => [
    { name, converted_type: 'LIST', ...group(1) } as const,
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 } as const,
    { name: 'element', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' } as const,
  ],
} as const satisfies { readonly [kind: string]: (name: string) => readonly SchemaElement[] }

export type Kind = keyof typeof kinds

export async function writeParquet(path: string, columns: Readonly<Record<string, Kind>>, rows: readonly Row[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const names = Object.keys(columns)
  parquetWriteFile({
    filename: path,
    schema: [
      { name: 'schema', num_children: names.length },
      ...names.flatMap((name): readonly SchemaElement[] => kinds[columns[name] as Kind](name)),
    ],
    columnData: names.map((name) => ({ name, data: rows.map((row) => row[name] ?? null) })),
  })
}

/** All questions of a benchmark in a source. */
export async function read(name: string, source: string | null, options: Partial<OpenOptions> = {}): Promise<Question[]> {
  const opened = await openBenchmark(benchmarkNamed(name), { source, limit: null, ...options })
  try {
    const questions: Question[] = []
    for await (const question of opened.questions()) questions.push(question)
    return questions
  } finally {
    await opened.close()
  }
}

/** Questions in JSON lines of their real columns. */
export async function readLines(name: string, rows: readonly Row[]): Promise<Question[]> {
  let questions: Question[] = []
  await inFolder(async (folder) => {
    await writeLines(join(folder, 'rows.jsonl'), rows)
    questions = await read(name, folder)
  })
  return questions
}

/** A verdict by hand: 1 for right, 0 for wrong, anything between for what a judge gives. */
export function graded(question: Pick<Question, 'id' | 'groups'>, credit: number): Graded {
  const outcome = credit === 0 ? 'wrong' : 'right'
  return { question: { id: question.id, groups: question.groups }, verdict: { outcome, credit, given: null, rule: 'by hand' } }
}

/** What a measure of a benchmark says. */
export function measured(name: string, measure: string, all: readonly Graded[]): number | null {
  const found: Measure | undefined = benchmarkNamed(name).measures.find((each) => each.name === measure)
  if (found === undefined) throw new Error(`${name} has no measure ${measure}`)
  return meanOf(found.units(all))
}
