// Parts that train, frozen copies that share memory, and the exact numbers of moving averages.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { exportModel } from '../../src/models/export.ts'
import { plainRun } from '../../src/models/linear.ts'
import { attachLora } from '../../src/models/lora.ts'
import { loadModel } from '../../src/models/registry.ts'
import { emaAdapter, emaTeacher, frozenCopy, modelParts, partOf, trainable } from '../../src/models/teacher.ts'
import { gradient } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { native } from '../../src/torch/native.ts'
import { AdamW } from '../../src/torch/optimizer.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, withoutLeaks } from '../support.ts'
import { newFolder } from '../torch/safetensors-files.ts'
import { families, folderOf } from './goldens.ts'
import { bitsOf, fileHash, fillB, logitsOf, lossOf } from './passes.ts'

const fill = (tensor: Tensor, value: number): void => noGrad(() => scope(() => void tensor.fill_(value)))

for (const family of families) {
  test(`${family}: the parts are disjoint and complete, and only the chosen ones get gradients`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const counts = modelParts.map((part) => trainable(model, [part]).size)
      assert.ok(counts.every((count) => count > 0))
      assert.equal(
        counts.reduce((a, b) => a + b),
        model.parameters.size,
      )
      assert.equal(trainable(model, ['merger']).has(`model.visual.deepstack_merger_list.0.norm.weight`), family === 'qwen3_vl')
      const chosen = trainable(model, ['merger', 'language'])
      assert.equal(chosen.size, (counts[1] as number) + (counts[2] as number))
      backward(lossOf(family, model, { ...plainRun, training: true }, [24, 25]))
      for (const [name, parameter] of model.parameters) assert.equal(gradient(parameter) !== null, partOf(name) !== 'vision', name)
      assert.equal(trainable(model, []).size, 0)
      assert.throws(() => trainable(model, ['head' as never]), /head; there are vision, merger, language/)
    })
  })

  test(`${family}: a frozen copy shares what is frozen and keeps the rest as it was`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const parameters = trainable(model, ['language'])
      const [before, tensors] = [logitsOf(family, model), native().memory().tensors]
      using copy = frozenCopy(model, parameters.keys())
      assert.equal(native().memory().tensors - tensors, parameters.size)
      for (const [name, parameter] of copy.model.parameters) {
        assert.equal(parameter === model.parameters.get(name), partOf(name) !== 'language', name)
        assert.equal(parameter.requiresGrad, false)
      }
      using optimizer = new AdamW(parameters, { rate: 1e-2 })
      backward(lossOf(family, model, { ...plainRun, training: true }, [24, 25]))
      optimizer.step()
      assert.ok(before.equal(logitsOf(family, copy.model)))
      assert.ok(!before.equal(logitsOf(family, model)))
      assert.throws(() => frozenCopy(model, ['x']), /no parameter x/)
      assert.throws(() => frozenCopy(model, [...parameters.keys()].slice(1)), /trains, but is not among the names/)
    })
  })
}

test('training weights that are views of a bfloat16 file leaves the file as it is', () => {
  withoutLeaks(() => {
    const folder = join(newFolder(), 'half')
    {
      using checkpoint = loadModel(folderOf('qwen3_vl'))
      exportModel(folder, checkpoint, { dtype: 'bfloat16' })
    }
    const path = join(folder, 'model.safetensors')
    const before = fileHash(path)
    using checkpoint = loadModel(folder, { dtype: 'stored' })
    const parameters = trainable(checkpoint.model, ['language'])
    const weights = bitsOf(parameters)
    assert.ok([...parameters.values()].some((each) => each.dtype === 'bfloat16'))
    using optimizer = new AdamW(parameters, { rate: 1e-2 })
    backward(lossOf('qwen3_vl', checkpoint.model, { ...plainRun, training: true }, [24, 25]))
    optimizer.step()
    assert.notEqual(bitsOf(parameters), weights)
    assert.equal(fileHash(path), before)
    using again = loadModel(folder, { dtype: 'stored' })
    assert.equal(bitsOf(new Map([...again.model.parameters].filter(([name]) => parameters.has(name)))), weights)
  })
})

