// Nano folders of both families hold together: configuration, weights, tokenizer and images fit each other and survive being written.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import sharp from 'sharp'
import { exportModel } from '../../src/models/export.ts'
import { plainRun } from '../../src/models/linear.ts'
import type { Model } from '../../src/models/model.ts'
import { describeModel, loadModel, randomModel } from '../../src/models/registry.ts'
import { nanoFamilies, nanoSizes, sceneSide, writeNanoFolder } from '../../src/nano/architecture.ts'
import { nanoTokenizer } from '../../src/nano/tokenizer.ts'
import { type Encoded, openProcessor } from '../../src/processing/processor.ts'
import { noGrad, scope } from '../../src/torch/context.ts'

const folder = mkdtempSync(join(tmpdir(), 'sightline-nano-'))
after(() => rmSync(folder, { recursive: true }))

const tokenizer = nanoTokenizer([
  'What colour is the banana? Describe, think, answer. <description> </description> <think> </think> \\boxed{ yellow }',
])
const picture = await sharp({ create: { width: 112, height: 112, channels: 3, background: '#c08020' } })
  .composite([{ input: { create: { width: 40, height: 30, channels: 3, background: '#2050a0' } }, left: 12, top: 61 }])
  .png()
  .toBuffer()

const logitsOf = (model: Model, { ids, images }: Encoded): Float32Array =>
  noGrad(() => scope(() => model.logits(model.hidden([{ ids, images: model.encodeImages(images, plainRun) }], plainRun)).dataAs('float32')))

/** By hand from the published architectures: what a model of these sizes consists of. */
function parametersOf(family: (typeof nanoFamilies)[number], size: keyof typeof nanoSizes, vocabulary: number): number {
  const { width, layers, visionWidth: v, visionLayers } = nanoSizes[size]
  const [inner, vInner, merged] = [2.5 * width, 2.5 * v, 4 * v]
  const text = vocabulary * width + width
  if (family === 'qwen2_5_vl') {
    const layer = 4 * width * width + 3 * width + 3 * width * inner + 2 * width
    const block = 3 * v * v + 3 * v + v * v + v + 3 * v * vInner + 2 * vInner + v + 2 * v
    return text + layers * layer + visionLayers * block + 3 * 2 * 14 * 14 * v + v + merged * merged + merged + merged * width + width
  }
  // Norms of queries and keys of 32, no biases; the tower has a table of 16 positions, and one merger more for DeepStack.
  const layer = 4 * width * width + 2 * 32 + 3 * width * inner + 2 * width
  const block = 3 * v * v + 3 * v + v * v + v + 2 * v * vInner + vInner + v + 4 * v
  const merger = (norm: number): number => 2 * norm + merged * merged + merged + merged * width + width
  return text + layers * layer + visionLayers * block + 3 * 2 * 16 * 16 * v + v + 16 * v + merger(v) + merger(merged)
}

for (const family of nanoFamilies) {
  for (const size of ['student', 'teacher'] as const) {
    test(`${family}, ${size}: the folder is a model that survives being written`, async () => {
      const [shape, written] = [join(folder, `${family}-${size}.shape`), join(folder, `${family}-${size}`)]
      writeNanoFolder(shape, family, nanoSizes[size], tokenizer)
      const { shapes, family: known } = describeModel(shape)
      assert.equal(known.name, family)
      const count = [...shapes.values()].reduce((sum, axes) => sum + axes.reduce((product, axis) => product * axis, 1), 0)
      assert.equal(count, parametersOf(family, size, tokenizer.size))
      // Small enough to keep beside the code: 8 MB in float32 for the student.
      if (size === 'student') assert.ok(4 * count < 8e6, `${4 * count} bytes`)

      using made = randomModel(shape, { seed: 3, deviation: 0.04 })
      exportModel(written, made)
      using loaded = loadModel(written)
      const processor = await openProcessor(written, {})
      const encoded = await processor.encode({
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image', image: picture },
              { type: 'text', text: 'What colour is the banana?' },
            ],
          },
        ],
        prefill: '<description>',
      })
      assert.equal(
        encoded.text,
        '<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What colour is the banana?<|im_end|>\n<|im_start|>assistant\n<description>',
      )
      // Four vision tokens, one for each quarter of a scene.
      assert.equal(encoded.ids.filter((id) => id === tokenizer.ids.image).length, 4)
      assert.deepEqual([...(encoded.images[0]?.grid ?? [])], [1, 4, 4])
      assert.equal(sceneSide(family), family === 'qwen2_5_vl' ? 56 : 64)
      assert.deepEqual(processor.stopIds, [tokenizer.ids.turnEnd, tokenizer.ids.pad])
      const [before, after] = [logitsOf(made.model, encoded), logitsOf(loaded.model, encoded)]
      assert.deepEqual(after, before)
      assert.equal(after.length, encoded.ids.length * tokenizer.size)
      assert.ok(after.every(Number.isFinite) && new Set(after).size > after.length / 2)
    })
  }
}
