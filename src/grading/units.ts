// Knows which units are the same, which can be turned into each other, and which words after a number are no unit but change it.

import type { Ratio } from '../data/answers.ts'

export interface Unit {
  /** One spelling for all; empty for none. */
  readonly name: string
  /** What it measures, and how many of that dimension's base units it is; null for a word such as "apple". */
  readonly measure: { readonly dimension: string; readonly factor: Ratio } | null
}

/** By dimension: name, other spellings (without plural), and how many base units it is. */
const known: { readonly [dimension: string]: readonly (readonly [string, readonly string[], number, number])[] } = {
  length: [
    ['mm', ['millimeter', 'millimetre'], 1, 1000],
    ['cm', ['centimeter', 'centimetre', 'cms'], 1, 100],
    ['dm', ['decimeter', 'decimetre'], 1, 10],
    ['m', ['meter', 'metre'], 1, 1],
    ['km', ['kilometer', 'kilometre', 'kms'], 1000, 1],
  ],
  'customary length': [
    ['inch', ['inches', 'in', '″', '"'], 1, 1],
    ['ft', ['foot', 'feet'], 12, 1],
    ['yd', ['yard'], 36, 1],
    ['mi', ['mile'], 63360, 1],
  ],
  mass: [
    ['mg', ['milligram'], 1, 1000],
    ['g', ['gram', 'gm'], 1, 1],
    ['kg', ['kilogram', 'kgs'], 1000, 1],
  ],
  time: [
    ['s', ['second', 'sec'], 1, 1],
    ['min', ['minute', 'mins'], 60, 1],
    ['h', ['hour', 'hr', 'hrs'], 3600, 1],
    ['day', [], 86400, 1],
  ],
  volume: [
    ['ml', ['milliliter', 'millilitre'], 1, 1000],
    ['l', ['liter', 'litre'], 1, 1],
  ],
  force: [['n', ['newton'], 1, 1]],
  energy: [
    ['j', ['joule'], 1, 1],
    ['kj', ['kilojoule'], 1000, 1],
  ],
  power: [
    ['w', ['watt'], 1, 1],
    ['kw', ['kilowatt'], 1000, 1],
  ],
  voltage: [['v', ['volt'], 1, 1]],
  resistance: [['ω', ['ohm', 'omega'], 1, 1]],
  frequency: [['hz', ['hertz'], 1, 1]],
  angle: [
    ['°', ['degree', 'deg'], 1, 1],
    ['rad', ['radian'], 0, 1],
  ],
  temperature: [
    ['°c', ['degree celsius', 'celsius', 'degree c'], 1, 1],
    ['°f', ['degree fahrenheit', 'fahrenheit', 'degree f'], 0, 1],
  ],
  money: [
    ['$', ['dollar', 'usd', 'us$'], 1, 1],
    ['¢', ['cent'], 1, 100],
  ],
  euro: [['€', ['euro', 'eur'], 1, 1]],
  pound: [['£', ['pound sterling', 'gbp'], 1, 1]],
  share: [['%', ['percent', 'per cent', 'percentage'], 1, 100]],
}

const byName = new Map<string, Unit>()
for (const [dimension, units] of Object.entries(known))
  for (const [name, others, above, below] of units) {
    // Units that cannot be turned into the base by a rational factor are of a dimension of their own.
    const own = above === 0 ? name : dimension
    const unit: Unit = { name, measure: { dimension: own, factor: { above: BigInt(Math.max(1, above)), below: BigInt(below) } } }
    for (const spelling of [name, ...others]) byName.set(spelling, unit)
  }

export const noUnit: Unit = { name: '', measure: null }

/** Words after a number that say that the number is not the answer, or not alone. */
const changing =
  /\b(?:not|or|and|than|less|more|fewer|minus|plus|times|least|most|to|but|if|half|each|every|the (?:first|second|third|last)|squared|cubed|factorial|pairs?|out|over|thirds?|quarters?|point\s+[a-z]+)\b/

/** Words with which a remark begins that is no part of the unit. */
const remark =
  /(?:^|\s+)(?:in|on|at|of|from|for|who|with|tall|long|wide|high|deep|thick|apart|away|visible|shown|total|altogether|that|which|here|there|are|is|within)\b.*$/

