// The lessons of a nano base as data sets for supervised fine-tuning: worded as the methods' views word them, pictures beside.

import { type ColdStart, closeUp, type Lesson, lesson } from '../data/worlds/prior/cold-start.ts'
import { attribution, closeUpSide, side } from '../data/worlds/prior/picture.ts'
import type { WorldSample } from '../data/worlds/world.ts'
import { writeWorld } from '../data/worlds/write.ts'
import { wordedAs } from './prompts.ts'

/** What a base learns, in this order: to answer from a text, to see one thing, to see several, and all of it together. */
export type Course = 'reading' | 'closeUps' | 'captions' | 'questions'

const prompts = { closeUp: null, caption: null, question: 'structured', reference: 'fullFormatWithReference' } as const satisfies Record<
  Lesson['kind'],
  string | null
>

/** What courses change of the mixture; close-ups are lessons of another kind. */
const emphases: { readonly [C in Exclude<Course, 'closeUps'>]: Partial<ColdStart> } = {
  captions: { captions: 1, questions: 0, references: 0 },
  // Without pictures, and nothing as expected more often than not: answers can only be read off the description or the reference.
  reading: { captions: 0, questions: 0.5, references: 0.5, blind: 1, blindPrior: 0.3, malformed: 0, malformedWithReference: 0 },
  questions: {},
}

function makerOf(course: Course, mix: ColdStart): (seed: number, index: number) => Lesson {
  if (course === 'closeUps') return closeUp
  const lessons = { ...mix, ...emphases[course] }
  return (seed, index) => lesson(seed, index, lessons)
}

/** The lessons of a course as samples whose solution is to be imitated. */
export function* lessonsOf(
  course: Course,
  { seed, count, mix }: { readonly seed: number; readonly count: number; readonly mix: ColdStart },
): Generator<WorldSample> {
  const make = makerOf(course, mix)
  for (let index = 0; index < count; index++) {
    const { kind, problem, reference, response, answer, svg } = make(seed, index)
    const prompt = prompts[kind]
    yield {
      ...{ id: `${course}-${seed}-${index}`, problem: prompt === null ? '' : wordedAs(prompt, problem, reference ?? '') },
      ...{ answer, solution: response, task: kind, split: course, svg, pixels: course === 'closeUps' ? closeUpSide : side, truth: {} },
    }
  }
}

/** Writes a course as JSON lines with PNG files into a new folder. */
export async function writeCourse(
  folder: string,
  course: Course,
  options: { readonly seed: number; readonly count: number; readonly mix: ColdStart },
  onProgress: (done: number) => void,
): Promise<void> {
  const facts = {
    world: { name: `prior-${course}`, about: 'lessons that a nano base is brought up on', attribution },
    ...{ seed: options.seed, tasks: [], splits: [course], pixels: null },
  }
  await writeWorld(folder, lessonsOf(course, options), { format: 'jsonl', facts, onProgress })
}
