// `sightline grade`: what it prints and writes, and that the weights of a checkpoint are those of the model that came of it.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type GradeArguments, grade, gradeDefaults } from '../../src/cli/grade.ts'
import { ArgumentError, SightlineError } from '../../src/errors.ts'
import { loadModel } from '../../src/models/registry.ts'
import { type Graded, summaryOf } from '../../src/nano/evaluate.ts'
import { writeSafetensors } from '../../src/torch/safetensors-write.ts'
import { writeRandomNano } from '../nano/tiny.ts'
import { randomTensor } from '../support.ts'
import { bareQuestions, configOf, presetOf, runTo, temporaryFolder } from '../training/runs.ts'

interface Called {
  readonly status: number
  readonly lines: readonly string[]
  readonly statuses: readonly string[]
}

async function call(model: string, changes: Partial<GradeArguments> = {}, terminal = false): Promise<Called> {
  const [lines, statuses]: [string[], string[]] = [[], []]
  const fixed = { model, weights: null, out: null, pixels: null, threads: 1, json: false }
  const args = { ...gradeDefaults, ...fixed, count: 3, samples: 2, maxTokens: 6, ...changes }
  const output = { print: (line: string) => void lines.push(line), status: terminal ? (line: string) => void statuses.push(line) : undefined }
  return { status: await grade(args, output), lines, statuses }
}

/** A nano model and a run of all its language weights, two steps with a checkpoint each. */
async function trained(context: TestContext): Promise<{ folder: string; base: string; run: string }> {
  const folder = temporaryFolder(context)
  const base = writeRandomNano(join(folder, 'base'))
  const config = configOf(folder, bareQuestions(2), {
    ...{ model: { path: base }, adapter: null, parts: ['language'], optimisation: { batch: 1, steps: 2, rate: 0.02 } },
    ...{ rollout: { maxTokens: 60 }, checkpoints: { every: 1, keep: 2 } },
  })
  assert.equal(await runTo(config, presetOf('sft')), 'finished')
  return { folder, base, run: config.run.folder }
}

const read = (out: string) => JSON.parse(readFileSync(out, 'utf8')) as { options: object; summary: object; answers: Graded[] }

test('grades for people, for programs and for a file', async (context) => {
  const { folder, base, run } = await trained(context)
  const out = join(folder, 'grades.json')
  const people = await call(base, { out }, true)
  assert.equal(people.status, 0)
  assert.deepEqual(people.statuses, ['3 of 3 questions'])
  const { options, summary, answers } = read(out)
  assert.equal(answers.length, 6)
  assert.deepEqual(summary, summaryOf(answers))
  assert.deepEqual(options, { mode: 'question', seed: 4242, count: 3, samples: 2, temperature: 1, maxTokens: 6, pixels: null })
  assert.ok(!existsSync(`${out}.part`))
  const overall = answers.filter(({ correct }) => correct).length
  assert.ok(people.lines.includes(`overall            ${(overall / 6).toFixed(3)}  (${overall} of 6)`), people.lines.join('\n'))
  assert.match(people.lines.at(-1) as string, /^6 answers, \d+\.\d s$/)

  // More than are answered at once: progress comes between.
  const programs = await call(base, { json: true, count: 65, samples: 1, maxTokens: 1 })
  assert.deepEqual(
    programs.lines.map((line) => JSON.parse(line) as object),
    [
      { type: 'progress', share: 64 / 65 },
      { type: 'progress', share: 1 },
    ],
  )

  const weights = (step: number): string => join(run, 'checkpoints', `step-00000${step}`)
  const answersOf = async (model: string, of: string | null): Promise<Graded[]> => {
    const file = join(folder, 'other.json')
    rmSync(file, { force: true })
    await call(model, { weights: of, out: file, json: true })
    return read(file).answers
  }
  const last = await answersOf(join(run, 'final'), null)
  assert.deepEqual(await answersOf(base, weights(2)), last)
  const texts = (graded: readonly Graded[]): string => graded.map(({ text }) => text).join('|')
  assert.notEqual(texts(await answersOf(base, weights(1))), texts(last))
  assert.notEqual(texts(answers), texts(last))
  // The model itself is as it was.
  assert.deepEqual(await answersOf(base, null), answers)
})

test('weights that are not of this model are refused, and leave no file', async (context) => {
  const folder = temporaryFolder(context)
  const base = writeRandomNano(join(folder, 'base'))
  const out = join(folder, 'grades.json')
  const refused = async (tensors: Record<string, ReturnType<typeof randomTensor>>, message: RegExp): Promise<void> => {
    const weights = join(folder, 'checkpoint')
    mkdirSync(weights, { recursive: true })
    writeSafetensors(join(weights, 'weights.safetensors'), Object.entries(tensors))
    await assert.rejects(call(base, { weights, out }), (error: Error) => error instanceof ArgumentError && message.test(error.message))
    assert.ok(!existsSync(out))
  }
  await refused({ 'layers.0.lora.a': randomTensor([2, 2], 1) }, /has the weight layers\.0\.lora\.a, which the model has not/)
  // One number would be spread over all of a norm's.
  using checkpoint = loadModel(base)
  const name = [...checkpoint.model.parameters.keys()].find((each) => each.endsWith('norm.weight')) as string
  await refused({ [name]: randomTensor([1], 1) }, /norm\.weight has the shape \[1\], the model's has \[128\]/)
  await assert.rejects(call(base, { weights: join(folder, 'nowhere') }), SightlineError)
})

test('no questions and parts of answers are refused', async () => {
  for (const wrong of [{ count: 0 }, { samples: 1.5 }, { count: -3 }, { samples: Number.NaN }]) {
    await assert.rejects(call('/nowhere', wrong), /--(count|samples) .*expected an integer from 1 up/)
  }
})
