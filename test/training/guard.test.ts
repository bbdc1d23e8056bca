// Numbers that are not finite cost a step and nothing else; too many of them in a row end the run.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { latestCheckpoint, readEvents, readMetrics, readTranscripts, transcriptSteps } from '../../src/runs/read.ts'
import type { DistillTerm } from '../../src/supervision/method.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { fromTypedArray } from '../../src/torch/create.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import type { Session } from '../../src/training/loop.ts'
import { DivergedError } from '../../src/training/telling.ts'
import { configOf, otherCheckpoint, presetOf, questions, runTo, sameRun, temporaryFolder } from './runs.ts'

const hashOf = (tensor: Tensor): string => createHash('sha256').update(tensor.dataAs('float32')).digest('hex')

/** All that an update changes. */
function stateOf({ trainee, optimizer, evaluator }: Session): Map<string, unknown> {
  const { steps, tensors } = optimizer.state()
  const averages = Array.from(trainee.average?.averages ?? [], ([name, tensor]): [string, Tensor] => [`average of ${name}`, tensor])
  const values = [...trainee.parameters, ...tensors, ...averages].map(([name, tensor]): [string, unknown] => [name, hashOf(tensor)])
  return new Map<string, unknown>([...values, ['steps', steps], ['scale', evaluator.scale]])
}

const norm = 'model.language_model.norm.weight'

/** Makes weights infinite; returns what makes them as they were. */
function poison(tensors: ReadonlyMap<string, Tensor> | undefined): () => void {
  const tensor = tensors?.get(norm)
  assert.ok(tensor !== undefined)
  const before = Float32Array.from(tensor.toArray())
  noGrad(() => scope(() => void tensor.fill_(Number.POSITIVE_INFINITY)))
  return () => noGrad(() => scope(() => void tensor.copy_(fromTypedArray(before, { dtype: 'float32', shape: tensor.shape }))))
}

const differing = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): string[] =>
  [...a].filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(b.get(name))).map(([name]) => name)

/** Whose numbers become infinite: those of the student, or of its average that teaches. */
const victims = {
  sft: { poisoned: norm, of: ({ trainee }: Session) => trainee.parameters },
  'opsd-ema': { poisoned: `average of ${norm}`, of: ({ trainee }: Session) => trainee.average?.averages },
} as const

for (const [name, { poisoned, of }] of Object.entries(victims)) {
  test(`a bad step leaves weights, averages and optimiser as they are, and its rows are kept: ${name}`, async (context) => {
    const folder = temporaryFolder(context)
    const config = configOf(folder, questions(3), {
      adapter: null,
      rollout: { maxTokens: 20 },
      optimisation: { batch: 3, steps: 5, rate: 1e-3 },
      run: { folder: join(folder, 'run'), transcripts: { every: 2, rollouts: 1 }, badSteps: 2 },
    })
    let [before, restore] = [new Map<string, unknown>(), (): void => {}]
    const counts: number[] = []
    const end = await runTo(config, presetOf(name), {
      watch: (session, { step }) => {
        counts.push(session.progress.bad)
        if (step === 1 || step === 3) {
          before = stateOf(session)
          restore = poison(of(session))
          return
        }
        if (step === 2 || step === 4) {
          assert.deepEqual(differing(before, stateOf(session)), [poisoned])
          restore()
          assert.deepEqual(differing(before, stateOf(session)), [])
        } else assert.deepEqual(differing(before, stateOf(session)).length, before.size - 1, 'a good step changes all but the scale')
      },
    })
    assert.equal(end, 'finished')
    assert.deepEqual(counts, [0, 1, 0, 1, 0])
    const run = join(folder, 'run')
    assert.deepEqual(
      readMetrics(run).map(({ metrics }) => [metrics['skipped']?.sum, Number.isFinite(metrics['loss']?.sum)]),
      [0, 1, 0, 1, 0].map((skipped) => [skipped, skipped === 0]),
    )
    const skips = readEvents(run).flatMap((event) => (event.type === 'step-skipped' ? [event] : []))
    assert.deepEqual(
      skips.map(({ step, rows }) => [step, rows]),
      [
        [2, 'rollouts/step-000002.jsonl'],
        [4, 'rollouts/step-000004.jsonl'],
      ],
    )
    assert.match(skips[0]?.reason as string, /loss is (NaN|Infinity)/)
    // Steps 1, 2 and 4 are due with one rollout each; the bad ones have all of theirs.
    assert.deepEqual(
      transcriptSteps(run).map((step) => readTranscripts(run, step).length),
      [1, 3, 3],
    )
    assert.deepEqual(new Set(readTranscripts(run, 2).map(({ row }) => row)), new Set([0, 1, 2]))
  })
}

