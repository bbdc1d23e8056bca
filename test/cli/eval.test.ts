// `sightline eval` as it is run: killed and gone on with, in process and through a server, in shards, and what it says of mistakes.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { evalCommand } from '../../src/cli/eval.ts'
import { type EvalArguments, settingsOf } from '../../src/cli/eval-settings.ts'
import { clock } from '../../src/cli/terminal.ts'
import { localResponder } from '../../src/evaluation/local.ts'
import type { Answer } from '../../src/evaluation/responder.ts'
import { lockName } from '../../src/runs/lock.ts'
import { filesOf, sameFiles, temporaryFolder } from '../evaluation/support.ts'
import { writeRandomNano } from '../nano/tiny.ts'
import { type FakeAnswer, startFakeServer } from '../serving/fake-server.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const local = { adapter: null, weights: null, maxPixels: null, dtype: null, device: 'cpu', rows: 2, threads: 1 } as const

/** Eight questions, two answers each, of few tokens. */
const small: Omit<EvalArguments, 'out' | 'model'> = {
  ...{
    action: 'run',
    suites: ['prior-world=3'],
    data: null,
    limit: 8,
    shard: null,
    preset: null,
    mode: 'structured',
    prefill: null,
    wording: 'nano',
  },
  ...{ samples: 2, temperature: null, topP: null, topK: null, maxTokens: 16, seed: null, judge: null, json: false, local },
  remote: { name: null, keyFrom: null, concurrency: null, timeoutSeconds: null, groupSamples: false, echo: false, standardFields: false },
}
/** Options of a model of this machine, none given. */
const nothing = { ...local, rows: null, threads: null }
const smallLine = ['--suite', 'prior-world=3', '--limit', '8', '--mode', 'structured', '--wording', 'nano', '--samples', '2', '--max-tokens', '16']

async function call(
  args: Partial<EvalArguments> & Pick<EvalArguments, 'out' | 'model'>,
): Promise<{ readonly status: number; readonly lines: string[] }> {
  const lines: string[] = []
  const status = await evalCommand({ ...small, ...args }, { print: (line) => void lines.push(line), status: undefined })
  return { status, lines }
}

const nano = (context: TestContext): string => writeRandomNano(join(temporaryFolder(context), 'base'))

const answered = (out: string): number => {
  const path = join(out, 'prior-world', 'responses.jsonl')
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0
}

/** Runs the command in a process of its own; a signal comes once so many answers are there. */
async function run(
  model: string,
  out: string,
  stop: { readonly signal: NodeJS.Signals; readonly after: number } | null,
): Promise<{ status: number | null; text: string }> {
  const args = [main, 'eval', '--model', model, ...smallLine, '--rows', '2', '--threads', '1', '--out', out]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (text += piece))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  if (stop !== null) {
    while (child.exitCode === null && child.signalCode === null && answered(out) < stop.after) await delay(2)
    child.kill(stop.signal)
  }
  return { status: await ended, text }
}

test('killed three times and gone on with, the files equal those of an uninterrupted evaluation', async (context) => {
  const model = nano(context)
  const [whole, out] = [temporaryFolder(context), temporaryFolder(context)]
  assert.equal((await call({ model, out: whole })).status, 0)
  for (const after of [0, 3, 9]) {
    const { status } = await run(model, out, { signal: 'SIGKILL', after })
    assert.equal(status, null, 'ended by the signal')
    assert.ok(answered(out) < 16)
  }
  const { status, text } = await run(model, out, null)
  assert.equal(status, 0, text)
  sameFiles(filesOf(out), filesOf(whole))
  assert.ok(!existsSync(join(out, lockName)))
})

test('a signal stops it with what is answered, and tells how to go on', async (context) => {
  const [model, out] = [nano(context), temporaryFolder(context)]
  const { status, text } = await run(model, out, { signal: 'SIGTERM', after: 2 })
  assert.equal(status, 130, text)
  assert.match(text, /SIGTERM: stopping; what is answered is kept\n[\s\S]*the same command goes on\n$/)
  assert.ok(answered(out) >= 2)
  assert.ok(!existsSync(join(out, 'prior-world', 'scores.json')))
})

