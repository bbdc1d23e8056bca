// The joint loss as its formulas say, in loops over plain numbers: the oracle of joint.test.ts, which shares nothing with the engine.
//
// Gradients are central differences. A clip, a stopped view, a chosen entry and the cost of a sampled token are constants to them, so
// every cost has a form whose constant parts are read from a frozen copy of the logits. Differences are taken by logits, and carried into
// hidden states and heads by the chain rule.

import type { Group } from '../../src/supervision/joint-chunk.ts'
import type { Application, DistillApplication, DistillTerm } from '../../src/supervision/joint-terms.ts'
import type { Divergence } from '../../src/torch/divergence.ts'

/** Logits of a view at one position. */
type One = (view: string) => readonly number[]

const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN
const total = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0)

function logSoftmax(logits: readonly number[], temperature: number): number[] {
  const top = Math.max(...logits)
  const normaliser = Math.log(total(logits.map((x) => Math.exp((x - top) / temperature))))
  return logits.map((x) => (x - top) / temperature - normaliser)
}

function kl(a: readonly number[], b: readonly number[]): number {
  return total(a.map((x, i) => (x === 0 ? 0 : x * Math.log(x / at(b, i)))))
}

function diverge(p: readonly number[], q: readonly number[], divergence: Divergence): number {
  if (divergence.kind === 'forwardKl') return kl(q, p)
  if (divergence.kind === 'reverseKl') return kl(p, q)
  const { beta } = divergence
  const m = p.map((x, i) => (1 - beta) * x + beta * at(q, i))
  return beta * kl(q, m) + (1 - beta) * kl(p, m)
}

/** log-probabilities of both sides; those of stopped summands from `frozen`. */
function sides(term: DistillTerm, now: One, frozen: One): [number[], number[]] {
  const { temperature } = term
  const parts = term.target.map(({ view, times, gradient }) =>
    logSoftmax(gradient === 'flows' ? now(view) : frozen(view), temperature).map((x) => times * x),
  )
  const summed = parts.reduce((sum, part) => sum.map((x, v) => x + at(part, v)))
  return [logSoftmax(now(term.student), temperature), logSoftmax(summed, 1)]
}

function outcomes(probabilities: readonly number[], chosen: readonly number[], tail: boolean): number[] {
  const top = chosen.map((v) => at(probabilities, v))
  if (!tail) return top.map((x) => x / total(top))
  return [...top, total(probabilities.filter((_, v) => !chosen.includes(v)))]
}

export interface Position {
  readonly value: number
  readonly clipped: boolean
  /** What is added to the loss. */
  readonly cost: number
  /** What has its gradient, as a function of the logits. */
  readonly surrogate: (now: One) => number
}

function distilled(application: DistillApplication, i: number, token: number, frozen: One): Position {
  const { term } = application
  const { over, divergence } = term
  const [factor, limit] = [at(application.factors, i), at(application.limits, i)]
  const finish = (value: number, moving: (now: One) => number): Position => {
    const clipped = value > limit
    const passes = !clipped ? 1 : term.clip === 'clamp' ? 0 : limit / value
    return { value, clipped, cost: factor * Math.min(value, limit), surrogate: (now) => factor * passes * moving(now) }
  }
  const [logP0, logQ0] = sides(term, frozen, frozen)
  if (over === 'sampledToken') {
    const k = at(logP0, token) - at(logQ0, token)
    return finish(k, (now) => {
      const [logP, logQ] = sides(term, now, frozen)
      return k * at(logP, token) - at(logQ, token)
    })
  }
  let of = (logProbabilities: readonly number[]): number[] => logProbabilities.map(Math.exp)
  if (over !== 'vocabulary') {
    const chosen = [...(over.of === 'target' ? logQ0 : logP0).entries()]
      .toSorted(([, a], [, b]) => b - a)
      .map(([v]) => v)
      .slice(0, over.topK)
    of = (logProbabilities) => outcomes(logProbabilities.map(Math.exp), chosen, over.tail)
  }
  return finish(diverge(of(logP0), of(logQ0), divergence), (now) => {
    const [logP, logQ] = sides(term, now, frozen)
    return diverge(of(logP), of(logQ), divergence)
  })
}

