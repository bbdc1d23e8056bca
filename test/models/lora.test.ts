// Adapters: which modules PEFT's rules select, first values, dropout, gradients, and that the base is never touched.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { plainRun, project, type Run } from '../../src/models/linear.ts'
import { attachLora, defaultTargets, type LoraAdapter, type LoraOptions } from '../../src/models/lora.ts'
import { loadModel } from '../../src/models/registry.ts'
import { patternOf, type Selection, selector } from '../../src/models/targets.ts'
import { gradient, requireGrad, zeroGradients } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { memory } from '../../src/torch/memory.ts'
import { ops } from '../../src/torch/operators.ts'
import { AdamW } from '../../src/torch/optimizer.ts'
import { seed } from '../../src/torch/random.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { checkGradient, randomTensor, relativeError, withoutLeaks } from '../support.ts'
import { families, folderOf } from './goldens.ts'
import { bitsOf, fillB, logitsOf, lossOf } from './passes.ts'

const options: LoraOptions = { rank: 4, alpha: 8, seed: 1 }
const runOf = (adapter: LoraAdapter, others: Partial<Run> = {}): Run => ({ ...plainRun, adapter, ...others })

test('selection follows peft: ends and whole names, full matches, exclusion, layers', () => {
  const names = ['model.language_model.layers.0.mlp.up_proj', 'model.language_model.layers.11.mlp.up_proj', 'model.visual.blocks.1.mlp.up_proj']
  const picked = (selection: Partial<Selection>): boolean[] =>
    names.map(selector({ targets: ['up_proj'], exclude: [], layers: null, layersPattern: [], ...selection }))
  assert.deepEqual(picked({}), [true, true, true])
  assert.deepEqual(picked({ targets: ['proj', 'p.up_proj'] }), [false, false, false])
  assert.deepEqual(picked({ targets: ['mlp.up_proj'] }), [true, true, true])
  assert.deepEqual(picked({ targets: [names[0] as string] }), [true, false, false])
  assert.deepEqual(picked({ targets: 'up_proj' }), [false, false, false])
  assert.deepEqual(picked({ targets: String.raw`.*layers\.\d\.mlp\.up_proj|.*blocks.*` }), [true, false, true])
  assert.deepEqual(picked({ exclude: ['1.mlp.up_proj'] }), [true, true, false])
  assert.deepEqual(picked({ exclude: '.*visual.*' }), [true, true, false])
  assert.deepEqual(picked({ layers: [0, 1] }), [true, false, true])
  assert.deepEqual(picked({ layers: [1, 11], layersPattern: ['layers'] }), [false, true, false])
  assert.deepEqual(picked({ targets: ['up_proj', names[0] as string], layers: [11] }), [true, true, false])
  assert.throws(() => picked({ targets: String.raw`.*up_proj\Z` }), ArgumentError)
})

test('patterns match ends of names, the first one wins', () => {
  const name = 'model.language_model.layers.11.mlp.up_proj'
  assert.equal(
    patternOf({ proj: 1, 'layers.1.mlp.up_proj': 2, [String.raw`layers\.\d+\.mlp\.\w+`]: 3, up_proj: 4 }, name),
    String.raw`layers\.\d+\.mlp\.\w+`,
  )
  assert.equal(patternOf({ '^model.*layers.11.*': 1 }, name), '^model.*layers.11.*')
  assert.equal(patternOf({ up: 1, mlp: 2 }, name), undefined)
})

