// Identities of the evaluator: methods that must coincide, exact zeros, normalisation over passes and parts, and the measured scale.

import assert from 'node:assert/strict'
import test from 'node:test'
import { grpo, grpoOpd } from '../../src/methods/grpo.ts'
import { opsd, opsdSamePrompt } from '../../src/methods/opsd.ts'
import { methods } from '../../src/methods/registry.ts'
import { languageSteering, opd, vgs } from '../../src/methods/vgs.ts'
import { vigos, vigosReleased } from '../../src/methods/vigos.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import type { Method } from '../../src/supervision/method.ts'
import { gradient } from '../../src/torch/autograd.ts'
import { scope } from '../../src/torch/context.ts'
import { native } from '../../src/torch/native.ts'
import { gradientNorm } from '../../src/torch/optimizer.ts'
import { close, withoutLeaks } from '../support.ts'
import { type Logits, randomLogits, rollouts, V, World, type WorldOptions } from './tables.ts'

const exact = { absolute: 0, relative: 0 }
const logprobs = rollouts.map(({ pieces }) => pieces.map(() => -Math.log(V)))
const advantages = [1, -0.5, 0.25, -1, 2, -2]

interface Run {
  readonly loss: number
  readonly gradients: readonly number[]
}

/** A method's loss and gradients on tables. */
function runOf(method: Method, options: Partial<WorldOptions> & { readonly logits: Logits }): Run {
  using world = new World(method, { logprobs, advantages, ...options })
  const { loss } = world.accumulate()
  return { loss, gradients: world.allGradients() }
}

/** A method with terms of other weights. */
const weighted = (method: Method, weights: Readonly<Record<string, number>>, others: Partial<Method> = {}): Method =>
  defineMethod({
    ...method,
    ...others,
    terms: Object.fromEntries(Object.entries(method.terms).map(([name, term]) => [name, { ...term, weight: weights[name] ?? term.weight }])),
  })

test('ViGOS cut to one forward term over all tokens is OPSD with the same prompts', () => {
  const cut = defineMethod({
    ...vigos,
    terms: { reference: { kind: 'distill', on: 'all', target: 'reference', divergence: 'forwardKl' } },
  })
  const logits = randomLogits(11)
  const a = runOf(cut, { logits })
  const b = runOf(opsdSamePrompt, { logits: (view, row, t) => logits(view === 'privileged' ? 'reference' : view, row, t) })
  assert.equal(a.loss, b.loss)
  assert.deepEqual(a.gradients.slice(0, b.gradients.length), b.gradients)
  assert.ok(b.loss > 0.01)
  // Not one thing under two names: what both read before the rollout is the same too.
  const [p, q] = [vigos, opsdSamePrompt].map(({ prompts, views }) => [prompts, views['student'], views['reference'] ?? views['privileged']])
  assert.deepEqual(p, q)
})

test('views that agree give exactly zero loss and exactly zero gradient', () => {
  const logits = randomLogits(12)
  const same: Logits = (_, row, t) => logits('any', row, t)
  const distilling = [...methods.values()].filter(({ terms }) => Object.values(terms).every(({ kind }) => kind === 'distill'))
  assert.equal(distilling.length, 19)
  for (const method of distilling) {
    for (const dtype of ['float32', 'float64'] as const) {
      const { loss, gradients } = runOf(method, { logits: same, dtype })
      // log p₀ + log q − log q₀ rounds twice before it is compared with log p, so a target of three views is equal only up to rounding.
      const summed = Object.values(method.terms).some(
        (term) => term.kind === 'distill' && typeof term.target !== 'string' && term.target.sum.length > 1,
      )
      const bound = !summed ? 0 : dtype === 'float32' ? 1e-6 : 1e-14
      assert.ok(Math.abs(loss) <= bound, `${method.name}, ${dtype}: loss ${loss}`)
      const largest = Math.max(...gradients.map(Math.abs))
      assert.ok(largest <= bound, `${method.name}, ${dtype}: gradient ${largest}`)
    }
  }
})

