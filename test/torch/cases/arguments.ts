// Random arguments for operators: mostly such as fit the schema, so that calls get far, and some that fit nothing.

import { requireGrad } from '../../../src/torch/autograd.ts'
import { enableGrad } from '../../../src/torch/context.ts'
import { fromTypedArray } from '../../../src/torch/create.ts'
import { type DType, dtypeNames, dtypes } from '../../../src/torch/dtype.ts'
import { Generator } from '../../../src/torch/random.ts'
import type { Schema, SchemaArgument } from '../../../src/torch/schema.ts'
import type { Tensor } from '../../../src/torch/tensor.ts'
import { random } from '../../support.ts'
import { sizeOf } from './ndarray.ts'

/** What the arguments of one call have in common, else hardly any two tensors would meet. */
interface Theme {
  readonly shape: readonly number[]
  readonly dtype: DType
  /** Of every list of tensors. */
  readonly count: number
  /** Of packed sequences, where each of them begins. */
  readonly starts: readonly number[]
  /** Whether optional tensors are given. */
  readonly complete: boolean
  /** How often something odd stands in for an argument. */
  readonly oddness: number
}

/** Operators whose numbers say how much to allocate: they get small ones only. */
const allocating = /^(size|shape|steps|n|num_samples|repeats|pad|chunks|start|end|step)$/
const positionNames = /^(index|indices|targets?)$/
const maskNames = /^(mask|condition)$/

const themes = [[4, 4], [4, 4], [4, 4, 4], [4, 4, 4], [3, 4], [2, 3, 4], [5], [], [0, 3], [3, 0], [1, 3], [2, 2, 2, 2]]
const strangeShapes = [[], [0], [1], [3], [7], [2, 3], [3, 2], [2, 0, 3], [1, 1, 1, 1], [33, 5], [1, 1, 1, 1, 1, 2], [130], [2, 700], [3, 16000]]
const wildNumbers = [Number.NaN, Infinity, -Infinity, -0, 1e308, -1e-308, 5e-324, 2 ** 53, -(2 ** 40), 0.1, -7.5, 1e9]
const smallNumbers = [-3, -1, 0, 1, 2, 3, 0.5, 5, -0.25, Number.NaN, Infinity]

export class Arguments {
  readonly #next: () => number
  readonly #generator = Generator.seeded(1)
  readonly #disposedGenerator = Generator.seeded(2)

  /** Holds itself. */
  readonly #nested: unknown[] = []

