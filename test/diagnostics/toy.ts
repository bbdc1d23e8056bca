// A world of three tokens in float64, small enough for plain loops: a view's logits are head · (x · W), where x is a table of its context and W
// and head are the weights that the views of one model share. Beside it the oracle, in plain numbers.

import type { Branch } from '../../src/models/branches.ts'
import { plainRun } from '../../src/models/linear.ts'
import type { ImageFeatures, Model, Tokens } from '../../src/models/model.ts'
import type { Encoded } from '../../src/processing/processor.ts'
import type { Row } from '../../src/supervision/gather.ts'
import type { Method, WeightSource } from '../../src/supervision/method.ts'
import { FeatureStore, type Scorer, type Scorers } from '../../src/supervision/scorers.ts'
import type { Division } from '../../src/supervision/segments.ts'
import { requireGrad } from '../../src/torch/autograd.ts'
import { dispose, keep, scope } from '../../src/torch/context.ts'
import { fromTypedArray } from '../../src/torch/create.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random } from '../support.ts'

/** Tokens of the vocabulary, and width of the hidden states. */
export const V = 3
export const D = 4

/** d description, r reasoning, a answer, - delimiters, o other: a letter for each token. */
export interface ToyRollout {
  readonly labels: string
  readonly valid?: boolean
}

const names: Readonly<Record<string, string>> = { d: 'description', r: 'reasoning', a: 'answer', '-': 'delimiters', o: 'other' }

/** A matrix by rows, and what multiplies it. */
export type Matrix = readonly (readonly number[])[]

export interface ToyOptions {
  readonly rollouts: readonly ToyRollout[]
  readonly seed?: number
  /** Context codes that share a table with another, by code. */
  readonly same?: ReadonlyMap<number, number>
  /** Whether all models have the student's weights. */
  readonly oneModel?: boolean
}

export class Toy implements Disposable {
  readonly rows: readonly Row[]
  readonly scorers: Scorers
  readonly parameters: readonly Tensor[]
  readonly store = new FeatureStore(1e9)
  readonly weights = new Map<WeightSource, { readonly w: Matrix; readonly head: Matrix }>()
  readonly #options: ToyOptions
  readonly #codes = new Map<string, number>()
  readonly #owned: Tensor[] = []

  constructor(method: Method, options: ToyOptions) {
    this.#options = options
    const { rollouts, seed = 1 } = options
    const next = random(seed)
    this.rows = rollouts.map(({ labels, valid = true }, row) => {
      const segments = [...labels].map((letter) => names[letter] as string)
      const parts = method.format.parts.map(({ segment }) => segment)
      const places = Object.fromEntries(
        parts.map((part) => [part, { from: Math.max(0, segments.indexOf(part)), through: segments.lastIndexOf(part) + 1 }]),
      )
      const division: Division = { valid, fault: valid ? null : 'as the test says', parts, segments, texts: {}, places: valid ? places : {} }
      return {
        ids: Int32Array.from(segments, () => Math.floor(next() * V)),
        division,
        contexts: new Map(Object.keys(method.views).map((view) => [view, this.context(view, row)])),
        advantages: new Map(),
        logprobs: new Float32Array(labels.length),
      }
    })
    const matrix = (height: number, width: number): Matrix =>
      Array.from({ length: height }, () => Array.from({ length: width }, () => 2 * next() - 1))
    const parameters: Tensor[] = []
    const scorer = (source: WeightSource): Scorer => {
      const own = (options.oneModel === true ? this.weights.get('student') : undefined) ?? { w: matrix(D, D), head: matrix(V, D) }
      this.weights.set(source, own)
      const [w, head] = [this.#tensor(own.w), this.#tensor(own.head)]
      if (source === 'student') parameters.push(requireGrad(w), requireGrad(head))
      const model = {
        ...{ device: 'cpu', dtype: 'float64', language: { head }, config: { tokens: { image: -1 } } },
        positions: ({ ids }: Pick<Branch, 'ids'>) => ({
          ids: Int32Array.from({ length: 3 * ids.length }, (_, i) => i % ids.length),
          next: ids.length,
        }),
        encodeImages: (): ImageFeatures[] => [],
        run: ({ ids }: Tokens): Tensor => {
          let [code, t] = [0, 0]
          const x = Array.from(ids as Int32Array, (id) => {
            if (id >= 1000) [code, t] = [id, 0]
            return this.x(code, t++)
          })
          return fromTypedArray(Float64Array.from(x.flat()), { dtype: 'float64', shape: [x.length, D] }).matmul(w)
        },
      }
      return { model: model as unknown as Model, run: plainRun, tower: {} }
    }
    const student = scorer('student')
    this.scorers = { student, towerTrains: false, base: scorer('base'), ema: null, teacher: scorer('teacher') }
    this.parameters = parameters
  }

  #tensor(values: Matrix): Tensor {
    const made = keep(
      scope(() => fromTypedArray(Float64Array.from(values.flat()), { dtype: 'float64', shape: [values.length, (values[0] ?? []).length] })),
    )
    this.#owned.push(made)
    return made
  }

  /** The context of a view in a rollout, or what is shown in its place. */
  context(view: string, row: number, which = ''): Encoded {
    const key = `${view} ${row} ${which}`
    const code = this.#codes.get(key) ?? 1000 + this.#codes.size
    this.#codes.set(key, code)
    return { ids: Int32Array.of(code), images: [], text: '' }
  }

  /** Row t of the table of a context. */
  x(code: number, t: number): readonly number[] {
    const next = random(7919 * (this.#options.same?.get(code) ?? code) + t)
    return Array.from({ length: D }, () => 2 * next() - 1)
  }

  /** The oracle: hidden state and log-probabilities by which a context predicts token t, in plain loops. */
  at(source: WeightSource, context: Encoded, t: number): { x: readonly number[]; h: readonly number[]; log: readonly number[] } {
    const { w, head } = this.weights.get(source) as { w: Matrix; head: Matrix }
    const x = this.x(context.ids[0] as number, t)
    const h = Array.from({ length: D }, (_, j) => x.reduce((sum, each, i) => sum + each * (w[i]?.[j] as number), 0))
    return { x, h, log: logSoftmax(head.map((own) => own.reduce((sum, each, j) => sum + each * (h[j] as number), 0))) }
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]()
    dispose(this.#owned)
  }
}

export function logSoftmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits)
  const sum = largest + Math.log(logits.reduce((total, each) => total + Math.exp(each - largest), 0))
  return logits.map((each) => each - sum)
}

/** KL of two lists of log-probabilities. */
export const kl = (p: readonly number[], q: readonly number[]): number =>
  p.reduce((sum, each, v) => sum + Math.exp(each) * (each - (q[v] as number)), 0)
