// Compares two single values: as numbers with units, as expressions, and as words where they are neither.

import { sameAnswer } from '../data/answers.ts'
import { type Comparison, right, undecided, wrong } from './comparison.ts'
import type { Compiled } from './compile.ts'
import { constantValue, equality, readExpression } from './expression.ts'
import { approximate, compareQuantities, numberWord, type Quantity, readQuantity, roundedAlike, within } from './numbers.ts'
import { compareText } from './text.ts'
import type { Expected } from './verdict.ts'

/** Equal texts are equal answers, but for variables whose capitals differ; null where the texts differ. */
export function compareLiterally(given: string, expected: string): Comparison | null {
  if (!sameAnswer(given, expected)) return null
  const [a, b] = [given, expected].map((text) => (/[a-zA-Z]{2}/.test(text) || readQuantity(text) !== null ? '' : text.replace(/[^a-zA-Z]/g, '')))
  return a === b ? right('same text') : undecided('the same but for capitals')
}

/** Digits with letters right behind them are products of variables in formulas: the m of 2m is no metre. */
export const algebra = /[\d}][a-zA-Z]{1,3}$/

/** Two values in plain spelling, neither of them a list or a relation. */
export function compareValue(given: string, expected: string, tolerance: Expected['tolerance']): Comparison {
  const literal = compareLiterally(given, expected)
  if (literal !== null) return literal
  const [a, b] = [readQuantity(given), readQuantity(expected)]
  if (a !== null && b !== null && !algebra.test(given) && !algebra.test(expected)) return compareQuantities(a, b, tolerance)
  if ([given, expected].every((text) => spoken(text) && /\p{L}{3}/u.test(text) && !/\d/.test(text))) return compareText(given, expected)
  if (anagrams(given, expected)) return spoken(given) && spoken(expected) ? compareText(given, expected) : undecided('words and signs')
  const [x, y] = [readExpression(unitless(given)), readExpression(unitless(expected))]
  if (x === null || y === null)
    return spoken(given) && spoken(expected) ? compareText(given, expected) : undecided('an expression that was not understood')
  if (logarithms(given) !== logarithms(expected)) return undecided('logarithms that may be of any base')
  return compareExpressions({ expression: x, quantity: a }, { expression: y, quantity: b }, tolerance)
}

/** An expression with the number that it is, if it is written as one. */
interface Read {
  readonly expression: Compiled
  readonly quantity: Quantity | null
}

function compareExpressions(given: Read, expected: Read, tolerance: Expected['tolerance']): Comparison {
  const found = equality(given.expression, expected.expression)
  if (found === 'equal') return right('equal expressions')
  const [a, b] = [constantValue(given.expression), constantValue(expected.expression)]
  if (a !== null && b !== null) {
    if (within(a, b, tolerance)) return right('equal expressions, within the tolerance')
    if (roundedAlike(a, given.quantity?.places ?? null, b, expected.quantity?.places ?? null)) return undecided('the same only when rounded')
  }
  return found === 'different' ? wrong('another expression') : undecided('expressions that are equal for some values only')
}

const words = /(?<![\\a-zA-Z])[a-zA-Z]{3,}/g

/** A text of words rather than a formula. */
const spoken = (text: string): boolean => /^[\p{L}\p{N}\s'’,.:-]+$/u.test(text) && /\p{L}{2}/u.test(text)

/** Whether words in either would be read as products of letters, for which east and seat are the same. */
function anagrams(given: string, expected: string): boolean {
  const known = /^(?:arc)?(?:sin|cos|tan)h?$|^(?:cot|sec|csc|log|exp|sqrt|inf|infinity)$/
  const [a, b] = [given, expected].map((text) => (unitless(text).match(words) ?? []).filter((word) => !known.test(word)))
  return [...(a ?? []), ...(b ?? [])].some((word) => !(a?.includes(word) && b?.includes(word)))
}

/** `\log` without a base is natural to some and decimal to others. */
function logarithms(text: string): string {
  const bare = /\\?log(?!_|[a-z])/.test(text)
  const natural = /\\?ln(?![a-z])/.test(text)
  return bare === natural ? '' : bare ? 'bare' : 'natural'
}

/** Units after a formula, such as those of 3\sqrt{2} cm, which the parser would take for variables; degrees stay. */
const unitless = (text: string): string =>
  text.replace(
    /(?<=[\d}\])]|\\pi) ?(?:square |sq\.? ?|cubic )?(?:mm|cm|km|meters?|metres?|units?|inch(?:es)?|feet|ft|rad(?:ians?)?)(?:\^ ?\{?[23]\}?)?\.?$/,
    '',
  )

/** Words that may say a number in another way. */
const countingWord = /\b(?:none|no|once|twice|both|single|pair|couple|half|quarter|double|triple|first|second|third|[a-z]{3,8}th)\b/i

/** A number, by what it is worth, whatever it is written as. */
export function compareNumber(given: string, expected: string, tolerance: Expected['tolerance']): Comparison {
  if (sameAnswer(given, expected)) return right('same text')
  const [a, b] = [readQuantity(given), readQuantity(expected)]
  if (a !== null && b !== null) return compareQuantities(a, b, tolerance)
  if (b?.ratio.above === 0n && /^none$/i.test(given)) return right('none for zero')
  const [x, y] = [a === null ? constantOf(given) : approximate(a.ratio), b === null ? constantOf(expected) : approximate(b.ratio)]
  if (x !== null && y !== null) return compareValue(given, expected, tolerance)
  if (/\d/.test(given) || numberWord.test(given) || countingWord.test(given)) return undecided('more than a number')
  return given.trim().split(/\s+/).length <= 3 && b !== null ? wrong('not a number') : undecided('no number')
}

function constantOf(text: string): number | null {
  const expression = readExpression(unitless(text))
  return expression === null ? null : constantValue(expression)
}
