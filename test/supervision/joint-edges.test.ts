// The joint loss at its edges: exact zeros, limits that are met, tails that vanish, half types, memory, and what is refused.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { dependency, jointLoss, type ViewRows } from '../../src/supervision/joint.ts'
import type { Group } from '../../src/supervision/joint-chunk.ts'
import type { Application, DistillTerm, Summand } from '../../src/supervision/joint-terms.ts'
import { gradient, requireGrad } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { fromTypedArray, tensor } from '../../src/torch/create.ts'
import { type Divergence, divergenceReference, linearDivergence } from '../../src/torch/divergence.ts'
import type { DType } from '../../src/torch/dtype.ts'
import { memory, resetPeakMemory } from '../../src/torch/memory.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, randomTensor, relativeError } from '../support.ts'

const divergences: readonly Divergence[] = [{ kind: 'forwardKl' }, { kind: 'reverseKl' }, { kind: 'jsd', beta: 0.3 }]
const summand = (view: string, times = 1, gradient: Summand['gradient'] = 'stopped'): Summand => ({ view, times, gradient })
const plain: DistillTerm = {
  kind: 'distill',
  student: 'student',
  target: [summand('teacher')],
  divergence: { kind: 'forwardKl' },
  over: 'vocabulary',
  temperature: 1,
  clip: 'clamp',
}
const filled = (n: number, value: number): Float64Array => new Float64Array(n).fill(value)
const distill = (n: number, term: Partial<DistillTerm> = {}, limit = Number.POSITIVE_INFINITY, factor = 1): Application => ({
  term: { ...plain, ...term },
  factors: filled(n, factor),
  limits: filled(n, limit),
})
/** Every view has its n rows in order. */
const group = (n: number, views: readonly string[], terms: readonly Application[], ids = new Int32Array(n)): Group => ({
  ids,
  rows: new Map(views.map((view) => [view, Int32Array.from({ length: n }, (_, i) => i)])),
  terms,
})
const make = (shape: readonly number[], seed: number, dtype: DType = 'float64'): Tensor => randomTensor(shape, seed, -2, 2).toDtype(dtype)
const only = (result: ReturnType<typeof jointLoss>, term = 0): number[] => Array.from(result.values[0]?.[term]?.values ?? [])
const flags = (result: ReturnType<typeof jointLoss>, term = 0): number[] => Array.from(result.values[0]?.[term]?.clipped ?? [])

test('a teacher equal to the student gives exactly zero, on the fused path and over a sum of views', () => {
  scope(() => {
    const head = requireGrad(make([300, 16], 1, 'float32'))
    const rows = make([40, 16], 2, 'float32')
    const views = new Map<string, ViewRows>(['student', 'teacher', 'other'].map((name) => [name, { hidden: requireGrad(rows.clone()), head }]))
    const names = [...views.keys()]
    const overs: DistillTerm['over'][] = [
      'vocabulary',
      'sampledToken',
      { topK: 7, of: 'student', tail: true },
      { topK: 7, of: 'target', tail: false },
    ]
    const sums = [[summand('teacher')], [summand('teacher'), summand('other'), summand('teacher', -1)], [summand('other', 1, 'flows')]]
    for (const divergence of divergences) {
      const pairs = overs.flatMap((over) => sums.map((target) => ({ over, target })))
      // The estimate from one token pulls at a target that flows even where both sides agree: only its mean is zero.
      const zero = pairs.filter(({ over, target }) => over !== 'sampledToken' || target.every((each) => each.gradient === 'stopped'))
      const all = zero.map((pair) => distill(40, { ...pair, divergence, temperature: 0.7 }))
      for (const terms of [...all.map((each) => [each]), all]) {
        const result = jointLoss(views, [group(40, names, terms)], { chunk: 16 })
        backward(result.loss)
        const gradients = [head, ...[...views.values()].map(({ hidden }) => hidden)].flatMap((each) => gradient(each)?.toArray() ?? [])
        const largest = Math.max(Math.abs(result.loss.item()), ...gradients.map(Math.abs))
        // p and the mixture of p with itself differ by a rounding, so only the two KL are exact.
        assert.ok(divergence.kind === 'jsd' ? largest < 1e-4 : largest === 0, `${divergence.kind}: ${largest}`)
        for (const { hidden } of views.values()) gradient(hidden)?.zero_()
        gradient(head)?.zero_()
      }
    }
  })
})

