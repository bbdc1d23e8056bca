// New tensors: their values, dtypes and devices, and what is refused.

import assert from 'node:assert/strict'
import { scalar } from '../../../src/torch/create.ts'
import { type DType, dtypeNames, dtypes } from '../../../src/torch/dtype.ts'
import { ops } from '../../../src/torch/operators.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { type Case, compare, equals, holds, isLike, type OperatorName, refuses } from './case.ts'
import { build, integers, nd, positions, range, scalarOf, sizeOf, toStrided, toTensor, uniform, vector } from './ndarray.ts'

/** Every dtype, and the values that it may have in common with all the others. */
function each(operator: OperatorName, call: (dtype: DType) => Tensor, shape: readonly number[], value: (index: readonly number[]) => number): Case[] {
  return dtypeNames.map((dtype) =>
    holds(operator, dtype, () => {
      const made = call(dtype)
      isLike(made, shape, dtype)
      assert.deepEqual(made.toArray(), positions(shape).map(value))
      assert.ok(made.data() instanceof dtypes[dtype].array)
      assert.equal(made.data().byteLength, sizeOf(shape) * dtypes[dtype].bytes)
    }),
  )
}

const shape = [2, 3]
const filled: Case[] = [
  ...each(
    'zeros',
    (dtype) => ops.zeros(shape, { dtype }),
    shape,
    () => 0,
  ),
  ...each(
    'ones',
    (dtype) => ops.ones(shape, { dtype }),
    shape,
    () => 1,
  ),
  ...each(
    'full',
    (dtype) => ops.full(shape, 1, { dtype }),
    shape,
    () => 1,
  ),
  ...each(
    'eye',
    // PyTorch 1.13 makes no identity of bfloat16.
    (dtype) => (dtype === 'bfloat16' ? ops.eye(3).toDtype(dtype) : ops.eye(3, { dtype })),
    [3, 3],
    ([i, j]) => Number(i === j),
  ),
  ...dtypeNames.map((dtype) => holds('empty', dtype, () => isLike(ops.empty(shape, { dtype, device: 'cpu' }), shape, dtype))),
  equals(
    'zeros',
    'float32 by default',
    [],
    () => ops.zeros([3]),
    () => vector([0, 0, 0], 'float32'),
  ),
  equals(
    'ones',
    'a scalar',
    [],
    () => ops.ones([]),
    () => scalarOf(1, 'float32'),
  ),
  equals(
    'empty',
    'no elements',
    [],
    () => ops.empty([0, 4]),
    () => nd([0, 4], [], 'float32'),
  ),
  equals(
    'full',
    'a fraction',
    [],
    () => ops.full([2, 2], -0.75),
    () => nd([2, 2], [-0.75, -0.75, -0.75, -0.75], 'float32'),
  ),
  equals(
    'full',
    'a scalar of float64',
    [],
    () => scalar(0.1, 'float64'),
    () => scalarOf(0.1),
  ),
  equals(
    'full',
    'NaN and infinity',
    [],
    () => [ops.full([1], Number.NaN), ops.full([1], -Infinity)],
    () => [vector([Number.NaN], 'float32'), vector([-Infinity], 'float32')],
  ),
  holds('full', 'an int64 beyond 2^53', () =>
    assert.deepEqual(ops.full([2], 2n ** 62n + 1n, { dtype: 'int64' }).dataAs('int64'), BigInt64Array.of(2n ** 62n + 1n, 2n ** 62n + 1n)),
  ),
  equals(
    'eye',
    'nothing',
    [],
    () => ops.eye(0),
    () => nd([0, 0], [], 'float32'),
  ),
  refuses('zeros', 'a negative size', () => ops.zeros([2, -1]), /negative dimension|non-negative/),
  refuses('ones', 'a fraction as a size', () => ops.ones([1.5]), /`size` must hold only elements that are an integer, got 1.5/),
  refuses('empty', 'an unknown dtype', () => ops.empty([1], { dtype: 'int8' as never }), /`dtype` must be a dtype \(float32, .*\), got "int8"/),
  refuses('full', 'a fill value that is missing', () => ops.full([1], undefined as never), /`fill_value` is missing/),
  refuses('full', 'an option that it does not have', () => ops.full([1], 1, { layout: 1 } as never), /has no option `layout`/),
  refuses('full', 'an unknown device', () => ops.full([1], 1, { device: 'tpu' as never }), /`device` must be a device/),
  refuses('eye', 'a negative size', () => ops.eye(-1), /greater or equal to 0|negative/),
]

