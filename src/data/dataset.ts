// Opens data sets: files, folders and data sets of the Hub become one list of samples that are read when they are asked for.

import { readdir, stat } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { type ChooseColumns, type ColumnNames, chooseColumns } from './columns.ts'
import { downloadDataset, type HubOptions, readHubName } from './hub.ts'
import { openJsonRows } from './json-rows.ts'
import { openParquet } from './parquet.ts'
import { RowError, type Sample, sampleOf } from './sample.ts'
import type { Source } from './source.ts'

export interface DatasetOptions {
  /** What the columns are called; null and absent: the usual names are tried. */
  readonly columns?: ColumnNames
  /** The folder that relative image paths start from; null: that of the file that names them. */
  readonly imageRoot?: string | null
  /** Only the first so many rows; null: all. */
  readonly limit?: number | null
  /** Needed for sources hf:…; nothing is fetched otherwise. */
  readonly hub?: HubOptions | null
  /** The section of a configuration that these come from, for errors that name its fields. */
  readonly section?: string
}

export interface Dataset {
  /** Number of rows. */
  readonly size: number
  /** The number of rows, then each file with its own, a line each. */
  describe(): string
  /** @throws RowError if the row cannot be used; ArgumentError if there is no such row */
  sample(row: number): Promise<Sample>
  /** The file of a row and, in JSON, its line from 1. */
  where(row: number): { readonly source: string; readonly line: number | null }
  close(): Promise<void>
}

/** How files are opened, by the ends of their names. */
const openers = { '.jsonl': openJsonRows, '.json': openJsonRows, '.parquet': openParquet } as const
type Extension = keyof typeof openers
const isExtension = (end: string): end is Extension => Object.hasOwn(openers, end)

/** The file by which a folder of images names its rows, and the column in which it names the images, as in Hugging Face's imagefolder. */
const imageFolder = { file: 'metadata.jsonl', columns: ['file_name'] } as const

/** A file of rows, and further names of its column of images. */
export interface Place {
  readonly path: string
  readonly extraImages: readonly string[]
}

/**
 * Opens one or several sources as one data set, in the order given. A source is a file (.jsonl, .json or .parquet), a folder (all such files
 * in the order of their names, or images with a metadata.jsonl whose file_name names them), or hf:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT].
 * No images are held in memory: rows are read when they are asked for, and JSON is indexed by one pass.
 *
 * @throws ArgumentError for sources that are not there or not understood, and for given columns that a file lacks
 * @throws FileFormatError for damaged files, and files without the columns or rows that are needed
 */
export async function openDataset(sources: readonly string[], options: DatasetOptions = {}): Promise<Dataset> {
  const { columns = {}, imageRoot = null, limit = null, hub = null, section } = options
  const field = (name: string): string => (section === undefined ? name : `${section}.${name}`)
  if (limit !== null && !(Number.isSafeInteger(limit) && limit > 0))
    throw new ArgumentError(`${field('limit')} is ${limit}; expected an integer from 1 up, or null`)
  if (sources.length === 0) throw new ArgumentError('there are no sources; name a file, a folder or hf:OWNER/NAME')
  const opened: Source[] = []
  try {
    for (const source of sources) {
      for (const { path, extraImages } of await filesOf(source, hub)) {
        opened.push(await openRows(path, chooseColumns(columns, extraImages, field('columns'))))
      }
    }
    return new JoinedSources(opened, imageRoot === null ? null : resolve(imageRoot), limit)
  } catch (error) {
    await Promise.all(opened.map((source) => source.close()))
    throw error
  }
}

/** Opens a file by the end of its name. @throws ArgumentError for other ends, FileFormatError as the openers do */
export async function openRows(path: string, choose: ChooseColumns): Promise<Source> {
  const extension = extname(path).toLowerCase()
  if (!isExtension(extension)) throw new ArgumentError(`${path}: expected a file ${Object.keys(openers).join(', ')}, or a folder`)
  return await openers[extension](path, choose)
}

/** The files of a source as `openDataset` takes them, downloaded where it is hf:…. @throws ArgumentError if there are none, or of several splits */
export async function filesOf(source: string, hub: HubOptions | null): Promise<readonly Place[]> {
  if (source.startsWith('hf:')) {
    if (hub === null) throw new ArgumentError(`${source}: no hub options, so nothing can be fetched; give them or a local copy`)
    return (await downloadDataset(readHubName(source), hub)).map((path) => ({ path, extraImages: [] }))
  }
  const path = resolve(source)
  let isFolder: boolean
  try {
    isFolder = (await stat(path)).isDirectory()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new ArgumentError(code === 'ENOENT' ? `${path}: there is no such file or folder` : `${path}: cannot be opened: ${message}`, { cause })
  }
  return isFolder ? await filesInFolder(path) : [{ path, extraImages: [] }]
}

async function filesInFolder(folder: string): Promise<readonly Place[]> {
  const names = (await readdir(folder)).sort()
  if (names.includes(imageFolder.file)) return [{ path: join(folder, imageFolder.file), extraImages: imageFolder.columns }]
  const files = names.filter((name) => isExtension(extname(name).toLowerCase()) && extname(name).toLowerCase() !== '.json')
  if (files.length === 0)
    throw new ArgumentError(`${folder}: the folder has no .parquet, no .jsonl and no ${imageFolder.file}; name the files instead`)
  const splits = [...new Set(files.map((name) => /^(train|test|validation|valid|val|dev)(?![a-z])/i.exec(name)?.[1]?.toLowerCase()).filter(Boolean))]
  if (splits.length > 1) throw new ArgumentError(`${folder}: files of several splits (${splits.join(', ')}); name the files to be taken`)
  return files.map((name) => ({ path: join(folder, name), extraImages: [] }))
}

class JoinedSources implements Dataset {
  readonly size: number
  readonly #sources: readonly Source[]
  readonly #ends: readonly number[]
  readonly #imageRoot: string | null

  constructor(sources: readonly Source[], imageRoot: string | null, limit: number | null) {
    let end = 0
    this.#ends = sources.map((source) => {
      end += source.size
      return end
    })
    this.#sources = sources
    this.#imageRoot = imageRoot
    this.size = Math.min(end, limit ?? end)
  }

  describe(): string {
    const all = this.#ends.at(-1) ?? 0
    const total = this.size === all ? `${all} rows` : `the first ${this.size} of ${all} rows`
    return [
      `${total} in ${this.#sources.length} file${this.#sources.length === 1 ? '' : 's'}`,
      ...this.#sources.map(({ name, size }) => `${name}: ${size} rows`),
    ].join('\n')
  }

  #find(row: number): { readonly source: Source; readonly inside: number } {
    const at = this.#ends.findIndex((end) => row < end)
    const source = this.#sources[at]
    if (!Number.isInteger(row) || row < 0 || row >= this.size || source === undefined)
      throw new ArgumentError(`there is no row ${row}; the data set has rows 0 to ${this.size - 1}`)
    return { source, inside: row - (this.#ends[at - 1] ?? 0) }
  }

  where(row: number): { readonly source: string; readonly line: number | null } {
    const { source, inside } = this.#find(row)
    return { source: source.name, line: source.line(inside) }
  }

  async sample(row: number): Promise<Sample> {
    const { source, inside } = this.#find(row)
    try {
      return sampleOf(row, await source.cells(inside), source.columns, this.#imageRoot ?? source.folder)
    } catch (cause) {
      if (!(cause instanceof FileFormatError)) throw cause
      throw new RowError(row, source.name, source.line(inside), cause.message, cause)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()))
  }
}
