// Between a plan and the joint loss: gates and bounds of every token, tokens gathered by the terms that supervise them, and the values that
// come back, put where metrics and viewers find them.

import { summandsOf, viewsOf } from './check.ts'
import type { TermValues } from './joint.ts'
import type { Group } from './joint-chunk.ts'
import type { Application, JointTerm } from './joint-terms.ts'
import type { Term } from './method.ts'
import type { Readable, Scored } from './passes.ts'
import { type Claim, type Gate, gateOf, limitsOf, type TermPlan } from './plan.ts'

/** A rollout as the evaluator takes it. */
export interface Row extends Readable {
  /** By the name of the reinforcing term: how much better than its group the rollout was. */
  readonly advantages: ReadonlyMap<string, number>
  /** Log-probabilities of its tokens under the policy that wrote it, as it was then, for reinforcing terms. */
  readonly logprobs: Float32Array
}

/** A numerator and what it is divided by. */
export interface Ratio {
  readonly sum: number
  readonly count: number
}

/** What a term was at each token of a rollout. */
export interface TokenTerms {
  readonly values: Float32Array
  readonly clipped: Uint8Array
  /** The gate's factor; 0 where the term supervises nothing, and value and flag mean nothing. */
  readonly gates: Float32Array
}

export interface TermReport {
  /** After gates and clips, before weight and η; its mean is the term's contribution per unit of weight. */
  readonly loss: Ratio
  /** Before clips, over the tokens that were computed. */
  readonly value: Ratio
  readonly clipped: Ratio
}

/** A term with the numbers of each token that it supervises. */
export interface Weighted {
  readonly plan: TermPlan
  readonly joint: JointTerm
  /** By claim: gate factors, and upper bounds. */
  readonly gates: readonly Float64Array[]
  readonly limits: readonly Float64Array[]
}

/** A term as the joint loss takes it. */
function jointTerm(term: Term): JointTerm {
  if (term.kind === 'imitate') return { kind: 'imitate', student: term.student }
  if (term.kind === 'reinforce') return { kind: 'reinforce', student: term.student, ...term.ratioClip }
  const { divergence, student, over, temperature, clip } = term
  return {
    ...{ kind: 'distill', student, over, temperature, target: summandsOf(term), clip: clip?.how ?? 'clamp' },
    divergence: typeof divergence === 'string' ? { kind: divergence } : { kind: 'jsd', beta: divergence.jsd },
  }
}

/** Gates and limits of every claim. */
export function weigh(plans: readonly TermPlan[], dependencies: readonly (Float32Array | null)[]): Weighted[] {
  const all = Float64Array.from(dependencies.flatMap((each) => Array.from(each ?? [])))
  return plans.map((plan) => {
    const { term, claims } = plan
    const gate: Gate = term.kind === 'distill' && term.gates !== null ? gateOf(term.gates, all) : () => 1
    return {
      ...{ plan, joint: jointTerm(term) },
      gates: claims.map(({ row, positions }) => Float64Array.from(positions, (t) => gate(dependencies[row]?.[t] ?? 0))),
      limits: claims.map((claim) => limitsOf(term, claim)),
    }
  })
}

/** A term at one token: which of the terms, which of its claims, and where in the claim. */
export interface Place {
  readonly term: number
  readonly claim: number
  readonly at: number
}

/** By row and token: the terms that supervise it. */
export type Supervised = readonly (readonly (readonly Place[] | undefined)[])[]

/** Whether a claim can give neither loss nor gradient: its rollout was neither better nor worse than its group. */
const isIdle = (rows: readonly Row[], { name, term }: TermPlan, { row }: Claim): boolean =>
  term.kind === 'reinforce' && rows[row]?.advantages.get(name) === 0

/**
 * By row and token: the terms that supervise it with a factor other than 0. Claims that are idle are left out, though not all of a term:
 * with a gradient, be it of zero, the optimiser goes on by its momentum.
 */
export function supervisedTokens(rows: readonly Row[], weighted: readonly Weighted[]): (Place[] | undefined)[][] {
  const supervised = rows.map(({ ids }) => new Array<Place[] | undefined>(ids.length).fill(undefined))
  for (const [term, { plan, gates }] of weighted.entries()) {
    const busy = plan.claims.some((each) => !isIdle(rows, plan, each))
    for (const [claim, each] of plan.claims.entries()) {
      const { row, positions } = each
      if (isIdle(rows, plan, each) && (busy || claim > 0)) continue
      const byToken = supervised[row] as (Place[] | undefined)[]
      for (const [at, t] of positions.entries()) {
        if (gates[claim]?.[at] === 0) continue
        const here = byToken[t] ?? []
        here.push({ term, claim, at })
        byToken[t] = here
      }
    }
  }
  return supervised
}

/** A group of the joint loss with what tells its positions and terms again. */
export interface Gathered {
  readonly group: Group
  readonly places: readonly { readonly row: number; readonly t: number; readonly here: readonly Place[] }[]
  readonly terms: readonly number[]
}

