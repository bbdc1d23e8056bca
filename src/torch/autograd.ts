// Gradients: marking parameters, reading what backward left, and gradients of chosen tensors. `backward` itself is in backward.ts.

import { adopt, currentContext, engineFor, keep, noGrad, scope } from './context.ts'
import { isHalf } from './dtype.ts'
import { about, native } from './native.ts'
import type { Tensor } from './tensor.ts'

/** Marks a tensor as trainable (or not) and returns it. Only leaves (tensors that no recorded operator made) can be switched. */
export function requireGrad(tensor: Tensor, value = true): Tensor {
  about('requireGrad', [tensor], 'a floating-point leaf tensor', () => native().setRequiresGrad(tensor.live('requireGrad'), value))
  return tensor
}

/** Float32 sums of gradients by the half-precision tensors that they belong to. */
const sums = new WeakMap<Tensor, Tensor>()

/**
 * Moves the gradients of half-precision tensors into float32 sums: call it after each of several backward passes, since a half type loses
 * small parts that are added to a large sum. From then on `gradient` gives the sum, in float32, until it is cleared.
 */
export function widenGradients(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) {
    if (!isHalf(tensor.dtype)) continue
    const handle = native().gradient(tensor.live('widenGradients'))
    if (handle === 0) continue
    noGrad(() =>
      scope(() => {
        const added = adopt(handle, 'gradient')
        const sum = sums.get(tensor)
        if (sum === undefined) sums.set(tensor, keep(added.toDtype('float32')))
        else sum.add_(added)
      }),
    )
    native().setGradient(tensor.live('widenGradients'), 0)
  }
}

/** The gradient that backward accumulated, as a tensor of the current scope; null where there is none. */
export function gradient(tensor: Tensor): Tensor | null {
  const sum = sums.get(tensor)
  if (sum !== undefined) {
    widenGradients([tensor])
    return adopt(native().alias(sum.live('gradient')), 'gradient')
  }
  const handle = native().gradient(tensor.live('gradient'))
  return handle === 0 ? null : adopt(handle, 'gradient')
}

/** Sets or (null) clears the accumulated gradient. The gradient shares memory with `value`. */
export function setGradient(tensor: Tensor, value: Tensor | null): void {
  sums.get(tensor)?.dispose()
  sums.delete(tensor)
  about('setGradient', [tensor, value], 'a tensor and a gradient of its shape, dtype and device', () =>
    native().setGradient(tensor.live('setGradient'), value?.live('setGradient') ?? 0),
  )
}

/** Clears the gradients of parameters. Their memory is freed. */
export function zeroGradients(parameters: Iterable<Tensor>): void {
  for (const parameter of parameters) setGradient(parameter, null)
}

/** @internal the engine's backward, which knows nothing of checkpoints: the gradients of `roots` (null: 1, for scalars) are pushed back once. */
export function backwardFrom(roots: readonly Tensor[], gradients: readonly (Tensor | null)[], retainGraph: boolean): void {
  engineFor({ ...currentContext(), mode: 'grad' })
  about('backward', roots, 'tensors that depend on a trainable tensor; scalars, or with gradients', () =>
    native().backward(
      roots.map((root) => root.live('backward')),
      gradients.map((each) => each?.live('backward') ?? null),
      retainGraph,
    ),
  )
}

/**
 * The gradients of `outputs` with respect to `inputs`, without touching accumulated ones; null for an input that they do not depend
 * on. With `createGraph` the gradients can be differentiated again.
 */
export function gradientsOf(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { readonly gradients?: readonly (Tensor | null)[]; readonly retainGraph?: boolean; readonly createGraph?: boolean } = {},
): (Tensor | null)[] {
  const { gradients = outputs.map(() => null), createGraph = false, retainGraph = createGraph } = options
  engineFor({ ...currentContext(), mode: 'grad' })
  return about('gradientsOf', [...outputs, ...inputs], 'outputs that depend on a trainable tensor', () =>
    native().gradients(
      outputs.map((each) => each.live('gradientsOf')),
      inputs.map((each) => each.live('gradientsOf')),
      gradients.map((each) => each?.live('gradientsOf') ?? null),
      retainGraph,
      createGraph,
    ),
  ).map((handle) => (handle === 0 ? null : adopt(handle, 'gradientsOf')))
}
