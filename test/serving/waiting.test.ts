// Pauses, Retry-After and slots, with a clock of the test's own.

import assert from 'node:assert/strict'
import test from 'node:test'
import { askedPause, pauseAfter, realWaiting, Slots } from '../../src/serving/waiting.ts'

test('pauses double up to their limit, and chance takes a share of them', () => {
  const backoff = { firstMs: 100, longestMs: 1000 }
  const pauses = [1, 2, 3, 4, 5, 50].map((failures) => pauseAfter(failures, backoff, () => 0.5))
  assert.deepEqual(pauses, [50, 100, 200, 400, 500, 500])
  assert.equal(
    pauseAfter(3, backoff, () => 0),
    0,
  )
})

test('Retry-After is read as seconds and as a date', () => {
  const now = Date.parse('2015-10-21T07:28:00Z')
  assert.equal(askedPause('7', now), 7000)
  assert.equal(askedPause(' 0.5 ', now), 500)
  assert.equal(askedPause('Wed, 21 Oct 2015 07:28:30 GMT', now), 30_000)
  assert.equal(askedPause('Wed, 21 Oct 2015 07:27:00 GMT', now), 0, 'a date that is over')
  for (const none of [undefined, '', 'soon', '-1']) assert.equal(askedPause(none, now), null, String(none))
})

test('slots are a bound, go in turn, and come back from who gave up', async () => {
  const slots = new Slots(2)
  const never = new AbortController().signal
  const order: string[] = []
  const first = await slots.take(never)
  const second = await slots.take(never)
  const third = slots.take(never).then((slot) => {
    order.push('third')
    return slot
  })
  const leaving = new AbortController()
  const fourth = slots.take(leaving.signal)
  const fifth = slots.take(never).then((slot) => {
    order.push('fifth')
    return slot
  })
  leaving.abort(new Error('enough'))
  await assert.rejects(fourth, /^Error: enough$/)
  assert.deepEqual(order, [], 'no slot is free')
  first[Symbol.dispose]()
  await third
  assert.deepEqual(order, ['third'])
  second[Symbol.dispose]()
  await fifth
  assert.deepEqual(order, ['third', 'fifth'])
  await assert.rejects(slots.take(AbortSignal.abort(new Error('over'))), /^Error: over$/)
})

test('a sleep ends with the reason of its signal', async () => {
  const controller = new AbortController()
  const sleep = realWaiting.sleep(100_000, controller.signal)
  controller.abort(new Error('enough'))
  await assert.rejects(sleep, /^Error: enough$/)
})