function position(application: Application, i: number, token: number, frozen: One): Position {
  if ('limits' in application) return distilled(application, i, token, frozen)
  const factor = at(application.factors, i)
  const logProbability = (read: One): number => at(logSoftmax(read(application.term.student), 1), token)
  if ('advantages' in application) {
    const { low, high } = application.term
    const advantage = at(application.advantages, i)
    const ratio = (read: One): number => Math.exp(logProbability(read) - at(application.oldLogprobs, i))
    const bounded = Math.min(Math.max(ratio(frozen), 1 - low), 1 + high) * advantage
    const clipped = bounded < ratio(frozen) * advantage
    const value = -Math.min(ratio(frozen) * advantage, bounded)
    return { value, clipped, cost: factor * value, surrogate: (now) => (clipped ? 0 : -factor * ratio(now) * advantage) }
  }
  const value = -logProbability(frozen)
  return { value, clipped: false, cost: factor * value, surrogate: (now) => -factor * logProbability(now) }
}

/** Views as plain numbers; the values of `tensors` are row-major, and views may share a head. */
export interface World {
  readonly views: ReadonlyMap<string, { readonly hidden: string; readonly head: string; readonly width: number }>
  readonly tensors: ReadonlyMap<string, Float64Array>
}

/** Every position of every term of every group, [group][term][position], and the derivative of the loss through the views in `trained`. */
export function oracle(
  groups: readonly Group[],
  { views, tensors }: World,
  trained: readonly string[],
): { positions: Position[][][]; gradients: Map<string, number[]> } {
  const gradients = new Map([...tensors].map(([name, values]) => [name, Array.from(values, () => 0)]))
  const parts = (view: string) => {
    const { hidden, head, width } = views.get(view) ?? { hidden: '', head: '', width: 1 }
    const of = <T>(map: ReadonlyMap<string, T>): readonly [T | undefined, T | undefined] => [map.get(hidden), map.get(head)]
    const [[inputs = new Float64Array(), weights = new Float64Array()], [toInputs = [], toWeights = []]] = [of(tensors), of(gradients)]
    return { inputs, weights, toInputs, toWeights, width }
  }
  const positions = groups.map(({ ids, rows, terms }) => {
    const found: Position[][] = terms.map(() => [])
    ids.forEach((token, i) => {
      const logits = new Map(
        [...views.keys()].map((view) => {
          const { inputs, weights, width } = parts(view)
          const input = inputs.subarray(at(rows.get(view) ?? [], i) * width).subarray(0, width)
          const row = Array.from({ length: weights.length / width }, (_, v) => total(Array.from(input, (x, d) => x * at(weights, v * width + d))))
          return [view, row]
        }),
      )
      const frozen: One = (view) => logits.get(view) ?? []
      const all = terms.map((application) => position(application, i, token, frozen))
      all.forEach((each, t) => {
        found[t]?.push(each)
      })
      for (const [view, row] of logits) {
        if (!trained.includes(view)) continue
        const { inputs, weights, toInputs, toWeights, width } = parts(view)
        const start = at(rows.get(view) ?? [], i) * width
        const h = 1e-5
        const moved = row.slice()
        const surrogate = (): number => total(all.map((each) => each.surrogate((name) => (name === view ? moved : frozen(name)))))
        row.forEach((x, v) => {
          moved[v] = x + h
          const above = surrogate()
          moved[v] = x - h
          const slope = (above - surrogate()) / (2 * h)
          moved[v] = x
          for (let d = 0; d < width; d++) {
            toInputs[start + d] = at(toInputs, start + d) + slope * at(weights, v * width + d)
            toWeights[v * width + d] = at(toWeights, v * width + d) + slope * at(inputs, start + d)
          }
        })
      }
    })
    return found
  })
  return { positions, gradients }
}
