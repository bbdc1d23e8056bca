// Compares answers to questions with options: letters in all their forms, and the options' texts.

import { type Comparison, right, undecided, wrong } from './comparison.ts'
import { compareMath } from './math.ts'
import { numberWord } from './numbers.ts'
import { plain, wordsOf } from './plain.ts'
import type { Expected } from './verdict.ts'
import { opening, retraction } from './yes-no.ts'

const exactly = { relative: 0, absolute: 0 }

const bracketed = /^(?:(?:option|choice|answer|letter)\s*)?[([{<]\s*([a-z])\s*[)\]}>][.:]?$/i
const letterAlone = /^(?:(option|choice|answer|letter)\s*:?\s*)?([a-z])\s*[.):]?$/i
const letterThenText = /^(?:(?:option|choice)\s+)?(?:[([{]\s*([a-z])\s*[)\]}]\s*[.:,-]?|([a-z])\s*(?:[):]|\.(?=\s)|,(?=\s)|\s[-–—](?=\s)))\s*(.+)$/i
const textThenLetter = /^(.+?)\s*[([]\s*(?:option\s+)?([a-z])\s*[)\]]$/i
const severalLetters = /^(?:(?:options|choices|both|either)\s+)?[([]?([a-z])[)\]]?(?:\s*(?:,\s*(?:and|or)?|and|&|or|\/)\s*[([]?([a-z])[)\]]?)+$/i

const indexOf = (letter: string): number => letter.toUpperCase().charCodeAt(0) - 'A'.charCodeAt(0)

/** Which options an answer names: their indices; a text says why that is not clear. */
type Named = readonly number[] | string

/** The letter of an option, or its text where options are given. A letter with the text of another option is undecided. */
export function compareChoice(given: string, expected: Expected): Comparison {
  const { options } = expected
  const wanted = lettersIn(plain(expected.answer)) ?? textNames(expected.answer, options)
  if (typeof wanted === 'string') return undecided(`the reference: ${wanted}`)
  const named = namedBy(plain(given), options)
  if (typeof named === 'string') return undecided(named)
  const outside = named.find((index) => options.length > 0 && index >= options.length)
  if (outside !== undefined) return wrong('a letter without an option')
  if (named.length === wanted.length && named.every((index) => wanted.includes(index))) return right('same option')
  const twins = named.length === 1 && wanted.length === 1 && sameOption(options, named[0] ?? -1, wanted[0] ?? -1)
  return twins ? undecided('another option with the same text') : wrong(named.length > 1 ? 'several options' : 'another option')
}

const sameOption = (options: readonly string[], a: number, b: number): boolean => {
  const [x, y] = [options[a], options[b]]
  return x !== undefined && y !== undefined && spelling(x) === spelling(y)
}

function lettersIn(text: string): readonly number[] | null {
  const one = bracketed.exec(text)?.[1] ?? letterAlone.exec(text)?.[2]
  if (one !== undefined) return [indexOf(one)]
  if (!severalLetters.test(text)) return null
  const letters = text.replace(/\b(?:options|choices|both|either|and|or)\b/gi, ' ').match(/[a-z]/gi) ?? []
  return [...new Set(letters.map(indexOf))]
}

/** Another option that is denied behind the answer. */
const denial = /(?:, (?:and )?not| rather than| instead of) (?:option |choice )?\(?[A-J]\)?\W*$/

function namedBy(answer: string, options: readonly string[]): Named {
  const text = answer.replace(denial, '')
  const before = letterThenText.exec(text)
  // "A. cat" is never a text with its article.
  const byText = before === null ? withText(text, options) : literally(text, options)
  if (bracketed.test(text) || /^(?:option|choice|letter)\b/i.test(text)) {
    const letters = lettersIn(text)
    if (letters !== null) return letters
  }
  const letters = lettersIn(text)
  if (letters !== null) return byText.length === 0 || byText.every((index) => letters.includes(index)) ? letters : 'a letter that is also a text'
  // "A cat" is a text with its article before it is the letter A.
  if (byText.length > 0) return byText.length === 1 ? byText : 'a text of two options'
  const after = textThenLetter.exec(text)
  const letter = before?.[1] ?? before?.[2] ?? after?.[2]
  const rest = before?.[3] ?? after?.[1]
  if (letter === undefined || rest === undefined) return bareLetterAndText(text, options)
  const texts = withText(rest, options)
  if (texts.length > 0 && !texts.includes(indexOf(letter))) return 'a letter and the text of another option'
  if (after !== null && before === null && texts.length === 0) return 'a text with a letter behind it'
  if (texts.length === 0 && retraction.test(`, ${rest}`)) return 'a letter that is taken back'
  if (/^(?:because|since)\b/i.test(rest)) return [indexOf(letter)]
  // Options without texts cannot contradict; a remark that names a second option can.
  if (/\b(?:option|or|not)\s+\(?[A-J]\b|\([A-J]\)|(?<![\w'])[A-J][.)]\s/.test(rest)) return 'several letters'
  if (/^(?:is|was|seems|looks)?\s*(?:not|wrong|incorrect|false|impossible)\b/i.test(rest)) return 'a letter that is denied'
  return [indexOf(letter)]
}

/** `B red`, where B is red. */
function bareLetterAndText(text: string, options: readonly string[]): Named {
  const [, letter = '', rest = ''] = /^([a-z])\s+(.+)$/i.exec(text) ?? []
  if (/^[A-J] (?:because|since)\b/.test(text)) return [indexOf(letter)]
  if (rest !== '' && withText(rest, options).includes(indexOf(letter))) return [indexOf(letter)]
  return textNames(text, options)
}

function textNames(text: string, options: readonly string[]): Named {
  const found = withText(text, options)
  if (found.length === 1) return found
  const said = found.length === 0 && !/\b[A-J]\b/.test(text.slice(1)) ? opening(text) : null
  const answers = options.flatMap((option, i) => (said !== null && opening(option) === said && /^\s*\p{L}+\W*$/u.test(option) ? [i] : []))
  if (answers.length === 1) return answers
  if (found.length > 1) return 'a text of two options'
  return options.length === 0 ? 'a text where only letters are known' : 'a text of no option'
}

const spelling = (text: string): string => wordsOf(plain(text)).join(' ') || plain(text)

const literally = (text: string, options: readonly string[]): readonly number[] =>
  options.flatMap((option, i) => (plain(option).toLowerCase() === plain(text).toLowerCase() ? [i] : []))

/** The options of which this is the text: literally first, then as numbers and formulas. */
function withText(text: string, options: readonly string[]): readonly number[] {
  const wanted = spelling(text)
  const literal = literally(text, options)
  if (literal.length > 0) return literal
  const spelled = options.flatMap((option, i) => (wanted !== '' && spelling(option) === wanted ? [i] : []))
  // Formulas lose their signs as words, so that words alone decide only where they are words.
  if (spelled.length > 0 && /^[\p{L}\p{N}\s'’",.;:!?()-]+$/u.test(plain(text))) return spelled
  if (!/\d|\\/.test(text) && !numberWord.test(text)) return []
  return options.flatMap((option, i) => (/\d|\\/.test(option) && compareMath(plain(text), plain(option), exactly).outcome === 'right' ? [i] : []))
}
