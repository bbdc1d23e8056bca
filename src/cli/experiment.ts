// `sightline experiment`: comparisons that replicate over bases, each resumable and with a report of its own.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError } from '../errors.ts'
import { summarise } from '../experiments/compare.ts'
import { comparisonReport } from '../experiments/comparison-report.ts'
import { type Job, runJobs } from '../experiments/jobs.ts'
import { Ledger } from '../experiments/ledger.ts'
import { acceptedSeeds, baseJobs, comparisonJobs, ExperimentFiles, modelsUsed } from '../experiments/plan.ts'
import { experimentNamed, experiments } from '../experiments/registry.ts'
import { starter } from '../experiments/start.ts'
import { lock } from '../runs/lock.ts'
import { parallel, telling } from './demo.ts'
import type { Output } from './train.ts'

export interface ExperimentArguments {
  /** Of the experiment, or "list". */
  readonly name: string
  readonly folder: string
  /** Local copy of VlmsAreBlind, for experiments that ask for figures. */
  readonly blindtest: string | undefined
}

/** Runs an experiment, or goes on with it; returns the exit status. */
export async function experiment({ name, ...given }: ExperimentArguments, output: Output): Promise<number> {
  if (name === 'list') {
    for (const { name: each, about } of experiments) output.print(`${each.padEnd(16)} ${about}`)
    return 0
  }
  const plan = experimentNamed(name)
  const folder = resolve(given.folder)
  const blindtest = given.blindtest === undefined ? null : resolve(given.blindtest)
  if (blindtest !== null && plan.figures === null) throw new ArgumentError(`--blindtest: the experiment ${name} asks for no figures`)
  if (blindtest !== null && !existsSync(blindtest)) throw new ArgumentError(`--blindtest ${blindtest}: there is no such folder`)
  const files = new ExperimentFiles(folder, blindtest)
  mkdirSync(folder, { recursive: true })
  using _held = lock(folder)
  const ledger = new Ledger(files.commands, [...(blindtest === null ? [] : [[blindtest, 'BLINDTEST'] as const]), [dirname(folder), '..']])
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  const start = starter(fileURLToPath(new URL('main.ts', import.meta.url)))
  const round = async (jobs: readonly Job[], noted: Ledger | null): Promise<void> =>
    await runJobs(jobs, { parallel, start, ledger: noted, signal: stop.signal, onProgress: telling(output, performance.now()) })
  // Bases that are rejected are replaced by those of further seeds, until these run out.
  for (let jobs: readonly Job[] = baseJobs(plan, files); jobs.length > 0 && !stop.signal.aborted; jobs = missing(baseJobs(plan, files)))
    await round(jobs, null)
  const accepted = acceptedSeeds(plan, files).length
  if (!stop.signal.aborted && accepted < plan.bases) {
    throw new ArgumentError(
      `${folder}: ${accepted} of the ${plan.candidates} bases that were tried keep the rules, ${plan.bases} are needed; see base.json in ${files.base(plan.recipe, 1)} and the others`,
    )
  }
  if (!stop.signal.aborted) {
    for (const record of modelsUsed(plan, files)) ledger.uses(`${record.recipe} base ${record.seed}`, record)
    await round(comparisonJobs(plan, files), ledger)
  }
  process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal)
  if (stop.signal.aborted) {
    output.print('stopped; the same command goes on from here')
    return 130
  }
  const results = { report: join(folder, 'report.html'), summary: join(folder, 'summary.json') }
  writeFileSync(results.report, comparisonReport(plan, files))
  writeFileSync(results.summary, `${JSON.stringify(summarise(plan, files), null, 1)}\n`)
  output.status?.('')
  output.print(`the report is ${results.report}, its numbers are in ${results.summary}`)
  return 0
}

/** Jobs that make models which are not there yet; the others need no further round. */
const missing = (jobs: readonly Job[]): readonly Job[] => (jobs.some(({ id }) => id.startsWith('base ')) ? jobs : [])
