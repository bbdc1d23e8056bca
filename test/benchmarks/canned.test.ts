// From files over canned responses and the graders to scores, against values worked by hand.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { Question } from '../../src/benchmarks/benchmark.ts'
import type { Expected, Verdict } from '../../src/grading/verdict.ts'
import { image, measured, type Row, readLines } from './support.ts'

interface Grading {
  readonly gradeResponse: (response: string, expected: Expected) => Verdict
}

const graders = join(import.meta.dirname, '../../src/grading/grade.ts')
const options = { skip: existsSync(graders) ? false : 'there are no graders' }

/** What a measure says of responses to the questions of rows. */
async function scored(name: string, rows: readonly Row[], responses: readonly string[]) {
  const { gradeResponse } = (await import(graders)) as Grading
  const questions = await readLines(name, rows)
  assert.equal(responses.length, questions.length)
  const all = questions.map((question: Question, i) => ({ question, verdict: gradeResponse(responses[i] ?? '', question.expected) }))
  return (measure: string): number | null => measured(name, measure, all)
}

test('ViLP', options, async () => {
  const row = { question: 'Cats have four legs. How many legs are there?', image1: image('1'), image2: image('2'), image3: image('3') }
  const rows = [
    { ...row, answer1: '4', answer2: '5', answer3: '3' },
    { ...row, answer1: 'Red', answer2: 'Blue', answer3: 'Green' },
  ]
  const score = await scored('vilp-f', rows, [
    ...['<think> four </think> \\boxed{4}', '\\boxed{4}', 'I count. \\boxed{3}'],
    ...['\\boxed{red}', '\\boxed{Blue.}', '\\boxed{red}'],
  ])
  // Position 1: 2 of 2; position 2: 1 of 2; position 3: 1 of 2.
  assert.equal(score('prior'), 1)
  assert.equal(score('score'), 0.5)
})

test('MathVerse', options, async () => {
  const choices = 'Angle B is ()\nChoices:\nA:40°\nB:60°\nC:80°'
  const row = { problem_index: '1', question: choices, image: image('triangle'), question_for_eval: choices, metadata: { subject: 'Plane Geometry' } }
  const of = (index: number, version: string, type: string, answer: string) => ({
    ...{ ...row, sample_index: String(index), problem_version: version, question_type: type, answer },
  })
  const rows = [
    of(1, 'Text Dominant', 'multi-choice', 'B'),
    of(2, 'Vision Dominant', 'multi-choice', 'B'),
    of(3, 'Vision Dominant', 'free-form', '3\\sqrt{2}'),
    of(4, 'Vision Only', 'free-form', '14'),
  ]
  const score = await scored('mathverse', rows, ['\\boxed{B}', '\\boxed{C}', '\\boxed{\\sqrt{18}}', '\\boxed{15}'])
  assert.equal(score('accuracy'), 0.5)
  assert.deepEqual(['text-dominant', 'vision-dominant', 'vision-only', 'text-lite'].map(score), [1, 0.5, 0, null])
})

test('MMMU-Pro', options, async () => {
  const choices = `['red', 'green', 'blue', 'black']`
  const row = { subject: 'Art', question: '<image 1> Which?', options: choices, image_1: image('a'), answer: 'C' }
  const rows = [1, 2, 3, 4].map((number) => ({ ...row, id: `test_Art_${number}` }))
  const score = await scored('mmmu-pro-4', rows, ['\\boxed{C}', '\\boxed{(C)}', '\\boxed{blue}', '\\boxed{A}'])
  assert.equal(score('accuracy'), 0.75)
})
