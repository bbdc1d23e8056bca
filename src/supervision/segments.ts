// Divides the tokens of a rollout into the segments of a method's format, by where each token lies in the rollout's own text.
//
// Nothing is tokenised again: a substring's tokens need not be those that the model wrote.

import { ArgumentError } from '../errors.ts'
import { commonSegments } from './check.ts'
import type { Format, Positions } from './method.ts'

/** A rollout as text and tokens. */
export interface RolloutText {
  /** What stands in the assistant's turn before it; it has no tokens here. */
  readonly prefill: string
  /** What its tokens spell, special ones included. */
  readonly text: string
  /** Start and end (exclusive) of each token in UTF-16 units of `text`, as `Tokenizer.offsets` gives them. */
  readonly spans: readonly (readonly [start: number, end: number])[]
  readonly ids: ArrayLike<number>
}

/** What the tokens of a rollout are. */
export interface Division {
  readonly valid: boolean
  /** Why it is not valid, in words for people; null if it is. */
  readonly fault: string | null
  /** The names of the format's parts, in order, found or not. */
  readonly parts: readonly string[]
  /** Of every token: the part in which it lies, 'delimiters', 'end' or 'other'. */
  readonly segments: readonly string[]
  /** The contents of each part, prefill included; of an invalid rollout none. */
  readonly texts: { readonly [segment: string]: string }
  /**
   * Token indices of each part; of an invalid rollout none. `from`: the first token that starts at or after the start of the content;
   * `through`: one past the last token that starts before the end of the closing delimiter.
   */
  readonly places: { readonly [segment: string]: { readonly from: number; readonly through: number } }
}

/** A part that was found: its content lies in [from, to), its delimiters in [open, from) and [to, close). UTF-16 units of prefill + text. */
interface Part {
  readonly segment: string
  readonly open: number
  readonly from: number
  readonly to: number
  readonly close: number
}

/**
 * Divides a rollout. It is valid if the parts of the format follow each other in prefill + text, each from the first place where it opens
 * to the first where it closes, and each holds a token other than those of `emptyIds` (unless it may be empty). Other text may stand
 * between and after them. A balanced part ends at the brace that closes its `open`; a backslash takes the character after it out of the
 * count, and an `open` whose brace never closes is passed over.
 *
 * A token that carries a character of a delimiter belongs to 'delimiters', whatever else it carries. One without characters lies before the
 * character at its place and belongs where that belongs. A last token of `stopIds` outside all parts is the 'end'. The tokens of an
 * invalid rollout are 'other' and 'end'.
 * @param options.stopIds ids that end a rollout
 * @param options.emptyIds ids that are no content, such as EOS and padding
 * @throws ArgumentError if the spans are not those of the ids in the text
 */
export function divide(
  format: Format,
  rollout: RolloutText,
  options: { readonly stopIds: ReadonlySet<number>; readonly emptyIds: ReadonlySet<number> },
): Division {
  checkSpans(rollout)
  const { prefill, text, ids } = rollout
  const whole = prefill + text
  const parts = format.parts.map(({ segment }) => segment)
  const tokens = rollout.spans.map(([start, end]) => ({ start: start + prefill.length, end: Math.max(start + 1, end) + prefill.length }))
  const ended = tokens.length > 0 && options.stopIds.has(ids[tokens.length - 1] as number)
  const label = (found: readonly Part[]): string[] =>
    tokens.map((token, at) => where(token, found) ?? (ended && at === tokens.length - 1 ? 'end' : 'other'))
  const invalid = (fault: string): Division => ({ valid: false, fault, parts, segments: label([]), texts: {}, places: {} })

  const found: Part[] = []
  for (const part of format.parts) {
    const place = find(part, whole, found.at(-1))
    if (typeof place === 'string') return invalid(`${part.segment}: ${place}`)
    found.push(place)
  }
  const segments = label(found)
  const filled = new Set(segments.filter((_, at) => !options.emptyIds.has(ids[at] as number)))
  for (const { segment, mayBeEmpty } of format.parts) {
    if (!mayBeEmpty && !filled.has(segment)) return invalid(`${segment}: no token between its delimiters`)
  }
  const startsBefore = (place: number): number => tokens.filter(({ start }) => start < place).length
  return {
    valid: true,
    fault: null,
    parts,
    segments,
    texts: Object.fromEntries(found.map(({ segment, from, to }) => [segment, whole.slice(from, to)])),
    places: Object.fromEntries(found.map(({ segment, from, close }) => [segment, { from: startsBefore(from), through: startsBefore(close) }])),
  }
}

