// A question about a scene, with its true answer. The split says how the asked thing stands to what everybody expects of it.

import type { Random } from '../random.ts'
import { drawScene, type Thing } from './scene.ts'
import { type Attribute, attributes, type Kind, kinds, values } from './things.ts'
import { askAttribute, askNumber, askWhat, reasonAttribute, reasonNumber, reasonWhat } from './words.ts'

/** `prior`: the asked attribute is as expected; `score`: it is not; `neutral`: nothing is expected of it. */
export const splits = ['prior', 'score', 'neutral'] as const
export type Split = (typeof splits)[number]

/** An attribute that is asked for plainly, or after a statement of what is usual; and questions without a prior. */
export const tasks = ['plain', 'fact', 'what', 'number'] as const
export type Task = (typeof tasks)[number]

/** The tasks that a split has. */
export const tasksOf: Readonly<Record<Split, readonly Task[]>> = {
  prior: ['plain', 'fact'],
  score: ['plain', 'fact'],
  neutral: ['plain', 'what', 'number'],
}

export interface Question {
  readonly things: readonly Thing[]
  readonly problem: string
  readonly answer: string
  /** What is asked for; null for `number`. */
  readonly asked: { readonly name: string; readonly attribute: Attribute | 'name' } | null
}

const numbers = values.count

/** @param typical probability that the things that are not asked for are as expected */
export function drawQuestion(random: Random, split: Split, task: Task, typical: number): Question {
  const kind: Kind = random.choose(kinds)
  const count = random.within(1, 3)
  const things = drawScene(random, kind, split === 'neutral' ? random.chance(typical) : split === 'prior', { things: count, typical })
  if (task === 'number') return { things, problem: askNumber(random), answer: numbers[count - 1] as string, asked: null }
  const thing = things.find(({ name }) => name === kind.name) as Thing
  if (task === 'what') return { things, problem: askWhat(random, thing.place), answer: thing.name, asked: { name: thing.name, attribute: 'name' } }
  // Things whose number nobody expects come in ones: it would be no question.
  const free = attributes.filter((each) => each !== kind.attribute && each !== 'count')
  const attribute = split === 'neutral' ? random.choose(free) : kind.attribute
  const problem = askAttribute(random, thing.name, attribute, task === 'fact')
  return { things, problem, answer: thing[attribute], asked: { name: thing.name, attribute } }
}

/** The reasoning from what was seen, or is believed to have been seen, to an answer. */
export function reason(random: Random, { asked }: Question, seen: readonly Thing[]): { readonly reasoning: string; readonly answer: string } {
  if (asked === null) {
    const answer = numbers[seen.length - 1] ?? 'one'
    return { reasoning: reasonNumber(random, answer), answer }
  }
  const thing = seen.find(({ name }) => name === asked.name) as Thing
  const { attribute } = asked
  if (attribute === 'name') return { reasoning: reasonWhat(random, thing.place, thing.name), answer: thing.name }
  const answer = thing[attribute]
  return { reasoning: reasonAttribute(random, thing.name, attribute, answer), answer }
}

/** A whole response in ViGOS's form. */
export const response = (description: string, reasoning: string, answer: string): string =>
  `<description> ${description} </description> <think> ${reasoning} </think> \\boxed{ ${answer} }`
