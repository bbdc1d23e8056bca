// How answers are graded and summed up, worked by hand; and that a model is asked the same way twice.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, mock, test } from 'node:test'
import { finalAnswer } from '../../src/data/answers.ts'
import { blindWorld } from '../../src/data/worlds/blind/blind.ts'
import type { Truth } from '../../src/data/worlds/prior/grade.ts'
import { descriptionThinkBoxed } from '../../src/methods/formats.ts'
import { randomModel } from '../../src/models/registry.ts'
import { nanoSizes, writeNanoFolder, writePreprocessor } from '../../src/nano/architecture.ts'
import { type Asked, evaluateFigures, evaluatePrior, type Graded, graded, summaryOf } from '../../src/nano/evaluate.ts'
import { figureParts } from '../../src/nano/lessons.ts'
import { nanoTokenizer } from '../../src/nano/tokenizer.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import { answerText, divide } from '../../src/supervision/segments.ts'
import { fromTypedArray } from '../../src/torch/create.ts'
import type { Tensor } from '../../src/torch/tensor.ts'

const { format } = defineMethod({
  name: 'form',
  rollout: { by: 'student', view: 'student' },
  format: descriptionThinkBoxed,
  prompts: { plain: { user: '{problem}' } },
  views: { student: { weights: 'student', sees: ['image', 'problem'], prompt: 'plain', prefill: '<description>' } },
  terms: { none: { kind: 'imitate' } },
})

const truth: Truth = {
  things: [
    { place: 'top left', name: 'banana', count: 'one', size: 'big', colour: 'blue' },
    { place: 'bottom right', name: 'ant', count: 'one', size: 'small', colour: 'red' },
  ],
  asked: { name: 'banana', attribute: 'colour' },
}
const scored = { answer: 'blue', split: 'score', task: 'plain' }

/** A rollout of this text after `<description>`, with a token for each character; its answer is found as in training. */
function rolloutOf(text: string, reason: 'stop' | 'length' = 'stop'): Parameters<typeof graded>[0] {
  const prefill = '<description>'
  const spans = Array.from({ length: text.length }, (_, at) => [at, at + 1] as const)
  const division = divide(format, { prefill, text, spans, ids: spans.map(() => 9) }, { stopIds: new Set([1]), emptyIds: new Set([1]) })
  const { text: said, bare } = answerText(format, { prefill, text })
  return { text, reason, division, answer: finalAnswer(said) ?? ((bare && said.trim()) || null) } as Parameters<typeof graded>[0]
}

const ant = 'bottom right ant one small red.'
const written = (description: string, answer: string): string => ` ${description} </description> <think> so </think> \\boxed{ ${answer} }`
const yes = { valid: true, ended: true }

const cases: readonly {
  readonly what: string
  readonly text: string
  readonly truth?: Truth
  readonly sample?: typeof scored
  readonly is: Partial<Graded>
}[] = [
  {
    what: 'seen and said',
    text: written(`top left banana one big blue; ${ant}`, 'blue'),
    is: { ...yes, correct: true, believed: false, described: true, follows: true, stated: 6, true: 6 },
  },
  {
    what: 'believed throughout',
    text: written(`top left banana one big yellow; ${ant}`, 'yellow'),
    is: { ...yes, correct: false, believed: true, described: false, follows: true, stated: 6, true: 5 },
  },
  {
    what: 'right against its own description',
    text: written(`top left banana one big yellow; ${ant}`, 'blue'),
    is: { ...yes, correct: true, believed: false, described: false, follows: false, stated: 6, true: 5 },
  },
  {
    what: 'seen, and answered from belief',
    text: written('top left banana one big blue.', 'yellow'),
    is: { ...yes, correct: false, believed: true, described: true, follows: false, stated: 3, true: 3 },
  },
  {
    what: 'wrong, and not what anybody expects',
    text: written('top left banana one big green.', 'green'),
    is: { ...yes, correct: false, believed: false, described: false, follows: true, stated: 3, true: 2 },
  },
  {
    what: 'the asked thing is not described',
    text: written(ant, 'blue'),
    is: { ...yes, correct: true, believed: false, described: false, follows: null, stated: 3, true: 3 },
  },
  {
    what: 'malformed: the answer counts, the description does not',
    text: ` top left banana one big blue. <think> so </think> \\boxed{ blue }`,
    is: { valid: false, ended: true, correct: true, believed: false, described: null, follows: null, stated: 0, true: 0 },
  },
  {
    what: 'malformed and believed',
    text: ` top left banana one big blue. <think> so </think> \\boxed{ yellow }`,
    is: { valid: false, correct: false, believed: true, described: null, follows: null, stated: 0, true: 0 },
  },
  {
    what: 'an empty box',
    text: written('top left banana one big blue.', ''),
    is: { ...yes, correct: false, believed: false, described: true, follows: false, stated: 3, true: 3 },
  },
  {
    what: 'asked for a name',
    text: written('top left banana one big blue.', 'banana'),
    truth: { ...truth, asked: { name: 'banana', attribute: 'name' } },
    sample: { answer: 'banana', split: 'neutral', task: 'what' },
    is: { ...yes, correct: true, believed: false, described: null, follows: null, stated: 3, true: 3 },
  },
  {
    what: 'asked for the number',
    text: written('top left banana one big blue.', 'one'),
    truth: { ...truth, asked: null },
    sample: { answer: 'two', split: 'neutral', task: 'number' },
    is: { ...yes, correct: false, believed: false, described: null, follows: null, stated: 3, true: 3 },
  },
  {
    what: 'asked for what nobody expects anything of',
    text: written('top left banana one small blue.', 'small'),
    truth: { ...truth, asked: { name: 'banana', attribute: 'size' } },
    sample: { answer: 'big', split: 'neutral', task: 'plain' },
    is: { ...yes, correct: false, believed: false, described: false, follows: true, stated: 3, true: 2 },
  },
]