/**
 * The indices of the tokens at some positions, ascending: of a segment, of several, from one part's content through another's closing
 * delimiter, or all, of invalid rollouts too. Invalid rollouts have no tokens in parts.
 * @throws ArgumentError if the rollout's format makes no such segment, or a range runs backwards
 */
export function positionsOf(division: Division, positions: Positions | 'all'): number[] {
  const { parts, segments, places } = division
  const all = Array.from(segments.keys())
  if (typeof positions === 'object' && 'from' in positions) {
    const { from, through } = positions
    if (!parts.includes(from) || parts.indexOf(through) < parts.indexOf(from)) {
      throw new ArgumentError(
        `no range leads from ${from} through ${through}; name two of the format's parts, in order: ${parts.join(', ') || 'none'}`,
      )
    }
    return all.slice(places[from]?.from ?? 0, places[through]?.through ?? 0)
  }
  const names = new Set(typeof positions === 'string' ? [positions] : positions)
  const known = [...parts, ...commonSegments]
  for (const name of names) if (!known.includes(name)) throw new ArgumentError(`the format makes no segment ${name}; use one of ${known.join(', ')}`)
  return names.has('all') ? all : all.filter((at) => names.has(segments[at] as string))
}

/**
 * The text of a rollout in which its final answer is looked for: the content of the part that holds answers (a balanced one, or one of the name
 * "answer") where it was found; otherwise what follows the last part that was found, so that a box in a description answers nothing.
 */
export function answerText(
  format: Format,
  { prefill, text }: Pick<RolloutText, 'prefill' | 'text'>,
): { readonly text: string; readonly bare: boolean } {
  const whole = prefill + text
  let last: Part | undefined
  for (const part of format.parts) {
    const place = find(part, whole, last)
    if (typeof place === 'string') break
    if (part.close === 'balanced' || part.segment === 'answer') return { text: whole.slice(place.from, place.to), bare: true }
    last = place
  }
  return { text: whole.slice(last?.close ?? 0), bare: false }
}

/** The part whose characters a token carries: its segment if they are content alone, else 'delimiters'; null if they are no part's. */
function where({ start, end }: { readonly start: number; readonly end: number }, found: readonly Part[]): string | null {
  const part = found.find(({ open, close }) => start < close && open < end)
  if (part === undefined) return null
  return part.from <= start && end <= part.to ? part.segment : 'delimiters'
}

/** Where a part lies, or what is missing. */
function find({ segment, open, close }: Format['parts'][number], text: string, previous: Part | undefined): Part | string {
  const after = previous?.close ?? 0
  const first = text.indexOf(open, after)
  if (first < 0) return `there is no ${open}${previous ? ` after the ${previous.segment}` : ''}`
  if (close !== 'balanced') {
    const from = first + open.length
    const to = text.indexOf(close, from)
    return to < 0 ? `there is no ${close} after ${open}` : { segment, open: first, from, to, close: to + close.length }
  }
  const closing = closingBraces(text, first)
  for (let at = first; at >= 0; at = text.indexOf(open, at + 1)) {
    const from = at + open.length
    const to = closing[from - first] as number
    if (to >= 0) return { segment, open: at, from, to, close: to + 1 }
  }
  return `no brace closes ${open}`
}

/**
 * For every place from `first` through the end of the text: where the brace is that closes one before it; -1 if none does. From the end
 * backwards, so that thousands of openings that nothing closes cost one pass.
 */
function closingBraces(text: string, first: number): Int32Array {
  const closing = new Int32Array(text.length - first + 2).fill(-1)
  for (let at = text.length - 1; at >= first; at--) {
    const character = text[at]
    const next = closing[at + 1 - first] as number
    if (character === '}') closing[at - first] = at
    else if (character === '\\') closing[at - first] = closing[at + 2 - first] as number
    else if (character === '{') closing[at - first] = next < 0 ? -1 : (closing[next + 1 - first] as number)
    else closing[at - first] = next
  }
  return closing
}

function checkSpans({ text, spans, ids }: RolloutText): void {
  if (spans.length !== ids.length) throw new ArgumentError(`a rollout has ${ids.length} ids and ${spans.length} spans; each id needs its span`)
  let before = 0
  for (const [at, [start, end]] of spans.entries()) {
    if (!(before <= start && start <= end && end <= text.length)) {
      throw new ArgumentError(
        `span ${at} is ${start} to ${end}, after one from ${before}, in ${text.length} characters; give the offsets of these ids in this text`,
      )
    }
    before = start
  }
}