test('γ = 0 and λ = 0 make VGS standard distillation times η, and with η = 1 exactly that', () => {
  const logits = randomLogits(13)
  const standard = runOf(opd, { logits })
  const one = runOf(weighted(vgs, { visual: 0, preservation: 0 }, { scale: 1 }), { logits })
  assert.equal(one.loss, standard.loss)
  const count = standard.gradients.length
  assert.deepEqual(one.gradients.slice(0, count), standard.gradients)
  assert.ok(one.gradients.slice(count).every((each) => each === 0))
  const scaled = runOf(weighted(vgs, { visual: 0, preservation: 0 }), { logits })
  close([scaled.loss], [0.41 * standard.loss], { absolute: 0, relative: 1e-12 })
  close(
    scaled.gradients.slice(0, count),
    standard.gradients.map((each) => 0.41 * each),
    { absolute: 1e-18, relative: 1e-12 },
  )
})

test('a term of weight 0 asks nobody: no view is run for it', () => {
  const logits = randomLogits(13)
  using cut = new World(weighted(vgs, { visual: 0, preservation: 0 }), { logits })
  const report = cut.accumulate()
  assert.deepEqual([[...cut.seen.student], [...cut.seen.teacher]], [['student'], ['teacher']])
  assert.deepEqual(
    report.dependencies,
    rollouts.map(() => null),
  )
  assert.deepEqual([...report.terms.keys()], ['standard'])
  using full = new World(vgs, { logits })
  full.accumulate()
  assert.deepEqual(
    [[...full.seen.student].sort(), [...full.seen.teacher].sort()],
    [
      ['student', 'studentBlind'],
      ['teacher', 'teacherBlind'],
    ],
  )
})

test('α = 0 makes the mixture GRPO; equal rewards give a zero gradient', () => {
  const logits = randomLogits(14)
  const pure = runOf(grpo, { logits })
  const mixed = runOf(weighted(grpoOpd, { correctness: 1, standard: 0 }), { logits })
  assert.equal(pure.loss, mixed.loss)
  assert.deepEqual(pure.gradients, mixed.gradients)
  assert.ok(Math.max(...pure.gradients.map(Math.abs)) > 0.01)
  const equal = runOf(grpo, { logits, advantages: rollouts.map(() => 0) })
  assert.ok(equal.loss === 0 && equal.gradients.every((each) => each === 0))
})

for (const method of [vigos, opsd, vgs, grpo, weighted(vigos, {}, { name: 'vigos-by-responses', terms: responses(vigos) }), languageSteering]) {
  test(`${method.name}: passes of any size give the same loss and gradients`, () => {
    const logits = randomLogits(15)
    const whole = runOf(method, { logits, tokensPerPass: 1e6 })
    for (const tokensPerPass of [1, 14, 30]) {
      const parts = runOf(method, { logits, tokensPerPass })
      close([parts.loss], [whole.loss], { absolute: 0, relative: 1e-9 })
      close(parts.gradients, whole.gradients, { absolute: 1e-16, relative: 1e-6 })
    }
  })
}

/** The terms of a method as means over responses. */
function responses({ terms }: Method): Method['terms'] {
  return Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, { ...term, mean: 'responses' as const }]))
}

test('two rows together are the two rows apart, weighted by what each counts', () => {
  const logits = randomLogits(16)
  for (const mean of ['tokens', 'responses'] as const) {
    const method = defineMethod({ ...opsd, terms: { privileged: { kind: 'distill', target: 'privileged', divergence: 'forwardKl', mean } } })
    const pair = [0, 2].map((row) => rollouts[row] ?? assert.fail())
    const together = runOf(method, { logits, rollouts: pair })
    const apart = pair.map((rollout, row) => runOf(method, { rollouts: [rollout], logits: (view, _, t) => logits(view, row, t) }))
    const [n, m] = pair.map(({ pieces }) => pieces.length) as [number, number]
    const weights = mean === 'tokens' ? [n / (n + m), m / (n + m)] : [0.5, 0.5]
    close([together.loss], [apart.reduce((sum, { loss }, i) => sum + loss * (weights[i] as number), 0)], { absolute: 0, relative: 1e-12 })
    const expected = apart.flatMap(({ gradients }, i) => gradients.map((each) => each * (weights[i] as number)))
    // Each world lists the student's rows and no other view's.
    close(together.gradients, expected, { absolute: 1e-16, relative: 1e-12 })
  }
})

