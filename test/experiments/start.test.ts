// Commands in processes of their own: what they say of their progress, how they end, and how they are stopped.

import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Job } from '../../src/experiments/jobs.ts'
import { starter } from '../../src/experiments/start.ts'

const folder = mkdtempSync(join(tmpdir(), 'sightline-start-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0

/** Runs a program as if it were the command line. */
async function run(program: string, { command = [], signal = new AbortController().signal }: { command?: string[]; signal?: AbortSignal } = {}) {
  const main = join(folder, `main-${++files}.mjs`)
  writeFileSync(main, program)
  const shares: number[] = []
  const job: Job = { id: 'a', command, needs: [], output: 'nothing', work: 1 }
  return { ...(await starter(main)(job, (share) => shares.push(share), signal)), shares }
}

test('steps and progress are shares; other lines are what it said', async () => {
  const { status, said, shares } = await run(
    `console.log('{"type":"step","step":1,"total":4,"metrics":{}}')
     console.log('drawing')
     console.error('a warning')
     console.log('{"type":"progress","share":0.5,"what":"x"}')
     console.log('{"type":"checkpoint","step":2}')
     process.stdout.write('{"type":"step","step":4,"total":4}')
     process.exitCode = 4`,
  )
  assert.equal(status, 4)
  assert.deepEqual(shares, [0.25, 0.5, 1])
  assert.deepEqual(said.split('\n').sort(), ['a warning', 'drawing', '{"type":"checkpoint","step":2}'])
})

test('lines that only look like events are said, and break nothing', async () => {
  const odd = [
    '{',
    '{ "type": "step", "step": 1',
    '{broken}',
    '{"type":"step"}',
    '{"type":"step","step":1,"total":0}',
    '{"type":"progress","share":"half"}',
    '{"type":"progress"}',
    '{}',
  ]
  const { status, said, shares } = await run(`for (const line of ${JSON.stringify(odd)}) console.log(line)
     console.log('{"type":"progress","share":0.25}')`)
  assert.equal(status, 0)
  assert.deepEqual(shares, [0.25])
  assert.deepEqual(said.split('\n'), odd)
})

test('the last lines are kept, of both streams, without empty ones', async () => {
  const { status, said } = await run(`for (let i = 0; i < 100; i++) console.error('line ' + i + '\\n'); throw new Error('the end')`)
  assert.equal(status, 1)
  const lines = said.split('\n')
  assert.equal(lines.length, 20)
  assert.ok(lines.some((line) => line.includes('the end')))
  assert.ok(!lines.includes('line 50') && !lines.includes(''))
})

test('arguments arrive as they are', async () => {
  const command = ['train', '--set', 'a.b={"c":"d e"}', '', "it's"]
  const { said } = await run(`console.log(JSON.stringify(process.argv.slice(2)).replace('[', '= ['))`, { command })
  assert.deepEqual(JSON.parse(said.replace('= [', '[')), command)
})

test('a stop reaches the process, which may finish what it does', async () => {
  const [ready, written] = [join(folder, 'ready'), join(folder, 'written')]
  const stop = new AbortController()
  const ended = run(
    `import { writeFileSync } from 'node:fs'
     process.once('SIGTERM', () => { writeFileSync(${JSON.stringify(written)}, ''); process.exit(130) })
     setInterval(() => undefined, 1000)
     writeFileSync(${JSON.stringify(ready)}, '')`,
    { signal: stop.signal },
  )
  while (!existsSync(ready)) await setTimeout(10)
  stop.abort()
  assert.equal((await ended).status, 130)
  assert.ok(existsSync(written))
})

test('a process that a signal ends has that signal’s status; one that is stopped before it begins is stopped', async () => {
  assert.equal((await run(`process.kill(process.pid, 'SIGTERM'); setInterval(() => undefined, 1000)`)).status, 143)
  assert.equal((await run(`process.kill(process.pid, 'SIGKILL'); setInterval(() => undefined, 1000)`)).status, 137)
  assert.equal((await run(`setTimeout(() => undefined, 60_000)`, { signal: AbortSignal.abort() })).status, 143)
})

test('listeners do not pile up on a signal', async () => {
  const stop = new AbortController()
  await run('', { signal: stop.signal })
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
})
