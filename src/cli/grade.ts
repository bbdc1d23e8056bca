// `sightline grade`: lets a model answer questions of PriorWorld and writes every answer with its grade.

import { ArgumentError } from '../errors.ts'
import { putWeights } from '../models/put-weights.ts'
import { loadModel } from '../models/registry.ts'
import { learnedSide } from '../nano/base.ts'
import { evaluatePrior, type Mode, summaryOf, type WorldEvaluation } from '../nano/evaluate.ts'
import { openProcessor } from '../processing/processor.ts'
import { checkWritable, replaceText } from '../runs/files.ts'
import { setThreads } from '../torch/native.ts'
import type { Output } from './train.ts'

export interface GradeArguments extends WorldEvaluation {
  readonly model: string
  /** Folder of a checkpoint of a run that trained weights of this model; null: the model as it is. */
  readonly weights: string | null
  readonly out: string | null
  readonly threads: number | null
  readonly json: boolean
}

/** Grades and prints a summary; with `out`, writes `{ summary, answers }` there. */
export async function grade({ model: folder, weights, out, threads, json, ...asked }: GradeArguments, { print, status }: Output): Promise<number> {
  const options = { ...asked, pixels: asked.pixels ?? learnedSide(folder) }
  for (const name of ['count', 'samples'] as const) {
    if (!(Number.isSafeInteger(options[name]) && options[name] > 0))
      throw new ArgumentError(`--${name} ${options[name]}: expected an integer from 1 up`)
  }
  if (out !== null) checkWritable(out)
  if (threads !== null) setThreads(threads)
  using checkpoint = loadModel(folder)
  if (weights !== null) putWeights(checkpoint.model.parameters, weights)
  const processor = await openProcessor(folder, {})
  const started = performance.now()
  const answers = await evaluatePrior({ model: checkpoint.model, processor }, options, (done) => {
    if (json) print(JSON.stringify({ type: 'progress', share: done / options.count }))
    else status?.(`${done} of ${options.count} questions`)
  })
  const summary = summaryOf(answers)
  const seconds = (performance.now() - started) / 1000
  if (out !== null) {
    // Whoever waits for the file finds it complete.
    replaceText(out, [JSON.stringify({ options, summary, answers })])
  }
  if (json) return 0
  for (const [name, { sum, count }] of Object.entries(summary))
    print(`${name.padEnd(18)} ${(sum / Math.max(1, count)).toFixed(3)}  (${sum} of ${count})`)
  print(`${answers.length} answers, ${seconds.toFixed(1)} s`)
  return 0
}

export const gradeDefaults = { mode: 'question' as Mode, seed: 4242, count: 600, samples: 4, temperature: 1, maxTokens: 80 } as const
