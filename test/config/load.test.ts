// Reading configurations: layers, --set, places of errors, the packaged files, and printing what was read.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { config as configCommand } from '../../src/cli/config.ts'
import { draftConfig, packagedConfigs, readConfig } from '../../src/config/load.ts'
import { mergePatch } from '../../src/config/merge-patch.ts'
import { nearest } from '../../src/config/problems.ts'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { methods } from '../../src/methods/registry.ts'
import { methodSchema } from '../../src/supervision/method.ts'
import { random } from '../support.ts'

const folder = mkdtempSync(join(tmpdir(), 'sightline-config-'))
after(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const required = 'model: {path: m}\ndata: {sources: d.jsonl}\nrun: {folder: r}\n'
const whole = ['model.path=m', 'data.sources=[a.parquet, b.parquet]', 'run.folder=r']

/** The message of the error that a body throws, which must be of a kind. */
function message(body: () => unknown, kind: typeof FileFormatError | typeof ArgumentError): string {
  try {
    body()
  } catch (error) {
    assert.ok(error instanceof kind, `${error}`)
    return error.message.replaceAll(`${folder}/`, '')
  }
  return assert.fail('nothing was thrown')
}

test('layers: what a file extends lies under it, --set over it', () => {
  file('base.yaml', `${required}rollout: {topP: 0.9, topK: 5}\nadapter: null\nparts: [vision]\nchange: {terms: {a: {clip: 1}}}\n`)
  file('middle.yaml', 'extends: base.yaml\nrollout: {topK: 6, minP: 0.1}\nchange: {terms: {a: null}}\n')
  const top = file('top.yaml', `extends: ${join(folder, 'middle.yaml')}\nrollout: {minP: 0.2}\nadapter: {rank: 8}\nparts: [language]\n`)
  const { config, given, files } = readConfig(top, [
    'rollout.temperature=0.5',
    'rollout={maxTokens: 9}',
    'run.seed=3',
    'run.seed=4',
    'change.scale=0.5',
  ])
  assert.deepEqual(given, {
    model: { path: 'm' },
    data: { sources: 'd.jsonl' },
    run: { folder: 'r', seed: 4 },
    rollout: { topP: 0.9, topK: 6, minP: 0.2, temperature: 0.5, maxTokens: 9 },
    adapter: { rank: 8 },
    parts: ['language'],
    change: { terms: { a: null }, scale: 0.5 },
  })
  assert.deepEqual([config.rollout.topK, config.rollout.samples, config.adapter?.rank, config.adapter?.alpha], [6, 1, 8, 128])
  assert.deepEqual(
    files.map((each) => each.replace(`${folder}/`, '')),
    ['base.yaml', 'middle.yaml', 'top.yaml'],
  )
})

test('a value of --set is YAML', () => {
  const read = (...sets: string[]): ReturnType<typeof readConfig>['config'] => readConfig('vigos-qwen2.5-vl-3b', [...whole, ...sets]).config
  assert.deepEqual(read().data.sources, ['a.parquet', 'b.parquet'])
  assert.equal(read('optimisation.maxNorm=null').optimisation.maxNorm, null)
  assert.equal(read('optimisation.rate=1e-6').optimisation.rate, 1e-6)
  assert.equal(read('model.path="007"').model.path, '007')
  assert.equal(read('data.response=a={answer}').data.response, 'a={answer}')
  assert.deepEqual(read('rollout.stop=["\\n\\n", x]').rollout.stop, ['\n\n', 'x'])
  assert.equal(read('adapter=').adapter, null)
  // Braces and brackets where nothing but a text fits.
  assert.equal(read('data.response={answer}').data.response, '{answer}')
  assert.equal(read('data.response={solution} [{answer}]').data.response, '{solution} [{answer}]')
  assert.equal(read('data.imageRoot=[old] pictures').data.imageRoot, '[old] pictures')
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['rollout.topP', /expected PATH=VALUE/],
    ['=3', /expected PATH=VALUE/],
    ['rollout..topP=3', /expected PATH=VALUE/],
    ['rollout.stop=[a', /--set rollout.stop=\[a \(character 3 of the value\): no valid YAML/],
    ['extends=x', /only a file can extend another/],
    ['model.path=007', /--set model.path=007: model.path is 7; expected non-empty text/],
    ['rollout.top_p=1', /--set rollout.top_p=1: rollout.top_p: there is no such field; did you mean rollout.topP\?/],
    ['top_p=1', /did you mean rollout.topP\?/],
    ['temprature=1', /did you mean rollout.temperature\?/],
    ['lr=1', /: lr: there is no such field; did you mean optimisation.rate\?/],
    ['optimisation.learning_rate=1', /did you mean optimisation.rate\?/],
    ['batch_size=1', /did you mean optimisation.batch\?/],
    ['max_grad_norm=1', /did you mean optimisation.maxNorm\?/],
    ['run.threads=1025', /run.threads is 1025; expected integer ≥ 1 and ≤ 1024 or null/],
    ['model={minPixels: 9, maxPixels: 8}', /model.maxPixels is 8; expected no fewer than model.minPixels/],
    ['data.sources.0=x', /data.sources is \{"0":"x"\}; expected non-empty text or non-empty list of non-empty text/],
    ['__proto__.x=1', /there is no such field/],
    ['model.__proto__=1', /model.__proto__: there is no such field/],
  ]
  for (const [set, expected] of wrong)
    assert.match(
      message(() => read(set), ArgumentError),
      expected,
    )
})

test('all problems at once, each with its place, what was given and what is allowed', () => {
  const text = `model: {path: x, dtype: f16, maxpixels: 3}
data:
  sources: [d.jsonl, 3]
  columns: {problem: 7}
run: 5
optimisation:
  rate: .nan
  warmup: 7
  steps: 3
  epochs: 2
teacher: {}
optimiser: {rate: 1}
parts: [vision, hed]
`
  assert.deepEqual(message(() => readConfig(file('wrong.yaml', text), ['rollout.topP=2']), FileFormatError).split('\n'), [
    'wrong.yaml:1:18: model.dtype is "f16"; expected stored, float32, bfloat16 or null',
    'wrong.yaml:1:30: model.maxpixels: there is no such field; did you mean model.maxPixels?',
    'wrong.yaml: teacher.path is missing; expected non-empty text: Folder of its checkpoint.',
    'wrong.yaml:3:3: data.sources is ["d.jsonl",3]; expected non-empty text or non-empty list of non-empty text',
    'wrong.yaml:4:13: data.columns.problem is 7; expected non-empty text or null',
    'wrong.yaml:13:17: parts[1] is "hed"; expected vision, merger or language',
    '--set rollout.topP=2: rollout.topP is 2; expected number > 0 and ≤ 1',
    'wrong.yaml:7:3: optimisation.rate is NaN; expected number > 0',
    'wrong.yaml:10:3: optimisation.epochs is 2; expected one of epochs and steps as a number and the other null',
    'wrong.yaml:8:3: optimisation.warmup is 7; expected at most as many steps of warm-up as steps in all',
    'wrong.yaml:5:1: run is 5; expected mapping of fields',
    'wrong.yaml:12:1: optimiser: there is no such field; there are model, teacher, method, change, data, validation, diagnostics, adapter, parts, rollout, optimisation, checkpoints, run',
    'wrong.yaml:13:1: parts is ["vision","hed"]; expected nothing besides an adapter, which is all that trains then; set adapter to null, or adapter.vision to true',
  ])
  // The place is that of the layer whose value counts.
  file('under.yaml', `${required}rollout: {topP: 3}\n`)
  const over = file('over.yaml', 'extends: under.yaml\nrollout:\n  minP: 4\n')
  assert.match(
    message(() => readConfig(over), FileFormatError),
    /^under.yaml:4:11: rollout.topP .*\nover.yaml:3:3: rollout.minP /,
  )
})

test('a file that is no text, or no YAML at all, costs few lines', () => {
  const path = file('weights.yaml', '')
  writeFileSync(path, Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7919) % 256)))
  assert.equal(
    message(() => readConfig(path), FileFormatError),
    'weights.yaml: is no text; expected a configuration in YAML',
  )
  const lines = message(() => readConfig(file('code.yaml', '} ] :\n'.repeat(40))), FileFormatError).split('\n')
  assert.equal(lines.length, 6)
  assert.match(lines.at(-1) as string, /^and \d+ more$/)
})

