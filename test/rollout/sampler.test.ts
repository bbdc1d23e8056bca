// Every sampling rule against a plain JavaScript oracle that follows transformers' processors, and draws against their probabilities.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type Draw, type DrawRow, draw } from '../../src/rollout/sampler.ts'
import { defaultSampling, hasFilters, type Sampling, samplingOf } from '../../src/rollout/sampling.ts'
import { uniformAt } from '../../src/rollout/uniform.ts'
import { inferenceMode, scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random, withoutLeaks } from '../support.ts'

const row = (settings: Partial<Sampling>, uniform = 0, more: Partial<DrawRow> = {}): DrawRow => ({
  sampling: samplingOf(settings),
  uniform,
  prompt: new Set(),
  output: new Map(),
  ...more,
})

const drawAll = (logits: Tensor, rows: readonly DrawRow[]): Draw[] => inferenceMode(() => draw(logits, rows))

const softmax = (logits: readonly number[]): number[] => {
  const most = Math.max(...logits)
  const weights = logits.map((logit) => Math.exp(logit - most))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

/** Probabilities by id after temperature and filters, in float64. */
function oracle(logits: readonly number[], { temperature, topK, topP, minP }: Sampling): number[] {
  let scores = logits.map((logit) => logit / temperature)
  if (topK > 0) {
    const least = [...scores].sort((a, b) => b - a)[Math.min(topK, scores.length) - 1] as number
    scores = scores.map((score) => (score < least ? -Infinity : score))
  }
  if (topP < 1) {
    // Ascending, as transformers does it: whatever a sum from below leaves at or under 1 − p goes; the last always stays.
    const p = softmax(scores)
    const ascending = scores.map((_, id) => id).sort((a, b) => (scores[a] as number) - (scores[b] as number) || b - a)
    let sum = 0
    for (const id of ascending.slice(0, -1)) {
      sum += p[id] as number
      if (sum <= 1 - topP + 1e-12) scores[id] = -Infinity
    }
  }
  const p = softmax(scores)
  const least = minP * Math.max(...p)
  return softmax(scores.map((score, id) => ((p[id] as number) < least - 1e-12 ? -Infinity : score)))
}

/** Holds a rule to the oracle: each token that is kept is drawn in the middle of its part of [0, 1), and the parts fill all of it. */
function agrees(logits: readonly number[], settings: Partial<Sampling>): void {
  const sampling = samplingOf(settings)
  const rounded = Array.from(Float32Array.from(logits))
  const p = oracle(rounded, sampling)
  const order = p.map((_, id) => id).filter((id) => (p[id] as number) > 0)
  if (hasFilters(sampling)) order.sort((a, b) => (p[b] as number) - (p[a] as number) || a - b)
  let sum = 0
  const places = order.map((id) => {
    sum += p[id] as number
    return { id, uniform: sum - (p[id] as number) / 2 }
  })
  // Parts that rounding could shift away are left out, and of very many most.
  const certain = places.filter(({ id }, i) => (p[id] as number) > 1e-5 && i % Math.ceil(places.length / 80) === 0)
  scope(() => {
    const drawn = drawAll(
      tensor([rounded]).expand([certain.length, rounded.length]),
      certain.map(({ uniform }) => row(settings, uniform)),
    )
    const own = softmax(rounded)
    for (const [i, { id }] of certain.entries()) {
      const each = drawn[i] as Draw
      assert.equal(each.id, id, `${JSON.stringify(settings)}: place ${i}`)
      assert.ok(Math.abs(each.sampledLogprob - Math.log(p[id] as number)) < 3e-6, `${JSON.stringify(settings)}: log-probability of ${id}`)
      assert.ok(Math.abs(each.logprob - Math.log(own[id] as number)) < 3e-6)
    }
    // The ends of [0, 1) belong to the first and the last.
    const ends = drawAll(tensor([rounded, rounded]), [row(settings, 0), row(settings, 1 - 2 ** -53)])
    assert.equal(ends[0]?.id, order[0])
    if ((p[order.at(-1) as number] as number) > 1e-5) assert.equal(ends[1]?.id, order.at(-1))
  })
}

const next = random(3)
const spread = Array.from({ length: 60 }, () => 6 * next() - 3)
const tied = Array.from({ length: 40 }, (_, i) => [2, 1, 1, 0.5, -1][(i * 7) % 5] as number)

const settings: readonly Partial<Sampling>[] = [
  {},
  { temperature: 0.3 },
  { temperature: 4 },
  { topK: 1 },
  { topK: 5 },
  { topK: 1000 },
  { topP: 0.5 },
  { topP: 0.97, temperature: 2 },
  { topP: 0.0001 },
  { minP: 0.2 },
  { minP: 1 },
  { topK: 12, topP: 0.7 },
  { topK: 20, topP: 0.8, temperature: 0.7 },
  { topK: 30, topP: 0.95, minP: 0.1, temperature: 1.5 },
  { topP: 0.9, minP: 0.3 },
]

test('temperature and every filter, alone and together, against the oracle', () => {
  withoutLeaks(() => {
    for (const each of settings) {
      agrees(spread, each)
      agrees(tied, each)
    }
  })
})

test('flat distributions: candidates grow until the filter is covered, and equals count in the order of ids', () => {
  withoutLeaks(() => {
    const wide = Array.from({ length: 6000 }, () => next())
    agrees(wide, { topP: 0.9 })
    agrees(wide, { topP: 0.1 })
    agrees(wide, { minP: 0.5 })
    agrees(wide, { topK: 3000, topP: 0.5 })
    const flat = new Array<number>(3000).fill(1)
    // 1,000.5 of 3,000 equal tokens reach the share: the first 1,001 stay.
    scope(() => {
      const uniforms = [0, 0.5, 1 - 2 ** -53]
      const drawn = drawAll(
        tensor([flat, flat, flat]),
        uniforms.map((uniform) => row({ topP: 1000.5 / 3000 }, uniform)),
      )
      assert.deepEqual(
        drawn.map(({ id }) => id),
        [0, 500, 1000],
      )
      assert.ok(Math.abs((drawn[0]?.sampledLogprob ?? 0) + Math.log(1001)) < 1e-6)
      // All equal the K-th: all stay, as in transformers and vLLM.
      assert.equal(drawAll(tensor([flat]), [row({ topK: 10 }, 1 - 2 ** -53)])[0]?.id, 2999)
    })
  })
})

test('greedy takes the lowest id of equals, and says the probability of the model', () => {
  withoutLeaks(() =>
    scope(() => {
      const [first, second] = drawAll(
        tensor([
          [0, 3, 1, 3],
          [Math.log(1), Math.log(2), Math.log(5), 0],
        ]),
        [row({ temperature: 0, topK: 3 }), row({ temperature: 0 }, 0.99)],
      )
      assert.equal(first?.id, 1)
      assert.equal(second?.id, 2)
      assert.ok(Math.abs((second?.logprob ?? 0) - Math.log(5 / 9)) < 1e-6)
      assert.equal(second?.sampledLogprob, 0)
    }),
  )
})

test('tokens that are never drawn: the others share their probability, and the model’s own stays', () => {
  withoutLeaks(() => {
    const logits = [2, -1, 3, 0.5]
    const [p, left] = [softmax(logits), softmax([2, -Infinity, -Infinity, 0.5])]
    for (const settings of [{}, { topK: 4 }, { topP: 0.999 }]) {
      for (const [uniform, id] of [
        [0, 0],
        [0.999, 3],
      ] as const) {
        const [each] = scope(() => inferenceMode(() => draw(tensor([logits]), [row(settings, uniform)], [1, 2])))
        assert.equal(each?.id, id)
        assert.ok(Math.abs((each?.sampledLogprob ?? 0) - Math.log(left[id] as number)) < 1e-6)
        assert.ok(Math.abs((each?.logprob ?? 0) - Math.log(p[id] as number)) < 1e-6)
      }
    }
    const [greedy] = scope(() => inferenceMode(() => draw(tensor([logits]), [row({ temperature: 0 })], [1, 2])))
    assert.equal(greedy?.id, 0)
  })
})

test('penalties by hand', () => {
  withoutLeaks(() =>
    scope(() => {
      // Token 0 is in the prompt, 1 twice in the output, 2 in both, once in the output; 3 in neither.
      const more = { prompt: new Set([0, 2]), output: new Map(Object.entries({ 1: 2, 2: 1 }).map(([id, count]) => [Number(id), count] as const)) }
      const logits = [2, -1, 3, 0.5]
      const cases: readonly (readonly [Partial<Sampling>, readonly number[]])[] = [
        [{ repetitionPenalty: 2 }, [1, -2, 1.5, 0.5]],
        [{ presencePenalty: 0.75 }, [2, -1.75, 2.25, 0.5]],
        [{ frequencyPenalty: 0.5 }, [2, -2, 2.5, 0.5]],
        [{ repetitionPenalty: 2, presencePenalty: 0.75, frequencyPenalty: -0.5 }, [1, -1.75, 1.25, 0.5]],
        [{ repetitionPenalty: 0.5, temperature: 2 }, [2, -0.25, 3, 0.25]],
      ]
      for (const [settings, changed] of cases) {
        const p = softmax(changed)
        let sum = 0
        for (const [id, share] of p.entries()) {
          const [each] = drawAll(tensor([logits]), [row(settings, sum + share / 2, more)])
          assert.equal(each?.id, id, JSON.stringify(settings))
          assert.ok(Math.abs((each?.sampledLogprob ?? 0) - Math.log(share)) < 1e-6, JSON.stringify(settings))
          assert.ok(Math.abs((each?.logprob ?? 0) - Math.log(softmax(logits)[id] as number)) < 1e-6, 'the model’s own stays')
          sum += share
        }
      }
      const given = tensor([logits])
      assert.equal(drawAll(given, [row({ repetitionPenalty: 3, temperature: 0 }, 0, more)])[0]?.id, 2, '2/3 against 3/3, −3 and 0.5')
      assert.equal(drawAll(given, [row({ repetitionPenalty: 9, temperature: 0 }, 0, more)])[0]?.id, 3)
      assert.deepEqual(given.toArray(), logits, 'the logits are not changed')
    }),
  )
})

test('rows of every kind together give, bit for bit, what each gives alone', () => {
  withoutLeaks(() =>
    scope(() => {
      const kinds = [...settings, { temperature: 0 }, { repetitionPenalty: 1.3 }, { presencePenalty: 1, topP: 0.8 }]
      const seen = { prompt: new Set([1, 5, 700]), output: new Map([[3, 2]]) }
      const rows = kinds.map((each, i) => row(each, uniformAt(1, i, 0), seen))
      const logits = tensor(kinds.map(() => Array.from({ length: 2053 }, () => 12 * next() - 6)))
      const together = drawAll(logits, rows)
      for (const [r, each] of rows.entries()) assert.deepEqual(drawAll(logits.narrow(0, r, 1), [each]), [together[r]])
    }),
  )
})

test('20,000 draws have the frequencies of their probabilities', () => {
  withoutLeaks(() => {
    const logits = Array.from({ length: 12 }, (_, i) => Math.sin(5 * i) * 1.5)
    for (const settings of [{}, { temperature: 1.4, topK: 9, topP: 0.93 }]) {
      const p = oracle(logits, samplingOf(settings))
      const counts = new Float64Array(p.length)
      for (let block = 0; block < 40; block++) {
        scope(() => {
          const rows = Array.from({ length: 500 }, (_, i) => row(settings, uniformAt(11, block, i)))
          for (const { id } of drawAll(tensor([logits]).expand([500, 12]), rows)) counts[id] = (counts[id] as number) + 1
        })
      }
      const kept = p.flatMap((share, id) => (share > 0 ? [id] : []))
      assert.equal(
        kept.reduce((sum, id) => sum + (counts[id] as number), 0),
        20_000,
      )
      const chiSquare = kept.reduce((sum, id) => sum + ((counts[id] as number) - 20_000 * (p[id] as number)) ** 2 / (20_000 * (p[id] as number)), 0)
      const freedom = kept.length - 1
      assert.ok(chiSquare < freedom + 6 * Math.sqrt(2 * freedom), `chi-square ${chiSquare} of ${freedom} degrees of freedom`)
    }
  })
})

test('settings out of range, unknown settings and logits that are not numbers are refused', () => {
  const bad: readonly (readonly [object, RegExp])[] = [
    [{ temperature: -1 }, /temperature is -1; it must be 0 or a number from 1e-6 up/],
    [{ temperature: 1e-9 }, /temperature is 1e-9/],
    [{ topK: 1.5 }, /topK is 1.5; it must be an integer from 0/],
    [{ topP: 0 }, /topP is 0; it must be above 0 and at most 1/],
    [{ minP: 1.1 }, /minP is 1.1/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty is 0/],
    [{ presencePenalty: Number.NaN }, /presencePenalty is NaN/],
    [{ top_p: 0.5 }, /there is no setting top_p; there are temperature, topK/],
  ]
  for (const [settings, message] of bad) assert.throws(() => samplingOf(settings), { name: 'ArgumentError', message })
  assert.deepEqual(samplingOf({}), defaultSampling)
  withoutLeaks(() =>
    scope(() => {
      for (const settings of [{}, { temperature: 0 }, { topP: 0.5 }, { topK: 2 }]) {
        assert.throws(() => drawAll(tensor([[1, Number.NaN, 2]]), [row(settings)]), /row 0: the model's logits are not finite/)
      }
    }),
  )
})
