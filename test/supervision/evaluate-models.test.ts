// The evaluator on models, with packing, shared beginnings, needed ranges and kept image features, against the straightforward way: every
// view of every rollout alone and in full, its own image features, all logits, stock operators under autograd.

import assert from 'node:assert/strict'
import test from 'node:test'
import { opsdLive } from '../../src/methods/opsd.ts'
import { methods } from '../../src/methods/registry.ts'
import { vgs } from '../../src/methods/vgs.ts'
import { vigos, vigosReleased } from '../../src/methods/vigos.ts'
import { plainRun, type Run } from '../../src/models/linear.ts'
import { attachLora } from '../../src/models/lora.ts'
import type { ImageInput, Model } from '../../src/models/model.ts'
import { loadModel, randomModel } from '../../src/models/registry.ts'
import { frozenCopy, modelParts, trainable } from '../../src/models/teacher.ts'
import { defineMethod, summandsOf, usedViews } from '../../src/supervision/check.ts'
import { Evaluator, type EvaluatorOptions, type Report } from '../../src/supervision/evaluate.ts'
import type { Row } from '../../src/supervision/gather.ts'
import type { Method } from '../../src/supervision/method.ts'
import { gateOf, limitsOf, planTerms } from '../../src/supervision/plan.ts'
import { FeatureStore, type Scorer, type Scorers } from '../../src/supervision/scorers.ts'
import { divide } from '../../src/supervision/segments.ts'
import { gradient, zeroGradients } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { fromTypedArray, int64, scalar } from '../../src/torch/create.ts'
import { native } from '../../src/torch/native.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { caseOf, type FamilyName, families, folderOf, imagesOf, referenceOf } from '../models/goldens.ts'
import { fillB } from '../models/passes.ts'
import { close, random, withoutLeaks } from '../support.ts'
import { groups, rollouts } from './tables.ts'

const [image, visionStart, visionEnd, stop] = [492, 489, 490, 482]
/** Tokens that all contexts of a sample begin with, before its image. */
const header = 20

/** Rows for some of the shared rollouts: each prompt with an image of its own, and contexts that differ after it. */
function rowsOf(method: Method, family: FamilyName, model: Model, which: readonly number[]): Row[] {
  const pictures = ['square', 'tall', 'square'].map((name, i): ImageInput => {
    const [first] = imagesOf(model, { ...caseOf(referenceOf(family), name), pixelOffset: 100 * i })
    return first ?? assert.fail()
  })
  return which.map((at) => {
    const sample = groups.findIndex((group) => group.includes(at))
    const rollout = rollouts[at] ?? assert.fail()
    const next = random(at)
    const ids = Int32Array.from(rollout.pieces, (piece) => (piece === '<eos>' ? stop : Math.floor(next() * 480)))
    const text = rollout.pieces.join('')
    const starts = rollout.pieces.map((_, i) => rollout.pieces.slice(0, i).join('').length)
    const spans = rollout.pieces.map((piece, i): [number, number] => [starts[i] as number, (starts[i] as number) + piece.length])
    const prefill = method.views[method.rollout.view]?.prefill ?? ''
    const division = divide(method.format, { prefill, text, spans, ids }, { stopIds: new Set([stop]), emptyIds: new Set([stop]) })
    const picture = pictures[sample] ?? assert.fail()
    const tokens = (picture.grid[1] * picture.grid[2]) / model.config.vision.merge ** 2
    const shared = Array.from({ length: header }, (_, i) => 10 * sample + i)
    const contexts = new Map(
      Array.from(usedViews(method), ([name, { sees }], v) => {
        const seen = sees.includes('image') ? [visionStart, ...new Array<number>(tokens).fill(image), visionEnd] : []
        const tail = Array.from({ length: name === 'perception' ? 2 : 5 + v }, (_, i) => 200 + 40 * v + 7 * sample + i)
        return [name, { ids: Int32Array.from([...shared, ...seen, ...tail]), images: sees.includes('image') ? [picture] : [], text: '' }]
      }),
    )
    return {
      ids,
      division,
      contexts,
      advantages: new Map([['correctness', at % 2 === 0 ? 1 : -0.5]]),
      logprobs: new Float32Array(ids.length).fill(-6),
    }
  })
}