test('every required field that is missing is named', () => {
  const missing = (text: string): string[] =>
    [...message(() => readConfig(file('missing.yaml', text)), FileFormatError).matchAll(/missing.yaml: (\S+) is missing/g)].map(
      (each) => each[1] as string,
    )
  assert.deepEqual(missing(''), ['model.path', 'data.sources', 'run.folder'])
  assert.deepEqual(missing('# nothing\n'), ['model.path', 'data.sources', 'run.folder'])
  assert.deepEqual(missing('model: {device: cpu}\ndata: {limit: 3}\nvalidation: {every: 3}\ncheckpoints: {best: {}}\nrun: {folder: r}\n'), [
    'model.path',
    'data.sources',
    'validation.sources',
    'checkpoints.best.metric',
  ])
})

test('files that cannot be read so say where and why', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['model: {path: x\nrun: [', /^bad.yaml:\d+:\d+: no valid YAML: /],
    ['a: 1\na: 2\n', /^bad.yaml:2:1: no valid YAML: Map keys must be unique/],
    ['model: !path x\n', /^bad.yaml:1:8: no valid YAML: Unresolved tag: !path/],
    ['model: *nowhere\n', /^bad.yaml.*: no .*YAML.*nowhere/s],
    ['model: &a {path: *a}\n', /^bad.yaml: no YAML that is plain data/],
    [
      'a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c]\n',
      /^bad.yaml: no YAML that is plain data/,
    ],
    ['- a\n', /^bad.yaml: the whole is \["a"\]; expected a mapping of fields/],
    ['a: 1\n---\nb: 1\n', /^bad.yaml:.*: no valid YAML: .*multiple documents/],
    ['extends: [a]\n', /^bad.yaml:1:1: extends is \["a"\]; expected the name or path of one file/],
    ['extends: vigos-qwen2.5-vl-4b\n', /^bad.yaml:1:1: extends "vigos-qwen2.5-vl-4b": there is neither .*did you mean vigos-qwen2.5-vl-3b\?/],
    ['extends: bad.yaml\n', /^bad.yaml: extends itself: bad.yaml → bad.yaml/],
  ]
  for (const [text, expected] of cases)
    assert.match(
      message(() => readConfig(file('bad.yaml', text)), FileFormatError),
      expected,
    )
  file('one.yaml', 'extends: two.yaml\n')
  file('two.yaml', 'extends: ./one.yaml\n')
  assert.equal(
    message(() => readConfig(join(folder, 'one.yaml')), FileFormatError),
    'one.yaml: extends itself: one.yaml → two.yaml → one.yaml',
  )
  assert.match(
    message(() => readConfig('nothing-like-it'), FileFormatError),
    /Sightline comes with .*vigos-qwen2.5-vl-3b/,
  )
})

