// Tokens of rollouts divided into segments, worked by hand, and with the tokens of a real byte-level tokenizer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { Tokenizer } from '../../src/processing/tokenizer.ts'
import type { Format } from '../../src/supervision/method.ts'
import { answerText, type Division, divide, positionsOf, type RolloutText } from '../../src/supervision/segments.ts'
import { golden } from '../processing/goldens.ts'

const format: Format = {
  parts: [
    { segment: 'description', open: '<description>', close: '</description>', mayBeEmpty: false },
    { segment: 'reasoning', open: '<think>', close: '</think>', mayBeEmpty: false },
    { segment: 'answer', open: '\\boxed{', close: 'balanced', mayBeEmpty: true },
  ],
}
const prefill = '<description>'
const [eos, pad] = [1, 2]
const options = { stopIds: new Set([eos]), emptyIds: new Set([eos, pad]) }

/** A rollout of tokens that spell themselves; <eos> and <pad> have the ids of these. */
function rolloutOf(tokens: readonly string[], before: string): RolloutText {
  let text = ''
  const spans = tokens.map((token) => {
    const start = text.length
    text += token
    return [start, text.length] as const
  })
  return { prefill: before, text, spans, ids: tokens.map((token) => (token === '<eos>' ? eos : token === '<pad>' ? pad : 9)) }
}

const divided = (tokens: readonly string[], before = prefill, as = format): Division => divide(as, rolloutOf(tokens, before), options)

const letters: Readonly<Record<string, string>> = { description: 'd', reasoning: 'r', answer: 'a', delimiters: 'D', end: 'e', other: 'o' }
const written = ({ segments }: Division): string => segments.map((segment) => letters[segment]).join(' ')

interface Case {
  readonly what: string
  readonly tokens: readonly string[]
  readonly before?: string
  /** A letter for each token, as in `letters`. */
  readonly is: string
  readonly fault?: RegExp
}

const tail = ['<think>', 'r', '</think>', '\\boxed{', 'a', '}']

