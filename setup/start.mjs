// Starts a program in the place of this one: it gets the signals that are meant for it, and this one ends as it ends.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

const forwarded = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])

/** Whether Ctrl-C in a terminal reaches this process: then it reaches the one that was started too. */
function inForeground() {
  // "pid (name) state ppid pgrp session tty_nr tpgid ...": a name may hold brackets and spaces.
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return group === foreground
}

/**
 * Runs a program to its end.
 * @param {string} command @param {readonly string[]} args @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>} its exit status; if a signal ended it, the same one ends this process
 */
export async function start(command, args, options) {
  const child = spawn(command, args, { stdio: 'inherit', ...options })
  /** @param {NodeJS.Signals} signal */
  const forward = (signal) => {
    if (signal !== 'SIGINT' || !inForeground()) child.kill(signal)
  }
  for (const signal of forwarded) process.on(signal, forward)
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (status, signal) => {
        if (signal === null) return resolve(status ?? 1)
        for (const each of forwarded) process.removeListener(each, forward)
        process.kill(process.pid, signal)
        // Only where the signal did not end this process.
        setTimeout(() => resolve(1), 100)
      })
    })
  } finally {
    for (const signal of forwarded) process.removeListener(signal, forward)
  }
}
