// Writes checkpoints in the safetensors format, for transformers to load, and so that a failure never costs the checkpoint before.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { dtypes } from './dtype.ts'
import { indexName, metadataKey, singleName, storedTypes } from './safetensors.ts'
import type { Tensor } from './tensor.ts'

type Named = readonly [name: string, tensor: Tensor]
type Metadata = Readonly<Record<string, string>>

/** Tensors by name: a Map, an object, or any pairs. Any dtype, shape, strides and device. */
export type NamedTensors = Iterable<Named> | Readonly<Record<string, Tensor>>

interface Output {
  readonly path: string
  write(file: number): void
}

/** transformers refuses files whose metadata do not say whose layout of weights they hold. */
const defaultMetadata: Metadata = { format: 'pt' }
const layoutOrder = Object.keys(storedTypes)

/** The tensors with their names; a name that the format cannot hold is an `ArgumentError`. */
function collect(tensors: NamedTensors): Named[] {
  const named = Symbol.iterator in tensors ? [...(tensors as Iterable<Named>)] : Object.entries(tensors)
  const seen = new Set<string>()
  for (const [name] of named) {
    if (name === '' || name === metadataKey || !name.isWellFormed())
      throw new ArgumentError(`safetensors: no tensor can have the name ${JSON.stringify(name)}`)
    if (seen.has(name)) throw new ArgumentError(`safetensors: two tensors have the name ${JSON.stringify(name)}`)
    seen.add(name)
  }
  return named
}

function bytesOf(tensor: Tensor): number {
  return tensor.size * dtypes[tensor.dtype].bytes
}

/** The header's length and the header, padded with spaces to a multiple of 8 so that the data is aligned. */
function encodeHeader(tensors: readonly Named[], metadata: Metadata): Buffer {
  const entries: [name: string, entry: unknown][] = Object.keys(metadata).length === 0 ? [] : [[metadataKey, metadata]]
  let end = 0
  for (const [name, tensor] of tensors) {
    const begin = end
    end += bytesOf(tensor)
    entries.push([name, { dtype: storedTypes[tensor.dtype], shape: tensor.shape, data_offsets: [begin, end] }])
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ')
  header.writeBigUInt64LE(BigInt(header.length - 8))
  json.copy(header, 8)
  return header
}

function writeAll(file: number, bytes: Uint8Array): void {
  // One call of node's takes less than 2^31 bytes, and the system may write fewer than it is given.
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30))
}

function tensorFile(path: string, tensors: readonly Named[], metadata: Metadata): Output {
  const rank = ({ dtype }: Tensor): number => layoutOrder.indexOf(dtype)
  const sorted = tensors.toSorted(([a, x], [b, y]) => rank(x) - rank(y) || (a < b ? -1 : 1))
  return {
    path,
    write(file) {
      writeAll(file, encodeHeader(sorted, metadata))
      for (const [, tensor] of sorted) {
        const { buffer } = tensor.data()
        writeAll(file, new Uint8Array(buffer))
        // Frees the copy now: the garbage collector lets four or five pile up (measured).
        if (buffer instanceof ArrayBuffer) buffer.transfer(0)
      }
    },
  }
}

