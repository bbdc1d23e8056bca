// What one loss term makes of the logits of a chunk of positions: values, costs, and their gradient by the logits of each view it trains.

import { ArgumentError } from '../errors.ts'
import { crossEntropyOfLogits, type Divergence, divergenceOfLogits } from '../torch/divergence.ts'
import { ops } from '../torch/operators.ts'
import type { Tensor } from '../torch/tensor.ts'

/** A part of a target: `times` the log-probabilities of a view. `flows`: the loss also trains that view, where it can be trained. */
export interface Summand {
  readonly view: string
  readonly times: number
  readonly gradient: 'stopped' | 'flows'
}

/** The k most probable entries of one side, one by one; all others as one bucket (`tail`) or left out, the k renormalised. */
export interface TopEntries {
  readonly topK: number
  readonly of: 'target' | 'student'
  readonly tail: boolean
}

/** The student's distribution p is drawn to softmax(Σ times · log-probabilities); `temperature` divides the logits of both sides. */
export interface DistillTerm {
  readonly kind: 'distill'
  readonly student: string
  readonly target: readonly Summand[]
  readonly divergence: Divergence
  /** `sampledToken`: the value is k = log p(y) − log q(y), whatever the divergence, and its gradient k · ∇log p(y). */
  readonly over: 'vocabulary' | 'sampledToken' | TopEntries
  readonly temperature: number
  /** Above its limit a position gives no gradient (clamp), or its gradient times limit / value (scale). */
  readonly clip: 'clamp' | 'scale'
}

/** Value −log p(y) of the rollout's token y. */
export interface ImitateTerm {
  readonly kind: 'imitate'
  readonly student: string
}

/** Value −min(r · A, clip(r, 1 − low, 1 + high) · A) with r = p(y) / exp(old log-probability) and the advantage A. */
export interface ReinforceTerm {
  readonly kind: 'reinforce'
  readonly student: string
  readonly low: number
  readonly high: number
}

export type JointTerm = DistillTerm | ImitateTerm | ReinforceTerm

/** What each position's value is multiplied with in the loss, [n]. */
interface Weighed<T extends JointTerm> {
  readonly term: T
  readonly factors: Float64Array
}

/** A term at the n positions of a group. `limits`: upper bounds of its values, Infinity for none. */
export type DistillApplication = Weighed<DistillTerm> & { readonly limits: Float64Array }
export type ReinforceApplication = Weighed<ReinforceTerm> & { readonly advantages: Float64Array; readonly oldLogprobs: Float64Array }
export type Application = DistillApplication | Weighed<ImitateTerm> | ReinforceApplication

/** What a term sees of a chunk of C positions. */
export interface ChunkLogits {
  /** The rollout's tokens, int64 [C]. */
  readonly ids: Tensor
  /** Logits [C, V] of a view, which may be used up. */
  take(view: string): Tensor
  /** Σ times · logits, which may be used up. */
  sum(target: readonly Summand[]): Tensor
  /** Whether gradients are wanted of a view. */
  trains(view: string): boolean
  /** The chunk's part of the numbers of a group, [C]. */
  part(numbers: Float64Array): Tensor
}

/** `slope` [C] times `gradient` [C, V]: the derivative of the costs by a view's logits. */
export interface Push {
  readonly view: string
  readonly gradient: Tensor
  readonly slope: Tensor
}

/** Each of [C]: the values, what they add to the loss, and (bool) where the clip is active. */
export interface Outcome {
  readonly values: Tensor
  readonly costs: Tensor
  readonly clipped: Tensor
  readonly pushes: readonly Push[]
}

/** Every view that a term reads, as often as it takes it. */
export function viewsOf(term: JointTerm): readonly string[] {
  return term.kind === 'distill' ? [term.student, ...term.target.map(({ view }) => view)] : [term.student]
}

/** The views that a term gives gradients to. */
export function trainedBy(term: JointTerm): readonly string[] {
  if (term.kind !== 'distill') return [term.student]
  return [term.student, ...term.target.filter(({ gradient }) => gradient === 'flows').map(({ view }) => view)]
}

