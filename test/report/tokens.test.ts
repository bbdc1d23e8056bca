// Rollouts keep every character, say their numbers, and are coloured by what their tokens are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageSource, type ReportToken, rolloutCard, type TokenStyle, tokenLegend, tokenText } from '../../src/report/tokens.ts'
import { all, only, parseXml, textOf } from './xml.ts'

const style: TokenStyle = { segments: ['description', 'reasoning', 'answer'], teachers: ['perception', 'reasoning'], ground: 'segment' }

const token = (text: string, more: Partial<ReportToken> = {}): ReportToken => ({
  text,
  segment: 'description',
  teacher: null,
  loss: null,
  clipped: false,
  gate: 1,
  ...more,
})

const shown = (tokens: readonly ReportToken[], how = style) => only(parseXml(`<p>${tokenText(tokens, how).text}</p>`), 'div', 'tokens')
const classes = (one: ReportToken, how = style): string[] => (all(shown([one], how), 'span')[0]?.attributes['class'] ?? '').split(' ')

test('what is copied out of a rollout is the rollout', () => {
  const texts = [
    '<description>',
    ' a',
    '  b',
    '\n',
    '\n\n',
    '\t\tx ',
    ' ',
    '',
    '</think>',
    '"q" & \'r\'',
    '🍌',
    '   ',
    'é\n y',
    '<script>alert(1)</script>',
  ]
  const root = shown(texts.map((text) => token(text)))
  assert.equal(textOf(root), texts.join(''))
  assert.deepEqual(all(root, 'span').map(textOf), texts)
  // Marks where a reader would see nothing: 4 line breaks, 2 tabs, 2 + 1 + 1 + 3 spaces, one empty token.
  const marks = (name: string): number => all(root, 'i', name).length
  assert.deepEqual([marks('nl'), marks('tab'), marks('sp'), marks('none')], [4, 2, 7, 1])
})

test('the ground is the segment, the line the teacher and its weight the loss', () => {
  assert.deepEqual(classes(token('x', { segment: 'reasoning', teacher: 'reasoning', loss: 0.06 })), ['b1', 'u4', 'w2'])
  assert.deepEqual(classes(token('x', { teacher: 'perception', loss: 0.3, clipped: true })), ['b0', 'u3', 'w3', 'cl'])
  assert.deepEqual(classes(token('x', { teacher: 'perception', loss: 0, gate: 0 })), ['b0', 'u3', 'w0', 'shut'])
  assert.deepEqual(classes(token('</think>', { segment: 'delimiters' })), ['g'])
  const widthOf = (loss: number): string | undefined => classes(token('x', { teacher: 'perception', loss }))[2]
  assert.deepEqual([0.0099, 0.01, 0.0499, 0.05, 0.2, 0.99, 1, 50].map(widthOf), ['w0', 'w1', 'w1', 'w2', 'w3', 'w3', 'w4', 'w4'])
})

test('the ground can be the share of the image instead', () => {
  const how: TokenStyle = { ...style, ground: 'imageShare' }
  const ground = (imageShare: number): string | undefined => classes(token('x', { imageShare }), how)[0]
  assert.deepEqual([0, 0.04, 0.06, 0.5, 1].map(ground), ['m0', 'm0', 'm1', 'm5', 'm10'])
  assert.deepEqual(classes(token('x'), how), [''])
})

test('the tooltip has the token and its numbers', () => {
  const title = (one: ReportToken): string | undefined => all(shown([one]), 'span')[0]?.attributes['title']
  assert.equal(
    title(token(' "a"\n', { teacher: 'perception', loss: 0.0312, clipped: true, gate: 0.5, imageShare: 0.724 })),
    '" \\"a\\"\\n" · description · teacher perception · loss 0.0312 · at its bound · weight × 0.500 · 72 % from the image',
  )
  assert.equal(title(token('x', { segment: 'end' })), '"x" · end · no teacher')
})

test('numbers and teachers that are none are refused by the token', () => {
  assert.throws(() => tokenText([token('a'), token('b', { loss: Number.NaN })], style), /token 1 \("b"\): loss is NaN/)
  assert.throws(() => tokenText([token('b', { gate: Infinity })], style), /gate is Infinity/)
  assert.throws(() => tokenText([token('b', { imageShare: 1.1 })], style), /imageShare is 1.1/)
  assert.throws(() => tokenText([token('b', { teacher: 'nobody' })], style), /the teacher "nobody"; the style names perception, reasoning/)
})

test('the legend names all segments, teachers and steps', () => {
  const text = textOf(parseXml(tokenLegend(style).text))
  for (const word of [...style.segments, 'teacher: perception', 'teacher: reasoning', '0.01', '0.05', '0.2', '1', 'at its bound'])
    assert.ok(text.includes(word), word)
  assert.match(textOf(parseXml(tokenLegend({ ...style, ground: 'imageShare' }).text)), /driven by the answer .* by the image/)
  assert.doesNotMatch(textOf(parseXml(tokenLegend({ ...style, teachers: [] }).text)), /loss/)
})

test('a card holds image, question, answer and its rollouts in order', () => {
  const source = imageSource(new Uint8Array([137, 80, 78, 71]), 'image/png')
  assert.equal(source, 'data:image/png;base64,iVBORw==')
  const rollouts = [
    { label: 'Before', verdict: 'yellow', right: false, tokens: [token('yellow')] },
    { label: 'After', verdict: 'blue', right: true, tokens: [token('blue')] },
    { label: 'Open', verdict: 'none', right: null, tokens: [] },
  ]
  const root = parseXml(
    rolloutCard({ image: { source, alt: 'A <b>', pixelated: true }, problem: 'Which <colour>?', answer: '"blue"', rollouts, style }).text,
  )
  const { src, alt, class: shape } = only(root, 'img').attributes
  assert.deepEqual([src, alt, shape], [source, 'A <b>', 'pixels'])
  assert.equal(textOf(only(root, 'p', 'problem')), 'Which <colour>?')
  assert.deepEqual(all(root, 'h4').map(textOf), ['Before ✗ yellow', 'After ✓ blue', 'Open none'])
  assert.deepEqual(all(root, 'div', 'tokens').map(textOf), ['yellow', 'blue', ''])
  for (const address of ['https://example.org/a.png', 'data:image/svg+xml;base64,AAAA', 'javascript:alert(1)', 'data:text/html;base64,AAAA']) {
    assert.throws(() => rolloutCard({ image: { source: address, alt: 'a' }, problem: '', answer: '', rollouts, style }), /expected a data address/)
  }
})
