// PriorWorld against a table of what is usual that is written down here, and against the statistics that its text promises.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finalAnswer } from '../../../src/data/answers.ts'
import type { Thing } from '../../../src/data/worlds/prior/scene.ts'
import { describe, stated } from '../../../src/data/worlds/prior/words.ts'
import { naturalWorld, priorWorld } from '../../../src/data/worlds/prior/world.ts'
import { Random } from '../../../src/data/worlds/random.ts'
import { worlds } from '../../../src/data/worlds/registry.ts'
import { samplesOf, type World, type WorldOptions, type WorldSample } from '../../../src/data/worlds/world.ts'
import { ArgumentError } from '../../../src/errors.ts'

/** What everybody expects, written anew. */
const usual: Readonly<Record<string, readonly [attribute: string, value: string]>> = {
  banana: ['colour', 'yellow'],
  tomato: ['colour', 'red'],
  frog: ['colour', 'green'],
  aubergine: ['colour', 'purple'],
  carrot: ['colour', 'orange'],
  whale: ['colour', 'blue'],
  spider: ['colour', 'black'],
  snowman: ['colour', 'white'],
  elephant: ['size', 'big'],
  ant: ['size', 'small'],
  shoe: ['count', 'two'],
  key: ['count', 'one'],
}
const numbers = ['one', 'two', 'three']
const colours = ['yellow', 'red', 'green', 'purple', 'orange', 'blue', 'black', 'white']
const quarters = ['top left', 'top right', 'bottom left', 'bottom right']

interface Truth {
  readonly things: readonly Thing[]
  readonly asked: { readonly name: string; readonly attribute: string } | null
}
const truthOf = ({ truth }: WorldSample): Truth => truth as unknown as Truth
const shown = (thing: Thing, attribute: string): string => (thing as unknown as Record<string, string>)[attribute] as string
const isUsual = (thing: Thing): boolean => {
  const [attribute, value] = usual[thing.name] as readonly [string, string]
  return shown(thing, attribute) === value
}

const samples = (world: World, count: number, options: WorldOptions & { readonly seed?: number } = {}): WorldSample[] => [
  ...samplesOf(world, { seed: 5, count, ...options }),
]

/** Asserts that a share is the expected one, within five standard errors of a binomial. */
function isShare(values: readonly boolean[], expected: number, what: string): void {
  const found = values.filter(Boolean).length / values.length
  const error = Math.sqrt((expected * (1 - expected)) / values.length)
  assert.ok(Math.abs(found - expected) <= 5 * error, `${what}: ${found} of ${values.length}, expected ${expected} ± ${5 * error}`)
}

/** The things that a description tells of, read in another way than the world reads it. */
function told(description: string): string[] {
  const plain = description
    .replace(/^(I see|There is) /, '')
    .replace(/\.$/, '')
    .replaceAll('upper', 'top')
    .replaceAll('lower', 'bottom')
  return plain.split(/; | and /)
}
const line = ({ place, name, count, size, colour }: Thing): string => `${place} ${name} ${count} ${size} ${colour}`

test('splits say how the asked thing stands to what is usual, and answers are what is there', () => {
  for (const world of [priorWorld, naturalWorld]) {
    for (const sample of samples(world, 2100)) {
      const { things, asked } = truthOf(sample)
      const what = `${sample.id}: ${sample.problem}`
      assert.ok(things.length >= 1 && things.length <= 3)
      assert.equal(new Set(things.map(({ name }) => name)).size, things.length, what)
      const order = things.map(({ place }) => quarters.indexOf(place))
      assert.deepEqual(
        order,
        [...new Set(order)].sort((a, b) => a - b),
        what,
      )
      for (const { name, count, size, colour } of things) {
        assert.ok(numbers.includes(count) && ['big', 'small'].includes(size) && colours.includes(colour))
        if (usual[name]?.[0] !== 'count') assert.equal(count, 'one')
      }
      const thing = things.find(({ name }) => name === asked?.name)
      if (sample.task === 'number') {
        assert.equal(asked, null)
        assert.equal(sample.answer, numbers[things.length - 1])
      } else if (sample.task === 'what') {
        assert.ok(thing !== undefined && sample.problem.includes(thing.place), what)
        assert.equal(sample.answer, thing.name)
      } else {
        assert.ok(thing !== undefined && asked !== null && new RegExp(`\\b${asked.name}\\b`).test(sample.problem), what)
        assert.equal(sample.answer, shown(thing, asked.attribute), what)
        // "Is the ant big or small?" does not name its attribute.
        assert.ok(sample.problem.includes(asked.attribute) || /big or small\?$|How many times/.test(sample.problem), what)
      }
      const [attribute, value] = usual[asked?.name ?? 'key'] as readonly [string, string]
      const remarkable = asked !== null && asked.attribute === attribute
      assert.equal(sample.split, !remarkable ? 'neutral' : sample.answer === value ? 'prior' : 'score', what)
      const fact = new RegExp(`^(The (usual )?${attribute} of an? ${asked?.name}|Everybody knows: the ${asked?.name}) is ${value}\\. `)
      assert.equal(fact.test(sample.problem), sample.task === 'fact', what)
    }
  }
})

