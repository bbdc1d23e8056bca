// Generation: against transformers' greedy answers, against full passes, and against itself in other company.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type Adapter, plainRun } from '../../src/models/linear.ts'
import type { ImageInput, Model } from '../../src/models/model.ts'
import { loadModel } from '../../src/models/registry.ts'
import { Tokenizer } from '../../src/processing/tokenizer.ts'
import { type GenerateOptions, type GenerationEvent, generate, generateAll, type Request } from '../../src/rollout/generate.ts'
import type { DoneEvent } from '../../src/rollout/sample.ts'
import type { Sampling } from '../../src/rollout/sampling.ts'
import type { TextStream } from '../../src/rollout/stop.ts'
import { requireGrad } from '../../src/torch/autograd.ts'
import { inferenceMode, keep, scope } from '../../src/torch/context.ts'
import { native } from '../../src/torch/native.ts'
import { caseOf, type FamilyName, families, folderOf, imagesOf, referenceOf } from '../models/goldens.ts'
import { randomTensor } from '../support.ts'

/** Runs `body` with a loaded model and asserts that no tensor is left behind. */
async function withModel(family: FamilyName, body: (model: Model) => Promise<void>): Promise<void> {
  const before = native().memory().tensors
  {
    using checkpoint = loadModel(folderOf(family))
    await body(checkpoint.model)
  }
  assert.equal(native().memory().tensors, before, 'live tensors after the test')
}

const none = { ids: [], strings: [] }
const inputs = new Map<string, ImageInput[]>()

/** A request for a case of the reference; its images are the same objects in every request of the case. */
function request(model: Model, name: string, more: Partial<Request> = {}): Request {
  const { family } = model.config
  const one = caseOf(referenceOf(family as FamilyName), name)
  const key = `${family} ${name}`
  const images = inputs.get(key) ?? imagesOf(model, one)
  inputs.set(key, images)
  return { ids: Int32Array.from(one.ids), images, samples: 1, sampling: { temperature: 0 }, seed: 1, maxTokens: 8, stop: none, ...more }
}

/** Eight requests that differ in everything, three samples each. */
function mixed(model: Model): Request[] {
  const kinds: readonly (readonly [string, Partial<Sampling>])[] = [
    ['square', {}],
    ['twoImages', { temperature: 0.7, topK: 20, topP: 0.8 }],
    ['textOnly', { temperature: 0 }],
    ['square', { topP: 0.9, repetitionPenalty: 1.2 }],
    ['wide', { minP: 0.05, temperature: 1.3 }],
    ['tall', { temperature: 0.5, presencePenalty: 1 }],
    ['textOnly', { temperature: 1.8, topP: 0.99 }],
    ['twoImages', { frequencyPenalty: 0.4 }],
  ]
  return kinds.map(([name, sampling], i) => request(model, name, { sampling, samples: 3, seed: 100 + i, maxTokens: 6 + ((5 * i) % 11) }))
}

/** Text of ids that is easy to foresee: the letter of id mod 26. */
const letters = (): TextStream => ({ push: (id) => String.fromCharCode(97 + (id % 26)), end: () => '' })
const lettersOf = (ids: ArrayLike<number>): string => Array.from(ids, (id) => letters().push(id)).join('')

