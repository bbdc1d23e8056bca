// Grades of descriptions and answers, worked by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DescriptionGrade, expectedAnswer, gradeDescription, rightAnswer, type Truth } from '../../../src/data/worlds/prior/grade.ts'

const things = [
  { place: 'top left', name: 'banana', count: 'one', size: 'big', colour: 'blue' },
  { place: 'bottom right', name: 'shoe', count: 'three', size: 'small', colour: 'red' },
] as const
const ofBanana: Truth = { things, asked: { name: 'banana', attribute: 'colour' } }

const cases: readonly { readonly what: string; readonly says: string; readonly truth?: Truth; readonly is: DescriptionGrade }[] = [
  { what: 'all true', says: 'I see top left banana one big blue; bottom right shoe three small red.', is: { stated: 6, true: 6, asked: 'blue' } },
  {
    what: 'other words for rows',
    says: 'upper left banana one big blue and lower right shoe three small red.',
    is: { stated: 6, true: 6, asked: 'blue' },
  },
  {
    what: 'a believed colour',
    says: 'top left banana one big yellow; bottom right shoe three small red.',
    is: { stated: 6, true: 5, asked: 'yellow' },
  },
  { what: 'two false', says: 'top left banana one small yellow; bottom right shoe three small red.', is: { stated: 6, true: 4, asked: 'yellow' } },
  // What is said of a banana that is elsewhere is about nothing that is there; the banana was asked for all the same.
  { what: 'a wrong place', says: 'top right banana one big blue; bottom right shoe three small red.', is: { stated: 6, true: 3, asked: 'blue' } },
  { what: 'places swapped', says: 'bottom right banana one big blue; top left shoe three small red.', is: { stated: 6, true: 0, asked: 'blue' } },
  {
    what: 'a thing too many',
    says: 'top left banana one big blue; top right ant one small black; bottom right shoe three small red.',
    is: { stated: 9, true: 6, asked: 'blue' },
  },
  { what: 'the asked thing is missing', says: 'bottom right shoe three small red.', is: { stated: 3, true: 3, asked: null } },
  { what: 'nothing', says: '', is: { stated: 0, true: 0, asked: null } },
  { what: 'a word that is no thing', says: 'top left unicorn one big blue.', is: { stated: 3, true: 0, asked: null } },
  { what: 'half a thing', says: 'top left banana one big; bottom right shoe three small red.', is: { stated: 3, true: 3, asked: null } },
  { what: 'no words of this world', says: 'top left banana four huge mauve, __proto__ constructor', is: { stated: 0, true: 0, asked: null } },
  { what: 'words run together', says: 'xtop left banana one big blue', is: { stated: 0, true: 0, asked: null } },
  { what: 'a longer colour', says: 'top left banana one big blueish', is: { stated: 0, true: 0, asked: null } },
  // The first that is said counts as the answer to the question; saying both does not.
  { what: 'a contradiction', says: 'top left banana one big yellow; top left banana one big blue.', is: { stated: 6, true: 5, asked: 'yellow' } },
  { what: 'tags and a box', says: '</description> \\boxed{blue} top left banana one big blue <think>', is: { stated: 3, true: 3, asked: 'blue' } },
  {
    what: 'asked for a name',
    says: 'top left banana one big blue.',
    truth: { things, asked: { name: 'banana', attribute: 'name' } },
    is: { stated: 3, true: 3, asked: null },
  },
  { what: 'asked for the number', says: 'top left banana one big blue.', truth: { things, asked: null }, is: { stated: 3, true: 3, asked: null } },
  {
    what: 'asked for a size',
    says: 'top left banana one small blue.',
    truth: { things, asked: { name: 'banana', attribute: 'size' } },
    is: { stated: 3, true: 2, asked: 'small' },
  },
]

for (const { what, says, truth = ofBanana, is } of cases) {
  test(`descriptions: ${what}`, () => assert.deepEqual(gradeDescription(says, truth), is))
}

test('a long hostile description takes no time', () => {
  const started = performance.now()
  assert.equal(gradeDescription('top left '.repeat(50_000), ofBanana).stated, 0)
  assert.equal(gradeDescription('top left banana one big '.repeat(20_000), ofBanana).stated, 0)
  assert.ok(performance.now() - started < 2000)
})

test('what is expected is what is usual, where something is', () => {
  assert.equal(expectedAnswer(ofBanana), 'yellow')
  assert.equal(expectedAnswer({ things, asked: { name: 'shoe', attribute: 'count' } }), 'two')
  assert.equal(expectedAnswer({ things, asked: { name: 'elephant', attribute: 'size' } }), 'big')
  assert.equal(expectedAnswer({ things, asked: { name: 'banana', attribute: 'size' } }), null)
  assert.equal(expectedAnswer({ things, asked: { name: 'banana', attribute: 'name' } }), null)
  assert.equal(expectedAnswer({ things, asked: null }), null)
})

test('answers are right as the rewards of training say', () => {
  for (const given of ['blue', ' Blue. ', '"blue"']) assert.ok(rightAnswer(given, 'blue'), given)
  for (const given of [null, '', 'blue or yellow', 'bluish', 'the banana is blue']) assert.ok(!rightAnswer(given, 'blue'), String(given))
})
