// Experiment (c): reinforcement mixed with distillation (VGS, table 2, figure 6).

import { sceneSide } from '../nano/architecture.ts'
import { reinforcementArms } from './arms.ts'
import type { ExperimentPlan } from './plan.ts'

export const reinforcement: ExperimentPlan = {
  name: 'reinforcement',
  title: 'Reinforcement: alone, and mixed with distillation',
  about: 'GRPO, and GRPO mixed with standard distillation or VGS',
  lead: 'A 0/1 reward for right answers, alone and with a larger sibling beside it.',
  recipe: 'tempted',
  from: null,
  bases: 5,
  candidates: 16,
  teacher: { recipe: 'sibling', seed: 1 },
  arms: reinforcementArms,
  steps: 60,
  batch: 8,
  data: [{ world: 'natural', share: 1, pixels: null, tasks: null, splits: null }],
  // The sibling takes pictures as large as figures, and has learned to see scenes in this size.
  sets: [`teacher.maxPixels=${sceneSide('qwen2_5_vl') ** 2}`],
  pixels: null,
  curve: { at: [20, 40], arms: ['grpo', 'grpo-vgs'] },
  questions: 600,
  answers: 2,
  against: [
    { arm: 'grpo', measures: ['score', 'overall'] },
    { arm: 'grpo-opd', measures: ['score', 'overall'] },
    { arm: 'base', measures: ['score'] },
  ],
  control: null,
  figures: null,
  asked: [{ world: 'prior', share: 1, pixels: null, tasks: null, splits: ['score'] }],
  diagnoses: [],
  margin: 0.02,
  seeds: { data: 5000, questions: 4242, diagnosis: 7 },
}
