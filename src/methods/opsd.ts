// OPSD: on-policy self-distillation from a copy that also reads the answer (arXiv 2601.18734; ViGOS, eq. 4-5), and its variants.

import { defineMethod } from '../supervision/check.ts'
import type { MethodTable } from '../supervision/method.ts'
import { boxed, descriptionThinkBoxed } from './formats.ts'
import { plainPrompts, structuredPrompts } from './prompts.ts'

const table = {
  name: 'opsd',
  source: 'arXiv 2601.18734; arXiv 2606.19120, eq. 4-5',
  rollout: { by: 'student', view: 'student' },
  format: boxed,
  prompts: plainPrompts,
  views: {
    student: { weights: 'student', sees: ['image', 'problem'], prompt: 'plain' },
    privileged: { weights: 'base', sees: ['image', 'problem', 'reference'], prompt: 'plainWithReference' },
  },
  terms: { privileged: { kind: 'distill', on: 'all', target: 'privileged', divergence: 'forwardKl' } },
} as const satisfies MethodTable

const { privileged } = table.terms

/** A fixed teacher, a plain prompt, the whole vocabulary. */
export const opsd = defineMethod(table)

/** Under ViGOS's prompts: the student's structured one, and the reference teacher's (ViGOS, appendix C). */
export const opsdSamePrompt = defineMethod({
  ...table,
  name: 'opsd-same-prompt',
  source: 'arXiv 2606.19120, appendix C',
  format: descriptionThinkBoxed,
  prompts: structuredPrompts,
  views: {
    student: { ...table.views.student, prompt: 'structured', prefill: '<description>' },
    privileged: { ...table.views.privileged, prompt: 'fullFormatWithReference', prefill: '<description>' },
  },
})

/** The teacher follows the student as a moving average. */
export const opsdEma = defineMethod({
  ...table,
  name: 'opsd-ema',
  views: { ...table.views, privileged: { ...table.views.privileged, weights: 'ema' } },
  ema: { decay: 0.999 },
})

/** The teacher is the student of the moment. */
export const opsdLive = defineMethod({
  ...table,
  name: 'opsd-live',
  views: { ...table.views, privileged: { ...table.views.privileged, weights: 'student' } },
  terms: { privileged: { ...privileged, target: { sum: [{ view: 'privileged', times: 1 }] } } },
})

/** The teacher's most probable tokens one by one, all others as one. */
export const opsdTopK = defineMethod({
  ...table,
  name: 'opsd-top-k',
  terms: { privileged: { ...privileged, over: { topK: 100, of: 'target' } } },
})

/** A policy gradient on the sampled tokens alone. */
export const opsdSampled = defineMethod({
  ...table,
  name: 'opsd-sampled',
  terms: { privileged: { ...privileged, divergence: 'reverseKl', over: 'sampledToken' } },
})
