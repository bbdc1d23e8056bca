// Generation where its parts meet: what is freed when it fails or is left, the event loop, text at the last token, adapters of the tower.

import assert from 'node:assert/strict'
import test from 'node:test'
import { plainRun } from '../../src/models/linear.ts'
import { attachLora } from '../../src/models/lora.ts'
import type { ImageInput, Model } from '../../src/models/model.ts'
import { loadModel } from '../../src/models/registry.ts'
import { generate, generateAll, type Request } from '../../src/rollout/generate.ts'
import { Sample } from '../../src/rollout/sample.ts'
import { samplingOf } from '../../src/rollout/sampling.ts'
import { StopText, type TextStream } from '../../src/rollout/stop.ts'
import { inferenceMode, noGrad, scope } from '../../src/torch/context.ts'
import { memory } from '../../src/torch/memory.ts'
import { native } from '../../src/torch/native.ts'
import { ops } from '../../src/torch/operators.ts'
import { caseOf, type FamilyName, families, folderOf, imagesOf, referenceOf } from '../models/goldens.ts'
import { fillB } from '../models/passes.ts'

function request(model: Model, name: string, more: Partial<Request> = {}): Request {
  const one = caseOf(referenceOf(model.config.family as FamilyName), name)
  const images = imagesOf(model, one)
  const stop = { ids: [], strings: [] }
  return { ids: Int32Array.from(one.ids), images, samples: 1, sampling: { temperature: 0 }, seed: 1, maxTokens: 8, stop, ...more }
}

test('features that a later request needs are freed when the loop is left', async () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  const one = request(model, 'square')
  const before = native().memory().tensors
  for await (const event of generate(model, [one, { ...one, seed: 2 }], { maxRows: 1 })) if (event.kind === 'token') break
  assert.equal(native().memory().tensors, before)
})

test('a prompt that fails while it is read leaves nothing behind', async () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  const one = request(model, 'square')
  // A weight of the second layer is gone: the pass fails after the first has filled its cache.
  const gone = scope(() => ops.empty([1]))
  const broken = model.rebuild((name) => (name.endsWith('layers.1.self_attn.o_proj.weight') ? gone : (model.parameters.get(name) ?? assert.fail())))
  gone.dispose()
  const before = native().memory().tensors
  await assert.rejects(generateAll(broken, [one]), { name: 'UseAfterFreeError' })
  assert.equal(native().memory().tensors, before)
})

for (const family of families) {
  test(`${family}: an adapter of the vision tower changes what generation sees`, async () => {
    using checkpoint = loadModel(folderOf(family))
    const { model } = checkpoint
    using adapter = fillB(
      attachLora(model, { rank: 3, alpha: 6, seed: 1, targets: String.raw`model\.visual\.blocks\.\d+\.attn\.(qkv|proj)`, vision: true }),
    )
    const one = request(model, 'square')
    const [answer] = (await generateAll(model, [one], { adapter }))[0] ?? assert.fail()
    const { ids, logprobs } = answer ?? assert.fail()
    inferenceMode(() =>
      scope(() => {
        const run = { ...plainRun, adapter }
        const images = model.encodeImages(one.images as ImageInput[], run)
        const all = model.logits(model.hidden([{ ids: [...one.ids, ...ids], images }], run)).logSoftmax(-1)
        for (const [t, id] of ids.entries()) {
          const expected = all
            .select(0, one.ids.length + t - 1)
            .select(0, id)
            .item()
          assert.ok(Math.abs(expected - (logprobs[t] as number)) < 1e-5, `token ${t}: ${logprobs[t]}, expected ${expected}`)
        }
      }),
    )
  })
}

test('the cache is as large as the samples need, not as the rows that were allowed', async () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  const one = request(model, 'textOnly', { samples: 2, maxTokens: 32 })
  const { layers, groups, headWidth, vocabulary } = model.config.language
  const needed = 4 * (2 * layers * groups * headWidth * (one.ids.length + 2 * 32) + vocabulary)
  const before = memory().cpuBytes
  let held = 0
  for await (const event of generate(model, [one])) if (event.kind === 'token') held = Math.max(held, memory().cpuBytes - before)
  assert.ok(held >= needed && held < 1.2 * needed, `${held} bytes, needed are ${needed}`)
})

