// Experiment (c): reinforcement mixed with distillation (VGS, table 2, figure 6).

import { reinforcementArms } from './arms.ts'
import type { ExperimentPlan } from './plan.ts'

export const reinforcement: ExperimentPlan = {
  name: 'reinforcement',
  title: 'Reinforcement: alone, and mixed with distillation',
  about: 'GRPO, and GRPO mixed with standard distillation or VGS',
  lead: 'A 0/1 reward for right answers, alone and with a larger sibling beside it.',
  recipe: 'tempted',
  bases: 5,
  candidates: 16,
  teacher: { recipe: 'sibling', seed: 1 },
  arms: reinforcementArms,
  steps: 60,
  batch: 8,
  curve: { at: [20, 40], arms: ['grpo', 'grpo-vgs'] },
  questions: 600,
  answers: 2,
  against: [
    { arm: 'grpo', measures: ['score', 'overall'] },
    { arm: 'base', measures: ['score'] },
  ],
  control: null,
  diagnoses: [],
  margin: 0.02,
  seeds: { data: 5000, questions: 4242, diagnosis: 7 },
}
