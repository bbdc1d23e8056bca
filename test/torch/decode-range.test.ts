// Attention of a decoding step where scores are far from zero, whose exponentials would vanish or overflow without their maximum; and gradients refused.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decodeAttention, decodeAttentionReference } from '../../src/torch/attention.ts'
import { requireGrad } from '../../src/torch/autograd.ts'
import { inferenceMode, noGrad } from '../../src/torch/context.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, randomTensor, withoutLeaks } from '../support.ts'

for (const far of [-300, 300]) {
  test(`scores around ${far}, for every number of keys up to three vectors`, () => {
    withoutLeaks(() =>
      inferenceMode(() => {
        for (let length = 1; length <= 48; length++) {
          const query = ops.full([1, 2, 8], 1)
          const keys = randomTensor([1, length, 1, 8], length, far / 8 - 0.2, far / 8 + 0.2).toDtype('float32')
          const values = randomTensor([1, length, 1, 8], 100 + length).toDtype('float32')
          const decoding = { prefixKeys: [], prefixValues: [], prefixOf: [-1], keys, values, slots: [0], lengths: [length], scale: 1 }
          const expected = decodeAttentionReference(query, decoding).toArray()
          assert.ok(expected.every(Number.isFinite))
          close(decodeAttention(query, decoding).toArray(), expected, { absolute: 2e-4, relative: 1e-4 }, `${length} keys`)
        }
      }),
    )
  })
}

test('the product of a few rows refuses whatever would need a gradient', () => {
  withoutLeaks(() => {
    const operands = [ops.ones([2, 3]), ops.ones([4, 3]), ops.ones([4])] as const
    for (const i of [0, 1, 2]) {
      const [input, weight, bias] = operands.map((each, j) => (i === j ? requireGrad(each.clone()) : each)) as [Tensor, Tensor, Tensor]
      assert.throws(() => ops.fusedLinearRows(input, weight, bias), /linear_rows has no gradient/)
      assert.deepEqual(
        noGrad(() => ops.fusedLinearRows(input, weight, bias).toArray()),
        new Array(8).fill(4),
      )
    }
  })
})
