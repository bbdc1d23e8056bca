// PALR against plain loops on a world of three tokens, its identities, its sums, and what it refuses.

import assert from 'node:assert/strict'
import test from 'node:test'
import { sameAnswer } from '../../src/data/answers.ts'
import { activeTeachers, palrFault } from '../../src/diagnostics/active.ts'
import { drawWrong } from '../../src/diagnostics/counterfactuals.ts'
import { measurePalr, type PalrRow, type PalrTokens, palrGroups, palrOf, palrSums, summarisePalr } from '../../src/diagnostics/palr.ts'
import { ArgumentError } from '../../src/errors.ts'
import { opsdLive, opsdSamePrompt } from '../../src/methods/opsd.ts'
import { methods } from '../../src/methods/registry.ts'
import { vigos } from '../../src/methods/vigos.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import type { Method } from '../../src/supervision/method.ts'
import { close, withoutLeaks } from '../support.ts'
import { logSoftmax, Toy, type ToyOptions } from './toy.ts'

const tolerance = { absolute: 1e-12, relative: 1e-9 }
const rollouts = [{ labels: '-dd-rr-a' }, { labels: 'oooo', valid: false }, { labels: 'd--r-aao' }, { labels: 'ddd-r-a-' }]

/** Which views a method's teachers are, and what they see. */
const teachersOf = (method: Method): [string, readonly string[]][] =>
  Object.entries(method.views).flatMap(([name, { weights, sees }]) => (weights === 'student' && !sees.includes('reference') ? [] : [[name, sees]]))

/** Rows with contexts for so many wrong answers and another image. */
function palrRows(toy: Toy, method: Method, wrong: number): PalrRow[] {
  return toy.rows.map((row, r) => ({
    ...row,
    wrong: Array.from(
      { length: wrong },
      (_, k) =>
        new Map(teachersOf(method).flatMap(([view, sees]) => (sees.includes('reference') ? [[view, toy.context(view, r, `wrong ${k}`)]] : []))),
    ),
    swapped: new Map(teachersOf(method).flatMap(([view, sees]) => (sees.includes('image') ? [[view, toy.context(view, r, 'swapped')]] : []))),
  }))
}

const measure = (method: Method, toy: Toy, rows: readonly PalrRow[], cap: number | null = null, tokensPerPass = 1000): (PalrTokens | null)[] =>
  measurePalr(method, toy.scorers, rows, toy.store, { tokensPerPass, cap })

/** By the definition, token by token: the teacher of a letter, and whether it sees the reference. */
function oracle(
  toy: Toy,
  rows: readonly PalrRow[],
  teacherOf: (label: string) => { view: string; sees: boolean } | null,
  weights: 'base' | 'student' = 'base',
): (PalrTokens | null)[] {
  return rows.map((row, r) => {
    if (!row.division.valid) return null
    const labels = rollouts[r]?.labels ?? ''
    const made = { terms: [] as (string | null)[], shift: [] as number[], answer: [] as number[], image: [] as number[] }
    for (let t = 0; t < labels.length; t++) {
      const teacher = teacherOf(labels[t] as string)
      const y = row.ids[t] as number
      const read = (context: ReturnType<Toy['context']> | undefined, who: 'base' | 'student'): number =>
        toy.at(who, context ?? assert.fail(), t).log[y] as number
      const student = read(row.contexts.get('student'), 'student')
      const q = teacher === null ? 0 : read(row.contexts.get(teacher.view), weights)
      made.terms.push(teacher?.view ?? null)
      made.shift.push(teacher === null ? 0 : Math.abs(q - student))
      let mixture = 0
      for (const contexts of row.wrong) if (teacher?.sees) mixture += Math.exp(read(contexts.get(teacher.view), weights)) / row.wrong.length
      made.answer.push(teacher?.sees ? Math.max(0, q - Math.log(mixture)) : 0)
      made.image.push(teacher === null ? 0 : Math.max(0, q - read(row.swapped.get(teacher.view), weights)))
    }
    return { terms: made.terms, shift: Float64Array.from(made.shift), answer: Float64Array.from(made.answer), image: Float64Array.from(made.image) }
  })
}

function same(got: readonly (PalrTokens | null)[], want: readonly (PalrTokens | null)[], what: string): void {
  assert.equal(got.length, want.length)
  for (const [r, own] of got.entries()) {
    const other = want[r] ?? null
    if (own === null || other === null) {
      assert.equal(own, other, `${what}, row ${r}`)
      continue
    }
    assert.deepEqual(own.terms, other.terms)
    for (const key of ['shift', 'answer', 'image'] as const)
      close(Array.from(own[key]), Array.from(other[key]), tolerance, `${what} ${key} of row ${r}`)
  }
}

