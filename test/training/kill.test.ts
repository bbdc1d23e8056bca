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

/** When a process is killed. `moment`: what to wait for, given the run folder; then some time goes by. */
const moments = {
  'while it starts': { moment: async () => {}, upTo: 700 },
  'while it trains': { moment: (run: string) => change(join(run, 'events.jsonl')), upTo: 150 },
  'while it writes a checkpoint': { moment: (run: string) => change(join(run, 'checkpoints'), '.tmp-'), upTo: 6 },
  'after a line of metrics': { moment: (run: string) => change(join(run, 'metrics.jsonl')), upTo: 2 },
} as const
const kinds = Object.keys(moments) as (keyof typeof moments)[]

/** When a file, or a name in a folder that begins with `prefix`, changes. */
async function change(path: string, prefix = ''): Promise<void> {
  while (!existsSync(path)) await sleep(5)
  await new Promise<void>((resolve) => {
    const watcher = watch(path, (_, name) => {
      if (!(name ?? '').startsWith(prefix)) return
      watcher.close()
      resolve()
    })
    watcher.unref()
  })
}

function start(context: TestContext, config: string): { readonly pid: number; readonly end: Promise<number | string | null>; kill(): void } {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'train', config, '--resume', '--quiet'], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  context.after(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', (piece: Buffer) => {
    errors += piece.toString()
  })
  const end = new Promise<number | string | null>((resolve, reject) => {
    child.on('close', (status, signal) => (errors === '' ? resolve(signal ?? status) : reject(new Error(errors))))
  })
  return { pid: child.pid as number, end, kill: () => void child.kill('SIGKILL') }
}

test(`killed ${kills} times = never killed`, { timeout: 120_000 }, async (context) => {
  const folder = temporaryFolder(context)
  const files = Object.fromEntries(
    ['killed', 'whole'].map((name) => {
      const place = join(folder, name)
      mkdirSync(place)
      const config = configOf(place, questions(4), {
        adapter: { rank: 2, dropout: 0.2 },
        method: 'opsd-ema',
        rollout: { maxTokens: 3 },
        optimisation: { batch: 2, steps: 60, rate: 1e-3 },
        checkpoints: { every: 1 },
        run: { folder: join(place, 'run'), transcripts: { every: 3, rollouts: 1 } },
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
    const { moment, upTo } = moments[kind]
    await Promise.race([moment(files.killed.run).then(() => sleep(next() * upTo)), child.end])
    child.kill()
    assert.equal(await child.end, 'SIGKILL', `kill ${i + 1} came too late: the run was finished`)
    when[kind] = (when[kind] ?? 0) + 1
  }
  assert.deepEqual(Object.values(when), kinds.map(() => kills / kinds.length))
  assert.equal(await start(context, files.killed.path).end, 0)
  assert.equal(await start(context, files.whole.path).end, 0)
  sameRun(files.killed.run, files.whole.run, 'killed')
  const events = readEvents(files.killed.run)
  console.error(events.filter(({type})=>type==='resumed').map((e)=>e.step).join(' '))
  assert.ok(events.filter(({ type }) => type === 'resumed').length >= kills / 2)
  assert.equal(events.at(-1)?.type, 'finished')
})