test('one term over the vocabulary is linearDivergence, bit for bit in float32', () => {
  scope(() => {
    const results = [true, false].map((joint) => {
      const student = { hidden: requireGrad(make([40, 16], 1, 'float32')), head: requireGrad(make([300, 16], 2, 'float32')) }
      const teacher = { hidden: make([40, 24], 3, 'float32'), head: make([300, 24], 4, 'float32') }
      if (joint) {
        const terms = [distill(40, { divergence: { kind: 'reverseKl' } }, 2.5, 1 / 64)]
        const { loss, values } = jointLoss(new Map(Object.entries({ student, teacher })), [group(40, ['student', 'teacher'], terms)], { chunk: 16 })
        backward(loss)
        return [loss, tensor(Array.from(values[0]?.[0]?.values ?? [])), gradient(student.hidden), gradient(student.head)]
      }
      const perToken = (values: Tensor): Tensor => values.clamp(null, 2.5).mul(1 / 64)
      const { loss, values } = linearDivergence(student, teacher, { kind: 'reverseKl' }, { chunk: 16, perToken })
      backward(loss)
      return [loss, values, gradient(student.hidden), gradient(student.head)]
    })
    for (const [i, each] of results[0]?.entries() ?? []) {
      const other = results[1]?.[i]
      assert.ok(each && other && each.equal(other), `part ${i}`)
    }
  })
})

test('as many entries as the vocabulary has, or more, are the vocabulary', () => {
  scope(() => {
    for (const [i, divergence] of divergences.entries()) {
      const [tail, topK] = [i !== 1, i === 2 ? 50 : 9]
      const results = ['vocabulary' as const, { topK, of: 'target', tail } as const].map((over) => {
        const views = new Map([
          ['student', { hidden: requireGrad(make([5, 4], 1)), head: make([9, 4], 2) }],
          ['teacher', { hidden: make([5, 4], 3), head: make([9, 4], 4) }],
        ])
        const result = jointLoss(views, [group(5, [...views.keys()], [distill(5, { over, divergence, temperature: 2 })])])
        backward(result.loss)
        const hidden = views.get('student')?.hidden
        return { values: only(result), gradient: hidden && gradient(hidden)?.toArray() }
      })
      assert.deepEqual(results[0], results[1])
    }
  })
})

test('a value at its limit passes its gradient, one above does not; scale gives it the share of the limit', () => {
  scope(() => {
    const head = make([9, 4], 2)
    const teacher = { hidden: make([3, 4], 3), head }
    const at = (clip: DistillTerm['clip'], limits: Float64Array) => {
      const hidden = requireGrad(make([3, 4], 1))
      const application = { ...distill(3, { clip }), limits } as Application
      const result = jointLoss(
        new Map([
          ['student', { hidden, head }],
          ['teacher', teacher],
        ]),
        [group(3, ['student', 'teacher'], [application])],
      )
      backward(result.loss)
      return { values: only(result), clipped: flags(result), loss: result.loss.item(), gradient: (gradient(hidden) as Tensor).toArray() }
    }
    const free = at('clamp', filled(3, Number.POSITIVE_INFINITY))
    const [a = 0, b = 0, c = 0] = free.values
    const limits = Float64Array.of(a, b * 0.99, c * 0.25)
    for (const [clip, shares] of [
      ['clamp', [1, 0, 0]],
      ['scale', [1, 0.99, 0.25]],
    ] as const) {
      const own = at(clip, limits)
      assert.deepEqual(own.clipped, [0, 1, 1])
      assert.deepEqual(own.values, free.values)
      close([own.loss], [a + b * 0.99 + c * 0.25], { relative: 1e-12 })
      const expected = free.gradient.map((x, i) => x * (shares[Math.floor(i / 4)] ?? 0))
      close(own.gradient, expected, { absolute: 1e-14, relative: 1e-12 }, clip)
    }
  })
})

