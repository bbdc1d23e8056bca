// The addon in several threads at once: a worker computes while the main thread stays free, and neither disturbs the other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { noGrad, scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import { memory } from '../../src/torch/memory.ts'
import { ops } from '../../src/torch/operators.ts'
import { Generator } from '../../src/torch/random.ts'

const path = (name: string): string => JSON.stringify(new URL(`../../src/torch/${name}.ts`, import.meta.url).href)

/** Runs code in a worker that has `ops`, `scope` and friends; resolves with what it posts. */
function inWorker(body: string): Promise<unknown> {
  const code = `
    const { parentPort } = await import('node:worker_threads')
    const { scope, noGrad } = await import(${path('context')})
    const { tensor } = await import(${path('create')})
    const { ops } = await import(${path('operators')})
    const { memory } = await import(${path('memory')})
    const { native } = await import(${path('native')})
    const { requireGrad, gradient } = await import(${path('autograd')})
    const { backward } = await import(${path('backward')})
    const { Generator } = await import(${path('random')})
    ${body}`
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

test('two workers and the main thread compute at once, with handles, modes and seeds of their own', async () => {
  const a = tensor([1, 2, 3])
  const before = memory().tensors
  const job = (value: number): string => `
    native().threads(1)
    const x = requireGrad(tensor([${value}, ${value}]))
    let total = 0
    for (let i = 0; i < 300; i++) {
      total += scope(() => {
        const y = x.mul(x).sum()
        backward(y)
        return y.item()
      })
    }
    const generator = Generator.seeded(${value})
    parentPort.postMessage({ total, gradient: gradient(x).toArray(), drawn: ops.rand([2], { generator }).toArray(), tensors: memory().tensors })`
  const running = [inWorker(job(2)), inWorker(job(3))]
  const own = noGrad(() => scope(() => a.mul(2).requiresGrad))
  const results = (await Promise.all(running)) as { total: number; gradient: number[]; drawn: number[]; tensors: number }[]
  assert.equal(own, false)
  for (const [i, value] of [2, 3].entries()) {
    const { total, gradient, drawn, tensors } = results[i] as (typeof results)[number]
    assert.equal(total, 300 * 2 * value * value)
    assert.deepEqual(gradient, [600 * value, 600 * value])
    using generator = Generator.seeded(value)
    assert.deepEqual(
      scope(() => ops.rand([2], { generator }).toArray()),
      drawn,
    )
    assert.equal(tensors, 3) // x, its gradient as read, and the drawn numbers: the worker's own count
  }
  assert.equal(memory().tensors, before)
  assert.deepEqual(a.toArray(), [1, 2, 3])
  a.dispose()
})

test('the main thread answers while a worker computes', async () => {
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  await inWorker(`
    native().threads(1)
    const x = ops.rand([400, 400])
    const end = performance.now() + 600
    while (performance.now() < end) scope(() => x.mm(x))
    parentPort.postMessage('done')`)
  clearInterval(timer)
  assert.ok(ticks >= 5, `${ticks} ticks in 600 ms: a computation on this thread would have left none`)
})

test('a worker that is ended in the middle leaves the others whole', async () => {
  const code = `
    const { ops } = await import(${path('operators')})
    const { parentPort } = await import('node:worker_threads')
    parentPort.postMessage('begun')
    for (;;) { ops.rand([100, 100]).mm(ops.rand([100, 100])).dispose(); await null }`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
  await new Promise((resolve) => worker.once('message', resolve))
  await worker.terminate()
  assert.equal(
    scope(() => ops.ones([4]).sum().item()),
    4,
  )
  assert.equal(await inWorker('parentPort.postMessage(scope(() => ops.ones([5]).sum().item()))'), 5)
})

test('an error in a worker arrives as a typed error there', async () => {
  const message = await inWorker(`
    try { ops.ones([2]).mm(ops.ones([3])) } catch (error) { parentPort.postMessage(error.name + ': ' + error.operator) }`)
  assert.equal(message, 'OperatorError: mm')
})
