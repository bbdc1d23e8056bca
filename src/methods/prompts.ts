// The wording of every context, by the content that the papers describe. A configuration can replace any of it.

import type { MethodTable } from '../supervision/method.ts'

type Prompts = NonNullable<MethodTable['prompts']>

const structuredForm = '<description> … </description> <think> … </think> \\boxed{…}'
const reference =
  'A reference answer to this problem follows between two lines.\n----- reference begins -----\n{reference}\n----- reference ends -----'
const withOwnWords =
  'Make sure that you understand why it is right. Do not copy it and do not mention it: find the way to the same answer yourself, in your own words.'

/** ViGOS (arXiv 2606.19120): the student's structured prompt, and those of the teachers that see the reference. */
export const structuredPrompts = {
  structured: {
    user: `{problem}

First describe the image inside <description> </description>: everything that may matter for the problem, in so much detail that the answer could be found from your words alone, but without giving the answer. Then reason step by step inside <think> </think>, checking each step against the image. Finally give the answer, one word or phrase, in \\boxed{}.
Write in this form: ${structuredForm}`,
  },
  reasonWithReference: {
    user: `{problem}

${reference}
${withOwnWords} Reason step by step inside <think> </think>, then give the answer, one word or phrase, in \\boxed{}.
Write in this form: <think> … </think> \\boxed{…}`,
  },
  fullFormatWithReference: {
    user: `{problem}

${reference}
${withOwnWords} First describe the image inside <description> </description> without giving the answer, then reason step by step inside <think> </think>, then give the answer, one word or phrase, in \\boxed{}.
Write in this form: ${structuredForm}`,
  },
} as const satisfies Prompts

/** OPSD (arXiv 2601.18734) with a plain prompt. */
export const plainPrompts = {
  plain: { user: '{problem}\n\nReason step by step, then give the answer, one word or phrase, in \\boxed{}.' },
  plainWithReference: {
    user: `{problem}

${reference}
${withOwnWords} Reason step by step, then give the answer, one word or phrase, in \\boxed{}.`,
  },
} as const satisfies Prompts

/** VGS (arXiv 2606.00564): a system turn that asks for the form. The blind views read the same without the image. */
export const reasonPrompts = {
  reason: {
    system: 'Work the problem out step by step inside <reason> </reason>. Then give the final answer in \\boxed{}.',
    user: '{problem}',
  },
} as const satisfies Prompts
