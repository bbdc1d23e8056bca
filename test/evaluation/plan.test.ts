// Plans: what differs is named, what was only moved does not differ, seeds are those of their formula, shards share out all questions.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { modelDigest } from '../../src/evaluation/identity.ts'
import { plannedBenchmarks, wantedBenchmarks } from '../../src/evaluation/open.ts'
import { differences, planFile, readPlan, seedOf, settlePlan, takes } from '../../src/evaluation/plan.ts'
import { scanQuestions } from '../../src/evaluation/questions.ts'
import { planOf, setOf, sumQuestions, sums, temporaryFolder } from './support.ts'

test('a plan is found again, and another one is refused by what differs', async (context) => {
  const folder = temporaryFolder(context)
  const plan = planOf([await setOf(sumQuestions(3))])
  assert.equal(settlePlan(folder, plan), false)
  assert.equal(settlePlan(folder, plan), true)
  assert.deepEqual(readPlan(folder), plan)
  const moved = { ...plan, model: { ...plan.model, name: 'elsewhere' }, benchmarks: plan.benchmarks.map((each) => ({ ...each, source: '/moved' })) }
  assert.equal(settlePlan(folder, moved), true)
  const other = { ...planOf([await setOf(sumQuestions(4))]), samples: 2, decoding: { ...plan.decoding, topK: 5 } }
  assert.throws(
    () => settlePlan(folder, other),
    (error: Error) =>
      error instanceof ArgumentError &&
      /decoding\.topK: there null, asked for 5/.test(error.message) &&
      /samples: there 3, asked for 2/.test(error.message) &&
      /benchmarks\.sums\.questions: there 3, asked for 4/.test(error.message) &&
      /benchmarks\.sums\.sha256/.test(error.message) &&
      !/seed|prompting|source/.test(error.message),
  )
  const more = planOf([await setOf(sumQuestions(3)), await setOf(sumQuestions(3), { ...sums, name: 'more' })])
  assert.ok(differences(plan, more).some((line) => /^benchmarks\.more\.sha256: there not there, asked for/.test(line)))
  writeFileSync(join(folder, planFile), JSON.stringify({ ...plan, version: 99 }))
  assert.throws(() => readPlan(folder), FileFormatError)
})

test('questions are told apart by each thing that an answer or its verdict depends on', async () => {
  const digestOf = async (change: object): Promise<string> => {
    const [first, ...others] = sumQuestions(3)
    return (await setOf([{ ...first, ...change } as NonNullable<typeof first>, ...others])).planned.sha256
  }
  const pixel = Buffer.from('a picture')
  const changes = [
    {},
    { id: 'other' },
    { problem: 'other' },
    { groups: {} },
    { images: [pixel] },
    { images: [pixel, pixel] },
    { images: [Buffer.from('a Picture')] },
  ]
  const digests = await Promise.all(changes.map(digestOf))
  assert.equal(new Set(digests).size, changes.length)
  // A picture is the same wherever it lies.
  const uri = `data:image/png;base64,${pixel.toString('base64')}`
  assert.equal(await digestOf({ images: [uri] }), digests[4])
  const opened = { async *questions() {}, close: async () => {} }
  await assert.rejects(scanQuestions(sums, opened, { source: '/data', drawn: null, limit: null }), /\/data: has no questions of sums/)
  await assert.rejects(digestOf({ images: ['/nowhere.png'] }), /sums: question q0: the image file \/nowhere\.png cannot be read/)
})

test('seeds are 53 bits of a digest', () => {
  const digest = createHash('sha256').update('[7,"sums","q1",2]').digest('hex')
  assert.equal(seedOf(7, 'sums', 'q1', 2), Number(BigInt(`0x${digest.slice(0, 16)}`) >> 11n))
  const seeds = [1, 2].flatMap((seed) =>
    ['a', 'b'].flatMap((name) => ['q', 'r'].flatMap((id) => [0, 1].map((sample) => seedOf(seed, name, id, sample)))),
  )
  assert.equal(new Set(seeds).size, 16)
  for (const seed of seeds) assert.ok(Number.isSafeInteger(seed) && seed >= 0 && seed < 2 ** 53)
})

test('shards share out every question once', () => {
  const taken = [1, 2, 3].map((index) => Array.from({ length: 8 }, (_, i) => i).filter((i) => takes({ index, of: 3 }, i)))
  assert.deepEqual(taken, [
    [0, 3, 6],
    [1, 4, 7],
    [2, 5],
  ])
  assert.ok(takes(null, 5))
})

