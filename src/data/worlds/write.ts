// Writes samples of a world as a data set: pictures become PNG files beside JSON lines, or lie with the rows in a parquet file.

import { existsSync } from 'node:fs'
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileWriter, ParquetWriter } from 'hyparquet-writer'
import sharp from 'sharp'
import { ArgumentError, StorageError } from '../../errors.ts'
import { version } from '../../version.ts'
import type { World, WorldSample } from './world.ts'

export const formats = ['jsonl', 'parquet'] as const
export type Format = (typeof formats)[number]

/** Pictures that are rendered at the same time. */
const inFlight = 8
/** Rows of a group in a parquet file, as the `datasets` library writes images; that many pictures are held in memory. */
const groupRows = 100
/** Where pictures lie beside JSON lines. */
const pictures = 'images'

/** What `world.json` says besides the number of samples and the version: how to make the same again. */
export interface WorldFacts {
  readonly world: Pick<World, 'name' | 'about' | 'attribution'>
  readonly seed: number
  readonly tasks: readonly string[]
  readonly splits: readonly string[]
  /** Side of all pictures; null where each has its own. */
  readonly pixels: number | null
}

interface Rendered {
  readonly sample: WorldSample
  /** null for a question without a picture. */
  readonly png: Buffer | null
}

/** The columns of both formats, but for the images; `truth` is JSON. */
function cellsOf(world: string, { id, problem, answer, solution, task, split, truth }: WorldSample) {
  return { id, problem, answer, solution, world, task, split, truth }
}

/** The picture of a sample as the bytes of a PNG file. The bytes are a function of the SVG and of the versions of sharp and its libraries. */
export async function renderPng(svg: string): Promise<Buffer> {
  return await sharp(Buffer.from(svg)).removeAlpha().png().toBuffer()
}

/** The samples with their pictures in the same order, a few rendered ahead. */
async function* rendered(samples: Iterable<WorldSample>): AsyncGenerator<Rendered> {
  const ahead: Promise<Rendered>[] = []
  for (const sample of samples) {
    const picture = (sample.svg === null ? Promise.resolve(null) : renderPng(sample.svg)).then((png) => ({ sample, png }))
    // Whoever awaits it later gets the error; until then it must not count as unhandled.
    picture.catch(() => undefined)
    ahead.push(picture)
    if (ahead.length >= inFlight) yield await (ahead.shift() as Promise<Rendered>)
  }
  for (const picture of ahead) yield await picture
}

/** A file name of an id: ids are names already, but those of other worlds need not be. */
const fileOf = (id: string): string => `${encodeURIComponent(id)}.png`

/** Writes rows as they come. @returns their number */
type Writing = (folder: string, world: string, rows: AsyncIterable<Rendered>, onRow: (done: number) => void) => Promise<number>

async function writeJsonLines(folder: string, world: string, rows: AsyncIterable<Rendered>, onRow: (done: number) => void): Promise<number> {
  await mkdir(join(folder, pictures))
  const lines = await open(join(folder, 'samples.jsonl'), 'wx')
  let done = 0
  try {
    for await (const { sample, png } of rows) {
      const path = `${pictures}/${fileOf(sample.id)}`
      if (png !== null) await writeFile(join(folder, path), png, { flag: 'wx' })
      const { id, problem, ...rest } = cellsOf(world, sample)
      await lines.write(`${JSON.stringify({ id, problem, images: png === null ? [] : [path], ...rest })}\n`)
      onRow(++done)
    }
  } finally {
    await lines.close()
  }
  return done
}

const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const

