// What the client sends and what it makes of replies, each fault included.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { baseOf, openServer, type ServerOptions, serverDefaults } from '../../src/serving/client.ts'
import { ServerError } from '../../src/serving/server-error.ts'
import { type Fault, startFakeServer } from './fake-server.ts'
import { instantWaiting, opened, plainRequest, unstopped } from './support.ts'

// The smallest PNG: one pixel.
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
const gif = Buffer.from('R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==', 'base64')

/** The message of the error that a call ends with. */
async function failure(call: Promise<unknown>): Promise<ServerError> {
  const error = await call.then(
    () => assert.fail('it ends without an error'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ServerError, String(error))
  return error
}

test('a request is sent as the protocol has it: images as their bytes, prefill to continue, seed, top_k', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'serving-'))
  try {
    writeFileSync(join(folder, 'a.png'), png)
    const seen: Buffer[] = []
    await using fake = await startFakeServer({
      answer: ({ images, seed }) => {
        seen.push(...images)
        return { text: `seed ${seed}`, tokens: 3, logprobs: [-0.5, -0.25] }
      },
    })
    await using server = await opened(`${fake.url}/v1/`)
    const choices = await server.chat(
      {
        ...plainRequest,
        messages: [
          { role: 'system', content: 'be brief' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'first ' },
              { type: 'image', image: join(folder, 'a.png') },
              { type: 'image', image: new Uint8Array(gif) },
              { type: 'image', image: `data:image/png;base64,${png.toString('base64')}` },
            ],
          },
        ],
        ...{ prefill: '<think>', n: 2, seed: 2 ** 53 - 2, temperature: 0.7, topP: 0.9, topK: 20, logprobs: true },
        extra: { min_p: 0, top_k: -1 },
      },
      unstopped,
    )
    const uri = (type: string, bytes: Buffer): unknown => ({
      type: 'image_url',
      image_url: { url: `data:${type};base64,${bytes.toString('base64')}` },
    })
    assert.deepEqual(fake.requests, [
      {
        model: 'fake',
        messages: [
          { role: 'system', content: 'be brief' },
          { role: 'user', content: [{ type: 'text', text: 'first ' }, uri('image/png', png), uri('image/gif', gif), uri('image/png', png)] },
          { role: 'assistant', content: '<think>' },
        ],
        ...{ add_generation_prompt: false, continue_final_message: true },
        ...{ n: 2, seed: 2 ** 53 - 2, temperature: 0.7, top_p: 0.9, top_k: 20, min_p: 0, max_tokens: 16, logprobs: true },
      },
    ])
    assert.deepEqual(seen.slice(0, 3), [png, gif, png])
    assert.deepEqual(choices, [
      { text: `seed ${2 ** 53 - 2}`, finish: 'stop', tokens: 2, logprob: -0.75, reasoning: null },
      { text: `seed ${2 ** 53 - 1}`, finish: 'stop', tokens: 2, logprob: -0.75, reasoning: null },
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what is not wanted is not sent, and text alone goes as a string', async () => {
  await using fake = await startFakeServer({ answer: () => ({ text: '4', finish: 'length', tokens: 1 }) })
  await using server = await opened(fake.url)
  const content = [{ type: 'text', text: 'how many?' } as const]
  const [choice] = await server.chat({ ...plainRequest, seed: null, messages: [{ role: 'user', content }] }, unstopped)
  const body = { model: 'fake', messages: [{ role: 'user', content: 'how many?' }], n: 1, temperature: 0, top_p: 1, max_tokens: 16 }
  assert.deepEqual(fake.requests, [body])
  assert.deepEqual(choice, { text: '4', finish: 'length', tokens: 1, logprob: null, reasoning: null })
})