test('tails and probabilities that underflow give finite values and gradients', () => {
  scope(() => {
    const head = ops.eye(6, { dtype: 'float32' })
    const rows = (values: readonly (readonly number[])[]): Tensor => requireGrad(tensor(values))
    for (const divergence of divergences) {
      for (const tail of [true, false]) {
        for (const side of ['student', 'target'] as const) {
          const student = {
            hidden: rows([
              [0, 1, -900, -1000, -950, -900],
              [800, 790, 0, 1, 2, 3],
              [0, 0, 0, 0, 0, -1e30],
            ]),
            head,
          }
          const teacher = {
            hidden: rows([
              [1, 0, -990, -800, -900, -900],
              [0, 1, -900, 2, 3, 4],
              [1, 0, 0, 0, 0, -1e30],
            ]),
            head,
          }
          const terms = [distill(3, { divergence, over: { topK: 2, of: side, tail }, target: [summand('teacher', 1, 'flows')] })]
          const result = jointLoss(new Map(Object.entries({ student, teacher })), [group(3, ['student', 'teacher'], terms)])
          backward(result.loss)
          const numbers = [...only(result), ...[student, teacher].flatMap(({ hidden }) => (gradient(hidden) as Tensor).toArray())]
          assert.ok(numbers.every(Number.isFinite), `${divergence.kind} ${side} ${tail}: ${numbers}`)
        }
      }
    }
    // A tail of e^−40, which 1 − Σp cannot hold, keeps its digits: KL(q‖p) = q_tail · (−40 − (−50)) + rounding-free zeros elsewhere.
    const views = new Map([-50, -40].map((low, i) => [i === 0 ? 'student' : 'teacher', { hidden: rows([[0, low, low, low, low, low]]), head }]))
    const result = jointLoss(views, [group(1, [...views.keys()], [distill(1, { over: { topK: 1, of: 'target', tail: true } })])])
    backward(result.loss)
    const toTail = (gradient(views.get('student')?.hidden as Tensor) as Tensor).toArray()[3] ?? 0
    close([toTail], [-Math.exp(-40)], { absolute: 0, relative: 1e-3 })
  })
})

test('with gradients off only values and loss are computed; views that need no gradient get none', () => {
  scope(() => {
    const [n, vocabulary, width] = [64, 20_000, 8]
    const head = requireGrad(ops.zeros([vocabulary, width]))
    const half = { hidden: requireGrad(ops.zeros([n, width])), head }
    const views = new Map(['student', 'teacher'].map((name) => [name, half]))
    const groups = [group(n, [...views.keys()], [distill(n), { term: { kind: 'imitate', student: 'student' }, factors: filled(n, 1 / n) }])]
    const before = memory()
    resetPeakMemory()
    const { loss, values } = noGrad(() => jointLoss(views, groups, { chunk: 4 }))
    const after = memory()
    assert.equal(after.tensors - before.tensors, 1, 'the loss alone is new')
    assert.ok(!loss.requiresGrad)
    close(loss, [Math.log(vocabulary)], { relative: 1e-6 })
    close(Array.from(values[0]?.[1]?.values ?? []), Array.from(filled(n, Math.log(vocabulary))), { relative: 1e-6 })
    assert.ok(after.cpuPeakBytes - before.cpuBytes < 4 * (4 * vocabulary * 4), `${after.cpuPeakBytes - before.cpuBytes} bytes`)
    // A view that trains without requiring gradients, and one that requires them but is a stopped target.
    const frozen = { hidden: half.hidden.detach(), head: head.detach() }
    assert.ok(
      !jointLoss(
        new Map([
          ['student', frozen],
          ['teacher', half],
        ]),
        groups,
      ).loss.requiresGrad,
    )
    // With adapters the head is frozen: nothing of its size is made.
    resetPeakMemory()
    const held = memory().cpuBytes
    jointLoss(new Map(Object.entries({ student: { ...half, head: frozen.head }, teacher: frozen })), groups, { chunk: 4 })
    const peak = memory().cpuPeakBytes - held
    assert.ok(peak < 4 * (4 * vocabulary * 4), `${peak} bytes`)
    assert.equal(gradient(half.hidden), null)
    const flowing = [group(n, [...views.keys()], [distill(n, { target: [summand('teacher', 1, 'flows')] })])]
    backward(
      jointLoss(
        new Map([
          ['student', half],
          ['teacher', frozen],
        ]),
        flowing,
      ).loss,
    )
    assert.ok(gradient(half.hidden) !== null && gradient(half.head) !== null)
  })
})

