// Brings up a nano base from random weights: draws its lessons, trains it on them course by course, and holds it against the rules of acceptance.

import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
import { figureSide, type NanoFamily, type NanoSize, nanoSizes, sceneSide, writeNanoFolder, writePreprocessor } from './architecture.ts'
import { evaluateFigures, evaluatePrior, type Share, summaryOf } from './evaluate.ts'
import { lessonsOf, writeCourse } from './lessons.ts'
import { type Acceptance, hasFigures, judge, measured, type Recipe, type RecipeName, recipes, type Stage } from './recipe.ts'
import { nanoTokenizer } from './tokenizer.ts'

export interface BaseOptions {
  readonly family: NanoFamily
  readonly size: keyof typeof nanoSizes
  readonly recipe: RecipeName
  /** Of the weights, the lessons and their order. */
  readonly seed: number
}

export interface MakeOptions extends BaseOptions {
  /** A base that has had the first courses already; null: from random weights. */
  readonly from: string | null
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
  /** Of the call that finished it: a base that was stopped and went on took longer. */
  readonly seconds: number
  /** By `mode/measure`, where there was something to measure. */
  readonly measured: Readonly<Record<string, number>>
  readonly verdicts: readonly Acceptance[]
  readonly accepted: boolean
}

export const recordFile = 'base.json'

const sidesOf = (family: NanoFamily): { readonly scene: number; readonly figure: number } => ({
  scene: sceneSide(family),
  figure: figureSide(family),
})

/** The words of all worlds, whatever the seed and recipe of a base, so that all have one vocabulary. */
function vocabulary(): ReturnType<typeof nanoTokenizer> {
  const options = { seed: 0, count: 4000, mix: recipes.tempted.mix, sides: sidesOf('qwen2_5_vl') }
  const lessons = (['closeUps', 'questions'] as const).flatMap((course) => [...lessonsOf(course, options)])
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
 * The stages that a base has not had. @param from a base of the same model whose recipe is the beginning of this one
 * @throws ArgumentError for another base
 */
function stagesAfter(from: string, { recipe: name, ...model }: BaseOptions): readonly Stage[] {
  const record = readRecord(from)
  const had: Recipe | undefined = recipes[record.recipe]
  if (had === undefined)
    throw new ArgumentError(`${from}: ${recordFile} names the recipe ${record.recipe}; expected one of ${Object.keys(recipes).join(', ')}`)
  const recipe: Recipe = recipes[name]
  const begins = had.stages.length < recipe.stages.length && had.mix === recipe.mix && had.stages.every((stage, i) => stage === recipe.stages[i])
  const same = (['family', 'size', 'seed'] as const).every((key) => record[key] === model[key])
  if (begins && same) return recipe.stages.slice(had.stages.length)
  const said = ({ family, size, seed }: Omit<BaseOptions, 'recipe'>): string => `${family}, ${size}, seed ${seed}`
  throw new ArgumentError(
    `${from} is ${record.recipe} (${said(record)}); ${name} (${said(model)}) can only go on from the same model brought up by a recipe that it begins with`,
  )
}

/** A copy of a model that takes pictures as large as figures. */
function enlarged(path: string, folder: string, family: NanoFamily): string {
  if (!existsSync(folder)) {
    cpSync(path, `${folder}.part`, { recursive: true })
    writePreprocessor(`${folder}.part`, family, figureSide(family))
    renameSync(`${folder}.part`, folder)
  }
  return folder
}

/** What was begun as one base does not go on as another: its folders would be taken for those of this one. @throws ArgumentError */
function keepTo(work: string, options: BaseOptions & { readonly from: BaseRecord | null }): void {
  const file = join(work, 'options.json')
  const begun = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as typeof options) : options
  const said = ({ family, size, recipe, seed, from }: typeof options): string =>
    `${recipe}, ${family}, ${size}, seed ${seed}${from === null ? '' : `, from ${from.recipe}, seed ${from.seed}`}`
  if (JSON.stringify(begun) !== JSON.stringify(options)) {
    throw new ArgumentError(
      `${work} holds the beginning of another base (${said(begun)}) than is asked for (${said(options)}); remove it, or name another folder`,
    )
  }
  writeFileSync(file, JSON.stringify(options))
}

/**
 * Brings up a base in `work`, where what is done stays: called again, it goes on. The finished model, with `base.json` beside its weights, is
 * moved to `folder`, and what `work` holds besides is removed.
 * @throws ArgumentError if `folder` is there, if `from` has had other courses, or if `work` holds the beginning of another base
 */
