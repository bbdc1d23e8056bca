// The geometry that answers rest on, and the random choices, against brute force, fractions and counting.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clearance, cross, crossing, relation, type Segment, sine } from '../../../src/data/worlds/blind/geometry.ts'
import { corners, type Port, Routes } from '../../../src/data/worlds/blind/routes.ts'
import type { Point } from '../../../src/data/worlds/draw.ts'
import { Random, turn } from '../../../src/data/worlds/random.ts'
import { ArgumentError } from '../../../src/errors.ts'
import { close } from '../../support.ts'

const point = (random: Random, most: number): Point => ({ x: random.integer(most), y: random.integer(most) })

test('segments cross exactly if the solution of both lines lies inside both, by fractions; few points make every special case come', () => {
  const random = new Random(1, 0)
  let crossed = 0
  for (let i = 0; i < 20_000; i++) {
    const [a, b, c, d] = Array.from({ length: 4 }, () => point(random, i % 2 === 0 ? 6 : 10_001)) as [Point, Point, Point, Point]
    const [rx, ry, sx, sy, qx, qy] = [b.x - a.x, b.y - a.y, d.x - c.x, d.y - c.y, c.x - a.x, c.y - a.y].map(BigInt) as [
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
    ]
    const below = rx * sy - ry * sx
    const [t, u] = [(qx * sy - qy * sx) * below, (qx * ry - qy * rx) * below]
    const inside = t > 0n && t < below * below && u > 0n && u < below * below
    assert.equal(cross([a, b], [c, d]), inside)
    if (!inside) continue
    crossed++
    const at = crossing([a, b], [c, d])
    const share = Number(t) / Number(below * below)
    close([at.x, at.y], [a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)], { absolute: 1e-6 })
  }
  assert.ok(crossed > 3000)
})

test('circles are tangent for Pythagorean triples only, and one unit decides', () => {
  const at = (x: number, y: number, radius: number) => ({ x, y, radius })
  for (const [x, y, length] of [
    [3000, 4000, 5000],
    [2000, 2100, 2900],
    [0, 1234, 1234],
  ] as const) {
    for (const radius of [1, 700, length - 1]) {
      assert.equal(relation(at(50, 60, radius), at(50 + x, 60 - y, length - radius)), 'tangent')
      assert.equal(relation(at(50, 60, radius), at(51 + x, 60 - y, length - radius)), 'apart')
      assert.equal(relation(at(50, 60, radius), at(50 + x, 61 - y, length - radius)), 'overlapping')
    }
  }
})

test('the clearance of segments is the least distance of their points', () => {
  const random = new Random(2, 0)
  for (let i = 0; i < 100; i++) {
    const [a, b] = [
      [point(random, 100), point(random, 100)],
      [point(random, 100), point(random, 100)],
    ] as [Segment, Segment]
    if (cross(a, b)) continue
    const along = ([from, to]: Segment) =>
      Array.from({ length: 201 }, (_, k) => ({ x: from.x + ((to.x - from.x) * k) / 200, y: from.y + ((to.y - from.y) * k) / 200 }))
    const brute = Math.min(...along(a).flatMap((p) => along(b).map((q) => Math.hypot(p.x - q.x, p.y - q.y))))
    const found = clearance(a, b)
    assert.ok(found <= brute + 1e-9 && brute - found < 1, `${found} and ${brute}`)
  }
  close(
    [
      sine(
        [
          { x: 0, y: 0 },
          { x: 2, y: 0 },
        ],
        [
          { x: 5, y: 5 },
          { x: 5 + Math.sqrt(3), y: 6 },
        ],
      ),
    ],
    [0.5],
  )
})

