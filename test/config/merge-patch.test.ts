// Merge patches against the examples of RFC 7396, appendix A, and the overlay of configurations against cases by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergePatch, overlay } from '../../src/config/merge-patch.ts'

/** Original, patch, result: the table of the appendix in its order. */
const table: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

test('a merge patch gives what RFC 7396 prints, and changes neither argument', () => {
  for (const [target, patch, result] of table) {
    const before = JSON.stringify([target, patch])
    assert.deepEqual(mergePatch(target, patch), result, before)
    assert.equal(JSON.stringify([target, patch]), before)
  }
})

test('__proto__ is a name like others', () => {
  const patched = mergePatch({}, JSON.parse('{"__proto__": {"polluted": 1}, "a": {"__proto__": 2}}'))
  assert.equal(JSON.stringify(patched), '{"__proto__":{"polluted":1},"a":{"__proto__":2}}')
  assert.equal(Object.getPrototypeOf(patched), Object.prototype)
  assert.equal(({} as { polluted?: number }).polluted, undefined)
})

test('an overlay merges mappings; null and lists replace', () => {
  assert.deepEqual(overlay({ a: { b: 1, c: [1, 2] }, d: null }, { a: { c: [3] }, d: { e: 1 } }), { a: { b: 1, c: [3] }, d: { e: 1 } })
  assert.deepEqual(overlay({ a: { b: 1 } }, { a: null }), { a: null })
  assert.deepEqual(overlay({ a: { b: 1 } }, {}), { a: { b: 1 } })
  assert.deepEqual(overlay({ a: 1 }, { a: { b: null } }), { a: { b: null } })
})
