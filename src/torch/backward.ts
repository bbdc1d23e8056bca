// Backward, and gradient checkpointing: a block's activations are dropped after the forward pass and computed again in the backward pass
// (Chen et al., arXiv 1604.06174).
//
// The engine cannot call back into JavaScript, so the graph is cut at each checkpoint: its outputs become leaves. `backward` first
// runs the engine on the last piece; then the checkpoints are taken in reverse order: run again with gradients on, and given the
// gradients that arrived at their outputs.

import { ArgumentError } from '../errors.ts'
import { backwardFrom, gradient, requireGrad, setGradient } from './autograd.ts'
import { adopt, currentContext, dispose, enableGrad, keep, nextEpoch, noGrad, scope } from './context.ts'
import { native } from './native.ts'
import { Generator } from './random.ts'
import type { Tensor } from './tensor.ts'

interface Checkpoint {
  /** The epoch in which it ran: a tensor of a later epoch may depend on its outputs. */
  readonly order: number
  readonly run: (...inputs: Tensor[]) => readonly Tensor[]
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
  readonly random: Generator
  readonly randomState: Tensor
}

/** A gradient that arrived at a checkpoint's input, to be pushed into the graph that made the input. */
interface Pending {
  readonly input: Tensor
  readonly gradient: Tensor
}

let pending: Checkpoint[] = []

/** A second handle on a tensor, of the current scope. */
function alias(tensor: Tensor): Tensor {
  const second = adopt(native().alias(tensor.live('checkpoint')), 'checkpoint')
  second.epoch = tensor.epoch
  return second
}

/**
 * Runs `body` on `inputs` without keeping what its backward pass needs; `backward` will run it again. Memory falls from every
 * activation of the block to its inputs and outputs, for one more forward pass of time.
 *
 * Everything that needs a gradient and is made per step must come in through `inputs` (parameters need not). A body that draws from
 * the default generator of the first input's device gets the same numbers again. What a checkpoint keeps is freed by the `backward`
 * that reaches it; a forward pass that is given up needs `dropCheckpoints`.
 */
export function checkpoint<R extends Tensor | readonly Tensor[]>(body: (...inputs: Tensor[]) => R, ...inputs: Tensor[]): R {
  const context = currentContext()
  if (context.mode !== 'grad') return scope(() => body(...inputs))
  const random = Generator.default(inputs[0]?.device)
  return scope(() => {
    const randomState = random.state()
    const result = noGrad(() => scope(() => body(...inputs)))
    const outputs = (Array.isArray(result) ? result : [result]) as Tensor[]
    for (const output of outputs) {
      if (inputs.includes(output)) throw new ArgumentError('checkpoint: the body returned one of its inputs; return a new tensor')
      requireGrad(output)
    }
    const order = nextEpoch()
    for (const output of outputs) output.epoch = order + 1
    const run = (...again: Tensor[]): readonly Tensor[] => {
      const value = body(...again)
      return Array.isArray(value) ? (value as Tensor[]) : [value as Tensor]
    }
    pending.push(keep({ order, run, inputs: inputs.map(alias), outputs: outputs.map(alias), random, randomState }))
    return result
  })
}

/** Pushes gradients into the graphs that made their inputs, all at once since these may share parts, and frees them. */
function pushBack(gradients: readonly Pending[]): void {
  if (gradients.length === 0) return
  backwardFrom(
    gradients.map((each) => each.input),
    gradients.map((each) => each.gradient),
    false,
  )
  dispose(gradients)
}

/** Runs a checkpoint again with the gradients that arrived at its outputs; gives those of its inputs, null where none is wanted. */
function runAgain({ random, randomState, run, inputs }: Checkpoint, arrived: readonly (Tensor | null)[]): (Tensor | null)[] {
  const stateNow = random.state()
  random.setState(randomState)
  const leaves = inputs.map((input) => (input.requiresGrad ? requireGrad(input.detach()) : input))
  const outputs = enableGrad(() => run(...leaves))
  random.setState(stateNow)
  const used = outputs.flatMap((output, i) => {
    const incoming = arrived[i]
    return incoming && output.requiresGrad ? [{ input: output, gradient: incoming }] : []
  })
  pushBack(used)
  return leaves.map((leaf, i) => (leaf === inputs[i] ? null : gradient(leaf)))
}

function free(saved: Checkpoint): void {
  dispose([saved.inputs, saved.outputs, saved.randomState])
}

/** Runs what `backward` left at the outputs of checkpoints, last checkpoint first. Checkpoints that it did not reach stay. */
function flushCheckpoints(): void {
  if (pending.length === 0) return
  const todo = pending.reverse()
  pending = []
  scope(() => {
    let waiting: Pending[] = []
    try {
      for (let saved = todo.shift(); saved !== undefined; saved = todo.shift()) {
        const { order } = saved
        // What was made after this checkpoint may lead to its outputs: those gradients must arrive first.
        pushBack(waiting.filter((each) => each.input.epoch > order))
        waiting = waiting.filter((each) => each.input.epoch <= order)
        const reached = scope(() => saved.outputs.some((output) => gradient(output) !== null))
        if (!reached) {
          pending.unshift(saved)
          continue
        }
        try {
          const back = scope(() => {
            const arrived = saved.outputs.map((output) => gradient(output))
            for (const output of saved.outputs) setGradient(output, null)
            return runAgain(saved, arrived)
          })
          for (const [i, incoming] of back.entries()) {
            const input = saved.inputs[i]
            if (incoming && input) waiting.push({ input: alias(input), gradient: incoming })
          }
        } finally {
          free(saved)
        }
      }
      pushBack(waiting)
    } finally {
      for (const saved of todo) free(saved)
    }
  })
}

/**
 * Accumulates into every trainable leaf the gradient of `root` (a scalar, or any shape with `options.gradient`). Calling it again
 * before `zeroGradients` adds: that is gradient accumulation.
 *
 * Memory saved for the backward pass is freed, unless `retainGraph` (not with checkpoints, whose pieces run once).
 */
export function backward(
  root: Tensor | readonly Tensor[],
  options: { readonly gradient?: Tensor | readonly (Tensor | null)[]; readonly retainGraph?: boolean } = {},
): void {
  const roots = Array.isArray(root) ? (root as readonly Tensor[]) : [root as Tensor]
  const given = options.gradient
  const gradients = given === undefined ? roots.map(() => null) : Array.isArray(given) ? (given as readonly (Tensor | null)[]) : [given as Tensor]
  if (gradients.length !== roots.length) throw new ArgumentError(`backward: ${roots.length} tensors but ${gradients.length} gradients`)
  backwardFrom(roots, gradients, options.retainGraph ?? false)
  flushCheckpoints()
}

/** Forgets checkpoints whose backward pass will not run (a step that was abandoned), freeing what they kept. */
export function dropCheckpoints(): void {
  for (const saved of pending) free(saved)
  pending = []
}
