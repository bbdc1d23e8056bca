// Reinforcement by group-relative advantages (GRPO, arXiv 2402.03300), alone and mixed with distillation (VGS, eq. 22).

import { defineMethod } from '../supervision/check.ts'
import type { MethodTable } from '../supervision/method.ts'
import { dependency, frame, preservation, standard, steeringViews, visual } from './vgs.ts'

/** The share α of distillation in the mixtures. */
const share = 0.3

/** A reward of 1 for a correct answer, ratios clipped at ± 0.2, no KL term. */
const correctness = { kind: 'reinforce', on: 'all', rewards: { correct: 1 }, mean: 'responses' } as const

type TermTable = MethodTable['terms'][string]
const times = <T extends TermTable>(factor: number, term: T): T => ({ ...term, weight: factor * (term.weight ?? 1) })

export const grpo = defineMethod({
  ...frame,
  name: 'grpo',
  source: 'arXiv 2402.03300',
  views: { student: steeringViews.student },
  terms: { correctness },
})

/** J = (1 − α) GRPO − α ℓ_Std. */
export const grpoOpd = defineMethod({
  ...frame,
  name: 'grpo-opd',
  source: 'arXiv 2606.00564, eq. 22',
  views: { student: steeringViews.student, teacher: steeringViews.teacher },
  terms: { correctness: times(1 - share, correctness), standard: times(share, standard) },
})

/** J = (1 − α) GRPO − α (ℓ_Std + γ ℓ_Vis + λ ℓ_LP), without η. */
export const grpoVgs = defineMethod({
  ...frame,
  name: 'grpo-vgs',
  source: 'arXiv 2606.00564, eq. 22',
  dependency,
  terms: {
    correctness: times(1 - share, correctness),
    standard: times(share, standard),
    visual: times(share, visual),
    preservation: times(share, preservation),
  },
})
