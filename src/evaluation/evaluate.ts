// An evaluation from its plan to its scores: what has no answer yet is asked, all answers are graded and counted, and a report is written.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { removeTemporaries, replaceJson, replaceLines, replaceText, storing } from '../runs/files.ts'
import { type Lock, lock } from '../runs/lock.ts'
import { gradeAnswers } from './grading.ts'
import type { Judge } from './judge.ts'
import { checkQuestions, holdsPlan, type Plan, settlePlan, shardFolder } from './plan.ts'
import { itemsOf, type QuestionSet, requestsOf } from './questions.ts'
import { evaluationReport } from './report.ts'
import type { Responder } from './responder.ts'
import { type Finished, type Scored, scoreBenchmark } from './scores.ts'
import { files, ResponseStore, type StoredAnswer } from './store.ts'
import { type EvaluationScores, scoreSuites } from './suite-scores.ts'

export const reportFile = 'report.html'

/** How far it is. */
export interface Progress {
  readonly benchmark: string
  readonly stage: 'answers' | 'verdicts'
  readonly done: number
  readonly total: number
  /** Answers that were there before. */
  readonly before: number
}

export interface EvaluateOptions {
  /** Called when the first answer is missing; null refuses to ask. */
  readonly responder: (() => Promise<Responder>) | null
  /** Called when the first answer is to be judged; null: what no rule decides stays undecided. */
  readonly judge: (() => Promise<Judge>) | null
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** Where a plan's files lie. */
export const folderOf = (out: string, { shard }: Plan): string => (shard === null ? out : shardFolder(out, shard))

/** Takes a folder for this process, made if need be. @throws ArgumentError if another one writes it */
export function hold(folder: string): Lock {
  storing(folder, () => mkdirSync(folder, { recursive: true }))
  const held = lock(folder)
  removeTemporaries(folder)
  return held
}

/**
 * Answers, grades and counts; goes on where it was stopped. Of a shard the answers and verdicts are written, and nothing is counted.
 * @returns the scores; null for a shard, and if it was stopped: what was answered by then is kept
 * @throws ArgumentError if the folder holds another evaluation, or another process writes it; errors of the responder and the judge
 */
export async function evaluate(
  out: string,
  plan: Plan,
  sets: readonly QuestionSet[],
  options: EvaluateOptions,
): Promise<{ readonly end: 'finished' | 'stopped'; readonly scores: EvaluationScores | null }> {
  const { signal } = options
  const folder = folderOf(out, plan)
  checkQuestions(
    plan,
    sets.map(({ planned }) => planned),
  )
  // What a shard finds is to be joined there; that this cannot be is better told now than in the end.
  if (plan.shard !== null) holdsPlan(out, { ...plan, shard: null })
  using _held = hold(folder)
  settlePlan(folder, plan)
  await using closing = new AsyncDisposableStack()
  const responder = once(options.responder, closing)
  const judge = options.judge === null ? null : once(options.judge, closing)
  try {
    const finished: Finished[] = []
    for (const set of sets) {
      const { name } = set.planned
      const answers = await answered(folder, plan, set, responder, options)
      if (answers === null) return { end: 'stopped', scores: null }
      const onProgress = (done: number, total: number): void => options.onProgress({ benchmark: name, stage: 'verdicts', done, total, before: 0 })
      const verdicts = await gradeAnswers(itemsOf(set, plan.shard), answers, { prompting: plan.prompting, judge, signal, onProgress })
      replaceLines(join(folder, name, files.verdicts), verdicts)
      finished.push({ set, answers, verdicts })
    }
    return { end: 'finished', scores: plan.shard === null ? await conclude(out, plan, finished) : null }
  } catch (error) {
    if (signal.aborted && error === signal.reason) return { end: 'stopped', scores: null }
    throw error
  }
}

/** Opens something when it is first asked for, and keeps it until the stack closes it. */
function once<T extends AsyncDisposable>(open: (() => Promise<T>) | null, stack: AsyncDisposableStack): () => Promise<T> {
  let opened: Promise<T> | null = null
  return () => {
    if (open === null) throw new ArgumentError('answers are missing, so that nothing can be counted; evaluate with --model first')
    opened ??= open().then((each) => stack.use(each))
    return opened
  }
}

/** The answers to a benchmark, those that were missing asked for; null if it was stopped. */
async function answered(
  folder: string,
  { shard, samples, seed, prompting }: Plan,
  set: QuestionSet,
  open: () => Promise<Responder>,
  { signal, onProgress }: EvaluateOptions,
): Promise<readonly StoredAnswer[] | null> {
  const { name } = set.planned
  using store = new ResponseStore(join(folder, name), itemsOf(set, shard), samples)
  const { done: before, total } = store
  const tell = (): void => onProgress({ benchmark: name, stage: 'answers', done: store.done, total, before })
  tell()
  if (before < total) {
    // Loading a model takes long; whoever asked to stop while questions were read need not wait for it.
    signal.throwIfAborted()
    const responder = await open()
    const requests = requestsOf(set, { prompting, seed, missing: store.missing })
    await responder.answer(requests, signal, ({ key, ...answer }) => {
      store.add({ id: key, ...answer })
      tell()
    })
    if (signal.aborted) return null
    if (store.done < total) throw new Error(`${responder.name} left ${total - store.done} of ${total} answers out`)
  }
  return store.finish()
}

/** Counts what was found and writes scores and report. */
export async function conclude(out: string, plan: Plan, finished: readonly Finished[]): Promise<EvaluationScores> {
  const scored = finished.map(({ set, answers, verdicts }): Scored => {
    const found = scoreBenchmark(set.benchmark, set.items, plan.samples, answers, verdicts)
    replaceJson(join(out, set.planned.name, files.scores), found.scores)
    return found
  })
  const scores: EvaluationScores = { benchmarks: scored.map((each) => each.scores), ...scoreSuites(scored) }
  replaceJson(join(out, files.scores), scores)
  replaceText(join(out, reportFile), [await evaluationReport(plan, scores, finished)])
  return scores
}
