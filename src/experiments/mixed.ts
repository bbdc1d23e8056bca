// Experiment (d), ours: the two papers in one method.

import { mixedArms } from './arms.ts'
import type { ExperimentPlan } from './plan.ts'

export const mixed: ExperimentPlan = {
  name: 'mixed',
  title: 'Mixed: ViGOS with its description steered',
  about: 'ViGOS with VGS’s steering of its description term, and a control of the same weight: ours',
  lead: 'What the picture adds to the perception teacher is steered to, as VGS steers to what it adds to a larger one.',
  recipe: 'tempted',
  from: null,
  bases: 6,
  candidates: 16,
  teacher: null,
  arms: mixedArms,
  steps: 60,
  batch: 32,
  data: [{ world: 'natural', share: 1, pixels: null, tasks: null, splits: null }],
  sets: [],
  pixels: null,
  curve: { at: [20, 40], arms: ['vigos', 'vigos-steered'] },
  questions: 600,
  answers: 2,
  against: [
    { arm: 'vigos', measures: ['score', 'description'] },
    { arm: 'vigos-doubled', measures: ['score', 'description'] },
  ],
  control: null,
  figures: null,
  asked: [{ world: 'prior', share: 1, pixels: null, tasks: null, splits: ['score'] }],
  diagnoses: [],
  margin: 0.02,
  seeds: { data: 5000, questions: 4242, diagnosis: 7 },
}
