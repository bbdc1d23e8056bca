// A world in which every view's logits are rows of a table, so that losses and their gradients by the logits can be compared with an oracle:
// the head is the identity, and the model gives the hidden states that the table of a view and rollout holds.

import type { Branch } from '../../src/models/branches.ts'
import { plainRun } from '../../src/models/linear.ts'
import type { ImageFeatures, Model, Tokens } from '../../src/models/model.ts'
import { Evaluator, type Report } from '../../src/supervision/evaluate.ts'
import type { Row } from '../../src/supervision/gather.ts'
import type { Method, WeightSource } from '../../src/supervision/method.ts'
import { FeatureStore, type Scorer, type Scorers } from '../../src/supervision/scorers.ts'
import { divide } from '../../src/supervision/segments.ts'
import { gradient, requireGrad, setGradient } from '../../src/torch/autograd.ts'
import { dispose, keep, scope } from '../../src/torch/context.ts'
import { fromTypedArray } from '../../src/torch/create.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random } from '../support.ts'

/** Tokens of the vocabulary. */
export const V = 32
const stop = 31

/** A rollout as text cut to tokens, and by hand what a description–think–box format makes of it. */
export interface Rollout {
  readonly pieces: readonly string[]
  /** d description, r reasoning, a answer, - delimiters, E end, o other; a token each. */
  readonly labels: string
  readonly valid: boolean
  /** Where views that read from the reasoning on begin, and the first token after the box. */
  readonly reasoning: number
  readonly boxed: number
  readonly correct: boolean
}

const rolloutOf = (pieces: readonly string[], labels: string, rest: Partial<Rollout> = {}): Rollout => ({
  ...{ pieces, labels, valid: true, reasoning: 0, boxed: 0, correct: false },
  ...rest,
})

/** Two for each of three prompts. */
export const rollouts: readonly Rollout[] = [
  rolloutOf(['a', ' red', ' cat', '</description>', '\n<think>', 'it', ' is', '</think>', '\\boxed{', 'cat', '}', '<eos>'], 'ddd--rr--a-E', {
    ...{ reasoning: 5, boxed: 11, correct: true },
  }),
  rolloutOf(['no', ' tags', ' here', ' at', ' all', '<eos>'], 'oooooE', { valid: false }),
  rolloutOf(['dog', '</description><think>', 'two', ' x', '</think>', '\\boxed{', '4', '}', '\n'], 'd-rr--a-o', {
    reasoning: 2,
    boxed: 8,
    correct: true,
  }),
  rolloutOf(['a', ' b', ' c', ' d', '</description>', '<think>', 'e', '</think>\\boxed{', 'f', 'g', '}'], 'dddd--r-aa-', { reasoning: 6, boxed: 11 }),
  rolloutOf(['x', '</description>', '<think>', 'never', ' ends', ' here', ' or', ' there'], 'oooooooo', { valid: false }),
  rolloutOf(['q', '</description>\n', '<think>', 'w', ' e', ' r', '</think>', '\\boxed{z', '}'], 'd--rrr---', {
    reasoning: 3,
    boxed: 9,
    correct: true,
  }),
]
export const groups: readonly (readonly number[])[] = [
  [0, 1],
  [2, 3],
  [4, 5],
]

/** Token ids of a rollout. */
export function idsOf({ pieces }: Rollout, seed: number): Int32Array {
  const next = random(seed)
  return Int32Array.from(pieces, (piece) => (piece === '<eos>' ? stop : Math.floor(next() * 31)))
}

export type Logits = (view: string, row: number, t: number) => readonly number[]

/** Random logits: all views of a token lie near each other, some so near that a clip at 0.05 passes them, some not. */
export function randomLogits(seed: number): Logits {
  const made = new Map<string, number[]>()
  const draw = (key: string): (() => number) => random([...key].reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) | 0, seed))
  return (view, row, t) => {
    const key = `${view} ${row} ${t}`
    const known = made.get(key)
    if (known !== undefined) return known
    const [base, own, spread] = [draw(`base ${row} ${t}`), draw(key), 0.1 + 0.8 * draw(`spread ${row} ${t}`)()]
    const values = Array.from({ length: V }, () => 4 * base() - 2 + spread * (2 * own() - 1))
    made.set(key, values)
    return values
  }
}

export interface WorldOptions {
  readonly rollouts?: readonly Rollout[]
  readonly logits: Logits
  readonly advantages?: readonly number[]
  readonly logprobs?: readonly (readonly number[])[]
  readonly dtype?: 'float32' | 'float64'
  readonly tokensPerPass?: number
  /** Rows of a scorer's head beyond V. */
  readonly padding?: Partial<Record<WeightSource, number>>
}

/** Tables, the models that read them, and the rows that an evaluator takes. */
export class World implements Disposable {
  readonly rows: readonly Row[]
  readonly scorers: Scorers
  readonly evaluator: Evaluator
  /** Tables of views with the student's weights, by view and row. */
  readonly student: ReadonlyMap<string, readonly Tensor[]>
  readonly store = new FeatureStore(1e9)
  /** Views that were run, by scorer. */
  readonly seen: Record<WeightSource, Set<string>> = { student: new Set(), base: new Set(), ema: new Set(), teacher: new Set() }
  readonly #owned: Tensor[] = []

