// The schema list as text: its grammar, its agreement with the library, and the errors of calls that do not fit.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError, OperatorError } from '../../src/errors.ts'
import { scope } from '../../src/torch/context.ts'
import { tensor } from '../../src/torch/create.ts'
import { native } from '../../src/torch/native.ts'
import { operator, ops, supports } from '../../src/torch/operators.ts'
import { parseSchema } from '../../src/torch/schema.ts'
import { schemas } from '../../src/torch/schemas.ts'

test('a schema is parsed into names, kinds and defaults', () => {
  const {
    namespace,
    name,
    overload,
    positional,
    arguments: parsed,
    returnsSelf,
  } = parseSchema(
    "mine::op.v2(Tensor(a!) self, Tensor?[] at, int[2] size, float? x=None, *, str mode='none', Scalar y=-1.5, int[1] dims=[], bool b=True) -> Tensor(a!)",
  )
  assert.deepEqual([namespace, name, overload, positional, returnsSelf], ['mine', 'op', 'v2', 4, true])
  const brief = parsed.map(({ name, kind, list, fixedLength, optional, optionalElement, keywordOnly, defaultValue }) => [
    name,
    kind,
    list,
    fixedLength,
    optional,
    optionalElement,
    keywordOnly,
    defaultValue,
  ])
  assert.deepEqual(brief, [
    ['self', 'Tensor', false, false, false, false, false, undefined],
    ['at', 'Tensor', true, false, false, true, false, undefined],
    ['size', 'int', true, true, false, false, false, undefined],
    ['x', 'float', false, false, true, false, false, null],
    ['mode', 'str', false, false, false, false, true, 'none'],
    ['y', 'Scalar', false, false, false, false, true, -1.5],
    ['dims', 'int', true, true, false, false, true, []],
    ['b', 'bool', false, false, false, false, true, true],
  ])
  for (const wrong of ['add', 'add(Tensor self)', 'add(Thing self) -> Tensor', 'add(Tensor) -> Tensor'])
    assert.throws(() => parseSchema(wrong), ArgumentError)
})

test('this libtorch has every operator of the list, with the arguments that the list names', () => {
  const young = new Set(['scaledDotProductAttention'])
  const missing = (Object.keys(schemas) as (keyof typeof schemas)[]).filter((name) => !supports(name) && !young.has(name))
  assert.deepEqual(missing, [])
  assert.equal(supports('scaledDotProductAttention'), !native().describe().torch.startsWith('1.'))
})

test('errors name the operator, what it got and what it takes', () => {
  scope(() => {
    const fails = (call: () => unknown, ...parts: string[]): void =>
      assert.throws(call, (error: unknown) => {
        assert.ok(error instanceof OperatorError)
        for (const part of parts) assert.ok(error.message.includes(part), `"${part}" in:\n${error.message}`)
        return true
      })
    const x = tensor([[1, 2]])
    fails(
      () => x.matmul(x),
      'matmul: ',
      'mat1 and mat2 shapes cannot be multiplied (1x2 and 1x2)',
      'got:   float32[1, 2], float32[1, 2]',
      'takes: matmul(Tensor self, Tensor other) -> Tensor',
    )
    fails(() => Reflect.apply(x.add, x, ['one']), 'add: argument `other` must be a Tensor, got "one"', 'takes: add.Tensor(', 'takes: add.Scalar(')
    fails(() => Reflect.apply(x.view, x, [2.5]), 'view: argument `size` must be an array of which each element is an integer, got 2.5')
    fails(() => Reflect.apply(x.view, x, [[1, '2']]), 'must hold only elements that are an integer, got "2" at index 1')
    fails(() => Reflect.apply(x.softmax, x, []), 'softmax: argument `dim` is missing')
    fails(() => Reflect.apply(ops.zeros, null, [[2], { dtyp: 'int64' }]), 'zeros: has no option `dtyp`')
    fails(() => Reflect.apply(ops.zeros, null, [[2], { dtype: 'int65' }]), 'argument `dtype` must be a dtype (float32, float64, ', 'got "int65"')
    fails(() => Reflect.apply(ops.zeros, null, [[2], { device: 'tpu' }]), "must be a device ('cpu', 'cuda' or 'cuda:N')")
    fails(() => Reflect.apply(x.neg, x, [1, 2]), 'neg: takes at most 1 positional arguments, got 3')
    fails(() => ops.cat([]), 'cat: ')
    fails(() => Reflect.apply(ops.zeros, null, [[2], new Date()]), 'zeros: takes at most 1 positional arguments, got 2')
    fails(
      () =>
        ops
          .zeros([1])
          .expand([2 ** 50])
          .data(),
      'data: out of CPU memory',
    )
    assert.deepEqual(x.add(2, { alpha: 3 }).toArray(), [7, 8])
    fails(() => ops.zeros([2 ** 40]), 'zeros: ', 'out of CPU memory: could not allocate 4398046511104 bytes')
  })
})

test('an operator that this libtorch lacks, or an argument that it lacks, is named', () => {
  scope(() => {
    const absent = operator('absent', 'no_such_operator(Tensor self) -> Tensor')
    assert.throws(() => absent(tensor([1])), /absent: this libtorch \([\d.]+\) has no operator aten::no_such_operator/)
    const wrong = operator('wrong', 'neg(Tensor self, int strength=1) -> Tensor')
    assert.throws(() => wrong(tensor([1])), /has no argument `strength`: aten::neg/)
    const short = operator('short', 'mm(Tensor self) -> Tensor')
    assert.throws(() => short(tensor([[1]])), /argument `mat2` has no default/)
    // An operator of a user's own choice, outside the list.
    const hypot = operator('hypot', 'hypot(Tensor self, Tensor other) -> Tensor')
    assert.deepEqual(hypot(tensor([3]), tensor([4])).toArray(), [5])
  })
})

test('a GPU that is not there is an error, not a crash', () => {
  if (native().describe().cudaDevices > 0) return
  assert.throws(() => ops.zeros([1], { device: 'cuda' }), OperatorError)
})
