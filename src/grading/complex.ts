// Complex arithmetic for evaluating expressions at sample points: only what expressions in answers need.

export type Complex = readonly [re: number, im: number]

export const real = (value: number): Complex => [value, 0]
export const add = (a: Complex, b: Complex): Complex => [a[0] + b[0], a[1] + b[1]]
export const negate = (a: Complex): Complex => [-a[0], a[1] === 0 ? 0 : -a[1]]
export const subtract = (a: Complex, b: Complex): Complex => add(a, negate(b))
export const magnitude = (a: Complex): number => Math.hypot(a[0], a[1])

export function multiply(a: Complex, b: Complex): Complex {
  // Infinities stay what they are where nothing is imaginary.
  if (a[1] === 0 && b[1] === 0) return real(a[0] * b[0])
  return [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

export function divide(a: Complex, b: Complex): Complex {
  if (a[1] === 0 && b[1] === 0) return real(a[0] / b[0])
  const size = b[0] * b[0] + b[1] * b[1]
  const [re, im] = multiply(a, [b[0], -b[1]])
  return [re / size, im / size]
}

export function exp(a: Complex): Complex {
  const size = Math.exp(a[0])
  return a[1] === 0 ? real(size) : [size * Math.cos(a[1]), size * Math.sin(a[1])]
}

/** The principal branch. */
export const log = (a: Complex): Complex => [Math.log(magnitude(a)), Math.atan2(a[1], a[0])]

export function power(base: Complex, exponent: Complex): Complex {
  if (base[1] === 0 && exponent[1] === 0 && (base[0] >= 0 || Number.isInteger(exponent[0]))) return real(base[0] ** exponent[0])
  if (base[0] === 0 && base[1] === 0) return real(0)
  return exp(multiply(exponent, log(base)))
}

export function sqrt(a: Complex): Complex {
  if (a[1] === 0) return a[0] >= 0 ? real(Math.sqrt(a[0])) : [0, Math.sqrt(-a[0])]
  return power(a, real(0.5))
}
