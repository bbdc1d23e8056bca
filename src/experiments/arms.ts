// The arms of the experiments: a method and what is changed of it at nano scale, each a value that `sightline train` takes by --set.

import type { JsonObject } from '../config/merge-patch.ts'

export interface Arm {
  readonly name: string
  /** For tables and figures. */
  readonly label: string
  readonly method: string
  /** A JSON Merge Patch on the method's table. */
  readonly change: JsonObject
  /** Further changes of the configuration, `a.b=c` each. */
  readonly sets?: readonly string[]
}

const reasoning = { prefill: '<description>' }
const unclipped = { clip: null }
/** What nano changes of ViGOS; configs/nano-vigos.yaml says the same. */
const nanoVigos = { views: { reasoning }, terms: { perception: unclipped, reasoning: unclipped, reference: unclipped } }
const without = (...names: readonly string[]): JsonObject => ({
  ...nanoVigos,
  terms: Object.fromEntries(Object.entries(nanoVigos.terms).filter(([name]) => !names.includes(name))),
})
const clipped = (token: number): JsonObject => {
  const term = { clip: { token } }
  return { views: { reasoning }, terms: { perception: term, reasoning: term, reference: term } }
}

/** The teacher reads what the student reads: what on-policy distillation does where there is nothing to teach. */
export const samePrompt: Arm = {
  name: 'same-prompt',
  label: 'same prompt',
  method: 'opsd-same-prompt',
  change: { views: { privileged: { prompt: 'structured', sees: ['image', 'problem'] } } },
}
export const opsd: Arm = { name: 'opsd', label: 'OPSD', method: 'opsd-same-prompt', change: {} }
export const vigos: Arm = { name: 'vigos', label: 'ViGOS', method: 'vigos', change: nanoVigos }

/** Experiment (a): ViGOS's tables 1 to 3, its appendix, and controls of ours. */
export const groundingArms: readonly Arm[] = [
  samePrompt,
  opsd,
  vigos,
  { name: 'no-perception', label: 'without perception', method: 'vigos-no-perception', change: without('perception') },
  { name: 'no-reasoning', label: 'without reasoning', method: 'vigos-no-reasoning', change: { terms: without('reasoning')['terms'] as JsonObject } },
  { name: 'reference-forward', label: 'reference forward KL', method: 'vigos-reference-forward', change: nanoVigos },
  { name: 'no-reference', label: 'without reference teacher', method: 'vigos-no-reference', change: without('reference') },
  { name: 'privileged-description', label: 'privileged description teacher', method: 'vigos-privileged-description', change: nanoVigos },
  { name: 'description-only', label: 'description term alone', method: 'vigos-description-only', change: { terms: { perception: unclipped } } },
  { name: 'clip-0.05', label: 'clip 0.05', method: 'vigos', change: clipped(0.05) },
]

const prefill = '<description>'
/** The form of nano answers, for methods that the papers run with another one. */
const form = {
  parts: [
    { segment: 'description', open: '<description>', close: '</description>' },
    { segment: 'reasoning', open: '<think>', close: '</think>' },
    { segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true },
  ],
}
const begun = (...views: readonly string[]): JsonObject => ({ format: form, views: Object.fromEntries(views.map((view) => [view, { prefill }])) })
const all = ['student', 'studentBlind', 'teacher', 'teacherBlind'] as const

const opd: Arm = { name: 'opd', label: 'standard distillation', method: 'opd', change: begun('student', 'teacher') }
const vgs: Arm = { name: 'vgs', label: 'VGS', method: 'vgs', change: begun(...all) }

/** Experiment (b): VGS's tables 1 and 5, and a control of ours that only weighs the same tokens more. */
export const steeringArms: readonly Arm[] = [
  opd,
  vgs,
  { name: 'adaptive-vgs', label: 'Adaptive-VGS', method: 'adaptive-vgs', change: begun(...all) },
  { name: 'language-steering', label: 'language steering', method: 'language-steering', change: begun(...all) },
  {
    name: 'weighted',
    label: 'standard, dependent tokens × 3',
    method: 'opd',
    change: {
      format: form,
      dependency: { sighted: 'teacher', blind: 'teacherBlind' },
      views: { student: { prefill }, teacher: { prefill }, teacherBlind: { weights: 'teacher', sees: ['problem'], prompt: 'reason', prefill } },
      terms: {
        weighted: { kind: 'distill', target: 'teacher', divergence: 'reverseKl', mean: 'responses', weight: 2, gates: [{ above: 0.7, factor: 1 }] },
      },
    },
  },
]

/** Answers to one prompt, which its advantages are relative to. */
const groups = ['rollout.samples=8']

/** Experiment (c): VGS's table 2. */
export const reinforcementArms: readonly Arm[] = [
  { name: 'grpo', label: 'GRPO', method: 'grpo', change: begun('student'), sets: groups },
  { name: 'grpo-opd', label: 'GRPO + standard', method: 'grpo-opd', change: begun('student', 'teacher'), sets: groups },
  { name: 'grpo-vgs', label: 'GRPO + VGS', method: 'grpo-vgs', change: begun(...all), sets: groups },
]

const blindBase = { weights: 'base', sees: [], prompt: 'silent', prefill }
/** Experiment (d), ours: what the picture adds to the perception teacher is steered to, as VGS steers to what it adds to a larger one. */
const steeredPerception = {
  kind: 'distill',
  on: { valid: 'description' },
  target: {
    sum: [
      { view: 'studentBlind', times: 1 },
      { view: 'perception', times: 1 },
      { view: 'perceptionBlind', times: -1 },
    ],
  },
  divergence: 'reverseKl',
}
export const mixedArms: readonly Arm[] = [
  opsd,
  vigos,
  {
    name: 'vigos-steered',
    label: 'ViGOS, description steered',
    method: 'vigos',
    change: {
      ...nanoVigos,
      prompts: { silent: { user: '' } },
      views: {
        reasoning,
        perceptionBlind: blindBase,
        studentBlind: { weights: 'student', sees: ['problem'], prompt: 'structured', prefill },
      },
      terms: { ...nanoVigos.terms, steered: steeredPerception },
    },
  },
  {
    // The steered description has two terms: so it is held against one that counts twice.
    name: 'vigos-doubled',
    label: 'ViGOS, perception × 2',
    method: 'vigos',
    change: { ...nanoVigos, terms: { ...nanoVigos.terms, perception: { ...unclipped, weight: 2 } } },
  },
]
