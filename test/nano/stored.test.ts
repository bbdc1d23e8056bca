// The bases that are stored: the same logits as transformers computes from the same picture and words (tools/goldens/bases.py).

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { plainRun } from '../../src/models/linear.ts'
import { loadModel } from '../../src/models/registry.ts'
import { nanoFamilies } from '../../src/nano/architecture.ts'
import { readRecord } from '../../src/nano/base.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import { goldensFolder } from '../models/goldens.ts'

const bases = fileURLToPath(new URL('../../bases', import.meta.url))
const goldens = join(goldensFolder, 'bases')
const read = (name: string): unknown => JSON.parse(readFileSync(join(goldens, name), 'utf8'))
const cases = read('cases.json') as { readonly [family: string]: { readonly image: string; readonly user: string; readonly answer: string } }

for (const family of nanoFamilies) {
  const folder = join(bases, family)

  test(`${family}: the stored base keeps the rules of its recipe, and is small enough to be stored`, () => {
    const { accepted, verdicts, ...record } = readRecord(folder)
    assert.deepEqual([record.family, record.recipe, record.size, accepted], [family, 'tempted', 'student', true])
    assert.ok(verdicts.length >= 5 && verdicts.every(({ value, least, most }) => value !== null && value >= least && value <= most))
    const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
    assert.ok(bytes <= 8e6, `${bytes} bytes`)
  })

  test(`${family}: transformers computes the same of the stored base, from a picture and words to logits`, async () => {
    const { image, user, answer } = cases[family] as (typeof cases)[string]
    using checkpoint = loadModel(folder)
    const { model } = checkpoint
    const processor = await openProcessor(folder, {})
    const content = [
      { type: 'image' as const, image: join(goldens, image) },
      { type: 'text' as const, text: user },
    ]
    const { ids, images } = await processor.encode({ messages: [{ role: 'user', content }], prefill: answer })
    assert.deepEqual([...ids], (read(`${family}.json`) as { readonly ids: number[] }).ids)
    using tensors = openSafetensors(join(goldens, `${family}.safetensors`))
    const furthest = scope(() => {
      const logits = noGrad(() => model.logits(model.hidden([{ ids, images: model.encodeImages(images, plainRun) }], plainRun)))
      const expected = tensors.tensor('logits')
      assert.deepEqual(logits.shape, expected.shape)
      return logits.sub(expected).abs().amax().item()
    })
    assert.ok(furthest < 1e-4, `logits differ by ${furthest}`)
  })
}
