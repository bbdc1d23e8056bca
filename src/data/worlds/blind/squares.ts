// Squares one inside the other: how many?

import { type Ink, inks, type Point, rectangle, side } from '../draw.ts'
import { type BlindTask, defineTask, everywhere, type Level, lineWidth, range } from './task.ts'
import { ask, tell } from './words.ts'

/** The side of each square as a part of the one around it. */
const shrink: { readonly [level in Level]: readonly [low: number, high: number] } = { easy: [0.5, 0.62], medium: [0.6, 0.74], hard: [0.7, 0.84] }
const margin = 300

export const nestedSquares: BlindTask = defineTask({
  answers: everywhere(range(2, 5)),
  written: String,
  draw: (random, canvas, count) => {
    const one = random.chance(0.5)
    const looks = inks(random, one ? 1 : count)
    const ink = (i: number): Ink => looks[one ? 0 : i] as Ink
    const width = lineWidth(random, canvas, 30, 130)
    // Between two squares at least a line width or two pixels of paper are seen, in the innermost two or three.
    const room = Math.max(2 * width, Math.round(width + 2 * canvas.pixel))
    const innermost = Math.max(3 * width, Math.round(width + 3 * canvas.pixel))
    const least = (inside: number): number => innermost + 2 * room * inside
    let length = random.within(Math.max(least(count - 1), 4500), side - 2 * margin)
    let corner: Point = { x: random.within(margin, side - margin - length), y: random.within(margin, side - margin - length) }
    const squares = range(1, count).map((number) => {
      if (number > 1) {
        const wanted = Math.round(length * random.between(...shrink[canvas.level]))
        const inner = Math.max(Math.min(wanted, length - 2 * room), least(count - number))
        const free = length - inner - room
        corner = { x: corner.x + random.within(room, free), y: corner.y + random.within(room, free) }
        length = inner
      }
      return { ...corner, side: length }
    })
    const names = squares.map((_, i) => ink(i).name)
    return {
      shapes: squares.map((at, i) => rectangle(at, { x: at.x + at.side, y: at.y + at.side }, { line: ink(i).colour, width })),
      question: ask.shapes(random, 'squares'),
      description: tell.squares(random, names),
      reasoning: tell.squareCount(names),
      truth: { squares, width, colors: names },
    }
  },
})
