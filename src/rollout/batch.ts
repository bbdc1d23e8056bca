// The model's side of generation: which caches live, and one pass at a time. It owns every tensor that outlives a pass.

import { PromptCache, Slots } from '../models/cache.ts'
import type { Run } from '../models/linear.ts'
import type { ImageFeatures, ImageInput, Model } from '../models/model.ts'
import { dispose, inferenceMode, keep, scope } from '../torch/context.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Sample, SamplePlan } from './sample.ts'
import { type Draw, draw } from './sampler.ts'

/** A request that was found to be in order. */
export interface Plan extends SamplePlan {
  readonly ids: Int32Array
  readonly images: readonly (ImageInput | ImageFeatures)[]
  readonly samples: number
  /** The position of the first token of an answer. */
  readonly next: number
}

/** A prompt that the model has read. */
interface Prompt {
  readonly cache: PromptCache
  /** [1, V], of its last token. */
  readonly logits: Tensor
  /** Samples that are not finished. */
  samples: number
}

/** Tokens for which slots have room at first. */
const firstCapacity = 64

export class Batch implements Disposable {
  readonly #model: Model
  readonly #run: Run
  readonly #rows: number
  readonly #longest: number
  readonly #prompts = new Map<Plan, Prompt>()
  /** Features by the image they are of, for plans whose prompt is still to be read. */
  readonly #features = new Map<ImageInput, ImageFeatures>()
  readonly #uses = new Map<ImageInput, number>()
  #slots: Slots | null = null
  readonly #slotOf = new Map<Sample<Plan>, number>()

  /** @param rows samples that are decoded together at most */
  constructor(model: Model, run: Run, plans: readonly Plan[], rows: number) {
    this.#model = model
    this.#run = run
    this.#rows = Math.min(
      rows,
      plans.reduce((sum, { samples }) => sum + samples, 0),
    )
    this.#longest = Math.max(1, ...plans.map(({ maxTokens }) => maxTokens))
    for (const plan of plans) for (const image of inputsOf(plan)) this.#uses.set(image, (this.#uses.get(image) ?? 0) + 1)
  }

  /** An answer with an image's token but no image could not be read again. */
  get #never(): readonly number[] {
    const { image, video } = this.#model.config.tokens
    return [image, video]
  }

  /** The first token of a sample. The first of a prompt's samples lets the model read the prompt. */
  start(sample: Sample<Plan>): Draw {
    return inferenceMode(() => {
      const { logits } = this.#promptOf(sample.plan)
      return draw(logits, [sample.nextDraw], this.#never)[0] as Draw
    })
  }

  /** The next token of each of at most `rows` samples. */
  step(samples: readonly Sample<Plan>[]): Draw[] {
    return inferenceMode(() =>
      scope(() => {
        const rows = samples.map((sample) => ({
          prompt: this.#promptOf(sample.plan).cache,
          slot: this.#slotFor(sample),
          length: sample.ids.length - 1,
        }))
        const places = samples.map(({ plan, ids }) => plan.next + ids.length - 1)
        const tokens = { ids: samples.map(({ ids }) => ids.at(-1) as number), positions: Int32Array.from([...places, ...places, ...places]) }
        const hidden = this.#model.run(tokens, [], this.#run, this.#allSlots().attend(rows))
        return draw(
          this.#model.logits(hidden),
          samples.map(({ nextDraw }) => nextDraw),
          this.#never,
        )
      }),
    )
  }

  /** Frees what only this sample used. */
  release(sample: Sample<Plan>): void {
    this.#slotOf.delete(sample)
    const prompt = this.#prompts.get(sample.plan)
    if (prompt === undefined || --prompt.samples > 0) return
    free(prompt)
    this.#prompts.delete(sample.plan)
  }

  /** One prompt at a time: its products then have the same shapes, and so the same bits, whatever else is generated. */
  #promptOf(plan: Plan): Prompt {
    const known = this.#prompts.get(plan)
    if (known !== undefined) return known
    const images = plan.images.map((image) => this.#featuresOf(image))
    const cache = new PromptCache()
    try {
      const logits = scope(() => {
        const hidden = this.#model.hidden([{ ids: plan.ids, images }], this.#run, cache.attend)
        return keep(this.#model.logits(hidden.narrow(0, plan.ids.length - 1, 1)))
      })
      const prompt = { cache, logits, samples: plan.samples }
      this.#prompts.set(plan, prompt)
      for (const image of inputsOf(plan)) this.#forget(image)
      return prompt
    } catch (error) {
      cache[Symbol.dispose]()
      throw error
    }
  }

  #featuresOf(image: ImageInput | ImageFeatures): ImageFeatures {
    if (!isInput(image)) return image
    const features = this.#features.get(image) ?? keep(this.#model.encodeImages([image], this.#run)[0] as ImageFeatures)
    this.#features.set(image, features)
    return features
  }

  #forget(image: ImageInput): void {
    const left = (this.#uses.get(image) as number) - 1
    this.#uses.set(image, left)
    if (left > 0) return
    dispose(this.#features.get(image))
    this.#features.delete(image)
  }

  #slotFor(sample: Sample<Plan>): number {
    const known = this.#slotOf.get(sample)
    if (known !== undefined) return known
    const taken = new Set(this.#slotOf.values())
    let slot = 0
    while (taken.has(slot)) slot++
    this.#slotOf.set(sample, slot)
    return slot
  }

  #allSlots(): Slots {
    const { device, dtype, config } = this.#model
    this.#slots ??= new Slots(config.language, { count: this.#rows, capacity: Math.min(firstCapacity, this.#longest), dtype, device })
    return this.#slots
  }

  [Symbol.dispose](): void {
    for (const prompt of this.#prompts.values()) free(prompt)
    this.#prompts.clear()
    dispose(this.#features)
    this.#features.clear()
    this.#slots?.[Symbol.dispose]()
    this.#slots = null
  }
}

function free({ cache, logits }: Prompt): void {
  cache[Symbol.dispose]()
  logits.dispose()
}

function isInput(image: ImageInput | ImageFeatures): image is ImageInput {
  return 'pixels' in image
}

/** The images of a plan that have to be encoded, each once. */
function inputsOf({ images }: Plan): ReadonlySet<ImageInput> {
  return new Set(images.filter(isInput))
}
