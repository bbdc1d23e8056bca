// A model of this process: an answer is a function of its question and seed, whatever is asked beside it, and the one that generation gives.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { priorWorldBenchmark } from '../../src/benchmarks/drawn.ts'
import { openBenchmark } from '../../src/benchmarks/open.ts'
import { type LocalOptions, localResponder } from '../../src/evaluation/local.ts'
import { seedOf } from '../../src/evaluation/plan.ts'
import type { Answer, Request } from '../../src/evaluation/responder.ts'
import { loadModel } from '../../src/models/registry.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import { generateAll } from '../../src/rollout/generate.ts'
import { writeSafetensors } from '../../src/torch/safetensors-write.ts'
import { writeRandomNano } from '../nano/tiny.ts'
import { temporaryFolder } from './support.ts'

const decoding = { temperature: 1, topP: 0.95, topK: 40, maxTokens: 12 }
const never = new AbortController().signal

function nano(context: TestContext, name = 'base', seed = 1): string {
  return writeRandomNano(join(temporaryFolder(context), name), seed)
}

async function requestsOf(count: number, samples: readonly number[]): Promise<Request[]> {
  const opened = await openBenchmark(priorWorldBenchmark, { source: null, limit: null, seed: 5, count })
  const requests: Request[] = []
  for await (const { id, problem, images } of opened.questions()) {
    const wanted = samples.map((index) => ({ index, seed: seedOf(0, 'prior-world', id, index) }))
    requests.push({ key: id, system: null, user: problem, images, prefill: '<description>', samples: wanted })
  }
  return requests
}

async function answersOf(folder: string, requests: readonly Request[], options: Partial<LocalOptions> = {}): Promise<Answer[]> {
  const bare = { adapter: null, weights: null, maxPixels: null, dtype: null, device: 'cpu', threads: 1 } as const
  await using responder = await localResponder({ folder, ...bare, decoding, ...options })
  const answers: Answer[] = []
  await responder.answer(requests, never, (answer) => void answers.push(answer))
  return answers.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index))
}

test('answers are the same bit for bit, alone, together, in parts and in another order', async (context) => {
  const folder = nano(context)
  const requests = await requestsOf(6, [0, 1, 2])
  const together = await answersOf(folder, requests)
  assert.equal(together.length, 18)
  assert.ok(new Set(together.map(({ text }) => text)).size > 12, 'samples differ')
  assert.deepEqual(await answersOf(folder, requests, { batchRows: 1 }), together)
  assert.deepEqual(await answersOf(folder, requests.toReversed(), { batchRows: 5 }), together)
  // What was there before is not asked again: other samples of some questions are left.
  const rest = requests.slice(2).map((request, i) => ({ ...request, samples: request.samples.slice(i % 3) }))
  const keys = new Set(rest.flatMap(({ key, samples }) => samples.map(({ index }) => `${key} ${index}`)))
  assert.deepEqual(
    await answersOf(folder, rest),
    together.filter(({ key, index }) => keys.has(`${key} ${index}`)),
  )
})

test('answers are those of generation with the same prompt and seed', async (context) => {
  const folder = nano(context)
  const [request] = (await requestsOf(1, [0, 1])) as [Request]
  const answers = await answersOf(folder, [request])
  using checkpoint = loadModel(folder)
  const processor = await openProcessor(folder)
  const content = [
    { type: 'image' as const, image: request.images[0] as Uint8Array },
    { type: 'text' as const, text: request.user },
  ]
  const { ids, images } = await processor.encode({ messages: [{ role: 'user', content }], prefill: request.prefill })
  for (const [i, { seed, index }] of request.samples.entries()) {
    const { temperature, topP, topK, maxTokens } = decoding
    const one = { ids, images, samples: 1, seed, sampling: { temperature, topP, topK }, maxTokens, stop: { ids: processor.stopIds, strings: [] } }
    const several = { ...one, seed: [seed, seed] }
    await assert.rejects(generateAll(checkpoint.model, [several]), /there are 2 seeds for 1 samples/)
    const [[event] = []] = await generateAll(checkpoint.model, [one], { text: () => processor.tokenizer.textStream() })
    assert.deepEqual(answers[i], {
      ...{ key: request.key, index, text: event?.text, tokens: event?.ids.length },
      ended: event?.reason === 'length' ? 'length' : 'stop',
      logprob: event?.logprobs.reduce((sum, each) => sum + each, 0),
    })
  }
})

test('weights of a checkpoint answer like the model that has them', async (context) => {
  const [folder, other] = [nano(context), nano(context, 'other', 2)]
  const requests = await requestsOf(2, [0])
  const expected = await answersOf(other, requests)
  assert.notDeepEqual(await answersOf(folder, requests), expected)
  const weights = join(temporaryFolder(context), 'checkpoint')
  mkdirSync(weights)
  {
    using checkpoint = loadModel(other)
    writeSafetensors(join(weights, 'weights.safetensors'), checkpoint.model.parameters)
  }
  assert.deepEqual(await answersOf(folder, requests, { weights }), expected)
})

test('a question that cannot be put is named; a signal ends it with what is told', async (context) => {
  const folder = nano(context)
  const requests = await requestsOf(2, [0])
  const [first, second] = requests as [Request, Request]
  await assert.rejects(answersOf(folder, [first, { ...second, images: ['/nowhere.png'] }]), (error: Error) =>
    error.message.startsWith(`question ${second.key}: `),
  )
  const long = { decoding: { ...decoding, maxTokens: 1_000_000 } }
  await assert.rejects(answersOf(folder, requests, long), /question .*1000000 may be written, but the model has 4096 positions; lower --max-tokens/)
  await using responder = await localResponder({
    ...{ folder, adapter: null, weights: null, maxPixels: null, dtype: null, device: 'cpu', threads: 1 },
    ...{ decoding: { ...decoding, maxTokens: 2000, temperature: 1e6 }, batchRows: 1 },
  })
  const stop = new AbortController()
  const told: Answer[] = []
  setTimeout(() => stop.abort(), 50)
  await responder.answer(await requestsOf(3, [0, 1]), stop.signal, (answer) => void told.push(answer))
  assert.ok(told.length < 6)
})
