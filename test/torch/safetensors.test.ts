// Proves that checkpoints are read and written bit for bit as the reference implementation does, and that no file can crash the reader.

import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { ArgumentError, FileFormatError, UseAfterFreeError } from '../../src/errors.ts'
import { inferenceMode, keep, scope } from '../../src/torch/context.ts'
import { fromTypedArray, tensor } from '../../src/torch/create.ts'
import { dtypeNames } from '../../src/torch/dtype.ts'
import { native } from '../../src/torch/native.ts'
import '../../src/torch/operators.ts'
import { openSafetensors, type Safetensors } from '../../src/torch/safetensors.ts'
import { writeSafetensors, writeShardedSafetensors } from '../../src/torch/safetensors-write.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random, withoutLeaks } from '../support.ts'

const root = mkdtempSync(join(tmpdir(), 'sightline-safetensors-'))
after(() => rmSync(root, { recursive: true }))

function newFolder(): string {
  return mkdtempSync(join(root, 'case-'))
}

function newFile(bytes: Uint8Array | string): string {
  const path = join(newFolder(), 'x.safetensors')
  writeFileSync(path, bytes)
  return path
}

/** A file from its parts, made without the writer. */
function assemble(header: string | Uint8Array | object, data: Uint8Array | number[] = [], length?: bigint): Buffer {
  const json = typeof header === 'string' || header instanceof Uint8Array ? Buffer.from(header) : Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(json.length))
  return Buffer.concat([size, json, Buffer.from(data)])
}

/** The header's entry of a tensor. */
function entry(dtype: unknown, shape: unknown, offsets: unknown): object {
  return { dtype, shape, data_offsets: offsets }
}

function rejects(body: () => unknown, ...parts: readonly (string | RegExp)[]): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof FileFormatError, String(error))
    for (const part of parts)
      assert.ok(typeof part === 'string' ? error.message.includes(part) : part.test(error.message), `${error.message}\n  lacks ${part}`)
    return true
  })
}

/** Asserts that a file of these bytes is refused with a message that names it and has all the parts. */
function rejectsBytes(bytes: Uint8Array, ...parts: readonly (string | RegExp)[]): void {
  const path = newFile(bytes)
  rejects(() => openSafetensors(path), path, ...parts)
}

const oneTensor = (fields: object, data: number[] = [1, 2, 3, 4]): Buffer => assemble({ w: { ...entry('U8', [4], [0, 4]), ...fields } }, data)

/** A checkpoint's tensors as [dtype, shape, elements], in order of names. */
function contents(checkpoint: Safetensors): Map<string, unknown> {
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
function goldenTensors(): Record<string, Tensor> {
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
const golden = Buffer.from(
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

test('a file made byte by byte by hand reads to its numbers', () => {
  const json = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}' // 0x4f bytes
  const path = newFile(Buffer.from(`\x4f\0\0\0\0\0\0\0${json}\0\0\xc0\x3f\0\0\0\xc0`, 'latin1'))
  using checkpoint = openSafetensors(path)
  assert.deepEqual(checkpoint.names, ['a'])
  assert.deepEqual([...checkpoint.metadata], [['k', 'v']])
  assert.deepEqual(checkpoint.info('a'), { dtype: 'float32', storedType: 'F32', shape: [2], bytes: 8, file: path })
  withoutLeaks(() => assert.deepEqual(checkpoint.tensor('a').toArray(), [1.5, -2]))
})

test('a file of the reference implementation reads to its numbers', () => {
  withoutLeaks(() => {
    using checkpoint = openSafetensors(newFile(golden))
    for (const [name, expected] of Object.entries(goldenTensors())) {
      const found = checkpoint.tensor(name)
      assert.deepEqual([found.dtype, found.shape, found.data()], [expected.dtype, expected.shape, expected.data()], name)
    }
    assert.equal(checkpoint.names.length, 11)
    assert.deepEqual([...checkpoint.metadata], [['format', 'pt']])
    assert.equal(new Set(checkpoint.names.map((name) => checkpoint.info(name).dtype)).size, dtypeNames.length)
  })
})

test('data that is not aligned to its elements reads to its numbers', () => {
  const values = new Uint8Array(Float64Array.of(Math.PI, -1e-300).buffer)
  for (let padding = 0; padding < 8; padding++) {
    const json = JSON.stringify({ a: entry('U8', [1], [0, 1]), b: entry('F64', [2], [1, 17]) }) + ' '.repeat(padding)
    using checkpoint = openSafetensors(newFile(assemble(json, [7, ...values])))
    withoutLeaks(() => assert.deepEqual([checkpoint.tensor('a').item(), checkpoint.tensor('b').toArray()], [7, [Math.PI, -1e-300]]))
  }
})

test('names that mean something to JavaScript are plain names', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '0', '']
  const json = `{${names.map((name, i) => `"${name}":{"dtype":"U8","shape":[],"data_offsets":[${i},${i + 1}]}`).join()}}`
  using checkpoint = openSafetensors(newFile(assemble(json, [10, 11, 12, 13, 14, 15])))
  assert.deepEqual(checkpoint.names.toSorted(), names.toSorted())
  for (const [i, name] of names.entries()) withoutLeaks(() => assert.equal(checkpoint.tensor(name).item(), 10 + i))
  assert.throws(() => checkpoint.info('valueOf'), ArgumentError)
  assert.throws(() => checkpoint.tensor('valueOf'), /no tensor "valueOf" among the 6 of .*x\.safetensors/)
  // The same in the metadata, and as a field of an entry.
  using other = openSafetensors(newFile(assemble('{"__metadata__":{"__proto__":"x"}}')))
  assert.deepEqual([...other.metadata], [['__proto__', 'x']])
  rejectsBytes(assemble('{"w":{"__proto__":{"dtype":"U8"},"shape":[],"data_offsets":[0,1]}}', [1]), '"w"', 'dtype must be a string, got nothing')
})