test('accumulating twice adds up', () => {
  using world = new World(vigos, { logits: randomLogits(17) })
  const first = world.accumulate()
  const once = world.allGradients()
  const second = world.accumulate()
  assert.equal(first.loss, second.loss)
  close(
    world.allGradients(),
    once.map((each) => 2 * each),
    exact,
  )
})

test('η is the ratio of the norms of two separately computed gradients, and multiplies loss and gradient', () => {
  const logits = randomLogits(18)
  const measured = defineMethod({ ...vgs, scale: { keep: ['standard'], under: ['standard', 'visual'], every: 3 } })
  const norm = (each: readonly number[]): number => Math.hypot(...each)
  const standard = runOf(weighted(vgs, { visual: 0, preservation: 0 }, { scale: 1 }), { logits })
  const both = runOf(weighted(vgs, { preservation: 0 }, { scale: 1 }), { logits })
  const full = runOf(weighted(vgs, {}, { scale: 1 }), { logits })
  const eta = norm(standard.gradients) / norm(both.gradients)
  assert.ok(eta > 0.1 && eta < 0.9)
  using world = new World(measured, { logits })
  assert.equal(world.evaluator.scale, null)
  const report = world.accumulate(1)
  close([report.scale, report.loss, world.evaluator.scale ?? Number.NaN], [eta, eta * full.loss, eta], { absolute: 0, relative: 1e-6 })
  close(
    world.allGradients(),
    full.gradients.map((each) => eta * each),
    { absolute: 1e-12, relative: 1e-6 },
  )
  // Kept until the step is a multiple of 3, and measured again then.
  world.clear()
  world.evaluator.scale = 0.125
  const kept = world.accumulate(2)
  close([kept.scale, kept.loss], [0.125, full.loss / 8], { absolute: 0, relative: 1e-9 })
  close(
    world.allGradients(),
    full.gradients.map((each) => each / 8),
    { absolute: 1e-14, relative: 1e-9 },
  )
  world.clear()
  close([world.accumulate(3).scale], [eta], { absolute: 0, relative: 1e-6 })
})

test('a gradient of zero has no scale: the last one stays, 1 at first', () => {
  const logits = randomLogits(19)
  const same: Logits = (_, row, t) => logits('any', row, t)
  const measured = defineMethod({
    ...opd,
    terms: { ...opd.terms, again: { kind: 'distill', target: 'teacher', divergence: 'forwardKl' } },
    scale: { keep: ['standard'], under: ['standard', 'again'] },
  })
  using world = new World(measured, { logits: same })
  assert.equal(world.accumulate().scale, 1)
  world.evaluator.scale = 0.5
  assert.equal(world.accumulate().scale, 0.5)
  const parameters = [...world.student.values()].flat()
  assert.equal(gradientNorm(parameters), 0)
})

test('rows are independent of their order', () => {
  const logits = randomLogits(20)
  const order = [4, 1, 5, 0, 3, 2]
  const turned = order.map((row) => rollouts[row] ?? assert.fail())
  for (const method of [vigos, vigosReleased, vgs]) {
    using straight = new World(method, { logits })
    using shuffled = new World(method, { logits: (view, row, t) => logits(view, order[row] as number, t), rollouts: turned })
    close([shuffled.accumulate().loss], [straight.accumulate().loss], { absolute: 0, relative: 1e-9 })
    for (const [i, row] of order.entries()) {
      close(shuffled.gradients('student', i).flat(), straight.gradients('student', row).flat(), { absolute: 1e-15, relative: 1e-6 })
    }
  }
})

test('a batch that concerns no term has a loss of 0 and no gradient', () => {
  const invalid = rollouts.filter(({ valid }) => !valid)
  const cut = defineMethod({ ...vigos, terms: { perception: { ...vigos.terms['perception'] } as never } })
  using world = new World(cut, { logits: randomLogits(21), rollouts: invalid })
  const report = world.accumulate()
  assert.equal(report.loss, 0)
  assert.deepEqual(report.terms.get('perception'), { loss: { sum: 0, count: 0 }, value: { sum: 0, count: 0 }, clipped: { sum: 0, count: 0 } })
  assert.deepEqual(report.computed, { frozen: 0, trained: 0 })
  assert.ok(world.allGradients().every((each) => each === 0))
})

