// What each view reads: wording, marks of images, whose image, whose processor.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { vgs } from '../../src/methods/vgs.ts'
import { vigos } from '../../src/methods/vigos.ts'
import { openProcessor } from '../../src/processing/processor.ts'
import type { Raster } from '../../src/processing/raster.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import { borrowsImages, contextsOf, type Example, ImageCache, promptOf } from '../../src/supervision/contexts.ts'
import type { Method, View } from '../../src/supervision/method.ts'
import { folderOf } from '../models/goldens.ts'

const picture = (height: number, width: number, value: number): Raster => ({ data: new Uint8Array(height * width * 3).fill(value), height, width })
const [small, wide] = [picture(56, 84, 200), picture(56, 112, 90)]
const example: Example = { problem: 'How many?', reference: 'Three.', images: [small] }
const next: Example = { problem: 'Which?', reference: 'That.', images: [wide] }

const student = await openProcessor(folderOf('qwen2_5_vl'))
const teacher = await openProcessor(folderOf('qwen3_vl'))
const alone = { student, teacher: null }

const viewOf = (rest: Partial<View>): View => ({ weights: 'student', sees: ['image', 'problem'], prompt: 'bare', prefill: '', reads: 'all', ...rest })
const bare = { bare: { system: null, user: '{problem}' } }

/** Parts of the user's turn: texts, and where an image stands its number. */
function userTurn(view: View, prompts: Method['prompts'], one: Example, images: readonly Raster[]): (string | number)[] {
  const turn = promptOf(view, prompts, one, images).messages.at(-1)
  assert.equal(turn?.role, 'user')
  assert.ok(typeof turn?.content === 'object')
  return (turn.content as readonly { type: string; text?: string; image?: unknown }[]).map((part) =>
    part.type === 'text' ? (part.text as string) : images.indexOf(part.image as Raster),
  )
}

test('images stand before the text, or where the problem marks them', () => {
  const turn = (problem: string, images: readonly Raster[]): (string | number)[] => userTurn(viewOf({}), bare, { ...example, problem }, images)
  assert.deepEqual(turn('How many?', [small]), [0, 'How many?'])
  assert.deepEqual(turn('  How many?\n', [small, wide]), [0, 1, 'How many?'])
  assert.deepEqual(turn('In <image> and in <image>, how many?', [small, wide]), ['In ', 0, ' and in ', 1, ', how many?'])
  assert.deepEqual(turn('<image>How many?', [small]), [0, 'How many?'])
  assert.deepEqual(turn('How many?<image>', [small]), ['How many?', 0])
  assert.deepEqual(turn('<image><image>', [small, wide]), [0, 1])
  // A blind view reads the same without the marks.
  assert.deepEqual(turn('<image>How many?', []), ['How many?'])
  assert.deepEqual(turn('In <image> and in <image>?', []), ['In  and in ?'])
  assert.deepEqual(turn('', [small]), [0])
  for (const [problem, marks] of [
    ['<image> or <image>?', 2],
    ['<image><image><image>', 3],
  ] as const)
    assert.throws(
      () => turn(problem, [small]),
      (error) => error instanceof ArgumentError && error.message.includes(`the problem marks ${marks} images with <image>, but 1 are given`),
    )
})

test('marks count in the problem alone, and borrowed images need not be as many', () => {
  const [one, two] = ['one.png', 'two.png']
  const view = { weights: 'base', sees: ['image', 'problem', 'reference'], prompt: 'p', prefill: '', reads: 'all' } as const
  const prompts = { p: { system: null, user: '{problem} It is {reference}. Write <image>.' } }
  const example = { problem: 'See <image> here.', reference: '<image> {problem}', images: [one] }
  assert.deepEqual(promptOf(view, prompts, example, [one]).messages[0]?.content, [
    { type: 'text', text: 'See ' },
    { type: 'image', image: one },
    { type: 'text', text: ' here. It is <image> {problem}. Write <image>.' },
  ])
  const borrowing = { ...view, sees: ['nextImage', 'problem', 'reference'] } as const
  assert.deepEqual(promptOf(borrowing, prompts, example, [one, two]).messages[0]?.content, [
    { type: 'image', image: one },
    { type: 'image', image: two },
    { type: 'text', text: 'See  here. It is <image> {problem}. Write <image>.' },
  ])
})

test('fewer marks than images are refused too', () => {
  assert.throws(
    () => userTurn(viewOf({}), bare, { ...example, problem: 'In <image>?' }, [small, wide]),
    /marks 1 images with <image>, but 2 are given/,
  )
})

