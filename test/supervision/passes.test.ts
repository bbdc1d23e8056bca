// What a view reads to score some tokens, how passes are cut, and that an image is encoded once for each tower.

import assert from 'node:assert/strict'
import test from 'node:test'
import { vigos, vigosReleased } from '../../src/methods/vigos.ts'
import { plainRun, type Run } from '../../src/models/linear.ts'
import type { ImageFeatures, Model } from '../../src/models/model.ts'
import { loadModel } from '../../src/models/registry.ts'
import { trainable } from '../../src/models/teacher.ts'
import type { EncodedImage } from '../../src/processing/patches.ts'
import type { View } from '../../src/supervision/method.ts'
import { type Readable, readingOf, scoreFrozen } from '../../src/supervision/passes.ts'
import { atRest, batched, FeatureStore, frozenScorer, type Scorer, type Scorers } from '../../src/supervision/scorers.ts'
import { currentContext, dispose } from '../../src/torch/context.ts'
import { memory, resetPeakMemory } from '../../src/torch/memory.ts'
import { ops } from '../../src/torch/operators.ts'
import { folderOf } from '../models/goldens.ts'
import { close, withoutLeaks } from '../support.ts'

const image: EncodedImage = { pixels: new Float32Array(), grid: [1, 2, 2] }
const row: Readable = {
  ids: Int32Array.of(11, 12, 13, 14, 15, 16),
  division: {
    ...{ valid: true, fault: null, parts: ['description', 'reasoning'], texts: {} },
    segments: ['description', 'delimiters', 'reasoning', 'reasoning', 'delimiters', 'end'],
    places: { description: { from: 0, through: 2 }, reasoning: { from: 2, through: 5 } },
  },
  contexts: new Map(['perception', 'reasoning'].map((name) => [name, { ids: Int32Array.of(1, 2, 3), images: [image], text: '' }])),
}
const viewOf = (method: typeof vigos, name: string): View => method.views[name] ?? assert.fail()

test('a view reads its context and the rollout before the last token that is asked for', () => {
  const reading = (method: typeof vigos, name: string, ...positions: number[]): unknown => {
    const { ids, offset, images } = readingOf(name, viewOf(method, name), 7, row, Int32Array.from(positions))
    assert.deepEqual(images, [image])
    return [Array.from(ids), offset]
  }
  // The state of index offset + t predicts token t: that of the context's last token the first of the rollout.
  assert.deepEqual(reading(vigos, 'perception', 0), [[1, 2, 3], 2])
  assert.deepEqual(reading(vigos, 'perception', 0, 1), [[1, 2, 3, 11], 2])
  assert.deepEqual(reading(vigos, 'reasoning', 2, 5), [[1, 2, 3, 11, 12, 13, 14, 15], 2])
  // From the reasoning on: the context's last token predicts token 2.
  assert.deepEqual(reading(vigosReleased, 'reasoning', 2), [[1, 2, 3], 0])
  assert.deepEqual(reading(vigosReleased, 'reasoning', 2, 4), [[1, 2, 3, 13, 14], 0])
})

test('passes: in order, each within the budget, and what is larger alone', () => {
  const cut = (sizes: readonly number[], budget: number): number[][] => batched(sizes, (size) => size, budget)
  assert.deepEqual(cut([3, 3, 4, 10, 1, 9, 11, 1], 10), [[3, 3, 4], [10], [1, 9], [11], [1]])
  assert.deepEqual(cut([5, 6], 10), [[5], [6]])
  assert.deepEqual(cut([20, 20], 10), [[20], [20]])
  assert.deepEqual(cut([], 10), [])
  assert.deepEqual(cut([1, 1, 1], 100), [[1, 1, 1]])
})

