// The command line and the examples as a user runs them.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
}

test('help, version and usage errors', () => {
  const help = run('src/cli/main.ts', '--help')
  assert.equal(help.status, 0)
  assert.match(help.stdout, /sightline doctor/)
  const own = run('src/cli/main.ts', 'train', '--help').stdout
  assert.match(own, /^ {2}sightline train CONFIG .*\n( {6}.*\n)+$/)
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

for (const family of ['qwen2_5_vl', 'qwen3_vl']) {
  test(`generate: ${family} answers about a photograph as transformers does, token by token`, () => {
    const folder = `test/goldens/${family}`
    const { image, question, prefill, tokens, text } = JSON.parse(readFileSync(join(root, folder, 'photo.json'), 'utf8')) as Record<string, string>
    const args = ['--model', folder, '--image', `test/goldens/images/${image}`, '--prompt', question, '--prefill', prefill, '--max-tokens', '24']
    const generate = (...more: string[]): string => {
      const { status, stdout, stderr } = run('src/cli/main.ts', 'generate', ...(args as string[]), ...more)
      assert.equal(status, 0, stderr)
      return stdout
    }
    const answer = JSON.parse(generate('--json')) as { reason: string; ids: number[]; logprobs: number[]; text: string }
    assert.deepEqual(answer.ids, tokens)
    assert.equal(answer.text, text)
    assert.equal(answer.reason, 'length')
    assert.ok(answer.logprobs.length === 24 && answer.logprobs.every((each) => each < 0))
    assert.equal(generate(), `${prefill}${text}\n`)
    // The same seed gives the same answers; another seed gives others.
    const drawn = ['--samples', '2', '--temperature', '0.9', '--top-p', '0.95', '--seed']
    assert.equal(generate(...drawn, '3'), generate(...drawn, '3'))
    assert.notEqual(generate(...drawn, '3'), generate(...drawn, '4'))
  })
}

test('generate: mistakes are named', () => {
  const wrong: [string[], RegExp][] = [
    [['--prompt', 'x'], /--model is missing/],
    [['--model', 'nowhere', '--prompt', 'x'], /nowhere/],
    [['--model', 'test/goldens/qwen3_vl', '--prompt', 'x', '--image', 'README.md'], /README.md: this is .* not one of JPEG/],
    [['--model', 'test/goldens/qwen3_vl', '--prompt', 'x', '--temperature', 'hot'], /--temperature "hot": expected a number/],
    [['--model', 'test/goldens/qwen3_vl', '--prompt', 'x', '--top-p', '2'], /topP is 2; it must be above 0 and at most 1/],
    [['--model', 'test/goldens/qwen3_vl', '--prompt', 'x', '--dtype', 'int8'], /--dtype int8: expected one of stored, float32, bfloat16/],
    [['--model', 'test/goldens/qwen3_vl', '--prompt', 'x <|image_pad|>'], /<\|image_pad\|>/],
  ]
  for (const [args, message] of wrong) {
    const { status, stderr } = run('src/cli/main.ts', 'generate', ...args)
    assert.equal(status, 1, args.join(' '))
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
})

test('generate: an interrupt ends the answer with what there is', async () => {
  // The most likely continuation of this prompt runs in a circle: it would go on for 100,000 tokens.
  const args = ['--model', 'test/goldens/qwen2_5_vl', '--prompt', 'The student learns', '--max-tokens', '100000']
  const child = spawn(process.execPath, ['src/cli/main.ts', 'generate', ...args], { cwd: root })
  let stdout = ''
  child.stdout.on('data', (piece: Buffer) => {
    if (stdout === '') child.kill('SIGINT')
    stdout += piece.toString()
  })
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
  assert.equal(status, 130)
  assert.match(stdout, /^.+\n$/su)
})

test('inspect tells the family, the sizes and the memory of training', () => {
  const { status, stdout } = run('src/cli/main.ts', 'inspect', 'test/goldens/qwen3_vl', '--rank', '8')
  assert.equal(status, 0)
  assert.match(stdout, /qwen3_vl$/m)
  assert.match(stdout, /language +59,808 weights, 0\.24 MB stored/)
  assert.match(stdout, /stored as +F32 \(202,304\)/)
  assert.match(stdout, /LoRA r 8, base in bfloat16/)
  assert.match(run('src/cli/main.ts', 'inspect', 'test').stderr, /config\.json/)
})

for (const file of readdirSync(`${root}/examples`)) {
  test(`examples/${file} runs`, () => {
    const { status, stdout, stderr } = run(`examples/${file}`)
    assert.equal(status, 0, stderr)
    assert.ok(stdout.length > 0)
  })
}
