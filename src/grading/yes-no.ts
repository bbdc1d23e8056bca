// Compares yes and no, also as true and false, with or without a sentence behind them.

import { type Comparison, right, undecided, wrong } from './comparison.ts'
import { plain } from './plain.ts'

const affirming = ['yes', 'true', 'y', 'correct', 'yeah', 'yep']
const denying = ['no', 'false', 'n', 'incorrect', 'nope', 'untrue']

/** A word that answers, and behind it nothing, punctuation, or a clause that repeats it. */
const leading = new RegExp(
  `^(${[...affirming, ...denying].join('|')})(?=$|\\s*[,.;:!?()—-]|\\s+(?:it|they|he|she|there|the|this|that|these|those|we|i|you|because|since|as)\\b)`,
  'i',
)

/** The same words where they stand as an answer of their own within a text. */
const standing = /(?:^|[.,;:!?—(*"]\s*|\s-\s|\b(?:is|be|say|answer|therefore|thus|so|hence|actually)\s+\**)(yes|no)\**(?=$|\s*[.,;:!?—)*"])/gi

/** What people say before they take something back. */
export const hesitation = /\b(?:wait|actually|however|hmm|second thought|let me|let's|not sure)\b/i

/** What is said of a statement that was asked about, as a whole sentence. */
const ofStatement =
  /^(?:(?:therefore|thus|so|hence|based on (?:the |this )?(?:given )?(?:image|picture|context|common sense|information[\w ]{0,30})),?\s+)?(?:the|this|that) (?:given )?statement is \**(true|false|correct|incorrect)\**(?=[.!]*$|,? (?:because|since)\b)/i

/** At the start of a clause behind a statement: what was said is taken back, or about to be. */
export const retraction =
  /[.!?,;:\n—–-]["*\s]*(?:(?:but|no|oh|and),?\s+)?(?:wait|hmm+|actually|on second thoughts?|correction|my mistake|let me (?:recount|re-?count|re-?check|re-?consider|re-?examine|count again|look again|check again))\b/i

/** Yes is true, no is false; null if a text does not open with either, or takes it back. */
export function opening(text: string): boolean | null {
  const said = ofStatement.exec(text)?.[1]?.toLowerCase()
  if (said !== undefined) return affirming.includes(said)
  const word = leading.exec(text)?.[1]?.toLowerCase()
  if (word === undefined) return null
  const answer = affirming.includes(word)
  const rest = text.slice(word.length)
  const contradicted = standingAnswers(rest).includes(!answer)
  return contradicted || /^\W*(?:and|or|but)\b/i.test(rest) || hesitation.test(rest) ? null : answer
}

/** The yes and no that stand as answers within a text, in order. */
export function standingAnswers(text: string): readonly boolean[] {
  return [...text.matchAll(standing)].map(([, word = '']) => word.toLowerCase() === 'yes')
}

export function compareYesNo(given: string, expected: string): Comparison {
  const wanted = opening(plain(expected))
  if (wanted === null) return undecided('a reference that is neither yes nor no')
  const answer = opening(plain(given).replace(/^[{([]\s*(\w+)\s*[})\]]$/, '$1'))
  if (answer === null) return undecided('neither yes nor no')
  return answer === wanted ? right('same answer') : wrong('the opposite')
}
