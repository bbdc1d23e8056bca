// Training does what it is for: answers are learnt, divergences fall, rewarded answers become likely, and nothing is left in memory.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateText } from '../../src/cli/generate.ts'
import { readMetrics } from '../../src/runs/read.ts'
import { ratio } from '../../src/runs/schema.ts'
import { memory } from '../../src/torch/memory.ts'
import { bareQuestions, configOf, otherCheckpoint, presetOf, questions, runTo, temporaryFolder, writeRows } from './runs.ts'

const whole = { adapter: null } as const

/** The values of a metric, step by step. */
const curve = (run: string, name: string): number[] =>
  readMetrics(run).map(({ metrics }) => {
    const metric = metrics[name]
    assert.ok(metric !== undefined, name)
    return ratio(metric)
  })
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

test('sft: the loss goes to zero, greedy answers become those of the data, and the result is a model that gives them', async (context) => {
  const folder = temporaryFolder(context)
  const rows = questions(3)
  const config = configOf(folder, rows, {
    ...whole,
    data: { sources: writeRows(join(folder, 'rows.jsonl'), rows), response: 'It is \\boxed{{answer}}' },
    validation: { sources: writeRows(join(folder, 'again.jsonl'), rows), every: 50, maxTokens: 12 },
    rollout: { maxTokens: 40 },
    optimisation: { batch: 3, steps: 50, rate: 6e-3 },
  })
  await runTo(config, presetOf('sft'))
  const { folder: run } = config.run
  const losses = curve(run, 'loss')
  assert.ok((losses[0] as number) > 4 && (losses.at(-1) as number) < 0.02, `${losses[0]} to ${losses.at(-1)}`)
  assert.deepEqual(readMetrics(run).at(-1)?.metrics['validation/correct'], { sum: 3, count: 3 })
  const [row] = rows
  let said = ''
  await generateText(
    {
      ...{
        folder: join(run, 'final'),
        prompt: row?.problem as string,
        images: row?.images as string[],
        stop: [],
        system: undefined,
        adapter: undefined,
      },
      ...{ prefill: undefined, dtype: undefined, device: undefined, maxTokens: 40, maxPixels: 3136, seed: undefined, samples: undefined },
      ...{ sampling: {}, json: false },
    },
    (piece) => {
      said += piece
    },
  )
  assert.equal(said.trim(), 'It is \\boxed{0}')
})

for (const [name, term] of [
  ['opd', 'standard'],
  ['seqkd', 'standard'],
  ['opsd', 'privileged'],
] as const) {
  test(`${name}: the divergence from the teacher falls`, async (context) => {
    const folder = temporaryFolder(context)
    const config = configOf(folder, bareQuestions(4), {
      ...whole,
      ...(name === 'opsd' ? {} : { teacher: { path: otherCheckpoint(join(folder, 'teacher'), 3, 0.15) } }),
      rollout: { maxTokens: 8 },
      optimisation: { batch: 4, steps: 25, rate: 2e-3 },
    })
    await runTo(config, presetOf(name))
    const values = curve(config.run.folder, `value/${term}`)
    const [first, last] = [mean(values.slice(0, 3)), mean(values.slice(-3))]
    assert.ok(last < 0.6 * first, `${first} to ${last}`)
  })
}

