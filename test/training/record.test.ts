// Metrics and transcripts of a step say the same thing, and say what happened.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { openProcessor } from '../../src/processing/processor.ts'
import { readEvents, readMetrics, readTranscripts } from '../../src/runs/read.ts'
import { advantagesOf } from '../../src/supervision/credit.ts'
import { learningRate } from '../../src/torch/schedule.ts'
import { seedAt } from '../../src/training/rollouts.ts'
import { folderOf } from '../models/goldens.ts'
import { bareQuestions, configOf, otherCheckpoint, presetOf, questions, runTo, temporaryFolder, writeRows } from './runs.ts'

test('transcripts hold every token of a step, and sum up to its metrics', async (context) => {
  const folder = temporaryFolder(context)
  const rows = questions(3)
  const base = presetOf('grpo-vgs')
  const correctness = { kind: 'reinforce', rewards: { correct: 1, valid: 0.5 }, weight: 0.7, mean: 'responses' } as const
  // In this form some answers of an untrained model are valid: those that end with a token that does.
  const method = presetOf('grpo-vgs', {
    format: { parts: [{ segment: 'words', open: 'e', close: 'a' }] },
    views: Object.fromEntries(Object.entries(base.views).map(([name, view]) => [name, { ...view, prefill: 'th' }])),
    terms: { ...base.terms, correctness },
  })
  const config = configOf(folder, rows, {
    teacher: { path: otherCheckpoint(join(folder, 'teacher'), 5) },
    adapter: { rank: 2, dropout: 0 },
    rollout: { maxTokens: 24, samples: 4 },
    optimisation: { batch: 3, steps: 2, rate: 1e-2, warmup: 2, schedule: 'constant' },
    run: { folder: join(folder, 'run'), seed: 11, transcripts: { every: 1, rollouts: 99 } },
  })
  await runTo(config, method)
  const run = config.run.folder
  const [line] = readMetrics(run)
  const metrics = line?.metrics ?? {}
  const all = readTranscripts(run, 1)
  assert.equal(all.length, 12)

  const tokens = all.flatMap((each) => each.tokens)
  assert.deepEqual(metrics['tokens'], { sum: tokens.length, count: 12 })
  const shares = {
    valid: all.filter(({ valid }) => valid),
    correct: all.filter(({ correct }) => correct),
    answered: all.filter(({ answerGiven }) => answerGiven !== null),
    ended: all.filter(({ reason }) => reason !== 'length'),
  }
  for (const [name, those] of Object.entries(shares)) assert.deepEqual(metrics[name], { sum: those.length, count: 12 }, name)
  assert.ok(shares.valid.length > 0 && shares.valid.length < 12, `${shares.valid.length} of 12 are valid`)
  for (const name of ['standard', 'visual', 'preservation']) {
    const values = tokens.flatMap(({ terms }) => terms[name]?.value ?? [])
    const { sum = 0, count = 0 } = metrics[`value/${name}`] ?? {}
    assert.equal(count, values.length, name)
    const total = values.reduce((whole, value) => whole + value, 0)
    assert.ok(count > 0 && Math.abs(total - sum) <= 1e-5 * Math.abs(sum), `${name}: ${total}, ${sum}`)
  }
  // Where the gate is shut a term has nothing to say.
  assert.ok((metrics['value/preservation']?.count ?? 0) < tokens.length / 2)
  const quantile = tokens.map(({ dependency }) => dependency as number).sort((a, b) => a - b)[Math.floor(0.6 * tokens.length)] as number
  for (const { terms, dependency } of tokens) if (terms['preservation'] !== undefined) assert.ok((dependency as number) >= quantile)

  const processor = await openProcessor(folderOf('qwen2_5_vl'), { minPixels: 784, maxPixels: 3136 })
  for (const [i, each] of all.entries()) {
    const row = rows[each.row] as (typeof rows)[number]
    assert.deepEqual([each.step, each.policyStep, each.id, each.sample], [1, 0, String(each.row), i % 4])
    assert.deepEqual([each.problem, each.answer, each.prefill], [row.problem, row.answer, 'th'])
    assert.equal(each.seed, seedAt(11, Math.floor(i / 4)))
    // Tokens that share a character each show it.
    assert.ok(each.tokens.every(({ text }) => each.text.includes(text)) && each.tokens.map(({ text }) => text).join('').length >= each.text.length)
    assert.ok(each.tokens.every(({ logprob }) => (logprob as number) < 0))
    assert.ok(each.prompt.includes(row.problem) && each.prompt.endsWith('th'))
    assert.equal(each.fault === null, each.valid)
    assert.ok(each.tokens.some(({ segment }) => segment === 'words') === each.valid)
    const { pixels, grid } = await processor.encodeImage(row.images[0] as string)
    const sha256 = createHash('sha256')
      .update(grid.join())
      .update(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength))
      .digest('hex')
    assert.deepEqual(each.image, [{ sha256, width: grid[2] * 14, height: grid[1] * 14 }])
    assert.equal(each.reward, (each.correct ? 1 : 0) + (each.valid ? 0.5 : 0))
    const group = all.slice(i - (i % 4), i - (i % 4) + 4)
    assert.equal(
      each.advantage,
      advantagesOf(
        'group',
        group.map(({ reward }) => reward as number),
      )[i % 4],
    )
  }
  assert.equal(new Set(all.map(({ row }) => row)).size, 3)
  assert.equal(new Set(all.map(({ text }) => text)).size, 12)
  assert.deepEqual(
    readMetrics(run).map((each) => each.metrics['rate']?.sum),
    [1, 2].map((step) => learningRate({ kind: 'constant', peak: 1e-2, warmup: 2, total: 2 }, step - 1)),
  )
  const steps = readEvents(run).flatMap((event) => (event.type === 'step' ? [event] : []))
  assert.equal(steps[0]?.tokens.rollout, tokens.length)
})

