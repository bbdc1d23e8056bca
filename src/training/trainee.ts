// The models of a run: the student with what trains of it, and everyone that the method lets score, with as little memory of their own as
// possible.

import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { ArgumentError } from '../errors.ts'
import { exportModel } from '../models/export.ts'
import { plainRun } from '../models/linear.ts'
import { attachLora, type LoraAdapter } from '../models/lora.ts'
import type { Model } from '../models/model.ts'
import { loadAdapter, saveAdapter } from '../models/peft.ts'
import { type Checkpoint, type LoadOptions, loadModel } from '../models/registry.ts'
import { type Average, emaAdapter, emaTeacher, frozenCopy, trainable } from '../models/teacher.ts'
import { openProcessor, type Processor, type ProcessorOverrides } from '../processing/processor.ts'
import type { Tokenizer } from '../processing/tokenizer.ts'
import { temporaryIn } from '../runs/files.ts'
import { usedViews } from '../supervision/check.ts'
import type { Processors } from '../supervision/contexts.ts'
import type { Method } from '../supervision/method.ts'
import type { Scorer, Scorers } from '../supervision/scorers.ts'
import { noGrad, scope } from '../torch/context.ts'
import { writeSafetensors } from '../torch/safetensors-write.ts'
import type { Tensor } from '../torch/tensor.ts'

/** A student in training, with its teachers. `dispose` frees all models. */
export interface Trainee extends Disposable {
  readonly scorers: Scorers
  readonly processors: Processors
  /** What trains, by name. */
  readonly parameters: ReadonlyMap<string, Tensor>
  /** A teacher that follows the student; null for none. */
  readonly average: Average | null
  /** Writes what trains into a checkpoint's folder: PEFT's files in `adapter/`, or the weights under their names. */
  save(folder: string): void
  /** The file in a checkpoint's folder that has the parameters by their names. */
  readonly saved: string
  /** Writes what a user takes away: PEFT's files of the adapter, or a whole model folder. An older result there is replaced. */
  exportTo(folder: string): void
}

type ModelFolder = Pick<Config['model'], 'path' | 'minPixels' | 'maxPixels'>

/** The processor of a model folder with the bounds of image sizes that are given. @throws ArgumentError that names the fields of the section */
async function processorOf(section: 'model' | 'teacher', { path, minPixels, maxPixels }: ModelFolder): Promise<Processor> {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    const name = /^[\w-][\w.-]*\/[\w.-]+$/.test(path) ? path : 'NAME'
    throw new ArgumentError(
      `${section}.path ${path}: there is no such folder; download it, for instance with  hf download ${name} --local-dir ${path}`,
    )
  }
  const overrides: ProcessorOverrides = { ...(minPixels !== null && { minPixels }), ...(maxPixels !== null && { maxPixels }) }
  try {
    return await openProcessor(path, overrides)
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause
    throw new ArgumentError(`${cause.message}; set ${section}.minPixels and ${section}.maxPixels so that they leave room between them`, { cause })
  }
}

const loadOptions = (dtype: LoadOptions['dtype'] | null, device: NonNullable<LoadOptions['device']>): LoadOptions =>
  dtype === null || dtype === undefined ? { device } : { dtype, device }

/** Teachers score the student's own token ids, so these must mean the same to both. */
function checkTokenizers(student: Tokenizer, teacher: Tokenizer, folder: string): void {
  const count = Math.min(student.vocabularySize, teacher.vocabularySize)
  for (let id = 0; id < count; id++) {
    const [own, other] = [student.bytesOf(id), teacher.bytesOf(id)]
    if (Buffer.compare(own, other) === 0) continue
    const [a, b] = [own, other].map((bytes) => JSON.stringify(Buffer.from(bytes).toString()))
    throw new ArgumentError(`teacher.path ${folder}: its token ${id} is ${b}, the student's is ${a}; teacher and student must have one vocabulary`)
  }
}

function adapterOf(config: Config, { model }: Checkpoint): LoraAdapter | null {
  if (config.adapter === null) return null
  const { rank, alpha, dropout, targets, exclude, rsLora, vision, from } = config.adapter
  const options = { rank, alpha, dropout, exclude, rsLora, vision, seed: config.run.seed }
  const adapter = attachLora(model, targets === null ? options : { ...options, targets })
  if (from !== null) beginFrom(from, adapter, model)
  return adapter
}