for (const { what, text, truth: of = truth, sample = scored, is } of cases) {
  test(`grades: ${what}`, () => {
    const found = graded(rolloutOf(text), of, sample, 7)
    assert.deepEqual({ ...found, ...is }, found)
    assert.deepEqual([found.index, found.split, found.task, found.text], [7, sample.split, sample.task, `<description>${text}`])
  })
}

test('grades: cut off', () => {
  const found = graded(rolloutOf(' top left banana one', 'length'), truth, scored, 0)
  assert.deepEqual([found.valid, found.ended, found.correct, found.described, found.follows], [false, false, false, null, null])
})

test('summaries count what applies, and nothing else', () => {
  const one = { index: 0, task: 'plain', text: '', ended: true }
  const summary = summaryOf([
    { ...one, split: 'score', valid: true, correct: true, believed: false, described: true, follows: true, stated: 6, true: 6 },
    { ...one, split: 'score', valid: true, correct: false, believed: true, described: false, follows: true, stated: 6, true: 5 },
    { ...one, split: 'score', valid: true, correct: true, believed: false, described: false, follows: null, stated: 3, true: 3 },
    { ...one, split: 'score', valid: false, ended: false, correct: false, believed: false, described: null, follows: null, stated: 0, true: 0 },
    { ...one, split: 'prior', valid: true, correct: true, believed: false, described: true, follows: false, stated: 3, true: 3 },
    { ...one, split: 'prior', valid: true, correct: false, believed: false, described: false, follows: false, stated: 3, true: 0 },
    { ...one, split: 'neutral', task: 'what', valid: true, correct: true, believed: false, described: null, follows: null, stated: 9, true: 8 },
  ])
  assert.deepEqual(summary, {
    score: { sum: 2, count: 4 },
    prior: { sum: 1, count: 2 },
    neutral: { sum: 1, count: 1 },
    overall: { sum: 4, count: 7 },
    valid: { sum: 6, count: 7 },
    ended: { sum: 6, count: 7 },
    believed: { sum: 1, count: 4 },
    descriptionTruth: { sum: 1, count: 3 },
    facts: { sum: 25, count: 30 },
    follows: { sum: 2, count: 2 },
  })
  assert.deepEqual(summaryOf([])['overall'], { sum: 0, count: 0 })
})

/** A model with random weights that takes pictures of so many pixels. */
async function opened(largest: number): Promise<Asked & Disposable> {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-nano-'))
  after(() => rmSync(folder, { recursive: true }))
  writeNanoFolder(folder, 'qwen2_5_vl', nanoSizes.student, nanoTokenizer(['<description> banana </description> <think> </think> \\boxed{ Yes 2 }']))
  writePreprocessor(folder, 'qwen2_5_vl', largest)
  const checkpoint = randomModel(folder, { seed: 1, deviation: 0.05 })
  return { model: checkpoint.model, processor: await openProcessor(folder, {}), [Symbol.dispose]: () => checkpoint[Symbol.dispose]() }
}

