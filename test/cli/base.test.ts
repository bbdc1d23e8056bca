// `sightline base`: what it prints, how it ends, and that a stop leaves what can be gone on with.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { checkBaseCommand, makeBaseCommand } from '../../src/cli/base.ts'
import type { MakeOptions } from '../../src/nano/base.ts'
import { rules } from '../../src/nano/recipe.ts'
import { writeBase } from '../experiments/made.ts'
import { tinyRecipe, writeRandomNano } from '../nano/tiny.ts'
import { temporaryFolder } from '../training/runs.ts'

const options: MakeOptions = { family: 'qwen2_5_vl', size: 'student', recipe: 'tempted', seed: 3, from: null }
tinyRecipe()

test('make: progress as lines of JSON, stopped by a signal, gone on with and told of', async (context) => {
  const folder = join(temporaryFolder(context), 'base')
  const listeners = process.listenerCount('SIGTERM')
  const shares: number[] = []
  const stopping = (line: string): void => {
    if (!line.startsWith('{')) {
      assert.match(line, /^stopped; the same command goes on with what is in .*base\.work$/)
      return
    }
    const { type, share, what } = JSON.parse(line) as { type: string; share: number; what: string }
    assert.equal(type, 'progress')
    shares.push(share)
    if (what === 'reading' && shares.length < 12) process.emit('SIGTERM')
  }
  assert.equal(await makeBaseCommand(folder, options, { print: stopping, status: undefined, json: true }), 130)
  assert.ok(!existsSync(folder) && existsSync(`${folder}.work`))
  assert.equal(process.listenerCount('SIGTERM'), listeners)
  assert.deepEqual(
    shares,
    shares.toSorted((a, b) => a - b),
  )

  const lines: string[] = []
  assert.equal(await makeBaseCommand(folder, options, { print: (line) => void lines.push(line), status: undefined, json: false }), 0)
  const verdicts = lines.filter((line) => /^(kept {2}|broken) /.test(line))
  assert.equal(verdicts.length, rules.tempted.length)
  assert.match(verdicts[0] as string, /^broken {2}caption\/descriptionTruth +none +\(0\.750 to 1\.000\)$/)
  assert.match(lines.at(-1) as string, /base: not accepted, \d+ s$/)
})

test('check: the exit status says whether the rules are kept', async (context) => {
  const folder = writeRandomNano(join(temporaryFolder(context), 'base'))
  await assert.rejects(checkBaseCommand(folder, { print: () => undefined, status: undefined }), /holds no base\.json; give the folder of a base/)
  // It is measured again, whatever the file says.
  writeBase(folder, { seed: 1, accepted: true })
  const called = async (): Promise<readonly [number, readonly string[]]> => {
    const lines: string[] = []
    return [await checkBaseCommand(folder, { print: (line) => void lines.push(line), status: () => undefined }), lines]
  }
  const [status, lines] = await called()
  assert.deepEqual([status, lines.length], [4, rules.tempted.length])
  mock.property(rules as { tempted: object }, 'tempted', [{ measure: 'question/valid', least: 0, most: 1 }])
  assert.deepEqual(await called(), [0, ['kept    question/valid             0.000  (0.000 to 1.000)']])
})
