// The runner: stopped anywhere and gone on with, and divided into shards, it leaves the files of an uninterrupted evaluation.

import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { type EvaluateOptions, evaluate } from '../../src/evaluation/evaluate.ts'
import { gradeAnswers } from '../../src/evaluation/grading.ts'
import { openJudge } from '../../src/evaluation/judge.ts'
import { allGraded, mergedPlan, mergeShards } from '../../src/evaluation/merge.ts'
import { type Plan, planFile, seedOf } from '../../src/evaluation/plan.ts'
import type { QuestionSet } from '../../src/evaluation/questions.ts'
import { readAnswers, readVerdicts } from '../../src/evaluation/store.ts'
import { gradeResponse } from '../../src/grading/grade.ts'
import { openServer, serverDefaults } from '../../src/serving/client.ts'
import { startFakeServer } from '../serving/fake-server.ts'
import { answerTo, filesOf, planOf, sameFiles, scripted, setOf, stored, sumQuestions, sums, temporaryFolder } from './support.ts'

const never = new AbortController().signal
const plain = { judge: null, signal: never, onProgress: () => {} } as const

async function sets(): Promise<QuestionSet[]> {
  return [await setOf(sumQuestions(7)), await setOf(sumQuestions(4), { ...sums, name: 'more-sums', title: 'More sums' })]
}

async function whole(context: TestContext): Promise<{ plan: Plan; all: QuestionSet[]; files: Record<string, string> }> {
  const out = temporaryFolder(context)
  const all = await sets()
  const plan = planOf(all)
  const { end, scores } = await evaluate(out, plan, all, { ...plain, responder: async () => scripted(Infinity) })
  assert.equal(end, 'finished')
  assert.ok(scores)
  return { plan, all, files: filesOf(out) }
}

test('answers, verdicts and scores are those of the answers that were given', async (context) => {
  const { files, plan } = await whole(context)
  assert.deepEqual(Object.keys(files), [
    planFile,
    ...['more-sums/responses.jsonl', 'more-sums/scores.json', 'more-sums/verdicts.jsonl', 'report.html', 'scores.json'],
    ...['sums/responses.jsonl', 'sums/scores.json', 'sums/verdicts.jsonl'],
  ])
  const lines = (name: string) =>
    (files[name] as string)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const answers = lines('sums/responses.jsonl')
  const expected = sumQuestions(7).flatMap(({ id, problem }) =>
    [0, 1, 2].map((index) => {
      const { key, ...answer } = answerTo(
        { key: id, system: null, user: problem, images: [], prefill: '', samples: [] },
        { index, seed: seedOf(plan.seed, 'sums', id, index) },
      )
      return { id: key, ...answer }
    }),
  )
  assert.deepEqual(answers, expected)
  const right = expected.filter(({ text }) => !text.includes('{-1}'))
  const verdicts = lines('sums/verdicts.jsonl')
  assert.deepEqual(
    verdicts.map(({ id, index }) => [id, index]),
    expected.map(({ id, index }) => [id, index]),
  )
  assert.equal(verdicts.filter(({ outcome }) => outcome === 'right').length, right.length)
  const { form, measures } = JSON.parse(files['sums/scores.json'] as string) as {
    form: Record<string, { value: number }>
    measures: { statistics: Record<string, { value: number }> }[]
  }
  assert.ok(Math.abs((form['right']?.value as number) - right.length / 21) < 1e-12)
  assert.equal(measures[0]?.statistics['Avg@3']?.value, form['right']?.value)
  assert.ok(Math.abs((form['cut']?.value as number) - expected.filter(({ ended }) => ended === 'length').length / 21) < 1e-12)
})

test('stopped after any number of answers, and gone on with, the files are the same', async (context) => {
  const { plan, files } = await whole(context)
  for (const most of [0, 1, 5, 21, 22, 32]) {
    const out = temporaryFolder(context)
    const stop = new AbortController()
    const first = await evaluate(out, plan, await sets(), { ...plain, signal: stop.signal, responder: async () => scripted(most, stop) })
    assert.equal(first.end, 'stopped', `${most}`)
    assert.equal(readAnswers(join(out, 'sums')).length, Math.min(most, 21))
    // As a kill leaves the file that was written: half a line at its end.
    if (most < 21) writeFileSync(join(out, 'sums', 'responses.jsonl'), '{"id":"q', { flag: 'a' })
    const rest = scripted(Infinity)
    assert.equal((await evaluate(out, plan, await sets(), { ...plain, responder: async () => rest })).end, 'finished')
    assert.equal(rest.told.length, 33 - most)
    sameFiles(filesOf(out), files, `${most}`)
  }
})

