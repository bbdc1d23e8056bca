// The forms of answers that the papers ask for.

import type { MethodTable } from '../supervision/method.ts'

type FormatTable = NonNullable<MethodTable['format']>

const boxedPart = { segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true } as const

/** `<description> d </description> <think> r </think> \boxed{a}` (ViGOS). */
export const descriptionThinkBoxed: FormatTable = {
  parts: [
    { segment: 'description', open: '<description>', close: '</description>' },
    { segment: 'reasoning', open: '<think>', close: '</think>' },
    boxedPart,
  ],
}

/** `<reason> r </reason> \boxed{a}` (VGS). */
export const reasonBoxed: FormatTable = {
  parts: [{ segment: 'reasoning', open: '<reason>', close: '</reason>' }, boxedPart],
}

/** An answer in a box, whatever stands before it. */
export const boxed: FormatTable = { parts: [boxedPart] }
