// Whatever a kill or a full disk leaves of the last lines, the run opens again, and going on gives what an unbroken run would have given.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRun, latestCheckpoint, readEvents, readMetrics, readTranscripts, transcriptSteps } from '../../src/runs/read.ts'
import type { Run } from '../../src/runs/run.ts'
import { createRun, openRun } from '../../src/runs/run.ts'
import { random } from '../support.ts'
import { metricsOf, newRun, policy, temporaryFolder, train, transcriptOf } from './example.ts'

const trainer = join(import.meta.dirname, 'trainer.ts')

/** Each .jsonl file: its lines, and how a run writes the i-th of them. */
interface Subject {
  readonly file: string
  readonly lines: number
  readonly kept: (folder: string) => number
  readonly add: (run: Run, i: number) => void
}

const subjects: readonly Subject[] = [
  {
    file: 'events.jsonl',
    lines: 3,
    kept: (folder) => readEvents(folder).length,
    add: (run, i) => run.addEvent({ type: 'warning', step: i, message: `Größe ${i} 🙂` }),
  },
  {
    file: 'metrics.jsonl',
    lines: 3,
    kept: (folder) => readMetrics(folder).length,
    add: (run, i) => run.addMetrics(i + 1, metricsOf(i + 1)),
  },
  {
    file: 'rollouts/step-000003.jsonl',
    lines: 3,
    kept: (folder) => readTranscripts(folder, 3).length,
    add: (run, i) => run.addTranscripts(3, [transcriptOf(3, i)]),
  },
]

for (const { file, lines, kept, add } of subjects) {
  test(`${file}: cut at every byte of its last two lines, it is repaired, and what follows gives the uncut file`, (context) => {
    context.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 2) })
    const folder = temporaryFolder(context)
    const path = join(folder, file)
    const write = (run: Run, from: number): void => {
      for (let i = from; i < lines; i++) add(run, i)
    }
    {
      using run = createRun(folder, newRun)
      write(run, 0)
    }
    const whole = readFileSync(path)
    const first = whole.indexOf('\n') + 1
    const second = whole.indexOf('\n', first) + 1
    for (let length = first; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      const expected = length === whole.length ? 3 : length >= second ? 2 : 1
      assert.equal(kept(folder), expected, `a viewer, cut at ${length}`)
      using run = openRun(folder, policy)
      const cut = length - ([first, second, whole.length][expected - 1] as number)
      assert.deepEqual(run.repairs, cut === 0 ? [] : [{ file, bytes: cut }], `cut at ${length}`)
      assert.equal(kept(folder), expected, `repaired, cut at ${length}`)
      write(run, expected)
      assert.deepEqual(readFileSync(path), whole, `cut at ${length}`)
    }
  })
}

test('last lines that a power failure filled with zeros or that are no UTF-8 are cut off, however long', (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'metrics.jsonl')
  {
    using run = createRun(folder, newRun)
    run.addMetrics(1, metricsOf(1))
  }
  const whole = readFileSync(path)
  const tails = [
    Buffer.alloc(300_000),
    Buffer.from(`${'\0'.repeat(70_000)}\n`),
    Buffer.from([0x22, 0xff, 0x22, 0x0a]),
    Buffer.from('\n'),
    Buffer.from('null\n'),
  ]
  for (const tail of tails) {
    appendFileSync(path, tail)
    using run = openRun(folder, policy)
    assert.deepEqual(run.repairs, [{ file: 'metrics.jsonl', bytes: tail.length }])
    assert.deepEqual(readFileSync(path), whole)
  }
  truncateSync(path, 3)
  using run = openRun(folder, policy)
  assert.deepEqual(run.repairs, [{ file: 'metrics.jsonl', bytes: 3 }])
  assert.equal(readFileSync(path).length, 0)
})

