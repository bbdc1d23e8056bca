// Numbers that are not finite cost a step and nothing else; too many of them end the run.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { latestCheckpoint, readEvents, readMetrics, readTranscripts, transcriptSteps } from '../../src/runs/read.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { DivergedError, type Session } from '../../src/training/loop.ts'
import { bareQuestions, configOf, otherCheckpoint, presetOf, questions, runTo, sameRun, temporaryFolder } from './runs.ts'

/** All that a step changes, but for its place in the data. */
function stateOf({ trainee, optimizer, evaluator }: Session): unknown {
  const { steps, tensors } = optimizer.state()
  const all = [...trainee.parameters, ...tensors, ...(trainee.average?.averages ?? [])]
  return { steps, scale: evaluator.scale, values: all.map(([name, tensor]) => [name, tensor.toArray()]) }
}

/** Makes a weight infinite; returns what makes it as it was. */
function poison(session: Session): () => void {
  const [tensor] = session.trainee.parameters.values() as unknown as Iterable<Tensor>
  assert.ok(tensor !== undefined)
  const before = tensor.toArray()
  const fill = (value: number): void => noGrad(() => scope(() => void tensor.fill_(value)))
  fill(Number.POSITIVE_INFINITY)
  const [first] = before
  assert.ok(before.every((each) => each === first), 'the first parameter is the same everywhere')
  return () => fill(first as number)
}

const bad = 3
