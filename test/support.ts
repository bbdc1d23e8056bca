// What the tests share: comparison of numbers, seeded random numbers, and finite differences.

import assert from 'node:assert/strict'
import { gradient, requireGrad } from '../src/torch/autograd.ts'
import { backward } from '../src/torch/backward.ts'
import { dispose, scope } from '../src/torch/context.ts'
import { fromTypedArray } from '../src/torch/create.ts'
import { native } from '../src/torch/native.ts'
import type { Tensor } from '../src/torch/tensor.ts'

/** Asserts |actual − expected| ≤ absolute + relative · |expected| for every element; NaN equals NaN. */
export function close(
  actual: Tensor | readonly number[],
  expected: Tensor | readonly number[],
  tolerance: { readonly absolute?: number; readonly relative?: number } = {},
  what = 'values',
): void {
  const { absolute = 1e-9, relative = 1e-6 } = tolerance
  const a = Array.isArray(actual) ? (actual as readonly number[]) : (actual as Tensor).toArray()
  const b = Array.isArray(expected) ? (expected as readonly number[]) : (expected as Tensor).toArray()
  assert.equal(a.length, b.length, `${what}: number of elements`)
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number
    const y = b[i] as number
    const same = Object.is(x, y) || (Number.isFinite(y) && Math.abs(x - y) <= absolute + relative * Math.abs(y))
    assert.ok(same, `${what}[${i}]: ${x}, expected ${y}`)
  }
}

/** The largest |a − b| over the largest |b|. */
export function relativeError(a: Tensor, b: Tensor): number {
  const x = a.toArray()
  const y = b.toArray()
  assert.equal(x.length, y.length)
  const scale = y.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30)
  return x.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (y[i] as number))), 0) / scale
}

/** Seeded uniform numbers in [0, 1), independent of the engine (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A float64 tensor of seeded numbers in [low, high). */
export function randomTensor(shape: readonly number[], seed: number, low = -1, high = 1): Tensor {
  const next = random(seed)
  const size = shape.reduce((product, length) => product * length, 1)
  return fromTypedArray(
    Float64Array.from({ length: size }, () => low + (high - low) * next()),
    { dtype: 'float64', shape },
  )
}

/**
 * Asserts that backward through `body` equals central differences, for float64 inputs. The result is reduced to a scalar with fixed
 * random weights, so that every element's gradient counts.
 */
export function checkGradient(body: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[], tolerance = 1e-6): void {
  scope(() => {
    const leaves = inputs.map((input) => requireGrad(input.detach().clone()))
    const weigh = (output: Tensor): Tensor => output.mul(randomTensor(output.shape, 99, 0.5, 1.5)).sum()
    backward(weigh(body(...leaves)))
    const value = (at: number, index: number, shift: number): number =>
      scope(() => {
        const moved = inputs.map((input, i) => {
          if (i !== at) return input
          const data = input.dataAs('float64')
          data[index] = (data[index] as number) + shift
          return fromTypedArray(data, { dtype: 'float64', shape: input.shape })
        })
        return weigh(body(...moved)).item()
      })
    const h = 1e-6
    for (const [at, leaf] of leaves.entries()) {
      const analytic = gradient(leaf)?.toArray() ?? new Array<number>(leaf.size).fill(0)
      const numeric = analytic.map((_, index) => (value(at, index, h) - value(at, index, -h)) / (2 * h))
      close(analytic, numeric, { absolute: tolerance, relative: tolerance }, `gradient of input ${at}`)
    }
  })
}

/** Runs `body` in a scope and asserts that no tensor is left behind. */
export function withoutLeaks(body: () => void): void {
  const before = native().memory().tensors
  dispose(scope(body))
  assert.equal(native().memory().tensors, before, 'live tensors after the test')
}