/** Gives an adapter the values of one in a folder, which must be of the same form. */
function beginFrom(folder: string, adapter: LoraAdapter, model: Model): void {
  using stored = loadAdapter(folder, model)
  const [own, theirs] = [adapter, stored].map(
    ({ modules }) => new Map(Array.from(modules, ([name, { a, scale }]) => [name, [a.dim(0), scale] as const])),
  )
  for (const name of new Set([...(own?.keys() ?? []), ...(theirs?.keys() ?? [])])) {
    const [here, there] = [own, theirs].map((each) => each?.get(name)).map((each) => (each ? `rank ${each[0]} scaled by ${each[1]}` : 'no update'))
    if (here === there) continue
    throw new ArgumentError(
      `adapter.from ${folder}: ${name} has ${there} there, and ${here} by this configuration; set adapter.rank, alpha, targets, exclude, rsLora and vision as it was trained`,
    )
  }
  noGrad(() => scope(() => adapter.parameters.forEach((parameter, name) => void parameter.copy_(stored.parameters.get(name) as Tensor))))
}

/** Loads everything that a method needs. @throws errors of loading, and ArgumentError where models do not fit together */
export async function openTrainee(config: Config, method: Method): Promise<Trainee> {
  using stack = new DisposableStack()
  const needed = new Set([...usedViews(method).values()].map(({ weights }) => weights))
  if (needed.has('teacher') && config.teacher === null) {
    throw new ArgumentError(`the method ${method.name} has views with a teacher's weights; set teacher.path to the teacher's checkpoint`)
  }
  const { device } = config.model
  const studentProcessor = await processorOf('model', config.model)
  const checkpoint = stack.use(loadModel(config.model.path, loadOptions(config.model.dtype, device)))
  const { model } = checkpoint
  const adapter = adapterOf(config, checkpoint)
  if (adapter !== null) stack.use(adapter)
  const parameters = adapter === null ? trainable(model, config.parts) : adapter.parameters
  if (adapter !== null) trainable(model, [])
  const towerTrains =
    adapter === null ? config.parts.some((part) => part !== 'language') : [...adapter.modules.keys()].some((name) => name.startsWith('model.visual.'))
  const tower = {}
  const frozenTower = towerTrains ? {} : tower
  const student: Scorer = { model, run: { adapter, training: true, recompute: config.optimisation.recompute }, tower }

  let base: Scorer | null = null
  if (needed.has('base'))
    base = { model: adapter === null ? stack.use(frozenCopy(model, parameters.keys())).model : model, run: plainRun, tower: frozenTower }
  let ema: Scorer | null = null
  let average: Average | null = null
  if (method.ema !== null && needed.has('ema')) {
    if (adapter === null) {
      const copy = stack.use(emaTeacher(model, parameters.keys(), method.ema.decay))
      ema = { model: copy.model, run: plainRun, tower: towerTrains ? {} : tower }
      average = copy
    } else {
      const copy = stack.use(emaAdapter(adapter, method.ema.decay))
      ema = { model, run: { ...plainRun, adapter: copy.adapter }, tower: towerTrains ? {} : tower }
      average = copy
    }
  }
  let teacher: Scorer | null = null
  let teacherProcessor: Processor | null = null
  if (needed.has('teacher') && config.teacher !== null) {
    const { path, dtype, adapter: adapterFolder } = config.teacher
    teacherProcessor = await processorOf('teacher', config.teacher)
    checkTokenizers(studentProcessor.tokenizer, teacherProcessor.tokenizer, path)
    const other = stack.use(loadModel(path, loadOptions(dtype, device)))
    trainable(other.model, [])
    const own = adapterFolder === null ? null : stack.use(loadAdapter(adapterFolder, other.model))
    teacher = { model: other.model, run: { ...plainRun, adapter: own }, tower: {} }
  }
  const owned = stack.move()
  return {
    scorers: { student, towerTrains, base, ema, teacher },
    processors: { student: studentProcessor, teacher: teacherProcessor },
    parameters,
    average,
    saved: adapter === null ? 'weights.safetensors' : 'adapter/adapter_model.safetensors',
    save: (folder) => {
      if (adapter === null) writeSafetensors(join(folder, 'weights.safetensors'), parameters)
      else saveAdapter(join(folder, 'adapter'), adapter, { baseModel: config.model.path })
    },
    exportTo: (folder) => {
      // Under a name that is cleared away when the run is opened again after a kill.
      const unfinished = temporaryIn(dirname(folder))
      mkdirSync(unfinished)
      try {
        const result = join(unfinished, 'result')
        if (adapter === null) exportModel(result, checkpoint)
        else saveAdapter(result, adapter, { baseModel: config.model.path })
        rmSync(folder, { recursive: true, force: true })
        renameSync(result, folder)
      } finally {
        rmSync(unfinished, { recursive: true, force: true })
      }
    },
    [Symbol.dispose]: () => owned.dispose(),
  }
}

/** Where a run leaves its result. */
export const resultFolder = (run: string): string => join(run, 'final')
