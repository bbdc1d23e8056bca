// A subway map with four stations and paths of one colour each: how many go from one station to another?

import { type Ink, inks, type Point, polyline, rectangle, side } from '../draw.ts'
import type { Random } from '../random.ts'
import { lettering } from './glyphs.ts'
import { corners, type Direction, directions, type Port, Routes } from './routes.ts'
import { type BlindTask, defineTask, type Level, lineWidth, range, untilMade } from './task.ts'
import { ask, stations, tell } from './words.ts'

type Station = (typeof stations)[number]
type Pair = readonly [Station, Station]

/** Nodes along a side of the grid, an odd number; and how many paths there are in all. */
const sizes: { readonly [level in Level]: number } = { easy: 9, medium: 11, hard: 13 }
const totals: { readonly [level in Level]: readonly [least: number, most: number] } = { easy: [2, 3], medium: [3, 4], hard: [5, 6] }
/** A station has so many ports, two steps of the grid from each other. */
const portCount = 3
/** From the edge of the picture to the grid; there the stations are, bars of this thickness, this far from the grid. */
const border = 1600
const bar = { thickness: 1150, gap: 350 } as const

const pairs: readonly Pair[] = stations.flatMap((a, i) => stations.slice(i + 1).map((b): Pair => [a, b]))
const joins = (pair: Pair, a: Station, b: Station): boolean => pair.includes(a) && pair.includes(b)

/** Which stations the paths join: `count` of them these two, the rest others, at no station more than it has ports. */
function connections(random: Random, level: Level, [a, b]: Pair, count: number): readonly Pair[] {
  const others = pairs.filter((pair) => !joins(pair, a, b))
  return untilMade(() => {
    const total = Math.max(count, random.within(...totals[level]))
    const chosen = range(1, total).map((i): Pair => (i <= count ? [a, b] : random.choose(others)))
    return stations.every((each) => chosen.filter((pair) => pair.includes(each)).length <= portCount) ? random.shuffled(chosen) : null
  })
}

interface Stop {
  readonly station: Station
  readonly ports: readonly Port[]
}

/** A station in the middle of a side of the grid, by the direction in which that lies. */
function stopAt(station: Station, size: number, direction: Direction): Stop {
  const inward = ((direction + 2) % 4) as Direction
  const far = direction < 2 ? size - 1 : 0
  const places = range(1, portCount).map((number) => (size - 1) / 2 + 2 * (number - (portCount + 1) / 2))
  return { station, ports: places.map((along) => ({ at: direction % 2 === 0 ? { x: far, y: along } : { x: along, y: far }, inward })) }
}

interface Path {
  readonly from: Station
  readonly to: Station
  readonly start: Port
  readonly end: Port
  readonly nodes: readonly Point[]
}

/** Paths one after the other, each from a port of its own to another; null if there is no room for one. */
function laidPaths(random: Random, size: number, stops: readonly Stop[], wanted: readonly Pair[]): readonly Path[] | null {
  const free = new Map(stops.map(({ station, ports }) => [station, random.shuffled(ports)]))
  const routes = new Routes(
    size,
    stops.flatMap(({ ports }) => ports),
  )
  const paths: Path[] = []
  for (const [from, to] of wanted) {
    const [start, end] = [free.get(from)?.pop(), free.get(to)?.pop()]
    if (start === undefined || end === undefined) return null
    const nodes = routes.lay(random, start, end)
    if (nodes === null) return null
    paths.push({ from, to, start, end, nodes })
  }
  return paths
}

/** A point so far out of the grid from a port. */
function outwards({ x, y }: Point, inward: Direction, by: number): Point {
  return { x: x - directions[inward].x * by, y: y - directions[inward].y * by }
}

/** The bar of a station in front of its ports, with its letter. */
function signOf(station: Station, { x, y }: Point, inward: Direction, length: number): string[] {
  const middle = outwards({ x, y }, inward, bar.gap + bar.thickness / 2)
  const [width, height] = inward % 2 === 0 ? [bar.thickness, length] : [length, bar.thickness]
  const corner = { x: middle.x - width / 2, y: middle.y - height / 2 }
  const letter = lettering(station)
  const scale = 125
  return [
    rectangle(corner, { x: corner.x + width, y: corner.y + height }, { fill: '#ffffff', line: '#222222', width: 40 }),
    letter.lines({ x: middle.x - (letter.wide * scale) / 2, y: middle.y - 3.5 * scale }, scale, { line: '#222222', width: 1.2 }),
  ]
}

export const subwayPaths: BlindTask = defineTask({
  answers: { easy: range(0, 2), medium: range(0, 3), hard: range(0, 3) },
  written: String,
  draw: (random, canvas, count) => {
    const size = sizes[canvas.level]
    const [from, to] = random.shuffled(random.choose(pairs)) as [Station, Station]
    const around = random.shuffled(range(0, 3)) as Direction[]
    const stops = stations.map((station, i) => stopAt(station, size, around[i] as Direction))
    const laid = untilMade(() => laidPaths(random, size, stops, connections(random, canvas.level, [from, to], count)))

    const step = Math.floor((side - 2 * border) / (size - 1))
    const origin = Math.round((side - step * (size - 1)) / 2)
    const place = ({ x, y }: Point): Point => ({ x: origin + x * step, y: origin + y * step })
    const underBar = ({ at, inward }: Port): Point => outwards(place(at), inward, bar.gap + bar.thickness / 2)
    const width = Math.min(lineWidth(random, canvas, 60, 180), Math.round(step / 2.5))
    const looks = inks(random, laid.length)
    const paths = laid.map(({ from, to, start, end, nodes }, i) => {
      const { name, colour } = looks[i] as Ink
      return { from, to, name, colour, points: [underBar(start), ...corners(nodes).map(place), underBar(end)] }
    })
    const signs = stops.flatMap(({ station, ports }) => {
      const { at, inward } = ports[(portCount - 1) / 2] as Port
      return signOf(station, place(at), inward, 2 * portCount * step - step)
    })
    const asked = paths.filter((path) => joins([path.from, path.to], from, to)).map(({ name }) => name)
    return {
      shapes: [...paths.map(({ points, colour }) => polyline(points, { line: colour, width })), ...signs],
      question: ask.paths(random, from, to),
      description: tell.paths(random, paths),
      reasoning: tell.pathCount(from, to, asked),
      truth: {
        asked: [from, to],
        paths: paths.map(({ from, to, name, points }) => ({ from, to, color: name, points: points.map(({ x, y }) => [x, y]) })),
        stations: Object.fromEntries(stops.map(({ station, ports }) => [station, ports.map(underBar).map(({ x, y }) => [x, y])])),
      },
    }
  },
})
