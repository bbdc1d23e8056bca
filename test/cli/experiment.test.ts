// `sightline experiment`: the list, what it refuses, and an experiment whose jobs are all done.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { experiment } from '../../src/cli/experiment.ts'
import { ArgumentError } from '../../src/errors.ts'
import { summarise } from '../../src/experiments/compare.ts'
import { Ledger } from '../../src/experiments/ledger.ts'
import { mixed } from '../../src/experiments/mixed.ts'
import { comparisonJobs, ExperimentFiles } from '../../src/experiments/plan.ts'
import { experiments } from '../../src/experiments/registry.ts'
import { rules } from '../../src/nano/recipe.ts'
import { answersOf, newFolder, rightOf, writeBase, writeGrades, writeJson } from '../experiments/made.ts'
import { parsePage } from '../report/xml.ts'

async function call(name: string, folder: string, blindtest?: string): Promise<readonly [number, readonly string[]]> {
  const lines: string[] = []
  return [await experiment({ name, folder, blindtest }, { print: (line) => void lines.push(line), status: undefined }), lines]
}

test('the list has every experiment on a line of its own', async () => {
  const folder = newFolder()
  const [status, lines] = await call('list', folder)
  assert.equal(status, 0)
  assert.deepEqual(
    lines,
    experiments.map(({ name, about }) => `${name.padEnd(16)} ${about}`),
  )
  assert.ok(!existsSync(folder))
})

test('an unknown one is refused before anything is written', async () => {
  const folder = newFolder()
  await assert.rejects(call('ground', folder), /there is no experiment "ground"; expected one of grounding/)
  assert.ok(!existsSync(folder))
})

test('real pictures of figures are refused where no figures are asked for', async () => {
  const folder = newFolder()
  for (const { name } of experiments.filter(({ figures }) => figures === null))
    await assert.rejects(call(name, folder, '/data/blindtest'), (error: Error) => {
      assert.ok(error instanceof ArgumentError)
      return error.message === `--blindtest: the experiment ${name} asks for no figures`
    })
  await assert.rejects(call('steering', folder, '/no/such/place'), {
    name: 'ArgumentError',
    message: '--blindtest /no/such/place: there is no such folder',
  })
  assert.ok(!existsSync(folder))
})

test('when seeds have run out, it says how many bases were accepted', async () => {
  const folder = newFolder()
  const files = new ExperimentFiles(folder, null)
  for (let seed = 1; seed <= mixed.candidates; seed++) writeBase(files.base('tempted', seed), { seed, accepted: seed % 4 === 0 })
  await assert.rejects(call('mixed', folder), (error: Error) => {
    assert.ok(error instanceof ArgumentError)
    return /: 4 of the 16 bases that were tried keep the rules, 6 are needed/.test(error.message)
  })
})

test('what is done is not done again: the report and its numbers are written', async () => {
  const folder = newFolder()
  const files = new ExperimentFiles(folder, null)
  for (let seed = 1; seed <= mixed.bases; seed++) writeBase(files.base('tempted', seed), { seed })
  const jobs = comparisonJobs(mixed, files)
  for (const { output, command } of jobs) {
    if (command[0] === 'grade') writeGrades(output, answersOf(rightOf(output.length % 4, 4), rightOf(3, 4), [true]))
    else writeJson(output, {})
  }
  await assert.rejects(call('mixed', folder), /is there, but not which command made it .*; name a new folder, or remove the result/)
  const ledger = new Ledger(files.commands, [[dirname(folder), '..']])
  for (const job of jobs) ledger.begin(job)
  const listeners = process.listenerCount('SIGTERM')
  const [status, lines] = await call('mixed', folder)
  assert.equal(status, 0)
  assert.equal(process.listenerCount('SIGTERM'), listeners)
  assert.equal(lines.at(-1), `the report is ${join(folder, 'report.html')}, its numbers are in ${join(folder, 'summary.json')}`)
  parsePage(readFileSync(join(folder, 'report.html'), 'utf8'))
  const summary = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as object
  assert.deepEqual(summary, JSON.parse(JSON.stringify(summarise(mixed, files))))
  assert.ok(existsSync(dirname(folder)))

  // Another base under the same seed has other results.
  writeJson(join(files.base('tempted', 2), 'base.json'), {
    ...(JSON.parse(readFileSync(join(files.base('tempted', 2), 'base.json'), 'utf8')) as { measured: object }),
    measured: Object.fromEntries(rules.tempted.map(({ measure, most }) => [measure, most])),
  })
  await assert.rejects(
    call('mixed', folder),
    /results were made with another tempted base 2: then caption\/descriptionTruth=0\.75 .*, now caption\/descriptionTruth=1 /,
  )
})
