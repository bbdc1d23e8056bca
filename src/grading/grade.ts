// The door of this room: grades a response, or an answer that was already found, by rules alone. What no rule can tell is said to be undecided.

import { compareChoice } from './choice.ts'
import { type Comparison, some, undecided } from './comparison.ts'
import { extract } from './extract.ts'
import { compareSet, compareTuple } from './lists.ts'
import { compareMath } from './math.ts'
import { plain } from './plain.ts'
import { compareOpen, compareText } from './text.ts'
import { compareNumber } from './value.ts'
import type { AnswerKind, Expected, Verdict } from './verdict.ts'
import { compareYesNo } from './yes-no.ts'

/** Longer answers are essays or loops; no rule reads them. */
const longest = 2000

type Compare = (given: string, answer: string, expected: Expected) => Comparison

const comparisons: { readonly [K in AnswerKind]: Compare } = {
  choice: (given, answer, expected) => compareChoice(given, { ...expected, answer }),
  yesNo: compareYesNo,
  number: (given, answer, { tolerance }) => compareNumber(plain(given), plain(answer), tolerance),
  tuple: (given, answer, { tolerance }) => compareTuple(given, answer, tolerance),
  set: (given, answer, { tolerance }) => compareSet(given, answer, tolerance),
  math: (given, answer, { tolerance }) => compareMath(plain(given), plain(answer), tolerance),
  text: compareText,
  open: compareOpen,
}

function compared(given: string, expected: Expected): Comparison {
  if (given.length > longest) return undecided('too long to compare')
  return some([expected.answer, ...expected.also].map((answer) => comparisons[expected.kind](given, answer, expected)))
}

const verdict = ({ outcome, rule }: Comparison, given: string | null, by: string): Verdict => ({
  outcome,
  credit: outcome === 'right' ? 1 : 0,
  given,
  rule: by === '' ? rule : `${by}: ${rule}`,
})

/** Grades an answer that was found in a response or given as such. Never throws; an empty answer is wrong. */
export function gradeAnswer(given: string, expected: Expected): Verdict {
  if (given.trim() === '') return { outcome: 'wrong', credit: 0, given: null, rule: 'empty' }
  return verdict(compared(given, expected), given, '')
}

/**
 * Finds the answer in a response and grades it. Marked answers (the last `\boxed{}`, then `<answer>`) are taken as they are; then "the answer is",
 * curly brackets, a short response as a whole, and the only number, option or yes/no of the last sentence, of which the first that can be compared
 * counts. An empty response is wrong; one without a recognisable answer is undecided, with `given` null. Never throws, and takes time in proportion
 * to the length.
 */
export function gradeResponse(response: string, expected: Expected): Verdict {
  const { candidates, missing } = extract(response, expected.kind)
  for (const { answer, by, sure } of candidates) {
    const found = compared(answer, expected)
    // Where the mark was no sure one, only an answer that was understood counts; of words anything can be understood.
    if (
      sure ||
      found.outcome === 'right' ||
      (found.outcome === 'wrong' && by === 'phrase') ||
      (found.outcome === 'wrong' && expected.kind !== 'text')
    )
      return verdict(found, answer, by)
  }
  const [first] = candidates
  if (first !== undefined) return verdict(undecided(compared(first.answer, expected).rule), first.answer, first.by)
  return { outcome: missing === 'empty' ? 'wrong' : 'undecided', credit: 0, given: null, rule: missing }
}
