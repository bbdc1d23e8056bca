// A server as a responder: what it is asked, and that nothing that was answered is lost.

import assert from 'node:assert/strict'
import test from 'node:test'
import { remoteResponder, userParts } from '../../src/evaluation/remote.ts'
import type { Answer, Decoding, Request } from '../../src/evaluation/responder.ts'
import { type ChatAsked, type FakeAnswer, type Fault, startFakeServer } from '../serving/fake-server.ts'
import { opened, unstopped } from '../serving/support.ts'

const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
const decoding: Decoding = { temperature: 0.7, topP: 0.95, topK: null, maxTokens: 32 }

const question = (i: number, samples = 1): Request => ({
  ...{ key: `q${i}`, system: null, user: `question ${i}`, images: [], prefill: '' },
  samples: Array.from({ length: samples }, (_, index) => ({ index, seed: 1000 * i + 7 * index })),
})
const questions = (count: number, samples = 1): Request[] => Array.from({ length: count }, (_, i) => question(i, samples))

const echoing = ({ user, seed }: ChatAsked): FakeAnswer => `${user}, seed ${seed}`

/** Answers in order of key and index. */
const sorted = (answers: readonly Answer[]): Answer[] =>
  answers.toSorted((a, b) => a.key.localeCompare(b.key, 'en', { numeric: true }) || a.index - b.index)

test('images go where the text marks them, else before it', () => {
  const [a, b] = [new Uint8Array([1]), new Uint8Array([2])]
  assert.deepEqual(userParts('what is this?', [a, b]), [
    { type: 'image', image: a },
    { type: 'image', image: b },
    { type: 'text', text: 'what is this?' },
  ])
  assert.deepEqual(userParts('<image>left, right<image> differ', [a, b]), [
    { type: 'image', image: a },
    { type: 'text', text: 'left, right' },
    { type: 'image', image: b },
    { type: 'text', text: ' differ' },
  ])
  assert.deepEqual(userParts('no <image>picture', []), [{ type: 'text', text: 'no picture' }])
  assert.throws(() => userParts('<image><image>', [a]), { name: 'ArgumentError', message: /marks 2 images with <image>, but has 1$/ })
})

test('each answer is asked for with its own seed, in the decoding that was asked and no other', async () => {
  await using fake = await startFakeServer({ answer: ({ prefill, seed, images }) => ` after ${prefill}: ${seed}, ${images[0]?.equals(png)}` })
  await using responder = remoteResponder(await opened(fake.url), decoding)
  const request: Request = {
    ...{ key: 'q', system: 'be brief', user: 'what is it?', images: [png], prefill: '<description>' },
    samples: [
      { index: 3, seed: 11 },
      { index: 5, seed: 12 },
    ],
  }
  const answers: Answer[] = []
  await responder.answer([request], unstopped, (answer) => void answers.push(answer))
  assert.equal(responder.name, `${fake.url}/v1 fake`)
  const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } }
  const body = (seed: number): unknown => ({
    model: 'fake',
    messages: [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: [image, { type: 'text', text: 'what is it?' }] },
      { role: 'assistant', content: '<description>' },
    ],
    ...{ add_generation_prompt: false, continue_final_message: true, n: 1, seed },
    ...{ temperature: 0.7, top_p: 0.95, top_k: -1, min_p: 0, repetition_penalty: 1, max_tokens: 32 },
  })
  assert.deepEqual(
    fake.requests.toSorted((a, b) => Number(a['seed']) - Number(b['seed'])),
    [body(11), body(12)],
  )
  const answer = (index: number, seed: number): Answer => ({
    ...{ key: 'q', index, text: ` after <description>: ${seed}, true`, ended: 'stop', tokens: 5, logprob: null },
  })
  assert.deepEqual(sorted(answers), [answer(3, 11), answer(5, 12)])
})