test('an image that is none is refused before anything is sent', async () => {
  await using fake = await startFakeServer({ answer: () => '4' })
  await using server = await opened(fake.url)
  const ask = (image: string | Uint8Array): Promise<unknown> =>
    server.chat({ ...plainRequest, messages: [{ role: 'user', content: [{ type: 'image', image }] }] }, unstopped)
  await assert.rejects(ask('/no/such.png'), { name: 'FileFormatError', message: '/no/such.png: the image cannot be read (ENOENT)' })
  await assert.rejects(ask(Buffer.from('%PDF-1.4')), {
    name: 'FileFormatError',
    message: 'an image: PDF, not one of JPEG, PNG, WebP, GIF, TIFF, AVIF',
  })
  assert.equal(fake.requests.length, 0)
})

test('addresses may have a version or not, and hold no secret', () => {
  for (const given of ['http://h:8000', 'http://h:8000/', 'http://h:8000/v1', 'http://h:8000/v1/', 'http://h:8000/v1/chat/completions']) {
    assert.equal(baseOf(given), 'http://h:8000/v1', given)
  }
  assert.equal(baseOf('https://example.org/proxy'), 'https://example.org/proxy/v1')
  assert.equal(baseOf('https://example.org/v1beta/openai/'), 'https://example.org/v1beta/openai')
  assert.throws(() => baseOf('localhost:8000'), /localhost:8000: expected the address of a server, as http:\/\/HOST:PORT/)
  assert.throws(() => baseOf('http://me:secret@h'), { message: 'the address of the server holds a name or password; give it as the API key' })
  assert.throws(() => baseOf('ftp://me:secret@h'), {
    message: 'a URL with a name or password: expected the address of a server, as http://HOST:PORT',
  })
  assert.throws(() => baseOf('http://h/v1?key=1'), { message: 'http://h/v1: the address of a server takes no ? and #' })
})

test('without a name the only model is taken; of several one must be named', async () => {
  const options: ServerOptions = { ...serverDefaults, url: '', retries: 0 }
  for (const [models, expected] of [
    [['one/model'], null],
    [['base', 'adapter'], /: the server has 2 models; say which one: base, adapter$/],
    [[], /: the server lists no model; load one, or name the model$/],
  ] as const) {
    await using fake = await startFakeServer({ answer: () => '4', models })
    const opening = openServer({ ...options, url: fake.url })
    if (expected !== null) await assert.rejects(opening, { name: 'ServerError', message: expected })
    else {
      await using server = await opening
      assert.equal(server.model, 'one/model')
    }
  }
})

test('options that cannot be are refused by name', async () => {
  for (const [wrong, message] of [
    [{ concurrency: 0 }, 'concurrency is 0; expected a whole number from 1'],
    [{ retries: -1 }, 'retries is -1; expected a whole number from 0'],
    [{ timeoutMs: 0 }, 'timeoutMs is 0; expected above 0 up to 2147483647'],
    [{ backoff: { firstMs: 10, longestMs: 5 } }, 'backoff goes from 10 to 5 ms; expected 0 ≤ firstMs ≤ longestMs ≤ 2147483647'],
    [{ apiKey: 'a secret\n' }, 'the API key is empty, or has spaces, line ends or other signs that no key has'],
  ] as const) {
    await assert.rejects(opened('http://h', wrong), { name: 'ArgumentError', message })
  }
})

