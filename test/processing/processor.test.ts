// Rendered chats, ids with expanded placeholders and grids against transformers' AutoProcessor, for both families.

import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { ChatTemplate } from '../../src/processing/chat-template.ts'
import { decodeImage } from '../../src/processing/image.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import type { Message, Part } from '../../src/processing/prompt.ts'
import { families, golden, readGolden } from './goldens.ts'

interface Chat {
  readonly messages: readonly Message[]
  readonly options: Readonly<Record<string, unknown>>
  readonly text: string
}

interface Expected {
  readonly messages: readonly Message[]
  readonly text: string
  readonly ids: number[]
  readonly grids: number[][]
}

const expected = readGolden<Record<string, { chats: readonly Chat[]; prompts: readonly Expected[] }>>('prompts.json')

/** The messages with the names of golden images as paths. */
function withPaths(messages: readonly Message[]): readonly Message[] {
  const path = (part: Part): Part => (part.type === 'image' ? { type: 'image', image: golden('images', String(part.image)) } : part)
  return messages.map((message) => (typeof message.content === 'string' ? message : { ...message, content: message.content.map(path) }))
}

for (const family of families) {
  const { chats, prompts } = expected[family] as { chats: readonly Chat[]; prompts: readonly Expected[] }

  test(`${family}: ${chats.length} chats render as in the reference`, async () => {
    const template = await ChatTemplate.open(golden(family))
    for (const { messages, options, text } of chats) {
      const { add_generation_prompt: addGenerationPrompt, ...variables } = options
      assert.equal(template.render(messages, { addGenerationPrompt: addGenerationPrompt === true, variables }), text)
    }
  })

  test(`${family}: ${prompts.length} prompts encode as in the reference`, async () => {
    const processor = await openProcessor(golden(family))
    for (const { messages, text, ids, grids } of prompts) {
      const encoded = await processor.encode({ messages: withPaths(messages) })
      assert.equal(encoded.text, text)
      assert.deepEqual([...encoded.ids], ids)
      assert.deepEqual(
        encoded.images.map(({ grid }) => [...grid]),
        grids,
      )
    }
  })
}

const processor = await openProcessor(golden('qwen2_5_vl'))
const figure = golden('images', 'figure.png')

function ask(...content: readonly Part[]): readonly Message[] {
  return [{ role: 'user', content }]
}

test('an image given twice is encoded once; paths, bytes and rasters give the same', async (context) => {
  const { mock } = context.mock.method(processor, 'encodeImage')
  const image: Part = { type: 'image', image: figure }
  const { images } = await processor.encode({ messages: ask(image, image) })
  assert.equal(images.length, 2)
  assert.equal(images[0], images[1])
  assert.equal(mock.callCount(), 1)
  for (const source of [await readFile(figure), await decodeImage(figure)]) {
    const again = await processor.encode({ messages: ask({ type: 'image', image: source }) })
    assert.deepEqual(again.images[0], images[0])
  }
})

test('prefill, generation prompt, overrides and stop ids', async () => {
  const messages = ask({ type: 'text', text: 'Hi' })
  const plain = await processor.encode({ messages })
  const prefilled = await processor.encode({ messages, prefill: '<think>\n' })
  assert.equal(prefilled.text, `${plain.text}<think>\n`)
  assert.deepEqual([...prefilled.ids], [...plain.ids, ...processor.tokenizer.encode('<think>\n')])
  const closed = await processor.encode({ messages, addGenerationPrompt: false })
  assert.equal(`${closed.text}<|im_start|>assistant\n`, plain.text)
  assert.deepEqual(processor.stopIds, [processor.tokenizer.idOf('<|im_end|>'), processor.tokenizer.idOf('<|endoftext|>')])
  const small = await openProcessor(golden('qwen2_5_vl'), { minPixels: 784, maxPixels: 784 })
  const { images, ids } = await small.encode({ messages: ask({ type: 'image', image: figure }) })
  assert.deepEqual(images[0]?.grid, [1, 2, 2])
  assert.equal(ids.filter((id) => id === small.tokenizer.idOf('<|image_pad|>')).length, 1)
})