const ofVigos = (label: string): { view: string; sees: boolean } | null =>
  label === 'd' ? { view: 'perception', sees: false } : label === 'r' || label === 'a' ? { view: 'reasoning', sees: true } : null

for (const wrong of [1, 3]) {
  test(`ViGOS: every token's quantities are those of the definition, with ${wrong} wrong answers`, () => {
    withoutLeaks(() => {
      using toy = new Toy(vigos, { rollouts })
      const rows = palrRows(toy, vigos, wrong)
      const want = oracle(toy, rows, ofVigos)
      for (const tokensPerPass of [1000, 10]) same(measure(vigos, toy, rows, null, tokensPerPass), want, 'ViGOS')
      // Something of each is there, or the comparison says nothing.
      for (const key of ['shift', 'answer', 'image'] as const)
        assert.ok(
          (want[0]?.[key] ?? []).some((each) => each > 0.05),
          key,
        )
    })
  })
}

test('OPSD: the one teacher is active everywhere in valid rollouts', () => {
  using toy = new Toy(opsdSamePrompt, { rollouts })
  const rows = palrRows(toy, opsdSamePrompt, 2)
  same(
    measure(opsdSamePrompt, toy, rows),
    oracle(toy, rows, () => ({ view: 'privileged', sees: true })),
    'OPSD',
  )
})

test('a target written as a sum of one view is that view, with the student’s weights of the moment', () => {
  using toy = new Toy(opsdLive, { rollouts })
  const rows = palrRows(toy, opsdLive, 2)
  same(
    measure(opsdLive, toy, rows),
    oracle(toy, rows, () => ({ view: 'privileged', sees: true }), 'student'),
    'live OPSD',
  )
})

test('a sum of views is a distribution of its own, of which only views that see the thing are shown another', () => {
  const sum = [
    { view: 'perception', times: 1 },
    { view: 'reference', times: 0.5 },
    { view: 'student', times: -0.5 },
  ]
  const method = defineMethod({
    ...vigos,
    terms: { summed: { kind: 'distill', on: { valid: 'all' }, target: { sum }, divergence: 'reverseKl' } },
  })
  using toy = new Toy(method, { rollouts })
  const rows = palrRows(toy, method, 2)
  const [own] = measure(method, toy, rows)
  const row = rows[0] ?? assert.fail()
  for (const [t, y] of row.ids.entries()) {
    const log = (perception = row.contexts, reference = row.contexts): number => {
      const part = (contexts: PalrRow['contexts'], view: string, who: 'base' | 'student'): readonly number[] =>
        toy.at(who, contexts.get(view) ?? assert.fail(), t).log
      const [a, b, c] = [part(perception, 'perception', 'base'), part(reference, 'reference', 'base'), part(row.contexts, 'student', 'student')]
      return logSoftmax(a.map((each, v) => each + 0.5 * (b[v] as number) - 0.5 * (c[v] as number)))[y] as number
    }
    const q = log()
    const mixture = row.wrong.reduce((total, contexts) => total + Math.exp(log(row.contexts, contexts)) / row.wrong.length, 0)
    const student = toy.at('student', row.contexts.get('student') ?? assert.fail(), t).log[y] as number
    const want = [Math.abs(q - student), Math.max(0, q - Math.log(mixture)), Math.max(0, q - log(row.swapped, row.swapped))]
    close([own?.shift[t], own?.answer[t], own?.image[t]] as number[], want, tolerance, `token ${t}`)
  }
})

/** A toy in which some contexts share their table. */
function alike(
  method: Method,
  options: Partial<ToyOptions>,
  pairs: (toy: Toy, r: number) => readonly (readonly [string, string, string, string])[],
): PalrTokens[] {
  const codes = new Map<number, number>()
  using toy = new Toy(method, { rollouts, same: codes, ...options })
  for (const r of rollouts.keys()) {
    for (const [view, which, other, otherWhich] of pairs(toy, r)) {
      codes.set(toy.context(view, r, which).ids[0] as number, toy.context(other, r, otherWhich).ids[0] as number)
    }
  }
  return measure(method, toy, palrRows(toy, method, 2)).flatMap((each) => each ?? [])
}
const zero = (values: Float64Array): boolean => values.every((each) => each === 0)

