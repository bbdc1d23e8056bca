// Every word of BlindWorld, in one place: a model with a small vocabulary must be able to read the questions and to write the descriptions.

import { type InkName, inkNames, side } from '../draw.ts'
import type { Random } from '../random.ts'
import type { Relation } from './geometry.ts'

/** Letters of stations. */
export const stations = ['A', 'B', 'C', 'D'] as const

/** Words whose letters are circled and that stand in the cells of grids; every letter is in one of them. They are read as letters, never written. */
export const shownWords = [
  ...['sun', 'map', 'box', 'key', 'jam', 'fig', 'wave', 'quiz', 'lamp', 'tree', 'bird', 'hive'],
  ...['bread', 'candle', 'jungle', 'garden', 'window', 'zebra', 'yellow', 'quick', 'extra'],
  ...['kitchen', 'journey', 'blanket', 'squirrel', 'mountain', 'freezing', 'exchange', 'waterfall', 'playground', 'vegetable'],
] as const

const inWords = ['no', 'one', 'two'] as const

/** Where a point is, in thirds of the picture: "top left", "middle", "bottom". */
export function placeOf({ x, y }: { readonly x: number; readonly y: number }): string {
  const third = (value: number): number => Math.min(2, Math.floor((3 * value) / side))
  const [row, column] = [['top', '', 'bottom'][third(y)] ?? '', ['left', '', 'right'][third(x)] ?? '']
  return `${row} ${column}`.trim() || 'middle'
}

