// Every method as its papers' formulas say, in loops over plain numbers: the oracle of methods.test.ts. It knows the methods by name and
// nothing of the language in which they are written.

import type { Logits, Rollout } from '../supervision/tables.ts'

export interface Case {
  readonly rollouts: readonly Rollout[]
  readonly groups: readonly (readonly number[])[]
  readonly ids: readonly Int32Array[]
  readonly logits: Logits
  /** Of the policy that wrote the rollouts, [row][t]. */
  readonly logprobs: readonly (readonly number[])[]
}

interface Point {
  readonly value: number
  /** By the logits of the view that is trained. */
  readonly slope: readonly number[]
  /** Whether a clip of its own was active, as in a ratio. */
  readonly clipped?: boolean
}

/** One term of a method: which tokens, what each is worth, how they are averaged. */
interface Term {
  readonly weight: number
  readonly view: string
  readonly mean: 'tokens' | 'responses'
  readonly on: (row: number) => number[]
  readonly at: (row: number, t: number) => Point
  readonly limit: number
  readonly gate: (row: number, t: number) => number
}

const at = (values: ArrayLike<number> | undefined, i: number): number => values?.[i] ?? Number.NaN
const total = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0)

export function logSoftmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits)
  const normaliser = top + Math.log(total(logits.map((x) => Math.exp(x - top))))
  return logits.map((x) => x - normaliser)
}

/** KL(q‖p) with its slope by p's logits. */
function forward(p: readonly number[], q: readonly number[]): Point {
  const [logP, logQ] = [logSoftmax(p), logSoftmax(q)]
  return { value: total(logQ.map((x, v) => Math.exp(x) * (x - at(logP, v)))), slope: logP.map((x, v) => Math.exp(x) - Math.exp(at(logQ, v))) }
}

/** KL(p‖q) with its slope by p's logits. */
function reverse(p: readonly number[], q: readonly number[]): Point {
  const [logP, logQ] = [logSoftmax(p), logSoftmax(q)]
  const value = total(logP.map((x, v) => Math.exp(x) * (x - at(logQ, v))))
  return { value, slope: logP.map((x, v) => Math.exp(x) * (x - at(logQ, v) - value)) }
}

/** KL over q's k most probable entries and one bucket for the rest. */
function forwardTop(k: number, p: readonly number[], q: readonly number[]): Point {
  const [P, Q] = [logSoftmax(p).map(Math.exp), logSoftmax(q).map(Math.exp)]
  const order = [...Q.keys()].sort((a, b) => at(Q, b) - at(Q, a))
  const [top, tail] = [new Set(order.slice(0, k)), order.slice(k)]
  const [tailP, tailQ] = [total(tail.map((v) => at(P, v))), total(tail.map((v) => at(Q, v)))]
  const value = total([...top].map((v) => at(Q, v) * Math.log(at(Q, v) / at(P, v)))) + (tail.length > 0 ? tailQ * Math.log(tailQ / tailP) : 0)
  return { value, slope: P.map((x, v) => x - (top.has(v) ? at(Q, v) : (tailQ * x) / tailP)) }
}

/** The q-quantile of values, linear between neighbours. */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = q * (sorted.length - 1)
  const low = Math.floor(place)
  return low + 1 < sorted.length ? at(sorted, low) * (1 - (place - low)) + at(sorted, low + 1) * (place - low) : at(sorted, low)
}

const everything =
  ({ rollouts }: Case) =>
  (row: number): number[] =>
    Array.from(rollouts[row]?.labels ?? '', (_, t) => t)

const plain = { weight: 1, view: 'student', mean: 'tokens', limit: Number.POSITIVE_INFINITY, gate: () => 1 } as const

/** Tokens of valid rollouts that carry one of the labels. */
const labelled =
  ({ rollouts }: Case, letters: string) =>
  (row: number): number[] => {
    const { labels, valid } = rollouts[row] as Rollout
    return valid ? Array.from(labels, (_, t) => t).filter((t) => letters.includes(labels[t] as string)) : []
  }

