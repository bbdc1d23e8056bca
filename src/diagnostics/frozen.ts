// Runs views over rollouts for instruments: nothing trains, each view reads as far as it is asked, and what comes back are hidden states, or
// log-probabilities of the rollout's own tokens.

import { ArgumentError } from '../errors.ts'
import { jointLoss, type ViewRows } from '../supervision/joint.ts'
import type { Group } from '../supervision/joint-chunk.ts'
import type { Application, Summand } from '../supervision/joint-terms.ts'
import type { View, WeightSource } from '../supervision/method.ts'
import { type Readable, readingOf, type Scored, scoreFrozen } from '../supervision/passes.ts'
import { type FeatureStore, frozenScorer, type Scorer, type Scorers } from '../supervision/scorers.ts'
import { dispose, noGrad, scope } from '../torch/context.ts'
import type { Tensor } from '../torch/tensor.ts'

/** View → row → tokens whose distribution is asked for. */
export class Asked {
  readonly byView = new Map<string, Map<number, Set<number>>>()

  add(view: string, row: number, positions: Iterable<number>): void {
    const byRow = this.byView.get(view) ?? new Map<number, Set<number>>()
    this.byView.set(view, byRow)
    const known = byRow.get(row) ?? new Set<number>()
    byRow.set(row, known)
    for (const t of positions) known.add(t)
  }
}

/** Hidden states of all that is asked, without gradients; `dispose` of `hidden` is the caller's. @param views by name, as rows' contexts are */
export function scoreViews(
  scorers: Scorers,
  views: ReadonlyMap<string, View>,
  rows: readonly Readable[],
  { byView }: Asked,
  store: FeatureStore,
  tokensPerPass: number,
): Scored {
  const readings = [...byView].flatMap(([name, byRow]) =>
    [...byRow].flatMap(([row, positions]) =>
      positions.size === 0 ? [] : [readingOf(name, views.get(name) as View, row, rows[row] as Readable, Int32Array.from(positions).sort())],
    ),
  )
  const hidden = new Map<string, Tensor>()
  const index = new Map<string, ReadonlyMap<number, Int32Array>>()
  try {
    for (const [weights, own] of Map.groupBy(readings, ({ view }) => (views.get(view) as View).weights)) {
      const scorer = frozenScorer(scorers, weights)
      if (scorer === null) throw new ArgumentError(`views have the weights "${weights}", which nobody here scores with`)
      const scored = scoreFrozen(scorer, own, store, { tokensPerPass, lengths: (row) => (rows[row] as Readable).ids.length, count: () => {} })
      for (const [view, states] of scored.hidden) hidden.set(view, states)
      for (const [view, places] of scored.index) index.set(view, places)
    }
  } catch (error) {
    dispose(hidden)
    throw error
  }
  return { hidden, index }
}

/** The head of a scorer, cut to the tokens that all have: vocabularies of one family are padded to different lengths. */
export function headOf(scorers: Scorers, weights: WeightSource): Tensor {
  const { student, base, ema, teacher } = scorers
  const models = [student, base, ema, teacher].flatMap((scorer) => (scorer === null ? [] : [scorer.model]))
  const vocabulary = Math.min(...models.map(({ language }) => language.head.dim(0)))
  const { head } = (scorers[weights] as Scorer).model.language
  return head.dim(0) === vocabulary ? head : head.narrow(0, 0, vocabulary)
}

/** What the joint loss takes, of hidden states. */
export function viewRows(scorers: Scorers, views: ReadonlyMap<string, View>, hidden: ReadonlyMap<string, Tensor>): Map<string, ViewRows> {
  const heads = new Map<WeightSource, Tensor>()
  return new Map(
    Array.from(hidden, ([name, states]) => {
      const { weights } = views.get(name) as View
      const head = heads.get(weights) ?? headOf(scorers, weights)
      heads.set(weights, head)
      return [name, { hidden: states, head }]
    }),
  )
}

/** A token of a rollout. */
export interface Place {
  readonly row: number
  readonly t: number
}

/** A distribution built from views, and the tokens at which it is asked. */
export interface Request {
  readonly target: readonly Summand[]
  readonly places: readonly Place[]
}

/** A group of the joint loss in which terms apply to tokens with factor 1, unbounded. */
export function groupOf(
  rows: readonly Readable[],
  index: Scored['index'],
  places: readonly Place[],
  views: Iterable<string>,
  terms: readonly Application['term'][],
): Group {
  const count = places.length
  return {
    ids: Int32Array.from(places, ({ row, t }) => rows[row]?.ids[t] as number),
    rows: new Map(Array.from(new Set(views), (view) => [view, Int32Array.from(places, ({ row, t }) => index.get(view)?.get(row)?.[t] as number)])),
    terms: terms.map((term): Application => {
      const factors = new Float64Array(count).fill(1)
      if (term.kind === 'imitate') return { term, factors }
      if (term.kind === 'distill') return { term, factors, limits: new Float64Array(count).fill(Infinity) }
      throw new ArgumentError('instruments look at terms that distil or imitate')
    }),
  }
}

/** log q(y_t) of each request's target at its tokens, at temperature 1. */
export function tokenLogprobs(
  views: ReadonlyMap<string, ViewRows>,
  rows: readonly Readable[],
  index: Scored['index'],
  requests: readonly Request[],
): Float64Array[] {
  const groups = requests.map(({ target, places }) => {
    const [first] = target
    if (first === undefined) throw new ArgumentError('a target of no views')
    const nll = { kind: 'imitate', student: first.view } as const
    if (target.length === 1 && first.times === 1) return groupOf(rows, index, places, [first.view], [nll])
    // A sum has no logits of its own: what the joint loss can say of it is log p(y) − log q(y) for a view p.
    const difference = {
      ...({ kind: 'distill', student: first.view, target, divergence: { kind: 'reverseKl' } } as const),
      ...({ over: 'sampledToken', temperature: 1, clip: 'clamp' } as const),
    }
    return groupOf(
      rows,
      index,
      places,
      target.map(({ view }) => view),
      [nll, difference],
    )
  })
  const values = noGrad(() => scope(() => jointLoss(views, groups).values))
  return values.map(([nll, difference]) => Float64Array.from(nll?.values ?? [], (each, i) => -each - (difference?.values[i] ?? 0)))
}
