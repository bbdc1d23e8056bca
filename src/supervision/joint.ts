// Several loss terms over the same tokens in one pass: the logits of a view exist once for each chunk of positions, however many terms
// read them, and never as [tokens × vocabulary].
//
// Each term turns a chunk's logits into costs and into their gradient by the logits. Gradients of one view are summed and carried on at
// once into its hidden states and its head, so the result is an ordinary differentiable scalar (compare torch/divergence.ts).

import { ArgumentError } from '../errors.ts'
import { currentContext, noGrad, scope } from '../torch/context.ts'
import { chunkBytes, linearDivergence } from '../torch/divergence.ts'
import { type DType, dtypes } from '../torch/dtype.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'
import { Chunk, type Group, known, type Plan, type Source } from './joint-chunk.ts'
import { type Application, applyTerm, checkTerm, numbersOf, trainedBy, viewsOf } from './joint-terms.ts'

/** What a view's logits are made of: hidden [N, D], one row for each position at which the view is needed, and head [V, D]. */
export interface ViewRows {
  readonly hidden: Tensor
  readonly head: Tensor
}

/** What a term was at each position of a group: before clip and factor, and 1 where the clip is active. */
export interface TermValues {
  readonly values: Float32Array | Float64Array
  readonly clipped: Uint8Array
}

export interface JointLoss {
  /** A scalar; its gradients reach hidden states and heads of the views that terms train, where these require gradients. */
  readonly loss: Tensor
  /** [group][term]. */
  readonly values: readonly (readonly TermValues[])[]
}

function check(views: ReadonlyMap<string, ViewRows>, groups: readonly Group[]): void {
  const [first] = views.values()
  for (const [name, { hidden, head }] of views) {
    const fits = hidden.rank === 2 && head.rank === 2 && hidden.dim(1) === head.dim(1) && head.dim(0) === first?.head.dim(0)
    if (!fits) throw new ArgumentError(`view "${name}": hidden ${hidden} and head ${head}; expected [N, D] and [V, D], with one V in all views`)
  }
  for (const { ids, rows, terms } of groups) {
    const n = ids.length
    if (n === 0) continue
    for (const view of new Set(terms.flatMap(({ term }) => viewsOf(term)))) {
      const count = known(views, view, 'the loss').hidden.dim(0)
      const own = known(rows, view, 'the group')
      if (own.length !== n) throw new ArgumentError(`view "${view}": ${own.length} rows for ${n} positions; expected one for each`)
      const outside = own.find((row) => row < 0 || row >= count)
      if (outside !== undefined) throw new ArgumentError(`view "${view}": row ${outside} of hidden states that have ${count}`)
    }
    const vocabulary = first?.head.dim(0) ?? 0
    const outside = terms.length === 0 ? undefined : ids.find((id) => id < 0 || id >= vocabulary)
    if (outside !== undefined) throw new ArgumentError(`token ${outside} is outside the vocabulary of ${vocabulary}`)
    for (const application of terms) {
      checkTerm(application.term)
      for (const [name, numbers] of Object.entries(numbersOf(application))) {
        if (numbers.length !== n)
          throw new ArgumentError(`${application.term.kind}: ${numbers.length} ${name} for ${n} positions; expected one for each`)
      }
    }
  }
}

/** The views that some term reads, and by the tensor that requires it (views may share one) where its gradient is summed. */
function planOf(
  views: ReadonlyMap<string, ViewRows>,
  applied: readonly Application[],
  recorded: boolean,
): { plan: Plan; gradients: ReadonlyMap<Tensor, Tensor> } {
  const wanted = new Set(recorded ? applied.flatMap(({ term }) => trainedBy(term)) : [])
  const gradients = new Map<Tensor, Tensor>()
  const sumFor = (view: string, input: Tensor, dtype: DType): Tensor | null => {
    if (!wanted.has(view) || !input.requiresGrad) return null
    const sum = gradients.get(input) ?? ops.zeros(input.shape, { dtype, device: input.device })
    gradients.set(input, sum)
    return sum
  }
  const widened = new Map<Tensor, Tensor>()
  const sources = new Map<string, Source>()
  for (const view of new Set(applied.flatMap(({ term }) => viewsOf(term)))) {
    const { hidden, head } = known(views, view, 'the loss')
    const shared = widened.get(head)
    const matrix = shared?.dtype === hidden.dtype ? shared : head.toDtype(hidden.dtype)
    widened.set(head, matrix)
    // A head's gradient is summed over chunks, hence in float32 or wider.
    const sums = head.dtype === 'float64' ? 'float64' : 'float32'
    sources.set(view, { hidden, matrix, toHidden: sumFor(view, hidden, hidden.dtype), toHead: sumFor(view, head, sums) })
  }
  const all = [...sources.values()]
  const dtype = all.some(({ hidden }) => hidden.dtype === 'float64') ? 'float64' : 'float32'
  return { plan: { sources, dtype, device: all[0]?.hidden.device ?? 'cpu' }, gradients }
}

