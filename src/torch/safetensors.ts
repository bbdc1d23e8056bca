// Reads checkpoints in the safetensors format, the one that models are published in, without copying them: a file's header is
// checked in full before anything in it is believed, and tensors are views of the mapped file.
//
// The format (https://github.com/huggingface/safetensors#format): the header's length as 8 bytes, little-endian; the header, JSON of
// {name: {dtype, shape, data_offsets: [begin, end]}} and perhaps `__metadata__` of strings; then the data, which the tensors fill
// without holes. A sharded checkpoint is several such files and an index with the `weight_map` {name: file}.

import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ArgumentError, FileFormatError, UseAfterFreeError } from '../errors.ts'
import { adopt, currentContext, engineFor } from './context.ts'
import { type DType, dtypeNames, dtypes } from './dtype.ts'
import { type Native, native } from './native.ts'
import type { Tensor } from './tensor.ts'

/** What the format calls the element types, in the order in which the reference implementation lays out their data. */
export const storedTypes: { readonly [K in DType]: string } = {
  int64: 'I64',
  float64: 'F64',
  float32: 'F32',
  int32: 'I32',
  bfloat16: 'BF16',
  float16: 'F16',
  uint8: 'U8',
  bool: 'BOOL',
}
export const singleName = 'model.safetensors'
export const indexName = `${singleName}.index.json`
export const metadataKey = '__metadata__'

const dtypeByStoredType = new Map(dtypeNames.map((name) => [storedTypes[name], name]))
/** As in the reference implementation. */
const maxHeaderBytes = 100_000_000
/** Brackets, commas and colons; a tensor takes about 12, and the largest published checkpoints have some 100,000 tensors. */
const maxJsonParts = 5_000_000
/** libtorch's reductions take no more. */
const maxAxes = 64

/** What a file says about one of its tensors. */
export interface TensorInfo {
  /** Undefined where Sightline has no such element type: the tensor can be listed but not read. */
  readonly dtype: DType | undefined
  /** The element type as the file names it, such as `F32`. */
  readonly storedType: string
  readonly shape: readonly number[]
  readonly bytes: number
  /** The path of the file that holds the data. */
  readonly file: string
}

interface Entry extends TensorInfo {
  /** Where the data starts, counted from the end of the header. */
  readonly begin: number
}

interface Shard {
  readonly path: string
  /** What changes when the file is replaced, cut or written. */
  readonly identity: string
  readonly dataStart: number
  readonly entries: ReadonlyMap<string, Entry>
  readonly metadata: ReadonlyMap<string, string>
  /** The engine's mapping, once a tensor was asked for. */
  mapping: number | undefined
}

function fail(file: string, tensor: string | null, reason: string, cause?: unknown): never {
  throw new FileFormatError(`${file}: ${tensor === null ? '' : `tensor ${show(tensor)}: `}${reason}`, cause === undefined ? {} : { cause })
}

/** Runs `body`; a failure that is not a FileFormatError yet becomes one. */
function attempt<T>(file: string, what: string, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    if (cause instanceof FileFormatError) throw cause
    fail(file, null, `${what}: ${(cause as Error).message}`, cause)
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStrings(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((element) => typeof element === 'string')
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((element) => Number.isSafeInteger(element) && element >= 0)
}

const [quote, backslash, list, object, listEnd, objectEnd, comma, colon] = Buffer.from('"\\[{]},:')

/** Refuses JSON that is built to exhaust memory: parsed it takes many times the room of its text, and no program survives running out. */
function checkJsonSize(file: string, json: Uint8Array): void {
  let depth = 0
  let parts = 0
  let quoted = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (byte === quote) quoted = !quoted
    else if (quoted) {
      if (byte === backslash) i++
    } else if (byte === list || byte === object || byte === comma || byte === colon) {
      if (++parts > maxJsonParts) fail(file, null, `its JSON has more than ${maxJsonParts} parts`)
      if ((byte === list || byte === object) && ++depth > 3) fail(file, null, 'its JSON is nested more than 3 deep')
    } else if (byte === listEnd || byte === objectEnd) depth--
  }
}

