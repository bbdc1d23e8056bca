// The commands of which experiments are made: what a person would type, with the files they leave behind.

import { join } from 'node:path'
import { measured } from '../nano/recipe.ts'
import type { Arm } from './arms.ts'
import type { Job } from './jobs.ts'

/** Seconds of work of a kind of command, measured on one core of a small machine; only their ratios matter. */
const work = { base: 500, picture: 0.004, step: 0.7, answer: 0.006, diagnosed: 0.25 } as const

export interface TrainOptions {
  readonly arm: Arm
  readonly base: string
  readonly data: readonly string[]
  readonly folder: string
  readonly seed: number
  readonly steps: number
  /** Further changes of the configuration, `a.b=c` each. */
  readonly sets?: readonly string[]
}

/** Trains an arm on a base; what it leaves is `final/`. */
export function trainJob(id: string, needs: readonly string[], { arm, base, data, folder, seed, steps, sets = [] }: TrainOptions): Job {
  const changes = Object.entries(arm.change).map(([key, value]) => `change.${key}=${JSON.stringify(value)}`)
  const all = [
    // Quoted, since --set reads YAML and a path may hold anything.
    ...Object.entries({ 'model.path': base, 'data.sources': data, 'run.folder': folder }).map(([path, value]) => `${path}=${JSON.stringify(value)}`),
    ...[`run.seed=${seed}`, `method=${arm.method}`],
    ...[`optimisation.steps=${steps}`, ...changes, ...(arm.sets ?? []), ...sets],
  ]
  return {
    ...{ id, needs, output: join(folder, 'final', 'config.json'), work: work.step * steps },
    command: ['train', 'nano', '--resume', '--json', ...all.flatMap((set) => ['--set', set])],
  }
}

/** Draws a data set. */
export function worldJob(
  id: string,
  {
    world,
    folder,
    count,
    seed,
    pixels,
    tasks,
    splits,
  }: {
    readonly world: string
    readonly folder: string
    readonly count: number
    readonly seed: number
    readonly pixels: number | null
    readonly tasks: readonly string[] | null
    readonly splits: readonly string[] | null
  },
): Job {
  return {
    ...{ id, needs: [], output: join(folder, 'world.json'), work: work.picture * count },
    command: [
      ...['world', 'make', world, '--out', folder, '--count', `${count}`, '--seed', `${seed}`],
      ...(pixels === null ? [] : ['--pixels', `${pixels}`]),
      ...(tasks === null ? [] : ['--tasks', tasks.join(',')]),
      ...(splits === null ? [] : ['--splits', splits.join(',')]),
    ],
  }
}

export interface GradeOptions {
  readonly model: string
  readonly out: string
  readonly count: number
  readonly samples: number
  readonly seed: number
  /** Side of the pictures; null: the world's own. */
  readonly pixels: number | null
  readonly weights?: string
  readonly mode?: string
}

/** Grades a model on PriorWorld. */
export function gradeJob(id: string, needs: readonly string[], { model, out, count, samples, seed, pixels, weights, mode }: GradeOptions): Job {
  return {
    ...{ id, needs, output: out, work: work.answer * count * samples },
    command: [
      ...['grade', '--model', model, '--out', out, '--count', `${count}`, '--samples', `${samples}`, '--seed', `${seed}`, '--threads', '1', '--json'],
      ...(pixels === null ? [] : ['--pixels', `${pixels}`]),
      ...(weights === undefined ? [] : ['--weights', weights]),
      ...(mode === undefined ? [] : ['--mode', mode]),
    ],
  }
}

export interface FiguresOptions {
  readonly model: string
  /** Folder of the evaluation. */
  readonly out: string
  /** Name of a benchmark of figures, where its questions lie, and about how many these are. */
  readonly suite: string
  readonly source: string
  readonly count: number
}

/** Asks a model for figures, worded as for all nano models: one greedy answer to each. */
export function figuresJob(id: string, needs: readonly string[], { model, out, suite, source, count }: FiguresOptions): Job {
  return {
    ...{ id, needs, output: join(out, 'scores.json'), work: work.answer * count },
    command: [
      ...['eval', '--model', model, '--out', out, '--suite', `${suite}=${source}`, '--mode', 'structured', '--wording', 'nano'],
      ...['--max-tokens', `${measured.figure.maxTokens}`, '--threads', '1', '--json'],
    ],
  }
}

/** Diagnoses a run. */
export function diagnoseJob(
  id: string,
  needs: readonly string[],
  {
    run,
    what,
    checkpoint,
    data,
    samples,
    out,
    seed,
    more = [],
  }: {
    readonly run: string
    readonly what: string
    readonly checkpoint: string
    readonly data: readonly string[]
    readonly samples: number
    readonly out: string
    readonly seed: number
    readonly more?: readonly string[]
  },
): Job {
  return {
    ...{ id, needs, output: out, work: work.diagnosed * samples },
    command: [
      ...['diagnose', run, '--what', what, '--checkpoint', checkpoint, ...data.flatMap((source) => ['--data', source])],
      ...['--samples', `${samples}`, '--out', out, '--seed', `${seed}`, ...more],
    ],
  }
}

/** Brings up a base. */
export function baseJob(
  id: string,
  {
    folder,
    recipe,
    seed,
    size,
    family,
    from = null,
  }: {
    readonly folder: string
    readonly recipe: string
    readonly seed: number
    readonly size?: string
    readonly family?: string
    readonly from?: string | null
  },
): Job {
  return {
    ...{ id, needs: [], output: join(folder, 'base.json'), work: work.base },
    command: [
      ...['base', 'make', folder, '--recipe', recipe, '--seed', `${seed}`, '--json'],
      ...(size === undefined ? [] : ['--size', size]),
      ...(family === undefined ? [] : ['--family', family]),
      ...(from === null ? [] : ['--from', from]),
    ],
  }
}