test('a damaged file never ends in anything but an error of its own kind', () => {
  const next = random(11)
  const text = draftText('vgs-qwen3-vl-4b')
  for (let i = 0; i < 200; i++) {
    const at = Math.floor(next() * text.length)
    const noise = '{}[]:&*!|>-"\'#%@`\t\n,?\u0000é'
    const piece = noise[Math.floor(next() * noise.length)] as string
    const damaged = next() < 0.2 ? text.slice(0, at) : text.slice(0, at) + piece + text.slice(at + Math.floor(next() * 3))
    try {
      readConfig(file('damaged.yaml', damaged))
    } catch (error) {
      assert.ok(error instanceof FileFormatError, `${(error as Error).stack}\n${damaged.slice(at - 40, at + 40)}`)
    }
  }
})

function draftText(name: string): string {
  const lines: string[] = []
  assert.equal(
    configCommand({ config: name, sets: [], schema: false, list: false }, (line) => lines.push(line)),
    0,
  )
  return lines.join('\n')
}

test('names: a file goes before a packaged configuration, a folder does not', () => {
  const here = process.cwd()
  process.chdir(folder)
  try {
    mkdirSync('vgs-qwen3-vl-2b', { recursive: true })
    assert.equal(draftConfig('vgs-qwen3-vl-2b').config.method, 'vgs')
    assert.equal(draftConfig('vgs-qwen3-vl-2b.yaml').config.method, 'vgs')
    file('vgs-qwen3-vl-2b.yaml', `${required}method: sft\n`)
    assert.equal(draftConfig('vgs-qwen3-vl-2b.yaml').config.method, 'sft')
  } finally {
    process.chdir(here)
  }
})

