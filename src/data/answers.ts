// Finds short final answers in texts and says whether two are the same: the 0/1 reward of training.
//
// This is no full grader. It knows letters of options, numbers, and how the same text is written in different ways, and it is strict: where
// it is unsure, answers differ. A wrong answer that counts as right teaches the wrong thing; the reverse only costs a sample.

/** A rollout's braces and tags are few; this only bounds how often wrappers within wrappers are taken off. */
const mostWrappers = 8

/**
 * The final answer of a text: what is in its last closed `\boxed{…}` (the outermost, its braces balanced), otherwise in its last
 * `<answer>…</answer>`; null if there is neither or it is empty.
 */
export function finalAnswer(text: string): string | null {
  const found = (lastBoxed(text) ?? lastTagged(text))?.trim()
  return found === undefined || found === '' ? null : found
}

/** One pass with a stack of open braces, so that thousands of boxes that never close cost no more than one. */
function lastBoxed(text: string): string | null {
  const open: { readonly from: number; readonly boxed: boolean }[] = []
  let last: string | null = null
  for (const match of text.matchAll(/\\boxed[ \t]*\{|\\[\s\S]|[{}]/g)) {
    const [token] = match
    const end = match.index + token.length
    if (token === '}') {
      const brace = open.pop()
      if (brace?.boxed) last = text.slice(brace.from, match.index)
    } else if (token === '{' || token.startsWith('\\boxed')) open.push({ from: end, boxed: token !== '{' })
  }
  return last
}

function lastTagged(text: string): string | null {
  const lower = text.toLowerCase()
  // Some letters change their length with their case; then the tags are looked for as they are written.
  const searched = lower.length === text.length ? lower : text
  const end = searched.lastIndexOf('</answer>')
  const start = end === -1 ? -1 : searched.lastIndexOf('<answer>', end)
  return start === -1 ? null : text.slice(start + '<answer>'.length, end)
}

/**
 * An answer from a data set without what is wrapped around it: a code fence, answer tags, a box, "answer:" before it, quotation marks. Of a text
 * with a box in it only the box's content stays.
 */
export function cleanAnswer(text: string): string {
  let answer = text.trim()
  for (let i = 0; i < mostWrappers; i++) {
    const bare = unquoted(unprefixed(unfenced(finalAnswer(answer) ?? answer)))
    if (bare === answer) break
    answer = bare
  }
  return answer
}

function unfenced(text: string): string {
  if (text.length < 6 || !text.startsWith('```') || !text.endsWith('```')) return text
  const inside = text.slice(3, -3)
  return inside.includes('```') ? text : inside.replace(/^[a-z]*[ \t]*\r?\n/i, '').trim()
}

function unprefixed(text: string): string {
  const bare = text.replace(/^(?:\*\*)?(?:the )?(?:final |correct )?answer(?: is)? ?[:：](?:\*\*)?/i, '').trim()
  return bare === '' ? text : bare
}

const pairs: readonly (readonly [string, string])[] = [
  ['"', '"'],
  ["'", "'"],
  ['`', '`'],
  ['“', '”'],
  ['‘', '’'],
]

function unquoted(text: string): string {
  const pair = pairs.find(([open, close]) => text.length > 2 && text.startsWith(open) && text.endsWith(close))
  const inside = text.slice(1, -1)
  return pair === undefined || pair.some((mark) => inside.includes(mark)) ? text : inside.trim()
}

/**
 * Whether an answer is the expected one. Equal are, besides equal texts:
 * - texts that differ in case, white space, a full stop or other punctuation around them, `$…$`, `\(…\)`, `\text{…}`, `\left`, `\right`, `**…**`,
 *   or whatever `cleanAnswer` takes off;
 * - the letter of an option and its other forms: `A`, `(A)`, `A.`, `A)`, `A:`, and `A) text` (letters A to J before a text);
 * - numbers of the same value, compared exactly: `1,234` = 1234.0, `.5` = 1/2 = `\frac{1}{2}`, 1e3 = 1000; and percentages with percentages.
 *
 * Different are 5% and 5 and 0.05; numbers with and without a unit, a degree sign or a currency; `x = 5` and 5; an option's letter and its
 * text; reordered lists; equal expressions of another form. An empty answer equals nothing.
 */
export function sameAnswer(given: string, expected: string): boolean {
  const [a, b] = [normal(given), normal(expected)]
  if (a.text === '' || b.text === '') return false
  if (a.number !== null || b.number !== null) return a.number === b.number
  return a.text === b.text || (a.letter !== null && a.letter === b.text) || (b.letter !== null && b.letter === a.text)
}

interface Normal {
  readonly text: string
  /** A number in lowest terms, with a percent sign if it has one. */
  readonly number: string | null
  /** The letter of an option with its text behind it. */
  readonly letter: string | null
}

/** `(A) text` and `A) text`; what follows must begin like a text, as opposed to (a) + b. A colon or a full stop needs a capital and a space. */
const optionWithText = /^\(?([a-j])\) ?(["'“$\\\p{L}\p{N}].*)$/iu
const capitalWithText = /^([A-J])[.:] (["'“$\\\p{L}\p{N}].*)$/u

function normal(answer: string): Normal {
  const plain = undecorated(cleanAnswer(answer))
  const option = optionWithText.exec(plain) ?? capitalWithText.exec(plain)
  const letter = option?.[1]?.toLowerCase() ?? null
  const bare = option === null ? plain.replace(/^\(?([a-z])\)$/i, '$1') : `${letter}) ${option[2]}`
  // White space around signs means nothing in formulas and lists. Numbers are read before, since 1, 234 is a list.
  const text = bare.toLowerCase().replace(/ ?([-+*/=<>,;:^_(){}[\]|]) ?/g, '$1')
  return { text, number: numberIn(bare), letter }
}

/** LaTeX's ways to write what is also written without it. */
const spellings: readonly (readonly [RegExp, string])[] = [
  [/\\(?:left|right)(?![a-z])/g, ''],
  [/\\[dt]frac(?![a-z])/g, '\\frac'],
  [/\\[,;:! ]|\\q?quad(?![a-z])/g, ' '],
  [/\{,\}/g, ','],
  [/\\([%$&#])/g, '$1'],
  [/−/g, '-'],
  [/\s+/g, ' '],
]

const fonts = /\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox)\{([^{}]*)\}/g

/** The text without what only decorates it: dollar signs, fonts, spaces of LaTeX, quotation marks, punctuation around it. */
export function undecorated(answer: string): string {
  let text = spellings.reduce((result, [pattern, plain]) => result.replace(pattern, plain), answer.replace(fonts, '$1')).trim()
  for (let i = 0; i < mostWrappers; i++) {
    const bare = unquoted(unmarked(unpunctuated(text)))
    if (bare === text) break
    text = bare
  }
  return text
}

function unmarked(text: string): string {
  for (const [open, close] of [
    ['$$', '$$'],
    ['$', '$'],
    ['\\(', '\\)'],
    ['\\[', '\\]'],
    ['**', '**'],
    ['*', '*'],
  ] as const) {
    const inside = text.slice(open.length, -close.length).trim()
    if (text.startsWith(open) && text.endsWith(close) && inside !== '' && !inside.includes(open) && !inside.includes(close)) return inside
  }
  return text
}

/** Without punctuation around it. Signs with a meaning stay: a factorial, a leading decimal point, an ellipsis that continues digits. */
function unpunctuated(text: string): string {
  // A loop, since a search for what ends a text takes quadratic time where the text repeats it.
  let end = text.length
  while (end > 0 && (',;:? '.includes(text.charAt(end - 1)) || /\p{L}{2}!$/u.test(text.slice(Math.max(0, end - 5), end)))) end--
  let bare = text.slice(0, end).replace(/^[,;:!? ]+/, '')
  if (bare.endsWith('.') && !bare.endsWith('..') && bare.length > 1) bare = bare.slice(0, -1).trimEnd()
  return bare
}

/** Digits and places that a number may have; longer ones are compared as texts. */
const mostDigits = 300
const plainNumber = '[+-]?(?:\\d{1,3}(?:,\\d{3})+|\\d+)?(?:\\.\\d*)?'
const scientific = new RegExp(`^(${plainNumber})(?:e([+-]?\\d{1,3}))?$`, 'i')
const fraction = new RegExp(`^(${plainNumber}) ?/ ?(${plainNumber})$`)
const latexFraction = new RegExp(`^([+-]?) ?\\\\frac ?(?:\\{ ?(${plainNumber}) ?\\} ?\\{ ?(${plainNumber}) ?\\}|(\\d)(\\d))$`)

/** A fraction as it was written: not in lowest terms, and what is below may be 0 or negative. */
export interface Ratio {
  readonly above: bigint
  readonly below: bigint
}

/** The number that a text is, in lowest terms as text; null if it is none. */
function numberIn(text: string): string | null {
  const percent = text.endsWith('%')
  const digits = percent ? text.slice(0, -1).trimEnd() : text
  if (digits.length > mostDigits) return null
  const ratio = ratioIn(digits)
  if (ratio === null || ratio.below === 0n) return null
  const sign = ratio.below < 0n ? -1n : 1n
  const divisor = sign * gcd(ratio.above, ratio.below)
  return `${ratio.above / divisor}/${ratio.below / divisor}${percent ? '%' : ''}`
}

/** The exact number that a text is: a decimal number, also with separators or an exponent, or a fraction of two; null if it is none. */
export function ratioIn(text: string): Ratio | null {
  const number = scientific.exec(text)
  if (number !== null) return decimal(number[1] ?? '', Number(number[2] ?? 0))
  const parts = latexFraction.exec(text)
  const plain = fraction.exec(text)
  const above = decimal(parts?.[2] ?? parts?.[4] ?? plain?.[1] ?? '', 0)
  const below = decimal(parts?.[3] ?? parts?.[5] ?? plain?.[2] ?? '', 0)
  if (above === null || below === null) return null
  return { above: above.above * below.below * (parts?.[1] === '-' ? -1n : 1n), below: above.below * below.above }
}

function decimal(text: string, exponent: number): Ratio | null {
  const [whole = '', places = ''] = text.replaceAll(',', '').split('.')
  if (!/\d/.test(whole + places)) return null
  const shift = exponent - places.length
  const value = BigInt(`${whole.replace('+', '').replace('-', '')}${places}`) * (text.startsWith('-') ? -1n : 1n)
  return shift >= 0 ? { above: value * 10n ** BigInt(shift), below: 1n } : { above: value, below: 10n ** BigInt(-shift) }
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}