test('an element type that Sightline lacks is listed but not read', () => {
  const path = newFile(assemble({ odd: entry('F8_E4M3', [2], [0, 2]), good: entry('U8', [1], [2, 3]) }, [1, 2, 3]))
  using checkpoint = openSafetensors(path)
  assert.deepEqual(checkpoint.info('odd'), { dtype: undefined, storedType: 'F8_E4M3', shape: [2], bytes: 2, file: path })
  rejects(() => checkpoint.tensor('odd'), path, '"odd"', 'F8_E4M3', 'I64, F64, F32, I32, BF16, F16, U8, BOOL')
  withoutLeaks(() => assert.equal(checkpoint.tensor('good').item(), 3))
})

test('changing a tensor in place does not change the file', () => {
  const bytes = assemble({ w: entry('F32', [2], [0, 8]) }, new Uint8Array(Float32Array.of(1, 2).buffer))
  const path = newFile(bytes)
  withoutLeaks(() => {
    using checkpoint = openSafetensors(path)
    const changed = checkpoint.tensor('w').add_(10)
    assert.deepEqual(changed.toArray(), [11, 12])
    assert.deepEqual(readFileSync(path), bytes)
    using again = openSafetensors(path)
    assert.deepEqual(again.tensor('w').toArray(), [1, 2])
  })
})

test('tensors outlive the checkpoint and the file; disposing twice is harmless', () => {
  const path = newFile(assemble({ w: entry('F32', [2], [0, 8]) }, new Uint8Array(Float32Array.of(1, 2).buffer)))
  const checkpoint = openSafetensors(path)
  using kept = scope(() => keep(checkpoint.tensor('w')))
  checkpoint[Symbol.dispose]()
  checkpoint[Symbol.dispose]()
  rmSync(path)
  assert.deepEqual(kept.toArray(), [1, 2])
  assert.throws(() => checkpoint.tensor('w'), UseAfterFreeError)
})

test('tensors belong to their scope and follow its mode', () => {
  using checkpoint = openSafetensors(newFile(golden))
  const freed: Tensor[] = []
  scope(() => void freed.push(checkpoint.tensor('f32')))
  assert.equal(freed[0]?.disposed, true)
  assert.throws(() => freed[0]?.toArray(), /tensor "f32" of x\.safetensors/)
  // Right after the engine was in inference mode, a tensor can still be part of a gradient.
  scope(() => inferenceMode(() => tensor([1]).add(1)))
  withoutLeaks(() => {
    const weight = tensor([1, 1])
    native().setRequiresGrad(weight.live('test'), true)
    assert.equal(weight.mul(checkpoint.tensor('f32')).requiresGrad, true)
  })
})

test('opening, listing and reading take no tensor memory', () => {
  const path = newFile(assemble({ __metadata__: { a: 'bc' }, w: entry('F32', [1 << 20], [0, 4 << 20]) }, Buffer.alloc(4 << 20, 1)))
  const { tensors, cpuBytes } = native().memory()
  native().resetPeakMemory()
  using checkpoint = openSafetensors(path)
  assert.equal(checkpoint.info('w').bytes, 4 << 20)
  assert.equal(native().memory().tensors, tensors)
  using view = checkpoint.tensor('w')
  assert.equal(view.size, 1 << 20)
  assert.deepEqual([native().memory().cpuBytes, native().memory().cpuPeakBytes], [cpuBytes, cpuBytes])
})

