// Reads a number with its unit as people and models write it, and compares two of them exactly or within a tolerance.

import { type Ratio, ratioIn } from '../data/answers.ts'
import { type Comparison, right, undecided, wrong } from './comparison.ts'
import { currency, noUnit, readUnit, type Unit } from './units.ts'
import type { Expected } from './verdict.ts'

export interface Quantity {
  readonly ratio: Ratio
  /** Digits after the decimal point if the number was written with one, else null. */
  readonly places: number | null
  readonly unit: Unit
}

/** Longer texts are no numbers. */
const longest = 200

const small =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty'.split(
    ' ',
  )
const tens = '_ _ twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
const scales: { readonly [word: string]: bigint } = {
  dozen: 12n,
  hundred: 100n,
  thousand: 1000n,
  k: 1000n,
  million: 1000000n,
  billion: 1000000000n,
  bn: 1000000000n,
  trillion: 1000000000000n,
}

/** Words that are numbers: zero to ninety-nine. */
export const numberWord = new RegExp(`\\b(?:(?:${tens.slice(2).join('|')})(?:[- ](?:${small.slice(1, 10).join('|')}))?|${small.join('|')})\\b`, 'i')
const leadingWord = new RegExp(`^${numberWord.source}`, 'i')

const decimal = '\\d{1,3}(?:,\\d{3})+(?:\\.\\d+)?(?!\\d)|\\d{1,3}(?: \\d{3})+(?:\\.\\d+)?(?!\\d)|\\d+(?:\\.\\d*)?|\\.\\d+'
/** How a number may begin; the groups are what it is made of. */
const forms: readonly (readonly [RegExp, (groups: readonly string[]) => Ratio | null])[] = [
  [new RegExp(`^(${decimal}) ?(?:\\\\times|\\\\cdot|\\*|x) ?10 ?\\^ ?\\{? ?([+-]?\\d{1,3}) ?\\}?`), ([a = '', e = '']) => ratioIn(`${bare(a)}e${e}`)],
  [/^10 ?\^ ?\{? ?([+-]?\d{1,3}) ?\}?/, ([e = '']) => ratioIn(`1e${e}`)],
  [new RegExp(`^(${decimal})e([+-]?\\d{1,3})(?![a-z0-9])`, 'i'), ([a = '', e = '']) => ratioIn(`${bare(a)}e${e}`)],
  [/^(\d+) ?\\frac ?\{ ?(\d+) ?\} ?\{ ?(\d+) ?\}/, ([whole = '', a = '', b = '']) => mixed(whole, a, b)],
  [/^(\d+) ?\\frac ?(\d)(\d)/, ([whole = '', a = '', b = '']) => mixed(whole, a, b)],
  [/^half a dozen\b/i, () => ratioIn('6')],
  [/^(\d+) and a half\b/i, ([whole = '']) => mixed(whole, '1', '2')],
  [/^(\d+)(?: | ?- ?| and )(\d+) ?\/ ?(\d+)(?![\d/])/, ([whole = '', a = '', b = '']) => mixed(whole, a, b)],
  [new RegExp(`^\\\\frac ?\\{ ?(-?(?:${decimal})) ?\\} ?\\{ ?(${decimal}) ?\\}`), ([a = '', b = '']) => ratioIn(`${bare(a)}/${bare(b)}`)],
  [/^\\frac ?(\d)(\d)/, ([a = '', b = '']) => ratioIn(`${a}/${b}`)],
  [new RegExp(`^(${decimal}) ?/ ?(${decimal})(?![\\d/])`), ([a = '', b = '']) => ratioIn(`${bare(a)}/${bare(b)}`)],
  [new RegExp(`^(${decimal})(?! ?[/^:])`), ([a = '']) => ratioIn(bare(a))],
]

const bare = (digits: string): string => digits.replace(/[, ]/g, '')

function mixed(whole: string, above: string, below: string): Ratio | null {
  const [units, a, b] = [BigInt(whole), BigInt(above), BigInt(below)]
  // 1 3/2 is nobody's number: more likely a list or a product.
  return a < b ? { above: units * b + a, below: b } : null
}

