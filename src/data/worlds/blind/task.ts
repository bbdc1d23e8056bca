// What every task of BlindWorld has: its answers, from which pictures are made, so that answers are balanced; and words for what was drawn.

import type { Random } from '../random.ts'
import type { Json } from '../world.ts'

export const levels = ['easy', 'medium', 'hard'] as const
export type Level = (typeof levels)[number]

/** What a picture is drawn for. */
export interface Canvas {
  readonly level: Level
  /** How much of a picture's side one pixel is, in units of the drawing: what shall be seen is not smaller. */
  readonly pixel: number
}

export interface Drawn {
  /** SVG elements, the last on top. */
  readonly shapes: readonly string[]
  readonly question: string
  readonly description: string
  readonly reasoning: string
  readonly truth: { readonly [name: string]: Json }
}

export interface BlindTask {
  /** How many answers a level has. */
  readonly answers: (level: Level) => number
  /** A picture whose true answer is number `which` of those. */
  readonly make: (random: Random, canvas: Canvas, which: number) => Drawn & { readonly answer: string }
}

/** A task from its answers, how one is written, and how to draw a picture that has it. */
export function defineTask<Answer>(rules: {
  readonly answers: { readonly [level in Level]: readonly Answer[] }
  readonly written: (answer: Answer) => string
  readonly draw: (random: Random, canvas: Canvas, answer: Answer) => Drawn
}): BlindTask {
  return {
    answers: (level) => rules.answers[level].length,
    make: (random, canvas, which) => {
      const answer = rules.answers[canvas.level][which] as Answer
      return { ...rules.draw(random, canvas, answer), answer: rules.written(answer) }
    },
  }
}

/** The same answers at every level. */
export const everywhere = <Answer>(answers: readonly Answer[]): { readonly [level in Level]: readonly Answer[] } => ({
  easy: answers,
  medium: answers,
  hard: answers,
})

export const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, i) => low + i)

/** A width of lines between these, in units of the drawing, and at least 1.2 pixels, so that no line fades away. */
export function lineWidth(random: Random, { pixel }: Canvas, low: number, high: number): number {
  return Math.round(Math.max(random.between(low, high), 1.2 * pixel))
}

/** What `attempt` makes once it is not null. Attempts cost little and succeed often; a thousand failures are a mistake in a task's numbers. */
export function untilMade<T>(attempt: () => T | null): T {
  for (let i = 0; i < 1000; i++) {
    const made = attempt()
    if (made !== null) return made
  }
  throw new Error('a thousand attempts made no picture')
}
