// The schema of a configuration: its defaults, its bounds one by one, and the forms in which others read it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { config as configCommand } from '../../src/cli/config.ts'
import { configFields, jsonSchema, type Node } from '../../src/config/json-schema.ts'
import { isObject, type JsonObject, overlay } from '../../src/config/merge-patch.ts'
import { valueAt } from '../../src/config/problems.ts'
import { configSchema } from '../../src/config/schema.ts'
import { ArgumentError } from '../../src/errors.ts'
import { modelParts } from '../../src/models/teacher.ts'
import { defaultSampling } from '../../src/rollout/sampling.ts'

const minimal = { model: { path: 'm' }, data: { sources: 'd.jsonl' }, run: { folder: 'r' } }
const nested = (path: string, value: unknown): JsonObject =>
  path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as JsonObject
const accepts = (path: string, value: unknown): boolean => {
  // Parts train where there is no adapter.
  const frame = path === 'parts' ? { ...minimal, adapter: null } : minimal
  return configSchema.safeParse(overlay(frame, nested(path, value))).success
}

test('what is left out has the default that the list of fields prints, and a complete configuration is read as itself', () => {
  const config = configSchema.parse(minimal)
  const sections = { teacher: { path: 't' }, validation: { sources: 'v' }, diagnostics: {}, checkpoints: { best: { metric: 'a' } } }
  const full = configSchema.parse({ ...minimal, ...sections })
  assert.deepEqual(config.data.sources, ['d.jsonl'])
  for (const field of configFields().filter((each) => each.default !== null)) {
    const path = field.path.split('.')
    const from = valueAt(sections, path) === undefined ? full : config
    assert.equal(JSON.stringify(valueAt(from, path)), field.default, field.path)
  }
  assert.deepEqual(configSchema.parse(full), full)
  assert.deepEqual(configSchema.parse(config), config)
  const { adapter, optimisation, checkpoints, run } = config
  assert.deepEqual(adapter, { rank: 64, alpha: 128, dropout: 0.05, targets: null, exclude: [], rsLora: false, vision: false, from: null })
  assert.deepEqual([optimisation.epochs, optimisation.steps, optimisation.rate, optimisation.maxNorm], [1, null, 5e-6, 1])
  assert.deepEqual(checkpoints, { every: 50, keep: 2, best: null })
  assert.deepEqual(run, { folder: 'r', seed: 0, transcripts: { every: 10, rollouts: 8 }, badSteps: 5, threads: null })
})

test('defaults that other rooms have too are theirs', () => {
  const { rollout } = configSchema.parse(minimal)
  for (const name of ['temperature', 'topP', 'topK', 'minP'] as const) assert.equal(rollout[name], defaultSampling[name], name)
  assert.ok(modelParts.every((part) => accepts('parts', [part])))
})

test('every bound: the last value inside is taken, the first outside is not', () => {
  const table: { readonly [path: string]: { readonly good: readonly unknown[]; readonly bad: readonly unknown[] } } = {
    'model.path': { good: ['x'], bad: ['', null, 3] },
    'model.device': { good: ['cpu', 'cuda', 'cuda:0', 'cuda:12'], bad: ['cuda:', 'cuda:-1', 'cuda:1.5', 'gpu', null] },
    'model.dtype': { good: [null, 'stored', 'float32', 'bfloat16'], bad: ['float16', ''] },
    'run.threads': { good: [1, 1024, null], bad: [0, 1025] },
    'model.maxPixels': { good: [1, null], bad: [0, 1.5, '3'] },
    'data.sources': { good: ['a', ['a', 'b']], bad: ['', [], [''], [1], null] },
    'data.response': { good: ['{answer}', 'so \\boxed{{answer}}', '{solution}'], bad: ['', 'answer', '{problem}'] },
    'data.onBad': { good: ['stop', 'skip'], bad: ['warn'] },
    'adapter.rank': { good: [1], bad: [0, 2.5] },
    'adapter.alpha': { good: [0.1], bad: [0, Number.POSITIVE_INFINITY] },
    'adapter.dropout': { good: [0, 0.99], bad: [-0.01, 1] },
    'adapter.targets': { good: [null, 'all-linear', ['q_proj']], bad: ['', [3]] },
    parts: { good: [['vision', 'merger']], bad: [[], ['head'], 'language'] },
    'rollout.temperature': { good: [0, 1e-6, 2], bad: [-1, 1e-7, Number.NaN] },
    'rollout.topP': { good: [1e-9, 1], bad: [0, 1.01] },
    'rollout.topK': { good: [0, 20], bad: [-1, 0.5] },
    'rollout.minP': { good: [0, 1], bad: [-0.1, 1.1] },
    'rollout.samples': { good: [1], bad: [0] },
    'optimisation.rate': { good: [1e-9], bad: [0, -1] },
    'optimisation.beta1': { good: [0, 0.999], bad: [1, -0.1] },
    'optimisation.eps': { good: [1e-12], bad: [0] },
    'optimisation.maxNorm': { good: [null, 0.1], bad: [0] },
    'optimisation.weightDecay': { good: [0], bad: [-0.01] },
    'optimisation.epochs': { good: [0.5, 2], bad: [0, null] },
    'optimisation.steps': { good: [1, null], bad: [0, 1.5] },
    'checkpoints.best': { good: [null, { metric: 'a' }], bad: [{}, { metric: 'a', goal: 'up' }] },
    'run.seed': { good: [0, Number.MAX_SAFE_INTEGER], bad: [-1, 2 ** 53] },
    'run.transcripts': { good: [null, {}, { every: 1 }], bad: [{ every: 0 }, 3] },
    diagnostics: { good: [null, {}, { cap: 5, dynamics: true }], bad: [{ every: 0 }, { cap: 0 }, { rollouts: 0 }] },
    validation: { good: [null, { sources: 'v' }], bad: [{}, { sources: 'v', every: 0 }] },
    teacher: { good: [null, { path: 't' }], bad: [{}, 't', { path: 't', device: 'cpu' }] },
    change: { good: [{ terms: { a: null } }, {}], bad: [null, [], 'x'] },
  }
  for (const [path, { good, bad }] of Object.entries(table)) {
    for (const value of good) assert.ok(accepts(path, value), `${path} = ${JSON.stringify(value)}`)
    for (const value of bad) assert.ok(!accepts(path, value), `${path} = ${String(value)} ${JSON.stringify(value)}`)
  }
})

