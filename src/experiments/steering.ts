// Experiment (b): standard distillation against visually grounded steering (VGS, tables 1 and 5, figures 3-5, 7, 8 and 10).

import { figureSide, sceneSide } from '../nano/architecture.ts'
import { figureParts } from '../nano/lessons.ts'
import { measured } from '../nano/recipe.ts'
import { steeringArms } from './arms.ts'
import type { ExperimentPlan, Part } from './plan.ts'

/** Scenes are drawn in the size in which models that take figures have learned to see them. */
const sides = { scene: sceneSide('qwen2_5_vl'), figure: figureSide('qwen2_5_vl') }
const figures: Part = { world: 'blind', share: 0.5, pixels: sides.figure, ...figureParts }

export const steering: ExperimentPlan = {
  name: 'steering',
  title: 'Steering: is distillation better when it follows the picture?',
  about: 'standard distillation, VGS, Adaptive-VGS, language steering and a control, from a larger sibling, on both worlds',
  lead: 'A larger sibling that says what it sees, and has seen more figures, teaches bases that believe what is usual.',
  recipe: 'apprentice',
  from: 'tempted',
  bases: 5,
  candidates: 16,
  teacher: { recipe: 'sibling', seed: 1 },
  arms: steeringArms,
  steps: 60,
  batch: 32,
  data: [{ world: 'natural', share: 0.5, pixels: sides.scene, tasks: null, splits: null }, figures],
  // The tower trains too, as in the paper; descriptions of figures are longer than those of scenes.
  sets: ['parts=[vision,merger,language]', `rollout.maxTokens=${measured.figure.maxTokens}`],
  pixels: sides.scene,
  curve: { at: [20, 40], arms: ['opd', 'vgs'] },
  questions: 600,
  answers: 2,
  against: [
    { arm: 'opd', measures: ['score', 'overall'] },
    { arm: 'base', measures: ['score'] },
  ],
  control: null,
  figures: { drawn: figures, count: 400, seed: 4243 },
  asked: [{ world: 'prior', share: 0.5, pixels: sides.scene, tasks: null, splits: null }, figures],
  diagnoses: [
    { arm: 'opd', what: 'dependency,geometry', checkpoint: 'none', samples: 96, more: ['--above', '0.001'] },
    { arm: 'opd', what: 'dynamics', checkpoint: 'last', samples: 96, more: [] },
    { arm: 'vgs', what: 'dynamics', checkpoint: 'last', samples: 96, more: [] },
  ],
  margin: 0.02,
  // Figures are lessons of bases too, under their seeds: these are beyond them.
  seeds: { data: 5000, questions: 4242, diagnosis: 907 },
}
