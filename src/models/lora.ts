// Low-rank adapters (LoRA, arXiv 2106.09685): made new beside a model whose weights they never touch.

import { ArgumentError } from '../errors.ts'
import { requireGrad } from '../torch/autograd.ts'
import { dispose, keep, noGrad, scope } from '../torch/context.ts'
import { ops } from '../torch/operators.ts'
import { Generator } from '../torch/random.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Adapter, LowRank } from './linear.ts'
import type { Model } from './model.ts'
import { excludingAlso, type Patterns, patternOf, type Selection, selector } from './targets.ts'

/** The projections of attention and of the MLP in every block of the language model. */
export const defaultTargets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const

export interface LoraOptions {
  readonly rank: number
  /** The update is scaled by alpha / rank, or alpha / √rank with `rsLora`. */
  readonly alpha: number
  /** Seeds the first values of A. */
  readonly seed: number
  /** Module names or their ends, one regular expression for whole names, or 'all-linear'. `defaultTargets` by default. */
  readonly targets?: readonly string[] | string
  /** What to leave out of the targets, written alike. */
  readonly exclude?: readonly string[] | string
  /** Ranks of modules that have another, by regular expressions for the ends of their names. */
  readonly rankPattern?: Patterns
  readonly alphaPattern?: Patterns
  /** Probability with which an input of the update is dropped in training; 0 by default. */
  readonly dropout?: number
  /** Rank-stabilised scaling (arXiv 2312.03732); false by default. */
  readonly rsLora?: boolean
  /**
   * Whether modules of the vision tower may be targets; false by default, since `gate_proj` and its like are also in Qwen2.5-VL's, and
   * features of a frozen tower can be shared by student and teachers.
   */
  readonly vision?: boolean
  /** What A and B are kept in; float32 by default, whatever the base is kept in. */
  readonly dtype?: 'float32' | 'bfloat16'
}

/** Everything that decides which modules an adapter updates, and how: what adapter_config.json holds. */
export interface LoraSettings extends Selection {
  readonly rank: number
  readonly alpha: number
  readonly rankPattern: Patterns
  readonly alphaPattern: Patterns
  readonly dropout: number
  readonly rsLora: boolean
}

/** An adapter that owns its tensors. Give it to a pass as `Run.adapter`; the base is the pass with null. */
export interface LoraAdapter extends Adapter, Disposable {
  readonly settings: LoraSettings
  /** A and B of every module by the names of PEFT's files, `base_model.model.<module>.lora_A.weight`. */
  readonly parameters: ReadonlyMap<string, Tensor>
}

/** Where an adapter updates a model: a [rank, into] and b [out, rank]. */
export interface Place {
  readonly rank: number
  readonly scale: number
  readonly into: number
  readonly out: number
}

/** What PEFT's files put before a module's name. */
export const modulePrefix = 'base_model.model.'

/** What PEFT's files call a module's A or B. */
export const storedName = (module: string, factor: 'A' | 'B'): string => `${modulePrefix}${module}.lora_${factor}.weight`

const visionModules = String.raw`model\.visual\..*`
const inVision = new RegExp(visionModules)

/** 'all-linear' as the names it stands for, as PEFT stores it; other settings as they are. */
export function expanded(model: Model, settings: LoraSettings): LoraSettings {
  const { targets, exclude } = settings
  if (typeof targets !== 'string' || targets.toLowerCase() !== 'all-linear') return settings
  const linear = selector({ targets: '.*', exclude, layers: null, layersPattern: [] })
  return { ...settings, targets: [...model.linears.keys()].filter(linear) }
}

/** The places that settings select in a model, in its order; none, or a module that is not a linear layer, is an `ArgumentError`. */
export function placesOf(model: Model, settings: LoraSettings): Map<string, Place> {
  const selected = selector(settings)
  const others = new Set(['lm_head', ...model.parameters.keys()].map((name) => name.replace(/\.(weight|bias)$/, '')))
  const wrong = [...others].filter((name) => selected(name) && !model.linears.has(name))
  if (wrong.length > 0) {
    throw new ArgumentError(
      `LoRA: the targets select ${wrong[0]}; only linear layers inside the blocks can be targets, not embeddings, the head, norms or convolutions`,
    )
  }
  const places = new Map<string, Place>()
  for (const { name, weight } of model.linears.values()) {
    if (!selected(name)) continue
    const rank = settings.rankPattern[patternOf(settings.rankPattern, name) ?? ''] ?? settings.rank
    const alpha = settings.alphaPattern[patternOf(settings.alphaPattern, name) ?? ''] ?? settings.alpha
    places.set(name, { rank, scale: alpha / (settings.rsLora ? Math.sqrt(rank) : rank), into: weight.dim(1), out: weight.dim(0) })
  }
  if (places.size === 0) {
    const ends = new Set(Array.from(model.linears.keys(), (name) => name.slice(name.lastIndexOf('.') + 1)))
    throw new ArgumentError(
      `LoRA: targets ${JSON.stringify(settings.targets)} without ${JSON.stringify(settings.exclude)} select no layer; ` +
        `the layers' names end in ${[...ends].join(', ')} (those of the vision tower are targets with vision: true only)`,
    )
  }
  return places
}

