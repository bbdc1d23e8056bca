// Token ids, bytes and spans against Hugging Face's tokenizers, and against TextDecoder on random ids.

import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { characterAt } from '../../src/processing/byte-level.ts'
import { Tokenizer } from '../../src/processing/tokenizer.ts'
import { random } from '../support.ts'
import { families, golden, readGolden } from './goldens.ts'

interface Row {
  readonly text: string
  readonly ids: number[]
  readonly asText: number[]
  readonly reversed: string
  readonly skipped: string
}

const rows = readGolden<readonly Row[]>('tokens.json')
const tokenizer = await Tokenizer.open(golden('qwen2_5_vl'))

/** WHATWG's decoder, which is no code of ours. */
function utf8(bytes: readonly number[]): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
}

test(`ids and decoding of ${rows.length} hard texts equal the reference in both families`, async () => {
  for (const family of families) {
    const own = await Tokenizer.open(golden(family))
    for (const { text, ids, asText, reversed, skipped } of rows) {
      assert.deepEqual([...own.encode(text)], ids, text)
      assert.deepEqual([...own.encode(text, { special: 'asText' })], asText, text)
      assert.equal(own.decode(ids), text.normalize('NFC'))
      assert.equal(own.decode(ids.toReversed()), reversed)
      assert.equal(own.decode(ids, { skipSpecial: true }), skipped)
    }
  }
})

test('special tokens in text are control tokens or spelled out, as asked', () => {
  const end = tokenizer.idOf('<|im_end|>')
  assert.deepEqual([...tokenizer.encode('<|im_end|>')], [end])
  const spelled = tokenizer.encode('a<|im_end|>b<think>', { special: 'asText' })
  assert.ok(spelled.every((id) => id < tokenizer.idOf('<|endoftext|>')))
  assert.equal(tokenizer.decode(spelled), 'a<|im_end|>b<think>')
  assert.ok(tokenizer.isSpecial(end))
  assert.ok(!tokenizer.isSpecial(tokenizer.idOf('<think>')))
  assert.ok(!tokenizer.isSpecial(511))
  assert.equal(tokenizer.vocabularySize, 498)
})

test('bytes, text, spans and streams agree for random ids', () => {
  const next = random(1)
  const wholeBytes = Array.from({ length: 256 }, (_, i) => i).filter((id) => tokenizer.bytesOf(id).length === 1)
  for (let trial = 0; trial < 3000; trial++) {
    // Single bytes make broken and whole characters of every length; beyond 498 are ids without a token.
    const ids = Array.from({ length: Math.floor(next() * 24) }, () =>
      next() < 0.6 ? (wholeBytes[Math.floor(next() * wholeBytes.length)] as number) : Math.floor(next() * 512),
    )
    const parts = ids.map((id) => [...tokenizer.bytesOf(id)])
    const bytes = parts.flat()
    const text = utf8(bytes)
    assert.equal(tokenizer.decode(ids), text)
    const stream = tokenizer.textStream()
    assert.equal(ids.map((id) => stream.push(id)).join('') + stream.end(), text)
    const offsets = tokenizer.offsets(ids)
    assert.equal(offsets.text, text)
    let at = 0
    for (const [i, [start, end]] of offsets.spans.entries()) {
      const length = (parts[i] as number[]).length
      assert.ok(start <= end && end <= text.length)
      // Bytes before a boundary decode to the text before it; a span is the shortest range of whole characters around the token.
      const boundaries = characterStarts(bytes)
      const first = boundaries.findLast((boundary) => boundary <= at) ?? 0
      const last = boundaries.find((boundary) => boundary >= at + length) ?? bytes.length
      assert.equal(start, utf8(bytes.slice(0, first)).length)
      if (length > 0) assert.equal(end, utf8(bytes.slice(0, last)).length)
      else assert.equal(end, start)
      at += length
    }
  }
})

/** Places where a decoder that saw the bytes one by one would stand between characters. */
function characterStarts(bytes: readonly number[]): number[] {
  const starts = [0]
  for (let at = 0; at < bytes.length; starts.push(at)) {
    const rest = bytes.slice(at)
    // The shortest prefix that the decoder turns into one character for good, whatever follows.
    let length = 1
    while (length < rest.length && [...utf8(rest.slice(0, length + 1))].length === 1) length++
    at += length
  }
  return starts
}

test('characterAt decodes all of Unicode, and U+FFFD for every cut', () => {
  for (let code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 37) {
    if (code >= 0xd800 && code < 0xe000) continue
    const bytes = new TextEncoder().encode(String.fromCodePoint(code))
    assert.deepEqual(characterAt(bytes, 0), { length: bytes.length, code, unfinished: false })
    for (let cut = 1; cut < bytes.length; cut++)
      assert.deepEqual(characterAt(bytes.subarray(0, cut), 0), { length: cut, code: 0xfffd, unfinished: true })
  }
})

test('a span is the character that a token is a part of', () => {
  const ids = [...tokenizer.encode('a😀b')]
  const { text, spans } = tokenizer.offsets(ids)
  assert.equal(text, 'a😀b')
  assert.deepEqual(spans[0], [0, 1])
  assert.deepEqual(spans.at(-1), [3, 4])
  for (const span of spans.slice(1, -1)) assert.deepEqual(span, [1, 3])
  const stream = tokenizer.textStream()
  assert.deepEqual(
    ids.map((id) => stream.push(id)),
    ['a', ...new Array<string>(ids.length - 3).fill(''), '😀', 'b'],
  )
  assert.equal(stream.end(), '')
})

test('wrong ids, names and files are refused', async (context) => {
  assert.throws(() => tokenizer.idOf('<|no_such|>'), ArgumentError)
  for (const id of [-1, 0.5, Number.NaN]) assert.throws(() => tokenizer.decode([id]), ArgumentError)
  const folder = await mkdtemp(join(tmpdir(), 'sightline-'))
  context.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'tokenizer.json')
  await assert.rejects(Tokenizer.open(folder), /there is no such file/)
  await cp(golden('qwen2_5_vl', 'tokenizer.json'), path)
  const good = JSON.parse(await readFile(path, 'utf8'))
  const broken: readonly (readonly [object, RegExp])[] = [
    [{ ...good, model: { type: 'WordPiece', vocab: {} } }, /model\.type is "WordPiece"; expected BPE/],
    [{ ...good, pre_tokenizer: { type: 'Whitespace' } }, /pre_tokenizer is \{"type":"Whitespace"\}; expected ByteLevel/],
    [{ ...good, decoder: null }, /decoder is null; expected ByteLevel/],
    [{ ...good, model: { ...good.model, vocab: { a: 0 } } }, /lacks 255 of the 256 bytes/],
    [
      { ...good, model: { ...good.model, vocab: { ...good.model.vocab, zz: 1e12 } } },
      /model\.vocab\.zz is 1000000000000; expected an integer from 0 to/,
    ],
    [{ ...good, added_tokens: [{ id: 'x', content: 'y' }] }, /added_tokens\[0\]\.id is "x"; expected an integer from 0/],
    [{ ...good, added_tokens: [5] }, /added_tokens\[0\] is 5; expected a JSON object/],
    [[], /the whole is \[\]; expected a JSON object/],
  ]
  for (const [file, message] of broken) {
    await writeFile(path, JSON.stringify(file))
    await assert.rejects(Tokenizer.open(folder), (error) => error instanceof FileFormatError && message.test(error.message), String(message))
  }
  await writeFile(path, '{')
  await assert.rejects(Tokenizer.open(folder), /tokenizer\.json: no valid JSON/)
})