// ---- files that lie -------------------------------------------------------------------------------------------------------------

test('what cannot be read is refused', () => {
  const folder = newFolder()
  rejects(() => openSafetensors(join(folder, 'none.safetensors')), join(folder, 'none.safetensors'), 'ENOENT')
  mkdirSync(join(folder, 'x.safetensors'))
  rejects(() => openSafetensors(join(folder, 'x.safetensors')), 'holds no model.safetensors')
  rejects(() => openSafetensors('/dev/null'), '/dev/null: is not a file')
  rejects(() => openSafetensors('a\0b'), 'cannot be opened')
})

test('a length of the header that cannot be is refused', () => {
  rejectsBytes(Buffer.alloc(0), 'has 0 bytes')
  rejectsBytes(Buffer.alloc(7), 'has 7 bytes')
  rejectsBytes(assemble('{}', [], 3n), 'claims a header of 3 bytes, but has 2')
  rejectsBytes(assemble('{}', [], 100_000_001n), 'at most 100000000')
  for (const length of [2n ** 31n, 2n ** 32n + 2n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
    rejectsBytes(assemble('{}', [], length), `header of ${length} bytes`)
})

test('a header that is not an object of JSON is refused', () => {
  rejectsBytes(assemble(''), 'does not start with {')
  rejectsBytes(assemble('[]'), 'does not start with {')
  rejectsBytes(assemble('null'), 'does not start with {')
  rejectsBytes(assemble(' {}'), 'does not start with {')
  rejectsBytes(assemble('{"a":'), 'cannot be parsed')
  rejectsBytes(assemble('{}{}'), 'cannot be parsed')
  rejectsBytes(assemble('{"a\\'), 'cannot be parsed')
  rejectsBytes(assemble(Buffer.from('{"\xff":1}', 'latin1')), 'not UTF-8')
  rejectsBytes(oneTensor({ shape: [[4]] }), 'nested more than 3 deep')
  rejectsBytes(assemble(`{"a":${'['.repeat(5_000_000)}`), 'nested more than 3 deep')
  rejectsBytes(assemble(`${'{"a":'.repeat(1_000_000)}`), 'nested more than 3 deep')
  rejectsBytes(assemble(`{"a":[${'{},'.repeat(2_500_000)}{}]}`), 'more than 5000000 parts')
  rejectsBytes(assemble(`{"__metadata__":{${'"a":"",'.repeat(2_500_000)}"b":""}}`), 'more than 5000000 parts')
  using brackets = openSafetensors(newFile(assemble('{"__metadata__":{"a":"{[\\"{[{[{[{["}}')))
  assert.equal(brackets.metadata.get('a'), '{["{[{[{[{[')
})

test('an entry without the right fields is refused', () => {
  for (const [value, shown] of [
    [null, 'null'],
    [[], '[]'],
    ['x', '"x"'],
    [3, '3'],
  ] as const) {
    rejectsBytes(assemble({ w: value }), 'tensor "w"', `must be an object, got ${shown}`)
  }
  rejectsBytes(oneTensor({ dtype: undefined }), 'tensor "w"', 'dtype must be a string, got nothing')
  rejectsBytes(oneTensor({ dtype: 7 }), 'tensor "w"', 'dtype must be a string, got 7')
  rejectsBytes(oneTensor({ shape: undefined }), 'tensor "w"', 'shape must be a list of non-negative integers, got nothing')
  rejectsBytes(oneTensor({ data_offsets: undefined }), 'tensor "w"', 'data_offsets must be two non-negative integers, got nothing')
  rejectsBytes(oneTensor({ strides: [1] }), 'tensor "w"', 'unknown field "strides"')
  rejectsBytes(assemble({ __metadata__: { a: 1 } }), '__metadata__ must be an object of strings, got {"a":1}')
  rejectsBytes(assemble({ __metadata__: 'pt' }), '__metadata__ must be an object of strings')
  rejectsBytes(assemble({ '\n\u001b[31m': 3 }), 'tensor "\\n\\u001b[31m"')
})

test('a shape that cannot be is refused', () => {
  for (const shape of ['4', 4, { 0: 4 }, [-1, -4], [0.5, 8], ['4'], [null], [2 ** 53], [1e300]]) {
    rejectsBytes(oneTensor({ shape }), 'tensor "w"', 'shape must be a list of non-negative integers')
  }
  for (const shape of [[2 ** 52, 4], [2 ** 27, 2 ** 27], new Array(40).fill(2 ** 52), [0, 2 ** 52, 2 ** 52], [2 ** 32, 2 ** 32, 0]]) {
    rejectsBytes(oneTensor({ shape }), 'tensor "w"', 'overflows')
  }
  rejectsBytes(assemble({ w: entry('F64', [2 ** 52], [0, 0]) }), 'tensor "w"', 'overflows')
  rejectsBytes(oneTensor({ shape: new Array(65).fill(1) }), 'tensor "w"', 'has 65 axes; at most 64')
  rejectsBytes(oneTensor({ shape: [5] }), 'tensor "w"', 'U8 [5] takes 5 bytes, but its data_offsets [0, 4] hold 4')
  rejectsBytes(oneTensor({ shape: [] }), 'tensor "w"', 'U8 [] takes 1 bytes')
  rejectsBytes(oneTensor({ shape: [0] }), 'tensor "w"', 'U8 [0] takes 0 bytes')
  rejectsBytes(oneTensor({ dtype: 'F32' }), 'tensor "w"', 'F32 [4] takes 16 bytes')
})

test('data offsets that cannot be are refused', () => {
  for (const data_offsets of [{}, [], [0], [0, 4, 4], [-1, 3], [0, 4.5], ['0', '4'], [0, 2 ** 53], [null, 4]]) {
    rejectsBytes(oneTensor({ data_offsets }), 'tensor "w"', 'data_offsets must be two non-negative integers')
  }
  rejectsBytes(oneTensor({ data_offsets: [4, 0] }), 'tensor "w"', '[4, 0] are not in order')
  rejectsBytes(oneTensor({ data_offsets: [1, 5] }), 'tensor "w"', 'ends at byte 5, but the file has 4')
  rejectsBytes(oneTensor({ data_offsets: [2 ** 53 - 5, 2 ** 53 - 1] }), 'tensor "w"', 'but the file has 4')
})

test('tensors that do not fill the data exactly are refused', () => {
  const pair = (a: number[], b: number[]): Buffer =>
    assemble({ a: entry('U8', [(a[1] ?? 0) - (a[0] ?? 0)], a), b: entry('U8', [(b[1] ?? 0) - (b[0] ?? 0)], b) }, [1, 2, 3, 4])
  rejectsBytes(pair([0, 3], [2, 4]), 'tensor "b"', 'starts at byte 2 and overlaps tensor "a", which ends at 3')
  rejectsBytes(pair([0, 4], [0, 4]), 'tensor "b"', 'overlaps tensor "a"')
  rejectsBytes(pair([0, 4], [2, 2]), 'tensor "b"', 'overlaps tensor "a"')
  rejectsBytes(pair([0, 1], [2, 4]), 'tensor "b"', 'bytes 1 to 2 belong to no tensor')
  rejectsBytes(pair([1, 2], [2, 4]), 'tensor "a"', 'bytes 0 to 1 belong to no tensor')
  rejectsBytes(pair([0, 1], [1, 3]), '1 bytes follow the last tensor')
  rejectsBytes(assemble({}, [1]), '1 bytes follow the last tensor')
  rejectsBytes(golden.subarray(0, -1), 'tensor "bool"', 'truncated')
  rejectsBytes(Buffer.concat([golden, Buffer.alloc(3)]), '3 bytes follow')
  const twice = (first: string, second: string): string =>
    `{"a":{"dtype":"U8","shape":[2],"data_offsets":${first}},"a":{"dtype":"U8","shape":[2],"data_offsets":${second}}}`
  rejectsBytes(assemble(twice('[0,2]', '[2,4]'), [1, 2, 3, 4]), 'tensor "a"', 'is a name there twice')
  rejectsBytes(assemble(twice('[2,4]', '[0,2]'), [1, 2, 3, 4]), 'is a name there twice')
  // Empty tensors may lie between others, and a header alone is a file.
  using fine = openSafetensors(newFile(pair([4, 4], [0, 4])))
  withoutLeaks(() => assert.deepEqual([fine.tensor('a').shape, fine.tensor('b').toArray()], [[0], [1, 2, 3, 4]]))
  using none = openSafetensors(newFile(assemble({})))
  assert.deepEqual(none.names, [])
})

test('a file that changes after it was opened is refused when it is mapped', () => {
  const changes: readonly ((path: string) => void)[] = [
    (path) => truncateSync(path, golden.length - 1),
    (path) => appendFileSync(path, 'x'),
    (path) => {
      writeFileSync(`${path}.new`, golden)
      renameSync(`${path}.new`, path)
    },
  ]
  for (const change of changes) {
    const path = newFile(golden)
    using checkpoint = openSafetensors(path)
    change(path)
    rejects(() => checkpoint.tensor('f32'), path, 'tensor "f32"', 'changed after it was opened')
  }
  const path = newFile(golden)
  using checkpoint = openSafetensors(path)
  rmSync(path)
  rejects(() => checkpoint.tensor('f32'), path, 'tensor "f32" cannot be mapped')
})

test('2,000 damaged files are each read or refused', () => {
  const next = random(7)
  const below = (end: number): number => Math.floor(next() * end)
  const json = golden.subarray(8, 8 + golden.readUInt32LE()).toString()
  const data = golden.subarray(8 + golden.readUInt32LE())
  const pieces = [
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '"',
    '0',
    '-',
    '.',
    '9999999999',
    '\\u0000',
    '\u0000',
    'null',
    '[]',
    '{}',
    '"dtype":"U8",',
    '"shape":[1],',
    'e9',
    ' ',
  ]
  const mutations: readonly (() => Uint8Array)[] = [
    () => {
      const bytes = Buffer.from(golden)
      for (let flips = 1 + below(3); flips > 0; flips--) bytes[below(bytes.length)] = below(256)
      return bytes
    },
    () => golden.subarray(0, below(golden.length)),
    () => {
      const at = below(json.length)
      return assemble(json.slice(0, at) + pieces[below(pieces.length)] + json.slice(at + below(3)), data)
    },
    () => {
      // One number of the header for another of a similar size: this one is often valid JSON with the right fields.
      const numbers = [...json.matchAll(/(?<=[[,])\d+/g)]
      const chosen = numbers[below(numbers.length)]
      const at = chosen?.index ?? 0
      return assemble(json.slice(0, at) + below(40) + json.slice(at + (chosen?.[0].length ?? 0)), data)
    },
  ]
  const path = newFile('')
  let read = 0
  let refused = 0
  for (let i = 0; i < 2000; i++) {
    const bytes = mutations[i % mutations.length]?.() ?? golden
    writeFileSync(path, bytes)
    try {
      using checkpoint = openSafetensors(path)
      read++
      scope(() => {
        for (const name of checkpoint.names) {
          const { dtype, shape, bytes: length } = checkpoint.info(name)
          if (dtype === undefined) {
            rejects(() => checkpoint.tensor(name), 'supported are')
            continue
          }
          const found = checkpoint.tensor(name)
          assert.equal(String(found.shape), String(shape))
          assert.equal(found.data().byteLength, length)
        }
      })
    } catch (error) {
      assert.ok(
        error instanceof FileFormatError && error.message.startsWith(path),
        `mutation ${i}: ${error}\n${JSON.stringify(Buffer.from(bytes).toString())}`,
      )
      refused++
    }
  }
  assert.ok(read > 100 && refused > 1000, `${read} read, ${refused} refused`)
})

// ---- sharded checkpoints and folders --------------------------------------------------------------------------------------------

const shard = (name: string, value: number): Buffer => assemble({ [name]: entry('U8', [], [0, 1]) }, [value])

/** A folder with shards and an index; a `weightMap` that is a string is the text of the whole index. */
function shardedFolder(weightMap: unknown, shards: Readonly<Record<string, Uint8Array>>): { folder: string; index: string } {
  const folder = newFolder()
  const index = join(folder, 'model.safetensors.index.json')
  for (const [name, bytes] of Object.entries(shards)) writeFileSync(join(folder, name), bytes)
  writeFileSync(index, typeof weightMap === 'string' ? weightMap : JSON.stringify({ metadata: { total_size: 2 }, weight_map: weightMap }))
  return { folder, index }
}

test('a sharded checkpoint reads through its folder, its index and links', () => {
  const { folder, index } = shardedFolder({ a: '1.safetensors', b: '2.safetensors' }, { '1.safetensors': shard('a', 5) })
  const blob = join(newFolder(), 'blob')
  writeFileSync(blob, shard('b', 6))
  symlinkSync(blob, join(folder, '2.safetensors'))
  for (const path of [folder, index]) {
    withoutLeaks(() => {
      using checkpoint = openSafetensors(path)
      assert.deepEqual(checkpoint.names, ['a', 'b'])
      assert.deepEqual([checkpoint.tensor('a').item(), checkpoint.tensor('b').item()], [5, 6])
      assert.equal(checkpoint.info('b').file, join(folder, '2.safetensors'))
    })
  }
})

test('a folder opens by what it holds', () => {
  const valueIn = (folder: string, name: string): number =>
    scope(() => {
      using checkpoint = openSafetensors(folder)
      return checkpoint.tensor(name).item()
    })
  const { folder } = shardedFolder({ a: '1.safetensors' }, { '1.safetensors': shard('a', 1) })
  assert.equal(valueIn(folder, 'a'), 1)
  writeFileSync(join(folder, 'model.safetensors'), shard('a', 2))
  assert.equal(valueIn(folder, 'a'), 2)
  const adapter = newFolder()
  rejects(() => openSafetensors(adapter), adapter, 'holds no model.safetensors', 'and 0 other')
  writeFileSync(join(adapter, 'adapter_model.safetensors'), shard('a', 3))
  assert.equal(valueIn(adapter, 'a'), 3)
  writeFileSync(join(adapter, 'second.safetensors'), shard('a', 4))
  rejects(() => openSafetensors(adapter), adapter, 'and 2 other .safetensors files where 1 would do')
})

test('an index that lies is refused', () => {
  const rejectsIndex = (weightMap: unknown, shards: Record<string, Uint8Array>, ...parts: string[]): void => {
    const { folder } = shardedFolder(weightMap, shards)
    rejects(() => openSafetensors(folder), folder, ...parts)
  }
  const one = { '1.safetensors': shard('a', 1) }
  for (const file of [
    '../1.safetensors',
    '/etc/1.safetensors',
    'x/1.safetensors',
    'x\\1.safetensors',
    '..',
    '.',
    '',
    '1.safetensors/',
    '1.bin',
    'a\0.safetensors',
  ]) {
    rejectsIndex({ a: file }, one, 'index.json', 'tensor "a"', `is placed in ${JSON.stringify(file)}, which is not the plain name`)
  }
  rejectsIndex({ a: '1.safetensors', b: '2.safetensors' }, one, 'index.json', 'tensor "b"', '"2.safetensors", which does not exist')
  rejectsIndex({ a: '1.safetensors', b: '1.safetensors' }, one, 'index.json', 'tensor "b"', '"1.safetensors", which does not hold it')
  rejectsIndex(
    { b: '2.safetensors' },
    { '2.safetensors': assemble({ a: entry('U8', [], [0, 1]), b: entry('U8', [], [1, 2]) }, [1, 2]) },
    '2.safetensors: tensor "a"',
    'does not list it',
  )
  const both = assemble({ a: entry('U8', [], [0, 1]), b: entry('U8', [], [1, 2]) }, [1, 2])
  rejectsIndex(
    { a: '1.safetensors', b: '2.safetensors' },
    { ...one, '2.safetensors': both },
    '2.safetensors: tensor "a"',
    'places it in "1.safetensors"',
  )
  rejectsIndex({ a: '1.safetensors' }, { '1.safetensors': Buffer.alloc(3) }, '1.safetensors: has 3 bytes')
  rejectsIndex({ a: 1 }, one, 'index.json', 'weight_map must be an object of strings')
  rejectsIndex('{}', one, 'weight_map must be an object of strings, got nothing')
  rejectsIndex('', one, 'does not start with {')
  rejectsIndex('{"weight_map":{"a"', one, 'cannot be parsed')
  rejectsIndex(`{"weight_map":${'['.repeat(1e6)}`, one, 'nested more than 3 deep')
  rejectsIndex('{"weight_map":{"__proto__":"1.safetensors","a":"1.safetensors"}}', one, 'tensor "__proto__"', 'does not hold it')
})

// ---- writing --------------------------------------------------------------------------------------------------------------------

test('a written file has the bytes that it should have', () => {
  const path = join(newFolder(), 'x.safetensors')
  withoutLeaks(() => writeSafetensors(path, { n: tensor([7, 8, 9], { dtype: 'uint8' }), 'w.1': tensor([[1, -2]]) }))
  const expected =
    '\x90\0\0\0\0\0\0\0{"__metadata__":{"format":"pt"},"w.1":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
    '"n":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}  \0\0\x80\x3f\0\0\0\xc0\x07\x08\x09'
  assert.equal(readFileSync(path).toString('latin1'), expected)
  writeSafetensors(path, [], { metadata: {} })
  assert.equal(readFileSync(path).toString('latin1'), '\x08\0\0\0\0\0\0\0{}      ')
})

test('a written file equals that of the reference implementation, byte for byte', () => {
  const path = join(newFolder(), 'x.safetensors')
  withoutLeaks(() => writeSafetensors(path, new Map(Object.entries(goldenTensors()).reverse())))
  assert.deepEqual(readFileSync(path), golden)
})

test('every dtype, tensors that are not contiguous, and odd names survive a round trip', () => {
  withoutLeaks(() => {
    const next = random(3)
    const bytes = (count: number): ArrayBuffer => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)).buffer
    const tensors: Record<string, Tensor> = {
      ...goldenTensors(),
      random: fromTypedArray(new Float32Array(bytes(4 * 1000)), { dtype: 'float32', shape: [10, 100] }),
      'half bits': fromTypedArray(new Uint16Array(bytes(2 * 999)), { dtype: 'bfloat16', shape: [27, 37] }),
      transposed: tensor(
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
        { dtype: 'int32' },
      ).transpose(0, 1),
      expanded: tensor([[1], [2]]).expand([2, 3]),
      slice: tensor([0, 1, 2, 3, 4, 5], { dtype: 'float64' }).slice(0, 1, 6, 2),
      'deep.0.[a]"\\/\n\u{1f600}': tensor([1, 2]),
      constructor: tensor(1),
      '7': tensor(2),
    }
    Object.defineProperty(tensors, '__proto__', { value: tensor(3), enumerable: true })
    const path = join(newFolder(), 'x.safetensors')
    writeSafetensors(path, tensors, { metadata: { note: 'ünï "quoted"' } })
    using checkpoint = openSafetensors(path)
    const expected = Object.entries(tensors).map(([name, each]) => [name, [each.dtype, each.shape, each.data()]] as const)
    assert.deepEqual(contents(checkpoint), new Map(expected.sort(([a], [b]) => (a < b ? -1 : 1))))
    assert.deepEqual(checkpoint.tensor('transposed').toArray(), [1, 4, 2, 5, 3, 6])
    assert.deepEqual(checkpoint.tensor('expanded').toArray(), [1, 1, 1, 2, 2, 2])
    assert.deepEqual(checkpoint.tensor('slice').toArray(), [1, 3, 5])
    assert.deepEqual([...checkpoint.metadata], [['note', 'ünï "quoted"']])
  })
})

test('a checkpoint can be written over the file that its tensors view', () => {
  withoutLeaks(() => {
    const path = newFile(golden)
    using checkpoint = openSafetensors(path)
    const weight = checkpoint.tensor('f64')
    writeSafetensors(path, { f64: weight.mul(2), copy: weight })
    assert.deepEqual(weight.toArray(), [0.1, -1e300])
    using written = openSafetensors(path)
    assert.deepEqual(
      [written.tensor('f64').toArray(), written.tensor('copy').toArray()],
      [
        [0.2, -2e300],
        [0.1, -1e300],
      ],
    )
  })
})

test('names that a file cannot hold are refused', () => {
  const path = join(newFolder(), 'x.safetensors')
  withoutLeaks(() => {
    const one = tensor(1)
    for (const name of ['', '__metadata__', 'a\ud800']) {
      assert.throws(() => writeSafetensors(path, { [name]: one }), {
        name: 'ArgumentError',
        message: `safetensors: no tensor can have the name ${JSON.stringify(name)}`,
      })
    }
    const twice = [
      ['a', one],
      ['b', one],
      ['a', one],
    ] as const
    assert.throws(() => writeSafetensors(path, twice), { name: 'ArgumentError', message: 'safetensors: two tensors have the name "a"' })
    assert.throws(() => writeShardedSafetensors(newFolder(), { a: one }, { maxShardBytes: 0 }), ArgumentError)
    assert.throws(() => writeShardedSafetensors(newFolder(), { a: one }, { maxShardBytes: Number.NaN }), ArgumentError)
  })
  assert.equal(existsSync(path), false)
})

/** A tensor whose copying fails, after looking at the folder as it is then. */
function failing(seen: (names: string[]) => void, folder: string): Tensor {
  const made = tensor([1, 2], { dtype: 'bool' })
  made.data = () => {
    seen(readdirSync(folder))
    throw new Error('on purpose')
  }
  return made
}

test('an error while writing leaves the old file and nothing else', () => {
  withoutLeaks(() => {
    const path = newFile(golden)
    const folder = join(path, '..')
    const unchanged = (): void => {
      assert.deepEqual(readFileSync(path), golden)
      assert.deepEqual(readdirSync(folder), [basename(path)])
    }
    const throwing = function* (): Generator<[string, Tensor]> {
      yield ['a', tensor([1])]
      throw new Error('on purpose')
    }
    assert.throws(() => writeSafetensors(path, throwing()), /on purpose/)
    unchanged()

    const disposed = tensor([1])
    disposed.dispose()
    assert.throws(() => writeSafetensors(path, { a: tensor([1]), b: disposed }), UseAfterFreeError)
    unchanged()

    const seen: string[][] = []
    assert.throws(() => writeSafetensors(path, { a: tensor([1]), b: failing((names) => seen.push(names), folder) }), /on purpose/)
    assert.equal(seen[0]?.length, 2, 'a temporary was there')
    unchanged()

    mkdirSync(join(folder, 'full'))
    writeFileSync(join(folder, 'full', 'x'), '')
    assert.throws(() => writeSafetensors(join(folder, 'full'), { a: tensor([1]) }), /rename/)
    assert.deepEqual(readdirSync(folder).toSorted(), ['full', basename(path)])
    assert.throws(() => writeSafetensors(join(folder, 'none', 'x.safetensors'), { a: tensor([1]) }), /ENOENT/)
  })
})

test('writing takes the memory of one tensor', () => {
  withoutLeaks(() => {
    const wide = tensor(1).expand([256, 1024])
    const path = join(newFolder(), 'x.safetensors')
    const before = native().memory().cpuBytes
    native().resetPeakMemory()
    writeSafetensors(
      path,
      Array.from({ length: 8 }, (_, i) => [`t${i}`, wide] as const),
    )
    assert.equal(native().memory().cpuPeakBytes - before, 1 << 20)
    assert.equal(native().memory().cpuBytes, before)
  })
})

test('a sharded write has the layout of transformers and reads back', () => {
  withoutLeaks(() => {
    const folder = join(newFolder(), 'made', 'here')
    const tensors = { d: tensor([1, 2]), a: tensor([3, 4]), big: tensor([5, 6, 7, 8, 9]), c: tensor([10]), b: tensor([11], { dtype: 'bool' }) }
    writeShardedSafetensors(folder, tensors, { maxShardBytes: 16 })
    const [first, second, third] = [1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`)
    assert.deepEqual(readdirSync(folder), [first, second, third, 'model.safetensors.index.json'])
    assert.equal(
      readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'),
      `{
  "metadata": {
    "total_size": 41
  },
  "weight_map": {
    "a": "${first}",
    "b": "${third}",
    "big": "${second}",
    "c": "${third}",
    "d": "${first}"
  }
}
`,
    )
    using checkpoint = openSafetensors(folder)
    assert.equal(checkpoint.metadata.get('format'), 'pt')
    assert.deepEqual(checkpoint.names, ['a', 'd', 'c', 'b', 'big'])
    for (const [name, expected] of Object.entries(tensors)) assert.deepEqual(checkpoint.tensor(name).toArray(), expected.toArray(), name)
  })
})

test('a sharded write replaces the one before, and only that', () => {
  withoutLeaks(() => {
    const folder = newFolder()
    writeFileSync(join(folder, 'model.notes.safetensors'), 'stays')
    const read = (): number[] => {
      using checkpoint = openSafetensors(folder)
      return checkpoint.names.toSorted().flatMap((name) => checkpoint.tensor(name).toArray())
    }
    const write = (values: readonly number[], shards: number): void => {
      const pairs = values.map((value, i) => [`t${i}`, tensor([value])] as const)
      writeShardedSafetensors(folder, pairs, { maxShardBytes: (4 * values.length) / shards })
      const files = readdirSync(folder).filter((name) => name !== 'model.notes.safetensors')
      assert.equal(files.length, shards === 1 ? 1 : shards + 1)
      assert.deepEqual(read(), values)
    }
    write([1, 2, 3, 4], 1)
    write([5, 6, 7, 8], 4)
    write([9, 10, 11, 12], 2)
    write([13, 14, 15, 16], 2)

    const seen: string[][] = []
    const doomed = [
      ['x', tensor([1])],
      ['y', failing((names) => seen.push(names), folder)],
    ] as const
    const before = readdirSync(folder)
    assert.throws(() => writeShardedSafetensors(folder, doomed, { maxShardBytes: 4 }), /on purpose/)
    assert.equal(seen[0]?.length, before.length + 2, 'two temporaries were there')
    assert.deepEqual(readdirSync(folder), before)
    assert.deepEqual(read(), [13, 14, 15, 16])

    write([17, 18], 1)
    assert.equal(readFileSync(join(folder, 'model.notes.safetensors'), 'utf8'), 'stays')
  })
})