/** Every column with its elements in the schema. */
const columns = {
  id: [text],
  problem: [text],
  images: [
    // list<struct<bytes, path>>, as the `datasets` library stores a list of images.
    { converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 },
    { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
    { name: 'path', ...text },
  ],
  answer: [text],
  solution: [text],
  world: [text],
  task: [text],
  split: [text],
  truth: [text],
} as const
const columnNames = Object.keys(columns) as readonly (keyof typeof columns)[]

/** Tells the `datasets` library which of the columns are images. */
const features = Object.fromEntries(columnNames.map((name) => [name, name === 'images' ? [{ _type: 'Image' }] : { dtype: 'string', _type: 'Value' }]))

async function writeParquet(folder: string, world: string, rows: AsyncIterable<Rendered>, onRow: (done: number) => void): Promise<number> {
  const writer = new ParquetWriter({
    writer: fileWriter(join(folder, 'samples.parquet')),
    schema: [
      { name: 'schema', num_children: columnNames.length },
      ...columnNames.flatMap((name) => columns[name].map((element) => ({ name, ...element }))),
    ],
    kvMetadata: [{ key: 'huggingface', value: JSON.stringify({ info: { features } }) }],
    createdBy: `sightline ${version}`,
  })
  let group: ReturnType<typeof parquetRow>[] = []
  const flush = async (): Promise<void> => {
    // PNG files do not become smaller.
    const columnData = columnNames.map((name) => ({
      name,
      data: group.map((row) => row[name]),
      ...(name === 'images' ? ({ codec: 'UNCOMPRESSED', statistics: false } as const) : {}),
    }))
    await writer.write({ columnData, rowGroupSize: groupRows })
    group = []
  }
  let done = 0
  for await (const row of rows) {
    if (group.push(parquetRow(world, row)) === groupRows) await flush()
    onRow(++done)
  }
  if (group.length > 0) await flush()
  await writer.finish()
  return done
}

function parquetRow(world: string, { sample, png }: Rendered) {
  const cells = cellsOf(world, sample)
  return { ...cells, images: png === null ? [] : [{ bytes: png, path: fileOf(sample.id) }], truth: JSON.stringify(cells.truth) }
}

const writings: { readonly [format in Format]: Writing } = { jsonl: writeJsonLines, parquet: writeParquet }

/**
 * Writes samples into a new folder: `samples.jsonl` and `images/`, or `samples.parquet`; and `world.json`, which says what they are. The folder
 * appears when all is written. The same samples give the same bytes.
 *
 * @param onProgress is told how many samples are done
 * @returns the number of samples
 * @throws ArgumentError if the folder is there already, or two samples have one id; StorageError if it cannot be written
 */
export async function writeWorld(
  folder: string,
  samples: Iterable<WorldSample>,
  options: { readonly format: Format; readonly facts: WorldFacts; readonly onProgress?: (done: number) => void },
): Promise<number> {
  const { format, facts, onProgress = () => undefined } = options
  const path = resolve(folder)
  if (existsSync(path)) throw new ArgumentError(`${path} is there already; name a new folder, or remove it`)
  try {
    return await written(path, samples, format, facts, onProgress)
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    throw new StorageError(`${path}: cannot be written: ${cause.message}; see that there is space and that the folder above may be written`, {
      cause,
    })
  }
}

async function written(
  path: string,
  samples: Iterable<WorldSample>,
  format: Format,
  facts: WorldFacts,
  onRow: (done: number) => void,
): Promise<number> {
  const temporary = join(dirname(path), `.tmp-${basename(path)}-${crypto.randomUUID()}`)
  await mkdir(temporary, { recursive: true })
  try {
    const { name, about, attribution } = facts.world
    const count = await writings[format](temporary, name, rendered(distinct(samples)), onRow)
    const said = { ...facts, world: name, about, format, count, version, attribution }
    await writeFile(join(temporary, 'world.json'), `${JSON.stringify(said, null, 2)}\n`)
    await rename(temporary, path)
    return count
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

function* distinct(samples: Iterable<WorldSample>): Generator<WorldSample> {
  const seen = new Set<string>()
  for (const sample of samples) {
    if (seen.has(sample.id)) throw new ArgumentError(`two samples have the id ${JSON.stringify(sample.id)}; expected each once`)
    seen.add(sample.id)
    yield sample
  }
}
