// Every option of `generate` and `inspect` does something: each against the answer without it, or against what it promises.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { type GenerateArguments, generateText } from '../../src/cli/generate.ts'
import { inspect } from '../../src/cli/inspect.ts'
import { attachLora } from '../../src/models/lora.ts'
import { saveAdapter } from '../../src/models/peft.ts'
import { loadModel } from '../../src/models/registry.ts'
import { fillB } from '../models/passes.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'test/goldens/qwen3_vl')
const scratch = mkdtempSync(join(tmpdir(), 'sightline-cli-'))
test.after(() => rmSync(scratch, { recursive: true }))

interface Answer {
  readonly sample: number
  readonly reason: string
  readonly text: string
  readonly ids: readonly number[]
  readonly logprobs: readonly number[]
}

const plain: GenerateArguments = {
  folder,
  prompt: 'What is this?',
  images: [join(root, 'test/goldens/images/figure.png')],
  stop: [],
  adapter: undefined,
  system: undefined,
  prefill: undefined,
  dtype: undefined,
  device: undefined,
  maxTokens: 12,
  maxPixels: undefined,
  seed: undefined,
  samples: undefined,
  sampling: {},
  json: true,
}

async function answers(more: Partial<GenerateArguments>): Promise<Answer[]> {
  let out = ''
  const status = await generateText({ ...plain, ...more }, (piece) => {
    out += piece
  })
  assert.equal(status, 0)
  const all = out.trim().split('\n')
  return all.map((line) => JSON.parse(line) as Answer).toSorted((a, b) => a.sample - b.sample)
}
const answer = async (more: Partial<GenerateArguments> = {}): Promise<Answer> => (await answers(more))[0] ?? assert.fail('no answer')

test('what goes into the prompt, the image and the weights changes the numbers', async () => {
  const { logprobs } = await answer()
  assert.deepEqual((await answer()).logprobs, logprobs)
  const adapter = join(scratch, 'adapter')
  {
    using checkpoint = loadModel(folder)
    using made = fillB(attachLora(checkpoint.model, { rank: 2, alpha: 4, seed: 1 }))
    saveAdapter(adapter, made, { baseModel: folder })
  }
  const changes: Partial<GenerateArguments>[] = [
    { prompt: 'Why?' },
    { images: [] },
    { system: 'Be brief.' },
    { prefill: 'It' },
    { maxPixels: 4096 },
    { dtype: 'bfloat16' },
    { adapter },
  ]
  for (const change of changes) assert.notDeepEqual((await answer(change)).logprobs, logprobs, JSON.stringify(change))
})

test('several samples are drawn, by their seed', async () => {
  const three = await answers({ samples: 3, seed: 5 })
  assert.equal(new Set(three.map(({ ids }) => ids.join())).size, 3)
  assert.deepEqual(await answers({ samples: 3, seed: 5 }), three)
  assert.notDeepEqual(await answers({ samples: 3, seed: 6 }), three)
  const greedy = await answer()
  for (const { ids } of await answers({ samples: 2, sampling: { temperature: 0 } })) assert.deepEqual(ids, greedy.ids)
})

test('an answer ends at a stop string, and at the stop tokens of the checkpoint', async () => {
  const whole = await answer()
  const piece = whole.text.slice(4, 6)
  const cut = await answer({ stop: [piece] })
  assert.deepEqual([cut.reason, cut.text], ['stop-string', whole.text.slice(0, whole.text.indexOf(piece))])
  const copy = join(scratch, 'model')
  cpSync(folder, copy, { recursive: true })
  const last = whole.ids[5] as number
  writeFileSync(join(copy, 'generation_config.json'), JSON.stringify({ eos_token_id: [last] }))
  const ended = await answer({ folder: copy })
  assert.deepEqual([ended.reason, ended.ids], ['stop-id', whole.ids.slice(0, whole.ids.indexOf(last) + 1)])
})

test('the options of drawing arrive under their own names', () => {
  const run = (...more: string[]): Answer[] => {
    const args = ['src/cli/main.ts', 'generate', '--model', folder, '--prompt', 'Why?', '--max-tokens', '30', '--json', ...more]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Answer)
  }
  const [first, second] = run('--samples', '2', '--top-k', '1')
  assert.deepEqual(first?.ids, second?.ids, 'of one token there is nothing to draw')
  const [greedy] = run('--temperature', '0')
  assert.deepEqual(first?.ids, greedy?.ids)
  assert.ok(new Set(greedy?.ids).size < 30, 'the plain answer repeats itself')
  const [varied] = run('--temperature', '0', '--presence-penalty', '1000')
  assert.equal(new Set(varied?.ids).size, 30)
})

test('inspect plans for the tokens and the rank that are asked for', () => {
  const way = 'LoRA r 8, base in float32'
  const at = (context: number): number => {
    const lines: string[] = []
    const status = inspect(folder, { rank: 8, context }, (line) => lines.push(line))
    assert.equal(status, 0)
    const found = lines.find((line) => line.includes(way)) ?? assert.fail(`no line of ${way}`)
    return Number(/([\d.]+) MB \(/.exec(found)?.[1])
  }
  const [one, two, three] = [at(100), at(200), at(300)]
  assert.ok(two - one > 0.1 && Math.abs(three - two - (two - one)) < 0.03, `${one}, ${two}, ${three} MB`)
  assert.throws(() => inspect(folder, { rank: 0, context: undefined }, () => undefined), /--rank 0: expected a positive integer/)
})

test('a reader that has seen enough is no crash', () => {
  const command = `"${process.execPath}" src/cli/main.ts inspect "${folder}" | true; exit \${PIPESTATUS[0]}`
  const { stderr, status } = spawnSync('bash', ['-c', command], { encoding: 'utf8', cwd: root })
  assert.equal(stderr, '')
  assert.equal(status, 0)
})
