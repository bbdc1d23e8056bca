// Colours keep their contrast on both grounds and stay apart for people who do not see red, green or blue.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seriesColours, shades } from '../../src/report/palette.ts'

type Triple = readonly [number, number, number]

/** sRGB to linear light (IEC 61966-2-1). */
function linear(colour: string): Triple {
  const part = (at: number): number => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return [part(1), part(3), part(5)]
}

const luminance = ([r, g, b]: Triple): number => 0.2126 * r + 0.7152 * g + 0.0722 * b

/** WCAG 2.2, contrast ratio. */
function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(linear(a)), luminance(linear(b))].sort((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

/** Machado, Oliveira and Fernandes 2009, severity 1.0, in linear light. */
const visions = {
  normal: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
} as const

function seen([r, g, b]: Triple, matrix: readonly number[]): Triple {
  const row = (i: number): number =>
    Math.min(1, Math.max(0, (matrix[i] as number) * r + (matrix[i + 1] as number) * g + (matrix[i + 2] as number) * b))
  return [row(0), row(3), row(6)]
}

/** CIE 1976 L*a*b*, white D65. */
function lab([r, g, b]: Triple): Triple {
  const f = (t: number): number => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116)
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047)
  const y = f(luminance([r, g, b]))
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883)
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

for (const mode of ['light', 'dark'] as const) {
  test(`text in every colour has a contrast of at least 4.5 on the ${mode} ground`, () => {
    for (const colour of [shades.ink, shades.muted, ...seriesColours]) {
      for (const ground of [shades.paper, ...(colour === shades.ink || colour === shades.muted ? [shades.wash] : [])]) {
        const found = contrast(colour[mode], ground[mode])
        assert.ok(found >= 4.5, `${colour[mode]} on ${ground[mode]}: ${found.toFixed(2)}`)
      }
    }
  })

  for (const [vision, matrix] of Object.entries(visions)) {
    test(`series stay apart, ${mode}, ${vision}`, () => {
      const places = seriesColours.map((colour) => lab(seen(linear(colour[mode]), matrix)))
      for (const [i, a] of places.entries()) {
        for (const [j, b] of places.entries()) {
          if (j <= i) continue
          const distance = Math.hypot(...a.map((part, k) => part - (b[k] as number)))
          // 2.3 is what is just noticed; the first four, which most charts need, are farther apart.
          assert.ok(distance >= (j < 4 ? 15 : 12.5), `${i} and ${j}: ${distance.toFixed(1)}`)
        }
      }
    })
  }
}