test('grpo: of two answers that a policy gives, the rewarded one becomes the usual one', async (context) => {
  const folder = temporaryFolder(context)
  const [row] = bareQuestions(1)
  const ambiguous = ['4', '7'].map((answer) => ({ ...row, problem: 'Which?', images: [], answer, solution: `\\boxed{${answer}}` }))
  const answering = configOf(folder, ambiguous, { ...whole, rollout: { maxTokens: 20 }, optimisation: { batch: 2, steps: 40, rate: 3e-3 } })
  await runTo(answering, presetOf('sft'))
  const config = configOf(folder, ambiguous.slice(1), {
    ...whole,
    model: { path: join(answering.run.folder, 'final') },
    rollout: { maxTokens: 20, samples: 24 },
    optimisation: { batch: 1, steps: 24, rate: 1.5e-4 },
    validation: { sources: writeRows(join(folder, 'eight.jsonl'), Array(8).fill(ambiguous[1])), every: 12, maxTokens: 20 },
    run: { folder: join(folder, 'second'), transcripts: null },
  })
  const method = presetOf('grpo', {
    prompts: { bare: { user: '{problem}' } },
    views: { student: { weights: 'student', sees: ['image', 'problem'], prompt: 'bare' } },
  })
  await runTo(config, method)
  const correct = curve(config.run.folder, 'correct')
  const [first, last] = [correct[0] as number, mean(correct.slice(-8))]
  assert.ok(first > 0.2 && first < 0.7 && last > 0.8, correct.join(' '))
  // Validation takes the most likely answer, which is the same for the same question.
  const validated = readMetrics(config.run.folder).flatMap(({ metrics }) => metrics['validation/correct'] ?? [])
  assert.deepEqual(validated, [
    { sum: 8, count: 8 },
    { sum: 8, count: 8 },
  ])
})

for (const [name, adapter] of Object.entries({ 'an adapter': { rank: 4, dropout: 0.1 }, 'all weights': null })) {
  test(`training ${name} leaves no tensor behind, step after step`, async (context) => {
    const folder = temporaryFolder(context)
    const config = configOf(folder, questions(5), {
      adapter,
      ...(adapter === null ? { parts: ['vision', 'merger', 'language'] as const } : {}),
      rollout: { maxTokens: 2, samples: 2 },
      validation: { sources: writeRows(join(folder, 'held-out.jsonl'), questions(1)), every: 4, maxTokens: 2 },
      optimisation: { batch: 1, steps: 20, rate: 1e-3, tokensPerPass: 100, recompute: true },
      checkpoints: { every: 3 },
      teacher: { path: otherCheckpoint(join(folder, 'teacher'), 5) },
    } as Parameters<typeof configOf>[2])
    const before = memory().tensors
    const live: number[] = []
    const method = presetOf('vgs', { scale: { keep: ['standard'], under: ['standard', 'visual'], every: 3 } })
    await runTo(config, method, { watch: () => void live.push(memory().tensors) })
    assert.equal(live.length, 20)
    assert.deepEqual([...new Set(live)].length, 1, live.join(' '))
    assert.equal(memory().tensors, before)
  })
}

test('fifty steps as stored: loss and gradient norm', async (context) => {
  // Answers from the data: sampled ones could differ between machines in a token, and then in everything. The file was written by this
  // test with SIGHTLINE_WRITE_CURVE=1. Other processors add in another order; 50 steps multiply the difference, hence the tolerance.
  const tolerance = 1e-4
  const path = new URL('fifty-steps.json', import.meta.url)
  const folder = temporaryFolder(context)
  const config = configOf(folder, questions(7), {
    adapter: { rank: 4, alpha: 8, dropout: 0 },
    rollout: { maxTokens: 40 },
    optimisation: { batch: 3, steps: 50, rate: 1e-3, warmup: 5, weightDecay: 0.01 },
  })
  const sft = presetOf('sft')
  const method = presetOf('opsd', {
    rollout: { by: 'data', view: 'student' },
    terms: { ...presetOf('opsd').terms, ...sft.terms },
  })
  await runTo(config, method)
  const now = { loss: curve(config.run.folder, 'loss'), gradientNorm: curve(config.run.folder, 'gradientNorm') }
  if (process.env['SIGHTLINE_WRITE_CURVE'] === '1') writeFileSync(path, `${JSON.stringify(now)}\n`)
  const stored = JSON.parse(readFileSync(path, 'utf8')) as typeof now
  for (const name of ['loss', 'gradientNorm'] as const) {
    assert.equal(now[name].length, 50)
    for (const [i, expected] of stored[name].entries()) {
      const value = now[name][i] as number
      assert.ok(Math.abs(value - expected) <= tolerance * Math.abs(expected), `${name} of step ${i + 1}: ${value}, stored ${expected}`)
    }
  }
  assert.ok((now.loss.at(-1) as number) < 0.8 * (now.loss[0] as number), `${now.loss[0]} to ${now.loss.at(-1)}`)
})