test('samples in one request: n, the first seed, and answers under their own indices', async () => {
  await using fake = await startFakeServer({ answer: ({ seed, choice }) => ({ text: `${seed}`, logprobs: [-1, -choice], finish: 'length' }) })
  await using responder = remoteResponder(await opened(fake.url), { ...decoding, topK: 20 }, { groupSamples: true, logprobs: true, extra: {} })
  const samples = [
    { index: 1, seed: 50 },
    { index: 4, seed: 90 },
  ]
  const answers: Answer[] = []
  await responder.answer([{ ...question(0), samples }], unstopped, (answer) => void answers.push(answer))
  assert.equal(fake.requests.length, 1)
  const { n, seed, top_k: topK, logprobs, min_p: minP } = fake.requests[0] as Record<string, unknown>
  assert.deepEqual({ n, seed, topK, logprobs, minP }, { n: 2, seed: 50, topK: 20, logprobs: true, minP: undefined })
  assert.deepEqual(answers, [
    { key: 'q0', index: 1, text: '50', ended: 'length', tokens: 2, logprob: -1 },
    { key: 'q0', index: 4, text: '51', ended: 'length', tokens: 2, logprob: -2 },
  ])
})

test('a prefill is cut off only where the server is said to repeat it', async () => {
  const request: Request = { ...question(0), prefill: '<a>' }
  const texts: string[] = []
  for (const [text, echo] of [
    ['<a>one', false],
    ['<a><a>two', true],
  ] as const) {
    await using fake = await startFakeServer({ answer: () => text })
    await using responder = remoteResponder(await opened(fake.url), decoding, { echo })
    await responder.answer([request], unstopped, (answer) => void texts.push(answer.text))
  }
  assert.deepEqual(texts, ['<a>one', '<a>two'])
  await using fake = await startFakeServer({ answer: () => 'three' })
  await using responder = remoteResponder(await opened(fake.url), decoding, { echo: true })
  const ending = responder.answer([request], unstopped, () => {})
  await assert.rejects(ending, {
    name: 'ServerError',
    message: /^q0, answer 0: .* repeat the prefill "<a>", but its text begins "three"; leave out echo$/,
  })
})

test('answers that ended otherwise, or lack their thoughts, are an error that names the question; others of the request are told', async () => {
  for (const [bad, says] of [
    [
      { text: null, finish: 'content_filter' },
      /^q0, answer 0, 1: http.*: the answer ended with finish_reason "content_filter"; expected stop or length/,
    ],
    [{ text: '', finish: 'tool_calls' }, /finish_reason "tool_calls"/],
    [{ text: '4', reasoning: 'two and two' }, /: thoughts are taken out of the text, .*without --reasoning-parser\)$/],
    [{ text: null, reasoning: 'two and', finish: 'length' }, /: thoughts are taken out of the text/],
  ] as const) {
    await using fake = await startFakeServer({ answer: ({ choice }) => (choice === 0 ? bad : 'good') })
    await using responder = remoteResponder(await opened(fake.url), decoding, { groupSamples: true })
    const told: string[] = []
    const ending = responder.answer([question(0, 2)], unstopped, ({ index, text }) => void told.push(`${index} ${text}`))
    await assert.rejects(ending, { name: 'ServerError', message: says })
    assert.deepEqual(told, ['1 good'])
  }
})

test('as many at once as the server may have, and questions are taken as they are needed', async () => {
  await using fake = await startFakeServer({ answer: echoing, faults: () => ({ kind: 'slow', ms: 3 }) })
  await using responder = remoteResponder(await opened(fake.url, { concurrency: 3 }), decoding)
  let taken = 0
  let told = 0
  let ahead = 0
  async function* lazily(): AsyncGenerator<Request> {
    for (const each of questions(15, 2)) {
      taken += each.samples.length
      yield each
    }
  }
  const answers: Answer[] = []
  await responder.answer(lazily(), unstopped, async (answer) => {
    ahead = Math.max(ahead, taken - told)
    // What is told is waited for, so that a slow disk is not overrun.
    await new Promise((resolve) => setTimeout(resolve, 2))
    told++
    answers.push(answer)
  })
  assert.equal(fake.peak, 3)
  assert.ok(ahead <= 3 + 3, `${ahead} taken and not told`)
  const expected = questions(15, 2).flatMap(({ key, user, samples }) => samples.map(({ index, seed }) => `${key} ${index} ${user}, seed ${seed}`))
  assert.deepEqual(
    sorted(answers).map(({ key, index, text }) => `${key} ${index} ${text}`),
    expected,
  )
})

