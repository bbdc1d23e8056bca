// Keeps two trainers from writing one run folder at once; the lock of a process that is no more, killed or not, is taken over.
//
// Whether a process of this machine lives, the system tells. Of another machine's nothing can be known: hence a holder touches its lock every
// minute, and one that is untouched for many is taken to be dead, as a scheduler leaves it that moves a run to another machine.

import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import * as z from 'zod'
import { ArgumentError, StorageError } from '../errors.ts'
import { readTextIfThere } from '../fields.ts'
import { readJsonIfThere, storing } from './files.ts'

export const lockName = 'run.lock'

const minute = 60_000
/** Minutes without a touch after which the holder on another machine counts as dead. */
const patience = 10

/** Not under the names of other temporaries: those the holder removes, and this is used by who is not yet the holder. */
const temporaryBeside = (folder: string): string => join(folder, `.${lockName}-${crypto.randomUUID()}`)

const holder = z.object({ pid: z.int().positive(), started: z.string(), host: z.string(), since: z.iso.datetime() })
type Holder = z.output<typeof holder>

/** In the place of a start: the process has ended, and only waits for its parent to ask how. */
const ended = 'ended'

/**
 * When a process started, as boot and clock ticks since then: process ids are used again. null where the system does not tell, as of other
 * users' processes.
 */
function startOf(pid: number): string | null {
  try {
    // "pid (name) state ppid ...": a name may hold brackets and spaces; the state is field 3, the start field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return ended
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return null
    throw error
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It exists and belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Minutes since the lock was touched. */
const untouched = (path: string): number => (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)) / minute

/** Whether the holder may still write. */
function mayBeAlive({ host, pid, started }: Holder, path: string): boolean {
  if (host !== hostname()) return untouched(path) < patience
  if (!exists(pid)) return false
  const start = startOf(pid)
  return start === null || start === started
}

const nameOf = ({ pid, host, since }: Holder): string => `process ${pid} on ${host} (since ${since})`

/** Somebody else holds the folder. */
export class HeldError extends ArgumentError {}

function refusal(folder: string, by: Holder | null): HeldError {
  const path = join(folder, lockName)
  const wait = Math.ceil(patience - untouched(path))
  const rest =
    by === null || by.host === hostname()
      ? ''
      : `. If that process is no more, try again in ${wait} min, when its lock is untouched for ${patience} min, or remove ${path}`
  return new HeldError(`${folder}: ${by === null ? 'another process' : nameOf(by)} writes this run; stop it, or give another folder${rest}`)
}

/** Takes the lock of a dead holder away. Of several who try, one succeeds. */
function takeAway(folder: string, path: string, dead: Holder): void {
  const aside = temporaryBeside(folder)
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw refusal(folder, null)
    throw error
  }
  try {
    const taken = readJsonIfThere(aside, holder)
    if (taken === null || taken.pid !== dead.pid || taken.since !== dead.since) {
      // Another one was faster, and this is its lock.
      linkSync(aside, path)
      throw refusal(folder, taken)
    }
  } finally {
    rmSync(aside)
  }
}

/** A run folder that this process holds. Dispose of it to release it. */
export interface Lock extends Disposable {
  /** Whose lock was taken over without knowing that its process has ended, in words; null for none. */
  readonly takenOver: string | null
  /** @throws StorageError if another process has taken the folder over */
  check(): void
}

/**
 * Takes the lock of a run folder.
 * @param beat milliseconds between two touches
 * @throws ArgumentError if another process, or this one, holds it
 */
export function lock(folder: string, beat = minute): Lock {
  const path = join(folder, lockName)
  const held = readJsonIfThere(path, holder)
  if (held !== null && mayBeAlive(held, path)) throw refusal(folder, held)
  const own: Holder = { pid: process.pid, started: startOf(process.pid) ?? 'unknown', host: hostname(), since: new Date().toISOString() }
  const text = `${JSON.stringify(own)}\n`
  const temporary = temporaryBeside(folder)
  storing(path, () => {
    if (held !== null) takeAway(folder, path, held)
    try {
      writeFileSync(temporary, text, { flag: 'wx', flush: true })
      // A link appears with its contents and never replaces one that is there.
      linkSync(temporary, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw refusal(folder, readJsonIfThere(path, holder))
      throw error
    } finally {
      rmSync(temporary, { force: true })
    }
  })
  const keeper = new Worker(new URL('./lock-keeper.ts', import.meta.url), { workerData: { path, text, beat } })
  keeper.unref()
  return {
    takenOver:
      held === null || held.host === hostname() ? null : `${nameOf(held)} did not touch its lock for ${patience} min: the run was taken over`,
    check() {
      const now = readTextIfThere(path)
      if (now === null || now === text) return
      throw new StorageError(
        `${folder}: another process took this run over, since this one gave no sign of life for ${patience} min; let that one go on`,
      )
    },
    [Symbol.dispose]() {
      void keeper.terminate()
      if (readTextIfThere(path) === text) rmSync(path)
    },
  }
}
