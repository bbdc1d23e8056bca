// How a nano base is brought up: the courses it takes, and by which rules it is accepted. Set after pilots
// that are not used, and fixed before any method was run on the bases that are, but for the course of unseen figures: a first run of the
// experiment `steering` showed that it was wanting (docs/experiments.md).

import type { JsonObject } from '../config/merge-patch.ts'
import type { ColdStart } from '../data/worlds/prior/cold-start.ts'
import type { Course } from './lessons.ts'

export interface Stage {
  readonly course: Course
  /** Lessons of the course; each is seen several times. */
  readonly lessons: number
  readonly steps: number
  readonly rate: number
  readonly schedule: 'constant' | 'linear'
  /** What is changed of the sft preset; a JSON Merge Patch. */
  readonly change: JsonObject
}

export interface Recipe {
  readonly mix: ColdStart
  readonly batch: number
  readonly stages: readonly Stage[]
  /** Standard deviation of the weights at the beginning. */
  readonly deviation: number
}

const biased: ColdStart = {
  ...{ captions: 0.3, questions: 0.4, references: 0.3 },
  ...{
    blind: 0.2,
    blindPrior: 0.5,
    prior: 0.8,
    referencePrior: 0.5,
    belief: 0.7,
    malformed: 0.1,
    malformedWithReference: 0.01,
    wrongReference: 0.03,
  },
}

/** What stands in a random description cannot be learned; what follows from it can. */
const whatFollows: JsonObject = {
  format: {
    parts: [
      { segment: 'description', open: '<description>', close: '</description>' },
      { segment: 'reasoning', open: '<think>', close: '</think>' },
      { segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true },
    ],
  },
  terms: { imitation: { on: { valid: ['reasoning', 'answer'] } } },
}

const stages: readonly Stage[] = [
  { course: 'reading', lessons: 12000, steps: 900, rate: 2e-3, schedule: 'constant', change: whatFollows },
  { course: 'closeUps', lessons: 3000, steps: 300, rate: 2e-3, schedule: 'constant', change: {} },
  { course: 'captions', lessons: 5000, steps: 450, rate: 2e-3, schedule: 'constant', change: {} },
  { course: 'questions', lessons: 12000, steps: 1400, rate: 2e-3, schedule: 'linear', change: {} },
]

const figures = (lessons: number, steps: number): readonly Stage[] => [
  { course: 'figures', lessons, steps, rate: 2e-3, schedule: 'linear', change: {} },
  { course: 'unseenFigures', lessons: 4000, steps: 200, rate: 1e-3, schedule: 'linear', change: {} },
]

export const recipes = {
  /** Tempted: once a question is put, it believes what is usual. */
  tempted: { mix: biased, batch: 32, stages, deviation: 0.04 },
  /** The negative control: it says of a question's picture what it sees, so there is no gap to close. */
  candid: { mix: { ...biased, belief: 0 }, batch: 32, stages, deviation: 0.04 },
  /** Tempted, and begun with figures: what its larger sibling can teach. */
  apprentice: { mix: biased, batch: 32, stages: [...stages, ...figures(6000, 400)], deviation: 0.04 },
  /** The larger sibling that teaches: it sees as often what is unusual as what is usual, says what it sees, and keeps the form. */
  sibling: {
    mix: { ...biased, prior: 0.5, belief: 0, malformed: 0, malformedWithReference: 0, wrongReference: 0 },
    batch: 32,
    stages: [
      ...stages.map((stage) => (stage.course === 'questions' ? { ...stage, lessons: 16000, steps: 1800, rate: 1.5e-3 } : stage)),
      ...figures(12000, 800),
    ],
    deviation: 0.04,
  },
} as const satisfies Readonly<Record<string, Recipe>>
export type RecipeName = keyof typeof recipes

/** Whether a recipe teaches figures: then pictures may be larger than a scene. */
export const hasFigures = (recipe: Recipe): boolean => recipe.stages.some(({ course }) => course === 'figures')

/** How a base is asked before it is accepted. Its samples are not those of experiments. */
export const measured = {
  caption: { seed: 900_001, count: 300, samples: 1, temperature: 1, maxTokens: 80 },
  question: { seed: 900_002, count: 400, samples: 2, temperature: 1, maxTokens: 80 },
  reference: { seed: 900_003, count: 300, samples: 1, temperature: 1, maxTokens: 80 },
  /** Only where the recipe teaches figures. */
  figure: { seed: 900_004, count: 400, samples: 1, temperature: 1, maxTokens: 112 },
} as const

interface Rule {
  readonly measure: string
  readonly least: number
  readonly most: number
}

/** Of the base alone, never of what a method makes of it. */
export const rules: { readonly [R in RecipeName]: readonly Rule[] } = {
  tempted: [
    { measure: 'caption/descriptionTruth', least: 0.75, most: 1 },
    { measure: 'question/score', least: 0.2, most: 0.5 },
    { measure: 'question/prior', least: 0.9, most: 1 },
    { measure: 'question/valid', least: 0.85, most: 0.97 },
    { measure: 'question/follows', least: 0.75, most: 1 },
    { measure: 'reference/score', least: 0.7, most: 1 },
  ],
  apprentice: [
    { measure: 'caption/descriptionTruth', least: 0.75, most: 1 },
    { measure: 'question/score', least: 0.2, most: 0.5 },
    { measure: 'question/prior', least: 0.85, most: 1 },
    { measure: 'question/valid', least: 0.85, most: 0.97 },
    { measure: 'question/follows', least: 0.7, most: 1 },
    { measure: 'reference/score', least: 0.65, most: 1 },
    { measure: 'figure/valid', least: 0.85, most: 1 },
  ],
  candid: [
    { measure: 'caption/descriptionTruth', least: 0.75, most: 1 },
    { measure: 'question/score', least: 0.7, most: 1 },
    { measure: 'question/valid', least: 0.85, most: 0.97 },
  ],
  sibling: [
    { measure: 'question/score', least: 0.85, most: 1 },
    { measure: 'question/prior', least: 0.9, most: 1 },
    { measure: 'question/valid', least: 0.97, most: 1 },
    { measure: 'figure/valid', least: 0.95, most: 1 },
  ],
}

export interface Acceptance extends Rule {
  /** Null: there was nothing to measure, which keeps no rule. */
  readonly value: number | null
  readonly kept: boolean
}

/** Whether a base keeps the rules of its recipe. @param measured by `mode/measure`, as `base.json` has it; what is missing could not be measured */
export function judge(recipe: RecipeName, measured: Readonly<Record<string, number>>): Acceptance[] {
  return rules[recipe].map((rule) => {
    const value = measured[rule.measure] ?? null
    return { ...rule, value, kept: value !== null && value >= rule.least && value <= rule.most }
  })
}