test('what a prompt must not hold is refused by name', async () => {
  const refuses = (messages: unknown, message: RegExp): Promise<void> =>
    assert.rejects(
      processor.encode({ messages: messages as readonly Message[] }),
      (error) => error instanceof ArgumentError && message.test(error.message),
      String(message),
    )
  await refuses([], /at least one message/)
  await refuses(ask({ type: 'text', text: 'see <|image_pad|>' }), /message 0 \(user\): the text contains <\|image_pad\|>/)
  await refuses([{ role: 'user', content: '<|video_pad|>' }], /contains <\|video_pad\|>/)
  await refuses([{ role: 'user', content: [{ type: 'video', video: 'a.mp4' }] }], /videos are not supported/)
  await refuses([{ role: 'user', content: [{ type: 'audio' }] }], /\{ type: 'audio' \} is no part of a message/)
  await refuses(ask({ type: 'image', image: 'http://example.com/a.png' }), /not fetched/)
  await assert.rejects(processor.encode({ messages: ask(), prefill: '<|image_pad|>' }), /the prefill: the text contains/)
  const limited = await openProcessor(golden('qwen2_5_vl'), { pixelLimit: 100 })
  await assert.rejects(limited.encode({ messages: ask({ type: 'image', image: figure }) }), /640 x 480 is 307200 pixels, the limit is 100/)
})

test('the folder: where templates and settings are looked for, and what is refused', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-'))
  context.after(() => rm(folder, { recursive: true }))
  for (const name of ['tokenizer.json', 'preprocessor_config.json']) await cp(golden('qwen2_5_vl', name), join(folder, name))
  const write = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value))
  await assert.rejects(openProcessor(folder), /no chat template/)
  await write('tokenizer_config.json', { eos_token: { content: '<|im_end|>' }, chat_template: '{{ eos_token }}tokenizer' })
  const messages = ask({ type: 'text', text: '' })
  const text = async (): Promise<string> => (await (await openProcessor(folder)).encode({ messages })).text
  assert.equal(await text(), '<|im_end|>tokenizer')
  assert.deepEqual((await openProcessor(folder)).stopIds, [482])
  const named = [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template: 'the default' },
  ]
  await write('chat_template.json', { chat_template: named })
  assert.equal(await text(), 'the default')
  await write('chat_template.jinja', "{{ raise_exception('no roles here') }}")
  await assert.rejects(text(), (error) => error instanceof FileFormatError && /chat_template\.jinja: .*no roles here/.test(error.message))
  await write('chat_template.jinja', '{% if %}')
  await assert.rejects(text(), (error) => error instanceof FileFormatError && /chat_template\.jinja/.test(error.message))
  await write('chat_template.jinja', '<|image_pad|>')
  await assert.rejects(text(), /has 0 images, but the chat template wrote 1/)
  await write('chat_template.jinja', 'x')
  const settings: readonly (readonly [object, RegExp])[] = [
    [{ image_processor_type: 'CLIPImageProcessor' }, /image_processor_type is "CLIPImageProcessor"; expected Qwen2VLImageProcessor/],
    [{ do_rescale: false }, /do_rescale is false; expected true/],
    [{ patch_size: 0 }, /patch_size is 0; expected a positive integer/],
    [{ image_mean: [0.5] }, /image_mean is \[0\.5\]; expected three numbers/],
    [{ image_std: [0, 1, 1] }, /image_std is \[0,1,1\]; expected three numbers above 0/],
    [{ resample: 2 }, /resample is 2; expected 3/],
  ]
  for (const [change, message] of settings) {
    await write('preprocessor_config.json', { image_processor_type: 'Qwen2VLImageProcessorFast', ...change })
    await assert.rejects(openProcessor(folder), (error) => error instanceof FileFormatError && message.test(error.message), String(message))
  }
  await write('preprocessor_config.json', {})
  await write('processor_config.json', {
    image_processor: {
      image_processor_type: 'Qwen2VLImageProcessor',
      size: { shortest_edge: 3136, longest_edge: null },
      min_pixels: null,
      merge_size: null,
      patch_size: 16,
    },
  })
  const { imageRule } = await openProcessor(folder)
  assert.deepEqual([imageRule.patchSize, imageRule.minPixels, imageRule.maxPixels, imageRule.mergeSize], [16, 3136, 1003520, 2])
  await write('generation_config.json', { eos_token_id: 'x' })
  await assert.rejects(openProcessor(folder), /eos_token_id is "x"; expected a list of integers/)
  await write('generation_config.json', { eos_token_id: 7 })
  assert.deepEqual((await openProcessor(folder)).stopIds, [7])
})
