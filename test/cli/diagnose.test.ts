// `sightline diagnose` on runs of tiny checkpoints: what it writes and prints, which checkpoint it takes, what it refuses.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { stringify } from 'yaml'
import { type DiagnoseArguments, diagnoseCommand, diagnoseDefaults } from '../../src/cli/diagnose.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Diagnosis } from '../../src/diagnostics/diagnosis.ts'
import { diagnosisReport } from '../../src/experiments/diagnosis-report.ts'
import { methods } from '../../src/methods/registry.ts'
import type { Method } from '../../src/supervision/method.ts'
import { configOf, otherCheckpoint, presetOf, questions, runTo, temporaryFolder, writeRows } from '../training/runs.ts'

interface Called {
  readonly lines: readonly string[]
  readonly diagnosis: Diagnosis
}

async function call(folder: string, target: string, changes: Partial<DiagnoseArguments> = {}): Promise<Called> {
  const lines: string[] = []
  const out = join(folder, 'diagnosis.json')
  const args = {
    target,
    sets: [],
    checkpoint: undefined,
    data: [],
    out,
    report: undefined,
    seed: undefined,
    cap: undefined,
    above: undefined,
    ...diagnoseDefaults,
  }
  const status = await diagnoseCommand({ ...args, samples: 4, ...changes }, { print: (line) => void lines.push(line), status: undefined })
  assert.equal(status, 0)
  return { lines, diagnosis: JSON.parse(readFileSync(out, 'utf8')) as Diagnosis }
}

/** A short run with three checkpoints. */
async function trained(
  context: TestContext,
  method: Method,
  changes: Partial<ConfigInput> = {},
): Promise<{ folder: string; run: string; data: string[] }> {
  const folder = temporaryFolder(context)
  const config = configOf(folder, questions(4), {
    ...{ adapter: { rank: 2 }, rollout: { maxTokens: 5 }, optimisation: { batch: 2, steps: 3, rate: 0.05 } },
    ...{ checkpoints: { every: 1, keep: 3, best: { metric: 'loss', goal: 'min' } }, ...changes },
  })
  assert.equal(await runTo(config, method), 'finished')
  return { folder, run: config.run.folder, data: [writeRows(join(folder, 'held-out.jsonl'), questions(7).slice(3))] }
}

const small = { path: '', minPixels: 784, maxPixels: 1568 } as const

test('vgs: dependency, geometry and dynamics of a run and its checkpoints', async (context) => {
  const place = temporaryFolder(context)
  const { folder, run, data } = await trained(context, presetOf('vgs'), { teacher: { ...small, path: otherCheckpoint(join(place, 'teacher'), 5) } })
  const report = join(folder, 'diagnosis.html')
  const { lines, diagnosis } = await call(folder, run, { what: 'dependency,geometry,dynamics', data, batches: 2, report })
  const { dependency, geometry, dynamics, rollouts } = diagnosis
  assert.deepEqual([diagnosis.version, diagnosis.method, diagnosis.checkpoint, diagnosis.samples, diagnosis.palr], [1, 'vgs', 3, 4, null])
  const tokens = rollouts.reduce((sum, each) => sum + each.tokens.length, 0)
  assert.equal(
    dependency?.bins.reduce((sum, bin) => sum + bin.dependency.count, 0),
    tokens,
  )
  assert.equal(geometry?.whole.tokens, tokens)
  assert.equal(geometry?.batches, 2)
  assert.equal(
    geometry?.bins.reduce((sum, bin) => sum + bin.tokens, 0),
    tokens,
  )
  assert.ok(
    geometry?.bins.every(({ angles, tokens: count }) => count === 0 || ((angles.visLang.value ?? 90) >= 0 && (angles.visLang.value ?? 90) <= 180)),
  )
  const mean = rollouts.flatMap((each) => each.dependency ?? []).reduce((sum, each) => sum + each, 0) / tokens
  assert.ok(Math.abs((geometry?.whole.dependency ?? 0) - mean) < 1e-6 * mean)
  assert.deepEqual(
    dynamics?.map(({ step }) => step),
    [1, 2, 3],
  )
  // The weights of each checkpoint are its own.
  assert.equal(new Set(dynamics?.map(({ norms }) => norms.std)).size, 3)
  // The dynamics of the last step are those of the rollouts that were diagnosed.
  assert.equal(dynamics?.[2]?.all.std.count, tokens)
  assert.ok(Math.abs((dynamics?.[2]?.norms.std ?? 0) / (geometry?.whole.norms.std.value ?? 1) - 1) < 1e-4)
  const text = lines.join('\n')
  assert.match(text, /^vgs at step 3: 4 rollouts, valid \d+ %, correct \d+ %\n/)
  assert.match(text, /\nbin +tokens +VDS +Vis-Lang +Std-Vis +Std-Lang +norms Std Vis Lang\n0 +\d+ /)
  assert.match(text, /\nstep +Vis +Lang +Vis 7-9 +Lang 7-9 +‖∇Std‖ +‖∇Vis‖ +cos\n1 /)
  assert.doesNotMatch(text, /NaN|undefined/)
  // The page is that of the numbers in the file.
  assert.equal(readFileSync(report, 'utf8'), diagnosisReport(diagnosis))
  assert.equal(lines.at(-1), `written to ${join(folder, 'diagnosis.json')} and ${report}`)
})

