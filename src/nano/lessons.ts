// The lessons of a nano base as data sets for supervised fine-tuning: worded as the methods' views word them, pictures beside.

import { blindWorld } from '../data/worlds/blind/blind.ts'
import { type ColdStart, closeUp, type Lesson, lesson } from '../data/worlds/prior/cold-start.ts'
import { attribution, closeUpSide, side } from '../data/worlds/prior/picture.ts'
import { Random } from '../data/worlds/random.ts'
import type { WorldSample } from '../data/worlds/world.ts'
import { writeWorld } from '../data/worlds/write.ts'
import { wordedAs } from './prompts.ts'

/**
 * What a base learns, in this order: to answer from a text, to see one thing, to see several, and all of it together; some then learn the
 * figures of BlindWorld, with as many of the former lessons between them, and at last what is likely of figures that are not shown: VGS compares
 * with what a model says without a picture, which means nothing where it never had to.
 */
export type Course = 'reading' | 'closeUps' | 'captions' | 'questions' | 'figures' | 'unseenFigures'

export interface CourseOptions {
  readonly seed: number
  readonly count: number
  readonly mix: ColdStart
  /** Sides of pictures in pixels, for the course of figures: of scenes as the model has seen them so far, and of figures. */
  readonly sides: { readonly scene: number; readonly figure: number }
}

/** The figures that are learned and asked for: at nano scale nobody reads letters, and paths and hard pictures are seen by nobody. */
export const figureParts = {
  tasks: ['touching_circles', 'overlapping_circles', 'line_intersections', 'counting_shapes', 'nested_squares', 'rows_columns'],
  splits: ['easy'],
} as const

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
  figures: {},
  unseenFigures: {},
}

function makerOf(course: Course, { mix, sides }: Pick<CourseOptions, 'mix' | 'sides'>): (seed: number, index: number) => Lesson & { pixels: number } {
  if (course === 'closeUps') return (seed, index) => ({ ...closeUp(seed, index), pixels: closeUpSide })
  const lessons = { ...mix, ...emphases[course] }
  if (course !== 'figures' && course !== 'unseenFigures') return (seed, index) => ({ ...lesson(seed, index, lessons), pixels: side })
  return (seed, index) => {
    if (index % 2 === 0) return { ...lesson(seed, index, lessons, sides.scene), pixels: sides.scene }
    const { problem, solution, answer, svg } = blindWorld.sample(seed, (index - 1) / 2, { ...figureParts, pixels: sides.figure })
    // By chance and not every second one, which would be the same tasks again and again.
    const unseen = course === 'unseenFigures' && new Random(seed, index).chance(0.5)
    return { kind: 'question', problem, reference: null, response: solution, answer, svg: unseen ? null : svg, pixels: sides.figure }
  }
}

/** The lessons of a course as samples whose solution is to be imitated. */
export function* lessonsOf(course: Course, { seed, count, ...options }: CourseOptions): Generator<WorldSample> {
  const make = makerOf(course, options)
  for (let index = 0; index < count; index++) {
    const { kind, problem, reference, response, answer, svg, pixels } = make(seed, index)
    const prompt = prompts[kind]
    yield {
      ...{ id: `${course}-${seed}-${index}`, problem: prompt === null ? '' : wordedAs(prompt, problem, reference ?? '') },
      ...{ answer, solution: response, task: kind, split: course, svg, pixels, truth: {} },
    }
  }
}

/** Writes a course as JSON lines with PNG files into a new folder. */
export async function writeCourse(folder: string, course: Course, options: CourseOptions, onProgress: (done: number) => void): Promise<void> {
  const facts = {
    world: { name: `prior-${course}`, about: 'lessons that a nano base is brought up on', attribution },
    ...{ seed: options.seed, tasks: [], splits: [course], pixels: null },
  }
  await writeWorld(folder, lessonsOf(course, options), { format: 'jsonl', facts, onProgress })
}
