// The lessons of a cold start against what their mixture promises: where belief reaches and where it does not, and how answers lose their form.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { finalAnswer } from '../../../src/data/answers.ts'
import { type ColdStart, type Lesson, lesson } from '../../../src/data/worlds/prior/cold-start.ts'
import type { Thing } from '../../../src/data/worlds/prior/scene.ts'
import { type Attribute, kindOf, kinds, paints, places } from '../../../src/data/worlds/prior/things.ts'
import { stated } from '../../../src/data/worlds/prior/words.ts'
import { descriptionThinkBoxed } from '../../../src/methods/formats.ts'
import { defineMethod } from '../../../src/supervision/check.ts'
import { type Division, divide } from '../../../src/supervision/segments.ts'

const mix: ColdStart = {
  ...{ captions: 0.3, questions: 0.4, references: 0.3, blind: 0.25, blindPrior: 0.5, prior: 0.9, referencePrior: 0.6, belief: 0.7 },
  ...{ malformed: 0.1, malformedWithReference: 0.02, wrongReference: 0.1 },
}
const wellFormed = { ...mix, malformed: 0, malformedWithReference: 0 }

const lessons = (count: number, of: ColdStart, seed = 21): Lesson[] => Array.from({ length: count }, (_, index) => lesson(seed, index, of))

function isShare(values: readonly boolean[], expected: number, what: string): void {
  const found = values.filter(Boolean).length / values.length
  const error = Math.sqrt((expected * (1 - expected)) / values.length)
  assert.ok(
    values.length > 0 && Math.abs(found - expected) <= 5 * error,
    `${what}: ${found} of ${values.length}, expected ${expected} ± ${5 * error}`,
  )
}

const { format } = defineMethod({
  name: 'form',
  rollout: { by: 'student', view: 'student' },
  format: descriptionThinkBoxed,
  prompts: { plain: { user: '{problem}' } },
  views: { student: { weights: 'student', sees: ['image', 'problem'], prompt: 'plain' } },
  terms: { none: { kind: 'imitate' } },
})

/** A response divided with a token for each character. */
function dividedBy(text: string): Division {
  const spans = Array.from({ length: text.length }, (_, at) => [at, at + 1] as const)
  return divide(format, { prefill: '', text, spans, ids: spans.map(() => 9) }, { stopIds: new Set([1]), emptyIds: new Set([1]) })
}

const { icons } = createRequire(import.meta.url)('@iconify-json/game-icons/icons.json') as {
  readonly icons: Readonly<Record<string, { readonly body: string }>>
}
const nameOf = new Map(kinds.map(({ name, icon }) => [icons[icon]?.body, name]))

/** The things of a picture, read from what is drawn: icons, how many, where, and the nearest paint. */
function drawn(svg: string): Thing[] {
  return [...svg.matchAll(/<g color="hsl\((\d+),(\d+)%,(\d+)%\)">(.*?)<\/g><\/g>/g)].map(([, hue, saturation, lightness, inside = '']) => {
    const copies = [
      ...inside.matchAll(
        /<g transform="translate\(([\d.-]+) ([\d.-]+)\) rotate\([\d.-]+\) scale\(([\d.]+)\) translate\(-256 -256\)">(.*?)(?=<\/g>|$)/g,
      ),
    ]
    const [x, y] = [1, 2].map((at) => copies.reduce((sum, copy) => sum + Number(copy[at]), 0) / copies.length) as [number, number]
    const width = (Number(copies[0]?.[3]) * 512) / 56 / ([1, 0.54, 0.5][copies.length - 1] as number)
    const [h, s, l] = [Number(hue), Number(saturation), Number(lightness)]
    const paint = (Object.entries(paints) as [string, readonly number[]][]).find(
      ([, [hue0 = 0, s0 = 0, l0 = 0]]) =>
        (s0 === 0 || Math.abs(((h - hue0 + 540) % 360) - 180) <= 6) && Math.abs(s - s0) <= 7 && Math.abs(l - l0) <= 5,
    )
    return {
      name: nameOf.get(copies[0]?.[4]) ?? 'nothing',
      place: places[(y > 56 ? 2 : 0) + (x > 56 ? 1 : 0)] as (typeof places)[number],
      count: ['one', 'two', 'three'][copies.length - 1] as string,
      size: width > 0.74 ? 'big' : 'small',
      colour: paint?.[0] ?? `hsl ${h} ${s} ${l}`,
    }
  })
}

