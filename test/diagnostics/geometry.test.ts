// Visual dependency, gradients, angles and dynamics against plain loops in float64, on a world of three tokens whose views share weights.

import assert from 'node:assert/strict'
import test from 'node:test'
import { bootstrap } from '../../src/diagnostics/bootstrap.ts'
import { equalFrequencyBins, measureDependency } from '../../src/diagnostics/dependency.ts'
import { dynamicsMetrics, measureDynamics } from '../../src/diagnostics/dynamics.ts'
import { angleOf, directionsOf, measureGeometry } from '../../src/diagnostics/geometry.ts'
import { gramOf, type Measured, ProbedBatch } from '../../src/diagnostics/gradients.ts'
import { type Loss, losses, type Probe, probeFault, probeOf } from '../../src/diagnostics/probe.ts'
import { methods } from '../../src/methods/registry.ts'
import { opd, vgs } from '../../src/methods/vgs.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import { Evaluator } from '../../src/supervision/evaluate.ts'
import type { Row } from '../../src/supervision/gather.ts'
import { gradient, setGradient, zeroGradients } from '../../src/torch/autograd.ts'
import { dispose, noGrad, scope } from '../../src/torch/context.ts'
import { fromTypedArray } from '../../src/torch/create.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, random, withoutLeaks } from '../support.ts'
import { D, kl, logSoftmax, Toy, V } from './toy.ts'

const tolerance = { absolute: 1e-12, relative: 1e-9 }
const rollouts = [
  { labels: '-rr-a' },
  { labels: 'oo', valid: false },
  { labels: 'r--a' },
  { labels: 'rrrrr-a-' },
  { labels: 'o', valid: false },
  { labels: 'aaaa' },
]
const probe = probeOf(vgs)
const measuredBy = (toy: Toy, own: Probe = probe, tokensPerPass = 1000): Measured => ({
  probe: own,
  scorers: toy.scorers,
  parameters: toy.parameters,
  tokensPerPass,
})

interface TokenOracle {
  readonly dependency: number
  readonly values: { readonly [L in Loss]: number }
  /** By W and then head, flat. */
  readonly gradients: { readonly [L in Loss]: readonly number[] }
}

/** Everything about one token in plain loops. */
function oracle(toy: Toy, row: Row, t: number, flows = false): TokenOracle {
  const read = (view: string): ReturnType<Toy['at']> =>
    toy.at(view.startsWith('teacher') ? 'teacher' : 'student', row.contexts.get(view) ?? assert.fail(), t)
  const [p, p0, q, q0] = [read('student'), read('studentBlind'), read('teacher'), read('teacherBlind')]
  const target = logSoftmax(p0.log.map((each, v) => each + (q.log[v] as number) - (q0.log[v] as number)))
  const { head } = toy.weights.get('student') ?? assert.fail()
  /** Of a derivative by a view's logits. */
  const byParameters = ({ x, h }: typeof p, slopes: readonly number[]): number[] => {
    const toHidden = Array.from({ length: D }, (_, j) => slopes.reduce((sum, slope, v) => sum + slope * (head[v]?.[j] as number), 0))
    return [...x.flatMap((each) => toHidden.map((slope) => each * slope)), ...slopes.flatMap((slope) => h.map((each) => slope * each))]
  }
  const ofReverse = (log: readonly number[], other: readonly number[]): number[] => {
    const value = kl(log, other)
    return log.map((each, v) => Math.exp(each) * (each - (other[v] as number) - value))
  }
  const throughBlind = byParameters(
    p0,
    target.map((each, v) => Math.exp(each) - Math.exp(p.log[v] as number)),
  )
  const vis = byParameters(p, ofReverse(p.log, target))
  return {
    dependency: kl(q.log, q0.log),
    values: { std: kl(p.log, q.log), vis: kl(p.log, target), lang: kl(p0.log, q0.log) },
    gradients: {
      std: byParameters(p, ofReverse(p.log, q.log)),
      vis: flows ? vis.map((each, i) => each + (throughBlind[i] as number)) : vis,
      lang: byParameters(p0, ofReverse(p0.log, q0.log)),
    },
  }
}