function parseObject(file: string, json: Uint8Array): Record<string, unknown> {
  if (json[0] !== object) fail(file, null, 'its JSON does not start with {')
  checkJsonSize(file, json)
  const text = attempt(file, 'its JSON is not UTF-8', () => new TextDecoder('utf-8', { fatal: true }).decode(json))
  return attempt(file, 'its JSON cannot be parsed', () => JSON.parse(text))
}

function readEntry(file: string, name: string, value: unknown, dataBytes: number): Entry {
  if (!isObject(value)) fail(file, name, `its entry must be an object, got ${show(value)}`)
  const { dtype: storedType, shape, data_offsets: offsets, ...others } = value
  if (typeof storedType !== 'string') fail(file, name, `its dtype must be a string, got ${show(storedType)}`)
  if (!isSizes(shape)) fail(file, name, `its shape must be a list of non-negative integers, got ${show(shape)}`)
  if (!isSizes(offsets) || offsets.length !== 2) fail(file, name, `its data_offsets must be two non-negative integers, got ${show(offsets)}`)
  for (const other of Object.keys(others)) fail(file, name, `its entry has the unknown field ${show(other)}`)
  if (shape.length > maxAxes) fail(file, name, `its shape has ${shape.length} axes; at most ${maxAxes} are supported`)

  const [begin = 0, end = 0] = offsets
  if (begin > end) fail(file, name, `its data_offsets [${begin}, ${end}] are not in order`)
  if (end > dataBytes) fail(file, name, `its data ends at byte ${end}, but the file has ${dataBytes} bytes of data: it is truncated, or lies`)

  // A size of 0 counts as 1, so that the strides of an empty tensor are known to be safe, too.
  const dtype = dtypeByStoredType.get(storedType)
  const itemBytes = dtype === undefined ? 1 : dtypes[dtype].bytes
  const strideBytes = shape.reduce((product, size) => product * Math.max(size, 1), itemBytes)
  if (strideBytes > Number.MAX_SAFE_INTEGER) fail(file, name, `its shape ${show(shape)} overflows`)
  const bytes = shape.includes(0) ? 0 : strideBytes
  if (dtype !== undefined && bytes !== end - begin) {
    fail(file, name, `${storedType} ${show(shape)} takes ${bytes} bytes, but its data_offsets [${begin}, ${end}] hold ${end - begin}`)
  }
  return { dtype, storedType, shape, bytes: end - begin, file, begin }
}

/** The tensors must fill the data exactly: this finds overlaps, holes (and so names given twice, of which JSON keeps one) and padding. */
function checkLayout(file: string, entries: ReadonlyMap<string, Entry>, dataBytes: number): void {
  let end = 0
  let before = ''
  for (const [name, { begin, bytes }] of [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.bytes - b.bytes)) {
    if (begin < end) fail(file, name, `its data starts at byte ${begin} and overlaps tensor ${JSON.stringify(before)}, which ends at ${end}`)
    if (begin > end) fail(file, name, `a hole lies before its data: bytes ${end} to ${begin} belong to no tensor (is a name there twice?)`)
    end = begin + bytes
    before = name
  }
  if (end !== dataBytes) fail(file, null, `${dataBytes - end} bytes follow the last tensor's data (is a name there twice?)`)
}

