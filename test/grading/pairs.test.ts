// The graders against pairs that were judged by hand: how often they accept what is wrong and reject what is right.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gradeResponse } from '../../src/grading/grade.ts'
import { answerKinds, type Verdict } from '../../src/grading/verdict.ts'
import { type Pair, readPairs } from './pairs.ts'

const graded = readPairs().map((pair) => ({ pair, verdict: gradeResponse(pair.response, pair.expected) }))
const share = (part: number, whole: number): string => `${part} of ${whole} (${((100 * part) / whole).toFixed(1)} %)`

function told({ pair, verdict }: { readonly pair: Pair; readonly verdict: Verdict }): string {
  const { line, expected, response, outcome, why } = pair
  const said = JSON.stringify(response.length > 90 ? `…${response.slice(-90)}` : response)
  return `  line ${line}, ${expected.kind}: ${said} for ${JSON.stringify(expected.answer)} is ${outcome} (${why}), graded ${verdict.outcome} (${verdict.rule})`
}

test('hand-checked pairs: no wrong accepts, at most 1 % wrong rejects, at most 5 % of right answers undecided', (context) => {
  const rights = graded.filter(({ pair }) => pair.outcome === 'right')
  const accepts = graded.filter(({ pair, verdict }) => pair.outcome !== 'right' && verdict.outcome === 'right')
  const rejects = rights.filter(({ verdict }) => verdict.outcome === 'wrong')
  const open = rights.filter(({ verdict }) => verdict.outcome === 'undecided')
  const bold = graded.filter(({ pair, verdict }) => pair.outcome === 'undecided' && verdict.outcome === 'wrong')
  const shy = graded.filter(({ pair, verdict }) => pair.outcome === 'wrong' && verdict.outcome === 'undecided')
  for (const [name, some, all] of [
    ['wrong accepts', accepts, graded],
    ['wrong rejects', rejects, rights],
    ['right, undecided', open, rights],
    ['undecided, rejected', bold, graded],
    ['wrong, undecided', shy, graded],
  ] as const)
    context.diagnostic([`${name}: ${share(some.length, all.length)}`, ...some.map(told)].join('\n'))
  assert.ok(graded.length >= 400)
  for (const kind of answerKinds)
    assert.ok(
      graded.some(({ pair }) => pair.expected.kind === kind),
      kind,
    )
  assert.deepEqual(accepts.map(told), [])
  assert.ok(rejects.length <= 0.01 * rights.length, rejects.map(told).join('\n'))
  assert.ok(open.length <= 0.05 * rights.length, open.map(told).join('\n'))
})
