// The whole of training. A step draws prompts, lets the policy of the moment answer them, lets the views score the answers, and updates.
//
// It knows no method: what is scored by whom is in the table that the evaluator was given. It keeps no state of its own either: everything
// that changes is in `session`, which a checkpoint saves, so a run that goes on from one does what an uninterrupted run would have done.

import { setImmediate } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import { NotFiniteError, StorageError } from '../errors.ts'
import type { Run } from '../runs/run.ts'
import type { Metrics } from '../runs/schema.ts'
import type { Method } from '../supervision/method.ts'
import { FeatureStore } from '../supervision/scorers.ts'
import { learningRate } from '../torch/schedule.ts'
import type { Batches } from './batches.ts'
import { type Resumable, saveState } from './checkpoint.ts'
import { emptyReport, stepMetrics } from './record.ts'
import { type Rollout, type WritingOptions, writeRollouts } from './rollouts.ts'
import { learn } from './step.ts'
import { diverged, stepEvent, warnOfStillness, writeTranscripts } from './telling.ts'
import { resultFolder } from './trainee.ts'
import type { Validation } from './validation.ts'

/** A run that is ready to train. */
export interface Session extends Resumable {
  readonly config: Config
  readonly method: Method
  readonly batches: Batches
  readonly validation: Validation | null
  readonly instruments: readonly Instrument[]
  readonly run: Run
  readonly writing: WritingOptions
  /** Steps that were done before. */
  readonly done: number
  /** Steps in all. */
  readonly total: number
}

/** Measures the rollouts of a step before it learns from them, and changes nothing; no metrics where none are due. */
export type Instrument = (step: number, rollouts: readonly Rollout[], store: FeatureStore) => Promise<Metrics>

/** What a watcher is told. */
export type Watch = (step: {
  readonly step: number
  readonly total: number
  readonly metrics: Metrics
  readonly seconds: number
  readonly tokens: number
}) => void

/**
 * Trains to the end, or until `signal` asks to stop: then after the step that is under way, which is saved. So is the last finished step where
 * the samples or answers of the next are an error.
 * @returns whether the run is finished
 * @throws DivergedError after `run.badSteps` steps in a row that were not finite; the run can be resumed from its last checkpoint
 */
export async function train(session: Session, signal: AbortSignal, watch: Watch): Promise<'finished' | 'stopped'> {
  const { config, run, total } = session
  const still = warnOfStillness(run)
  let [saved, last]: [number, Metrics] = [session.done, {}]
  const save = async (step: number): Promise<void> => {
    if (step <= saved) return
    await run.saveCheckpoint(step, last, (folder) => saveState(folder, session))
    saved = step
  }
  for (let step = session.done + 1; step <= total; step++) {
    // Patches are smaller than tokens, and each is seen once.
    using store = new FeatureStore(4 * config.optimisation.tokensPerPass)
    const answers = await answer(session, step, store).catch(async (error: unknown) => {
      // Nothing of this step has changed the session so far.
      if (!(error instanceof StorageError)) await save(step - 1)
      throw error
    })
    const { metrics, seconds, tokens } = await oneStep(session, step, answers, store)
    last = metrics
    still(step, metrics)
    watch({ step, total, metrics, seconds, tokens })
    // Where nothing else waits for the system, the request to stop would never be heard.
    await setImmediate()
    if (session.progress.bad >= config.run.badSteps) throw diverged(session, step)
    const stopping = signal.aborted && step < total
    if (step % config.checkpoints.every === 0 || step === total || stopping) await save(step)
    if (stopping) {
      run.addEvent({ type: 'stopped', step, reason: 'signal' })
      return 'stopped'
    }
  }
  session.trainee.exportTo(resultFolder(run.folder))
  run.addEvent({ type: 'finished', step: total })
  return 'finished'
}

/** What a step learns from. */
interface Answers {
  /** Or why there are none. */
  readonly rollouts: readonly Rollout[] | NotFiniteError
  readonly rows: readonly number[]
  /** What instruments say of them. */
  readonly measured: Metrics
  readonly started: number
  readonly seconds: number
}

/** Draws the prompts of a step and lets them be answered. An error leaves the session as it was. */
async function answer(session: Session, step: number, store: FeatureStore): Promise<Answers> {
  const { config, method, trainee, batches, run, progress, writing } = session
  const started = performance.now()
  const skip = (row: number, reason: string): void => run.addEvent({ type: 'row-skipped', step, row, reason })
  const { prompts, position } = await batches.draw(progress.position, config.optimisation.batch, skip)
  const rollouts = await writeRollouts(method, trainee, prompts, store, writing).catch((error: unknown) => {
    if (error instanceof NotFiniteError) return error
    throw error
  })
  const measured: Record<string, Metrics[string]> = {}
  if (Array.isArray(rollouts)) for (const instrument of session.instruments) Object.assign(measured, await instrument(step, rollouts, store))
  progress.position = position
  return { rollouts, measured, rows: prompts.map(({ sample }) => sample.row), started, seconds: (performance.now() - started) / 1000 }
}

interface Done {
  readonly metrics: Metrics
  readonly seconds: number
  readonly tokens: number
}

async function oneStep(session: Session, step: number, answers: Answers, store: FeatureStore): Promise<Done> {
  const { method, run, progress } = session
  const { maxNorm, schedule, rate: peak, warmup } = session.config.optimisation
  const rate = learningRate({ kind: schedule, peak, warmup, total: session.total }, step - 1)
  const failed = answers.rollouts instanceof NotFiniteError ? answers.rollouts : null
  const rollouts = answers.rollouts instanceof NotFiniteError ? [] : answers.rollouts
  const result = failed === null ? learn(session, rollouts, store, { step: step - 1, rate, maxNorm }) : null
  const { report, update } = result ?? { report: emptyReport(method), update: { rate, norm: Number.NaN, skipped: true } }
  progress.bad = update.skipped ? progress.bad + 1 : 0

  const warn = (message: string): void => run.addEvent({ type: 'warning', step, message })
  const validated = (failed === null && (await session.validation?.after(step, warn))) || {}
  const metrics = { ...stepMetrics(rollouts, report, update, method), ...answers.measured, ...validated }
  run.addMetrics(step, metrics)
  if (Object.keys(validated).length > 0) run.addEvent({ type: 'validation', step, metrics: validated })
  if (result !== null) writeTranscripts(session, step, rollouts, result)
  else run.addEvent({ type: 'step-skipped', step, reason: `no answers to the rows ${answers.rows.join(', ')}: ${failed?.message}`, rows: null })
  const seconds = (performance.now() - answers.started) / 1000
  const { event, tokens } = stepEvent(step, rollouts, result, { rollout: answers.seconds, all: seconds })
  run.addEvent(event)
  return { metrics, seconds, tokens }
}
