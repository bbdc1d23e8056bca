// AdamW with decoupled weight decay, and clipping by the global norm.

import { ArgumentError } from '../errors.ts'
import { gradient } from './autograd.ts'
import { dispose, keep, noGrad, scope } from './context.ts'
import { isHalf } from './dtype.ts'
import { fusable } from './nn.ts'
import { ops } from './operators.ts'
import type { Tensor } from './tensor.ts'

export interface AdamWOptions {
  /** Learning rate of a step that is not given one. */
  readonly rate: number
  readonly beta1?: number
  readonly beta2?: number
  readonly eps?: number
  /** Decay per step is rate · decay · parameter; a function decides for each parameter. */
  readonly weightDecay?: number | ((name: string, parameter: Tensor) => number)
  /** Multiplies the rate of a parameter, for parts that learn at another pace. */
  readonly rateScale?: (name: string) => number
}

interface Slot {
  readonly name: string
  readonly parameter: Tensor
  readonly first: Tensor
  readonly second: Tensor
  /** The parameter in float32, where it is kept in a half type: small steps would be lost in it. */
  readonly master: Tensor | null
  readonly weightDecay: number
  readonly rateScale: number
  step: number
}

/** What a checkpoint stores: tensors named after the parameters, and the steps each has taken. */
export interface OptimizerState {
  readonly steps: { readonly [name: string]: number }
  readonly tensors: ReadonlyMap<string, Tensor>
}

/**
 * AdamW (arXiv 1711.05101) over named parameters. A parameter without a gradient is left as it is, moments included, and its bias
 * correction counts its own steps. Half-precision parameters are updated through a float32 copy (see also `widenGradients`).
 */
export class AdamW implements Disposable {
  readonly #slots: readonly Slot[]
  readonly #rate: number
  readonly #beta1: number
  readonly #beta2: number
  readonly #eps: number

