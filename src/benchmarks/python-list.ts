// Some data sets keep lists as the text that Python prints of them; this reads it.

import { FileFormatError } from '../errors.ts'

const escapes: { readonly [letter: string]: string } = { n: '\n', t: '\t', r: '\r', '\n': '' }
/** A text in single or double quotes, or a number. */
const item = /\s*(?:'((?:[^'\\]|\\[\s\S])*)'|"((?:[^"\\]|\\[\s\S])*)"|([+-]?[\d.]+(?:[eE][+-]?\d+)?))\s*(,|\]$)/y

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g,
    (_, x?: string, u?: string, wide?: string, plain?: string) => {
      const code = x ?? u ?? wide
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16))
      const letter = plain ?? ''
      if ('\\\'"'.includes(letter)) return letter
      return Object.hasOwn(escapes, letter) ? (escapes[letter] ?? '') : `\\${letter}`
    },
  )
}

/**
 * The items of a list of texts and numbers as Python's `repr` or JSON writes it, such as `['a', "it's", 3]`.
 *
 * @throws FileFormatError for anything else
 */
export function pythonList(written: string): readonly string[] {
  const body = written.trim()
  if (/^\[\s*\]$/.test(body)) return []
  const items: string[] = []
  item.lastIndex = 1
  for (let at = 1; body.startsWith('['); at = item.lastIndex) {
    // A comma may stand before the bracket.
    if (items.length > 0 && /^\s*\]$/.test(body.slice(at))) return items
    const match = item.exec(body)
    if (match === null) break
    const quoted = match[1] ?? match[2]
    items.push(quoted === undefined ? (match[3] ?? '') : unescaped(quoted))
    if (match[4] === ']') return items
  }
  throw new FileFormatError(`${JSON.stringify(body.slice(0, 80))} is no list; expected ['one', 'two', …]`)
}