test('no groups, no positions, or no terms: a zero that depends on nothing', () => {
  scope(() => {
    const student = { hidden: requireGrad(make([0, 4], 1)), head: requireGrad(make([9, 4], 2)) }
    const views = new Map([['student', student]])
    for (const groups of [[], [group(0, [], [distill(0)])], [group(2, [], [])]]) {
      const { loss, values } = jointLoss(views, groups)
      assert.equal(loss.item(), 0)
      assert.ok(!loss.requiresGrad)
      assert.deepEqual(
        values.map((terms) => terms.map((each) => each.values.length)),
        groups.map(({ terms }) => terms.map(() => 0)),
      )
    }
    assert.equal(jointLoss(new Map(), []).loss.item(), 0)
  })
})

test('views may share hidden states: the gradients of both rows are summed', () => {
  scope(() => {
    const run = (shared: boolean): Tensor => {
      const all = requireGrad(make([10, 4], 1))
      const head = make([9, 4], 2)
      const [student, blind] = shared ? [all, all] : [all.narrow(0, 0, 10), all.narrow(0, 0, 10)]
      const views = new Map([
        ['student', { hidden: student, head }],
        ['blind', { hidden: blind, head }],
      ])
      const rows = new Map([
        ['student', Int32Array.of(1, 3, 5, 7)],
        ['blind', Int32Array.of(0, 2, 3, 9)],
      ])
      const terms = [distill(4, { target: [summand('blind', 1, 'flows')] })]
      backward(jointLoss(views, [{ ids: new Int32Array(4), rows, terms }]).loss)
      return gradient(all) as Tensor
    }
    close(run(true), run(false), { absolute: 1e-14 })
  })
})

test('half types: computed in float32, heads summed in float32, and gradients in the dtype of their tensor', () => {
  scope(() => {
    const terms = [
      distill(200, { divergence: { kind: 'reverseKl' } }),
      { term: { kind: 'imitate', student: 'student' }, factors: filled(200, 1) } as const,
    ]
    const run = (hiddenType: DType, headType: DType, wide: boolean) => {
      const cast = (x: Tensor, dtype: DType): Tensor => requireGrad(wide ? x.toDtype(dtype).toDtype('float64') : x.toDtype(dtype).clone())
      const half = (seed: number): ViewRows => ({ hidden: cast(make([200, 16], seed), hiddenType), head: cast(make([50, 16], seed + 1), headType) })
      const views = new Map([
        ['student', half(1)],
        ['teacher', half(3)],
      ])
      const { loss, values } = jointLoss(views, [group(200, [...views.keys()], terms)], { chunk: 1 })
      backward(loss)
      const { hidden, head } = views.get('student') as ViewRows
      return { loss, values: values[0]?.[0]?.values, hidden: gradient(hidden) as Tensor, head: gradient(head) as Tensor }
    }
    for (const [hiddenType, tolerance] of [
      ['float32', 2 ** -8],
      ['bfloat16', 0.02],
    ] as const) {
      const [own, exact] = [run(hiddenType, 'bfloat16', false), run(hiddenType, 'bfloat16', true)]
      assert.deepEqual([own.loss.dtype, own.hidden.dtype, own.head.dtype], ['float32', hiddenType, 'bfloat16'])
      assert.ok(own.values instanceof Float32Array && exact.values instanceof Float64Array)
      for (const part of ['loss', 'hidden', 'head'] as const) {
        const error = relativeError(own[part], exact[part])
        assert.ok(error < tolerance, `${part} of ${hiddenType}: ${error}`)
      }
    }
  })
})