test('solutions describe what is there, follow from it and end in the answer', () => {
  for (const sample of samples(priorWorld, 2100)) {
    const { things } = truthOf(sample)
    const [, description = '', reasoning = '', boxed] =
      /^<description> (.*) <\/description> <think> (.*) <\/think> \\boxed\{ (.*) \}$/.exec(sample.solution) ?? []
    assert.deepEqual(told(description), things.map(line), sample.id)
    assert.deepEqual(stated(description), things, sample.id)
    assert.equal(boxed, sample.answer)
    assert.equal(finalAnswer(sample.solution), sample.answer)
    assert.match(reasoning, new RegExp(`\\b${sample.answer}\\b`))
    const others = [...colours, ...numbers, 'big', 'small'].filter((word) => word !== sample.answer)
    for (const word of others) assert.doesNotMatch(reasoning, new RegExp(`\\b${word}\\b`))
  }
})

test('what a description states is read back, whatever its wording', () => {
  const wordings = new Set<string>()
  for (let seed = 0; seed < 4000; seed++) {
    const { things } = truthOf(priorWorld.sample(1, seed, {}))
    const text = describe(new Random(seed, 9), things)
    assert.deepEqual(stated(text), things, text)
    assert.deepEqual(told(text), things.map(line))
    wordings.add(`${/^(I see|There is)?/.exec(text)?.[0]}|${/;| and/.exec(text)?.[0]}|${/upper|lower/.test(text)}`)
  }
  // Three beginnings, two conjunctions or none, two words for each row.
  assert.equal(wordings.size, 3 * 3 * 2)
})

test('every wording is English', () => {
  const asked = new Set<string>()
  for (const { problem, solution } of samples(priorWorld, 4200)) {
    assert.doesNotMatch(`${problem} ${solution}`, /\ba [aeiou]|\ban [^aeiou]|undefined| {2}/)
    assert.match(problem, /^[A-Z].*[.?]$/)
    assert.doesNotMatch(problem, /[{}]/)
    asked.add(problem.replace(/\b(banana|tomato|frog|aubergine|carrot|whale|spider|snowman|elephant|ant|shoe|key)\b/g, 'NAME').replace(/\ban\b/, 'a'))
  }
  const plain = [...asked].filter((problem) => !/^(The|Everybody)/.test(problem))
  // Three for each attribute, four places times three, three for the number.
  assert.equal(plain.length, 9 + 12 + 3)
  // Three statements for each of twelve usual values (eight colours, two sizes, two counts), before three questions.
  assert.equal(asked.size - plain.length, 3 * 12 * 3)
})

test('cells come equally often: each once in every seven', () => {
  const cells = ['prior plain', 'prior fact', 'score plain', 'score fact', 'neutral plain', 'neutral what', 'neutral number']
  const all = samples(priorWorld, 700)
  for (let start = 0; start < all.length; start += cells.length) {
    const found = all.slice(start, start + cells.length).map(({ split, task }) => `${split} ${task}`)
    assert.deepEqual(found.sort(), [...cells].sort())
  }
  const some = samples(priorWorld, 400, { splits: ['score', 'prior'], tasks: ['fact', 'number'] })
  for (let start = 0; start < some.length; start += 2) {
    assert.deepEqual(
      some
        .slice(start, start + 2)
        .map(({ split, task }) => `${split} ${task}`)
        .sort(),
      ['prior fact', 'score fact'],
    )
  }
})

