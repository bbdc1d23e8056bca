// Quantiles of Student's t and of the normal distribution, for intervals of means and of shares.

import { ArgumentError } from '../errors.ts'

/** The continued fraction takes fewer rounds than √df. */
const mostRounds = 1000
/** Differences below this share of a value no longer change it. */
const negligible = 2 ** -53
/** From so many degrees of freedom on, t is expanded about the normal distribution. */
const many = 1e6

/**
 * The quantile of Student's t: the x with P(T ≤ x) = p, to about eleven digits. Found by bisection of the tail; for many degrees of freedom
 * by Fisher's expansion (Abramowitz and Stegun 26.7.5).
 * @param p in (0, 1)
 * @param degrees of freedom, at least 1, not necessarily whole; Infinity gives the normal distribution
 */
export function tQuantile(p: number, degrees: number): number {
  if (!(degrees >= 1)) throw new ArgumentError(`degrees of freedom are ${degrees}; expected at least 1`)
  if (degrees < many) return quantileOf(p, (x) => tTail(x, degrees))
  const z = normalQuantile(p)
  return z + (z ** 3 + z) / (4 * degrees) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2)
}

/** The quantile of the standard normal distribution. @param p in (0, 1) */
export function normalQuantile(p: number): number {
  return quantileOf(p, normalTail)
}

/** Bisects a tail that falls from 1/2 at 0. Distributions here are symmetrical, and small tails are exact where 1 − p would not be. */
function quantileOf(p: number, tail: (x: number) => number): number {
  if (!(p > 0 && p < 1)) throw new ArgumentError(`p is ${p}; expected a number between 0 and 1`)
  if (p === 0.5) return 0
  const target = Math.min(p, 1 - p)
  let [low, high] = [0, 1]
  while (tail(high) > target) [low, high] = [high, 2 * high]
  for (;;) {
    const middle = (low + high) / 2
    if (middle === low || middle === high) return p < 0.5 ? -middle : middle
    if (tail(middle) > target) low = middle
    else high = middle
  }
}

/** P(T > t) for t ≥ 0: half the regularised incomplete beta function I_x(ν/2, 1/2) at x = ν / (ν + t²). Abramowitz and Stegun 26.7.1. */
export function tTail(t: number, degrees: number): number {
  if (t === 0) return 0.5
  const [a, b] = [degrees / 2, 0.5]
  const [x, rest] = [degrees / (degrees + t * t), (t * t) / (degrees + t * t)]
  // x^a (1 − x)^b / B(a, b), of which the logarithm of x is exact for small t² / ν.
  const factor = (Math.exp(-a * Math.log1p((t * t) / degrees)) * Math.sqrt(rest) * gammaRatio(a)) / Math.sqrt(Math.PI)
  return x < (a + 1) / (a + b + 2) ? (factor * betaFraction(x, a, b)) / (2 * a) : (1 - (factor * betaFraction(rest, b, a)) / b) / 2
}

/** Γ(a + 1/2) / Γ(a): its asymptotic series (Abramowitz and Stegun 6.1.47), for small a after the recurrence has carried it upwards. */
function gammaRatio(a: number): number {
  let [factor, at] = [1, a]
  for (; at < 40; at++) factor *= at / (at + 0.5)
  const series = 1 - 1 / (8 * at) + 1 / (128 * at ** 2) + 5 / (1024 * at ** 3) - 21 / (32768 * at ** 4) - 399 / (262144 * at ** 5)
  return factor * Math.sqrt(at) * series
}

/** The continued fraction of the incomplete beta function, by Lentz's method (Numerical Recipes, 3rd edition, 6.4). */
function betaFraction(x: number, a: number, b: number): number {
  const apart = (value: number): number => (Math.abs(value) < 1e-300 ? 1e-300 : value)
  let c = 1
  let d = 1 / apart(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m <= mostRounds; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    let change = 1
    for (const term of [even, odd]) {
      d = 1 / apart(1 + term * d)
      c = apart(1 + term / c)
      change = c * d
      fraction *= change
    }
    if (Math.abs(change - 1) <= 4 * negligible) break
  }
  return fraction
}

/** P(Z > z) for z ≥ 0: by the series of the error function, in the far tail by Laplace's continued fraction (A. and S. 26.2.11, 26.2.14). */
export function normalTail(z: number): number {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)
  if (z < 2) {
    let [term, sum] = [z, z]
    for (let n = 3; term > negligible * sum; n += 2) {
      term *= (z * z) / n
      sum += term
    }
    return 0.5 - density * sum
  }
  let fraction = z
  for (let n = 160; n > 0; n--) fraction = z + n / fraction
  return density / fraction
}
