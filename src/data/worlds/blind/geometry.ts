// What is true of circles and lines, decided exactly: coordinates are integers up to 10,000, so every product below is an exact number.

import type { Circle, Point } from '../draw.ts'

export type Relation = 'apart' | 'tangent' | 'overlapping'
export type Segment = readonly [Point, Point]

/** How two discs, none inside the other, lie to each other; tangent ones share exactly one point. */
export function relation(a: Circle, b: Circle): Relation {
  const squared = (a.x - b.x) ** 2 + (a.y - b.y) ** 2
  const reach = (a.radius + b.radius) ** 2
  return squared > reach ? 'apart' : squared === reach ? 'tangent' : 'overlapping'
}

/** The sign of the turn from a to b to c: 0 if they are on one line. */
function turnOf(a: Point, b: Point, c: Point): number {
  return Math.sign((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x))
}

/** Whether two segments cross, each inside the other: at one point that is no end of either. */
export function cross([a, b]: Segment, [c, d]: Segment): boolean {
  return turnOf(a, b, c) * turnOf(a, b, d) < 0 && turnOf(c, d, a) * turnOf(c, d, b) < 0
}

/** The point at which two segments that cross do so. */
export function crossing([a, b]: Segment, [c, d]: Segment): Point {
  const [r, s] = [difference(b, a), difference(d, c)]
  const t = product(difference(c, a), s) / product(r, s)
  return { x: a.x + t * r.x, y: a.y + t * r.y }
}

/** The sine of the angle between two segments. */
export function sine([a, b]: Segment, [c, d]: Segment): number {
  return Math.abs(product(difference(b, a), difference(d, c))) / (distance(a, b) * distance(c, d))
}

const difference = (a: Point, b: Point): Point => ({ x: a.x - b.x, y: a.y - b.y })
const product = (a: Point, b: Point): number => a.x * b.y - a.y * b.x

export const distance = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y)

/** From a point to the nearest point of a segment. */
export function distanceToSegment(point: Point, [a, b]: Segment): number {
  const along = difference(b, a)
  const length = along.x ** 2 + along.y ** 2
  const t = length === 0 ? 0 : ((point.x - a.x) * along.x + (point.y - a.y) * along.y) / length
  const at = Math.min(1, Math.max(0, t))
  return distance(point, { x: a.x + at * along.x, y: a.y + at * along.y })
}

/** Between two segments that do not cross: at an end of one of them. */
export function clearance(a: Segment, b: Segment): number {
  return Math.min(...a.map((end) => distanceToSegment(end, b)), ...b.map((end) => distanceToSegment(end, a)))
}
