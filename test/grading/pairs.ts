// Reads the hand-checked pairs, which are a file of their own so that anyone can add to them.

import { readFileSync } from 'node:fs'
import { type AnswerKind, answerKinds, type Expected, type Verdict } from '../../src/grading/verdict.ts'

/** What a careful person says who sees no more than the reference and the response. */
export interface Pair {
  readonly line: number
  readonly expected: Expected
  readonly response: string
  readonly outcome: Verdict['outcome']
  readonly why: string
}

interface Row {
  readonly kind: AnswerKind
  readonly answer: string
  readonly also?: readonly string[]
  readonly options?: readonly string[]
  readonly tolerance?: Expected['tolerance']
  readonly response: string
  readonly outcome: Verdict['outcome']
  readonly why: string
}

/** All pairs of `pairs.jsonl`, one object a line. */
export function readPairs(): readonly Pair[] {
  const lines = readFileSync(new URL('pairs.jsonl', import.meta.url), 'utf8').split('\n')
  return lines.flatMap((text, i) => {
    if (text.trim() === '') return []
    const { kind, answer, also = [], options = [], tolerance = { relative: 0, absolute: 0 }, response, outcome, why } = JSON.parse(text) as Row
    if (!answerKinds.includes(kind) || !['right', 'wrong', 'undecided'].includes(outcome) || why === '')
      throw new Error(`pairs.jsonl, line ${i + 1}: kind, outcome or why is missing or unknown`)
    return [{ line: i + 1, expected: { kind, answer, also, options, tolerance }, response, outcome, why }]
  })
}