test('a head that views share is widened once, and its gradient is kept in its own type alone', () => {
  scope(() => {
    const [n, vocabulary, width] = [32, 20_000, 64]
    const head = requireGrad(make([vocabulary, width], 1, 'bfloat16'))
    const view = (seed: number): ViewRows => ({ hidden: requireGrad(make([n, width], seed, 'float32')), head })
    const views = new Map(Object.entries({ student: view(2), teacher: view(3) }))
    const terms = [distill(n, { target: [summand('teacher', 1, 'flows')] })]
    const before = memory()
    resetPeakMemory()
    const { loss } = jointLoss(views, [group(n, [...views.keys()], terms)], { chunk: 1 })
    const after = memory()
    const bytes = vocabulary * width * 4
    const rest = 6 * vocabulary * 4 + 4 * n * width * 4
    // At the peak the wide head and the wide sum of its gradients; afterwards the gradient in bfloat16.
    assert.ok(after.cpuPeakBytes - before.cpuBytes < 2 * bytes + rest, `${(after.cpuPeakBytes - before.cpuBytes) / bytes} heads`)
    assert.ok(after.cpuBytes - before.cpuBytes < bytes / 2 + rest, `${(after.cpuBytes - before.cpuBytes) / bytes} heads are kept`)
    assert.ok(loss.requiresGrad)
  })
})

test('memory: a few chunks, whatever the number of terms, far below [tokens × vocabulary]', () => {
  scope(() => {
    const [n, vocabulary, width, chunk] = [2000, 20_000, 8, 50]
    const views = new Map<string, ViewRows>()
    for (const [i, name] of ['student', 'blind', 'teacher', 'blindTeacher'].entries()) {
      const trains = name === 'student' || name === 'blind'
      const [hidden, head] = [make([n, width], 10 + i, 'float32'), make([vocabulary, width], 20 + i, 'float32')]
      views.set(name, trains ? { hidden: requireGrad(hidden), head: requireGrad(head) } : { hidden, head })
    }
    const reverse = { divergence: { kind: 'reverseKl' } as const }
    const standard = distill(n, reverse, undefined, 1 / n)
    const gain = [summand('blind', 1, 'flows'), summand('teacher'), summand('blindTeacher', -1)]
    const visual = distill(n, { ...reverse, target: gain }, undefined, 2 / n)
    const language = distill(n, { ...reverse, student: 'blind', target: [summand('blindTeacher')] }, undefined, 1 / n)
    const top = distill(n, { over: { topK: 20, of: 'target', tail: true } }, 0.5, 1 / n)
    const peakOf = (terms: readonly Application[], options: { chunk?: number }): number => {
      const before = memory()
      resetPeakMemory()
      scope(() => {
        jointLoss(views, [group(terms[0]?.factors.length ?? 0, [...views.keys()], terms)], options)
      })
      const after = memory()
      assert.equal(after.tensors, before.tensors, 'live tensors after the call')
      return after.cpuPeakBytes - before.cpuBytes
    }
    const whole = n * vocabulary * 4
    const part = chunk * vocabulary * 4
    const gradients = 2 * (n + vocabulary) * width * 4
    const one = peakOf([standard], { chunk })
    assert.ok(one < 2.1 * part + gradients, `one term: ${one / part} chunks`)
    const three = peakOf([standard, visual, language], { chunk })
    assert.ok(three < 7.1 * part + gradients, `three terms: ${three / part} chunks`)
    assert.ok(three < whole / 4)
    // Each target ends with its term: student, a copy or its gradient, their sum, and one target at a time.
    const apart = peakOf(
      ['teacher', 'blindTeacher', 'blind'].map((view) => distill(2 * chunk, { target: [summand(view)] })),
      { chunk },
    )
    assert.ok(apart < 4.1 * part + gradients, `three targets: ${apart / part} chunks`)
    assert.ok(peakOf([standard, visual, language], {}) < 1.3 * (128 << 20) + gradients, 'by default')
    // Four views, two sums of gradients, both sides of a term and two more while it is computed.
    const few = [standard, visual, language, top].map((each) => ({ ...each, factors: filled(2 * chunk, 1), limits: filled(2 * chunk, 1) }))
    const eight = peakOf([...few, ...few], { chunk })
    assert.ok(eight < 10.1 * part + gradients, `eight terms: ${eight / part} chunks`)
    assert.ok(peakOf([...few, ...few, ...few, ...few], { chunk }) < 1.001 * eight, 'sixteen terms take what eight do')
  })
})

