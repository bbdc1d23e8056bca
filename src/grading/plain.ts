// Brings answers into one spelling before they are compared: LaTeX's and Unicode's ways to write the same, and words for words.

import { cleanAnswer, undecorated } from '../data/answers.ts'

/** How far full-width letters and signs are from ASCII's. */
const fullWidth = 0xfee0

const signs: readonly (readonly [RegExp, string])[] = [
  [/[−–‒]/g, '-'],
  [/。\s*$/g, ''],
  // Rows of matrices end in two backslashes, of which the second would be taken for a space's.
  [/\\\\/g, '\\cr '],
  // Math mode within a text.
  [/(?<!\\)\$(?=\S)([^$]*[^\s\\])\$(?!\d)/g, '$1'],
  [/[\u2009\u202f\u00a0]/g, ' '],
  [/~(?=[\p{L}}])/gu, ' '],
  [/×|✕/g, '\\times '],
  [/÷/g, '/'],
  [/·|⋅/g, '\\cdot '],
  [/π/g, '\\pi '],
  [/θ/g, '\\theta '],
  [/∞/g, '\\infty '],
  [/∪/g, '\\cup '],
  [/∈/g, '\\in '],
  [/≤|⩽|\\leqslant(?![a-z])|\\leq(?![a-z])/g, '\\le '],
  [/≥|⩾|\\geqslant(?![a-z])|\\geq(?![a-z])/g, '\\ge '],
  [/≈/g, '\\approx '],
  [/±/g, '\\pm '],
  [/∅|\\varnothing/g, '\\emptyset '],
  [/√\s*\(([^()]{1,40})\)/g, '\\sqrt{$1}'],
  [/√\s*(\d+|[a-z])/g, '\\sqrt{$1}'],
  [/½/g, ' 1/2'],
  [/¼/g, ' 1/4'],
  [/¾/g, ' 3/4'],
  [/⅓/g, ' 1/3'],
  [/⅔/g, ' 2/3'],
  [/\^\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![a-z])|º/g, '°'],
  [/\\(?:display|text)style(?![a-z])|\\[bB]igg?[lr]?(?![a-z])/g, ''],
  [/\\(?:lbrace)(?![a-z])/g, '\\{'],
  [/\\(?:rbrace)(?![a-z])/g, '\\}'],
  [/\\neq?(?![a-z])/g, '≠'],
  [/_\{\s*(\w)\s*\}/g, '_$1'],
]

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹'

/** The answer without what is wrapped around it and in one spelling of signs. */
export function plain(answer: string): string {
  const bare = cleanAnswer(answer.replace(/[！-～]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - fullWidth)))
  const spelled = signs.reduce((text, [pattern, sign]) => text.replace(pattern, sign), bare)
  const raised = spelled.replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (digits) => `^{${[...digits].map((digit) => superscripts.indexOf(digit)).join('')}}`)
  return undecorated(raised).replace(/\s+/g, ' ').trim()
}

/** Words in lower case without articles and punctuation. Signs between digits stay, so that 3.5 and 1:2 are words. */
export function wordsOf(text: string): readonly string[] {
  const lower = text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll('’', "'")
    .replace(/(?<![\p{L}\p{N}])\p{L}(?:\.\p{L})+(?![\p{L}\p{N}])/gu, (initials) => initials.replaceAll('.', ''))
    .replace(/\bgrey/g, 'gray')
  const words = lower.match(/\d+(?:[.,:/]\d+)*|[\p{L}\p{M}\p{N}]+(?:'[\p{L}]+)?|[%$€£°+=<>*#@&-](?=\s|$|\d)/gu) ?? []
  const content = words.filter((word) => !['a', 'an', 'the'].includes(word))
  // A text of articles alone is a letter or a word about words.
  return content.length > 0 ? content : words
}
