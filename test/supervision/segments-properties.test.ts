// Thousands of generated rollouts, divided token by token and, by an oracle that knows characters only, character by character.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tokenizer } from '../../src/processing/tokenizer.ts'
import type { Format } from '../../src/supervision/method.ts'
import { type Division, divide, positionsOf, type RolloutText } from '../../src/supervision/segments.ts'
import { golden } from '../processing/goldens.ts'
import { random } from '../support.ts'

// ---- The oracle ----

interface Found {
  readonly name: string
  readonly open: number
  readonly from: number
  readonly to: number
  readonly close: number
}

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** Whether a brace counts: after an even number of backslashes. */
function counts(text: string, from: number, at: number): boolean {
  const before = /\\*$/.exec(text.slice(from, at))?.[0].length ?? 0
  return before % 2 === 0
}

/** For every character the number of braces that are open after it, of those from `from` on. */
function depths(text: string, from: number): number[] {
  let depth = 0
  return Array.from({ length: text.length - from }, (_, i) => {
    const character = text.charAt(from + i)
    if (counts(text, from, from + i)) depth += character === '{' ? 1 : character === '}' ? -1 : 0
    return depth
  })
}

/** The parts by regular expressions, and by the depth of braces; null if one is missing. */
function partsOf(format: Format, text: string): Found[] | null {
  const found: Found[] = []
  let after = 0
  for (const { segment, open, close } of format.parts) {
    let place: Found | null = null
    if (close === 'balanced') {
      for (const { index } of text.matchAll(new RegExp(`(?=${literal(open)})`, 'g'))) {
        const from = index + open.length
        const to = depths(text, from).indexOf(-1)
        if (index >= after && to >= 0) place ??= { name: segment, open: index, from, to: from + to, close: from + to + 1 }
      }
    } else {
      const match = new RegExp(`^([^]{${after}}[^]*?)(${literal(open)})([^]*?)(${literal(close)})`, 'd').exec(text)
      const at = (group: number, end: 0 | 1): number => match?.indices?.[group]?.[end] ?? -1
      if (match !== null) place = { name: segment, open: at(2, 0), from: at(3, 0), to: at(3, 1), close: at(4, 1) }
    }
    if (place === null) return null
    found.push(place)
    after = place.close
  }
  return found
}

/** A label for each character, and 'other' for the place behind the last. */
function labelsOf(found: readonly Found[], text: string): string[] {
  const labels = new Array<string>(text.length + 1).fill('other')
  for (const { name, open, from, to, close } of found) labels.fill('delimiters', open, close).fill(name, from, to)
  return labels
}

/** Tokens derived from characters. */
function tokenLabels(labels: readonly string[], { prefill, spans, ids }: RolloutText): string[] {
  return spans.map(([start, end], at) => {
    const carried = new Set(labels.slice(prefill.length + start, prefill.length + (end > start ? end : start + 1)))
    if (carried.has('delimiters')) return 'delimiters'
    assert.equal(carried.size, 1, 'between two contents lies a delimiter')
    const [only = ''] = carried
    return only === 'other' && at === ids.length - 1 && ids[at] === eos ? 'end' : only
  })
}

function oracle(format: Format, rollout: RolloutText): Omit<Division, 'fault'> {
  const whole = rollout.prefill + rollout.text
  const parts = format.parts.map(({ segment }) => segment)
  const found = partsOf(format, whole)
  const segments = tokenLabels(labelsOf(found ?? [], whole), rollout)
  const content = (name: string): number => segments.filter((each, at) => each === name && rollout.ids[at] !== eos && rollout.ids[at] !== pad).length
  if (found === null || format.parts.some(({ segment, mayBeEmpty }) => !mayBeEmpty && content(segment) === 0)) {
    return { valid: false, parts, segments: tokenLabels(labelsOf([], whole), rollout), texts: {}, places: {} }
  }
  const starts = rollout.spans.map(([start]) => start + rollout.prefill.length)
  const texts: Record<string, string> = {}
  const places: Record<string, { from: number; through: number }> = {}
  for (const { name, from, to, close } of found) {
    texts[name] = whole.slice(from, to)
    const first = starts.findIndex((start) => start >= from)
    places[name] = { from: first < 0 ? starts.length : first, through: starts.findLastIndex((start) => start < close) + 1 }
  }
  return { valid: true, parts, segments, texts, places }
}

// ---- What must hold of every rollout ----

const [eos, pad] = [1, 2]
const options = { stopIds: new Set([eos]), emptyIds: new Set([eos, pad]) }

