// A table, empty or with a word in each cell: how many rows and columns has it?

import { type Ink, inks, type Point, polyline, rectangle, side } from '../draw.ts'
import type { Random } from '../random.ts'
import { lettering } from './glyphs.ts'
import { type BlindTask, type Canvas, defineTask, lineWidth, range } from './task.ts'
import { ask, shownWords, tell } from './words.ts'

interface Size {
  readonly rows: number
  readonly columns: number
}

const margin = 300
/** Words in cells that are fewer pixels wide are only grey. */
const readablePixels = 22

/** Words that fit into cells. */
const cellWords = shownWords.filter(({ length }) => length <= 4)

const sizes = (least: number, most: number): Size[] => range(least, most).flatMap((rows) => range(least, most).map((columns) => ({ rows, columns })))

/** A word in the middle of each cell, all of one size, with some of the cell free around the longest. */
function cellTexts(random: Random, centres: readonly Point[], width: number, height: number, colour: string): string[] {
  const texts = centres.map(() => lettering(random.choose(cellWords)))
  const scale = Math.min(...texts.map(({ wide, high }) => Math.min((0.75 * width) / wide, (0.55 * height) / high)))
  return texts.map(({ lines, wide, high, pen }, i) => {
    const { x, y } = centres[i] as Point
    return lines({ x: x - (wide * scale) / 2, y: y - (high * scale) / 2 }, scale, { line: colour, width: pen })
  })
}

function lengths(random: Random, canvas: Canvas, { rows, columns }: Size): { readonly width: number; readonly height: number } {
  // The lengths are multiples of the numbers of cells, so that all lines are at integers.
  const length = (cells: number): number => {
    const least = Math.min(side - 2 * margin, Math.max(cells * 8 * canvas.pixel, 5500))
    return Math.floor(random.within(Math.ceil(least), side - 2 * margin) / cells) * cells
  }
  const height = length(rows)
  return { height, width: random.chance(0.5) ? Math.floor(height / columns) * columns : length(columns) }
}

export const rowsColumns: BlindTask = defineTask({
  answers: { easy: sizes(2, 4), medium: sizes(3, 6), hard: sizes(4, 9) },
  written: ({ rows, columns }: Size) => `(${rows},${columns})`,
  draw: (random, canvas, size) => {
    const { rows, columns } = size
    const { width, height } = lengths(random, canvas, size)
    const [across, down] = [width / columns, height / rows]
    const line = Math.min(lineWidth(random, canvas, 30, 140), Math.round(Math.min(across, down) / 4))
    const corner = { x: random.within(margin, side - margin - width), y: random.within(margin, side - margin - height) }
    const [ink, second] = inks(random, 2) as [Ink, Ink]
    const paint = { line: ink.colour, width: line }
    const words = random.chance(0.5) && Math.min(across, 1.5 * down) >= readablePixels * canvas.pixel
    const end = { x: corner.x + width, y: corner.y + height }
    const rulers = [
      ...range(1, rows - 1)
        .map((i) => corner.y + i * down)
        .map((y) =>
          polyline(
            [
              { x: corner.x, y },
              { x: end.x, y },
            ],
            paint,
          ),
        ),
      ...range(1, columns - 1)
        .map((i) => corner.x + i * across)
        .map((x) =>
          polyline(
            [
              { x, y: corner.y },
              { x, y: end.y },
            ],
            paint,
          ),
        ),
    ]
    const centres = range(1, rows).flatMap((row) =>
      range(1, columns).map((column) => ({ x: corner.x + (column - 0.5) * across, y: corner.y + (row - 0.5) * down })),
    )
    const texts = words ? cellTexts(random, centres, across - line, down - line, second.colour) : []
    return {
      shapes: [rectangle(corner, end, paint), ...rulers, ...texts],
      question: ask.grid(random),
      description: tell.grid(random, ink.name, rows, columns, words),
      reasoning: tell.gridCount(rows, columns),
      truth: { rows, columns, words, x: corner.x, y: corner.y, width, height, line, color: ink.name },
    }
  },
})
