// Finds ways for the paths of a subway map on a grid: right-angled, crossing others only straight on, so that none can be mistaken for another.

import type { Point } from '../draw.ts'
import type { Random } from '../random.ts'

/** Right, down, left, up. */
export const directions = [
  { x: 1, y: 0 },
  { x: 0, y: 1 },
  { x: -1, y: 0 },
  { x: 0, y: -1 },
] as const
export type Direction = 0 | 1 | 2 | 3

/** Where a path begins or ends, and the direction into the grid. */
export interface Port {
  readonly at: Point
  readonly inward: Direction
}

/** What uses a node: a path straight on along x or y, or something that nothing may cross. */
type Use = 'x' | 'y' | 'all'

/** What a turn and a crossing cost, where a step costs 1 to 3. */
const turnCost = 1.5
const crossingCost = 1

const axis = (direction: Direction): 'x' | 'y' => (direction % 2 === 0 ? 'x' : 'y')
const allDirections: readonly Direction[] = [0, 1, 2, 3]

interface Step {
  readonly at: Point
  readonly direction: Direction
  readonly cost: number
  readonly before: Step | null
}

/** A grid of `size` by `size` nodes on which paths are laid one after the other. */
export class Routes {
  readonly #size: number
  readonly #uses = new Map<number, Use>()

  constructor(size: number, ports: readonly Port[]) {
    this.#size = size
    // Nothing runs through the place where another path begins.
    for (const { at } of ports) this.#uses.set(this.#number(at), 'all')
  }

  #number({ x, y }: Point): number {
    return y * this.#size + x
  }

  /** Lays a random, not too long path and returns its nodes; null if there is no way left. (Dijkstra's algorithm over node and direction.) */
  lay(random: Random, from: Port, to: Port): readonly Point[] | null {
    const weights = Array.from({ length: this.#size ** 2 }, () => random.between(1, 3))
    const goal = this.#number(to.at)
    const open: Step[] = [{ at: from.at, direction: from.inward, cost: 0, before: null }]
    const seen = new Set<number>()
    while (open.length > 0) {
      const step = open.splice(cheapest(open), 1)[0] as Step
      const here = this.#number(step.at)
      if (here === goal) return this.#laid(step)
      const state = 4 * here + step.direction
      if (seen.has(state)) continue
      seen.add(state)
      const crossed = step.before !== null && this.#uses.has(here)
      for (const direction of allDirections) {
        const straight = direction === step.direction
        // Where another path is crossed, and at its own beginning, a path goes straight on; it never turns back.
        if (!straight && (crossed || step.before === null || (direction + 2) % 4 === step.direction)) continue
        const { x, y } = directions[direction]
        const at = { x: step.at.x + x, y: step.at.y + y }
        const there = this.#number(at)
        if (!this.#free(at, direction, to) || seen.has(4 * there + direction)) continue
        const cost = step.cost + (weights[there] as number) + (straight ? 0 : turnCost) + (this.#uses.has(there) ? crossingCost : 0)
        open.push({ at, direction, cost, before: step })
      }
    }
    return null
  }

  /** Whether a path may come to a node in this direction. */
  #free(at: Point, direction: Direction, to: Port): boolean {
    if (at.x < 0 || at.y < 0 || at.x >= this.#size || at.y >= this.#size) return false
    if (this.#number(at) === this.#number(to.at)) return (direction + 2) % 4 === to.inward
    const use = this.#uses.get(this.#number(at))
    return use === undefined || (use !== 'all' && use !== axis(direction))
  }

  #laid(last: Step): readonly Point[] {
    const steps: Step[] = []
    for (let step: Step | null = last; step !== null; step = step.before) steps.unshift(step)
    for (const [i, { at, direction }] of steps.entries()) {
      const next = steps[i + 1]
      const straight = next !== undefined && next.direction === direction && !this.#uses.has(this.#number(at))
      this.#uses.set(this.#number(at), straight ? axis(direction) : 'all')
    }
    return steps.map(({ at }) => at)
  }
}

function cheapest(steps: readonly Step[]): number {
  let best = 0
  for (const [i, { cost }] of steps.entries()) if (cost < (steps[best] as Step).cost) best = i
  return best
}

/** The corners of a path: its ends and where it turns. */
export function corners(path: readonly Point[]): readonly Point[] {
  return path.filter(({ x, y }, i) => {
    const [before, after] = [path[i - 1], path[i + 1]]
    return before === undefined || after === undefined || (after.x - x !== x - before.x && after.y - y !== y - before.y)
  })
}
