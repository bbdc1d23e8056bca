// Letters as lines of our own, so that pictures are the same on every machine, whatever fonts it has.

import { ArgumentError } from '../../../errors.ts'
import { drawing, type Paint, type Point } from '../draw.ts'

/** Width, and lines for a pen; capitals and ascenders begin at y = 0, small letters at 3, the base line is 7, descenders end at 9.5. */
const glyphs: { readonly [letter: string]: readonly [width: number, lines: string] } = {
  a: [4, 'M4 3V7M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5'],
  b: [4, 'M0 0V7M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5'],
  c: [3.7, 'M3.7 3.9A2.03 2.03 0 1 0 3.7 6.1'],
  d: [4, 'M4 0V7M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5'],
  e: [4, 'M0 5H4A2 2 0 1 0 3.5 6.4'],
  f: [3, 'M3 0.2Q1.2 -0.4 1.2 2V7M0 3H2.7'],
  g: [4, 'M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5M4 3V8Q4 9.5 2 9.5Q0.8 9.5 0.3 8.9'],
  h: [4, 'M0 0V7M0 5Q0 3 2 3Q4 3 4 5V7'],
  i: [0.6, 'M0.3 3V7M0.3 1V1.1'],
  j: [1.6, 'M1.3 3V8Q1.3 9.5 0 9.4M1.3 1V1.1'],
  k: [3.7, 'M0 0V7M3.5 3L0 5.5M1.3 4.6L3.7 7'],
  l: [1.2, 'M0 0V6Q0 7 1.2 7'],
  m: [6, 'M0 3V7M0 5Q0 3 1.5 3Q3 3 3 5V7M3 5Q3 3 4.5 3Q6 3 6 5V7'],
  n: [4, 'M0 3V7M0 5Q0 3 2 3Q4 3 4 5V7'],
  o: [4, 'M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5'],
  p: [4, 'M0 3V9.5M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5'],
  q: [4, 'M4 3V9.5M4 5A2 2 0 1 1 0 5A2 2 0 1 1 4 5'],
  r: [2.6, 'M0 3V7M0 5Q0 3 2.6 3.1'],
  s: [3.5, 'M3.4 3.6Q2.8 3 1.8 3Q0.2 3 0.2 4Q0.2 4.9 1.8 5Q3.5 5.1 3.5 6Q3.5 7 1.8 7Q0.6 7 0 6.3'],
  t: [2.8, 'M1.3 1V6Q1.3 7 2.8 6.9M0 3H2.7'],
  u: [4, 'M0 3V5Q0 7 2 7Q4 7 4 5M4 3V7'],
  v: [4, 'M0 3L2 7L4 3'],
  w: [6, 'M0 3L1.5 7L3 3.5L4.5 7L6 3'],
  x: [3.6, 'M0 3L3.6 7M3.6 3L0 7'],
  y: [4, 'M0 3L2 7M4 3L1.5 8.4Q1 9.5 0 9.5'],
  z: [3.6, 'M0 3H3.6L0 7H3.6'],
  A: [5, 'M0 7L2.5 0L5 7M0.9 4.6H4.1'],
  B: [4.4, 'M0 0V7H2.5A1.85 1.85 0 0 0 2.5 3.3H0M2.5 3.3A1.65 1.65 0 0 0 2.5 0H0'],
  C: [4.8, 'M4.8 0.7A3 3.5 0 1 0 4.8 6.3'],
  D: [4.8, 'M0 0V7H1.8A3 3.5 0 0 0 1.8 0H0'],
}

/** From the top of ascenders to the end of descenders. */
const high = 9.5
/** Free space between letters, and the width of the pen, where nothing else is wanted. */
const usual = { space: 1.6, pen: 0.8 } as const

export interface Lettering {
  /** Its size, in units of its own. */
  readonly wide: number
  readonly high: number
  readonly pen: number
  /** Of each letter the left edge and the width. */
  readonly letters: readonly { readonly left: number; readonly width: number }[]
  /** SVG with the upper left corner at a point. */
  readonly lines: (at: Point, scale: number, paint: Paint) => string
}

/** A word to be drawn. @throws ArgumentError for letters that there are not */
export function lettering(word: string, space: number = usual.space): Lettering {
  let left = 0
  const parts = [...word].map((letter) => {
    const glyph = glyphs[letter]
    if (glyph === undefined) throw new ArgumentError(`there is no letter ${JSON.stringify(letter)}; expected one of ${Object.keys(glyphs).join('')}`)
    const part = { left, width: glyph[0], drawn: glyph[1] }
    left += glyph[0] + space
    return part
  })
  return {
    wide: left - space,
    high,
    pen: usual.pen,
    letters: parts,
    lines: (at, scale, paint) => parts.map((part) => drawing(part.drawn, { x: at.x + part.left * scale, y: at.y }, scale, paint)).join('\n'),
  }
}

/** Half way between the top of small letters and the base line. */
export const middle = 5
