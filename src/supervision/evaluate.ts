// Turns a method's terms into gradients: each view runs over the tokens that some term needs of it, frozen views first and for the whole
// batch, then the student part by part; all terms of a part share its logits.

import type { Model } from '../models/model.ts'
import type { EncodedImage } from '../processing/patches.ts'
import { widenGradients } from '../torch/autograd.ts'
import { backward } from '../torch/backward.ts'
import { dispose, scope } from '../torch/context.ts'
import { gradientNorm, scaleGradients } from '../torch/optimizer.ts'
import type { Tensor } from '../torch/tensor.ts'
import { needsDependency, trainedViews, usedViews, viewsOf } from './check.ts'
import {
  groupsOf,
  note,
  noteIdle,
  type Row,
  type Supervised,
  summarised,
  supervisedTokens,
  type TermReport,
  type TokenTerms,
  type Weighted,
  weigh,
} from './gather.ts'
import { dependency, jointLoss, type ViewRows } from './joint.ts'
import type { Method, View, WeightSource } from './method.ts'
import { type Count, type Reading, readingOf, type Scored, scoreFrozen, scoreTrained } from './passes.ts'
import { planTerms, type TermPlan } from './plan.ts'
import { batched, type FeatureStore, frozenScorer, type Scorers } from './scorers.ts'

export interface Report {
  readonly terms: ReadonlyMap<string, TermReport>
  /** Σ of all terms with weights and η: what was minimised. */
  readonly loss: number
  /** The η that was used. */
  readonly scale: number
  readonly tokens: ReadonlyMap<string, TokenTerms>[]
  /** By row; null where the method has no gates. */
  readonly dependencies: readonly (Float32Array | null)[]
  /** Tokens that models computed. */
  readonly computed: { readonly frozen: number; readonly trained: number }
  readonly seconds: { readonly frozen: number; readonly trained: number }
}

export interface EvaluatorOptions {
  /** Tokens of one pass through a model; a rollout that is longer has a pass of its own. */
  readonly tokensPerPass: number
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000

function counter(): { readonly count: Count; readonly total: () => number } {
  let sum = 0
  return {
    count: (tokens) => {
      sum += tokens
    },
    total: () => sum,
  }
}

export class Evaluator {
  readonly #method: Method
  readonly #scorers: Scorers
  readonly #options: EvaluatorOptions
  readonly #parameters: readonly Tensor[]
  readonly #trained: ReadonlySet<string>
  /** η as it was measured last; null before. */
  scale: number | null = null

  /** @param parameters those that train, for the norms of a measured scale */
  constructor(method: Method, scorers: Scorers, parameters: readonly Tensor[], options: EvaluatorOptions) {
    this.#method = method
    this.#scorers = scorers
    this.#parameters = parameters
    this.#options = options
    this.#trained = trainedViews(method)
  }