/** The straightforward way. → loss; gradients are left in the parameters */
function straightforward(method: Method, { student, base, teacher }: Scorers, rows: readonly Row[]): number {
  return scope(() => {
    const heads = [student, base, teacher].flatMap((each) => (each === null ? [] : [each.model.language.head.dim(0)]))
    const known = new Map<string, Tensor>()
    const logProbabilities = (view: string, row: number, gradients: boolean): Tensor => {
      const { weights, reads } = method.views[view] ?? assert.fail()
      const scorer = weights === 'student' ? student : ((weights === 'base' ? base : teacher) ?? assert.fail())
      const { ids, division, contexts } = rows[row] as Row
      const context = contexts.get(view) ?? assert.fail()
      const from = reads === 'all' ? 0 : (division.places[reads.from]?.from ?? 0)
      const run: Run = { ...scorer.run, recompute: false }
      const compute = (): Tensor => {
        const images = scorer.model.encodeImages(context.images, run)
        const hidden = scorer.model.hidden([{ ids: [...context.ids, ...ids.subarray(from)], images }], run)
        const logits = scorer.model
          .logits(hidden)
          .narrow(1, 0, Math.min(...heads))
          .logSoftmax(-1)
        // Row t predicts token t; what is before a view's beginning is never asked for.
        const place = int64(Array.from(ids, (_, t) => Math.max(0, context.ids.length - 1 + t - from)))
        return logits.indexSelect(0, place)
      }
      const key = `${view} ${row} ${gradients}`
      const found = known.get(key) ?? (gradients ? compute() : noGrad(compute))
      known.set(key, found)
      return found
    }
    const forward = (p: Tensor, q: Tensor): Tensor => q.exp().mul(q.sub(p)).sum(-1)
    const { dependency } = method
    const vds = rows.map((_, row) =>
      dependency === null ? [] : forward(logProbabilities(dependency.blind, row, false), logProbabilities(dependency.sighted, row, false)).toArray(),
    )
    let loss = scalar(0)
    for (const { term, claims } of planTerms(method, rows)) {
      assert.ok(term.kind === 'distill' && typeof term.divergence === 'string')
      const gate = term.gates === null ? () => 1 : gateOf(term.gates, Float64Array.from(vds.flat()))
      for (const claim of claims) {
        const { row, positions, share } = claim
        const at = (x: Tensor): Tensor => x.indexSelect(0, int64(positions))
        const p = at(logProbabilities(term.student, row, true))
        const summands = summandsOf(term).map(({ view, times }) => at(logProbabilities(view, row, false)).mul(times))
        const q = summands.reduce((a, b) => a.add(b)).logSoftmax(-1)
        const values = term.divergence === 'forwardKl' ? forward(p, q) : forward(q, p)
        const numbers = (of: Iterable<number>): Tensor => fromTypedArray(Float32Array.from(of), { dtype: 'float32', shape: [positions.length] })
        const bounded = values.minimum(numbers(limitsOf(term, claim)))
        loss = loss.add(bounded.mul(numbers(positions.map((t) => share * term.weight * gate(vds[row]?.[t] ?? 0)))).sum())
      }
    }
    const scaled = loss.mul(typeof method.scale === 'number' ? method.scale : assert.fail())
    backward(scaled)
    return scaled.item()
  })
}

