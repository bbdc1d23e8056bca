// The instruments on tiny checkpoints: packed and shared passes against one view at a time, contexts that show something else, and runs that do
// not notice that they are watched.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { Config, ConfigInput } from '../../src/config/schema.ts'
import { counterfactualsOf, drawWrong } from '../../src/diagnostics/counterfactuals.ts'
import { palrOfRollouts } from '../../src/diagnostics/diagnosis.ts'
import { ProbedBatch } from '../../src/diagnostics/gradients.ts'
import { liveInstruments, livePalr } from '../../src/diagnostics/live.ts'
import { losses, probeOf } from '../../src/diagnostics/probe.ts'
import { openSubject, probedRows, referenceOf, type Subject } from '../../src/diagnostics/subject.ts'
import { plainRun, type Run } from '../../src/models/linear.ts'
import type { Model } from '../../src/models/model.ts'
import type { Encoded } from '../../src/processing/processor.ts'
import { latestCheckpoint, readMetrics } from '../../src/runs/read.ts'
import type { Metrics } from '../../src/runs/schema.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import { Evaluator } from '../../src/supervision/evaluate.ts'
import type { Method } from '../../src/supervision/method.ts'
import { FeatureStore } from '../../src/supervision/scorers.ts'
import { gradient, zeroGradients } from '../../src/torch/autograd.ts'
import { dispose, noGrad, scope } from '../../src/torch/context.ts'
import { native } from '../../src/torch/native.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { train } from '../../src/training/loop.ts'
import { openSession } from '../../src/training/session.ts'
import { folderOf } from '../models/goldens.ts'
import { fileHash } from '../models/passes.ts'
import { close } from '../support.ts'
import { configOf, otherCheckpoint, presetOf, questions, temporaryFolder } from '../training/runs.ts'

/** Every rollout is valid: these checkpoints write no tags. */
const free = { format: { parts: [] } } as const

/** A student whose adapter is not zero, and its rollouts. */
async function subjectOf(context: TestContext, method: Method, changes: Partial<ConfigInput> = {}): Promise<{ subject: Subject; config: Config }> {
  const folder = temporaryFolder(context)
  const config = configOf(folder, questions(5), { adapter: { rank: 4 }, rollout: { maxTokens: 8 }, ...changes })
  const subject = await openSubject(config, method, { sources: [join(folder, 'data.jsonl')], samples: 5 })
  context.after(() => subject[Symbol.asyncDispose]())
  noGrad(() => scope(() => subject.trainee.parameters.forEach((each) => void each.add_(0.02))))
  return { subject, config }
}

/** Log-probabilities of a rollout's tokens after a context, by one sequence alone and all logits. */
function logprobs(model: Model, run: Run, { ids: before, images }: Encoded, ids: Int32Array): number[] {
  return noGrad(() =>
    scope(() => {
      const hidden = model.hidden([{ ids: [...before, ...ids], images: model.encodeImages(images, run) }], run)
      const rows = model
        .logits(hidden)
        .toDtype('float64')
        .logSoftmax(-1)
        .narrow(0, before.length - 1, ids.length)
      const width = rows.dim(1)
      const flat = rows.toArray()
      return Array.from(ids, (id, t) => flat[t * width + id] as number)
    }),
  )
}

