// Exact distillation losses over the whole vocabulary without [tokens × vocabulary] logits.
//
// Hidden states and heads come in; logits exist for one chunk of tokens at a time, student and target side by side. Each chunk gives
// its tokens' values and, in the place of the student's logits, their gradient, which is carried on at once into the hidden states
// and the head. The result is an ordinary differentiable scalar.

import { ArgumentError } from '../errors.ts'
import { gradientsOf, requireGrad } from './autograd.ts'
import { currentContext, enableGrad, noGrad, scope } from './context.ts'
import { fusable, wide } from './nn.ts'
import { ops } from './operators.ts'
import type { Tensor } from './tensor.ts'

/**
 * How far the student's distribution p is from the target's q, by name and never by argument order:
 * `forwardKl` = KL(q‖p), `reverseKl` = KL(p‖q), `jsd` = β·KL(q‖m) + (1−β)·KL(p‖m) with m = (1−β)·p + β·q (arXiv 2306.13649).
 */
export type Divergence = { readonly kind: 'forwardKl' } | { readonly kind: 'reverseKl' } | { readonly kind: 'jsd'; readonly beta: number }

/** Logits as a product: hidden [T, D] · head [V, D]ᵀ. */
export interface Logits {
  readonly hidden: Tensor
  readonly head: Tensor
}

/** One part of a target whose logits are a weighted sum, as the visual target p₀ · q / q₀ is (VGS, eq. 10). */
export interface WeightedLogits extends Logits {
  readonly weight?: number
}

/**
 * From the values [C] of the tokens `start` … `start + C` to what each adds to the loss, by recorded operators: a weight, a clip, a
 * gate. Without one the loss is the mean over tokens.
 */
export type PerToken = (values: Tensor, start: number) => Tensor

export interface LossOptions {
  readonly perToken?: PerToken
  /** Divides all logits; 1 by default. The loss is not multiplied by its square. */
  readonly temperature?: number
  /** Tokens at a time; by default so many that their logits take about 128 MB. */
  readonly chunk?: number
}

export interface LinearLoss {
  /** A scalar; its gradients reach the student's hidden states and head. */
  readonly loss: Tensor
  /** [T], float32, detached. */
  readonly values: Tensor
}

/** Values [C] and their gradient [C, V] with respect to the student's logits, which may be used up. */
type ChunkRule = (logits: Tensor, start: number, count: number) => { values: Tensor; gradient: Tensor }

/** What the logits of one chunk of tokens take, about. */
export const chunkBytes = 128 << 20

function check(name: string, { hidden, head }: Logits, tokens: number, vocabulary: number): void {
  const fits = hidden.rank === 2 && head.rank === 2 && hidden.dim(1) === head.dim(1) && hidden.dim(0) === tokens && head.dim(0) === vocabulary
  if (!fits) {
    throw new ArgumentError(
      `${name}: hidden ${hidden} and head ${head}; expected hidden [${tokens}, D] and head [${vocabulary}, D]` +
        ` (for a padded vocabulary pass head.narrow(0, 0, ${vocabulary}))`,
    )
  }
}

