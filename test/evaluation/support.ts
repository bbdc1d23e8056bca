// What the tests of evaluation share: a small benchmark of their own, and answers to it that are written by hand.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { TestContext } from 'node:test'
import type { Benchmark, Graded, Question } from '../../src/benchmarks/benchmark.ts'
import { promptingOf } from '../../src/evaluation/modes.ts'
import { type Plan, planVersion } from '../../src/evaluation/plan.ts'
import { type QuestionSet, scanQuestions } from '../../src/evaluation/questions.ts'
import type { Answer, Request, Responder } from '../../src/evaluation/responder.ts'
import type { StoredAnswer, VerdictLine } from '../../src/evaluation/store.ts'
import { lockName } from '../../src/runs/lock.ts'

export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-evaluation-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** All files that an evaluation leaves, by name, but for its shards and the lock of a process that was killed. */
export const filesOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== lockName)
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .filter((name) => !name.startsWith('shards'))
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  )

/** Asserts that files are the same byte for byte; told by name, since they are long. */
export function sameFiles(actual: Record<string, string>, expected: Record<string, string>, what = ''): void {
  assert.deepEqual(Object.keys(actual), Object.keys(expected), what)
  for (const [name, text] of Object.entries(expected)) {
    const lines = text.split('\n')
    const other = (actual[name] as string).split('\n')
    const at = lines.findIndex((line, i) => line !== other[i])
    if (at >= 0 || lines.length !== other.length) {
      assert.fail(`${what} ${name}:${at + 1}: ${other[at]?.slice(0, 300)}, expected ${lines[at]?.slice(0, 300)}`)
    }
  }
}

const unit = ({ question, verdict }: Graded) => ({ id: question.id, value: verdict.credit })

/** Sums of small numbers; `pairs` counts a pair of questions as right if both are. */
export const sums: Benchmark = {
  name: 'sums',
  title: 'Sums',
  about: 'sums of small numbers',
  source: { hub: null, url: 'https://example.org', licence: null },
  columns: [],
  questions: () => [],
  measures: [
    { name: 'accuracy', label: 'Accuracy', units: (graded) => graded.map(unit) },
    {
      name: 'pairs',
      label: 'Pairs',
      units: (graded) =>
        [...Map.groupBy(graded, ({ question }) => question.groups['pair'] ?? '')].flatMap(([id, both]) =>
          both.length === 2 ? [{ id, value: Math.min(...both.map(({ verdict }) => verdict.credit)) }] : [],
        ),
    },
  ],
  groupings: ['parity'],
}

/** Questions q0, q1, …; of q5 the answer is 10. */
export const sumQuestions = (count: number): Question[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `q${i}`,
    problem: `What is ${i} + ${i}?`,
    images: [],
    expected: { kind: 'number', answer: String(2 * i), also: [], options: [], tolerance: { relative: 0, absolute: 0 } },
    groups: { parity: i % 2 === 0 ? 'even' : 'odd', pair: String(i >> 1) },
  }))

export async function setOf(questions: readonly Question[], benchmark: Benchmark = sums): Promise<QuestionSet> {
  const opened = {
    async *questions() {
      yield* questions
    },
    close: async () => {},
  }
  return await scanQuestions(benchmark, opened, { source: null, drawn: null, limit: null })
}

export const planOf = (sets: readonly QuestionSet[], changes: Partial<Plan> = {}): Plan => ({
  ...{ version: planVersion, sightline: '0.0.0', model: { name: 'here', identity: 'abc', options: {} } },
  prompting: promptingOf({ mode: 'plain', prefill: null, wording: null }),
  ...{
    decoding: { temperature: 1, topP: 1, topK: null, maxTokens: 8 },
    samples: 3,
    seed: 1,
    benchmarks: sets.map(({ planned }) => planned),
    shard: null,
  },
  ...changes,
})

/** What a request is answered: a function of its seed, right two times in three. */
export const answerTo = ({ key, user }: Request, { index, seed }: Request['samples'][number]): Answer => {
  const [, number = ''] = /is (\d+) \+/.exec(user) ?? []
  const text = `seed ${seed}: \\boxed{${seed % 3 === 0 ? -1 : 2 * Number(number)}}`
  return { key, index, text, ended: seed % 5 === 0 ? 'length' : 'stop', tokens: text.length, logprob: -seed / 7 }
}

/** Answers in another order than it is asked, and only so many: then it is killed, or rather the signal comes. */
export function scripted(most: number, stop?: AbortController): Responder & { readonly told: Answer[] } {
  const told: Answer[] = []
  return {
    name: 'scripted',
    told,
    async answer(requests, signal, onAnswer) {
      const all: Answer[] = []
      for await (const request of requests) for (const sample of request.samples) all.push(answerTo(request, sample))
      for (const answer of all.toSorted((a, b) => (a.logprob ?? 0) - (b.logprob ?? 0))) {
        if (signal.aborted) return
        if (told.length === most) {
          stop?.abort()
          return
        }
        told.push(answer)
        await onAnswer(answer)
      }
    },
    async [Symbol.asyncDispose]() {},
  }
}

export const stored = (id: string, index: number, changes: Partial<StoredAnswer> = {}): StoredAnswer => ({
  ...{ id, index, text: '\\boxed{1}', ended: 'stop', tokens: 4, logprob: -1 },
  ...changes,
})

export const verdict = (id: string, index: number, credit: number, changes: Partial<VerdictLine> = {}): VerdictLine => ({
  ...{ id, index, outcome: credit === 1 ? 'right' : 'wrong', credit, given: '1', rule: 'by hand', valid: true, judge: null },
  ...changes,
})
