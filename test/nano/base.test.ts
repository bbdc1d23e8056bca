// Bringing up a base: progress from nothing to all, going on after a stop as if there had been none, and the rules by which it is held.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import sharp from 'sharp'
import { ArgumentError } from '../../src/errors.ts'
import { figureSide } from '../../src/nano/architecture.ts'
import { learnedSide, type MakeOptions, makeBase, readRecord, Tally } from '../../src/nano/base.ts'
import { hasFigures, judge, measured, type RecipeName, recipes, rules } from '../../src/nano/recipe.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import { writeBase } from '../experiments/made.ts'
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
  const shares = Object.fromEntries(rules.tempted.map(({ measure }) => [measure, 0.75]))
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
  const kept = (score: number): boolean | undefined =>
    judge('tempted', { ...shares, 'question/score': score }).find(({ measure }) => measure === 'question/score')?.kept
  // Bounds belong to it.
  assert.deepEqual([0.19, 0.2, 0.5, 0.51].map(kept), [false, true, true, false])
  assert.ok(judge('candid', {}).every((each) => !each.kept && each.value === null))
  for (const [recipe, own] of Object.entries(rules)) {
    const good = Object.fromEntries(own.map(({ measure, least, most }) => [measure, (least + most) / 2]))
    assert.ok(own.length > 0 && judge(recipe as RecipeName, good).every((each) => each.kept), recipe)
    // What is not measured of a recipe cannot be a rule of it.
    const modes = Object.keys(measured).filter((mode) => mode !== 'figure' || hasFigures(recipes[recipe as RecipeName]))
    for (const { measure } of own) assert.ok(modes.includes(measure.split('/')[0] as string), `${recipe}: ${measure}`)
  }
})

const options: MakeOptions = { family: 'qwen2_5_vl', size: 'student', recipe: 'tempted', seed: 3, from: null }
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
  // What lies there would be taken for another base's.
  for (const [other, said] of [
    [{ recipe: 'candid' }, 'candid, qwen2_5_vl, student, seed'],
    [{ family: 'qwen3_vl' }, 'tempted, qwen3_vl, student, seed'],
    [{ size: 'teacher' }, 'tempted, qwen2_5_vl, teacher, seed'],
    [{ seed: 77 }, 'tempted, qwen2_5_vl, student, seed 77'],
  ] as const) {
    await assert.rejects(
      makeBase(stopped, work, { ...options, ...other }, never, () => undefined),
      (error: Error) => {
        assert.equal(error.name, 'ArgumentError')
        assert.ok(error.message.includes(`holds the beginning of another base (tempted, qwen2_5_vl, student, seed ${options.seed})`), error.message)
        return error.message.includes(`asked for (${said}`)
      },
    )
  }
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

/** How a picture of a figure's side becomes patches. */
async function gridOf(path: string): Promise<readonly number[] | undefined> {
  const side = figureSide('qwen2_5_vl')
  const image = await sharp({ create: { width: side, height: side, channels: 3, background: '#c08020' } })
    .png()
    .toBuffer()
  const processor = await openProcessor(path, {})
  return (await processor.encode({ messages: [{ role: 'user', content: [{ type: 'image', image }] }] })).images[0]?.grid
}

