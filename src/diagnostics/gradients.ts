// Gradients of the probe's losses over chosen tokens, by all trainable parameters, exactly: frozen views are scored once, the student's run
// again for each choice, and each loss has a backward pass of its own. Weights and accumulated gradients stay as they are.

import type { EncodedImage } from '../processing/patches.ts'
import { summandsOf, viewsOf } from '../supervision/check.ts'
import { jointLoss } from '../supervision/joint.ts'
import type { JointTerm } from '../supervision/joint-terms.ts'
import type { View } from '../supervision/method.ts'
import { type Readable, readingOf, type Scored, scoreTrained } from '../supervision/passes.ts'
import { atRest, batched, type FeatureStore, type Scorers } from '../supervision/scorers.ts'
import { gradientsOf } from '../torch/autograd.ts'
import { dispose, enableGrad, keep, noGrad, scope } from '../torch/context.ts'
import { wide } from '../torch/nn.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import { dependenciesOf } from './dependency.ts'
import { Asked, groupOf, type Place, scoreViews, viewRows } from './frozen.ts'
import { type Loss, losses, type Probe } from './probe.ts'

/** A gradient by the parameters in their order; null where none reaches. Lives until `dispose`. */
export type Gradient = readonly (Tensor | null)[]

export type ByLoss<T> = { readonly [L in Loss]: T }
export const byLoss = <T>(of: (loss: Loss) => T): ByLoss<T> => ({ std: of('std'), vis: of('vis'), lang: of('lang') })

/** The student and its teachers, as a measurement sees them. */
export interface Measured {
  readonly probe: Probe
  readonly scorers: Scorers
  /** All that train. */
  readonly parameters: readonly Tensor[]
  readonly tokensPerPass: number
}

function termOf({ terms }: Probe, loss: Loss): JointTerm {
  const term = terms[loss]
  const { student, over, temperature } = term
  return { kind: 'distill', student, over, temperature, target: summandsOf(term), divergence: { kind: 'reverseKl' }, clip: 'clamp' }
}

/** A batch of rollouts with all that does not change as tokens are chosen. */
export class ProbedBatch implements Disposable {
  readonly #measured: Measured
  readonly #rows: readonly Readable[]
  readonly #store: FeatureStore
  readonly #scored: Scored
  /** By row: visual dependency of each token. */
  readonly dependencies: readonly Float32Array[]
  /** By row: each loss at each token. */
  readonly values: readonly ByLoss<Float64Array>[]

