// What a step leaves in the run folder beside its metrics: its event, transcripts of some of its rollouts, a warning where nothing learns, and
// why a run ended that diverged.

import { SightlineError } from '../errors.ts'
import { names, transcriptsOf } from '../runs/layout.ts'
import type { Run } from '../runs/run.ts'
import type { Metrics, NewEvent } from '../runs/schema.ts'
import type { Session } from './loop.ts'
import { transcriptOf } from './record.ts'
import type { Rollout } from './rollouts.ts'
import type { StepResult } from './step.ts'

/** Steps in a row without a gradient after which it is told. */
const stillSteps = 10

/** The event of a step; `result` is null where its rollouts could not be written. @param took seconds */
export function stepEvent(
  step: number,
  rollouts: readonly Rollout[],
  result: StepResult | null,
  took: { readonly rollout: number; readonly all: number },
): { readonly event: NewEvent; readonly tokens: number } {
  const tokens = rollouts.reduce((sum, { ids }) => sum + ids.length, 0)
  const { frozen: scored, trained } = result?.report.computed ?? { frozen: 0, trained: 0 }
  const seconds = { rollout: took.rollout, ...(result?.seconds ?? { teachers: 0, student: 0, update: 0 }) }
  return { event: { type: 'step', step, seconds, tokens: { rollout: tokens, scored, trained }, tokensPerSecond: tokens / took.all }, tokens }
}

/** Every so often some rollouts; all of a step whose numbers were not finite. */
export function writeTranscripts(
  { config, method, trainee, run }: Session,
  step: number,
  rollouts: readonly Rollout[],
  { report, update, credits }: StepResult,
): void {
  const { transcripts } = config.run
  const due = transcripts !== null && (step % transcripts.every === 0 || step === 1) ? transcripts.rollouts : 0
  const count = update.skipped ? rollouts.length : due
  const frame = { step, method, processor: trainee.processors.student, report, credits }
  if (count > 0) {
    run.addTranscripts(
      step,
      rollouts.slice(0, count).map((rollout, row) => transcriptOf(rollout, row, frame)),
    )
  }
  if (!update.skipped) return
  const reason = `the loss is ${report.loss}, the norm of its gradient ${update.norm}`
  run.addEvent({ type: 'step-skipped', step, reason, rows: transcriptsOf(step) })
}

/** Told of each step's metrics, warns once of a run that learns nothing. */
export function warnOfStillness(run: Run): (step: number, metrics: Metrics) => void {
  let [still, told] = [0, false]
  return (step, metrics) => {
    still = metrics['gradientNorm']?.sum === 0 ? still + 1 : 0
    if (still < stillSteps || told) return
    told = true
    const message = `${still} steps in a row had no gradient: nothing of their rollouts is supervised (see valid and the counts of loss/…), or all rewards of a prompt are equal`
    run.addEvent({ type: 'warning', step, message })
  }
}

/** The run cannot go on: too many steps in a row gave numbers that are not finite. */
export class DivergedError extends SightlineError {}

/** Tells that a run has diverged. @returns what is to be thrown */
export function diverged({ config, run }: Session, step: number): DivergedError {
  run.addEvent({ type: 'stopped', step, reason: 'limit' })
  return new DivergedError(
    `${config.run.badSteps} steps in a row, the last of them step ${step}, had logits, a loss or a gradient that is not finite; ` +
      `${run.folder}/${names.events} says of each where its rollouts are. Lower optimisation.rate, or look at these rows, in a new run; this one can be ` +
      'resumed from its last checkpoint',
  )
}