const and = (parts: readonly string[]): string => (parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`)

const a = (name: InkName): string => `${name === 'orange' ? 'an' : 'a'} ${name}`

/** What answers shall look like; the last says nothing. */
const hints = {
  yesNo: ['Answer with Yes or No.', 'Answer Yes/No.', 'Say Yes or No.', ''],
  number: ['Answer with a number.', 'Give only the number.', 'Answer with a number in curly brackets, e.g. {3}.', ''],
  pair: ['Answer with a pair (rows,columns), e.g. (5,6).', 'Give only the two numbers as (rows,columns).', 'Answer in the form (rows,columns).'],
  letter: ['Answer with only the letter.', 'Answer with a letter, e.g. a.', 'Give only the letter.', ''],
} as const

function asked(random: Random, questions: readonly string[], hint: keyof typeof hints): string {
  return `${random.choose(questions)} ${random.choose(hints[hint])}`.trim()
}

/** One way of asking, with or without a word on the form of the answer. */
export const ask = {
  touching: (random: Random) =>
    asked(random, ['Do the two circles touch?', 'Do the circles touch each other?', 'Does one of the circles touch the other?'], 'yesNo'),
  overlapping: (random: Random) =>
    asked(random, ['Do the two circles overlap?', 'Does one circle cover a part of the other?', 'Do the circles overlap each other?'], 'yesNo'),
  meetings: (random: Random, first: InkName, second: InkName) =>
    asked(
      random,
      [
        `How many times do the ${first} line and the ${second} line meet?`,
        `Count the points where the ${first} and ${second} lines cross.`,
        `How often do the ${first} and ${second} lines cross each other?`,
      ],
      'number',
    ),
  shapes: (random: Random, what: string) =>
    asked(random, [`How many ${what} are in the image?`, `Count the ${what} in the image.`, `What is the number of ${what}?`], 'number'),
  grid: (random: Random) =>
    asked(
      random,
      [
        'How many rows and columns are in the grid?',
        'Count the rows and the columns of the table.',
        'What is the number of rows and columns in the image?',
      ],
      'pair',
    ),
  letter: (random: Random) =>
    asked(random, ['Which letter is in the oval?', 'Which letter has an oval around it?', 'What is the letter in the oval?'], 'letter'),
  paths: (random: Random, from: string, to: string) =>
    asked(
      random,
      [
        `How many paths go from ${from} to ${to}?`,
        `Count the paths between ${from} and ${to}.`,
        `How many paths of one color are there from ${from} to ${to}?`,
      ],
      'number',
    ),
} as const

/** What is to be seen, and what follows from it. Texts say only what is true of the picture. */
export const tell = {
  circles: (random: Random, first: { name: InkName; place: string }, second: { name: InkName; place: string }, how: Relation) => {
    const relations = {
      apart: ['there is a gap between them.', 'they have a gap between them.'],
      tangent: ['their edges meet at one point.', 'they meet at one point.'],
      overlapping: ['one covers a part of the other.', 'they share a part.'],
    } as const
    return `${a(first.name)} circle at the ${first.place} and ${a(second.name)} circle at the ${second.place}. ${random.choose(relations[how])}`
  },
  touching: {
    apart: 'there is a gap, so they do not touch.',
    tangent: 'there is no gap, so they touch.',
    overlapping: 'there is no gap, so they touch.',
  } as const satisfies { readonly [relation in Relation]: string },
  overlapping: {
    apart: 'there is a gap, so they do not overlap.',
    tangent: 'they only meet, so they do not overlap.',
    overlapping: 'they share a part, so they overlap.',
  } as const satisfies { readonly [relation in Relation]: string },
  lines: (random: Random, first: InkName, second: InkName, places: readonly string[]) => {
    const meet = [
      `they cross ${places.length} times: ${and(places)}.`,
      `they meet at ${inWords[places.length]} ${places.length === 1 ? 'point' : 'points'}: ${and(places)}.`,
    ]
    return `${a(first)} line and ${a(second)} line. ${random.choose(places.length === 0 ? ['they do not meet.', 'they do not cross.'] : meet)}`
  },
  meetings: (places: readonly string[]) =>
    places.length === 0 ? 'they do not meet, so 0.' : `${and(places.map((place, i) => `${i + 1} ${place}`))}, so ${places.length}.`,
  shapes: (random: Random, what: string, rows: readonly (readonly InkName[])[]) => {
    const count = rows.flat().length
    const begin = random.choose([`${count} ${what} in ${rows.length} ${rows.length === 1 ? 'row' : 'rows'}.`, `there are ${count} ${what}.`])
    return `${begin} ${rows.map((row, i) => `row ${i + 1} has ${row.length}: ${row.join(', ')}.`).join(' ')}`
  },
  shapeCount: (rows: readonly (readonly InkName[])[]) =>
    `${and(rows.map(({ length }) => String(length)))} ${rows.length === 1 ? 'is' : 'make'} ${rows.flat().length}.`,
  squares: (random: Random, names: readonly InkName[]) =>
    `${random.choose(['there are', 'here are'])} ${names.length} squares, one inside the other. from the outside: ${names.join(', ')}.`,
  squareCount: (names: readonly InkName[]) => `${and(names.map((name, i) => `${i + 1} ${name}`))}, so ${names.length}.`,
  grid: (random: Random, name: InkName, rows: number, columns: number, words: boolean) =>
    `${a(name)} ${random.choose(['grid', 'table'])} with ${rows} rows and ${columns} columns. the cells ${words ? 'have words in them' : 'are empty'}.`,
  gridCount: (rows: number, columns: number) => `${rows} rows and ${columns} columns.`,
  letter: (random: Random, letters: readonly string[], at: number, name: InkName) =>
    `the letters ${letters.join(' ')}. ${random.choose([`${a(name)} oval is around letter ${at + 1}, ${letters[at]}.`, `letter ${at + 1}, ${letters[at]}, has ${a(name)} oval around it.`])}`,
  letterFound: (letter: string) => `the letter in the oval is ${letter}.`,
  paths: (random: Random, paths: readonly { readonly name: InkName; readonly from: string; readonly to: string }[]) =>
    `${random.choose(['the stations are', 'there are the stations'])} ${and(stations)}. ${paths.map(({ name, from, to }) => `${a(name)} path goes from ${from} to ${to}.`).join(' ')}`,
  pathCount: (from: string, to: string, names: readonly InkName[]) =>
    `from ${from} to ${to}: ${names.length === 0 ? 'no path' : and(names)}, so ${names.length}.`,
} as const

const phrases =
  'an and are around as at between bottom brackets cells circle circles color columns cover covers cross curly do each edges empty form ' +
  'from gap go goes grid has have here image in inside is it left letter letters line lines make many meet middle no not number numbers of ' +
  'often one only or other outside oval overlap pair part path paths pentagons point points right row rows share so squares stations table ' +
  'the their them there they times to top touch two where with words Answer Count Do Does Give How No Say What Which Yes'

/** The words, letters, digits and signs that every problem and every solution of BlindWorld is made of, apart from a solution's tags. */
export const vocabulary: readonly string[] = [
  ...new Set([...phrases.split(' '), ...inkNames, ...stations, ...'abcdefghijklmnopqrstuvwxyz0123456789.,:?/(){}']),
]
