// How PriorWorld is talked about: questions, descriptions and reasoning, each in several wordings, from a small vocabulary.

import type { Random } from '../random.ts'
import type { Thing } from './scene.ts'
import { type Attribute, kindOf, type Place, places, values } from './things.ts'

/** Another word for the rows of a picture. */
const otherRow: Readonly<Record<string, string>> = { top: 'upper', bottom: 'lower' }

const intros = ['', 'I see', 'There is'] as const
const between = [';', ' and'] as const

const placeIn = (place: Place, other: boolean): string => place.replace(/^\w+/, (row) => (other ? (otherRow[row] ?? row) : row))

/**
 * All things of a scene in reading order: `top left banana one big yellow; bottom right whale one small blue.` Place and name come first,
 * so that what follows is said about a thing that is settled.
 */
export function describe(random: Random, things: readonly Thing[]): string {
  const [intro, joined, other] = [random.choose(intros), random.choose(between), random.chance(0.5)]
  const said = things.map(({ place, name, count, size, colour }) => [placeIn(place, other), name, count, size, colour].join(' '))
  return `${intro === '' ? '' : `${intro} `}${said.join(`${joined} `)}.`
}

const thingPattern = new RegExp(
  `\\b(top|upper|bottom|lower) (left|right) ([a-z]+) (${values.count.join('|')}) (${values.size.join('|')}) (${values.colour.join('|')})\\b`,
  'g',
)

/** The things that a description states; what is not in its form is passed over. */
export function stated(description: string): readonly Thing[] {
  return Array.from(description.matchAll(thingPattern), ([, row = '', side, name = '', count = '', size = '', colour = '']) => {
    const place = places.find((each) => each.endsWith(side ?? '') && (each.startsWith(row) || otherRow[each.split(' ')[0] ?? ''] === row)) as Place
    return { place, name, count, size, colour }
  })
}

const about: Readonly<Record<Attribute, readonly string[]>> = {
  colour: ['What colour is the {name}?', 'Which colour does the {name} have?', 'Tell me the colour of the {name}.'],
  size: ['What size is the {name}?', 'Is the {name} big or small?', 'Tell me the size of the {name}.'],
  count: ['What is the count of the {name}?', 'How many times is the {name} there?', 'Tell me the count of the {name}.'],
}

const facts = [
  'The {attribute} of {a} {name} is {value}.',
  'Everybody knows: the {name} is {value}.',
  'The usual {attribute} of {a} {name} is {value}.',
] as const

const fill = (template: string, words: Readonly<Record<string, string>>): string => template.replace(/\{(\w+)\}/g, (_, word) => words[word] ?? '')

/** A question for an attribute of a thing, with a statement of what everybody expects before it if `withFact`. */
export function askAttribute(random: Random, name: string, attribute: Attribute, withFact: boolean): string {
  const question = fill(random.choose(about[attribute]), { name })
  if (!withFact) return question
  const { attribute: expected, typical } = kindOf(name)
  const a = /^[aeiou]/.test(name) ? 'an' : 'a'
  return `${fill(random.choose(facts), { a, name, attribute: expected, value: typical })} ${question}`
}

export const askWhat = (random: Random, place: Place): string =>
  fill(random.choose(['What is {place}?', 'Which thing is {place}?', 'Tell me what is {place}.']), { place })

export const askNumber = (random: Random): string =>
  random.choose(['How many kinds of things are there?', 'What is the number of kinds?', 'Tell me the number of kinds.'])

const reasons = [
  'The {attribute} of the {name} is {value}, so the answer is {value}.',
  'The {name} is {value}. The answer is {value}.',
  'I look for the {name}: its {attribute} is {value}.',
] as const

export const reasonAttribute = (random: Random, name: string, attribute: Attribute, value: string): string =>
  fill(random.choose(reasons), { name, attribute, value })

export const reasonWhat = (random: Random, place: Place, name: string): string =>
  fill(random.choose(['{place} is the {name}, so the answer is {name}.', 'I look {place}: it is the {name}.', 'The thing {place} is the {name}.']), {
    place,
    name,
  })

export const reasonNumber = (random: Random, number: string): string =>
  fill(random.choose(['There are {number} kinds, so the answer is {number}.', 'I count {number} kinds.', 'The number of kinds is {number}.']), {
    number,
  })
