// What an answer to a question of PriorWorld is worth: is it right, is its description true, and does it follow from the description.

import { sameAnswer } from '../../answers.ts'
import type { Question } from './sample.ts'
import type { Thing } from './scene.ts'
import { type Attribute, attributes, kindOf } from './things.ts'
import { stated } from './words.ts'

/** What is asked for and what is there: the `truth` of a sample. */
export type Truth = Pick<Question, 'things' | 'asked'>

export interface DescriptionGrade {
  /** Attributes of things that are there, as described, and how many of them are true. */
  readonly stated: number
  readonly true: number
  /** What it says of the asked attribute; null if it says nothing of it, or nothing is asked of a thing. */
  readonly asked: string | null
}

const same = (a: Thing, b: Thing): boolean => a.place === b.place && a.name === b.name

/** How much of a description is true; a thing that is not there counts with all that is said of it. */
export function gradeDescription(description: string, { things, asked }: Truth): DescriptionGrade {
  const said = stated(description)
  const counted = said.flatMap((thing) => {
    const there = things.find((each) => same(each, thing))
    return attributes.map((attribute) => there !== undefined && there[attribute] === thing[attribute])
  })
  const about = asked === null || asked.attribute === 'name' ? undefined : said.find(({ name }) => name === asked.name)
  return {
    stated: counted.length,
    true: counted.filter(Boolean).length,
    asked: about === undefined ? null : about[(asked as NonNullable<Truth['asked']>).attribute as Attribute],
  }
}

/** What everybody expects of the asked attribute; null where nothing is expected. */
export function expectedAnswer({ asked }: Truth): string | null {
  if (asked === null) return null
  const { attribute, typical } = kindOf(asked.name)
  return attribute === asked.attribute ? typical : null
}

export const rightAnswer = (given: string | null, answer: string): boolean => given !== null && sameAnswer(given, answer)