const faults: readonly {
  readonly name: string
  readonly fault: Fault
  readonly timeoutMs?: number
  readonly says: RegExp
  readonly status: number | null
}[] = [
  {
    name: 'drop before headers',
    fault: { kind: 'drop', at: 'start' },
    says: /: the connection failed \(ECONNRESET\), on the last of 4 tries; see that/,
    status: null,
  },
  { name: 'drop after headers', fault: { kind: 'drop', at: 'headers' }, says: /: the connection failed \(ECONNRESET\), on the last/, status: null },
  { name: 'drop in the body', fault: { kind: 'drop', at: 'body' }, says: /: the connection failed \(ECONNRESET\), on the last/, status: null },
  {
    name: 'stall before headers',
    ...{ fault: { kind: 'stall', at: 'start' }, timeoutMs: 150, status: null },
    says: /: no whole reply within 0\.15 s, on the last of 4 tries; see whether the server hangs; allow more time \(timeoutMs\)/,
  },
  {
    name: 'stall in the body',
    fault: { kind: 'stall', at: 'body' },
    timeoutMs: 150,
    says: /: no whole reply within 0\.15 s, on the last/,
    status: null,
  },
  { name: 'slow beyond the timeout', fault: { kind: 'slow', ms: 1000 }, timeoutMs: 150, says: /: no whole reply within 0\.15 s/, status: null },
  {
    name: 'status 408',
    fault: { kind: 'status', status: 408 },
    says: /: status 408: status 408 on purpose, on the last of 4 tries; see the/,
    status: 408,
  },
  { name: 'status 409', fault: { kind: 'status', status: 409 }, says: /: status 409: /, status: 409 },
  {
    name: 'status 429',
    fault: { kind: 'status', status: 429 },
    says: /: status 429: status 429 on purpose, on the last of 4 tries; ask for/,
    status: 429,
  },
  {
    name: 'status 500',
    fault: { kind: 'status', status: 500 },
    says: /: status 500: status 500 on purpose, on the last of 4 tries; see the s/,
    status: 500,
  },
  {
    name: 'status 503 of a proxy',
    fault: { kind: 'status', status: 503, body: '<html>\n busy' },
    says: /: status 503: <html> busy, on the/,
    status: 503,
  },
  {
    name: 'truncated JSON',
    fault: { kind: 'truncate' },
    says: /: status 200, but its body of \d+ characters is no JSON; the reply is \{"id"/,
    status: 200,
  },
  { name: 'no choices', fault: { kind: 'count', choices: 0 }, says: /: status 200, but it has 0 choices; expected 1; the reply is /, status: 200 },
  { name: 'too many choices', fault: { kind: 'count', choices: 3 }, says: /: status 200, but it has 3 choices; expected 1/, status: 200 },
  {
    name: 'a web page',
    ...{ fault: { kind: 'body', body: '<!doctype html><p>Welcome', type: 'text/html' }, status: 200 },
    says: /: status 200, but its body of 25 characters is no JSON; the reply is <!doctype html><p>Welcome, on .*; see that the address is that of an OpenAI/,
  },
  {
    name: 'an error with status 200',
    ...{ fault: { kind: 'body', body: '{"error":{"message":"no provider"}}' }, status: 200 },
    says: /: status 200, but its JSON does not fit: choices: .*; the reply is no provider, on the last/,
  },
  {
    name: 'no finish_reason',
    ...{ fault: { kind: 'body', body: '{"choices":[{"index":0,"message":{"content":"4"}}]}' }, status: 200 },
    says: /: status 200, but its JSON does not fit: choices\.0\.finish_reason: /,
  },
  {
    name: 'no content',
    ...{ fault: { kind: 'body', body: '{"choices":[{"index":0,"message":{},"finish_reason":"stop"}]}' }, status: 200 },
    says: /: status 200, but an answer has no content; /,
  },
  {
    name: 'empty content',
    ...{ fault: { kind: 'body', body: '{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}' }, status: 200 },
    says: /: status 200, but an answer is empty, and the server does not say that it wrote a token; /,
  },
  {
    name: 'an index of another answer',
    ...{ fault: { kind: 'body', body: '{"choices":[{"index":1,"message":{"content":"4"},"finish_reason":"stop"}]}' }, status: 200 },
    says: /: status 200, but the indices of its choices are 1; expected 0 to 0; /,
  },
  {
    name: 'an answer that the server gave up',
    ...{ fault: { kind: 'body', body: '{"choices":[{"message":{"content":"4"},"finish_reason":"abort"}]}' }, status: 200 },
    says: /: status 200, but it ended an answer with finish_reason "abort"; /,
  },
]

for (const { name, fault, timeoutMs = 10_000, says, status } of faults) {
  test(`a fault that passes is overcome, one that stays ends clearly: ${name}`, async () => {
    let failing = 2
    await using fake = await startFakeServer({ answer: () => '4', faults: (nth) => (nth < failing ? fault : null) })
    await using server = await opened(fake.url, { timeoutMs })
    const [choice] = await server.chat(plainRequest, unstopped)
    assert.equal(choice?.text, '4')
    // A busy machine may be late with the good reply too.
    const { length } = fake.requests
    assert.ok(status === null && timeoutMs < 1000 ? length >= 3 : length === 3, `${length} requests`)
    failing = Number.POSITIVE_INFINITY
    const error = await failure(server.chat(plainRequest, unstopped))
    assert.ok(error.message.startsWith(`POST ${fake.url}/v1/chat/completions: `), error.message)
    assert.match(error.message, says)
    assert.equal(error.status, status)
    assert.equal(fake.requests.length, length + 4, 'one try and three more')
  })
}

test('a refusal is not tried again, and says what to do', async () => {
  let status = 400
  const body = JSON.stringify({ object: 'error', message: `too long ${'x'.repeat(1000)}` })
  await using fake = await startFakeServer({ answer: () => '4', faults: () => ({ kind: 'status', status, body }) })
  await using server = await opened(fake.url)
  for (const [each, advice] of [
    [400, /x… \(1009 characters\); the server does not take this request; see what it says, and what its version/],
    [401, /; give the API key of this server$/],
    [403, /; see what this API key may use$/],
    [404, /; see that the address and the model's name are right: GET \/models lists the names$/],
    [413, /; the request is too large/],
    [422, /; the server does not take this request; see what it says$/],
    [501, /; see the server's log$/],
    [302, /; see the server's log$/],
  ] as const) {
    status = each
    const { message } = await failure(server.chat(plainRequest, unstopped))
    assert.match(message, new RegExp(`^POST http://127\\.0\\.0\\.1:\\d+/v1/chat/completions: status ${each}: too long x`))
    assert.match(message, advice)
    assert.ok(message.length < 800)
  }
  assert.equal(fake.requests.length, 8)
})

test('a redirect is shown, not followed', async () => {
  const headers = { location: 'http://elsewhere/v1/chat/completions' }
  await using fake = await startFakeServer({ answer: () => '4', faults: () => ({ kind: 'status', status: 307, body: '', headers }) })
  await using server = await opened(fake.url)
  const { message } = await failure(server.chat(plainRequest, unstopped))
  assert.match(message, /: status 307; the server is at http:\/\/elsewhere\/v1\/chat\/completions; give that address$/)
})

test('pauses grow, and Retry-After is waited for, as seconds and as a date', async () => {
  const start = Date.parse('2015-10-21T07:28:00Z')
  const waiting = instantWaiting(start)
  const after = (header: string): Fault => ({ kind: 'status', status: 429, headers: { 'retry-after': header } })
  const script: readonly (Fault | null)[] = [
    { kind: 'status', status: 500 },
    { kind: 'truncate' },
    { kind: 'drop', at: 'start' },
    after('7'),
    // 52 s after the start: 0.5 + 1 + 2 + (7 + 0.5) = 11 s are over by then.
    after('Wed, 21 Oct 2015 07:28:52 GMT'),
    { kind: 'status', status: 500 },
  ]
  await using fake = await startFakeServer({ answer: () => '4', faults: (nth) => script[nth] ?? null })
  await using server = await opened(fake.url, { retries: 6, backoff: { firstMs: 1000, longestMs: 10_000 } }, waiting)
  await server.chat(plainRequest, unstopped)
  assert.deepEqual(waiting.pauses, [500, 1000, 2000, 7500, 41_500, 5000])
})

test('a server that asks for a very long pause is left at once', async () => {
  const fault: Fault = { kind: 'status', status: 429, headers: { 'retry-after': '86400' } }
  await using fake = await startFakeServer({ answer: () => '4', faults: () => fault })
  await using server = await opened(fake.url)
  const { message } = await failure(server.chat(plainRequest, unstopped))
  assert.match(message, /: status 429: status 429 on purpose; it asks for a pause of 86400 s; ask for fewer at once/)
  assert.equal(fake.requests.length, 1)
})

test('no more requests run at once than are allowed, pauses included', async () => {
  await using fake = await startFakeServer({
    answer: ({ user }) => user,
    faults: (nth) => (nth % 4 === 3 ? { kind: 'status', status: 503 } : { kind: 'slow', ms: 5 }),
  })
  await using server = await opened(fake.url, { concurrency: 3 })
  const asked = Array.from({ length: 20 }, (_, i) => `question ${i}`)
  const answers = await Promise.all(
    asked.map(async (content) => (await server.chat({ ...plainRequest, messages: [{ role: 'user', content }] }, unstopped))[0]?.text),
  )
  assert.deepEqual(answers, asked)
  assert.equal(fake.peak, 3)
  assert.ok(fake.requests.length > 20)
})

test('an abort stops at once: under way, in a pause, and in the queue', async () => {
  await using fake = await startFakeServer({ answer: () => '4', faults: () => ({ kind: 'stall', at: 'start' }) })
  await using server = await opened(fake.url, { concurrency: 1 })
  const controller = new AbortController()
  const running = server.chat(plainRequest, controller.signal)
  const queued = server.chat(plainRequest, controller.signal)
  setTimeout(() => controller.abort(new Error('enough')), 30)
  await assert.rejects(running, /^Error: enough$/)
  await assert.rejects(queued, /^Error: enough$/)
  assert.equal(fake.requests.length, 1)

  await using busy = await startFakeServer({ answer: () => '4', faults: () => ({ kind: 'status', status: 500 }) })
  const stopping = new AbortController()
  const waiting = { ...instantWaiting(), sleep: async () => stopping.abort(new Error('enough')) }
  await using paused = await opened(busy.url, {}, waiting)
  await assert.rejects(paused.chat(plainRequest, stopping.signal), /^Error: enough$/)
  assert.equal(busy.requests.length, 1)
})

test('the API key reaches the server and no error', async () => {
  const apiKey = 'sk-very-secret'
  await using fake = await startFakeServer({ answer: () => '4', apiKey })
  await using right = await opened(fake.url, { apiKey })
  assert.equal((await right.chat(plainRequest, unstopped))[0]?.text, '4')
  await using wrong = await opened(fake.url, { apiKey: 'sk-other' })
  const { message, cause } = await failure(wrong.chat(plainRequest, unstopped))
  assert.match(message, /: status 401: Incorrect API key provided: Bearer \[API key\]; give the API key of this server$/)
  assert.equal(cause, undefined)
  assert.ok(!fake.requests.some((body) => JSON.stringify(body).includes('sk-')))
})

test('answers come in the order of their indices, and an empty one counts when the model wrote its end', async () => {
  const choice = (index: number, content: string): unknown => ({ index, message: { content }, finish_reason: 'stop' })
  const body = JSON.stringify({ choices: [choice(2, 'c'), choice(0, ''), choice(1, 'b')], usage: { completion_tokens: 5 } })
  await using fake = await startFakeServer({ answer: () => '4', faults: () => ({ kind: 'body', body, type: 'text/plain' }) })
  await using server = await opened(fake.url)
  const choices = await server.chat({ ...plainRequest, n: 3 }, unstopped)
  assert.deepEqual(
    choices.map(({ text, tokens }) => [text, tokens]),
    [
      ['', null],
      ['b', null],
      ['c', null],
    ],
  )
})

test('nobody at the address is said so', async () => {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  await using server = await opened(`http://127.0.0.1:${port}`)
  const { message, status } = await failure(server.chat(plainRequest, unstopped))
  assert.equal(
    message,
    `POST http://127.0.0.1:${port}/v1/chat/completions: the connection failed (ECONNREFUSED), on the last of 4 tries; ` +
      'see that the server runs and that its address is right',
  )
  assert.equal(status, null)
})
