// A run that is killed again and again ends as one that never was: the processes here end by SIGKILL, wherever they are.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { readEvents } from '../../src/runs/read.ts'
import { random } from '../support.ts'
import { configOf, questions, sameRun, temporaryFolder } from './runs.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const kills = 20

/** When a process is killed: after so many changes of a file, or of names in a folder, and then up to some milliseconds. */
const moments = {
  'while it starts': { place: '', prefix: '', changes: 0, upTo: 700 },
  'while it trains': { place: 'metrics.jsonl', prefix: '', changes: 3, upTo: 150 },
  'while it writes a checkpoint': { place: 'checkpoints', prefix: '.tmp-', changes: 8, upTo: 5 },
  'between two files': { place: 'events.jsonl', prefix: '', changes: 6, upTo: 2 },
} as const
const kinds = Object.keys(moments) as (keyof typeof moments)[]

async function changed(path: string, prefix: string, times: number): Promise<void> {
  if (times === 0) return
  while (!existsSync(path)) await sleep(5)
  await new Promise<void>((resolve) => {
    let left = times
    const watcher = watch(path, (_, name) => {
      if (!(name ?? '').startsWith(prefix)) return
      left--
      if (left > 0) return
      watcher.close()
      resolve()
    })
    watcher.unref()
  })
}

function start(context: TestContext, config: string): { readonly end: Promise<number | string | null>; kill(): void } {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'train', config, '--resume', '--quiet'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  context.after(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', (piece: Buffer) => {
    errors += piece.toString()
  })
  const end = new Promise<number | string | null>((resolve, reject) => {
    child.on('close', (status, signal) => (errors === '' ? resolve(signal ?? status) : reject(new Error(errors))))
  })
  return { end, kill: () => void child.kill('SIGKILL') }
}

test(`killed ${kills} times = never killed`, { timeout: 300_000 }, async (context) => {
  const folder = temporaryFolder(context)
  const files = Object.fromEntries(
    ['killed', 'whole'].map((name) => {
      const place = join(folder, name)
      mkdirSync(place)
      const config = configOf(place, questions(4), {
        adapter: { rank: 2, dropout: 0.2 },
        method: 'opsd-ema',
        rollout: { maxTokens: 3 },
        optimisation: { batch: 2, steps: 24, rate: 1e-3 },
        checkpoints: { every: 1 },
        run: { folder: join(place, 'run'), transcripts: { every: 3, rollouts: 1 }, threads: 1 },
      })
      const path = join(place, 'config.yaml')
      writeFileSync(path, stringify(config))
      return [name, { path, run: config.run.folder }]
    }),
  ) as Record<'killed' | 'whole', { path: string; run: string }>

  const next = random(4)
  const when: Record<string, number> = {}
  for (let i = 0; i < kills; i++) {
    const kind = kinds[i % kinds.length] as (typeof kinds)[number]
    const child = start(context, files.killed.path)
    const { place, prefix, changes, upTo } = moments[kind]
    const moment = changed(join(files.killed.run, place), prefix, Math.ceil(next() * changes)).then(() => sleep(next() * upTo))
    await Promise.race([moment, child.end])
    child.kill()
    assert.equal(await child.end, 'SIGKILL', `kill ${i + 1} came too late: the run was finished`)
    when[kind] = (when[kind] ?? 0) + 1
  }
  assert.deepEqual(
    Object.values(when),
    kinds.map(() => kills / kinds.length),
  )
  assert.equal(await start(context, files.killed.path).end, 0)
  assert.equal(await start(context, files.whole.path).end, 0)
  sameRun(files.killed.run, files.whole.run, 'killed')
  const events = readEvents(files.killed.run)
  assert.ok(events.filter(({ type }) => type === 'resumed').length >= kills / 2)
  assert.equal(events.at(-1)?.type, 'finished')
})
