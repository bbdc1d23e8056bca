// A process that writes a run folder, for tests that kill it: `trainer.ts FOLDER train LAST` or `trainer.ts FOLDER hold`.

import { ArgumentError } from '../../src/errors.ts'
import { isRun } from '../../src/runs/read.ts'
import { createRun, openRun } from '../../src/runs/run.ts'
import { newRun, policy, train } from './example.ts'

const [, , folder = '', task, last] = process.argv
process.stdout.write('go\n')
try {
  using run = isRun(folder) ? openRun(folder, policy) : createRun(folder, newRun)
  if (task === 'train') await train(run, Number(last))
  else {
    process.stdout.write('held\n')
    // Until the end of its input.
    for await (const _ of process.stdin);
  }
} catch (error) {
  if (!(error instanceof ArgumentError)) throw error
  process.stdout.write(`refused: ${error.message}\n`)
}
