// `sightline train`: a run from its configuration to its result, watched by a person or by a program.

import { join } from 'node:path'
import { readConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { liveInstruments } from '../diagnostics/live.ts'
import { ArgumentError } from '../errors.ts'
import { names } from '../runs/layout.ts'
import { isRun, readRun } from '../runs/read.ts'
import { encode, type Metrics, type RunEvent, ratio } from '../runs/schema.ts'
import { defineMethod } from '../supervision/check.ts'
import type { Method, MethodTable } from '../supervision/method.ts'
import { train, type Watch } from '../training/loop.ts'
import { openSession, type SessionOptions } from '../training/session.ts'
import { DivergedError } from '../training/telling.ts'
import { resultFolder } from '../training/trainee.ts'
import { hubAccess } from './hub.ts'
import { resolveMethod } from './method.ts'
import { clock, counted, stopOnSignals, stoppedStatus } from './terminal.ts'

export interface TrainArguments {
  /** A configuration file, the name of a packaged one, or the folder of a run to go on with. */
  readonly config: string
  readonly sets: readonly string[]
  readonly resume: boolean
  readonly show: 'line' | 'json' | 'nothing'
}

/** Where words go: `print` a line that stays, `status` one that the next replaces (undefined where nobody watches). */
export interface Output {
  readonly print: (line: string) => void
  readonly status: ((line: string) => void) | undefined
}

/** Exit statuses: 0 finished, 1 an error, 2 usage, 3 diverged, 130 stopped by a signal and saved. */
const exits = { finished: 0, diverged: 3, stopped: stoppedStatus } as const

async function configured({ config: name, sets, resume }: TrainArguments): Promise<{ config: Config; method: Method }> {
  if (!isRun(name)) {
    const { config } = readConfig(name, sets)
    return { config, method: await resolveMethod(config) }
  }
  if (!resume) throw new ArgumentError(`${name}: is the folder of a run; go on with it with --resume`)
  const { method } = readRun(name)
  const { config } = readConfig(join(name, names.config), sets)
  // A folder that was moved is still the run.
  return { config: { ...config, run: { ...config.run, folder: name } }, method: defineMethod(method as MethodTable) }
}

const percent = (metrics: Metrics, name: string): string => {
  const metric = metrics[name]
  return metric === undefined || metric.count === 0 ? '–' : `${(100 * ratio(metric)).toFixed(0)} %`
}

/** A step for people. */
function stepLine({ step, total, metrics, seconds, tokens }: Parameters<Watch>[0], left: number): string {
  const means = Object.entries(metrics).filter(([name, { count }]) => name.startsWith('loss/') && count > 0)
  const losses = means.map(([name, metric]) => `${name.slice(5)} ${ratio(metric).toPrecision(3)}`)
  const clipped = Object.entries(metrics).filter(([name]) => name.startsWith('clipped/'))
  const [hit, seen] = clipped.reduce(([sum, count], [, metric]) => [sum + metric.sum, count + metric.count], [0, 0])
  const parts = [
    `step ${String(step).padStart(String(total).length)}/${total}`,
    ...(metrics['skipped']?.sum === 1 ? ['skipped'] : []),
    losses.length === 0
      ? 'nothing supervised'
      : `loss ${ratio(metrics['loss'] ?? { sum: Number.NaN, count: 1 }).toPrecision(3)} (${losses.join(', ')})`,
    `valid ${percent(metrics, 'valid')}`,
    ...(metrics['correct'] === undefined ? [] : [`correct ${percent(metrics, 'correct')}`]),
    ...(metrics['validation/correct'] === undefined ? [] : [`validation ${percent(metrics, 'validation/correct')}`]),
    ...(seen > 0 ? [`clipped ${((100 * hit) / seen).toFixed(0)} %`] : []),
    `${(tokens / seconds).toFixed(0)} tokens/s`,
    step < total ? `${clock(left)} left` : 'done',
  ]
  return parts.join(' · ')
}

/** Tells of steps as it was asked to: lines that stay every so often, a status in between. */
function watcher(show: TrainArguments['show'], { print, status }: Output): Watch {
  let [mean, printed] = [0, 0]
  return (event) => {
    if (show === 'nothing') return
    if (show === 'json') {
      const values = Object.entries(event.metrics).map(([name, metric]) => [name, metric.count === 0 ? null : ratio(metric)])
      print(JSON.stringify({ type: 'step', step: event.step, total: event.total, seconds: event.seconds, metrics: Object.fromEntries(values) }))
      return
    }
    mean = mean === 0 ? event.seconds : 0.9 * mean + 0.1 * event.seconds
    const line = stepLine(event, mean * (event.total - event.step))
    const now = performance.now()
    if (status === undefined || event.step === event.total || printed === 0 || now - printed > 10_000) {
      print(line)
      printed = now
    } else status(line)
  }
}

/** Tells how far it is with looking through rows, which may take minutes: on a terminal all the time, else now and then. */
function looking(say: (line: string) => void, { status }: Output): NonNullable<SessionOptions['progress']> {
  const pause = status === undefined ? 10_000 : 100
  let last = performance.now()
  return (what, done, size) => {
    if (performance.now() - last < pause) return
    last = performance.now()
    ;(status ?? say)(`looking through ${what === 'data' ? 'the data' : 'the data of validation'}: row ${done} of ${size}`)
  }
}

/** What a person should know of an event, in one line; null for what is told otherwise. */
function newsOf(event: RunEvent): string | null {
  const first = (text: string): string => text.split('\n', 1)[0] as string
  if (event.type === 'warning') return `warning: ${first(event.message)}`
  if (event.type === 'step-skipped') return `step ${event.step} is skipped: ${first(event.reason)}`
  return event.type === 'row-skipped' && event.step > 0 ? `row ${event.row} is left out: ${first(event.reason)}` : null
}

/** Trains as the configuration says and returns the exit status. Ctrl-C ends after the step, which is saved; a second one ends at once. */
export async function trainCommand(args: TrainArguments, output: Output): Promise<number> {
  const { config, method } = await configured(args)
  const { print } = output
  const say = (line: string): void => void (args.show === 'line' && print(line))
  const tell = (event: RunEvent): void => {
    // Of a step the watcher tells more.
    if (args.show === 'json' && event.type !== 'step') print(encode(event))
    const news = newsOf(event)
    if (news !== null) say(news)
  }
  await using session = await openSession(config, method, {
    ...{ resume: args.resume, command: process.argv.slice(2), instruments: liveInstruments },
    ...(args.show === 'line' && { progress: looking(say, output) }),
    onEvent: tell,
    hub: { ...hubAccess(), progress: say },
  })
  const count = [...session.trainee.parameters.values()].reduce((sum, { size }) => sum + size, 0)
  say(
    `${method.name} on ${counted(session.batches.size, 'sample')}, ${counted(session.total, 'step')}, ${(count / 1e6).toFixed(2)} M parameters train; ` +
      `run folder ${config.run.folder}`,
  )
  const { length: out } = session.leftOut
  if (out > 0) say(`${out} of ${counted(session.batches.size + out, 'row')} left out (see ${names.events})`)
  if (session.done > 0) say(`going on after step ${session.done}`)
  for (const change of session.changes) say(`changed: ${change}`)

  let { done } = session
  using stop = stopOnSignals((signal) => say(`${signal}: the run stops after this step and is saved; once more ends it at once`))
  try {
    const watch = watcher(args.show, output)
    const end = await train(session, stop.signal, (event) => {
      done = event.step
      watch(event)
    })
    say(
      end === 'finished'
        ? `the result is in ${resultFolder(config.run.folder)}`
        : `stopped and saved; go on with  sightline train ${config.run.folder} --resume`,
    )
    return exits[end]
  } catch (error) {
    if (!(error instanceof DivergedError)) {
      session.run.addEvent({ type: 'failed', step: done, message: (error as Error).message })
      throw error
    }
    process.stderr.write(`sightline: ${error.message}\n`)
    return exits.diverged
  }
}