test('vocabularies of different padding are compared over what they share', () => {
  const logits = randomLogits(22)
  for (const method of [opd, vgs]) {
    const plain = runOf(method, { logits })
    for (const padding of [{ teacher: 5 }, { student: 3 }]) {
      const padded = runOf(method, { logits, padding })
      close([padded.loss], [plain.loss], { absolute: 0, relative: 1e-9 })
      close(padded.gradients, plain.gradients, { absolute: 1e-15, relative: 1e-6 })
    }
  }
})

test('no method leaves a tensor behind, however often it accumulates', () => {
  const logits = randomLogits(23)
  for (const method of methods.values()) {
    withoutLeaks(() => {
      using world = new World(method, { logits, logprobs, advantages, dtype: 'float32' })
      world.accumulate()
      const before = native().memory().tensors
      for (let step = 1; step < 20; step++) {
        world.accumulate(step)
        assert.equal(native().memory().tensors, before, `${method.name}, step ${step}`)
      }
    })
  }
})

test('terms may ask one view for later tokens first', () => {
  const logits = randomLogits(24)
  const term = (valid: string) => ({ kind: 'distill', on: { valid }, target: 'reference', divergence: 'forwardKl' }) as const
  const [late, early] = [term('answer'), term('description')]
  const both = runOf(defineMethod({ ...vigos, terms: { late, early } }), { logits })
  const apart = [late, early].map((each) => runOf(defineMethod({ ...vigos, terms: { each } }), { logits }))
  close([both.loss], [apart.reduce((sum, { loss }) => sum + loss, 0)], { absolute: 0, relative: 1e-12 })
  const summed = both.gradients.map((_, i) => apart.reduce((sum, { gradients }) => sum + (gradients[i] ?? Number.NaN), 0))
  close(both.gradients, summed, { absolute: 1e-16, relative: 1e-9 })
})

test('a student view is run as far as its last gate that is open', () => {
  const gated = defineMethod({ ...vgs, terms: { preservation: { ...vgs.terms['preservation'] } as never } })
  using world = new World(gated, { logits: randomLogits(25) })
  const { computed, tokens } = world.accumulate()
  const last = tokens.map((own) => Array.from(own.get('preservation')?.gates ?? []).findLastIndex((gate) => gate !== 0))
  // One token of context, and those before the last that counts.
  assert.equal(
    computed.trained,
    last.reduce((sum, t) => sum + 1 + t, 0),
  )
  assert.ok(last.some((t, row) => t >= 0 && t + 1 < (rollouts[row]?.pieces.length ?? 0)))
})

test('a Jensen–Shannon divergence has its β, and ratios their own bounds', () => {
  const logits = randomLogits(26)
  const probabilities = (view: string, row: number, t: number): number[] => {
    const exponentials = logits(view, row, t).map(Math.exp)
    const sum = exponentials.reduce((a, b) => a + b)
    return exponentials.map((each) => each / sum)
  }
  const kl = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, v) => sum + x * Math.log(x / (b[v] as number)), 0)
  using jsd = new World(defineMethod({ ...opsd, terms: { jsd: { kind: 'distill', target: 'privileged', divergence: { jsd: 0.2 } } } }), { logits })
  const values = jsd.accumulate().tokens[0]?.get('jsd')?.values ?? assert.fail()
  for (const [t, value] of values.entries()) {
    const [p, q] = [probabilities('student', 0, t), probabilities('privileged', 0, t)]
    const middle = p.map((x, v) => 0.8 * x + 0.2 * (q[v] as number))
    close([value], [0.2 * kl(q, middle) + 0.8 * kl(p, middle)], { absolute: 1e-9, relative: 1e-6 }, `token ${t}`)
  }
  const bounds = { low: 0.05, high: 0.5 }
  const wide = defineMethod({ ...grpo, terms: { correctness: { ...(grpo.terms['correctness'] as object), ratioClip: bounds } as never } })
  using ratios = new World(wide, { logits, logprobs, advantages })
  const { tokens } = ratios.accumulate()
  for (const [row, a] of advantages.entries()) {
    for (const [t, value] of (tokens[row]?.get('correctness')?.values ?? assert.fail()).entries()) {
      const ratio = V * (probabilities('student', row, t)[ratios.rows[row]?.ids[t] ?? -1] ?? Number.NaN)
      const clipped = Math.min(Math.max(ratio, 1 - bounds.low), 1 + bounds.high)
      close([value], [-Math.min(ratio * a, clipped * a)], { absolute: 1e-7, relative: 1e-6 }, `${row}, ${t}`)
    }
  }
})