test('problem and reference are filled in once: what they hold is not filled again', () => {
  const prompts = { bare: { system: 'S {reference} S', user: 'P {problem} R {reference} P {problem} {other}' } }
  const tricky: Example = { problem: 'a {reference} $& $1 {problem}', reference: 'b {problem}', images: [] }
  const { messages, prefill } = promptOf(viewOf({ prefill: '<think>' }), prompts, tricky, [])
  assert.deepEqual(messages, [
    { role: 'system', content: 'S b {problem} S' },
    { role: 'user', content: [{ type: 'text', text: 'P a {reference} $& $1 {problem} R b {problem} P a {reference} $& $1 {problem} {other}' }] },
  ])
  assert.equal(prefill, '<think>')
})

test('without a prompt a view reads the image alone, and no system turn', () => {
  const { messages } = promptOf(viewOf({ sees: ['image'], prompt: null }), bare, example, [small])
  assert.deepEqual(messages, [{ role: 'user', content: [{ type: 'image', image: small }] }])
})

const without = (text: string): string => text.replace(/<\|image_pad\|>/g, '*')

test("ViGOS's views: prompts, prefills, one image object, and no view that no term needs", async () => {
  const contexts = await contextsOf(vigos, example, next, alone)
  assert.deepEqual([...contexts.keys()], ['student', 'perception', 'reasoning', 'reference'])
  const text = (name: string): string => without(contexts.get(name)?.text ?? assert.fail(name))
  const image = '<|vision_start|>*<|vision_end|>'
  assert.ok(text('perception').endsWith(`<|im_start|>user\n${image}<|im_end|>\n<|im_start|>assistant\n<description>`))
  for (const [name, prefill] of [
    ['student', '<description>'],
    ['reasoning', '<think>'],
    ['reference', '<description>'],
  ] as const) {
    assert.ok(text(name).includes(`<|im_start|>user\n${image}How many?\n\n`), text(name))
    assert.ok(text(name).endsWith(`<|im_start|>assistant\n${prefill}`))
    assert.equal(text(name).includes('Three.'), name !== 'student')
  }
  const images = new Set([...contexts.values()].flatMap((each) => each.images))
  assert.equal(images.size, 1)
  const perceptionOnly = defineMethod({ ...vigos, terms: { perception: vigos.terms['perception'] } as never })
  assert.deepEqual([...(await contextsOf(perceptionOnly, example, next, alone)).keys()], ['student', 'perception'])
})

test('the ids are those of the text, with the image spread over its tokens', async () => {
  const { ids, text, images } = (await contextsOf(vigos, example, next, alone)).get('reasoning') ?? assert.fail()
  const [grid] = images.map((each) => each.grid)
  const tokens = ((grid?.[1] ?? 0) * (grid?.[2] ?? 0)) / student.imageRule.mergeSize ** 2
  assert.ok(tokens > 1)
  const pad = student.tokenizer.idOf('<|image_pad|>')
  assert.deepEqual(
    Array.from(ids).filter((id, i) => id !== pad || ids[i - 1] !== pad),
    Array.from(student.tokenizer.encode(text)),
  )
  assert.equal(ids.filter((id) => id === pad).length, tokens)
})

/** A method whose views of `base` see an image of each kind. */
const seeing = defineMethod({
  ...vigos,
  name: 'seeing',
  views: {
    student: vigos.views['student'],
    own: { weights: 'base', sees: ['image', 'problem'], prompt: 'structured' },
    black: { weights: 'base', sees: ['blackImage', 'problem'], prompt: 'structured' },
    other: { weights: 'base', sees: ['nextImage', 'problem'], prompt: 'structured' },
    none: { weights: 'base', sees: ['problem'], prompt: 'structured' },
  },
  terms: Object.fromEntries(['own', 'black', 'other', 'none'].map((target) => [target, { kind: 'distill', target, divergence: 'forwardKl' }])),
} as never)

