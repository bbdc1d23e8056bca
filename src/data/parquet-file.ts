// Reads rows of a parquet file: the page or row group that a row lies in, the columns that are needed, and no more.

import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  readOffsetIndex,
} from 'hyparquet'
import { compressors as pureCompressors } from 'hyparquet-compressors'
import { FileFormatError, SightlineError } from '../errors.ts'
import type { Cells } from './columns.ts'
import { PlacedFile } from './file.ts'

/** Stretches of rows that are kept decoded: rows often come in the order of the file, and seldom from more than two places at once. */
const keptStretches = 2
/** Rows of a row group at most: writers make up to a million, and a damaged file must not ask for billions. */
const rowLimit = 2 ** 26

/** Node's own decompressors are faster, and bounded by the length that the file promises. */
const bounded = (length: number): { readonly maxOutputLength: number } => ({ maxOutputLength: Math.max(1, length) })
const compressors = {
  ...pureCompressors,
  GZIP: (input: Uint8Array, length: number): Uint8Array => gunzipSync(input, bounded(length)),
  ZSTD: (input: Uint8Array, length: number): Uint8Array => zstdDecompressSync(input, bounded(length)),
  BROTLI: (input: Uint8Array, length: number): Uint8Array => brotliDecompressSync(input, bounded(length)),
}

interface Group {
  readonly start: number
  readonly end: number
  /** The chunks of the columns that are read, the largest first. */
  readonly chunks: readonly Chunk[]
}

interface Chunk {
  readonly bytes: number
  /** Where the places of its pages are written, if they are. */
  readonly index: readonly [number, number] | null
}

/** An open parquet file of which some columns are read. Where it has a page index a row costs the page that it lies in, otherwise its row group. */
export class ParquetFile {
  readonly #file: PlacedFile
  readonly #metadata: FileMetaData
  readonly #columns: readonly string[]
  readonly #buffer: AsyncBuffer
  readonly #groups: readonly Group[]
  readonly #bounds = new Map<Group, Promise<readonly number[]>>()

  private constructor(file: PlacedFile, buffer: AsyncBuffer, metadata: FileMetaData, columns: readonly string[]) {
    this.#file = file
    this.#buffer = buffer
    this.#metadata = metadata
    this.#columns = columns
    this.#groups = groupsOf(metadata, columns, file.size)
  }