test('PALR of a real checkpoint: packed passes give what each context alone gives', async (context) => {
  const method = presetOf('opsd', free)
  const { subject, config } = await subjectOf(context, method)
  const { trainee, prompts } = subject
  using store = subject.store()
  const rollouts = await subject.write(store)
  assert.equal(rollouts.length, 5)
  const got = await palrOfRollouts(subject, rollouts, store, { wrongAnswers: 2, cap: null })
  const references = prompts.map((prompt) => referenceOf(prompt, config))
  const wrong = drawWrong(
    prompts.map(({ sample }) => ({ answer: sample.answer, reference: sample.answer })),
    2,
    subject.seed,
  )
  const made = await counterfactualsOf(method, prompts, { wrong, references, processors: trainee.processors })
  const { model, run } = trainee.scorers.student
  let largest = 0
  for (const [r, { ids, prompted }] of rollouts.entries()) {
    const read = (own: Encoded | undefined, who: Run): number[] => logprobs(model, who, own ?? assert.fail(), ids)
    const student = read(prompted.contexts.get('student'), { ...run, training: false })
    const q = read(prompted.contexts.get('privileged'), plainRun)
    const others = (made[r]?.wrong ?? []).map((contexts) => read(contexts.get('privileged'), plainRun))
    const swapped = read(made[r]?.swapped.get('privileged'), plainRun)
    const want = {
      shift: q.map((each, t) => Math.abs(each - (student[t] as number))),
      answer: q.map((each, t) => Math.max(0, each - Math.log(others.reduce((sum, other) => sum + Math.exp(other[t] as number) / 2, 0)))),
      image: q.map((each, t) => Math.max(0, each - (swapped[t] as number))),
    }
    for (const key of ['shift', 'answer', 'image'] as const) {
      close(Array.from(got[r]?.[key] ?? []), want[key], { absolute: 2e-5, relative: 1e-4 }, key)
      largest = Math.max(largest, ...want[key])
    }
    // What is shown: the wrong answer in the place of the right one, and the picture of the next sample.
    const [own, shown] = [prompted.contexts.get('privileged') ?? assert.fail(), made[r]?.swapped.get('privileged') ?? assert.fail()]
    for (const [k, contexts] of (made[r]?.wrong ?? []).entries()) {
      const other = contexts.get('privileged') ?? assert.fail()
      assert.equal(other.text, own.text.replace(`begins -----\n${prompted.sample.answer}\n`, `begins -----\n${wrong[r]?.[k]}\n`))
      assert.notEqual(other.text, own.text)
      assert.deepEqual(other.images, own.images)
    }
    assert.equal(shown.text, own.text)
    assert.deepEqual(shown.images, prompts[(r + 1) % prompts.length]?.contexts.get('privileged')?.images)
  }
  assert.ok(largest > 0.01)
})

test('the same wrong answer or the same image gives exactly what it replaces', async (context) => {
  const method = presetOf('opsd', free)
  const { subject } = await subjectOf(context, method)
  using store = subject.store()
  const rollouts = await subject.write(store)
  const right = await palrOfRollouts(subject, rollouts, store, { wrongAnswers: ({ sample }) => [sample.answer, sample.answer], cap: null })
  for (const tokens of right)
    close(
      Array.from(tokens?.answer ?? []),
      Array.from(tokens?.answer ?? [], () => 0),
      { absolute: 1e-6, relative: 0 },
    )
  assert.ok(right.some((tokens) => tokens?.image.some((each) => each > 1e-3)))
})

const gradients = (own: readonly (Tensor | null)[]): number[] => own.flatMap((each) => each?.toArray() ?? [])

for (const name of ['vgs', 'opd'] as const) {
  for (const part of ['adapter', 'whole'] as const) {
    test(`${name}, ${part}: gradients over bins add up to the evaluator's, and nothing is left behind`, async (context) => {
      const folder = temporaryFolder(context)
      const changes: Partial<ConfigInput> =
        part === 'adapter' ? { adapter: { rank: 2, dropout: 0 } } : { adapter: null, parts: ['language', 'vision', 'merger'] }
      const method = presetOf(name)
      const { subject, config } = await subjectOf(context, method, {
        ...changes,
        model: { path: folderOf('qwen2_5_vl'), minPixels: 784, maxPixels: 1568 },
        teacher: { path: otherCheckpoint(join(folder, 'teacher'), 5), minPixels: 784, maxPixels: 1568 },
        rollout: { maxTokens: 5 },
        optimisation: { tokensPerPass: 150 },
      })
      const { trainee } = subject
      const probe = probeOf(method)
      using store = subject.store()
      const rows = (await probedRows(probe, await subject.write(store), trainee, config)).slice(0, 3)
      const parameters = [...trainee.parameters.values()]
      const measured = subject.measured(probe)
      // The store keeps what the teacher's tower made of the images.
      new ProbedBatch(measured, rows, store)[Symbol.dispose]()
      const before = native().memory().tensors
      const halves = [0, 1].map((half) => rows.map(({ ids }) => Array.from(ids.keys()).filter((t) => t % 2 === half)))
      const sums = new Map<string, number[]>()
      {
        using batch = new ProbedBatch(measured, rows, store)
        for (const half of halves) {
          const own = batch.gradients(half)
          for (const loss of losses) {
            const numbers = gradients(own[loss].map((each, i) => each ?? scope(() => parameters[i]?.zerosLike() ?? null)))
            const known = sums.get(loss)
            sums.set(loss, known === undefined ? numbers : numbers.map((each, i) => each + (known[i] as number)))
          }
          dispose(own)
        }
      }
      const tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0)
      for (const loss of losses) {
        const alone = defineMethod({ ...probe.method, terms: { [loss]: probe.terms[loss] } })
        const full = rows.map((row) => ({ ...row, advantages: new Map(), logprobs: new Float32Array(row.ids.length) }))
        using own = new FeatureStore(1000)
        new Evaluator(alone, trainee.scorers, parameters, { tokensPerPass: 10_000 }).accumulate(full, own, 0)
        const whole = scope(() => gradients(parameters.map((each) => gradient(each) ?? each.zerosLike())))
        zeroGradients(parameters)
        const norm = Math.sqrt(whole.reduce((sum, each) => sum + each * each, 0))
        const difference = Math.sqrt(whole.reduce((sum, each, i) => sum + (each - (sums.get(loss)?.[i] as number) / tokens) ** 2, 0))
        assert.ok(norm > 1e-5 && difference <= 1e-4 * norm, `${loss}: ${difference} of ${norm}`)
      }
      assert.equal(native().memory().tensors, before)
    })
  }
}