test('a scorer that fails leaves nothing of those before it', () => {
  const method = defineMethod({
    ...vigos,
    views: { ...vigos.views, reference: { ...(vigos.views['reference'] as object), weights: 'teacher' } as never },
  })
  using world = new World(method, { logits: randomLogits(27) })
  const { teacher } = world.scorers
  assert.ok(teacher !== null)
  const run = teacher.model.run
  teacher.model.run = () => {
    throw new Error('no memory')
  }
  const before = native().memory().tensors
  assert.throws(() => world.accumulate(), /no memory/)
  assert.ok(world.seen.base.size > 0, 'another had scored before')
  assert.equal(native().memory().tensors, before)
  teacher.model.run = run
  assert.ok(world.accumulate().loss > 0)
})

test('rollouts that are as good as their group count, and are not computed', () => {
  const logits = randomLogits(28)
  for (const method of [grpo, grpoOpd, weighted(grpo, {}, { terms: responses(grpo) })]) {
    const some = [1, 0, 0.25, 0, 0, -2]
    // So small that nothing comes of it, and yet computed.
    const worlds = [some, some.map((each) => each || 1e-200)].map((own) => new World(method, { logits, logprobs, advantages: own }))
    const [idle, computed] = worlds as [World, World]
    const [a, b] = [idle.accumulate(), computed.accumulate()]
    close([a.loss], [b.loss], { absolute: 0, relative: 1e-12 })
    close(idle.allGradients(), computed.allGradients(), { absolute: 1e-16, relative: 1e-12 })
    for (const [name, { loss, value, clipped }] of b.terms) {
      const own = a.terms.get(name) ?? assert.fail()
      close([own.loss.sum, own.value.sum], [loss.sum, value.sum], { absolute: 1e-16, relative: 1e-12 })
      assert.deepEqual([own.loss.count, own.value.count, own.clipped.count], [loss.count, value.count, clipped.count])
      // The smallest advantage is clipped like any other, none at all is not.
      const flags = b.tokens.map((terms, row) => (name !== 'correctness' || some[row] !== 0 ? (terms.get(name)?.clipped ?? assert.fail()) : []))
      assert.equal(
        own.clipped.sum,
        flags.flatMap((each) => Array.from(each)).reduce((sum, flag) => sum + flag, 0),
      )
    }
    for (const [row, terms] of b.tokens.entries()) {
      for (const [name, { gates }] of terms) assert.deepEqual(a.tokens[row]?.get(name)?.gates, gates)
    }
    // One token of context, and all before the last.
    const trained = rollouts.reduce((sum, { pieces }, row) => sum + (method === grpoOpd || some[row] !== 0 ? pieces.length : 0), 0)
    assert.equal(a.computed.trained, trained)
    for (const world of worlds) world[Symbol.dispose]()
  }
  // Of all that are idle one is computed: a gradient of zero is still one, by which the optimiser's momentum goes on.
  using still = new World(grpo, { logits, logprobs, advantages: rollouts.map(() => 0) })
  const { computed, terms } = still.accumulate()
  assert.equal(computed.trained, rollouts[0]?.pieces.length)
  assert.equal(
    terms.get('correctness')?.value.count,
    rollouts.reduce((sum, { pieces }) => sum + pieces.length, 0),
  )
  assert.ok(
    scope(() =>
      gradient(still.student.get('student')?.[0] ?? assert.fail())
        ?.abs()
        .sum()
        .item(),
    ) === 0,
  )
})
