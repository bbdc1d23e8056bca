// Damaged image files: each decodes to a whole raster or to an error of ours, in bounded time and memory.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ArgumentError, FileFormatError } from '../../src/errors.ts'
import { decodeImage } from '../../src/processing/image.ts'
import { random } from '../support.ts'
import { golden } from './goldens.ts'

const files = readdirSync(golden('images')).map((name) => ({ name, bytes: readFileSync(golden('images', name)) }))

const trials = 300
const pixelLimit = 4e6

type Damage = (bytes: Buffer, next: () => number) => Buffer

/** Ways in which files break. Headers lie most within their first bytes. */
const damages: Readonly<Record<string, Damage>> = {
  flip: (bytes, next) => {
    for (let i = 0; i < 1 + next() * 20; i++) {
      const at = Math.floor(next() * bytes.length)
      bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(next() * 8))
    }
    return bytes
  },
  cut: (bytes, next) => bytes.subarray(0, Math.floor(next() * bytes.length)),
  lie: (bytes, next) => {
    for (let i = 0; i < 1 + next() * 4; i++)
      bytes[Math.floor(next() ** 2 * Math.min(bytes.length, 400))] = next() < 0.5 ? 255 : Math.floor(next() * 256)
    return bytes
  },
  remove: (bytes, next) => {
    const at = Math.floor(next() * bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + Math.floor(next() * 500))])
  },
  repeat: (bytes, next) => {
    const at = Math.floor(next() * bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.floor(at / 2))])
  },
}

test(`${trials} damaged images: a whole raster or a typed error`, { timeout: 60_000 }, async (context) => {
  const kinds = Object.entries(damages)
  const next = random(2024)
  const before = process.memoryUsage().rss
  const outcomes = new Map<string, number>()
  let slowest = 0
  for (let trial = 0; trial < trials; trial++) {
    const { name, bytes } = files[trial % files.length] as (typeof files)[number]
    const [kind, damage] = kinds[Math.floor(next() * kinds.length)] as [string, Damage]
    const damaged = damage(Buffer.from(bytes), next)
    const started = performance.now()
    let outcome = 'decoded'
    try {
      const { data, height, width } = await decodeImage(damaged, { pixelLimit })
      assert.ok(height * width <= pixelLimit && data.length === height * width * 3, `trial ${trial}: ${name}, ${kind}: ${height} x ${width}`)
    } catch (error) {
      assert.ok(error instanceof FileFormatError || error instanceof ArgumentError, `trial ${trial}: ${name}, ${kind}: ${error}`)
      outcome = error.name
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    slowest = Math.max(slowest, performance.now() - started)
  }
  const growth = (process.memoryUsage().rss - before) / 1e6
  context.diagnostic(`${JSON.stringify(Object.fromEntries(outcomes))}; slowest ${slowest.toFixed(0)} ms; memory grew by ${growth.toFixed(0)} MB`)
  assert.ok(slowest < 5000, `the slowest took ${slowest} ms`)
  assert.ok(growth < 500, `memory grew by ${growth} MB`)
  assert.ok((outcomes.get('decoded') ?? 0) > 30 && (outcomes.get('FileFormatError') ?? 0) > 30)
})

test('a truncated image is an error, or nothing of it is missing', async () => {
  const next = random(7)
  for (const { name, bytes } of files) {
    const whole = await decodeImage(bytes)
    for (const cut of [1, 3, 20, ...Array.from({ length: 8 }, () => Math.ceil(next() * bytes.length))]) {
      const decoded = await decodeImage(bytes.subarray(0, bytes.length - cut)).catch((error: unknown) => error)
      if (!(decoded instanceof FileFormatError)) assert.deepEqual(decoded, whole, `${name} without its last ${cut} bytes`)
    }
  }
})