/** Losses to 1e-5, the gradient to `part` of its norm, and each parameter's to thrice that of its own (or a tenth of all, if that is more). */
function compare(parameters: ReadonlyMap<string, Tensor>, body: () => number, other: () => number, part = 1e-5): void {
  const run = (way: () => number): [number, Map<string, number[]>] => {
    zeroGradients(parameters.values())
    const loss = way()
    return [
      loss,
      scope(() => new Map(Array.from(parameters, ([name, each]) => [name, gradient(each)?.toArray() ?? new Array<number>(each.size).fill(0)]))),
    ]
  }
  const [[loss, got], [expected, want]] = [run(body), run(other)]
  const norm = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, each) => sum + each * each, 0))
  close([loss], [expected], { absolute: 0, relative: 1e-5 }, 'loss')
  const whole = norm([...want.values()].map(norm))
  assert.ok(whole > 1e-4, `something to compare, not a gradient of ${whole}`)
  let sum = 0
  for (const [name, values] of want) {
    const difference = norm(values.map((each, i) => each - (got.get(name)?.[i] ?? Number.NaN)))
    const allowed = 3 * part * Math.max(norm(values), whole / 10)
    assert.ok(difference <= allowed, `${name}: ${difference}, allowed ${allowed}`)
    sum += difference ** 2
  }
  assert.ok(Math.sqrt(sum) <= part * whole, `gradient: ${Math.sqrt(sum)} of ${whole}`)
  zeroGradients(parameters.values())
}

/** A method with another clip: at these sizes 0.05 would stop every gradient. */
const clippedAt = (method: Method, token: number | null): Method =>
  defineMethod({
    ...method,
    terms: Object.fromEntries(Object.entries(method.terms).map(([name, term]) => [name, { ...term, clip: token && { token } }])),
  } as never)

function reportOf(method: Method, scorers: Scorers, rows: readonly Row[], options: EvaluatorOptions, parameters: Iterable<Tensor>): Report {
  using store = new FeatureStore(1000)
  return new Evaluator(method, scorers, [...parameters], options).accumulate(rows, store, 0)
}

for (const family of families) {
  test(`${family}: with adapters, losses and gradients are those of every view alone`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using other = randomModel(folderOf(family), { seed: 3, deviation: 0.05 })
      const { model } = checkpoint
      trainable(model, [])
      using adapter = fillB(attachLora(model, { rank: 4, alpha: 8, seed: 1 }), 5, 0.05)
      const tower = {}
      const parameters = new Map([...adapter.modules].flatMap(([name, { a, b }]) => [[`${name} a`, a] as const, [`${name} b`, b] as const]))
      const scorers = (recompute: boolean): Scorers => ({
        ...{ student: { model, run: { adapter, training: true, recompute }, tower }, towerTrains: false },
        ...{ base: { model, run: plainRun, tower }, ema: null, teacher: { model: other.model, run: plainRun, tower: {} } },
      })
      const released = defineMethod({ ...vigosReleased, name: 'released-by-responses', terms: responses(clippedAt(vigosReleased, null)) } as never)
      for (const method of [clippedAt(vigos, 1), clippedAt(vigos, null), released, opsdLive, vgs]) {
        const rows = rowsOf(method, family, model, [0, 1, 2, 3, 5])
        for (const [recompute, tokensPerPass] of [
          [false, 5000],
          [false, 90],
          [true, 120],
        ] as const) {
          const own = scorers(recompute)
          compare(
            parameters,
            () => reportOf(method, own, rows, { tokensPerPass }, parameters.values()).loss,
            () => straightforward(method, own, rows),
          )
        }
      }
    })
  })

  test(`${family}: a vision tower that trains gets the gradients of all its views, and the frozen beginning stays`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using other = randomModel(folderOf(family), { seed: 3, deviation: 0.05 })
      const { model } = checkpoint
      const parameters = trainable(model, modelParts)
      using frozen = frozenCopy(model, parameters.keys())
      noGrad(() => scope(() => model.parameters.forEach((each) => void each.mul_(1.02))))
      const scorers = (recompute: boolean): Scorers => ({
        ...{ student: { model, run: { adapter: null, training: true, recompute }, tower: {} }, towerTrains: true },
        ...{ base: { model: frozen.model, run: plainRun, tower: {} }, ema: null, teacher: { model: other.model, run: plainRun, tower: {} } },
      })
      for (const method of [vgs, clippedAt(vigos, null)]) {
        const rows = rowsOf(method, family, model, [0, 1, 3])
        for (const [recompute, tokensPerPass] of [
          [false, 5000],
          [true, 150],
        ] as const) {
          const own = scorers(recompute)
          compare(
            parameters,
            () => reportOf(method, own, rows, { tokensPerPass }, parameters.values()).loss,
            () => straightforward(method, own, rows),
            // Float32 through the whole tower and back, where the largest gradients are.
            5e-5,
          )
        }
      }
    })
  })
}

