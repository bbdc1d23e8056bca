// BlindWorld's answers against oracles that read the pictures' SVG anew: rational arithmetic, tracing of lines, counting of shapes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finalAnswer } from '../../../src/data/answers.ts'
import { blindWorld } from '../../../src/data/worlds/blind/blind.ts'
import { lettering } from '../../../src/data/worlds/blind/glyphs.ts'
import { vocabulary } from '../../../src/data/worlds/blind/words.ts'
import { samplesOf, type WorldSample } from '../../../src/data/worlds/world.ts'
import { ArgumentError } from '../../../src/errors.ts'

const samples = (task: string, count: number, seed = 11): WorldSample[] => [...samplesOf(blindWorld, { seed, count, tasks: [task] })]

type Attributes = { readonly [name: string]: string }

/** All elements of a kind with their attributes, in the order in which they are drawn. */
function elements({ svg }: WorldSample, kind: string): Attributes[] {
  const found = (svg ?? '').matchAll(new RegExp(`<${kind} ([^>]*)/>`, 'g'))
  return [...found].map(([, inside = '']) => Object.fromEntries([...inside.matchAll(/([a-z-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])))
}

const numbers = (element: Attributes, ...names: string[]): number[] => names.map((name) => Number(element[name]))
type Corner = readonly [number, number]
const corners = (element: Attributes): Corner[] =>
  (element['points'] ?? '').split(' ').map((pair) => pair.split(',').map(Number) as unknown as Corner)

/** How two circles of a picture lie to each other, from their drawn edges: −1 overlapping, 0 tangent, 1 apart; and by how many pixels. */
function circlesIn(sample: WorldSample): { readonly order: number; readonly pixels: number } {
  const [a, b] = elements(sample, 'circle').map((element) => {
    const [x, y, r] = numbers(element, 'cx', 'cy', 'r') as [number, number, number]
    const outer = r + (element['stroke'] === undefined ? 0 : Number(element['stroke-width']) / 2)
    return { x, y, outer }
  }) as [{ x: number; y: number; outer: number }, { x: number; y: number; outer: number }]
  const square = (n: number): bigint => BigInt(n) * BigInt(n)
  const difference = square(a.x - b.x) + square(a.y - b.y) - square(a.outer + b.outer)
  assert.ok(Math.hypot(a.x - b.x, a.y - b.y) > Math.abs(a.outer - b.outer), 'one circle is inside the other')
  for (const { x, y, outer } of [a, b]) assert.ok([x - outer, y - outer, 10_000 - x - outer, 10_000 - y - outer].every((free) => free > 0))
  const gap = Math.hypot(a.x - b.x, a.y - b.y) - a.outer - b.outer
  return { order: difference > 0n ? 1 : difference < 0n ? -1 : 0, pixels: (Math.abs(gap) / 10_000) * sample.pixels }
}

test('circles touch unless there is a gap, and overlap only if they share more than a point', () => {
  const seen = new Set<string>()
  for (const [task, touching] of [
    ['touching_circles', true],
    ['overlapping_circles', false],
  ] as const) {
    for (const sample of samples(task, 300)) {
      const { order, pixels } = circlesIn(sample)
      assert.equal(sample.answer, (touching ? order <= 0 : order < 0) ? 'Yes' : 'No', sample.id)
      assert.equal(sample.truth['relation'], ['overlapping', 'tangent', 'apart'][order + 1])
      if (order === 0) assert.equal(sample.split, 'hard')
      else assert.ok(pixels > 1.4, `${sample.id}: ${pixels} pixels`)
      seen.add(`${task} ${order} ${sample.split}`)
    }
  }
  assert.equal(seen.size, 2 * 2 * 3 + 2)
})

/** Whether two segments have a point in common, ends included, by fractions; and whether it is inside both. */
function meet([a, b]: readonly [Corner, Corner], [c, d]: readonly [Corner, Corner]): 'no' | 'inside' | 'end' {
  const big = ([x, y]: Corner, [u, v]: Corner): readonly [bigint, bigint] => [BigInt(x - u), BigInt(y - v)]
  const [r, s, q] = [big(b, a), big(d, c), big(c, a)]
  const below = r[0] * s[1] - r[1] * s[0]
  assert.notEqual(below, 0n, 'parallel segments are not told apart here')
  const sign = below > 0n ? 1n : -1n
  // a + t·r = c + u·s
  const [t, u] = [(q[0] * s[1] - q[1] * s[0]) * sign, (q[0] * r[1] - q[1] * r[0]) * sign]
  const most = below * sign
  if (t < 0n || t > most || u < 0n || u > most) return 'no'
  return t > 0n && t < most && u > 0n && u < most ? 'inside' : 'end'
}

test('lines cross as often as rational arithmetic says, never at an end', () => {
  for (const sample of samples('line_intersections', 600)) {
    const [first, second] = elements(sample, 'polyline').map(corners) as [Corner[], Corner[]]
    const pieces = ([a, b, c]: Corner[]) => [[a, b] as [Corner, Corner], [b, c] as [Corner, Corner]]
    const met = pieces(first).flatMap((p) => pieces(second).map((q) => meet(p, q)))
    assert.ok(!met.includes('end'))
    assert.equal(sample.answer, String(met.filter((how) => how === 'inside').length), sample.id)
    assert.equal((sample.truth['crossings'] as unknown[]).length, Number(sample.answer))
  }
})

test('as many shapes are drawn as the answer says, each overlapping another', () => {
  for (const sample of samples('counting_shapes', 300)) {
    const [circles, pentagons] = [elements(sample, 'circle'), elements(sample, 'polygon')]
    const [drawn, other, what] = sample.truth['shape'] === 'circles' ? [circles, pentagons, 'circles'] : [pentagons, circles, 'pentagons']
    assert.equal(other.length, 0)
    assert.equal(sample.answer, String(drawn.length))
    assert.match(sample.problem, new RegExp(what))
    for (const pentagon of pentagons) assert.equal(corners(pentagon).length, 5)
    const radius = sample.truth['radius'] as number
    const centres = sample.truth['centres'] as Corner[]
    for (const [i, [x, y]] of centres.entries()) {
      assert.ok(Math.min(x, y, 10_000 - x, 10_000 - y) > radius, sample.id)
      const distances = centres.filter((_, j) => j !== i).map(([u, v]) => Math.hypot(x - u, y - v))
      assert.ok(Math.min(...distances) > radius && Math.min(...distances) < 2 * radius, sample.id)
    }
    if (what === 'circles') {
      assert.deepEqual(
        circles.map((each) => numbers(each, 'cx', 'cy')),
        centres,
      )
    }
  }
})

test('squares lie strictly inside each other with room for their lines', () => {
  for (const pixels of [48, 56, null]) {
    for (const sample of samplesOf(blindWorld, { seed: 3, count: 120, tasks: ['nested_squares'], pixels })) {
      const squares = elements(sample, 'polygon').map((element) => ({ at: corners(element), width: Number(element['stroke-width']) }))
      assert.equal(sample.answer, String(squares.length))
      for (const [i, { at, width }] of squares.entries()) {
        const [[left, top], , [right, bottom]] = at as [Corner, Corner, Corner, Corner]
        assert.equal(right - left, bottom - top)
        assert.ok(right - left >= 3 * width)
        const [[x0, y0], , [x1, y1]] = (squares[i - 1]?.at ?? [
          [0, 0],
          [0, 0],
          [10_000, 10_000],
        ]) as [Corner, Corner, Corner]
        const room = i === 0 ? width / 2 : width + (2 * 10_000) / sample.pixels - 1
        assert.ok(Math.min(left - x0, top - y0, x1 - right, y1 - bottom) >= room, sample.id)
      }
    }
  }
})

test('grids have the lines that their rows and columns need, at equal distances', () => {
  for (const sample of samples('rows_columns', 300)) {
    const lines = elements(sample, 'polyline').map(corners) as [Corner, Corner][]
    const [[left, top], , [right, bottom]] = corners(elements(sample, 'polygon')[0] ?? {}) as [Corner, Corner, Corner]
    const [flat, upright] = [lines.filter(([a, b]) => a[1] === b[1]), lines.filter(([a, b]) => a[0] === b[0])]
    const [rows, columns] = [flat.length + 1, upright.length + 1]
    assert.equal(sample.answer, `(${rows},${columns})`)
    assert.deepEqual(
      flat,
      Array.from({ length: rows - 1 }, (_, i) => [left, right].map((x) => [x, top + ((i + 1) * (bottom - top)) / rows])),
    )
    assert.deepEqual(
      upright,
      Array.from({ length: columns - 1 }, (_, i) => [top, bottom].map((y) => [left + ((i + 1) * (right - left)) / columns, y])),
    )
  }
})

test('the letter nearest to the middle of the oval is the answer', () => {
  const letters = [...'abcdefghijklmnopqrstuvwxyz']
  const shape = (letter: string): string => /d="([^"]*)"/.exec(lettering(letter).lines({ x: 0, y: 0 }, 1, {}))?.[1] ?? ''
  const byShape = new Map(letters.map((letter) => [shape(letter), letter]))
  assert.equal(byShape.size, 26)
  const seen = new Set<string>()
  for (const sample of samples('circled_letter', 26 * 6)) {
    const drawn = elements(sample, 'path').map((path) => {
      const [, x, , scale] = /translate\((\S+) (\S+)\) scale\((\S+)\)/.exec(path['transform'] ?? '') as unknown as [string, string, string, string]
      const letter = byShape.get(path['d'] ?? '') ?? ''
      return { letter, middle: Number(x) + (lettering(letter).wide / 2) * Number(scale) }
    })
    const [cx, cy, rx, ry] = numbers(elements(sample, 'ellipse')[0] ?? {}, 'cx', 'cy', 'rx', 'ry') as [number, number, number, number]
    assert.equal(drawn.map(({ letter }) => letter).join(''), sample.truth['word'])
    const inside = drawn.filter(({ middle }) => Math.abs(middle - cx) < rx)
    assert.deepEqual(
      inside.map(({ letter }) => letter),
      [sample.answer],
    )
    assert.ok(Math.min(cx - rx, cy - ry, 10_000 - cx - rx, 10_000 - cy - ry) > 0, sample.id)
    seen.add(sample.answer)
  }
  assert.equal(seen.size, 26)
})