const add = (vectors: readonly (readonly number[])[]): number[] =>
  Array.from({ length: D * D + V * D }, (_, i) => vectors.reduce((sum, each) => sum + (each[i] as number), 0))
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, each, i) => sum + each * (b[i] as number), 0)
const flat = (own: readonly (Tensor | null)[]): number[] => own.flatMap((each) => each?.toArray() ?? [])
const degrees = (a: readonly number[], b: readonly number[]): number => (180 / Math.PI) * Math.acos(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))

test('visual dependency and the three losses of every token', () => {
  withoutLeaks(() => {
    using toy = new Toy(vgs, { rollouts })
    for (const tokensPerPass of [1000, 8]) {
      const got = measureDependency(probe, toy.scorers, toy.rows, toy.store, { tokensPerPass })
      using batch = new ProbedBatch(measuredBy(toy, probe, tokensPerPass), toy.rows, toy.store)
      for (const [r, row] of toy.rows.entries()) {
        const want = Array.from(row.ids, (_, t) => oracle(toy, row, t))
        const single = { absolute: 1e-7, relative: 1e-6 }
        close(
          Array.from(got[r] ?? []),
          want.map(({ dependency }) => dependency),
          single,
          `dependency of row ${r}`,
        )
        close(
          Array.from(batch.dependencies[r] ?? []),
          want.map(({ dependency }) => dependency),
          single,
        )
        for (const loss of losses)
          close(
            Array.from(batch.values[r]?.[loss] ?? []),
            want.map(({ values }) => values[loss]),
            tolerance,
            loss,
          )
      }
    }
  })
})

for (const gradientThrough of ['stopped', 'flows'] as const) {
  test(`gradients of chosen tokens by all parameters, that of q* ${gradientThrough}`, () => {
    withoutLeaks(() => {
      const own = probeOf(vgs, { gradient: gradientThrough })
      using toy = new Toy(vgs, { rollouts })
      const chosen = toy.rows.map(({ ids }, r) => Array.from(ids.keys()).filter((t) => (t + r) % 2 === 0))
      for (const tokensPerPass of [1000, 8]) {
        using batch = new ProbedBatch(measuredBy(toy, own, tokensPerPass), toy.rows, toy.store)
        const got = batch.gradients(chosen)
        for (const loss of losses) {
          const tokens = toy.rows.flatMap((row, r) => (chosen[r] ?? []).map((t) => oracle(toy, row, t, gradientThrough === 'flows').gradients[loss]))
          close(flat(got[loss]), add(tokens), tolerance, loss)
        }
        dispose(got)
      }
    })
  })
}

test('gradients of bins add up to that of the whole term as training computes it', () => {
  using toy = new Toy(vgs, { rollouts })
  using batch = new ProbedBatch(measuredBy(toy), toy.rows, toy.store)
  const { bins } = equalFrequencyBins(batch.dependencies.flatMap((each) => Array.from(each)))
  const count = bins.length
  for (const loss of losses) {
    const sums: number[][] = []
    for (let bin = 0; bin < 10; bin++) {
      let next = 0
      const own = batch.gradients(toy.rows.map(({ ids }) => Array.from(ids.keys()).filter(() => bins[next++] === bin)))
      sums.push(own[loss].every((each) => each === null) ? add([]) : flat(own[loss]))
      dispose(own)
    }
    const alone = defineMethod({ ...probe.method, terms: { [loss]: probe.terms[loss] } })
    new Evaluator(alone, toy.scorers, toy.parameters, { tokensPerPass: 20 }).accumulate(toy.rows, toy.store, 0)
    const whole = scope(() => flat(toy.parameters.map(gradient)))
    zeroGradients(toy.parameters)
    close(
      add(sums),
      whole.map((each) => each * count),
      tolerance,
      loss,
    )
    assert.ok(Math.sqrt(dot(whole, whole)) > 0.01)
  }
})

