// Grades the answers to a benchmark: rules first, and where they abstain a judge, if there is one.

import { setImmediate } from 'node:timers/promises'
import { gradeResponse } from '../grading/grade.ts'
import type { Verdict } from '../grading/verdict.ts'
import type { Judge } from './judge.ts'
import { finalText, formOf, type Prompting } from './modes.ts'
import type { Item } from './questions.ts'
import type { StoredAnswer, VerdictLine } from './store.ts'

export interface GradingOptions {
  readonly prompting: Prompting
  /** Called where no rule decides; null: that stays undecided. */
  readonly judge: (() => Promise<Judge>) | null
  readonly signal: AbortSignal
  readonly onProgress: (done: number, total: number) => void
}

/** Answers after which the event loop runs, so that signals are heard. */
const pause = 64

function ruled(item: Item, { id, index, text }: StoredAnswer, prompting: Prompting): VerdictLine {
  const verdict = gradeResponse(finalText(prompting, text), item.expected)
  return { id, index, ...fieldsOf(verdict), valid: formOf(prompting, text).valid, judge: null }
}

/** The rules of answers that the model itself marked. One that was found in another way may be a part of what was said: a judge sees all. */
const marked = /^(?:box|answer tag): /

const fieldsOf = ({ outcome, credit, given, rule }: Verdict): Verdict => ({ outcome, credit, given, rule })

/**
 * The verdicts on answers, in their order.
 * @param items questions, of which each answer has one
 * @throws the signal's reason; errors of the judge's server, whose earlier verdicts its cache keeps
 */
export async function gradeAnswers(items: readonly Item[], answers: readonly StoredAnswer[], options: GradingOptions): Promise<VerdictLine[]> {
  const { prompting, judge, signal, onProgress } = options
  const byId = new Map(items.map((item) => [item.id, item]))
  const lines: VerdictLine[] = []
  for (const answer of answers) {
    if (lines.length % pause === 0) {
      await setImmediate()
      signal.throwIfAborted()
      onProgress(lines.length, answers.length)
    }
    lines.push(ruled(byId.get(answer.id) as Item, answer, prompting))
  }
  onProgress(lines.length, answers.length)
  const open = lines.filter(({ outcome }) => outcome === 'undecided').length
  if (judge === null || open === 0) return lines
  const judging = await judge()
  let judged = 0
  const asked = lines.map(async (line, i): Promise<VerdictLine> => {
    if (line.outcome !== 'undecided') return line
    const { problem, expected } = byId.get(line.id) as Item
    const response = finalText(prompting, (answers[i] as StoredAnswer).text)
    const given = marked.test(line.rule) ? line.given : null
    const { verdict, prompt, reply } = await judging.judge({ problem, expected, response, given }, signal)
    onProgress(++judged, open)
    return { ...line, ...fieldsOf(verdict), given: line.given, judge: { model: judging.name, prompt, reply } }
  })
  // All end before an error goes on, so that nobody is still asked when the judge is closed.
  const settled = await Promise.allSettled(asked)
  const failed = settled.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return settled.map((each) => (each as PromiseFulfilledResult<VerdictLine>).value)
}
