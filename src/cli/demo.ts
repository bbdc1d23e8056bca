// `sightline demo`: the main job at nano scale, from a stored base to a report.

import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError } from '../errors.ts'
import { demoFiles, demoJobs } from '../experiments/demo.ts'
import { demoReport, demoSummary } from '../experiments/demo-report.ts'
import { type Progress, runJobs } from '../experiments/jobs.ts'
import { starter } from '../experiments/start.ts'
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

/** What was begun with one base does not go on with another. */
function keepTo(base: string, file: string): void {
  const there = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { readonly base: string }).base : null
  if (there !== null && there !== base) {
    throw new ArgumentError(`${dirname(file)}: holds the beginning of a demonstration on ${there}; give another folder, or remove this one`)
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify({ base }))
}

/** Runs the demonstration and returns the exit status. */
export async function demo({ folder, base = join(bases, 'qwen2_5_vl') }: DemoArguments, output: Output): Promise<number> {
  if (!existsSync(join(base, 'config.json'))) throw new ArgumentError(`${base}: holds no model; make one with  sightline base make DIR`)
  const files = demoFiles(folder)
  // A finished one is made anew: whoever calls it twice wants to see it again. What else is in the folder is not ours to remove.
  if (existsSync(files.report) && existsSync(files.summary)) {
    for (const path of Object.values(files).flatMap((each) => (typeof each === 'string' ? each : Object.values<string>(each)))) {
      rmSync(path, { recursive: true, force: true })
    }
  }
  keepTo(realpathSync(base), files.base)
  const started = performance.now()
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  output.print(`post-training ${base} with OPSD and with ViGOS on two cores, asking before and after; everything goes to ${folder}/`)
  await runJobs(demoJobs(folder, base), { parallel, start: starter(main), signal: stop.signal, onProgress: telling(output, started) })
  process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal)
  if (stop.signal.aborted) {
    output.print('stopped; the same command goes on from here')
    return 130
  }
  const seconds = (performance.now() - started) / 1000
  const summary = demoSummary(folder, seconds)
  writeFileSync(files.report, demoReport(folder, seconds))
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
