// Graded answers as units for statistics: every question with all its answers, and measures of them with intervals.

import { readFileSync } from 'node:fs'
import type { Graded } from '../nano/evaluate.ts'
import { type BootstrapOptions, bootstrapDifference, bootstrapRatio } from '../statistics/bootstrap.ts'
import type { Interval } from '../statistics/interval.ts'

/** What is measured of an answer: a number from 0 to 1, or null where it does not apply. */
export interface Measure {
  readonly name: string
  readonly label: string
  readonly of: (answer: Graded) => number | null
}

const truth = (value: boolean | null): number | null => (value === null ? null : Number(value))
const on = (split: string, of: (answer: Graded) => boolean | null) => (answer: Graded) => (answer.split === split ? truth(of(answer)) : null)

/** By name, in the order of tables. */
export const measures = {
  score: { name: 'score', label: 'Score', of: on('score', ({ correct }) => correct) },
  prior: { name: 'prior', label: 'Prior', of: on('prior', ({ correct }) => correct) },
  overall: { name: 'overall', label: 'Overall', of: ({ correct }) => Number(correct) },
  description: { name: 'description', label: 'Description truth', of: on('score', ({ described }) => described) },
  follows: { name: 'follows', label: 'Answer follows description', of: on('score', ({ follows }) => follows) },
  valid: { name: 'valid', label: 'Valid', of: ({ valid }) => Number(valid) },
} as const satisfies Readonly<Record<string, Measure>>

export const readAnswers = (file: string): readonly Graded[] =>
  (JSON.parse(readFileSync(file, 'utf8')) as { readonly answers: readonly Graded[] }).answers

/** By question: the values of its answers. */
function byQuestion(answers: readonly Graded[], { of }: Measure): Map<number, number[]> {
  const found = new Map<number, number[]>()
  for (const answer of answers) {
    const value = of(answer)
    if (value !== null) found.set(answer.index, [...(found.get(answer.index) ?? []), value])
  }
  return found
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Whether a measure has a value for some question in every one of some lists of answers. */
export function applies(measure: Measure, ...lists: readonly (readonly Graded[])[]): boolean {
  const [first, ...others] = lists.map((answers) => byQuestion(answers, measure))
  return first !== undefined && [...first.keys()].some((index) => others.every((other) => other.has(index)))
}

/** The mean of a measure; questions are drawn for the interval, each with all its answers. */
export function meanWithin(answers: readonly Graded[], measure: Measure, options: BootstrapOptions = {}): Interval {
  const parts = Array.from(byQuestion(answers, measure).values(), (values) => ({ sum: sum(values), count: values.length }))
  return bootstrapRatio(parts, options)
}

/** How much more one model has of a measure than another, over the questions for which both have a value. */
export function differenceWithin(before: readonly Graded[], after: readonly Graded[], measure: Measure, options: BootstrapOptions = {}): Interval {
  const [first, second] = [byQuestion(before, measure), byQuestion(after, measure)]
  const pairs = [...first].flatMap(([index, values]) => {
    const other = second.get(index)
    return other === undefined ? [] : [{ before: values, after: other }]
  })
  return bootstrapDifference(pairs, options)
}
