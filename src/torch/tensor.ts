// The tensor: a handle into the engine with a shape. Its operators are methods, declared by the schema list.

import { ArgumentError, UseAfterFreeError } from '../errors.ts'
import type { Scope } from './context.ts'
import { type Device, type DType, type DTypeArrays, deviceOf, dtypeOf, dtypes } from './dtype.ts'
import { about, native } from './native.ts'
import type { Methods } from './schema.ts'
import type { schemas } from './schemas.ts'

interface Facts {
  readonly dtype: DType
  readonly device: Device
  readonly shape: readonly number[]
}

/** Every operator of the schema list whose first argument is `self`; each one's comment there gives its shapes. */
export interface Tensor extends Methods<typeof schemas> {}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: operators.ts defines every method of the interface on the prototype
export class Tensor implements Disposable {
  // `declare`: a field that is declared and assigned is written twice, and tensors are made millions of times.

  /** @internal The engine's handle; 0 once freed. */
  declare handle: number
  /** @internal What made this tensor, for error texts. */
  declare readonly origin: string
  /** @internal The scope that will free it. */
  declare owner: Scope | null
  /** @internal When it was made, see backward.ts. */
  declare epoch: number
  /** @internal What never changes, once asked for. */
  declare facts: Facts | null

  /** @internal Made by operators and by the functions of create.ts. */
  constructor(handle: number, origin: string, owner: Scope | null, epoch: number) {
    this.handle = handle
    this.origin = origin
    this.owner = owner
    this.epoch = epoch
    this.facts = null
  }

  /** The handle, or a `UseAfterFreeError` that says what was freed and what to do. */
  live(use: string): number {
    if (this.handle === 0) {
      throw new UseAfterFreeError(
        `${use}: the tensor made by \`${this.origin}\` was freed, because its scope ended or it was disposed; return it from the scope or keep() it`,
      )
    }
    return this.handle
  }

  #known(): Facts {
    if (this.facts === null || this.handle === 0) {
      const [code = -1, type = -1, index = -1, , , ...shape] = native().facts(this.live('shape'))
      this.facts = { dtype: dtypeOf(code), device: deviceOf(type, index), shape }
    }
    return this.facts
  }

  get shape(): readonly number[] {
    return this.#known().shape
  }
  get dtype(): DType {
    return this.#known().dtype
  }
  get device(): Device {
    return this.#known().device
  }
  /** The number of axes. */
  get rank(): number {
    return this.shape.length
  }
  /** The number of elements. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1)
  }
  /** The size of one axis; negative axes count from the end. */
  dim(axis: number): number {
    const length = this.shape.at(axis)
    if (length === undefined) throw new ArgumentError(`dim: axis ${axis} of a tensor with ${this.rank} axes, shape [${this.shape.join(', ')}]`)
    return length
  }

  /** Whether this is freed. */
  get disposed(): boolean {
    return this.handle === 0
  }
  /** Whether operators on this tensor are recorded. */
  get requiresGrad(): boolean {
    return native().facts(this.live('requiresGrad'))[3] !== 0
  }
  /** Whether its elements lie in row-major order without gaps. */
  get isContiguous(): boolean {
    return native().facts(this.live('isContiguous'))[4] !== 0
  }

  /** Frees the memory now, if no other tensor views it. Harmless when already freed. */
  dispose(): void {
    if (this.handle === 0) return
    native().release(Int32Array.of(this.handle), 1)
    this.handle = 0
  }
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** The elements in row-major order, copied to the CPU: the typed array of this dtype (see `DTypeArrays`). */
  data(): DTypeArrays[DType] {
    const handle = this.live('data')
    return new dtypes[this.dtype].array(about('data', [this], 'a tensor that fits into memory', () => native().toBytes(handle)))
  }
  /** As `data`, for a dtype the caller knows; another dtype is an `ArgumentError`. */
  dataAs<K extends DType>(dtype: K): DTypeArrays[K] {
    if (this.dtype !== dtype) throw new ArgumentError(`dataAs: the tensor is ${this.dtype}, not ${dtype}; convert it with toDtype('${dtype}')`)
    return this.data() as DTypeArrays[K]
  }
  /** The elements in row-major order as numbers; half types are widened. For reading results, not for computing. */
  toArray(): number[] {
    if (this.dtype === 'bfloat16' || this.dtype === 'float16') {
      using wide = this.toDtype('float32')
      return wide.toArray()
    }
    return Array.from<number | bigint, number>(this.data(), Number)
  }
  /** The value of a tensor of one element; an int64 beyond 2^53 is an `ArgumentError`. Waits for the GPU. */
  item(): number {
    const handle = this.live('item')
    if (this.size !== 1) throw new ArgumentError(`item: needs one element, got shape [${this.shape.join(', ')}]`)
    const value = native().item(handle)
    if (typeof value === 'bigint') throw new ArgumentError(`item: ${value} is beyond the integers that a number holds exactly; read it with data()`)
    return value
  }

  toString(): string {
    return this.handle === 0 ? 'Tensor (freed)' : `${this.dtype}[${this.shape.join(', ')}]${this.device === 'cpu' ? '' : ` on ${this.device}`}`
  }
}
