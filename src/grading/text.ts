// Compares words and short phrases: equal after normalisation, clearly others, or something that a rule cannot tell.

import { sameAnswer } from '../data/answers.ts'
import { type Comparison, right, undecided, wrong } from './comparison.ts'
import { compareQuantities, readQuantity } from './numbers.ts'
import { plain, wordsOf } from './plain.ts'

/** An answer of more words is a sentence: that it shares no word with the reference proves nothing. */
const mostWordsOfAPhrase = 4

const exactly = { relative: 0, absolute: 0 }

/**
 * A word or a short phrase. Equal up to case, articles, punctuation, hyphens and spaces between words; numbers also as words. Short phrases that
 * share no word are different. Undecided: sentences, plurals, longer or shorter forms, negations.
 */
export function compareText(given: string, expected: string): Comparison {
  if (sameAnswer(given, expected)) return right('same text')
  const [a, b] = [plain(given), plain(expected)]
  const [said, wanted] = [wordsOf(a), wordsOf(b)]
  if (said.length === 0 || wanted.length === 0) return undecided('no words to compare')
  if (squeezed(said) === squeezed(wanted)) return right('same words')
  const [x, y] = [readQuantity(a), readQuantity(b)]
  if (x !== null && y !== null) {
    const compared = compareQuantities(x, y, exactly)
    // As words, 1990 and 1990s are not the same.
    return compared.outcome === 'right' && x.unit.name !== y.unit.name && (x.unit.name === '' || y.unit.name === '')
      ? undecided('a unit left out')
      : compared
  }
  if (said.length > mostWordsOfAPhrase) return undecided('a sentence')
  return said.some((word) => wanted.some((other) => akin(word, other))) ? undecided('some of the words') : wrong('other words')
}

/** Nothing but equal texts can be judged. */
export function compareOpen(given: string, expected: string): Comparison {
  if (sameAnswer(given, expected) || squeezed(wordsOf(plain(given))) === squeezed(wordsOf(plain(expected)))) return right('same text')
  return undecided('an open answer')
}

/** Words joined, so that ice-cream, ice cream and icecream are one; digits stay apart, since 1 2 is not 12. */
const squeezed = (words: readonly string[]): string => words.join(' ').replace(/(?<=\p{L}) (?=\p{L})/gu, '')

/** Words that may be forms or spellings of one. */
function akin(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  return (
    short === long ||
    (short.length >= 3 && long.startsWith(short)) ||
    (short.length >= 4 && (long.startsWith(short.slice(0, 4)) || long.includes(short)))
  )
}