test('through a server that has the same model, the answers and verdicts are those of this process', async (context) => {
  const [model, here, there] = [nano(context), temporaryFolder(context), temporaryFolder(context)]
  const inside = await call({ model, out: here })
  assert.equal(inside.status, 0)
  const decoding = { temperature: 1, topP: 1, topK: null, maxTokens: 16 }
  await using responder = await localResponder({ folder: model, ...local, decoding })
  let turn: Promise<unknown> = Promise.resolve()
  await using server = await startFakeServer({
    models: ['nano'],
    answer: (asked) => {
      const answer = turn.then(async (): Promise<FakeAnswer> => {
        const found: Answer[] = []
        const request = { key: 'one', system: asked.system, user: asked.user.replace('<image>', ''), images: asked.images, prefill: asked.prefill }
        const samples = [{ index: 0, seed: asked.seed as number }]
        await responder.answer([{ ...request, samples }], new AbortController().signal, (each) => void found.push(each))
        const { text, ended, tokens } = found[0] as Answer
        return { text, finish: ended, tokens: tokens as number }
      })
      turn = answer
      return answer
    },
    faults: (nth) => (nth === 3 ? { kind: 'drop', at: 'body' } : null),
  })
  const outside = await call({ model: server.url, out: there, local: nothing, remote: { ...small.remote, concurrency: 4 } })
  assert.equal(outside.status, 0, outside.lines.join('\n'))
  const [a, b] = [filesOf(here), filesOf(there)]
  assert.equal(b['prior-world/verdicts.jsonl'], a['prior-world/verdicts.jsonl'])
  assert.equal(b['prior-world/scores.json'], a['prior-world/scores.json'])
  const bare = (text = ''): object[] =>
    text
      .trim()
      .split('\n')
      .map((line) => ({ ...(JSON.parse(line) as object), logprob: null }))
  assert.deepEqual(bare(b['prior-world/responses.jsonl']), bare(a['prior-world/responses.jsonl']))
  assert.match(JSON.parse(b['evaluation.json'] as string).model.name, /^http:.* nano$/)

  // What is not in OpenAI's protocol is sent, unless the server is one that refuses it.
  const before = server.requests.length
  const neutral = ['top_k', 'min_p', 'repetition_penalty']
  assert.ok(server.requests.every((body) => neutral.every((name) => name in body)))
  const remote = { ...small.remote, standardFields: true }
  assert.equal((await call({ model: server.url, out: temporaryFolder(context), local: nothing, remote, limit: 1 })).status, 0)
  assert.ok(server.requests.length > before)
  assert.ok(server.requests.slice(before).every((body) => neutral.every((name) => !(name in body))))
})

test('the last shard joins all; answers are graded anew; programs get events', async (context) => {
  const [model, whole, out] = [nano(context), temporaryFolder(context), temporaryFolder(context)]
  await call({ model, out: whole })
  const first = await call({ model, out, shard: '2/2' })
  assert.match(first.lines.at(-1) as string, /shards\/2-of-2; the scores come with the last of the 2 parts/)
  const last = await call({ model, out, shard: '1/2' })
  assert.match(last.lines.at(-1) as string, /the report is .*report\.html/)
  sameFiles(filesOf(out), filesOf(whole))
  rmSync(join(out, 'scores.json'))
  assert.equal((await call({ action: 'merge', model: null, suites: [], out })).status, 0)
  sameFiles(filesOf(out), filesOf(whole))

  const verdicts = join(whole, 'prior-world', 'verdicts.jsonl')
  const before = readFileSync(verdicts, 'utf8')
  rmSync(verdicts)
  const { status, lines } = await call({ action: 'grade-only', model: null, suites: [], out: whole, json: true })
  assert.equal(status, 0)
  assert.equal(readFileSync(verdicts, 'utf8'), before)
  const events = lines.map((line) => JSON.parse(line) as { readonly type: string; readonly benchmarks?: readonly { readonly questions: number }[] })
  assert.deepEqual([...new Set(events.map(({ type }) => type))], ['progress', 'scores', 'finished'])
  assert.equal(events.at(-2)?.benchmarks?.[0]?.questions, 8)
})

