// Writes a run folder: what a trainer does to it, and what makes it whole again after a kill.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ArgumentError, FileFormatError } from '../errors.ts'
import type { KeepPolicy } from './checkpoints.ts'
import { checkPolicy, prune, writeBest, writeCheckpoint } from './checkpoints.ts'
import type { Line } from './files.ts'
import { Appender, cutBrokenTail, cutFile, readLines, removeFolder, removeTemporaries, replaceJson, storing, sync } from './files.ts'
import { checkpointOf, names, stepsIn, transcriptsOf } from './layout.ts'
import { type Lock, lock, lockName } from './lock.ts'
import { isRun, readEvents, readRun } from './read.ts'
import type { DataInfo, Metrics, NewEvent, RunEvent, StepMetrics, Transcript } from './schema.ts'
import { metricsLine, runVersion } from './schema.ts'

/** What is fixed when a run begins. */
export interface NewRun {
  /** The resolved configuration and the complete method table: plain JSON. */
  readonly config: unknown
  readonly method: unknown
  /** Version of this package. */
  readonly sightline: string
  readonly command: readonly string[]
  /** The engine and its version, in words for people. */
  readonly engine: string
  readonly checkpoints: KeepPolicy
  /** By what its data are known again. */
  readonly data?: DataInfo
}

/** A last line that was cut off when the run was opened. */
export interface Repair {
  /** As from the run folder. */
  readonly file: string
  readonly bytes: number
}

/** Names that a run gives to what is in its folder. */
const own: readonly string[] = [names.config, names.method, names.events, names.metrics, names.rollouts, names.checkpoints]

/**
 * Refuses folders that hold something else than a run: the files of a run would mix with it.
 * @throws ArgumentError that names some of it
 */
export function checkVacant(folder: string): void {
  if (!existsSync(folder) || isRun(folder)) return
  // A lock beside them says that files are of a run that was killed while it began. Hidden ones are of its lock, or nobody's.
  const interrupted = existsSync(join(folder, lockName))
  const foreign = storing(folder, () => readdirSync(folder)).filter(
    (name) => !name.startsWith('.') && !(interrupted && (name === lockName || own.includes(name))),
  )
  if (foreign.length === 0) return
  const more = foreign.length > 5 ? ` and ${foreign.length - 5} more` : ''
  throw new ArgumentError(`${folder}: holds ${foreign.slice(0, 5).join(', ')}${more}, and no run; give a new or an empty folder`)
}

/** Makes a folder and those above it. (Node's own way to do so does not end where a file system refuses with ENOENT, as /proc does.) */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(folder)) throw error
  }
}

/**
 * Begins a run. The folder is made if there is none.
 * @throws ArgumentError if the folder holds a run, or anything else
 * @throws StorageError if it cannot be written
 */
export function createRun(folder: string, { config, method, sightline, command, engine, checkpoints: policy, data }: NewRun): Run {
  checkPolicy(policy)
  checkVacant(folder)
  storing(folder, () => makeFolder(resolve(folder)))
  const held = lock(folder)
  try {
    if (isRun(folder)) throw new ArgumentError(`${folder}: holds a run already; resume it, or give another folder`)
    storing(folder, () => {
      removeTemporaries(folder)
      for (const name of [names.rollouts, names.checkpoints]) mkdirSync(join(folder, name), { recursive: true })
      for (const name of [names.events, names.metrics]) writeFileSync(join(folder, name), '')
    })
    replaceJson(join(folder, names.config), config)
    replaceJson(join(folder, names.method), method)
    const machine = { platform: process.platform, cpus: availableParallelism(), memoryBytes: totalmem(), node: process.version }
    const createdAt = new Date().toISOString()
    // The last file: with it the folder is a run.
    replaceJson(join(folder, names.run), { version: runVersion, id: crypto.randomUUID(), createdAt, sightline, command, machine, engine, data })
    return new Run(folder, policy, held, [])
  } catch (error) {
    held[Symbol.dispose]()
    throw error
  }
}

/**
 * Opens a run to write on: what a kill left unfinished is removed, and last lines that it broke are cut off and reported in `repairs`. To
 * go on from a checkpoint, call `rewindTo` with its step; from the beginning, with 0.
 * @throws ArgumentError if the folder holds no run, or another process writes it
 * @throws FileFormatError if a file is damaged in a way that no kill explains, or of a newer version
 * @throws StorageError if it cannot be written
 */
export function openRun(folder: string, policy: KeepPolicy): Run {
  checkPolicy(policy)
  readRun(folder)
  const held = lock(folder)
  try {
    const repairs = storing(folder, () => {
      for (const part of [names.rollouts, names.checkpoints]) mkdirSync(join(folder, part), { recursive: true })
      for (const part of ['', names.checkpoints]) removeTemporaries(join(folder, part))
      const lines = [names.events, names.metrics].filter((name) => existsSync(join(folder, name)))
      const files = [...lines, ...stepsIn(folder, names.rollouts).map(transcriptsOf)]
      return files.map((file) => ({ file, bytes: cutBrokenTail(join(folder, file)) })).filter(({ bytes }) => bytes > 0)
    })
    readEvents(folder)
    return new Run(folder, policy, held, repairs)
  } catch (error) {
    held[Symbol.dispose]()
    throw error
  }
}

/** A run folder that this process writes; made by `createRun` and `openRun`. Dispose of it to release the folder. */
export class Run implements Disposable {
  readonly folder: string
  readonly repairs: readonly Repair[]
  /** Whose lock was taken over without knowing that its process has ended, in words; null for none. */
  readonly takenOver: string | null
  readonly #policy: KeepPolicy
  readonly #lock: Lock
  readonly #events: Appender
  readonly #metrics: Appender
  /** Transcripts that may not be on the disk for good. */
  readonly #unsynced = new Set<string>()
  /** Of the last line of metrics; steps count from 1. */
  #lastStep: number
  #open = true
  #heard: ((event: RunEvent) => void) | null = null