  constructor(measured: Measured, rows: readonly Readable[], store: FeatureStore) {
    const { probe, scorers, tokensPerPass } = measured
    this.#measured = measured
    this.#rows = rows
    this.#store = store
    const { student, studentBlind, teacher, teacherBlind } = probe.views
    const asked = new Asked()
    for (const view of [student, studentBlind, teacher, teacherBlind]) for (const [row, { ids }] of rows.entries()) asked.add(view, row, ids.keys())
    const scored = scoreViews(scorers, this.#views, rows, asked, store, tokensPerPass)
    this.#scored = scored
    try {
      this.dependencies = dependenciesOf(probe, scorers, rows, scored)
      this.values = this.#valuesOf()
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    }
    // The student's states come anew with gradients; the teacher's stay.
    dispose([scored.hidden.get(student), scored.hidden.get(studentBlind)])
  }

  get #views(): Map<string, View> {
    return new Map(Object.entries(this.#measured.probe.method.views))
  }

  #valuesOf(): ByLoss<Float64Array>[] {
    const { probe, scorers } = this.#measured
    const places = this.#rows.flatMap(({ ids }, row) => Array.from(ids, (_, t): Place => ({ row, t })))
    const made = this.#rows.map(({ ids }) => byLoss(() => new Float64Array(ids.length)))
    if (places.length === 0) return made
    const { index, hidden } = this.#scored
    const group = groupOf(
      this.#rows,
      index,
      places,
      Object.values(probe.views),
      losses.map((loss) => termOf(probe, loss)),
    )
    const values = noGrad(() => scope(() => jointLoss(viewRows(scorers, this.#views, hidden), [group]).values))
    for (const [i, loss] of losses.entries()) {
      for (const [j, { row, t }] of places.entries()) (made[row] as ByLoss<Float64Array>)[loss][t] = values[0]?.[i]?.values[j] as number
    }
    return made
  }

  /**
   * The gradient of each loss summed over chosen tokens. The student is at rest (no dropout).
   * @param positions by row, ascending
   */
  gradients(positions: readonly ArrayLike<number>[]): ByLoss<Gradient> {
    const { probe, parameters, tokensPerPass } = this.#measured
    const sums = byLoss((): (Tensor | null)[] => parameters.map(() => null))
    const { student, studentBlind } = probe.views
    const readings = new Map(
      positions.flatMap((chosen, row) => {
        if (chosen.length === 0) return []
        const read = (name: string) => readingOf(name, probe.method.views[name] as View, row, this.#rows[row] as Readable, Int32Array.from(chosen))
        return [[row, [read(student), read(studentBlind)]] as const]
      }),
    )
    const sizeOf = (row: number): number => (readings.get(row) ?? []).reduce((sum, { ids }) => sum + ids.length, 0)
    try {
      for (const part of batched([...readings.keys()], sizeOf, tokensPerPass)) {
        const own = part.flatMap((row) => readings.get(row) ?? [])
        const places = part.flatMap((row) => Array.from(positions[row] ?? [], (t): Place => ({ row, t })))
        enableGrad(() => scope(() => this.#backward(own, places, sums)))
      }
      return sums
    } catch (error) {
      dispose(sums)
      throw error
    }
  }

  #backward(readings: ReturnType<typeof readingOf>[], places: readonly Place[], sums: ByLoss<(Tensor | null)[]>): void {
    const { probe, scorers, parameters } = this.#measured
    const student = atRest(scorers.student)
    const trained = scoreTrained(student, readings, this.#features(readings), { lengths: (row) => this.#rows[row]?.ids.length ?? 0, count: () => {} })
    const { teacher, teacherBlind } = probe.views
    const frozen = [teacher, teacherBlind].map((view): [string, Tensor] => [view, this.#scored.hidden.get(view) as Tensor])
    const views = viewRows(scorers, this.#views, new Map([...frozen, ...trained.hidden]))
    const index = new Map([...this.#scored.index, ...trained.index])
    for (const loss of losses) {
      // Only the last of them may free what the forward pass kept.
      const retainGraph = loss !== losses.at(-1)
      scope(() => {
        const group = groupOf(this.#rows, index, places, viewsOf(probe.terms[loss]), [termOf(probe, loss)])
        const found = gradientsOf([jointLoss(views, [group]).loss], parameters, { retainGraph })
        for (const [i, each] of found.entries()) {
          if (each === null) continue
          const sum = sums[loss][i]
          // Parts are summed in float32 or wider, whatever the weights are kept in.
          if (sum == null) sums[loss][i] = noGrad(() => keep(wide(each).clone()))
          else noGrad(() => sum.add_(each))
        }
      })
    }
  }

  /** Features of a frozen tower as they are kept; of one that trains with gradients, each image once. */
  #features(readings: readonly { readonly images: readonly EncodedImage[] }[]): (images: readonly EncodedImage[]) => ReturnType<FeatureStore['of']> {
    const { student, towerTrains } = this.#measured.scorers
    if (!towerTrains) return (images) => this.#store.of(student, images)
    const all = [...new Set(readings.flatMap(({ images }) => images))]
    const made = student.model.encodeImages(all, atRest(student).run)
    return (images) => images.map((image) => made[all.indexOf(image)] as (typeof made)[number])
  }

  [Symbol.dispose](): void {
    dispose(this.#scored.hidden)
  }
}

/** Inner products of gradients in float64, [n × n] by rows. */
export function gramOf(gradients: readonly Gradient[]): Float64Array {
  const n = gradients.length
  const gram = new Float64Array(n * n)
  for (let p = 0; p < (gradients[0]?.length ?? 0); p++) {
    const present = gradients.flatMap((each, i) => {
      const tensor = each[p]
      return tensor == null ? [] : [{ i, tensor }]
    })
    if (present.length === 0) continue
    noGrad(() =>
      scope(() => {
        const rows = ops.stack(present.map(({ tensor }) => tensor.reshape([-1]).toDtype('float64'))) // [m, size]
        const products = rows.matmul(rows.transpose(0, 1)).dataAs('float64')
        for (const [a, { i }] of present.entries()) {
          for (const [b, { i: j }] of present.entries()) gram[i * n + j] = (gram[i * n + j] as number) + (products[a * present.length + b] as number)
        }
      }),
    )
  }
  return gram
}