test('paths cross others straight on, share no step and stay off foreign ports', () => {
  for (let i = 0; i < 60; i++) {
    const random = new Random(3, i)
    const ports: Port[] = [
      { at: { x: 2, y: 0 }, inward: 1 },
      { at: { x: 6, y: 8 }, inward: 3 },
      { at: { x: 0, y: 4 }, inward: 0 },
      { at: { x: 8, y: 4 }, inward: 2 },
      { at: { x: 4, y: 0 }, inward: 1 },
    ]
    const routes = new Routes(9, ports)
    const paths = [routes.lay(random, ports[0] as Port, ports[1] as Port), routes.lay(random, ports[2] as Port, ports[3] as Port)]
    const [first, second] = paths as [Point[], Point[]]
    const key = ({ x, y }: Point): string => `${x},${y}`
    for (const [path, from, to] of [
      [first, 0, 1],
      [second, 2, 3],
    ] as const) {
      assert.deepEqual([path[0], path.at(-1)], [ports[from]?.at, ports[to]?.at])
      for (const [k, { x, y }] of path.entries()) {
        const next = path[k + 1]
        if (next !== undefined) assert.equal(Math.abs(next.x - x) + Math.abs(next.y - y), 1)
        assert.ok(Math.min(x, y) >= 0 && Math.max(x, y) <= 8)
      }
      assert.equal(new Set(path.map(key)).size, path.length)
      assert.ok(!path.some((each) => key(each) === '4,0'))
    }
    const shared = first.map(key).filter((each) => second.map(key).includes(each))
    assert.ok(shared.length % 2 === 1, 'from side to side they must cross an odd number of times')
    for (const each of shared)
      for (const path of paths)
        assert.ok(
          !corners(path as Point[])
            .map(key)
            .includes(each),
        )
  }
})

test('random choices are uniform, streams are independent, turns take every choice once', () => {
  const random = new Random(7, 3)
  const counts = [0, 0, 0, 0, 0, 0, 0]
  for (let i = 0; i < 70_000; i++) {
    const drawn = random.integer(7)
    counts[drawn] = (counts[drawn] as number) + 1
  }
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 5 * Math.sqrt(10_000), String(counts))
  const normals = Array.from({ length: 40_000 }, () => random.normal(2, 3))
  const mean = normals.reduce((sum, each) => sum + each, 0) / normals.length
  const variance = normals.reduce((sum, each) => sum + (each - mean) ** 2, 0) / normals.length
  assert.ok(Math.abs(mean - 2) < 0.075 && Math.abs(variance - 9) < 0.32, `${mean}, ${variance}`)
  assert.ok(Array.from({ length: 1000 }, () => random.within(-2, 1)).every((each) => [-2, -1, 0, 1].includes(each)))
  assert.deepEqual(random.shuffled([1, 2, 3, 4]).sort(), [1, 2, 3, 4])
  assert.equal(new Set(random.several([1, 2, 3, 4], 3)).size, 3)
  const first = (seed: number, index: number): number[] =>
    Array.from(
      { length: 4 },
      (
        (each) => () =>
          each.uniform()
      )(new Random(seed, index)),
    )
  assert.deepEqual(first(1, 2), first(1, 2))
  assert.notDeepEqual(first(1, 2), first(2, 1))
  // Correlation of neighbours' first numbers: 0 within five standard errors.
  const pairs = Array.from({ length: 4000 }, (_, i) => [first(1, i)[0] as number, first(1, i + 1)[0] as number] as const)
  const correlation = (12 * pairs.reduce((sum, [a, b]) => sum + (a - 0.5) * (b - 0.5), 0)) / pairs.length
  assert.ok(Math.abs(correlation) < 5 / Math.sqrt(4000), String(correlation))
  for (const block of [0, 1, 5]) assert.deepEqual(Array.from({ length: 6 }, (_, i) => turn(9, 2, 6 * block + i, 6)).sort(), [0, 1, 2, 3, 4, 5])
  assert.notDeepEqual(
    Array.from({ length: 30 }, (_, i) => turn(9, 2, i, 30)),
    Array.from({ length: 30 }, (_, i) => turn(9, 3, i, 30)),
  )
  assert.throws(() => random.choose([]), ArgumentError)
  assert.throws(() => random.several([1], 2), ArgumentError)
  assert.throws(() => random.integer(0), ArgumentError)
})
