// What a run must know to go on as if it had never stopped: weights, optimiser, averages, random numbers, and its place in the data.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { FileFormatError } from '../errors.ts'
import { readTextIfThere } from '../fields.ts'
import type { Evaluator } from '../supervision/evaluate.ts'
import { noGrad, scope } from '../torch/context.ts'
import type { AdamW } from '../torch/optimizer.ts'
import { Generator } from '../torch/random.ts'
import { openSafetensors } from '../torch/safetensors.ts'
import { writeSafetensors } from '../torch/safetensors-write.ts'
import type { Tensor } from '../torch/tensor.ts'
import type { Trainee } from './trainee.ts'

const files = {
  state: 'state.json',
  optimizer: 'optimizer.safetensors',
  average: 'average.safetensors',
  random: 'random.safetensors',
}

const stateSchema = z.object({
  version: z.literal(1),
  /** Samples drawn from the order of the data. */
  position: z.int().min(0),
  /** Skipped steps in a row. */
  bad: z.int().min(0),
  /** η as measured last. */
  scale: z.number().nullable(),
  optimizerSteps: z.record(z.string(), z.int().min(0)),
})

/** What else changes from step to step. */
export interface Progress {
  position: number
  bad: number
}

/** Everything that a checkpoint saves and restores. */
export interface Resumable {
  readonly trainee: Trainee
  readonly optimizer: AdamW
  readonly evaluator: Evaluator
  readonly progress: Progress
}

const generatorOf = (trainee: Trainee): Generator => Generator.default(trainee.scorers.student.model.device)

/** Writes the state of a run into a checkpoint's folder. */
export function saveState(folder: string, { trainee, optimizer, evaluator, progress }: Resumable): void {
  const { steps, tensors } = optimizer.state()
  trainee.save(folder)
  writeSafetensors(join(folder, files.optimizer), tensors)
  if (trainee.average !== null) writeSafetensors(join(folder, files.average), trainee.average.averages)
  scope(() => writeSafetensors(join(folder, files.random), { state: generatorOf(trainee).state() }))
  const state: z.input<typeof stateSchema> = { version: 1, ...progress, scale: evaluator.scale, optimizerSteps: steps }
  writeFileSync(join(folder, files.state), `${JSON.stringify(state)}\n`)
}

function readState(folder: string): z.output<typeof stateSchema> {
  const path = join(folder, files.state)
  try {
    return stateSchema.parse(JSON.parse(readTextIfThere(path) ?? 'null'))
  } catch (cause) {
    throw new FileFormatError(`${path}: is no state of a run that this version can go on from: ${(cause as Error).message}`, { cause })
  }
}

/** The tensors of a file, which must be those of `like`, name by name and shape by shape. */
function matching(path: string, like: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  using file = openSafetensors(path)
  return new Map(
    Array.from(like, ([name, own]) => {
      if (!file.names.includes(name)) throw new FileFormatError(`${path}: lacks ${name}; was the configuration of this run changed?`)
      const stored = file.tensor(name)
      if (stored.shape.join() !== own.shape.join()) throw new FileFormatError(`${path}: ${name} is ${stored}, expected ${own}`)
      return [name, stored]
    }),
  )
}

/** Takes over a saved state. A file that is missing or does not fit is an error that names it; the run must then not go on. */
export function loadState(folder: string, { trainee, optimizer, evaluator, progress }: Resumable): void {
  const state = readState(folder)
  noGrad(() =>
    scope(() => {
      for (const [name, stored] of matching(join(folder, trainee.saved), trainee.parameters)) trainee.parameters.get(name)?.copy_(stored)
      optimizer.load({ steps: state.optimizerSteps, tensors: matching(join(folder, files.optimizer), optimizer.state().tensors) })
      const { average } = trainee
      average?.load(matching(join(folder, files.average), average.averages))
      using file = openSafetensors(join(folder, files.random))
      generatorOf(trainee).setState(file.tensor('state').clone())
    }),
  )
  evaluator.scale = state.scale
  progress.position = state.position
  progress.bad = state.bad
}
