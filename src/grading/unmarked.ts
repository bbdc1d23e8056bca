// Finds the answer in a sentence that marks none: where exactly one thing of its kind stands in it, and is stated rather than mentioned.

import { numberWord } from './numbers.ts'
import type { AnswerKind } from './verdict.ts'
import { opening, standingAnswers } from './yes-no.ts'

/** The end of a response in which an unmarked answer is looked for. */
export const tail = 2000

/** Where the first sentence ends. A full stop after one or two letters is one of an option or an abbreviation. */
export function sentenceEnd(text: string): number {
  for (const match of text.matchAll(/[.!?](?=[\s"*]|$)/g)) {
    const word = /[\p{L}\p{N}.]*$/u.exec(text.slice(Math.max(0, match.index - 20), match.index))?.[0] ?? ''
    if (match[0] === '.' && /^\p{L}{1,2}$/u.test(word) && !/^(?:no|so|it|up)$/i.test(word)) continue
    return match.index + 1
  }
  return text.length
}

/** The last sentence of the last line with words in it. */
export function lastSentence(text: string): string {
  const lines = text.slice(-tail).split('\n')
  let rest = lines.findLast((line) => /[\p{L}\p{N}]/u.test(line))?.trim() ?? ''
  for (;;) {
    const end = sentenceEnd(rest)
    const next = rest.slice(end).replace(/^[\s"*]+/, '')
    if (!/[\p{L}\p{N}]/u.test(next)) return rest
    rest = next
  }
}

const digits = /(?<![\w.,/^{\\-])[-−]?[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*\/\s*\d+)?\s*(?:%|°)?(?![\w,/^]*\d)/g
const optionForms =
  /\(([A-J])\)|(?<=\*\*)([A-J])(?=\*\*|[.):])|\b(?:option|choice|letter)\s+\(?([A-J])\b|(?<![\w'])([A-J])(?=[.)](?:\s|$)|\s+is\s+(?:the\s+)?(?:correct|right|best|answer))/gi

/** What turns a number into something else, or leaves it open; and formulas, which are more than their numbers. */
const deniedNumber =
  /\b(?:not|cannot|neither|nor|or|than|least|most|between|either|unclear|unsure|impossible|minus|negative|half|almost|over|under|below|above|another|additional|extra|if|maybe|perhaps|might|each|per|every|first|second|third|last)\b|n't\b|\\[a-z]/i
const deniedChoice =
  /\b(?:not|cannot|neither|nor|or|either|wrong|incorrect|false|eliminat\w*|exclud\w*|reject\w*|discard\w*|rul(?:e|ed|es|ing) out|except|instead|rather|unlike|unlikely|doubt\w*|mistak\w*|asked|between|contradict\w*|fails?|than|if|maybe|perhaps|might)\b|n't\b/i

const countedOne = /\b(?:is|are|only|exactly|just|at)\s+(?:only\s+|exactly\s+|just\s+)?one\b(?!\s+of)/i
const deniedYesNo = /\b(?:not|cannot|wrong|incorrect|false|if|whether|or|maybe|perhaps|might)\b|n't\b/i

/** Words right before a number that state it: "there are", "the total is", "a total of". */
const statingNumber =
  /(?:^|\b(?:is|are|was|were|be|equals?|gets?|gives?|find|finds|found|count|counted|see|have|has|had|contains?|identify|identified|observe|at|total of|total|all)\b|[=:])\W*(?:(?:exactly|only|just|about|approximately|around|roughly|a total of|equal to|therefore|thus)\W+)*[$€£]?$/i
const statingChoice =
  /\b(?:answer|option|choice|choose|select|pick|correct|hence|therefore|so|thus|correspond\w*|match\w*|fits?|go with|leaves|best|is|are|be)\b|^\W*[A-J]\b/i

/** Names of a pair's parts, in an order that is not the usual one. */
const columnsFirst = /\bcol(?:umn)?s?\b[^\d(]*\brows?\b[^\d(]*\(|\by\s*,\s*x\b/i

/** The only quoted or bold words of a sentence, behind "is". */
const quotedEnd = /\b(?:is|was)\s*:?\s*(?:\*\*|["“'‘`])+([\p{L}\p{N}][^"”'’`*]{0,40}?)(?:\*\*|["”'’`])+\W*$/iu

/** The answer of a sentence that has exactly one thing of its kind in it; null where there is none, several, or one that is only mentioned. */
export function aloneIn(marked: string, kind: AnswerKind): string | null {
  if (kind === 'text') return deniedNumber.test(marked) ? null : (quotedEnd.exec(marked)?.[1] ?? null)
  const sentence = kind === 'choice' ? marked : marked.replaceAll('**', '')
  if (kind === 'number') return onlyNumber(sentence)
  if (kind === 'choice') return onlyOption(sentence)
  if (kind === 'math') return onlyFormula(sentence)
  if (kind === 'tuple') {
    const points = sentence.match(/\([^()]{1,60},[^()]{1,60}\)/g) ?? []
    return points.length === 1 && !deniedNumber.test(sentence) && !columnsFirst.test(sentence) ? (points[0] ?? null) : null
  }
  if (kind !== 'yesNo') return null
  const opens = opening(sentence.replace(/^\W+/, ''))
  const answers = opens === null && !deniedYesNo.test(sentence) ? standingAnswers(sentence) : []
  if (opens === null && answers.length !== 1) return null
  return (opens ?? answers[0]) ? 'yes' : 'no'
}

const deniedFormula =
  /\b(?:not|cannot|neither|nor|or|and|either|between|than|least|most|if|unless|maybe|perhaps|might|another|each|per|for|when|where|about|approximately|roughly)\b|n't\b/i

/** The only formula of a sentence, stated as what something is, with what follows up to the end of the clause, which may be a unit. */
function onlyFormula(sentence: string): string | null {
  const formulas = [...sentence.matchAll(/\$([^$]+)\$/g)]
  const [only] = formulas
  if (only === undefined || formulas.length > 1) return null
  const [before, after] = [sentence.slice(0, only.index), sentence.slice(only.index + only[0].length)]
  if (deniedFormula.test(before + after) || /\d/.test(before + after) || !/\b(?:is|are|equals?|equal to)\s*$/i.test(before)) return null
  return (only[1] ?? '').split('=').at(-1)?.trim() + (/^[^,;:.!?]*/.exec(after)?.[0] ?? '')
}

function onlyNumber(sentence: string): string | null {
  // "One" is mostly a pronoun.
  const words = [...sentence.matchAll(new RegExp(numberWord.source, 'gi'))].filter(([word]) => !/^one$/i.test(word) || countedOne.test(sentence))
  const found = [...sentence.matchAll(digits), ...words]
  const [only] = found
  // Whatever else has digits was read differently, and might be the answer; what is denied or compared is not.
  const count = sentence.match(/\d+(?:[.,/]\d+)*/g)?.length ?? 0
  if (only === undefined || found.length > 1 || count > 1 || deniedNumber.test(sentence) || !statingNumber.test(sentence.slice(0, only.index)))
    return null
  // With what follows it up to the end of the clause, which may be a unit or change its meaning.
  return only[0].trimEnd() + (/^[^,;:.!?]*/.exec(sentence.slice(only.index + only[0].trimEnd().length))?.[0] ?? '')
}

/** Its last clause, where that draws a conclusion. */
const conclusion = /[,;:—]\s*((?:so|hence|thus|therefore)\b[^,;]*)$/i
const supposed = /\b(?:if|maybe|perhaps|might)\b/i

function onlyOption(whole: string): string | null {
  const sentence = supposed.test(whole) ? whole : (conclusion.exec(whole)?.[1] ?? whole)
  const letters = [...sentence.matchAll(optionForms)].map(
    (groups) =>
      groups
        .slice(1)
        .find((group) => group !== undefined)
        ?.toUpperCase() ?? '',
  )
  const [only] = letters
  if (only === undefined || new Set(letters).size > 1 || /^\W*no\b[,.]/i.test(whole) || deniedChoice.test(sentence) || !statingChoice.test(sentence))
    return null
  // A letter that leads the sentence may have an option's text behind it.
  return /^\W{0,4}[a-j]\b[*.):]/i.test(sentence) ? sentence.replaceAll('**', '') : `(${only})`
}
