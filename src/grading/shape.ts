// Takes answers apart that are more than one value: lists, tuples, sets, intervals, relations, equations and matrices.

/** `items` keep their own shape to be read in turn. Bounds of intervals are texts; an open end is one that does not belong to it. */
export type Shape =
  | { readonly form: 'value'; readonly text: string }
  /** Beside each other, without brackets. */
  | { readonly form: 'list'; readonly items: readonly string[] }
  | { readonly form: 'set'; readonly items: readonly string[] }
  | { readonly form: 'tuple'; readonly items: readonly string[]; readonly brackets: string }
  /** From a relation such as x < 5; brackets are read as a tuple. */
  | { readonly form: 'interval'; readonly items: readonly string[]; readonly brackets: string; readonly variable: string }
  | { readonly form: 'union'; readonly items: readonly string[] }
  | { readonly form: 'equation'; readonly left: string; readonly right: string }
  | { readonly form: 'matrix'; readonly rows: readonly (readonly string[])[] }

/** Parts of a text at separators that stand outside of all brackets; the text itself if there is none. */
export function split(text: string, separator: RegExp): string[] {
  const parts: string[] = []
  const sticky = new RegExp(separator.source, 'iy')
  let [depth, from, at] = [0, 0, 0]
  while (at < text.length) {
    sticky.lastIndex = at
    const found = depth === 0 ? sticky.exec(text) : null
    if (found !== null && found[0] !== '') {
      parts.push(text.slice(from, at).trim())
      at += found[0].length
      from = at
      continue
    }
    const sign = text.charAt(at)
    if ('([{'.includes(sign)) depth++
    else if (')]}'.includes(sign)) depth = Math.max(0, depth - 1)
    at++
  }
  return [...parts, text.slice(from).trim()]
}

/** The text within brackets that enclose all of it, and which these are; null if it is not enclosed. */
export function enclosed(text: string): { readonly inside: string; readonly brackets: string } | null {
  const open = /^\\\{|^[([{]/.exec(text)?.[0]
  const close = /(?:\\\}|[)\]}])$/.exec(text)?.[0]
  if (open === undefined || close === undefined) return null
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const sign = text.charAt(at)
    if ('([{'.includes(sign)) depth++
    else if (')]}'.includes(sign) && --depth === 0 && at < text.length - 1) return null
  }
  return depth === 0 ? { inside: text.slice(open.length, -close.length).trim(), brackets: `${open}${close}`.replaceAll('\\', '') } : null
}

const conjunction = /,|;|\s+(?:and|or)\s+|,\s*(?:and|or)\s+/
const relations: { readonly [sign: string]: { readonly strict: boolean; readonly up: boolean } } = {
  '<': { strict: true, up: true },
  '\\lt': { strict: true, up: true },
  '\\le': { strict: false, up: true },
  '<=': { strict: false, up: true },
  '>': { strict: true, up: false },
  '\\gt': { strict: true, up: false },
  '\\ge': { strict: false, up: false },
  '>=': { strict: false, up: false },
}
const relation = /(?:<=|>=|<|>|\\(?:le|ge|lt|gt)(?![a-z]))/
const name = /^(?:\\?[a-zA-Z]+|[a-zA-Z])(?:_\{?\w{1,3}\}?)?(?:\([a-z]\))?$/

/** The shape of an answer in plain spelling. */
export function shapeOf(answer: string): Shape {
  const text = answer.trim()
  const matrix = /^\\begin\{([pbvV]?matrix)\}(.*)\\end\{\1\}$/s.exec(text)
  if (matrix !== null) {
    const rows = (matrix[2] ?? '').split(/\\cr(?![a-z])/).map((row) => row.trim())
    return { form: 'matrix', rows: rows.filter((row) => row !== '').map((row) => row.split('&').map((cell) => cell.trim())) }
  }
  const list = split(text, conjunction).filter((part) => part !== '')
  if (list.length > 1) return { form: 'list', items: list.flatMap(signed) }
  const member = split(text, /\\in(?![a-z])/)
  if (member.length === 2) return shapeOf(member[1] ?? '')
  const union = split(text, /\\(?:big)?cup(?![a-z])/)
  if (union.length > 1) return { form: 'union', items: union }
  const interval = intervalIn(text)
  if (interval !== null) return interval
  const sides = split(text, /=/)
  const [left = '', right = ''] = sides
  if (sides.length === 2 && left !== '' && right !== '') {
    const values = signed(right)
    return values.length > 1 ? { form: 'list', items: values } : { form: 'equation', left, right }
  }
  const within = enclosed(text)
  if (within !== null) {
    const items = split(within.inside, /,|;/)
    if (within.brackets === '{}') return { form: 'set', items: items.filter((item) => item !== '').flatMap(signed) }
    if (items.length > 1) return { form: 'tuple', items, brackets: within.brackets }
    return within.brackets === '()' ? shapeOf(within.inside) : { form: 'value', text }
  }
  const both = signed(text)
  return both.length > 1 ? { form: 'list', items: both } : { form: 'value', text }
}

/** Both values of one with a plus-minus sign. */
function signed(text: string): string[] {
  return text.split('\\pm').length === 2 ? [text.replace('\\pm', '+').replace(/^\s*\+/, ''), text.replace('\\pm', '-')] : [text]
}

/** What one or two relations of one variable allow: x < 5, 5 > x, 1 <= x < 2. */
function intervalIn(text: string): Shape | null {
  const parts = split(text, relation)
  const signs = [...text.matchAll(new RegExp(relation, 'g'))].map(([sign]) => relations[sign])
  if (parts.length !== signs.length + 1 || parts.includes('')) return null
  const [first, second] = signs
  const [a = '', b = '', c = ''] = parts
  if (first === undefined) return null
  if (parts.length === 2) {
    const variableFirst = name.test(a)
    if (variableFirst === name.test(b)) return null
    const [variable, bound] = variableFirst ? [a, b] : [b, a]
    // x < 5 bounds from above, 5 < x from below.
    const above = variableFirst === first.up
    const end = first.strict ? '()' : '[]'
    return {
      form: 'interval',
      variable,
      items: above ? ['-\\infty', bound] : [bound, '\\infty'],
      brackets: above ? `(${end.charAt(1)}` : `${end.charAt(0)})`,
    }
  }
  if (second === undefined || parts.length !== 3 || first.up !== second.up || !name.test(b)) return null
  const [low, high] = first.up ? [first, second] : [second, first]
  const brackets = `${low.strict ? '(' : '['}${high.strict ? ')' : ']'}`
  return { form: 'interval', variable: b, items: first.up ? [a, c] : [c, a], brackets }
}

/** Whether a text is the name of a quantity: x, \theta, x_1, f(x), Area. */
export const isName = (text: string): boolean => name.test(text)
