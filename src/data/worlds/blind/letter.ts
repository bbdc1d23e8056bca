// A word with an oval around one of its letters: which one?

import { ellipse, type Ink, inks, side } from '../draw.ts'
import type { Random } from '../random.ts'
import { lettering, middle } from './glyphs.ts'
import { type BlindTask, defineTask, everywhere, type Level, lineWidth, range } from './task.ts'
import { ask, shownWords, tell } from './words.ts'

const lengths: { readonly [level in Level]: readonly [least: number, most: number] } = { easy: [3, 4], medium: [5, 6], hard: [7, 10] }
/** Space between letters: the narrower, the more of its neighbours an oval comes near. */
const spaces: { readonly [level in Level]: readonly [low: number, high: number] } = { easy: [3, 4.5], medium: [2.4, 3.4], hard: [1.8, 2.6] }
/** So many are letters in any order instead of a word. */
const anyOrder = 0.4
const letters = [...'abcdefghijklmnopqrstuvwxyz']
const margin = 500

function wordWith(random: Random, letter: string, level: Level): string {
  const [least, most] = lengths[level]
  const words = shownWords.filter((word) => word.includes(letter) && word.length >= least && word.length <= most)
  if (words.length > 0 && !random.chance(anyOrder)) return random.choose(words)
  return random.shuffled([letter, ...range(2, random.within(least, most)).map(() => random.choose(letters))]).join('')
}

export const circledLetter: BlindTask = defineTask({
  answers: everywhere(letters),
  written: (letter) => letter,
  draw: (random, canvas, letter) => {
    const word = wordWith(random, letter, canvas.level)
    const at = random.choose(range(0, word.length - 1).filter((i) => word[i] === letter))
    const space = random.between(...spaces[canvas.level])
    const text = lettering(word, space)
    // An oval around an outer letter must be within the picture too.
    const scale = Math.min((side - 2 * margin) / (text.wide + 2 * space), 500) * random.between(0.7, 1)
    const corner = { x: random.between(margin + space * scale, side - margin - (text.wide + space) * scale), y: 0 }
    corner.y = random.between(margin + 1.5 * scale, side - margin - (text.high + 2) * scale)
    const [ink, mark] = inks(random, 2) as [Ink, Ink]
    const pen = Math.max(random.between(0.5, 0.95), Math.min(1.1, (1.2 * canvas.pixel) / scale))
    const ring = lineWidth(random, canvas, 0.35 * scale, 0.6 * scale)
    const { left, width } = text.letters[at] as (typeof text.letters)[number]
    const centre = { x: corner.x + (left + width / 2) * scale, y: corner.y + middle * scale }
    return {
      shapes: [
        text.lines(corner, scale, { line: ink.colour, width: pen }),
        ellipse(centre, (width / 2 + 0.75 * space) * scale, random.between(5.5, 6.3) * scale, { line: mark.colour, width: ring }),
      ],
      question: ask.letter(random),
      description: tell.letter(random, [...word], at, mark.name),
      reasoning: tell.letterFound(letter),
      truth: { word, at, color: mark.name },
    }
  },
})