/** The numbers that a term takes from `application`, by their names. */
export function numbersOf(application: Application): Readonly<Record<string, Float64Array>> {
  const { term: _, ...numbers } = application
  return numbers
}

/** Refuses settings that have no meaning. */
export function checkTerm(term: JointTerm): void {
  if (term.kind !== 'distill') return
  const { target, divergence, over, temperature } = term
  if (target.length === 0) throw new ArgumentError('distill: the target is a sum of no views; name at least one')
  if (!(temperature > 0)) throw new ArgumentError(`distill: temperature ${temperature}; expected a positive number`)
  if (divergence.kind === 'jsd' && !(divergence.beta > 0 && divergence.beta < 1)) {
    throw new ArgumentError(`distill: jsd with beta ${divergence.beta}; expected a number between 0 and 1`)
  }
  if (typeof over === 'object' && !(Number.isSafeInteger(over.topK) && over.topK > 0)) {
    throw new ArgumentError(`distill: the top ${over.topK} entries; expected a positive integer`)
  }
}

/** Applies a term to a chunk. */
export function applyTerm(application: Application, chunk: ChunkLogits): Outcome {
  if ('limits' in application) return distill(application, chunk)
  if ('advantages' in application) return reinforce(application, chunk)
  return imitate(application, chunk)
}

function distill({ term, factors, limits }: DistillApplication, chunk: ChunkLogits): Outcome {
  const flowing = term.target.filter(({ view, gradient }) => gradient === 'flows' && chunk.trains(view))
  const student = chunk.take(term.student)
  const compared = compare(term, student, chunk.sum(term.target), chunk.ids, flowing.length > 0)
  const { values, toTarget } = compared
  const [weights, bounds] = [chunk.part(factors), chunk.part(limits)]
  const clipped = values.gt(bounds)
  const beyond = term.clip === 'clamp' ? weights.zerosLike() : weights.mul(bounds).div(values)
  const slope = ops.where(clipped, beyond, weights)
  const pushes: Push[] = [{ view: term.student, gradient: compared.toStudent, slope }]
  for (const [i, { view, times }] of flowing.entries()) {
    // A push may be summed in place, so no two share a tensor.
    if (toTarget !== null) pushes.push({ view, gradient: i === 0 ? toTarget : toTarget.clone(), slope: slope.mul(times) })
  }
  return { values, costs: values.minimum(bounds).mul(weights), clipped, pushes }
}

function imitate({ term, factors }: Weighed<ImitateTerm>, chunk: ChunkLogits): Outcome {
  const { values, gradient } = crossEntropyOfLogits(chunk.take(term.student), chunk.ids, 1)
  const slope = chunk.part(factors)
  const clipped = ops.zeros(values.shape, { dtype: 'bool', device: values.device })
  return { values, costs: values.mul(slope), clipped, pushes: [{ view: term.student, gradient, slope }] }
}

function reinforce({ term, factors, advantages, oldLogprobs }: ReinforceApplication, chunk: ChunkLogits): Outcome {
  const { values: surprisal, gradient } = crossEntropyOfLogits(chunk.take(term.student), chunk.ids, 1)
  const [weights, advantage] = [chunk.part(factors), chunk.part(advantages)]
  const ratio = surprisal.add(chunk.part(oldLogprobs)).neg().exp()
  const free = ratio.mul(advantage)
  const bounded = ratio.clamp(1 - term.low, 1 + term.high).mul(advantage)
  const clipped = bounded.lt(free)
  const values = free.minimum(bounded).neg()
  // ∂(−r·A) / ∂(−log p) = r·A
  const slope = free.mul(weights).maskedFill(clipped, 0)
  return { values, costs: values.mul(weights), clipped, pushes: [{ view: term.student, gradient, slope }] }
}

/** Values [C] and their derivatives [C, V] by both sides' logits; null for a target that is a constant. */
interface Compared {
  readonly values: Tensor
  readonly toStudent: Tensor
  readonly toTarget: Tensor | null
}