interface VigosOptions {
  readonly perception?: string | null
  readonly reasoning?: boolean
  readonly reference?: 'reverse' | 'forward' | null
  readonly through?: boolean
  readonly onInvalid?: boolean
}

/** L = L_perc + L_rea + 2 L_ref, each value clamped at 0.05 (section 2). */
function vigos(
  c: Case,
  { perception = 'perception', reasoning = true, reference = 'reverse', through, onInvalid }: VigosOptions = {},
): [string, Term][] {
  const { logits, rollouts } = c
  const valid = (row: number): boolean => rollouts[row]?.valid === true
  const all = everything(c)
  const also = (own: (row: number) => number[]) => (row: number) => (onInvalid && !valid(row) ? all(row) : own(row))
  const span = (row: number): number[] =>
    valid(row) ? all(row).filter((t) => t >= at([rollouts[row]?.reasoning ?? 0], 0) && t < at([rollouts[row]?.boxed ?? 0], 0)) : []
  const limit = 0.05
  const terms: [string, Term][] = []
  if (perception !== null)
    terms.push([
      'perception',
      { ...plain, limit, on: also(labelled(c, 'd')), at: (r, t) => forward(logits('student', r, t), logits(perception, r, t)) },
    ])
  if (reasoning)
    terms.push([
      'reasoning',
      { ...plain, limit, on: also(through ? span : labelled(c, 'ra')), at: (r, t) => forward(logits('student', r, t), logits('reasoning', r, t)) },
    ])
  if (reference !== null) {
    const kl = reference === 'reverse' ? reverse : forward
    const on = (row: number): number[] => (valid(row) ? [] : all(row))
    terms.push(['reference', { ...plain, limit, weight: 2, on, at: (r, t) => kl(logits('student', r, t), logits('reference', r, t)) }])
  }
  return terms
}

const opsd = (c: Case, point: (p: readonly number[], q: readonly number[], y: number) => Point): [string, Term][] => [
  ['privileged', { ...plain, on: everything(c), at: (r, t) => point(c.logits('student', r, t), c.logits('privileged', r, t), at(c.ids[r], t)) }],
]

const vds = ({ logits }: Case, r: number, t: number): number => forward(logits('teacherBlind', r, t), logits('teacher', r, t)).value

/** Visual dependency of every token, by row. */
export function dependencies(c: Case): number[][] {
  return c.rollouts.map((_, r) => everything(c)(r).map((t) => vds(c, r, t)))
}

/** ℓ_Std, ℓ_Vis, ℓ_Lang, and the two preserved parts (section 4). */
function steering(c: Case) {
  const { logits } = c
  const threshold = (q: number): number => quantile(dependencies(c).flat(), q)
  const shared = { ...plain, mean: 'responses', on: everything(c) } as const
  const target = (r: number, t: number): number[] => {
    const [p0, q, q0] = ['studentBlind', 'teacher', 'teacherBlind'].map((view) => logSoftmax(logits(view, r, t))) as [number[], number[], number[]]
    return p0.map((x, v) => x + at(q, v) - at(q0, v))
  }
  const standard: Term = { ...shared, at: (r, t) => reverse(logits('student', r, t), logits('teacher', r, t)) }
  const visual: Term = { ...shared, at: (r, t) => reverse(logits('student', r, t), target(r, t)) }
  const language: Term = { ...shared, view: 'studentBlind', at: (r, t) => reverse(logits('studentBlind', r, t), logits('teacherBlind', r, t)) }
  const dependent = (r: number, t: number): number => (vds(c, r, t) > threshold(0.7) ? 1 : 0)
  const tiers = (r: number, t: number): number => (vds(c, r, t) > threshold(0.7) ? 1 : vds(c, r, t) > threshold(0.4) ? 0.5 : 0)
  return { standard, visual, language, dependent, tiers }
}

