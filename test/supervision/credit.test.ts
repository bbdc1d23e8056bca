// Rewards and advantages by hand.

import assert from 'node:assert/strict'
import test from 'node:test'
import { grpo } from '../../src/methods/grpo.ts'
import { advantagesOf, rewardOf } from '../../src/supervision/credit.ts'
import type { ReinforceTerm } from '../../src/supervision/method.ts'
import { close } from '../support.ts'

const exact = { absolute: 1e-15, relative: 1e-15 }

test('a rollout earns what its term pays for a correct answer and for a valid format', () => {
  const term = grpo.terms['correctness']
  assert.ok(term?.kind === 'reinforce')
  const paying = (rewards: ReinforceTerm['rewards']): number[] =>
    [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ].map(([correct, valid]) => rewardOf({ ...term, rewards }, { correct: correct === true, valid: valid === true }))
  assert.deepEqual(paying({ correct: 1 }), [1, 1, 0, 0])
  assert.deepEqual(paying({ valid: 0.25 }), [0.25, 0, 0.25, 0])
  assert.deepEqual(paying({ correct: 2, valid: 0.5 }), [2.5, 2, 0.5, 0])
  assert.deepEqual(paying({ correct: 1, valid: -1 }), [0, 1, -1, 0])
})

test('advantages: less the mean, over the sample standard deviation or not', () => {
  // mean 1/4, deviations 3/4 and −1/4 three times; Σ² = 3/4, /3 = 1/4, root 1/2
  close(advantagesOf('group', [1, 0, 0, 0]), [1.5, -0.5, -0.5, -0.5], exact)
  close(advantagesOf('groupCentred', [1, 0, 0, 0]), [0.75, -0.25, -0.25, -0.25], exact)
  close(advantagesOf('group', [0, 1]), [-Math.SQRT1_2, Math.SQRT1_2], exact)
  close(advantagesOf('group', [3, 1, 2]), [1, -1, 0], exact)
})

test('equal rewards give exactly zero, one rollout alone too', () => {
  for (const kind of ['group', 'groupCentred'] as const) {
    for (const rewards of [[1], [0, 0], [0.1, 0.1, 0.1], new Array<number>(7).fill(1 / 3)]) {
      assert.deepEqual(
        advantagesOf(kind, rewards),
        rewards.map(() => 0),
      )
    }
  }
})