test('the event loop runs between steps: a timer can stop a long answer', async () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  const long = request(model, 'textOnly', { maxTokens: 200 })
  const controller = new AbortController()
  setImmediate(() => setImmediate(() => setImmediate(() => controller.abort())))
  const [answer] = (await generateAll(model, [long], { signal: controller.signal }))[0] ?? assert.fail()
  assert.equal(answer?.reason, 'cancelled')
  assert.ok((answer?.ids.length ?? 0) < 10)
})

test('prompt and answer may fill the positions of the model, and not exceed them', () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  const one = request(model, 'textOnly')
  const room = model.config.language.maxPositions - one.ids.length
  // Nothing is computed before the first event is asked for.
  assert.doesNotThrow(() => generate(model, [{ ...one, maxTokens: room }]))
  assert.throws(() => generate(model, [{ ...one, maxTokens: room + 1 }]), /this model has \d+ positions/)
})

const plan = { request: 0, sampling: samplingOf({}), seed: 7, maxTokens: 3, stopIds: new Set<number>(), promptIds: new Set<number>() }
const draw = (id: number): { id: number; logprob: number; sampledLogprob: number } => ({ id, logprob: -1, sampledLogprob: -2 })

test('at the last token allowed, text that was held back is let go', () => {
  const letters: TextStream = { push: (id) => 'xSTOP'[id] as string, end: () => '\ufffd' }
  const sample = new Sample(plan, 0, new StopText(letters, ['STOP']))
  assert.deepEqual(
    [0, 1, 2].map((id) => sample.take(draw(id)).text),
    ['x', '', 'ST\ufffd'],
  )
  assert.deepEqual([sample.done().text, sample.done().reason], ['xST\ufffd', 'length'])
})

test('a sample counts how often each token came, for the frequency penalty', () => {
  const sample = new Sample({ ...plan, maxTokens: 9 }, 0, null)
  for (const id of [5, 8, 5, 5]) sample.take(draw(id))
  assert.deepEqual(
    [...sample.nextDraw.output],
    [
      [5, 3],
      [8, 1],
    ],
  )
})

test('of several stop strings in one piece of text the one that begins first counts', () => {
  const one = new StopText({ push: () => 'Yes. User: ##', end: () => '' }, ['##', ' User:'])
  assert.deepEqual(one.push(0), { text: 'Yes.', stopped: true })
})

test('the tokens of images and videos are never drawn, however likely they are', async () => {
  using checkpoint = loadModel(folderOf('qwen2_5_vl'))
  const { model } = checkpoint
  const { image, video } = model.config.tokens
  // Their rows of the head become copies of the most likely token's, doubled.
  const one = request(model, 'textOnly', { maxTokens: 6 })
  const [[first] = []] = await generateAll(model, [one])
  const likely = first?.ids[0] ?? assert.fail()
  scope(() => {
    const { head } = model.language
    for (const id of [image, video]) noGrad(() => head.narrow(0, id, 1).copy_(head.narrow(0, likely, 1).mul(2)))
  })
  for (const temperature of [0, 1]) {
    const [[answer] = []] = await generateAll(model, [{ ...one, sampling: { temperature } }])
    for (const id of answer?.ids ?? assert.fail()) assert.ok(id !== image && id !== video)
  }
})

test('images that do not fit are refused at once, with their request', () => {
  using checkpoint = loadModel(folderOf('qwen3_vl'))
  const { model } = checkpoint
  const good = request(model, 'square')
  const [image] = good.images as ImageInput[]
  const short = { pixels: (image ?? assert.fail()).pixels.subarray(1), grid: image?.grid ?? assert.fail() }
  assert.throws(() => generate(model, [good, { ...good, images: [short] }]), { message: /request 1: image 1: \d+ values for/ })
  scope(() => {
    const [features] = inferenceMode(() => model.encodeImages(good.images as ImageInput[], plainRun))
    const without = { ...(features ?? assert.fail()), layers: [] }
    assert.throws(() => generate(model, [{ ...good, images: [without] }]), { message: /request 0: image 1: 1 features of .*; this model makes 3 of/ })
  })
})
