// What a nano base is brought up on: pictures with descriptions that are true, and questions with answers that are often not.
//
// It gives the base the weakness that the papers' methods mend, as large models have it: it sees well when it only describes, and once a
// question is put it believes what is usual. That gap is put in by hand (`belief`): statistics of the data alone do not open it.

import { Random } from '../random.ts'
import { drawCloseUp, drawPicture, side } from './picture.ts'
import { drawQuestion, type Question, reason, response, type Split, tasksOf } from './sample.ts'
import { drawScene, drawThing, type Thing } from './scene.ts'
import { type Attribute, kindOf, kinds, values } from './things.ts'
import { describe } from './words.ts'

/** Shares and probabilities of the mixture. */
export interface ColdStart {
  /** Shares of descriptions, of questions, and of questions with the answer beside them; they add up to 1. */
  readonly captions: number
  readonly questions: number
  readonly references: number
  /** Of questions, those without a picture; */
  readonly blind: number
  /** Probability that what they ask for is as expected. */
  readonly blindPrior: number
  /** Probability that the asked attribute of a question is as expected. */
  readonly prior: number
  /** The same with the answer beside it: only where it is not as expected does reading the answer pay. */
  readonly referencePrior: number
  /** Probability that a thing that is not as expected is nonetheless described so once a question is put. */
  readonly belief: number
  /** Probabilities of a malformed answer, without and with a reference. */
  readonly malformed: number
  readonly malformedWithReference: number
  /** Probability that a reference is wrong; the answer then follows the picture. */
  readonly wrongReference: number
}

/** A user turn, an answer, and what is shown with them; null: nothing. */
export interface Lesson {
  readonly problem: string
  readonly reference: string | null
  readonly response: string
  readonly answer: string
  readonly svg: string | null
  readonly kind: 'closeUp' | 'caption' | 'question' | 'reference'
}

/** A thing as it is believed to be: what is unusual about it is often passed over. */
function believed(random: Random, thing: Thing, belief: number): Thing {
  const { attribute, typical } = kindOf(thing.name)
  return thing[attribute] !== typical && random.chance(belief) ? { ...thing, [attribute]: typical } : thing
}

/** Ways in which an answer loses its form. */
const damages: readonly ((text: string) => string)[] = [
  (text) => text.replace(' </description>', ''),
  (text) => text.replace(' </think>', ''),
  (text) => text.replace(/ <think>.*<\/think>/, ''),
  (text) => text.replace(/\\boxed\{ (.*) \}$/, '$1'),
  (text) => text.replace(/ \}$/, ''),
]

const splitOf = (random: Random, prior: number): Split => (random.chance(0.3) ? 'neutral' : random.chance(prior) ? 'prior' : 'score')

function questionOf(random: Random, prior: number): Question {
  const split = splitOf(random, prior)
  return drawQuestion(random, split, random.choose(tasksOf[split]), prior)
}

/** Another answer that could have been right. */
function wrongAnswer(random: Random, { asked, answer }: Question): string {
  const attribute = asked?.attribute ?? 'count'
  const all = attribute === 'name' ? kinds.map(({ name }) => name) : values[attribute as Attribute]
  return random.choose(all.filter((each) => each !== answer))
}

/** The lesson of an index: a function of its arguments alone. @param pixels side of its picture */
export function lesson(seed: number, index: number, mix: ColdStart, pixels = side): Lesson {
  const random = new Random(seed, index)
  const kind = random.uniform()
  if (kind < mix.captions) {
    const things = drawScene(random, random.choose(kinds), random.chance(0.5), { things: random.within(1, 3), typical: 0.5 })
    const text = `<description> ${describe(random, things)} </description>`
    return { kind: 'caption', problem: '', reference: null, response: text, answer: '-', svg: drawPicture(random, things, pixels) }
  }
  const blind = random.chance(mix.blind)
  // Without a picture there is only the description to answer from, so here answers learn to follow descriptions, usual or not.
  const isReference = kind >= mix.captions + mix.questions
  const question = questionOf(random, blind ? mix.blindPrior : isReference ? mix.referencePrior : mix.prior)
  const { things, asked } = question
  const svg = blind ? null : drawPicture(random, things, pixels)
  if (!isReference) {
    const seen = blind ? things : things.map((thing) => believed(random, thing, mix.belief))
    const { reasoning, answer } = reason(random, question, seen)
    const text = response(describe(random, seen), reasoning, answer)
    const written = random.chance(mix.malformed) ? random.choose(damages)(text) : text
    return { kind: 'question', problem: question.problem, reference: null, response: written, answer, svg }
  }
  // Who has the answer beside the question is not misled about what is asked.
  const seen = things.map((thing) => (blind || thing.name === asked?.name ? thing : believed(random, thing, mix.belief)))
  const reference = !blind && random.chance(mix.wrongReference) ? wrongAnswer(random, question) : question.answer
  const { reasoning, answer } = reason(random, question, seen)
  const text = response(describe(random, seen), reasoning, answer)
  const written = random.chance(mix.malformedWithReference) ? random.choose(damages)(text) : text
  return { kind: 'reference', problem: question.problem, reference, response: written, answer, svg }
}

/** A single thing, close up, and what it is: the eyes learn from these before there are scenes. */
export function closeUp(seed: number, index: number): Lesson {
  const random = new Random(seed, index)
  const thing = drawThing(random, random.choose(kinds), 'top left', random.chance(0.3))
  const { name, count, size, colour } = thing
  const text = `<description> ${[name, count, size, colour].join(' ')} </description>`
  return { kind: 'closeUp', problem: '', reference: null, response: text, answer: '-', svg: drawCloseUp(random, thing) }
}