test('a model is what its files hold, not what it is called', (context) => {
  const folder = temporaryFolder(context)
  const model = join(folder, 'model')
  mkdirSync(model)
  writeFileSync(join(model, 'config.json'), '{}')
  writeFileSync(join(model, 'model.safetensors'), Buffer.alloc(100))
  const digest = modelDigest({ model })
  writeFileSync(join(model, 'README.md'), 'notes')
  cpSync(model, join(folder, 'copy'), { recursive: true })
  assert.equal(modelDigest({ model: join(folder, 'copy') }), digest)
  assert.notEqual(modelDigest({ model, adapter: join(folder, 'copy') }), digest)
  assert.notEqual(modelDigest({ model, adapter: model }), modelDigest({ model, weights: model }))
  writeFileSync(join(folder, 'copy', 'model.safetensors'), Buffer.alloc(100).fill(1, 99))
  assert.notEqual(modelDigest({ model: join(folder, 'copy') }), digest)
  renameSync(join(model, 'config.json'), join(model, 'generation_config.json'))
  assert.notEqual(modelDigest({ model }), digest)
  assert.throws(() => modelDigest({ model: join(folder, 'none') }), /--model .*none: cannot be opened/)
  assert.throws(() => modelDigest({ adapter: folder }), /--adapter .* holds no model files/)
})

test('names stand for benchmarks, suites, local copies and seeds', (context) => {
  const data = temporaryFolder(context)
  mkdirSync(join(data, 'mmmu'))
  const names = (list: readonly string[], options: object = {}) =>
    wantedBenchmarks(list, { data: null, limit: null, ...options }).map(({ benchmark, source, drawn, limit }) => [
      benchmark.name,
      source,
      drawn,
      limit,
    ])
  assert.deepEqual(names(['prior-world=7', 'blind-world'], { limit: 5 }), [
    ['prior-world', null, { seed: 7, count: 5 }, null],
    ['blind-world', null, { seed: 4_000_000_001, count: 5 }, null],
  ])
  assert.deepEqual(names(['prior-world=/made']), [['prior-world', '/made', null, null]])
  assert.deepEqual(names(['mmmu', 'vilp', 'vilp-f=/f.parquet'], { data, limit: 2 }), [
    ['mmmu', join(data, 'mmmu'), null, 2],
    ['vilp-f', '/f.parquet', null, 2],
    ['vilp-p', names(['vilp-p'])[0]?.[1], null, 2],
  ])
  for (const [list, options, message] of [
    [[], {}, /no --suite is given/],
    [['nothing'], {}, /no benchmark or suite "nothing"/],
    [['vilp=/x'], {}, /no benchmark "vilp"/],
    [['mmmu='], {}, /expected NAME=SOURCE/],
    [['mmmu=/a', 'mmmu=/b'], {}, /two sources, \/a and \/b/],
    [['mmmu'], { limit: 0 }, /--limit 0/],
    [['mmmu'], { data: '/nowhere' }, /--data \/nowhere/],
  ] as const) {
    assert.throws(() => names(list, options), message)
  }
})

test('the benchmarks of a plan lie where the plan says, unless a place is named', async (context) => {
  const data = temporaryFolder(context)
  mkdirSync(join(data, 'mmmu'))
  mkdirSync(join(data, 'prior-world'))
  const digest = { questions: 3, sha256: '' }
  const plan = {
    ...planOf([await setOf(sumQuestions(3))]),
    benchmarks: [
      { name: 'mmmu', source: '/own/mmmu', drawn: null, limit: 4, ...digest },
      { name: 'vilp-f', source: '/own/vilp', drawn: null, limit: null, ...digest },
      { name: 'prior-world', source: null, drawn: { seed: 3, count: 8 }, limit: null, ...digest },
    ],
  }
  const places = (named: readonly string[], folder: string | null = null) =>
    plannedBenchmarks(plan, named, { data: folder }).map(({ source, drawn, limit }) => source ?? { drawn, limit })
  const drawn = (seed: number) => ({ drawn: { seed, count: 8 }, limit: null })
  assert.deepEqual(places([]), ['/own/mmmu', '/own/vilp', drawn(3)])
  assert.deepEqual(places(['mmmu', 'prior-world']), ['/own/mmmu', '/own/vilp', drawn(3)], 'a name alone moves nothing')
  assert.deepEqual(places([], data), [join(data, 'mmmu'), '/own/vilp', drawn(3)])
  assert.deepEqual(places(['mmmu=/moved', 'prior-world=7'], data), ['/moved', '/own/vilp', drawn(7)])
  assert.equal(plannedBenchmarks(plan, ['mmmu=/moved'], { data: null })[0]?.limit, 4)
  assert.throws(() => places(['vilp']), /--suite vilp-p: no part of this evaluation, which is of mmmu, vilp-f, prior-world/)
  assert.throws(() => places([], '/nowhere'), /--data \/nowhere/)
})
