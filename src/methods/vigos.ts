// ViGOS: visually grounded on-policy self-distillation (arXiv 2606.19120), the variant that its code was released as, and its ablations.

import { defineMethod } from '../supervision/check.ts'
import type { MethodTable } from '../supervision/method.ts'
import { descriptionThinkBoxed } from './formats.ts'
import { structuredPrompts } from './prompts.ts'

const clip = { token: 0.05 } as const

const table = {
  name: 'vigos',
  source: 'arXiv 2606.19120',
  rollout: { by: 'student', view: 'student' },
  format: descriptionThinkBoxed,
  prompts: structuredPrompts,
  views: {
    student: { weights: 'student', sees: ['image', 'problem'], prompt: 'structured', prefill: '<description>' },
    perception: { weights: 'base', sees: ['image'], prefill: '<description>' },
    reasoning: { weights: 'base', sees: ['image', 'problem', 'reference'], prompt: 'reasonWithReference', prefill: '<think>' },
    reference: { weights: 'base', sees: ['image', 'problem', 'reference'], prompt: 'fullFormatWithReference', prefill: '<description>' },
  },
  terms: {
    perception: { kind: 'distill', on: { valid: 'description' }, target: 'perception', divergence: 'forwardKl', clip: { ...clip, last: 0.05 } },
    reasoning: {
      kind: 'distill',
      on: { valid: ['reasoning', 'answer'] },
      target: 'reasoning',
      divergence: 'forwardKl',
      clip: { ...clip, first: 0.05 },
    },
    reference: { kind: 'distill', on: { invalid: 'all' }, target: 'reference', divergence: 'reverseKl', weight: 2, clip },
  },
} as const satisfies MethodTable

const { perception, reasoning, reference } = table.terms

/** The paper's method. */
export const vigos = defineMethod(table)

/**
 * As the code was released: the reasoning teacher reads from the reasoning on, delimiters inside are supervised with it, and the perception
 * teacher answers a bare turn.
 */
export const vigosReleased = defineMethod({
  ...table,
  name: 'vigos-released',
  source: 'github.com/OedoSoldier/ViGOS',
  views: {
    ...table.views,
    perception: { ...table.views.perception, prefill: '' },
    reasoning: { ...table.views.reasoning, reads: { from: 'reasoning' } },
  },
  terms: { ...table.terms, reasoning: { ...reasoning, on: { valid: { from: 'reasoning', through: 'answer' } } } },
})

/** Table 3: the description has no teacher. */
export const vigosNoPerception = defineMethod({ ...table, name: 'vigos-no-perception', terms: { reasoning, reference } })

/** Table 3: reasoning and answer have no teacher. */
export const vigosNoReasoning = defineMethod({ ...table, name: 'vigos-no-reasoning', terms: { perception, reference } })

/** Table 3: the reference teacher's divergence the other way round. */
export const vigosReferenceForward = defineMethod({
  ...table,
  name: 'vigos-reference-forward',
  terms: { perception, reasoning, reference: { ...reference, divergence: 'forwardKl' } },
})

/** Table 3: without the reference teacher; invalid rollouts get both segment teachers on all tokens. */
export const vigosNoReference = defineMethod({
  ...table,
  name: 'vigos-no-reference',
  terms: {
    perception: { ...perception, on: { ...perception.on, invalid: 'all' } },
    reasoning: { ...reasoning, on: { ...reasoning.on, invalid: 'all' } },
  },
})

/** A control of ours: the description's teacher sees the answer too, so what remains of ViGOS is its segments. */
export const vigosPrivilegedDescription = defineMethod({
  ...table,
  name: 'vigos-privileged-description',
  terms: { perception: { ...perception, target: 'reference' }, reasoning, reference },
})

/** A control of ours: the description term alone. */
export const vigosDescriptionOnly = defineMethod({ ...table, name: 'vigos-description-only', terms: { perception } })
