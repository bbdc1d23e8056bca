// The reports of experiments and of the demonstration: well-formed, with the numbers of their files, whatever is missing and whatever models write.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DiagnosedRollout } from '../../src/diagnostics/diagnosis.ts'
import { opsd, samePrompt, vigos } from '../../src/experiments/arms.ts'
import { comparisonReport } from '../../src/experiments/comparison-report.ts'
import { demoFiles } from '../../src/experiments/demo.ts'
import { demoReport, demoSummary } from '../../src/experiments/demo-report.ts'
import { diagnosisFigures } from '../../src/experiments/diagnosis-figures.ts'
import { ExperimentFiles, type ExperimentPlan, untrained } from '../../src/experiments/plan.ts'
import { all, type Element, parsePage, parseXml, textOf } from '../report/xml.ts'
import { answersOf, diagnosisOf, newFolder, rightOf, smallPlan, writeBase, writeGrades, writeJson } from './made.ts'
import { charts, rowsOf } from './read.ts'

const hostile = '</title><script>alert("1")</script>&amp;\u0000\ud800'

const plan: ExperimentPlan = {
  ...{ ...smallPlan, title: `Small ${hostile}`, lead: hostile, arms: [samePrompt, opsd, { ...vigos, label: hostile }] },
  control: { recipe: 'candid', arms: ['vigos', 'opsd'], about: `Control ${hostile}` },
  diagnoses: [
    { arm: 'opsd', what: 'palr', checkpoint: 'last', samples: 2, more: [] },
    { arm: 'vigos', what: 'geometry', checkpoint: 'none', samples: 2, more: [] },
  ],
}

/** @param described of every answer of ViGOS */
function compared(described: readonly (boolean | null)[] = [true, true]): ExperimentFiles {
  const files = new ExperimentFiles(newFolder(), null)
  for (const seed of [1, 3, 4]) {
    const write = (arm: string, step: number | null, right: number, truth: readonly (boolean | null)[] = [true, false]): void =>
      writeGrades(files.grades('tempted', seed, arm, step), answersOf(rightOf(right, 20), rightOf(19, 20), truth))
    write(untrained, null, 5)
    write('same-prompt', null, seed === 3 ? 6 : 5)
    for (const [step, right] of [
      [2, 7],
      [4, 8],
      [null, 9],
    ] as const) {
      write('opsd', step, right)
      write('vigos', step, right + seed, described)
    }
    writeJson(
      files.diagnosis('tempted', seed, 'opsd', 'palr', 'last'),
      diagnosisOf({ palr: { description: 0.1 * seed, reasoning: seed === 1 ? 0.5 : null, [hostile]: null } }),
    )
    writeJson(files.diagnosis('tempted', seed, 'vigos', 'geometry', 'none'), diagnosisOf({ angles: [30 + seed, null, seed === 1 ? 90 : null] }))
  }
  for (const seed of [1, 2, 3, 4]) writeBase(files.base('tempted', seed), { seed, accepted: seed !== 2 })
  writeBase(files.base('candid', 1), { seed: 1, recipe: 'candid', accepted: false })
  writeGrades(files.grades('candid', 1, untrained, null), answersOf(rightOf(15, 20), rightOf(20, 20)))
  writeGrades(files.grades('candid', 1, 'vigos', null), answersOf(rightOf(16, 20), rightOf(20, 20), [true]))
  return files
}

