// Brings up a nano base from random weights: draws its lessons, trains it on them course by course, and holds it against the rules of acceptance.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JsonObject, mergePatch } from '../config/merge-patch.ts'
import { configSchema } from '../config/schema.ts'
import { blindWorld } from '../data/worlds/blind/blind.ts'
import { vocabulary as blindWords } from '../data/worlds/blind/words.ts'
import { samplesOf } from '../data/worlds/world.ts'
import { ArgumentError } from '../errors.ts'
import { methods } from '../methods/registry.ts'
import { exportModel } from '../models/export.ts'
import { loadModel, randomModel } from '../models/registry.ts'
import { openProcessor } from '../processing/processor.ts'
import { defineMethod } from '../supervision/check.ts'
import type { Method, MethodTable } from '../supervision/method.ts'
import { setThreads } from '../torch/native.ts'
import { train } from '../training/loop.ts'
import { openSession } from '../training/session.ts'
import { resultFolder } from '../training/trainee.ts'
import { type NanoFamily, type NanoSize, nanoSizes, writeNanoFolder } from './architecture.ts'
import { evaluatePrior, type Share, summaryOf } from './evaluate.ts'
import { lessonsOf, writeCourse } from './lessons.ts'
import { type Acceptance, judge, measured, type RecipeName, recipes } from './recipe.ts'
import { nanoTokenizer } from './tokenizer.ts'

export interface BaseOptions {
  readonly family: NanoFamily
  readonly size: keyof typeof nanoSizes
  readonly recipe: RecipeName
  /** Of the weights, the lessons and their order. */
  readonly seed: number
}

/** What is being done, and how much of all that has to be: 0 to 1. */
export type BaseProgress = (what: string, share: number, detail: string) => void

/** Seconds of a lesson drawn, an optimisation step and an answer; only their ratios matter. */
const cost = { lesson: 0.003, step: 0.25, answer: 0.012 } as const

/** Shares of parts of the work, in their order, as shares of the whole. */
export class Tally {
  readonly #parts: readonly number[]
  readonly #tell: BaseProgress
  #done = -1

  constructor(parts: readonly number[], tell: BaseProgress) {
    this.#parts = parts
    this.#tell = tell
  }

