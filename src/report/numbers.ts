// How numbers are written, the same in charts, tables and tooltips.

import type { Interval } from '../statistics/interval.ts'

/** Digits after the point where a chart or table asks for nothing else. */
export const defaultDigits = 2

const raised: { readonly [character: string]: string } = {
  '-': '⁻',
  ...Object.fromEntries([...'⁰¹²³⁴⁵⁶⁷⁸⁹'].map((sign, digit) => [String(digit), sign])),
}

/** A power of ten, such as 10⁻⁵. */
export function powerOfTen(exponent: number): string {
  return `10${[...String(exponent)].map((character) => raised[character]).join('')}`
}

/** Digits after the point, a true minus sign, none before a zero, thin spaces between thousands from 10 000 on. */
export function fixed(value: number, digits = defaultDigits): string {
  const [whole = '', fraction] = Math.abs(value).toFixed(digits).split('.')
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, '\u202f') : whole
  const size = fraction === undefined ? grouped : `${grouped}.${fraction}`
  return value < 0 && /[1-9]/.test(size) ? `−${size}` : size
}

/** Three significant digits, whole numbers whole; from a million up and below a ten-thousandth with a power of ten. */
export function significant(value: number): string {
  if (value === 0) return '0'
  const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))))
  if (exponent >= 6 || exponent < -4) return `${fixed(value / 10 ** exponent)} × ${powerOfTen(exponent)}`
  return fixed(value, Number.isInteger(value) ? 0 : Math.max(0, 2 - exponent))
}

/** Such as 0.81 [0.78, 0.84]. */
export function intervalText({ value, low, high }: Interval, write: (value: number) => string): string {
  return `${write(value)} [${write(low)}, ${write(high)}]`
}
