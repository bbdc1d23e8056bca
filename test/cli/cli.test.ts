// The command line, the examples and the demonstration as a user runs them.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { demo } from '../../src/cli/demo.ts'
import { memory } from '../../src/torch/memory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
}

test('help, version and usage errors', () => {
  const help = run('src/cli/main.ts', '--help')
  assert.equal(help.status, 0)
  assert.match(help.stdout, /sightline doctor/)
  assert.match(run('bin/sightline.mjs', '--version').stdout, /^\d+\.\d+\.\d+\n$/)
  for (const args of [['nonsense'], ['--nonsense'], ['doctor', 'extra'], []]) {
    const wrong = run('src/cli/main.ts', ...args)
    assert.equal(wrong.status, 2, args.join(' '))
    assert.doesNotMatch(wrong.stderr, /\n\s+at /)
  }
})

test('doctor finds the engine and every check passes', () => {
  const { status, stdout } = run('src/cli/main.ts', 'doctor', '--json')
  assert.equal(status, 0)
  const { found, checks } = JSON.parse(stdout) as { found: Record<string, string>; checks: { name: string; passed: boolean }[] }
  assert.match(found['libtorch'] as string, /^\d+\.\d+/)
  assert.match(found['matrix product'] as string, /GFLOP\/s on one thread/)
  assert.ok(checks.length >= 4 && checks.every((check) => check.passed))
})

test('the demonstration, shortened: both models learn, the same seed gives the same run, and nothing is left in memory', () => {
  const before = memory().tensors
  const short = (): { teacherBits: number; studentBits: number } => demo({ scale: 0.05, print: () => undefined })
  const first = short()
  assert.ok(first.teacherBits < 5.5 && first.studentBits < 8, JSON.stringify(first))
  assert.deepEqual(short(), first)
  assert.equal(memory().tensors, before)
})

for (const file of readdirSync(`${root}/examples`)) {
  test(`examples/${file} runs`, () => {
    const { status, stdout, stderr } = run(`examples/${file}`)
    assert.equal(status, 0, stderr)
    assert.ok(stdout.length > 0)
  })
}