test('opsd: PALR of the checkpoint that is asked for, the same again from the same seed', async (context) => {
  const { folder, run, data } = await trained(context, presetOf('opsd', { format: { parts: [] } }))
  const last = await call(folder, run, { what: 'palr', data, wrong: 2 })
  const again = await call(folder, run, { what: 'palr', data, wrong: 2, checkpoint: '3' })
  assert.deepEqual(again.diagnosis, last.diagnosis)
  const { palr, rollouts } = last.diagnosis
  assert.deepEqual([palr?.wrongAnswers, palr?.cap, palr?.valid, palr?.rollouts], [2, null, 4, 4])
  let [sum, count] = [0, 0]
  for (const { palr: own, tokens } of rollouts) {
    assert.equal(own?.shift.length, tokens.length)
    for (const [t, s] of (own?.shift ?? []).entries()) {
      sum += s * (own?.answer[t] as number)
      count += s * ((own?.answer[t] as number) + (own?.image[t] as number))
    }
  }
  assert.ok(Math.abs((palr?.groups['all']?.value ?? -1) - sum / count) < 1e-6 && count > 0)
  assert.match(last.lines.join('\n'), /PALR, 2 wrong answers\ntokens of +PALR +supervised\nall +0\.\d{3} \[0\.\d{3}, \d\.\d{3}\] +\d+/)
  // As it began, the student is its own frozen copy that has not seen the answer: other rollouts, another PALR.
  const begun = await call(folder, run, { what: 'palr', data, wrong: 2, checkpoint: 'none' })
  assert.equal(begun.diagnosis.checkpoint, null)
  assert.notEqual(begun.diagnosis.palr?.groups['all']?.value, palr?.groups['all']?.value)
  const first = await call(folder, run, { what: 'palr', data, wrong: 2, checkpoint: '1' })
  assert.notDeepEqual(first.diagnosis.rollouts, last.diagnosis.rollouts)
  const best = await call(folder, run, { what: 'palr', data, wrong: 2, checkpoint: 'best' })
  assert.ok([1, 2, 3].includes(best.diagnosis.checkpoint ?? 0))
  const other = await call(folder, run, { what: 'palr', data, wrong: 2, seed: 9 })
  assert.notDeepEqual(other.diagnosis.rollouts, last.diagnosis.rollouts)
  await assert.rejects(call(folder, run, { data, checkpoint: '9', what: 'palr' }), /--checkpoint 9: .* has none; there are those of steps 1, 2, 3/)
  await assert.rejects(call(folder, run, { data, checkpoint: 'first', what: 'palr' }), /expected best, last, none or a step/)
  await assert.rejects(call(folder, run, { what: 'palr' }), /no validation; say which held-out samples to take \(--data SOURCE\)/)
  await assert.rejects(call(folder, run, { data, what: 'palr', sets: ['run.seed=1'] }), /a run is what it was; leave --set out/)
  await assert.rejects(call(folder, run, { data, what: 'palr', out: join(folder, 'nowhere', 'x.json') }), /cannot be written/)
  await assert.rejects(call(folder, run, { data, what: 'palr', report: join(folder, 'nowhere', 'x.html') }), /x\.html: cannot be written/)
  await assert.rejects(call(folder, run, { data, what: 'palr', report: join(folder, '.', 'diagnosis.json') }), /give the page a file of its own/)
  assert.equal(last.lines.at(-1), `written to ${join(folder, 'diagnosis.json')}`)
})

test('a configuration is measured as it begins; methods that lack what an instrument needs are told which do not', async (context) => {
  const folder = temporaryFolder(context)
  const write = (method: string, change: object = {}): string => {
    const path = join(folder, `${method}.yaml`)
    const config = configOf(folder, questions(3), { method, adapter: { rank: 1 }, rollout: { maxTokens: 4 } })
    writeFileSync(path, stringify({ ...config, change, validation: { sources: join(folder, 'data.jsonl') } }))
    return path
  }
  const { diagnosis } = await call(folder, write('opsd', { format: { parts: [] } }), { what: 'palr,dependency', samples: 3 })
  assert.deepEqual([diagnosis.checkpoint, diagnosis.samples, diagnosis.geometry], [null, 3, null])
  assert.ok((diagnosis.palr?.groups['all']?.tokens ?? 0) > 0)
  const able = /Methods of which it can be measured: (.*)$/
  const refusal = async (method: string, what: string): Promise<string[]> => {
    let message = ''
    await assert.rejects(call(folder, write(method), { what }), (error: Error) => {
      message = error.message
      return true
    })
    assert.ok(message.startsWith(`--what ${what}: the method ${method} `), message)
    return (able.exec(message)?.[1] ?? '').split(', ')
  }
  const ofPalr = await refusal('sft', 'palr')
  assert.ok(ofPalr.includes('vigos') && ofPalr.includes('opsd') && !ofPalr.includes('vgs'))
  const ofGeometry = await refusal('vigos', 'geometry')
  assert.ok(ofGeometry.includes('vgs') && ofGeometry.includes('opd') && !ofGeometry.includes('sft') && ofGeometry.every((name) => methods.has(name)))
  await assert.rejects(call(folder, write('opsd'), { what: 'palr,palms' }), /"palms" is none of palr, dependency, geometry, dynamics/)
  await assert.rejects(call(folder, write('opsd'), { what: 'dynamics' }), /dynamics go through the checkpoints of a run, and there are none/)
  await assert.rejects(call(folder, write('opsd'), { checkpoint: 'last' }), /a configuration has no checkpoints/)
})
