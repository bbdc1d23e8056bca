// Saves checkpoints whole or not at all, and decides which stay: a function of those that there are, so that a crash cannot make it err.

import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { isDiskFull, removeFolder, replaceJson, storageError, storing, sync, syncTree, temporaryIn } from './files.ts'
import { checkpointOf, names } from './layout.ts'
import { checkpoints } from './read.ts'
import type { Metrics } from './schema.ts'
import { checkpointVersion, ratio } from './schema.ts'

/** Which checkpoints stay. */
export interface KeepPolicy {
  /** How many of the latest. */
  readonly keep: number
  /** The best by a metric stays besides; null for none. */
  readonly best: { readonly metric: string; readonly goal: 'max' | 'min' } | null
}

/** What the decision depends on, by ascending step. */
type Candidates = readonly { readonly step: number; readonly metrics: Metrics }[]

export function checkPolicy({ keep }: KeepPolicy): void {
  if (!Number.isSafeInteger(keep) || keep < 1) throw new ArgumentError(`checkpoints: keep is ${keep}; it must be an integer ≥ 1`)
}

/** The best of the checkpoints, of equals the earliest; null if none has the metric. A value that is not a number is never the best. */
export function bestOf(candidates: Candidates, policy: KeepPolicy['best']): { readonly step: number; readonly value: number } | null {
  if (policy === null) return null
  let best: { readonly step: number; readonly value: number } | null = null
  for (const { step, metrics } of candidates) {
    const metric = metrics[policy.metric]
    const value = metric === undefined ? Number.NaN : ratio(metric)
    if (Number.isNaN(value)) continue
    if (best === null || (policy.goal === 'max' ? value > best.value : value < best.value)) best = { step, value }
  }
  return best
}

/** The steps of the checkpoints that go. */
export function surplus(candidates: Candidates, policy: KeepPolicy): number[] {
  const best = bestOf(candidates, policy.best)?.step
  return candidates.slice(0, -policy.keep).flatMap(({ step }) => (step === best ? [] : [step]))
}

/** Writes down which checkpoint is the best of those in a run folder. Returns its step; null if there is none. */
export function writeBest(run: string, policy: KeepPolicy['best']): number | null {
  const path = join(run, names.best)
  const best = bestOf(checkpoints(run), policy)
  if (policy === null || best === null) {
    storing(path, () => rmSync(path, { force: true }))
    return null
  }
  replaceJson(path, { step: best.step, metric: policy.metric, value: best.value })
  return best.step
}

/** Removes the checkpoints that are no longer kept. */
export function prune(run: string, policy: KeepPolicy): void {
  for (const step of surplus(checkpoints(run), policy)) {
    const path = join(run, checkpointOf(step))
    storing(path, () => removeFolder(path))
  }
}

/** Writes a checkpoint beside its place and moves it there when all of it is on the disk. If that fails, nothing is left. */
export async function writeCheckpoint(run: string, step: number, metrics: Metrics, write: (folder: string) => void | Promise<void>): Promise<void> {
  const path = join(run, checkpointOf(step))
  const parent = join(run, names.checkpoints)
  const unfinished = temporaryIn(parent)
  storing(path, () => mkdirSync(unfinished))
  try {
    await write(unfinished)
    replaceJson(join(unfinished, names.checkpointInfo), { version: checkpointVersion, step, metrics })
    storing(path, () => {
      syncTree(unfinished)
      renameSync(unfinished, path)
      sync(parent)
    })
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    throw isDiskFull(error) ? storageError(path, error) : error
  }
}