  constructor(method: Method, options: WorldOptions) {
    const { logits, dtype = 'float64' } = options
    const own = options.rollouts ?? rollouts
    const codes = new Map<number, { view: string; row: number }>()
    const tables = new Map<number, Tensor>()
    const student = new Map<string, Tensor[]>()
    const contexts = own.map(() => new Map<string, { ids: Int32Array; images: []; text: string }>())
    const data = { float32: Float32Array, float64: Float64Array }[dtype]
    const make = (values: number[], shape: number[]): Tensor => {
      const made = keep(scope(() => fromTypedArray(data.from(values), { dtype, shape })))
      this.#owned.push(made)
      return made
    }
    for (const [view, { weights, reads }] of Object.entries(method.views)) {
      for (const [row, rollout] of own.entries()) {
        const from = reads === 'all' || !rollout.valid ? 0 : rollout.reasoning
        const code = 1000 + codes.size
        codes.set(code, { view, row })
        const count = rollout.pieces.length - from
        const width = V + (options.padding?.[weights] ?? 0)
        const values = Array.from({ length: count }, (_, i) => [...logits(view, row, from + i), ...new Array<number>(width - V).fill(3)]).flat()
        const table = make(values, [count, width])
        tables.set(code, table)
        if (weights === 'student') student.set(view, [...(student.get(view) ?? []), requireGrad(table)])
        contexts[row]?.set(view, { ids: Int32Array.of(code), images: [], text: '' })
      }
    }
    this.student = student
    this.rows = own.map((rollout, row) => {
      const prefill = method.views[method.rollout.view]?.prefill ?? ''
      const starts = rollout.pieces.map((_, i) => rollout.pieces.slice(0, i).join('').length)
      const ids = idsOf(rollout, row)
      const text = rollout.pieces.join('')
      const spans = rollout.pieces.map((piece, i): [number, number] => [starts[i] as number, (starts[i] as number) + piece.length])
      const division = divide(method.format, { prefill, text, spans, ids }, { stopIds: new Set([stop]), emptyIds: new Set([stop]) })
      const terms = Object.entries(method.terms).filter(([, { kind }]) => kind === 'reinforce')
      return {
        ...{ ids, division, contexts: contexts[row] as Map<string, never> },
        advantages: new Map(terms.map(([name]) => [name, options.advantages?.[row] ?? 0])),
        logprobs: Float32Array.from(options.logprobs?.[row] ?? ids, Number),
      }
    })
    const scorer = (weights: WeightSource): Scorer => {
      const width = V + (options.padding?.[weights] ?? 0)
      const head = make(
        Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0)),
        [width, width],
      )
      const run = ({ ids }: Tokens): Tensor => {
        const pieces: Tensor[] = []
        for (let at = 0; at < ids.length; ) {
          const code = ids[at] as number
          let end = at + 1
          while (end < ids.length && (ids[end] as number) < 1000) end++
          const { view } = codes.get(code) as { view: string }
          if (method.views[view]?.weights !== weights) throw new Error(`${view} came to ${weights}`)
          this.seen[weights].add(view)
          pieces.push((tables.get(code) as Tensor).narrow(0, 0, end - at))
          at = end
        }
        return ops.cat(pieces)
      }
      const model = {
        ...{ device: 'cpu', dtype, language: { head }, config: { tokens: { image: -1 } } },
        positions: ({ ids }: Pick<Branch, 'ids'>) => ({
          ids: Int32Array.from({ length: 3 * ids.length }, (_, i) => i % ids.length),
          next: ids.length,
        }),
        encodeImages: (): ImageFeatures[] => [],
        run,
      }
      return { model: model as unknown as Model, run: plainRun, tower: {} }
    }
    const used = new Set(Object.values(method.views).map(({ weights }) => weights))
    const maybe = (weights: WeightSource): Scorer | null => (used.has(weights) ? scorer(weights) : null)
    this.scorers = { student: scorer('student'), towerTrains: false, base: maybe('base'), ema: maybe('ema'), teacher: maybe('teacher') }
    this.evaluator = new Evaluator(method, this.scorers, [...student.values()].flat(), { tokensPerPass: options.tokensPerPass ?? 25 })
  }

  accumulate(step = 0, rows = this.rows): Report {
    return this.evaluator.accumulate(rows, this.store, step)
  }

  /** d loss / d logits of a student view, [t][v]; zeros where there is none. */
  gradients(view: string, row: number): number[][] {
    const table = this.student.get(view)?.[row] as Tensor
    return scope(() => {
      const flat = gradient(table)?.toArray() ?? new Array<number>(table.size).fill(0)
      return Array.from({ length: table.dim(0) }, (_, t) => flat.slice(t * table.dim(1), t * table.dim(1) + V))
    })
  }

  /** All gradients in a row: views in their order, rows, tokens, entries. */
  allGradients(): number[] {
    return [...this.student].flatMap(([view, tables]) => tables.flatMap((_, row) => this.gradients(view, row).flat()))
  }

  clear(): void {
    for (const table of [...this.student.values()].flat()) setGradient(table, null)
  }

  [Symbol.dispose](): void {
    this.clear()
    this.store[Symbol.dispose]()
    dispose(this.#owned)
  }
}