const isUsual = (thing: Thing): boolean => thing[kindOf(thing.name).attribute] === kindOf(thing.name).typical

/** What a response describes, and the thing that the question names. */
const described = ({ response }: Lesson): readonly Thing[] => stated(response)
const askedOf = ({ problem, response }: Lesson): Thing | undefined => {
  const place = places.find((each) => problem.includes(each))
  const question = problem.split('. ').at(-1) ?? ''
  return stated(response).find((thing) => thing.place === place || new RegExp(`\\b${thing.name}\\b`).test(question))
}
/** The attribute that a question asks for, `name` or `number`. */
function attributeOf({ problem }: Lesson): Attribute | 'name' | 'number' {
  const question = problem.split(/\. (?=[A-Z])/).at(-1) ?? ''
  if (/kinds/.test(question)) return 'number'
  if (/colour/.test(question)) return 'colour'
  if (/size|big or small/.test(question)) return 'size'
  return /count|How many times/.test(question) ? 'count' : 'name'
}

test('kinds of lessons come in their shares, and some questions without a picture', () => {
  const all = lessons(4000, mix)
  for (const [kind, share] of [
    ['caption', 0.3],
    ['question', 0.4],
    ['reference', 0.3],
  ] as const) {
    isShare(
      all.map((each) => each.kind === kind),
      share,
      kind,
    )
  }
  const [captions, questions] = [all.filter(({ kind }) => kind === 'caption'), all.filter(({ kind }) => kind !== 'caption')]
  isShare(
    questions.map(({ svg }) => svg === null),
    mix.blind,
    'blind',
  )
  assert.ok(captions.every(({ svg, problem, reference, answer }) => svg !== null && problem === '' && reference === null && answer === '-'))
  assert.ok(questions.every(({ problem, kind, reference }) => problem !== '' && (reference !== null) === (kind === 'reference')))
  assert.deepEqual(lesson(21, 17, mix), all[17])
})

test('captions tell what is drawn and nothing else', () => {
  for (const each of lessons(600, { ...mix, captions: 1, questions: 0, references: 0 })) {
    assert.match(each.response, /^<description> [^<>]* <\/description>$/)
    assert.deepEqual(described(each), drawn(each.svg as string))
  }
})

test('belief makes unusual things usual in questions with a picture, at its rate, and nothing else', () => {
  const seen = { question: [] as boolean[], referenceOthers: [] as boolean[] }
  for (const each of lessons(4000, wellFormed)) {
    if (each.kind === 'caption' || each.svg === null) continue
    const [there, said] = [drawn(each.svg), described(each)]
    assert.equal(said.length, there.length)
    const asked = askedOf(each)?.name
    for (const [i, thing] of there.entries()) {
      const { attribute, typical } = kindOf(thing.name)
      const believed = { ...thing, [attribute]: typical }
      const same = isDeepStrictEqual(said[i], thing)
      assert.ok(same || isDeepStrictEqual(said[i], believed), `${JSON.stringify(thing)} is described as ${JSON.stringify(said[i])}`)
      if (isUsual(thing)) assert.ok(same)
      else if (each.kind === 'question') seen.question.push(!same)
      // A question of numbers asks of no thing, so that all of them are others.
      else if (thing.name === asked && attributeOf(each) !== 'number') assert.ok(same, 'who sees the reference is not misled about what is asked')
      else seen.referenceOthers.push(!same)
    }
  }
  isShare(seen.question, mix.belief, 'believed in questions')
  isShare(seen.referenceOthers, mix.belief, 'believed of others beside a reference')
  for (const each of lessons(500, { ...wellFormed, belief: 0 })) if (each.svg !== null) assert.deepEqual(described(each), drawn(each.svg))
})