test('a scale measured on a bad step is not used for those after it', async (context) => {
  const folder = temporaryFolder(context)
  const { terms } = presetOf('vgs')
  const scale = { keep: ['standard'], under: ['standard', 'visual'], every: 9 }
  const method = (weight: number) => presetOf('vgs', { terms: { ...terms, visual: { ...(terms['visual'] as DistillTerm), weight } }, scale })
  const base = configOf(folder, questions(2), {
    teacher: { path: otherCheckpoint(join(folder, 'teacher'), 5) },
    adapter: null,
    rollout: { maxTokens: 3 },
    optimisation: { batch: 2, steps: 3, rate: 1e-3 },
  })
  // The norm to keep is finite, that of the sum is not: a scale of 0, under which every later step would look good.
  const overflowing = { ...base, run: { ...base.run, folder: join(folder, 'overflowing'), badSteps: 2 } }
  await assert.rejects(runTo(overflowing, method(1e38)), DivergedError)

  // The same for a loss that is not finite although its gradient is.
  await runTo(base, method(2), {
    watch: ({ evaluator }, { step }) => {
      if (step !== 1) return
      const accumulate = evaluator.accumulate.bind(evaluator)
      evaluator.accumulate = (...given) => {
        const report = accumulate(...given)
        evaluator.scale = 0.125
        evaluator.accumulate = accumulate
        return { ...report, loss: Number.NaN }
      }
    },
  })
  const metrics = readMetrics(base.run.folder).map((line) => line.metrics)
  assert.deepEqual(
    metrics.map(({ skipped }) => skipped?.sum),
    [0, 1, 0],
  )
  const [first, , third] = metrics.map(({ scale }) => scale?.sum as number)
  assert.ok(first !== undefined && first > 0 && first < 1)
  assert.equal(third, first)
})

test('gradients may overflow where the loss does not', async (context) => {
  const folder = temporaryFolder(context)
  const method = presetOf('sft', { terms: { imitation: { kind: 'imitate', weight: 2e37 } } })
  const config = configOf(folder, questions(2), { rollout: { maxTokens: 20 }, optimisation: { batch: 2, steps: 1, maxNorm: null } })
  await runTo(config, method)
  const [line] = readMetrics(config.run.folder)
  assert.ok(Number.isFinite(line?.metrics['loss']?.sum))
  assert.ok(!Number.isFinite(line?.metrics['gradientNorm']?.sum))
  assert.equal(line?.metrics['skipped']?.sum, 1)
})

test('as many bad steps in a row as allowed end the run, also across a resume; it can be resumed', async (context) => {
  const folder = temporaryFolder(context)
  const method = presetOf('sft', { terms: { imitation: { kind: 'imitate', weight: 1e38 } } })
  const base = configOf(folder, questions(2), { rollout: { maxTokens: 20 }, optimisation: { batch: 1, steps: 9 }, checkpoints: { every: 1 } })
  const at = (run: string) => ({ ...base, run: { ...base.run, folder: join(folder, run), badSteps: 3 } })
  const [whole, broken] = [at('whole'), at('broken')]
  await assert.rejects(runTo(whole, method), (error: Error) => {
    assert.ok(error instanceof DivergedError)
    assert.match(error.message, /^3 steps in a row, the last of them step 3, .*whole\/events\.jsonl says of each/)
    return true
  })
  await runTo(broken, method, { stopAfter: 2 })
  await assert.rejects(runTo(broken, method, { resume: true }), DivergedError)
  sameRun(join(folder, 'broken'), join(folder, 'whole'), 'diverged')
  assert.equal(latestCheckpoint(whole.run.folder)?.step, 2)
  const events = readEvents(whole.run.folder)
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'stopped' ? [event.step, event.reason] : [])),
    [3, 'limit'],
  )
  // What is wrong is still wrong.
  await assert.rejects(runTo(whole, method, { resume: true }), DivergedError)
  sameRun(join(folder, 'broken'), join(folder, 'whole'), 'diverged again')
})