/** An adapter of the tensors that `make` gives for each module; it owns them, and they train if `training`. */
export function assemble<P extends { readonly scale: number }>(
  settings: LoraSettings,
  places: ReadonlyMap<string, P>,
  make: (module: string, place: P) => { readonly a: Tensor; readonly b: Tensor },
  training: boolean,
): LoraAdapter {
  const modules = new Map<string, LowRank>()
  const parameters = new Map<string, Tensor>()
  noGrad(() =>
    scope(() => {
      for (const [module, place] of places) {
        const { a, b } = make(module, place)
        modules.set(module, { a, b, scale: place.scale })
        parameters.set(storedName(module, 'A'), requireGrad(a, training)).set(storedName(module, 'B'), requireGrad(b, training))
      }
      keep(parameters)
    }),
  )
  return { settings, modules, parameters, dropout: settings.dropout, [Symbol.dispose]: () => dispose(parameters) }
}

function checkOptions({ rank, alpha, dropout, rankPattern, alphaPattern }: LoraSettings): void {
  const bad = [rank, ...Object.values(rankPattern)].find((value) => !Number.isSafeInteger(value) || value < 1)
  if (bad !== undefined) throw new ArgumentError(`LoRA: rank ${bad}; expected an integer above 0`)
  const badAlpha = [alpha, ...Object.values(alphaPattern)].find((value) => !(value > 0 && Number.isFinite(value)))
  if (badAlpha !== undefined) throw new ArgumentError(`LoRA: alpha ${badAlpha}; expected a number above 0`)
  if (!(dropout >= 0 && dropout < 1)) throw new ArgumentError(`LoRA: dropout ${dropout}; expected a probability below 1`)
}

/** Refuses targets and patterns that nothing answers to: they are misspelt. A target may be excluded, though. */
function checkUsed({ targets, rankPattern, alphaPattern }: LoraSettings, modules: readonly string[], eligible: readonly string[]): void {
  for (const target of typeof targets === 'string' ? [] : targets) {
    const used = eligible.some((name) => name === target || name.endsWith(`.${target}`))
    if (!used) throw new ArgumentError(`LoRA: the target ${target} selects no layer; drop it or correct it`)
  }
  for (const pattern of [...Object.keys(rankPattern), ...Object.keys(alphaPattern)]) {
    const used = modules.some((name) => patternOf({ [pattern]: 1 }, name) !== undefined)
    if (!used) throw new ArgumentError(`LoRA: the pattern ${pattern} matches none of the ${modules.length} modules that the targets select`)
  }
}

/**
 * A new adapter of a model, on its device, ready to train: A uniform in ±1/√in (Kaiming with a = √5, as PEFT draws it), B zero, so that
 * it changes nothing yet. Targets and patterns that select nothing, or something else than linear layers, are `ArgumentError`s.
 */
export function attachLora(model: Model, options: LoraOptions): LoraAdapter {
  const { rank, alpha, seed, targets = defaultTargets, exclude = [], vision = false, dtype = 'float32' } = options
  const { rankPattern = {}, alphaPattern = {}, dropout = 0, rsLora = false } = options
  const without = vision ? exclude : excludingAlso(exclude, visionModules)
  const given = { rank, alpha, targets, exclude: without, layers: null, layersPattern: [], rankPattern, alphaPattern, dropout, rsLora }
  const settings = expanded(model, given)
  checkOptions(settings)
  const places = placesOf(model, settings)
  const eligible = [...model.linears.keys()].filter((name) => vision || !inVision.test(name))
  checkUsed(settings, [...places.keys()], eligible)
  using generator = Generator.seeded(seed)
  const { device } = model
  const make = (_: string, place: Place): { a: Tensor; b: Tensor } => {
    const bound = 1 / Math.sqrt(place.into)
    // Drawn on the CPU, so that a seed gives the same numbers on every device.
    const a = ops.empty([place.rank, place.into]).uniform_(-bound, bound, { generator }).to({ dtype, device })
    return { a, b: ops.zeros([place.out, place.rank], { dtype, device }) }
  }
  return assemble(settings, places, make, true)
}

/** A copy that does not train and owns its tensors: a snapshot of a policy, or the place of an average. */
export function frozenAdapter(adapter: LoraAdapter): LoraAdapter {
  return assemble(adapter.settings, adapter.modules, (_, { a, b }) => ({ a: a.clone(), b: b.clone() }), false)
}
