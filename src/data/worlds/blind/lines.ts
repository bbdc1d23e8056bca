// Two lines of two pieces each: how often do they cross?

import { type Ink, inks, type Point, polyline, side } from '../draw.ts'
import type { Random } from '../random.ts'
import { clearance, cross, crossing, distance, distanceToSegment, type Segment, sine } from './geometry.ts'
import { type BlindTask, defineTask, everywhere, type Level, lineWidth, untilMade } from './task.ts'
import { ask, placeOf, tell } from './words.ts'

type Bent = readonly [Point, Point, Point]

/** How far lines that do not cross stay apart, and crossings from the ends and bends of lines. */
const apart: { readonly [level in Level]: number } = { easy: 900, medium: 550, hard: 300 }
/** Lines cross at an angle with at least this sine, so that crossings are points. */
const leastSine = 0.35
const margin = 500
const mostCrossings = 2

const piecesOf = ([a, b, c]: Bent): readonly Segment[] => [
  [a, b],
  [b, c],
]

/** Three points from one side of the picture to the other, either way; or anywhere. */
function bent(random: Random, layout: 'across' | 'down' | 'free'): Bent {
  const anywhere = (): number => random.within(margin, side - margin)
  const point = (third: number): Point => {
    const along = random.within(margin + 3000 * third, margin + 3000 * (third + 1))
    return { across: { x: along, y: anywhere() }, down: { x: anywhere(), y: along }, free: { x: anywhere(), y: anywhere() } }[layout]
  }
  return [point(0), point(1), point(2)]
}

/** Where two lines cross; null if it could not be seen clearly whether they do. */
function crossings(first: Bent, second: Bent, clear: number): readonly Point[] | null {
  const found: Point[] = []
  for (const a of piecesOf(first)) {
    for (const b of piecesOf(second)) {
      if (cross(a, b)) {
        const point = crossing(a, b)
        if (sine(a, b) < leastSine || [...a, ...b].some((end) => distance(end, point) < clear)) return null
        if (found.some((other) => distance(other, point) < clear)) return null
        found.push(point)
      } else if (clearance(a, b) < clear) return null
    }
  }
  return found
}

/** A line must be seen to have a bend, but not to turn back on itself. */
function bends([a, b, c]: Bent): boolean {
  const [shorter, longer] = distance(a, b) < distance(b, c) ? [a, c] : [c, a]
  return distance(shorter, b) > 1500 && distanceToSegment(b, [a, c]) > 600 && distanceToSegment(shorter, [b, longer]) > 800
}

export const lineIntersections: BlindTask = defineTask({
  answers: everywhere([0, 1, mostCrossings]),
  written: String,
  draw: (random, canvas, count) => {
    const [a, b] = inks(random, 2) as [Ink, Ink]
    const width = lineWidth(random, canvas, 40, canvas.level === 'hard' ? 100 : 200)
    const clear = Math.max(apart[canvas.level], 2 * width + 2 * canvas.pixel)
    const layout = random.choose(['across', 'down', 'free'] as const)
    const { first, second, found } = untilMade(() => {
      const [first, second] = [bent(random, layout), bent(random, layout)]
      if (!bends(first) || !bends(second)) return null
      const found = crossings(first, second, clear)
      return found?.length === count ? { first, second, found } : null
    })
    const places = found.map(placeOf)
    return {
      shapes: [polyline(first, { line: a.colour, width }), polyline(second, { line: b.colour, width })],
      question: ask.meetings(random, a.name, b.name),
      description: tell.lines(random, a.name, b.name, places),
      reasoning: tell.meetings(places),
      truth: {
        lines: [
          { color: a.name, points: first.map(({ x, y }) => [x, y]) },
          { color: b.name, points: second.map(({ x, y }) => [x, y]) },
        ],
        crossings: found.map(({ x, y }) => [Math.round(x), Math.round(y)]),
      },
    }
  },
})