test('a policy that cannot answer costs steps, as other numbers that are not finite do', async (context) => {
  const folder = temporaryFolder(context)
  const at = (name: string, badSteps: number) =>
    configOf(folder, questions(3), {
      adapter: null,
      rollout: { maxTokens: 4, topK: 5 },
      optimisation: { batch: 1, steps: 4 },
      validation: { sources: join(folder, 'data.jsonl'), every: 2, maxTokens: 2 },
      run: { folder: join(folder, name), badSteps },
    })
  // After the first step, and mended after the third.
  let restore = (): void => {}
  const config = at('mended', 3)
  const end = await runTo(config, presetOf('opsd'), {
    watch: ({ trainee }, { step }) => {
      if (step === 1) restore = poison(trainee.parameters)
      if (step === 3) restore()
    },
  })
  assert.equal(end, 'finished')
  const metrics = readMetrics(config.run.folder).map((line) => line.metrics)
  assert.deepEqual(
    metrics.map(({ skipped, correct, loss }) => [skipped?.sum, correct?.count, Number.isFinite(loss?.sum)]),
    [
      [0, 1, true],
      [1, 0, false],
      [1, 0, false],
      [0, 1, true],
    ],
  )
  assert.deepEqual(
    metrics.map((each) => each['validation/correct']?.count),
    [undefined, undefined, undefined, 3],
  )
  const skips = readEvents(config.run.folder).flatMap((event) => (event.type === 'step-skipped' ? [event] : []))
  assert.deepEqual(
    skips.map(({ step, rows }) => [step, rows]),
    [
      [2, null],
      [3, null],
    ],
  )
  assert.match(skips[0]?.reason as string, /^no answers to the rows [012]: row 0: the model's logits are not finite/)

  const broken = at('broken', 2)
  await assert.rejects(runTo(broken, presetOf('opsd'), { watch: ({ trainee }) => void poison(trainee.parameters) }), DivergedError)
  assert.deepEqual(
    readEvents(broken.run.folder).flatMap((event) => (event.type === 'stopped' ? [[event.step, event.reason]] : [])),
    [[3, 'limit']],
  )
  assert.equal(await runTo(broken, presetOf('opsd'), { resume: true }), 'finished')
})

test('a validation that cannot be answered is a warning', async (context) => {
  const folder = temporaryFolder(context)
  const config = configOf(folder, questions(2), {
    adapter: null,
    rollout: { maxTokens: 40 },
    optimisation: { batch: 1, steps: 2 },
    validation: { sources: join(folder, 'data.jsonl'), every: 1, maxTokens: 2 },
  })
  // Answers come from the data, so that nothing else meets the weights before.
  await runTo(config, presetOf('sft'), { watch: ({ trainee }, { step }) => void (step === 1 && poison(trainee.parameters)) })
  const warnings = readEvents(config.run.folder).flatMap((event) => (event.type === 'warning' ? [[event.step, event.message]] : []))
  assert.deepEqual(
    warnings.map(([step]) => step),
    [2],
  )
  assert.match(String(warnings[0]?.[1]), /^no validation: .*logits are not finite/)
})

test('a run that learns nothing is told once, after ten steps', async (context) => {
  const folder = temporaryFolder(context)
  const silent = (steps: number) =>
    configOf(folder, questions(2), {
      adapter: { rank: 1 },
      rollout: { maxTokens: 1 },
      optimisation: { batch: 1, steps },
      run: { folder: join(folder, `${steps}`) },
    })
  const warned = (steps: number) =>
    readEvents(join(folder, `${steps}`)).flatMap((event) => (event.type === 'warning' ? [[event.step, event.message]] : []))
  const { terms } = presetOf('opsd')
  // Only valid answers count, and one token is none.
  const method = presetOf('opsd', { terms: { privileged: { ...(terms['privileged'] as DistillTerm), on: { valid: 'answer' } } } })
  for (const steps of [9, 22]) await runTo(silent(steps), method)
  assert.deepEqual(warned(9), [])
  assert.deepEqual(
    warned(22).map(([step]) => step),
    [10],
  )
  assert.match(String(warned(22)[0]?.[1]), /^10 steps in a row had no gradient/)
})