  constructor(seed: number) {
    this.#nested.push(this.#nested)
    this.#next = random(seed)
    this.#disposedGenerator[Symbol.dispose]()
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#next() * list.length)] as T
  }
  /** In [low, high). */
  #integer(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low))
  }
  #list<T>(length: number, make: (index: number) => T): T[] {
    return Array.from({ length }, (_, index) => make(index))
  }
  #shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((value) => ({ value, key: this.#next() }))
      .sort((a, b) => a.key - b.key)
      .map(({ value }) => value)
  }

  theme(): Theme {
    return {
      shape: this.pick(themes),
      dtype: this.chance(0.75) ? this.pick(['float32', 'float32', 'float64']) : this.pick(dtypeNames),
      count: this.#integer(this.chance(0.1) ? 0 : 1, 4),
      starts: this.pick([
        [0, 4],
        [0, 1, 4],
        [0, 4, 4],
        [0, 2, 4],
      ]),
      complete: this.chance(0.5),
      oddness: this.chance(0.55) ? 0 : 0.15,
    }
  }

  // ---- tensors ------------------------------------------------------------------------------------------------------------------

  /** Elements that a dtype holds; `values` gives numbers. */
  #filled(shape: readonly number[], dtype: DType, value: () => number): Tensor {
    const data = new dtypes[dtype].array(new ArrayBuffer(sizeOf(shape) * dtypes[dtype].bytes))
    for (let i = 0; i < data.length; i++) {
      const number = value()
      if (data instanceof BigInt64Array) data[i] = Number.isFinite(number) ? BigInt(Math.trunc(number)) : -(2n ** 63n)
      else data[i] = dtype === 'bool' ? Number(number > 0) : dtype === 'bfloat16' || dtype === 'float16' ? number * 0x1000 : number
    }
    return fromTypedArray(data as never, { dtype, shape })
  }

  /** A tensor whose memory has gaps, runs in another order or overlaps. */
  #laidOut(shape: readonly number[], dtype: DType, value: () => number): Tensor {
    const order = this.#shuffled(this.#list(shape.length, (axis) => axis))
    const lengths = order.map((axis) => shape[axis] as number)
    if (this.chance(0.2) && lengths[0]) {
      return this.#filled(lengths.with(0, 1), dtype, value)
        .expand(lengths)
        .permute(shape.map((_, axis) => order.indexOf(axis)))
    }
    const made = this.#filled([...lengths, 2], dtype, value)
    return made.select(-1, 1).permute(shape.map((_, axis) => order.indexOf(axis)))
  }

  #tensor(theme: Theme, name: string, operator: string): Tensor {
    const shape = this.#shapeFor(theme, name, operator)
    const limit = Math.max(1, Math.min(4, ...theme.shape))
    let dtype = operator.startsWith('fused') && this.chance(0.97) ? 'float32' : this.chance(0.9) ? theme.dtype : this.pick(dtypeNames)
    let value = (): number => this.#next() * 4 - 1.5
    if ((positionNames.test(name) && operator !== 'fusedDivergence_') || name === 'repeats') {
      dtype = 'int64'
      value = () => this.#integer(0, limit)
    } else if (maskNames.test(name)) dtype = 'bool'
    else if (/^(probabilities|cos|sin)$/.test(name) || /^(bernoulli|multinomial)$/.test(operator)) value = () => this.#next()
    // How often something repeats is a size too, and stays small.
    if (name !== 'repeats' && this.chance(0.08 + theme.oddness)) value = () => this.pick(wildNumbers)
    const tensor = this.chance(operator.endsWith('_') ? 0.1 : 0.3) ? this.#laidOut(shape, dtype, value) : this.#filled(shape, dtype, value)
    if (dtypes[dtype].floating && this.chance(0.15)) return enableGrad(() => requireGrad(tensor.detach()))
    if (this.chance(theme.oddness / 4)) tensor.dispose()
    return tensor
  }

  #shapeFor({ shape, oddness }: Theme, name: string, operator: string): readonly number[] {
    const last = shape.at(-1) ?? 1
    if (this.chance(oddness)) return this.pick(strangeShapes)
    if (operator === 'fusedLinearRows') return name === 'bias' ? [5] : [name === 'input' ? 3 : 5, 7]
    if (operator === 'fusedRotary') return name === 'x' ? [4, 2, 6] : [4, 6]
    if (operator === 'fusedDecodeAttention') return name === 'query' ? [2, 4, 6] : name.startsWith('prefix') ? [3, 2, 6] : [3, 4, 2, 6]
    if (name === 'weight') return this.pick([[last], [last], [5, last], shape])
    if (name === 'bias' || (name === 'target' && operator === 'crossEntropy'))
      return [shape.length === 2 && name === 'target' ? (shape[0] as number) : last]
    if (name === 'repeats') return [shape[0] ?? 1]
    if (name === 'value' && /^(maskedFill|withGradient)$/.test(operator)) return []
    if (positionNames.test(name) && /^index[A-Z]/.test(operator)) return [shape[0] ?? 1]
    if (operator === 'fusedAttention') return name === 'cos' || name === 'sin' ? [4, 6] : [4, name === 'query' ? 4 : 2, 6]
    if (/^fused(Divergence|CrossEntropy)/.test(operator)) return name === 'targets' ? [3] : [3, 7]
    if (/mm_?$/.test(operator) && this.chance(0.7)) return operator === 'bmm' ? [4, 4, 4] : [4, 4]
    if (operator === 'fusedAdamw_') return shape
    if (this.chance(0.15)) return shape.map((length) => (this.chance(0.5) ? 1 : length))
    return this.chance(0.05) ? shape.slice(1) : shape
  }

  // ---- everything else ----------------------------------------------------------------------------------------------------------

  #size(): number {
    return this.chance(0.05) ? this.#integer(-3, 0) : this.#integer(0, 6)
  }

  #int(shape: readonly number[], name: string): number {
    const rank = shape.length
    if (/^dim\d?$|_dim$/.test(name) && this.chance(0.9)) return this.#integer(-rank, Math.max(rank, 1))
    if (name === 'low') return this.#integer(-5, 2)
    if (name === 'reduction' || name === 'kind') return this.#integer(this.chance(0.2) ? -1 : 0, 3)
    if (allocating.test(name)) return this.#size()
    return this.chance(0.1) ? this.pick([2 ** 31, -(2 ** 31), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 100, -100]) : this.#integer(-1, 4)
  }

  #ints({ shape, starts }: Theme, name: string, operator: string): number[] {
    if (name.endsWith('_starts') && this.chance(0.9)) return [...starts]
    if (operator === 'fusedDecodeAttention' && this.chance(0.9)) return this.#list(2, () => this.#integer(this.chance(0.2) ? -1 : 0, 3))
    if (/^(view|reshape)$/.test(operator) && this.chance(0.8)) return this.pick([[-1], [...shape], shape.toReversed(), [1, ...shape]])
    if (operator === 'expand' && this.chance(0.7)) return [2, ...shape]
    if (name === 'normalized_shape' && this.chance(0.8)) return shape.slice(this.chance(0.7) ? -1 : -2)
    if (name === 'split_sizes' && this.chance(0.8)) return shape[0] ? [1, shape[0] - 1] : [0]
    if (name === 'dims' && this.chance(0.8)) return this.#shuffled(shape.map((_, axis) => axis - (this.chance(0.3) ? shape.length : 0)))
    if (name === 'pad' && this.chance(0.8)) return this.#list(2 * this.#integer(0, shape.length + 1), () => this.#integer(0, 3))
    if (name === 'repeats' && this.chance(0.8)) return shape.map(() => this.#integer(1, 3))
    if (name === 'dim') return this.#list(this.#integer(0, 3), () => this.#int(shape, name))
    return this.#list(this.#integer(0, 6), () => this.#size())
  }

  #scalar(name: string): unknown {
    if (allocating.test(name)) return this.pick(smallNumbers)
    if (this.chance(0.6)) return this.pick(smallNumbers)
    return this.pick<unknown>([...wildNumbers, true, false, 3n, -(2n ** 62n), 2n ** 70n])
  }

  /** A value of the argument's type, if not always one that the operator can use. */
  #value(argument: SchemaArgument, theme: Theme, operator: string): unknown {
    const { kind, name, list } = argument
    if (argument.optional && (kind === 'Tensor' && this.chance(0.9) ? !theme.complete : this.chance(0.4))) return null
    switch (kind) {
      case 'Tensor':
        if (!list) return this.#tensor(theme, name, operator)
        return this.#list(this.chance(theme.oddness) ? this.#integer(0, 4) : theme.count, () =>
          argument.optionalElement && this.chance(0.3) ? null : this.#tensor(theme, name, operator),
        )
      case 'int':
        if (!list) return this.#int(theme.shape, name)
        return argument.fixedLength && this.chance(0.5) ? this.#int(theme.shape, name) : this.#ints(theme, name, operator)
      case 'Scalar':
        return this.#scalar(name)
      case 'float':
        return this.chance(0.7) ? this.#next() : this.pick([...wildNumbers, -1, 0, 1])
      case 'bool':
        return this.chance(0.5)
      case 'ScalarType':
        return this.pick(dtypeNames)
      case 'Device':
        return this.chance(0.8) ? 'cpu' : this.pick(['cuda', 'cuda:0', 'cuda:7', 'cuda:99999999999999999999'])
      case 'Generator':
        return this.chance(theme.oddness) ? this.#disposedGenerator : this.#generator
      case 'str':
        return this.pick(['none', 'tanh', 'other', ''])
    }
  }

  /** Something that no schema has in mind. */
  odd(theme: Theme, operator: string): unknown {
    const tensor = (): Tensor => this.#tensor(theme, operator === 'repeatInterleave' ? 'repeats' : 'any', operator)
    const kinds: readonly (() => unknown)[] = [
      () => this.pick([Number.NaN, Infinity, -Infinity, 0.5, -1, -0, 1e308, 2 ** 53]),
      () => this.pick(['text', '', 'cpu', 'float32', '\u{1f600}', '\ud800', 'x'.repeat(5000)]),
      () => this.pick([null, undefined]),
      () => this.pick([{}, { alpha: 2 }, { dtype: 'float64' }, { dtype: null }, { nothing: 1 }, { generator: 'no' }, Object.create(null) as object]),
      () => this.pick([new Map(), new Date(0), /x/, new Float32Array(3), new ArrayBuffer(2), new Error('e'), Promise.resolve(), new WeakMap()]),
      () => this.pick([[], [null], [undefined], [[1]], ['a', 1], [1, Number.NaN], [0.5], [{}], [2n], [Symbol('s')], new Array(3), [true]]),
      () => this.pick<unknown>([() => 1, class {}, Symbol('s'), Symbol.iterator, 10n, 2n ** 70n, true, false]),
      () => this.#list(300, () => 0),
      () => this.#nested,
      tensor,
      () => [tensor(), this.pick([3, null, 'x', {}])],
      () => {
        const freed = tensor()
        freed.dispose()
        return this.chance(0.5) ? freed : [freed]
      },
      () => this.#generator,
      () => this.#disposedGenerator,
      () => ({ generator: this.#disposedGenerator }),
    ]
    return this.pick(kinds)()
  }

  /** The arguments of one call, options last. */
  call(schema: Schema, operator: string): unknown[] {
    const theme = this.theme()
    const one = (argument: SchemaArgument): unknown =>
      this.chance(theme.oddness / 2) ? this.odd(theme, operator) : this.#value(argument, theme, operator)
    const positional = schema.arguments.slice(0, schema.positional)
    while (positional.at(-1)?.hasDefault && this.chance(0.4)) positional.pop()
    const given = positional.map(one)
    const options = schema.arguments.slice(schema.positional).filter(() => this.chance(0.3))
    if (options.length > 0) given.push(Object.fromEntries(options.map((each) => [each.name, one(each)])))
    if (this.chance(theme.oddness / 2)) given.length = this.#integer(0, given.length + 1)
    if (this.chance(theme.oddness / 2)) given.push(...this.#list(this.#integer(1, this.chance(0.1) ? 40 : 3), () => this.odd(theme, operator)))
    return given
  }
}