async function collect(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const all: GenerationEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

const only = (answers: readonly DoneEvent[][]): DoneEvent => answers[0]?.[0] ?? assert.fail('no answer')

for (const family of families) {
  test(`${family}: 64 greedy tokens equal transformers'`, () =>
    withModel(family, async (model) => {
      const names = Object.keys(referenceOf(family).greedy)
      assert.ok(names.length >= 2)
      const answers = await generateAll(
        model,
        names.map((name) => request(model, name, { maxTokens: 64 })),
      )
      for (const [i, name] of names.entries()) {
        assert.deepEqual([...(answers[i]?.[0]?.ids ?? [])], referenceOf(family).greedy[name]?.tokens, name)
        assert.equal(answers[i]?.[0]?.reason, 'length')
      }
    }))

  test(`${family}: log-probabilities equal a full pass's, whatever was sampled from`, () =>
    withModel(family, async (model) => {
      const requests = mixed(model)
      const answers = await generateAll(model, requests)
      inferenceMode(() =>
        scope(() => {
          for (const [i, { ids, images }] of requests.entries()) {
            const features = model.encodeImages(images as ImageInput[], plainRun)
            for (const answer of answers[i] as DoneEvent[]) {
              assert.equal(answer.ids.length, requests[i]?.maxTokens)
              const hidden = model.hidden([{ ids: [...ids, ...answer.ids], images: features }], plainRun)
              const all = model.logits(hidden).logSoftmax(-1)
              for (const [t, id] of answer.ids.entries()) {
                const expected = all
                  .select(0, ids.length + t - 1)
                  .select(0, id)
                  .item()
                assert.ok(Math.abs(expected - (answer.logprobs[t] as number)) < 1e-5, `request ${i}, sample ${answer.sample}, token ${t}`)
              }
            }
          }
        }),
      )
    }))

  test(`${family}: what runs beside a request changes no bit of it`, () =>
    withModel(family, async (model) => {
      const requests = mixed(model)
      const together = await generateAll(model, requests)
      const alone: DoneEvent[][] = []
      for (const [i, one] of requests.entries()) {
        alone.push(((await generateAll(model, [one]))[0] as DoneEvent[]).map((answer) => ({ ...answer, request: i })))
      }
      assert.deepEqual(alone, together)
      // One after another; more samples than rows, so that slots are used again; and a scattered order.
      for (const maxRows of [1, 5]) assert.deepEqual(await generateAll(model, requests, { maxRows }), together)
      const backwards = await generateAll(model, requests.toReversed())
      for (const [i, answers] of backwards.entries()) {
        for (const [s, { ids, logprobs }] of answers.entries()) {
          assert.deepEqual(ids, together.at(-1 - i)?.[s]?.ids)
          assert.deepEqual(logprobs, together.at(-1 - i)?.[s]?.logprobs)
        }
      }
      const different = new Set((together[0] as DoneEvent[]).map(({ ids }) => ids.join()))
      assert.equal(different.size, 3, 'samples of a request differ')
    }))
}

test('events: tokens as they come, in order, adding up to the answer', () =>
  withModel('qwen3_vl', async (model) => {
    const requests = [request(model, 'square', { samples: 2, sampling: {} }), request(model, 'textOnly', { maxTokens: 3 })]
    const events = await collect(generate(model, requests, { text: letters }))
    for (const done of events.filter((event) => event.kind === 'done')) {
      const tokens = events.filter((event) => event.kind === 'token' && event.request === done.request && event.sample === done.sample)
      const own = tokens.filter((event) => event.kind === 'token')
      assert.deepEqual(
        Int32Array.from(own, ({ id }) => id),
        done.ids,
      )
      assert.deepEqual(
        Float32Array.from(own, ({ logprob }) => logprob),
        done.logprobs,
      )
      assert.deepEqual(
        Float32Array.from(own, ({ sampledLogprob }) => sampledLogprob),
        done.sampledLogprobs,
      )
      assert.equal(own.map(({ text }) => text).join(''), done.text)
      assert.equal(done.text, lettersOf(done.ids))
      assert.equal(events.indexOf(done) - 1, events.indexOf(own.at(-1) as GenerationEvent), 'the end follows the last token')
    }
    assert.equal(events.filter(({ kind }) => kind === 'done').length, 3)
    // Sampled from the model's own distribution, but for the tokens of images and videos: what was drawn is a little likelier.
    const free = events.filter((event) => event.kind === 'token' && event.request === 0)
    for (const event of free) {
      if (event.kind === 'token') assert.ok(event.sampledLogprob >= event.logprob - 2e-6 && event.sampledLogprob < event.logprob + 0.2)
    }
  }))

test('stop ids and stop strings end an answer where they should, in the tokenizer’s text too', () =>
  withModel('qwen3_vl', async (model) => {
    const base = request(model, 'square', { maxTokens: 64 })
    const whole = only(await generateAll(model, [base], { text: letters }))
    const stopId = whole.ids[20] as number
    const first = whole.ids.indexOf(stopId)
    const byId = only(await generateAll(model, [{ ...base, stop: { ids: [511, stopId], strings: [] } }], { text: letters }))
    assert.deepEqual(
      { reason: byId.reason, ids: byId.ids, text: byId.text },
      { reason: 'stop-id', ids: whole.ids.slice(0, first + 1), text: lettersOf(whole.ids.slice(0, first)) },
    )

    const stop = whole.text.slice(30, 34)
    const at = whole.text.indexOf(stop)
    const stopping = { ...base, stop: { ids: [], strings: ['ZZZ', stop] } }
    const byString = only(await generateAll(model, [stopping], { text: letters }))
    assert.deepEqual(
      { reason: byString.reason, ids: byString.ids, text: byString.text },
      { reason: 'stop-string', ids: whole.ids.slice(0, at + 4), text: whole.text.slice(0, at) },
    )
    const shown = (await collect(generate(model, [stopping], { text: letters }))).map((event) => (event.kind === 'token' ? event.text : ''))
    assert.equal(shown.join(''), byString.text, 'nothing of the stop string was ever shown')

    const tokenizer = await Tokenizer.open(folderOf('qwen3_vl'))
    const decoded = tokenizer.decode(whole.ids)
    const text = (): TextStream => tokenizer.textStream()
    assert.equal(only(await generateAll(model, [base], { text })).text, decoded)
    const piece = decoded.slice(40, 46)
    const real = only(await generateAll(model, [{ ...base, stop: { ids: [], strings: [piece] } }], { text }))
    assert.equal(real.text, decoded.slice(0, decoded.indexOf(piece)))
    assert.deepEqual(real.ids, whole.ids.slice(0, real.ids.length))
    assert.ok(tokenizer.decode(real.ids).includes(piece) && !tokenizer.decode(real.ids.slice(0, -1)).includes(piece))
  }))

test('slots grow past their first capacity, and a long answer equals its beginning', () =>
  withModel('qwen2_5_vl', async (model) => {
    const long = request(model, 'square', { maxTokens: 150, sampling: { temperature: 0.8 }, samples: 2 })
    const answers = await generateAll(model, [long, request(model, 'textOnly', { maxTokens: 3 })])
    const short = await generateAll(model, [{ ...long, maxTokens: 20 }])
    for (const sample of [0, 1]) assert.deepEqual(answers[0]?.[sample]?.ids.slice(0, 20), short[0]?.[sample]?.ids)
    const { ids, logprobs } = answers[0]?.[1] ?? assert.fail()
    inferenceMode(() =>
      scope(() => {
        const images = model.encodeImages(long.images as ImageInput[], plainRun)
        const logits = model.logits(model.hidden([{ ids: [...long.ids, ...ids], images }], plainRun))
        const expected = logits
          .logSoftmax(-1)
          .select(0, long.ids.length + 148)
          .select(0, ids[149] as number)
          .item()
        assert.ok(Math.abs(expected - (logprobs[149] as number)) < 1e-5)
      }),
    )
  }))

test('a signal ends every sample with what it has, held-back text included', () =>
  withModel('qwen3_vl', async (model) => {
    const plain = request(model, 'square', { samples: 2, maxTokens: 30 })
    const whole = only(await generateAll(model, [plain], { text: letters }))
    // The fifth letter could begin this stop string, so it is not shown before the sixth.
    const stop = { ids: [], strings: [`${whole.text[4]}#`] }
    const requests = [{ ...plain, stop }, request(model, 'wide', { samples: 2, maxTokens: 30 })]
    const controller = new AbortController()
    const dones: DoneEvent[] = []
    let [tokens, shown] = [0, '']
    for await (const event of generate(model, requests, { maxRows: 3, signal: controller.signal, text: letters })) {
      if (event.kind === 'done') dones.push(event)
      else {
        if (event.request === 0 && event.sample === 0) shown += event.text
        if (++tokens === 14) controller.abort()
      }
    }
    // The step under way is finished: 3 first tokens, then 4 rounds of 3.
    const expected = [
      [0, 0, 'cancelled', 5],
      [0, 1, 'cancelled', 5],
      [1, 0, 'cancelled', 5],
      [1, 1, 'cancelled', 0],
    ]
    assert.deepEqual(
      dones.map(({ request, sample, reason, ids }) => [request, sample, reason, ids.length]),
      expected,
    )
    assert.deepEqual(dones[0]?.ids, whole.ids.slice(0, 5))
    assert.equal(shown, whole.text.slice(0, 4))
    assert.equal(dones[0]?.text, whole.text.slice(0, 5))
    const before = await generateAll(model, requests, { signal: AbortSignal.abort(), text: letters })
    assert.deepEqual(
      before.flat().map(({ ids, reason }) => [ids.length, reason]),
      new Array(4).fill([0, 'cancelled']),
    )
  }))

test('nothing is left when the loop is left, when text throws, or when logits overflow', () =>
  withModel('qwen3_vl', async (model) => {
    const requests = [request(model, 'square', { samples: 3, maxTokens: 40 }), request(model, 'twoImages')]
    const before = native().memory().tensors
    for await (const event of generate(model, requests, { maxRows: 1 })) {
      if (event.kind !== 'done' || event.request !== 0) continue
      const held = native().memory().tensors - before
      const { layers } = model.config.language
      // Keys and values of the slots; until the prompt's last sample also the prompt's, and its logits.
      assert.equal(held, 2 * layers + (event.sample < 2 ? 2 * layers + 1 : 0), `after sample ${event.sample}`)
    }
    let seen = 0
    for await (const event of generate(model, requests)) if (event.kind === 'token' && ++seen === 10) break
    assert.equal(native().memory().tensors, before, 'after break')
    const failing = (): TextStream => ({ ...letters(), push: () => assert.fail('no text today') })
    await assert.rejects(generateAll(model, requests, { text: failing }), /no text today/)
    assert.equal(native().memory().tensors, before, 'after an error of the caller')
    const broken = model.rebuild((name) =>
      name.endsWith('language_model.norm.weight') ? (model.parameters.get(name)?.mul(Infinity) as never) : (model.parameters.get(name) as never),
    )
    await assert.rejects(generateAll(broken, requests), /the model's logits are not finite/)
    broken.language.norm.dispose()
    assert.equal(native().memory().tensors, before, 'after an error of the model')
    // A surrounding scope owns nothing of it, and sees nothing freed too early.
    const answers = await scope(async () => await generateAll(model, requests))
    assert.equal(answers.flat().length, 4)
  }))

test('images: one encoding for all who show the object; features of the caller stay alive', () =>
  withModel('qwen2_5_vl', async (model) => {
    const one = request(model, 'twoImages', { samples: 2 })
    const [plain] = await generateAll(model, [one])
    let encodings = 0
    const counting = model.rebuild((name) => model.parameters.get(name) as never)
    counting.encodeImages = (...given) => {
      encodings++
      return model.encodeImages(...given)
    }
    const shared = await generateAll(counting, [one, { ...one, seed: 2 }])
    assert.equal(encodings, 2, 'two images, whatever the requests and samples')
    assert.deepEqual(shared[0], plain)
    const features = inferenceMode(() =>
      one.images.map((image) => keep(model.encodeImages([image as ImageInput], plainRun)[0])),
    ) as never as Request['images']
    const own = await generateAll(model, [{ ...one, images: features }])
    assert.deepEqual(own[0], plain)
    for (const image of features) if ('tokens' in image) image.tokens.dispose()
  }))

test('an adapter is applied, and weights that are trained do not hinder', () =>
  withModel('qwen3_vl', async (model) => {
    const names = [...model.linears.keys()].filter((name) => name.startsWith('model.language_model'))
    const modules = new Map(
      names.map((name, i) => {
        const [out, width] = (model.linears.get(name) ?? assert.fail(name)).weight.shape as [number, number]
        const make = (shape: readonly number[], seed: number) =>
          keep(scope(() => requireGrad(randomTensor(shape, seed, -0.3, 0.3).toDtype('float32').detach())))
        return [name, { a: make([3, width], 2 * i), b: make([out, 3], 2 * i + 1), scale: 0.7 }]
      }),
    )
    const adapter: Adapter = { modules, dropout: 0.5 }
    const requests = [request(model, 'square', { sampling: {}, samples: 2 }), request(model, 'textOnly')]
    const answers = await generateAll(model, requests, { adapter })
    for (const [i, each] of requests.entries())
      assert.deepEqual(
        (await generateAll(model, [each], { adapter }))[0]?.map(({ ids, logprobs }) => [ids, logprobs]),
        answers[i]?.map(({ ids, logprobs }) => [ids, logprobs]),
      )
    inferenceMode(() =>
      scope(() => {
        const { ids, images } = requests[0] as Request
        const answer = only(answers)
        const run = { ...plainRun, adapter }
        const all = model
          .logits(model.hidden([{ ids: [...ids, ...answer.ids], images: model.encodeImages(images as ImageInput[], run) }], run))
          .logSoftmax(-1)
        for (const [t, id] of answer.ids.entries())
          assert.ok(
            Math.abs(
              all
                .select(0, ids.length + t - 1)
                .select(0, id)
                .item() - (answer.logprobs[t] as number),
            ) < 1e-5,
          )
      }),
    )
    for (const { a, b } of modules.values()) for (const each of [a, b]) each.dispose()
  }))

test('requests out of range are refused at once, by index', () =>
  withModel('qwen3_vl', async (model) => {
    const good = request(model, 'square')
    const { maxPositions } = model.config.language
    const refuses = (more: Partial<Request>, message: RegExp, options: GenerateOptions = {}): void => {
      assert.throws(() => generate(model, [good, { ...good, ...more }], options), { name: 'ArgumentError', message })
    }
    refuses({ samples: 0 }, /request 1: samples is 0; it must be an integer from 1 up/)
    refuses({ maxTokens: 1.5 }, /request 1: maxTokens is 1.5/)
    refuses({ maxTokens: maxPositions }, new RegExp(`31 tokens of prompt and ${maxPositions} to generate; this model has ${maxPositions} positions`))
    refuses({ seed: -1 }, /seed is -1/)
    refuses({ ids: new Int32Array(0), images: [] }, /the prompt has no tokens/)
    refuses({ ids: Int32Array.of(512), images: [] }, /token 512; this model knows 0 to 511/)
    refuses({ stop: { ids: [-1], strings: [] } }, /token -1/)
    refuses({ stop: { ids: [], strings: [''] } }, /an empty stop string/)
    refuses({ stop: { ids: [], strings: ['x'] } }, /stop strings need the text of tokens/)
    refuses({ sampling: { topP: 2 } }, /request 1: sampling: topP is 2/)
    refuses({ images: [] }, /request 1: prompt: image tokens at 6 belong to image 1, but 0 images were given/)
    refuses({}, /maxRows is 0/, { maxRows: 0 })
    assert.deepEqual(await generateAll(model, []), [])
  }))
