// What an experiment is: a value that says which bases, arms and measures are compared, and the jobs that this comes to. Bases are the unit of
// replication: they vary more than runs of post-training do.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type BaseRecord, readRecord, recordFile } from '../nano/base.ts'
import { judge, type RecipeName } from '../nano/recipe.ts'
import type { Arm } from './arms.ts'
import { baseJob, diagnoseJob, figuresJob, gradeJob, trainJob, worldJob } from './commands.ts'
import type { Job } from './jobs.ts'

/** A share of a data set, drawn from one world. */
export interface Part {
  readonly world: string
  readonly share: number
  /** Side of the pictures; null: the world's own. */
  readonly pixels: number | null
  readonly tasks: readonly string[] | null
  readonly splits: readonly string[] | null
}

/** Fixed before any of it is run; what was added later, docs/experiments.md says. */
export interface ExperimentPlan {
  readonly name: string
  readonly title: string
  /** One line for the list of experiments. */
  readonly about: string
  /** What the report says first. */
  readonly lead: string
  readonly recipe: RecipeName
  /** A recipe that this one begins with: where its base of the same seed lies beside, the courses that it has had are not given again. */
  readonly from: RecipeName | null
  /** Accepted bases, taken from seeds 1, 2, 3 … in their order. */
  readonly bases: number
  /** No more seeds are tried than these. */
  readonly candidates: number
  /** The larger sibling that teaches; null where nobody else does. */
  readonly teacher: { readonly recipe: RecipeName; readonly seed: number } | null
  readonly arms: readonly Arm[]
  readonly steps: number
  readonly batch: number
  /** What all arms are trained on, and what of the configuration they share, `a.b=c` each. */
  readonly data: readonly Part[]
  readonly sets: readonly string[]
  /** Side of the pictures of PriorWorld that are asked for; null: its own. */
  readonly pixels: number | null
  /** Steps at which curves have points, besides the beginning and the end, and the arms that have curves. */
  readonly curve: { readonly at: readonly number[]; readonly arms: readonly string[] }
  readonly questions: number
  readonly answers: number
  /** Every arm is compared with these, by these measures. */
  readonly against: readonly { readonly arm: string; readonly measures: readonly string[] }[]
  /** A base with another recipe, seed 1, and the arms that are run on it; null for none. */
  readonly control: { readonly recipe: RecipeName; readonly arms: readonly string[]; readonly about: string } | null
  /** Figures that every arm is asked for at its end, of BlindWorld and of the benchmark where it is given; null for none. */
  readonly figures: { readonly drawn: Part; readonly count: number; readonly seed: number } | null
  /** The samples of all diagnoses, and what is diagnosed on every base: an arm's run at a checkpoint. */
  readonly asked: readonly Part[]
  readonly diagnoses: readonly {
    readonly arm: string
    readonly what: string
    readonly checkpoint: 'none' | 'last'
    readonly samples: number
    readonly more: readonly string[]
  }[]
  /** Prior may be lower than the base's by less than this. */
  readonly margin: number
  readonly seeds: { readonly data: number; readonly questions: number; readonly diagnosis: number }
}

/** Names of the benchmarks of figures: ours, and the one with real pictures. */
export const figureSuites = { figures: 'blind-world', benchmark: 'vlms-are-blind' } as const

/** The name under which a base without post-training stands among the arms. */
export const untrained = 'base'

/** Where everything of an experiment lies. */
export class ExperimentFiles {
  readonly #folder: string
  /** Local copy of the benchmark VlmsAreBlind; null where there is none. */
  readonly blindtest: string | null

  constructor(folder: string, blindtest: string | null) {
    this.#folder = folder
    this.blindtest = blindtest
  }

