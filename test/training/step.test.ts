// What a step computes, and how often: images through a tower together, gradients of half-precision weights in whatever passes, and what an
// answer is judged by.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readMetrics, readTranscripts } from '../../src/runs/read.ts'
import { train } from '../../src/training/loop.ts'
import { openSession } from '../../src/training/session.ts'
import { bareQuestions, configOf, otherCheckpoint, presetOf, questions, runTo, temporaryFolder } from './runs.ts'

for (const name of ['vigos', 'opd']) {
  test(`${name}: a tower sees the images of a batch together`, async (context) => {
    const folder = temporaryFolder(context)
    const teacher = { path: otherCheckpoint(join(folder, 'teacher'), 5), minPixels: 784, maxPixels: 3136 }
    const config = configOf(folder, questions(7), {
      ...{ method: name, adapter: { rank: 2, dropout: 0 }, rollout: { maxTokens: 4 }, optimisation: { batch: 7, steps: 1 } },
      ...(name === 'opd' ? { teacher } : {}),
    })
    await using session = await openSession(config, presetOf(name))
    const calls: number[] = []
    const { student, teacher: other } = session.trainee.scorers
    for (const scorer of [student, ...(other === null ? [] : [other])]) {
      const encode = scorer.model.encodeImages.bind(scorer.model)
      scorer.model.encodeImages = (images, run) => {
        calls.push(images.length)
        return encode(images, run)
      }
    }
    await train(session, new AbortController().signal, () => {})
    assert.deepEqual(calls, name === 'opd' ? [7, 7] : [7])
  })
}

test('bfloat16 weights: the gradient does not depend on how many passes it comes in', async (context) => {
  // Equal rows: in bfloat16 a sum of 256 equal parts does not grow any more.
  const rows = bareQuestions(1).flatMap((row) => new Array<typeof row>(400).fill(row))
  const norms: number[] = []
  for (const tokensPerPass of [1, 100_000]) {
    const folder = temporaryFolder(context)
    const config = configOf(folder, rows, {
      ...{ model: { dtype: 'bfloat16' }, adapter: null, method: 'sft', rollout: { maxTokens: 20 } },
      data: { sources: join(folder, 'data.jsonl'), response: 'It is {answer}.' },
      optimisation: { batch: rows.length, steps: 1, tokensPerPass, maxNorm: null },
    } as Parameters<typeof configOf>[2])
    await runTo(config, presetOf('sft'))
    norms.push(readMetrics(config.run.folder)[0]?.metrics['gradientNorm']?.sum ?? Number.NaN)
  }
  const [many, one] = norms as [number, number]
  assert.ok(Math.abs(many / one - 1) < 5e-3, `${many} in many passes, ${one} in one`)
})

test('a box in the description is no answer; the box after the thoughts is, the first of them', async (context) => {
  const answered = async (response: string): Promise<(readonly [string | null, boolean, boolean])[]> => {
    const folder = temporaryFolder(context)
    const config = configOf(folder, questions(2), {
      ...{ method: 'vigos', adapter: { rank: 2, dropout: 0 }, rollout: { maxTokens: 200 } },
      data: { sources: join(folder, 'data.jsonl'), response, shuffle: false },
      optimisation: { batch: 2, steps: 1 },
      run: { folder: join(folder, 'run'), transcripts: { every: 1, rollouts: 9 } },
    })
    await runTo(config, presetOf('vigos', { rollout: { by: 'data', view: 'student' } }))
    return readTranscripts(config.run.folder, 1).map(({ answerGiven, correct, valid }) => [answerGiven, correct, valid] as const)
  }
  // The answers are 0 and 1.
  const stray = await answered(' I see \\boxed{{answer}}</description><think>so it is 3</think> 3')
  assert.deepEqual(stray, [
    [null, false, false],
    [null, false, false],
  ])
  const proper = await answered(' I see \\boxed{7}</description><think>so it is</think>\\boxed{ {answer} }, not \\boxed{9}')
  assert.deepEqual(proper, [
    ['0', true, true],
    ['1', true, true],
  ])
})