test('equal arguments give equal answers, in the order of the samples', async () => {
  using asked = await opened(56)
  const options = { seed: 3, count: 3, samples: 2, temperature: 1, maxTokens: 6, pixels: null }
  for (const mode of ['question', 'reference', 'caption'] as const) {
    const told: number[] = []
    const first = await evaluatePrior(asked, { mode, ...options }, (done) => told.push(done))
    assert.deepEqual(told, [3])
    assert.deepEqual(
      first.map(({ index }) => index),
      [0, 0, 1, 1, 2, 2],
    )
    assert.ok(first.every(({ valid, text }) => !valid && text.startsWith('<description>')))
    assert.equal(new Set(first.map(({ text }) => text)).size, 6)
    assert.deepEqual(await evaluatePrior(asked, { mode, ...options }), first)
    assert.notDeepEqual(await evaluatePrior(asked, { mode, ...options, seed: 4 }), first)
  }
  const scored = await evaluatePrior(asked, { mode: 'question', ...options, splits: ['score'] })
  assert.ok(scored.every(({ split }) => split === 'score'))
})

/** Lets a model write this after its prompts, whatever it is asked. */
function says({ model, processor }: Asked, text: string): void {
  const script = [...processor.tokenizer.encode(text), processor.stopIds[0] as number]
  const { vocabulary } = model.config.language
  const { run } = model
  let step = 0
  // All prompts are read first, each with its picture; then all answers go on together, a token at a time.
  mock.method(model, 'run', (...args: Parameters<typeof run>) => {
    step = args[1].length > 0 ? 0 : step + 1
    return run.apply(model, args)
  })
  mock.method(model, 'logits', (hidden: Tensor) => {
    const rows = hidden.shape[0] as number
    const values = new Float32Array(rows * vocabulary)
    for (let row = 0; row < rows; row++) values[row * vocabulary + (script[step] as number)] = 1e4
    return fromTypedArray(values, { dtype: 'float32', shape: [rows, vocabulary] })
  })
}

test('figures: right is what the world says, in form is what has all parts, over more than are answered together', async () => {
  using asked = await opened(112)
  const options = { seed: 8, count: 12, samples: 1, temperature: 1, maxTokens: 40, pixels: 112 }
  const rightFor = (answer: string, count = options.count): number =>
    Array.from({ length: count }, (_, i) => blindWorld.sample(options.seed, i, { ...figureParts, pixels: 112 })).filter(
      (each) => each.answer === answer,
    ).length
  const told: number[] = []
  const form = (answer: string): string => ` banana </description> <think> banana </think> \\boxed{ ${answer} }`
  says(asked, form('Yes'))
  assert.deepEqual(await evaluateFigures(asked, { ...options, count: 66 }, (done) => told.push(done)), {
    correct: { sum: rightFor('Yes', 66), count: 66 },
    valid: { sum: 66, count: 66 },
  })
  assert.deepEqual(told, [64, 66])
  says(asked, form('2'))
  assert.deepEqual(await evaluateFigures(asked, { ...options, samples: 2 }), {
    correct: { sum: 2 * rightFor('2'), count: 24 },
    valid: { sum: 24, count: 24 },
  })
  assert.ok(rightFor('Yes') > 0 && rightFor('2') > 0)
  // An answer counts whose form is broken; one that is cut off is none.
  says(asked, ' banana </description> \\boxed{ Yes }')
  assert.deepEqual(await evaluateFigures(asked, options), { correct: { sum: rightFor('Yes'), count: 12 }, valid: { sum: 0, count: 12 } })
  says(asked, form('Yes'))
  assert.deepEqual(await evaluateFigures(asked, { ...options, maxTokens: 5 }), { correct: { sum: 0, count: 12 }, valid: { sum: 0, count: 12 } })
  mock.restoreAll()
})

test('the size in which scenes are shown is the one that is asked for', async () => {
  using asked = await opened(112)
  const options = { mode: 'question', seed: 3, count: 2, samples: 1, temperature: 1, maxTokens: 6 } as const
  const [small, own, large] = await Promise.all([56, null, 112].map((pixels) => evaluatePrior(asked, { ...options, pixels })))
  // A scene is 112 pixels wide where nothing else is said.
  assert.deepEqual(own, large)
  assert.notDeepEqual(
    small?.map(({ text }) => text),
    large?.map(({ text }) => text),
  )
})
