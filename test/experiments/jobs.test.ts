// The order, the failures and the progress of an experiment's commands, with commands that are promises.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ArgumentError } from '../../src/errors.ts'
import { type Job, JobError, type Progress, runJobs, type Start } from '../../src/experiments/jobs.ts'
import { random } from '../support.ts'

const root = mkdtempSync(join(tmpdir(), 'sightline-jobs-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0

/** Jobs with outputs in a new folder; `needs` by id. */
function jobsOf(table: Readonly<Record<string, readonly string[]>>, work: Readonly<Record<string, number>> = {}): Job[] {
  const folder = `${++folders}-`
  return Object.entries(table).map(([id, needs]) => ({ id, needs, command: ['do', id], output: join(root, folder + id), work: work[id] ?? 1 }))
}

interface Told {
  /** `+a` begun, `-a` ended. */
  readonly log: string[]
  readonly progress: Progress[]
}

type Behaviour = (job: Job, onShare: (share: number) => void, signal: AbortSignal) => Promise<{ readonly status: number; readonly said: string }>

const good: Behaviour = async ({ output }) => {
  writeFileSync(output, '')
  return { status: 0, said: '' }
}

const ends =
  (status: number, said = ''): Behaviour =>
  async () => ({ status, said })

/** The same, some milliseconds later. */
const later =
  (milliseconds: number, behaviour: Behaviour = good): Behaviour =>
  async (...args) => {
    await setTimeout(milliseconds)
    return await behaviour(...args)
  }

/** Runs jobs; those that are not told otherwise take a moment and succeed. */
async function running(
  jobs: readonly Job[],
  parallel: number,
  behave: Readonly<Record<string, Behaviour>> = {},
  signal = new AbortController().signal,
  ledger: Parameters<typeof runJobs>[1]['ledger'] = null,
) {
  const told: Told = { log: [], progress: [] }
  const start: Start = async (job, onShare, stop) => {
    told.log.push(`+${job.id}`)
    await setTimeout(1)
    try {
      return await (behave[job.id] ?? good)(job, onShare, stop)
    } finally {
      told.log.push(`-${job.id}`)
    }
  }
  const error = await runJobs(jobs, { parallel, start, ledger, signal, onProgress: (progress) => told.progress.push(progress) }).then(
    () => null,
    (reason: unknown) => reason,
  )
  return { ...told, error }
}

const begun = (log: readonly string[]): string[] => log.filter((entry) => entry.startsWith('+')).map((entry) => entry.slice(1))

test('one at a time, jobs run in their order', async () => {
  const { log, error } = await running(jobsOf({ a: [], b: ['a'], c: [], d: ['c', 'a'] }), 1)
  assert.equal(error, null)
  assert.deepEqual(log, ['+a', '-a', '+b', '-b', '+c', '-c', '+d', '-d'])
})

test('what waits for another lets later ones go first', async () => {
  let release = (): void => undefined
  const gate = new Promise<void>((resolve) => (release = resolve))
  const { log } = await running(jobsOf({ a: [], b: ['a'], c: [], d: [] }), 2, {
    a: async (...args) => {
      await gate
      return await good(...args)
    },
    d: async (...args) => {
      release()
      return await good(...args)
    },
  })
  assert.deepEqual(begun(log), ['a', 'c', 'd', 'b'])
})

test('any jobs: each once, after what it needs, never more at a time than allowed and never fewer than possible', async () => {
  const next = random(5)
  for (let round = 0; round < 25; round++) {
    const table: Record<string, string[]> = {}
    const ids = Array.from({ length: 3 + Math.floor(next() * 8) }, (_, i) => `j${i}`)
    for (const [i, id] of ids.entries()) table[id] = ids.slice(0, i).filter(() => next() < 0.25)
    const parallel = 1 + Math.floor(next() * 3)
    const delays = Object.fromEntries(ids.map((id) => [id, Math.floor(next() * 4)]))
    const slow = Object.fromEntries(ids.map((id): [string, Behaviour] => [id, later(delays[id] as number)]))
    const { log, error, progress } = await running(jobsOf(table), parallel, slow)
    assert.equal(error, null)
    assert.deepEqual(begun(log).sort(), [...ids].sort())
    let justEnded = false
    const open = new Set<string>()
    const ended = new Set<string>()
    for (const entry of log) {
      const id = entry.slice(1)
      const ready = ids.filter((each) => !open.has(each) && !ended.has(each) && table[each]?.every((need) => ended.has(need)))
      // When one ends, those that could run beside it have long begun.
      if (entry.startsWith('-') && !justEnded) assert.ok(ready.length === 0 || open.size === parallel)
      justEnded = entry.startsWith('-')
      if (entry.startsWith('+')) {
        assert.ok(table[id]?.every((need) => ended.has(need)))
        open.add(id)
      } else {
        open.delete(id)
        ended.add(id)
      }
      assert.ok(open.size <= parallel)
    }
    assert.ok(progress.every(({ running: now }) => now.length <= parallel))
  }
})

test('what is done is not done again, and counts for those that need it', async () => {
  const jobs = jobsOf({ a: [], b: ['a'], c: ['b'] }, { a: 100 })
  writeFileSync(jobs[0]?.output as string, '')
  const { log, progress, error } = await running(jobs, 2)
  assert.equal(error, null)
  assert.deepEqual(begun(log), ['b', 'c'])
  assert.deepEqual(
    progress
      .filter(({ running: now }) => now.length <= 1)
      .map(({ done, share }) => [done, share])
      .filter(([, share], i, all) => share !== all[i - 1]?.[1]),
    [
      [1, 0],
      [2, 0.5],
      [3, 1],
    ],
  )
  const again = await running(jobs, 2)
  assert.deepEqual(again.log, [])
  assert.deepEqual(again.progress.at(-1), { running: [], done: 3, jobs: 3, share: 1 })
})

test('after a failure those beside it end, those after it do not begin, and the error says what was run and said', async () => {
  const jobs = jobsOf({ a: [], b: [], c: ['a'], d: ['b'], e: [] })
  const { log, error } = await running(jobs, 2, {
    a: ends(3, 'error: no room\n  at disk'),
    b: later(20),
  })
  assert.deepEqual(log, ['+a', '+b', '-a', '-b'])
  assert.ok(error instanceof JobError)
  assert.equal(error.message, 'a ended with status 3: sightline do a\nerror: no room\n  at disk')
  // Called again it goes on from there; what needs the other, which is done, need not wait.
  const again = await running(jobs, 2)
  assert.equal(again.error, null)
  assert.deepEqual(begun(again.log), ['a', 'd', 'c', 'e'])
})

test('of two failures the first is told', async () => {
  const { error } = await running(jobsOf({ a: [], b: [] }), 2, {
    a: later(15, ends(1, 'second')),
    b: ends(1, 'first'),
  })
  assert.match((error as Error).message, /^b ended with status 1.*\nfirst$/)
})

test('a command that succeeds without its file has failed', async () => {
  const [job] = jobsOf({ a: [] }) as [Job]
  const { error } = await running([job], 1, { a: ends(0) })
  assert.ok(error instanceof JobError && error.message.includes(`a ended with status 0 but left no ${job.output}`))
})

test('a command that cannot be run is a failure like others, at once or later', async () => {
  const cause = new Error('spawn ENOENT')
  const { log, error } = await running(jobsOf({ a: [], b: [], c: [] }), 2, {
    a: async () => {
      throw cause
    },
    b: later(20),
  })
  assert.deepEqual(log, ['+a', '+b', '-a', '-b'])
  assert.ok(error instanceof JobError)
  assert.equal(error.cause, cause)
  assert.match(error.message, /^a could not be run: sightline do a\nspawn ENOENT$/)

  const throwing = runJobs(jobsOf({ a: [] }), {
    parallel: 1,
    ledger: null,
    signal: new AbortController().signal,
    onProgress: () => undefined,
    start: () => {
      throw cause
    },
  })
  await assert.rejects(throwing, { name: 'JobError', cause })
})

test('once it is stopped nothing begins, what runs is told, and ending so is no failure', async () => {
  const stop = new AbortController()
  const { log, error, progress } = await running(
    jobsOf({ a: [], b: [], c: [] }),
    2,
    {
      a: async (_, __, signal) => {
        stop.abort()
        assert.ok(signal.aborted)
        return { status: 143, said: 'stopped' }
      },
      b: later(10, ends(130)),
    },
    stop.signal,
  )
  assert.equal(error, null)
  assert.deepEqual(log, ['+a', '+b', '-a', '-b'])
  assert.deepEqual(progress.at(-1), { running: [], done: 0, jobs: 3, share: 0 })
  assert.deepEqual((await running(jobsOf({ a: [] }), 1, {}, AbortSignal.abort())).log, [])
})

test('the share of the work only grows, whatever a command tells, and ends at one', async () => {
  const telling =
    (...told: number[]): Behaviour =>
    async (job, onShare, signal) => {
      for (const share of told) {
        onShare(share)
        await setTimeout(1)
      }
      return await good(job, onShare, signal)
    }
  const { progress } = await running(jobsOf({ a: [], b: ['a'] }, { a: 3, b: 1 }), 2, {
    a: telling(0.25, 0.5, 0.1, 0.75, 1.5),
    b: telling(0.5),
  })
  const seen = progress.map(({ share }) => share)
  assert.deepEqual([...new Set(seen)], [0, 0.1875, 0.375, 0.5625, 0.75, 0.875, 1])
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  )
  assert.deepEqual(progress.at(-1), { running: [], done: 2, jobs: 2, share: 1 })
})

test('jobs that cannot be ordered are refused before any runs', async () => {
  const twice = [...jobsOf({ a: [] }), ...jobsOf({ a: [] })]
  for (const [jobs, says] of [
    [twice, /two jobs are called a/],
    [jobsOf({ a: ['b'], b: [] }), /a needs b, which is not among the jobs before it/],
    [jobsOf({ a: ['a'] }), /a needs a/],
  ] as const) {
    const { error, log } = await running(jobs, 2)
    assert.ok(error instanceof ArgumentError)
    assert.match(error.message, says)
    assert.deepEqual(log, [])
  }
  const { error } = await running(jobsOf({ a: [] }), 0)
  assert.ok(error instanceof ArgumentError && error.message.includes('parallel is 0'))
})

test('of what is there it is asked how it was made, before anything runs; of what begins it is noted', async () => {
  const jobs = jobsOf({ a: [], b: ['a'], c: [] })
  const [a] = jobs as [Job]
  writeFileSync(a.output, '')
  const asked: string[] = []
  const ledger = { check: ({ id }: Job): void => void asked.push(`?${id}`), begin: ({ id }: Job): void => void asked.push(`!${id}`) }
  const { log, error } = await running(jobs, 1, {}, undefined, ledger)
  assert.equal(error, null)
  assert.deepEqual(begun(log), ['b', 'c'])
  assert.deepEqual(asked, ['?a', '!b', '!c'])

  const refusing = {
    ...ledger,
    check: (): void => {
      throw new ArgumentError('another')
    },
  }
  const again = await running([...jobs, ...jobsOf({ d: [] })], 1, {}, undefined, refusing)
  assert.ok(again.error instanceof ArgumentError)
  assert.deepEqual(again.log, [])
})
