// Compares mathematical answers: shape by shape, down to single values.

import { type Comparison, every, matched, right, undecided, wrong } from './comparison.ts'
import type { Complex } from './complex.ts'
import { equality, readExpression } from './expression.ts'
import { compareQuantities, readQuantity } from './numbers.ts'
import { isName, type Shape, shapeOf } from './shape.ts'
import { algebra, compareLiterally, compareValue } from './value.ts'
import type { Expected } from './verdict.ts'

type Tolerance = Expected['tolerance']

/** Shapes within shapes are few; this only bounds the recursion. */
const deepest = 6

/** Two mathematical answers in plain spelling. */
export function compareMath(given: string, expected: string, tolerance: Tolerance, depth = 0): Comparison {
  const literal = compareLiterally(given, expected)
  if (literal !== null) return literal
  if (depth > deepest) return undecided('nested too deeply')
  // What is about a value is not the value, unless values about it are allowed.
  if (given.includes('\\approx') && !expected.includes('\\approx') && tolerance.relative + tolerance.absolute === 0) {
    const [exact = ''] = given.split('\\approx')
    const compared = isName(exact.trim()) ? null : compareMath(exact.trim(), expected, tolerance, depth + 1)
    return compared?.outcome === 'right' ? compared : undecided('an approximation')
  }
  const [a, b] = [readQuantity(given), readQuantity(expected)]
  if (a !== null && b !== null && !(given.includes('=') && expected.includes('=')) && !algebra.test(given) && !algebra.test(expected))
    return compareQuantities(a, b, tolerance)
  return compareShapes(shapeOf(given), shapeOf(expected), (x, y) => compareMath(x, y, tolerance, depth + 1), tolerance)
}

type Compare = (given: string, expected: string) => Comparison

function compareShapes(given: Shape, expected: Shape, compare: Compare, tolerance: Tolerance): Comparison {
  if (given.form === 'value' && expected.form === 'value') return compareValue(given.text, expected.text, tolerance)
  if (given.form === 'equation' && expected.form === 'equation') return compareEquations(given, expected, compare)
  if (given.form === 'equation') return solved(given, (value) => compareShapes(shapeOf(value), expected, compare, tolerance))
  if (expected.form === 'equation') return solved(expected, (value) => compareShapes(given, shapeOf(value), compare, tolerance))
  if (given.form === 'matrix' && expected.form === 'matrix') return compareMatrices(given.rows, expected.rows, compare)
  if (given.form === 'union' && expected.form === 'union') return matched(given.items, expected.items, compare, 'same union')
  if ('brackets' in given && 'brackets' in expected) return compareTuples(given, expected, compare)
  const [many, others] = [unordered(given), unordered(expected)]
  if (many !== null && others !== null) return matched(many, others, compare, 'same elements')
  return undecided('answers of different forms')
}

/** Elements whose order says nothing; a single value is a list of one. Null for what has an order. */
function unordered(shape: Shape): readonly string[] | null {
  if (shape.form === 'list' || shape.form === 'set' || shape.form === 'union') return shape.items
  return shape.form === 'value' ? [shape.text] : null
}

type Bracketed = Extract<Shape, { readonly form: 'tuple' | 'interval' }>

function compareTuples(given: Bracketed, expected: Bracketed, compare: Compare): Comparison {
  if (given.items.length !== expected.items.length) return wrong('another number of elements')
  const parts = given.items.map((item, i) => compare(item, expected.items[i] ?? ''))
  // Brackets mean ends of an interval only where there are two of them.
  const ends = given.items.length === 2 && given.brackets !== expected.brackets ? [wrong('other brackets')] : []
  const names = given.form === 'interval' && expected.form === 'interval' && given.variable !== expected.variable
  return every([...parts, ...ends, ...(names ? [undecided('another variable')] : [])], 'same elements in order')
}

function compareMatrices(given: readonly (readonly string[])[], expected: readonly (readonly string[])[], compare: Compare): Comparison {
  if (given.length !== expected.length || given.some((row, i) => row.length !== expected[i]?.length)) return wrong('another size')
  return every(
    given.flatMap((row, i) => row.map((cell, j) => compare(cell, expected[i]?.[j] ?? ''))),
    'same matrix',
  )
}

type Equation = Extract<Shape, { readonly form: 'equation' }>

/** What a name is equal to, if the equation says just that. */
function solution(equation: Equation): { readonly name: string; readonly value: string } | null {
  if (isName(equation.left)) return { name: equation.left, value: equation.right }
  return isName(equation.right) ? { name: equation.right, value: equation.left } : null
}

function solved(equation: Equation, then: (value: string) => Comparison): Comparison {
  const found = solution(equation)
  return found === null ? undecided('an equation and a value') : then(found.value)
}

function compareEquations(given: Equation, expected: Equation, compare: Compare): Comparison {
  const [a, b] = [solution(given), solution(expected)]
  if (a !== null && b !== null) {
    const compared = compare(a.value, b.value)
    if (a.name === b.name && (compared.outcome !== 'wrong' || isConstant(a.value))) return compared
    if (a.name !== b.name && isConstant(a.value) && isConstant(b.value)) return compared.outcome === 'right' ? undecided('another name') : compared
  }
  return proportional(given, expected)
}

function isConstant(text: string): boolean {
  return readExpression(text)?.symbols.length === 0
}

/** Equations are the same if the difference of the sides of one is a constant multiple of the other's. */
function proportional(given: Equation, expected: Equation): Comparison {
  const [a, b] = [given, expected].map(({ left, right: side }) => readExpression(`(${left})-(${side})`))
  if (a === null || b === null || a === undefined || b === undefined) return undecided('an equation that was not understood')
  const at = new Map<string, Complex>([...a.symbols, ...b.symbols].map((symbol, i) => [symbol, [0.37 + 0.61 * i, 0]]))
  const [[x], [y]] = [a.value(at), b.value(at)]
  if (!Number.isFinite(x / y) || Math.abs(x) < 1e-9) return undecided('equations that could not be compared')
  const scaled = { ...b, value: (point: ReadonlyMap<string, Complex>): Complex => scale(b.value(point), x / y) }
  return equality(a, scaled) === 'equal' ? right('the same equation') : undecided('equations of different forms')
}

const scale = ([re, im]: Complex, factor: number): Complex => [re * factor, im * factor]