test('fields that depend on others', () => {
  const parse = (more: JsonObject): ReturnType<typeof configSchema.safeParse> => configSchema.safeParse(overlay(minimal, more))
  const { optimisation } = configSchema.parse(overlay(minimal, { optimisation: { steps: 7 } }))
  assert.deepEqual([optimisation.steps, optimisation.epochs], [7, null])
  assert.ok(parse({ optimisation: { steps: 7, epochs: null, warmup: 7 } }).success)
  assert.ok(!parse({ optimisation: { steps: 7, epochs: 1 } }).success)
  assert.ok(!parse({ optimisation: { steps: 7, warmup: 8 } }).success)
  assert.ok(parse({ parts: ['language'] }).success)
  assert.ok(!parse({ parts: ['vision', 'language'] }).success)
  assert.ok(parse({ parts: ['vision', 'language'], adapter: null }).success)
})

test('every field has a help text of its own and says what is allowed', () => {
  const fields = configFields()
  for (const { path, help, type } of fields) {
    assert.match(help, /^[A-Z].*[.]$/, path)
    assert.doesNotMatch(type, /undefined|anything/, path)
  }
  assert.deepEqual(
    fields.filter((each) => each.required).map((each) => each.path),
    ['model.path', 'teacher.path', 'data.sources', 'validation.sources', 'checkpoints.best.metric', 'run.folder'],
  )
  const of = (path: string): unknown => {
    const { type, default: fallback } = fields.find((each) => each.path === path) ?? {}
    return [type, fallback]
  }
  assert.deepEqual(of('model.dtype'), ['stored, float32, bfloat16 or null', 'null'])
  assert.deepEqual(of('model.device'), ['cpu, cuda or cuda:N', '"cpu"'])
  assert.deepEqual(of('rollout.topP'), ['number > 0 and ≤ 1', '1'])
  assert.deepEqual(of('parts'), ['non-empty list of vision / merger / language', '["language"]'])
  assert.deepEqual(of('validation'), ['mapping of fields or null', 'null'])
  assert.deepEqual(of('optimisation'), ['mapping of fields', null])
})

test('the JSON Schema is strict, described, and requires only of files that extend no other', () => {
  const lines: string[] = []
  assert.equal(
    configCommand({ config: undefined, sets: [], schema: true, list: false }, (line) => lines.push(line)),
    0,
  )
  const schema = JSON.parse(lines.join('\n')) as JsonObject
  assert.deepEqual(schema, jsonSchema())
  assert.equal(schema['$schema'], 'https://json-schema.org/draft/2020-12/schema')
  assert.deepEqual(schema['if'], { not: { required: ['extends'] } })
  const { properties, required } = schema['then'] as Node
  assert.deepEqual(required, ['model', 'data', 'run'])
  assert.deepEqual(properties, {
    model: { required: ['path'] },
    teacher: { required: ['path'] },
    data: { required: ['sources'] },
    validation: { required: ['sources'] },
    checkpoints: { properties: { best: { required: ['metric'] } } },
    run: { required: ['folder'] },
  })
  const { if: _condition, then: _consequence, ...rest } = schema
  let objects = 0
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk)
    if (!isObject(value)) return
    assert.ok(!Array.isArray(value['required']))
    if (isObject(value['properties']) && value['type'] === 'object') {
      assert.equal(value['additionalProperties'], false)
      for (const [name, each] of Object.entries(value['properties'])) assert.ok((each as Node).description, name)
      objects++
    }
    Object.values(value).forEach(walk)
  }
  walk(rest)
  assert.equal(objects, 15)
  const of = (section: string, name: string): Node | undefined => ((schema['properties'] as Record<string, Node>)[section] as Node).properties?.[name]
  assert.equal(of('optimisation', 'rate')?.default, 5e-6)
  assert.deepEqual(of('optimisation', 'schedule')?.enum, ['constant', 'linear', 'cosine'])
  assert.deepEqual([of('rollout', 'topP')?.exclusiveMinimum, of('rollout', 'topP')?.maximum], [0, 1])
  assert.deepEqual([of('rollout', 'samples')?.minimum, of('rollout', 'samples')?.maximum], [1, undefined])
})

test('sightline config shows one thing at a time', () => {
  const print = (): void => undefined
  assert.throws(() => configCommand({ config: undefined, sets: [], schema: false, list: false }, print), ArgumentError)
  assert.throws(() => configCommand({ config: 'x', sets: [], schema: true, list: false }, print), ArgumentError)
  assert.throws(() => configCommand({ config: undefined, sets: ['a=1'], schema: true, list: false }, print), ArgumentError)
})