test('what is finished asks nobody; another plan, other questions and a second process are refused', async (context) => {
  const { plan, all } = await whole(context)
  const out = temporaryFolder(context)
  await evaluate(out, plan, all, { ...plain, responder: async () => scripted(Infinity) })
  const before = filesOf(out)
  const nobody: EvaluateOptions = { ...plain, responder: null }
  assert.equal((await evaluate(out, plan, all, nobody)).end, 'finished')
  sameFiles(filesOf(out), before)
  await assert.rejects(evaluate(out, { ...plan, samples: 4 }, all, nobody), /holds another evaluation[\s\S]*samples: there 3, asked for 4/)
  await assert.rejects(
    evaluate(out, plan, [await setOf(sumQuestions(6)), all[1] as QuestionSet], nobody),
    /not the questions that were answered[\s\S]*sums\.questions/,
  )
  await assert.rejects(
    evaluate(temporaryFolder(context), plan, all, nobody),
    (error: Error) => error instanceof ArgumentError && /answers are missing/.test(error.message),
  )
  let inside: Promise<unknown> = Promise.resolve()
  const other = temporaryFolder(context)
  await evaluate(other, plan, all, {
    ...plain,
    responder: async () => {
      inside = assert.rejects(evaluate(other, plan, all, nobody), /process \d+ .* writes this run/)
      await inside
      return scripted(Infinity)
    },
  })
  await inside
})

test('a responder that fails keeps what it told; one that leaves answers out is found out', async (context) => {
  const { plan, all, files } = await whole(context)
  const out = temporaryFolder(context)
  const failing = {
    ...scripted(3),
    answer: async (...args: Parameters<ReturnType<typeof scripted>['answer']>) => {
      await scripted(3).answer(...args)
      throw new Error('the server is gone')
    },
  }
  await assert.rejects(evaluate(out, plan, all, { ...plain, responder: async () => failing }), /the server is gone/)
  assert.equal(readAnswers(join(out, 'sums')).length, 3)
  await assert.rejects(evaluate(out, plan, all, { ...plain, responder: async () => scripted(2) }), /scripted left 16 of 21 answers out/)
  await evaluate(out, plan, all, { ...plain, responder: async () => scripted(Infinity) })
  sameFiles(filesOf(out), files)
})

test('shards come to the files of the whole', async (context) => {
  const { plan, files } = await whole(context)
  const out = temporaryFolder(context)
  assert.throws(() => mergedPlan(out), /has no shards/)
  for (const index of [2, 1, 3]) {
    const shard = { index, of: 3 }
    const { scores } = await evaluate(out, { ...plan, shard }, await sets(), { ...plain, responder: async () => scripted(Infinity) })
    assert.equal(scores, null)
    assert.equal(allGraded(out, plan), index === 3)
    if (index === 2) assert.throws(() => mergedPlan(out), /1-of-3, .*3-of-3: not there yet/)
  }
  const merged = mergedPlan(out)
  assert.deepEqual(merged, plan)
  await assert.rejects(mergeShards(out, merged, [await setOf(sumQuestions(6))]), /not the questions that were answered/)
  await mergeShards(out, merged, await sets())
  sameFiles(filesOf(out), files)
  assert.ok(existsSync(join(out, 'shards', '1-of-3', planFile)))
  await evaluate(out, { ...plan, shard: { index: 1, of: 2 } }, await sets(), { ...plain, responder: async () => scripted(Infinity) })
  assert.throws(() => mergedPlan(out), /shards of 2 and of 3|shards of 3 and of 2/)
})

test('shards never take the place of another evaluation', async (context) => {
  const { plan, all } = await whole(context)
  const [out, elsewhere] = [temporaryFolder(context), temporaryFolder(context)]
  await evaluate(out, plan, all, { ...plain, responder: async () => scripted(Infinity) })
  const before = filesOf(out)
  const other = { ...plan, seed: 2, shard: { index: 1, of: 1 } }
  const refusal = /holds another evaluation[\s\S]*seed: there 1, asked for 2/
  await assert.rejects(
    evaluate(out, other, all, { ...plain, responder: () => assert.fail('it is asked first') }),
    (error: Error) => error instanceof ArgumentError && refusal.test(error.message),
  )
  // As when shards of other machines are copied together.
  await evaluate(elsewhere, other, all, { ...plain, responder: async () => scripted(Infinity) })
  cpSync(join(elsewhere, 'shards'), join(out, 'shards'), { recursive: true })
  await assert.rejects(mergeShards(out, mergedPlan(out), all), refusal)
  sameFiles(filesOf(out), before)
})

