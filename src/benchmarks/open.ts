// Opens a benchmark: its public data set from a local copy or the Hub, or the world that it is drawn from, as a stream of questions.

import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { Cells, ChooseColumns } from '../data/columns.ts'
import { filesOf, openRows, type Place } from '../data/dataset.ts'
import { belongsTo, type HubOptions, readHubName } from '../data/hub.ts'
import { RowError } from '../data/sample.ts'
import type { Source } from '../data/source.ts'
import { ArgumentError, FileFormatError } from '../errors.ts'
import type { Benchmark, Question } from './benchmark.ts'
import { type DrawOptions, drawing, drawnRows, isDrawn } from './drawn.ts'

export interface OpenOptions extends DrawOptions {
  /** A file, a folder or hf:…; null: the benchmark's own data set of the Hub, or its world. */
  readonly source: string | null
  /** Only the first so many rows; null: all. A row can have several questions, or none. */
  readonly limit: number | null
  /** Needed for what is to be downloaded; nothing is fetched otherwise. */
  readonly hub?: HubOptions | null
}

export interface OpenedBenchmark {
  /** Number of rows. */
  readonly size: number
  /**
   * From the first on, each time it is called.
   * @throws RowError for a row that cannot be used, FileFormatError for an id that comes twice
   */
  questions(): AsyncIterable<Question>
  /** The number of rows and where they come from, a line each. */
  describe(): string
  close(): Promise<void>
}

/** Where its questions lie beside pictures as files, as in VLind-Bench. */
const jsonFile = 'data.json'

/**
 * Opens a benchmark.
 *
 * @throws ArgumentError for sources that are not there, and where there is nothing to download
 * @throws FileFormatError for damaged files, and files without the benchmark's columns
 */
export async function openBenchmark(benchmark: Benchmark, options: OpenOptions): Promise<OpenedBenchmark> {
  const { source, limit } = options
  if (limit !== null && !(Number.isSafeInteger(limit) && limit > 0))
    throw new ArgumentError(`limit is ${limit}; expected an integer from 1 up, or null`)
  if (source === null && isDrawn(benchmark)) return draw(benchmark, options)
  const from = source ?? benchmark.source.hub
  if (from === null)
    throw new ArgumentError(
      `${benchmark.name}: there are no parquet files of it to download; get it from ${benchmark.source.url} and name its folder`,
    )
  const opened: Source[] = []
  try {
    for (const { path } of await placesOf(benchmark, from, options.hub ?? null)) opened.push(await openRows(path, columnsOf(benchmark)))
    return new FileBenchmark(benchmark, opened, limit)
  } catch (error) {
    await Promise.all(opened.map((each) => each.close()))
    throw error
  }
}

/** The files of a source. In a folder those of the benchmark's split, wherever in it they are, if there are some. */
async function placesOf(benchmark: Benchmark, source: string, hub: HubOptions | null): Promise<readonly Place[]> {
  const path = resolve(source)
  const isFolder = !source.startsWith('hf:') && ((await stat(path).catch(() => null))?.isDirectory() ?? false)
  if (!isFolder) return await filesOf(source, hub)
  const names = (await readdir(path, { recursive: true })).sort()
  const place = (name: string): Place => ({ path: join(path, name), extraImages: [] })
  if (benchmark.source.hub !== null) {
    const wanted = readHubName(benchmark.source.hub)
    const ofSplit = names.filter((name) => name.endsWith('.parquet') && belongsTo(name.replaceAll('\\', '/'), wanted))
    // Parts of a split, such as test_2d.parquet beside a test_2d.jsonl without pictures.
    const ofParts = names.filter((name) => name.endsWith('.parquet') && basename(name).startsWith(`${wanted.split}_`))
    const chosen = ofSplit.length > 0 ? ofSplit : ofParts
    if (chosen.length > 0) return chosen.map(place)
  }
  const json = names.filter((name) => basename(name) === jsonFile)
  const others = names.some((name) => /\.(?:parquet|jsonl)$/.test(name))
  return json.length === 1 && !others ? json.map(place) : await filesOf(source, hub)
}

/** All columns are read: what a benchmark needs of them may differ from row to row. */
function columnsOf(benchmark: Benchmark): ChooseColumns {
  return (present, file) => {
    const forms = [benchmark.columns, ...(benchmark.otherColumns === undefined ? [] : [benchmark.otherColumns])]
    const missing = forms.map((columns) => columns.filter((column) => !present.includes(column)))
    if (missing.every((columns) => columns.length > 0)) {
      const forms = missing.map((columns) => columns.join(', ')).join('; or, of its other form, ')
      throw new FileFormatError(`${file}: no file of ${benchmark.title}: it lacks the columns ${forms}; it has ${present.join(', ') || 'none'}`)
    }
    return { problem: present, images: [], answer: [], solution: [], id: [] }
  }
}

/** Questions as they come, none twice. */
async function* distinct(questions: AsyncIterable<Question>, where: string): AsyncGenerator<Question, void, void> {
  const seen = new Set<string>()
  for await (const question of questions) {
    if (seen.has(question.id)) throw new FileFormatError(`${where}: two questions have the id ${JSON.stringify(question.id)}; expected each once`)
    seen.add(question.id)
    yield question
  }
}

class FileBenchmark implements OpenedBenchmark {
  readonly size: number
  readonly #benchmark: Benchmark
  readonly #sources: readonly Source[]

  constructor(benchmark: Benchmark, sources: readonly Source[], limit: number | null) {
    const all = sources.reduce((sum, source) => sum + source.size, 0)
    this.size = Math.min(all, limit ?? all)
    this.#benchmark = benchmark
    this.#sources = sources
  }

  questions(): AsyncIterable<Question> {
    return distinct(this.#all(), this.#benchmark.name)
  }

  async *#all(): AsyncGenerator<Question, void, void> {
    let row = 0
    for (const source of this.#sources) {
      for (let inside = 0; inside < source.size && row < this.size; inside++, row++) {
        try {
          yield* this.#benchmark.questions(await source.cells(inside), row, source.folder)
        } catch (cause) {
          if (!(cause instanceof FileFormatError)) throw cause
          throw new RowError(row, source.name, source.line(inside), cause.message, cause)
        }
      }
    }
  }

  describe(): string {
    const all = this.#sources.reduce((sum, source) => sum + source.size, 0)
    const total = this.size === all ? `${all} rows` : `the first ${this.size} of ${all} rows`
    const files = `${this.#sources.length} file${this.#sources.length === 1 ? '' : 's'}`
    return [`${this.#benchmark.title}: ${total} in ${files}`, ...this.#sources.map(({ name, size }) => `${name}: ${size} rows`)].join('\n')
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()))
  }
}

function draw(benchmark: Benchmark, options: OpenOptions): OpenedBenchmark {
  const { seed, count } = drawing(options)
  const size = Math.min(count, options.limit ?? count)
  const rows = (): AsyncGenerator<Cells> => drawnRows(benchmark, { ...options, count: size })
  const all = async function* (): AsyncGenerator<Question, void, void> {
    let row = 0
    for await (const cells of rows()) yield* benchmark.questions(cells, row++, '.')
  }
  return {
    size,
    questions: () => distinct(all(), benchmark.name),
    describe: () => `${benchmark.title}: ${size} questions drawn with seed ${seed}`,
    close: async () => {},
  }
}