  /** Bases lie beside the experiments, since several use the same. */
  base(recipe: RecipeName, seed: number, size: 'student' | 'teacher' = 'student'): string {
    return join(this.#folder, '..', 'bases', `${recipe}-${size}-${seed}`)
  }

  #home(recipe: RecipeName, seed: number): string {
    return join(this.#folder, `${recipe}-${seed}`)
  }

  data(recipe: RecipeName, seed: number, world: string): string {
    return join(this.#home(recipe, seed), `data-${world}`)
  }

  run(recipe: RecipeName, seed: number, arm: string): string {
    return join(this.#home(recipe, seed), arm)
  }

  /** @param step of a curve; null: the end */
  grades(recipe: RecipeName, seed: number, arm: string, step: number | null): string {
    return join(this.#home(recipe, seed), `${arm}${step === null ? '' : `-${step}`}.grades.json`)
  }

  /** Questions that the diagnoses of all bases share. */
  asked(world: string): string {
    return join(this.#folder, `asked-${world}`)
  }

  /** Figures that all bases are asked for. */
  get figureQuestions(): string {
    return join(this.#folder, 'figures')
  }

  /** Folder of an evaluation: answers to figures. */
  figures(recipe: RecipeName, seed: number, arm: string, which: keyof typeof figureSuites): string {
    return join(this.#home(recipe, seed), `${arm}.${which}`)
  }

  diagnosis(recipe: RecipeName, seed: number, arm: string, what: string, checkpoint: string): string {
    return join(this.#home(recipe, seed), `${arm}-${what.replaceAll(',', '-')}-${checkpoint}.diagnosis.json`)
  }

  /** Which command made what lies here. */
  get commands(): string {
    return join(this.#folder, 'commands.json')
  }

  /** What is known of a base, held against the rules of today by what was measured when it was made; null if there is none. */
  record(recipe: RecipeName, seed: number, size: 'student' | 'teacher' = 'student'): BaseRecord | null {
    const folder = this.base(recipe, seed, size)
    if (!existsSync(join(folder, recordFile))) return null
    const record = readRecord(folder)
    const verdicts = judge(recipe, record.measured)
    return { ...record, verdicts, accepted: verdicts.every(({ kept }) => kept) }
  }
}

/** Bases that are there, in the order of seeds, and whether each is accepted. */
export function candidates({ recipe, candidates: most }: ExperimentPlan, files: ExperimentFiles): readonly BaseRecord[] {
  const found: BaseRecord[] = []
  for (let seed = 1; seed <= most; seed++) {
    const record = files.record(recipe, seed)
    if (record === null) break
    found.push(record)
  }
  return found
}

/** The models that results are made with: the teacher, the control and the accepted bases. */
export function modelsUsed(plan: ExperimentPlan, files: ExperimentFiles): readonly BaseRecord[] {
  const { recipe, teacher, control } = plan
  const others = [
    teacher === null ? null : files.record(teacher.recipe, teacher.seed, 'teacher'),
    control === null ? null : files.record(control.recipe, 1),
  ]
  return [...others, ...acceptedSeeds(plan, files).map((seed) => files.record(recipe, seed))].filter((record) => record !== null)
}

/** Seeds of the bases that the experiment uses: the first accepted ones. */
export const acceptedSeeds = (plan: ExperimentPlan, files: ExperimentFiles): number[] =>
  candidates(plan, files)
    .filter(({ accepted }) => accepted)
    .slice(0, plan.bases)
    .map(({ seed }) => seed)

/** The models that have to be made next, so that enough bases are accepted if all of these are; none if there are enough or seeds have run out. */
export function baseJobs(plan: ExperimentPlan, files: ExperimentFiles): Job[] {
  const { recipe, teacher, control } = plan
  const made = candidates(plan, files).length
  const missing = plan.bases - acceptedSeeds(plan, files).length
  const seeds = Array.from({ length: Math.max(0, Math.min(missing, plan.candidates - made)) }, (_, i) => made + 1 + i)
  const wanted = [
    ...(teacher === null ? [] : [{ id: 'teacher', folder: files.base(teacher.recipe, teacher.seed, 'teacher'), ...teacher, size: 'teacher' }]),
    ...seeds.map((seed) => ({ id: `base ${seed}`, folder: files.base(recipe, seed), recipe, seed, size: 'student' })),
    ...(control === null ? [] : [{ id: 'control', folder: files.base(control.recipe, 1), recipe: control.recipe, seed: 1, size: 'student' }]),
  ]
  const begun = (from: RecipeName | null, seed: number): string | null => {
    const folder = from === null ? null : files.base(from, seed)
    return folder !== null && existsSync(folder) ? folder : null
  }
  return wanted.map(({ id, ...options }) => baseJob(id, { ...options, from: options.recipe === recipe ? begun(plan.from, options.seed) : null }))
}

/** Draws the parts of a data set, `count` samples in all. */
function partJobs(id: string, parts: readonly Part[], folderOf: (world: string) => string, count: number, seed: number): Job[] {
  return parts.map(({ world, share, pixels, tasks, splits }) =>
    worldJob(`${id} ${world}`, { world, pixels, tasks, splits, seed, folder: folderOf(world), count: Math.round(share * count) }),
  )
}

function armJobs(plan: ExperimentPlan, files: ExperimentFiles, recipe: RecipeName, seed: number, arms: readonly Arm[], curves: boolean): Job[] {
  const { steps, batch, questions, answers, seeds, curve, teacher, diagnoses, pixels, figures } = plan
  const base = files.base(recipe, seed)
  const home = `${recipe} ${seed}`
  const grading = { count: questions, samples: answers, seed: seeds.questions, pixels }
  const drawn = partJobs(`data ${home}`, plan.data, (world) => files.data(recipe, seed, world), steps * batch, seeds.data + seed)
  const taught = teacher === null ? [] : [`teacher.path=${files.base(teacher.recipe, teacher.seed, 'teacher')}`]
  const examineJobs = (id: string, needs: readonly string[], arm: string, model: string): Job[] => [
    gradeJob(`grade ${id}`, needs, { ...grading, model, out: files.grades(recipe, seed, arm, null) }),
    ...(figures === null
      ? []
      : [
          figuresJob(`figures ${id}`, [...needs, 'figures'], {
            ...{ model, suite: figureSuites.figures, source: files.figureQuestions, count: figures.count },
            out: files.figures(recipe, seed, arm, 'figures'),
          }),
        ]),
    ...(figures === null || files.blindtest === null
      ? []
      : [
          // About as many as those that are drawn: how many is read when they are asked.
          figuresJob(`benchmark ${id}`, needs, {
            ...{ model, suite: figureSuites.benchmark, source: files.blindtest, count: figures.count },
            out: files.figures(recipe, seed, arm, 'benchmark'),
          }),
        ]),
  ]
  return [
    ...drawn,
    ...examineJobs(`${home} ${untrained}`, [], untrained, base),
    ...arms.flatMap((arm) => {
      const run = files.run(recipe, seed, arm.name)
      const id = `${home} ${arm.name}`
      const points = curves && curve.arms.includes(arm.name) ? curve.at : []
      // All: a run that was stopped and went on has more of them than points and end.
      const kept = points.length > 0 ? [`checkpoints.every=${points[0]}`, `checkpoints.keep=${steps}`] : []
      const train = trainJob(
        `train ${id}`,
        drawn.map((job) => job.id),
        {
          ...{ arm, base, data: plan.data.map(({ world }) => files.data(recipe, seed, world)), folder: run, seed, steps },
          sets: [`optimisation.batch=${batch}`, ...plan.sets, ...taught, ...kept],
        },
      )
      const weights = (step: number): string => join(run, 'checkpoints', `step-${String(step).padStart(6, '0')}`)
      return [
        train,
        ...examineJobs(id, [train.id], arm.name, join(run, 'final')),
        ...points.map((step) =>
          gradeJob(`grade ${id} at ${step}`, [train.id], {
            ...{ ...grading, model: base, weights: weights(step), out: files.grades(recipe, seed, arm.name, step) },
          }),
        ),
        ...diagnoses
          .filter(({ arm: name }) => curves && name === arm.name)
          .map(({ what, checkpoint, samples, more }) =>
            diagnoseJob(`diagnose ${id} ${what} ${checkpoint}`, [train.id, ...plan.asked.map(({ world }) => `asked ${world}`)], {
              ...{ run, what, checkpoint, samples, more, data: plan.asked.map(({ world }) => files.asked(world)), seed: seeds.diagnosis },
              out: files.diagnosis(recipe, seed, arm.name, what, checkpoint),
            }),
          ),
      ]
    }),
  ]
}

/** Everything that is done with the accepted bases, and with the control. */
export function comparisonJobs(plan: ExperimentPlan, files: ExperimentFiles): Job[] {
  const { control, arms, diagnoses, seeds, recipe, figures } = plan
  const most = Math.max(0, ...diagnoses.map(({ samples }) => samples))
  return [
    ...(figures === null ? [] : [worldJob('figures', { ...figures.drawn, folder: files.figureQuestions, count: figures.count, seed: figures.seed })]),
    ...(most === 0 ? [] : partJobs('asked', plan.asked, (world) => files.asked(world), most, seeds.diagnosis)),
    ...acceptedSeeds(plan, files).flatMap((seed) => armJobs(plan, files, recipe, seed, arms, true)),
    ...(control === null
      ? []
      : armJobs(
          plan,
          files,
          control.recipe,
          1,
          arms.filter(({ name }) => control.arms.includes(name)),
          false,
        )),
  ]
}
