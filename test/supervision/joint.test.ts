// Every kind of term, alone and beside others, against loops over plain numbers: values, clips, loss and gradients.

import assert from 'node:assert/strict'
import test from 'node:test'
import { jointLoss, type ViewRows } from '../../src/supervision/joint.ts'
import type { Group } from '../../src/supervision/joint-chunk.ts'
import type { Application, DistillTerm, Summand } from '../../src/supervision/joint-terms.ts'
import { gradient, requireGrad } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { fromTypedArray } from '../../src/torch/create.ts'
import type { Divergence } from '../../src/torch/divergence.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, random, withoutLeaks } from '../support.ts'
import { oracle, type World } from './joint-oracle.ts'

const [positions, vocabulary, rowCount] = [12, 32, 15]
const divergences: readonly Divergence[] = [{ kind: 'forwardKl' }, { kind: 'reverseKl' }, { kind: 'jsd', beta: 0.3 }]

/** Student and blind student share a head and train; teacher and blind teacher share another, of another width, and do not. */
function makeWorld(seed: number): World {
  const next = random(seed)
  const numbers = (count: number): Float64Array => Float64Array.from({ length: count }, () => 3 * next() - 1.5)
  const names: readonly (readonly [string, string, number])[] = [
    ['student', 'studentHead', 5],
    ['blind', 'studentHead', 5],
    ['teacher', 'teacherHead', 4],
    ['blindTeacher', 'teacherHead', 4],
  ]
  const views = new Map(names.map(([view, head, width]) => [view, { hidden: view, head, width }]))
  const hidden = names.map(([view, , width]) => [view, numbers(rowCount * width)] as const)
  return { views, tensors: new Map([...hidden, ['studentHead', numbers(vocabulary * 5)], ['teacherHead', numbers(vocabulary * 4)]]) }
}

/** A group of positions with rows of its own: `first` of all rows, then the next ones, in a scrambled order. */
function makeGroup(terms: readonly Application[], seed: number, first = 0, count = positions): Group {
  const next = random(seed)
  const order = Array.from({ length: rowCount }, (_, i) => ({ i, key: random(i + 77)() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ i }) => i)
  const views = ['student', 'blind', 'teacher', 'blindTeacher']
  const shifted = (by: number): Int32Array => Int32Array.from({ length: count }, (_, t) => order[(first + t + by) % rowCount] ?? 0)
  return {
    ids: Int32Array.from({ length: count }, () => Math.floor(next() * vocabulary)),
    rows: new Map(views.map((view, by) => [view, shifted(by)])),
    terms,
  }
}

const numbers = (seed: number, low: number, high: number, count = positions) => {
  const next = random(seed)
  return Float64Array.from({ length: count }, () => low + (high - low) * next())
}
const gates = (seed: number) => numbers(seed, -0.5, 1).map((x) => Math.max(0, x))
const none = new Float64Array(positions).fill(Number.POSITIVE_INFINITY)

const stopped = (view: string, times = 1): Summand => ({ view, times, gradient: 'stopped' })
const flows = (view: string, times = 1): Summand => ({ view, times, gradient: 'flows' })
const gain = [stopped('blind'), stopped('teacher'), stopped('blindTeacher', -1)]
const flowingGain = [flows('blind', 0.8), stopped('teacher'), stopped('blindTeacher', -1)]

const plain: DistillTerm = {
  kind: 'distill',
  student: 'student',
  target: [stopped('teacher')],
  divergence: { kind: 'reverseKl' },
  over: 'vocabulary',
  temperature: 1,
  clip: 'clamp',
}
const distill = (term: Partial<DistillTerm>, limits: Float64Array = none, factors: Float64Array = gates(5)): Application => ({
  term: { ...plain, ...term },
  factors,
  limits,
})
const imitate = (factors = gates(6)): Application => ({ term: { kind: 'imitate', student: 'student' }, factors })
/** Old log-probabilities about −3.5, as those of a uniform choice, so that ratios lie on both sides of both clips. */
const reinforce = (student = 'student'): Application => ({
  term: { kind: 'reinforce', student, low: 0.2, high: 0.3 },
  factors: numbers(7, 0, 0.3),
  advantages: numbers(8, -1, 1),
  oldLogprobs: numbers(9, -5, -2),
})

