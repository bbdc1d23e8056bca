// One process writes a run at a time, and a process that is no more, however it ended, keeps nobody out.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { lock } from '../../src/runs/lock.ts'
import { readMetrics } from '../../src/runs/read.ts'
import { createRun, openRun } from '../../src/runs/run.ts'
import { newRun, policy, temporaryFolder } from './example.ts'

const since = '2026-01-02T03:04:05.000Z'
const refused = { name: 'HeldError', message: /writes this run; stop it, or give another folder/ }

function closedRun(context: TestContext): { folder: string; path: string } {
  const folder = temporaryFolder(context)
  createRun(folder, newRun)[Symbol.dispose]()
  return { folder, path: join(folder, 'run.lock') }
}

/** As field 22 of the process's status, after the id of this boot. */
function startOf(pid: number): string {
  const ticks = /\) \S( \S+){18} (?<ticks>\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.groups?.['ticks']
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${ticks}`
}

/** Opens the folder in another process, and tells how that went. */
async function holder(folder: string): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'trainer.ts'), folder, 'hold'], { stdio: ['pipe', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout })) if (line !== 'go') return { child, said: line }
  return { child, said: 'nothing' }
}

test('a second writer is refused, in this process and in another, and readers are not; after the first closed it is let in', async (context) => {
  const folder = temporaryFolder(context)
  {
    using _run = createRun(folder, newRun)
    assert.throws(() => openRun(folder, policy), { name: 'HeldError', message: new RegExp(`process ${process.pid} on .* writes this run`) })
    assert.throws(() => createRun(folder, newRun), refused)
    assert.deepEqual(readMetrics(folder), [])
    const { child, said } = await holder(folder)
    child.stdin?.end()
    assert.match(said, new RegExp(`^refused: .*process ${process.pid} on`))
    const { pid, started, host } = JSON.parse(readFileSync(join(folder, 'run.lock'), 'utf8'))
    assert.deepEqual({ pid, started, host }, { pid: process.pid, started: startOf(process.pid), host: hostname() })
  }
  assert.ok(!existsSync(join(folder, 'run.lock')))
  openRun(folder, policy)[Symbol.dispose]()
})

test('a living process holds the folder; killed, it does not', async (context) => {
  const { folder, path } = closedRun(context)
  const { child, said } = await holder(folder)
  assert.equal(said, 'held')
  assert.throws(() => openRun(folder, policy), { name: 'HeldError', message: new RegExp(`process ${child.pid} on`) })
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  assert.ok(existsSync(path))
  openRun(folder, policy)[Symbol.dispose]()
  assert.deepEqual(
    readdirSync(folder).filter((name) => /lock|tmp/.test(name)),
    [],
  )
})

test('of several processes that find a dead lock, one gets the folder', { timeout: 60_000 }, async (context) => {
  const { folder, path } = closedRun(context)
  writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, started: 'b/1', host: hostname(), since }))
  const all = await Promise.all(Array.from({ length: 6 }, () => holder(folder)))
  assert.equal(all.filter(({ said }) => said === 'held').length, 1, all.map(({ said }) => said).join('\n'))
  assert.equal(all.filter(({ said }) => said.startsWith('refused: ')).length, 5)
  const ended = Promise.all(all.map(({ child }) => (child.exitCode === null ? once(child, 'exit') : null)))
  for (const { child } of all) child.stdin?.end()
  await ended
  assert.deepEqual(
    readdirSync(folder).filter((name) => /lock|tmp/.test(name)),
    [],
  )
})

test('a process id that was given to another process, and a process that only waits for its parent, hold nothing', async (context) => {
  const { folder, path } = closedRun(context)
  for (const started of ['b/1', `${startOf(process.pid)}0`]) {
    writeFileSync(path, JSON.stringify({ pid: process.pid, started, host: hostname(), since }))
    openRun(folder, policy)[Symbol.dispose]()
  }
  // The child ends when the shell has become another program, which never asks how.
  const shell = spawn('bash', ['-c', 'sleep 1 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] })
  context.after(() => shell.kill())
  const [text] = await once(shell.stdout, 'data')
  const pid = Number(text)
  while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await new Promise((resolve) => setTimeout(resolve, 5))
  writeFileSync(path, JSON.stringify({ pid, started: startOf(pid), host: hostname(), since }))
  openRun(folder, policy)[Symbol.dispose]()
})

test("another machine's lock holds while it is touched; then it is taken over, and the run says so", (context) => {
  const { folder, path } = closedRun(context)
  const text = JSON.stringify({ pid: 1, started: 'b/1', host: 'elsewhere', since })
  const touchedAgo = (minutes: number): void => utimesSync(path, new Date(), new Date(Date.now() - minutes * 60_000))
  for (const [minutes, wait] of [
    [0, 10],
    [8.5, 2],
    [9.9, 1],
  ] as const) {
    writeFileSync(path, text)
    touchedAgo(minutes)
    const message = new RegExp(
      `process 1 on elsewhere \\(since ${since}\\).*If that process is no more, try again in ${wait} min, .*or remove .*run\\.lock$`,
    )
    assert.throws(() => openRun(folder, policy), { name: 'HeldError', message })
    assert.equal(readFileSync(path, 'utf8'), text)
  }
  touchedAgo(10.1)
  using run = openRun(folder, policy)
  assert.match(
    run.takenOver ?? '',
    new RegExp(`^process 1 on elsewhere \\(since ${since}\\) did not touch its lock for 10 min: the run was taken over$`),
  )
  // Of this machine's processes more is known.
  run[Symbol.dispose]()
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: startOf(process.pid), host: hostname(), since }))
  touchedAgo(1000)
  assert.throws(() => openRun(folder, policy), refused)
  writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, started: 'b/1', host: hostname(), since }))
  using next = openRun(folder, policy)
  assert.equal(next.takenOver, null)
})

test('a holder touches its lock also while it computes, and never that of another one', { timeout: 20_000 }, async (context) => {
  const { folder, path } = closedRun(context)
  const old = new Date(Date.now() - 3_600_000)
  const touched = (): boolean => statSync(path).mtimeMs > Date.now() - 60_000
  const held = lock(folder, 20)
  // Until the thread has started.
  utimesSync(path, old, old)
  while (!touched()) await new Promise((resolve) => setTimeout(resolve, 5))
  utimesSync(path, old, old)
  const nothing = new Int32Array(new SharedArrayBuffer(4))
  for (let i = 0; i < 100 && !touched(); i++) Atomics.wait(nothing, 0, 0, 50)
  assert.ok(touched(), 'while this thread is busy')
  held.check()
  const text = JSON.stringify({ pid: 1, started: 'b/1', host: 'elsewhere', since })
  writeFileSync(path, text)
  utimesSync(path, old, old)
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.ok(!touched(), 'the lock of another one')
  assert.throws(() => held.check(), { name: 'StorageError', message: /another process took this run over/ })
  held[Symbol.dispose]()
  assert.equal(readFileSync(path, 'utf8'), text)
})

test('a run that another process took over writes no metrics and no checkpoints any more', async (context) => {
  const folder = temporaryFolder(context)
  using run = createRun(folder, newRun)
  run.addMetrics(1, {})
  writeFileSync(join(folder, 'run.lock'), JSON.stringify({ pid: 1, started: 'b/1', host: 'elsewhere', since }))
  assert.throws(() => run.addMetrics(2, {}), { name: 'StorageError', message: /let that one go on/ })
  await assert.rejects(
    run.saveCheckpoint(1, {}, () => assert.fail('written')),
    { name: 'StorageError' },
  )
  assert.deepEqual(
    readMetrics(folder).map(({ step }) => step),
    [1],
  )
})

test('a lock that is no JSON is told; a lock that somebody replaced is not removed', (context) => {
  const { folder, path } = closedRun(context)
  writeFileSync(path, 'mine')
  assert.throws(() => openRun(folder, policy), { name: 'FileFormatError', message: /run\.lock: no valid JSON/ })
  writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, started: 'b/1', host: hostname(), since }))
  const run = openRun(folder, policy)
  writeFileSync(path, 'mine')
  run[Symbol.dispose]()
  assert.equal(readFileSync(path, 'utf8'), 'mine')
})
