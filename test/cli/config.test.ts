// `sightline config`: what can be told to a run, for people and for editors.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { config } from '../../src/cli/config.ts'
import { packagedConfigs } from '../../src/config/load.ts'
import { configSchema } from '../../src/config/schema.ts'
import { ArgumentError } from '../../src/errors.ts'
import { temporaryFolder } from '../training/runs.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function printed(args: Partial<Parameters<typeof config>[0]>): string {
  const lines: string[] = []
  assert.equal(
    config({ config: undefined, sets: [], schema: false, list: false, ...args }, (line) => void lines.push(line)),
    0,
  )
  return lines.join('\n')
}

test('--list names every packaged configuration, one a line, with what it is', () => {
  const names = readdirSync(join(root, 'configs')).map((name) => name.replace(/\.yaml$/, ''))
  const lines = printed({ list: true }).split('\n')
  assert.deepEqual(lines.map((line) => line.split(/ {2,}/)[0]).sort(), names.sort())
  assert.ok(lines.every((line) => /^\S+ {2,}\S.{10,}$/.test(line)))
})

test('--schema is JSON Schema of every field, with help', () => {
  const schema = JSON.parse(printed({ schema: true })) as { $schema: string; properties: Record<string, { description?: string }> }
  assert.match(schema.$schema, /json-schema\.org/)
  assert.deepEqual(
    Object.keys(schema.properties)
      .filter((name) => name !== 'extends')
      .sort(),
    Object.keys(configSchema.shape).sort(),
  )
  for (const [name, { description }] of Object.entries(schema.properties)) assert.ok((description?.length ?? 0) > 10, name)
})

test('a configuration is shown complete, and is one again', (context) => {
  const path = join(temporaryFolder(context), 'c.yaml')
  const given = { model: { path: 'm' }, data: { sources: ['d.jsonl'] }, run: { folder: 'r' }, optimisation: { batch: 7 } }
  writeFileSync(path, stringify(given))
  const text = printed({ config: path, sets: ['rollout.topP=0.9', 'teacher.path=t'] })
  const shown = parse(text) as { teacher: { path: string } }
  const expected = configSchema.parse({ ...given, rollout: { topP: 0.9 }, teacher: { path: 't' } })
  assert.deepEqual(configSchema.parse(shown), expected)
  assert.match(text, /# .*new tokens/i)
})

test('what is still to be given is named; packaged configurations can be shown', () => {
  for (const { name } of packagedConfigs()) assert.match(printed({ config: name }), /^# Still to be given: .*run\.folder.*\.\n/)
})

test('one of the three, and changes only of a configuration', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, ['src/cli/main.ts', 'config', ...args], { cwd: root, encoding: 'utf8' })
  for (const args of [[], ['--list', '--schema'], ['x.yaml', '--list']]) {
    const { status, stderr } = run(...args)
    assert.equal(status, 1)
    assert.match(stderr, /expected one of CONFIG, --schema and --list/)
  }
  assert.throws(() => printed({ list: true, sets: ['a=b'] }), /--set goes with a CONFIG/)
  assert.throws(() => printed({ config: 'vigos-qwen2.5-vl-3b', sets: ['rollout.topQ=1'] }), ArgumentError)
  const { status, stderr } = run('nowhere')
  assert.equal(status, 1)
  assert.match(stderr, /nowhere/)
})
