// The families that Sightline knows, and loading a model from a folder in Hugging Face's format.

import { join } from 'node:path'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { Fields } from '../fields.ts'
import { dispose, keep, noGrad, scope } from '../torch/context.ts'
import type { Device, DType } from '../torch/dtype.ts'
import { native } from '../torch/native.ts'
import { ops } from '../torch/operators.ts'
import { Generator } from '../torch/random.ts'
import { openSafetensors, type Safetensors, type TensorInfo } from '../torch/safetensors.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Family, ModelConfig } from './family.ts'
import { embeddingName, headName } from './language.ts'
import { Model } from './model.ts'
import { qwen25 } from './qwen2_5_vl.ts'
import { qwen3 } from './qwen3_vl.ts'

// A family's own configuration is read and used by itself alone: the registry need not know its fields.
const families: ReadonlyMap<string, Family> = new Map([qwen25, qwen3].map((family) => [family.name, family as unknown as Family]))

export interface LoadOptions {
  /**
   * What weights are kept in: as stored, or converted. On the CPU float32 computes fastest, and bfloat16 matrices take half the memory
   * (they are widened where they are used, and vectors always). By default as stored on a GPU, float32 on the CPU.
   */
  readonly dtype?: 'stored' | 'float32' | 'bfloat16'
  readonly device?: Device
}

/** A model with the folder it came from. `dispose` frees its weights. */
export interface Checkpoint extends Disposable {
  readonly model: Model
  readonly folder: string
  /** The name in the file of every parameter, by the name it has here. */
  readonly storedNames: ReadonlyMap<string, string>
}

/** What a folder says about its model, before any weight is read. */
export interface Description {
  readonly family: Family
  readonly config: ModelConfig
  /** Every weight that the configuration asks for. */
  readonly shapes: ReadonlyMap<string, readonly number[]>
}

/** Reads config.json of a model folder. An unknown model_type is a `FileFormatError` that lists the known ones. */
export function describeModel(folder: string): Description {
  const fields = Fields.ofFile(join(folder, 'config.json'))
  const family = families.get(fields.oneOf('model_type', [...families.keys()])) as Family
  for (const part of fields.has('text_config') ? [fields, fields.part('text_config')] : [fields]) {
    part.refuse('quantization_config', 'quantised checkpoints are not supported')
  }
  const config = family.readConfig(fields)
  const shapes = new Map<string, readonly number[]>()
  scope(() => {
    const nothing = ops.empty([0])
    new Model(family, config, (name, shape) => {
      shapes.set(name, shape)
      return nothing
    })
  })
  return { family, config, shapes }
}

/** Buffers that old checkpoints stored and that are computed here. */
const computed = /\.rotary_emb\.inv_freq$/

const list = (names: readonly string[]): string => `${names.slice(0, 8).join(', ')}${names.length > 8 ? ` and ${names.length - 8} more` : ''}`

/**
 * Holds the weights of a file against the configuration: what each is stored as, by the name it has here. One that is missing,
 * unexpected, stored twice or of another shape is a `FileFormatError` that names it.
 */
export function matchWeights(
  file: Safetensors,
  folder: string,
  { family, config, shapes }: Description,
): Map<string, { stored: string; info: TensorInfo }> {
  const found = new Map<string, { stored: string; info: TensorInfo }>()
  for (const stored of file.names) {
    if (computed.test(stored)) continue
    const name = family.renamed(stored)
    const other = found.get(name)
    if (other !== undefined) throw new FileFormatError(`${folder}: the weights ${other.stored} and ${stored} are both ${name}`)
    found.set(name, { stored, info: file.info(stored) })
  }
  const [head, embed] = [found.get(headName), found.get(embeddingName)]
  if (config.language.tied && head !== undefined && embed !== undefined) {
    const same = scope(() => file.tensor(head.stored).equal(file.tensor(embed.stored)))
    if (!same) throw new FileFormatError(`${folder}: tie_word_embeddings is true in config.json, but ${head.stored} differs from ${embed.stored}`)
    found.delete(headName)
  }
  const missing = [...shapes.keys()].filter((name) => !found.has(name))
  if (missing.length > 0) throw new FileFormatError(`${folder}: config.json asks for ${missing.length} weights that are not there: ${list(missing)}`)
  const unexpected = [...found].filter(([name]) => !shapes.has(name)).map(([, { stored }]) => stored)
  if (unexpected.length > 0) {
    throw new FileFormatError(`${folder}: ${unexpected.length} weights do not belong to the ${family.name} of config.json: ${list(unexpected)}`)
  }
  for (const [name, shape] of shapes) {
    const { stored, info } = found.get(name) as { stored: string; info: TensorInfo }
    if (info.shape.join() !== shape.join()) {
      throw new FileFormatError(`${info.file}: ${stored} has the shape [${info.shape.join(', ')}]; config.json says [${shape.join(', ')}]`)
    }
  }
  return found
}

/** A stored tensor as the model wants it. */
function prepared(stored: Tensor, dtype: NonNullable<LoadOptions['dtype']>, device: Device): Tensor {
  if (device !== 'cpu') return dtype === 'stored' ? stored.to({ device }) : stored.to({ dtype, device })
  // Vectors are few and small: wide ones reach the fused kernels. So are the patches' filters, of five axes.
  const wanted: DType = stored.rank !== 2 ? 'float32' : dtype === 'stored' ? stored.dtype : dtype
  return stored.toDtype(wanted === 'float16' ? 'float32' : wanted)
}

/** Loads a model folder: config.json and safetensors, sharded or single. Weights that need no conversion are views of the files. */
export function loadModel(folder: string, options: LoadOptions = {}): Checkpoint {
  const { device = 'cpu', dtype = device === 'cpu' ? 'float32' : 'stored' } = options
  if (device !== 'cpu' && native().describe().cudaDevices === 0) {
    throw new ArgumentError(`loadModel: device ${device}, but there is no CUDA device; see sightline doctor, or load on the cpu`)
  }
  const description = describeModel(folder)
  using file = openSafetensors(folder)
  const found = matchWeights(file, folder, description)
  const storedNames = new Map([...found].map(([name, { stored }]) => [name, stored]))
  return built(folder, description, storedNames, (name) => prepared(file.tensor(storedNames.get(name) as string), dtype, device))
}

/**
 * A model of a folder's config.json with normal random weights (norms at one), for tests and benchmarks; weights there are not looked at.
 * @param options.deviation standard deviation of the weights
 */
export function randomModel(folder: string, options: { readonly seed: number; readonly deviation: number }): Checkpoint {
  const { seed, deviation } = options
  if (!(deviation > 0)) throw new ArgumentError(`randomModel: deviation ${deviation}; expected a number above 0`)
  const description = describeModel(folder)
  using generator = Generator.seeded(seed)
  const isNorm = /(norm\d?|ln_q)\.weight$/
  const storedNames = new Map([...description.shapes.keys()].map((name) => [name, name]))
  return built(folder, description, storedNames, (name, shape) =>
    isNorm.test(name) ? ops.ones(shape) : ops.empty(shape).normal_(0, deviation, { generator }),
  )
}

function built(
  folder: string,
  { family, config }: Description,
  storedNames: ReadonlyMap<string, string>,
  source: (name: string, shape: readonly number[]) => Tensor,
): Checkpoint {
  const model = noGrad(() =>
    scope(() => {
      const made = new Model(family, config, source)
      keep(made.parameters)
      return made
    }),
  )
  return { model, folder, storedNames, [Symbol.dispose]: () => dispose(model.parameters) }
}