test('mistakes are told with what to do', async (context) => {
  const [model, out] = [nano(context), temporaryFolder(context)]
  const refused = async (args: Partial<EvalArguments>, message: RegExp): Promise<void> => {
    await assert.rejects(call({ model, out, ...args }), (error: Error) => message.test(error.message), String(message))
  }
  await refused({ model: null }, /--model is missing/)
  await refused({ model: '/nowhere' }, /--model \/nowhere: cannot be opened/)
  await refused({ suites: [] }, /no --suite is given/)
  await refused({ shard: '3/2' }, /--shard 3\/2: expected I\/N/)
  await refused({ temperature: 0 }, /--samples 2 at temperature 0 would give one answer 2 times/)
  await refused({ samples: 0 }, /--samples 0: expected an integer from 1 up/)
  await refused({ action: 'grade-only' }, /holds no evaluation whose answers could be graded/)
  await refused({ action: 'merge' }, /has no shards/)
  await refused({ topK: 2.5 }, /--top-k 2\.5: expected an integer/)
  await refused({ temperature: -1 }, /--temperature -1: expected 0/)
  await refused({ topP: 0 }, /--top-p 0: expected above 0/)
  await refused({ local: { ...local, rows: 0 } }, /--rows 0: expected an integer from 1 up/)
  await refused({ remote: { ...small.remote, echo: true } }, /--echo is for a server, but --model is a folder/)
  await refused({ model: 'http://127.0.0.1:9' }, /--rows is for a model of this machine, but --model is a server/)
  const judge = { url: 'http://127.0.0.1:9', name: null, keyFrom: 'NO_SUCH_KEY', concurrency: null, perMinute: null, maxTokens: null }
  await refused({ judge }, /--judge-key-env NO_SUCH_KEY: the environment has no/)
  await refused({ judge: { ...judge, keyFrom: null, url: 'somewhere' } }, /somewhere: expected the address of a server/)
  await refused(
    { model: 'http://127.0.0.1:9', local: nothing, remote: { ...small.remote, keyFrom: 'NO_SUCH_KEY' } },
    /--api-key-env NO_SUCH_KEY: the environment has no/,
  )
  assert.deepEqual(readdirSync(out), [], 'nothing is written for what was refused')
  await call({ model, out, limit: 2, samples: 1 })
  await refused({ limit: 2, samples: 1, maxTokens: 9 }, /holds another evaluation[\s\S]*decoding\.maxTokens: there 16, asked for 9/)
})

test('settings are those of the preset and what changes them', () => {
  const settings = (args: Partial<EvalArguments>) =>
    settingsOf({ ...small, model: null, out: '', mode: null, wording: null, samples: null, maxTokens: null, ...args })
  const vigos = settings({ preset: 'vigos' })
  assert.deepEqual([vigos.samples, vigos.decoding], [5, { temperature: 1, topP: 0.9, topK: 50, maxTokens: 4096 }])
  assert.equal(settings({ preset: 'vigos', topK: 0 }).decoding.topK, null, 'off')
  assert.equal(settings({ samples: 3 }).decoding.temperature, 1)
  assert.equal(settings({}).decoding.temperature, 0)
})

test('seconds never come to sixty', () => {
  assert.deepEqual([0.4, 59.4, 59.6, 119.7, 3599.8, 7290].map(clock), ['0 s', '59 s', '1 min 0 s', '2 min 0 s', '1 h 0 min', '2 h 1 min'])
})