/** Runs over the tokens in chunks and assembles loss, values and gradients. */
function overChunks({ hidden, head }: Logits, options: LossOptions, rule: ChunkRule): LinearLoss {
  const [tokens, vocabulary] = [hidden.dim(0), head.dim(0)]
  if (tokens === 0) throw new ArgumentError('a loss over no tokens has no value; leave the term out')
  const { perToken = (values) => values.div(tokens), chunk = Math.max(16, Math.floor(chunkBytes / (8 * vocabulary))) } = options
  if (!Number.isSafeInteger(chunk) || chunk < 1) throw new ArgumentError(`chunk: ${chunk}; expected a positive integer`)
  const recorded = currentContext().mode === 'grad'
  const toHidden = recorded && hidden.requiresGrad
  const toHead = recorded && head.requiresGrad
  const { loss, values, hiddenGradient, headGradient } = noGrad(() =>
    scope(() => {
      const { dtype, device } = wide(hidden)
      const values = ops.empty([tokens], { dtype, device })
      const loss = ops.zeros([], { dtype, device })
      const hiddenGradient = toHidden ? hidden.emptyLike() : null
      // Summed over chunks, hence in float32 or wider whatever the head's dtype.
      const headGradient = toHead ? wide(head).zerosLike() : null
      // A head that is kept in bfloat16 beside float32 hidden states (see linear in nn.ts) is widened once.
      const matrix = head.toDtype(hidden.dtype)
      for (let start = 0; start < tokens; start += chunk) {
        scope(() => {
          const count = Math.min(chunk, tokens - start)
          const rows = hidden.narrow(0, start, count)
          const part = rule(wide(rows.matmul(matrix.transpose(0, 1))), start, count)
          values.narrow(0, start, count).copy_(part.values)
          const { sum, slope } = slopeOf(perToken, part.values, start)
          loss.add_(sum)
          if (!toHidden && !toHead) return
          // The slope multiplies [C, D], never [C, V].
          const gradient = part.gradient.toDtype(matrix.dtype)
          const slopes = slope.toDtype(matrix.dtype).unsqueeze(1)
          hiddenGradient?.narrow(0, start, count).copy_(gradient.matmul(matrix).mul_(slopes))
          if (headGradient !== null) {
            const update = [gradient.transpose(0, 1), rows.mul(slopes)] as const
            if (headGradient.dtype === matrix.dtype) headGradient.addmm_(...update)
            else headGradient.add_(update[0].matmul(update[1]))
          }
        })
      }
      return { loss, values, hiddenGradient, headGradient }
    }),
  )
  let differentiable = loss
  if (hiddenGradient !== null) differentiable = ops.withGradient(differentiable, hidden, hiddenGradient)
  if (headGradient !== null) differentiable = ops.withGradient(differentiable, head, headGradient.toDtype(head.dtype))
  return { loss: differentiable, values }
}

/** Σ perToken(values), and its derivative by each value. */
function slopeOf(perToken: PerToken, values: Tensor, start: number): { sum: Tensor; slope: Tensor } {
  return enableGrad(() => {
    const leaf = requireGrad(values.detach())
    const losses = perToken(leaf, start)
    if (losses.shape.join() !== values.shape.join()) throw new ArgumentError(`perToken: returned ${losses}, expected one value for each of ${values}`)
    const total = losses.sum()
    const slope = losses.requiresGrad ? gradientsOf([total], [leaf])[0] : null
    return { sum: total.detach(), slope: slope ?? leaf.detach().zerosLike() }
  })
}

/**
 * The divergence between student and target at each of T tokens, over the whole vocabulary.
 * Gradients reach the student only; a target is a constant whatever its tensors require.
 *
 * Peak extra memory: two chunks of logits, and the gradients of hidden states [T, D] and head [V, D] where these are trained.
 * @param target one or more hidden [T, D′] and head [V, D′]; several are a weighted sum of logits
 */
export function linearDivergence(
  student: Logits,
  target: Logits | readonly WeightedLogits[],
  divergence: Divergence,
  options: LossOptions = {},
): LinearLoss {
  const { temperature = 1 } = options
  if (!(temperature > 0)) throw new ArgumentError(`temperature: ${temperature}; expected a positive number`)
  if (divergence.kind === 'jsd' && !(divergence.beta > 0 && divergence.beta < 1)) {
    throw new ArgumentError(`jsd: beta ${divergence.beta}; expected a number between 0 and 1 (for the ends use forwardKl or reverseKl)`)
  }
  const parts: readonly WeightedLogits[] = Array.isArray(target) ? target : [target as Logits]
  if (parts.length === 0) throw new ArgumentError('target: no logits to compare with')
  const [tokens, vocabulary] = [student.hidden.dim(0), student.head.dim(0)]
  check('student', student, tokens, vocabulary)
  parts.forEach((part, i) => {
    check(`target ${i}`, part, tokens, vocabulary)
  })
  // As in overChunks: widened once, where a head is kept in another type than its hidden states.
  const heads = noGrad(() => parts.map(({ hidden, head }) => (head.dtype === hidden.dtype ? head : head.toDtype(hidden.dtype))))
  return overChunks(student, options, (logits, start, count) => {
    const targetLogits = scope(() => {
      const [first, ...others] = parts.map((part, i) => {
        const product = wide(part.hidden.narrow(0, start, count).matmul((heads[i] as Tensor).transpose(0, 1)))
        return part.weight === undefined || part.weight === 1 ? product : product.mul_(part.weight)
      })
      return others.reduce((sum, each) => sum.add_(each), first as Tensor)
    })
    return divergenceOfLogits(logits, targetLogits, divergence, temperature)
  })
}