function check(format: Format, rollout: RolloutText): Division {
  const { fault, ...division } = divide(format, rollout, options)
  const told = JSON.stringify(rollout)
  assert.deepEqual(division, oracle(format, rollout), told)
  assert.equal(fault === null, division.valid, told)
  const full = { fault, ...division }
  const names = [...division.parts, 'delimiters', 'end', 'other']
  const every = Array.from(rollout.spans.keys())
  // A partition: every token in one segment and no other.
  assert.deepEqual(
    names.flatMap((name) => positionsOf(full, name)).sort((a, b) => a - b),
    every,
    told,
  )
  assert.deepEqual(positionsOf(full, names), every, told)
  assert.deepEqual(positionsOf(full, 'all'), every, told)
  for (const [i, from] of division.parts.entries()) {
    if (!division.valid) assert.deepEqual(positionsOf(full, from), [], told)
    for (const through of division.parts.slice(i)) {
      const [first, last] = [division.places[from]?.from ?? 0, division.places[through]?.through ?? 0]
      assert.deepEqual(
        positionsOf(full, { from, through }),
        every.filter((at) => at >= first && at < last),
        told,
      )
    }
  }
  return full
}

// ---- Rollouts ----

const part = (segment: string, open: string, close: string, mayBeEmpty = false): Format['parts'][number] => ({ segment, open, close, mayBeEmpty })
const thought = part('reasoning', '<think>', '</think>')
const formats: readonly Format[] = [
  { parts: [part('description', '<description>', '</description>'), thought, part('answer', '\\boxed{', 'balanced', true)] },
  { parts: [part('description', '<description>', '</description>'), thought, part('answer', '\\boxed{', 'balanced')] },
  { parts: [part('answer', '\\boxed{', 'balanced'), thought] },
  { parts: [part('one', '**', '**'), part('two', '**', '**', true)] },
  { parts: [part('one', '「', '」'), part('two', '🟢', '🔴'), part('three', '{{', 'balanced', true)] },
  { parts: [] },
]

const stray = [
  '\n',
  ' ',
  '.',
  '>',
  '<',
  '</',
  'x',
  'cat',
  'é',
  '你',
  '😀',
  '👩‍🚀',
  '<|im_end|>',
  '{',
  '}',
  '{1}',
  '\\',
  '\\{',
  '\\}',
  '\\\\',
  '\\frac{1}{2}',
  '',
]

type Next = () => number
const below = (next: Next, limit: number): number => Math.floor(next() * limit)
const pick = <T>(next: Next, from: readonly T[]): T => from[below(next, from.length)] as T
const several = (next: Next, from: readonly string[], most: number): string[] => Array.from({ length: below(next, most + 1) }, () => pick(next, from))

/** Text with all parts, in which delimiters also stand where they should not. */
function wellFormed(next: Next, { parts }: Format): string[] {
  const tags = parts.flatMap(({ open, close }) => [open, close === 'balanced' ? '}' : close])
  const pieces = [...stray, ...stray, ...tags, ...tags.map((tag) => tag.slice(0, 1 + below(next, tag.length)))]
  return parts
    .flatMap(({ open, close }) => [several(next, pieces, 2), open, several(next, pieces, 8), close === 'balanced' ? '}' : close].flat())
    .concat(several(next, pieces, 3))
}

/** Breaks it: something is missing, repeated, swapped or cut off. */
function broken(next: Next, pieces: readonly string[]): string {
  const list = [...pieces]
  const at = below(next, list.length)
  const text = (): string => list.join('')
  const damages: readonly (() => unknown)[] = [
    () => list.splice(at, 1),
    () => list.splice(at, 0, ...list.slice(at, at + 1 + below(next, 4))),
    () => list.splice(at, 2, ...list.slice(at, at + 2).reverse()),
    () => list.splice(at, list.length, pick(next, characters(list[at] ?? ''))),
  ]
  if (next() < 0.5) pick(next, damages)()
  return text()
}

const characters = (text: string): readonly string[] => (text === '' ? [''] : Array.from(text))

/** Tokens that cut the text's bytes anywhere, some without bytes, some with the ids of EOS and padding. */
function tokensOf(next: Next, prefill: string, text: string): RolloutText {
  // UTF-16 start and end of the character of each byte.
  const places: [number, number][] = []
  let at = 0
  for (const character of text) {
    for (const _ of new TextEncoder().encode(character)) places.push([at, at + character.length])
    at += character.length
  }
  const size = 1 + below(next, 6)
  const spans: [number, number][] = []
  for (let byte = 0; byte < places.length; ) {
    const start = places[byte]?.[0] ?? 0
    if (next() < 0.06) {
      spans.push([start, start])
      continue
    }
    byte = Math.min(places.length, byte + 1 + below(next, size))
    spans.push([start, places[byte - 1]?.[1] ?? 0])
  }
  while (next() < 0.1) spans.push([text.length, text.length])
  const last = spans.length - 1
  const ids = spans.map((_, i) => (i === last && next() < 0.4 ? eos : next() < 0.06 ? eos : next() < 0.06 ? pad : 9))
  return { prefill, text, spans, ids }
}

/** The text with its beginning, up to any character, as the prefill. */
function prefilled(next: Next, { parts }: Format, text: string): [prefill: string, text: string] {
  const open = parts[0]?.open ?? ''
  const usual = text.startsWith(open) ? open.length : 0
  const list = Array.from(text)
  const cut = next() < 0.4 ? list.slice(0, below(next, Math.min(list.length, 30) + 1)).join('').length : next() < 0.5 ? usual : 0
  return [text.slice(0, cut), text.slice(cut)]
}