test('paths traced by their colours join the stations of the answer; none lies on another', () => {
  for (const sample of samples('subway_paths', 120)) {
    const places = Object.entries(sample.truth['stations'] as Record<string, Corner[]>).flatMap(([name, ports]) =>
      ports.map((at) => [String(at), name]),
    )
    const stationAt = new Map(places as [string, string][])
    const paths = elements(sample, 'polyline').map((element) => ({ colour: element['stroke'], points: corners(element) }))
    assert.equal(new Set(paths.map(({ colour }) => colour)).size, paths.length)
    const [from, to] = sample.truth['asked'] as [string, string]
    assert.match(sample.problem, new RegExp(`\\b${from}\\b.*\\b${to}\\b`))
    const joined = paths.map(({ points }) =>
      [points[0], points.at(-1)]
        .map((end) => stationAt.get(String(end)))
        .sort()
        .join(''),
    )
    assert.equal(sample.answer, String(joined.filter((ends) => ends === [from, to].sort().join('')).length), sample.id)
    assert.ok(joined.every((ends) => /^[A-D]{2}$/.test(ends) && ends[0] !== ends[1]))
    const legs = paths.flatMap(({ points }, path) => points.slice(1).map((b, i) => ({ path, a: points[i] as Corner, b })))
    for (const { a, b } of legs) assert.ok((a[0] === b[0]) !== (a[1] === b[1]), 'a leg is upright or flat')
    for (const [i, p] of legs.entries()) {
      for (const q of legs.slice(i + 1)) {
        const parallel = (p.a[0] === p.b[0]) === (q.a[0] === q.b[0])
        const [along, across] = p.a[0] === p.b[0] ? ([1, 0] as const) : ([0, 1] as const)
        const [low, high] = [
          Math.max(Math.min(p.a[along], p.b[along]), Math.min(q.a[along], q.b[along])),
          Math.min(Math.max(p.a[along], p.b[along]), Math.max(q.a[along], q.b[along])),
        ]
        if (parallel) assert.ok(p.a[across] !== q.a[across] || low > high || (p.path === q.path && low === high), `${sample.id}: legs on each other`)
        // Paths cross inside legs: at a corner nobody could tell which goes on.
        else if (p.path !== q.path) assert.notEqual(meet([p.a, p.b], [q.a, q.b]), 'end', `${sample.id}: paths meet at a corner`)
      }
    }
  }
})

