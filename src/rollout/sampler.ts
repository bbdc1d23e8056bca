// Draws the next token of each row from its logits. The vocabulary stays on the device; what a filter needs of it comes over once for all
// rows. Every operator here treats rows apart, so a row's token and log-probabilities do not depend on what is drawn beside it.

import { NotFiniteError } from '../errors.ts'
import { scope } from '../torch/context.ts'
import { fromTypedArray, int64 } from '../torch/create.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import { drawFrom, hasFilters, hasPenalties, keptBy, type Sampling } from './sampling.ts'

/** What decides over one row's token besides its logits. */
export interface DrawRow {
  readonly sampling: Sampling
  /** In [0, 1): which part of the distribution is taken. */
  readonly uniform: number
  /** Tokens of the prompt, for the repetition penalty. */
  readonly prompt: ReadonlySet<number>
  /** How often each token is in the output so far. */
  readonly output: ReadonlyMap<number, number>
}

export interface Draw {
  readonly id: number
  /** Under the model's own distribution: temperature 1, before penalties and filters (vLLM's raw_logprobs). */
  readonly logprob: number
  /** Under the distribution that was drawn from (without the tokens that are never drawn); 0 where temperature is 0. For importance ratios. */
  readonly sampledLogprob: number
}

/** Candidates that a top-p or min-p is tried on first; a flatter distribution needs more. */
const firstCandidates = 1024

/**
 * @param logits [R, V] in any floating dtype, one row for each of `rows`; not changed
 * @param never tokens that are not drawn, whatever their probability
 */
export function draw(logits: Tensor, rows: readonly DrawRow[], never: readonly number[] = []): Draw[] {
  return scope(() => {
    const raw = logits.toDtype('float32')
    const processed = penalised(raw, rows, never)
    const chosen: Chosen[] = new Array(rows.length)
    for (const [kind, method] of Object.entries(methods)) {
      const group = rows.flatMap((row, r) => (kindOf(row) === kind ? [r] : []))
      if (group.length === 0) continue
      const own = group.length === rows.length ? processed : processed.indexSelect(0, int64(group, { device: raw.device }))
      const members = group.map((r) => rows[r] as DrawRow)
      for (const [i, each] of method(own, members).entries()) chosen[group[i] as number] = each
    }
    const ids = chosen.map(({ id }) => id)
    const logprobs = raw
      .logSoftmax(-1)
      .gather(1, int64(ids, { device: raw.device }).unsqueeze(1))
      .toArray()
    return chosen.map(({ id, logprob: sampledLogprob }, r) => {
      const logprob = logprobs[r] as number
      if (Number.isNaN(logprob)) throw new NotFiniteError(`row ${r}: the model's logits are not finite; its weights or activations overflowed`)
      return { id, logprob, sampledLogprob: Math.fround(sampledLogprob) }
    })
  })
}

/** A token with its log-probability under what it was drawn from. */
interface Chosen {
  readonly id: number
  readonly logprob: number
}

const methods = { greedy: drawGreedy, plain: drawPlain, filtered: drawFiltered } satisfies {
  [kind: string]: (logits: Tensor, rows: readonly DrawRow[]) => Chosen[]
}

function kindOf({ sampling }: DrawRow): keyof typeof methods {
  if (sampling.temperature === 0) return 'greedy'
  return hasFilters(sampling) ? 'filtered' : 'plain'
}

function drawGreedy(logits: Tensor): Chosen[] {
  return logits
    .argmax(-1)
    .toArray()
    .map((id) => ({ id, logprob: 0 }))
}

/** The first token, in the order of ids, at which the running sum of probabilities exceeds the uniform number's share of all. */
function drawPlain(logits: Tensor, rows: readonly DrawRow[]): Chosen[] {
  const probabilities = heated(logits, rows).softmax(-1)
  // float64: a sum of 150,000 probabilities in float32 would lose the rare ones.
  const sums = probabilities.toDtype('float64').cumsum(-1)
  const uniform = fromTypedArray(
    Float64Array.from(rows, (row) => row.uniform),
    { dtype: 'float64', shape: [rows.length, 1], device: logits.device },
  )
  const ids = sums.le(sums.narrow(1, sums.dim(1) - 1, 1).mul(uniform)).sum(-1)
  const own = probabilities.gather(1, ids.unsqueeze(1)).toArray()
  return ids.toArray().map((id, r) => ({ id, logprob: Math.log(own[r] as number) }))
}

