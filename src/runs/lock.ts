// Keeps two trainers from writing one run folder at once; the lock of a process that is no more, killed or not, is taken over.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { ArgumentError } from '../errors.ts'
import { readTextIfThere } from '../fields.ts'
import { readJsonIfThere, storing } from './files.ts'

export const lockName = 'run.lock'

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

/** Whether the holder may still write. Of another machine's processes nothing can be known. */
function mayBeAlive({ host, pid, started }: Holder): boolean {
  if (host !== hostname()) return true
  if (!exists(pid)) return false
  const start = startOf(pid)
  return start === null || start === started
}

function refusal(folder: string, by: Holder | null): ArgumentError {
  const who = by === null ? 'another process' : `process ${by.pid} on ${by.host} (since ${by.since})`
  const rest = by === null || by.host === hostname() ? '' : `. If that process is no more, remove ${join(folder, lockName)}`
  return new ArgumentError(`${folder}: ${who} writes this run; stop it, or give another folder${rest}`)
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

/**
 * Takes the lock of a run folder. Dispose of the result to release it.
 * @throws ArgumentError if another process, or this one, holds it
 */
export function lock(folder: string): Disposable {
  const path = join(folder, lockName)
  const held = readJsonIfThere(path, holder)
  if (held !== null && mayBeAlive(held)) throw refusal(folder, held)
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
  return {
    [Symbol.dispose]() {
      if (readTextIfThere(path) === text) rmSync(path)
    },
  }
}