/** Positions at a time: the logits of all views take about `chunkBytes`, with a copy for each term beyond the first. */
function chunkOf({ sources, dtype }: Plan, { terms }: Group): number {
  const views = new Set(terms.flatMap(({ term }) => viewsOf(term)))
  const [first = ''] = views
  const vocabulary = sources.get(first)?.matrix.dim(0) ?? 1
  return Math.max(16, Math.floor(chunkBytes / (dtypes[dtype].bytes * vocabulary * Math.max(1, views.size + terms.length - 1))))
}

function overGroup(plan: Plan, group: Group, chunk: number, loss: Tensor): TermValues[] {
  const { ids, terms } = group
  const { dtype, device } = plan
  const values = ops.zeros([terms.length, ids.length], { dtype, device })
  const clipped = ops.zeros([terms.length, ids.length], { dtype: 'bool', device })
  for (let start = 0; start < ids.length; start += chunk) {
    const count = Math.min(chunk, ids.length - start)
    scope(() => {
      const part = new Chunk(plan, group, start, count)
      for (const [i, application] of terms.entries()) {
        part.prepare(viewsOf(application.term))
        const outcome = scope(() => applyTerm(application, part))
        values.select(0, i).narrow(0, start, count).copy_(outcome.values)
        clipped.select(0, i).narrow(0, start, count).copy_(outcome.clipped)
        loss.add_(outcome.costs.sum())
        for (const each of outcome.pushes) part.push(each)
      }
      part.settle()
    })
  }
  const [numbers, flags] = [values.dataAs(dtype), clipped.dataAs('bool')]
  const own = (i: number): readonly [number, number] => [i * ids.length, (i + 1) * ids.length]
  return terms.map((_, i) => ({ values: numbers.subarray(...own(i)), clipped: flags.subarray(...own(i)) }))
}

/**
 * Σ over groups, terms and positions of factor · min(value, limit), and every value; what a value is, each kind of term says.
 *
 * Computed in float32, or float64 where a view's hidden states are; with gradients off only the values and the loss. Without positions
 * the loss is a zero that depends on nothing. Peak extra memory: a few chunks of logits, heads that are kept in another type than their
 * hidden states, and the gradients of trained hidden states [N, D] and heads [V, D] (one for a head that views share).
 * @param options.chunk positions at a time; by default so many that the logits take about 128 MB
 * @throws ArgumentError where a term reads a view that is not there, or shapes and lengths do not fit
 */
export function jointLoss(views: ReadonlyMap<string, ViewRows>, groups: readonly Group[], options: { readonly chunk?: number } = {}): JointLoss {
  check(views, groups)
  const { chunk } = options
  if (chunk !== undefined && !(Number.isSafeInteger(chunk) && chunk > 0)) throw new ArgumentError(`chunk: ${chunk}; expected a positive integer`)
  const recorded = currentContext().mode === 'grad'
  const { loss, values, gradients } = noGrad(() =>
    scope(() => {
      const applied = groups.filter(({ ids }) => ids.length > 0).flatMap(({ terms }) => terms)
      const { plan, gradients } = planOf(views, applied, recorded)
      const loss = ops.zeros([], { dtype: plan.dtype, device: plan.device })
      const values = groups.map((group) => scope(() => overGroup(plan, group, chunk ?? chunkOf(plan, group), loss)))
      return { loss, values, gradients: [...gradients].map(([input, sum]) => ({ input, sum })) }
    }),
  )
  let differentiable = loss
  for (const { input, sum } of gradients) {
    differentiable = ops.withGradient(differentiable, input, sum.toDtype(input.dtype))
    sum.dispose()
  }
  return { loss: differentiable, values }
}

/**
 * Visual dependency of each position: KL(sighted‖blind) over the vocabulary (VGS, arXiv 2606.00564, eq. 12). Values only.
 * @param sighted hidden [N, D] and head [V, D]; the blind view's rows are those of the same positions
 */
export function dependency(sighted: ViewRows, blind: ViewRows): Float32Array {
  if (sighted.hidden.dim(0) === 0) return new Float32Array()
  return noGrad(() => scope(() => linearDivergence(blind, sighted, { kind: 'forwardKl' }).values.toDtype('float32').dataAs('float32')))
}
