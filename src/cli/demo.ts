// `sightline demo`: the main job at nano scale, from a stored base to a report.

import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError } from '../errors.ts'
import { demoFiles, demoJobs } from '../experiments/demo.ts'
import { demoReport, demoSummary } from '../experiments/demo-report.ts'
import { type Progress, runJobs } from '../experiments/jobs.ts'
import { Ledger } from '../experiments/ledger.ts'
import { starter } from '../experiments/start.ts'
import { learnedSide } from '../nano/base.ts'
import { lock } from '../runs/lock.ts'
import type { Output } from './train.ts'

/** The stored bases. */
const bases = fileURLToPath(new URL('../../bases', import.meta.url))
const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** Commands at a time: one thread each, since small matrices gain nothing from a second. */
export const parallel = 2

/** Says how far it is: on a terminal all the time, else now and then. */
export function telling({ print, status }: Output, started: number): (progress: Progress) => void {
  let last = 0
  return ({ running, done, jobs, share }) => {
    const seconds = (performance.now() - started) / 1000
    const left = share > 0.02 ? `about ${Math.ceil((seconds * (1 - share)) / share)} s left` : ''
    const line = [`${done} of ${jobs} done`, running.join(', '), left].filter((part) => part !== '').join(' · ')
    if (status !== undefined) return status(line)
    if (performance.now() - last < 10_000) return
    last = performance.now()
    print(line)
  }
}

export interface DemoArguments {
  /** Where everything is written; a demonstration that was stopped there goes on. */
  readonly folder: string
  /** Folder of the base; undefined: the stored one. */
  readonly base: string | undefined
}

/** What is known of the demonstration in a folder: its base, and the seconds that were spent on it; null where there is none. */
function begunIn(file: string): { readonly base: string; readonly seconds: number } | null {
  const { base, seconds }: { readonly base?: unknown; readonly seconds?: unknown } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  return typeof base === 'string' ? { base, seconds: typeof seconds === 'number' ? seconds : 0 } : null
}

/** What was begun with one base does not go on with another. @returns seconds that were spent on it before */
function keepTo(base: string, file: string): number {
  const there = begunIn(file)
  if (there !== null && there.base !== base) {
    throw new ArgumentError(`${dirname(file)}: holds the beginning of a demonstration on ${there.base}; give another folder, or remove this one`)
  }
  mkdirSync(dirname(file), { recursive: true })
  const seconds = there?.seconds ?? 0
  writeFileSync(file, JSON.stringify({ base, seconds }))
  return seconds
}

/** Runs the demonstration and returns the exit status. */
export async function demo({ folder, base = join(bases, 'qwen2_5_vl') }: DemoArguments, output: Output): Promise<number> {
  if (!existsSync(join(base, 'config.json'))) throw new ArgumentError(`${base}: holds no model; make one with  sightline base make DIR`)
  const files = demoFiles(folder)
  // A finished one is made anew: whoever calls it twice wants to see it again. What else is in the folder is not ours to remove.
  if (existsSync(files.report) && existsSync(files.summary)) {
    if (begunIn(files.base) === null) {
      throw new ArgumentError(`${folder}: holds ${files.report} and ${files.summary}, which no demonstration has left; name another folder`)
    }
    for (const path of Object.values(files).flatMap((each) => (typeof each === 'string' ? each : Object.values<string>(each)))) {
      rmSync(path, { recursive: true, force: true })
    }
  }
  const before = keepTo(realpathSync(base), files.base)
  using _held = lock(folder)
  const ledger = new Ledger(files.commands, [[resolve(folder), '.']])
  const started = performance.now()
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  output.print(`post-training ${base} with OPSD and with ViGOS on two cores, asking before and after; everything goes to ${folder}/`)
  const jobs = demoJobs(resolve(folder), realpathSync(base), learnedSide(base))
  await runJobs(jobs, { parallel, start: starter(main), ledger, signal: stop.signal, onProgress: telling(output, started) })
  process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal)
  const seconds = before + (performance.now() - started) / 1000
  if (stop.signal.aborted) {
    writeFileSync(files.base, JSON.stringify({ base: realpathSync(base), seconds }))
    output.print('stopped; the same command goes on from here')
    return 130
  }
  const summary = demoSummary(folder, seconds)
  writeFileSync(files.report, demoReport(folder, base, seconds))
  writeFileSync(files.summary, `${JSON.stringify(summary, null, 2)}\n`)
  output.status?.('')
  for (const line of table(summary)) output.print(line)
  output.print(`${Math.round(seconds)} s; the report is ${files.report}, its numbers are in ${files.summary}`)
  return 0
}

function table(summary: ReturnType<typeof demoSummary>): string[] {
  const share = (value: number | null): string => value?.toFixed(2) ?? '–'
  return [
    `Score, pictures against what is usual:  ${share(summary.score_before)} before, ${share(summary.score_opsd)} with OPSD, ${share(summary.score_vigos)} with ViGOS`,
    `  gain of ViGOS, 95 % interval:         ${share(summary.score_gain_low)} to ${share(summary.score_gain_high)}`,
    `Prior, pictures as usual:               ${share(summary.prior_before)} before, ${share(summary.prior_vigos)} with ViGOS`,
    `Description truth:                      ${share(summary.description_truth_opsd)} with OPSD, ${share(summary.description_truth_vigos)} with ViGOS`,
  ]
}
