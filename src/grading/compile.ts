// Turns what the LaTeX parser understood (MathJSON) into a function that can be evaluated; anything not listed here is not understood.

import { add, type Complex, divide, exp, log, magnitude, multiply, negate, power, real, sqrt, subtract } from './complex.ts'

type At = ReadonlyMap<string, Complex>
type Value = (at: At) => Complex

export interface Compiled {
  readonly value: Value
  /** Free variables, sorted. */
  readonly symbols: readonly string[]
}

const constants: { readonly [name: string]: Complex } = {
  Pi: real(Math.PI),
  e: real(Math.E),
  ExponentialE: real(Math.E),
  i: [0, 1],
  ImaginaryUnit: [0, 1],
  PositiveInfinity: real(Number.POSITIVE_INFINITY),
  NegativeInfinity: real(Number.NEGATIVE_INFINITY),
}

/** Names that the parser gives to Greek letters which it takes for constants; in answers they are variables. */
const lettersNotConstants = ['EulerGamma', 'GoldenRatio']

const realOnly =
  (apply: (x: number) => number) =>
  (z: Complex): Complex =>
    z[1] === 0 ? real(apply(z[0])) : [Number.NaN, 0]

const unary: { readonly [head: string]: (z: Complex) => Complex } = {
  Negate: negate,
  Delimiter: (z) => z,
  Sqrt: sqrt,
  Square: (z) => multiply(z, z),
  Exp: exp,
  Ln: log,
  Lb: (z) => divide(log(z), real(Math.LN2)),
  Abs: (z) => real(magnitude(z)),
  Sin: realOnly(Math.sin),
  Cos: realOnly(Math.cos),
  Tan: realOnly(Math.tan),
  Cot: realOnly((x) => 1 / Math.tan(x)),
  Sec: realOnly((x) => 1 / Math.cos(x)),
  Csc: realOnly((x) => 1 / Math.sin(x)),
  Arcsin: realOnly(Math.asin),
  Arccos: realOnly(Math.acos),
  Arctan: realOnly(Math.atan),
  Sinh: realOnly(Math.sinh),
  Cosh: realOnly(Math.cosh),
  Tanh: realOnly(Math.tanh),
  Floor: realOnly(Math.floor),
  Ceil: realOnly(Math.ceil),
  Degrees: (z) => multiply(z, real(Math.PI / 180)),
  Factorial: realOnly(factorial),
}

const binary: { readonly [head: string]: (a: Complex, b: Complex) => Complex } = {
  Subtract: subtract,
  Divide: divide,
  Rational: divide,
  Power: power,
  Root: (z, n) => (z[1] === 0 && z[0] < 0 && n[0] % 2 === 1 ? real(-((-z[0]) ** (1 / n[0]))) : power(z, divide(real(1), n))),
  Log: (z, base) => divide(log(z), log(base)),
  Binomial: (n, k) => (n[1] === 0 && k[1] === 0 ? real(factorial(n[0]) / (factorial(k[0]) * factorial(n[0] - k[0]))) : [Number.NaN, 0]),
}

function factorial(n: number): number {
  if (!Number.isInteger(n) || n < 0 || n > 170) return Number.NaN
  let product = 1
  for (let k = 2; k <= n; k++) product *= k
  return product
}

/** A parsed expression as a function; null if any of it is not understood. */
export function compile(json: unknown): Compiled | null {
  const symbols = new Set<string>()
  const value = term(json, symbols)
  return value === null ? null : { value, symbols: [...symbols].sort() }
}

function term(json: unknown, symbols: Set<string>): Value | null {
  if (typeof json === 'number') return () => real(json)
  if (typeof json === 'string') return symbol(json, symbols)
  if (Array.isArray(json)) return call(json as readonly unknown[], symbols)
  if (typeof json === 'object' && json !== null && 'num' in json) {
    const number = numeral(String(json.num))
    return number === null ? null : () => real(number)
  }
  return null
}

function numeral(text: string): number | null {
  const repeating = /^(-?\d*\.)(\d*)\((\d+)\)$/.exec(text)
  if (repeating === null) return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : null
  const [, head = '', places = '', period = ''] = repeating
  const sign = head.startsWith('-') ? -1 : 1
  return Number(`${head}${places}0`) + (sign * Number(period)) / ((10 ** period.length - 1) * 10 ** places.length)
}

function symbol(name: string, symbols: Set<string>): Value | null {
  const constant = constants[name]
  if (constant !== undefined) return () => constant
  // A letter, a Greek one by its name, or either with an index; other names are sets, functions and texts.
  if (!/^[a-zA-Z](?:_[a-zA-Z0-9]{1,3})?$|^[a-z]{2,8}(?:_[a-zA-Z0-9]{1,3})?$/.test(name) && !lettersNotConstants.includes(name)) return null
  symbols.add(name)
  return (at) => at.get(name) ?? [Number.NaN, 0]
}

function call(json: readonly unknown[], symbols: Set<string>): Value | null {
  const [head, ...args] = json
  if (typeof head !== 'string') return null
  if (head === 'InvisibleOperator') return juxtaposed(args, symbols)
  const terms: Value[] = []
  for (const arg of args) {
    const value = term(arg, symbols)
    if (value === null) return null
    terms.push(value)
  }
  const [first, second] = terms
  if (first === undefined) return null
  if (head === 'Add') return (at) => terms.reduce((sum, each) => add(sum, each(at)), real(0))
  if (head === 'Multiply') return (at) => terms.reduce((product, each) => multiply(product, each(at)), real(1))
  if (head === 'Log' && second === undefined) return (at) => divide(log(first(at)), real(Math.LN10))
  const [one, two] = [unary[head], binary[head]]
  if (one !== undefined && second === undefined) return (at) => one(first(at))
  if (two !== undefined && second !== undefined && terms.length === 2) return (at) => two(first(at), second(at))
  return null
}

/** Things beside each other: a mixed number, a product, or a function of something, which is not understood. */
function juxtaposed(args: readonly unknown[], symbols: Set<string>): Value | null {
  const [whole, part] = args
  if (
    args.length === 2 &&
    typeof whole === 'number' &&
    Array.isArray(part) &&
    part[0] === 'Divide' &&
    part.slice(1).every((each) => typeof each === 'number')
  )
    return call(['Add', whole, part], symbols)
  for (const [i, arg] of args.entries()) {
    const next = args[i + 1]
    if (isNumber(arg) && isNumber(next)) return null
    if (typeof arg === 'string' && 'fghFGHP'.includes(arg) && Array.isArray(next) && next[0] === 'Delimiter') return null
  }
  return call(['Multiply', ...args], symbols)
}

const isNumber = (json: unknown): boolean => typeof json === 'number' || (typeof json === 'object' && json !== null && 'num' in json)