/** How often what the rollouts are meant to hold occurs in them. */
class Seen {
  readonly counts = new Map<string, number>()

  add(what: string, times: number | boolean = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + Number(times))
  }

  rollout(format: Format, rollout: RolloutText, division: Division): void {
    const { segments, valid, fault } = division
    const labels = labelsOf(valid ? (partsOf(format, rollout.prefill + rollout.text) ?? []) : [], rollout.prefill + rollout.text)
    const carried = rollout.spans.map(([start, end]) => labels.slice(rollout.prefill.length + start, rollout.prefill.length + end))
    this.add(valid ? 'valid' : 'invalid')
    this.add('nothing in a part', fault?.includes('no token between') ?? false)
    this.add('no brace closes', fault?.includes('no brace closes') ?? false)
    this.add(
      'a delimiter begins in the prefill',
      valid && labels[rollout.prefill.length] === 'delimiters' && labels[rollout.prefill.length - 1] === 'delimiters',
    )
    this.add('content begins in the prefill', valid && format.parts.some(({ segment }) => labels.slice(0, rollout.prefill.length).includes(segment)))
    for (const [at, [start, end]] of rollout.spans.entries()) {
      const segment = segments[at] ?? ''
      const inPart = division.parts.includes(segment)
      this.add('no characters, in a part', start === end && inPart)
      this.add('no characters, in a delimiter', start === end && segment === 'delimiters')
      this.add('EOS or padding in a part', inPart && rollout.ids[at] !== 9)
      this.add('shares a character', (rollout.spans[at + 1]?.[0] ?? end) < end)
      this.add('a delimiter token with content', new Set(carried[at]).size > 1)
      this.add('ends', segment === 'end')
    }
  }

  atLeast(least: number, ...names: readonly string[]): void {
    for (const name of names)
      assert.ok((this.counts.get(name) ?? 0) >= least, `${name}: ${this.counts.get(name) ?? 0} times; fewer than ${least} prove little`)
  }
}

const rare = ['nothing in a part', 'no brace closes', 'a delimiter begins in the prefill', 'content begins in the prefill']
const common = [
  'no characters, in a part',
  'no characters, in a delimiter',
  'EOS or padding in a part',
  'shares a character',
  'a delimiter token with content',
  'ends',
]

test('2000 generated rollouts of each format', () => {
  const next = random(11)
  const seen = new Seen()
  for (let trial = 0; trial < 2000; trial++) {
    for (const format of formats) {
      const [prefill, text] = prefilled(next, format, broken(next, wellFormed(next, format)))
      const rollout = tokensOf(next, prefill, text)
      seen.rollout(format, rollout, check(format, rollout))
    }
  }
  seen.atLeast(3000, 'valid', 'invalid')
  seen.atLeast(150, ...rare)
  seen.atLeast(400, ...common)
})

test('rollouts cut off after every character', () => {
  const next = random(12)
  const seen = new Seen()
  for (const format of formats) {
    for (let trial = 0; trial < 30; trial++) {
      const list = Array.from(wellFormed(next, format).join(''))
      for (let length = 0; length <= list.length; length++) {
        const rollout = tokensOf(next, '', list.slice(0, length).join(''))
        seen.rollout(format, rollout, check(format, rollout))
      }
    }
  }
  seen.atLeast(300, 'valid', 'invalid')
})

test('generated rollouts of a real tokenizer, cut off after every token', async () => {
  const tokenizer = await Tokenizer.open(golden('qwen2_5_vl'))
  const [stop, padding] = [tokenizer.idOf('<|im_end|>'), tokenizer.idOf('<|endoftext|>')]
  const next = random(13)
  const seen = new Seen()
  for (const format of formats) {
    for (let trial = 0; trial < 25; trial++) {
      const [prefill, text] = prefilled(next, format, `${broken(next, wellFormed(next, format))}<|im_end|>`)
      const ids = Array.from(tokenizer.encode(text))
      // An id that the vocabulary does not have, and one of any token, which may break a character apart.
      for (const stranger of [tokenizer.vocabularySize + 5, below(next, tokenizer.vocabularySize)]) {
        if (next() < 0.3) ids.splice(below(next, ids.length), 0, stranger)
      }
      for (let length = 0; length <= ids.length; length++) {
        const kept = ids.slice(0, length)
        const { text: decoded, spans } = tokenizer.offsets(kept)
        const rollout = { prefill, text: decoded, spans, ids: kept.map((id) => (id === stop ? eos : id === padding ? pad : 9)) }
        seen.rollout(format, rollout, check(format, rollout))
      }
    }
  }
  seen.atLeast(300, 'valid', 'invalid')
  seen.atLeast(100, 'shares a character', 'ends')
  seen.atLeast(10, 'a delimiter token with content')
})
