// Two circles, near each other or with a part in common: do they touch, do they overlap?

import { type Circle, circle, type Ink, inks, type Paint, type Point, side } from '../draw.ts'
import type { Random } from '../random.ts'
import { type Relation, relation } from './geometry.ts'
import { type BlindTask, type Canvas, type Drawn, defineTask, everywhere, type Level, lineWidth, untilMade } from './task.ts'
import { ask, tell } from './words.ts'

/** The gap, or the depth of what is shared, as a part of the smaller diameter. */
const gaps: { readonly [level in Level]: readonly [low: number, high: number] } = { easy: [0.25, 0.5], medium: [0.1, 0.25], hard: [0.02, 0.1] }
/** Gaps and overlaps of fewer pixels than this are not to be seen. */
const fewestPixels = 1.5
/** Circles that only just meet are for the hard level: so many of those that have no gap, or share no part. */
const tangents = 0.25
/** How much of a picture is free at its edges. */
const margin = 300

/** Directions in which circles with integer coordinates can be tangent, as sides of right triangles. */
const triangles = [
  [1, 0, 1],
  [3, 4, 5],
  [5, 12, 13],
  [8, 15, 17],
  [20, 21, 29],
] as const

/** A vector whose length is exactly the returned one, at most `about`. */
function exactVector(random: Random, about: number): { readonly vector: Point; readonly length: number } {
  const [a, b, c] = random.choose(triangles)
  const times = Math.floor(about / c)
  const [x, y] = random.shuffled([a * times, b * times]) as [number, number]
  return { vector: { x: random.chance(0.5) ? x : -x, y: random.chance(0.5) ? y : -y }, length: c * times }
}

/** Two circles in this relation, by a gap that the level allows; none inside the other. */
function place(random: Random, { level, pixel }: Canvas, wanted: Relation): readonly [Circle, Circle] {
  return untilMade(() => {
    const first = random.within(900, 2000)
    const second = random.chance(0.5) ? first : random.within(900, 2000)
    const smaller = 2 * Math.min(first, second)
    const [low, high] = gaps[level]
    const gap = Math.max(random.between(low, high) * smaller, fewestPixels * pixel)
    let [a, b] = [first, second]
    let vector: Point
    if (wanted === 'tangent') {
      const exact = exactVector(random, first + second)
      vector = exact.vector
      a = Math.round((first * exact.length) / (first + second))
      b = exact.length - a
    } else {
      const angle = random.between(0, 2 * Math.PI)
      const length = first + second + (wanted === 'apart' ? gap : -gap)
      vector = { x: Math.round(length * Math.cos(angle)), y: Math.round(length * Math.sin(angle)) }
    }
    const free = (moved: number): number | null => {
      const [least, most] = [Math.min(-a, moved - b) - margin, Math.max(a, moved + b) + margin]
      return most - least > side ? null : random.within(-least, side - most)
    }
    const [x, y] = [free(vector.x), free(vector.y)]
    if (x === null || y === null) return null
    const circles = [
      { x, y, radius: a },
      { x: x + vector.x, y: y + vector.y, radius: b },
    ] as const
    return relation(...circles) === wanted ? circles : null
  })
}

/** Where each of two points is, seen from the other. */
function sides(a: Point, b: Point): readonly [string, string] {
  if (Math.abs(a.x - b.x) >= Math.abs(a.y - b.y)) return a.x < b.x ? ['left', 'right'] : ['right', 'left']
  return a.y < b.y ? ['top', 'bottom'] : ['bottom', 'top']
}

type Looks = (ink: Ink, width: number) => Paint

const looks: readonly Looks[] = [
  ({ colour }) => ({ fill: colour }),
  ({ colour }) => ({ fill: colour, opacity: 0.75 }),
  ({ colour }, width) => ({ line: colour, width }),
]

/** The picture and its texts, but for the question. */
function drawn(random: Random, canvas: Canvas, how: Relation): Omit<Drawn, 'question' | 'reasoning'> {
  const [a, b] = place(random, canvas, how)
  const [first, second] = inks(random, 2) as [Ink, Ink]
  const [look, width] = [random.choose(looks), lineWidth(random, canvas, 60, 250)]
  const [there, opposite] = sides(a, b)
  return {
    shapes: [circle(a, look(first, width)), circle(b, look(second, width))],
    description: tell.circles(random, { name: first.name, place: there }, { name: second.name, place: opposite }, how),
    truth: { circles: [a, b].map(({ x, y, radius }, i) => ({ x, y, radius, color: [first.name, second.name][i] ?? '' })), relation: how },
  }
}

/** Of those that are not `plain`, some are tangent where the level is hard. */
const orTangent = (random: Random, level: Level, plain: Relation): Relation => (level === 'hard' && random.chance(tangents) ? 'tangent' : plain)

const written = (answer: boolean): string => (answer ? 'Yes' : 'No')

export const touchingCircles: BlindTask = defineTask({
  answers: everywhere([true, false]),
  written,
  draw: (random, canvas, touch) => {
    const how = touch ? orTangent(random, canvas.level, 'overlapping') : 'apart'
    return { ...drawn(random, canvas, how), question: ask.touching(random), reasoning: tell.touching[how] }
  },
})

export const overlappingCircles: BlindTask = defineTask({
  answers: everywhere([true, false]),
  written,
  draw: (random, canvas, overlap) => {
    const how = overlap ? 'overlapping' : orTangent(random, canvas.level, 'apart')
    return { ...drawn(random, canvas, how), question: ask.overlapping(random), reasoning: tell.overlapping[how] }
  },
})
