// Modes: what is put around a problem, which answers have the form, and where the final answer is looked for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, finalText, formOf, modeNames, modes, type Prompting, promptingOf, segmentsOf } from '../../src/evaluation/modes.ts'
import { presetNames, presets } from '../../src/evaluation/presets.ts'

const bare = { prefill: null, wording: null } as const

test('the papers’ prompts, with their prefill where they have one', () => {
  const plain = promptingOf({ mode: 'plain', ...bare })
  assert.deepEqual(plain, {
    ...{ mode: 'plain', system: null, prefill: '' },
    user: '{problem}\n\nReason step by step, then give the answer, one word or phrase, in \\boxed{}.',
  })
  // Nothing of a problem is taken for a place or for a pattern of replacement.
  assert.equal(asked({ ...plain, user: '{problem}?' }, '$& {problem}'), '$& {problem}?')
  assert.equal(promptingOf({ mode: 'structured', ...bare }).prefill, '<description>')
  assert.equal(promptingOf({ mode: 'structured', wording: null, prefill: false }).prefill, '')
  const reason = promptingOf({ mode: 'reason', ...bare })
  assert.deepEqual([reason.prefill, reason.user, reason.system?.includes('<reason>')], ['', '{problem}', true])
  assert.equal(promptingOf({ mode: 'reason', wording: null, prefill: true }).prefill, '<reason>')
  assert.throws(() => promptingOf({ mode: 'plain', wording: null, prefill: true }), /the mode plain begins with no tag/)
})

test('a configuration words what it words, and no more', () => {
  const nano = promptingOf({ mode: 'structured', prefill: null, wording: 'nano' })
  assert.deepEqual(nano, { mode: 'structured', system: null, user: '{problem} Describe, think, answer.', prefill: '<description>' })
  assert.throws(() => promptingOf({ mode: 'plain', prefill: null, wording: 'nano' }), /words no prompt "plain", but structured, reason/)
  assert.throws(() => promptingOf({ mode: 'plain', prefill: null, wording: 'nothing-such' }), /nothing-such/)
})

test('the form counts the prefill, and an answer of another form is told so', () => {
  const structured = promptingOf({ mode: 'structured', ...bare })
  const valid = (prompting: Prompting, text: string): boolean => formOf(prompting, text).valid
  assert.equal(valid(structured, 'a cat</description> <think>so</think> \\boxed{2}'), true)
  assert.equal(valid({ ...structured, prefill: '' }, 'a cat</description> <think>so</think> \\boxed{2}'), false)
  assert.equal(valid(structured, 'a cat</description> <think>so</think> 2'), false)
  assert.equal(valid(structured, 'a cat</description> <think></think> \\boxed{2}'), false)
  assert.equal(valid(structured, ''), false)
  const plain = promptingOf({ mode: 'plain', ...bare })
  assert.deepEqual([valid(plain, 'So \\boxed{{2}}.'), valid(plain, 'So 2.'), valid(plain, 'So \\boxed{2')], [true, false, false])
  assert.deepEqual(segmentsOf('reason'), ['reasoning', 'answer'])
  // Each character has its part.
  const text = '<reason>ab</reason>\\boxed{c}'
  const { segments } = formOf(promptingOf({ mode: 'reason', ...bare }), text)
  const parts = ['reasoning', 'answer'].map((part) => [...text].filter((_, i) => segments[i] === part).join(''))
  assert.deepEqual(parts, ['ab', 'c'])
})

test('the final answer is looked for after the parts before it', () => {
  const structured = promptingOf({ mode: 'structured', ...bare })
  const cases = [
    ['a \\boxed{1}</description><think>\\boxed{2}</think> \\boxed{3}', ' \\boxed{3}'],
    // The thoughts do not end: what follows the description is all there is.
    ['a \\boxed{1}</description><think>\\boxed{2}', '<think>\\boxed{2}'],
    ['never closed \\boxed{1}', '<description>never closed \\boxed{1}'],
    ['a</description><think>b</think>', ''],
  ] as const
  for (const [text, final] of cases) assert.equal(finalText(structured, text), final, text)
  const plain = promptingOf({ mode: 'plain', ...bare })
  assert.equal(finalText(plain, 'first \\boxed{1}, no: \\boxed{2}'), 'first \\boxed{1}, no: \\boxed{2}')
})

test('presets name modes that exist, and draw only where several answers are wanted', () => {
  assert.deepEqual(Object.keys(presets), presetNames)
  assert.deepEqual(Object.keys(modes), modeNames)
  for (const { settings } of Object.values(presets)) {
    assert.equal(settings.samples > 1, settings.temperature > 0)
    promptingOf({ mode: settings.mode, prefill: settings.prefill, wording: null })
  }
  // As scripts/eval_vigos.sh of the published code has them.
  const { temperature, topP, topK, maxTokens, samples, seed } = presets.vigos.settings
  assert.deepEqual([temperature, topP, topK, maxTokens, samples, seed], [1, 0.9, 50, 4096, 5, 42])
})
