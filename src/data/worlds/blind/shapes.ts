// Many circles or pentagons that overlap like the Olympic rings: how many are there?

import { circle, type Ink, inks, type Point, polygon, side } from '../draw.ts'
import type { Random } from '../random.ts'
import { type BlindTask, type Canvas, defineTask, lineWidth, range } from './task.ts'
import { ask, tell } from './words.ts'

/** How far the centres in a row are apart, in radii: neighbours in a row stay free, those of the other row overlap. */
const steps = { least: 2.1, most: 2.35 } as const
/** How far rows are apart, in radii. */
const rowSteps = { least: 0.7, most: 1.1 } as const
/** Centres in a single row are nearer, so that each overlaps the next. */
const chainSteps = { least: 1.35, most: 1.6 } as const
const margin = 500

interface Layout {
  /** Numbers of shapes, from the top. */
  readonly rows: readonly number[]
  /** Centres, in radii, row by row. */
  readonly centres: readonly Point[]
}

/** Two rows, the second half a step aside; few shapes may also form one row. */
function layout(random: Random, count: number): Layout {
  if (count <= 5 && random.chance(0.4)) {
    const step = random.between(chainSteps.least, chainSteps.most)
    return { rows: [count], centres: range(0, count - 1).map((i) => ({ x: i * step, y: 0 })) }
  }
  const [step, down] = [random.between(steps.least, steps.most), random.between(rowSteps.least, rowSteps.most)]
  const upper = random.chance(0.5) ? Math.ceil(count / 2) : Math.floor(count / 2)
  const lower = count - upper
  // The shorter row begins half a step after the longer one; of equal rows either may.
  const shift = upper > lower || (upper === lower && random.chance(0.5)) ? [0, 0.5] : [0.5, 0]
  const row = (length: number, which: 0 | 1): Point[] => range(0, length - 1).map((i) => ({ x: (i + (shift[which] ?? 0)) * step, y: which * down }))
  return { rows: [upper, lower], centres: [...row(upper, 0), ...row(lower, 1)] }
}

/** The corners of a pentagon, the first in this direction. */
function pentagon({ x, y }: Point, radius: number, angle: number): Point[] {
  return range(0, 4).map((i) => {
    const at = angle + (2 * Math.PI * i) / 5
    return { x: Math.round(x + radius * Math.cos(at)), y: Math.round(y + radius * Math.sin(at)) }
  })
}

/** Centres in the picture and the radius: as large as fits, or smaller, anywhere. */
function placed(random: Random, centres: readonly Point[], { pixel }: Canvas): { readonly places: readonly Point[]; readonly radius: number } {
  const width = Math.max(...centres.map(({ x }) => x)) - Math.min(...centres.map(({ x }) => x)) + 2
  const height = Math.max(...centres.map(({ y }) => y)) - Math.min(...centres.map(({ y }) => y)) + 2
  const largest = Math.min(2200, (side - 2 * margin) / Math.max(width, height))
  const radius = Math.floor(Math.max(largest * random.between(0.55, 1), Math.min(largest, 5 * pixel)))
  const left = random.between(margin, side - margin - width * radius)
  const top = random.between(margin, side - margin - height * radius)
  const least = Math.min(...centres.map(({ x }) => x))
  return {
    radius,
    places: centres.map(({ x, y }) => ({ x: Math.round(left + (x - least + 1) * radius), y: Math.round(top + (y + 1) * radius) })),
  }
}

/** One ink for all, or one for each; with more shapes than inks some come again. */
function colours(random: Random, count: number): readonly Ink[] {
  const few = inks(random, random.chance(0.4) ? 1 : Math.min(count, 6))
  return range(0, count - 1).map((i) => few[i % few.length] as Ink)
}

export const countingShapes: BlindTask = defineTask({
  answers: { easy: range(2, 5), medium: range(4, 7), hard: range(5, 9) },
  written: String,
  draw: (random, canvas, count) => {
    const what = random.choose(['circles', 'pentagons'] as const)
    const { rows, centres } = layout(random, count)
    const { places, radius } = placed(random, centres, canvas)
    const looks = colours(random, count)
    // Narrow enough for paper to be seen in what two shapes share.
    const width = Math.round(Math.max(Math.min(lineWidth(random, canvas, 30, 160), radius / 8), canvas.pixel))
    const angle = random.chance(0.6) ? -Math.PI / 2 : random.between(0, 2 * Math.PI)
    const shapes = places.map((place, i) => {
      const paint = { line: looks[i]?.colour ?? '', width }
      return what === 'circles' ? circle({ ...place, radius }, paint) : polygon(pentagon(place, radius, angle), paint)
    })
    const names = looks.map(({ name }) => name)
    const named = rows.map((length, i) => names.slice(i === 0 ? 0 : rows[0], i === 0 ? length : undefined))
    return {
      shapes,
      question: ask.shapes(random, what),
      description: tell.shapes(random, what, named),
      reasoning: tell.shapeCount(named),
      truth: { shape: what, rows, radius, centres: places.map(({ x, y }) => [x, y]), colors: names },
    }
  },
})
