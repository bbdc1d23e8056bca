// Experiment (b): standard distillation against visually grounded steering (VGS, tables 1 and 5, figures 3-5).

import { steeringArms } from './arms.ts'
import type { ExperimentPlan } from './plan.ts'

export const steering: ExperimentPlan = {
  name: 'steering',
  title: 'Steering: is distillation better when it follows the picture?',
  about: 'standard distillation, VGS, Adaptive-VGS, language steering and a control, from a larger sibling',
  lead: 'A larger sibling that says what it sees teaches bases that believe what is usual.',
  recipe: 'tempted',
  bases: 5,
  candidates: 16,
  teacher: { recipe: 'sibling', seed: 1 },
  arms: steeringArms,
  steps: 60,
  batch: 32,
  curve: { at: [20, 40], arms: ['opd', 'vgs'] },
  questions: 600,
  answers: 2,
  against: [
    { arm: 'opd', measures: ['score', 'overall'] },
    { arm: 'base', measures: ['score'] },
  ],
  control: null,
  diagnoses: [{ arm: 'opd', what: 'dependency,geometry', checkpoint: 'none', samples: 96, more: ['--above', '0.001'] }],
  margin: 0.02,
  seeds: { data: 5000, questions: 4242, diagnosis: 7 },
}
