// Adapters as folders in PEFT's format (peft 0.21.2), which transformers, vLLM and others load; and strictly back.

import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { Fields } from '../fields.ts'
import { openSafetensors, type Safetensors } from '../torch/safetensors.ts'
import { writeSafetensors } from '../torch/safetensors-write.ts'
import type { Tensor } from '../torch/tensor.ts'
import { temporaryBeside, writeSynced } from './files.ts'
import { assemble, expanded, type LoraAdapter, type LoraSettings, modulePrefix, type Place, placesOf, storedName } from './lora.ts'
import type { Model } from './model.ts'
import type { Patterns } from './targets.ts'

const configName = 'adapter_config.json'
const weightsName = 'adapter_model.safetensors'

/** What PEFT writes besides for plain LoRA. Its loaders take absent fields for these, other programs' may not. */
const plainFields = {
  alora_invocation_tokens: null,
  arrow_config: null,
  auto_mapping: null,
  bias: 'none',
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  loftq_config: {},
  lora_bias: false,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  monteclora_config: null,
  peft_type: 'LORA',
  peft_version: '0.21.2',
  qalora_group_size: 16,
  revision: null,
  target_parameters: null,
  task_type: 'CAUSAL_LM',
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  velora_config: null,
}

const orNull = <T>(list: readonly T[] | string): readonly T[] | string | null => (list.length === 0 ? null : list)

