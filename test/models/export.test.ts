// Merged exports: the numbers of every weight, the files beside them, and what is refused.

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { exportModel, withDtype } from '../../src/models/export.ts'
import { plainRun } from '../../src/models/linear.ts'
import { attachLora } from '../../src/models/lora.ts'
import { loadModel, randomModel } from '../../src/models/registry.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { withoutLeaks } from '../support.ts'
import { newFolder } from '../torch/safetensors-files.ts'
import { families, folderOf, goldensFolder } from './goldens.ts'
import { bitsOf, fillB, largestDifference, logitsOf } from './passes.ts'

const options = { rank: 3, alpha: 5, seed: 1, rankPattern: { q_proj: 2 } }

/** weight + scale · b · a in float64, rounded to float32. */
function mergedByHand(weight: Tensor, a: Tensor, b: Tensor, scale: number): Float32Array {
  const [w, x, y] = [weight.toArray(), a.toArray(), b.toArray()]
  const [rank, into] = [a.dim(0), a.dim(1)]
  return Float32Array.from(w, (value, i) => {
    const [row, column] = [Math.floor(i / into), i % into]
    let sum = 0
    for (let r = 0; r < rank; r++) sum += (y[row * rank + r] as number) * (x[r * into + column] as number)
    return value + scale * sum
  })
}

for (const family of families) {
  test(`${family}: an export without adapter has the source's tensors bit for bit, and its other files`, () => {
    withoutLeaks(() => {
      const folder = join(newFolder(), 'out')
      using checkpoint = loadModel(folderOf(family))
      exportModel(folder, checkpoint)
      using source = openSafetensors(folderOf(family))
      using written = openSafetensors(folder)
      const all = (file: typeof source): Map<string, Tensor> => new Map(file.names.toSorted().map((name) => [name, file.tensor(name)]))
      assert.equal(bitsOf(all(written)), bitsOf(all(source)))
      const others = readdirSync(folderOf(family)).filter((name) => !name.includes('safetensors'))
      assert.deepEqual(readdirSync(folder).sort(), [...others, 'model.safetensors'].sort())
      for (const name of others.filter((each) => each !== 'config.json')) {
        assert.deepEqual(readFileSync(join(folder, name)), readFileSync(join(folderOf(family), name)), name)
      }
      assert.deepEqual(
        JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')),
        JSON.parse(readFileSync(join(folderOf(family), 'config.json'), 'utf8')),
      )
    })
  })

  for (const dtype of ['stored', 'bfloat16'] as const) {
    test(`${family}: every merged weight, sharded, ${dtype}`, () => {
      withoutLeaks(() => {
        const folder = join(newFolder(), 'deep', 'out')
        using checkpoint = loadModel(folderOf(family))
        const { model, storedNames } = checkpoint
        using adapter = fillB(attachLora(model, { ...options, vision: true }))
        const before = bitsOf(model.parameters)
        exportModel(folder, checkpoint, { adapter, dtype, maxShardBytes: 100_000 })
        assert.equal(bitsOf(model.parameters), before)
        assert.ok(existsSync(join(folder, 'model.safetensors.index.json')))
        using written = openSafetensors(folder)
        assert.equal(written.names.length, model.parameters.size)
        for (const [name, weight] of model.parameters) {
          const output = written.tensor(storedNames.get(name) as string)
          assert.equal(output.dtype, dtype === 'stored' ? 'float32' : 'bfloat16')
          const update = adapter.modules.get(name.replace(/\.weight$/, ''))
          if (update === undefined) {
            assert.ok(output.equal(weight.toDtype(output.dtype)), name)
            continue
          }
          const exact = mergedByHand(weight, update.a, update.b, update.scale)
          // One rounding of float32 sums of three products, or to bfloat16's 8 bits.
          const allowed = dtype === 'stored' ? 1e-6 : 2 ** -8
          output.toArray().forEach((value, i) => {
            assert.ok(
              Math.abs(value - (exact[i] as number)) <= allowed * Math.max(Math.abs(exact[i] as number), 1e-3) + (dtype === 'stored' ? 1e-6 : 0),
              `${name}[${i}]`,
            )
          })
        }
      })
    })
  }

  test(`${family}: a merged export computes the adapter's logits`, () => {
    withoutLeaks(() => {
      const folder = join(newFolder(), 'out')
      using checkpoint = loadModel(folderOf(family))
      using adapter = fillB(attachLora(checkpoint.model, options))
      exportModel(folder, checkpoint, { adapter })
      using read = loadModel(folder)
      const wanted = logitsOf(family, checkpoint.model, { ...plainRun, adapter })
      assert.ok(largestDifference(logitsOf(family, read.model), wanted) < 2e-5)
      assert.ok(largestDifference(logitsOf(family, checkpoint.model), wanted) > 0.1)
    })
  })

  test(`${family}: a bfloat16 export says so in config.json, and a second one is equal`, () => {
    withoutLeaks(() => {
      const root = newFolder()
      using checkpoint = loadModel(folderOf(family))
      exportModel(join(root, 'a'), checkpoint, { dtype: 'bfloat16' })
      const config = JSON.parse(readFileSync(join(root, 'a', 'config.json'), 'utf8'))
      assert.equal((config.text_config ?? config).torch_dtype ?? config.text_config.dtype, 'bfloat16')
      // Loaded as float32, written as stored.
      using again = loadModel(join(root, 'a'))
      exportModel(join(root, 'b'), again)
      for (const name of readdirSync(join(root, 'a')))
        assert.deepEqual(readFileSync(join(root, 'b', name)), readFileSync(join(root, 'a', name)), name)
    })
  })
}