test('who stopped it before a model was needed does not wait for one', async (context) => {
  const { plan, all } = await whole(context)
  const signal = AbortSignal.abort()
  const { end } = await evaluate(temporaryFolder(context), plan, all, { ...plain, signal, responder: () => assert.fail('a model is loaded') })
  assert.equal(end, 'stopped')
})

test('a judge sees the marked answer alone, and all of an answer that marks none', async (context) => {
  const text = { kind: 'text', answer: 'a brown dog', also: [], options: [], tolerance: { relative: 0, absolute: 0 } } as const
  const questions = sumQuestions(2).map((question) => ({ ...question, expected: text }))
  const set = await setOf(questions)
  const items = set.items
  const said = ['First a cat. So \\boxed{dog, brown}', 'The answer is brown, as far as I see. What it is: a dog.']
  const answers = questions.map(({ id }, i) => stored(id, 0, { text: said[i] as string }))
  await using server = await startFakeServer({ models: ['judge'], answer: () => '{"right": true}' })
  await using opened = openJudge(await openServer({ ...serverDefaults, url: server.url, model: 'judge' }), {
    cache: join(temporaryFolder(context), 'judge.jsonl'),
  })
  const options = { prompting: planOf([set]).prompting, judge: async () => opened, signal: never, onProgress: () => {} }
  const [boxed, free] = await gradeAnswers(items, answers, options)
  assert.ok(boxed?.judge?.prompt.includes('<answer>\ndog, brown\n</answer>'), JSON.stringify(boxed))
  assert.ok(free?.judge?.prompt.includes(`<answer>\n${said[1]}\n</answer>`), JSON.stringify(free))
  assert.deepEqual([boxed?.given, boxed?.outcome, free?.outcome], ['dog, brown', 'right', 'right'])
})

test('a judge is asked about what no rule can decide, and only about that', async (context) => {
  // Sentences, which rules leave open unless they are the same.
  const questions = sumQuestions(5).map((question, i) => ({
    ...question,
    expected: { ...question.expected, kind: 'open' as const, answer: i === 0 ? `${2 * i}` : `The sum is ${2 * i}, as everybody knows.` },
  }))
  const set = await setOf(questions)
  const plan = planOf([set], { samples: 1 })
  const out = temporaryFolder(context)
  await evaluate(out, plan, [set], { ...plain, responder: async () => scripted(Infinity) })
  const ruled = readVerdicts(join(out, 'sums'))
  const open = ruled.filter(({ outcome }) => outcome === 'undecided')
  assert.ok(open.length >= 3, JSON.stringify(ruled))
  await using server = await startFakeServer({
    models: ['judge'],
    answer: ({ user }) => (user.includes('everybody') ? '{"why": "same", "credit": 0.8}' : '{"credit": 0}'),
  })
  const judge = async () => openJudge(await openServer({ ...serverDefaults, url: server.url, model: 'judge' }), { cache: join(out, 'judge.jsonl') })
  for (let time = 0; time < 2; time++) {
    const { scores } = await evaluate(out, plan, [set], { ...plain, judge, responder: null })
    assert.equal(server.requests.length, open.length, 'the second time the cache answers')
    assert.equal(scores?.benchmarks[0]?.judged, open.length)
    assert.ok(readFileSync(join(out, 'report.html'), 'utf8').includes(`${server.url}/v1 judge: asked about ${open.length} of 5 answers`))
  }
  for (const [i, verdict] of readVerdicts(join(out, 'sums')).entries()) {
    const before = ruled[i] as (typeof ruled)[number]
    if (before.outcome !== 'undecided') assert.deepEqual(verdict, before)
    else {
      assert.deepEqual([verdict.outcome, verdict.credit], ['right', 0.8])
      assert.match(verdict.judge?.prompt ?? '', /as everybody knows/)
      assert.equal(verdict.judge?.reply, '{"why": "same", "credit": 0.8}')
    }
  }
  // Rules alone again: what the judge said is gone.
  await evaluate(out, plan, [set], { ...plain, responder: null })
  assert.deepEqual(readVerdicts(join(out, 'sums')), ruled)
  assert.equal(gradeResponse('\\boxed{0}', (questions[0] as (typeof questions)[number]).expected).outcome, 'right')
})