/** Sizes that no machine has: refused before anything is touched, whatever the system thinks of overcommitting. */
const beyond: readonly (readonly number[])[] = [
  [2 ** 50],
  [2 ** 31, 2 ** 31],
  [2 ** 40, 2 ** 40],
  [Number.MAX_SAFE_INTEGER],
  [2 ** 22, 2 ** 22, 2 ** 22],
]
const enormous: Case[] = [
  ...beyond.flatMap((size) => [
    refuses('zeros', `[${size}]`, () => ops.zeros(size), /memory|overflow/),
    refuses('ones', `[${size}]`, () => ops.ones(size), /memory|overflow/),
    refuses('empty', `[${size}]`, () => ops.empty(size, { dtype: 'float64' }), /memory|overflow/),
    refuses('full', `[${size}]`, () => ops.full(size, 1), /memory|overflow/),
    refuses('rand', `[${size}]`, () => ops.rand(size), /memory|overflow/),
    refuses('randn', `[${size}]`, () => ops.randn(size), /memory|overflow/),
    refuses('randint', `[${size}]`, () => ops.randint(0, 2, size), /memory|overflow/),
    refuses('expand', `[${size}] of another length`, () => ops.zeros([2]).expand(size), /expanded size/),
    refuses('repeat', `[${size}]`, () => ops.zeros(size.map(() => 1)).repeat(size), /memory|overflow/),
    refuses('view', `[${size}]`, () => ops.zeros([4]).view(size), /invalid for input/),
    refuses('reshape', `[${size}]`, () => ops.zeros([4]).reshape(size), /invalid for input/),
  ]),
  refuses('eye', '2^31 rows', () => ops.eye(2 ** 31), /memory|overflow/),
  refuses('randperm', '2^50', () => ops.randperm(2 ** 50), /memory|overflow|maximum/),
  refuses('linspace', '2^50 steps', () => ops.linspace(0, 1, 2 ** 50), /memory|overflow/),
  refuses('arange', '2^50 steps', () => ops.arange(0, 2 ** 50), /memory|overflow/),
  refuses('arange', 'steps too small to count', () => ops.arange(0, 1, 1e-300, { dtype: 'float64' }), /memory|overflow/),
  refuses('arange', 'an infinite end', () => ops.arange(0, Infinity), /unsupported range|without overflow/),
  refuses('arange', 'an end that is no number', () => ops.arange(0, Number.NaN), /unsupported range|without overflow/),
  refuses('pad', '2^50', () => ops.zeros([1]).pad([2 ** 50, 0]), /memory|overflow/),
  refuses('repeatInterleave', '2^50', () => ops.zeros([1]).repeatInterleave(ops.full([1], 2 ** 50, { dtype: 'int64' })), /memory|overflow/),
  refuses('multinomial', '2^50', () => ops.ones([2]).multinomial(2 ** 50, true), /memory|overflow/),
]

const grids: Case[] = [
  ...(
    [
      [0, 5, 1],
      [3, -4, -2],
      [-3, 8, 4],
      [2, 2, 1],
    ] as const
  ).map(([start, end, step]) =>
    equals(
      'arange',
      `${start}, ${end}, ${step}`,
      [],
      () => ops.arange(start, end, step),
      () => vector(range(start, end, step), 'int64'),
    ),
  ),
  equals(
    'arange',
    'int64 in steps of 1 by default',
    [],
    () => ops.arange(1, 4),
    () => vector([1, 2, 3], 'int64'),
  ),
  equals(
    'arange',
    'fractions',
    [],
    () => ops.arange(0.5, 2, 0.25, { dtype: 'float64' }),
    () => vector(range(0.5, 2, 0.25)),
  ),
  equals(
    'arange',
    'float32',
    [],
    () => ops.arange(0, 3, 1, { dtype: 'float32' }),
    () => vector([0, 1, 2], 'float32'),
  ),
  equals(
    'arange',
    'a long range',
    [],
    () => ops.arange(0, 50_000, 1, { dtype: 'float64' }),
    () => vector(range(0, 50_000)),
  ),
  refuses('arange', 'a step away from the end', () => ops.arange(0, 5, -1), /bound|inconsistent/),
  refuses('arange', 'a fraction as a step of integers', () => ops.arange(0, 2, 0.5), /step/),
  refuses('arange', 'a step of 0', () => ops.arange(0, 5, 0), /nonzero/),
  equals(
    'linspace',
    'both ends',
    [],
    () => ops.linspace(-1, 2, 7, { dtype: 'float64' }),
    () => vector([-1, -0.5, 0, 0.5, 1, 1.5, 2]),
  ),
  equals(
    'linspace',
    'downwards in float32',
    [],
    () => ops.linspace(1, 0, 5),
    () => vector([1, 0.75, 0.5, 0.25, 0], 'float32'),
  ),
  equals(
    'linspace',
    'one step',
    [],
    () => ops.linspace(3, 9, 1),
    () => vector([3], 'float32'),
  ),
  equals(
    'linspace',
    'no steps',
    [],
    () => ops.linspace(3, 9, 0),
    () => vector([], 'float32'),
  ),
  refuses('linspace', 'a negative number of steps', () => ops.linspace(0, 1, -1), /non-negative/),
]

const alike: Case[] = [
  ...dtypeNames.flatMap((dtype) => [
    holds('emptyLike', dtype, () => isLike(ops.ones(shape, { dtype }).emptyLike(), shape, dtype)),
    holds('zerosLike', dtype, () => {
      const made = ops.ones(shape, { dtype }).zerosLike()
      isLike(made, shape, dtype)
      assert.deepEqual(made.toArray(), [0, 0, 0, 0, 0, 0])
    }),
    holds('onesLike', dtype, () => {
      const made = ops.zeros(shape, { dtype }).onesLike()
      isLike(made, shape, dtype)
      assert.deepEqual(made.toArray(), [1, 1, 1, 1, 1, 1])
    }),
  ]),
  equals(
    'zerosLike',
    'a view with gaps',
    [uniform([3, 4], 1)],
    (x) => x.zerosLike(),
    () => build([3, 4], () => 0),
    { gradient: false, float32: false },
  ),
  equals(
    'onesLike',
    'a view with gaps',
    [integers([3, 4], 1, 0, 9)],
    (x) => x.onesLike(),
    () => build([3, 4], () => 1, 'int64'),
  ),
  holds('emptyLike', 'a view with gaps', () => {
    const made = toStrided(uniform([3, 4], 2)).view.emptyLike()
    assert.deepEqual(made.shape, [3, 4])
    made.zero_()
    compare(
      made,
      build([3, 4], () => 0),
    )
  }),
  holds('zerosLike', 'takes no part in the gradient', () => assert.equal(toTensor(uniform([2], 3)).zerosLike().requiresGrad, false)),
]

export const creation: readonly Case[] = [...filled, ...enormous, ...grids, ...alike]