test('a broken line in the middle is an error that names file and line, and changes nothing', (context) => {
  const folder = temporaryFolder(context)
  {
    using run = createRun(folder, newRun)
    for (const step of [1, 2, 3]) run.addMetrics(step, metricsOf(step))
    for (const step of [1, 2, 3]) run.addEvent({ type: 'warning', step, message: 'x' })
    for (const sample of [0, 1, 2]) run.addTranscripts(2, [transcriptOf(2, sample)])
  }
  for (const [file, read] of [
    ['metrics.jsonl', () => readMetrics(folder)],
    ['events.jsonl', () => readEvents(folder)],
    ['rollouts/step-000002.jsonl', () => readTranscripts(folder, 2)],
  ] as const) {
    const path = join(folder, file)
    const whole = readFileSync(path, 'utf8')
    const lines = whole.split('\n')
    const broken = lines.with(1, lines[1]?.slice(0, -5) ?? '').join('\n')
    writeFileSync(path, broken)
    const error = { name: 'FileFormatError', message: new RegExp(`${file}: line 2: no valid JSON`) }
    assert.throws(read, error)
    // Transcripts of old steps are not read to open a run.
    if (!file.startsWith('rollouts')) assert.throws(() => openRun(folder, policy), error)
    assert.equal(readFileSync(path, 'utf8'), broken)
    assert.ok(!existsSync(join(folder, 'run.lock')))
    writeFileSync(path, whole)
  }
})

const repeatable = (folder: string): Map<string, string> =>
  new Map(
    ['metrics.jsonl', ...transcriptSteps(folder).map((step) => `rollouts/step-${String(step).padStart(6, '0')}.jsonl`)].map((name) => [
      name,
      readFileSync(join(folder, name), 'utf8'),
    ]),
  )

test('killed with SIGKILL twenty times, a run always opens, and ends as one that was never killed', { timeout: 120_000 }, async (context) => {
  const folder = join(temporaryFolder(context), 'run')
  const next = random(11)
  for (let kill = 0; kill < 20; kill++) {
    const child = spawn(process.execPath, [trainer, folder, 'train', '1000000'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    // Many soon after the beginning, where it opens, repairs and rewinds.
    await new Promise((resolve) => setTimeout(resolve, 300 * next() ** 2))
    child.kill('SIGKILL')
    assert.deepEqual(await ended, [null, 'SIGKILL'], 'it was still running')
    // What a viewer sees of it.
    if (!isRun(folder)) continue
    readEvents(folder)
    const steps = readMetrics(folder).map(({ step }) => step)
    const latest = latestCheckpoint(folder)
    assert.deepEqual(
      steps,
      Array.from(steps, (_, i) => i + 1),
    )
    assert.ok(steps.length >= (latest?.step ?? 0), 'no checkpoint without its lines')
    if (latest !== null) assert.equal(readFileSync(join(latest.folder, 'end'), 'utf8'), String(latest.step), 'no checkpoint that is not whole')
  }
  const last = (latestCheckpoint(folder)?.step ?? 0) + 4
  using run = isRun(folder) ? openRun(folder, policy) : createRun(folder, newRun)
  assert.deepEqual(
    readdirSync(join(folder, 'checkpoints')).filter((name) => name.startsWith('.')),
    [],
  )
  await train(run, last)
  using whole = createRun(join(temporaryFolder(context), 'whole'), newRun)
  await train(whole, last)
  assert.deepEqual(repeatable(folder), repeatable(whole.folder))
  assert.equal(readEvents(folder).at(-1)?.type, 'finished')
  context.diagnostic(`${last} steps, ${readEvents(folder).filter(({ type }) => type === 'resumed').length} times resumed`)
})

test('a disk that fills up in the middle of a line keeps whole lines, and the run opens without a repair', (context) => {
  const folder = join(temporaryFolder(context), 'run')
  // No file can grow above so many KiB: the next write stores a part of a line, and then fails.
  const { status, stderr } = spawnSync('bash', ['-c', 'ulimit -f 6; exec "$@"', 'bash', process.execPath, trainer, folder, 'train', '1000'], {
    encoding: 'utf8',
  })
  assert.equal(status, 1)
  assert.match(stderr, /StorageError: .*metrics\.jsonl: cannot be written: EFBIG.*then resume the run/)
  const text = readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
  assert.ok(text.length > 5500 && text.length <= 6144 && text.endsWith('}\n'), `${text.length} bytes`)
  const copy = temporaryFolder(context)
  cpSync(folder, copy, { recursive: true })
  using run = openRun(copy, policy)
  assert.deepEqual(run.repairs, [])
})
