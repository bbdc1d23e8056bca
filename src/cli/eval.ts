// `sightline eval`: a model held against benchmarks, watched by a person or by a program; stopped at any moment, it goes on.

import { join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { evaluate, folderOf, type Progress, reportFile } from '../evaluation/evaluate.ts'
import { openJudge } from '../evaluation/judge.ts'
import { allGraded, mergedPlan, mergeShards } from '../evaluation/merge.ts'
import { openSets, plannedBenchmarks, type Wanted, wantedBenchmarks } from '../evaluation/open.ts'
import { type Plan, planVersion, readPlan, shardFolder } from '../evaluation/plan.ts'
import type { QuestionSet } from '../evaluation/questions.ts'
import type { Statistics } from '../evaluation/scores.ts'
import type { EvaluationScores } from '../evaluation/suite-scores.ts'
import { fixed, intervalText } from '../report/numbers.ts'
import { HeldError } from '../runs/lock.ts'
import { openServer } from '../serving/client.ts'
import { version } from '../version.ts'
import { type Engine, type EvalArguments, engineOf, serverOptions, settingsOf, shardOf } from './eval-settings.ts'
import { hubAccess } from './hub.ts'
import { clock, counted, stopOnSignals, stoppedStatus } from './terminal.ts'
import type { Output } from './train.ts'

/** Milliseconds between two lines where nobody watches, and between two events for programs. */
const pauses = { line: 10_000, json: 500 } as const

/** From this share of the answers on, the time that is left is told. */
const enoughToTell = 0.05

/** Tells how far it is: a status that is written over, or lines and events now and then. */
function watcher(json: boolean, { print, status }: Output): (progress: Progress) => void {
  let [last, stage, began] = [0, '', 0]
  return (progress) => {
    const { benchmark, done, total, before } = progress
    const now = performance.now()
    if (stage !== benchmark + progress.stage) [stage, began, last] = [benchmark + progress.stage, now, 0]
    const pause = json ? pauses.json : status === undefined ? pauses.line : 0
    if (done < total && now - last < pause) return
    last = now
    if (json) {
      // The share is that of the stage.
      print(JSON.stringify({ type: 'progress', share: done / total, benchmark, stage: progress.stage, done, total }))
      return
    }
    const rate = (done - before) / ((now - began) / 1000)
    // The first answers of many that are written together say little.
    const left = done < total && done - before > enoughToTell * (total - before) ? ` · ${clock((total - done) / rate)} left` : ''
    ;(status ?? print)(`${benchmark} · ${done} of ${total} ${progress.stage}${left}`)
  }
}

const inPercent = ({ value, low, high }: Statistics[string]): string =>
  intervalText({ value: 100 * value, low: 100 * low, high: 100 * high }, (number) => fixed(number, 1))

const statisticsText = (statistics: Statistics): string =>
  Object.entries(statistics)
    .map(([name, interval]) => `${name} ${inPercent(interval)}`)
    .join('  ')

function summary({ benchmarks, mean, suites }: EvaluationScores): string[] {
  const rows = benchmarks.flatMap(({ title, questions, measures, form, judged }) => {
    const lines = measures.map(({ label, statistics }) => [`${title}, ${label}`, statisticsText(statistics)] as const)
    const { valid, cut, undecided } = form
    const byJudge = judged === 0 ? '' : `  judged ${judged}`
    const about = `of the form ${inPercent(valid)}  cut off ${inPercent(cut)}  undecided ${inPercent(undecided)}${byJudge}`
    return [...lines, [counted(questions, 'question'), about] as const]
  })
  const means = mean === null ? [] : [['Mean of these', statisticsText(mean)] as const]
  const all = [...rows, ...means, ...suites.map(({ name, statistics }) => [`Suite ${name}`, statisticsText(statistics)] as const)]
  const width = Math.max(...all.map(([label]) => label.length))
  return all.map(([label, text]) => `${label.padEnd(width)}  ${text}`)
}

/** Evaluates, and returns the exit status: 0 finished, 130 stopped by a signal with all answers kept. */
export async function evalCommand(args: EvalArguments, output: Output): Promise<number> {
  const say = (line: string): void => void (!args.json && output.print(line))
  using stop = stopOnSignals((signal) => say(`${signal}: stopping; what is answered is kept`))
  const end = await evaluated(args, output, say, stop.signal).catch((error: unknown) => {
    if (stop.signal.aborted && error === stop.signal.reason) return 'stopped' as const
    throw error
  })
  if (args.json) output.print(JSON.stringify({ type: end }))
  if (end === 'finished') return 0
  say('stopped; every answer that was there is kept, and the same command goes on')
  return stoppedStatus
}

async function evaluated(args: EvalArguments, output: Output, say: (line: string) => void, signal: AbortSignal): Promise<'finished' | 'stopped'> {
  const { action, json, out } = args
  await using closing = new AsyncDisposableStack()

  const opened = async (wanted: readonly Wanted[]): Promise<QuestionSet[]> => {
    const onRead = (name: string, read: number): void => {
      signal.throwIfAborted()
      if (!json) output.status?.(`${name} · ${read} questions read`)
    }
    const sets = await openSets(wanted, { hub: { ...hubAccess(), progress: say }, onRead })
    for (const set of sets) closing.defer(() => set.opened.close())
    for (const { planned, benchmark } of sets) {
      say(
        `${benchmark.title}: ${counted(planned.questions, 'question')} ${planned.source === null ? `drawn with seed ${planned.drawn?.seed}` : `from ${planned.source}`}`,
      )
    }
    return sets
  }
  const tell = (scores: EvaluationScores): void => {
    if (json) output.print(JSON.stringify({ type: 'scores', ...scores }))
    for (const line of summary(scores)) say(line)
    const undecided = scores.benchmarks.reduce((sum, { form, questions, samples }) => sum + Math.round(form.undecided.value * questions * samples), 0)
    if (undecided > 0 && args.judge === null) {
      say(`${counted(undecided, 'answer')} undecided: no rule could tell. A judge may:  sightline eval --grade-only --out ${out} --judge URL`)
    }
    say(`the report is ${join(out, reportFile)}`)
  }

  if (action === 'merge') {
    const plan = mergedPlan(out)
    tell(await mergeShards(out, plan, await opened(plannedBenchmarks(plan, args.suites, args))))
    return 'finished'
  }
  const shard = shardOf(args.shard)
  const folder = shard === null ? out : shardFolder(out, shard)
  const { judge: given } = args
  // A key that is missing is better told before hours of answers.
  const judgeServer = given === null ? null : serverOptions(given.url, '--judge-key-env', given)
  const { plan, engine, sets } = await (action === 'grade-only' ? stored() : asked())
  const judge =
    judgeServer === null
      ? null
      : async () => {
          const cache = join(folder, 'judge.jsonl')
          const { perMinute = null, maxTokens = null } = given ?? {}
          const options = { cache, requestsPerMinute: perMinute, ...(maxTokens !== null && { maxTokens }) }
          return openJudge(await openServer(judgeServer, signal), options)
        }
  const onProgress = watcher(json, output)
  const { end, scores } = await evaluate(out, plan, sets, { responder: engine?.responder ?? null, judge, signal, onProgress })
  if (end === 'stopped') return end
  if (scores !== null) tell(scores)
  else if (allGraded(out, plan)) await joined()
  else say(`this part is in ${folderOf(out, plan)}; the scores come with the last of the ${shard?.of} parts`)
  return end

  /** Joins all parts; of several that end together, one does. */
  async function joined(): Promise<void> {
    try {
      tell(await mergeShards(out, mergedPlan(out), sets))
    } catch (error) {
      if (!(error instanceof HeldError)) throw error
      say('another part, which ended at the same time, joins them all')
    }
  }

  async function stored(): Promise<{ plan: Plan; engine: null; sets: QuestionSet[] }> {
    const there = readPlan(folder)
    if (there === null) throw new ArgumentError(`${folder}: holds no evaluation whose answers could be graded`)
    return { plan: there, engine: null, sets: await opened(plannedBenchmarks(there, args.suites, args)) }
  }

  async function asked(): Promise<{ plan: Plan; engine: Engine; sets: QuestionSet[] }> {
    const settings = settingsOf(args)
    const wanted = wantedBenchmarks(args.suites, args)
    const engine = await engineOf(args, settings.decoding, signal)
    const there = readPlan(folder)?.model
    if (there !== undefined && there.identity === engine.model.identity && there.name !== engine.model.name) {
      say(`what is there was answered by ${there.name}, which is taken to be the same model as ${engine.model.name}`)
    }
    const sets = await opened(wanted)
    const benchmarks = sets.map(({ planned }) => planned)
    return { plan: { version: planVersion, sightline: version, model: engine.model, ...settings, benchmarks, shard }, engine, sets }
  }
}