  /** Begins the next part; what it returns is told the share of that part. */
  next(): BaseProgress {
    this.#done++
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
    const [before, own, all] = [sum(this.#parts.slice(0, this.#done)), this.#parts[this.#done] ?? 0, sum(this.#parts)]
    return (what, share, detail) => this.#tell(what, (before + own * share) / all, detail)
  }
}

/** What `base.json` in the folder says. */
export interface BaseRecord extends BaseOptions {
  /** Of the call that finished it. */
  /** Of the call that finished it: a base that was stopped and went on took longer. */
  readonly seconds: number
  /** By `mode/measure`, where there was something to measure. */
  readonly measured: Readonly<Record<string, number>>
  readonly verdicts: readonly Acceptance[]
  readonly accepted: boolean
}

export const recordFile = 'base.json'

/** The words of all worlds, whatever the seed and recipe of a base, so that all have one vocabulary. */
function vocabulary(): ReturnType<typeof nanoTokenizer> {
  const { mix } = recipes.tempted
  const lessons = (['closeUps', 'questions'] as const).flatMap((course) => [...lessonsOf(course, { seed: 0, count: 4000, mix })])
  const others = [...samplesOf(blindWorld, { seed: 0, count: 400 })]
  const texts = [...lessons, ...others].flatMap(({ problem, solution }) => [problem, solution])
  return nanoTokenizer([...texts, ...blindWords.flatMap((word) => [word, ` ${word}`])])
}

const sft = (change: JsonObject): Method => defineMethod(mergePatch(methods.get('sft'), change) as MethodTable)

/** An untrained model of a family and size, as a folder. */
function writeUntrained(folder: string, { family, size, seed }: BaseOptions, deviation: number): void {
  const shape = `${folder}.shape`
  writeNanoFolder(shape, family, nanoSizes[size] satisfies NanoSize, vocabulary())
  using checkpoint = randomModel(shape, { seed, deviation })
  exportModel(folder, checkpoint)
}

/**
 * Brings up a base in `work`, where what is done stays: called again, it goes on. The finished model, with `base.json` beside its weights, is
 * moved to `folder`, and what `work` holds besides is removed.
 * @throws ArgumentError if `folder` is there
 */
export async function makeBase(
  folder: string,
  work: string,
  options: BaseOptions,
  signal: AbortSignal,
  tell: BaseProgress,
): Promise<BaseRecord | null> {
  if (existsSync(folder)) throw new ArgumentError(`${folder} is there already; name a new folder, or remove it`)
  const started = performance.now()
  const recipe = recipes[options.recipe]
  const { seed } = options
  mkdirSync(work, { recursive: true })
  let path = join(work, 'untrained')
  if (!existsSync(path)) writeUntrained(path, options, recipe.deviation)
  const answers = Object.values(measured).reduce((sum, { count, samples }) => sum + count * samples, 0)
  const tally = new Tally([...recipe.stages.flatMap(({ lessons, steps }) => [cost.lesson * lessons, cost.step * steps]), cost.answer * answers], tell)
  for (const { course, lessons, steps, rate, schedule, change } of recipe.stages) {
    const [drawing, training] = [tally.next(), tally.next()]
    const data = join(work, `${course}-data`)
    if (!existsSync(data)) {
      await writeCourse(data, course, { seed: seed + 1, count: lessons, mix: recipe.mix }, (done) =>
        drawing(`drawing ${course}`, done / lessons, `${done} of ${lessons}`),
      )
    }
    const config = configSchema.parse({
      model: { path },
      method: 'sft',
      change,
      data: { sources: data },
      adapter: null,
      parts: ['vision', 'merger', 'language'],
      optimisation: { steps, batch: recipe.batch, rate, schedule, warmup: 20, beta2: 0.98, tokensPerPass: 16384 },
      checkpoints: { every: 100, keep: 1 },
      run: { folder: join(work, course), seed, threads: 1, transcripts: null },
    })
    const result = resultFolder(config.run.folder)
    if (!existsSync(result)) {
      await using session = await openSession(config, sft(change), { resume: true })
      const end = await train(session, signal, ({ step, total, metrics: { loss } }) =>
        training(course, step / total, `loss ${((loss?.sum ?? Number.NaN) / (loss?.count ?? 1)).toFixed(3)}`),
      )
      if (end === 'stopped') return null
    }
    path = result
  }
  setThreads(1)
  const summaries = await examine(path, tally.next())
  const verdicts = judge(options.recipe, summaries)
  const record = {
    ...options,
    seconds: Math.round((performance.now() - started) / 1000),
    measured: Object.fromEntries(Object.entries(summaries).flatMap(([name, { sum, count }]) => (count === 0 ? [] : [[name, sum / count]]))),
    verdicts,
    accepted: verdicts.every(({ kept }) => kept),
  }
  writeFileSync(join(path, recordFile), `${JSON.stringify(record, null, 2)}\n`)
  renameSync(path, folder)
  rmSync(work, { recursive: true })
  return record
}

/** Asks a base in every mode; names are `mode/measure`. */
export async function examine(folder: string, tell: BaseProgress): Promise<Readonly<Record<string, Share>>> {
  using checkpoint = loadModel(folder)
  const processor = await openProcessor(folder, {})
  const found: Record<string, Share> = {}
  const all = Object.values(measured).reduce((sum, { count }) => sum + count, 0)
  let asked = 0
  for (const [mode, options] of Object.entries(measured) as [keyof typeof measured, (typeof measured)[keyof typeof measured]][]) {
    const results = await evaluatePrior({ model: checkpoint.model, processor }, { mode, ...options }, (done) =>
      tell(`asking (${mode})`, (asked + done) / all, `${done} of ${options.count}`),
    )
    asked += options.count
    for (const [name, share] of Object.entries(summaryOf(results))) found[`${mode}/${name}`] = share
  }
  return found
}

/** @throws ArgumentError if the folder is not that of a base */
export function readRecord(folder: string): BaseRecord {
  const file = join(folder, recordFile)
  if (!existsSync(file)) throw new ArgumentError(`${folder}: holds no ${recordFile}; give the folder of a base, as  sightline base make  writes it`)
  return JSON.parse(readFileSync(file, 'utf8')) as BaseRecord
}