/** Opens, runs `body`, puts the result on the disk for good, and closes. */
function withSynced(path: string, flags: 'r' | 'wx', body: (file: number) => void): void {
  const file = openSync(path, flags)
  try {
    body(file)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Makes the names in a folder as they are now survive a crash. */
function syncFolder(folder: string): void {
  withSynced(folder, 'r', () => {})
}

/**
 * Writes files into one folder under temporary names, and moves them to their places, in order, once all are on the disk. An error
 * before that leaves the folder as it was.
 */
function publish(folder: string, outputs: readonly Output[]): void {
  const staged = outputs.map(({ path, write }) => ({ path, write, temporary: join(folder, `.${basename(path)}.${crypto.randomUUID()}.tmp`) }))
  try {
    for (const { temporary, write } of staged) withSynced(temporary, 'wx', write)
    // Several files cannot be replaced at one moment. Where there are old ones of the same names, the index, which is the last, is
    // removed first: a crash among the moves then leaves a folder that does not open rather than one that mixes two checkpoints.
    const [index, ...shards] = staged.toReversed()
    if (index !== undefined && shards.some(({ path }) => existsSync(path))) {
      rmSync(index.path, { force: true })
      syncFolder(folder)
    }
    for (const { temporary, path } of staged) {
      renameSync(temporary, path)
      syncFolder(folder)
    }
  } catch (error) {
    for (const { temporary } of staged) rmSync(temporary, { force: true })
    throw error
  }
}

/**
 * Writes tensors to a `.safetensors` file (https://github.com/huggingface/safetensors#format), laid out as the reference
 * implementation does: wide element types first, then by name. An existing file is replaced at one moment, once the new one is
 * safely on the disk; after an error it is as it was. Tensors are copied one at a time.
 *
 * Tensors that are freed are a `UseAfterFreeError`; a name that is empty, `__metadata__`, not Unicode or given twice is an `ArgumentError`.
 * @param options.metadata the `__metadata__` of the header; `{ format: 'pt' }` by default, which transformers asks for; `{}` for none
 */
export function writeSafetensors(path: string, tensors: NamedTensors, options: { readonly metadata?: Metadata } = {}): void {
  const { metadata = defaultMetadata } = options
  publish(dirname(path), [tensorFile(path, collect(tensors), metadata)])
}

/** Tensors in order, in lists of at most `maxBytes` or of one tensor; one empty list where there are none. */
function split(tensors: readonly Named[], maxBytes: number): Named[][] {
  let shard: Named[] = []
  const shards = [shard]
  let bytes = 0
  for (const named of tensors) {
    const more = bytesOf(named[1])
    if (bytes + more > maxBytes && shard.length > 0) {
      shard = []
      shards.push(shard)
      bytes = 0
    }
    shard.push(named)
    bytes += more
  }
  return shards
}

/**
 * Writes tensors to a folder as transformers does: `model.safetensors`, or `model-00001-of-0000N.safetensors` and so on with
 * `model.safetensors.index.json` where one file would be larger than `maxShardBytes`. What an earlier write left there under such
 * names is removed once the new checkpoint is complete; until all of it is on the disk, an error leaves the old one as it was.
 *
 * Errors and `metadata` are those of `writeSafetensors`.
 * @param options.maxShardBytes of tensor data in a file, 5 GB by default; a larger tensor gets a file of its own
 */
export function writeShardedSafetensors(
  folder: string,
  tensors: NamedTensors,
  options: { readonly maxShardBytes?: number; readonly metadata?: Metadata } = {},
): void {
  const { maxShardBytes = 5e9, metadata = defaultMetadata } = options
  if (!(maxShardBytes > 0)) throw new ArgumentError(`writeShardedSafetensors: maxShardBytes must be positive, got ${maxShardBytes}`)
  const named = collect(tensors)
  const shards = split(named, maxShardBytes)
  const digits = (value: number): string => String(value).padStart(5, '0')
  const nameOf = (i: number): string => (shards.length === 1 ? singleName : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`)
  const outputs = shards.map((shard, i) => tensorFile(join(folder, nameOf(i)), shard, metadata))
  if (shards.length > 1) {
    const places = shards.flatMap((shard, i) => shard.map(([name]) => [name, nameOf(i)] as const)).sort(([a], [b]) => (a < b ? -1 : 1))
    const totalBytes = named.reduce((sum, [, tensor]) => sum + bytesOf(tensor), 0)
    const index = { metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(places) }
    outputs.push({
      path: join(folder, indexName),
      write: (file) => writeAll(file, Buffer.from(`${JSON.stringify(index, null, 2)}\n`)),
    })
  }
  mkdirSync(folder, { recursive: true })
  publish(folder, outputs)

  const written = new Set(outputs.map(({ path }) => basename(path)))
  for (const name of readdirSync(folder)) {
    const ours = name === singleName || name === indexName || /^model-\d{5,}-of-\d{5,}\.safetensors$/.test(name)
    if (ours && !written.has(name)) rmSync(join(folder, name))
  }
}
