// What holds for every answer: white space and boxes change nothing, nothing throws, and nothing takes long.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gradeAnswer, gradeResponse } from '../../src/grading/grade.ts'
import { type AnswerKind, answerKinds, type Expected } from '../../src/grading/verdict.ts'
import { random } from '../support.ts'
import { readPairs } from './pairs.ts'

const exactly = { relative: 0, absolute: 0 }
const expected = (kind: AnswerKind, answer: string, rest: Partial<Expected> = {}): Expected => ({
  kind,
  answer,
  also: [],
  options: [],
  tolerance: exactly,
  ...rest,
})

const bare = readPairs().filter(({ response }) => /^[^\n{}<>:]{1,40}$/.test(response) && response.trim() !== '')

test('white space around an answer changes nothing', () => {
  assert.ok(bare.length > 200)
  for (const { response, expected: wanted } of bare) {
    const plain = gradeAnswer(response, wanted)
    const spaced = gradeAnswer(`\n  ${response.replaceAll(' ', '  ')} \t\n`, wanted)
    assert.equal(spaced.outcome, plain.outcome, `${response} for ${wanted.answer}: ${plain.rule}, ${spaced.rule}`)
  }
})

test('a box around an answer changes nothing, wherever it stands', () => {
  for (const { response, expected: wanted } of bare) {
    const plain = gradeAnswer(response, wanted)
    for (const wrapped of [`\\boxed{${response}}`, `It was A, 17 or no.\nThe answer is $\\boxed{ ${response} }$.`, `<answer>${response}</answer>`]) {
      const { outcome, rule } = gradeResponse(wrapped, wanted)
      assert.equal(outcome, plain.outcome, `${wrapped} for ${wanted.answer}: ${plain.rule}, ${rule}`)
    }
  }
})

test('every reference is right for itself', () => {
  for (const { expected: wanted } of readPairs()) {
    const { outcome, rule } = gradeAnswer(wanted.answer, wanted)
    // A letter that is also the text of another option cannot be told.
    if (!wanted.options.includes(wanted.answer)) assert.equal(outcome, 'right', `${wanted.kind} ${wanted.answer}: ${rule}`)
  }
})

test('credit goes with the outcome, and what was found is told', () => {
  assert.deepEqual(gradeResponse('So \\boxed{5 cm}', expected('number', '5')), {
    outcome: 'right',
    credit: 1,
    given: '5 cm',
    rule: 'box: same number, one without a unit',
  })
  assert.deepEqual(gradeResponse(' ', expected('number', '5')), { outcome: 'wrong', credit: 0, given: null, rule: 'empty' })
  assert.deepEqual(gradeResponse('I see\nmany things', expected('math', '5')), {
    outcome: 'undecided',
    credit: 0,
    given: null,
    rule: 'no answer is marked',
  })
})

test('of several references one right is enough, and an undecided one leaves it open', () => {
  assert.equal(gradeAnswer('TV', expected('text', 'television', { also: ['tv set', 'tv'] })).outcome, 'right')
  assert.equal(gradeAnswer('radio', expected('text', 'television', { also: ['tv'] })).outcome, 'wrong')
  assert.equal(gradeAnswer('tvs', expected('text', 'television', { also: ['tv set', 'tvs set'] })).outcome, 'undecided')
})

const pieces = [
  ...'abAxyz0123456789 .,;:!?(){}[]<>=+-*/^_$%&#@~\\|\'"\n',
  '\\boxed{',
  '\\frac{',
  '\\sqrt',
  '\\left(',
  '\\right)',
  '\\text{',
  '\\pi',
  '\\begin{pmatrix}',
  '\\end{pmatrix}',
  '\\cup',
  '\\pm',
  '\\le ',
  'answer is ',
  '<answer>',
  '</answer>',
  '<think>',
  '</think>',
  ' and ',
  ' or ',
  'rows={',
  'yes',
  'no',
  'option B',
  'five',
  '½',
  '°',
  '−',
  '東',
  '\u0000',
  '\ud800',
  '10^{',
  '1e',
  '!',
]