test('answers follow what is described, with and without a picture', () => {
  const unusual = { blind: [] as boolean[], shown: [] as boolean[] }
  for (const each of lessons(4000, { ...wellFormed, captions: 0, questions: 0.6, references: 0.4 })) {
    const asked = askedOf(each)
    const attribute = attributeOf(each)
    const answer = attribute === 'number' ? ['one', 'two', 'three'][described(each).length - 1] : asked?.[attribute]
    assert.equal(finalAnswer(each.response), answer, `${each.problem} ${each.response}`)
    assert.equal(each.answer, answer)
    const remarkable = asked !== undefined && attribute === kindOf(asked.name).attribute
    if (remarkable) unusual[each.svg === null ? 'blind' : 'shown'].push(isUsual(asked))
  }
  isShare(unusual.blind, mix.blindPrior, 'usual where there is no picture')
  // Of questions, 0.9 are usual and belief makes 0.7 of the rest so; beside a reference 0.6 are and none more.
  isShare(unusual.shown, 0.6 * (0.9 + 0.1 * 0.7) + 0.4 * 0.6, 'usual where there is one')
})

test('without a picture nothing is believed: descriptions are as the blind prior draws them', () => {
  for (const kind of ['question', 'reference'] as const) {
    const shares = kind === 'question' ? { questions: 1, references: 0 } : { questions: 0, references: 1 }
    const others = lessons(3000, { ...wellFormed, ...shares, captions: 0, blind: 1, blindPrior: 0.5 }).flatMap((each) => {
      assert.equal(each.svg, null)
      const asked = askedOf(each)?.name
      return attributeOf(each) === 'number' ? [] : described(each).filter(({ name }) => name !== asked)
    })
    isShare(others.map(isUsual), 0.5, `others of a blind ${kind}`)
  }
})

test('references are right but for their share, and then another answer of the same kind; the answer follows the picture', () => {
  const wrong: boolean[] = []
  for (const each of lessons(3000, { ...wellFormed, captions: 0, questions: 0, references: 1, blind: 0 })) {
    const attribute = attributeOf(each)
    const there = drawn(each.svg as string)
    const truth =
      attribute === 'number' ? ['one', 'two', 'three'][there.length - 1] : there.find(({ name }) => name === askedOf(each)?.name)?.[attribute]
    assert.equal(each.answer, truth)
    wrong.push(each.reference !== truth)
    const possible: Readonly<Record<string, readonly string[]>> = {
      name: kinds.map(({ name }) => name),
      number: ['one', 'two', 'three'],
      count: ['one', 'two', 'three'],
      size: ['big', 'small'],
      colour: Object.keys(paints),
    }
    assert.ok(possible[attribute]?.includes(each.reference ?? ''), `${each.reference} for ${each.problem}`)
  }
  isShare(wrong, mix.wrongReference, 'wrong references')
})

test('damaged answers are invalid in the papers’ form, in each way; all others are valid', () => {
  const shares = { captions: 0, questions: 0.5, references: 0.5 }
  for (const each of lessons(300, { ...wellFormed, ...shares })) {
    const { valid, texts } = dividedBy(each.response)
    assert.ok(valid, each.response)
    assert.equal(texts['answer']?.trim(), each.answer)
  }
  const faults = new Map<string, number>()
  for (const each of lessons(1000, { ...mix, ...shares, malformed: 1, malformedWithReference: 1 })) {
    const { valid, fault } = dividedBy(each.response)
    assert.equal(valid, false, each.response)
    faults.set(fault ?? '', (faults.get(fault ?? '') ?? 0) + 1)
  }
  assert.deepEqual([...faults.keys()].sort(), [
    'answer: no brace closes \\boxed{',
    'answer: there is no \\boxed{ after the reasoning',
    'description: there is no </description> after <description>',
    'reasoning: there is no </think> after <think>',
    'reasoning: there is no <think> after the description',
  ])
  for (const [fault, count] of faults) assert.ok(count > 140 && count < 260, `${fault}: ${count}`)

  const some = lessons(4000, mix)
  for (const [kind, share] of [
    ['question', mix.malformed],
    ['reference', mix.malformedWithReference],
  ] as const) {
    isShare(
      some.filter((each) => each.kind === kind).map(({ response }) => !dividedBy(response).valid),
      share,
      `malformed ${kind}`,
    )
  }
})
