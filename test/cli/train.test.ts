// `sightline train` as a user and as a program call it: what it prints, how it ends, what it refuses.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { checkpoints, readEvents, readMetrics, readRun } from '../../src/runs/read.ts'
import { ratio } from '../../src/runs/schema.ts'
import { bareQuestions, questions, sameRun, temporaryFolder } from '../training/runs.ts'
import { call, written } from './training.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Ended {
  readonly status: number | string | null
  readonly stdout: string
  readonly stderr: string
}

/** The command as a process; `act` sees what it prints as it comes. */
function run(
  context: TestContext,
  args: readonly string[],
  act: (kill: (signal: NodeJS.Signals) => void, stdout: string) => void = () => {},
  program = 'src/cli/main.ts',
): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], { cwd: root })
  context.after(() => child.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece.toString()
    act((signal) => void child.kill(signal), stdout)
  })
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString()
  })
  return new Promise((resolve) => child.on('close', (status, signal) => resolve({ status: signal ?? status, stdout, stderr })))
}

test('a run for people: what trains, a line for each step, where the result is', async (context) => {
  const { path, run } = written(temporaryFolder(context))
  const { status, lines, statuses } = await call(path)
  assert.equal(status, 0)
  assert.match(lines[0] as string, /^sft on 3 samples, 3 steps, 0\.00 M parameters train; run folder .*run$/)
  const steps = lines.slice(1, -1)
  const metrics = readMetrics(run)
  assert.equal(steps.length, 3)
  for (const [i, line] of steps.entries()) {
    const loss = ratio(metrics[i]?.metrics['loss'] as { sum: number; count: number }).toPrecision(3)
    const left = i < 2 ? '\\d+ s left' : 'done'
    assert.match(line, new RegExp(`^step ${i + 1}/3 · loss ${loss} \\(imitation ${loss}\\) · valid 100 % · clipped 0 % · \\d+ tokens/s · ${left}$`))
  }
  assert.equal(lines.at(-1), `the result is in ${join(run, 'final')}`)
  assert.ok(existsSync(join(run, 'final', 'adapter_model.safetensors')))
  const left = ['checkpoints', 'config.json', 'events.jsonl', 'final', 'method.json', 'metrics.jsonl', 'rollouts', 'run.json']
  assert.deepEqual(readdirSync(run).sort(), left)
  assert.deepEqual(statuses, [])
})

test('on a terminal the first and the last step stay, the others replace each other', async (context) => {
  const { path } = written(temporaryFolder(context), { optimisation: { batch: 1, steps: 4 } })
  const { lines, statuses } = await call(path, { terminal: true })
  assert.deepEqual([...lines, ...statuses].map((line) => /^step \d/.exec(line)?.[0]).filter(Boolean), ['step 1', 'step 4', 'step 2', 'step 3'])
})

test('what was clipped and what was held out is told; a metric that counted nothing is a dash, in JSON null', async (context) => {
  const folder = temporaryFolder(context)
  const changes = { method: 'vigos', rollout: { maxTokens: 2 }, optimisation: { batch: 1, steps: 1 }, adapter: { rank: 1 } }
  const validation = { sources: join(folder, 'data.jsonl'), every: 1, maxTokens: 1, limit: 1 }
  const { path } = written(folder, { ...changes, validation }, questions(3))
  const { lines } = await call(path)
  assert.match(lines[1] as string, / · valid 0 % · correct 0 % · validation 0 % · clipped (100|50|0) % · /)
  rmSync(join(folder, 'run'), { recursive: true })
  const { lines: json } = await call(path, { show: 'json' })
  const parsed = json.map((line) => JSON.parse(line) as { type: string; metrics: Record<string, number | null> })
  assert.deepEqual(
    parsed.map(({ type }) => type),
    ['started', 'validation', 'step', 'checkpoint', 'finished'],
  )
  const { metrics } = parsed[2] as (typeof parsed)[number]
  assert.equal(metrics['loss/perception'], null)
  assert.equal(metrics['validation/tokens'], 1)
})

