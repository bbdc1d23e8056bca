// Experiments that were never run: bases, graded answers and diagnoses as files, with numbers that the tests choose.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import type { Diagnosis } from '../../src/diagnostics/diagnosis.ts'
import type { Geometry } from '../../src/diagnostics/geometry.ts'
import type { BenchmarkScores } from '../../src/evaluation/scores.ts'
import { opsd, samePrompt, vigos } from '../../src/experiments/arms.ts'
import type { ExperimentPlan } from '../../src/experiments/plan.ts'
import type { Graded } from '../../src/nano/evaluate.ts'
import { type RecipeName, rules } from '../../src/nano/recipe.ts'

const folder = mkdtempSync(join(tmpdir(), 'sightline-made-'))
after(() => rmSync(folder, { recursive: true }))
let folders = 0

/** A folder for an experiment, with room beside it for bases. */
export const newFolder = (): string => join(folder, `${++folders}`, 'experiment')

export function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, JSON.stringify(value))
}

export const smallPlan: ExperimentPlan = {
  ...{ name: 'small', title: 'A small one', about: 'nothing', lead: 'All is made up.' },
  ...{ recipe: 'tempted', from: null, bases: 3, candidates: 5, teacher: null, arms: [samePrompt, opsd, vigos], steps: 6, batch: 2 },
  ...{ data: [{ world: 'natural', share: 1, pixels: null, tasks: null, splits: null }], sets: [], pixels: null, figures: null },
  asked: [{ world: 'prior', share: 1, pixels: null, tasks: null, splits: ['score'] }],
  ...{ curve: { at: [2, 4], arms: ['opsd', 'vigos'] }, questions: 8, answers: 2, control: null, diagnoses: [], margin: 0.02 },
  against: [
    { arm: 'opsd', measures: ['score', 'description'] },
    { arm: 'base', measures: ['score'] },
  ],
  seeds: { data: 50, questions: 60, diagnosis: 70 },
}

/** `base.json` of a base that was never trained. */
export function writeBase(
  path: string,
  { seed, recipe = 'tempted', accepted = true }: { seed: number; recipe?: RecipeName; accepted?: boolean },
): void {
  const verdicts = rules[recipe].map((rule, i) => ({ ...rule, value: accepted || i > 0 ? rule.least : rule.least - 0.01, kept: accepted || i > 0 }))
  writeJson(join(path, 'base.json'), {
    ...{ family: 'qwen2_5_vl', size: 'student', recipe, seed, seconds: 1, verdicts, accepted },
    measured: Object.fromEntries(verdicts.map(({ measure, value }) => [measure, value])),
  })
}

const plain = { task: 'plain', text: '', valid: true, ended: true, believed: false, described: null, follows: null, stated: 0, true: 0 }

/** One answer to each question: whether it is right, first those of Score, then those of Prior; descriptions are of the first, in their order. */
export function answersOf(score: readonly boolean[], prior: readonly boolean[], described: readonly (boolean | null)[] = []): Graded[] {
  return [
    ...score.map((correct, index) => ({
      ...plain,
      index,
      split: 'score',
      correct,
      described: described[index] ?? null,
      follows: described[index] ?? null,
    })),
    ...prior.map((correct, i) => ({ ...plain, index: score.length + i, split: 'prior', correct })),
  ]
}

/** Of so many questions the first `right` are right. */
export const rightOf = (right: number, count: number): boolean[] => Array.from({ length: count }, (_, i) => i < right)

/** So many answers to each task of PriorWorld, `split/task`, and those of them that are right. */
export function answersByTask(tasks: Readonly<Record<string, readonly [right: number, count: number]>>): Graded[] {
  const answers = Object.entries(tasks).flatMap(([name, [right, count]]) => {
    const [split = '', task = ''] = name.split('/')
    return rightOf(right, count).map((correct) => ({ ...plain, split, task, correct }))
  })
  return answers.map((answer, index) => ({ ...answer, index }))
}

const share = (value: number) => ({ value, low: Math.max(0, value - 0.1), high: Math.min(1, value + 0.1) })

/** Scores of a benchmark of figures, as an evaluation writes them: the share of right answers and the number of questions of each task. */
function figureScores(benchmark: string, tasks: Readonly<Record<string, readonly [accuracy: number, questions: number]>>): BenchmarkScores {
  const groups = Object.entries(tasks).map(([group, [value, units]]) => ({ group, units, statistics: { 'Acc@1': share(value) } }))
  const questions = groups.reduce((sum, { units }) => sum + units, 0)
  return {
    ...{ benchmark, title: benchmark, questions, samples: 1, judged: 0 },
    measures: [{ name: 'accuracy', label: 'Accuracy', units: questions, statistics: { 'Acc@1': share(0.5) } }],
    // What is grouped by something else is not looked at.
    groups: { split: [{ group: 'easy', units: questions, statistics: { 'Acc@1': share(0.123) } }], task: groups },
    form: { valid: share(1), right: share(0.5), rightIfValid: share(0.5), cut: share(0), undecided: share(0), tokens: 20 },
  }
}

/** What an evaluation of figures leaves in its folder. @param suite the benchmark */
export function writeFigures(folder: string, suite: string, tasks: Readonly<Record<string, readonly [accuracy: number, questions: number]>>): void {
  writeJson(join(folder, suite, 'scores.json'), figureScores(suite, tasks))
}

export const writeGrades = (path: string, answers: readonly Graded[]): void => writeJson(path, { options: {}, summary: {}, answers })

const estimate = (value: number | null) => ({ value, low: value === null ? null : value * 0.9, high: value === null ? null : value * 1.1 })

function groupOf(angle: number | null): Geometry['whole'] {
  const [norm, angles] = [estimate(angle === null ? null : 0.01), estimate(angle)]
  return { norms: { std: norm, vis: norm, lang: norm }, angles: { stdVis: angles, stdLang: angles, visLang: angles }, tokens: 5, ...lossesOf }
}
const lossesOf = { dependency: 0.1, losses: { std: 0.1, vis: 0.1, lang: 0.1 } }

/** @param palr by group, from 0 to 1 @param angles in degrees, by bin */
export function diagnosisOf({
  palr = null,
  angles = null,
  dynamics = null,
  rollouts = [],
}: {
  readonly palr?: Readonly<Record<string, number | null>> | null
  readonly angles?: readonly (number | null)[] | null
  readonly dynamics?: Diagnosis['dynamics']
  readonly rollouts?: Diagnosis['rollouts']
}): Diagnosis {
  const ratio = { sum: 0, count: 1 }
  const groups = (of: Readonly<Record<string, number | null>>) =>
    Object.fromEntries(Object.entries(of).map(([name, value]) => [name, { sum: 1, count: 2, tokens: 3, ...estimate(value) }]))
  return {
    ...{ version: 1, method: 'vigos', checkpoint: 6, seed: 7, samples: 1, correct: ratio, valid: ratio, dependency: null, dynamics, rollouts },
    palr: palr === null ? null : { groups: groups(palr), rollouts: 1, valid: 1, wrongAnswers: 4, cap: null },
    geometry:
      angles === null
        ? null
        : { above: null, batches: 8, bins: angles.map((angle, low) => ({ ...groupOf(angle), low, high: low + 1 })), whole: groupOf(80) },
  }
}