test('a run that is watched is the run that is not', async (context) => {
  const results: { hashes: (string | undefined)[]; metrics: readonly Metrics[] }[] = []
  for (const diagnostics of [null, { every: 2, rollouts: 3, cap: 5, dynamics: true }]) {
    const folder = temporaryFolder(context)
    const config = configOf(folder, questions(6), {
      ...{ method: 'opsd', diagnostics },
      ...{ adapter: { rank: 2, dropout: 0.2 }, rollout: { maxTokens: 5 }, optimisation: { batch: 3, steps: 4, rate: 1e-2 } },
    })
    const method = presetOf('opsd', free)
    if (diagnostics !== null) await assert.rejects(openSession(config, method), /give it \{ instruments: liveInstruments \}/)
    await using session = await openSession(config, method, { instruments: liveInstruments })
    await train(session, new AbortController().signal, () => {})
    const last = latestCheckpoint(config.run.folder)?.folder ?? assert.fail()
    results.push({
      hashes: ['optimizer.safetensors', 'random.safetensors', 'adapter/adapter_model.safetensors'].map((file) => fileHash(join(last, file))),
      metrics: readMetrics(config.run.folder).map(({ metrics }) => metrics),
    })
  }
  const [plain, watched] = results
  assert.deepEqual(plain?.hashes, watched?.hashes)
  const measured = /^(palr|dynamics)\//
  for (const [i, metrics] of (watched?.metrics ?? assert.fail()).entries()) {
    const others = Object.entries(metrics).filter(([name]) => !measured.test(name))
    assert.deepEqual(Object.fromEntries(others), plain?.metrics[i])
    // Steps count from 1, and every second is looked at.
    assert.equal(others.length < Object.keys(metrics).length, i % 2 === 1)
  }
  const [, seen] = watched?.metrics ?? []
  const all = seen?.['palr/all'] ?? assert.fail()
  assert.ok(all.count > 0 && all.sum >= 0 && all.sum <= all.count)
  assert.ok(Math.abs((seen?.['dynamics/cosine'] ?? assert.fail()).sum) <= 1)
})

test('live PALR counts nothing where all prompts have one answer', async (context) => {
  const folder = temporaryFolder(context)
  const rows = questions(3).map((row) => ({ ...row, answer: 'yes' }))
  const config = configOf(folder, rows, { adapter: { rank: 1 }, rollout: { maxTokens: 3 } })
  const method = presetOf('opsd', free)
  await using subject = await openSubject(config, method, { sources: [join(folder, 'data.jsonl')], samples: 3 })
  using store = subject.store()
  const live = livePalr(subject, { every: 1, rollouts: 3, wrongAnswers: 1, cap: null })
  assert.deepEqual(await live(1, await subject.write(store), store), { 'palr/all': { sum: 0, count: 0 } })
  assert.throws(() => livePalr(subject, { every: 0, rollouts: 3, wrongAnswers: 1, cap: null }), /every is 0/)
})