test('--json prints a line of numbers for each step and one for each other event, --quiet nothing', async (context) => {
  const folder = temporaryFolder(context)
  const { path, run: place } = written(folder)
  const { status, stdout, stderr } = await run(context, ['train', path, '--json'])
  assert.deepEqual([status, stderr], [0, ''])
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; step: number; total: number; seconds: number; metrics: Record<string, number> })
  const steps = lines.filter(({ type }) => type === 'step')
  assert.deepEqual(
    lines.filter(({ type }) => type !== 'step'),
    JSON.parse(JSON.stringify(readEvents(place).filter(({ type }) => type !== 'step'))),
  )
  assert.deepEqual(
    lines.map(({ type }) => type),
    ['started', 'step', 'step', 'step', 'checkpoint', 'finished'],
  )
  assert.deepEqual(
    steps.map(({ type, step, total, metrics }) => [type, step, total, metrics]),
    readMetrics(place).map(({ step, metrics }) => [
      'step',
      step,
      3,
      Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, ratio(metric)])),
    ]),
  )
  assert.ok(steps.every(({ seconds }) => seconds > 0))
  assert.deepEqual(await call(path, { sets: [`run.folder=${join(folder, 'quiet')}`], show: 'nothing' }), { status: 0, lines: [], statuses: [] })
  const both = await run(context, ['train', path, '--json', '--quiet'])
  assert.deepEqual([both.status, /give one of the two/.test(both.stderr)], [1, true])
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends the run after the step, saved; it goes on as if nothing had been`, async (context) => {
    const folder = temporaryFolder(context)
    const { path, run: place } = written(folder, { optimisation: { batch: 1, steps: 120 }, checkpoints: { every: 120 } })
    let sent = false
    const { status, stdout, stderr } = await run(context, ['train', path], (kill, text) => {
      if (sent || !text.includes('step   3/120')) return
      sent = true
      kill(signal)
    })
    assert.deepEqual([status, stderr], [130, ''])
    assert.match(stdout, new RegExp(`\\n${signal}: the run stops after this step and is saved; once more ends it at once\\n`))
    assert.match(stdout, /\nstopped and saved; go on with {2}sightline train .*run --resume\n$/)
    const stopped = readEvents(place).at(-1)
    assert.ok(stopped?.type === 'stopped' && stopped.reason === 'signal' && stopped.step >= 3 && stopped.step < 120)
    assert.deepEqual(
      checkpoints(place).map(({ step }) => step),
      [stopped.step],
    )
    assert.ok(!existsSync(join(place, 'run.lock')))
    // By its folder, which a friend may have moved.
    const moved = join(folder, 'moved')
    renameSync(place, moved)
    if (signal === 'SIGTERM') return
    const rest = await call(moved, { resume: true })
    assert.deepEqual([rest.status, rest.lines[1]], [0, `going on after step ${stopped.step}`])
    await call(path)
    sameRun(moved, place, 'interrupted')
  })
}

test('a second signal ends at once, without the step', async (context) => {
  const folder = temporaryFolder(context)
  // A step of many seconds.
  const changes = { method: 'opsd', adapter: { rank: 1 }, rollout: { maxTokens: 4000, samples: 8 } }
  const { path, run: place } = written(folder, { ...changes, optimisation: { batch: 3, steps: 2 } })
  const started = performance.now()
  const { status, stdout } = await run(context, ['train', path], (kill, text) => {
    if (text.endsWith('run\n')) setTimeout(() => kill('SIGINT'), 300)
    // Later than another sender of the same request would be.
    else if (text.includes('once more ends it at once')) setTimeout(() => kill('SIGINT'), 700)
  })
  assert.equal(status, 130)
  assert.doesNotMatch(stdout, /step 1/)
  assert.ok(performance.now() - started < 15_000)
  assert.deepEqual(
    readEvents(place).map(({ type }) => type),
    ['started'],
  )
})

test('a step without anything to learn from, and one that is skipped, say so', async (context) => {
  const folder = temporaryFolder(context)
  const { path } = written(
    folder,
    {
      method: 'opsd',
      change: { terms: { privileged: { on: { valid: 'answer' } } } },
      rollout: { maxTokens: 1 },
      optimisation: { batch: 1, steps: 1 },
    },
    questions(1),
  )
  const { lines } = await call(path)
  assert.match(lines[0] as string, /^opsd on 1 sample, 1 step, /)
  assert.match(lines[1] as string, /^step 1\/1 · nothing supervised · valid 0 % · correct /)
  const other = join(folder, 'other')
  mkdirSync(other)
  const { path: bad } = written(other, { change: { terms: { imitation: { weight: 1e38 } } } })
  const said = (await call(bad)).lines
  assert.match(said[1] as string, /^step 1 is skipped: the loss is /)
  assert.match(said[2] as string, /^step 1\/3 · skipped · loss /)
})

test('a reader that goes away ends nothing: the run trains on', async (context) => {
  for (const [name, end] of [
    ['pipe', '| head -2'],
    ['full', '> /dev/full'],
  ] as const) {
    const folder = join(temporaryFolder(context), name)
    mkdirSync(folder)
    const { path, run: place } = written(folder, { optimisation: { batch: 1, steps: 60 } })
    const child = spawn('bash', ['-c', `set -o pipefail; "$0" bin/sightline.mjs train "$1" --json ${end}`, process.execPath, path], { cwd: root })
    let errors = ''
    child.stderr.on('data', (piece: Buffer) => {
      errors += piece.toString()
    })
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0)
    assert.equal(readEvents(place).at(-1)?.type, 'finished')
    assert.ok(!existsSync(join(place, 'run.lock')))
    assert.match(errors, name === 'full' ? /^sightline: nothing more can be printed: .*ENOSPC.*\n$/ : /^$/)
  }
})

test('the installed command passes signals on and ends as the run does', async (context) => {
  const folder = temporaryFolder(context)
  const { path, run: place } = written(folder, { optimisation: { batch: 1, steps: 2000 }, checkpoints: { every: 2000 } })
  const begin = (act: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Ended> => {
    let sent = false
    return run(
      context,
      ['train', path, '--resume'],
      (kill, text) => {
        if (sent || !/step .*\d+\/2000/.test(text)) return
        sent = true
        act(kill)
      },
      'bin/sightline.mjs',
    )
  }
  for (const signals of [['SIGINT'], ['SIGHUP'], ['SIGTERM', 'SIGINT', 'SIGHUP']] as const) {
    // Several at once are one request, as where a scheduler tells a process, its group and its parent.
    const { status, stdout } = await begin((kill) => signals.forEach(kill))
    assert.equal(status, 130, signals.join())
    assert.match(stdout, new RegExp(`(${signals.join('|')}): the run stops after this step and is saved[\\s\\S]*stopped and saved`))
    const last = readEvents(place).at(-1)
    assert.ok(last?.type === 'stopped' && last.step < 2000)
    assert.ok(!existsSync(join(place, 'run.lock')), 'nobody trains on')
  }
  const killed = await begin(() => process.kill((JSON.parse(readFileSync(join(place, 'run.lock'), 'utf8')) as { pid: number }).pid, 'SIGKILL'))
  assert.equal(killed.status, 'SIGKILL')
})

test('what cannot begin is refused before anything is written, and the message says what to do', async (context) => {
  const folder = temporaryFolder(context)
  const { path, run: place } = written(folder)
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const refused: readonly (readonly [sets: readonly string[], message: RegExp])[] = [
    [['method=vigoss'], /method vigoss: there is no such preset; there are sft, seqkd, opsd, .*vigos, .*grpo-vgs, or give a \.json, \.yaml, \.ts/],
    [['method=opd'], /the method opd has views with a teacher's weights; set teacher\.path/],
    [['method=opd', 'teacher={path: nowhere}'], /nowhere/],
    [['method=grpo'], /rollout\.samples is 1; the term correctness compares the rollouts of one prompt: give 2 or more/],
    [['rollout.samples=2'], /rollout\.samples is 2; the answers of the method sft come from the data: give 1/],
    [['optimisation.epochs=1', 'optimisation.steps=null', 'optimisation.warmup=4'], /warmup is 4, but the run has 3 steps in all; give fewer/],
    [[`method=${file('empty.ts', 'export const other = 1\n')}`], /empty\.ts: exports no `method`; write {2}export const method =/],
    [[`method=${file('wrong.js', 'export const method = {\n')}`], /wrong\.js: cannot be loaded as a method/],
    [[`method=${join(folder, 'nowhere.ts')}`], /method .*nowhere\.ts: there is no such file/],
    [[`method=${file('wrong.yaml', 'name: [')}`], /wrong\.yaml: cannot be read as a method/],
    [[`method=${file('none.json', '3')}`], /none\.json: holds 3; expected a method's table/],
    [['change={terms: {imitation: {on: {valid: reasoning}}}}'], /imitation.*reasoning/],
    [['change={terms: {imitation: null}}'], /term/],
    [['change={terms: {imitation: {wieght: 3}}}'], /method sft with the change:\n {2}change\.terms\.imitation\.wieght: there is no such field$/],
    [
      ['change={terms: {imitation: {kind: copy}, more: {weight: 2}}}'],
      /:\n {2}change\.terms\.imitation\.kind is "copy"; expected 'distill' \| .*\n {2}change\.terms\.more\.kind is missing; expected/,
    ],
    [['method=vigoss'], /Did you mean vigos\?$/],
    [[`method=${file('table.toml', '')}`], /table\.toml: a method's file ends in \.json, /],
    [[`method=${file('import.ts', "import 'sightline'\n")}`], /Cannot find package 'sightline'.*\n.*npm install \//],
    [[`data.sources=${file('empty.jsonl', '')}`], /empty\.jsonl/],
    [
      [`data.sources=${file('bad.jsonl', '{"problem":"?","answer":""}\n')}`],
      /1 of 1 rows cannot be used:\n {2}row 0 \(.*bad\.jsonl:1\): answer is empty/,
    ],
    [
      ['data.response=\\boxed{{solution}}', `data.sources=${file('unsolved.jsonl', '{"problem":"?","answer":"1"}\n')}`],
      /row 0 \(.*unsolved\.jsonl:1\): there is no solution/,
    ],
    [['rollout.maxTokens=3'], /row \d+: the response has \d+ tokens, rollout\.maxTokens allows 3/],
  ]
  for (const [sets, message] of refused) {
    await assert.rejects(call(path, { sets }), message, sets.join(' '))
    // The last is seen when the first answer is needed.
    if (/allows/.test(String(message))) rmSync(place, { recursive: true })
    else assert.ok(!existsSync(place), sets.join(' '))
  }
  const { status, stderr } = await run(context, ['train', path, '--set', 'method=vigoss'])
  assert.equal(status, 1)
  assert.doesNotMatch(stderr, /\n\s+at /)
  for (const args of [['train'], ['train', path, path], ['train', path, '--steps', '3']]) assert.equal((await run(context, args)).status, 2)
})

test('a teacher with another vocabulary is refused', async (context) => {
  const folder = temporaryFolder(context)
  const { path } = written(folder)
  const teacher = join(folder, 'teacher')
  cpSync(join(root, 'test/goldens/qwen2_5_vl'), teacher, { recursive: true })
  const file = join(teacher, 'tokenizer.json')
  const stored = JSON.parse(readFileSync(file, 'utf8')) as { model: { vocab: Record<string, number> } }
  const { vocab } = stored.model
  const [a, b] = [vocab['a'], vocab['b']]
  assert.ok(a !== undefined && b !== undefined)
  stored.model.vocab = { ...vocab, a: b, b: a }
  writeFileSync(file, JSON.stringify(stored))
  await assert.rejects(
    call(path, { sets: ['method=opd', `teacher.path=${teacher}`] }),
    /teacher: its token \d+ is "[ab]", the student's is "[ab]"; .*one vocabulary/,
  )
})

test('a folder with a run: refused without --resume, and with it unless the configuration is the same', async (context) => {
  const folder = temporaryFolder(context)
  const { path, run: place } = written(folder)
  await call(path)
  await assert.rejects(call(path), /holds a run already; go on with it with --resume, or give another run\.folder/)
  await assert.rejects(call(place), /is the folder of a run; go on with it with --resume/)
  await assert.rejects(call(place, { resume: true, sets: ['run.seed=3'] }), /another configuration:\n {2}run\.seed: 0 in the run, 3 now\nResume it/)
  const changed = call(path, { resume: true, sets: ['optimisation.rate=0.5', 'data.columns.id=key', 'change={terms: {imitation: {weight: 2}}}'] })
  await assert.rejects(changed, (error: Error) => {
    const lines = error.message.split('\n')
    assert.match(lines[0] as string, /the run began with another configuration:$/)
    assert.deepEqual(lines.slice(1, -1), [
      '  change.terms: undefined in the run, {"imitation":{"weight":2}} now',
      '  data.columns.id: null in the run, "key" now',
      '  optimisation.rate: 0.001 in the run, 0.5 now',
      '  method.terms.imitation.weight: 1 in the run, 2 now',
    ])
    return true
  })
  // A finished run is finished again, under whatever path; a new folder begins with --resume too.
  assert.equal((await call(path, { resume: true })).status, 0)
  assert.equal((await call(`${place}/../run/`, { resume: true })).status, 0)
  assert.equal((await call(path, { resume: true, sets: [`run.folder=${join(folder, 'new')}`] })).status, 0)
  sameRun(join(folder, 'new'), place, 'new')
})

test('methods in files of the user, in each format, and merge patches of them', async (context) => {
  const folder = temporaryFolder(context)
  const table = {
    name: 'mine',
    rollout: { by: 'data', view: 'student' },
    prompts: { ask: { user: 'Q: {problem}' } },
    views: { student: { weights: 'student', sees: ['problem'], prompt: 'ask' } },
    terms: { words: { kind: 'imitate' } },
  }
  const texts = { json: JSON.stringify(table), yaml: stringify(table), ts: `export const method: unknown = ${JSON.stringify(table)}\n` }
  const { path } = written(folder)
  const runs = Object.entries(texts).map(([ending, text]) => {
    writeFileSync(join(folder, `mine.${ending}`), text)
    return { ending, place: join(folder, ending) }
  })
  for (const { ending, place } of runs) {
    const { lines } = await call(path, { sets: [`method=${join(folder, `mine.${ending}`)}`, `run.folder=${place}`] })
    assert.match(lines[0] as string, /^mine on 3 samples/)
    assert.match(lines[1] as string, /loss [\d.]+ \(words [\d.]+\)/)
    sameRun(place, join(folder, 'json'), ending)
  }
  const twice = join(folder, 'twice')
  await call(path, { sets: [`method=${join(folder, 'mine.json')}`, 'change={terms: {words: {weight: 2}}, name: yours}', `run.folder=${twice}`] })
  const [once, doubled] = [join(folder, 'json'), twice].map((each) => ratio(readMetrics(each)[0]?.metrics['loss'] as { sum: number; count: number }))
  assert.ok(Math.abs((doubled as number) / (once as number) - 2) < 1e-6)
  assert.equal((readRun(twice).method as { name: string }).name, 'yours')
})

test('a run that diverges ends with 3 and says where to look; one that fails says so in its events', async (context) => {
  const folder = temporaryFolder(context)
  const { path, run: place } = written(folder, {
    change: { terms: { imitation: { weight: 1e38 } } },
    run: { folder: join(folder, 'run'), badSteps: 2 },
  })
  const { status, stdout, stderr } = await run(context, ['train', path, '--json'])
  assert.equal(status, 3)
  assert.match(stderr, /^sightline: 2 steps in a row, the last of them step 2, had logits, a loss or a gradient that is not finite/)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; reason: string; metrics: Record<string, number | null> })
  assert.deepEqual(
    lines.map(({ type, reason, metrics }) => (type === 'step' ? metrics['skipped'] : type === 'stopped' ? reason : type)),
    ['started', 'step-skipped', 1, 'step-skipped', 1, 'limit'],
  )
  assert.deepEqual(
    readEvents(place).map(({ type }) => type),
    ['started', 'step-skipped', 'step', 'step-skipped', 'step', 'stopped'],
  )

  // The third sample's solution is too long, which only its tokens tell.
  const rows = bareQuestions(3).map((row, i) => (i === 2 ? { ...row, solution: 'long '.repeat(2000) } : row))
  const other = join(folder, 'other')
  mkdirSync(other)
  const failing = written(other, { data: { sources: join(other, 'data.jsonl'), shuffle: false } }, rows)
  await assert.rejects(call(failing.path), /row 2: the response has/)
  const last = readEvents(failing.run).at(-1)
  assert.ok(last?.type === 'failed' && last.step === 2 && last.message.startsWith('row 2'))
  assert.ok(!existsSync(join(failing.run, 'run.lock')))
})