test('solutions hold the answer; their words and those of problems are the vocabulary, all of it', () => {
  const used = new Set<string>()
  for (const sample of samplesOf(blindWorld, { seed: 5, count: 1800 })) {
    const parts = /^<description> (.+) <\/description> <think> (.+) <\/think> \\boxed\{(.+)\}$/.exec(sample.solution)
    assert.ok(parts, sample.solution)
    assert.equal(finalAnswer(sample.solution), sample.answer)
    const [, description = '', reasoning = '', answer = ''] = parts
    for (const token of `${sample.problem}\n${description} ${reasoning} ${answer}`.match(/[A-Za-z]+|\d|[^\sA-Za-z\d]/g) ?? []) used.add(token)
  }
  const allowed = new Set(vocabulary)
  assert.deepEqual(
    [...used].filter((token) => !allowed.has(token)),
    [],
    'words that are not in the vocabulary',
  )
  assert.deepEqual(
    vocabulary.filter((token) => !used.has(token)),
    [],
    'words of the vocabulary that never come',
  )
})

test('descriptions of subway maps and letters are true: the answer follows from them alone', () => {
  for (const sample of samples('subway_paths', 120)) {
    const [from, to] = sample.truth['asked'] as [string, string]
    const described = [...sample.solution.matchAll(/path goes from ([A-D]) to ([A-D])/g)].map(([, a, b]) => [a, b].sort().join(''))
    assert.equal(sample.answer, String(described.filter((ends) => ends === [from, to].sort().join('')).length))
  }
  for (const sample of samples('circled_letter', 120)) {
    const letters = /the letters ([a-z ]+)\./.exec(sample.solution)?.[1]?.split(' ') ?? []
    const [, at, letter] = /letter (\d+), ([a-z])[,.]/.exec(sample.solution) ?? []
    assert.equal(letters[Number(at) - 1], sample.answer)
    assert.equal(letter, sample.answer)
  }
})

