// From names on the command line to questions: benchmarks and suites, from the Hub, local copies or drawn.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Benchmark } from '../benchmarks/benchmark.ts'
import { defaultDraw, isDrawn } from '../benchmarks/drawn.ts'
import { openBenchmark } from '../benchmarks/open.ts'
import { benchmarkNamed } from '../benchmarks/registry.ts'
import { benchmarksNamed } from '../benchmarks/suites.ts'
import type { HubOptions } from '../data/hub.ts'
import { ArgumentError } from '../errors.ts'
import type { Plan, PlannedBenchmark } from './plan.ts'
import { type QuestionSet, scanQuestions } from './questions.ts'

/** A benchmark with where its questions come from. */
export type Wanted = { readonly benchmark: Benchmark } & Pick<PlannedBenchmark, 'source' | 'drawn' | 'limit'>

function wantedOf(benchmark: Benchmark, source: string | null, limit: number | null): Wanted {
  const seed = source === null ? defaultDraw.seed : /^\d+$/.test(source) ? Number(source) : null
  if (isDrawn(benchmark) && seed !== null) return { benchmark, source: null, drawn: { seed, count: limit ?? defaultDraw.count }, limit: null }
  return { benchmark, source: source ?? benchmark.source.hub, drawn: null, limit }
}

/**
 * What is asked for: `NAME`, of a benchmark or suite, or `NAME=SOURCE`, of a benchmark: a file, a folder or hf:…, or the seed of a drawn one.
 * @param options.data folder of local copies: where it holds a folder of the benchmark's name, this is the source
 * @param options.limit only the first so many rows of each; null for all
 * @throws ArgumentError for names that are not known, and for a benchmark that is named twice with different sources
 */
export function wantedBenchmarks(named: readonly string[], options: { readonly data: string | null; readonly limit: number | null }): Wanted[] {
  const { data, limit } = options
  if (named.length === 0) throw new ArgumentError('no --suite is given; name benchmarks or suites, such as --suite prior-world')
  if (limit !== null && !(Number.isSafeInteger(limit) && limit > 0)) throw new ArgumentError(`--limit ${limit}: expected an integer from 1 up`)
  checkData(data)
  return Array.from(namedSources(named), ([name, source]) => wantedOf(benchmarkNamed(name), source ?? localCopy(data, name), limit))
}

function checkData(data: string | null): void {
  if (data !== null && !existsSync(data)) throw new ArgumentError(`--data ${data}: there is no such folder`)
}

/** The folder of a benchmark in that of local copies; null where there is none. */
function localCopy(data: string | null, name: string): string | null {
  const local = data === null ? null : join(data, name)
  return local !== null && existsSync(local) ? local : null
}

/** The benchmarks that are named, each with its source; null where none is. */
function namedSources(named: readonly string[]): ReadonlyMap<string, string | null> {
  const given = new Map<string, string | null>()
  for (const each of named) {
    const cut = each.indexOf('=')
    const [name, source] = cut < 0 ? [each, null] : [each.slice(0, cut), each.slice(cut + 1)]
    if (source === '') throw new ArgumentError(`--suite ${each}: expected NAME=SOURCE, or NAME alone`)
    for (const benchmark of source === null ? benchmarksNamed([name]) : [benchmarkNamed(name)]) {
      const known = given.get(benchmark.name)
      if (known !== undefined && known !== null && source !== null && known !== source) {
        throw new ArgumentError(`--suite ${benchmark.name}: is given with two sources, ${known} and ${source}; evaluate them one after the other`)
      }
      given.set(benchmark.name, source ?? known ?? null)
    }
  }
  return given
}

/**
 * The benchmarks of a plan, wherever they lie now.
 * @param named with a source: where this one lies; a name alone leaves it where the plan says. Those that are not named stay too
 * @param options.data folder of local copies, of benchmarks for which no source is named
 * @throws ArgumentError for names of no benchmark of the plan
 */
export function plannedBenchmarks({ benchmarks }: Plan, named: readonly string[], { data }: { readonly data: string | null }): Wanted[] {
  const given = namedSources(named)
  checkData(data)
  const other = [...given.keys()].filter((name) => !benchmarks.some((each) => each.name === name))
  if (other.length > 0) {
    const there = benchmarks.map(({ name }) => name).join(', ')
    throw new ArgumentError(`--suite ${other.join(', ')}: no part of this evaluation, which is of ${there}; all of these are graded together`)
  }
  return benchmarks.map(({ name, source, drawn, limit }) => {
    const benchmark = benchmarkNamed(name)
    const moved = given.get(name) ?? null
    if (moved !== null) return wantedOf(benchmark, moved, drawn?.count ?? limit)
    return { benchmark, source: (drawn === null ? localCopy(data, name) : null) ?? source, drawn, limit }
  })
}

export interface OpenSetsOptions {
  /** Needed for what is to be downloaded. */
  readonly hub: HubOptions | null
  /** Told how many questions of a benchmark were read. */
  readonly onRead: (benchmark: string, read: number) => void
}

/** Opens benchmarks and reads all their questions once. Close each when it is no longer asked. @throws errors of `openBenchmark` */
export async function openSets(wanted: readonly Wanted[], { hub, onRead }: OpenSetsOptions): Promise<QuestionSet[]> {
  const opened: QuestionSet['opened'][] = []
  try {
    const sets: QuestionSet[] = []
    for (const { benchmark, source, drawn, limit } of wanted) {
      const one = await openBenchmark(benchmark, { source, limit, hub, ...drawn })
      opened.push(one)
      sets.push(await scanQuestions(benchmark, one, { source, drawn, limit }, (read) => onRead(benchmark.name, read)))
    }
    return sets
  } catch (error) {
    await Promise.all(opened.map((each) => each.close()))
    throw error
  }
}