  /**
   * Adds the gradient of the method's loss over these rollouts to that of the parameters. Means are over these rollouts together, in
   * however many passes they are computed.
   * @param store features of the batch's images by frozen towers
   * @param step counts optimisation steps, for a scale that is measured every so often
   */
  accumulate(rows: readonly Row[], store: FeatureStore, step: number): Report {
    const plans = planTerms(this.#method, rows)
    const tokens = rows.map(() => new Map<string, TokenTerms>())
    const [frozenTokens, trainedTokens] = [counter(), counter()]
    const started = performance.now()
    const frozen = this.#score(rows, plans, store, frozenTokens.count)
    try {
      const dependencies = this.#dependencies(rows, frozen)
      const weighted = weigh(plans, dependencies)
      const frozenSeconds = secondsSince(started)
      const trainedStarted = performance.now()
      const into = { store, tokens, count: trainedTokens.count }
      const supervised = supervisedTokens(rows, weighted)
      noteIdle(tokens, rows, weighted)
      const { loss, scale } = this.#scaled(weighted, (terms, eta) => this.#backward(rows, weighted, { supervised, terms, eta }, frozen, into), step)
      return {
        ...{ terms: summarised(weighted, tokens), loss, scale, tokens, dependencies },
        computed: { frozen: frozenTokens.total(), trained: trainedTokens.total() },
        seconds: { frozen: frozenSeconds, trained: secondsSince(trainedStarted) },
      }
    } finally {
      dispose(frozen.hidden)
    }
  }

  /** All frozen views over the whole batch, each as far as some term or gate asks. */
  #score(rows: readonly Row[], plans: readonly TermPlan[], store: FeatureStore, count: Count): Scored {
    const { views, dependency: pair } = this.#method
    const asked = new Map<string, Map<number, Set<number>>>()
    const ask = (view: string, row: number, positions: Iterable<number>): void => {
      if (this.#trained.has(view)) return
      const byRow = asked.get(view) ?? new Map<number, Set<number>>()
      asked.set(view, byRow)
      const known = byRow.get(row) ?? new Set<number>()
      byRow.set(row, known)
      for (const t of positions) known.add(t)
    }
    for (const { term, claims } of plans) {
      for (const view of viewsOf(term)) for (const { row, positions } of claims) ask(view, row, positions)
    }
    if (pair !== null && needsDependency(this.#method)) {
      for (const view of [pair.sighted, pair.blind]) for (const [row, { ids }] of rows.entries()) ask(view, row, ids.keys())
    }
    const readings = [...asked].flatMap(([name, byRow]) =>
      Array.from(byRow, ([row, positions]) => readingOf(name, views[name] as View, row, rows[row] as Row, Int32Array.from(positions).sort())),
    )
    const hidden = new Map<string, Tensor>()
    const index = new Map<string, ReadonlyMap<number, Int32Array>>()
    try {
      for (const [weights, own] of Map.groupBy(readings, ({ view }) => (views[view] as View).weights)) {
        const scorer = frozenScorer(this.#scorers, weights)
        if (scorer === null) throw new Error(`nobody scores with the weights ${weights}`)
        const scored = scoreFrozen(scorer, own, store, { ...this.#options, lengths: (row) => (rows[row] as Row).ids.length, count })
        for (const [view, states] of scored.hidden) hidden.set(view, states)
        for (const [view, places] of scored.index) index.set(view, places)
      }
    } catch (error) {
      dispose(hidden)
      throw error
    }
    return { hidden, index }
  }

  #head(weights: WeightSource): Tensor {
    const model = (weights === 'student' ? this.#scorers.student : this.#scorers[weights])?.model as Model
    const vocabulary = Math.min(...this.#models().map(({ language }) => language.head.dim(0)))
    const { head } = model.language
    // Vocabularies of one family are padded to different lengths.
    return head.dim(0) === vocabulary ? head : head.narrow(0, 0, vocabulary)
  }

  #models(): Model[] {
    const { student, base, ema, teacher } = this.#scorers
    return [student, base, ema, teacher].flatMap((scorer) => (scorer === null ? [] : [scorer.model]))
  }

  /** Visual dependency of every token (VGS, eq. 12), by row. */
  #dependencies(rows: readonly Row[], { hidden, index }: Scored): (Float32Array | null)[] {
    const pair = this.#method.dependency
    if (pair === null || !needsDependency(this.#method)) return rows.map(() => null)
    const side = (view: string): ViewRows => ({ hidden: hidden.get(view) as Tensor, head: this.#head((this.#method.views[view] as View).weights) })
    const values = scope(() => dependency(side(pair.sighted), side(pair.blind)))
    return rows.map((_, row) => Float32Array.from(index.get(pair.sighted)?.get(row) as Int32Array, (at) => values[at] as number))
  }

  /** Backward of all terms with their scale: known beforehand, or measured as the gradients of parts of the sum come in. */
  #scaled(
    weighted: readonly Weighted[],
    backwardOf: (terms: ReadonlySet<number>, eta: number) => number,
    step: number,
  ): { loss: number; scale: number } {
    const { scale } = this.#method
    const all = new Set(weighted.keys())
    if (typeof scale === 'number') return { loss: backwardOf(all, scale), scale }
    if (this.scale !== null && step % scale.every !== 0) return { loss: backwardOf(all, this.scale), scale: this.scale }
    const named = (names: readonly string[]) => new Set([...all].filter((term) => names.includes((weighted[term] as Weighted).plan.name)))
    const [keep, under] = [named(scale.keep), named(scale.under)]
    // Gradients accumulate: after each part their norm is that of the sum so far.
    let loss = backwardOf(keep, 1)
    const kept = gradientNorm(this.#parameters)
    loss += backwardOf(under.difference(keep), 1)
    const whole = gradientNorm(this.#parameters)
    loss += backwardOf(all.difference(under), 1)
    // No gradient to compare: nothing to rescale either.
    const eta = whole > 0 && kept > 0 ? kept / whole : (this.scale ?? 1)
    this.scale = eta
    scaleGradients(this.#parameters, eta)
    return { loss: loss * eta, scale: eta }
  }

  /** Gradients of some terms, by their indices, part of the batch after part. → their weighted sum */
  #backward(
    rows: readonly Row[],
    weighted: readonly Weighted[],
    { supervised, terms, eta }: { readonly supervised: Supervised; readonly terms: ReadonlySet<number>; readonly eta: number },
    frozen: Scored,
    into: { readonly store: FeatureStore; readonly tokens: readonly Map<string, TokenTerms>[]; readonly count: Count },
  ): number {
    const readings = this.#readings(rows, supervised, weighted, terms)
    if (!this.#scorers.towerTrains) {
      const images = [...readings.values()].flatMap((own) => own.flatMap((reading) => reading.images))
      into.store.of(this.#scorers.student, images)
    }
    let loss = 0
    const sizeOf = (row: number): number => (readings.get(row) as Reading[]).reduce((sum, { ids }) => sum + ids.length, 0)
    for (const part of batched([...readings.keys()], sizeOf, this.#options.tokensPerPass)) {
      loss += scope(() => {
        const own = part.flatMap((row) => readings.get(row) as Reading[])
        const { student } = this.#scorers
        const trained = scoreTrained(student, own, this.#features(own, into.store), {
          lengths: (row) => (rows[row] as Row).ids.length,
          count: into.count,
        })
        const groups = groupsOf(rows, part, { supervised, terms }, weighted, { trained, frozen }, eta)
        const heads = new Map(
          Array.from(
            new Set(
              usedViews(this.#method)
                .values()
                .map(({ weights }) => weights),
            ),
            (each) => [each, this.#head(each)],
          ),
        )
        const rowsOf = ([view, hidden]: [string, Tensor]): [string, ViewRows] => {
          const { weights } = this.#method.views[view] as View
          return [view, { hidden, head: heads.get(weights) as Tensor }]
        }
        const views = new Map([...frozen.hidden, ...trained.hidden].map(rowsOf))
        const result = jointLoss(
          views,
          groups.map(({ group }) => group),
        )
        for (const [g, { places, terms: own }] of groups.entries()) {
          for (const [i, term] of own.entries()) note(into.tokens, rows, weighted[term] as Weighted, places, term, result.values[g]?.[i])
        }
        if (result.loss.requiresGrad) backward(result.loss)
        widenGradients(this.#parameters)
        return result.loss.item()
      })
    }
    return loss
  }

  /** By row, for rows that train something: what the trained views read of it. */
  #readings(rows: readonly Row[], supervised: Supervised, weighted: readonly Weighted[], terms: ReadonlySet<number>): Map<number, Reading[]> {
    const readings = new Map<number, Reading[]>()
    for (const [row, byToken] of supervised.entries()) {
      const asked = new Map<string, number[]>()
      for (const [t, here] of byToken.entries()) {
        const views = new Set(here?.flatMap(({ term }) => (terms.has(term) ? viewsOf((weighted[term] as Weighted).plan.term) : [])))
        for (const view of views) {
          if (!this.#trained.has(view)) continue
          const positions = asked.get(view) ?? []
          asked.set(view, positions)
          positions.push(t)
        }
      }
      const own = Array.from(asked, ([view, positions]) =>
        readingOf(view, this.#method.views[view] as View, row, rows[row] as Row, Int32Array.from(positions)),
      )
      if (own.length > 0) readings.set(row, own)
    }
    return readings
  }

  /** Features for a pass that trains: kept ones of a frozen tower, or made with gradients, each image once. */
  #features(readings: readonly Reading[], store: FeatureStore): (images: readonly EncodedImage[]) => ReturnType<FeatureStore['of']> {
    const { student, towerTrains } = this.#scorers
    if (!towerTrains) return (images) => store.of(student, images)
    const all = [...new Set(readings.flatMap(({ images }) => images))]
    const made = student.model.encodeImages(all, student.run)
    const byImage = new Map(all.map((image, i) => [image, made[i] as (typeof made)[number]]))
    return (images) => images.map((image) => byImage.get(image) as (typeof made)[number])
  }
}