/** The names of the tensors that train. */
const trainable = ['student', 'blind', 'studentHead']

/** Builds the views of a world, runs the joint loss, and returns every result as plain numbers. */
function run(world: World, groups: readonly Group[], chunk = 5, dtype: 'float32' | 'float64' = 'float64') {
  const tensors = new Map<string, Tensor>()
  const vocabularyOf = (name: string): number => (name.endsWith('Head') ? vocabulary : rowCount)
  for (const [name, values] of world.tensors) {
    const shape = [vocabularyOf(name), values.length / vocabularyOf(name)]
    const made = fromTypedArray(values, { dtype: 'float64', shape }).toDtype(dtype)
    tensors.set(name, trainable.includes(name) ? requireGrad(made) : made)
  }
  const tensorOf = (name: string): Tensor => {
    const found = tensors.get(name)
    assert.ok(found)
    return found
  }
  const views = new Map<string, ViewRows>(
    [...world.views].map(([view, { hidden, head }]) => [view, { hidden: tensorOf(hidden), head: tensorOf(head) }]),
  )
  const { loss, values } = jointLoss(views, groups, { chunk })
  if (loss.requiresGrad) backward(loss.mul(2))
  const gradients = new Map(
    [...tensors].map(([name, each]) => [
      name,
      gradient(each)
        ?.toArray()
        .map((x) => x / 2) ?? null,
    ]),
  )
  return { loss: loss.item(), values, gradients }
}

function matches(groups: readonly Group[], seed = 1): void {
  withoutLeaks(() => {
    const world = makeWorld(seed)
    const own = run(world, groups)
    const { positions: expected, gradients } = oracle(groups, world, trainable)
    close([own.loss], [expected.flat(2).reduce((sum, { cost }) => sum + cost, 0)], { absolute: 1e-10, relative: 1e-10 }, 'loss')
    for (const [g, terms] of expected.entries()) {
      for (const [i, each] of terms.entries()) {
        const got = own.values[g]?.[i]
        assert.ok(got)
        close(
          Array.from(got.values),
          each.map(({ value }) => value),
          { absolute: 1e-10, relative: 1e-10 },
          `values of term ${i}`,
        )
        assert.deepEqual(
          Array.from(got.clipped),
          each.map(({ clipped }) => Number(clipped)),
          `clips of term ${i}`,
        )
      }
    }
    for (const name of trainable) {
      const numeric = gradients.get(name) ?? []
      const got = own.gradients.get(name) ?? numeric.map(() => 0)
      close(got, numeric, { absolute: 1e-8, relative: 1e-6 }, `gradient of ${name}`)
    }
    for (const name of ['teacher', 'blindTeacher', 'teacherHead']) assert.equal(own.gradients.get(name), null, `${name} got a gradient`)
  })
}

const targets: readonly (readonly Summand[])[] = [
  [stopped('teacher')],
  gain,
  flowingGain,
  [flows('blind')],
  [stopped('teacher', 0.5)],
  [stopped('student', 0.7), stopped('teacher', 0.3)],
  [flows('student', 0.6), flows('blind', -0.4), stopped('teacher')],
]
const overs: Readonly<Record<string, DistillTerm['over']>> = {
  'the vocabulary': 'vocabulary',
  "the target's top 5 and tail": { topK: 5, of: 'target', tail: true },
  "the target's top 5": { topK: 5, of: 'target', tail: false },
  "the student's top 3 and tail": { topK: 3, of: 'student', tail: true },
  "the student's top 3": { topK: 3, of: 'student', tail: false },
}
/** Limits that about half of the values exceed, and some positions without. */
const limitsBelow = (values: ArrayLike<number>): Float64Array<ArrayBuffer> => {
  const sorted = Array.from(values).toSorted((a, b) => a - b)
  const middle = ((sorted[values.length >> 1] ?? 1) + (sorted[(values.length >> 1) - 1] ?? 1)) / 2
  return Float64Array.from({ length: values.length }, (_, i) => (i % 4 === 3 ? Number.POSITIVE_INFINITY : Math.max(0.01, middle)))
}