test('angles, norms and counts of every bin, to a ten-thousandth of a degree', () => {
  withoutLeaks(() => {
    using toy = new Toy(vgs, { rollouts, seed: 4 })
    const batches = [toy.rows.slice(0, 2), toy.rows.slice(2, 3), toy.rows.slice(3)]
    const tokens = toy.rows.flatMap((row) => Array.from(row.ids, (_, t) => oracle(toy, row, t)))
    for (const above of [null, 0.05]) {
      const kept = tokens.filter(({ values }) => above === null || values.std > above)
      assert.ok(above === null ? kept.length === 24 : kept.length > 10 && kept.length < 24)
      const { bins } = equalFrequencyBins(
        Float32Array.from(kept, ({ dependency }) => dependency),
        4,
      )
      const got = measureGeometry(measuredBy(toy, probe, 15), batches, toy.store, { bins: 4, above, draws: 50 })
      assert.deepEqual([got.above, got.batches], [above, 3])
      for (const [b, bin] of [...got.bins, got.whole].entries()) {
        const own = kept.filter((_, i) => b === 4 || bins[i] === b)
        assert.equal(bin.tokens, own.length)
        const vectors = Object.fromEntries(losses.map((loss) => [loss, add(own.map(({ gradients }) => gradients[loss]))])) as {
          [L in Loss]: number[]
        }
        const { std, vis, lang } = vectors
        const want = [degrees(std, vis), degrees(std, lang), degrees(vis, lang)]
        close(
          [bin.angles.stdVis.value, bin.angles.stdLang.value, bin.angles.visLang.value] as number[],
          want,
          { absolute: 1e-6, relative: 0 },
          `angles of bin ${b}`,
        )
        close(
          losses.map((loss) => bin.norms[loss].value as number),
          losses.map((loss) => Math.sqrt(dot(vectors[loss], vectors[loss])) / own.length),
          tolerance,
          `norms of bin ${b}`,
        )
        close(
          losses.map((loss) => bin.losses[loss] as number),
          losses.map((loss) => own.reduce((sum, { values }) => sum + values[loss], 0) / own.length),
          tolerance,
        )
        close([bin.dependency ?? Number.NaN], [own.reduce((sum, { dependency }) => sum + dependency, 0) / own.length], {
          absolute: 1e-7,
          relative: 1e-6,
        })
      }
    }
  })
})

test('measuring leaves weights, gradients and their objects as they are', () => {
  using toy = new Toy(vgs, { rollouts })
  const before = toy.parameters.map((each) => each.toArray())
  scope(() => {
    const [first] = toy.parameters
    const kept = noGrad(() => (first ?? assert.fail()).zerosLike().add_(7))
    setGradient(first ?? assert.fail(), kept)
    measureGeometry(measuredBy(toy), [toy.rows], toy.store, { draws: 5 })
    measureDynamics(measuredBy(toy), toy.rows, toy.store)
    assert.ok(
      gradient(first ?? assert.fail())
        ?.toArray()
        .every((each) => each === 7) === true,
    )
    assert.equal(gradient(toy.parameters[1] ?? assert.fail()), null)
  })
  assert.deepEqual(
    toy.parameters.map((each) => each.toArray()),
    before,
  )
  zeroGradients(toy.parameters)
})

test('inner products leave out what is not there', () => {
  scope(() => {
    const vector = (...values: number[]): Tensor => fromTypedArray(Float32Array.from(values), { dtype: 'float32' })
    const gradients = [
      [vector(1, 2), null],
      [vector(3, -1), vector(2)],
      [null, vector(5)],
    ]
    assert.deepEqual(Array.from(gramOf(gradients)), [5, 1, 0, 1, 14, 10, 0, 10, 25])
    assert.deepEqual(Array.from(gramOf([[null], [null]])), [0, 0, 0, 0])
  })
})

