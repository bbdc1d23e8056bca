// Reads run folders for viewers and for a run that goes on. All of it works while a trainer writes the folder.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { readJsonIfThere, readLines, readVersionedIfThere } from './files.ts'
import { checkpointOf, names, stepsIn, transcriptsOf } from './layout.ts'
import type { BestInfo, Metrics, RunEvent, RunInfo, StepMetrics, Transcript } from './schema.ts'
import { bestInfo, checkpointInfo, checkpointVersion, event, metricsLine, runInfo, runVersion, transcript } from './schema.ts'

/** What was fixed when the run began. */
export interface RunDescription {
  readonly run: RunInfo
  /** The resolved configuration, as plain JSON. */
  readonly config: unknown
  /** The complete method table, as plain JSON. */
  readonly method: unknown
}

/** A complete checkpoint. */
export interface Checkpoint {
  readonly step: number
  /** Its path. */
  readonly folder: string
  readonly metrics: Metrics
}

/** Whether a folder holds a run. */
export const isRun = (folder: string): boolean => statSync(join(folder, names.run), { throwIfNoEntry: false })?.isFile() ?? false

/**
 * What was fixed when the run began.
 * @throws ArgumentError if the folder holds no run; FileFormatError if a file is damaged or of a newer version
 */
export function readRun(folder: string): RunDescription {
  const run = readVersionedIfThere(join(folder, names.run), runInfo, runVersion)
  if (run === null) throw new ArgumentError(`${folder}: holds no run (there is no ${names.run}); give the folder that a trainer wrote`)
  const part = (name: string): unknown => {
    const value = readJsonIfThere(join(folder, name), z.unknown())
    if (value === null) throw new FileFormatError(`${join(folder, name)}: is missing; every run has one`)
    return value
  }
  return { run, config: part(names.config), method: part(names.method) }
}

/** All events, in the order in which they were written; those of attempts that a later one repeated, too. */
export function readEvents(folder: string): readonly RunEvent[] {
  return readLines(join(folder, names.events), event).map(({ value }) => value)
}

/** The metrics of each optimisation step, by ascending step. */
export function readMetrics(folder: string): readonly StepMetrics[] {
  return readLines(join(folder, names.metrics), metricsLine).map(({ value }) => value)
}

/** The steps, ascending, of which there are transcripts. */
export function transcriptSteps(folder: string): readonly number[] {
  return stepsIn(folder, names.rollouts)
}

/** The rollouts of a step; none if there are no transcripts of it. */
export function readTranscripts(folder: string, step: number): readonly Transcript[] {
  return readLines(join(folder, transcriptsOf(step)), transcript).map(({ value }) => value)
}

/** All checkpoints, by ascending step. */
export function checkpoints(folder: string): readonly Checkpoint[] {
  return stepsIn(folder, names.checkpoints).flatMap((step) => checkpointAt(folder, step) ?? [])
}

/** The checkpoint of a step; null if there is none. */
export function checkpointAt(folder: string, step: number): Checkpoint | null {
  const path = join(folder, checkpointOf(step))
  // A trainer may remove it between the listing and this.
  return orWithout(folder, step, () => {
    const info = readVersionedIfThere(join(path, names.checkpointInfo), checkpointInfo, checkpointVersion)
    if (info === null) return null
    if (info.step === step) return { step, folder: path, metrics: info.metrics }
    throw new FileFormatError(`${join(path, names.checkpointInfo)}: step is ${info.step}; expected ${step}, as in the folder's name`)
  })
}

/** Does what reads a checkpoint; an error about its files then says how to go on without it. */
export function orWithout<T>(folder: string, step: number, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    if (!(cause instanceof FileFormatError)) throw cause
    const before = stepsIn(folder, names.checkpoints).findLast((other) => other < step) ?? 0
    const path = join(folder, checkpointOf(step))
    throw new FileFormatError(`${cause.message}\nIf the checkpoint is damaged, remove ${path} to go on from step ${before}`, { cause })
  }
}

/** The checkpoint to go on from; null if there is none. */
export function latestCheckpoint(folder: string): Checkpoint | null {
  return checkpoints(folder).at(-1) ?? null
}

/** The best checkpoint by the metric that the run keeps one for; null if there is none (yet). */
export function bestCheckpoint(folder: string): (Checkpoint & Omit<BestInfo, 'step'>) | null {
  const best = readJsonIfThere(join(folder, names.best), bestInfo)
  const checkpoint = best === null ? null : checkpointAt(folder, best.step)
  return best === null || checkpoint === null ? null : { ...checkpoint, metric: best.metric, value: best.value }
}