function drawFiltered(logits: Tensor, rows: readonly DrawRow[]): Chosen[] {
  const scaled = heated(logits, rows)
  const logprobs = scaled.logSoftmax(-1)
  const vocabulary = logits.dim(1)
  const chosen: Chosen[] = new Array(rows.length)
  let open = rows.map((_, r) => r)
  // Twice K, since tokens that equal the K-th count as well.
  let count = Math.max(...rows.map(({ sampling }) => (sampling.topK > 0 ? 2 * sampling.topK : firstCandidates)))
  for (; open.length > 0; count *= 8) {
    count = Math.min(count, vocabulary)
    const which = int64(open, { device: logits.device })
    const [top, ids] = scaled.indexSelect(0, which).topk(count)
    const [allLogits, allIds, allLogprobs] = [
      top.dataAs('float32'),
      ids.toDtype('int32').dataAs('int32'),
      logprobs.indexSelect(0, which).gather(1, ids).dataAs('float32'),
    ]
    open = open.filter((r, i) => {
      const [start, end] = [i * count, (i + 1) * count]
      const own = { ids: allIds.subarray(start, end), logits: allLogits.subarray(start, end), logprobs: allLogprobs.subarray(start, end) }
      sortEquals(own.ids, own.logits)
      const candidates = { ...own, complete: count === vocabulary }
      const row = rows[r] as DrawRow
      // A NaN has no place in an order; `draw` reports it.
      const kept = Number.isNaN(own.logprobs[0]) ? 1 : keptBy(row.sampling, candidates)
      if (kept === null) return true
      chosen[r] = drawFrom(candidates, kept, row.uniform)
      return false
    })
  }
  return chosen
}

/** Orders the ids of equal logits, which topk leaves open. */
function sortEquals(ids: Int32Array, logits: Float32Array): void {
  for (let start = 0, end = 1; end <= logits.length; end++) {
    if (end < logits.length && logits[end] === logits[start]) continue
    if (end - start > 1) ids.subarray(start, end).sort()
    start = end
  }
}

/** Logits over each row's temperature. */
function heated(logits: Tensor, rows: readonly DrawRow[]): Tensor {
  if (rows.every(({ sampling }) => sampling.temperature === 1)) return logits
  const temperatures = Float32Array.from(rows, ({ sampling }) => sampling.temperature)
  return logits.div(fromTypedArray(temperatures, { dtype: 'float32', shape: [rows.length, 1], device: logits.device }))
}

/** Logits with each row's penalties, and −∞ for tokens that are never drawn; the same tensor where there are neither. */
function penalised(logits: Tensor, rows: readonly DrawRow[], never: readonly number[]): Tensor {
  if (never.length === 0 && !rows.some(({ sampling }) => hasPenalties(sampling))) return logits
  const result = logits.clone()
  for (const id of never) result.narrow(1, id, 1).fill_(-Infinity)
  for (const [r, { sampling, prompt, output }] of rows.entries()) {
    if (!hasPenalties(sampling)) continue
    const ids = [...(sampling.repetitionPenalty === 1 ? output.keys() : new Set([...prompt, ...output.keys()]))]
    if (ids.length === 0) continue
    const at = int64(ids, { device: logits.device })
    const row = result.select(0, r)
    const own = row.indexSelect(0, at)
    const repeated = ops.where(own.lt(0), own.mul(sampling.repetitionPenalty), own.div(sampling.repetitionPenalty))
    const subtracted = Float32Array.from(ids, (id) => {
      const count = output.get(id) ?? 0
      return count === 0 ? 0 : sampling.presencePenalty + sampling.frequencyPenalty * count
    })
    row.indexCopy_(0, at, repeated.sub(fromTypedArray(subtracted, { dtype: 'float32', device: logits.device })))
  }
  return result
}
