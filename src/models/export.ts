// Writes a model as a folder that transformers, vLLM and loadModel open: adapter merged, everything else of the source folder beside it.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { noGrad, scope } from '../torch/context.ts'
import type { DType } from '../torch/dtype.ts'
import { openSafetensors } from '../torch/safetensors.ts'
import { writeShardedSafetensors } from '../torch/safetensors-write.ts'
import type { Tensor } from '../torch/tensor.ts'
import { temporaryBeside, writeSynced } from './files.ts'
import type { Adapter } from './linear.ts'
import type { Model } from './model.ts'
import type { Checkpoint } from './registry.ts'

export interface ExportOptions {
  /** Added into the weights: weight + scale · b · a, computed in float32 and rounded once. */
  readonly adapter?: Adapter | null
  /** What weights are written in; by default each as the source folder stores it, or as it is in memory where that folder has none. */
  readonly dtype?: 'stored' | 'float32' | 'bfloat16'
  /** As in `writeShardedSafetensors`. */
  readonly maxShardBytes?: number
}

const configName = 'config.json'
/** Weights of any format and their indices, and what would make transformers look for an adapter. */
const notCopied = /\.(safetensors|bin|pt|pth|ckpt|gguf|onnx|h5|msgpack)(\.index\.json)?$|^adapter_config\.json$|^config\.json$/

function checkTarget(folder: string, source: string): void {
  if (!existsSync(folder)) return
  if (realpathSync(folder) === realpathSync(source)) throw new ArgumentError(`exportModel: ${folder} is the model's own folder; give a new one`)
  if (!statSync(folder).isDirectory() || readdirSync(folder).length > 0) {
    throw new ArgumentError(`exportModel: ${folder} is not an empty folder; give a new one, or remove what is there`)
  }
}

/** The element type of each stored weight; none where the folder holds only a configuration. */
function storedTypes(folder: string): Map<string, DType> {
  if (!readdirSync(folder).some((name) => /\.safetensors(\.index\.json)?$/.test(name))) return new Map()
  using file = openSafetensors(folder)
  const types = new Map<string, DType>()
  for (const name of file.names) {
    const { dtype } = file.info(name)
    if (dtype !== undefined) types.set(name, dtype)
  }
  return types
}

function checkAdapter(model: Model, adapter: Adapter): void {
  for (const [module, { a, b }] of adapter.modules) {
    const weight = model.linears.get(module)?.weight
    if (weight === undefined) throw new ArgumentError(`exportModel: the adapter updates ${module}, which this model has not`)
    if (weight.dim(0) !== b.dim(0) || weight.dim(1) !== a.dim(1)) {
      throw new ArgumentError(`exportModel: the adapter's ${module} is ${b} · ${a}, the model's ${weight}`)
    }
  }
}

/** The weights to write, by their names in the source folder's files. */
function weightsOf(
  { model, folder, storedNames }: Checkpoint,
  adapter: Adapter | null,
  dtype: NonNullable<ExportOptions['dtype']>,
): Map<string, Tensor> {
  const types = dtype === 'stored' ? storedTypes(folder) : new Map<string, DType>()
  return new Map(
    Array.from(model.parameters, ([name, weight]) => {
      const stored = storedNames.get(name) ?? name
      const wanted = dtype === 'stored' ? (types.get(stored) ?? weight.dtype) : dtype
      const update = adapter?.modules.get(name.replace(/\.weight$/, ''))
      if (update === undefined) return [stored, weight.toDtype(wanted)]
      const [a, b] = [update.a.toDtype('float32'), update.b.toDtype('float32')]
      return [stored, scope(() => weight.toDtype('float32').addmm(b, a, { alpha: update.scale }).toDtype(wanted))]
    }),
  )
}

/**
 * config.json with another element type. Only that text is replaced: a JSON writer would turn 1.0 into 1, of which transformers is not
 * always tolerant.
 */
export function withDtype(config: string, dtype: DType): string {
  const field = /("(?:torch_)?dtype"\s*:\s*)(?:"[^"]*"|null)/g
  return config.search(field) < 0 ? config.replace('{', `{\n  "torch_dtype": "${dtype}",`) : config.replaceAll(field, `$1"${dtype}"`)
}

function copySideFiles(source: string, folder: string, written: ReadonlySet<DType>): void {
  for (const name of readdirSync(source)) {
    if (name.startsWith('.') || notCopied.test(name) || !statSync(join(source, name)).isFile()) continue
    copyFileSync(join(source, name), join(folder, name))
  }
  const config = readFileSync(join(source, configName), 'utf8')
  const [only] = written
  writeSynced(join(folder, configName), only === undefined || written.size > 1 ? config : withDtype(config, only))
}

/**
 * Writes a model in Hugging Face's format: its weights under the names of the source folder's files, sharded or single, and copies of
 * that folder's other files (configuration, tokenizer, templates). The model in memory is not changed; the weights to write are in
 * memory a second time, in the type they are written in. The folder appears when it is complete.
 *
 * A folder that is not empty or the source itself, and an adapter of another model, are `ArgumentError`s.
 */
export function exportModel(folder: string, checkpoint: Checkpoint, options: ExportOptions = {}): void {
  const { adapter = null, dtype = 'stored', maxShardBytes } = options
  checkTarget(folder, checkpoint.folder)
  if (adapter !== null) checkAdapter(checkpoint.model, adapter)
  const unfinished = temporaryBeside(resolve(folder))
  mkdirSync(unfinished, { recursive: true })
  try {
    noGrad(() =>
      scope(() => {
        const weights = weightsOf(checkpoint, adapter, dtype)
        writeShardedSafetensors(unfinished, weights, maxShardBytes === undefined ? {} : { maxShardBytes })
        copySideFiles(checkpoint.folder, unfinished, new Set(Array.from(weights.values(), (weight) => weight.dtype)))
      }),
    )
    renameSync(unfinished, folder)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    throw error
  }
}