for (const [over, entries] of Object.entries(overs)) {
  for (const divergence of divergences) {
    test(`${divergence.kind} over ${over}: every target, both clips, two temperatures`, () => {
      for (const [i, target] of targets.entries()) {
        const term = { target, divergence, over: entries, temperature: i % 2 === 0 ? 1 : 0.6 }
        matches([makeGroup([distill(term)], i)], i)
        const world = makeWorld(i)
        const { values } = run(world, [makeGroup([distill(term)], i)])
        const limits = limitsBelow(values[0]?.[0]?.values ?? [])
        for (const clip of ['clamp', 'scale'] as const) matches([makeGroup([distill({ ...term, clip }, limits)], i)], i)
      }
    })
  }
}

test('the sampled token: every target, both clips, two temperatures', () => {
  for (const [i, target] of targets.entries()) {
    const term = { target, over: 'sampledToken', temperature: i % 2 === 0 ? 1 : 1.7 } as const
    matches([makeGroup([distill(term)], i)], i)
    const { values } = run(makeWorld(i), [makeGroup([distill(term)], i)])
    // Limits are positive, and k of either sign.
    const limits = limitsBelow(Array.from(values[0]?.[0]?.values ?? []).filter((k) => k > 0))
    const all = Float64Array.from({ length: positions }, (_, t) => limits[t % limits.length] ?? 1)
    for (const clip of ['clamp', 'scale'] as const) matches([makeGroup([distill({ ...term, clip }, all)], i)], i)
  }
})

test('imitation and reinforcement, with each clip of the ratio active somewhere', () => {
  matches([makeGroup([imitate()], 1)])
  matches([makeGroup([reinforce()], 2)])
  matches([makeGroup([reinforce('blind'), imitate(), reinforce()], 3)])
  const group = makeGroup([reinforce()], 2)
  const [application] = group.terms
  assert.ok(application && 'advantages' in application)
  const [own] = run(makeWorld(1), [group]).values[0] ?? []
  const sides = [1, -1].map(
    (sign) => Array.from(own?.clipped ?? []).filter((flag, i) => flag === 1 && Math.sign(application.advantages[i] ?? 0) === sign).length,
  )
  assert.ok(
    sides.every((count) => count > 0),
    `clipped above and below: ${sides}`,
  )
})

test('an advantage of zero gives zero', () => {
  const group = makeGroup([{ ...reinforce(), advantages: new Float64Array(positions) } as Application], 1)
  withoutLeaks(() => {
    const { loss, gradients, values } = run(makeWorld(1), [group])
    assert.equal(Math.abs(loss), 0)
    assert.ok(gradients.get('student')?.every((x) => x === 0))
    assert.ok(values[0]?.[0]?.clipped.every((flag) => flag === 0))
  })
})