for (const family of families) {
  test(`${family}: default targets are the language model's projections; vision must be asked for`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const { layers } = model.config.language
      const names = Array.from({ length: layers }, (_, i) =>
        defaultTargets.map((target) => `model.language_model.layers.${i}.${target.length > 6 ? 'mlp' : 'self_attn'}.${target}`),
      ).flat()
      using plain = attachLora(model, options)
      assert.deepEqual([...plain.modules.keys()].sort(), names.sort())
      using wide = attachLora(model, { ...options, vision: true })
      const seen = [...wide.modules.keys()].filter((name) => name.startsWith('model.visual.'))
      assert.equal(seen.length, family === 'qwen2_5_vl' ? 3 * model.config.vision.depth : 0)
      using all = attachLora(model, { ...options, targets: 'all-linear', exclude: ['o_proj'], vision: true })
      assert.deepEqual(
        [...all.modules.keys()],
        [...model.linears.keys()].filter((name) => !name.endsWith('o_proj')),
      )
      using few = attachLora(model, { ...options, exclude: String.raw`.*\.mlp\..*`, targets: String.raw`.*layers\.1\..*_proj` })
      assert.deepEqual(
        [...few.modules.keys()].sort(),
        ['k', 'o', 'q', 'v'].map((x) => `model.language_model.layers.1.self_attn.${x}_proj`),
      )
    })
  })

  test(`${family}: ranks, scales and first values`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const patterns = { rankPattern: { down_proj: 2, [String.raw`layers\.1\.self_attn\.q_proj`]: 9 }, alphaPattern: { v_proj: 3 } }
      using adapter = attachLora(model, { ...options, ...patterns, rsLora: true })
      for (const [name, { a, b, scale }] of adapter.modules) {
        const rank = name.endsWith('down_proj') ? 2 : name.endsWith('layers.1.self_attn.q_proj') ? 9 : 4
        const { weight } = model.linears.get(name) as { weight: typeof a }
        assert.deepEqual([a.shape, b.shape, a.dtype, b.dtype], [[rank, weight.dim(1)], [weight.dim(0), rank], 'float32', 'float32'])
        assert.equal(scale, (name.endsWith('v_proj') ? 3 : 8) / Math.sqrt(rank))
        assert.ok(b.abs().amax().item() === 0 && a.requiresGrad && b.requiresGrad)
        const values = a.toArray()
        const bound = 1 / Math.sqrt(a.dim(1))
        assert.ok(values.every((value) => Math.abs(value) <= bound))
        // Uniform: a variance of bound² / 3. Six deviations of that estimate are allowed: its own is bound² · √(4 / 45 n).
        const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length
        assert.ok(Math.abs(variance - bound ** 2 / 3) < 6 * bound ** 2 * Math.sqrt(4 / 45 / values.length), name)
      }
      using again = attachLora(model, { ...options, ...patterns, rsLora: true })
      assert.equal(bitsOf(again.parameters), bitsOf(adapter.parameters))
      using other = attachLora(model, { ...options, ...patterns, rsLora: true, seed: 2 })
      assert.notEqual(bitsOf(other.parameters), bitsOf(adapter.parameters))
    })
  })

  test(`${family}: with B = 0 logits are bit-equal to the base's; training leaves the base bit-equal`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      using adapter = attachLora(model, { ...options, dropout: 0.1, vision: true })
      const before = logitsOf(family, model)
      const weights = bitsOf(model.parameters)
      assert.ok(before.equal(logitsOf(family, model, runOf(adapter))))
      using optimizer = new AdamW(adapter.parameters, { rate: 1e-2 })
      const losses = Array.from({ length: 5 }, () => {
        const loss = lossOf(family, model, runOf(adapter, { training: true }), [24, 25, 26, 27, 28])
        backward(loss)
        optimizer.step()
        zeroGradients(adapter.parameters.values())
        return loss.item()
      })
      assert.ok((losses.at(-1) as number) < (losses[0] as number) - 0.1, `the adapter learns: ${losses}`)
      assert.equal(bitsOf(model.parameters), weights)
      assert.ok(before.equal(logitsOf(family, model)))
      assert.ok(!before.equal(logitsOf(family, model, runOf(adapter))))
    })
  })

  test(`${family}: a recomputed pass draws the same dropout`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using adapter = fillB(attachLora(checkpoint.model, { ...options, dropout: 0.3 }))
      const gradients = [false, true].map((recompute) => {
        seed(11)
        backward(lossOf(family, checkpoint.model, runOf(adapter, { training: true, recompute }), [24, 25, 26]))
        const found = Array.from(adapter.parameters.values(), (parameter) => gradient(parameter) as Tensor)
        zeroGradients(adapter.parameters.values())
        return found
      })
      const [plain, recomputed] = gradients as [Tensor[], Tensor[]]
      for (const [i, each] of plain.entries()) assert.ok(relativeError(recomputed[i] as Tensor, each) < 1e-5)
    })
  })
}

test('gradients of project() equal finite differences', () => {
  checkGradient(
    (x, weight, bias, a, b) =>
      project({ name: 'm', weight, bias }, x, runOf({ modules: new Map([['m', { a, b, scale: 1.7 }]]), dropout: 0.5 } as never)),
    [randomTensor([5, 4], 1), randomTensor([6, 4], 2), randomTensor([6], 3), randomTensor([2, 4], 4), randomTensor([6, 2], 5)],
  )
})

