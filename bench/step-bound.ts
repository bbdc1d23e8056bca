// The arithmetic that an optimisation step cannot do without, counted in floating-point operations of matrix products.

import type { Adapter } from '../src/models/linear.ts'
import type { Model } from '../src/models/model.ts'
import { summandsOf } from '../src/supervision/check.ts'
import type { Row } from '../src/supervision/gather.ts'
import type { Method } from '../src/supervision/method.ts'
import { planTerms } from '../src/supervision/plan.ts'

/** How often a forward pass's products are made: once; with the gradient by the input; with those by the weights too. */
export type Passes = 1 | 2 | 3

/** One pass of a language model's blocks over `tokens`, which together see `pairs` tokens. */
export function languageFlops(model: Model, tokens: number, pairs: number, passes: Passes, adapter: Adapter | null = null): number {
  const { heads, headWidth, layers } = model.config.language
  const blocks = [...model.linears].filter(([name]) => !name.startsWith('model.visual.')).reduce((sum, [, { weight }]) => sum + weight.size, 0)
  const low = [...(adapter?.modules.values() ?? [])].reduce((sum, { a, b }) => sum + a.size + b.size, 0)
  return 2 * tokens * (passes * blocks + 3 * low) + (passes === 1 ? 1 : 3) * 4 * heads * headWidth * layers * pairs
}

/** The vision tower over images of `patches` each. */
export function visionFlops(model: Model, images: number, patches: number, passes: Passes): number {
  const { width, channels, temporalPatch, patch, merge } = model.config.vision
  let [blocks, mergers] = [channels * temporalPatch * patch ** 2 * width, 0]
  let depth = 0
  for (const [name, { weight }] of model.linears) {
    if (name.includes('merger')) mergers += weight.size
    else if (name.startsWith('model.visual.')) blocks += weight.size
    if (/visual\.blocks\.\d+\.attn\.proj$/.test(name)) depth++
  }
  return passes * images * (2 * patches * (blocks + mergers / merge ** 2) + 4 * width * depth * patches ** 2)
}

/** Logits of `positions`, or a gradient back through them. */
export function vocabularyFlops(model: Model, positions: number): number {
  return 2 * model.language.head.size * positions
}

const triangle = (length: number): number => (length * (length + 1)) / 2

/**
 * Σ over the tokens of views of how many tokens each sees. Readings of one row by `views` are computed once where they begin alike.
 * @param extent the number of a rollout's tokens that is read, by view and row; 0 where the view does not read the row
 */
export function pairsOf(rows: readonly Row[], views: readonly string[], extent: (view: string, row: number) => number): number {
  let sum = 0
  for (const [r, { contexts }] of rows.entries()) {
    const read = views.filter((view) => extent(view, r) > 0).map((view) => ({ context: contexts.get(view)?.ids ?? [], tokens: extent(view, r) }))
    for (const { context, tokens } of read) sum += triangle(context.length + tokens)
    const [first, ...others] = read
    for (const { context } of others) {
      let shared = 0
      while (shared < context.length && context[shared] === first?.context[shared]) shared++
      sum -= triangle(shared)
    }
  }
  return sum
}

/** Up to where views read rollouts: one less than the last token that a term supervises by them. */
export function extentOf(method: Method, rows: readonly Row[]): (view: string, row: number) => number {
  const extents = new Map<string, number>()
  for (const { term, claims } of planTerms(method, rows)) {
    const views = [term.student, ...(term.kind === 'distill' ? summandsOf(term).map(({ view }) => view) : [])]
    for (const { row, positions } of claims) {
      for (const view of views) {
        const key = `${view} ${row}`
        extents.set(key, Math.max(extents.get(key) ?? 0, positions.at(-1) as number))
      }
    }
  }
  return (view, row) => extents.get(`${view} ${row}`) ?? 0
}
