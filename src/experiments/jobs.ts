// Runs the commands of an experiment, a few at a time, in the order in which they need each other. What is done already is not done again.

import { existsSync } from 'node:fs'
import { ArgumentError, SightlineError } from '../errors.ts'
import type { Ledger } from './ledger.ts'

/** A command that leaves one file behind when, and only when, it is complete. */
export interface Job {
  readonly id: string
  /** Arguments of `sightline`. */
  readonly command: readonly string[]
  /** The file that is there once it is done. */
  readonly output: string
  /** Ids of jobs whose outputs it reads. */
  readonly needs: readonly string[]
  /** Its share of the work, in any unit, for the time that is left. */
  readonly work: number
}

/** Runs one command to its end. @param onShare told the done share of it, 0 to 1 @returns its exit status and the end of what it said */
export type Start = (job: Job, onShare: (share: number) => void, signal: AbortSignal) => Promise<{ readonly status: number; readonly said: string }>

export interface Progress {
  readonly running: readonly string[]
  readonly done: number
  readonly jobs: number
  /** Done share of the work of this call, 0 to 1. */
  readonly share: number
}

/** A job failed; those that ran beside it are finished, those that need it are not begun. */
export class JobError extends SightlineError {}

function checkJobs(jobs: readonly Job[]): void {
  const seen = new Set<string>()
  for (const { id, needs } of jobs) {
    if (seen.has(id)) throw new ArgumentError(`two jobs are called ${id}`)
    // Whoever comes later cannot be needed, so there are no circles.
    for (const need of needs) if (!seen.has(need)) throw new ArgumentError(`${id} needs ${need}, which is not among the jobs before it`)
    seen.add(id)
  }
}

/**
 * Runs all jobs whose output is missing, `parallel` at a time, earlier ones first. Once `signal` aborts, none is begun, and it returns when those
 * that run have ended.
 * @throws JobError when one fails, after those that run beside it have ended; what is done stays
 * @throws ArgumentError for two jobs of one name, needs that are not jobs before, and an output that another command made
 */
export async function runJobs(
  jobs: readonly Job[],
  {
    parallel,
    start,
    ledger,
    signal,
    onProgress,
  }: {
    readonly parallel: number
    readonly start: Start
    /** Null for jobs whose outputs say themselves what they are. */
    readonly ledger: Pick<Ledger, 'check' | 'begin'> | null
    readonly signal: AbortSignal
    readonly onProgress: (progress: Progress) => void
  },
): Promise<void> {
  checkJobs(jobs)
  if (!(Number.isInteger(parallel) && parallel > 0)) throw new ArgumentError(`parallel is ${parallel}; expected an integer from 1 up`)
  const there = jobs.filter(({ output }) => existsSync(output))
  for (const job of there) ledger?.check(job)
  const done = new Set(there.map(({ id }) => id))
  const waiting = jobs.filter(({ id }) => !done.has(id))
  const work = waiting.reduce((sum, job) => sum + job.work, 0)
  const shares = new Map<Job, number>()
  const running = new Map<Job, Promise<void>>()
  let failure: JobError | null = null

  const tell = (): void => {
    const share = work > 0 ? [...shares].reduce((sum, [job, part]) => sum + part * job.work, 0) / work : 1
    onProgress({ running: Array.from(running.keys(), ({ id }) => id), done: done.size, jobs: jobs.length, share })
  }
  const run = async (job: Job): Promise<void> => {
    const onShare = (share: number): void => {
      // A command that counts anew for a part of its work does not take back what was told.
      shares.set(job, Math.min(1, Math.max(share, shares.get(job) ?? 0)))
      tell()
    }
    const fail = (how: string, said: string, cause?: unknown): void => {
      // What ends because it is told to has not failed.
      if (!signal.aborted) failure ??= new JobError(`${job.id} ${how}: sightline ${job.command.join(' ')}\n${said}`, { cause })
    }
    try {
      ledger?.begin(job)
      const { status, said } = await start(job, onShare, signal)
      if (status === 0 && existsSync(job.output)) {
        done.add(job.id)
        shares.set(job, 1)
      } else fail(`ended with status ${status}${status === 0 ? ` but left no ${job.output}` : ''}`, said)
    } catch (cause) {
      fail('could not be run', cause instanceof Error ? cause.message : String(cause), cause)
    }
  }
  while (failure === null && !signal.aborted) {
    while (running.size < parallel) {
      const next = waiting.findIndex(({ needs }) => needs.every((need) => done.has(need)))
      if (next < 0) break
      const [job] = waiting.splice(next, 1) as [Job]
      running.set(
        job,
        run(job).finally(() => running.delete(job)),
      )
    }
    tell()
    if (running.size === 0) break
    await Promise.race(running.values())
  }
  await Promise.allSettled(running.values())
  if (failure !== null) throw failure
  tell()
}
