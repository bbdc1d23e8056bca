// What a checkpoint's settings and a caller's do to a prompt: precedence, defaults, bounds and variables of the template.

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { decodeImage } from '../../src/processing/image.ts'
import { type ImageRule, readImageRule } from '../../src/processing/image-rule.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import { Tokenizer } from '../../src/processing/tokenizer.ts'
import { sniff } from '../../src/sniff.ts'
import { golden } from './goldens.ts'

const root = mkdtempSync(join(tmpdir(), 'sightline-settings-'))
test.after(() => rmSync(root, { recursive: true }))

function ruleOf(fields: object, overrides: { readonly minPixels?: number; readonly maxPixels?: number } = {}): ImageRule {
  writeFileSync(join(root, 'preprocessor_config.json'), JSON.stringify({ image_processor_type: 'Qwen2VLImageProcessor', ...fields }))
  return readImageRule(root, overrides)
}

test('bounds of an image: the caller, then min_pixels and max_pixels, then size, then what transformers assumes', () => {
  const boundsOf = ({ minPixels, maxPixels }: ImageRule): number[] => [minPixels, maxPixels]
  const size = { shortest_edge: 1000, longest_edge: 9000 }
  assert.deepEqual(boundsOf(ruleOf({})), [3136, 1003520])
  assert.deepEqual(boundsOf(ruleOf({ size })), [1000, 9000])
  assert.deepEqual(boundsOf(ruleOf({ size, min_pixels: 2000, max_pixels: 8000 })), [2000, 8000])
  assert.deepEqual(boundsOf(ruleOf({ size, min_pixels: 2000, max_pixels: 8000 }, { minPixels: 3000, maxPixels: 7000 })), [3000, 7000])
  assert.throws(() => ruleOf({ size }, { maxPixels: 999 }), { name: 'ArgumentError', message: /minPixels 1000 is above maxPixels 999/ })
  assert.throws(() => ruleOf({}, { maxPixels: 0.5 }), { name: 'ArgumentError', message: /maxPixels must be an integer from 1/ })
})

test('variables of the template reach it', async () => {
  for (const family of ['qwen2_5_vl', 'qwen3_vl'] as const) {
    const processor = await openProcessor(golden(family))
    const messages = [{ role: 'user', content: [{ type: 'image', image: golden('images', 'figure.png') } as const] }]
    const [plain, numbered] = [await processor.encode({ messages }), await processor.encode({ messages, templateVariables: { add_vision_id: true } })]
    assert.ok(numbered.text.includes('Picture 1: ') && !plain.text.includes('Picture 1: '))
    assert.equal(numbered.text.replace('Picture 1: ', ''), plain.text)
  }
})

test('a file that is too large is refused before it is read', async () => {
  const path = join(root, 'large.png')
  writeFileSync(path, '\x89PNG')
  // Sparse: it takes no room on the disk.
  truncateSync(path, 600e6)
  await assert.rejects(decodeImage(path), (error) => error instanceof ArgumentError && /600000000 bytes, the limit/.test(error.message))
})

test('tokens that only tokenizer_config.json adds are read, and split from text', async () => {
  const settings = JSON.parse(readFileSync(golden('qwen2_5_vl', 'tokenizer.json'), 'utf8'))
  settings.added_tokens = settings.added_tokens.filter((token: { content: string }) => token.content !== '<|vision_pad|>')
  writeFileSync(join(root, 'tokenizer.json'), JSON.stringify(settings))
  cpSync(golden('qwen2_5_vl', 'tokenizer_config.json'), join(root, 'tokenizer_config.json'))
  const [whole, split] = [await Tokenizer.open(golden('qwen2_5_vl')), await Tokenizer.open(root)]
  const text = 'a<|vision_pad|> b'
  assert.deepEqual(split.encode(text), whole.encode(text))
  const id = whole.idOf('<|vision_pad|>')
  assert.deepEqual([split.idOf('<|vision_pad|>'), split.decode([id]), split.isSpecial(id)], [id, '<|vision_pad|>', true])
})

test('every signature of a readable format is told', () => {
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')
  const readable: readonly (readonly [string, string])[] = [
    ['JPEG', '\xff\xd8\xff\xe0'],
    ['PNG', '\x89PNG\r\n\x1a\n'],
    ['WebP', 'RIFF\0\0\0\0WEBPVP8 '],
    ['GIF', 'GIF87a'],
    ['GIF', 'GIF89a'],
    ['TIFF', 'II*\0'],
    ['TIFF', 'MM\0*'],
    ['TIFF', 'II+\0'],
    ['TIFF', 'MM\0+'],
    ['AVIF', '\0\0\0\x20ftypavif'],
    ['AVIF', '\0\0\0\x20ftypavis'],
  ]
  for (const [format, start] of readable) assert.deepEqual(sniff(bytes(start)), { readable: format })
})

test('pixels that do not fill their image, and a limit that is none, are refused', async () => {
  const processor = await openProcessor(golden('qwen3_vl'))
  for (const side of [96, 100]) {
    const image = { data: new Uint8Array(30), height: side, width: side }
    await assert.rejects(processor.encodeImage(image), { name: 'ArgumentError', message: /RGB needs \d+ bytes, got 30/ })
  }
  for (const pixelLimit of [Infinity, 0, -1, Number.NaN, 2.5]) {
    const message = new RegExp(`pixelLimit is ${pixelLimit}; expected an integer from 1 up`)
    await assert.rejects(decodeImage(golden('images', 'figure.png'), { pixelLimit }), { name: 'ArgumentError', message })
    await assert.rejects(openProcessor(golden('qwen3_vl'), { pixelLimit }), { name: 'ArgumentError', message })
  }
})

test('messages that no compiler has seen', async () => {
  const processor = await openProcessor(golden('qwen3_vl'))
  const wrong: [unknown, RegExp][] = [
    [[{ role: 'user' }], /message 0 \(user\): its content is undefined; expected a text or a list/],
    [[{ role: 'user', content: [null] }], /null is no part of a message/],
    [[{ role: 'user', content: [{ type: 'text' }] }], /type: 'text' \} is no part of a message/],
    [[{ role: 'user', content: [{ type: 'image', image: 5 }] }], /image: 5 \} is no part of a message/],
    [[{ role: 'user', content: [{ type: 'video', video: 'x.mp4' }] }], /videos are not supported/],
  ]
  for (const [messages, message] of wrong) {
    await assert.rejects(processor.encode({ messages: messages as never }), { name: 'ArgumentError', message })
  }
})
