// How a question is put to a model: the papers' prompts with or without prefill, the form that each asks for, and where in an answer it stands.

import { draftConfig } from '../config/load.ts'
import { ArgumentError } from '../errors.ts'
import { boxed, descriptionThinkBoxed, reasonBoxed } from '../methods/formats.ts'
import { plainPrompts, reasonPrompts, structuredPrompts } from '../methods/prompts.ts'
import { type Format, type MethodTable, methodSchema, type PromptTemplate } from '../supervision/method.ts'
import { answerText, type Division, divide } from '../supervision/segments.ts'

interface Mode {
  /** For people. */
  readonly about: string
  readonly wording: NonNullable<MethodTable['prompts']>[string]
  /** What answers begin with; null where the form does not open with a tag. */
  readonly prefill: string | null
  /** Whether answers are begun so where nobody says. */
  readonly prefilled: boolean
  readonly format: MethodTable['format']
}

export const modeNames = ['plain', 'structured', 'reason'] as const
export type ModeName = (typeof modeNames)[number]

/** By name, which is also that of the prompt that a configuration can word otherwise. */
export const modes: { readonly [M in ModeName]: Mode } = {
  plain: {
    about: 'reason step by step, answer in a box',
    ...{ wording: plainPrompts.plain, prefill: null, prefilled: false, format: boxed },
  },
  structured: {
    about: 'ViGOS: describe, think, answer in a box; begun with <description>',
    ...{ wording: structuredPrompts.structured, prefill: '<description>', prefilled: true, format: descriptionThinkBoxed },
  },
  reason: {
    about: 'VGS: reason inside <reason>, answer in a box',
    ...{ wording: reasonPrompts.reason, prefill: '<reason>', prefilled: false, format: reasonBoxed },
  },
}

/** A mode with its wording and prefill decided: all that is put around a problem. */
export interface Prompting {
  readonly mode: ModeName
  readonly system: string | null
  /** With `{problem}` where the question goes. */
  readonly user: string
  readonly prefill: string
}

export interface PromptingOptions {
  readonly mode: ModeName
  /** Whether answers are begun with the tag of the mode's form; null: as the mode has it. */
  readonly prefill: boolean | null
  /** A configuration whose prompts take the place of the papers' wordings, by file or name; null for none. */
  readonly wording: string | null
}

/** The prompts that a configuration words. */
function promptsOf(config: string): Readonly<Record<string, PromptTemplate>> {
  const parsed = methodSchema.shape.prompts.safeParse(draftConfig(config, []).config.change['prompts'] ?? {})
  if (!parsed.success) throw new ArgumentError(`--wording ${config}: change.prompts: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}

function wordingOf(mode: ModeName, config: string | null): PromptTemplate {
  const own = methodSchema.shape.prompts.parse({ [mode]: modes[mode].wording })[mode] as PromptTemplate
  if (config === null) return own
  const prompts = promptsOf(config)
  const worded = prompts[mode]
  if (worded === undefined) {
    const names = Object.keys(prompts).filter((name) => modeNames.some((each) => each === name))
    throw new ArgumentError(`--wording ${config}: words no prompt "${mode}", but ${names.join(', ') || 'none of a mode'}; give another --mode`)
  }
  return worded
}

/** @throws ArgumentError for a prefill that the mode does not have, and for wordings without a place for the problem */
export function promptingOf({ mode, prefill, wording }: PromptingOptions): Prompting {
  const own = modes[mode]
  if (prefill === true && own.prefill === null) throw new ArgumentError(`--prefill on: the mode ${mode} begins with no tag; leave it out`)
  const { system, user } = wordingOf(mode, wording)
  if (!user.includes('{problem}') || user.includes('{reference}')) {
    throw new ArgumentError(`the prompt ${mode} is ${JSON.stringify(user)}; one that asks must hold {problem}, and not {reference}`)
  }
  return { mode, system: system ?? null, user, prefill: (prefill ?? own.prefilled) ? (own.prefill ?? '') : '' }
}

/** The user's turn for a problem. What is filled in is not looked at again. */
export const asked = ({ user }: Prompting, problem: string): string => user.split('{problem}').join(problem)

const formats = new Map<ModeName, Format>()

function formatOf(mode: ModeName): Format {
  const known = formats.get(mode) ?? methodSchema.shape.format.parse(modes[mode].format)
  formats.set(mode, known)
  return known
}

/** The form of an answer: whether it is the one that was asked for, and the part that each character belongs to. */
export function formOf({ mode, prefill }: Prompting, text: string): Division {
  // By characters and not by tokens: of a server's answers there are no others, and all models are to be held to one rule.
  const ids = new Int32Array(text.length)
  const spans = Array.from(ids, (_, at) => [at, at + 1] as const)
  return divide(formatOf(mode), { prefill, text, spans, ids }, { stopIds: new Set(), emptyIds: new Set() })
}

/** The segments of a mode's form, in order. */
export const segmentsOf = (mode: ModeName): readonly string[] => formatOf(mode).parts.map(({ segment }) => segment)

/**
 * The text in which the final answer is looked for: what follows the last part before the answer that was found, so that a box in a
 * description answers nothing. An answer in another form is looked through whole: form and ability are counted apart.
 */
export function finalText({ mode, prefill }: Prompting, text: string): string {
  const before = formatOf(mode).parts.filter(({ close }) => close !== 'balanced')
  return answerText({ parts: before }, { prefill, text }).text
}
