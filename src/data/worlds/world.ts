// What a world is: an endless source of pictures with questions, of which everything that is true is known, because it was drawn from that.

import { ArgumentError } from '../../errors.ts'
import { turn } from './random.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export interface WorldSample {
  /** Unique within a world: name of the world, seed, index. */
  readonly id: string
  readonly problem: string
  readonly answer: string
  /** A true worked response: `<description> … </description> <think> … </think> \boxed{…}`. */
  readonly solution: string
  readonly task: string
  readonly split: string
  /** The picture, a whole SVG document of `pixels` by `pixels`; null for a question without one. */
  readonly svg: string | null
  /** Side of the picture. */
  readonly pixels: number
  /** What is in the picture, for grading descriptions and for tests. */
  readonly truth: { readonly [name: string]: Json }
}

/** What to draw; null and absent: everything, in the world's own sizes. */
export interface WorldOptions {
  readonly tasks?: readonly string[] | null
  readonly splits?: readonly string[] | null
  /** Side of every picture. */
  readonly pixels?: number | null
}

export interface World {
  readonly name: string
  /** One line for people. */
  readonly about: string
  readonly tasks: readonly string[]
  readonly splits: readonly string[]
  /** What the licence of borrowed parts asks to be said; null where all is our own. */
  readonly attribution: string | null
  /**
   * The sample of an index: a function of its arguments alone.
   * @param seed and index: integers in [0, 2^32)
   * @throws ArgumentError for tasks and splits that the world does not have
   */
  sample(seed: number, index: number, options: WorldOptions): WorldSample
}

/** The smallest and largest picture: below, lines vanish; above, nothing is gained. */
const sides = { least: 48, most: 4096 } as const

/** The options with their defaults, names in the world's own order. @throws ArgumentError for what the world does not have */
export function chosenParts(
  world: Pick<World, 'name' | 'tasks' | 'splits'>,
  options: WorldOptions,
): { readonly tasks: readonly string[]; readonly splits: readonly string[]; readonly pixels: number | null } {
  const chosen = (what: 'tasks' | 'splits'): readonly string[] => {
    const given = options[what] ?? world[what]
    const unknown = given.filter((name) => !world[what].includes(name))
    if (unknown.length > 0 || given.length === 0)
      throw new ArgumentError(`${what} of the world ${world.name}: ${unknown.join(', ') || 'none given'}; expected some of ${world[what].join(', ')}`)
    return world[what].filter((name) => given.includes(name))
  }
  const pixels = options.pixels ?? null
  if (pixels !== null && !(Number.isInteger(pixels) && pixels >= sides.least && pixels <= sides.most))
    throw new ArgumentError(`pixels is ${pixels}; expected an integer from ${sides.least} to ${sides.most}`)
  return { tasks: chosen('tasks'), splits: chosen('splits'), pixels }
}

/** The task and split of an index, and how often this pair came before: all pairs come equally often. */
export function cellAt(
  seed: number,
  index: number,
  { tasks, splits }: { readonly tasks: readonly string[]; readonly splits: readonly string[] },
): { readonly task: string; readonly split: string; readonly round: number } {
  const cells = tasks.length * splits.length
  const cell = turn(seed, 0, index, cells)
  const [task, split] = [tasks[cell % tasks.length], splits[Math.floor(cell / tasks.length)]]
  if (task === undefined || split === undefined) throw new ArgumentError('there are no tasks or no splits')
  return { task, split, round: Math.floor(index / cells) }
}

/** The first `count` samples of a world, or those from an index on, each made when it is asked for. */
export function* samplesOf(
  world: World,
  { seed, count, from = 0, ...options }: WorldOptions & { readonly seed: number; readonly count: number; readonly from?: number },
): Generator<WorldSample> {
  for (let index = from; index < from + count; index++) yield world.sample(seed, index, options)
}