const courtesies =
  /^(?:(?:about|approximately|approx\.?|around|roughly|exactly|only|just|precisely|~|\\sim|\\approx|≈|a total of|there (?:is|are)|it is|it's|the year|total(?: of|:)?)\s*)+/i

/** The number that a text (in plain spelling) is, with its unit; null if it is none, or says more than a number. */
export function readQuantity(text: string): Quantity | null {
  if (text.length > longest) return null
  const named = afterEquals(text.replace(/^\{(.*)\}$/, '$1').trim()).replace(/^(?:minus|negative)\s+/i, '-')
  const polite = named.replace(courtesies, '')
  const [, before = '', sign = '', after = '', gap = ''] = /^([-+]?) ?((?:us)?\$|[€£¥₹]|(?:usd|eur|gbp)(?= ?\d))?( ?[-+])?( ?)/i.exec(polite) ?? []
  const start = before.length + sign.length + after.length + gap.length
  const spaces = /^([-+]?) ?/.exec(polite)?.[0].length ?? 0
  const body = polite.slice(Math.max(start, spaces + sign.length + after.length + gap.length)).trimStart()
  const read = readNumber(body)
  if (read === null || (before !== '' && after.trim() !== '')) return null
  const unit = readUnit(read.rest)
  if (unit === null || (sign !== '' && unit.name !== '' && unit.name !== currency(sign).name)) return null
  const negative = before === '-' || after.trim() === '-'
  return {
    ratio: positive({ above: negative ? -read.ratio.above : read.ratio.above, below: read.ratio.below }),
    places: read.places,
    unit: sign === '' ? unit : currency(sign),
  }
}

/** What stands after the last equals sign, if what stands before can be a name or a calculation and not a second answer. */
function afterEquals(text: string): string {
  const at = Math.max(text.lastIndexOf('='), text.lastIndexOf('\\approx') + (text.includes('\\approx') ? 6 : 0))
  if (at < 1 || /[,;<>≠]|\\[gln]e|\b(?:or|and)\b/.test(text.slice(0, at))) return text
  return text.slice(at + 1).trim()
}

function readNumber(text: string): { readonly ratio: Ratio; readonly places: number | null; readonly rest: string } | null {
  for (const [form, make] of forms) {
    const found = form.exec(text)
    if (found === null) continue
    const ratio = make(found.slice(1).map((group) => group ?? ''))
    if (ratio === null || ratio.below === 0n) return null
    return { ...scaled(ratio, text.slice(found[0].length)), places: places(found[0]) }
  }
  const word = leadingWord.exec(text)?.[0]
  if (word === undefined) return null
  const rest = text.slice(word.length)
  const half = /^ and a half\b/i.exec(rest)?.[0] ?? ''
  const ratio = half === '' ? { above: BigInt(wordValue(word)), below: 1n } : { above: BigInt(2 * wordValue(word) + 1), below: 2n }
  return { ...scaled(ratio, rest.slice(half.length)), places: null }
}

function places(number: string): number | null {
  const point = /^[\d, ]*\.(\d+)$/.exec(number)
  return point === null ? null : (point[1] ?? '').length
}

/** Words such as "million" belong to the number, several of them too. */
function scaled(ratio: Ratio, rest: string): { readonly ratio: Ratio; readonly rest: string } {
  const word = /^ ?(dozen|hundred|thousand|million|billion|trillion)s?\b/i.exec(rest) ?? /^(k|bn)\b/i.exec(rest)
  const scale = scales[word?.[1]?.toLowerCase() ?? '']
  if (word === null || scale === undefined) return { ratio, rest }
  return scaled({ above: ratio.above * scale, below: ratio.below }, rest.slice(word[0].length))
}

/** The value of a number's words, such as "twenty-one". */
export function wordValue(words: string): number {
  return words
    .toLowerCase()
    .split(/[- ]/)
    .reduce((sum, word) => sum + (small.includes(word) ? small.indexOf(word) : 10 * tens.indexOf(word)), 0)
}

const positive = ({ above, below }: Ratio): Ratio => (below < 0n ? { above: -above, below: -below } : { above, below })

/** A ratio as a floating-point number; infinite where it is out of range. */
export const approximate = ({ above, below }: Ratio): number => {
  const direct = Number(above) / Number(below)
  return Number.isNaN(direct) ? (above / below > 0n ? Number.POSITIVE_INFINITY : 0) : direct
}

const product = (a: Ratio, b: Ratio): Ratio => ({ above: a.above * b.above, below: a.below * b.below })
const same = (a: Ratio, b: Ratio): boolean => a.above * b.below === b.above * a.below
const one: Ratio = { above: 1n, below: 1n }
const hundredth: Ratio = { above: 1n, below: 100n }

/**
 * Compares two quantities. A unit that one of them lacks was left out; units of one dimension are converted (50 mm = 5 cm); other units differ.
 * A percentage equals its share (5% = 0.05) and the number without the sign, unless that could be either.
 */
export function compareQuantities(given: Quantity, expected: Quantity, tolerance: Expected['tolerance']): Comparison {
  const [a, b] = [given.unit, expected.unit]
  if (a.name === b.name) return compareRatios(given, expected, tolerance, 'same number')
  if (a.name === '%' || b.name === '%') {
    if (a.name === '' || b.name === '') return compareShares(given, expected, tolerance)
    return wrong('a percentage and another unit')
  }
  if (a === noUnit || b === noUnit || a.name === '' || b.name === '')
    return compareRatios(given, expected, tolerance, 'same number, one without a unit')
  if (a.measure !== null && b.measure !== null) {
    if (a.measure.dimension !== b.measure.dimension) return wrong('another unit')
    const [x, y] = [converted(given, a.measure.factor), converted(expected, b.measure.factor)]
    const absolute = tolerance.absolute * approximate(b.measure.factor)
    return compareRatios(x, y, { relative: tolerance.relative, absolute }, 'same number after conversion')
  }
  const compared = compareRatios(given, expected, tolerance, 'same number')
  if (compared.outcome !== 'right') return compared
  return a.name.split(' ').some((word) => b.name.split(' ').includes(word))
    ? right('same number, similar unit')
    : undecided('same number, another unit')
}

const converted = (quantity: Quantity, factor: Ratio): Quantity => ({ ...quantity, ratio: product(quantity.ratio, factor), places: null })

function compareShares(given: Quantity, expected: Quantity, tolerance: Expected['tolerance']): Comparison {
  const [percent, number] = given.unit.name === '%' ? [given, expected] : [expected, given]
  const ask = (scale: Ratio): Comparison => {
    const part = { ...percent, ratio: product(percent.ratio, scale), places: null }
    // A tolerance is one of the reference's own scale.
    const absolute = percent === expected ? tolerance.absolute * approximate(scale) : tolerance.absolute
    const allowed = { relative: tolerance.relative, absolute }
    return percent === given ? compareRatios(part, number, allowed, '') : compareRatios(number, part, allowed, '')
  }
  if (ask(hundredth).outcome === 'right') return right('same share')
  const asWritten = ask(one)
  if (asWritten.outcome !== 'right') return asWritten.outcome === 'wrong' ? wrong('another number') : asWritten
  return Math.abs(approximate(number.ratio)) <= 1 ? undecided('a share or a percentage') : right('same number, one without a percent sign')
}

/** Rounding is judged from this many digits on: fewer prove nothing. */
const digitsThatTell = 3

function compareRatios(given: Quantity, expected: Quantity, tolerance: Expected['tolerance'], rule: string): Comparison {
  if (same(given.ratio, expected.ratio)) return right(rule)
  const [a, b] = [approximate(given.ratio), approximate(expected.ratio)]
  if (within(a, b, tolerance)) return right(`${rule}, within the tolerance`)
  return roundedAlike(a, given.places, b, expected.places) ? undecided('the same only when rounded') : wrong('another number')
}

export function within(given: number, expected: number, tolerance: Expected['tolerance']): boolean {
  const allowed = Math.max(tolerance.absolute, tolerance.relative * Math.abs(expected))
  // A whisker more, since 0.1 + 0.2 is not quite 0.3.
  return allowed > 0 && Math.abs(given - expected) <= allowed + 1e-12 * Math.abs(expected)
}

/** Whether the one with fewer decimal places is the other one rounded to them, and has enough digits for that to tell. */
export function roundedAlike(a: number, placesOfA: number | null, b: number, placesOfB: number | null): boolean {
  const places = Math.min(placesOfA ?? Number.POSITIVE_INFINITY, placesOfB ?? Number.POSITIVE_INFINITY)
  if (!Number.isFinite(places) || places < 1 || places > 15 || Math.abs(a) > 1e15) return false
  const rounded = a.toFixed(places)
  const digits = rounded.replace(/\D/g, '').replace(/^0+/, '').length
  return digits >= digitsThatTell && Math.abs(a - b) <= 0.5000001 * 10 ** -places
}
