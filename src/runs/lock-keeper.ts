// Touches the lock of a run for as long as its process lives: a thread of its own, since a step can keep the main one busy for longer than
// another machine would wait.

import { readFileSync, utimesSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

const { path, text, beat } = workerData as { readonly path: string; readonly text: string; readonly beat: number }

setInterval(() => {
  try {
    const now = new Date()
    if (readFileSync(path, 'utf8') === text) utimesSync(path, now, now)
  } catch (error) {
    // A file system that is away for a moment is no reason to end the run: the next touch may do.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
  }
}, beat)
