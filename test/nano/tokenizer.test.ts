// The nano tokenizer: words are tokens, everything else survives in bytes, and ids depend on the words alone.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ColdStart } from '../../src/data/worlds/prior/cold-start.ts'
import { lessonsOf } from '../../src/nano/lessons.ts'
import { type NanoTokenizer, nanoTokenizer, specialTokens } from '../../src/nano/tokenizer.ts'
import { Tokenizer } from '../../src/processing/tokenizer.ts'
import { random } from '../support.ts'

const mix: ColdStart = {
  ...{ captions: 0.2, questions: 0.4, references: 0.4, blind: 0, blindPrior: 0.5, prior: 0.5, referencePrior: 0.5, belief: 0.5 },
  ...{ malformed: 0.2, malformedWithReference: 0.2, wrongReference: 0.2 },
}
const textsOf = (seed: number, count: number): string[] =>
  [...lessonsOf('questions', { seed, count, mix, sides: { scene: 56, figure: 112 } })].flatMap(({ problem, solution }) => [problem, solution])

async function opened({ files }: NanoTokenizer): Promise<Tokenizer> {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-nano-'))
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    return await Tokenizer.open(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Words of plain English with the sign or space before them, digits one by one, signs in runs; written anew for texts like these. */
const piecesOf = (text: string): string[] => text.match(/[^A-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^A-Za-z0-9\s]+|\s+/g) ?? []

const made = nanoTokenizer(textsOf(1, 2500))
const tokenizer = await opened(made)

test('every word of lessons that were not looked at is one token', () => {
  for (const text of textsOf(2, 800)) {
    const ids = tokenizer.encode(text)
    assert.deepEqual(
      Array.from(ids, (id) => tokenizer.decode([id])),
      piecesOf(text),
    )
  }
})

test('a prompt spends one token on who speaks', () => {
  const text = '<|im_start|>user\nIs the key big?<|im_end|>\n<|im_start|>assistant\n'
  const found = Array.from(tokenizer.encode(text), (id) => tokenizer.decode([id]))
  assert.deepEqual(found, ['<|im_start|>', 'user', '\n', 'Is', ' the', ' key', ' big', '?', '<|im_end|>', '\n', '<|im_start|>', 'assistant', '\n'])
})

test('any text survives, words or not', () => {
  const next = random(3)
  const known = [
    'banana',
    ' big',
    '\n\n',
    '<description>',
    '\\boxed{',
    "'S",
    ' 12',
    '\t ',
    '日本',
    '👩‍🚀',
    '\u0301',
    'é',
    'ﬁ',
    '\0',
    '\u2028',
    '<|im_end|>',
  ]
  for (let i = 0; i < 400; i++) {
    const parts = Array.from({ length: 1 + Math.floor(next() * 12) }, () => {
      if (next() < 0.6) return known[Math.floor(next() * known.length)] as string
      const code = Math.floor(next() * (next() < 0.5 ? 0x250 : 0x110000))
      return code >= 0xd800 && code < 0xe000 ? '?' : String.fromCodePoint(code)
    })
    // The tokenizer composes what Unicode composes; nothing else changes.
    const text = parts.join('').normalize('NFC')
    const ids = tokenizer.encode(text)
    assert.equal(tokenizer.decode(ids), text)
    assert.ok(ids.every((id) => id >= 0 && id < made.size))
    const plain = tokenizer.encode(text, { special: 'asText' })
    assert.equal(tokenizer.decode(plain), text)
    assert.ok(plain.every((id) => !tokenizer.isSpecial(id)))
  }
})

test('ids depend on the set of words alone, not on order, repetition or form of Unicode', () => {
  const texts = textsOf(4, 300)
  const [files, others] = [nanoTokenizer(texts), nanoTokenizer([...texts].reverse().concat(texts.slice(0, 20)))]
  assert.deepEqual(others, files)
  assert.notDeepEqual(nanoTokenizer([...texts, 'zebra']), files)
  assert.deepEqual(nanoTokenizer(['caf\u00e9']), nanoTokenizer(['cafe\u0301']))
})

test('bytes come first, special tokens last, each with an id of its own', () => {
  const tokens = JSON.parse(made.files['tokenizer.json'] as string).model.vocab as Record<string, number>
  const ids = Object.values(tokens).sort((a, b) => a - b)
  assert.deepEqual(
    ids,
    ids.map((_, i) => i),
  )
  assert.equal(made.size, ids.length + 7)
  assert.equal(tokenizer.vocabularySize, made.size)
  for (let byte = 0; byte < 128; byte++) assert.ok(tokenizer.encode(String.fromCharCode(byte)).every((id) => id < 256))
  for (const [name, text] of Object.entries(specialTokens)) {
    const id = made.ids[name as keyof typeof specialTokens]
    assert.deepEqual([...tokenizer.encode(`Is${text} big`)].slice(1, -1), [id])
    assert.ok(id >= ids.length && tokenizer.isSpecial(id))
    assert.equal(tokenizer.decode([id], { skipSpecial: true }), '')
  }
  assert.equal(tokenizer.namedTokens['eos_token'], '<|im_end|>')
  assert.equal(tokenizer.namedTokens['pad_token'], '<|endoftext|>')
})