test('intervals of angles draw whole batches, with the products between them', () => {
  const next = random(6)
  const vectors = Array.from({ length: 3 * 3 }, () => Array.from({ length: 5 }, () => 2 * next() - 1))
  const gram = Float64Array.from(vectors.flatMap((a) => vectors.map((b) => dot(a, b))))
  const tokens = [4, 1, 7]
  const seen: number[][] = []
  // The same draws as those within, and the same statistics by sums of vectors.
  const want = bootstrap(
    3,
    (counts) => {
      seen.push(Array.from(counts))
      const sum = (loss: number): number[] =>
        Array.from({ length: 5 }, (_, d) => [0, 1, 2].reduce((total, b) => total + (counts[b] as number) * (vectors[3 * b + loss]?.[d] as number), 0))
      const [std, vis, lang] = [sum(0), sum(1), sum(2)]
      const count = tokens.reduce((total, each, b) => total + each * (counts[b] as number), 0)
      return [Math.sqrt(dot(std, std)) / count, degrees(std, vis), degrees(std, lang), degrees(vis, lang)]
    },
    { draws: 300, seed: 9 },
  )
  const { norms, angles } = directionsOf(gram, tokens, { draws: 300, seed: 9 })
  for (const [i, got] of [norms.std, angles.stdVis, angles.stdLang, angles.visLang].entries()) {
    const { value, low, high } = want[i] ?? assert.fail()
    close([got.value, got.low, got.high] as number[], [value, low, high] as number[], { absolute: 1e-9, relative: 1e-9 })
    assert.ok((got.low ?? 0) < (got.value ?? 0) && (got.value ?? 0) < (got.high ?? 0))
  }
  assert.ok(seen.slice(1).every((counts) => counts.reduce((a, b) => a + b, 0) === 3))
  assert.equal(new Set(seen.slice(1).map(String)).size, 10)
  // One batch has nothing to draw from, a zero vector no angle.
  assert.deepEqual(directionsOf(Float64Array.of(1, 0, 0, 0, 4, 0, 0, 0, 0), [2], {}), {
    norms: { std: { value: 0.5, low: null, high: null }, vis: { value: 1, low: null, high: null }, lang: { value: 0, low: null, high: null } },
    angles: {
      stdVis: { value: 90, low: null, high: null },
      stdLang: { value: null, low: null, high: null },
      visLang: { value: null, low: null, high: null },
    },
  })
  close([angleOf(1, 1, 1), angleOf(-2, 4, 1), angleOf(1, 2, 1)] as number[], [0, 180, 45], { absolute: 1e-12, relative: 0 })
})

test('the bootstrap covers as often as it says', () => {
  const next = random(11)
  let covered = 0
  for (let trial = 0; trial < 300; trial++) {
    const values = Array.from({ length: 40 }, () => next())
    const [estimate] = bootstrap(40, (counts) => [values.reduce((sum, each, i) => sum + each * (counts[i] as number), 0) / 40], {
      draws: 300,
      seed: trial,
    })
    if ((estimate?.low ?? 1) <= 0.5 && (estimate?.high ?? 0) >= 0.5) covered++
  }
  // 95 % of 300 is 285, with a standard deviation of 3.8; the percentile interval falls short by about 1 % at 40 values.
  assert.ok(covered >= 268 && covered <= 297, String(covered))
})

