// Finds the answer in a response: where it is marked as such, else where nothing else could be meant.

import { finalAnswer } from '../data/answers.ts'
import { rowsAndColumns } from './lists.ts'
import { aloneIn, lastSentence, sentenceEnd, tail } from './unmarked.ts'
import type { AnswerKind } from './verdict.ts'
import { hesitation, opening, retraction } from './yes-no.ts'

/** An answer that was found, and by which mark. Where `sure` is false the mark may mean something else: what cannot be compared is not the answer. */
export interface Candidate {
  readonly answer: string
  readonly by: string
  readonly sure: boolean
}

/** Candidates in the order of trust; none, and why. */
export interface Extraction {
  readonly candidates: readonly Candidate[]
  readonly missing: string
}

/** A response that is no longer than this, on one line, may itself be the answer. */
const longestBare = { characters: 120, words: 14 }

/** More solutions than that are a loop. */
const mostBoxes = 20

/** Where a response gives its answer. What is thought (`<think>`) is not part of the response. */
export function extract(response: string, kind: AnswerKind): Extraction {
  const said = spoken(response)
  if (said === null) return { candidates: [], missing: 'ends within its thought' }
  // A box whose backslash was lost, or was read as an escape.
  const text = said
    .trim()
    .replaceAll('\boxed{', '\\boxed{')
    .replace(/(?<![\\\w])boxed\{/g, '\\boxed{')
  if (text === '') return { candidates: [], missing: response.trim() === '' ? 'empty' : 'nothing after its thought' }
  if (unfinished(text)) return { candidates: [], missing: 'ends within its marked answer' }
  const marked = (kind === 'set' ? boxesOfALine(text) : null) ?? finalAnswer(text)
  if (marked !== null) return { candidates: [{ answer: marked, by: /\\boxed[ \t]*\{/.test(text) ? 'box' : 'answer tag', sure: true }], missing: '' }
  return { candidates: [...unmarked(text, kind)], missing: 'no answer is marked' }
}

/** Of a line with several boxes, as solutions are given, all of them as a list; null if the last line with a box has but one. */
function boxesOfALine(text: string): string | null {
  const line = text.split('\n').findLast((each) => each.includes('\\boxed')) ?? ''
  const boxes = line
    .split('\\boxed')
    .slice(1, mostBoxes)
    .flatMap((rest) => finalAnswer(`\\boxed${rest}`) ?? [])
  return boxes.length > 1 ? boxes.join(', ') : null
}

/** What stands after the last thought; null if a thought never ends. */
function spoken(response: string): string | null {
  const end = response.lastIndexOf('</think>')
  const start = response.lastIndexOf('<think>')
  if (start > end) return null
  return end === -1 ? response : response.slice(end + '</think>'.length)
}

/** Whether the last box or answer tag is never closed: what is in it may be cut. */
function unfinished(text: string): boolean {
  const box = text.lastIndexOf('\\boxed')
  const tag = text.lastIndexOf('<answer>')
  if (tag !== -1 && text.indexOf('</answer>', tag) === -1 && box < tag) return true
  const open = /^\\boxed[ \t]*\{/.exec(text.slice(box, box + 40))
  if (box === -1 || open === null) return false
  let depth = 0
  for (const [sign] of text.slice(box + '\\boxed'.length).matchAll(/\\[\s\S]|[{}]/g)) {
    if (sign === '{') depth++
    else if (sign === '}' && --depth === 0) return false
  }
  return true
}

function* unmarked(text: string, kind: AnswerKind): Generator<Candidate> {
  const stated = phrase(text)
  if (stated !== null) {
    yield { answer: stated, by: 'phrase', sure: false }
    const within = aloneIn(stated, kind)
    if (within !== null) yield { answer: within, by: `${kind} in phrase`, sure: true }
  }
  for (const answer of braced(text, kind)) yield { answer, by: 'braces', sure: false }
  const opener = kind === 'choice' ? leadingOption(text) : null
  if (opener !== null) yield { answer: opener, by: 'first line', sure: false }
  if (kind === 'open' || isBare(text)) yield { answer: text, by: 'whole response', sure: kind === 'open' || isShort(text, kind) }
  const ending = aloneIn(lastSentence(text), kind)
  if (ending !== null) yield { answer: ending, by: `only ${kind} in the last sentence`, sure: true }
  if (kind === 'yesNo' && stated === null && !hesitation.test(text)) {
    const opens = opening(text.replace(/^\W+/, ''))
    if (opens !== null) yield { answer: opens ? 'yes' : 'no', by: 'first word', sure: true }
  }
}

const isBare = (text: string): boolean =>
  text.length <= longestBare.characters && !text.includes('\n') && text.split(/\s+/).length <= longestBare.words

/** Words without a verb: an answer of a word or two rather than a sentence about it. */
const isShort = (text: string, kind: AnswerKind): boolean =>
  (kind === 'text' || kind === 'set') &&
  text.split(/\s+/).length <= 6 &&
  !/\b(?:is|are|was|were|has|have|can|cannot|can't|it|i|there|not|no|shows?|appears?)\b/i.test(text)

/** The first of several lines, if it alone begins like an option and nothing is taken back. */
function leadingOption(text: string): string | null {
  const [first = '', ...rest] = text.split('\n')
  const optionLine = /^[\s*]*\(?[A-J](?:[.):*]|\s*$)/
  if (!isBare(first) || rest.length === 0 || !optionLine.test(first)) return null
  return rest.some((line) => optionLine.test(line)) || hesitation.test(text) ? null : first
}

const verb = '(?:is|are|would be|should be|must be|will be|was|=|[:：是]|[-–—](?=[ \\t]+\\(?[A-J]\\)?\\W*$))'
const statement = new RegExp(
  `(?:(?<!\\b(?:each|every|any|which|wrong|incorrect|previous)\\s)\\b(?:answers?|ans|option|choice)\\b|答案)(?: (?:to|for) (?:the|this|your) question| (?:choice|option|letter))?\\*{0,2}[ \\t]{0,4}${verb}[ \\t]{0,4}\\*{0,2}[ \\t]{0,4}[:：]?\\*{0,2}|^#{1,6} {0,3}(?:the )?(?:final )?answer\\b[:：]?\\*{0,2}$|^#### `,
  'gim',
)
/** Before a statement: it says what would be, not what is. */
const supposed = /\b(?:if|whether|suppose|assume|assuming|unless|not sure)\b[^.\n]{0,40}$/i

/** What the last "the answer is …" says; null if it is taken back behind it. */
function phrase(text: string): string | null {
  let [last, from]: [string | null, number] = [null, 0]
  for (const match of text.matchAll(statement)) {
    const end = match.index + match[0].length
    if (supposed.test(text.slice(Math.max(0, match.index - 60), match.index))) continue
    const said = firstLine(text.slice(end, end + tail))
    if (said !== null) [last, from] = [said, end]
  }
  return retraction.test(text.slice(from, from + tail)) ? null : last
}

/** What may stand between "the answer is" and the answer. */
const sayingSo = /^(?:(?:most )?likely|probably|clearly|simply|definitely|indeed|actually)\s+|^(?:that )?(?:it is|it's|this is)\s+/i

/** The first line with words in it, up to the end of its sentence or a reason; displayed formulas begin on a line of their own. */
function firstLine(text: string): string | null {
  const line = text.split('\n').find((each) => /[\p{L}\p{N}]/u.test(each))
  if (line === undefined) return null
  const sentence = line.slice(0, sentenceEnd(line)).replace(/,? \(?(?:because|since|so that|which means)\b.*$/i, '')
  const answer = sentence.trim().replace(/\*\*$/, '').replace(sayingSo, '').trim()
  return answer === '' ? null : answer
}

/** Curly brackets that are no part of a formula. */
const braces = /(?<![\\^_}\w])\{[ \t]*([^{}\\\n]{1,60}?)[ \t]*\}/g

/** Answers in curly brackets, as some questions ask for. */
function* braced(text: string, kind: AnswerKind): Generator<string> {
  if (kind === 'math' || kind === 'open') return
  const found = [...text.matchAll(braces)]
  const last = found.at(-1)
  if (kind === 'tuple') {
    const both = rowsAndColumns(text.slice(-tail))
    if (both !== null) yield both
  }
  if (last === undefined) return
  if (kind === 'tuple') yield text.slice(adjacent(text, found), last.index + last[0].length)
  else yield kind === 'set' ? last[0] : (last[1] ?? '')
}

/** Where the last run of brackets begins that stand beside each other. */
function adjacent(text: string, found: readonly RegExpExecArray[]): number {
  let from = found.at(-1)?.index ?? 0
  for (const match of found.slice(0, -1).reverse()) {
    const end = match.index + match[0].length
    if (from - end > 20 || !/^[\s,]*(?:and\s)?\s*$/.test(text.slice(end, from))) break
    from = match.index
  }
  return from
}
