// Answers found, cleaned and compared, against a table made by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanAnswer, finalAnswer, sameAnswer } from '../../src/data/answers.ts'

const same: readonly (readonly [string, string])[] = [
  // Case, white space, punctuation around.
  ['Paris', 'paris'],
  ['  Paris ', 'Paris'],
  ['Paris.', 'Paris'],
  ['paris!', 'Paris'],
  ['Paris,', 'Paris'],
  ['"Paris"', 'Paris'],
  ['“Paris”', 'Paris'],
  ["'Paris'", 'Paris'],
  ['`Paris`', 'Paris'],
  ['**Paris**', 'Paris'],
  ['*Paris*.', 'Paris'],
  ['New  York', 'New York'],
  ['New\nYork', 'new york'],
  ['yes', 'Yes'],
  ['No.', 'no'],
  ['東京', '東京'],
  ['Ünïcode', 'ünïcode'],
  ['a, b', 'a,b'],
  ['well-known', 'Well-known'],
  // What is wrapped around.
  ['\\boxed{Paris}', 'Paris'],
  ['Answer: Paris', 'Paris'],
  ['The final answer is: Paris', 'Paris'],
  ['<answer>Paris</answer>', 'Paris'],
  ['```\nParis\n```', 'Paris'],
  ['$5$', '5'],
  ['$$5$$', '5'],
  ['\\(5\\)', '5'],
  ['\\[ 5 \\]', '5'],
  ['\\text{Paris}', 'Paris'],
  ['\\mathrm{A}', 'A'],
  ['\\textbf{(B)}', 'B'],
  ['$\\text{yes}$', 'yes'],
  ['5\\text{ cm}', '5 cm'],
  // Letters of options.
  ['A', 'A'],
  ['a', 'A'],
  ['(A)', 'A'],
  ['A.', 'A'],
  ['A)', 'A'],
  ['A:', 'A'],
  ['(a)', 'A'],
  ['(B).', 'B'],
  ['A) red', 'A'],
  ['(A) red', 'A'],
  ['A. red', 'A'],
  ['A: red', 'A'],
  ['(C) 12', 'C'],
  ['D', '(D)'],
  ['D', 'D. a large dog'],
  ['(A) red', 'A) Red'],
  ['A. red', '(A) red'],
  ['**B**', 'B'],
  ['J', '(J)'],
  ['Z', '(z)'],
  ['(E)$5$', 'E'],
  // Numbers.
  ['5', '5'],
  ['5.', '5'],
  ['5.0', '5'],
  ['5.00', '5.0'],
  ['05', '5'],
  ['+5', '5'],
  ['-5', '-5.0'],
  ['−5', '-5'],
  ['0', '-0'],
  ['0.0', '0'],
  ['.5', '0.5'],
  ['1/2', '0.5'],
  ['1/2', '\\frac{1}{2}'],
  ['\\frac{1}{2}', '0.5'],
  ['\\dfrac{1}{2}', '\\frac{1}{2}'],
  ['\\tfrac{2}{4}', '1/2'],
  ['\\frac12', '1/2'],
  ['-\\frac{1}{2}', '-0.5'],
  ['\\frac{-1}{2}', '-1/2'],
  ['\\frac{1}{-2}', '-0.5'],
  ['$\\frac{3}{4}$', '0.75'],
  ['3 / 4', '0.75'],
  ['2/4', '1/2'],
  ['6/3', '2'],
  ['0.1', '1/10'],
  ['0.30', '3/10'],
  ['1,234', '1234'],
  ['1,234,567', '1234567'],
  ['1,234.5', '1234.50'],
  ['1{,}234', '1234'],
  ['1e3', '1000'],
  ['1.5e-2', '0.015'],
  ['1E3', '1,000'],
  ['12345678901234567890', '12345678901234567890.0'],
  ['5%', '5 %'],
  ['5\\%', '5%'],
  ['5.0%', '5%'],
  ['1/2%', '0.5%'],
  // Formulas and units as they are written.
  ['x + 1', 'x+1'],
  ['x=5', 'x = 5'],
  ['(1, 2)', '(1,2)'],
  ['\\left(1, 2\\right)', '(1,2)'],
  ['\\sqrt{3}', '\\sqrt{3}'],
  ['\\dfrac{\\sqrt{3}}{2}', '\\frac{\\sqrt{3}}{2}'],
  ['90°', '90°'],
  ['90^\\circ', '90^\\circ'],
  ['5 cm', '5 CM'],
  ['$5', '\\$5'],
  ['n!', 'n!'],
  ['3:4', '3 : 4'],
]