  /** @throws FileFormatError, whose message does not name the file, if it is damaged */
  static async open(path: string, columns: readonly string[]): Promise<ParquetFile> {
    const file = await PlacedFile.open(path)
    try {
      // The magic words and a length take 12 bytes; the parser would read before the beginning.
      if (file.size < 12) throw new FileFormatError(`${file.size} bytes are no parquet file`)
      const buffer: AsyncBuffer = { byteLength: file.size, slice: async (start, end = file.size) => (await file.read(start, end)).buffer }
      return await parsing(async () => new ParquetFile(file, buffer, await parquetMetadataAsync(buffer, { geoparquet: false }), columns))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get names(): readonly string[] {
    return parquetSchema(this.#metadata).children.map((child) => child.element.name)
  }

  get size(): number {
    return this.#groups.at(-1)?.end ?? 0
  }

  async close(): Promise<void> {
    recent = recent.filter(({ file }) => file !== this)
    await this.#file.close()
  }

  /** @throws FileFormatError, whose message does not name the file, if it is damaged there */
  async cells(row: number): Promise<Cells> {
    const group = this.#groups.find(({ end }) => row < end)
    if (group === undefined) throw new FileFormatError(`there is no row ${row}`)
    const bounds = await remembered(this.#bounds, group, () => parsing(() => this.#boundsIn(group)))
    const next = bounds.findIndex((bound) => bound > row)
    const [start, end] = [bounds[next - 1] ?? group.start, bounds[next] ?? group.end]
    const stretch = kept(this, start, () => parsing(() => this.#read(group, start, end)))
    return (await stretch)[row - start] ?? {}
  }

  /** The rows at which stretches of a group begin, and its end. Pages of the largest column bound them; the others are small. */
  async #boundsIn(group: Group): Promise<readonly number[]> {
    const index = group.chunks[0]?.index ?? null
    if (index === null || group.chunks.some((chunk) => chunk.index === null)) return [group.start, group.end]
    const { page_locations } = readOffsetIndex({ view: new DataView(await this.#buffer.slice(...index)), offset: 0 })
    const starts = page_locations.map((page) => group.start + Number(page.first_row_index))
    const bounds = [...starts, group.end]
    if (bounds[0] !== group.start || bounds.some((bound, i) => i > 0 && !(bound >= (bounds[i - 1] ?? 0))))
      throw new FileFormatError('its page index is damaged')
    return bounds
  }

  async #read(group: Group, rowStart: number, rowEnd: number): Promise<readonly Cells[]> {
    const useOffsetIndex = rowEnd - rowStart < group.end - group.start
    // Texts are marked as such in the file; other bytes are images, which are no UTF-8.
    const options = { columns: [...this.#columns], rowStart, rowEnd, useOffsetIndex, compressors, utf8: false, geoparquet: false }
    const rows: readonly Cells[] = await parquetReadObjects({ file: this.#buffer, metadata: this.#metadata, ...options })
    if (rows.length !== rowEnd - rowStart) throw new FileFormatError(`${rows.length} rows where ${rowEnd - rowStart} should be`)
    return rows
  }
}

/** Whatever the parser throws on a damaged file is an error about the file. */
async function parsing<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (cause) {
    if (cause instanceof SightlineError) throw cause
    throw new FileFormatError(`damaged, or no parquet file: ${(cause as Error).message}`, { cause })
  }
}

/** Row groups with what is read of them, checked against the file, since a wrong count would give the rows that follow to the wrong samples. */
function groupsOf(metadata: FileMetaData, read: readonly string[], fileSize: number): readonly Group[] {
  let end = 0
  const groups = metadata.row_groups.map((group, i): Group => {
    const rows = Number(group.num_rows)
    if (!(rows >= 0 && rows <= rowLimit)) throw new FileFormatError(`row group ${i} says that it has ${rows} rows; the limit is ${rowLimit}`)
    const chunks: Chunk[] = []
    for (const { meta_data, file_path, offset_index_offset, offset_index_length } of group.columns) {
      if (!meta_data) throw new FileFormatError(`row group ${i} does not describe its columns`)
      if (!read.includes(meta_data.path_in_schema[0] ?? '')) continue
      if (file_path) throw new FileFormatError(`row group ${i} is in another file, ${file_path}; this is not supported`)
      const bytes = checkedBytes(meta_data, rows, i, fileSize)
      const at = Number(offset_index_offset ?? 0)
      chunks.push({ bytes, index: at > 0 && offset_index_length ? [at, at + offset_index_length] : null })
    }
    end += rows
    return { start: end - rows, end, chunks: chunks.sort((a, b) => b.bytes - a.bytes) }
  })
  if (end !== Number(metadata.num_rows)) throw new FileFormatError(`its row groups have ${end} rows, but it says ${metadata.num_rows}`)
  return groups
}

/** The size of a column's chunk, which must lie in the file and hold a value for every row, if only a null. */
function checkedBytes(column: ColumnMetaData, rows: number, group: number, fileSize: number): number {
  const bytes = Number(column.total_compressed_size)
  const start = Number(column.dictionary_page_offset ?? column.data_page_offset)
  const [values, name] = [Number(column.num_values), column.path_in_schema.join('.')]
  if (!(start >= 0 && bytes >= 0 && start + bytes <= fileSize))
    throw new FileFormatError(`column ${name} of row group ${group} lies outside of the file, at ${start} with ${bytes} of ${fileSize} bytes`)
  if (!(values >= rows)) throw new FileFormatError(`column ${name} of row group ${group} has ${values} values for ${rows} rows`)
  return bytes
}

interface Stretch {
  readonly file: ParquetFile
  readonly start: number
  /** A failure is kept too, or every row of a damaged stretch would read it again. */
  readonly rows: Promise<readonly Cells[]>
}

/** Of all files together, the last used at the end: a data set can have hundreds of files, and a stretch can be a hundred megabytes. */
let recent: readonly Stretch[] = []

function kept(file: ParquetFile, start: number, read: () => Promise<readonly Cells[]>): Promise<readonly Cells[]> {
  const found = recent.find((stretch) => stretch.file === file && stretch.start === start) ?? { file, start, rows: read() }
  recent = [...recent.filter((stretch) => stretch !== found), found].slice(-keptStretches)
  return found.rows
}

function remembered<K, V>(map: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