/** The terms of a method as means over responses. */
function responses({ terms }: Method): Method['terms'] {
  return Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, { ...term, mean: 'responses' as const }]))
}

test('a teacher’s vocabulary may be padded further: losses and gradients are those of the tokens that both have', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    using other = randomModel(folderOf('qwen2_5_vl'), { seed: 4, deviation: 0.05 })
    const { model } = checkpoint
    const parameters = trainable(model, ['language'])
    scope(() => {
      const { head } = other.model.language
      const wider = ops.cat([head, ops.ones([8, head.dim(1)])])
      const padded = new Proxy(other.model, {
        get: (target, key) => (key === 'language' ? { ...target.language, head: wider } : Reflect.get(target, key, target)),
      })
      // A proxy's methods must run on the model itself, whose private fields it has not.
      const teacher = { model: bound(padded, other.model), run: plainRun, tower: {} }
      const student = { model, run: { ...plainRun, training: true }, tower: {} }
      const scorers: Scorers = { student, towerTrains: false, base: null, ema: null, teacher }
      const rows = rowsOf(vgs, 'qwen2_5_vl', model, [0, 2])
      compare(
        parameters,
        () => reportOf(vgs, scorers, rows, { tokensPerPass: 200 }, parameters.values()).loss,
        () => straightforward(vgs, { ...scorers, teacher: { ...teacher, model: other.model } }, rows),
      )
    })
  })
})

function bound(proxy: Model, model: Model): Model {
  return new Proxy(proxy, {
    get: (target, key) => {
      const value: unknown = key === 'language' ? target.language : Reflect.get(model, key, model)
      return typeof value === 'function' ? value.bind(model) : value
    },
  })
}

