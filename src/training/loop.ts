// The whole of training. A step draws prompts, lets the policy of the moment answer them, lets the views score the answers, and updates.
//
// It knows no method: what is scored by whom is in the table that the evaluator was given. It keeps no state of its own either: everything
// that changes is in `session`, which a checkpoint saves, so a run that goes on from one does what an uninterrupted run would have done.

import { setImmediate } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import { SightlineError } from '../errors.ts'
import { transcriptsOf } from '../runs/layout.ts'
import type { Run } from '../runs/run.ts'
import type { Metrics, NewEvent } from '../runs/schema.ts'
import type { Method } from '../supervision/method.ts'
import { FeatureStore } from '../supervision/scorers.ts'
import { learningRate } from '../torch/schedule.ts'
import type { Batches } from './batches.ts'
import { type Resumable, saveState } from './checkpoint.ts'
import { stepMetrics, transcriptOf } from './record.ts'
import { type Rollout, type WritingOptions, writeRollouts } from './rollouts.ts'
import { learn, type StepResult } from './step.ts'
import { resultFolder } from './trainee.ts'
import type { Validation } from './validation.ts'

/** A run that is ready to train. */
export interface Session extends Resumable {
  readonly config: Config
  readonly method: Method
  readonly batches: Batches
  readonly validation: Validation | null
  readonly run: Run
  readonly writing: WritingOptions
  /** Steps that were done before. */
  readonly done: number
  /** Steps in all. */
  readonly total: number
}

/** The run cannot go on: too many steps in a row gave numbers that are not finite. */
export class DivergedError extends SightlineError {}

/** What a watcher is told. */
export type Watch = (step: {
  readonly step: number
  readonly total: number
  readonly metrics: Metrics
  readonly seconds: number
  readonly tokens: number
}) => void

/**
 * Trains to the end, or until `signal` asks to stop: then after the step that is under way, which is saved.
 * @returns whether the run is finished
 * @throws DivergedError after `run.badSteps` steps in a row that were not finite; the run can be resumed from its last checkpoint
 */
export async function train(session: Session, signal: AbortSignal, watch: Watch): Promise<'finished' | 'stopped'> {
  const { config, run, total } = session
  for (let step = session.done + 1; step <= total; step++) {
    const { metrics, seconds, tokens } = await oneStep(session, step)
    watch({ step, total, metrics, seconds, tokens })
    // Where nothing else waits for the system, the request to stop would never be heard.
    await setImmediate()
    if (session.progress.bad >= config.run.badSteps) throw diverged(session, step)
    const stopping = signal.aborted && step < total
    if (step % config.checkpoints.every === 0 || step === total || stopping) {
      await run.saveCheckpoint(step, metrics, (folder) => saveState(folder, session))
    }
    if (stopping) {
      run.addEvent({ type: 'stopped', step, reason: 'signal' })
      return 'stopped'
    }
  }
  session.trainee.exportTo(resultFolder(run.folder))
  run.addEvent({ type: 'finished', step: total })
  return 'finished'
}

async function oneStep(session: Session, step: number): Promise<{ metrics: Metrics; seconds: number; tokens: number }> {
  const { config, method, trainee, batches, run, progress } = session
  const { batch, maxNorm, schedule, rate: peak, warmup, tokensPerPass } = config.optimisation
  const started = performance.now()
  // Patches are smaller than tokens, and each is seen once.
  using store = new FeatureStore(4 * tokensPerPass)

  const drawn = await batches.draw(progress.position, batch, (row, reason) => run.addEvent({ type: 'row-skipped', step, row, reason }))
  progress.position = drawn.position
  const rollouts = await writeRollouts(method, trainee, drawn.prompts, store, session.writing)
  const rolloutSeconds = (performance.now() - started) / 1000

  const rate = learningRate({ kind: schedule, peak, warmup, total: session.total }, step - 1)
  const result = learn(session, rollouts, store, { step: step - 1, rate, maxNorm })
  progress.bad = result.update.skipped ? progress.bad + 1 : 0

  const left = (row: number, reason: string): void => run.addEvent({ type: 'warning', step, message: `validation without row ${row}: ${reason}` })
  const validated = await session.validation?.after(step, left)
  const metrics = { ...stepMetrics(rollouts, result.report, result.update), ...validated }
  run.addMetrics(step, metrics)
  if (validated !== undefined && Object.keys(validated).length > 0) run.addEvent({ type: 'validation', step, metrics: validated })
  writeTranscripts(session, step, rollouts, result)
  const seconds = (performance.now() - started) / 1000
  const { event, tokens } = stepEvent(step, rollouts, result, { rollout: rolloutSeconds, all: seconds })
  run.addEvent(event)
  return { metrics, seconds, tokens }
}

function stepEvent(
  step: number,
  rollouts: readonly Rollout[],
  { report, seconds }: StepResult,
  took: { rollout: number; all: number },
): { event: NewEvent; tokens: number } {
  const tokens = rollouts.reduce((sum, { ids }) => sum + ids.length, 0)
  const counted = { rollout: tokens, scored: report.computed.frozen, trained: report.computed.trained }
  return {
    event: { type: 'step', step, seconds: { rollout: took.rollout, ...seconds }, tokens: counted, tokensPerSecond: tokens / took.all },
    tokens,
  }
}

/** Every so often some rollouts; all of a step whose numbers were not finite. */
function writeTranscripts(
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

function diverged({ config, run }: Session, step: number): DivergedError {
  run.addEvent({ type: 'stopped', step, reason: 'limit' })
  return new DivergedError(
    `${config.run.badSteps} steps in a row, the last of them step ${step}, had a loss or a gradient that is not finite; their rollouts are in ` +
      `${run.folder}/${transcriptsOf(step)} and those before it. Lower optimisation.rate, or look at these rows, in a new run; this one can be resumed from its last checkpoint`,
  )
}