test('things, places and values are uniform, and other things are usual as often as said', () => {
  const all = samples(priorWorld, 7000)
  const asked = all.flatMap((sample) => truthOf(sample).asked?.name ?? [])
  for (const name of Object.keys(usual))
    isShare(
      asked.map((each) => each === name),
      1 / 12,
      name,
    )
  for (let count = 1; count <= 3; count++)
    isShare(
      all.map((sample) => truthOf(sample).things.length === count),
      1 / 3,
      `${count} things`,
    )
  const things = all.flatMap((sample) => truthOf(sample).things)
  for (const place of quarters)
    isShare(
      things.map((thing) => thing.place === place),
      1 / 4,
      place,
    )
  const yellow = all
    .filter(({ split, answer }) => split === 'score' && colours.includes(answer))
    .filter((sample) => truthOf(sample).asked?.name === 'banana')
  for (const colour of colours.slice(1))
    isShare(
      yellow.map(({ answer }) => answer === colour),
      1 / 7,
      `${colour} bananas`,
    )

  for (const [world, share] of [
    [priorWorld, 0.5],
    [naturalWorld, 0.9],
  ] as const) {
    const others = samples(world, 3000).flatMap((sample) => {
      const truth = truthOf(sample)
      return truth.things.filter(({ name }) => name !== truth.asked?.name && truth.asked !== null).map(isUsual)
    })
    isShare(others, share, `${world.name}: others`)
    const neutral = samples(world, 3000, { splits: ['neutral'], tasks: ['plain'] })
    isShare(
      neutral.map((sample) =>
        truthOf(sample)
          .things.filter(({ name }) => name === truthOf(sample).asked?.name)
          .every(isUsual),
      ),
      share,
      `${world.name}: asked for something else`,
    )
  }
})

test('pictures of the natural world are mostly as usual', () => {
  const all = samples(naturalWorld, 4000)
  isShare(
    all.map(({ split }) => split === 'neutral'),
    0.3,
    'neutral',
  )
  isShare(
    all.map(({ split }) => split === 'prior'),
    0.7 * 0.9,
    'prior',
  )
  isShare(
    all.map(({ split }) => split === 'score'),
    0.7 * 0.1,
    'score',
  )
  isShare(
    all.filter(({ split }) => split === 'prior').map(({ task }) => task === 'fact'),
    1 / 2,
    'fact',
  )
  isShare(
    all.filter(({ split }) => split === 'neutral').map(({ task }) => task === 'what'),
    1 / 3,
    'what',
  )
  const kept = samples(naturalWorld, 200, { splits: ['prior', 'score'], tasks: ['plain'] })
  assert.ok(kept.every(({ split, task }) => split !== 'neutral' && task === 'plain'))
})

test('a sample is a function of seed and index, whatever the order in which parts are named', () => {
  for (const world of [priorWorld, naturalWorld]) {
    const backwards = { tasks: [...world.tasks].reverse(), splits: [...world.splits].reverse() }
    for (const index of [0, 1, 77, 2 ** 31 + 5, 2 ** 32 - 1]) {
      const sample = world.sample(3, index, {})
      assert.deepEqual(world.sample(3, index, { ...backwards }), sample)
      assert.deepEqual(world.sample(3, index, { tasks: null, splits: null, pixels: null }), sample)
      assert.notEqual(world.sample(4, index, {}).svg, sample.svg)
      assert.equal(sample.id, `${world.name}-3-${index}`)
    }
    assert.equal(new Set(samples(world, 500).map(({ svg }) => svg)).size, 500)
  }
})

test('parts that do not exist, alone or together, are refused', () => {
  for (const world of [priorWorld, naturalWorld]) {
    assert.throws(() => world.sample(0, 0, { splits: ['typical'] }), ArgumentError)
    assert.throws(() => world.sample(0, 0, { tasks: [] }), ArgumentError)
    assert.throws(() => world.sample(0, 0, { pixels: 20 }), ArgumentError)
    assert.throws(() => world.sample(0, 0, { splits: ['prior'], tasks: ['what', 'number'] }), {
      name: 'ArgumentError',
      message: /no split of prior has a task of what, number; prior has plain, fact;/,
    })
  }
})

test('both worlds are listed and name who drew the icons', () => {
  for (const world of [priorWorld, naturalWorld]) {
    assert.ok(worlds.includes(world))
    for (const name of ['Lorc', 'Delapouite', 'https://game-icons.net', 'CC BY 3.0']) assert.ok(world.attribution?.includes(name), name)
  }
})
