// One chunk of positions: logits that are made once for each view and lent to the terms, and the way of their gradients back into hidden
// states and heads.

import { ArgumentError } from '../errors.ts'
import { scope } from '../torch/context.ts'
import { fromTypedArray, int64 } from '../torch/create.ts'
import type { Device } from '../torch/dtype.ts'
import type { Tensor } from '../torch/tensor.ts'
import { type Application, type ChunkLogits, type Push, type Summand, viewsOf } from './joint-terms.ts'

/** n positions at which the same terms apply. */
export interface Group {
  /** The rollout's tokens, [n]. */
  readonly ids: Int32Array
  /** View → the row of its hidden states for each position, [n]. */
  readonly rows: ReadonlyMap<string, Int32Array>
  readonly terms: readonly Application[]
}

/** A view, ready to make logits: its head in the hidden states' type, and what the gradients of both are added to. */
export interface Source {
  readonly hidden: Tensor
  readonly matrix: Tensor
  readonly toHidden: Tensor | null
  readonly toHead: Tensor | null
}

/** What is the same for every chunk of a call. */
export interface Plan {
  readonly sources: ReadonlyMap<string, Source>
  readonly dtype: 'float32' | 'float64'
  readonly device: Device
}

/** What a map has for a view; an ArgumentError that names the views of `where` otherwise. */
export function known<T>(map: ReadonlyMap<string, T>, view: string, where: string): T {
  const found = map.get(view)
  if (found === undefined) throw new ArgumentError(`a term reads the view "${view}", ${where} has only ${[...map.keys()].join(', ') || 'none'}`)
  return found
}

/** The logits of one chunk of a group's positions and the gradients that its terms push back. Lives in the scope around it. */
export class Chunk implements ChunkLogits {
  readonly ids: Tensor
  readonly #plan: Plan
  readonly #rows: Map<string, Tensor>
  readonly #start: number
  readonly #count: number
  /** How often each view is still to be taken: its last reader may use it up. */
  readonly #left = new Map<string, number>()
  readonly #logits = new Map<string, Tensor>()
  /** For each view the sum of what was pushed; `slope` where it is not yet multiplied in. */
  readonly #pushed = new Map<string, { gradient: Tensor; slope: Tensor | null }>()

  constructor(plan: Plan, group: Group, start: number, count: number) {
    const index = (values: Int32Array): Tensor => int64(values.subarray(start, start + count), { device: plan.device })
    this.ids = index(group.ids)
    this.#plan = plan
    this.#start = start
    this.#count = count
    for (const view of group.terms.flatMap(({ term }) => viewsOf(term))) this.#left.set(view, (this.#left.get(view) ?? 0) + 1)
    this.#rows = new Map([...this.#left.keys()].map((view) => [view, index(known(group.rows, view, 'the group'))]))
  }

  #source(view: string): Source {
    return known(this.#plan.sources, view, 'the loss')
  }

  #inputs(view: string): Tensor {
    return this.#source(view).hidden.indexSelect(0, known(this.#rows, view, 'the chunk')) // [C, D]
  }

  /** Makes the logits of views that are not there yet. */
  prepare(views: Iterable<string>): void {
    for (const view of views) {
      if (this.#logits.has(view)) continue
      const product = scope(() => this.#inputs(view).matmul(this.#source(view).matrix.transpose(0, 1)).toDtype(this.#plan.dtype))
      this.#logits.set(view, product) // [C, V]
    }
  }

  /** The logits for reading, and whether nobody else will. */
  #read(view: string): { logits: Tensor; last: boolean } {
    const left = known(this.#left, view, 'the chunk') - 1
    this.#left.set(view, left)
    return { logits: known(this.#logits, view, 'the chunk'), last: left === 0 }
  }

  take(view: string): Tensor {
    const { logits, last } = this.#read(view)
    if (!last) return logits.clone()
    // A second handle, which belongs to the taker's scope: the memory ends with it.
    const taken = logits.detach()
    logits.dispose()
    return taken
  }

  sum(target: readonly Summand[]): Tensor {
    const [first, ...others] = target
    if (first === undefined) throw new ArgumentError('a target of no views')
    const total = this.take(first.view)
    if (first.times !== 1) total.mul_(first.times)
    for (const { view, times } of others) {
      const { logits, last } = this.#read(view)
      total.add_(logits, { alpha: times })
      if (last) logits.dispose()
    }
    return total
  }

  trains(view: string): boolean {
    const { toHidden, toHead } = this.#source(view)
    return toHidden !== null || toHead !== null
  }

  part(numbers: Float64Array): Tensor {
    const { dtype, device } = this.#plan
    const own = numbers.subarray(this.#start, this.#start + this.#count)
    return dtype === 'float64' ? fromTypedArray(own, { dtype, device }) : fromTypedArray(Float32Array.from(own), { dtype, device })
  }

  push({ view, gradient, slope }: Push): void {
    if (!this.trains(view)) {
      gradient.dispose()
      return
    }
    const sum = this.#pushed.get(view)
    // One push alone is not multiplied here: later its slope meets [C, D], never [C, V].
    if (sum === undefined) {
      this.#pushed.set(view, { gradient, slope })
      return
    }
    if (sum.slope !== null) sum.gradient.mul_(sum.slope.unsqueeze(1))
    sum.slope = null
    sum.gradient.addcmul_(gradient, slope.unsqueeze(1))
    gradient.dispose()
  }

  /** Carries what was pushed into the gradients of hidden states and heads. */
  settle(): void {
    for (const [view, { gradient: sum, slope }] of this.#pushed) {
      const { matrix, toHidden, toHead } = this.#source(view)
      const gradient = sum.toDtype(matrix.dtype)
      const sloped = (rows: Tensor): Tensor => (slope === null ? rows : rows.mul_(slope.toDtype(matrix.dtype).unsqueeze(1)))
      toHidden?.indexAdd_(0, known(this.#rows, view, 'the chunk'), sloped(gradient.matmul(matrix)))
      if (toHead === null) continue
      const update = [gradient.transpose(0, 1), sloped(this.#inputs(view))] as const
      if (toHead.dtype === matrix.dtype) toHead.addmm_(...update)
      else toHead.add_(update[0].matmul(update[1]))
    }
  }
}