/** The unit that follows a number; null if what follows is more than a unit. */
export function readUnit(text: string): Unit | null {
  // Right behind a number a capital M is a million as well as a metre.
  if (/^(?:st|nd|rd|th)\b/i.test(text) || /^M(?![a-z])/.test(text)) return null
  const remarked = changing.test(text) ? text : text.replace(/\((?:[a-z -]+|\d+)\)$|^ ?\([a-z -]+\)/i, ' ')
  const spelled = remarked
    .replace(/\\(?:text|mathrm|mbox)|[{}]|\\(?![a-z])/g, ' ')
    .replace(/\\?°\s*(?=[cf]\b)/gi, '°')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/[.,;:]+$/, '')
    .trim()
  if (spelled === '') return noUnit
  const direct = byName.get(spelled) ?? power(spelled) ?? rate(spelled)
  if (direct !== null) return direct
  if (changing.test(spelled) || /[^\p{L}\s'°-]/u.test(spelled)) return null
  const words = spelled.replace(remark, '').trim().split(' ')
  if (words.length > 5) return null
  const name = words.map(singular).join(' ')
  if (name === '') return noUnit
  // A single letter that is no unit is a variable.
  return byName.get(name) ?? power(name) ?? rate(name) ?? (/\p{L}{2}/u.test(name) ? { name, measure: null } : null)
}

const singular = (word: string): string => {
  if (word.length > 4 && word.endsWith('ies')) return `${word.slice(0, -3)}y`
  if (word.length > 4 && /(?:x|ch|sh|ss)es$/.test(word)) return word.slice(0, -2)
  return word.length > 3 && word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word
}

/** Areas and volumes of a known length: `cm^2`, `square centimetres`, `cubic m`. */
function power(text: string): Unit | null {
  const before = /^(?:(square|sq\.?)|(cubic|cu\.?)) (.+)$/.exec(text)
  const after = /^(.+?) ?(?:\^ ?([23])| (squared|cubed))$/.exec(text) ?? /^(mm|cm|dm|m|km)([23])$/.exec(text)
  const base = byName.get(singular(before?.[3] ?? after?.[1] ?? ''))
  if (base?.measure === undefined || base.measure === null || !base.measure.dimension.endsWith('length')) return null
  const exponent = before?.[1] !== undefined || after?.[2] === '2' || after?.[3] === 'squared' ? 2n : 3n
  const { dimension, factor } = base.measure
  return {
    name: `${base.name}^${exponent}`,
    measure: { dimension: `${dimension}^${exponent}`, factor: { above: factor.above ** exponent, below: factor.below ** exponent } },
  }
}

/** Speeds and the like: both parts known, `km/h`, `miles per hour`. */
function rate(text: string): Unit | null {
  const spelled = { mph: 'mi/h', kph: 'km/h', kmh: 'km/h' }[text] ?? text
  const parts = spelled.split(/ ?\/ ?| per /)
  const [above, below] = parts.map((part) => byName.get(part) ?? byName.get(singular(part)) ?? squaredTime(part))
  if (parts.length !== 2 || above === undefined || below === undefined || above.measure === null || below.measure === null) return null
  const [up, down] = [above.measure, below.measure]
  return {
    name: `${above.name}/${below.name}`,
    measure: {
      dimension: `${up.dimension}/${down.dimension}`,
      factor: { above: up.factor.above * down.factor.below, below: up.factor.below * down.factor.above },
    },
  }
}

/** Of accelerations. */
function squaredTime(text: string): Unit | undefined {
  const time = byName.get(singular(/^(\w+) ?(?:\^ ?2| squared)$/.exec(text)?.[1] ?? ''))
  if (time?.measure?.dimension !== 'time') return undefined
  const { above, below } = time.measure.factor
  return { name: `${time.name}^2`, measure: { dimension: 'time^2', factor: { above: above * above, below: below * below } } }
}

/** The unit of a currency's sign before a number. */
export const currency = (sign: string): Unit => byName.get(sign.toLowerCase()) ?? { name: sign, measure: null }
