// PALR, how much of what a teacher teaches comes from the answer that it was shown and not from the image (ViGOS, arXiv 2606.19120, §2.3).
//
// On fixed rollouts: how far the active teacher draws the student at a token, weighed by how much that teacher owes to the answer (against
// wrong answers) and to the image (against another sample's).

import { ArgumentError } from '../errors.ts'
import type { Encoded } from '../processing/processor.ts'
import type { Summand } from '../supervision/joint-terms.ts'
import type { Format, Method, Positions, View } from '../supervision/method.ts'
import type { Readable } from '../supervision/passes.ts'
import type { FeatureStore, Scorers } from '../supervision/scorers.ts'
import { type Division, positionsOf } from '../supervision/segments.ts'
import { dispose, scope } from '../torch/context.ts'
import { type ActiveTeacher, activeTeachers, nobody } from './active.ts'
import { type BootstrapOptions, bootstrap, type Estimate } from './bootstrap.ts'
import { Asked, type Place, type Request, scoreViews, tokenLogprobs, viewRows } from './frozen.ts'

/** What a rollout's teachers read where something is replaced; by view, those that see it. */
export interface Counterfactual {
  /** By wrong answer. */
  readonly wrong: readonly ReadonlyMap<string, Encoded>[]
  /** With another sample's image; lacks views that are shown none. */
  readonly swapped: ReadonlyMap<string, Encoded>
}

export type PalrRow = Readable & Counterfactual

/** What PALR sums up, of each token of a rollout; zeros where no teacher is active. All in nats. */
export interface PalrTokens {
  /** The term whose teacher is active; null for none. */
  readonly terms: readonly (string | null)[]
  /** s_t = |log q(y_t) − log p(y_t)|. */
  readonly shift: Float64Array
  /** c^A_t = [log q(y_t) − log q_wrong(y_t)]₊ with q_wrong the uniform mixture over the wrong answers. */
  readonly answer: Float64Array
  /** c^I_t = [log q(y_t) − log q(y_t | the other image)]₊. */
  readonly image: Float64Array
}

export interface PalrOptions {
  readonly tokensPerPass: number
  /** Upper bound of every log-ratio, in nats; null (the paper's) for none. */
  readonly cap?: number | null
}

/** log Σ exp(x) − log n. */
function logMeanExp(values: readonly number[]): number {
  const largest = Math.max(...values)
  if (largest === -Infinity) return largest
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0) / values.length)
}

/** One request for each target, however many rows and variants ask for it. */
class Requests {
  readonly all = new Map<string, { readonly target: readonly Summand[]; readonly places: Place[]; readonly into: Float64Array[] }>()

  /** Asks for log q(y_t); the answer comes into `into` at t. */
  add(target: readonly Summand[], row: number, t: number, into: Float64Array): void {
    const key = JSON.stringify(target)
    const known = this.all.get(key) ?? { target, places: [], into: [] }
    this.all.set(key, known)
    known.places.push({ row, t })
    known.into.push(into)
  }
}

/** What stands in the place of a view whose context is replaced; no view of a method has a space in its name. */
const variant = (view: string, which: string): string => `${view} ${which}`

/** A row with the replaced contexts beside its own. */
function spread(row: PalrRow): Readable {
  const contexts = new Map(row.contexts)
  for (const [k, wrong] of row.wrong.entries()) for (const [view, context] of wrong) contexts.set(variant(view, `wrong ${k}`), context)
  for (const [view, context] of row.swapped) contexts.set(variant(view, 'swapped'), context)
  return { ids: row.ids, division: row.division, contexts }
}

const replaced = (target: readonly Summand[], contexts: ReadonlyMap<string, Encoded>, which: string): readonly Summand[] =>
  target.map((each) => (contexts.has(each.view) ? { ...each, view: variant(each.view, which) } : each))

/**
 * The per-token quantities of PALR, by row; null for invalid rollouts. Student and teachers are at rest (no dropout), distributions at
 * temperature 1. c^A is 0 where the active teacher does not see the reference, c^I where it is shown no image.
 * @throws ArgumentError where the method has no single active teacher (see `activeTeachers`), or a row lacks wrong answers that it needs
 */
export function measurePalr(
  method: Method,
  scorers: Scorers,
  rows: readonly PalrRow[],
  store: FeatureStore,
  { tokensPerPass, cap = null }: PalrOptions,
): (PalrTokens | null)[] {
  if (cap !== null && !(cap > 0)) throw new ArgumentError(`cap is ${cap}; expected a positive number of nats, or null`)
  const { teachers, byRow } = activeTeachers(method, rows)
  const views = new Map(Object.entries(method.views))
  const seesReference = ({ target }: ActiveTeacher): boolean => target.some(({ view }) => (views.get(view) as View).sees.includes('reference'))
  const requests = new Requests()
  const logs = rows.map(({ ids, wrong }) => {
    const empty = (): Float64Array => new Float64Array(ids.length).fill(Number.NaN)
    return { student: empty(), teacher: empty(), wrong: wrong.map(empty), swapped: empty() }
  })
  for (const [r, row] of rows.entries()) {
    const own = logs[r] as (typeof logs)[number]
    for (const [t, at] of (byRow[r] as Int16Array).entries()) {
      if (at === nobody) continue
      const teacher = teachers[at] as ActiveTeacher
      const { student, target } = teacher
      requests.add([{ view: student, times: 1, gradient: 'stopped' }], r, t, own.student)
      requests.add(target, r, t, own.teacher)
      if (seesReference(teacher)) {
        if (row.wrong.length === 0)
          throw new ArgumentError(`row ${r}: the teacher of ${teacher.term} sees the reference, but no wrong answers are given`)
        for (const [k, contexts] of row.wrong.entries()) requests.add(replaced(target, contexts, `wrong ${k}`), r, t, own.wrong[k] as Float64Array)
      }
      if (target.some(({ view }) => row.swapped.has(view))) requests.add(replaced(target, row.swapped, 'swapped'), r, t, own.swapped)
    }
  }
  score(scorers, views, rows.map(spread), requests, store, tokensPerPass)
  return rows.map(({ ids, division }, r) => {
    if (!division.valid) return null
    const { student, teacher, wrong, swapped } = logs[r] as (typeof logs)[number]
    const bounded = (value: number): number => Math.min(value, cap ?? Infinity)
    const tokens = { shift: new Float64Array(ids.length), answer: new Float64Array(ids.length), image: new Float64Array(ids.length) }
    const terms = Array.from(byRow[r] as Int16Array, (at, t) => {
      const active = teachers[at]
      if (active === undefined) return null
      const q = teacher[t] as number
      tokens.shift[t] = bounded(Math.abs(q - (student[t] as number)))
      if (seesReference(active)) tokens.answer[t] = bounded(Math.max(0, q - logMeanExp(wrong.map((each) => each[t] as number))))
      if (!Number.isNaN(swapped[t])) tokens.image[t] = bounded(Math.max(0, q - (swapped[t] as number)))
      return active.term
    })
    return { terms, ...tokens }
  })
}

