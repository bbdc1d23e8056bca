// Learning from answers that the student did not write: supervised fine-tuning, and distillation on the teacher's own answers.

import { defineMethod } from '../supervision/check.ts'
import { opd } from './vgs.ts'

/** Cross-entropy of the data's responses. The problem is put as the data has it, without a wording of ours. */
export const sft = defineMethod({
  name: 'sft',
  rollout: { by: 'data', view: 'student' },
  prompts: { bare: { user: '{problem}' } },
  views: { student: { weights: 'student', sees: ['image', 'problem'], prompt: 'bare' } },
  terms: { imitation: { kind: 'imitate', on: 'all' } },
})

/** KL(q‖p) on answers of the teacher: off-policy distillation (VGS, eq. 1). */
export const seqkd = defineMethod({
  ...opd,
  name: 'seqkd',
  source: 'arXiv 1606.07947; arXiv 2606.00564, eq. 1',
  rollout: { by: 'teacher', view: 'teacher' },
  terms: { standard: { kind: 'distill', on: 'all', target: 'teacher', divergence: 'forwardKl', mean: 'responses' } },
})