test('a moving average has the numbers of its formula, and its teacher computes with them', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen3_vl'))
    const { model } = checkpoint
    const parameters = trainable(model, ['merger'])
    const name = 'model.visual.merger.linear_fc1.bias'
    const source = parameters.get(name) as Tensor
    fill(source, 1)
    using teacher = emaTeacher(model, parameters.keys(), 0.75)
    const own = teacher.model.parameters.get(name) as Tensor
    const values = [3, -1, 8].map((value) => {
      fill(source, value)
      teacher.update()
      return own.toArray()[0] as number
    })
    // 0.75 · 1 + 0.25 · 3; 0.75 · 1.5 − 0.25; 0.75 · 0.875 + 0.25 · 8: exact in binary.
    assert.deepEqual(values, [1.5, 0.875, 2.65625])
    assert.equal(own.requiresGrad, false)
    assert.equal(teacher.averages.get(name), own)

    const saved = new Map(Array.from(teacher.averages, ([key, value]) => [key, value.clone()]))
    fill(source, 100)
    teacher.update()
    teacher.load(saved)
    assert.deepEqual(own.toArray(), saved.get(name)?.toArray())
    assert.throws(() => teacher.load(new Map([...saved].slice(1))), ArgumentError)
    assert.throws(() => emaTeacher(model, parameters.keys(), 1.5), /decay 1\.5/)
  })
})

test('an average of bfloat16 weights moves although each step is below their resolution', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen3_vl'), { dtype: 'bfloat16' })
    const { model } = checkpoint
    const parameters = trainable(model, ['merger'])
    const name = 'model.visual.merger.linear_fc1.weight'
    const source = parameters.get(name) as Tensor
    assert.equal(source.dtype, 'bfloat16')
    fill(source, 1)
    using teacher = emaTeacher(model, parameters.keys(), 0.999)
    fill(source, 2)
    const steps = 1000
    for (let step = 0; step < steps; step++) teacher.update()
    const exact = 2 - 0.999 ** steps
    close([teacher.averages.get(name)?.toArray()[0] as number], [exact], { relative: 1e-5 })
    const shown = teacher.model.parameters.get(name) as Tensor
    assert.equal(shown.dtype, 'bfloat16')
    close([shown.toArray()[0] as number], [exact], { relative: 2 ** -8 })
    assert.ok(teacher.model.parameters.get('model.language_model.norm.weight') === model.parameters.get('model.language_model.norm.weight'))
  })
})

test('an average of an adapter is an adapter that does not train', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const { model } = checkpoint
    using adapter = fillB(attachLora(model, { rank: 2, alpha: 4, seed: 1 }))
    const before = logitsOf('qwen2_5_vl', model, { ...plainRun, adapter })
    using average = emaAdapter(adapter, 0.5)
    assert.ok(before.equal(logitsOf('qwen2_5_vl', model, { ...plainRun, adapter: average.adapter })))
    const first = new Map(Array.from(adapter.parameters, ([name, value]) => [name, value.toArray()]))
    for (const value of adapter.parameters.values()) fill(value, 0.25)
    average.update()
    for (const [name, value] of average.adapter.parameters) {
      const wanted = (first.get(name) ?? []).map((old) => 0.5 * old + 0.125)
      close(value, wanted, { absolute: 1e-7, relative: 1e-6 }, name)
      assert.equal(value.requiresGrad, false)
    }
    assert.deepEqual(average.adapter.settings, adapter.settings)
    const name = 'model.language_model.layers.0.self_attn.q_proj'
    assert.equal(average.adapter.modules.get(name)?.b, average.adapter.parameters.get(`base_model.model.${name}.lora_B.weight`))
  })
})
