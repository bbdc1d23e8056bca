// Quantiles and tails against numbers of 40 digits that mpmath found by bisecting the regularised incomplete beta function.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { normalQuantile, normalTail, tQuantile, tTail } from '../../src/statistics/student.ts'

const relative = (value: number, expected: number): number => Math.abs(value / expected - 1)

/** By degrees of freedom: the quantiles of 0.55, 0.9, 0.975, 0.995 and 0.99999. */
const quantiles: readonly (readonly [number, readonly number[]])[] = [
  [1, [0.158384440324536, 3.07768353717525, 12.7062047361747, 63.6567411628716, 31830.9886079071]],
  [2, [0.14213381090374, 1.88561808316413, 4.30265272974946, 9.92484320091829, 223.603443634037]],
  [2.5, [0.13881476791947, 1.73025092880718, 3.57465484200368, 7.16372813894879, 87.6432868566619]],
  [3, [0.136598199353699, 1.63774435369621, 3.18244630528371, 5.84090930973336, 47.9277283759339]],
  [5, [0.132175175231687, 1.47588404882448, 2.57058183563632, 4.03214298355523, 15.5468545349548]],
  [10, [0.128890189293274, 1.37218364111034, 2.22813885198627, 3.16927267261695, 7.52695401933965]],
  [29, [0.126766605620275, 1.31143364730155, 2.0452296421327, 2.75638590367061, 5.08550470201026]],
  [100, [0.12598088204154, 1.29007476134652, 1.98397151852355, 2.62589052143802, 4.47842690299274]],
  [999, [0.125693294470586, 1.2823995700374, 1.96234146113345, 2.58075963726764, 4.28545833738722]],
  [12345.5, [0.125663931744643, 1.28162014365093, 1.96015615981629, 2.57622760765197, 4.26654865088033]],
  [1e6, [0.125661378766488, 1.28155241212994, 1.95996635681411, 2.57583422010533, 4.26491125406966]],
  [Infinity, [0.125661346855074, 1.2815515655446, 1.95996398454005, 2.5758293035489, 4.26489079392282]],
]

for (const [degrees, expected] of quantiles) {
  test(`quantiles of t with ${degrees} degrees of freedom`, () => {
    for (const [i, p] of [0.55, 0.9, 0.975, 0.995, 0.99999].entries()) {
      const value = tQuantile(p, degrees)
      assert.ok(relative(value, expected[i] as number) < 1e-11, `p ${p}: ${value}, expected ${expected[i]}`)
      assert.ok(relative(tQuantile(1 - p, degrees), -(expected[i] as number)) < 1e-11, `p ${1 - p}`)
    }
    assert.equal(tQuantile(0.5, degrees), 0)
  })
}

test('where bisection hands over to the expansion both are right', () => {
  assert.ok(relative(tQuantile(0.975, 800_000), 1.9599669498835) < 1e-11)
  assert.ok(relative(tQuantile(0.975, 999_999.9), tQuantile(0.975, 1e6)) < 1e-11)
})

test('far out, where the expansion needs its second term', () => {
  assert.ok(relative(tQuantile(1e-12, 1e6), -7.03457260841126) < 1e-12)
})

test('tails of t with one and two degrees of freedom by their closed forms', () => {
  for (const t of [1e-6, 0.01, 0.5, 1, 1.4, 3, 40, 1e5]) {
    assert.ok(relative(tTail(t, 1), Math.atan(1 / t) / Math.PI) < 1e-12, `df 1, t ${t}`)
    // 1/2 − t / (2 √(2 + t²)), written so that nothing cancels
    const root = Math.sqrt(2 + t * t)
    assert.ok(relative(tTail(t, 2), 1 / (root * (root + t))) < 1e-12, `df 2, t ${t}`)
  }
})

test('the normal distribution on both sides of its change of method, and far out', () => {
  assert.equal(normalQuantile(0.5), 0)
  assert.ok(relative(normalQuantile(0.975), 1.95996398454005) < 1e-14)
  assert.ok(relative(normalQuantile(1e-10), -6.36134090240406) < 1e-14)
  assert.ok(relative(normalTail(2 - 1e-12), normalTail(2)) < 1e-11)
  assert.ok(relative(normalTail(2), 0.0227501319481792) < 1e-14)
  assert.ok(relative(normalTail(10), 7.61985302416053e-24) < 1e-13)
})

test('what no quantile has is refused', () => {
  for (const p of [0, 1, -0.1, Number.NaN]) assert.throws(() => tQuantile(p, 3), ArgumentError)
  for (const degrees of [0, 0.5, Number.NaN]) assert.throws(() => tQuantile(0.9, degrees), /degrees of freedom are .*; expected at least 1/)
})
