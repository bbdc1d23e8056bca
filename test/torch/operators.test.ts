// Every operator of the schema list against an oracle in plain JavaScript, and its gradient against finite differences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ops } from '../../src/torch/operators.ts'
import { schemas } from '../../src/torch/schemas.ts'
import { Tensor } from '../../src/torch/tensor.ts'
import { withoutLeaks } from '../support.ts'
import type { Case, OperatorName } from './cases/case.ts'
import { comparison } from './cases/comparison.ts'
import { conversion } from './cases/conversion.ts'
import { creation } from './cases/creation.ts'
import { drawing } from './cases/drawing.ts'
import { elementwise } from './cases/elementwise.ts'
import { indexing } from './cases/indexing.ts'
import { inplace } from './cases/inplace.ts'
import { joining } from './cases/joining.ts'
import { matrix } from './cases/matrix.ts'
import { parts } from './cases/parts.ts'
import { reduction } from './cases/reduction.ts'
import { shape } from './cases/shape.ts'

const cases: readonly Case[] = [
  ...elementwise,
  ...comparison,
  ...reduction,
  ...matrix,
  ...shape,
  ...joining,
  ...parts,
  ...indexing,
  ...creation,
  ...drawing,
  ...conversion,
  ...inplace,
]

const names = Object.keys(schemas) as OperatorName[]
const textOf = (name: OperatorName): string => [schemas[name]].flat()[0] ?? ''
/** The kernels of native/ are not ATen's; their own tests hold them against a reference. */
const fromATen = names.filter((name) => !textOf(name).startsWith('sightline::'))

for (const [operator, own] of Map.groupBy(cases, (each) => each.operator)) {
  test(operator, async (t) => {
    for (const { what, check } of own) await t.test(what, () => withoutLeaks(check))
  })
}

test('every operator has a case', (t) => {
  const tested = new Set(cases.map(({ operator }) => operator))
  assert.deepEqual(
    fromATen.filter((name) => !tested.has(name)),
    [],
  )
  t.diagnostic(`${cases.length} cases of ${tested.size} operators`)
})

test('every operator on `self` is a method, and no other is', () => {
  for (const name of names) {
    const onSelf = /\(Tensor(\(a!\))? self\b/.test(textOf(name))
    assert.equal(Object.hasOwn(Tensor.prototype, name), onSelf, name)
    assert.equal(typeof ops[name], 'function')
  }
})
