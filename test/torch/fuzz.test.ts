// Random calls of every operator: each succeeds or throws an error of Sightline's that names the operator, and nothing is left behind.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { ArgumentError, OperatorError, UseAfterFreeError } from '../../src/errors.ts'
import { backward } from '../../src/torch/backward.ts'
import { inferenceMode, noGrad, scope } from '../../src/torch/context.ts'
import { native } from '../../src/torch/native.ts'
import { ops } from '../../src/torch/operators.ts'
import { parseSchema } from '../../src/torch/schema.ts'
import { schemas } from '../../src/torch/schemas.ts'
import { Tensor } from '../../src/torch/tensor.ts'
import { Arguments } from './cases/arguments.ts'

const calls = 10_000

const operators = (Object.keys(schemas) as (keyof typeof schemas)[]).map((name) => ({
  name,
  call: ops[name] as unknown as (...given: unknown[]) => unknown,
  overloads: [schemas[name]].flat().map(parseSchema),
}))

function checkError(error: unknown, name: string): void {
  assert.ok(error instanceof OperatorError || error instanceof UseAfterFreeError || error instanceof ArgumentError, `not typed: ${inspect(error)}`)
  assert.ok(error.message.includes(name), `does not name ${name}: ${error.message}`)
  if (!(error instanceof OperatorError)) return
  assert.equal(error.operator, name)
  assert.match(error.message, /\n {2}got: {3}\S/)
  assert.match(error.message, /\n {2}takes: \S/)
}

/** A result is of a kind that operators have, and its elements can be read. */
function read(result: unknown): void {
  if (result === undefined || typeof result === 'boolean') return
  if (Array.isArray(result)) {
    for (const element of result) read(element)
    return
  }
  assert.ok(result instanceof Tensor, `a result: ${inspect(result)}`)
  assert.equal(result.disposed, false)
  assert.equal(result.data().length, result.size)
  assert.match(`${result}`, /^\w+\[[\d, ]*\]$/)
}

/** Pushes gradients back through a result that is recorded: they arrive, or the error is typed. */
function differentiate(result: unknown): void {
  const [first] = [result].flat()
  if (!(first instanceof Tensor) || !first.requiresGrad) return
  try {
    backward(first.sum())
  } catch (error) {
    checkError(error, 'backward')
  }
}

test(`${calls} random calls`, (t) => {
  native().threads(1)
  const make = new Arguments(2024)
  const before = native().memory()
  native().resetPeakMemory()
  const succeeded = new Map<string, number>()
  let failures = 0
  for (let i = 0; i < calls; i++) {
    const { name, call, overloads } = operators[i % operators.length] as (typeof operators)[number]
    const mode = make.chance(0.7) ? <T>(body: () => T): T => body() : make.pick([noGrad, inferenceMode])
    scope(() => {
      const given = make.call(make.pick(overloads), name)
      try {
        let result: unknown
        try {
          result = mode(() => call(...given))
        } catch (error) {
          checkError(error, name)
          failures++
          return
        }
        read(result)
        differentiate(result)
        succeeded.set(name, (succeeded.get(name) ?? 0) + 1)
      } catch (cause) {
        throw new Error(`call ${i}: ${name}(${given.map((each) => (each instanceof Tensor ? `${each}` : inspect(each, { depth: 1 }))).join(', ')})`, {
          cause,
        })
      }
    })
  }
  const successes = calls - failures
  t.diagnostic(`${successes} calls succeeded, ${failures} failed with a typed error`)
  const peak = native().memory().cpuPeakBytes
  t.diagnostic(`at most ${Math.round(peak / 2 ** 20)} MiB of tensors at once`)
  assert.equal(native().memory().tensors, before.tensors, 'live tensors after the calls')
  assert.ok(successes >= calls / 10 && failures >= calls / 10, 'both outcomes are common')
  assert.ok(peak < 100e6, `${peak} bytes`)
  const missing = native().describe().torch.startsWith('1.') ? ['scaledDotProductAttention'] : []
  const never = operators.map(({ name }) => name as string).filter((name) => !succeeded.has(name))
  assert.deepEqual(never, missing, 'operators that never succeeded')
})
