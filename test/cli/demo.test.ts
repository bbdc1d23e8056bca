// `sightline demo`: what it refuses and removes, that a signal ends what it started, and how it tells how far it is.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { demo, telling } from '../../src/cli/demo.ts'
import { demoFiles } from '../../src/experiments/demo.ts'
import { writeJson } from '../experiments/made.ts'
import { writeRandomNano } from '../nano/tiny.ts'
import { temporaryFolder } from '../training/runs.ts'

test('without a base it says what to do, and touches nothing', async (context) => {
  const folder = temporaryFolder(context)
  const files = demoFiles(folder)
  writeJson(files.summary, {})
  writeJson(files.report, {})
  await assert.rejects(
    demo({ folder, base: join(folder, 'none') }, { print: () => undefined, status: undefined }),
    /none: holds no model; make one with/,
  )
  assert.deepEqual(readdirSync(folder).sort(), ['report.html', 'summary.json'])
})

test('how far it is: jobs, what runs, and the time that is left once it can be told', () => {
  const lines: string[] = []
  const tell = telling({ print: () => assert.fail(), status: (line) => void lines.push(line) }, performance.now() - 10_000)
  tell({ running: ['data', 'grade base'], done: 0, jobs: 4, share: 0.01 })
  tell({ running: ['train vigos'], done: 3, jobs: 4, share: 0.25 })
  tell({ running: [], done: 4, jobs: 4, share: 1 })
  assert.deepEqual(lines.slice(0, 1), ['0 of 4 done · data, grade base'])
  assert.match(lines[1] as string, /^3 of 4 done · train vigos · about 3[01] s left$/)
  assert.match(lines[2] as string, /^4 of 4 done · about 0 s left$/)
  // Without a terminal a line now and then.
  const printed: string[] = []
  const rare = telling({ print: (line) => void printed.push(line), status: undefined }, performance.now())
  for (let done = 0; done < 5; done++) rare({ running: ['a'], done, jobs: 5, share: 0 })
  assert.ok(printed.length <= 1)
})

/** Processes whose command line has this folder in it. */
const processesOf = async (folder: string): Promise<number> => {
  const list = spawn('ps', ['-eo', 'args'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let said = ''
  for await (const piece of list.stdout) said += String(piece)
  return said.split('\n').filter((line) => line.includes(folder)).length
}

test('a finished one is made anew without what is not its own; SIGTERM ends it and what it started', { timeout: 60_000 }, async (context) => {
  const place = temporaryFolder(context)
  const [folder, base] = [join(place, 'demo'), writeRandomNano(join(place, 'base'))]
  const files = demoFiles(folder)
  for (const path of [
    files.summary,
    files.report,
    files.grades.base,
    join(files.runs.opsd, 'final', 'config.json'),
    join(folder, 'mine', 'kept.json'),
  ]) {
    writeJson(path, {})
  }
  const quiet = { print: () => undefined, status: undefined }
  // An experiment has files of these names too, and more that would be gone.
  await assert.rejects(demo({ folder, base }, quiet), {
    name: 'ArgumentError',
    message: `${folder}: holds ${files.report} and ${files.summary}, which no demonstration has left; name another folder`,
  })
  assert.ok(existsSync(files.runs.opsd))
  writeJson(files.base, { base })
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, 'demo', folder, '--base', base], { stdio: ['ignore', 'pipe', 'inherit'] })
  context.after(() => child.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  let said = ''
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString()
  })
  // The demonstration and the two commands that it has begun.
  while ((await processesOf(folder)) < 3 && child.exitCode === null) await setTimeout(50)
  child.kill('SIGTERM')
  assert.equal(await ended, 130)
  assert.match(said, /stopped; the same command goes on from here\n$/)
  assert.equal(await processesOf(folder), 0)
  for (const path of [files.summary, files.report, files.grades.base, files.runs.opsd]) assert.ok(!existsSync(path), path)
  assert.ok(existsSync(join(folder, 'mine', 'kept.json')))
  // What was begun with one base does not go on with another.
  const other = writeRandomNano(join(place, 'other'))
  await assert.rejects(demo({ folder, base: other }, quiet), {
    name: 'ArgumentError',
    message: `${folder}: holds the beginning of a demonstration on ${base}; give another folder, or remove this one`,
  })
})
