// The worlds of this project as benchmarks: drawn when they are opened, or read as `sightline world make` writes them.

import type { Cells } from '../data/columns.ts'
import { worldNamed } from '../data/worlds/registry.ts'
import { samplesOf } from '../data/worlds/world.ts'
import { renderPng } from '../data/worlds/write.ts'
import { ArgumentError } from '../errors.ts'
import type { Benchmark } from './benchmark.ts'
import { accuracy, within } from './measures.ts'
import { brief, images, text } from './rows.ts'

/** Which questions are drawn; absent: `defaultDraw`, and everything that the world has. */
export interface DrawOptions {
  /** Integer in [0, 2^32). Not one that a training set was drawn with. */
  readonly seed?: number
  /** Number of questions. */
  readonly count?: number
  readonly splits?: readonly string[] | null
  readonly tasks?: readonly string[] | null
  /** Side of pictures. */
  readonly pixels?: number | null
}

/** Training sets are drawn with small seeds by habit, so this is a large one. */
export const defaultDraw = { seed: 4_000_000_001, count: 600 } as const

type Facts = Pick<Benchmark, 'name' | 'title' | 'about' | 'measures' | 'groupings'> & Pick<Benchmark['source'], 'licence'>

const ofWorld = ({ licence, ...facts }: Facts): Benchmark => ({
  ...facts,
  source: { hub: null, url: 'docs/worlds.md', licence },
  columns: ['id', 'problem', 'images', 'answer', 'task', 'split'],
  questions: (cells, _row, folder) => [
    {
      id: text(cells, 'id'),
      problem: text(cells, 'problem'),
      images: images(cells, 'images', folder),
      expected: brief(text(cells, 'answer')),
      groups: { task: text(cells, 'task'), split: text(cells, 'split') },
    },
  ],
})

/** After the idea of ViLP; its splits are named after ViLP's scores. */
export const priorWorldBenchmark = ofWorld({
  name: 'prior-world',
  title: 'PriorWorld',
  about: 'drawn things with a typical colour, size or number, which the picture may contradict',
  licence: 'Apache-2.0; icons CC-BY-3.0',
  measures: [
    within('split', 'score', 'score', 'Score'),
    within('split', 'prior', 'prior', 'Prior'),
    within('split', 'neutral', 'neutral', 'Neutral'),
    { ...accuracy, label: 'Overall' },
  ],
  groupings: ['split', 'task'],
})

export const blindWorldBenchmark = ofWorld({
  name: 'blind-world',
  title: 'BlindWorld',
  about: 'the tasks of VlmsAreBlind, drawn anew',
  licence: 'Apache-2.0',
  measures: [accuracy],
  groupings: ['task', 'split'],
})

/** The world of a benchmark that is drawn. */
const worldOf: { readonly [benchmark: string]: string } = { [priorWorldBenchmark.name]: 'prior', [blindWorldBenchmark.name]: 'blind' }

export const isDrawn = (benchmark: Pick<Benchmark, 'name'>): boolean => Object.hasOwn(worldOf, benchmark.name)

/** @throws ArgumentError for numbers out of range */
export function drawing(options: DrawOptions): { readonly seed: number; readonly count: number } {
  const { seed = defaultDraw.seed, count = defaultDraw.count } = options
  if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) throw new ArgumentError(`seed is ${seed}; expected an integer from 0 to 2^32 - 1`)
  if (!(Number.isSafeInteger(count) && count > 0)) throw new ArgumentError(`count is ${count}; expected an integer from 1 up`)
  return { seed, count }
}

/** The rows of a drawn benchmark, each made when it is asked for. @throws ArgumentError for splits and tasks that the world does not have */
export async function* drawnRows(benchmark: Pick<Benchmark, 'name'>, options: DrawOptions): AsyncGenerator<Cells> {
  const { splits = null, tasks = null, pixels = null } = options
  const world = worldNamed(worldOf[benchmark.name] ?? benchmark.name)
  for (const { id, problem, answer, task, split, svg } of samplesOf(world, { ...drawing(options), splits, tasks, pixels }))
    yield { id, problem, answer, task, split, images: svg === null ? [] : [await renderPng(svg)] }
}
