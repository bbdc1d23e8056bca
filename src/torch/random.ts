// Random generators: a seed gives the same numbers, and the state can be saved with a checkpoint and restored.

import { ArgumentError, UseAfterFreeError } from '../errors.ts'
import { adopt, currentContext, engineFor } from './context.ts'
import type { Device } from './dtype.ts'
import { native } from './native.ts'
import type { Tensor } from './tensor.ts'

/** A source of random numbers on one device. Pass it as `generator` to the operators that draw. */
export class Generator implements Disposable {
  readonly device: Device
  /** @internal The engine's index; −1 once disposed. */
  index: number

  private constructor(device: Device, index: number) {
    this.device = device
    this.index = index
  }

  /** A generator of its own, independent of all others. `seed` is an integer in [0, 2^53). */
  static seeded(seed: number, device: Device = 'cpu'): Generator {
    const generator = new Generator(device, native().createGenerator(device))
    generator.seed(seed)
    return generator
  }

  static readonly #defaults = new Map<Device, Generator>()
  /** The generator that operators use when none is passed. */
  static default(device: Device = 'cpu'): Generator {
    const known = Generator.#defaults.get(device)
    if (known !== undefined) return known
    const generator = new Generator(device, native().defaultGenerator(device))
    Generator.#defaults.set(device, generator)
    return generator
  }

  /** The engine's index, or a `UseAfterFreeError` when disposed. */
  live(use: string): number {
    if (this.index < 0) throw new UseAfterFreeError(`${use}: the generator was disposed; make another with Generator.seeded`)
    return this.index
  }

  seed(seed: number): void {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new ArgumentError(`seed: ${seed}; expected an integer from 0 to 2^53 − 1`)
    native().seedGenerator(this.live('seed'), seed)
  }

  /** The whole state, a uint8 tensor on the CPU: restore it with `setState` to draw the same numbers again. */
  state(): Tensor {
    const context = currentContext()
    return adopt(engineFor(context).generatorState(this.live('state')), 'Generator.state', context)
  }

  setState(state: Tensor): void {
    native().setGeneratorState(this.live('setState'), state.live('setState'))
  }

  [Symbol.dispose](): void {
    if (this.index < 0 || Generator.#defaults.get(this.device) === this) return
    native().releaseGenerator(this.index)
    this.index = -1
  }
}

/** Seeds the default generator of a device. */
export function seed(value: number, device: Device = 'cpu'): void {
  Generator.default(device).seed(value)
}
