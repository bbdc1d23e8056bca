// The pieces of a transformer, as functions of tensors and weights. Where native/ has a fused kernel (float32 on the CPU) it is used;
// elsewhere the same formula runs in stock operators, which is also what the kernels are tested against.

import { ArgumentError } from '../errors.ts'
import { currentContext } from './context.ts'
import { ops } from './operators.ts'
import type { Tensor } from './tensor.ts'

/** Whether the kernels of native/ take these tensors. */
export function fusable(...tensors: readonly Tensor[]): boolean {
  return tensors.every((tensor) => tensor.device === 'cpu' && tensor.dtype === 'float32')
}

/** The dtype to compute a sum of squares or a softmax in: half types widen to float32. */
export function wide(tensor: Tensor): Tensor {
  return tensor.dtype === 'bfloat16' || tensor.dtype === 'float16' ? tensor.toDtype('float32') : tensor
}

/** Up to this many rows, a product without gradient is computed row by row: reading the weights is then most of its time. */
export const fewRows = 64

/**
 * input […, in] · weight [out, in]ᵀ + bias [out] → […, out]. Of a float32 input the weight may be bfloat16, widened on the way.
 *
 * On the CPU, float32 rows are a sample's own: where gradients are off and there are at most `fewRows` rows (the product of the leading
 * axes), each comes out the same, bit for bit, whatever rows are computed beside it. With more, the last bits may depend on their number.
 */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  const narrow = weight.dtype === 'bfloat16'
  if (input.dtype !== 'float32' || !(narrow || weight.dtype === 'float32')) return ops.linear(input, weight, bias)
  const depth = input.dim(-1)
  const rows = input.shape.slice(0, -1).reduce((product, length) => product * length, 1)
  if (rows <= fewRows && currentContext().mode !== 'grad' && input.device === 'cpu') {
    using added = bias?.dtype === 'bfloat16' ? bias.toDtype('float32') : null
    const flat = ops.fusedLinearRows(input.rank === 2 ? input : input.reshape([rows, depth]), weight, added ?? bias)
    return input.rank === 2 ? flat : flat.view([...input.shape.slice(0, -1), weight.dim(0)])
  }
  if (!narrow) return ops.linear(input, weight, bias)
  // What the gradient needs of these, the graph keeps.
  using wideWeight = weight.toDtype('float32')
  using wideBias = bias?.dtype === 'bfloat16' ? bias.toDtype('float32') : null
  return ops.linear(input, wideWeight, wideBias ?? bias)
}

/** Rows of weight [V, D] at int64 ids […] → […, D]. */
export function embedding(weight: Tensor, ids: Tensor): Tensor {
  return ops.embedding(weight, ids)
}

/** RMSNorm (arXiv 1910.07467): input […, D] / √(mean(input²) + eps) · weight [D]; the mean is taken in float32 or wider. */
export function rmsNorm(input: Tensor, weight: Tensor, eps: number): Tensor {
  return fusable(input, weight) ? ops.fusedRmsNorm(input, weight, eps) : rmsNormReference(input, weight, eps)
}

/** `rmsNorm` in stock operators. */
export function rmsNormReference(input: Tensor, weight: Tensor, eps: number): Tensor {
  const x = wide(input)
  const scale = x.square().mean(-1, true).add(eps).rsqrt()
  return x.mul(scale).toDtype(input.dtype).mul(weight)
}

/** LayerNorm over the last axis: input […, D], weight and bias [D]. */
export function layerNorm(input: Tensor, weight: Tensor, bias: Tensor | null, eps: number): Tensor {
  return ops.layerNorm(input, [input.dim(-1)], weight, bias, eps)
}

/** SwiGLU (arXiv 2002.05202): silu(gate) · up, of one shape. */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  return fusable(gate, up) ? ops.fusedSwiglu(gate, up) : gate.silu().mul(up)
}

/** Cosines and sines of rotary embedding, each [T, D], as the Hugging Face models lay them out: the two halves of D are rotated together. */
export interface Rotary {
  readonly cos: Tensor
  readonly sin: Tensor
}

/**
 * Rotary tables (RoFormer, arXiv 2104.09864) for positions [T] (any dtype) and an even head width D: angle t · base^(−2i/D).
 * @returns float32 tables [T, D] on the positions' device
 */
export function rotaryTables(positions: Tensor, width: number, base = 10000): Rotary {
  if (width % 2 !== 0) throw new ArgumentError(`rotaryTables: the head width must be even, got ${width}`)
  const { device } = positions
  const exponents = ops.arange(0, width, 2, { dtype: 'float32', device }).mul(-Math.log(base) / width)
  const angles = positions.toDtype('float32').unsqueeze(1).mul(exponents.exp().unsqueeze(0)) // [T, D/2]
  const both = ops.cat([angles, angles], 1)
  return { cos: both.cos(), sin: both.sin() }
}

/** Rotates x [T, heads, D] by tables [T, D]: x · cos + rotateHalf(x) · sin with rotateHalf(x₁, x₂) = (−x₂, x₁). The tables get no gradient. */
export function applyRotary(x: Tensor, rotary: Rotary): Tensor {
  return fusable(x, rotary.cos, rotary.sin) ? ops.fusedRotary(x, rotary.cos, rotary.sin) : applyRotaryReference(x, rotary)
}

/** `applyRotary` in stock operators. */
export function applyRotaryReference(x: Tensor, { cos, sin }: Rotary): Tensor {
  const half = x.dim(-1) / 2
  const turned = ops.cat([x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)], -1)
  const c = cos.toDtype(x.dtype).unsqueeze(1) // [T, 1, D]
  const s = sin.toDtype(x.dtype).unsqueeze(1)
  return x.mul(c).add(turned.mul(s))
}
