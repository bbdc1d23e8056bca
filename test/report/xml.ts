// A strict reader of XML for the tests: what it accepts is well-formed, and charts are measured in the tree that it gives.

import assert from 'node:assert/strict'

export interface Element {
  readonly name: string
  readonly attributes: { readonly [name: string]: string }
  readonly children: readonly (Element | string)[]
}

const named: { readonly [entity: string]: string } = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescaped(text: string): string {
  assert.doesNotMatch(text, /&(?!(amp|lt|gt|quot|apos|#\d+);)/, `an ampersand is not escaped in ${JSON.stringify(text)}`)
  return text.replace(/&(#(\d+)|\w+);/g, (_, name: string, code: string | undefined) =>
    code === undefined ? (named[name] as string) : String.fromCodePoint(Number(code)),
  )
}

/** Reads one element and all in it. @throws AssertionError where the text is not well-formed XML 1.0 */
export function parseXml(text: string): Element {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML forbids them
  assert.doesNotMatch(text, /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/, 'a character that XML cannot hold')
  assert.ok(text.isWellFormed(), 'a lone surrogate')
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const sticky = new RegExp(pattern, 'y')
    sticky.lastIndex = at
    const found = sticky.exec(text)
    if (found !== null) at = sticky.lastIndex
    return found
  }
  const must = (pattern: RegExp, what: string): RegExpExecArray => {
    const found = take(pattern)
    assert.ok(found, `${what} expected at ${JSON.stringify(text.slice(at, at + 60))}`)
    return found
  }
  const element = (): Element => {
    const name = must(/<([a-zA-Z][\w-]*)/, 'an element')[1] as string
    const attributes: { [name: string]: string } = {}
    for (let found = take(/\s+([a-zA-Z][\w:-]*)="([^"<]*)"/); found !== null; found = take(/\s+([a-zA-Z][\w:-]*)="([^"<]*)"/)) {
      const [, attribute = '', value = ''] = found
      assert.ok(!(attribute in attributes), `${name} has ${attribute} twice`)
      attributes[attribute] = unescaped(value)
    }
    const children: (Element | string)[] = []
    if (take(/\s*\/>/) !== null) return { name, attributes, children }
    must(/\s*>/, `the end of the tag ${name}`)
    while (take(new RegExp(`</${name}\\s*>`)) === null) {
      const words = take(/[^<]+/)
      if (words === null) children.push(element())
      else children.push(unescaped(words[0]))
    }
    return { name, attributes, children }
  }
  const root = element()
  must(/\s*$/, 'the end')
  return root
}

/** The page's root: browsers want a document type, XML does not. */
export const parsePage = (text: string): Element => parseXml(text.replace(/^<!DOCTYPE html>\s*/, ''))

export function textOf(node: Element | string): string {
  return typeof node === 'string' ? node : node.children.map(textOf).join('')
}

/** All elements below one, in order, that have a name and all of some classes. */
export function all(root: Element, name: string, ...classes: readonly string[]): Element[] {
  return root.children.flatMap((child) => {
    if (typeof child === 'string') return []
    const has = (child.attributes['class'] ?? '').split(' ')
    const own = child.name === name && classes.every((each) => has.includes(each)) ? [child] : []
    return [...own, ...all(child, name, ...classes)]
  })
}

export function only(root: Element, name: string, ...classes: readonly string[]): Element {
  const found = all(root, name, ...classes)
  assert.equal(found.length, 1, `${name}.${classes.join('.')}: ${found.length} found`)
  return found[0] as Element
}

export function numeric(element: Element, attribute: string): number {
  const value = Number(element.attributes[attribute])
  assert.ok(Number.isFinite(value), `${element.name} has ${attribute} ${element.attributes[attribute]}`)
  return value
}
