// What the tests of run folders share: folders that go away, and a small run whose contents depend on the step alone.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { KeepPolicy } from '../../src/runs/checkpoints.ts'
import { checkpoints, latestCheckpoint } from '../../src/runs/read.ts'
import type { NewRun, Run } from '../../src/runs/run.ts'
import type { Metrics, Transcript } from '../../src/runs/schema.ts'

export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-runs-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const policy: KeepPolicy = { keep: 2, best: { metric: 'accuracy', goal: 'max' } }

export const newRun: NewRun = {
  config: { learningRate: 1e-5, list: [1, null, 'ä'] },
  method: { name: 'opsd', terms: {} },
  sightline: '0.1.0',
  command: ['train', 'a b.yaml', '--set', 'x=1'],
  engine: 'libtorch 2.11.0',
  checkpoints: policy,
}

export const mean = (sum: number, count = 1): Metrics => ({ accuracy: { sum, count } })

/** With numbers that JSON has no word for. */
export function metricsOf(step: number): Metrics {
  const strange = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1 + 0.2][step % 4] as number
  return { loss: { sum: step / 3, count: 7 }, 'gradient norm': { sum: strange, count: 1 }, empty: { sum: 0, count: 0 } }
}

/** With characters of one to four bytes, a line break, and numbers that JSON has no word for. */
export function transcriptOf(step: number, sample: number): Transcript {
  return {
    step,
    row: step * 10,
    id: `row ${step}`,
    sample,
    seed: 2 ** 53 - 1 - step,
    policyStep: step - 1,
    image: [{ sha256: 'e3b0c4', width: 640, height: 480 }, { sha256: 'ab' }],
    problem: 'Wie groß?\n\u2028',
    answer: '½',
    prompt: '<|im_start|>user\n',
    prefill: '<think>',
    text: '日本 🙂</think>',
    reason: 'stop-id',
    tokens: [
      {
        id: 3,
        text: '日本',
        segment: 'reasoning',
        logprob: Number.NEGATIVE_INFINITY,
        terms: { distill: { value: Number.NaN, clipped: true, factor: 1.5 } },
        dependency: 0.25,
      },
      { id: 4, text: ' 🙂', segment: 'reasoning', logprob: -0.125, terms: {} },
    ],
    valid: sample === 0,
    fault: sample === 0 ? null : 'no </think>',
    answerGiven: null,
    correct: false,
    reward: 1,
    advantage: Number.POSITIVE_INFINITY,
  }
}

/** What a trainer does: goes on after the latest checkpoint, up to `last` steps, with a checkpoint every third step and in the end. */
export async function train(run: Run, last: number): Promise<void> {
  const from = latestCheckpoint(run.folder)?.step ?? 0
  run.rewindTo(from)
  run.addEvent(from === 0 ? { type: 'started', step: 0 } : { type: 'resumed', step: from, fromStep: from, changes: [] })
  for (let step = from + 1; step <= last; step++) {
    run.addTranscripts(step, [transcriptOf(step, 0), transcriptOf(step, 1)])
    run.addMetrics(step, metricsOf(step))
    if (step % 3 === 0 || step === last) {
      await run.saveCheckpoint(step, mean((step * 7) % 11), async (folder) => {
        writeFileSync(join(folder, 'state'), String(step))
        await new Promise((resolve) => setTimeout(resolve, 1))
        writeFileSync(join(folder, 'end'), String(step))
      })
    }
  }
  run.addEvent({ type: 'finished', step: last })
}

export const stepsOf = (folder: string): number[] => checkpoints(folder).map(({ step }) => step)