test('bins of equal frequency: edges by hand, ties together, no bin for what is not finite', () => {
  const { edges, bins, sizes } = equalFrequencyBins([5, 1, 4, 2, 3, 0], 3)
  // Quantiles 1/3 and 2/3 of 0…5 lie at 5/3 and 10/3.
  close(edges, [0, 5 / 3, 10 / 3, 5], { absolute: 1e-15, relative: 1e-15 })
  assert.deepEqual(
    [Array.from(bins), sizes],
    [
      [2, 0, 2, 1, 1, 0],
      [2, 2, 2],
    ],
  )
  const next = random(3)
  const many = equalFrequencyBins(Array.from({ length: 1000 }, next))
  assert.ok(many.sizes.every((size) => size === 100))
  // Equal values stay together, wherever they stand; the order of the values is of no matter.
  const tied = equalFrequencyBins([0, 7, 0, 0, 9, 0, 0, 0], 4)
  assert.deepEqual(
    [Array.from(tied.bins), tied.sizes],
    [
      [0, 3, 0, 0, 3, 0, 0, 0],
      [6, 0, 0, 2],
    ],
  )
  assert.deepEqual(equalFrequencyBins([2, 2, 2]).sizes, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  assert.deepEqual(Array.from(equalFrequencyBins([3, 1, 2]).bins), [9, 0, 4])
  assert.throws(() => equalFrequencyBins([1, Number.NaN]), /value 1 of 2 is NaN/)
  assert.throws(() => equalFrequencyBins([]), /bins of no values/)
  assert.throws(() => equalFrequencyBins([1], 0), /0 bins/)
})

test('bins 7 to 9 are what the gates of VGS let through', () => {
  using toy = new Toy(vgs, { rollouts, seed: 2 })
  const dynamics = measureDynamics(measuredBy(toy), toy.rows, toy.store)
  const report = new Evaluator(vgs, toy.scorers, toy.parameters, { tokensPerPass: 1000 }).accumulate(toy.rows, toy.store, 0)
  zeroGradients(toy.parameters)
  const gates = report.tokens.flatMap((own) => Array.from(own.get('preservation')?.gates ?? []))
  assert.equal(dynamics.dependent.lang.count, gates.filter((gate) => gate > 0).length)
  assert.ok(dynamics.dependent.lang.count >= 7)
})

test('dynamics: losses over all and over dependent tokens, norms and cosine', () => {
  withoutLeaks(() => {
    using toy = new Toy(vgs, { rollouts, seed: 3 })
    const tokens = toy.rows.flatMap((row) => Array.from(row.ids, (_, t) => oracle(toy, row, t)))
    const got = measureDynamics(measuredBy(toy, probe, 20), toy.rows, toy.store)
    const upper = [...tokens].sort((a, b) => a.dependency - b.dependency).slice(-7)
    const sum = (of: readonly TokenOracle[], loss: Loss): number => of.reduce((total, { values }) => total + values[loss], 0)
    for (const loss of losses) {
      close([got.all[loss].sum, got.all[loss].count], [sum(tokens, loss), 24], tolerance)
      close([got.dependent[loss].sum, got.dependent[loss].count], [sum(upper, loss), 7], tolerance)
    }
    const [std, vis] = [add(tokens.map(({ gradients }) => gradients.std)), add(tokens.map(({ gradients }) => gradients.vis))]
    const norms = [Math.sqrt(dot(std, std)) / 24, Math.sqrt(dot(vis, vis)) / 24]
    close(
      [got.norms.std, got.norms.vis, got.cosine ?? Number.NaN],
      [...norms, dot(std, vis) / (norms[0] as number) / (norms[1] as number) / 24 ** 2],
      tolerance,
    )
    const metrics = dynamicsMetrics(got)
    assert.deepEqual(metrics['dynamics/vis/dependent'], got.dependent.vis)
    assert.deepEqual(metrics['dynamics/cosine'], { sum: got.cosine, count: 1 })
  })
})

test('a probe has the method’s own views, or makes the blind ones; several teachers need a dependency', () => {
  assert.deepEqual(probe.views, { student: 'student', studentBlind: 'studentBlind', teacher: 'teacher', teacherBlind: 'teacherBlind' })
  const derived = probeOf(opd)
  assert.deepEqual(derived.views, {
    student: 'student',
    studentBlind: 'student-without-image',
    teacher: 'teacher',
    teacherBlind: 'teacher-without-image',
  })
  assert.deepEqual(derived.method.views['teacher-without-image'], vgs.views['teacherBlind'])
  assert.deepEqual(probeOf(methods.get('opsd') ?? assert.fail()).method.views['privileged-without-image']?.sees, ['problem', 'reference'])
  assert.equal(probeOf(methods.get('opsd-ema') ?? assert.fail()).method.ema?.decay, 0.999)
  assert.match(
    probeFault(methods.get('vigos') ?? assert.fail()) ?? '',
    /several teachers that see the image \(perception, reasoning, reference\); say which one/,
  )
  assert.match(probeFault(methods.get('grpo') ?? assert.fail()) ?? '', /no term that draws a student with the image to one teacher/)
  assert.match(probeFault(methods.get('vigos-description-only') ?? assert.fail()) ?? '', /the view perception shows an image and nothing else/)
  assert.match(probeFault(methods.get('opsd-live') ?? assert.fail()) ?? '', /visual dependency is measured between frozen views/)
  const able = [...methods.values()].filter((method) => probeFault(method) === null).map(({ name }) => name)
  for (const name of ['vgs', 'adaptive-vgs', 'opd', 'language-steering', 'grpo-vgs', 'grpo-opd', 'opsd']) assert.ok(able.includes(name), name)
})
