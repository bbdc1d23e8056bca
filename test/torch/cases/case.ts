// What one line of a case table turns into: an operator run in several ways, each compared with its oracle.

import assert from 'node:assert/strict'
import { OperatorError } from '../../../src/errors.ts'
import type { DType } from '../../../src/torch/dtype.ts'
import { native } from '../../../src/torch/native.ts'
import { ops } from '../../../src/torch/operators.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { checkGradient, close } from '../../support.ts'
import { filler, type Nd, rounded, sizeOf, toStrided, toTensor } from './ndarray.ts'

export type OperatorName = keyof typeof ops

export interface Case {
  readonly operator: OperatorName
  readonly what: string
  readonly check: () => void
}

interface Options {
  /** False where PyTorch gives no gradient; otherwise float64 inputs are held against finite differences. */
  readonly gradient?: boolean
  /** Relative, of the float64 comparison. */
  readonly tolerance?: number
  /** Whether writing to an input must show in the result. `contiguous`: only where the input has no gaps, else a copy. */
  readonly aliases?: 'always' | 'contiguous' | 'never' | 'unchecked'
  /** False where an operator takes no inputs with gaps, or takes none at all. */
  readonly strided?: boolean
  /** False where the case says nothing about float32, such as one about dtypes. */
  readonly float32?: boolean
  /** Of the engine: more than one where the elements are many enough to be shared. */
  readonly threads?: number
}

type Call<R> = (...tensors: Tensor[]) => R
type Result = Tensor | readonly Tensor[]
type Oracle = (...arrays: Nd[]) => Nd | readonly Nd[]

const isList = <T>(value: T | readonly T[]): value is readonly T[] => Array.isArray(value)

export function compare(actual: Tensor, expected: Nd, tolerance = 1e-12, what = 'result'): void {
  assert.deepEqual(actual.shape, expected.shape, `${what}: shape`)
  assert.equal(actual.dtype, expected.dtype, `${what}: dtype`)
  const values = actual.toArray()
  assert.equal(values.length, sizeOf(expected.shape), `${what}: number of elements`)
  for (const [i, value] of expected.data.entries()) {
    if (!Number.isFinite(value)) assert.ok(Object.is(values[i], value), `${what}[${i}]: ${values[i]}, expected ${value}`)
  }
  close(values, expected.data, { relative: tolerance, absolute: tolerance / 10 }, what)
}

function compareAll(actual: Result, expected: Nd | readonly Nd[], tolerance: number, what: string): void {
  const results = isList<Tensor>(actual) ? actual : [actual]
  const oracles = isList<Nd>(expected) ? expected : [expected]
  assert.equal(results.length, oracles.length, `${what}: number of tensors`)
  for (const [i, oracle] of oracles.entries()) compare(results[i] as Tensor, oracle, tolerance, isList(expected) ? `${what} ${i}` : what)
}

/** Adds 1 to every number of a tensor in place, or inverts a bool one: to see which other tensors change. */
function disturb(tensor: Tensor): void {
  if (tensor.dtype === 'bool') tensor.copy_(tensor.logicalNot())
  else tensor.add_(1)
}

function disturbed(array: Nd): Nd {
  return { ...array, data: array.data.map((value) => (array.dtype === 'bool' ? 1 - value : value + 1)) }
}

/** A seeded weighting of all floating results, so that one scalar depends on each of their elements. */
function joined(result: Result): Tensor {
  const floating = (isList<Tensor>(result) ? result : [result]).filter((each) => each.dtype === 'float64')
  const [first, ...rest] = floating.map((each) => each.reshape([-1]))
  assert.ok(first, 'a gradient needs a float64 result')
  return rest.length === 0 ? first : ops.cat([first, ...rest])
}

function gradients(inputs: readonly Nd[], call: Call<Result>): void {
  const floating = inputs.filter(({ dtype }) => dtype === 'float64')
  const fixed = inputs.map((input) => (input.dtype === 'float64' ? null : toTensor(input)))
  checkGradient((...leaves) => {
    let next = 0
    return joined(call(...fixed.map((each) => each ?? (leaves[next++] as Tensor))))
  }, floating.map(toTensor))
}

/**
 * A case in which `call` gives new tensors (or views) equal to `oracle`. It is run on inputs without gaps, on inputs with gaps and
 * reversed strides, in float32, and for its gradient; inputs must come out unchanged. One thread: with few elements more of them
 * would only wait for each other.
 */
