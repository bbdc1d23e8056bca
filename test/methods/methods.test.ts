// Every method by name against an oracle that was written from the formulas: loss, values, clips, gates, visual dependency, gradients.

import assert from 'node:assert/strict'
import test from 'node:test'
import { opsdTopK } from '../../src/methods/opsd.ts'
import { methods } from '../../src/methods/registry.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import { advantagesOf, rewardOf } from '../../src/supervision/credit.ts'
import type { Method } from '../../src/supervision/method.ts'
import { groups, idsOf, randomLogits, rollouts, World } from '../supervision/tables.ts'
import { close, random, withoutLeaks } from '../support.ts'
import { type Case, dependencies, known, logSoftmax, oracle } from './oracle.ts'

/** With a k below the 32 entries of the tests. */
const topFive = defineMethod({
  ...opsdTopK,
  name: 'opsd-top-5',
  terms: { privileged: { ...opsdTopK.terms['privileged'], over: { topK: 5, of: 'target' } } as never },
})
const all = new Map([...methods, [topFive.name, topFive]])

function caseOf(seed: number): Case {
  const logits = randomLogits(seed)
  const next = random(seed)
  const ids = rollouts.map((rollout, row) => idsOf(rollout, row))
  // Old log-probabilities so far from today's that some ratios leave [0.8, 1.2]; rounded as they are stored.
  const logprobs = ids.map((own, row) =>
    Array.from(own, (id, t) => Math.fround((logSoftmax(logits('student', row, t))[id] ?? 0) + 0.8 * (next() - 0.5))),
  )
  return { rollouts, groups, ids, logits, logprobs }
}

/** Advantages as the product computes them. */
function advantages(method: Method): number[] {
  const term = Object.values(method.terms).find((each) => each.kind === 'reinforce')
  if (term?.kind !== 'reinforce') return rollouts.map(() => 0)
  return groups.flatMap((group) =>
    advantagesOf(
      term.advantage,
      group.map((row) => rewardOf(term, rollouts[row] ?? assert.fail())),
    ),
  )
}

test('the oracle knows every method of the registry', () => {
  assert.deepEqual([...all.keys()].sort(), [...known].sort())
})

for (const [name, method] of all) {
  test(`${name} equals its formulas, gradients included`, () => {
    withoutLeaks(() => {
      for (const seed of [1, 2]) {
        const c = caseOf(seed)
        const expected = oracle(name, c)
        using world = new World(method, { logits: c.logits, logprobs: c.logprobs, advantages: advantages(method) })
        const report = world.accumulate()
        const tolerance = { absolute: 1e-12, relative: 1e-6 }
        close([report.loss, report.scale], [expected.loss, expected.scale], tolerance, 'loss and scale')
        assert.deepEqual([...report.terms.keys()], [...expected.terms.keys()])
        for (const [term, want] of expected.terms) {
          const { loss, value, clipped } = report.terms.get(term) ?? assert.fail()
          close([loss.sum, loss.count, value.sum, value.count], [want.sum, want.count, want.value, want.seen], tolerance, term)
          assert.deepEqual(clipped, { sum: want.clipped, count: want.seen }, `${term}: clips`)
          for (const [row, rollout] of rollouts.entries()) {
            const own = report.tokens[row]?.get(term)
            const tokens = rollout.pieces.map((_, t) => expected.tokens.get(term)?.get(`${row} ${t}`))
            assert.equal(
              own === undefined,
              tokens.every((each) => each === undefined),
              `${term}, row ${row}`,
            )
            if (own === undefined) continue
            close(
              Array.from(own.gates),
              tokens.map((each) => each?.gate ?? 0),
              tolerance,
              `${term}: gates of ${row}`,
            )
            assert.deepEqual(
              Array.from(own.clipped),
              tokens.map((each) => (each?.clipped ? 1 : 0)),
              `${term}: clips of ${row}`,
            )
            const supervised = tokens.flatMap((each, t) => (each === undefined ? [] : [t]))
            const got = supervised.map((t) => own.values[t] as number)
            close(
              got,
              supervised.map((t) => tokens[t]?.value ?? Number.NaN),
              { absolute: 1e-7, relative: 1e-6 },
              `${term}: values of ${row}`,
            )
          }
        }
        for (const [view, tables] of world.student) {
          for (const row of tables.keys()) {
            close(
              world.gradients(view, row).flat(),
              expected.gradient(view, row).flat(),
              { absolute: 1e-10, relative: 1e-6 },
              `gradient of ${view}, row ${row}`,
            )
          }
        }
        const gated = Object.values(method.terms).some((term) => term.kind === 'distill' && term.gates !== null)
        for (const [row, own] of report.dependencies.entries()) {
          assert.equal(own !== null, gated)
          if (own !== null) close(Array.from(own), dependencies(c)[row] ?? [], { absolute: 1e-8, relative: 1e-6 }, `visual dependency of ${row}`)
        }
      }
    })
  })
}

test('the random logits reach both sides of every clip, gate and ratio bound', () => {
  const c = caseOf(1)
  for (const name of ['vigos', 'vigos-released', 'grpo']) {
    for (const [term, { clipped, seen }] of oracle(name, c).terms) assert.ok(clipped > 0 && clipped < seen, `${name}, ${term}: ${clipped} of ${seen}`)
  }
  const gates = [...(oracle('adaptive-vgs', c).tokens.get('visual') ?? [])].map(([, { gate }]) => gate)
  const tokens = rollouts.reduce((sum, { pieces }) => sum + pieces.length, 0)
  assert.deepEqual([...new Set(gates)].sort(), [0.5, 1])
  assert.ok(gates.length < tokens)
})