function identityOf(stat: { readonly dev: bigint; readonly ino: bigint; readonly size: bigint; readonly mtimeNs: bigint }): string {
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`
}

/** Opens `path` and hands `body` its size, its identity and a function that reads from it. */
function withFile<T>(path: string, body: (size: number, identity: string, read: (position: number, bytes: number) => Buffer) => T): T {
  // Not waiting: a pipe would keep an ordinary open waiting for a writer.
  const file = attempt(path, 'cannot be opened', () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
  try {
    const stat = fstatSync(file, { bigint: true })
    if (!stat.isFile()) fail(path, null, 'is not a file')
    return body(Number(stat.size), identityOf(stat), (position, bytes) => {
      const buffer = Buffer.alloc(bytes)
      const got = attempt(path, 'cannot be read', () => readSync(file, buffer, 0, bytes, position))
      if (got < bytes) fail(path, null, 'became shorter while it was read')
      return buffer
    })
  } finally {
    closeSync(file)
  }
}

function openShard(path: string): Shard {
  return withFile(path, (size, identity, read) => {
    if (size < 8) fail(path, null, `has ${size} bytes; the length of the header alone takes 8`)
    const length = read(0, 8).readBigUInt64LE()
    if (length > maxHeaderBytes) fail(path, null, `claims a header of ${length} bytes; at most ${maxHeaderBytes} are allowed`)
    if (length > size - 8) fail(path, null, `claims a header of ${length} bytes, but has ${size - 8} after the length`)
    const dataStart = 8 + Number(length)
    const header = new Map(Object.entries(parseObject(path, read(8, Number(length)))))
    const metadata = header.get(metadataKey) ?? {}
    if (!isStrings(metadata)) fail(path, null, `${metadataKey} must be an object of strings, got ${show(metadata)}`)
    header.delete(metadataKey)
    const entries = new Map(Array.from(header, ([name, value]) => [name, readEntry(path, name, value, size - dataStart)]))
    checkLayout(path, entries, size - dataStart)
    return { path, identity, dataStart, entries, metadata: new Map(Object.entries(metadata)), mapping: undefined }
  })
}

/** Maps a file for the sake of a tensor. */
function mapShard(engine: Native, { path, identity }: Shard, name: string): number {
  const mapping = engine.mapFile(path)
  // Looked at after mapping: whatever was mapped is then the file whose header was read.
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (stat !== undefined && identityOf(stat) === identity) return mapping
  engine.unmapFile(mapping)
  fail(path, name, 'the file changed after it was opened')
}

/** The shards that an index names; each tensor must be in the shard that the index says, and no other tensor in any. */
function openIndex(path: string): Shard[] {
  const index = withFile(path, (size, _, read) => {
    if (size > maxHeaderBytes) fail(path, null, `has ${size} bytes; at most ${maxHeaderBytes} are allowed`)
    return parseObject(path, read(0, size))
  })
  const weightMap = index['weight_map']
  if (!isStrings(weightMap)) fail(path, null, `its weight_map must be an object of strings, got ${show(weightMap)}`)
  const places = new Map(Object.entries(weightMap))
  const shards = new Map<string, Shard>()
  for (const [name, file] of places) {
    if (!/^[^/\\\0]+\.safetensors$/.test(file)) fail(path, name, `is placed in ${show(file)}, which is not the plain name of a .safetensors file`)
    const shardPath = join(dirname(path), file)
    if (!shards.has(file)) {
      if (!existsSync(shardPath)) fail(path, name, `is placed in ${show(file)}, which does not exist`)
      shards.set(file, openShard(shardPath))
    }
    if (!shards.get(file)?.entries.has(name)) fail(path, name, `is placed in ${show(file)}, which does not hold it`)
  }
  for (const [file, { path: shardPath, entries }] of shards) {
    for (const name of entries.keys()) {
      const place = places.get(name)
      if (place !== file)
        fail(shardPath, name, `the index ${basename(path)} ${place === undefined ? 'does not list it' : `places it in ${show(place)}`}`)
    }
  }
  return [...shards.values()]
}

/** The checkpoint that a folder holds. */
function findIn(folder: string): string {
  const found = readdirSync(folder).filter((name) => name.endsWith('.safetensors'))
  if (found.includes(singleName)) return join(folder, singleName)
  if (existsSync(join(folder, indexName))) return join(folder, indexName)
  const [only] = found
  if (only !== undefined && found.length === 1) return join(folder, only)
  fail(folder, null, `holds no ${singleName}, no ${indexName}, and ${found.length} other .safetensors files where 1 would do`)
}

/** An open checkpoint; made by `openSafetensors`. */
export class Safetensors implements Disposable {
  /** The tensors' names, in the order of the headers. */
  readonly names: readonly string[]
  /** The `__metadata__` of the file, or of all shards together. */
  readonly metadata: ReadonlyMap<string, string>
  readonly #shards: readonly Shard[]
  readonly #places: ReadonlyMap<string, { readonly shard: Shard; readonly entry: Entry }>
  #open = true

  /** @internal */
  constructor(shards: readonly Shard[]) {
    this.#shards = shards
    this.#places = new Map(shards.flatMap((shard) => Array.from(shard.entries, ([name, entry]) => [name, { shard, entry }] as const)))
    this.names = [...this.#places.keys()]
    this.metadata = new Map(shards.flatMap((shard) => [...shard.metadata]))
  }

  #find(name: string): { readonly shard: Shard; readonly entry: Entry } {
    const place = this.#places.get(name)
    if (place === undefined) {
      throw new ArgumentError(
        `there is no tensor ${JSON.stringify(name)} among the ${this.names.length} of ${this.#shards.map(({ path }) => path).join(', ')}`,
      )
    }
    return place
  }

  /** What the header says about a tensor; an unknown name is an `ArgumentError`. */
  info(name: string): TensorInfo {
    const { begin: _, ...info } = this.#find(name).entry
    return info
  }

  /**
   * A tensor of the shape that `info` gives: a view of the file (a copy where the data is not aligned to its elements), owned by the
   * current scope. It stays valid when this object is disposed or the file is replaced; changing it in place does not change the
   * file. Shortening the file in place would crash the process, which is why `writeSafetensors` replaces files.
   *
   * An unknown name is an `ArgumentError`. An element type that Sightline does not have, or a file that changed since it was opened,
   * is a `FileFormatError`.
   */
  tensor(name: string): Tensor {
    if (!this.#open) throw new UseAfterFreeError(`tensor: the checkpoint was disposed before ${JSON.stringify(name)} was read`)
    const { shard, entry } = this.#find(name)
    const { dtype, storedType, shape, begin } = entry
    if (dtype === undefined) fail(shard.path, name, `its dtype is ${show(storedType)}; supported are ${Object.values(storedTypes).join(', ')}`)
    const context = currentContext()
    const engine = engineFor(context)
    const handle = attempt(shard.path, `tensor ${JSON.stringify(name)} cannot be mapped`, () => {
      shard.mapping ??= mapShard(engine, shard, name)
      return engine.mapTensor(shard.mapping, shard.dataStart + begin, dtypes[dtype].code, shape)
    })
    return adopt(handle, `tensor ${JSON.stringify(name)} of ${basename(shard.path)}`, context)
  }

  /** Gives up the files. Tensors that were read stay valid. Harmless when already done. */
  [Symbol.dispose](): void {
    this.#open = false
    for (const shard of this.#shards) {
      if (shard.mapping !== undefined) native().unmapFile(shard.mapping)
      shard.mapping = undefined
    }
  }
}

/**
 * Opens a checkpoint: a `.safetensors` file, a `*.safetensors.index.json` with its shards beside it, or a folder that holds
 * `model.safetensors`, `model.safetensors.index.json` or exactly one `.safetensors` file (looked for in this order). Only headers are
 * read. A file that is missing, damaged or inconsistent is a `FileFormatError` that names the file, the tensor and the reason.
 *
 * ```ts
 * using checkpoint = openSafetensors('Qwen3-VL-2B-Instruct')
 * const embedding = checkpoint.tensor('model.language_model.embed_tokens.weight')
 * ```
 */
export function openSafetensors(path: string): Safetensors {
  const folder = attempt(path, 'cannot be opened', () => statSync(path).isDirectory())
  const file = folder ? attempt(path, 'cannot be listed', () => findIn(path)) : path
  return new Safetensors(file.endsWith('.index.json') ? openIndex(file) : [openShard(file)])
}