/** Tokens of some rows, gathered by which of some terms supervise them. */
export function groupsOf(
  rows: readonly Row[],
  part: readonly number[],
  { supervised, terms: only }: { readonly supervised: Supervised; readonly terms: ReadonlySet<number> },
  weighted: readonly Weighted[],
  scored: { readonly trained: Scored; readonly frozen: Scored },
  eta: number,
): Gathered[] {
  const all = part.flatMap((row) =>
    (supervised[row] ?? []).flatMap((places, t) => {
      const here = places?.filter(({ term }) => only.has(term)) ?? []
      return here.length === 0 ? [] : [{ row, t, here }]
    }),
  )
  const index = new Map([...scored.frozen.index, ...scored.trained.index])
  return Array.from(Map.groupBy(all, ({ here }) => here.map(({ term }) => term).join()).values(), (places) => {
    const terms = (places[0]?.here ?? []).map(({ term }) => term)
    const views = new Set(terms.flatMap((term) => viewsOf((weighted[term] as Weighted).plan.term)))
    const numbers = (of: (place: (typeof places)[number]) => number): Float64Array => Float64Array.from(places, of)
    const applications = terms.map((term, i): Application => {
      const { plan, joint, gates, limits } = weighted[term] as Weighted
      const factors = numbers(({ here }) => {
        const { claim, at } = here[i] as Place
        return eta * plan.term.weight * (plan.claims[claim]?.share as number) * (gates[claim]?.[at] as number)
      })
      if (joint.kind === 'imitate') return { term: joint, factors }
      if (joint.kind === 'distill')
        return { term: joint, factors, limits: numbers(({ here }) => limits[here[i]?.claim as number]?.[here[i]?.at as number] as number) }
      const advantages = numbers(({ row }) => rows[row]?.advantages.get(plan.name) as number)
      return { term: joint, factors, advantages, oldLogprobs: numbers(({ row, t }) => rows[row]?.logprobs[t] as number) }
    })
    const rowsOf = (view: string): Int32Array => Int32Array.from(places, ({ row, t }) => index.get(view)?.get(row)?.[t] as number)
    const ids = Int32Array.from(places, ({ row, t }) => rows[row]?.ids[t] as number)
    return { group: { ids, rows: new Map(Array.from(views, (view) => [view, rowsOf(view)])), terms: applications }, places, terms }
  })
}

/** What is noted of a term at the tokens of a rollout; begun where there is nothing yet. */
function notedAt(tokens: readonly Map<string, TokenTerms>[], rows: readonly Row[], term: string, row: number): TokenTerms {
  const own = tokens[row] as Map<string, TokenTerms>
  const { length } = (rows[row] as Row).ids
  const noted = own.get(term) ?? { values: new Float32Array(length), clipped: new Uint8Array(length), gates: new Float32Array(length) }
  own.set(term, noted)
  return noted
}

/** Notes the zeros that claims are which are not computed. */
export function noteIdle(tokens: readonly Map<string, TokenTerms>[], rows: readonly Row[], weighted: readonly Weighted[]): void {
  for (const { plan, gates } of weighted) {
    for (const [c, claim] of plan.claims.entries()) {
      if (!isIdle(rows, plan, claim)) continue
      const noted = notedAt(tokens, rows, plan.name, claim.row)
      for (const [i, t] of claim.positions.entries()) noted.gates[t] = gates[c]?.[i] as number
    }
  }
}

/** Writes a term's values at a group's tokens where viewers and metrics find them. */
export function note(
  tokens: readonly Map<string, TokenTerms>[],
  rows: readonly Row[],
  { plan, gates }: Weighted,
  places: Gathered['places'],
  term: number,
  found: TermValues | undefined,
): void {
  for (const [i, { row, t, here }] of places.entries()) {
    const noted = notedAt(tokens, rows, plan.name, row)
    const place = here.find((each) => each.term === term) as Place
    noted.values[t] = found?.values[i] as number
    noted.clipped[t] = found?.clipped[i] as number
    noted.gates[t] = gates[place.claim]?.[place.at] as number
  }
}

/** Each term's numerators and counts over the batch. */
export function summarised(weighted: readonly Weighted[], tokens: readonly ReadonlyMap<string, TokenTerms>[]): Map<string, TermReport> {
  return new Map(
    weighted.map(({ plan, limits, gates }) => {
      let [loss, value, clipped, seen] = [0, 0, 0, 0]
      for (const [c, { row, positions, share }] of plan.claims.entries()) {
        const own = tokens[row]?.get(plan.name)
        if (own === undefined) continue
        for (const [i, t] of positions.entries()) {
          const gate = gates[c]?.[i] as number
          if (gate === 0) continue
          const each = own.values[t] as number
          loss += share * gate * Math.min(each, limits[c]?.[i] as number)
          value += each
          clipped += own.clipped[t] as number
          seen++
        }
      }
      return [
        plan.name,
        { loss: { sum: loss * plan.count, count: plan.count }, value: { sum: value, count: seen }, clipped: { sum: clipped, count: seen } },
      ]
    }),
  )
}