function configOf(settings: LoraSettings, baseModel: string): string {
  const fields: Record<string, unknown> = {
    ...plainFields,
    base_model_name_or_path: baseModel,
    r: settings.rank,
    lora_alpha: settings.alpha,
    lora_dropout: settings.dropout,
    use_rslora: settings.rsLora,
    target_modules: settings.targets,
    exclude_modules: orNull(settings.exclude),
    layers_to_transform: settings.layers,
    layers_pattern: orNull(settings.layersPattern),
    rank_pattern: settings.rankPattern,
    alpha_pattern: settings.alphaPattern,
  }
  const sorted = Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`
}

/**
 * Writes an adapter's folder: adapter_config.json and adapter_model.safetensors. An adapter that is there is replaced once the new one
 * is on the disk; an error before that leaves it as it was.
 * @param options.baseModel the folder or hub name of the model that it belongs to, which PEFT's loaders look up
 */
export function saveAdapter(folder: string, adapter: LoraAdapter, options: { readonly baseModel: string }): void {
  const [config, weights] = [join(folder, configName), join(folder, weightsName)]
  const [newConfig, newWeights] = [temporaryBeside(config), temporaryBeside(weights)]
  mkdirSync(folder, { recursive: true })
  try {
    writeSafetensors(newWeights, adapter.parameters)
    writeSynced(newConfig, configOf(adapter.settings, options.baseModel))
    // Two files cannot be replaced at one moment: a crash between the moves leaves a folder that does not load, not a mixed one.
    rmSync(config, { force: true })
    renameSync(newWeights, weights)
    renameSync(newConfig, config)
  } finally {
    for (const path of [newConfig, newWeights]) rmSync(path, { force: true })
  }
}

/** Fields that say what is computed, and those that change nothing; whatever else is set makes it another method than plain LoRA. */
const readFields = [
  'r',
  'lora_alpha',
  'lora_dropout',
  'use_rslora',
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'rank_pattern',
  'alpha_pattern',
  'peft_type',
  'bias',
  'init_lora_weights',
]
const idleFields = [
  'auto_mapping',
  'base_model_name_or_path',
  'inference_mode',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'task_type',
]
/** Ways to initialise that leave the base as it is; after the others an adapter fits a changed base only. */
const harmlessInitialisations: readonly unknown[] = [true, false, 'gaussian', 'orthogonal', 'mica']

const isUnset = (value: unknown): boolean =>
  value === undefined || value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0)
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((each) => typeof each === 'string')

function textsOf(fields: Fields, name: string, single: boolean): readonly string[] | string {
  const value = fields.has(name) ? fields.values[name] : []
  if (isTexts(value)) return value
  if (typeof value !== 'string') throw fields.wrong(name, 'a list of texts, or a text')
  return single ? value : [value]
}

function patternsOf(fields: Fields, name: string, read: (part: Fields, key: string) => number): Patterns {
  if (!fields.has(name)) return {}
  const part = fields.part(name)
  return Object.fromEntries(Object.keys(part.values).map((key) => [key, read(part, key)]))
}

function readSettings(fields: Fields): LoraSettings {
  fields.oneOf('peft_type', ['LORA'])
  fields.oneOf('bias', ['none'], 'none')
  const initial = fields.values['init_lora_weights'] ?? true
  if (!harmlessInitialisations.includes(initial)) {
    throw fields.wrong('init_lora_weights', `one of ${harmlessInitialisations.join(', ')}: others change the base; let PEFT convert the adapter`)
  }
  for (const [name, value] of Object.entries(fields.values)) {
    if (readFields.includes(name) || idleFields.includes(name) || isUnset(value)) continue
    throw fields.wrong(name, 'nothing there: only plain LoRA is supported')
  }
  const targets = textsOf(fields, 'target_modules', true)
  if (targets.length === 0) throw fields.wrong('target_modules', 'the names of modules')
  const layers = fields.values['layers_to_transform']
  const layersPattern = textsOf(fields, 'layers_pattern', false) as readonly string[]
  if (typeof targets === 'string' && (fields.has('layers_to_transform') || layersPattern.length > 0)) {
    throw fields.wrong('target_modules', 'a list of names, where layers_to_transform or layers_pattern is set')
  }
  const dropout = fields.notNegative('lora_dropout', 0)
  if (dropout >= 1) throw fields.wrong('lora_dropout', 'a probability below 1')
  const indices = isUnset(layers) ? [] : typeof layers === 'number' ? [layers] : fields.integers('layers_to_transform')
  return {
    rank: fields.count('r'),
    alpha: fields.positive('lora_alpha'),
    dropout,
    rsLora: fields.flag('use_rslora', false),
    targets,
    exclude: textsOf(fields, 'exclude_modules', true),
    // PEFT takes an empty list for no restriction.
    layers: indices.length === 0 ? null : indices,
    layersPattern,
    rankPattern: patternsOf(fields, 'rank_pattern', (part, key) => part.count(key)),
    alphaPattern: patternsOf(fields, 'alpha_pattern', (part, key) => part.positive(key)),
  }
}

/** A configuration that does not fit the model is the file's fault here. */
function placed(model: Model, fields: Fields): { settings: LoraSettings; places: Map<string, Place> } {
  const read = readSettings(fields)
  try {
    const settings = expanded(model, read)
    return { settings, places: placesOf(model, settings) }
  } catch (cause) {
    if (cause instanceof ArgumentError) throw new FileFormatError(`${fields.file}: ${cause.message}`, { cause })
    throw cause
  }
}

/**
 * What the file calls each tensor, by its present name: adapters that were trained with transformers before 4.52 say `model.layers.…` where
 * it is `model.language_model.layers.…` now. The tensors must be exactly those that the configuration selects.
 */
function namesIn(file: Safetensors, path: string, model: Model, places: ReadonlyMap<string, Place>): ReadonlyMap<string, string> {
  const present = (stored: string): string =>
    stored.startsWith(modulePrefix) ? modulePrefix + model.presentName(stored.slice(modulePrefix.length)) : stored
  const names = new Map(file.names.map((stored) => [present(stored), stored]))
  const wanted = new Set([...places.keys()].flatMap((module) => [storedName(module, 'A'), storedName(module, 'B')]))
  const missing = [...wanted].filter((name) => !names.has(name))
  const unexpected = [...names].filter(([name]) => !wanted.has(name)).map(([, stored]) => stored)
  if (missing.length === 0 && unexpected.length === 0) return names
  const say = (what: string, names: readonly string[]): string => (names.length === 0 ? '' : `; ${names.length} ${what}, such as ${names[0]}`)
  throw new FileFormatError(
    `${path}: its tensors are not those that ${configName} selects in this model${say('are missing', missing)}${say('are not expected', unexpected)}`,
  )
}

function factorOf(file: Safetensors, name: string, shape: readonly number[], like: Tensor): Tensor {
  const info = file.info(name)
  if (info.shape.join() !== shape.join()) {
    throw new FileFormatError(`${info.file}: ${name} has the shape [${info.shape.join(', ')}]; the model and ${configName} say [${shape.join(', ')}]`)
  }
  if (!/^B?F\d+$/.test(info.storedType)) throw new FileFormatError(`${info.file}: ${name} holds ${info.storedType}; expected floating-point numbers`)
  return file.tensor(name).to({ dtype: 'float32', device: like.device })
}

/**
 * Loads an adapter that PEFT or `saveAdapter` wrote, ready to train, as float32 (PEFT's own default). Another method than plain LoRA, a
 * configuration that does not fit the model, and tensors that are missing, unexpected or misshapen are `FileFormatError`s that name
 * what is wrong. The configuration decides about the vision tower, too.
 */
export function loadAdapter(folder: string, model: Model): LoraAdapter {
  const { settings, places } = placed(model, Fields.ofFile(join(folder, configName)))
  const path = join(folder, weightsName)
  using file = openSafetensors(path)
  const names = namesIn(file, path, model, places)
  const stored = (module: string, factor: 'A' | 'B'): string => names.get(storedName(module, factor)) as string
  const like = model.language.norm
  const make = (module: string, { rank, into, out }: Place): { a: Tensor; b: Tensor } => ({
    a: factorOf(file, stored(module, 'A'), [rank, into], like),
    b: factorOf(file, stored(module, 'B'), [out, rank], like),
  })
  return assemble(settings, places, make, true)
}
