// Writing safetensors: bytes, atomicity, memory, and shards.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { ArgumentError, UseAfterFreeError } from '../../src/errors.ts'
import { fromTypedArray, tensor } from '../../src/torch/create.ts'
import { native } from '../../src/torch/native.ts'
import '../../src/torch/operators.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import { writeSafetensors, writeShardedSafetensors } from '../../src/torch/safetensors-write.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random, withoutLeaks } from '../support.ts'
import { contents, golden, goldenTensors, newFile, newFolder } from './safetensors-files.ts'

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
