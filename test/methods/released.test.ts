// vigos-released against the losses of the released code on the same logits (tools/goldens/vigos.py), and where the paper's method differs.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { vigos, vigosReleased } from '../../src/methods/vigos.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import type { Method } from '../../src/supervision/method.ts'
import { type Rollout, randomLogits, rollouts, V, World } from '../supervision/tables.ts'
import { close, withoutLeaks } from '../support.ts'

interface Variant {
  readonly name: string
  readonly token: number | null
  readonly last: number | null
  readonly first: number | null
  readonly temperature: number
  readonly terms: Readonly<Record<string, number>>
  readonly loss: number
  readonly gradient: readonly (readonly (readonly number[] | 0)[])[]
}

interface Reference {
  readonly rollouts: readonly {
    readonly pieces: readonly string[]
    readonly description: readonly number[] | null
    readonly reasoning: readonly number[] | null
  }[]
  readonly logits: Readonly<Record<string, readonly (readonly (readonly number[])[])[]>>
  readonly variants: readonly Variant[]
}

const reference = JSON.parse(readFileSync(new URL('../goldens/vigos/reference.json', import.meta.url), 'utf8')) as Reference
const own: Rollout[] = reference.rollouts.map(({ pieces, reasoning }) => ({
  ...{ pieces, labels: '', valid: reasoning !== null, correct: false },
  ...{ reasoning: reasoning?.[0] ?? 0, boxed: (reasoning?.at(-1) ?? -1) + 1 },
}))

/** The method with other clips and another temperature. */
function changed(method: Method, { token, first, last, temperature }: Variant): Method {
  const clip = (bounds: { first?: number | null; last?: number | null }) =>
    Object.values({ token, ...bounds }).some((each) => each !== null) ? { token, ...bounds } : null
  const { perception, reasoning, reference: fallback } = method.terms
  assert.ok(perception?.kind === 'distill' && reasoning?.kind === 'distill' && fallback?.kind === 'distill')
  return defineMethod({
    ...method,
    terms: {
      perception: { ...perception, temperature, clip: clip({ last }) },
      reasoning: { ...reasoning, temperature, clip: clip({ first }) },
      reference: { ...fallback, temperature, clip: clip({}) },
    },
  })
}

for (const variant of reference.variants) {
  test(`vigos-released equals the released code: ${variant.name}`, () => {
    withoutLeaks(() => {
      for (const tokensPerPass of [1, 1000]) {
        const logits = (view: string, row: number, t: number): readonly number[] =>
          reference.logits[view]?.[row]?.[t] ?? assert.fail(`${view} ${row} ${t}`)
        using world = new World(changed(vigosReleased, variant), { rollouts: own, logits, tokensPerPass })
        const report = world.accumulate()
        close([report.loss], [variant.loss], { relative: 1e-6, absolute: 0 }, 'loss')
        for (const [name, { loss }] of report.terms)
          close([loss.sum / loss.count], [variant.terms[name] ?? Number.NaN], { relative: 1e-6, absolute: 0 }, name)
        for (const [row, tokens] of variant.gradient.entries()) {
          const expected = tokens.flatMap((token) => (token === 0 ? new Array<number>(V).fill(0) : token))
          close(world.gradients('student', row).flat(), expected, { relative: 1e-6, absolute: 1e-11 }, `gradient of row ${row}`)
        }
      }
    })
  })
}

test('as data, the paper and the released code differ in a prefill, in what one teacher reads, and in the positions of one term', () => {
  const { name, source, views, terms, ...rest } = vigosReleased
  const { perception, reasoning } = views
  assert.ok(perception && reasoning && terms['reasoning'] && vigos.terms['reasoning'])
  assert.deepEqual(
    {
      ...{ ...rest, name: 'vigos', source: vigos.source },
      views: { ...views, perception: { ...perception, prefill: '<description>' }, reasoning: { ...reasoning, reads: 'all' } },
      terms: { ...terms, reasoning: { ...terms['reasoning'], on: { valid: ['reasoning', 'answer'] } } },
    },
    vigos,
  )
  assert.deepEqual(
    [perception.prefill, reasoning.reads, terms['reasoning'].on],
    ['', { from: 'reasoning' }, { valid: { from: 'reasoning', through: 'answer' } }],
  )
})

test('as numbers, the released code also supervises the delimiters within reasoning and answer', () => {
  const logits = randomLogits(3)
  using paper = new World(vigos, { logits })
  using released = new World(vigosReleased, { logits })
  const [a, b] = [paper.accumulate(), released.accumulate()]
  for (const [row, { labels, valid }] of rollouts.entries()) {
    for (const term of ['perception', 'reference']) assert.deepEqual(a.tokens[row]?.get(term), b.tokens[row]?.get(term))
    if (!valid) continue
    const supervised = (report: typeof a): string =>
      Array.from(report.tokens[row]?.get('reasoning')?.gates ?? [], (gate, t) => (gate === 0 ? '.' : labels[t])).join('')
    assert.equal(supervised(a), labels.replace(/[^ra]/g, '.'))
    assert.equal(supervised(b).replaceAll('.', ''), labels.slice(rollouts[row]?.reasoning, rollouts[row]?.boxed))
    assert.ok(supervised(b).includes('-'))
  }
  const count = (report: typeof a): number => report.terms.get('reasoning')?.loss.count ?? 0
  assert.deepEqual([count(a), count(b)], [12, 23])
})