test('visual dependency is KL(sighted‖blind) of each row', () => {
  scope(() => {
    const [sighted, blind] = [
      { hidden: make([6, 4], 1), head: make([9, 4], 2) },
      { hidden: requireGrad(make([6, 5], 3)), head: make([9, 5], 4) },
    ]
    const logits = ({ hidden, head }: ViewRows): Tensor => hidden.detach().matmul(head.transpose(0, 1))
    const expected = divergenceReference(logits(blind), logits(sighted), { kind: 'forwardKl' }, 1).values // KL(target‖student)
    const before = memory().tensors
    const own = dependency(sighted, blind)
    assert.equal(memory().tensors, before)
    assert.ok(own instanceof Float32Array)
    close(Array.from(own), expected.toArray(), { relative: 1e-6 })
    assert.equal(dependency({ hidden: make([0, 4], 1), head: sighted.head }, { hidden: make([0, 5], 1), head: blind.head }).length, 0)
  })
})

test('what does not fit is refused by name', () => {
  scope(() => {
    const view = (rows: number, vocabulary = 9): ViewRows => ({ hidden: ops.zeros([rows, 4]), head: ops.zeros([vocabulary, 4]) })
    const views = new Map([
      ['student', view(3)],
      ['teacher', view(3)],
    ])
    const good = group(3, ['student', 'teacher'], [distill(3)])
    const fails = (own: ReadonlyMap<string, ViewRows>, wrong: Partial<Group>, message: RegExp, options = {}): void =>
      assert.throws(
        () => jointLoss(own, [{ ...good, ...wrong }], options),
        (error: unknown) => error instanceof ArgumentError && message.test(error.message),
      )
    const with1 = (term: Partial<DistillTerm>): Partial<Group> => ({ terms: [distill(3, term)] })
    fails(new Map([['student', view(3)]]), {}, /reads the view "teacher", the loss has only student/)
    fails(views, { rows: new Map([['teacher', Int32Array.of(0, 1, 2)]]) }, /reads the view "student", the group has only teacher/)
    fails(new Map([...views, ['teacher', view(3, 8)]]), {}, /view "teacher": .*one V in all views/)
    fails(new Map([...views, ['teacher', { hidden: ops.zeros([3, 5]), head: ops.zeros([9, 4]) }]]), {}, /view "teacher": hidden/)
    fails(views, { rows: new Map([...good.rows, ['teacher', Int32Array.of(0, 1)]]) }, /"teacher": 2 rows for 3 positions/)
    fails(views, { rows: new Map([...good.rows, ['teacher', Int32Array.of(0, 1, 3)]]) }, /"teacher": row 3 of hidden states that have 3/)
    fails(views, { rows: new Map([...good.rows, ['teacher', Int32Array.of(0, -1, 2)]]) }, /"teacher": row -1/)
    fails(views, { ids: Int32Array.of(1, 9, 2) }, /token 9 is outside the vocabulary of 9/)
    fails(views, { ids: Int32Array.of(1, -2, 2) }, /token -2 is outside/)
    fails(views, { terms: [distill(2)] }, /distill: 2 factors for 3 positions/)
    fails(views, { terms: [{ ...distill(3), limits: filled(4, 1) } as Application] }, /distill: 4 limits for 3/)
    fails(views, with1({ target: [] }), /target is a sum of no views/)
    fails(views, with1({ temperature: 0 }), /temperature 0/)
    fails(views, with1({ divergence: { kind: 'jsd', beta: 1 } }), /beta 1/)
    fails(views, with1({ over: { topK: 0, of: 'target', tail: true } }), /top 0 entries/)
    fails(views, {}, /chunk: 0; expected a positive integer/, { chunk: 0 })
    const short = fromTypedArray(new Float32Array(12), { dtype: 'float32', shape: [3, 4] })
    assert.equal(jointLoss(new Map([...views, ['student', { ...view(3), hidden: short }]]), [good]).loss.item(), 0)
  })
})
