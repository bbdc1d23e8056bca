// What `inspect` says of a checkpoint: counts against the weights, memory against what a step really takes.

import assert from 'node:assert/strict'
import test from 'node:test'
import { inspectModel } from '../../src/models/inspect.ts'
import { attachLora } from '../../src/models/lora.ts'
import { loadModel } from '../../src/models/registry.ts'
import { partOf, trainable } from '../../src/models/teacher.ts'
import { requireGrad, zeroGradients } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { scope } from '../../src/torch/context.ts'
import { memory, resetPeakMemory } from '../../src/torch/memory.ts'
import { families, folderOf } from './goldens.ts'

for (const family of families) {
  test(`${family}: parts add up to the weights of the file`, () => {
    using checkpoint = loadModel(folderOf(family))
    const found = inspectModel(folderOf(family), 64)
    for (const part of ['vision', 'merger', 'language'] as const) {
      const weights = [...checkpoint.model.parameters].filter(([name]) => partOf(name) === part).reduce((sum, [, { size }]) => sum + size, 0)
      assert.ok(weights > 0)
      assert.deepEqual(found[part], { weights, bytes: 4 * weights })
    }
  })

  for (const recompute of [false, true]) {
    test(`${family}: a step's highest use is as estimated, within a quarter, blocks ${recompute ? 'recomputed' : 'kept'}`, () => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      for (const parameter of model.parameters.values()) requireGrad(parameter)
      const tokens = 2048
      const perToken = scope(() => {
        const before = memory().cpuBytes
        resetPeakMemory()
        const ids = Array.from({ length: tokens }, (_, i) => i % 400)
        backward(model.hidden([{ ids, images: [] }], { adapter: null, training: false, recompute }).sum())
        return (memory().cpuPeakBytes - before) / tokens
      })
      const estimate = inspectModel(folderOf(family), 64).memory[2]?.activationsPerToken[recompute ? 'recomputed' : 'kept'] ?? 0
      assert.ok(perToken < 1.1 * estimate && perToken > 0.75 * estimate, `measured ${perToken}, estimated ${estimate} bytes a token`)
    })

    test(`${family}: so it is with an adapter and dropout`, () => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const rank = 8
      using adapter = attachLora(model, { rank, alpha: rank, seed: 1, dropout: 0.05 })
      trainable(model, [])
      const tokens = 2048
      const perToken = scope(() => {
        const before = memory().cpuBytes
        resetPeakMemory()
        const ids = Array.from({ length: tokens }, (_, i) => i % 400)
        backward(model.hidden([{ ids, images: [] }], { adapter, training: true, recompute }).sum())
        return (memory().cpuPeakBytes - before) / tokens
      })
      zeroGradients(adapter.parameters.values())
      const estimate = inspectModel(folderOf(family), rank).memory[1]?.activationsPerToken[recompute ? 'recomputed' : 'kept'] ?? 0
      assert.ok(perToken < 1.1 * estimate && perToken > 0.75 * estimate, `measured ${perToken}, estimated ${estimate} bytes a token`)
    })
  }
}
