// The presets as data: what the papers print of each method, with every default in it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { methods } from '../../src/methods/registry.ts'
import { vgs } from '../../src/methods/vgs.ts'
import { vigos } from '../../src/methods/vigos.ts'
import { usedViews } from '../../src/supervision/check.ts'
import type { Method } from '../../src/supervision/method.ts'

const view = { prompt: null, prefill: '', reads: 'all' } as const
const distill = { kind: 'distill', student: 'student', over: 'vocabulary', temperature: 1, gates: null, clip: null, weight: 1 } as const
const clip = { token: 0.05, first: null, last: null, how: 'clamp' } as const

test('ViGOS is the table that its paper prints', () => {
  const { prompts, ...rest } = vigos
  assert.deepEqual(Object.keys(prompts), ['structured', 'reasonWithReference', 'fullFormatWithReference'])
  const sighted = ['image', 'problem', 'reference']
  assert.deepEqual(rest, {
    ...{ name: 'vigos', source: 'arXiv 2606.19120', rollout: { by: 'student', view: 'student' }, dependency: null, ema: null, scale: 1 },
    format: {
      parts: [
        { segment: 'description', open: '<description>', close: '</description>', mayBeEmpty: false },
        { segment: 'reasoning', open: '<think>', close: '</think>', mayBeEmpty: false },
        { segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true },
      ],
    },
    views: {
      student: { ...view, weights: 'student', sees: ['image', 'problem'], prompt: 'structured', prefill: '<description>' },
      perception: { ...view, weights: 'base', sees: ['image'], prefill: '<description>' },
      reasoning: { ...view, weights: 'base', sees: sighted, prompt: 'reasonWithReference', prefill: '<think>' },
      reference: { ...view, weights: 'base', sees: sighted, prompt: 'fullFormatWithReference', prefill: '<description>' },
    },
    terms: {
      perception: {
        ...distill,
        on: { valid: 'description' },
        mean: 'tokens',
        target: 'perception',
        divergence: 'forwardKl',
        clip: { ...clip, last: 0.05 },
      },
      reasoning: {
        ...distill,
        on: { valid: ['reasoning', 'answer'] },
        mean: 'tokens',
        target: 'reasoning',
        divergence: 'forwardKl',
        clip: { ...clip, first: 0.05 },
      },
      reference: { ...distill, on: { invalid: 'all' }, mean: 'tokens', target: 'reference', divergence: 'reverseKl', weight: 2, clip },
    },
  })
})

test('VGS is the table that its paper prints', () => {
  const { prompts, ...rest } = vgs
  assert.deepEqual([Object.keys(prompts), prompts['reason']?.user], [['reason'], '{problem}'])
  const seen = { ...view, sees: ['image', 'problem'], prompt: 'reason' }
  const blind = { ...view, sees: ['problem'], prompt: 'reason' }
  const reverse = { ...distill, on: 'all', mean: 'responses', divergence: 'reverseKl' }
  assert.deepEqual(rest, {
    ...{ name: 'vgs', source: 'arXiv 2606.00564', rollout: { by: 'student', view: 'student' }, ema: null, scale: 0.41 },
    format: {
      parts: [
        { segment: 'reasoning', open: '<reason>', close: '</reason>', mayBeEmpty: false },
        { segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true },
      ],
    },
    views: {
      student: { ...seen, weights: 'student' },
      studentBlind: { ...blind, weights: 'student' },
      teacher: { ...seen, weights: 'teacher' },
      teacherBlind: { ...blind, weights: 'teacher' },
    },
    dependency: { sighted: 'teacher', blind: 'teacherBlind' },
    terms: {
      standard: { ...reverse, target: 'teacher' },
      visual: {
        ...{ ...reverse, weight: 2 },
        target: {
          sum: [
            { view: 'studentBlind', times: 1, gradient: 'stopped' },
            { view: 'teacher', times: 1, gradient: 'stopped' },
            { view: 'teacherBlind', times: -1, gradient: 'stopped' },
          ],
        },
      },
      preservation: { ...reverse, student: 'studentBlind', target: 'teacherBlind', weight: 0.01, gates: [{ above: 0.7, factor: 1 }] },
    },
  })
})

test('the other presets have what the papers print of them', () => {
  const of = (name: string): Method => methods.get(name) ?? assert.fail(name)
  const weights = (name: string): unknown => Object.fromEntries(Object.entries(of(name).terms).map(([term, { weight }]) => [term, weight]))
  assert.deepEqual(weights('grpo-opd'), { correctness: 0.7, standard: 0.3 })
  assert.deepEqual(weights('grpo-vgs'), { correctness: 0.7, standard: 0.3, visual: 0.6, preservation: 0.3 * 0.01 })
  assert.deepEqual(weights('language-steering'), { standard: 1, language: 2, visualPreservation: 0.01 })
  assert.deepEqual([of('opd').scale, of('grpo-vgs').scale, of('adaptive-vgs').scale], [1, 1, 0.41])
  assert.deepEqual(of('language-steering').scale, { keep: ['standard'], under: ['standard', 'language'], every: 10 })
  assert.deepEqual(of('grpo').terms['correctness'], {
    ...{ kind: 'reinforce', student: 'student', on: 'all', mean: 'responses', weight: 1, rewards: { correct: 1 }, advantage: 'group' },
    ratioClip: { low: 0.2, high: 0.2 },
  })
  assert.deepEqual(of('opsd').format, { parts: [{ segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true }] })
  assert.deepEqual(of('opsd-ema').ema, { decay: 0.999 })
  assert.deepEqual(
    [of('seqkd').rollout, of('sft').rollout],
    [
      { by: 'teacher', view: 'teacher' },
      { by: 'data', view: 'student' },
    ],
  )
  assert.deepEqual(of('sft').prompts, { bare: { system: null, user: '{problem}' } })
  const { privileged } = of('opsd-top-k').terms
  assert.deepEqual(privileged?.kind === 'distill' && privileged.over, { topK: 100, of: 'target', tail: true })
  const views = (name: string): string[] => [...usedViews(of(name)).keys()]
  assert.deepEqual(views('vigos-no-reference'), ['student', 'perception', 'reasoning'])
  assert.deepEqual(views('vigos-privileged-description'), ['student', 'reasoning', 'reference'])
  assert.deepEqual(views('vigos-description-only'), ['student', 'perception'])
  assert.deepEqual(of('opsd-same-prompt').views['privileged'], { ...vigos.views['reference'] })
})