test('the report of an experiment holds its numbers', () => {
  const page = parsePage(comparisonReport(plan, compared()))
  assert.equal(all(page, 'script').length, 0)
  const arms = rowsOf(page, 'Answers: means over 3 bases')
  assert.deepEqual(arms[0], ['Arm', 'Score', 'Prior', 'Overall'])
  const form = rowsOf(page, 'Descriptions and form')
  assert.deepEqual(form[0], ['Arm', 'Description truth', 'Answer follows description', 'Valid'])
  assert.deepEqual(form.at(-2), ['OPSD', '0.50[0.50, 0.50]', '0.50[0.50, 0.50]', '1.00[1.00, 1.00]'])
  // 10, 12 and 13 of 20: mean 0.583; deviation 0.0764, ± 4.303 · 0.0764 / √3 = 0.190.
  assert.equal(arms.at(-1)?.[1], '0.58[0.39, 0.77]')
  assert.deepEqual(arms[1]?.slice(0, 2), ['Base', '0.25[0.25, 0.25]'])
  // ViGOS less OPSD: 1/20, 3/20, 4/20.
  const [forest] = charts(page, 'Score: arms less OPSD')
  assert.match(forest ?? '', /p\u00a00\.250\u00a0\(0\.75\) 0\.133 \[−0\.056, 0\.323\]/)
  // Its curves: the base, 7 and 8 of 20 on the way, 9 at the end.
  const points = all(page, 'title').map(textOf)
  for (const [step, share] of [
    [0, 0.25],
    [2, 0.35],
    [4, 0.4],
    [6, 0.45],
  ] as const)
    assert.ok(
      points.some((point) => point.startsWith(`OPSD, step ${step}: ${share.toPrecision(3)} [`)),
      `${step}: ${points.filter((point) => point.startsWith('OPSD, step')).join('; ')}`,
    )
  assert.deepEqual(rowsOf(page, 'Prior against').at(-1)?.slice(1), ['0.000[0.000, 0.000]', 'non-inferior'])
  const byBase = rowsOf(page, 'Score less OPSD')
  assert.deepEqual(byBase[0], ['Arm', 'base 1', 'base 3', 'base 4'])
  assert.deepEqual(
    byBase
      .at(-1)
      ?.slice(1)
      .map((cell) => cell.replace(/\[.*/, '')),
    ['0.05', '0.15', '0.20'],
  )
  const tried = rowsOf(page, 'Bases that were tried, in order: 3 of 4 accepted')
  assert.deepEqual(tried[2]?.slice(0, 2), ['2', 'rejected: caption/descriptionTruth'])
  assert.deepEqual(tried[0]?.slice(2, 5), ['caption/descriptionTruth', 'question/score', 'question/prior'])
  // An arm of the control that was not run is left out; what was not measured is a dash.
  const control = rowsOf(page, 'Control')
  assert.deepEqual(
    control.map(([, score]) => score),
    ['Score', '0.75', '0.80'],
  )
  assert.deepEqual(
    control.map((row) => row[4]),
    ['Description truth', '–', '1.00'],
  )
  assert.match(textOf(page), /this base broke a rule; it is shown all the same/)
})

test('a teacher that breaks its rules is told of', () => {
  const taught: ExperimentPlan = { ...plan, teacher: { recipe: 'sibling', seed: 1 } }
  const files = compared()
  const said = (accepted: boolean): string => {
    writeBase(files.base('sibling', 1, 'teacher'), { seed: 1, recipe: 'sibling', accepted })
    return textOf(parsePage(comparisonReport(taught, files)))
  }
  assert.match(said(true), /The sibling keeps its own rules\./)
  assert.match(said(false), /The sibling breaks rules of its own, and teaches all the same: question\/score 0\.84 \(0\.85 to 1\)\. 3 bases/)
})

test('diagnoses: means over bases, in percent and degrees; what one of the bases lacks is left out', () => {
  const page = parseXml(`<p>${diagnosisFigures(plan, compared(), [1, 3, 4])?.text}</p>`)
  const [head, row, ...others] = rowsOf(page, 'PALR')
  assert.deepEqual(head?.slice(0, 3), ['Arm', 'description', 'reasoning'])
  // 10, 30 and 40 %: mean 26.7.
  assert.match(row?.[1] ?? '', /^26\.7\[/)
  assert.deepEqual([row?.[0], row?.[2], row?.[3], others.length], ['OPSD', '–', '–', 0])
  // 31, 33 and 34°.
  assert.match(all(page, 'desc').map(textOf).join(), /32\.7/)
  assert.equal(diagnosisFigures({ ...plan, diagnoses: [] }, compared(), [1]), null)
})

test('what was not measured does not break the report', () => {
  const page = parsePage(comparisonReport(plan, compared([null])))
  assert.equal(rowsOf(page, 'Descriptions and form').at(-1)?.[1], '–')
  assert.match(textOf(page), /Not measured on every base: <\/title>/)
  assert.deepEqual(rowsOf(page, 'Description truth less OPSD').at(-1)?.slice(1), ['–', '–', '–'])
  // All arms without a description.
  const files = compared([null])
  for (const seed of [1, 3, 4]) {
    for (const arm of [untrained, 'same-prompt', 'opsd']) {
      for (const step of [null, 2, 4]) writeGrades(files.grades('tempted', seed, arm, step), answersOf(rightOf(4, 8), rightOf(4, 8)))
    }
  }
  const empty = parsePage(comparisonReport(plan, files))
  assert.match(textOf(empty), /Description truth less OPSD\. Not measured on every base: Base, same prompt/)
})

/** A rollout of two tokens. */
const rollout = (id: string, more: Partial<DiagnosedRollout> = {}): DiagnosedRollout => ({
  ...{ id, row: 0, problem: `What is ${hostile}?`, answer: hostile, answerGiven: null, correct: false, valid: true, dependency: null },
  ...{ tokens: [hostile, ' blue'], segments: ['description', 'answer'] },
  palr: { terms: ['perception', 'reference'], shift: [0.03, 0.5], answer: [0, 0], image: [0, 0] },
  ...more,
})

interface DemoNumbers {
  readonly described?: readonly (boolean | null)[]
  readonly palr?: Readonly<Record<string, number | null>>
}

function demonstrated({ described = [true, true, false], palr = { description: 0.05, 'reasoning+answer': 0.25 } }: DemoNumbers = {}): string {
  const folder = newFolder()
  const files = demoFiles(folder)
  for (const [name, right] of [
    ['base', 6],
    ['opsd', 7],
    ['vigos', 15],
  ] as const) {
    writeGrades(files.grades[name], answersOf(rightOf(right, 20), rightOf(19, 20), name === 'base' ? [null, false, false] : described))
  }
  const rollouts = [rollout('a'), rollout('b', { valid: false, palr: null, correct: true })]
  writeJson(files.diagnoses.before, diagnosisOf({ palr, rollouts }))
  // The student of OPSD stopped early: it has fewer rollouts.
  writeJson(
    files.diagnoses.opsd,
    diagnosisOf({
      palr: { ...palr, all: 0.5 },
      rollouts: [rollout('a', { palr: { ...rollout('a').palr, terms: ['privileged', null] } as DiagnosedRollout['palr'] })],
    }),
  )
  writeJson(files.diagnoses.vigos, diagnosisOf({ palr, rollouts }))
  mkdirSync(join(files.asked, 'images'), { recursive: true })
  writeFileSync(join(files.asked, 'images', 'a.png'), Buffer.from('89504e47', 'hex'))
  writeFileSync(join(files.asked, 'samples.jsonl'), ['a', 'b'].map((id) => `${JSON.stringify({ id, images: ['images/a.png'] })}\n`).join(''))
  for (const [run, terms] of [
    [files.runs.opsd, ['privileged']],
    [files.runs.vigos, ['perception', 'reference']],
  ] as const) {
    mkdirSync(run, { recursive: true })
    const line = (step: number): string => {
      // The last term has no tokens in the second step.
      const losses = terms.map((term, i) => [`loss/${term}`, step === 2 && i === 1 ? { sum: 0, count: 0 } : { sum: 0.5 * step, count: 10 }])
      return `${JSON.stringify({ step, metrics: Object.fromEntries([['loss', { sum: 1, count: 1 }], ...losses]) })}\n`
    }
    writeFileSync(join(run, 'metrics.jsonl'), [1, 2, 3].map(line).join(''))
  }
  return folder
}

test('the demonstration’s report and summary hold its numbers', () => {
  const folder = demonstrated()
  const summary = demoSummary(folder, 12.4)
  assert.deepEqual(
    { ...summary, score_gain_low: null, score_gain_high: null },
    {
      ...{ score_before: 6 / 20, score_opsd: 7 / 20, score_vigos: 15 / 20, score_gain_low: null, score_gain_high: null },
      ...{ prior_before: 19 / 20, prior_vigos: 19 / 20, description_truth_opsd: 2 / 3, description_truth_vigos: 2 / 3, seconds: 12 },
      palr: { opsd: { description: 5, 'reasoning+answer': 25, all: 50 }, vigos: { description: 5, 'reasoning+answer': 25 } },
    },
  )
  const { score_gain_low: low, score_gain_high: high } = summary
  // 9 of 20 questions are gained, none is lost: 0.45 ± 1.96 · √(0.45 · 0.55 / 20).
  assert.ok(low !== null && high !== null && Math.abs(low - 0.232) < 0.06 && Math.abs(high - 0.668) < 0.06, `${low} to ${high}`)
  const page = parsePage(demoReport(folder, folder, 12.4))
  assert.equal(all(page, 'script').length, 0)
  assert.match(textOf(page), /12 seconds in all/)
  assert.match(textOf(page), /0\.30 → 0\.75/)
  const results = rowsOf(page, 'What the models answer')
  assert.deepEqual(results[0], ['Measure', 'Base', 'OPSD', 'ViGOS'])
  assert.match(results[1]?.join(' ') ?? '', /^Score 0\.30\[.*\] 0\.35\[.*\] 0\.75\[/)
  assert.match(rowsOf(page, 'Differences')[1]?.join(' ') ?? '', /^Score 0\.45\[.*\] 0\.05\[.*\] 0\.40\[/)
  // Losses: 0.05, 0.10 and 0.15 nats.
  assert.match(charts(page, 'OPSD')[0] ?? '', /privileged.*0\.05.*0\.15/)
  assert.match(charts(page, 'PALR by segment')[0] ?? '', /description OPSD 5 \[5, 6\], ViGOS 5 \[5, 6\]; reasoning\+answer OPSD 25/)
  const cards = all(page, 'article', 'rollout')
  assert.deepEqual(
    cards.map((card) => all(card, 'h4').map(textOf)),
    [
      ['before ✗ wrong', 'after OPSD ✗ wrong', 'after ViGOS ✗ wrong'],
      ['before ✓ malformed', 'after ViGOS ✓ malformed'],
    ],
  )
  assert.equal(all(cards[0] as Element, 'img')[0]?.attributes['src'], `data:image/png;base64,${Buffer.from('89504e47', 'hex').toString('base64')}`)
  // What a model writes is text: NUL is shown as its picture, half a character as its replacement.
  assert.equal(all(cards[0] as Element, 'span').map(textOf)[1], hostile.replace('\u0000', '\u2400').replace('\ud800', '\ufffd'))
})

test('without a valid description, and without an active teacher, the demonstration still has a report', () => {
  const folder = demonstrated({ described: [null], palr: { description: null, 'reasoning+answer': 0.2 } })
  const summary = demoSummary(folder, 1)
  assert.deepEqual([summary.description_truth_vigos, summary.description_truth_opsd, summary.palr['vigos']?.['description']], [null, null, null])
  const page = parsePage(demoReport(folder, '/some/base', 1))
  assert.deepEqual(rowsOf(page, 'What the models answer')[4]?.slice(2), ['–', '–'])
  assert.deepEqual(rowsOf(page, 'Differences')[4]?.slice(1), ['–', '–', '–'])
  assert.match(textOf(page), /– and –/)
  assert.match(charts(page, 'PALR by segment')[0] ?? '', /description OPSD –, ViGOS –/)
})
