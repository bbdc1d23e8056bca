// A vision-language model at work: images to features, prompts to hidden states, hidden states to logits. Sequences are packed: they
// lie one after another without padding, and no token sees another sequence.

import { ArgumentError } from '../errors.ts'
import { scope } from '../torch/context.ts'
import { fromTypedArray, int64 } from '../torch/create.ts'
import type { Device, DType } from '../torch/dtype.ts'
import { embedding, linear } from '../torch/nn.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Encode, Family, ModelConfig } from './family.ts'
import { type Attend, buildLanguage, type DeepStack, type Language, packedAttention, runLanguage } from './language.ts'
import type { Linear, Run } from './linear.ts'
import { type Grid, promptPositions, rotaryOf } from './positions.ts'
import { type WeightSource, Weights } from './weights.ts'

/** One image as the processor prepared it: pixels [patches, channels · temporalPatch · patch²] in row-major order. */
export interface ImageInput {
  readonly pixels: Float32Array
  readonly grid: Grid
}

/** What the vision tower made of one image; shared by every sequence that shows it. */
export interface ImageFeatures {
  readonly grid: Grid
  /** [tokens, width]. */
  readonly tokens: Tensor
  /** DeepStack features of the language model's first layers, each [tokens, width]. */
  readonly layers: readonly Tensor[]
}

/** A prompt, or a prompt and what follows it: T token ids, with one image token for each row of its images' features. */
export interface Sequence {
  readonly ids: ArrayLike<number>
  readonly images: readonly ImageFeatures[]
}

/** Tokens on their way into the language model. */
export interface Tokens {
  readonly ids: ArrayLike<number>
  /** Three lists of T positions, one after another. */
  readonly positions: Int32Array
}

export class Model {
  readonly config: ModelConfig
  /** Every weight by its name in transformers ≥ 4.52; a tied head is not listed a second time. */
  readonly parameters: ReadonlyMap<string, Tensor>
  /** Every linear layer by its module name: what a low-rank adapter can attach to. */
  readonly linears: ReadonlyMap<string, Linear>
  readonly language: Language
  readonly #family: Family
  readonly #encode: Encode

  /** Asks `source` for every weight; the tensors must outlive the model, which does not own them. */
  constructor(family: Family, config: ModelConfig, source: WeightSource) {
    const weights = new Weights(source)
    this.config = config
    this.#family = family
    this.#encode = family.buildVision(weights, config)
    this.language = buildLanguage(weights, config.language)
    this.parameters = weights.parameters
    this.linears = weights.linears
  }

  /** The present name of a weight or module that an older layout of checkpoints calls otherwise. */
  presentName(stored: string): string {
    return this.#family.renamed(stored)
  }

  /** The same architecture with weights from elsewhere. */
  rebuild(source: WeightSource): Model {
    return new Model(this.#family, this.config, source)
  }

  get device(): Device {
    return this.language.norm.device
  }

  /** What activations are computed in: the weights' dtype on a GPU; float32 on the CPU, where half types are slow. */
  get dtype(): DType {
    return this.device === 'cpu' ? 'float32' : this.language.embed.dtype
  }

  get #patchSize(): number {
    const { channels, temporalPatch, patch } = this.config.vision
    return channels * temporalPatch * patch * patch
  }

  /** Refuses an image, or features of one, that this model cannot show. @param name what the error calls it */
  checkImage(image: ImageInput | ImageFeatures, name: string): void {
    const { merge } = this.config.vision
    const [time, height, width] = image.grid
    if (time !== 1) throw new ArgumentError(`${name}: its grid has ${time} time steps; videos are not supported, give single images`)
    if (![height, width].every((side) => Number.isSafeInteger(side) && side > 0 && side % merge === 0)) {
      throw new ArgumentError(`${name}: a grid of ${height}×${width} patches; both must be multiples of ${merge}`)
    }
    if ('pixels' in image) {
      if (image.pixels.length === height * width * this.#patchSize) return
      throw new ArgumentError(
        `${name}: ${image.pixels.length} values for ${height}×${width} patches of ${this.#patchSize}; was it processed for another model?`,
      )
    }
    const shape = [(height * width) / merge ** 2, this.config.language.width]
    const all = [image.tokens, ...image.layers]
    if (all.length !== 1 + this.config.deepStack || all.some((each) => each.shape.join() !== shape.join())) {
      throw new ArgumentError(
        `${name}: ${all.length} features of ${all.join(', ')}; this model makes ${1 + this.config.deepStack} of [${shape.join(', ')}]`,
      )
    }
  }

  /** Whether a gradient can reach anything inside the vision tower. */
  #visionTrains({ adapter }: Run): boolean {
    const inside = (name: string): boolean => name.startsWith('model.visual.')
    return [...(adapter?.modules.keys() ?? [])].some(inside) || [...this.parameters].some(([name, each]) => inside(name) && each.requiresGrad)
  }

