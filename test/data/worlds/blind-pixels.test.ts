// BlindWorld's answers against the rendered pixels: the topology of a picture (pieces of ink, regions of paper) says what was drawn.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp from 'sharp'
import { blindWorld } from '../../../src/data/worlds/blind/blind.ts'
import { samplesOf, type WorldSample } from '../../../src/data/worlds/world.ts'
import { renderPng } from '../../../src/data/worlds/write.ts'

interface Areas {
  readonly side: number
  /** For each pixel which area of its kind it belongs to. */
  readonly of: Int32Array
  /** Pixels of each area. */
  readonly sizes: readonly number[]
  readonly ink: readonly boolean[]
}

/**
 * Areas of pixels that are joined by their edges and are all ink, or all paper (the colour of the corner).
 * @param least what counts as ink, as a part of the strongest difference from the paper: little, where pale lines must not break; more, where
 *   what is between shapes must stay free
 */
async function areasOf(sample: WorldSample, least = 0.12): Promise<Areas> {
  const { data, info } = await sharp(await renderPng(sample.svg ?? ''))
    .raw()
    .toBuffer({ resolveWithObject: true })
  assert.deepEqual([info.width, info.height, info.channels], [sample.pixels, sample.pixels, 3])
  const side = info.width
  const differences = Float64Array.from({ length: side * side }, (_, i) =>
    [0, 1, 2].reduce((sum, c) => sum + Math.abs((data[3 * i + c] as number) - (data[c] as number)), 0),
  )
  const bound = differences.reduce((most, each) => Math.max(most, each)) * least
  const isInk = Uint8Array.from(differences, (difference) => (difference > bound ? 1 : 0))
  const of = new Int32Array(side * side).fill(-1)
  const [sizes, ink]: [number[], boolean[]] = [[], []]
  for (let start = 0; start < of.length; start++) {
    if (of[start] !== -1) continue
    const area = sizes.push(0) - 1
    ink.push(isInk[start] === 1)
    const stack = [start]
    of[start] = area
    while (stack.length > 0) {
      const at = stack.pop() as number
      sizes[area] = (sizes[area] as number) + 1
      // Nothing is drawn at the edges, so rows may run into each other.
      for (const next of [at - 1, at + 1, at - side, at + side]) {
        if (of[next] !== -1 || isInk[next] !== isInk[start]) continue
        of[next] = area
        stack.push(next)
      }
    }
  }
  return { side, of, sizes, ink }
}

const count = ({ sizes, ink }: Areas, kind: 'ink' | 'paper', least = 2): number =>
  sizes.filter((size, i) => ink[i] === (kind === 'ink') && size >= least).length

const drawn = (task: string, number: number, pixels: number): WorldSample[] => [
  ...samplesOf(blindWorld, { seed: 21, count: number, tasks: [task], pixels }),
]

test('circles that touch are one piece of ink, others are two', async () => {
  for (const sample of drawn('touching_circles', 40, 336)) {
    if (sample.truth['relation'] !== 'tangent') assert.equal(count(await areasOf(sample, 0.25), 'ink'), sample.answer === 'Yes' ? 1 : 2, sample.id)
  }
})

test('two lines without a crossing are two pieces of ink; two crossings enclose a region of paper', async () => {
  for (const sample of drawn('line_intersections', 45, 280)) {
    const areas = await areasOf(sample)
    const pieces = count(areas, 'ink')
    assert.equal(pieces === 2 ? '0' : String(count(areas, 'paper')), sample.answer, sample.id)
  }
})

test('n squares inside each other divide the paper into n + 1 regions, even in small pictures', async () => {
  for (const pixels of [56, 224]) {
    for (const sample of drawn('nested_squares', 40, pixels)) {
      const areas = await areasOf(sample)
      assert.deepEqual([count(areas, 'ink'), count(areas, 'paper')], [Number(sample.answer), Number(sample.answer) + 1], sample.id)
    }
  }
})

test('n rings in a chain divide the paper into 2n regions: n, n − 1 shared ones, and what is around', async () => {
  for (const sample of drawn('counting_shapes', 30, 448)) {
    if (sample.truth['shape'] === 'circles') assert.equal(count(await areasOf(sample), 'paper'), 2 * Number(sample.answer), sample.id)
  }
})

test('walking over an empty grid meets as many cells as it has rows and columns', async () => {
  let walked = 0
  for (const sample of drawn('rows_columns', 45, 280)) {
    if (sample.truth['words'] !== false) continue
    const areas = await areasOf(sample)
    const { side, of } = areas
    // From the middle of the last cell straight up and straight to the left.
    const cell = of.lastIndexOf(lastCell(areas))
    const [x, y] = [(cell % side) - 3, Math.floor(cell / side) - 3]
    const cells = (pixels: number[]): number => new Set(pixels.filter((at) => areas.ink[of[at] as number] === false).map((at) => of[at])).size - 1
    const rows = cells(Array.from({ length: side }, (_, i) => i * side + x))
    const columns = cells(Array.from({ length: side }, (_, i) => y * side + i))
    assert.equal(`(${rows},${columns})`, sample.answer, sample.id)
    assert.equal(count(areas, 'paper'), rows * columns + 1)
    walked++
  }
  assert.ok(walked > 10)
})

/** The region of paper that begins last, row by row: the lowest cell on the right. */
function lastCell({ of, ink }: Areas): number {
  const outside = of[0] as number
  const last = of.findLastIndex((area) => area !== outside && ink[area] === false)
  return of[last] as number
}
