// Lets a model answer questions of PriorWorld, or describe its pictures, and grades what it wrote; and asks it for the figures of BlindWorld.

import { sameAnswer } from '../data/answers.ts'
import { blindWorld } from '../data/worlds/blind/blind.ts'
import { expectedAnswer, gradeDescription, rightAnswer, type Truth } from '../data/worlds/prior/grade.ts'
import { priorWorld } from '../data/worlds/prior/world.ts'
import type { WorldSample } from '../data/worlds/world.ts'
import { renderPng } from '../data/worlds/write.ts'
import { descriptionThinkBoxed } from '../methods/formats.ts'
import { plainRun } from '../models/linear.ts'
import type { Model } from '../models/model.ts'
import type { Processor } from '../processing/processor.ts'
import { defineMethod } from '../supervision/check.ts'
import { contextsOf } from '../supervision/contexts.ts'
import type { Method } from '../supervision/method.ts'
import { FeatureStore } from '../supervision/scorers.ts'
import { type Rollout, writeRollouts } from '../training/rollouts.ts'
import { figureParts } from './lessons.ts'
import { wordedAs } from './prompts.ts'

/** How a model is asked: a question, a question with its answer beside it, or only to describe. */
export const modes = ['question', 'reference', 'caption'] as const
export type Mode = (typeof modes)[number]

const prefill = '<description>'
/** The wording of each; a caption has none. */
const wordings: { readonly [M in Mode]: string | null } = { question: 'structured', reference: 'fullFormatWithReference', caption: null }

const described = { parts: [{ segment: 'description', open: '<description>', close: '</description>' }] } as const

const methodOf = (mode: Mode): Method =>
  defineMethod({
    name: `nano-${mode}`,
    rollout: { by: 'student', view: 'student' },
    format: mode === 'caption' ? described : descriptionThinkBoxed,
    prompts: { worded: { user: '{problem}' } },
    views: { student: { weights: 'student', sees: ['image', 'problem'], prompt: 'worded', prefill } },
    terms: { none: { kind: 'imitate' } },
  })

/** One answer, graded. */
export interface Graded {
  /** Of the sample, from 0: answers to one sample belong together. */
  readonly index: number
  readonly split: string
  readonly task: string
  readonly text: string
  readonly valid: boolean
  readonly ended: boolean
  readonly correct: boolean
  /** Whether it is wrong and what everybody expects. */
  readonly believed: boolean
  /** Whether the description has the asked attribute right; null where it is not valid or nothing is asked of a thing. */
  readonly described: boolean | null
  /** Whether the answer is what the description says; null as above, or where the description does not say. */
  readonly follows: boolean | null
  /** Attributes that a valid description states, and those of them that are true. */
  readonly stated: number
  readonly true: number
}

interface Asking {
  readonly seed: number
  readonly count: number
  /** Answers to each sample. */
  readonly samples: number
  readonly temperature: number
  readonly maxTokens: number
}

export interface WorldEvaluation extends Asking {
  readonly mode: Mode
  readonly splits?: readonly string[]
  /** Side of the pictures; null: the world's own. */
  readonly pixels: number | null
}

/** A rollout held against what is true of its picture. */
export function graded(
  rollout: Pick<Rollout, 'division' | 'answer' | 'reason' | 'text'>,
  truth: Truth,
  sample: { readonly answer: string; readonly split: string; readonly task: string },
  index: number,
): Graded {
  const { division, answer, reason, text } = rollout
  const { valid } = division
  const description = valid ? gradeDescription(division.texts['description'] ?? '', truth) : null
  const correct = rightAnswer(answer, sample.answer)
  const expected = expectedAnswer(truth)
  const asked = truth.asked === null || truth.asked.attribute === 'name' || description === null ? null : description.asked
  return {
    ...{ index, split: sample.split, task: sample.task, text: prefill + text, valid, ended: reason !== 'length', correct },
    believed: !correct && expected !== null && rightAnswer(answer, expected),
    described:
      truth.asked === null || truth.asked.attribute === 'name' || description === null
        ? null
        : asked === truth.things.find(({ name }) => name === truth.asked?.name)?.[truth.asked.attribute],
    follows: asked === null ? null : rightAnswer(answer, asked),
    ...{ stated: description?.stated ?? 0, true: description?.true ?? 0 },
  }
}

/** Pictures that are answered together. */
const together = 64

/** Who is asked. */
export interface Asked {
  readonly model: Model
  readonly processor: Processor
}