/** Fills in what was requested. */
function score(
  scorers: Scorers,
  own: ReadonlyMap<string, View>,
  rows: readonly Readable[],
  requests: Requests,
  store: FeatureStore,
  tokensPerPass: number,
): void {
  const views = new Map(own)
  const asked = new Asked()
  for (const { target, places } of requests.all.values()) {
    for (const { view } of target) {
      views.set(view, own.get(view.split(' ')[0] as string) as View)
      for (const { row, t } of places) asked.add(view, row, [t])
    }
  }
  if (requests.all.size === 0) return
  const scored = scoreViews(scorers, views, rows, asked, store, tokensPerPass)
  try {
    const list = [...requests.all.values()]
    const found = scope(() => tokenLogprobs(viewRows(scorers, views, scored.hidden), rows, scored.index, list satisfies readonly Request[]))
    for (const [i, { places, into }] of list.entries()) {
      for (const [j, { t }] of places.entries()) (into[j] as Float64Array)[t] = found[i]?.[j] as number
    }
  } finally {
    dispose(scored.hidden)
  }
}

/** What PALR's ratio is made of: Σ s·c^A and Σ s·(c^A + c^I). Sums of batches add up. */
export interface PalrSums {
  readonly sum: number
  readonly count: number
}

/** What is added to the denominator, so that tokens that owe nothing to anything give 0. */
const epsilon = 1e-8
export const palrOf = ({ sum, count }: PalrSums): number => sum / (count + epsilon)

/** The sums over some tokens of a rollout. */
export function palrSums({ shift, answer, image }: PalrTokens, positions: Iterable<number>): PalrSums {
  let [sum, count] = [0, 0]
  for (const t of positions) {
    const [s, a, i] = [shift[t] as number, answer[t] as number, image[t] as number]
    sum += s * a
    count += s * (a + i)
  }
  return { sum, count }
}

/**
 * The groups of tokens that are reported: T_d, T_r ∪ T_a and T_y of the paper's format. In general the part called description, all other
 * parts together, and all tokens.
 */
export function palrGroups({ parts }: Format): ReadonlyMap<string, Positions> {
  const names = parts.map(({ segment }) => segment)
  const others = names.filter((name) => name !== 'description')
  return new Map<string, Positions>([
    ...(names.includes('description') ? [['description', 'description'] as const] : []),
    ...(others.length > 0 ? [[others.join('+'), others] as const] : []),
    ['all', 'all'],
  ])
}

/** PALR of a group of tokens. */
export interface PalrGroup extends PalrSums, Estimate {
  /** Those at which a teacher is active. */
  readonly tokens: number
}

export interface Palr {
  /** By name, as `palrGroups` makes them; the value is null where no teacher is active at any token. */
  readonly groups: { readonly [name: string]: PalrGroup }
  readonly rollouts: number
  /** Rollouts that counted. */
  readonly valid: number
}

/** PALR over rollouts, with an interval by drawing rollouts again. @param tokens by row, as `measurePalr` gives them, of any number of batches */
export function summarisePalr(
  format: Format,
  rows: readonly { readonly division: Division }[],
  tokens: readonly (PalrTokens | null)[],
  options: BootstrapOptions = {},
): Palr {
  const counted = rows.flatMap(({ division }, r) => {
    const own = tokens[r]
    return own == null ? [] : [{ division, own }]
  })
  const groups = Array.from(palrGroups(format), ([name, positions]): [string, PalrGroup] => {
    const rollouts = counted.map(({ division, own }) => {
      const here = positionsOf(division, positions)
      return { ...palrSums(own, here), tokens: here.filter((t) => own.terms[t] !== null).length }
    })
    const over = (of: (rollout: PalrSums & { readonly tokens: number }) => number, counts?: Float64Array): number =>
      rollouts.reduce((total, each, i) => total + of(each) * (counts?.[i] ?? 1), 0)
    const [active, sum, count] = [over((each) => each.tokens), over((each) => each.sum), over((each) => each.count)]
    const value = (counts: Float64Array): number | null =>
      over((each) => each.tokens, counts) === 0 ? null : palrOf({ sum: over((each) => each.sum, counts), count: over((each) => each.count, counts) })
    const [estimate] = bootstrap(rollouts.length, (counts) => [value(counts)], options)
    return [name, { sum, count, tokens: active, ...(estimate as Estimate) }]
  })
  return { groups: Object.fromEntries(groups), rollouts: rows.length, valid: counted.length }
}
