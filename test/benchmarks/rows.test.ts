// Lists, options and answers as data sets write them, against what they are.

import assert from 'node:assert/strict'
import test from 'node:test'
import { pythonList } from '../../src/benchmarks/python-list.ts'
import { brief, choice, choiceIn, isNumber, lettered, optionsIn } from '../../src/benchmarks/rows.ts'
import { FileFormatError } from '../../src/errors.ts'

test('lists as Python and JSON write them', () => {
  for (const [written, items] of [
    ['[]', []],
    ['[ ]', []],
    ["['a', 'b']", ['a', 'b']],
    [`["it's", 'say "no"', "a, b]"]`, ["it's", 'say "no"', 'a, b]']],
    [String.raw`['it\'s', 'a\\b', '\alpha', 'a\nb', '\xb0', '°']`, ["it's", 'a\\b', '\\alpha', 'a\nb', '°', '°']],
    ["['$6', 3, -2.5e3, 'x',]", ['$6', '3', '-2.5e3', 'x']],
    ["['<image 1>', '<image 2>']", ['<image 1>', '<image 2>']],
  ] as const)
    assert.deepEqual(pythonList(written), items, written)
  for (const wrong of ['', 'a', "['a'", "['a' 'b']", "['a']]", '[None]', "('a',)"]) assert.throws(() => pythonList(wrong), FileFormatError, wrong)
})

test('options in texts', () => {
  for (const [question, options] of [
    ['What is it?\nChoices:\nA:40°\nB:60°\nC:120°', ['40°', '60°', '120°']],
    ['Where?\nOptions: A: Left, B: Right, C: Front right, D: Behind', ['Left', 'Right', 'Front right', 'Behind']],
    [
      'Which way?\n\nA. Left.\nB. Right, then left\nC. Straight\nPlease answer directly with only the letter.',
      ['Left.', 'Right, then left', 'Straight'],
    ],
    ['A. 4 cm; B. 5 cm; C. 6 cm; D. No correct answer', ['4 cm', '5 cm', '6 cm', 'No correct answer']],
    ['Of A. and B.: which? (A) x (B) y', ['x', 'y']],
    ['the points A, B and C', []],
    ['A. alone', []],
  ] as const)
    assert.deepEqual(optionsIn(question), options, question)
})

test('letters', () => {
  assert.equal(lettered(['x', 'y']), 'A. x\nB. y')
  assert.equal(lettered(['x', 'y'], '(A)'), '(A) x\n(B) y')
  for (const written of ['B', 'b', '(B)', 'B.', ' (b) ']) assert.equal(choice(written, ['x', 'y']).answer, 'B', written)
  assert.throws(() => choice('C', ['x', 'y']), /the answer is C, but there are 2 options/)
  assert.throws(() => choice('yes', ['x', 'y']), /expected the letter of an option/)
  // What looks like options need not be them.
  assert.deepEqual(choiceIn('D', 'lines A. and B. cross').options, [])
  assert.deepEqual(choiceIn('B', 'A. x\nB. y').options, ['x', 'y'])
})

test('answers by how they look', () => {
  const looks = (answer: string) => [brief(answer).kind, brief(answer).answer]
  assert.deepEqual(looks('Yes'), ['yesNo', 'yes'])
  assert.deepEqual(looks('12'), ['number', '12'])
  assert.deepEqual(looks('4,5'), ['tuple', '(4,5)'])
  assert.deepEqual(looks('(4, 5)'), ['tuple', '(4,5)'])
  assert.deepEqual(looks('o'), ['text', 'o'])
  assert.deepEqual(['1,234.5', '.5', '-3', '', '-', '.', '1,23', '5 cm', '1/2'].map(isNumber), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
    false,
    false,
  ])
})