test('an image is encoded once for each tower, without gradients, dropout or recomputation, several in a pass', () => {
  withoutLeaks(() => {
    const calls: { images: readonly EncodedImage[]; run: Run; mode: string }[] = []
    const encodeImages = (images: readonly EncodedImage[], run: Run): ImageFeatures[] => {
      calls.push({ images, run, mode: currentContext().mode })
      return images.map(({ grid }) => ({ grid, tokens: ops.ones([1, 2]), layers: [ops.ones([1, 2])] }))
    }
    const model = { encodeImages } as unknown as Model
    const scorer: Scorer = { model, run: { adapter: null, training: true, recompute: true }, tower: {} }
    const [a, b, c] = [2, 4, 6].map((width): EncodedImage => ({ pixels: new Float32Array(), grid: [1, 2, width] })) as [
      EncodedImage,
      EncodedImage,
      EncodedImage,
    ]
    using store = new FeatureStore(12)
    const first = store.of(scorer, [a, b, a, c])
    assert.equal(first[0], first[2])
    assert.deepEqual(
      first.map(({ grid }) => grid),
      [a.grid, b.grid, a.grid, c.grid],
    )
    assert.deepEqual(
      calls.map(({ images }) => images),
      [[a, b], [c]],
    )
    assert.ok(calls.every(({ run, mode }) => mode === 'noGrad' && !run.training && !run.recompute))
    assert.deepEqual(store.of({ ...scorer, run: plainRun }, [c, b]), [first[3], first[1]])
    assert.equal(calls.length, 2)
    assert.notEqual(store.of({ ...scorer, tower: {} }, [a])[0], first[0])
    assert.equal(calls.length, 3)
    assert.deepEqual(store.of(scorer, []), [])
  })
})

test('who scores: the student at rest for its own weights, else whoever has them', () => {
  const scorer = (name: string): Scorer => ({ model: { name } as unknown as Model, run: plainRun, tower: {} })
  const adapter = { modules: new Map(), dropout: 0.1 }
  const student: Scorer = { ...scorer('student'), run: { adapter, training: true, recompute: true } }
  const scorers: Scorers = { student, towerTrains: false, base: scorer('base'), ema: null, teacher: scorer('teacher') }
  assert.deepEqual(atRest(student), { ...student, run: { adapter, training: false, recompute: false } })
  assert.equal(atRest(student).tower, student.tower)
  assert.deepEqual(frozenScorer(scorers, 'student'), atRest(student))
  assert.deepEqual(
    [frozenScorer(scorers, 'base'), frozenScorer(scorers, 'ema'), frozenScorer(scorers, 'teacher')],
    [scorers.base, null, scorers.teacher],
  )
})

test('frozen states of many passes are held once, and are those of one pass', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const { model } = checkpoint
    trainable(model, [])
    const [rows, length] = [96, 100]
    const readings = Array.from({ length: rows }, (_, at) => ({
      ...{ view: at % 3 === 0 ? 'one' : 'two', row: at, images: [], offset: 4 },
      ids: Int32Array.from({ length: length + 4 }, (_, t) => (7 * at + t) % 400),
      positions: Int32Array.from({ length }, (_, t) => t),
    }))
    const scored = (tokensPerPass: number) => {
      using store = new FeatureStore(1000)
      const before = memory().cpuBytes
      resetPeakMemory()
      const { hidden } = scoreFrozen({ model, run: plainRun, tower: {} }, readings, store, { tokensPerPass, lengths: () => length, count: () => {} })
      return { hidden, kept: memory().cpuBytes - before, peak: memory().cpuPeakBytes - before }
    }
    const [parts, alone] = [scored(400), scored(1)]
    for (const { kept, peak } of [parts, alone]) assert.ok(peak < 1.5 * kept, `${peak} bytes at the peak, ${kept} kept`)
    for (const [view, states] of parts.hidden) {
      assert.deepEqual(states.shape, [(view === 'one' ? rows / 3 : (2 * rows) / 3) * length, model.config.language.width])
      close(states, alone.hidden.get(view) ?? assert.fail(), { absolute: 1e-5, relative: 1e-4 })
    }
    dispose([parts.hidden, alone.hidden])
  })
})