  constructor(parameters: Iterable<readonly [string, Tensor]>, options: AdamWOptions) {
    const { rate, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.01, rateScale = () => 1 } = options
    if (!(rate >= 0) || !(beta1 >= 0 && beta1 < 1) || !(beta2 >= 0 && beta2 < 1) || !(eps >= 0)) {
      throw new ArgumentError(`AdamW: rate ${rate}, beta1 ${beta1}, beta2 ${beta2}, eps ${eps}; expected rate ≥ 0, betas in [0, 1), eps ≥ 0`)
    }
    this.#rate = rate
    this.#beta1 = beta1
    this.#beta2 = beta2
    this.#eps = eps
    const names = new Set<string>()
    this.#slots = Array.from(parameters, ([name, parameter]) => {
      if (names.has(name)) throw new ArgumentError(`AdamW: two parameters are named ${name}`)
      names.add(name)
      const tensors = noGrad(() =>
        scope(() => {
          const master = isHalf(parameter.dtype) ? parameter.toDtype('float32') : null
          const like = master ?? parameter
          return keep({ master, first: like.zerosLike().contiguous(), second: like.zerosLike().contiguous() })
        }),
      )
      const decay = typeof weightDecay === 'function' ? weightDecay(name, parameter) : weightDecay
      return { name, parameter, ...tensors, weightDecay: decay, rateScale: rateScale(name), step: 0 }
    })
  }

  /** One step down the accumulated gradients, which stay (see `zeroGradients`). */
  step(rate: number = this.#rate): void {
    scope(() =>
      noGrad(() => {
        // Parameters that share every number go through the kernel together.
        const groups = new Map<string, { slots: Slot[]; gradients: Tensor[] }>()
        for (const slot of this.#slots) {
          const raw = gradient(slot.parameter)
          if (raw === null) continue
          slot.step++
          const key = `${slot.step} ${slot.weightDecay} ${slot.rateScale} ${fusable(slot.master ?? slot.parameter)}`
          let group = groups.get(key)
          if (group === undefined) {
            group = { slots: [], gradients: [] }
            groups.set(key, group)
          }
          group.slots.push(slot)
          group.gradients.push(slot.master === null ? raw : raw.toDtype('float32'))
        }
        for (const { slots, gradients } of groups.values()) this.#update(slots, gradients, rate)
      }),
    )
  }

  #update(slots: readonly Slot[], gradients: readonly Tensor[], rate: number): void {
    const { weightDecay, rateScale, step } = slots[0] as Slot
    const [beta1, beta2, eps, scaled] = [this.#beta1, this.#beta2, this.#eps, rate * rateScale]
    const parameters = slots.map((slot) => slot.master ?? slot.parameter)
    if (fusable(...parameters)) {
      const firsts = slots.map((slot) => slot.first)
      const seconds = slots.map((slot) => slot.second)
      ops.fusedAdamw_(parameters, gradients, firsts, seconds, scaled, beta1, beta2, eps, weightDecay, step)
    } else {
      for (const [i, slot] of slots.entries()) {
        const [parameter, raw] = [parameters[i] as Tensor, gradients[i] as Tensor]
        slot.first.lerp_(raw, 1 - beta1)
        slot.second.mul_(beta2).addcmul_(raw, raw, { value: 1 - beta2 })
        const denominator = slot.second
          .sqrt()
          .div_(Math.sqrt(1 - beta2 ** step))
          .add_(eps)
        parameter.mul_(1 - scaled * weightDecay).addcdiv_(slot.first, denominator, { value: -scaled / (1 - beta1 ** step) })
      }
    }
    for (const slot of slots) if (slot.master !== null) slot.parameter.copy_(slot.master)
  }

  /** The state for a checkpoint. The tensors are the optimiser's own: save them before the next step. */
  state(): OptimizerState {
    const tensors = new Map<string, Tensor>()
    for (const slot of this.#slots) {
      tensors.set(`${slot.name}.first_moment`, slot.first)
      tensors.set(`${slot.name}.second_moment`, slot.second)
      if (slot.master !== null) tensors.set(`${slot.name}.master`, slot.master)
    }
    return { steps: Object.fromEntries(this.#slots.map((slot) => [slot.name, slot.step])), tensors }
  }

  /** Takes over a saved state; a parameter that it lacks, or a tensor of another shape, is an `ArgumentError` and changes nothing. */
  load(state: OptimizerState): void {
    const copies: [Tensor, Tensor][] = []
    for (const [name, own] of this.state().tensors) {
      const saved = state.tensors.get(name)
      if (saved === undefined) throw new ArgumentError(`AdamW.load: the saved state has no ${name}`)
      if (saved.shape.join() !== own.shape.join()) throw new ArgumentError(`AdamW.load: ${name} is ${saved}, expected ${own}`)
      copies.push([own, saved])
    }
    for (const { name } of this.#slots)
      if (state.steps[name] === undefined) throw new ArgumentError(`AdamW.load: the saved state has no steps of ${name}`)
    noGrad(() => scope(() => copies.forEach(([own, saved]) => void own.copy_(saved))))
    for (const slot of this.#slots) slot.step = state.steps[slot.name] as number
  }

  [Symbol.dispose](): void {
    for (const { first, second, master } of this.#slots) dispose([first, second, master])
  }
}

/** The global norm of all gradients, in float32 or wider; 0 without any. */
export function gradientNorm(parameters: Iterable<Tensor>): number {
  return scope(() =>
    noGrad(() => {
      const gradients = Array.from(parameters, gradient).filter((each) => each !== null)
      if (gradients.length === 0) return 0
      const [half = [], wide = []] = [true, false].map((which) => gradients.filter(({ dtype }) => isHalf(dtype) === which))
      const norms = [...(wide.length > 0 ? ops.foreachNorm(wide) : []), ...half.map((each) => scope(() => each.toDtype('float32').norm()))]
      return ops
        .stack(norms.map((norm) => norm.to({ dtype: 'float32', device: 'cpu' })))
        .norm()
        .item()
    }),
  )
}

/** Multiplies all gradients in place. */
export function scaleGradients(parameters: Iterable<Tensor>, factor: number): void {
  scope(() =>
    noGrad(() => {
      const gradients = Array.from(parameters, gradient).filter((each) => each !== null)
      if (gradients.length > 0) ops.foreachMul_(gradients, factor)
    }),
  )
}

/**
 * Scales all gradients together so that their global norm is at most `maxNorm` (Pascanu et al., arXiv 1211.5063).
 * @returns the norm before clipping. If it is not finite the gradients are left alone: look before you step.
 */
export function clipGradients(parameters: Iterable<Tensor>, maxNorm: number): number {
  const all = Array.from(parameters)
  const total = gradientNorm(all)
  if (Number.isFinite(total) && total > maxNorm) scaleGradients(all, maxNorm / (total + 1e-6))
  return total
}