test('identities: teachers that are the student shift nothing; a wrong answer that is right, and another image that is the same, change nothing', () => {
  const equal = alike(vigos, { oneModel: true }, () => [
    ['perception', '', 'student', ''],
    ['reasoning', '', 'student', ''],
  ])
  assert.ok(equal.every(({ shift }) => zero(shift)))
  assert.ok(equal.some(({ image }) => !zero(image)))
  const right = alike(vigos, {}, () => [0, 1].map((k) => ['reasoning', `wrong ${k}`, 'reasoning', ''] as const))
  for (const { answer } of right)
    close(
      Array.from(answer),
      Array.from(answer, () => 0),
      { absolute: 1e-15, relative: 0 },
    )
  assert.ok(right.some(({ image }) => !zero(image)) && right.every(({ shift }) => !zero(shift)))
  const seen = alike(vigos, {}, () => ['perception', 'reasoning'].map((view) => [view, 'swapped', view, ''] as const))
  assert.ok(seen.every(({ image }) => zero(image)) && seen.some(({ answer }) => !zero(answer)))
  // Nothing is owed to the image, so all of what the reasoning teacher teaches is the answer's.
  const sums = seen.map((each) => palrSums(each, each.shift.keys()))
  close([palrOf(sums.reduce((a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count })))], [1], { absolute: 0, relative: 1e-6 })
})

test('a cap bounds each of the three', () => {
  using toy = new Toy(vigos, { rollouts })
  const rows = palrRows(toy, vigos, 2)
  const [free, capped] = [measure(vigos, toy, rows), measure(vigos, toy, rows, 0.2)]
  for (const key of ['shift', 'answer', 'image'] as const) {
    assert.ok(free[0]?.[key].some((each) => each > 0.2) === true)
    close(
      Array.from(capped[0]?.[key] ?? []),
      Array.from(free[0]?.[key] ?? [], (each) => Math.min(each, 0.2)),
      tolerance,
    )
  }
  assert.throws(() => measure(vigos, toy, rows, 0), /cap is 0; expected a positive number/)
})

const tokensOf = (terms: string, shift: number[], answer: number[], image: number[]): PalrTokens => ({
  terms: [...terms].map((each) => (each === '.' ? null : each)),
  ...{ shift: Float64Array.from(shift), answer: Float64Array.from(answer), image: Float64Array.from(image) },
})

test('groups, sums over rollouts and intervals, by hand', () => {
  const { format } = vigos
  assert.deepEqual([...palrGroups(format).keys()], ['description', 'reasoning+answer', 'all'])
  assert.deepEqual([...palrGroups({ parts: [] }).keys()], ['all'])
  using toy = new Toy(vigos, { rollouts: [{ labels: 'd-ra' }, { labels: 'oo', valid: false }, { labels: 'dra' }] })
  const tokens = [tokensOf('p.rr', [1, 0, 2, 1], [0, 0, 1, 0.5], [2, 0, 1, 0]), null, tokensOf('prr', [1, 4, 0], [0, 0.25, 9], [1, 0, 9])]
  const { groups, rollouts: all, valid } = summarisePalr(format, toy.rows, tokens, { draws: 400, seed: 3 })
  assert.deepEqual([all, valid], [3, 2])
  // Reasoning and answer: (2·1 + 1·0.5) + (4·0.25) over (2·2 + 1·0.5) + (4·0.25); the description owes nothing to the answer.
  const part = groups['reasoning+answer'] ?? assert.fail()
  close([part.sum, part.count, part.value ?? Number.NaN, part.tokens], [3.5, 5.5, 3.5 / 5.5, 4], { absolute: 0, relative: 1e-7 })
  close([groups['description']?.sum, groups['description']?.count, groups['description']?.value] as number[], [0, 3, 0], { absolute: 0, relative: 0 })
  close([groups['all']?.value ?? Number.NaN], [3.5 / 8.5], { absolute: 0, relative: 1e-7 })
  // Two rollouts: of three outcomes of a draw, the outer ones are each of the rollouts alone.
  close([part.low ?? Number.NaN, part.high ?? Number.NaN], [2.5 / 4.5, 1], { absolute: 0, relative: 1e-7 })
  // Batches add up.
  const [a, b] = [0, 2].map((r) => palrSums(tokens[r] ?? assert.fail(), (tokens[r] ?? assert.fail()).shift.keys()))
  close([(a?.sum ?? 0) + (b?.sum ?? 0), (a?.count ?? 0) + (b?.count ?? 0)], [groups['all']?.sum, groups['all']?.count] as number[])
  // Without a supervised token there is no value; one rollout has no interval.
  const none = summarisePalr(format, toy.rows.slice(1, 2), [null])
  assert.deepEqual(none.groups['all'], { sum: 0, count: 0, tokens: 0, value: null, low: null, high: null })
  assert.equal(summarisePalr(format, toy.rows.slice(0, 1), tokens.slice(0, 1)).groups['all']?.low, null)
})