/** Compares logits [C, V], which are used up. */
function compare({ divergence, over, temperature }: DistillTerm, student: Tensor, target: Tensor, ids: Tensor, flows: boolean): Compared {
  if (over === 'sampledToken') return ofToken(student, target, ids, temperature, flows)
  // With all entries chosen no tail is left.
  if (over === 'vocabulary' || over.topK >= student.dim(1)) return ofOutcomes(student, target, divergence, temperature, flows)
  const [, chosen] = (over.of === 'target' ? target : student).topk(over.topK) // int64 [C, K]
  const [p, q] = [groupOutcomes(student, chosen, over.tail, temperature), groupOutcomes(target, chosen, over.tail, temperature)]
  const { values, toStudent, toTarget } = ofOutcomes(p.logits, q.logits, divergence, 1, flows)
  return { values, toStudent: p.spread(toStudent), toTarget: toTarget && q.spread(toTarget) }
}

/** The same divergence seen from the target: KL(q‖p) as a function of q's logits is what KL(p‖q) is as a function of p's. */
function mirrored(divergence: Divergence): Divergence {
  const mirrors: { readonly [K in Divergence['kind']]: (beta: number) => Divergence } = {
    forwardKl: () => ({ kind: 'reverseKl' }),
    reverseKl: () => ({ kind: 'forwardKl' }),
    jsd: (beta) => ({ kind: 'jsd', beta: 1 - beta }),
  }
  return mirrors[divergence.kind](divergence.kind === 'jsd' ? divergence.beta : 0)
}

function ofOutcomes(student: Tensor, target: Tensor, divergence: Divergence, temperature: number, flows: boolean): Compared {
  let toTarget: Tensor | null = null
  if (flows) {
    using own = target.clone()
    using scratch = student.clone()
    toTarget = divergenceOfLogits(own, scratch, mirrored(divergence), temperature).gradient
  }
  const { values, gradient } = divergenceOfLogits(student, target, divergence, temperature)
  return { values, toStudent: gradient, toTarget }
}

/** The estimate of KL(p‖q) from the token drawn. To p's gradient it is a constant cost, to q's it is the mean's integrand. */
function ofToken(student: Tensor, target: Tensor, ids: Tensor, temperature: number, flows: boolean): Compared {
  const p = crossEntropyOfLogits(student, ids, temperature) // −log p(y)
  const q = crossEntropyOfLogits(target, ids, temperature)
  const values = q.values.sub(p.values)
  return { values, toStudent: p.gradient.mul_(values.neg().unsqueeze(1)), toTarget: flows ? q.gradient : null }
}

/**
 * The logits of fewer outcomes, [C, K] or [C, K + 1]: the chosen entries and, for the rest together, the logarithm of its sum of
 * exponentials, so that a tail of any size keeps its precision. `spread` turns a gradient by them into one by the logits [C, V].
 */
function groupOutcomes(logits: Tensor, chosen: Tensor, tail: boolean, temperature: number): { logits: Tensor; spread(gradient: Tensor): Tensor } {
  logits.div_(temperature)
  const top = logits.gather(1, chosen)
  const count = chosen.dim(1)
  const spreadTop = (rest: Tensor, gradient: Tensor): Tensor => rest.scatterAdd_(1, chosen, gradient.narrow(1, 0, count)).div_(temperature)
  if (!tail) return { logits: top, spread: (gradient) => spreadTop(logits.zero_(), gradient) }
  logits.scatterAdd_(1, chosen, top.zerosLike().fill_(Number.NEGATIVE_INFINITY))
  const rest = logits.logsumexp([1], true) // [C, 1]
  return {
    logits: ops.cat([top, rest], 1),
    // Within the rest the gradient is shared as its probability is; there the chosen entries have none.
    spread: (gradient) =>
      spreadTop(
        logits
          .sub_(rest)
          .exp_()
          .mul_(gradient.narrow(1, count, 1)),
        gradient,
      ),
  }
}