export function equals(operator: OperatorName, what: string, inputs: readonly Nd[], call: Call<Result>, oracle: Oracle, options: Options = {}): Case {
  const { tolerance = 1e-12, aliases = 'never', strided = inputs.length > 0, float32 = true, threads = 1 } = options
  const floating = inputs.some(({ dtype }) => dtype === 'float64')
  const { gradient = floating } = options

  function forward(arrays: readonly Nd[], make: (array: Nd) => Tensor, linked: boolean, within: number, name: string): void {
    const tensors = arrays.map(make)
    const result = call(...tensors)
    compareAll(result, oracle(...arrays), within, name)
    for (const [i, array] of arrays.entries()) compare(tensors[i] as Tensor, array, 0, `${name}: input ${i} afterwards`)
    const [first, ...rest] = arrays
    if (aliases === 'unchecked' || first === undefined) return
    disturb(tensors[0] as Tensor)
    compareAll(result, oracle(linked ? disturbed(first) : first, ...rest), within, `${name} after a write to the input`)
  }

  return {
    operator,
    what,
    check() {
      native().threads(threads)
      forward(inputs, toTensor, aliases === 'always' || aliases === 'contiguous', tolerance, 'contiguous')
      if (strided) forward(inputs, (each) => toStrided(each).view, aliases === 'always', tolerance, 'strided')
      if (floating && float32) forward(inputs.map(rounded), toTensor, aliases !== 'never', Math.max(3e-5, tolerance), 'float32')
      if (gradient) gradients(inputs, call)
    },
  }
}

/** A case in which `call` changes its first input to what `oracle` says, gives back that same object, and touches nothing else. */
export function changes(
  operator: OperatorName,
  what: string,
  inputs: readonly Nd[],
  call: Call<Tensor>,
  oracle: (...arrays: Nd[]) => Nd,
  options: Options = {},
): Case {
  const { tolerance = 1e-12, strided = true } = options
  const floating = inputs.some(({ dtype }) => dtype === 'float64')
  const { gradient = floating } = options
  return {
    operator,
    what,
    check() {
      native().threads(1)
      const expected = oracle(...inputs)
      const [self, ...rest] = inputs.map(toTensor) as [Tensor, ...Tensor[]]
      const window = self.view([-1])
      assert.equal(call(self, ...rest), self, 'the same object comes back')
      compare(self, expected, tolerance, 'changed')
      compare(window, { ...expected, shape: [sizeOf(expected.shape)] }, tolerance, 'seen through a view')
      for (const [i, tensor] of rest.entries()) compare(tensor, inputs[i + 1] as Nd, 0, `input ${i + 1} afterwards`)

      if (strided) {
        const { base, view } = toStrided(inputs[0] as Nd)
        const others = inputs.slice(1).map((each) => toStrided(each).view)
        assert.equal(call(view, ...others), view, 'the same object comes back')
        compare(view, expected, tolerance, 'changed with gaps')
        const gaps = base.select(-1, 0).toArray().slice(0, sizeOf(expected.shape))
        assert.ok(expected.shape.length === 0 || gaps.every((value) => Object.is(value, filler(expected.dtype))), 'the gaps are untouched')
      }
      if (gradient) gradients(inputs, (first, ...others) => call((first as Tensor).clone(), ...others))
    },
  }
}

/** A case that is no comparison with an oracle. */
export function holds(operator: OperatorName, what: string, check: () => void): Case {
  return { operator, what, check }
}

/** A case in which the call is an `OperatorError` under the operator's name, whose text matches. */
export function refuses(operator: OperatorName, what: string, call: () => unknown, text: RegExp): Case {
  return {
    operator,
    what: `refuses ${what}`,
    check() {
      assert.throws(call, (error) => {
        assert.ok(error instanceof OperatorError, `${error}`)
        assert.equal(error.operator, operator)
        assert.match(error.message, text)
        return true
      })
    },
  }
}

/** A dtype and shape, where the values are not determined. */
export function isLike(tensor: Tensor, shape: readonly number[], dtype: DType): void {
  assert.deepEqual(tensor.shape, shape)
  assert.equal(tensor.dtype, dtype)
  assert.equal(tensor.device, 'cpu')
  assert.equal(tensor.isContiguous, true)
}
