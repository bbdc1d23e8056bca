// The straightforward ViGOS step that ours is held against: every model reads every row and the whole completion, padded; each reads the
// image anew; whole logits of everyone; masks choose afterwards.

import { type Adapter, plainRun, type Run } from '../src/models/linear.ts'
import type { Model } from '../src/models/model.ts'
import type { Encoded } from '../src/processing/processor.ts'
import type { Row } from '../src/supervision/gather.ts'
import type { Method } from '../src/supervision/method.ts'
import { planTerms } from '../src/supervision/plan.ts'
import { backward } from '../src/torch/backward.ts'
import { noGrad, scope } from '../src/torch/context.ts'
import { fromTypedArray } from '../src/torch/create.ts'
import { ops } from '../src/torch/operators.ts'
import type { Tensor } from '../src/torch/tensor.ts'

/** What rows are filled up with; no other token sees it. */
const pad = 0

/** Σ weight · mean of what ViGOS's terms are, with its gradient in the adapter's parameters. @param rowsPerPass of one micro-batch */
export function straightforward(method: Method, model: Model, adapter: Adapter, rows: readonly Row[], rowsPerPass: number): number {
  const longest = Math.max(...rows.map(({ ids }) => ids.length))
  const factors = factorsOf(method, rows, longest)
  const student: Run = { adapter, training: true, recompute: false }
  let loss = 0
  for (let start = 0; start < rows.length; start += rowsPerPass) {
    loss += scope(() => {
      const part = rows.slice(start, start + rowsPerPass)
      const logProbabilities = (view: string, run: Run): Tensor => scope(() => logitsOf(model, rows, part, view, run, longest).logSoftmax(-1)) // [R·T, V]
      const targets = new Map([...factors.keys()].map((name) => [name, noGrad(() => logProbabilities(name, plainRun))]))
      const logP = logProbabilities('student', student)
      const sums = Array.from(factors, ([name, all]) => {
        const term = method.terms[name]
        if (term?.kind !== 'distill' || term.clip?.token == null) throw new Error(`${name} is no term of ViGOS`)
        const logQ = targets.get(name) as Tensor
        const [from, to] = term.divergence === 'forwardKl' ? [logQ, logP] : [logP, logQ]
        const values = from.exp().mul(from.sub(to)).sum(-1) // [R·T]
        const own = all.slice(start * longest, (start + part.length) * longest)
        return values
          .clamp(null, term.clip.token)
          .mul(fromTypedArray(own, { dtype: 'float32' }))
          .sum()
      })
      const total = sums.reduce((a, b) => a.add(b))
      backward(total)
      return total.item()
    })
  }
  return loss
}

/** By term: what each token of the padded completions counts, 0 where the term supervises nothing. */
function factorsOf(method: Method, rows: readonly Row[], longest: number): Map<string, Float32Array> {
  return new Map(
    planTerms(method, rows).map(({ name, term, claims }) => {
      const factors = new Float32Array(rows.length * longest)
      for (const { row, positions, share } of claims) for (const t of positions) factors[row * longest + t] = term.weight * share
      return [name, factors]
    }),
  )
}

/** Logits of the whole padded completions under a view, [R·T, V]. */
function logitsOf(model: Model, rows: readonly Row[], part: readonly Row[], view: string, run: Run, longest: number): Tensor {
  const contextOf = ({ contexts }: Row): Encoded => contexts.get(view) as Encoded
  const length = Math.max(...rows.map((row) => contextOf(row).ids.length)) + longest
  const features = model.encodeImages(
    part.flatMap((row) => contextOf(row).images),
    run,
  )
  const sequences = part.map((row, i) => {
    const ids = new Int32Array(length).fill(pad)
    ids.set(contextOf(row).ids)
    ids.set(row.ids, contextOf(row).ids.length)
    return { ids, images: features.slice(i, i + 1) }
  })
  const hidden = model.hidden(sequences, run)
  return model.logits(ops.cat(part.map((row, i) => hidden.narrow(0, i * length + contextOf(row).ids.length - 1, longest))))
}