const cases: readonly Case[] = [
  { what: 'everything as asked', tokens: ['a', ' cat', '</description>', ...tail, '<eos>'], is: 'd d D D r D D a D e' },
  {
    what: 'text between, after, and white space in the contents',
    tokens: ['\n', 'cat', '\n', '</description>', '\n', '<think>', ' ', 'r', '</think>', ' So', ' \\boxed{', '7', '}', '.', '<eos>'],
    is: 'd d d D o D r r D o D a D o e',
  },
  {
    what: 'delimiters in pieces, merged with neighbours: >\\n, .</ and > <',
    tokens: ['cat', '.</', 'desc', 'ription', '> <', 'thi', 'nk', '>\n', 'r', '.</', 'think', '>\n', '\\', 'box', 'ed{', 'a', '}\n', '<eos>'],
    is: 'd D D D D D D D r D D D D D D a D e',
  },
  {
    what: 'a delimiter partly in the prefill',
    before: '<descr',
    tokens: ['ipt', 'ion>', 'cat', '</description>', ...tail],
    is: 'D D d D D r D D a D',
  },
  { what: 'an opening tag in the text', before: '', tokens: ['Well', '<description>', 'cat', '</description>', ...tail], is: 'o D d D D r D D a D' },
  { what: 'content that begins in the prefill', before: '<description>A', tokens: [' cat', '</description>', ...tail], is: 'd D D r D D a D' },
  { what: 'a repeated opening tag is content', tokens: ['<description>', 'c', '</description>', '<think>', ...tail], is: 'd d D D r r D D a D' },
  { what: 'a repeated closing tag is other text', tokens: ['c', '</description>', '</description>', ...tail], is: 'd D o D r D D a D' },
  {
    what: 'a second round of everything is other text',
    tokens: ['c', '</description>', ...tail, '<description>', 'c', '</description>', ...tail],
    is: 'd D D r D D a D o o o o o o o o o',
  },
  {
    what: 'a box in the reasoning is reasoning; the first after it counts',
    tokens: ['c', '</description>', '<think>', '\\boxed{', '1', '}', '</think>', '\\boxed{', '2', '}', '\\boxed{', '3', '}'],
    is: 'd D D r r r D D a D o o o',
  },
  {
    what: 'braces in braces, escaped braces, escaped backslash',
    tokens: ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{', '{1}', '\\{', '\\}', '{', '\\\\', '}', '}', '}'],
    is: 'd D D r D D a a a a a a D o',
  },
  {
    what: 'a box that never closes is passed over',
    tokens: ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{', '{', '\\boxed{', '5', '}'],
    is: 'd D D r D o o D a D',
  },
  { what: 'an empty box', tokens: ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{', '}', '<eos>'], is: 'd D D r D D D e' },
  { what: 'an answer inside a token of its delimiter', tokens: ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{7}'], is: 'd D D r D D' },
  {
    what: 'a stop token and padding in the middle are content',
    tokens: ['c', '<eos>', '</description>', '<think>', '<pad>', 'r', '</think>', '\\boxed{', '<eos>', '}'],
    is: 'd d D D r r D D a D',
  },
  { what: 'only the last token ends', tokens: ['c', '</description>', ...tail, '<eos>', '<eos>'], is: 'd D D r D D a D o e' },
  { what: 'padding does not end', tokens: ['c', '</description>', ...tail, '<pad>'], is: 'd D D r D D a D o' },
  {
    what: 'a token without characters lies before the next one',
    tokens: ['', 'c', '', '</descrip', '', 'tion>', '', '<think>', '', 'r', '</think>', '', '\\boxed{', '', '}', ''],
    is: 'd d D D D D D D r r D D D D D o',
  },
  { what: 'no tokens at all', tokens: [], is: '', fault: /^description: there is no <\/description> after <description>$/ },
  {
    what: 'no opening tag anywhere',
    before: '',
    tokens: ['c', '</description>', ...tail],
    is: 'o o o o o o o o',
    fault: /^description: there is no <description>$/,
  },
  {
    what: 'cut off in the description',
    tokens: ['c', 'd', '</descr', '<eos>'],
    is: 'o o o e',
    fault: /^description: there is no <\/description> after/,
  },
  {
    what: 'no reasoning',
    tokens: ['c', '</description>', '\\boxed{', 'a', '}', '<eos>'],
    is: 'o o o o o e',
    fault: /^reasoning: there is no <think> after the description$/,
  },
  {
    what: 'tags in the wrong order',
    tokens: ['<think>', 'r', '</think>', '</description>', '\\boxed{', 'a', '}'],
    is: 'o o o o o o o',
    fault: /^reasoning: there is no <think> after the description$/,
  },
  {
    what: 'cut off in the reasoning',
    tokens: ['c', '</description>', '<think>', 'r', '\\boxed{', 'a', '}'],
    is: 'o o o o o o o',
    fault: /^reasoning: there is no <\/think> after <think>$/,
  },
  {
    what: 'no box',
    tokens: ['c', '</description>', '<think>', '\\boxed{', '1', '}', '</think>', '7'],
    is: 'o o o o o o o o',
    fault: /^answer: there is no \\boxed\{ after the reasoning$/,
  },
  {
    what: 'cut off in the box',
    tokens: ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{', '{', '}'],
    is: 'o o o o o o o o',
    fault: /^answer: no brace closes \\boxed\{$/,
  },
  {
    what: 'a box whose brace is escaped',
    tokens: ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{', '7\\}'],
    is: 'o o o o o o o',
    fault: /^answer: no brace closes/,
  },
  { what: 'an empty description', tokens: ['</description>', ...tail, '<eos>'], is: 'o o o o o o o e', fault: /^description: no token between/ },
  {
    what: 'a description without a token of its own',
    tokens: ['.</description>', ...tail],
    is: 'o o o o o o o',
    fault: /^description: no token between/,
  },
  {
    what: 'reasoning of stop tokens and padding',
    tokens: ['c', '</description>', '<think>', '<eos>', '<pad>', '</think>', '\\boxed{', '}'],
    is: 'o o o o o o o o',
    fault: /^reasoning: no token between/,
  },
  {
    what: 'content in the prefill alone',
    before: '<description>A cat',
    tokens: ['</description>', ...tail],
    is: 'o o o o o o o',
    fault: /^description: no token between/,
  },
]

test('rollouts worked by hand', () => {
  for (const { what, tokens, before = prefill, is, fault } of cases) {
    const division = divided(tokens, before)
    assert.equal(written(division), is, what)
    assert.equal(division.valid, fault === undefined, what)
    if (fault === undefined) assert.equal(division.fault, null, what)
    else assert.match(division.fault ?? '', fault, what)
    if (fault !== undefined) assert.deepEqual([division.texts, division.places], [{}, {}], what)
  }
})

test('texts, places and positions by hand', () => {
  const division = divided(['cat', '.</', 'description>\n', '<think>\n', 'r', 's', '</think>', ' \\boxed{', '{1}', '}.', '<eos>'], '<description>A ')
  assert.deepEqual(division.texts, { description: 'A cat.', reasoning: '\nrs', answer: '{1}' })
  assert.deepEqual(division.places, { description: { from: 0, through: 3 }, reasoning: { from: 4, through: 7 }, answer: { from: 8, through: 10 } })
  assert.equal(written(division), 'd D D D r r D D a D e')
  assert.deepEqual(positionsOf(division, 'reasoning'), [4, 5])
  assert.deepEqual(positionsOf(division, ['answer', 'description', 'answer']), [0, 8])
  assert.deepEqual(positionsOf(division, ['delimiters', 'end']), [1, 2, 3, 6, 7, 9, 10])
  assert.deepEqual(positionsOf(division, 'other'), [])
  // The released code's reading: from after <think> through the brace that closes the box.
  assert.deepEqual(positionsOf(division, { from: 'reasoning', through: 'answer' }), [4, 5, 6, 7, 8, 9])
  assert.deepEqual(positionsOf(division, { from: 'reasoning', through: 'reasoning' }), [4, 5, 6])
  assert.deepEqual(positionsOf(division, 'all'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  assert.deepEqual(positionsOf(division, ['reasoning', 'all']), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

test('a whole part in the prefill has no tokens', () => {
  const lenient: Format = { parts: format.parts.map((part) => ({ ...part, mayBeEmpty: true })) }
  const division = divided(['r', '</think>', '\\boxed{', 'a', '}'], '<description>A cat</description><think>', lenient)
  assert.equal(written(division), 'r D D a D')
  assert.deepEqual(division.texts, { description: 'A cat', reasoning: 'r', answer: 'a' })
  assert.deepEqual(division.places, { description: { from: 0, through: 0 }, reasoning: { from: 0, through: 2 }, answer: { from: 3, through: 5 } })
})

test('an answer must have a token unless it may be empty', () => {
  const strict: Format = { parts: format.parts.map((part) => ({ ...part, mayBeEmpty: false })) }
  const before = ['c', '</description>', '<think>', 'r', '</think>', '\\boxed{']
  assert.equal(divided([...before, '}'], prefill, strict).fault, 'answer: no token between its delimiters')
  assert.ok(divided([...before, '7', '}'], prefill, strict).valid)
})

test('tokens that share a character', () => {
  // An emoji over two tokens, between delimiters that are emoji over two tokens.
  const emoji: Format = { parts: [{ segment: 'answer', open: '🟢', close: '🔴', mayBeEmpty: false }] }
  const spans = [
    [0, 2],
    [0, 2],
    [2, 4],
    [2, 4],
    [4, 6],
    [4, 7],
    [7, 8],
  ] as const
  const division = divide(emoji, { prefill: '', text: '🟢😀🔴!?', spans, ids: [9, 9, 9, 9, 9, 9, eos] }, options)
  assert.equal(written(division), 'D D a a D D e')
  assert.deepEqual([division.texts, division.places], [{ answer: '😀' }, { answer: { from: 2, through: 6 } }])
})

test('a format without parts takes every rollout', () => {
  const division = divided(['a', '<think>', '<eos>'], '', { parts: [] })
  assert.deepEqual(division, { valid: true, fault: null, parts: [], segments: ['other', 'other', 'end'], texts: {}, places: {} })
  assert.deepEqual(positionsOf(division, 'other'), [0, 1])
  assert.deepEqual(positionsOf(division, 'delimiters'), [])
})

test('an invalid rollout has tokens, but none in parts', () => {
  const division = divided(['c', '</description>', '<eos>'])
  for (const positions of ['description', ['reasoning', 'answer'], 'delimiters', { from: 'reasoning', through: 'answer' }]) {
    assert.deepEqual(positionsOf(division, positions), [])
  }
  assert.deepEqual(positionsOf(division, 'all'), [0, 1, 2])
})

test('what no format makes is refused', () => {
  for (const division of [divided(['c', '</description>', ...tail]), divided(['c'])]) {
    assert.throws(() => positionsOf(division, 'thought'), {
      name: 'ArgumentError',
      message: /makes no segment thought; use one of description, reasoning, answer, all, /,
    })
    assert.throws(() => positionsOf(division, ['answer', 'thought']), ArgumentError)
    assert.throws(() => positionsOf(division, { from: 'thought', through: 'answer' }), ArgumentError)
    assert.throws(() => positionsOf(division, { from: 'reasoning', through: 'thought' }), ArgumentError)
    assert.throws(() => positionsOf(division, { from: 'answer', through: 'reasoning' }), /no range leads from answer through reasoning/)
    assert.throws(() => positionsOf(division, { from: 'reasoning', through: 'end' }), ArgumentError)
  }
})

test('spans that are not those of the ids are refused', () => {
  const wrong = (spans: RolloutText['spans'], ids: readonly number[]) => () => divide(format, { prefill, text: 'cat', spans, ids }, options)
  assert.throws(wrong([[0, 3]], [9, 9]), { name: 'ArgumentError', message: /2 ids and 1 spans/ })
  for (const spans of [[[0, 4]], [[2, 1]], [[-1, 1]], [[Number.NaN, 1]]] as const) assert.throws(wrong(spans, [9]), ArgumentError)
  assert.throws(
    wrong(
      [
        [1, 3],
        [0, 1],
      ],
      [9, 9],
    ),
    /span 1 is 0 to 1, after one from 1, in 3 characters/,
  )
})

test('tokens of a real tokenizer', async () => {
  const tokenizer = await Tokenizer.open(golden('qwen2_5_vl'))
  const text = ' A red car 😀.</description>\n<think>\nSo 😀 it is.</think>\n\\boxed{\\frac{1}{2}}\n<|im_end|>'
  const ids = tokenizer.encode(text)
  const stop = tokenizer.idOf('<|im_end|>')
  const { spans } = tokenizer.offsets(ids)
  const division = divide(format, { prefill, text, spans, ids }, { stopIds: new Set([stop]), emptyIds: new Set([stop]) })
  assert.deepEqual(division.texts, { description: ' A red car 😀.', reasoning: '\nSo 😀 it is.', answer: '\\frac{1}{2}' })
  const of = (positions: Parameters<typeof positionsOf>[1]): string =>
    tokenizer.decode(positionsOf(division, positions).map((at) => ids[at] as number))
  assert.equal(of('description'), ' A red car 😀.')
  assert.equal(of('reasoning'), '\nSo 😀 it is.')
  assert.equal(of('answer'), '\\frac{1}{2}')
  // The vocabulary has a token of brace and line break: it carries the brace that closes the box.
  assert.equal(of('delimiters'), '</description><think></think>\\boxed{}\n')
  assert.equal(of('end'), '<|im_end|>')
  assert.equal(of({ from: 'reasoning', through: 'answer' }), '\nSo 😀 it is.</think>\n\\boxed{\\frac{1}{2}}\n')
  assert.equal(of('other'), '\n\n')
})

test('where the final answer is looked for', () => {
  const looked = (text: string, as = format, before = prefill) => answerText(as, { prefill: before, text })
  const box = (text: string) => ({ text, bare: true })
  const rest = (text: string) => ({ text, bare: false })
  assert.deepEqual(looked('\\boxed{7}</description><think>\\boxed{8}</think> so \\boxed{9}, or \\boxed{10}'), box('9'))
  // A box in a description or in thoughts is no answer, though no other comes.
  assert.deepEqual(looked(' I see \\boxed{7}</description><think>so it is 3</think> 3'), rest(' 3'))
  assert.deepEqual(looked(' I see \\boxed{7}</description> then \\boxed{3}'), rest(' then \\boxed{3}'))
  // Without any part all is looked at; with an empty part, hence invalid, the box is still the answer.
  assert.deepEqual(looked('\\boxed{3}'), rest('<description>\\boxed{3}'))
  assert.deepEqual(looked('</description><think></think>\\boxed{{3}}'), box('{3}'))
  const tagged: Format = { parts: [{ segment: 'answer', open: '<answer>', close: '</answer>', mayBeEmpty: false }] }
  assert.deepEqual(looked('<answer>four</answer> \\boxed{5}', tagged, ''), box('four'))
  const thinking: Format = { parts: [{ segment: 'thoughts', open: '<think>', close: '</think>', mayBeEmpty: false }] }
  assert.deepEqual(looked('\\boxed{1}</think>\\boxed{2}', thinking, '<think>'), rest('\\boxed{2}'))
  assert.deepEqual(looked('\\boxed{1} \\boxed{2}', { parts: [] }, ''), rest('\\boxed{1} \\boxed{2}'))
})

test('braces that nothing closes, one in another, behind backslashes', () => {
  const answer = (text: string): string | undefined => divided(['d', '</description><think>', 't', '</think>', text]).texts['answer']
  assert.equal(answer('\\boxed{\\boxed{a}'), 'a')
  assert.equal(answer('\\boxed{x\\boxed{a}}'), 'x\\boxed{a}')
  assert.equal(answer('\\boxed{{ \\boxed{ \\} \\boxed{b}'), 'b')
  // Read from the first place, the second backslash stands alone: what follows it is out of the count.
  assert.equal(answer('\\boxed{a\\\\}b}'), 'a\\\\')
  assert.equal(answer('\\boxed{a\\\\\\}b}'), 'a\\\\\\}b')
  assert.equal(answer('\\boxed{a\\'), undefined)
})

test('a model that repeats what opens a part, tens of thousands of times, costs one pass', () => {
  for (const [before, open] of [
    ['<description>d</description><think>t</think>', '\\boxed{'],
    ['<description>d</description>', '<think>'],
  ] as const) {
    const tokens = new Array<string>(60_000).fill(open)
    const rollout = rolloutOf(tokens, before)
    const started = performance.now()
    assert.equal(divide(format, rollout, options).valid, false)
    assert.equal(answerText(format, rollout).bare, false)
    // Looked for anew from each of them it takes a minute.
    assert.ok(performance.now() - started < 5000)
  }
})