test('every fault is overcome, whichever requests it hits', async () => {
  const kinds: readonly Fault[] = [
    { kind: 'drop', at: 'start' },
    { kind: 'drop', at: 'body' },
    { kind: 'status', status: 429, headers: { 'retry-after': '3' } },
    { kind: 'status', status: 500 },
    { kind: 'truncate' },
    { kind: 'count', choices: 2 },
    { kind: 'body', body: '', type: 'text/plain' },
  ]
  await using fake = await startFakeServer({
    answer: echoing,
    faults: (nth) => (nth % 3 === 1 ? (kinds[((nth / 3) % kinds.length) | 0] ?? null) : null),
  })
  await using responder = remoteResponder(await opened(fake.url, { retries: 20 }), decoding)
  const answers: Answer[] = []
  await responder.answer(questions(40), unstopped, (answer) => void answers.push(answer))
  assert.deepEqual(
    sorted(answers).map(({ text }) => text),
    questions(40).map(({ user, samples }) => `${user}, seed ${samples[0]?.seed}`),
  )
})

test('when the server dies midway, what it finished is told, and a second go asks for the rest alone', async () => {
  const asked: string[] = []
  const dying = await startFakeServer({
    async answer(one) {
      asked.push(one.user)
      if (asked.length === 9) await dying.close()
      return echoing(one)
    },
  })
  const kept: Answer[] = []
  {
    await using responder = remoteResponder(await opened(dying.url), decoding)
    const ending = responder.answer(questions(30), unstopped, (answer) => void kept.push(answer))
    await assert.rejects(ending, {
      name: 'ServerError',
      message: /^q\d+, answer 0: POST .*: the connection failed \(ECONN[A-Z]+\), on the last of 4 tries/,
    })
  }
  assert.ok(kept.length >= 5 && kept.length <= 8, `${kept.length} of the 8 that came before are told`)
  const rest = questions(30).filter(({ key }) => !kept.some((answer) => answer.key === key))
  await using fake = await startFakeServer({ answer: echoing })
  await using responder = remoteResponder(await opened(fake.url), decoding)
  await responder.answer(rest, unstopped, (answer) => void kept.push(answer))
  assert.equal(fake.requests.length, rest.length)
  assert.deepEqual(
    sorted(kept).map(({ text }) => text),
    questions(30).map(({ user, samples }) => `${user}, seed ${samples[0]?.seed}`),
  )
})

test('after a refusal nothing more is sent, but what is under way ends and is told', async () => {
  const { promise: refused, resolve: refuse } = Promise.withResolvers<void>()
  await using fake = await startFakeServer({
    async answer(asked) {
      // The others of the first four wait until the refusal is out.
      await refused
      await new Promise((resolve) => setTimeout(resolve, 150))
      return echoing(asked)
    },
    faults(nth) {
      if (nth !== 3) return null
      refuse()
      return { kind: 'status', status: 400 }
    },
  })
  await using responder = remoteResponder(await opened(fake.url), decoding)
  const told: string[] = []
  const ending = responder.answer(questions(30), unstopped, ({ key }) => void told.push(key))
  await assert.rejects(ending, {
    name: 'ServerError',
    message: /^q\d, answer 0: POST .*: status 400: status 400 on purpose; the server does not take/,
  })
  assert.equal(fake.requests.length, 4)
  assert.equal(told.length, 3)
})

test('an abort ends it with its reason; errors of the questions and of the listener come through', async () => {
  await using fake = await startFakeServer({ answer: echoing, faults: (nth) => (nth < 2 ? null : { kind: 'stall', at: 'start' }) })
  const server = await opened(fake.url)
  await using responder = remoteResponder(server, decoding)
  const controller = new AbortController()
  let told = 0
  const stopping = responder.answer(questions(30), controller.signal, () => {
    told++
    if (told === 2) setTimeout(() => controller.abort(new Error('enough')), 10)
  })
  await assert.rejects(stopping, /^Error: enough$/)
  assert.equal(told, 2)

  await using well = await startFakeServer({ answer: echoing })
  await using other = remoteResponder(await opened(well.url), decoding)
  async function* broken(): AsyncGenerator<Request> {
    yield question(0)
    throw new Error('row 1 is broken')
  }
  const keys: string[] = []
  await assert.rejects(
    other.answer(broken(), unstopped, ({ key }) => void keys.push(key)),
    /^Error: row 1 is broken$/,
  )
  assert.deepEqual(keys, ['q0'])
  const full = other.answer(questions(9), unstopped, () => Promise.reject(new Error('the disk is full')))
  await assert.rejects(full, /^Error: the disk is full$/)
})
