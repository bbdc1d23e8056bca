// Who trains and who teaches: parts of a model that train, frozen copies that share the rest, and moving averages.

import { ArgumentError } from '../errors.ts'
import { requireGrad } from '../torch/autograd.ts'
import { dispose, keep, noGrad, scope } from '../torch/context.ts'
import { wide } from '../torch/nn.ts'
import type { Tensor } from '../torch/tensor.ts'
import { frozenAdapter, type LoraAdapter } from './lora.ts'
import type { Model } from './model.ts'

/** The vision tower; what joins its patches into tokens (DeepStack's too); embedding, blocks, last norm and head. */
export const modelParts = ['vision', 'merger', 'language'] as const
export type ModelPart = (typeof modelParts)[number]

/** The part that a parameter belongs to, by its name in `Model.parameters`. */
export function partOf(name: string): ModelPart {
  if (/^model\.visual\.(merger|deepstack_merger_list)\./.test(name)) return 'merger'
  return name.startsWith('model.visual.') ? 'vision' : 'language'
}

/** Lets the parameters of some parts train and those of the others not; returns those that train. No part freezes all. */
export function trainable(model: Model, parts: readonly ModelPart[]): Map<string, Tensor> {
  const unknown = parts.find((part) => !modelParts.includes(part))
  if (unknown !== undefined) throw new ArgumentError(`trainable: the part ${String(unknown)}; there are ${modelParts.join(', ')}`)
  for (const [name, parameter] of model.parameters) requireGrad(parameter, parts.includes(partOf(name)))
  return new Map([...model.parameters].filter(([name]) => parts.includes(partOf(name))))
}

/** A model that does not train, beside one that does. `dispose` frees what it has of its own; what it shares must outlive it. */
export interface FrozenModel extends Disposable {
  readonly model: Model
  /** The parameters that it has of its own. */
  readonly own: ReadonlyMap<string, Tensor>
}

/**
 * The model as it is now: copies of the parameters in `names`, which may train on, and the other parameters themselves.
 * A name that the model has not, or a parameter outside `names` that trains, is an `ArgumentError`.
 */
export function frozenCopy(model: Model, names: Iterable<string>): FrozenModel {
  const wanted = new Set(names)
  const unknown = [...wanted].find((name) => !model.parameters.has(name))
  if (unknown !== undefined) throw new ArgumentError(`frozenCopy: the model has no parameter ${unknown}`)
  const moving = [...model.parameters].find(([name, parameter]) => !wanted.has(name) && parameter.requiresGrad)
  if (moving !== undefined) throw new ArgumentError(`frozenCopy: ${moving[0]} trains, but is not among the names to copy: the copy would follow it`)
  return noGrad(() =>
    scope(() => {
      const own = keep(new Map(Array.from(wanted, (name) => [name, (model.parameters.get(name) as Tensor).clone()])))
      const copy = model.rebuild((name) => own.get(name) ?? (model.parameters.get(name) as Tensor))
      return { model: copy, own, [Symbol.dispose]: () => dispose(own) }
    }),
  )
}

/** The averages of an exponential moving average, by name: float32 where a half type would swallow its steps. */
export type Averages = ReadonlyMap<string, Tensor>

/** Moves tensors towards others that train; save `averages` to go on later. */
export interface Average extends Disposable {
  readonly averages: Averages
  /** average ← decay · average + (1 − decay) · source, once for each optimiser step. */
  update(): void
  /** Goes on from saved averages; one that is missing or misshapen is an `ArgumentError` and changes nothing. */
  load(saved: Averages): void
}

interface Pair {
  readonly source: Tensor
  /** What the teacher computes with. */
  readonly target: Tensor
  /** What is averaged: the target itself, or its float32 master. */
  readonly average: Tensor
}

function checkDecay(decay: number): void {
  if (!(decay >= 0 && decay <= 1)) throw new ArgumentError(`moving average: decay ${decay}; expected a number from 0 to 1`)
}

function average(sources: ReadonlyMap<string, Tensor>, targets: ReadonlyMap<string, Tensor>, decay: number, owner: Disposable): Average {
  const pairs = new Map<string, Pair>()
  noGrad(() =>
    scope(() => {
      for (const [name, target] of targets) pairs.set(name, { source: sources.get(name) as Tensor, target, average: keep(wide(target)) })
    }),
  )
  const averages = new Map(Array.from(pairs, ([name, pair]) => [name, pair.average]))
  const show = ({ target, average }: Pair): void => void (target === average || target.copy_(average))
  return {
    averages,
    update: () =>
      noGrad(() =>
        scope(() => {
          for (const pair of pairs.values()) {
            pair.average.lerp_(pair.source.toDtype(pair.average.dtype), 1 - decay)
            show(pair)
          }
        }),
      ),
    load: (saved) => {
      for (const [name, own] of averages) {
        const other = saved.get(name)
        if (other?.shape.join() !== own.shape.join()) {
          throw new ArgumentError(`moving average: the saved ${name} is ${other ?? 'missing'}; expected ${own}`)
        }
      }
      noGrad(() =>
        scope(() => {
          for (const [name, pair] of pairs) {
            pair.average.copy_(saved.get(name) as Tensor)
            show(pair)
          }
        }),
      )
    },
    [Symbol.dispose]: () => {
      dispose(averages)
      owner[Symbol.dispose]()
    },
  }
}

/**
 * A teacher that follows a model that trains (Mean Teacher, arXiv 1703.01780): a frozen copy whose parameters in `names` are
 * exponential moving averages of the model's. Errors are those of `frozenCopy`.
 * @param decay how much of the average stays in one update, such as 0.999
 */
export function emaTeacher(model: Model, names: Iterable<string>, decay: number): FrozenModel & Average {
  checkDecay(decay)
  const copy = frozenCopy(model, names)
  return { ...copy, ...average(model.parameters, copy.own, decay, copy) }
}

/** The same for an adapter: an average of its A and of its B, which is not the average of their products. */
export function emaAdapter(adapter: LoraAdapter, decay: number): { readonly adapter: LoraAdapter } & Average {
  checkDecay(decay)
  const copy = frozenAdapter(adapter)
  return { adapter: copy, ...average(adapter.parameters, copy.parameters, decay, copy) }
}