test('random models export, from a folder with a configuration alone', () => {
  withoutLeaks(() => {
    const [source, folder] = [newFolder(), join(newFolder(), 'out')]
    copyFileSync(`${goldensFolder}/qwen2_5_vl_nested/config.json`, join(source, 'config.json'))
    using made = randomModel(source, { seed: 4, deviation: 0.1 })
    exportModel(folder, made, { dtype: 'bfloat16', maxShardBytes: 50_000 })
    using read = loadModel(folder, { dtype: 'float32' })
    for (const [name, weight] of made.model.parameters) {
      assert.ok(
        weight
          .toDtype('bfloat16')
          .toDtype('float32')
          .equal(read.model.parameters.get(name) as Tensor),
        name,
      )
    }
  })
})

test('the element type in config.json is replaced wherever it stands, and nothing else', () => {
  assert.equal(
    withDtype('{"dtype": "float32", "a": 1.0, "text_config": {"torch_dtype":null}, "note": "dtype"}', 'bfloat16'),
    '{"dtype": "bfloat16", "a": 1.0, "text_config": {"torch_dtype":"bfloat16"}, "note": "dtype"}',
  )
  assert.deepEqual(JSON.parse(withDtype('{\n  "a": 1\n}', 'bfloat16')), { torch_dtype: 'bfloat16', a: 1 })
})

test('weights of other formats and adapters stay behind', () => {
  withoutLeaks(() => {
    const [source, folder] = [newFolder(), join(newFolder(), 'out')]
    copyFileSync(`${goldensFolder}/qwen2_5_vl_nested/config.json`, join(source, 'config.json'))
    for (const name of ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'adapter_config.json', 'x.gguf', '.hidden', 'vocab.json']) {
      writeFileSync(join(source, name), '{}')
    }
    mkdirSync(join(source, 'onnx'))
    using made = randomModel(source, { seed: 4, deviation: 0.1 })
    exportModel(folder, made)
    assert.deepEqual(readdirSync(folder).sort(), ['config.json', 'model.safetensors', 'vocab.json'])
  })
})

test('the source, folders that hold something and adapters of other models are refused, and nothing is left behind', () => {
  withoutLeaks(() => {
    const root = newFolder()
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    using other = loadModel(folderOf('qwen3_vl'))
    using adapter = attachLora(other.model, options)
    assert.throws(() => exportModel(folderOf('qwen2_5_vl'), checkpoint), /the model's own folder/)
    writeFileSync(join(root, 'file'), '')
    assert.throws(() => exportModel(root, checkpoint), /not an empty folder/)
    assert.throws(() => exportModel(join(root, 'file'), checkpoint), /not an empty folder/)
    assert.throws(() => exportModel(join(root, 'out'), checkpoint, { adapter }), ArgumentError)
    assert.throws(() => exportModel(join(root, 'out'), { ...checkpoint, folder: join(root, 'nowhere') }))
    assert.deepEqual(readdirSync(root), ['file'])
    mkdirSync(join(root, 'out'))
    exportModel(join(root, 'out'), checkpoint)
    assert.deepEqual(readdirSync(root).sort(), ['file', 'out'])
  })
})