const kinds: { readonly [K in Divergence['kind']]: number } = { forwardKl: 0, reverseKl: 1, jsd: 2 }

/** Values [C] and gradient [C, V] for logits [C, V] (float32 or wider); uses up both where the fused kernel takes them. */
export function divergenceOfLogits(student: Tensor, target: Tensor, divergence: Divergence, temperature = 1): { values: Tensor; gradient: Tensor } {
  if (fusable(student, target)) {
    const beta = divergence.kind === 'jsd' ? divergence.beta : 0
    const own = student.contiguous()
    return { values: ops.fusedDivergence_(own, target.contiguous(), kinds[divergence.kind], beta, temperature), gradient: own }
  }
  return scope(() => divergenceReference(student, target, divergence, temperature))
}

/** `divergenceOfLogits` in stock operators. */
export function divergenceReference(
  student: Tensor,
  target: Tensor,
  divergence: Divergence,
  temperature: number,
): { values: Tensor; gradient: Tensor } {
  const logP = student.div(temperature).logSoftmax(-1) // [C, V]
  const logQ = target.div(temperature).logSoftmax(-1)
  const [p, q] = [logP.exp(), logQ.exp()]
  const rowSum = (x: Tensor): Tensor => x.sum(-1, true) // [C, 1]
  // Each gradient is that of the value with respect to the student's logits, derived by hand.
  if (divergence.kind === 'forwardKl') {
    return { values: rowSum(q.mul(logQ.sub(logP))).squeeze(1), gradient: p.sub(q).div(temperature) }
  }
  if (divergence.kind === 'reverseKl') {
    const ratio = logP.sub(logQ)
    const value = rowSum(p.mul(ratio))
    return { values: value.squeeze(1), gradient: p.mul(ratio.sub(value)).div(temperature) }
  }
  const { beta } = divergence
  // By the larger of the two, or a token that both find impossible would have the logarithm of 0.
  const larger = logP.maximum(logQ)
  const logM = logP
    .sub(larger)
    .exp_()
    .mul_(1 - beta)
    .add_(logQ.sub(larger).exp_().mul_(beta))
    .log()
    .add_(larger)
  const ratio = logP.sub(logM)
  const toStudent = rowSum(p.mul(ratio)) // KL(p‖m)
  const toTarget = rowSum(q.mul(logQ.sub(logM))) // KL(q‖m)
  return {
    values: toTarget
      .mul(beta)
      .add(toStudent.mul(1 - beta))
      .squeeze(1),
    gradient: p.mul(ratio.sub(toStudent)).mul((1 - beta) / temperature),
  }
}

/**
 * −log p(target) at each of T tokens: cross-entropy for supervised training, and (negated) the log-probability of sampled tokens for
 * reinforcement, whose ratio and clip go into `perToken`.
 * @param targets int64 [T], each in [0, V)
 */
export function linearCrossEntropy(student: Logits, targets: Tensor, options: LossOptions = {}): LinearLoss {
  const { temperature = 1 } = options
  if (!(temperature > 0)) throw new ArgumentError(`temperature: ${temperature}; expected a positive number`)
  check('student', student, student.hidden.dim(0), student.head.dim(0))
  if (targets.dtype !== 'int64' || targets.rank !== 1 || targets.dim(0) !== student.hidden.dim(0)) {
    throw new ArgumentError(`targets: ${targets}; expected int64[${student.hidden.dim(0)}]`)
  }
  return overChunks(student, options, (logits, start, count) => crossEntropyOfLogits(logits, targets.narrow(0, start, count), temperature))
}

/** Values [C] and gradient [C, V] for logits [C, V] (float32 or wider), which are used up; targets int64 [C]. */
export function crossEntropyOfLogits(logits: Tensor, targets: Tensor, temperature: number): { values: Tensor; gradient: Tensor } {
  if (fusable(logits)) {
    const own = logits.contiguous()
    return { values: ops.fusedCrossEntropy_(own, targets, temperature), gradient: own }
  }
  return scope(() => {
    const chosen = targets.unsqueeze(1) // [C, 1]
    const logP = logits.div(temperature).logSoftmax(-1)
    const values = logP.gather(1, chosen).neg().squeeze(1)
    const gradient = logP.exp_() // p − 1[target]
    gradient.scatterAdd_(1, chosen, values.unsqueeze(1).zerosLike().sub_(1))
    return { values, gradient: gradient.div_(temperature) }
  })
}
