// Starts a command of `sightline` in a process of its own and follows what it says of its progress.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Start } from './jobs.ts'

/** Lines of an error that are kept. */
const kept = 20

/** An event of `--json`; null for lines that are none, such as those of an error that shows code. */
function eventOf(line: string): { readonly [name: string]: unknown } | null {
  if (!line.startsWith('{')) return null
  try {
    return JSON.parse(line)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** The done share of a line; null for lines about something else. */
function shareOf(line: string): number | null {
  const event = eventOf(line)
  const share = event?.['type'] === 'step' ? Number(event['step']) / Number(event['total']) : event?.['type'] === 'progress' ? event['share'] : null
  return typeof share === 'number' && Number.isFinite(share) ? share : null
}

/**
 * @param main the file of the command line; its processes get the flags of this one, and a channel by which they notice that it is gone, so
 *   that none of them outlives it
 */
export function starter(main: string): Start {
  return async ({ command }, onShare, signal) => {
    const child = spawn(process.execPath, [...process.execArgv, main, ...command], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    const { stdout, stderr } = child as { stdout: Readable; stderr: Readable }
    const stop = (): void => void child.kill('SIGTERM')
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    const said: string[] = []
    const hear = (line: string): void => {
      const share = shareOf(line)
      if (share !== null) onShare(share)
      else if (line.trim() !== '') said.push(line)
      if (said.length > kept) said.shift()
    }
    createInterface({ input: stdout }).on('line', hear)
    createInterface({ input: stderr }).on('line', hear)
    try {
      const status = await new Promise<number>((resolve, reject) => {
        child.on('error', reject)
        // As shells count a process that a signal ended: 143 for SIGTERM, 137 where memory ran out.
        child.on('close', (code, killed) => resolve(code ?? 128 + constants.signals[killed as NodeJS.Signals]))
      })
      return { status, said: said.join('\n') }
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }
}
