// Where a model's tensors come from. A model asks for each by its name and shape; whoever answers (a checkpoint, a random generator, a
// copy of another model) decides the rest. What was asked for is remembered, so that a checkpoint can be held against it.

import type { Tensor } from '../torch/tensor.ts'
import type { Linear } from './linear.ts'

/** Answers with the tensor of a parameter; the names are those of transformers ≥ 4.52 (`model.language_model.…`, `model.visual.…`). */
export type WeightSource = (name: string, shape: readonly number[]) => Tensor

/** A source that remembers what it gave. */
export class Weights {
  readonly parameters = new Map<string, Tensor>()
  readonly linears = new Map<string, Linear>()
  readonly #source: WeightSource

  constructor(source: WeightSource) {
    this.#source = source
  }

  tensor(name: string, shape: readonly number[]): Tensor {
    const value = this.#source(name, shape)
    this.parameters.set(name, value)
    return value
  }

  linear(name: string, out: number, into: number, bias: boolean): Linear {
    const weight = this.tensor(`${name}.weight`, [out, into])
    const layer = { name, weight, bias: bias ? this.tensor(`${name}.bias`, [out]) : null }
    this.linears.set(name, layer)
    return layer
  }

  norm(name: string, width: number): { readonly weight: Tensor; readonly bias: Tensor } {
    return { weight: this.tensor(`${name}.weight`, [width]), bias: this.tensor(`${name}.bias`, [width]) }
  }
}