test('random texts never throw and end quickly', () => {
  const next = random(7)
  const references = answerKinds.map((kind) =>
    expected(kind, { choice: 'B', yesNo: 'Yes', number: '5', tuple: '(5,6)', set: '{1,2}', math: '3\\sqrt{2}', text: 'dog', open: 'a dog' }[kind]),
  )
  const any = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: 1 + Math.floor(next() * 40) }, () => any(pieces)).join('')
    const wanted = any(references)
    const began = process.cpuUsage()
    const verdicts = [gradeResponse(text, wanted), gradeAnswer(text, wanted), gradeAnswer(wanted.answer, { ...wanted, answer: text })]
    for (const { outcome, credit } of verdicts) assert.equal(credit, outcome === 'right' ? 1 : 0)
    assert.ok(process.cpuUsage(began).user < 2e6, JSON.stringify(text))
  }
})

test('adversarial texts end quickly for every kind', () => {
  const many = 100_000
  const texts = [
    `${'\\boxed{'.repeat(many)}5${'}'.repeat(many)}`,
    '\\boxed{'.repeat(many),
    '{'.repeat(many),
    `\\boxed{${'9'.repeat(many)}}`,
    `\\boxed{${'9'.repeat(1900)}}`,
    `\\boxed{${'('.repeat(900)}1${')'.repeat(900)}}`,
    `\\boxed{${'|'.repeat(1000)}}`,
    `\\boxed{${'|x'.repeat(12)}}`,
    `\\boxed{${'\\frac{1}{'.repeat(200)}2${'}'.repeat(200)}}`,
    `\\boxed{${'f('.repeat(40)}}`,
    `\\boxed{${'-'.repeat(1500)}5}`,
    `\\boxed{${'x+'.repeat(140)}1}`,
    '\\boxed{9^{9^{9^{9^{9}}}}}',
    '\\boxed{1e999}',
    '\\boxed{10^{999}}',
    `\\boxed{${'1,'.repeat(900)}1}`,
    `\\boxed{${'a and '.repeat(300)}b}`,
    ' '.repeat(many),
    `answer${' '.repeat(many)}`,
    `The answer is ${' '.repeat(many)}`,
    'the answer is '.repeat(many / 10),
    `<think>${'the answer is 5 '.repeat(many / 20)}</think>`,
    'rows={5} columns={7} '.repeat(many / 20),
    '{4} '.repeat(many / 4),
    'yes, no, '.repeat(many / 10),
    'A. B. (C) option D. '.repeat(many / 20),
    `${'five '.repeat(many / 5)}.`,
    '*'.repeat(many),
    '$'.repeat(many),
    `\\boxed{${'$x'.repeat(900)}}`,
    '.'.repeat(many),
    '. '.repeat(many / 2),
    '=5'.repeat(800),
    `\\boxed{${'\\pm '.repeat(400)}}`,
    `\\boxed{${'<x'.repeat(800)}}`,
    `\\boxed{${'\\text{'.repeat(250)}${'}'.repeat(250)}}`,
  ]
  const answers: { readonly [K in AnswerKind]: string } = {
    choice: 'B',
    yesNo: 'Yes',
    number: '5',
    tuple: '(5,6)',
    set: '{1,2}',
    math: '\\sqrt{2}',
    text: 'dog',
    open: 'dog',
  }
  for (const text of texts)
    for (const kind of answerKinds) {
      const began = process.cpuUsage()
      const { outcome } = gradeResponse(text, expected(kind, answers[kind], { options: kind === 'choice' ? ['1', '\\frac12', 'c', 'd'] : [] }))
      const { user } = process.cpuUsage(began)
      assert.notEqual(outcome, 'right', `${kind}: ${text.slice(0, 40)}`)
      assert.ok(user < 2e6, `${kind}: ${text.slice(0, 40)} took ${user / 1e6} s`)
    }
})
