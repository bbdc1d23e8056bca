// Keys and values that decoding reads again at every step: one cache for a prompt, which all its samples share, and one for what the
// samples themselves have written.

import { ArgumentError } from '../errors.ts'
import { attention, decodeAttention } from '../torch/attention.ts'
import { dispose, keep } from '../torch/context.ts'
import { int64 } from '../torch/create.ts'
import type { Device, DType } from '../torch/dtype.ts'
import { applyRotary } from '../torch/nn.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Attend, LanguageConfig } from './language.ts'

/** Rotated keys, and values, of one prompt, for each layer [P, groups, D]: written once by a pass with `attend`, then only read. */
export class PromptCache implements Disposable {
  readonly keys: Tensor[] = []
  readonly values: Tensor[] = []

  /** Causal attention over the one prompt, which leaves each layer's keys and values here; they live until `dispose`. */
  readonly attend: Attend = (layer, query, key, value, rotary) => {
    if (layer !== this.keys.length) throw new ArgumentError(`PromptCache: layer ${layer} after ${this.keys.length} layers; a cache holds one pass`)
    this.keys.push(keep(applyRotary(key, rotary)))
    this.values.push(keep(value))
    return attention(query, key, value, { queryStarts: [0, query.dim(0)], causal: true, rotary })
  };

  [Symbol.dispose](): void {
    dispose([this.keys, this.values])
    this.keys.length = this.values.length = 0
  }
}

/** A row of a decoding step. */
export interface DecodingRow {
  readonly prompt: PromptCache
  /** Which of the slots is its sample's. */
  readonly slot: number
  /** Tokens that the slot holds; this step's token is written after them. */
  readonly length: number
}

/** What one decoded token adds to each of `count` slots, for each layer [count, capacity, groups, D]. Capacity doubles when it is full. */
export class Slots implements Disposable {
  readonly count: number
  #capacity: number
  readonly #keys: Tensor[]
  readonly #values: Tensor[]

  constructor(
    config: LanguageConfig,
    options: { readonly count: number; readonly capacity: number; readonly dtype: DType; readonly device: Device },
  ) {
    const { count, capacity, dtype, device } = options
    if (!(Number.isSafeInteger(count) && count > 0 && Number.isSafeInteger(capacity) && capacity > 0)) {
      throw new ArgumentError(`Slots: ${count} slots of ${capacity} tokens; both must be integers above 0`)
    }
    this.count = count
    this.#capacity = capacity
    const make = (): Tensor[] =>
      Array.from({ length: config.layers }, () => keep(ops.empty([count, capacity, config.groups, config.headWidth], { dtype, device })))
    this.#keys = make()
    this.#values = make()
  }

  /** Tokens that fit into each slot before the next doubling. */
  get capacity(): number {
    return this.#capacity
  }

  /** Attention of one token for each row to its prompt, to what its slot holds, and to itself. Writes the token into the slot. */
  attend(rows: readonly DecodingRow[]): Attend {
    for (const { slot } of rows) {
      if (!(slot >= 0 && slot < this.count)) throw new ArgumentError(`Slots: slot ${slot}; there are ${this.count}`)
    }
    while (rows.some(({ length }) => length >= this.#capacity)) this.#grow()
    const prompts = [...new Set(rows.map(({ prompt }) => prompt))]
    const prefixOf = rows.map(({ prompt }) => prompts.indexOf(prompt))
    const slots = rows.map(({ slot }) => slot)
    const lengths = rows.map(({ length }) => length + 1)
    const places = rows.map(({ slot, length }) => slot * this.#capacity + length)
    const at = int64(places, { device: (this.#keys[0] as Tensor).device })
    return (layer, query, key, value, rotary) => {
      const [keys, values] = [this.#keys[layer] as Tensor, this.#values[layer] as Tensor]
      keys.flatten(0, 1).indexCopy_(0, at, applyRotary(key, rotary))
      values.flatten(0, 1).indexCopy_(0, at, value)
      const prefixKeys = prompts.map((prompt) => prompt.keys[layer] as Tensor)
      const prefixValues = prompts.map((prompt) => prompt.values[layer] as Tensor)
      return decodeAttention(applyRotary(query, rotary), { prefixKeys, prefixValues, prefixOf, keys, values, slots, lengths })
    }
  }

  #grow(): void {
    for (const list of [this.#keys, this.#values]) {
      for (const [layer, old] of list.entries()) {
        const [count, capacity, groups, width] = old.shape as [number, number, number, number]
        const wider = keep(ops.empty([count, 2 * capacity, groups, width], { dtype: old.dtype, device: old.device }))
        list[layer] = wider
        wider.narrow(1, 0, capacity).copy_(old)
        old.dispose()
      }
    }
    this.#capacity *= 2
  }

  [Symbol.dispose](): void {
    dispose([this.#keys, this.#values])
  }
}