test('validation asks the student, greedily and once, whoever writes the rollouts', async (context) => {
  const folder = temporaryFolder(context)
  const held = bareQuestions(66)
  const teacher = otherCheckpoint(join(folder, 'teacher'), 5)
  const config = configOf(folder, questions(2), {
    teacher: { path: teacher, minPixels: 784, maxPixels: 3136 },
    adapter: { rank: 2 },
    rollout: { maxTokens: 3, samples: 2 },
    optimisation: { batch: 1, steps: 2, rate: 1e-9 },
    validation: { sources: writeRows(join(folder, 'held-out.jsonl'), held), every: 2, maxTokens: 1 },
    run: { folder: join(folder, 'run'), transcripts: { every: 1, rollouts: 2 } },
  })
  const both = ['opd', 'seqkd'].map((name) => ({ ...config, run: { ...config.run, folder: join(folder, name) } }))
  for (const [i, each] of both.entries()) await runTo(each, presetOf(i === 0 ? 'opd' : 'seqkd'))
  // Answers of a teacher are those that it would give as a student.
  const swapped = { ...config, model: { ...config.model, path: teacher }, run: { ...config.run, folder: join(folder, 'swapped') } }
  await runTo(swapped, presetOf('opd'))
  const texts = ['opd', 'seqkd', 'swapped'].map((name) => readTranscripts(join(folder, name), 1).map(({ text }) => text))
  assert.deepEqual(texts[1], texts[2])
  assert.notDeepEqual(texts[1], texts[0])
  for (const { run } of both) {
    const lines = readMetrics(run.folder)
    assert.equal(lines[0]?.metrics['validation/correct'], undefined)
    // More rows than are answered together; one token each.
    assert.deepEqual(lines[1]?.metrics['validation/tokens'], { sum: 66, count: 66 })
    const events = readEvents(run.folder).flatMap((event) => (event.type === 'validation' ? [event] : []))
    assert.deepEqual(
      events.map(({ step, metrics }) => [step, Object.keys(metrics).every((name) => name.startsWith('validation/'))]),
      [[2, true]],
    )
  }
})

test('what a view begins the answer with counts as a part of it', async (context) => {
  const folder = temporaryFolder(context)
  const { views } = presetOf('opsd')
  const prefill = '\\boxed{1} '
  const method = presetOf('opsd', {
    views: Object.fromEntries(Object.entries(views).map(([name, view]) => [name, { ...view, prefill }])),
  })
  const config = configOf(folder, bareQuestions(2), { adapter: { rank: 1 }, optimisation: { batch: 2, steps: 1 } })
  await runTo(config, method)
  const [line] = readMetrics(config.run.folder)
  assert.deepEqual(line?.metrics['answered'], { sum: 2, count: 2 })
  assert.deepEqual(line?.metrics['correct'], { sum: 1, count: 2 })
})
