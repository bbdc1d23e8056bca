// Decoding with caches against the same sequences in one pass.

import assert from 'node:assert/strict'
import test from 'node:test'
import { PromptCache, Slots } from '../../src/models/cache.ts'
import { plainRun } from '../../src/models/linear.ts'
import { loadModel } from '../../src/models/registry.ts'
import { inferenceMode, scope } from '../../src/torch/context.ts'
import { native } from '../../src/torch/native.ts'
import { ops } from '../../src/torch/operators.ts'
import { random, withoutLeaks } from '../support.ts'
import { caseOf, families, folderOf, imagesOf, referenceOf } from './goldens.ts'

const steps = 11

for (const family of families) {
  test(`${family}: cached logits equal those of one pass at every step, while slots grow and are used again`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const next = random(5)
      // Two samples of one prompt and one each of two others, in slots that do not follow the rows' order.
      const rows = [
        { name: 'twoImages', slot: 2 },
        { name: 'square', slot: 0 },
        { name: 'twoImages', slot: 3 },
        { name: 'textOnly', slot: 1 },
      ].map((row) => ({ ...row, ids: Array.from({ length: steps }, () => 300 + Math.floor(100 * next())) }))
      inferenceMode(() => {
        const prompts = new Map(
          [...new Set(rows.map(({ name }) => name))].map((name) => {
            const one = caseOf(referenceOf(family), name)
            const images = model.encodeImages(imagesOf(model, one), plainRun)
            const cache = new PromptCache()
            const own = model.logits(model.hidden([{ ids: one.ids, images }], plainRun, cache.attend))
            const plain = model.logits(model.hidden([{ ids: one.ids, images }], plainRun))
            assert.deepEqual(own.data(), plain.data(), 'filling a cache changes no bit')
            return [name, { ids: one.ids, images, cache, next: model.positions({ ids: one.ids, images }).next }] as const
          }),
        )
        const of = (name: string) => prompts.get(name) ?? assert.fail(name)
        using slots = new Slots(model.config.language, { count: 4, capacity: 2, dtype: model.dtype, device: model.device })
        for (const pass of [1, 2]) {
          // Pass 2 begins again in the slots that pass 1 has filled.
          for (let step = 0; step < steps; step++) {
            scope(() => {
              const decoding = rows.map(({ name, slot }) => ({ prompt: of(name).cache, slot, length: step }))
              const places = rows.map(({ name }) => of(name).next + step)
              const tokens = { ids: rows.map(({ ids }) => ids[step] as number), positions: Int32Array.from([...places, ...places, ...places]) }
              const logits = model.logits(model.run(tokens, [], plainRun, slots.attend(decoding)))
              for (const [r, { name, ids }] of rows.entries()) {
                const { ids: prompt, images } = of(name)
                const whole = model.hidden([{ ids: [...prompt, ...ids.slice(0, step + 1)], images }], plainRun)
                const expected = model.logits(whole.narrow(0, whole.dim(0) - 1, 1))
                const worst = logits.narrow(0, r, 1).sub(expected).abs().amax().item()
                assert.ok(worst < 1e-5, `pass ${pass}, step ${step}, row ${r} (${name}): ${worst}`)
              }
            })
          }
          assert.equal(slots.capacity, 16, 'doubled from 2 until 11 tokens fit')
        }
        const before = native().memory().tensors
        for (const { cache } of prompts.values()) cache[Symbol.dispose]()
        assert.equal(before - native().memory().tensors, prompts.size * 2 * model.config.language.layers)
      })
    })
  })
}

test('slots and prompt caches refuse what does not fit', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen3_vl'))
    const { model } = checkpoint
    const config = model.config.language
    const made = { count: 2, capacity: 4, dtype: 'float32', device: 'cpu' } as const
    assert.throws(() => new Slots(config, { ...made, capacity: 0 }), /2 slots of 0 tokens/)
    using slots = new Slots(config, made)
    using cache = new PromptCache()
    assert.throws(() => slots.attend([{ prompt: cache, slot: 2, length: 0 }]), /slot 2; there are 2/)
    inferenceMode(() =>
      scope(() => {
        const x = ops.zeros([3, config.heads, config.headWidth])
        const key = ops.zeros([3, config.groups, config.headWidth])
        const tables = { cos: ops.ones([3, config.headWidth]), sin: ops.zeros([3, config.headWidth]) }
        cache.attend(0, x, key, key, tables)
        assert.throws(() => cache.attend(0, x, key, key, tables), /layer 0 after 1 layers; a cache holds one pass/)
      }),
    )
  })
})
