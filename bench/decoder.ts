// A plain decoder for the engine's benchmark: embedding, pre-norm blocks of rotary attention and SwiGLU, untied head.

import { attention } from '../src/torch/attention.ts'
import { requireGrad } from '../src/torch/autograd.ts'
import { keep, scope } from '../src/torch/context.ts'
import { tensor } from '../src/torch/create.ts'
import { embedding, linear, type Rotary, rmsNorm, rotaryTables, swiglu } from '../src/torch/nn.ts'
import { ops } from '../src/torch/operators.ts'
import type { Tensor } from '../src/torch/tensor.ts'

export interface DecoderSize {
  readonly width: number
  readonly layers: number
  readonly heads: number
  readonly inner: number
  readonly vocabulary: number
}

interface Layer {
  readonly norm1: Tensor
  readonly q: Tensor
  readonly k: Tensor
  readonly v: Tensor
  readonly o: Tensor
  readonly norm2: Tensor
  readonly gate: Tensor
  readonly up: Tensor
  readonly down: Tensor
}

export interface Decoder {
  readonly size: DecoderSize
  readonly embed: Tensor
  readonly layers: readonly Layer[]
  readonly norm: Tensor
  readonly head: Tensor
}

/** Random weights from the default generator, drawn in the order of the fields. */
export function createDecoder(size: DecoderSize): Decoder {
  const { width, inner, vocabulary } = size
  return keep(
    scope(() => {
      const weight = (out: number, into: number): Tensor => requireGrad(ops.randn([out, into]).mul_(0.02))
      const ones = (): Tensor => requireGrad(ops.ones([width]))
      const embed = weight(vocabulary, width)
      const layers = Array.from({ length: size.layers }, () => ({
        norm1: ones(),
        q: weight(width, width),
        k: weight(width, width),
        v: weight(width, width),
        o: weight(width, width),
        norm2: ones(),
        gate: weight(inner, width),
        up: weight(inner, width),
        down: weight(width, inner),
      }))
      return { size, embed, layers, norm: ones(), head: weight(vocabulary, width) }
    }),
  )
}

export function parametersOf({ embed, layers, norm, head }: Decoder): [string, Tensor][] {
  const inLayers = layers.flatMap((layer, i) => Object.entries(layer).map(([name, value]): [string, Tensor] => [`layers.${i}.${name}`, value]))
  return [['embed', embed], ...inLayers, ['norm', norm], ['head', head]]
}

function block(layer: Layer, h: Tensor, heads: number, starts: readonly number[], rotary: Rotary): Tensor {
  const [tokens, width] = h.shape as [number, number]
  const split = (x: Tensor): Tensor => x.view([tokens, heads, width / heads])
  const x = rmsNorm(h, layer.norm1, 1e-6)
  const mixed = attention(split(linear(x, layer.q)), split(linear(x, layer.k)), split(linear(x, layer.v)), {
    queryStarts: starts,
    causal: true,
    rotary,
  })
  const middle = h.add(linear(mixed.view([tokens, width]), layer.o))
  const y = rmsNorm(middle, layer.norm2, 1e-6)
  return middle.add(linear(swiglu(linear(y, layer.gate), linear(y, layer.up)), layer.down))
}

/**
 * The last hidden states, normalised, of packed sequences.
 * @param ids int64 [T], sequences one after another
 * @param starts where each begins, and the end of the last
 * @returns [T, width]
 */
export function decode(model: Decoder, ids: Tensor, starts: readonly number[]): Tensor {
  const { width, heads } = model.size
  const positions = tensor(starts.slice(1).flatMap((end, i) => Array.from({ length: end - (starts[i] as number) }, (_, t) => t)))
  const rotary = rotaryTables(positions, width / heads)
  let h = embedding(model.embed, ids)
  // A scope for each block: what the backward pass needs is held by the graph, the rest is freed here.
  for (const layer of model.layers) h = scope(() => block(layer, h, heads, starts, rotary))
  return rmsNorm(h, model.norm, 1e-6)
}