export async function makeBase(
  folder: string,
  work: string,
  { from, ...options }: MakeOptions,
  signal: AbortSignal,
  tell: BaseProgress,
): Promise<BaseRecord | null> {
  if (existsSync(folder)) throw new ArgumentError(`${folder} is there already; name a new folder, or remove it`)
  const started = performance.now()
  const recipe: Recipe = recipes[options.recipe]
  const stages = from === null ? recipe.stages : stagesAfter(from, options)
  const { seed, family } = options
  mkdirSync(work, { recursive: true })
  keepTo(work, { ...options, from: from === null ? null : readRecord(from) })
  let path = from ?? join(work, 'untrained')
  if (!existsSync(path)) writeUntrained(path, options, recipe.deviation)
  const answers = asked(recipe).reduce((sum, mode) => sum + measured[mode].count * measured[mode].samples, 0)
  const tally = new Tally([...stages.flatMap(({ lessons, steps }) => [cost.lesson * lessons, cost.step * steps]), cost.answer * answers], tell)
  for (const { course, lessons, steps, rate, schedule, change } of stages) {
    const [drawing, training] = [tally.next(), tally.next()]
    const data = join(work, `${course}-data`)
    if (!existsSync(data)) {
      await writeCourse(data, course, { seed: seed + 1, count: lessons, mix: recipe.mix, sides: sidesOf(family) }, (done) =>
        drawing(`drawing ${course}`, done / lessons, `${done} of ${lessons}`),
      )
    }
    if (course === 'figures') path = enlarged(path, join(work, 'enlarged'), family)
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
  const found = await examine(path, options, tally.next())
  const verdicts = judge(options.recipe, found)
  const record = {
    ...options,
    seconds: Math.round((performance.now() - started) / 1000),
    measured: found,
    verdicts,
    accepted: verdicts.every(({ kept }) => kept),
  }
  writeFileSync(join(path, recordFile), `${JSON.stringify(record, null, 2)}\n`)
  renameSync(path, folder)
  rmSync(work, { recursive: true })
  return record
}

type Mode = keyof typeof measured
const modes = Object.keys(measured) as Mode[]

/** How a base of a recipe is asked. */
const asked = (recipe: Recipe): readonly Mode[] => modes.filter((mode) => mode !== 'figure' || hasFigures(recipe))

/** Asks a base in every mode: shares by `mode/measure`, where there was something to measure. */
export async function examine(
  folder: string,
  { recipe: name, family }: Pick<BaseOptions, 'recipe' | 'family'>,
  tell: BaseProgress,
): Promise<Readonly<Record<string, number>>> {
  using checkpoint = loadModel(folder)
  const recipe = recipes[name]
  const who = { model: checkpoint.model, processor: await openProcessor(folder, {}) }
  const found: Record<string, number> = {}
  const sides = sidesOf(family)
  // Who takes pictures as large as figures is shown scenes in the size in which it has learned to see them.
  const pixels = hasFigures(recipe) ? sides.scene : null
  const all = asked(recipe).reduce((sum, mode) => sum + measured[mode].count, 0)
  let before = 0
  for (const mode of asked(recipe)) {
    const { count } = measured[mode]
    const onProgress = (done: number): void => tell(`asking (${mode})`, (before + done) / all, `${done} of ${count}`)
    const shares: Readonly<Record<string, Share>> =
      mode === 'figure'
        ? await evaluateFigures(who, { ...measured[mode], pixels: sides.figure }, onProgress)
        : summaryOf(await evaluatePrior(who, { mode, pixels, ...measured[mode] }, onProgress))
    for (const [measure, { sum, count }] of Object.entries(shares)) if (count > 0) found[`${mode}/${measure}`] = sum / count
    before += count
  }
  return found
}

/**
 * The side in pixels in which a base has learned to see scenes, where it takes larger pictures too; null where it takes no larger ones, so that
 * pictures of any size are scaled down to it, and for a model that is no base.
 */
export function learnedSide(folder: string): number | null {
  if (!existsSync(join(folder, recordFile))) return null
  const { recipe: name, family } = readRecord(folder)
  const recipe: Recipe | undefined = recipes[name]
  return recipe !== undefined && hasFigures(recipe) ? sceneSide(family) : null
}

/** @throws ArgumentError if the folder is not that of a base */
export function readRecord(folder: string): BaseRecord {
  const file = join(folder, recordFile)
  if (!existsSync(file)) throw new ArgumentError(`${folder}: holds no ${recordFile}; give the folder of a base, as  sightline base make  writes it`)
  return JSON.parse(readFileSync(file, 'utf8')) as BaseRecord
}