test('a black image has the grid of its own and every sample black; the next image is the other sample’s', async () => {
  const contexts = await contextsOf(seeing, example, next, alone)
  const of = (name: string) => contexts.get(name)?.images ?? assert.fail(name)
  const [own, black, other] = [of('own')[0], of('black')[0], of('other')[0]]
  assert.ok(own && black && other)
  assert.equal(of('none').length, 0)
  assert.equal(of('student')[0], own)
  assert.deepEqual(black.grid, own.grid)
  assert.deepEqual([contexts.get('black')?.ids, contexts.get('black')?.text], [contexts.get('own')?.ids, contexts.get('own')?.text])
  const [height, width] = [(own.grid[1] ?? 0) * student.imageRule.patchSize, (own.grid[2] ?? 0) * student.imageRule.patchSize]
  assert.deepEqual(black.pixels, (await student.encodeImage(picture(height, width, 0))).pixels)
  assert.ok(own.pixels.some((each, i) => each !== black.pixels[i]))
  assert.deepEqual(other, await student.encodeImage(wide))
  assert.notDeepEqual(other.grid, own.grid)
  // Every view's own text: the problem is always that of the sample.
  for (const { text } of contexts.values()) assert.ok(text.includes('How many?') && !text.includes('Which?'))
})

test('a sample that is its own next is decoded once', async () => {
  let count = 0
  const counting = await openProcessor(folderOf('qwen2_5_vl'))
  counting.encodeImage = (source) => {
    count += typeof source === 'object' && 'pixels' in source ? 0 : 1
    return student.encodeImage(source)
  }
  const contexts = await contextsOf(seeing, example, example, { student: counting, teacher: null })
  assert.equal(contexts.get('own')?.images[0], contexts.get('other')?.images[0])
  // Its own image and the black one.
  assert.equal(count, 2)
})

test("a teacher's views are read by its own processor, with the system turn of the prompt", async () => {
  const contexts = await contextsOf(vgs, example, next, { student, teacher })
  assert.deepEqual([...contexts.keys()], ['student', 'studentBlind', 'teacher', 'teacherBlind'])
  const text = (name: string): string => contexts.get(name)?.text ?? assert.fail(name)
  for (const name of contexts.keys()) {
    assert.ok(text(name).includes('<|im_start|>system\nWork the problem out step by step inside <reason> </reason>.'), name)
    assert.equal(text(name).includes('<|image_pad|>'), !name.endsWith('Blind'))
    const [sighted, blind] = [name.replace('Blind', ''), `${name.replace('Blind', '')}Blind`]
    assert.equal(text(blind), text(sighted).replace(/<\|vision_start\|>.*<\|vision_end\|>/, ''))
  }
  const [a, b] = ['student', 'teacher'].map((name) => contexts.get(name)?.images[0])
  assert.ok(a && b && a !== b)
  assert.deepEqual(b, await teacher.encodeImage(small))
  await assert.rejects(
    contextsOf(vgs, example, next, alone),
    (error) =>
      error instanceof ArgumentError && /the view teacher has a teacher's weights, but no teacher is given; set teacher\.path/.test(error.message),
  )
})

test('a cache of images outlives a sample: what was decoded for one is there for the next', async () => {
  const cache = new ImageCache()
  const first = await contextsOf(seeing, example, next, alone, cache)
  const second = await contextsOf(seeing, next, example, alone, cache)
  assert.equal(first.get('own')?.images[0], second.get('other')?.images[0])
  assert.equal(first.get('other')?.images[0], second.get('own')?.images[0])
  // Another processor makes its own.
  const [a, b] = [await cache.of(student, [small]), await cache.of(teacher, [small])]
  assert.equal(a[0], first.get('own')?.images[0])
  assert.notEqual(a[0], b[0])
  assert.deepEqual([borrowsImages(seeing), borrowsImages(vigos)], [true, false])
})

test('black images of one size are one object: in two views, in two samples', async () => {
  const cache = new ImageCache()
  const { views, terms } = seeing
  const twice = { ...seeing, views: { ...views, darker: { ...(views['black'] as View), prefill: 'So' } } }
  const [[name, term] = assert.fail()] = Object.entries(terms).filter(([, each]) => each.kind === 'distill' && each.target === 'black')
  const method = { ...twice, terms: { ...terms, [`${name}-too`]: { ...term, target: 'darker' } as typeof term } }
  const first = await contextsOf(method, example, next, alone, cache)
  const again = await contextsOf(method, { ...example, problem: 'Another?' }, next, alone, cache)
  const black = first.get('black')?.images[0] ?? assert.fail()
  assert.equal(first.get('darker')?.images[0], black)
  assert.equal(again.get('black')?.images[0], black)
  // Of another size it is another.
  const other = await contextsOf(method, next, example, alone, cache)
  assert.notEqual(other.get('black')?.images[0], black)
})