/** 0/1 rewards, normalised within each group; ratio clipped at ± 0.2; what is minimised. */
function grpo(c: Case): Term {
  const advantage = (row: number): number => {
    const group = c.groups.find((each) => each.includes(row)) ?? []
    const rewards = group.map((each) => (c.rollouts[each]?.correct ? 1 : 0) as number)
    const mean = total(rewards) / rewards.length
    const deviation = Math.sqrt(total(rewards.map((x) => (x - mean) ** 2)) / (rewards.length - 1))
    return deviation === 0 ? 0 : (at(rewards, group.indexOf(row)) - mean) / deviation
  }
  return {
    ...{ ...plain, mean: 'responses', on: everything(c) },
    at: (r, t) => {
      const [logP, y, a] = [logSoftmax(c.logits('student', r, t)), at(c.ids[r], t), advantage(r)]
      const ratio = Math.exp(at(logP, y) - at(c.logprobs[r], t))
      const surrogate = Math.min(ratio * a, Math.max(0.8, Math.min(1.2, ratio)) * a)
      const clipped = surrogate < ratio * a
      return { value: -surrogate, clipped, slope: logP.map((x, v) => (clipped ? 0 : -ratio * a * ((v === y ? 1 : 0) - Math.exp(x)))) }
    },
  }
}

const surprise = (p: readonly number[], y: number): Point => {
  const logP = logSoftmax(p)
  return { value: -at(logP, y), slope: logP.map((x, v) => Math.exp(x) - (v === y ? 1 : 0)) }
}

function sampled(p: readonly number[], q: readonly number[], y: number): Point {
  const value = at(logSoftmax(p), y) - at(logSoftmax(q), y)
  return { value, slope: logSoftmax(p).map((x, v) => value * ((v === y ? 1 : 0) - Math.exp(x))) }
}

const times = (weight: number, term: Term): Term => ({ ...term, weight })

const tables: { readonly [method: string]: (c: Case) => [string, Term][] } = {
  sft: (c) => [['imitation', { ...plain, on: everything(c), at: (r, t) => surprise(c.logits('student', r, t), at(c.ids[r], t)) }]],
  seqkd: (c) => [
    ['standard', { ...plain, mean: 'responses', on: everything(c), at: (r, t) => forward(c.logits('student', r, t), c.logits('teacher', r, t)) }],
  ],
  opsd: (c) => opsd(c, forward),
  'opsd-same-prompt': (c) => opsd(c, forward),
  'opsd-ema': (c) => opsd(c, forward),
  'opsd-live': (c) => opsd(c, forward),
  'opsd-top-k': (c) => opsd(c, (p, q) => forwardTop(100, p, q)),
  'opsd-top-5': (c) => opsd(c, (p, q) => forwardTop(5, p, q)),
  'opsd-sampled': (c) => opsd(c, sampled),
  vigos: (c) => vigos(c),
  'vigos-released': (c) => vigos(c, { through: true }),
  'vigos-no-perception': (c) => vigos(c, { perception: null }),
  'vigos-no-reasoning': (c) => vigos(c, { reasoning: false }),
  'vigos-reference-forward': (c) => vigos(c, { reference: 'forward' }),
  'vigos-no-reference': (c) => vigos(c, { reference: null, onInvalid: true }),
  'vigos-privileged-description': (c) => vigos(c, { perception: 'reference' }),
  'vigos-description-only': (c) => vigos(c, { reasoning: false, reference: null }),
  opd: (c) => [['standard', steering(c).standard]],
  vgs: (c) => {
    const { standard, visual, language, dependent } = steering(c)
    return Object.entries({ standard, visual: times(2, visual), preservation: { ...language, weight: 0.01, gate: dependent } })
  },
  'adaptive-vgs': (c) => {
    const { standard, visual, language, dependent, tiers } = steering(c)
    return Object.entries({ standard, visual: { ...visual, weight: 2, gate: tiers }, preservation: { ...language, weight: 0.01, gate: dependent } })
  },
  'language-steering': (c) => {
    const { standard, visual, language, dependent } = steering(c)
    return Object.entries({ standard, language: times(2, language), visualPreservation: { ...visual, weight: 0.01, gate: dependent } })
  },
  grpo: (c) => [['correctness', grpo(c)]],
  'grpo-opd': (c) => Object.entries({ correctness: times(0.7, grpo(c)), standard: times(0.3, steering(c).standard) }),
  'grpo-vgs': (c) => {
    const { standard, visual, language, dependent } = steering(c)
    const distilled = { standard: times(0.3, standard), visual: times(0.6, visual), preservation: { ...language, weight: 0.003, gate: dependent } }
    return Object.entries({ correctness: times(0.7, grpo(c)), ...distilled })
  },
}
export const known: readonly string[] = Object.keys(tables)