  constructor(folder: string, policy: KeepPolicy, held: Lock, repairs: readonly Repair[]) {
    this.folder = folder
    this.repairs = repairs
    this.takenOver = held.takenOver
    this.#policy = policy
    this.#lock = held
    this.#lastStep = this.#metricsLines().at(-1)?.value.step ?? 0
    this.#events = new Appender(join(folder, names.events))
    this.#metrics = new Appender(join(folder, names.metrics))
  }

  /** Writes an event down, with the time. */
  addEvent(event: NewEvent): void {
    this.#mustBeOpen()
    const { type, ...rest } = event
    const written = { type, time: new Date().toISOString(), ...rest } as RunEvent
    this.#events.add(written)
    this.#heard?.(written)
  }

  /** Tells of every event from now on, after it is written. */
  listen(heard: (event: RunEvent) => void): void {
    this.#heard = heard
  }

  /**
   * Writes the metrics of an optimisation step down, which must come after all that have some. Steps count from 1.
   * @throws ArgumentError if it does not; StorageError if another process has taken the run over
   */
  addMetrics(step: number, metrics: Metrics): void {
    this.#mustBeOpen()
    this.#lock.check()
    if (!Number.isSafeInteger(step) || step <= this.#lastStep) {
      throw new ArgumentError(
        `${this.folder}: metrics of step ${step} where a step above ${this.#lastStep} was due; rewind the run before you repeat steps`,
      )
    }
    this.#metrics.add({ step, metrics })
    this.#lastStep = step
  }

  /**
   * Writes rollouts of a step down.
   * @throws ArgumentError if one is of another step
   */
  addTranscripts(step: number, transcripts: readonly Transcript[]): void {
    this.#mustBeOpen()
    const path = join(this.folder, transcriptsOf(step))
    for (const { step: other } of transcripts) {
      if (other !== step) throw new ArgumentError(`${this.folder}: a transcript of step ${other} was given with those of step ${step}`)
    }
    using file = new Appender(path)
    this.#unsynced.add(path)
    for (const transcript of transcripts) file.add(transcript)
  }

  /**
   * Saves a checkpoint, with an event of it, and removes those that are no longer kept. All lines written before are then on the disk for
   * good. The checkpoint appears when it is complete: if `write` throws, nothing is left.
   * @param metrics from which the best is found; may lack the metric of the policy
   * @param write writes what the checkpoint is made of into the folder that it is given
   * @throws ArgumentError if there is a checkpoint of this or a later step; StorageError if another process has taken the run over
   */
  async saveCheckpoint(step: number, metrics: Metrics, write: (folder: string) => void | Promise<void>): Promise<void> {
    this.#mustBeOpen()
    this.#lock.check()
    const latest = stepsIn(this.folder, names.checkpoints).at(-1)
    if (latest !== undefined && latest >= step) {
      throw new ArgumentError(`${this.folder}: a checkpoint of step ${step} after that of step ${latest}; rewind the run before you repeat steps`)
    }
    // First: a run that goes on from this checkpoint needs every line up to it.
    this.#flush()
    await writeCheckpoint(this.folder, step, metrics, write)
    const best = writeBest(this.folder, this.#policy.best)
    this.addEvent({ type: 'checkpoint', step, folder: checkpointOf(step), best: best === step })
    prune(this.folder, this.#policy)
  }

  /**
   * Makes the folder what it was after a step: later metrics, transcripts and checkpoints go, so that what is repeated is there once. Events
   * stay, as the history of what happened.
   */
  rewindTo(step: number): void {
    this.#mustBeOpen()
    const later = (part: typeof names.rollouts | typeof names.checkpoints): number[] => stepsIn(this.folder, part).filter((other) => other > step)
    storing(this.folder, () => {
      // Latest first, and before the metrics: a kill in between leaves no checkpoint that lacks lines.
      for (const other of later(names.checkpoints).reverse()) removeFolder(join(this.folder, checkpointOf(other)))
      sync(join(this.folder, names.checkpoints))
      for (const other of later(names.rollouts)) rmSync(join(this.folder, transcriptsOf(other)))
      sync(join(this.folder, names.rollouts))
    })
    writeBest(this.folder, this.#policy.best)
    const kept = this.#metricsLines().findLast(({ value }) => value.step <= step)
    cutFile(join(this.folder, names.metrics), kept?.end ?? 0)
    this.#lastStep = kept?.value.step ?? 0
  }

  /** Puts all on the disk and releases the folder. Nothing can be written after. */
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    using _lock = this.#lock
    using _events = this.#events
    using _metrics = this.#metrics
    this.#flush()
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new ArgumentError(`${this.folder}: the run was closed; open it again to write on`)
  }

  #flush(): void {
    this.#events.sync()
    this.#metrics.sync()
    for (const path of this.#unsynced) storing(path, () => sync(path))
    if (this.#unsynced.size > 0) sync(join(this.folder, names.rollouts))
    this.#unsynced.clear()
  }

  /** The lines of metrics.jsonl; steps that do not ascend are a `FileFormatError`. */
  #metricsLines(): readonly Line<StepMetrics>[] {
    const path = join(this.folder, names.metrics)
    const lines = readLines(path, metricsLine)
    for (const [i, { value }] of lines.entries()) {
      const before = lines[i - 1]?.value.step ?? 0
      if (value.step <= before) throw new FileFormatError(`${path}: line ${i + 1}: step ${value.step} after step ${before}; each step has one line`)
    }
    return lines
  }
}
