// Experiment (a): does supervision that sees only the picture close the gap between seeing and answering? (ViGOS, tables 1-3, figure 4.)

import { groundingArms } from './arms.ts'
import type { ExperimentPlan } from './plan.ts'

export const grounding: ExperimentPlan = {
  name: 'grounding',
  title: 'Grounding: does a teacher that sees only the picture help?',
  about: 'ViGOS, OPSD, ablations and controls on PriorWorld',
  lead: 'Bases that describe well and answer by what is usual are post-trained on pictures as they usually are.',
  recipe: 'tempted',
  from: null,
  bases: 6,
  candidates: 16,
  teacher: null,
  arms: groundingArms,
  steps: 60,
  batch: 32,
  data: [{ world: 'natural', share: 1, pixels: null, tasks: null, splits: null }],
  sets: [],
  pixels: null,
  curve: { at: [20, 40], arms: ['opsd', 'vigos'] },
  questions: 600,
  answers: 2,
  against: [
    { arm: 'opsd', measures: ['score', 'description'] },
    { arm: 'base', measures: ['score'] },
  ],
  control: { recipe: 'candid', arms: ['opsd', 'vigos'], about: 'A base that answers by what it sees: little is to be gained' },
  figures: null,
  asked: [{ world: 'prior', share: 1, pixels: null, tasks: null, splits: ['score'] }],
  diagnoses: [
    { arm: 'opsd', what: 'palr', checkpoint: 'last', samples: 96, more: [] },
    { arm: 'vigos', what: 'palr', checkpoint: 'last', samples: 96, more: [] },
  ],
  margin: 0.02,
  seeds: { data: 5000, questions: 4242, diagnosis: 7 },
}
