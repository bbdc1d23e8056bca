// Safetensors files made byte by byte for the tests, and where they are kept.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { FileFormatError } from '../../src/errors.ts'
import { scope } from '../../src/torch/context.ts'
import { fromTypedArray, tensor } from '../../src/torch/create.ts'
import '../../src/torch/operators.ts'
import { openSafetensors, type Safetensors } from '../../src/torch/safetensors.ts'
import type { Tensor } from '../../src/torch/tensor.ts'

export const root = mkdtempSync(join(tmpdir(), 'sightline-safetensors-'))
after(() => rmSync(root, { recursive: true }))

export function newFolder(): string {
  return mkdtempSync(join(root, 'case-'))
}

export function newFile(bytes: Uint8Array | string): string {
  const path = join(newFolder(), 'x.safetensors')
  writeFileSync(path, bytes)
  return path
}

/** A file from its parts, made without the writer. */
export function assemble(header: string | Uint8Array | object, data: Uint8Array | number[] = [], length?: bigint): Buffer {
  const json = typeof header === 'string' || header instanceof Uint8Array ? Buffer.from(header) : Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(json.length))
  return Buffer.concat([size, json, Buffer.from(data)])
}

/** The header's entry of a tensor. */
export function entry(dtype: unknown, shape: unknown, offsets: unknown): object {
  return { dtype, shape, data_offsets: offsets }
}

export function rejects(body: () => unknown, ...parts: readonly (string | RegExp)[]): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof FileFormatError, String(error))
    for (const part of parts)
      assert.ok(typeof part === 'string' ? error.message.includes(part) : part.test(error.message), `${error.message}\n  lacks ${part}`)
    return true
  })
}

/** Asserts that a file of these bytes is refused with a message that names it and has all the parts. */
export function rejectsBytes(bytes: Uint8Array, ...parts: readonly (string | RegExp)[]): void {
  const path = newFile(bytes)
  rejects(() => openSafetensors(path), path, ...parts)
}

export const oneTensor = (fields: object, data: number[] = [1, 2, 3, 4]): Buffer => assemble({ w: { ...entry('U8', [4], [0, 4]), ...fields } }, data)

/** A checkpoint's tensors as [dtype, shape, elements], in order of names. */
export function contents(checkpoint: Safetensors): Map<string, unknown> {
  return scope(
    () =>
      new Map(
        checkpoint.names.toSorted().map((name) => {
          const found = checkpoint.tensor(name)
          return [name, [found.dtype, found.shape, found.data()]]
        }),
      ),
  )
}

/** What the golden file below holds: all eight dtypes, no axes, an empty tensor, a name beyond ASCII. */
export function goldenTensors(): Record<string, Tensor> {
  return {
    f32: fromTypedArray(Float32Array.of(1.5, -2, 3.25, Number.POSITIVE_INFINITY), { dtype: 'float32', shape: [2, 2] }),
    f64: fromTypedArray(Float64Array.of(0.1, -1e300), { dtype: 'float64' }),
    bf16: fromTypedArray(Uint16Array.of(0x3f80, 0xc040, 0x3f00), { dtype: 'bfloat16' }),
    f16: fromTypedArray(Uint16Array.of(0x3c00, 0xb400), { dtype: 'float16', shape: [2, 1] }),
    i64: fromTypedArray(BigInt64Array.of(2n ** 62n + 1n, -1n), { dtype: 'int64' }),
    i32: fromTypedArray(Int32Array.of(-(2 ** 31), 7), { dtype: 'int32' }),
    u8: fromTypedArray(Uint8Array.of(0, 128, 255), { dtype: 'uint8' }),
    bool: fromTypedArray(Uint8Array.of(1, 0, 1), { dtype: 'bool' }),
    scalar: tensor(42),
    empty: fromTypedArray(Float32Array.of(), { dtype: 'float32', shape: [0, 3] }),
    '层.0': fromTypedArray(Uint8Array.of(9), { dtype: 'uint8' }),
  }
}

/** Written by safetensors 0.8.0 with torch 2.11: save_file(tensors, path, metadata={'format': 'pt'}). */
export const golden = Buffer.from(
  'oAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJpNjQiOnsiZHR5cGUiOiJJNjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlsw' +
    'LDE2XX0sImY2NCI6eyJkdHlwZSI6IkY2NCIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6WzE2LDMyXX0sImVtcHR5Ijp7ImR0eXBlIjoiRjMyIiwic2hh' +
    'cGUiOlswLDNdLCJkYXRhX29mZnNldHMiOlszMiwzMl19LCJmMzIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzIsMl0sImRhdGFfb2Zmc2V0cyI6WzMyLDQ4' +
    'XX0sInNjYWxhciI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbNDgsNTJdfSwiaTMyIjp7ImR0eXBlIjoiSTMyIiwic2hhcGUi' +
    'OlsyXSwiZGF0YV9vZmZzZXRzIjpbNTIsNjBdfSwiYmYxNiI6eyJkdHlwZSI6IkJGMTYiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOls2MCw2Nl19LCJm' +
    'MTYiOnsiZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzIsMV0sImRhdGFfb2Zmc2V0cyI6WzY2LDcwXX0sInU4Ijp7ImR0eXBlIjoiVTgiLCJzaGFwZSI6WzNdLCJk' +
    'YXRhX29mZnNldHMiOls3MCw3M119LCLlsYIuMCI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbNzMsNzRdfSwiYm9vbCI6eyJk' +
    'dHlwZSI6IkJPT0wiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOls3NCw3N119fSABAAAAAAAAQP//////////mpmZmZmZuT+cdQCIPOQ3/gAAwD8AAADA' +
    'AABQQAAAgH8AAChCAAAAgAcAAACAP0DAAD8APAC0AID/CQEAAQ==',
  'base64',
)

// ---- reading --------------------------------------------------------------------------------------------------------------------