test('dropout keeps the mean, drops the stated share, follows the seed, and is off outside training', () => {
  withoutLeaks(() => {
    const [n, width, dropout] = [20_000, 4, 0.25]
    const adapter = { modules: new Map([['m', { a: ops.eye(width), b: ops.eye(width), scale: 2 }]]), dropout }
    const layer = { name: 'm', weight: ops.zeros([width, width]), bias: null }
    const x = ops.ones([n, width])
    const out = (training: boolean): number[] => noGrad(() => project(layer, x, { adapter, training, recompute: false }).toArray())
    assert.ok(out(false).every((value) => value === 2))
    seed(3)
    const first = out(true)
    // Each value is 0 or scale / (1 − p), so that its mean is the scale.
    assert.ok(first.every((value) => value === 0 || Math.abs(value - 2 / (1 - dropout)) < 1e-6))
    const dropped = first.filter((value) => value === 0).length / first.length
    assert.ok(Math.abs(dropped - dropout) < 6 * Math.sqrt((dropout * (1 - dropout)) / first.length), `dropped ${dropped}`)
    seed(3)
    assert.deepEqual(out(true), first)
    assert.notDeepEqual(out(true), first)
  })
})

test('what dropout keeps for the gradient: a mask of a byte and what it lets through', () => {
  withoutLeaks(() => {
    const [n, width, rank] = [512, 64, 2]
    const x = requireGrad(ops.randn([n, width]))
    const [a, b] = [requireGrad(ops.randn([rank, width])), requireGrad(ops.randn([width, rank]))]
    const layer = { name: 'm', weight: ops.randn([width, width]), bias: null }
    const keptBy = (dropout: number): number =>
      scope(() => {
        const before = memory().cpuBytes
        project(layer, x, { adapter: { modules: new Map([['m', { a, b, scale: 2 }]]), dropout }, training: true, recompute: false })
        return memory().cpuBytes - before
      })
    assert.ok(keptBy(0.5) - keptBy(0) <= 5 * n * width, `${keptBy(0.5) - keptBy(0)} bytes for ${n * width} numbers`)
    const tensors = [1, 2, 3, 4].map((each) => randomTensor([4, 4], each)) as [Tensor, Tensor, Tensor, Tensor]
    checkGradient((input, weight, down, up) => {
      seed(5)
      return project({ name: 'm', weight, bias: null }, input, {
        adapter: { modules: new Map([['m', { a: down, b: up, scale: 1.7 }]]), dropout: 0.5 },
        ...{ training: true, recompute: false },
      })
    }, tensors)
  })
})

test('an adapter stays float32 over a bfloat16 base, unless asked otherwise', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'), { dtype: 'bfloat16' })
    using wide = attachLora(checkpoint.model, options)
    using half = attachLora(checkpoint.model, { ...options, dtype: 'bfloat16' })
    assert.deepEqual(new Set(Array.from(wide.parameters.values(), (each) => each.dtype)), new Set(['float32']))
    assert.deepEqual(new Set(Array.from(half.parameters.values(), (each) => each.dtype)), new Set(['bfloat16']))
    const before = logitsOf('qwen2_5_vl', checkpoint.model)
    assert.ok(before.equal(logitsOf('qwen2_5_vl', checkpoint.model, runOf(wide))))
  })
})

test('errors name what selects nothing or cannot be a target, and leave nothing behind', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const cases: [Partial<LoraOptions>, RegExp][] = [
      [{ targets: ['query'] }, /select no layer; the layers' names end in qkv, proj, gate_proj.*vision: true/],
      [{ targets: ['qkv'] }, /select no layer/],
      [{ targets: ['q_proj', 'query'] }, /the target query selects no layer/],
      [{ targets: ['q_proj', 'lm_head'] }, /select lm_head; only linear layers/],
      [{ targets: ['embed_tokens'] }, /select model\.language_model\.embed_tokens; only linear layers/],
      [{ targets: ['proj'], vision: true }, /select model\.visual\.patch_embed\.proj; only linear layers/],
      [{ targets: '(' }, /not a regular expression/],
      [{ rankPattern: { query: 3 } }, /the pattern query matches none of the 21 modules/],
      [{ alphaPattern: { qkv: 3 } }, /the pattern qkv matches none/],
      [{ rank: 0 }, /rank 0; expected an integer above 0/],
      [{ rankPattern: { q_proj: 1.5 } }, /rank 1\.5/],
      [{ alpha: -1 }, /alpha -1; expected a number above 0/],
      [{ dropout: 1 }, /dropout 1; expected a probability below 1/],
    ]
    for (const [wrong, message] of cases) {
      assert.throws(
        () => attachLora(checkpoint.model, { ...options, ...wrong }),
        (error: Error) => error instanceof ArgumentError && message.test(error.message),
        JSON.stringify(wrong),
      )
    }
  })
})