test('of which methods PALR can be measured, and why not of the others', () => {
  const able = [...methods.values()].filter((method) => palrFault(method) === null).map(({ name }) => name)
  assert.ok(
    ['vigos', 'vigos-released', 'vigos-no-reference', 'opsd', 'opsd-same-prompt', 'opsd-live', 'opsd-ema', 'opd'].every((name) =>
      able.includes(name),
    ),
  )
  assert.match(palrFault(methods.get('sft') ?? assert.fail()) ?? '', /the method sft has no term that distils/)
  assert.match(palrFault(methods.get('vgs') ?? assert.fail()) ?? '', /gates by visual dependency decide where the term preservation/)
  const two = defineMethod({
    ...vigos,
    terms: { ...vigos.terms, more: { kind: 'distill', on: 'all', target: 'reference', divergence: 'forwardKl' } },
  })
  assert.match(palrFault(two) ?? '', /the terms perception and more have different teachers at the same token/)
  const { reference } = vigos.terms
  const repaired = defineMethod({ ...vigos, terms: { reference: reference ?? assert.fail() } })
  assert.match(palrFault(repaired) ?? '', /has no teacher in valid rollouts/)
  // Two terms of one pair are one teacher.
  const twice = defineMethod({
    ...opsdSamePrompt,
    terms: { ...opsdSamePrompt.terms, more: { ...opsdSamePrompt.terms['privileged'], kind: 'distill' } as never },
  })
  using toy = new Toy(twice, { rollouts })
  assert.deepEqual([...new Set(activeTeachers(twice, toy.rows).byRow[0])], [0])
  assert.ok([...(activeTeachers(twice, toy.rows).byRow[1] ?? [])].every((each) => each === -1))
})

test('a teacher that sees the reference needs wrong answers', () => {
  using toy = new Toy(vigos, { rollouts })
  assert.throws(() => measure(vigos, toy, palrRows(toy, vigos, 0)), /row 0: the teacher of reasoning sees the reference, but no wrong answers/)
  const only = methods.get('vigos-description-only') ?? assert.fail()
  using other = new Toy(only, { rollouts })
  const tokens = measure(only, other, palrRows(other, only, 0))
  assert.ok(tokens.every((each) => each === null || zero(each.answer)))
})

test('wrong answers differ from the right one and from each other, and depend on the seed alone', () => {
  const samples = ['red', 'Red', '2', 'blue', '2.0', 'green', 'two'].map((answer, i) => ({ answer, reference: `reference ${i}` }))
  const drawn = drawWrong(samples, 3, 5)
  for (const [i, own] of drawn.entries()) {
    assert.equal(own.length, 3)
    const answers = own.map((reference) => samples.find((each) => each.reference === reference)?.answer ?? assert.fail())
    for (const [k, answer] of answers.entries()) {
      assert.ok(!sameAnswer(answer, samples[i]?.answer ?? ''))
      assert.ok(answers.every((other, j) => j === k || !sameAnswer(other, answer)))
    }
  }
  assert.deepEqual(drawWrong(samples, 3, 5), drawn)
  assert.notDeepEqual(drawWrong(samples, 3, 6), drawn)
  assert.equal(drawWrong(samples, 99, 5)[0]?.length, 4)
  // No wrong answer is favoured.
  const counts = new Map<string, number>()
  for (let seed = 0; seed < 2000; seed++) {
    const [text = ''] = drawWrong(samples, 1, seed)[0] ?? []
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  assert.equal(counts.size, 4)
  assert.ok([...counts.values()].every((count) => Math.abs(count - 500) < 5 * Math.sqrt(2000 * 0.25 * 0.75)))
  assert.throws(() => drawWrong(samples.slice(0, 2), 1, 0), ArgumentError)
  assert.throws(() => drawWrong(samples, 0, 0), /0 wrong answers/)
})
