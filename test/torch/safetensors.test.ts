// Reading safetensors: numbers, memory, sharded checkpoints, and every file that lies or is damaged.

import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError, FileFormatError, UseAfterFreeError } from '../../src/errors.ts'
import { inferenceMode, keep, scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import { dtypeNames } from '../../src/torch/dtype.ts'
import { native } from '../../src/torch/native.ts'
import '../../src/torch/operators.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random, withoutLeaks } from '../support.ts'
import { assemble, entry, golden, goldenTensors, newFile, newFolder, oneTensor, rejects, rejectsBytes } from './safetensors-files.ts'

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