const different: readonly (readonly [string, string])[] = [
  ['', ''],
  ['', 'A'],
  ['A', ''],
  ['.', ''],
  ['Paris', 'London'],
  ['Paris', 'Paris Hilton'],
  ['A', 'B'],
  ['(A)', '(B)'],
  ['A) red', 'B'],
  ['A) red', 'A) blue'],
  ['red', 'A) red'],
  ['red', 'A'],
  ['AB', 'A'],
  ['A, B', 'A'],
  ['A and B', 'A'],
  ['A or B', 'A'],
  ['not A', 'A'],
  ['A dog', 'A'],
  ['(a) + b', 'a'],
  ['c. elegans', 'C'],
  ['x: 5', 'x'],
  ['(A', 'A'],
  ['5', '6'],
  ['5', '-5'],
  ['5', '50'],
  ['5', '5%'],
  ['0.05', '5%'],
  ['5%', '6%'],
  ['5', '5 cm'],
  ['5', '$5'],
  ['90', '90°'],
  ['90°', '90^\\circ'],
  ['x = 5', '5'],
  ['5 apples', '5'],
  ['about 5', '5'],
  ['~5', '5'],
  ['1,23', '123'],
  ['1, 234', '1234'],
  ['1 234', '1234'],
  ['12,34', '1234'],
  ['0.333', '1/3'],
  ['0.333...', '0.333'],
  ['3.14', '\\pi'],
  ['1/0', '2/0'],
  ['1/0', '0'],
  ['0.1', '0.10000000000000001'],
  ['12345678901234567890', '12345678901234567891'],
  ['5!', '5'],
  ['n!', 'n'],
  ["f'", 'f'],
  ['x^2', 'x2'],
  ['x²', 'x2'],
  ['1/2', '1/3'],
  ['1 1/2', '11/2'],
  ['1 1/2', '1.5'],
  ['2:1', '2'],
  ['(5)', '5'],
  ['[A]', 'A'],
  ['a,b', 'b,a'],
  ['{1,2}', '1,2'],
  ['-A', 'A'],
  ['NaN', '5'],
  ['Infinity', '1e999'],
  ['five', '5'],
  ['½', '0.5'],
  ['V', '5'],
]

test(`${same.length} pairs that are the same, ${different.length} that are not, both ways round`, () => {
  assert.ok(same.length + different.length >= 120)
  for (const [a, b] of same) {
    assert.ok(sameAnswer(a, b), `${a} = ${b}`)
    assert.ok(sameAnswer(b, a), `${b} = ${a}`)
    assert.ok(sameAnswer(a, a) && sameAnswer(b, b), `${a} = itself`)
  }
  for (const [a, b] of different) {
    assert.ok(!sameAnswer(a, b), `${a} ≠ ${b}`)
    assert.ok(!sameAnswer(b, a), `${b} ≠ ${a}`)
  }
})

test('the final answer of a text', () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['so \\boxed{5}', '5'],
    ['\\boxed{1} then \\boxed{2}.', '2'],
    ['\\boxed{\\frac{1}{2}}', '\\frac{1}{2}'],
    ['\\boxed{a \\boxed{b} c}', 'a \\boxed{b} c'],
    ['\\boxed{1} \\boxed{2', '1'],
    ['\\boxed{x \\boxed{2}', '2'],
    ['\\boxed{\\{1, 2\\}}', '\\{1, 2\\}'],
    ['\\boxed{a \\} b}', 'a \\} b'],
    ['\\boxed {7}', '7'],
    ['} \\boxed{7} }', '7'],
    ['\\boxed{}', null],
    ['\\boxed{ }', null],
    ['\\boxed 5', null],
    ['\\boxed{5', null],
    ['boxed{5}', null],
    ['<answer>A</answer>', 'A'],
    ['<ANSWER> A </ANSWER>', 'A'],
    ['<answer>A</answer> <answer>B</answer>', 'B'],
    ['<answer>A</answer> <answer>B', 'A'],
    ['<answer>A</answer> but \\boxed{B}', 'B'],
    ['<answer>\\boxed{B}</answer>', 'B'],
    ['</answer><answer>', null],
    ['İ <answer>A</answer>', 'A'],
    ['the answer is 5', null],
    ['', null],
  ]
  for (const [text, expected] of cases) assert.equal(finalAnswer(text), expected, text)
})

test('answers from data sets are cleaned', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['A', 'A'],
    [' A\n', 'A'],
    ['\\boxed{A}', 'A'],
    ['The area is \\boxed{5}.', '5'],
    ['\\boxed{\\boxed{5}}', '5'],
    ['Answer: A', 'A'],
    ['answer:A', 'A'],
    ['**Answer:** A', 'A'],
    ['Final answer: 12 cm', '12 cm'],
    ['The correct answer is: (B)', '(B)'],
    ['<answer> 5 </answer>', '5'],
    ['<think>…</think><answer>5</answer>', '5'],
    ['```\n5\n```', '5'],
    ['```latex\n\\boxed{5}\n```', '5'],
    ['```5```', '5'],
    ['"yes"', 'yes'],
    ["'yes'", 'yes'],
    ['“yes”', 'yes'],
    ['"a" or "b"', '"a" or "b"'],
    ['Answer: "\\boxed{C}"', 'C'],
    ['<answer>Answer: `7`</answer>', '7'],
    ['answers: 5', 'answers: 5'],
    ['The answer', 'The answer'],
    ["5'", "5'"],
    ['""', '""'],
    ['Answer:', 'Answer:'],
    ['(A)', '(A)'],
    ['', ''],
  ]
  for (const [text, expected] of cases) {
    assert.equal(cleanAnswer(text), expected, text)
    assert.equal(cleanAnswer(expected), expected, `${text}, cleaned twice`)
  }
})

test('texts that are made to take long take no longer than others', () => {
  const many = 100_000
  const texts = ['\\boxed{', '{', '\\boxed{}', '<answer>', '</answer>', '`', '"', ' ', ', ', '\\text{', '1,', '\\frac{', '$', '*', '.', '!', '9', 'answer ', '\\', ', ', ': ', '( ']
  const started = performance.now()
  for (const text of texts) {
    const long = text.repeat(many)
    for (const each of [long, `A${long}`, `${long}A`, `A${long}A`]) sameAnswer(each, '5')
  }
  assert.ok(performance.now() - started < 20_000)
})