/** Lets a model answer samples of a world, each `samples` times, and tells each answer with its sample. */
async function answerWorld(
  { model, processor }: Asked,
  mode: Mode,
  sampleAt: (index: number) => WorldSample,
  { seed, count, samples, temperature, maxTokens }: Asking,
  onAnswer: (rollout: Rollout, world: WorldSample, index: number) => void,
  onProgress: (done: number) => void,
): Promise<void> {
  const method = methodOf(mode)
  const student = { model, run: plainRun, tower: model }
  const trainee = {
    scorers: { student, towerTrains: false, base: null, ema: null, teacher: null },
    processors: { student: processor, teacher: null },
  }
  const writing = { samples, maxTokens, sampling: { temperature }, maxRows: together * samples, stop: [], seed, response: '' }
  for (let start = 0; start < count; start += together) {
    using store = new FeatureStore(1024)
    const drawn = Array.from({ length: Math.min(together, count - start) }, (_, i) => sampleAt(start + i))
    const prompts = await Promise.all(
      drawn.map(async (world, i) => {
        const wording = wordings[mode]
        const problem = wording === null ? '' : wordedAs(wording, world.problem, world.answer)
        const example = { problem, images: world.svg === null ? [] : [await renderPng(world.svg)], reference: world.answer }
        const contexts = await contextsOf(method, example, example, trainee.processors)
        const sample = {
          row: start + i,
          id: world.id,
          problem: world.problem,
          images: example.images,
          answer: world.answer,
          solution: world.solution,
        }
        return { sample, position: start + i, contexts }
      }),
    )
    for (const rollout of await writeRollouts(method, trainee, prompts, store, writing)) {
      const { position } = rollout.prompted
      onAnswer(rollout, drawn[position - start] as WorldSample, position)
    }
    onProgress(start + drawn.length)
  }
}

/** Answers `count` samples of PriorWorld, each `samples` times; equal arguments give equal answers. */
export async function evaluatePrior(
  asked: Asked,
  { mode, splits, pixels, ...asking }: WorldEvaluation,
  onProgress: (done: number) => void = () => {},
): Promise<Graded[]> {
  const results: Graded[] = []
  const sampleAt = (index: number): WorldSample => priorWorld.sample(asking.seed, index, { splits: splits ?? null, pixels })
  await answerWorld(
    ...([asked, mode, sampleAt, asking] as const),
    (rollout, world, index) => void results.push(graded(rollout, world.truth as unknown as Truth, world, index)),
    onProgress,
  )
  return results
}

/** How many answers to questions of BlindWorld are right and in form, of figures `pixels` wide. */
export async function evaluateFigures(
  asked: Asked,
  { pixels, ...asking }: Asking & { readonly pixels: number },
  onProgress: (done: number) => void = () => {},
): Promise<{ readonly correct: Share; readonly valid: Share }> {
  const found = { correct: [] as boolean[], valid: [] as boolean[] }
  const sampleAt = (index: number): WorldSample => blindWorld.sample(asking.seed, index, { ...figureParts, pixels })
  await answerWorld(
    ...([asked, 'question', sampleAt, asking] as const),
    ({ answer, division }, world) => {
      found.correct.push(answer !== null && sameAnswer(answer, world.answer))
      found.valid.push(division.valid)
    },
    onProgress,
  )
  return { correct: shareOf(found.correct), valid: shareOf(found.valid) }
}

/** Shares of answers, as numerator and count. */
export type Share = { readonly sum: number; readonly count: number }

const shareOf = (values: readonly (boolean | null)[]): Share => {
  const known = values.filter((value) => value !== null)
  return { sum: known.filter(Boolean).length, count: known.length }
}

/** What is reported of a model: on the splits, overall, and of its form and its descriptions. */
export function summaryOf(results: readonly Graded[]): Readonly<Record<string, Share>> {
  const on = (split: string): readonly Graded[] => results.filter((each) => each.split === split)
  const [prior, score, neutral] = [on('prior'), on('score'), on('neutral')]
  return {
    score: shareOf(score.map(({ correct }) => correct)),
    prior: shareOf(prior.map(({ correct }) => correct)),
    neutral: shareOf(neutral.map(({ correct }) => correct)),
    overall: shareOf(results.map(({ correct }) => correct)),
    valid: shareOf(results.map(({ valid }) => valid)),
    ended: shareOf(results.map(({ ended }) => ended)),
    believed: shareOf(score.map(({ believed }) => believed)),
    descriptionTruth: shareOf(score.map(({ described }) => described)),
    facts: { sum: results.reduce((sum, each) => sum + each.true, 0), count: results.reduce((sum, each) => sum + each.stated, 0) },
    follows: shareOf(score.map(({ follows }) => follows)),
  }
}
