// Bringing up a base: progress from nothing to all, going on after a stop as if there had been none, and the rules by which it is held.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { type BaseOptions, makeBase, readRecord, Tally } from '../../src/nano/base.ts'
import { judge, rules } from '../../src/nano/recipe.ts'
import { tinyRecipe, tinySteps } from './tiny.ts'

const folder = mkdtempSync(join(tmpdir(), 'sightline-base-'))
after(() => rmSync(folder, { recursive: true }))

test('a tally turns shares of parts into shares of the whole', () => {
  const told: (readonly [string, number, string])[] = []
  const tally = new Tally([1, 3, 4], (...what) => told.push(what))
  const [first, second, third] = [tally.next(), tally.next(), tally.next()]
  first('a', 0, 'begins')
  first('a', 0.5, 'half')
  // A part that was done before is skipped.
  third('c', 0.25, 'on')
  second('b', 1, 'done')
  third('c', 1, 'all')
  assert.deepEqual(told, [
    ['a', 0, 'begins'],
    ['a', 0.5 / 8, 'half'],
    ['c', (4 + 1) / 8, 'on'],
    ['b', 4 / 8, 'done'],
    ['c', 1, 'all'],
  ])
})

test('rules are held on both sides, and by what was not measured they are broken', () => {
  const all = { sum: 3, count: 4 }
  const shares = Object.fromEntries(rules.tempted.map(({ measure }) => [measure, all]))
  // ¾ is the least description truth, and the least share of answers that follow it; too high a Score, and too little of the others.
  assert.deepEqual(
    judge('tempted', shares).map(({ measure, value, kept }) => [measure, value, kept]),
    [
      ['caption/descriptionTruth', 0.75, true],
      ['question/score', 0.75, false],
      ['question/prior', 0.75, false],
      ['question/valid', 0.75, false],
      ['question/follows', 0.75, true],
      ['reference/score', 0.75, true],
    ],
  )
  const kept = (score: { sum: number; count: number }): boolean | undefined =>
    judge('tempted', { ...shares, 'question/score': score }).find(({ measure }) => measure === 'question/score')?.kept
  // Bounds belong to it.
  assert.deepEqual(
    [19, 20, 50, 51].map((sum) => kept({ sum, count: 100 })),
    [false, true, true, false],
  )
  assert.equal(kept({ sum: 0, count: 0 }), false)
  assert.ok(judge('candid', {}).every((each) => !each.kept && each.value === null))
  const good = { 'question/score': { sum: 9, count: 10 }, 'question/prior': { sum: 1, count: 1 }, 'question/valid': { sum: 98, count: 100 } }
  assert.ok(judge('sibling', good).every((each) => each.kept))
})

const options: BaseOptions = { family: 'qwen2_5_vl', size: 'student', recipe: 'tempted', seed: 3 }
const weightsOf = (path: string): Buffer => readFileSync(join(path, 'model.safetensors'))
const never = new AbortController().signal

test('a base that is stopped and gone on with is the base that is not, and nothing is made twice', async () => {
  tinyRecipe()
  const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')]
  const shares: (readonly [string, number])[] = []
  const record = await makeBase(whole, `${whole}.work`, options, never, (what, share) => shares.push([what, share]))
  assert.deepEqual(
    [...new Set(shares.map(([what]) => what))],
    [...['drawing reading', 'reading', 'drawing closeUps', 'closeUps'], ...['asking (caption)', 'asking (question)', 'asking (reference)']],
  )
  for (const [i, [what, share]] of shares.entries()) assert.ok(share > (shares[i - 1]?.[1] ?? 0) && share <= 1, `${what}: ${share}`)
  assert.ok(Math.abs((shares.at(-1)?.[1] ?? 0) - 1) < 1e-12)
  assert.deepEqual(readRecord(whole), record)
  assert.equal(record?.accepted, false)
  assert.deepEqual(
    record?.verdicts.map(({ measure }) => measure),
    rules.tempted.map(({ measure }) => measure),
  )

  const stop = new AbortController()
  const work = `${stopped}.work`
  let trained = 0
  const ended = await makeBase(stopped, work, options, stop.signal, (what) => {
    if (what === 'closeUps' && ++trained === 5) stop.abort()
  })
  assert.equal(ended, null)
  const made = ['untrained', 'reading-data', 'reading/final/model.safetensors', 'closeUps-data'].map((name) => join(work, name))
  const times = (): number[] => made.map((path) => statSync(path).mtimeMs)
  const before = times()
  const again: string[] = []
  let after: number[] = []
  await makeBase(stopped, work, options, never, (what) => {
    again.push(what)
    after = times()
  })
  assert.deepEqual(after, before)
  assert.ok(!existsSync(work))
  // The step under way when it was stopped is the fifth.
  assert.deepEqual([again.filter((what) => what === 'closeUps').length, again[0]], [tinySteps - 5, 'closeUps'])
  assert.ok(weightsOf(stopped).equals(weightsOf(whole)))
  const { seconds: _, ...one } = readRecord(stopped)
  const { seconds: __, ...other } = readRecord(whole)
  assert.deepEqual(one, other)
})

test('what is there is not written over, and what is no base is said to be none', async () => {
  await assert.rejects(
    makeBase(folder, join(folder, 'w'), options, never, () => undefined),
    (error: Error) => {
      assert.ok(error instanceof ArgumentError)
      return error.message.startsWith(`${folder} is there already`)
    },
  )
  assert.throws(() => readRecord(folder), /holds no base\.json/)
})