test('many terms on one view, and on views that are student here and target there', () => {
  const standard = distill({})
  const visual = distill({ target: flowingGain, divergence: { kind: 'forwardKl' }, temperature: 1.4 })
  const preservation = distill({ student: 'blind', target: [stopped('blindTeacher')] }, numbers(11, 0.2, 1.5), gates(12))
  const sampled = distill({ over: 'sampledToken' }, numbers(13, 0.1, 1))
  const top = distill({ over: { topK: 4, of: 'target', tail: true }, clip: 'scale', target: gain }, numbers(14, 0.1, 0.6))
  const language = distill({ student: 'blind', target: [stopped('student'), flows('blind', 0.2)], divergence: { kind: 'jsd', beta: 0.7 } })
  const all = [standard, visual, preservation, sampled, top, language, imitate(), reinforce(), reinforce('blind')]
  for (let start = 0; start < all.length; start++) {
    const turned = [...all.slice(start), ...all.slice(0, start)]
    matches([makeGroup(turned.slice(0, 2), start)], start)
    matches([makeGroup(turned.slice(0, 4), start)], start)
  }
  matches([makeGroup(all, 3)], 3)
  matches([makeGroup([standard, standard, standard], 4)], 4)
})

test('two groups are the sum of one by one, and chunks change nothing', () => {
  const short = (application: Application): Application => {
    const cut = Object.entries(application).map(([name, value]) => [name, value instanceof Float64Array ? value.subarray(0, 7) : value])
    return Object.fromEntries(cut) as Application
  }
  const one = makeGroup([distill({ target: flowingGain }), imitate()].map(short), 1, 0, 7)
  const two = makeGroup([reinforce(), distill({ student: 'blind', target: [stopped('student')] })].map(short), 2, 7, 7)
  matches([one, two], 2)
  withoutLeaks(() => {
    const world = makeWorld(2)
    const together = run(world, [one, two])
    const [a, b] = [run(world, [one]), run(world, [two])]
    close([together.loss], [a.loss + b.loss], { relative: 1e-12 })
    assert.deepEqual(together.values, [...a.values, ...b.values])
    for (const name of trainable) {
      const sum = a.gradients.get(name)?.map((x, i) => x + (b.gradients.get(name)?.[i] ?? 0)) ?? []
      close(together.gradients.get(name) ?? [], sum, { absolute: 1e-12 }, name)
    }
    for (const chunk of [1, 2, 3, 7, 100]) {
      const other = run(world, [one, two], chunk)
      close([other.loss], [together.loss], { relative: 1e-12 })
      for (const name of trainable)
        close(other.gradients.get(name) ?? [], together.gradients.get(name) ?? [], { absolute: 1e-12 }, `${name}, chunk ${chunk}`)
      for (const [g, terms] of together.values.entries()) {
        for (const [i, { values, clipped }] of terms.entries()) {
          close(Array.from(other.values[g]?.[i]?.values ?? []), Array.from(values), { absolute: 1e-13 })
          assert.deepEqual(other.values[g]?.[i]?.clipped, clipped)
        }
      }
    }
  })
})

test('float32, where the fused kernels run, agrees with the oracle', () => {
  withoutLeaks(() => {
    const world = makeWorld(5)
    const sampled = distill({ over: 'sampledToken', target: gain }, numbers(13, 0.1, 1))
    const top = distill({ over: { topK: 4, of: 'student', tail: true }, clip: 'scale', target: flowingGain }, numbers(14, 0.1, 0.6))
    for (const divergence of divergences) {
      const group = makeGroup([distill({ target: flowingGain, divergence }), sampled, top, imitate(), reinforce()], 5)
      const own = run(world, [group], 5, 'float32')
      const { positions: found, gradients } = oracle([group], world, trainable)
      const expected = found.flat(2)
      close([own.loss], [expected.reduce((sum, { cost }) => sum + cost, 0)], { relative: 1e-5 })
      assert.ok(own.values[0]?.every(({ values }) => values instanceof Float32Array))
      close(
        own.values[0]?.flatMap(({ values }) => Array.from(values)) ?? [],
        expected.map(({ value }) => value),
        { absolute: 5e-6, relative: 1e-5 },
      )
      for (const name of trainable) close(own.gradients.get(name) ?? [], gradients.get(name) ?? [], { absolute: 2e-5, relative: 1e-4 }, name)
    }
  })
})