/** η of a method: the paper's for a 2B student, or measured between two sets of terms. */
const scales: { readonly [method: string]: number | { readonly keep: readonly string[]; readonly under: readonly string[] } } = {
  vgs: 0.41,
  'adaptive-vgs': 0.41,
  'language-steering': { keep: ['standard'], under: ['standard', 'language'] },
}

export interface Expected {
  readonly loss: number
  readonly scale: number
  /** Gradients by view and row, [t][v]. */
  readonly gradient: (view: string, row: number) => number[][]
  readonly terms: ReadonlyMap<
    string,
    { readonly sum: number; readonly count: number; readonly value: number; readonly clipped: number; readonly seen: number }
  >
  /** By term: what is known of a token. */
  readonly tokens: ReadonlyMap<string, ReadonlyMap<string, { readonly value: number; readonly clipped: boolean; readonly gate: number }>>
}

export function oracle(method: string, c: Case): Expected {
  const terms = tables[method]?.(c) ?? []
  const parts = new Map<string, Map<string, number[]>>()
  const summaries = new Map<string, { sum: number; count: number; value: number; clipped: number; seen: number }>()
  const tokens = new Map<string, Map<string, { value: number; clipped: boolean; gate: number }>>()
  let loss = 0
  for (const [name, term] of terms) {
    const own = c.rollouts.map((_, row) => term.on(row))
    const count = term.mean === 'tokens' ? own.flat().length : own.filter((each) => each.length > 0).length
    const summary = { sum: 0, count, value: 0, clipped: 0, seen: 0 }
    const found = new Map<string, { value: number; clipped: boolean; gate: number }>()
    const slopes = new Map<string, number[]>()
    for (const [row, positions] of own.entries()) {
      for (const t of positions) {
        const gate = term.gate(row, t)
        if (gate === 0) continue
        const { value, slope, clipped: own = false } = term.at(row, t)
        const clipped = own || value > term.limit
        const share = term.mean === 'tokens' ? 1 / count : 1 / count / positions.length
        found.set(`${row} ${t}`, { value, clipped, gate })
        summary.value += value
        summary.clipped += clipped ? 1 : 0
        summary.seen++
        summary.sum += gate * share * count * Math.min(value, term.limit)
        if (value <= term.limit)
          slopes.set(
            `${term.view} ${row} ${t}`,
            slope.map((x) => x * gate * share * term.weight),
          )
      }
    }
    loss += count === 0 ? 0 : (term.weight * summary.sum) / count
    summaries.set(name, summary)
    tokens.set(name, found)
    parts.set(name, slopes)
  }
  const summed = (names: readonly string[]): Map<string, number[]> => {
    const sums = new Map<string, number[]>()
    for (const name of names)
      for (const [place, slope] of parts.get(name) ?? [])
        sums.set(
          place,
          slope.map((x, v) => x + (sums.get(place)?.[v] ?? 0)),
        )
    return sums
  }
  const norm = (names: readonly string[]): number => Math.sqrt(total([...summed(names).values()].flat().map((x) => x * x)))
  const rule = scales[method] ?? 1
  const scale = typeof rule === 'number' ? rule : norm(rule.keep) / norm(rule.under)
  const gradients = summed([...parts.keys()])
  return {
    ...{ loss: scale * loss, scale, terms: summaries, tokens },
    gradient: (view, row) =>
      Array.from(c.rollouts[row]?.pieces ?? [], (_, t) =>
        (gradients.get(`${view} ${row} ${t}`) ?? new Array<number>(32).fill(0)).map((x) => scale * x),
      ),
  }
}
