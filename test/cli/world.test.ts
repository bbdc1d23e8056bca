// `sightline world`: names are listed, data sets are made as asked, mistakes are told.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type WorldArguments, worldCommand } from '../../src/cli/world.ts'
import { worlds } from '../../src/data/worlds/registry.ts'
import { ArgumentError } from '../../src/errors.ts'
import { temporaryFolder } from '../training/runs.ts'

const nothing = { name: undefined, out: undefined, count: undefined, seed: undefined, tasks: undefined, splits: undefined, pixels: undefined }

async function run(given: Partial<WorldArguments>): Promise<{ readonly lines: string[]; readonly states: string[] }> {
  const [lines, states]: [string[], string[]] = [[], []]
  const output = { print: (line: string) => void lines.push(line), status: (line: string) => void states.push(line) }
  assert.equal(await worldCommand({ ...nothing, format: undefined, action: 'make', ...given }, output), 0)
  return { lines, states }
}

test('list names every world with its tasks and splits', async () => {
  const { lines } = await run({ action: 'list' })
  assert.equal(lines.length, 3 * worlds.length)
  for (const [i, { name, tasks, splits }] of worlds.entries()) {
    assert.ok(lines[3 * i]?.startsWith(`${name}: `))
    assert.deepEqual(lines[3 * i + 1]?.trim().split(/ +/), ['tasks', ...tasks])
    assert.deepEqual(lines[3 * i + 2]?.trim().split(/ +/), ['splits', ...splits])
  }
})

test('make writes what was asked for', async (context) => {
  const out = join(temporaryFolder(context), 'squares')
  const { lines, states } = await run({
    name: 'blind',
    out,
    count: 6,
    seed: 5,
    tasks: 'nested_squares, line_intersections',
    splits: 'hard',
    pixels: 48,
  })
  assert.deepEqual(lines, [`${out}: 6 samples of the world blind`])
  assert.deepEqual(states.slice(0, 2), ['1 of 6', '2 of 6'])
  const rows = readFileSync(join(out, 'samples.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { task: string; split: string })
  assert.deepEqual(rows.map(({ task }) => task).sort(), [
    'line_intersections',
    'line_intersections',
    'line_intersections',
    'nested_squares',
    'nested_squares',
    'nested_squares',
  ])
  assert.ok(rows.every(({ split }) => split === 'hard'))
  const said = JSON.parse(readFileSync(join(out, 'world.json'), 'utf8')) as Record<string, unknown>
  assert.deepEqual(
    [said['world'], said['seed'], said['count'], said['tasks'], said['splits'], said['pixels']],
    ['blind', 5, 6, ['line_intersections', 'nested_squares'], ['hard'], 48],
  )
})

test('mistakes are told before anything is written', async (context) => {
  const out = join(temporaryFolder(context), 'w')
  for (const [given, message] of [
    [{ action: 'draw' }, /expected "list" or "make NAME"/],
    [{}, /expected "list" or "make NAME"/],
    [{ name: 'flat' }, /no world "flat"; expected one of .*blind/],
    [{ name: 'blind', out: undefined }, /--out is missing/],
    [{ name: 'blind', count: 0 }, /--count 0/],
    [{ name: 'blind', count: 1.5 }, /--count 1.5/],
    [{ name: 'blind', seed: -1 }, /seed is -1/],
    [{ name: 'blind', tasks: 'nested_squares,cubes' }, /tasks of the world blind: cubes; expected some of touching_circles, /],
    [{ name: 'blind', splits: '' }, /splits of the world blind/],
  ] as const) {
    await assert.rejects(
      run({ out, ...given }),
      (error: Error) => error instanceof ArgumentError && message.test(error.message),
      JSON.stringify(given),
    )
    assert.ok(!existsSync(out))
  }
})