test('the packaged configurations hold the numbers of the papers', () => {
  const read = (name: string): ReturnType<typeof readConfig>['config'] =>
    readConfig(name, [...whole, ...(/vgs/.test(name) ? ['teacher.path=t'] : [])]).config
  const names = packagedConfigs().map((each) => each.name)
  for (const { name, about } of packagedConfigs()) {
    assert.ok(about.length > 40, name)
    const teacher = /vgs/.test(name) ? ['teacher.path'] : []
    assert.deepEqual(draftConfig(name).missing, ['model.path', ...teacher, 'data.sources', 'run.folder'])
    // The method is there, and what is changed about it makes sense to it.
    const { method, change } = read(name)
    methodSchema.parse(mergePatch(methods.get(method), change))
  }
  for (const name of ['vigos-qwen2.5-vl-3b', 'vigos-qwen2.5-vl-7b', 'opsd-qwen2.5-vl-3b']) {
    assert.ok(names.includes(name))
    const { adapter, rollout, optimisation, model, method } = read(name)
    assert.equal(method, name.split('-')[0])
    assert.deepEqual([adapter?.rank, adapter?.alpha, adapter?.dropout, adapter?.targets, adapter?.vision], [64, 128, 0.05, null, false])
    assert.deepEqual([rollout.maxTokens, rollout.temperature, rollout.topP, rollout.topK, rollout.samples], [4096, 1.1, 0.95, 20, 1])
    const { epochs, steps, batch, rate, schedule, maxNorm, warmup } = optimisation
    assert.deepEqual([epochs, steps, batch, rate, schedule, maxNorm, warmup], [1, null, 32, 5e-6, 'linear', 0.1, 0])
    assert.equal(model.dtype, 'bfloat16')
    assert.equal(optimisation.tokensPerPass, 4096)
  }
  for (const [name, scale] of [
    ['vgs-qwen3-vl-2b', 0.41],
    ['vgs-qwen3-vl-4b', 0.36],
  ] as const) {
    const { adapter, parts, rollout, optimisation, change, method, model, teacher } = read(name)
    // Weights as they are stored: the optimiser has its own copy in float32.
    assert.deepEqual([model.dtype, teacher?.dtype, model.maxPixels, teacher?.maxPixels], [null, null, 2 ** 19, 2 ** 19])
    assert.deepEqual([adapter, parts], [null, ['vision', 'merger', 'language']])
    assert.deepEqual([rollout.maxTokens, rollout.temperature, rollout.topP, rollout.topK], [2048, 1, 1, 0])
    assert.deepEqual([optimisation.batch, optimisation.rate, optimisation.schedule, optimisation.weightDecay], [512, 1e-6, 'constant', 0.01])
    const table = methodSchema.parse(mergePatch(methods.get(method), change))
    assert.deepEqual([table.name, table.scale], ['vgs', scale])
  }
  const { rollout, optimisation } = read('grpo-qwen3-vl')
  assert.deepEqual([rollout.samples, rollout.topP, rollout.temperature, optimisation.epochs, optimisation.rate], [8, 0.99, 1, 2, 1e-6])
  const mixture = read('grpo-vgs-qwen3-vl-2b')
  assert.deepEqual([mixture.rollout.samples, methodSchema.parse(mergePatch(methods.get(mixture.method), mixture.change)).scale], [8, 1])
})

test('a printed configuration explains itself and is read as what it was printed from', () => {
  for (const { name } of packagedConfigs()) {
    const { config, missing } = draftConfig(name)
    const text = draftText(name)
    assert.match(text, /^# Still to be given: model.path, /)
    const path = file('printed.yaml', text)
    // What must be given is left empty: the file is refused until it is, and names just that.
    for (const field of missing)
      assert.match(
        message(() => readConfig(path), FileFormatError),
        new RegExp(`: ${field} is null; expected `),
      )
    assert.deepEqual(
      readConfig(
        path,
        missing.map((field) => `${field}=required`),
      ).config,
      config,
    )
    assert.match(text, /\n {2}# Learning rate of AdamW at its peak. \(number > 0; default 0.000005\)\n {2}rate: /)
    assert.ok(text.split('\n').every((line) => line.length <= 120))
    // Sections that are null show what they would have: without the signs of comments they are read.
    const filled = text.replace(/^( *)(validation|teacher|best): null\n((?:\1 {2}#.*\n)+)/gm, (_, indent: string, name: string, fields: string) => {
      return `${indent}${name}:\n${fields.replace(/^( *)# /gm, '$1')}`
    })
    assert.match(filled, /\nvalidation:\n {2}# Where samples come from/)
    const given = [...missing.map((field) => `${field}=required`), 'validation.sources=v', 'teacher.path=t', 'checkpoints.best.metric=m']
    const read = readConfig(file('filled.yaml', filled), given).config
    assert.equal(read.validation?.every, 50)
    assert.deepEqual([read.teacher?.minPixels, read.checkpoints.best], [null, { metric: 'm', goal: 'max' }])
  }
  assert.doesNotMatch(draftText(file('whole.yaml', required)), /Still to be given/)
  const list: string[] = []
  configCommand({ config: undefined, sets: [], schema: false, list: true }, (line) => list.push(line))
  assert.equal(list.length, packagedConfigs().length)
  assert.match(list.join('\n'), /^vigos-qwen2.5-vl-3b +ViGOS on Qwen2.5-VL-3B-Instruct with the paper's hyper-parameters/m)
})

test('the nearest name is the one that is meant, and none if none is near', () => {
  const names = ['maxTokens', 'maxRows', 'temperature', 'topP', 'topK']
  assert.equal(nearest('max_tokens', names), 'maxTokens')
  assert.equal(nearest('MAXTOKENS', names), 'maxTokens')
  assert.equal(nearest('temprature', names), 'temperature')
  assert.equal(nearest('max-row', names), 'maxRows')
  assert.equal(nearest('top_p', names), 'topP')
  assert.equal(nearest('seed', names), null)
  assert.equal(nearest('x', []), null)
})
