// Where the files of a run folder are; the only place that knows their names.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentError, FileFormatError } from '../errors.ts'

/** Paths as from the run folder. */
export const names = {
  run: 'run.json',
  config: 'config.json',
  method: 'method.json',
  events: 'events.jsonl',
  metrics: 'metrics.jsonl',
  rollouts: 'rollouts',
  checkpoints: 'checkpoints',
  checkpointInfo: 'checkpoint.json',
  best: join('checkpoints', 'best.json'),
} as const

const stepName = /^step-(\d{6,})(\.jsonl)?$/

function stepText(step: number): string {
  if (!Number.isSafeInteger(step) || step < 0) throw new ArgumentError(`step is ${step}; it must be an integer ≥ 0`)
  return `step-${String(step).padStart(6, '0')}`
}

/** As from the run folder. */
export const transcriptsOf = (step: number): string => join(names.rollouts, `${stepText(step)}.jsonl`)
/** As from the run folder. */
export const checkpointOf = (step: number): string => join(names.checkpoints, stepText(step))

/** The steps, ascending, of which one of the two folders has something; none if there is no such folder. */
export function stepsIn(folder: string, part: typeof names.rollouts | typeof names.checkpoints): number[] {
  const path = join(folder, part)
  try {
    const steps = readdirSync(path).flatMap((name) => stepName.exec(name)?.[1] ?? [])
    return steps.map(Number).sort((a, b) => a - b)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new FileFormatError(`${path}: cannot be read: ${(cause as Error).message}`, { cause })
  }
}