test('answers, tasks and levels are balanced exactly', () => {
  const tally = (list: readonly string[]): number[] => {
    const counts = new Map<string, number>()
    for (const each of list) counts.set(each, (counts.get(each) ?? 0) + 1)
    return [...counts.values()]
  }
  const mixed = [...samplesOf(blindWorld, { seed: 2, count: 24 * 4 })]
  assert.deepEqual(
    tally(mixed.map(({ task, split }) => `${task} ${split}`)),
    Array.from({ length: 24 }, () => 4),
  )
  for (const [task, split, answers] of [
    ['touching_circles', 'hard', 2],
    ['line_intersections', 'easy', 3],
    ['counting_shapes', 'hard', 5],
    ['nested_squares', 'medium', 4],
    ['rows_columns', 'easy', 9],
    ['circled_letter', 'medium', 26],
    ['subway_paths', 'hard', 4],
  ] as const) {
    const some = [...samplesOf(blindWorld, { seed: 9, count: answers * 3, tasks: [task], splits: [split] })]
    assert.deepEqual(
      tally(some.map(({ answer }) => answer)),
      Array.from({ length: answers }, () => 3),
      task,
    )
  }
})

test('a sample is a function of seed and index; ids are unique; what there is not is refused', () => {
  const all = [...samplesOf(blindWorld, { seed: 4, count: 60 })]
  assert.deepEqual(blindWorld.sample(4, 41, {}), all[41])
  assert.equal(new Set(all.map(({ id }) => id)).size, 60)
  assert.equal(new Set(all.map(({ svg }) => svg)).size, 60)
  assert.notDeepEqual(blindWorld.sample(5, 41, {}).svg, all[41]?.svg)
  assert.equal(blindWorld.sample(4, 0, { pixels: 64 }).pixels, 64)
  for (const options of [{ tasks: ['colours'] }, { tasks: [] }, { splits: ['extreme'] }, { pixels: 8 }, { pixels: 64.5 }])
    assert.throws(() => blindWorld.sample(0, 0, options), ArgumentError)
  for (const [seed, index] of [
    [-1, 0],
    [0, 2 ** 32],
    [0.5, 0],
  ] as const)
    assert.throws(() => blindWorld.sample(seed, index, {}), ArgumentError)
})
