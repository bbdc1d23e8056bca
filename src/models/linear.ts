// A linear layer with its name, and how a pass applies it: with or without a low-rank adapter (LoRA, arXiv 2106.09685).

import { checkpoint } from '../torch/backward.ts'
import { scope } from '../torch/context.ts'
import { linear } from '../torch/nn.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'

/** weight [out, in] and perhaps bias [out] under the module's name, such as `model.language_model.layers.0.mlp.up_proj`. */
export interface Linear {
  readonly name: string
  readonly weight: Tensor
  readonly bias: Tensor | null
}

/** The low-rank update of one layer: scale · b [out, r] · a [r, in]. */
export interface LowRank {
  readonly a: Tensor
  readonly b: Tensor
  readonly scale: number
}

/** Low-rank updates by module name. The base weights are never touched by one. */
export interface Adapter {
  readonly modules: ReadonlyMap<string, LowRank>
  /** Probability with which an input of the update is dropped in training. */
  readonly dropout: number
}

/** How a pass runs. The frozen base is the same model with `adapter: null`: it costs no memory. */
export interface Run {
  readonly adapter: Adapter | null
  /** Whether dropout is on. */
  readonly training: boolean
  /** Whether activations of a block are computed again in the backward pass instead of kept (of the vision tower, where it trains). */
  readonly recompute: boolean
}

/** A pass of the base model, without dropout: what generation and frozen teachers use. */
export const plainRun: Run = { adapter: null, training: false, recompute: false }

/** x […, in] through the layer → […, out]; where the run's adapter has the layer, plus scale · b·a·dropout(x). */
export function project(layer: Linear, x: Tensor, run: Run): Tensor {
  const update = run.adapter?.modules.get(layer.name)
  if (update === undefined || run.adapter === null) return linear(x, layer.weight, layer.bias)
  const { dropout } = run.adapter
  const drops = run.training && dropout > 0
  return scope(() => {
    // The graph keeps the mask, a byte for each number, and what it lets through; what makes up for the dropped is multiplied in at the end.
    const kept = drops ? x.mul(scope(() => ops.rand(x.shape, { device: x.device }).ge(dropout))) : x
    const low = linear(linear(kept.toDtype(update.a.dtype), update.a), update.b)
    const base = linear(x, layer.weight, layer.bias)
    // Added in the wider of the two types and rounded once, as PEFT does.
    return base.add(low, { alpha: drops ? update.scale / (1 - dropout) : update.scale }).toDtype(base.dtype)
  })
}

/**
 * Runs one block of a model so that nothing but its result stays, and what the gradient needs: kept, or computed again (`run.recompute`).
 * Tensors of this pass come in as arguments: a recomputed block runs when the scope of the pass has ended.
 */
export function runBlock(run: Run, body: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  return run.recompute ? checkpoint(body, ...inputs) : scope(() => body(...inputs))
}
