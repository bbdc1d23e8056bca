// Accuracy task by task, on scenes, on figures and on the benchmark's real pictures, and how much each task depends on the picture: what
// VGS groups its benchmarks by (tables 1 and 5).

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { worldNamed } from '../data/worlds/registry.ts'
import type { Diagnosis } from '../diagnostics/diagnosis.ts'
import { ArgumentError } from '../errors.ts'
import type { BenchmarkScores } from '../evaluation/scores.ts'
import { Answers, armNames, meanMeasure } from './compare.ts'
import { measures } from './graded.ts'
import { type ExperimentFiles, type ExperimentPlan, figureSuites, type Part, untrained } from './plan.ts'

/** Where questions come from: PriorWorld, BlindWorld, and the real pictures of VlmsAreBlind. */
export type Place = 'scenes' | 'figures' | 'benchmark'

export interface TaskAccuracy {
  readonly place: Place
  readonly task: string
  /** Questions. */
  readonly count: number
  /** Mean visual dependency of the tokens of answers to it, in nats, over bases; null where it was not diagnosed. */
  readonly dependency: number | null
  /** By arm: a value for each base. */
  readonly accuracy: Readonly<Record<string, readonly number[]>>
}

/** Tasks that the published benchmark calls otherwise than we do. */
const ourNames: Readonly<Record<string, string>> = {
  'line plot intersections': 'line intersections',
  'olympic counting - circles': 'counting shapes',
  'olympic counting - pentagons': 'counting shapes',
  'counting grid': 'rows columns',
  'subway connections': 'subway paths',
}

/** Splits of PriorWorld are tasks of their own: the same question depends on the picture where it contradicts what is usual. */
const sceneTask = ({ split, task }: { readonly split: string; readonly task: string }): string => `${split}, ${task}`

/** The task of a sample that was drawn for diagnoses. @param id `WORLD-SEED-INDEX` */
function taskOf(id: string, asked: readonly Part[]): { readonly place: Place; readonly task: string } {
  const [name = '', seed, index] = id.split('-')
  const part = asked.find(({ world }) => world === name)
  const { task, split } = worldNamed(name).sample(Number(seed), Number(index), { tasks: part?.tasks ?? null, splits: part?.splits ?? null })
  return name === 'blind' ? { place: 'figures', task: task.replaceAll('_', ' ') } : { place: 'scenes', task: sceneTask({ task, split }) }
}

/** Mean visual dependency of tokens by place and task, from all diagnoses that measured it. */
function dependencies(plan: ExperimentPlan, files: ExperimentFiles, seeds: readonly number[]): ReadonlyMap<string, number> {
  const found = new Map<string, { sum: number; count: number }>()
  for (const { arm, what, checkpoint } of plan.diagnoses.filter((each) => each.what.split(',').includes('dependency'))) {
    for (const seed of seeds) {
      const { rollouts } = JSON.parse(readFileSync(files.diagnosis(plan.recipe, seed, arm, what, checkpoint), 'utf8')) as Diagnosis
      for (const { id, dependency } of rollouts) {
        const { place, task } = taskOf(id, plan.asked)
        const total = found.get(`${place} ${task}`) ?? { sum: 0, count: 0 }
        found.set(`${place} ${task}`, total)
        total.sum += (dependency ?? []).reduce((sum, value) => sum + value, 0)
        total.count += dependency?.length ?? 0
      }
    }
  }
  return new Map([...found].filter(([, { count }]) => count > 0).map(([key, { sum, count }]) => [key, sum / count]))
}

function sceneAccuracies(plan: ExperimentPlan, answers: Answers): Omit<TaskAccuracy, 'dependency'>[] {
  const [seed = 1] = answers.seeds
  const questions = new Map(answers.of(untrained, seed).map((answer) => [answer.index, sceneTask(answer)]))
  return [...new Set(questions.values())].sort().map((task) => ({
    ...{ place: 'scenes', task, count: [...questions.values()].filter((each) => each === task).length },
    accuracy: Object.fromEntries(
      armNames(plan).map((arm) => [
        arm,
        answers.seeds.map(
          (each) =>
            meanMeasure(
              answers.of(arm, each).filter((answer) => sceneTask(answer) === task),
              measures.overall,
            ) as number,
        ),
      ]),
    ),
  }))
}

function suiteAccuracies(
  plan: ExperimentPlan,
  files: ExperimentFiles,
  seeds: readonly number[],
  place: 'figures' | 'benchmark',
): Omit<TaskAccuracy, 'dependency'>[] {
  const path = (arm: string, seed: number): string => join(files.figures(plan.recipe, seed, arm, place), figureSuites[place], 'scores.json')
  const read = (arm: string, seed: number): BenchmarkScores => JSON.parse(readFileSync(path(arm, seed), 'utf8')) as BenchmarkScores
  // The benchmark is there only if it was given; figures that we draw are always.
  const missing = armNames(plan).flatMap((arm) => seeds.map((seed) => path(arm, seed)).filter((each) => !existsSync(each)))
  if (place === 'benchmark' && missing.length === armNames(plan).length * seeds.length) return []
  const [lost] = missing
  if (lost !== undefined)
    throw new ArgumentError(`${lost} is missing${place === 'benchmark' ? '; the others have been asked: give --blindtest again' : ''}`)
  const found = new Map(armNames(plan).map((arm) => [arm, seeds.map((seed) => read(arm, seed).groups['task'] ?? [])]))
  return (found.get(untrained)?.[0] ?? []).map(({ group, units }) => ({
    ...{ place, task: group.replaceAll('_', ' '), count: units },
    accuracy: Object.fromEntries(
      [...found].map(([arm, bases]) => [
        arm,
        bases.map((groups) => groups.find((each) => each.group === group)?.statistics['Acc@1']?.value as number),
      ]),
    ),
  }))
}

/** Every task of an experiment that asks for figures. */
export function taskAccuracies(plan: ExperimentPlan, files: ExperimentFiles): TaskAccuracy[] {
  const answers = new Answers(plan, files)
  const known = dependencies(plan, files, answers.seeds)
  const all = [
    ...sceneAccuracies(plan, answers),
    ...suiteAccuracies(plan, files, answers.seeds, 'figures'),
    ...suiteAccuracies(plan, files, answers.seeds, 'benchmark'),
  ]
  // A task of the benchmark is as dependent as the same task of figures that we draw.
  const asOurs = ({ place, task }: Omit<TaskAccuracy, 'dependency'>): string =>
    place === 'benchmark' ? `figures ${ourNames[task] ?? task}` : `${place} ${task}`
  return all.map((each) => ({ ...each, dependency: known.get(asOurs(each)) ?? null }))
}

/** Thirds of the tasks that we draw, by visual dependency: low, middle, high. */
export function dependencyGroups(tasks: readonly TaskAccuracy[]): readonly (readonly TaskAccuracy[])[] {
  const sorted = tasks
    .filter(({ place, dependency }) => place !== 'benchmark' && dependency !== null)
    .toSorted((a, b) => (a.dependency as number) - (b.dependency as number))
  return [0, 1, 2].map((third) => sorted.slice(Math.round((third * sorted.length) / 3), Math.round(((third + 1) * sorted.length) / 3)))
}

/** The mean over tasks, each counting the same, for each base. */
export function overTasks(tasks: readonly TaskAccuracy[], arm: string): number[] {
  const [first] = tasks
  return (first?.accuracy[arm] ?? []).map((_, base) => tasks.reduce((sum, { accuracy }) => sum + (accuracy[arm]?.[base] as number), 0) / tasks.length)
}