test('who goes on from a base that has had the first courses is who had them all, and takes pictures as large as figures', async () => {
  tinyRecipe()
  const [whole, apart, begun] = ['apprentice', 'apart', 'begun'].map((name) => join(folder, name)) as [string, string, string]
  const quiet = (): void => undefined
  await makeBase(begun, `${begun}.work`, options, never, quiet)
  const before = new Map(readdirSync(begun).map((name) => [name, readFileSync(join(begun, name))]))
  const apprentice: MakeOptions = { ...options, recipe: 'apprentice' }
  const record = await makeBase(whole, `${whole}.work`, apprentice, never, quiet)
  // Stopped within the figures, and gone on with.
  const stop = new AbortController()
  const told: (readonly [string, number])[] = []
  const ended = await makeBase(apart, `${apart}.work`, { ...apprentice, from: begun }, stop.signal, (what, share) => {
    told.push([what, share])
    if (told.filter(([each]) => each === 'figures').length === 5) stop.abort()
  })
  assert.equal(ended, null)
  await makeBase(apart, `${apart}.work`, { ...apprentice, from: begun }, never, (what, share) => told.push([what, share]))
  assert.deepEqual(
    [...new Set(told.map(([what]) => what))],
    ['drawing figures', 'figures', ...Object.keys(measured).map((mode) => `asking (${mode})`)],
  )
  assert.ok(Math.abs((told.at(-1)?.[1] ?? 0) - 1) < 1e-12)
  assert.ok(weightsOf(apart).equals(weightsOf(whole)))
  assert.ok(!weightsOf(apart).equals(weightsOf(begun)))
  // It says nothing of where it began, since that makes no difference.
  const { seconds: _, ...one } = readRecord(whole)
  const { seconds: __, ...other } = readRecord(apart)
  assert.deepEqual(other, one)
  assert.deepEqual([one.recipe, one.seed], ['apprentice', options.seed])

  // Half of what figures need, and what a base without figures scales everything down to by itself.
  assert.deepEqual([apart, begun, join(folder, 'none')].map(learnedSide), [56, null, null])
  // Who learned figures is asked for them, who did not is not.
  const asked = (names: Readonly<Record<string, number>>): string[] => Object.keys(names).filter((name) => name.startsWith('figure/'))
  assert.deepEqual(asked(record?.measured ?? {}), ['figure/correct', 'figure/valid'])
  assert.deepEqual(asked(readRecord(begun).measured), [])
  // Four patches to a side before, eight after: 56 and 112 pixels.
  assert.deepEqual([await gridOf(begun), await gridOf(whole), await gridOf(apart)], [[1, 4, 4], [1, 8, 8], [1, 8, 8]]) // biome-ignore format: short
  // The base that it began with is as it was.
  assert.deepEqual(new Map(readdirSync(begun).map((name) => [name, readFileSync(join(begun, name))])), before)
})

test('it goes on only from the same model, brought up by a recipe that its own begins with', async () => {
  const from = join(folder, 'other')
  const refused = async (changes: Partial<MakeOptions>, recipe: RecipeName, first: string, second: string): Promise<void> => {
    writeBase(from, { seed: 3, recipe })
    const target = join(folder, 'never')
    const message = `${from} is ${first}; ${second} can only go on from the same model brought up by a recipe that it begins with`
    await assert.rejects(
      makeBase(target, `${target}.work`, { ...options, recipe: 'apprentice', from, ...changes }, never, () => undefined),
      (error: Error) => {
        assert.ok(error instanceof ArgumentError)
        assert.equal(error.message, message)
        return true
      },
    )
    assert.ok(!existsSync(target) && !existsSync(`${target}.work`))
  }
  const own = 'qwen2_5_vl, student, seed 3'
  const tempted = `tempted (${own})`
  await refused({ seed: 4 }, 'tempted', tempted, 'apprentice (qwen2_5_vl, student, seed 4)')
  await refused({ family: 'qwen3_vl' }, 'tempted', tempted, 'apprentice (qwen3_vl, student, seed 3)')
  await refused({ size: 'teacher' }, 'tempted', tempted, 'apprentice (qwen2_5_vl, teacher, seed 3)')
  // Other lessons, later courses, and courses of other lengths.
  await refused({}, 'candid', `candid (${own})`, `apprentice (${own})`)
  await refused({ recipe: 'tempted' }, 'tempted', tempted, tempted)
  await refused({ recipe: 'tempted' }, 'apprentice', `apprentice (${own})`, `tempted (${own})`)
  await refused({ recipe: 'sibling' }, 'tempted', tempted, `sibling (${own})`)
  await assert.rejects(
    makeBase(join(folder, 'never'), join(folder, 'w'), { ...options, from: join(folder, 'nowhere') }, never, () => undefined),
    /nowhere: holds no base\.json; give the folder of a base/,
  )
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
