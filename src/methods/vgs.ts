// Distillation from a larger teacher: standard on-policy distillation, visually grounded steering (VGS, arXiv 2606.00564), its adaptive
// form, and the inverse test that steers towards language.

import { defineMethod } from '../supervision/check.ts'
import type { MethodTable } from '../supervision/method.ts'
import { reasonBoxed } from './formats.ts'
import { reasonPrompts } from './prompts.ts'

const sighted = { sees: ['image', 'problem'], prompt: 'reason' } as const
const blind = { sees: ['problem'], prompt: 'reason' } as const

/** p, p₀, q and q₀ of the paper, and VDS = KL(q‖q₀) (eq. 12). */
export const steeringViews = {
  student: { weights: 'student', ...sighted },
  studentBlind: { weights: 'student', ...blind },
  teacher: { weights: 'teacher', ...sighted },
  teacherBlind: { weights: 'teacher', ...blind },
} as const satisfies MethodTable['views']
export const dependency = { sighted: 'teacher', blind: 'teacherBlind' } as const

/** What the methods of this family share. */
export const frame = {
  rollout: { by: 'student', view: 'student' },
  format: reasonBoxed,
  prompts: reasonPrompts,
  views: steeringViews,
} as const satisfies Partial<MethodTable>

const reverse = { kind: 'distill', on: 'all', divergence: 'reverseKl', mean: 'responses' } as const
/** The most visually dependent 30 % of the batch's tokens. */
const dependent = [{ above: 0.7, factor: 1 }] as const

/** ℓ_Std = KL(p‖q) (eq. 3). */
export const standard = { ...reverse, target: 'teacher' } as const
/** ℓ_Vis = KL(p‖q*), q* = softmax(log p₀ + log q − log q₀) with p₀ held fixed (eq. 10-11). */
const visualGain = [
  { view: 'studentBlind', times: 1 },
  { view: 'teacher', times: 1 },
  { view: 'teacherBlind', times: -1 },
] as const
export const visual = { ...reverse, target: { sum: visualGain }, weight: 2 } as const
/** ℓ_Lang = KL(p₀‖q₀) (eq. 6). */
const language = { ...reverse, student: 'studentBlind', target: 'teacherBlind' } as const
/** ℓ_LP: the language prior is preserved where the image matters (eq. 16). */
export const preservation = { ...language, gates: dependent, weight: 0.01 } as const

/** Standard on-policy distillation. */
export const opd = defineMethod({
  ...frame,
  name: 'opd',
  source: 'arXiv 2306.13649; arXiv 2606.00564, eq. 3',
  views: { student: steeringViews.student, teacher: steeringViews.teacher },
  terms: { standard },
})

/** L = η (ℓ_Std + γ ℓ_Vis + λ ℓ_LP) with γ = 2, λ = 0.01 and the paper's η of a 2B student (eq. 17-18). */
export const vgs = defineMethod({
  ...frame,
  name: 'vgs',
  source: 'arXiv 2606.00564',
  dependency,
  terms: { standard, visual, preservation },
  scale: 0.41,
})

/** γ by visual dependency: 0 up to its 40 % quantile, half up to the 70 % quantile, full above (appendix E, eq. 24-25). */
export const adaptiveVgs = defineMethod({
  ...frame,
  name: 'adaptive-vgs',
  source: 'arXiv 2606.00564, appendix E',
  dependency,
  terms: {
    standard,
    visual: {
      ...visual,
      gates: [
        { above: 0.4, factor: 0.5 },
        { above: 0.7, factor: 1 },
      ],
    },
    preservation,
  },
  scale: 0.41,
})

/** L = η (ℓ_Std + γ ℓ_Lang + λ ℓ_VP), ℓ_VP with the student that sees the image; η is measured, since the paper prints none (eq. 19-21). */
export const languageSteering = defineMethod({
  ...frame,
  name: 'language-steering',
  source: 'arXiv 2606.00564, eq. 19-21',
  dependency,
  terms: { standard, language: { ...language, weight: 2 }, visualPreservation: { ...visual, gates: dependent, weight: 0.01 } },
  scale: { keep: ['standard'], under: ['standard', 'language'], every: 10 },
})
