// Memory and modes: who frees what and when, also across await, and what a stale tensor does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ArgumentError, UseAfterFreeError } from '../../src/errors.ts'
import { requireGrad } from '../../src/torch/autograd.ts'
import { dispose, enableGrad, inferenceMode, keep, noGrad, scope } from '../../src/torch/context.ts'
import { int64, tensor } from '../../src/torch/create.ts'
import { memory, resetPeakMemory } from '../../src/torch/memory.ts'
import { native } from '../../src/torch/native.ts'
import { ops } from '../../src/torch/operators.ts'
import type { Tensor } from '../../src/torch/tensor.ts'

const live = (): number => memory().tensors

test('a scope frees what was made in it, except what it returns', () => {
  const before = live()
  const result = scope(() => {
    const a = tensor([1, 2, 3])
    const b = a.add(1)
    return { sum: b.sum(), list: [a.mul(2)], map: new Map([['x', a]]), untouched: new Float32Array(2), none: null }
  })
  assert.equal(live(), before + 3)
  assert.deepEqual(result.sum.toArray(), [9])
  assert.deepEqual(result.list[0]?.toArray(), [2, 4, 6])
  dispose(result)
  dispose(result)
  assert.equal(live(), before)
})

test('bytes are counted exactly, and nested scopes hand over to the one around', () => {
  const before = memory().cpuBytes
  scope(() => {
    const inner = scope(() => {
      ops.zeros([1000]).add(1)
      return ops.zeros([256])
    })
    assert.equal(memory().cpuBytes - before, 1024)
    assert.equal(inner.disposed, false)
  })
  assert.equal(memory().cpuBytes, before)
})

test('an error frees the scope and passes on', () => {
  const before = live()
  assert.throws(
    () =>
      scope(() => {
        ops.zeros([4])
        throw new RangeError('mine')
      }),
    RangeError,
  )
  assert.equal(live(), before)
})

test('scopes that overlap in time do not mix', async () => {
  const before = live()
  const worker = (value: number, pause: number): Promise<Tensor> =>
    scope(async () => {
      const a = ops.full([2], value)
      await setTimeout(pause)
      const b = a.add(1)
      await setTimeout(pause)
      ops.zeros([8])
      return b.add(a)
    })
  const results = await Promise.all([worker(1, 5), worker(10, 1), scope(async () => worker(100, 3))])
  assert.deepEqual(
    results.map((each) => each.toArray()),
    [
      [3, 3],
      [21, 21],
      [201, 201],
    ],
  )
  assert.equal(live(), before + 3)
  dispose(results)
  await assert.rejects(
    scope(async () => {
      ops.zeros([1])
      await setTimeout(1)
      ops.zeros([1])
      throw new RangeError('late')
    }),
    RangeError,
  )
  assert.equal(live(), before)
})

test('a callback that outlives its scope allocates in the one around, which frees it', async () => {
  const before = live()
  await scope(async () => {
    let late: Promise<Tensor> | undefined
    scope(() => {
      late = setTimeout(2).then(() => ops.full([1], 5))
    })
    assert.deepEqual((await late)?.toArray(), [5])
    assert.equal(live(), before + 1)
  })
  assert.equal(live(), before)
})

test('keep takes a tensor out of all scopes; `using` frees one at the end of its block', () => {
  const before = live()
  const kept = scope(() => scope(() => keep(tensor([7]))))
  scope(() => void kept.add(1))
  assert.deepEqual(kept.toArray(), [7])
  {
    using brief = kept.add(1)
    assert.deepEqual(brief.toArray(), [8])
    assert.equal(live(), before + 2)
  }
  assert.equal(live(), before + 1)
  kept.dispose()
  assert.equal(live(), before)
})

test('a freed tensor is an error that names the use and the maker, wherever it is used', () => {
  const stale = tensor([1, 2]).mul(2)
  stale.dispose()
  const uses: [string, () => unknown][] = [
    ['add', () => stale.add(1)],
    ['add', () => tensor([1, 2]).add(stale)],
    ['cat', () => ops.cat([stale])],
    ['data', () => stale.data()],
    ['item', () => stale.item()],
    ['requireGrad', () => requireGrad(stale)],
    ['requiresGrad', () => stale.requiresGrad],
    ['shape', () => stale.shape],
  ]
  for (const [name, use] of uses) {
    assert.throws(
      use,
      (error: unknown) => error instanceof UseAfterFreeError && error.message.startsWith(`${name}: the tensor made by \`mul\` was freed`),
    )
  }
  assert.equal(String(stale), 'Tensor (freed)')
})

test('a handle whose slot was used again is not mistaken for the new tensor', () => {
  scope(() => {
    const old = tensor([1])
    const { handle } = old
    old.dispose()
    // The slot is used again at once; its generation comes round after 511 uses.
    for (let i = 0; i < 500; i++) {
      using next = tensor([i])
      assert.equal(next.handle % 2 ** 22, handle % 2 ** 22)
      assert.notEqual(next.handle, handle)
      assert.throws(() => native().item(handle), /the tensor was freed/)
    }
  })
})

test('gradient modes follow the code, across await too', async () => {
  const before = live()
  const weight = requireGrad(tensor([2]))
  assert.equal(weight.mul(3).requiresGrad, true)
  const flows = [
    noGrad(async () => {
      await setTimeout(2)
      return weight.mul(3).requiresGrad
    }),
    inferenceMode(async () => {
      await setTimeout(1)
      return weight.mul(3).requiresGrad
    }),
    (async () => {
      await setTimeout(1)
      return weight.mul(3).requiresGrad
    })(),
  ]
  assert.deepEqual(await Promise.all(flows), [false, false, true])
  assert.equal(
    noGrad(() => enableGrad(() => weight.mul(3).requiresGrad)),
    true,
  )
  const inferred = inferenceMode(() => weight.mul(3))
  assert.throws(() => weight.mul(inferred), /Inference tensors cannot be saved for backward/)
  assert.ok(live() > before)
})

test('an element count or dtype that does not fit is refused before any memory is touched', () => {
  assert.throws(() => tensor([[1, 2], [3]]), ArgumentError)
  assert.throws(() => tensor([[1, 2], 3]), ArgumentError)
  assert.throws(() => tensor([1, [2]]), ArgumentError)
  assert.throws(() => tensor([1.5], { dtype: 'int64' }), ArgumentError)
  for (const bad of [1.5, 2 ** 53, Number.NaN]) assert.throws(() => int64([0, bad]), ArgumentError)
  assert.throws(() => int64([1, 2, 3], { shape: [2, 2] }), ArgumentError)
  assert.deepEqual(int64([2 ** 53 - 1, -7], { shape: [2, 1] }).dataAs('int64'), BigInt64Array.of(2n ** 53n - 1n, -7n))
  assert.throws(() => tensor([1, 2]).item(), ArgumentError)
  assert.throws(() => tensor([1, 2]).dataAs('int64'), ArgumentError)
})

test('hundreds of rounds of 20 MB leave no trace', () => {
  resetPeakMemory()
  const before = memory()
  for (let i = 0; i < 200; i++) {
    scope(() => {
      for (let j = 0; j < 10; j++) ops.zeros([250_000]).add(1)
    })
  }
  assert.ok(memory().cpuPeakBytes < before.cpuPeakBytes + 21e6)
  assert.equal(memory().tensors, before.tensors)
  assert.equal(memory().cpuBytes, before.cpuBytes)
})