test('a view runs over the tokens that terms ask of it, and over what views of a sample share once', () => {
  using checkpoint = loadModel(folderOf('qwen2_5_vl'))
  const { model } = checkpoint
  trainable(model, [])
  using adapter = fillB(attachLora(model, { rank: 2, alpha: 4, seed: 1 }))
  const tower = {}
  const scorers: Scorers = {
    ...{ student: { model, run: { adapter, training: true, recompute: false }, tower }, towerTrains: false, ema: null },
    ...{ base: { model, run: plainRun, tower }, teacher: { model, run: plainRun, tower } },
  }
  const parameters = [...adapter.modules.values()].flatMap(({ a, b }) => [a, b])
  const counts = (method: Method, which: readonly number[], tokensPerPass = 5000): number[] => {
    const { computed } = reportOf(method, scorers, rowsOf(method, 'qwen2_5_vl', model, which), { tokensPerPass }, parameters)
    return [computed.frozen, computed.trained]
  }
  // Rollout 0 is valid, 12 tokens: description 0–2, reasoning and answer up to 9. Rollout 1 is invalid, 6 tokens. The image of their prompt has
  // 4 tokens: contexts share 20 + 1 + 4 + 1 = 26 tokens, then perception has 2 of its own, reasoning 7, reference 8, the student 5.
  const shared = 26
  // The token at 9 needs the 9 before it; the student's context is 31, of which 30 are shared by both rollouts (the last predicts token 0).
  assert.deepEqual(counts(vigos, [0]), [shared + (2 + 2) + (7 + 9), 31 + 9])
  assert.deepEqual(counts(vigos, [1]), [shared + 8 + 5, 31 + 5])
  assert.deepEqual(counts(vigos, [0, 1]), [shared + (2 + 2) + (7 + 9) + (8 + 5), 30 + (1 + 9) + (1 + 5)])
  // A pass of frozen views and one of the student for each rollout: nothing is shared between them, but what one rollout's views share still is.
  assert.deepEqual(counts(vigos, [0, 1], 75), [shared + (2 + 2) + (7 + 9) + (shared + 8 + 5), 31 + 9 + 31 + 5])
  // Two samples that do not fit together: the views of each stand side by side. Rollout 2 shows 12 image tokens, and is asked up to 0 and 6.
  assert.deepEqual(counts(vigos, [0, 2], 85), [shared + (2 + 2) + (7 + 9) + (shared + 8) + 2 + (7 + 6), 31 + 9 + (31 + 8) + 6])
  // Without a term that asks, there is no reference, or no perception.
  assert.deepEqual(counts(methods.get('vigos-description-only') ?? assert.fail(), [0, 1]), [shared + 2 + 2, 31 + 2])
  // The released reasoning teacher reads 5 to 9 of a rollout whose last supervised token, the closing brace, is 10.
  assert.deepEqual(counts(vigosReleased, [0]), [shared + (2 + 2) + (7 + 5), 31 + 10])
  // VGS: the teacher sighted and blind over all 12 tokens; the blind ones share their header with nobody who sees the image. The student's
  // context is 31, the blind student's 20 + 6, the teacher's 33, the blind teacher's 20 + 8.
  assert.deepEqual(counts(vgs, [0]), [33 + 11 + 28 + 11, 31 + 11 + 26 + 11])
  assert.deepEqual(counts(methods.get('opd') ?? assert.fail(), [0])[1], 31 + 11)
  zeroGradients(parameters)
})

test('a tower that trains encodes an image once for all views and rollouts of a pass', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen3_vl'))
    const { model } = checkpoint
    const parameters = trainable(model, ['vision'])
    const encode = model.encodeImages.bind(model)
    const trained: number[] = []
    model.encodeImages = (images, run) => {
      if (run.training) trained.push(images.length)
      return encode(images, run)
    }
    const student: Scorer = { model, run: { ...plainRun, training: true }, tower: {} }
    const base = { model, run: plainRun, tower: {} }
    const scorers: Scorers = { student, towerTrains: true, base, ema: null, teacher: base }
    const rows = rowsOf(vgs, 'qwen3_vl', model, [0, 1, 2])
    reportOf(vgs, scorers, rows, { tokensPerPass: 5000 }, parameters.values())
    assert.deepEqual(trained, [2])
    zeroGradients(parameters.values())
  })
})

test('twenty steps leave no tensor behind', () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  trainable(model, [])
  using adapter = fillB(attachLora(model, { rank: 2, alpha: 4, seed: 1 }))
  const tower = {}
  const student: Scorer = { model, run: { adapter, training: true, recompute: false }, tower }
  const base = { model, run: plainRun, tower }
  const parameters = [...adapter.modules.values()].flatMap(({ a, b }) => [a, b])
  for (const name of ['vigos', 'vgs', 'grpo-vgs', 'opsd-top-k']) {
    const method = methods.get(name) ?? assert.fail()
    const rows = rowsOf(method, 'qwen3_vl', model, [0, 1])
    const counts = new Set<number>()
    const evaluator = new Evaluator(method, { student, towerTrains: false, base, ema: base, teacher: base }, parameters, { tokensPerPass: 100 })
    for (let step = 0; step < 20; step++) {
      using store = new FeatureStore(1000)
      evaluator.accumulate(rows, store, step)
      if (step > 0) counts.add(native().memory().tensors)
    }
    assert.equal(counts.size, 1, name)
  }
  zeroGradients(parameters)
})
