// Tells whether two mathematical expressions are equal: a library parses their LaTeX, and both are evaluated at fixed points. Numbers instead of
// symbolic rules, since evaluating ends in a time that the length bounds, and two different expressions do not agree at random points.

import { createRequire } from 'node:module'
import { type Compiled, compile } from './compile.ts'
import { type Complex, magnitude, subtract } from './complex.ts'

/** Bounds of what is parsed: the parser recurses, and takes exponential time for bars that do not pair. */
const longest = 300
const deepest = 24
const mostBars = 6

let parser: ((latex: string) => unknown) | null = null

/** Loaded when it is first needed: it takes a tenth of a second, and most answers need no algebra. */
function parse(latex: string): unknown {
  if (parser === null) {
    const library = createRequire(import.meta.url)(
      '@cortex-js/compute-engine/latex-syntax',
    ) as typeof import('@cortex-js/compute-engine/latex-syntax')
    const syntax = new library.LatexSyntax()
    parser = (text) => syntax.parse(text)
  }
  return parser(latex)
}

const functions = 'arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp'
const spellings: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`(?<![\\\\a-zA-Z])(${functions})(?![a-zA-Z])`, 'g'), '\\$1 '],
  [/(?<![\\a-zA-Z])pi(?![a-zA-Z])/g, '\\pi '],
  [/(?<![\\a-zA-Z])(?:inf|infinity)(?![a-zA-Z])/g, '\\infty '],
  [/(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)/g, '\\sqrt{$1}'],
  [/(?<![\\a-zA-Z])sqrt\s*(\d+|[a-z](?![a-z]))/g, '\\sqrt{$1}'],
  [/\*\*/g, '^'],
  [/\^\s*([+-]?\d{2,}|[+-]\d|-[a-z])/g, '^{$1}'],
  [/\^\s*\(([^()]*)\)/g, '^{($1)}'],
  [/\\(sin|cos|tan)\s*\^\s*\{?\s*-\s*1\s*\}?/g, '\\arc$1 '],
  [/°/g, '^{\\circ}'],
  [/\\[tdc]frac/g, '\\frac'],
  [/\\(?:vec|overrightarrow|hat|bar)\s*\{?([a-zA-Z])\}?/g, '$1_{vec}'],
]

/**
 * The expression that a text (in plain spelling) is; null if it is too long, or says something that is not understood. `e` is Euler's number and
 * `i` the imaginary unit.
 */
export function readExpression(text: string): Compiled | null {
  const latex = spellings.reduce((result, [pattern, spelling]) => result.replace(pattern, spelling), text)
  if (latex.trim() === '' || latex.length > longest || !boundedNesting(latex) || doubtful(latex)) return null
  return compile(parse(latex))
}

function boundedNesting(latex: string): boolean {
  let [depth, bars] = [0, 0]
  for (const sign of latex) {
    if ('([{'.includes(sign)) depth++
    else if (')]}'.includes(sign)) depth--
    else if (sign === '|') bars++
    if (depth > deepest || depth < 0 || bars > mostBars) return false
  }
  return depth === 0 && !/\|\s*\|/.test(latex) && !/(?:\\(?:sqrt|frac|left|lfloor|lceil)\s*){12}|-{12}/.test(latex)
}

/** What people read in two ways: 1/2x, and runs of digits apart. */
function doubtful(latex: string): boolean {
  return (
    /\/\s*(?:\d+(?:\.\d+)?|[a-zA-Z]|\\pi\s?)\s*(?:[a-zA-Z(]|\\(?!cdot|times|right|le|ge|%))/.test(latex) ||
    /(?<!_)\d\s+\d/.test(latex) ||
    /[%$€£?]|(?<![\\a-zA-Z{])(?:is|or|of|to|in|at|no|it|an|and|the)(?![a-zA-Z])/.test(latex)
  )
}

/** Sample points for each symbol: the first ones positive, where roots and logarithms of symbols mean what people mean, the others not. */
const positivePoints = 4
const negativePoints = 3
/** Constants of which multiples are far from rational, so that no two symbols share a value. */
const [stepOfSymbol, stepOfPoint] = [0.7548776662466927, 0.5698402909980532]

function point(symbols: readonly string[], index: number): Map<string, Complex> {
  const sign = index < positivePoints ? 1 : -1
  return new Map(symbols.map((symbol, i) => [symbol, [sign * (0.3 + 2 * (((i + 1) * stepOfSymbol + (index + 1) * stepOfPoint) % 1)), 0]]))
}

/** Beyond this, doubles have no digits left to tell neighbours apart. */
const largest = 1e14

/** `equal`: at all points; `different`: at one where all is defined; `unclear`: equal for positive symbols only, or never defined. */
export type Equality = 'equal' | 'different' | 'unclear'

export function equality(a: Compiled, b: Compiled): Equality {
  const symbols = [...new Set([...a.symbols, ...b.symbols])].sort()
  const points = symbols.length === 0 ? 1 : positivePoints + negativePoints
  const compared = Array.from({ length: points }, (_, i) => near(a.value(point(symbols, i)), b.value(point(symbols, i)), symbols.length === 0))
  const positive = compared.slice(0, positivePoints)
  if (positive.includes('different')) return 'different'
  const agreed = positive.filter((each) => each === 'equal').length
  if (agreed === 0 || (symbols.length > 0 && agreed < 3)) return 'unclear'
  return compared.slice(positivePoints).includes('different') ? 'unclear' : 'equal'
}

function near(a: Complex, b: Complex, constant: boolean): Equality {
  const [size, other] = [magnitude(a), magnitude(b)]
  if (Number.isNaN(size) || Number.isNaN(other)) return 'unclear'
  if (size === Number.POSITIVE_INFINITY || other === Number.POSITIVE_INFINITY) {
    if (!constant) return 'unclear'
    return a[0] === b[0] && a[1] === b[1] ? 'equal' : size === other && (a[1] !== 0 || b[1] !== 0) ? 'unclear' : 'different'
  }
  const apart = magnitude(subtract(a, b))
  if (apart > 1e-9 * Math.max(size, other) + 1e-13) return 'different'
  return Math.max(size, other) > largest && constant ? 'unclear' : 'equal'
}

/** The real value of an expression without symbols; null if it has some, or the value is not real and finite. */
export function constantValue(expression: Compiled): number | null {
  if (expression.symbols.length > 0) return null
  const [re, im] = expression.value(new Map())
  return Number.isFinite(re) && Math.abs(im) < 1e-12 * Math.max(1, Math.abs(re)) ? re : null
}
