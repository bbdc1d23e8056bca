// Who owns new tensors and whether gradients are recorded: the two things that surround a line of tensor code.
//
// Both travel with the asynchronous context, so two overlapping `await`s never see each other's scope or mode. The engine's own
// grad mode belongs to the thread; it is brought in line just before a call when it differs (see `engineFor`).

import { AsyncLocalStorage } from 'node:async_hooks'
import { type Native, native } from './native.ts'
import { Tensor } from './tensor.ts'

/** Recording of gradients: on; off; or off for good, where results can never take part in a gradient later (cheapest). */
export type Mode = 'grad' | 'noGrad' | 'inference'

/** What surrounds a line of tensor code. */
export interface Context {
  readonly scope: Scope | null
  readonly mode: Mode
}

/** The tensors that one `scope` call will free. */
export interface Scope {
  readonly parent: Scope | null
  readonly tensors: Tensor[]
  open: boolean
}

const modeCodes: { readonly [M in Mode]: number } = { grad: 0, noGrad: 1, inference: 2 }
const storage = new AsyncLocalStorage<Context>()
const root: Context = { scope: null, mode: 'grad' }
let engineMode: Mode = 'grad'

/** The engine, in the mode of the current context. */
export function engineFor(context: Context): Native {
  const engine = native()
  if (context.mode !== engineMode) {
    engine.setMode(modeCodes[context.mode])
    engineMode = context.mode
  }
  return engine
}

export function currentContext(): Context {
  return storage.getStore() ?? root
}

/** The innermost scope that has not ended: a callback that outlives its scope allocates in the one around it. */
function openScope(scope: Scope | null): Scope | null {
  let found = scope
  while (found !== null && !found.open) found = found.parent
  return found
}

/** Handles on their way to the engine; grows to the largest scope. */
let leaving = new Int32Array(1024)

let epoch = 0

/** @internal Ends an epoch and returns its number. Tensors know theirs, so that a checkpoint knows what may depend on it. */
export function nextEpoch(): number {
  return epoch++
}

/** Wraps a handle from the engine as a tensor of the current scope. `origin` names the operator, for error texts. */
export function adopt(handle: number, origin: string, context: Context = currentContext()): Tensor {
  const scope = openScope(context.scope)
  const tensor = new Tensor(handle, origin, scope, epoch)
  scope?.tensors.push(tensor)
  return tensor
}

function close(scope: Scope): void {
  scope.open = false
  const { tensors } = scope
  if (tensors.length > leaving.length) leaving = new Int32Array(2 * tensors.length)
  let count = 0
  for (let i = 0; i < tensors.length; i++) {
    const tensor = tensors[i] as Tensor
    if (tensor.owner === scope && tensor.handle !== 0) {
      leaving[count++] = tensor.handle
      tensor.handle = 0
    }
  }
  if (count > 0) native().release(leaving, count)
}

function visit(value: unknown, found: (tensor: Tensor) => void, seen: Set<object>): void {
  if (value instanceof Tensor) {
    found(value)
    return
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) return
  seen.add(value)
  if (Array.isArray(value)) for (const element of value) visit(element, found, seen)
  else if (value instanceof Map) for (const element of value.values()) visit(element, found, seen)
  else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
    for (const element of Object.values(value)) visit(element, found, seen)
  }
}

function promote(value: unknown, from: Scope): void {
  const to = openScope(from.parent)
  visit(
    value,
    (tensor) => {
      if (tensor.owner !== from) return
      tensor.owner = to
      to?.tensors.push(tensor)
    },
    new Set(),
  )
}

/**
 * Runs `body` and then frees every tensor made in it, except those in what it returns (a tensor, or arrays, plain objects and maps
 * of them), which pass to the scope around. With an `async` body the scope ends when its promise settles; scopes that overlap in
 * time do not mix. Using a freed tensor is a `UseAfterFreeError`.
 *
 * ```ts
 * const loss = scope(() => hidden.matmul(head).logSoftmax(-1).mean())   // only the loss survives
 * ```
 */
export function scope<T>(body: () => T): T {
  const context = currentContext()
  const inner: Scope = { parent: openScope(context.scope), tensors: [], open: true }
  let result: T
  try {
    result = storage.run({ scope: inner, mode: context.mode }, body)
  } catch (error) {
    close(inner)
    throw error
  }
  if (result instanceof Promise) {
    return result.then(
      (value) => {
        promote(value, inner)
        close(inner)
        return value
      },
      (error) => {
        close(inner)
        throw error
      },
    ) as T
  }
  promote(result, inner)
  close(inner)
  return result
}

/** Takes a tensor (or arrays, plain objects and maps of tensors) out of every scope: it lives until `dispose` is called on it. */
export function keep<T>(value: T): T {
  visit(value, (tensor) => (tensor.owner = null), new Set())
  return value
}

/** Frees a tensor, or every tensor in arrays, plain objects and maps. Freeing twice is harmless. */
export function dispose(value: unknown): void {
  visit(value, (tensor) => tensor.dispose(), new Set())
}

function withMode<T>(mode: Mode, body: () => T): T {
  return storage.run({ scope: currentContext().scope, mode }, body)
}

/** Runs `body` without recording gradients; correct across `await`. */
export function noGrad<T>(body: () => T): T {
  return withMode('noGrad', body)
}

/** Runs `body` with gradients recorded, inside a `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withMode('grad', body)
}

/** Runs `body` in inference mode: cheapest, and its tensors can never be part of a gradient, which is an error if tried. */
export function inferenceMode<T>(body: () => T): T {
  return withMode('inference', body)
}