  /** Runs the vision tower on all images together; equal results whatever else is in the list. */
  encodeImages(images: readonly ImageInput[], run: Run): ImageFeatures[] {
    if (images.length === 0) return []
    for (const [i, image] of images.entries()) this.checkImage(image, `image ${i + 1}`)
    const patchSize = this.#patchSize
    const { merge } = this.config.vision
    // Recomputing a frozen tower would only cost time: its graph holds nothing.
    const own = { ...run, recompute: run.recompute && this.#visionTrains(run) }
    return scope(() => {
      const rows = images.map(({ pixels }) =>
        fromTypedArray(pixels, { dtype: 'float32', shape: [pixels.length / patchSize, patchSize], device: this.device }),
      )
      const grids = images.map(({ grid }) => grid)
      const features = this.#encode(ops.cat(rows).toDtype(this.dtype), grids, own)
      const counts = grids.map(([, height, width]) => (height * width) / merge ** 2)
      const [tokens, ...layers] = [features.tokens, ...features.layers].map((each) => each.split(counts))
      return grids.map((grid, i) => ({ grid, tokens: (tokens as Tensor[])[i] as Tensor, layers: layers.map((layer) => layer[i] as Tensor) }))
    })
  }

  /** Positions of a sequence on the three axes, and the one that would follow. */
  positions({ ids, images }: Pick<Sequence, 'ids'> & { readonly images: readonly Pick<ImageFeatures, 'grid'>[] }): {
    readonly ids: Int32Array
    readonly next: number
  } {
    const { tokens, vision } = this.config
    for (let t = 0; t < ids.length; t++) {
      if (ids[t] === tokens.video) throw new ArgumentError(`prompt: token ${t} is the video token ${tokens.video}; videos are not supported`)
    }
    const grids = images.map(({ grid }) => grid)
    return promptPositions(ids, tokens.image, grids, vision.merge)
  }

  /** Last hidden states, normalised, of packed sequences → [ΣT, width]. */
  hidden(sequences: readonly Sequence[], run: Run, attend?: Attend): Tensor {
    return scope(() => {
      const starts = [0]
      for (const { ids } of sequences) starts.push((starts.at(-1) as number) + ids.length)
      const total = starts.at(-1) as number
      const ids = new Int32Array(total)
      const positions = new Int32Array(3 * total)
      for (const [s, sequence] of sequences.entries()) {
        const [start, length] = [starts[s] as number, sequence.ids.length]
        if (length === 0) throw new ArgumentError(`sequence ${s} has no tokens`)
        ids.set(Array.from(sequence.ids), start)
        const own = this.positions(sequence).ids
        for (let axis = 0; axis < 3; axis++) positions.set(own.subarray(axis * length, (axis + 1) * length), axis * total + start)
      }
      const images = sequences.flatMap((sequence) => sequence.images)
      return this.run({ ids, positions }, images, run, attend ?? packedAttention(starts))
    })
  }

  /** The language model on tokens whose positions are known; `images` fill the image tokens in order. → [T, width] */
  run(tokens: Tokens, images: readonly ImageFeatures[], run: Run, attend: Attend): Tensor {
    return scope(() => {
      const { device } = this
      const { vocabulary } = this.config.language
      const bad = Array.from(tokens.ids).findIndex((id) => !(id >= 0 && id < vocabulary))
      if (bad >= 0) throw new ArgumentError(`token ${bad} has the id ${tokens.ids[bad]}; this model knows 0 to ${vocabulary - 1}`)
      let h = embedding(this.language.embed, int64(tokens.ids, { device })).toDtype(this.dtype)
      let deepStack: DeepStack | null = null
      if (images.length > 0) {
        const places = Array.from(tokens.ids, (id, t) => (id === this.config.tokens.image ? t : -1)).filter((t) => t >= 0)
        const rows = int64(places, { device })
        h = h.indexCopy_(0, rows, ops.cat(images.map((image) => image.tokens)))
        const depth = this.config.deepStack
        const features = Array.from({ length: depth }, (_, i) => ops.cat(images.map((image) => image.layers[i] as Tensor)))
        deepStack = depth === 0 ? null : { rows, features }
      }
      const rotary = rotaryOf(this.config.language.rotary, tokens.positions, 3, device)
      return runLanguage(this.language, h, rotary, attend, run, deepStack)
    })
  }

  /** Hidden states [T, width] → logits [T, vocabulary]. */
  logits(hidden: Tensor): Tensor {
    return linear(hidden, this.language.head)
  }
}
