// Joins the shards of an evaluation: the files are those that one process would have written.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { conclude, hold } from './evaluate.ts'
import { checkQuestions, differences, holdsPlan, type Plan, readPlan, settlePlan, shardFolder } from './plan.ts'
import { itemsOf, type QuestionSet } from './questions.ts'
import { files, readAnswers, readVerdicts, writeMerged } from './store.ts'
import type { EvaluationScores } from './suite-scores.ts'

/** The number of shards in a folder. @throws ArgumentError if there are none, or those of several divisions */
function divisionOf(out: string): number {
  const folder = join(out, 'shards')
  const names = existsSync(folder) ? readdirSync(folder) : []
  const counts = [...new Set(names.flatMap((name) => /^\d+-of-(\d+)$/.exec(name)?.[1] ?? []))]
  if (counts.length === 1) return Number(counts[0])
  if (counts.length === 0) throw new ArgumentError(`${out}: has no shards; answer them with --shard 1/N, 2/N, …`)
  throw new ArgumentError(`${out}: has shards of ${counts.join(' and of ')}; keep those of one division`)
}

/** The plan of the whole, from those of all shards. @throws ArgumentError if some are missing, or they differ */
export function mergedPlan(out: string): Plan {
  const of = divisionOf(out)
  const shards = Array.from({ length: of }, (_, i) => shardFolder(out, { index: i + 1, of }))
  const missing = shards.filter((shard) => readPlan(shard) === null)
  if (missing.length > 0) throw new ArgumentError(`${missing.join(', ')}: not there yet; answer with --shard I/${of}`)
  const [first, ...others] = shards.map((shard) => ({ ...(readPlan(shard) as Plan), shard: null })) as [Plan, ...Plan[]]
  for (const [i, other] of others.entries()) {
    const lines = differences(first, other).map((line) => `  ${line}`)
    if (lines.length > 0) throw new ArgumentError([`${shards[i + 1]}: is of another evaluation than ${shards[0]}:`, ...lines].join('\n'))
  }
  return first
}

/** Whether all shards beside one have their verdicts. */
export function allGraded(out: string, { benchmarks }: Plan): boolean {
  const of = divisionOf(out)
  const shards = Array.from({ length: of }, (_, i) => shardFolder(out, { index: i + 1, of }))
  return shards.every((shard) => benchmarks.every(({ name }) => existsSync(join(shard, name, files.verdicts))))
}

/**
 * Writes the files of the whole beside the shards, which stay.
 * @param plan as `mergedPlan` gives it
 * @throws ArgumentError if answers or verdicts are missing
 */
export async function mergeShards(out: string, plan: Plan, sets: readonly QuestionSet[]): Promise<EvaluationScores> {
  checkQuestions(
    plan,
    sets.map(({ planned }) => planned),
  )
  using _held = hold(out)
  // Before anything of another evaluation is written over; the plan itself comes last, since with it the folder counts as one evaluation.
  holdsPlan(out, plan)
  const of = divisionOf(out)
  const finished = sets.map((set) => {
    const parts = Array.from({ length: of }, (_, i) => {
      const shard = { index: i + 1, of }
      const folder = join(shardFolder(out, shard), set.planned.name)
      const [answers, verdicts] = [readAnswers(folder), readVerdicts(folder)]
      const expected = itemsOf(set, shard).length * plan.samples
      if (answers.length !== expected || verdicts.length !== expected) {
        throw new ArgumentError(
          `${folder}: has ${answers.length} answers and ${verdicts.length} verdicts of ${expected}; go on with --shard ${i + 1}/${of}`,
        )
      }
      return { answers, verdicts }
    })
    const all = {
      answers: parts.flatMap((part) => part.answers),
      verdicts: parts.flatMap((part) => part.verdicts),
    }
    return { set, ...writeMerged(join(out, set.planned.name), set.items, all) }
  })
  settlePlan(out, plan)
  return await conclude(out, plan, finished)
}
