// Positions in the prompt and in the picture, and the rotary tables made of them: multimodal rotary embedding (M-RoPE, Qwen2-VL,
// arXiv 2409.12191). Text counts on all three axes (time, height, width) together; an image's tokens count rows and columns.

import { ArgumentError } from '../errors.ts'
import { fromTypedArray, int64 } from '../torch/create.ts'
import type { Device } from '../torch/dtype.ts'
import type { Rotary } from '../torch/nn.ts'
import { ops } from '../torch/operators.ts'

/** Patches of one image over (time, height, width). */
export type Grid = readonly [time: number, height: number, width: number]

/** Three lists of T positions, one after another: time, height, width. */
export interface Positions {
  readonly ids: Int32Array
  /** The position of the token that would follow, on all axes. */
  readonly next: number
}

/**
 * Positions of a prompt whose images stand as runs of `imageToken`, one for each group of merged patches.
 * @param ids the prompt's T tokens
 * @param grids of the images in the order in which they appear; the number of tokens of each must agree with `ids`
 * @param merge side of the square of patches that become one token
 */
export function promptPositions(ids: ArrayLike<number>, imageToken: number, grids: readonly Grid[], merge: number): Positions {
  const length = ids.length
  const out = new Int32Array(3 * length)
  let [t, next, image] = [0, 0, 0]
  while (t < length) {
    if (ids[t] !== imageToken) {
      for (let axis = 0; axis < 3; axis++) out[axis * length + t] = next
      t++
      next++
      continue
    }
    const grid = grids[image]
    let run = 1
    while (t + run < length && ids[t + run] === imageToken) run++
    if (grid === undefined)
      throw new ArgumentError(`prompt: image tokens at ${t} belong to image ${image + 1}, but ${grids.length} images were given`)
    const [rows, columns] = [grid[1] / merge, grid[2] / merge]
    if (run !== rows * columns) {
      throw new ArgumentError(
        `prompt: image ${image + 1} of ${grid.join('×')} patches needs ${rows * columns} image tokens, the prompt has ${run} at ${t}`,
      )
    }
    for (let i = 0; i < run; i++) {
      out[t + i] = next
      out[length + t + i] = next + Math.floor(i / columns)
      out[2 * length + t + i] = next + (i % columns)
    }
    next += Math.max(rows, columns)
    t += run
    image++
  }
  if (image !== grids.length) throw new ArgumentError(`prompt: ${grids.length} images were given, but the prompt has image tokens for ${image}`)
  return { ids: out, next }
}

/** Which axis turns each pair of a head's channels, and how fast. */
export interface RotaryPlan {
  /** For each of the D/2 pairs: 0, 1 or 2. */
  readonly axes: readonly number[]
  /** For each pair: radians per position. */
  readonly frequencies: readonly number[]
}

// Rounded where the reference rounds: at position 30,000 a last bit of the frequency is a thousandth of a radian, and models are
// trained with these bits.
const frequency = (base: number, exponent: number): number => Math.fround(1 / Math.fround(base ** Math.fround(exponent)))

/** Qwen2.5-VL: the pairs are cut into consecutive sections for time, height and width. */
export function sectionedPlan(headWidth: number, sections: readonly number[], base: number): RotaryPlan {
  const axes = sections.flatMap((length, axis) => new Array<number>(length).fill(axis))
  return { axes, frequencies: axes.map((_, i) => frequency(base, (2 * i) / headWidth)) }
}

/** Qwen3-VL: time, height, width take turns up to three times the height's (width's) section; what is left belongs to time. */
export function interleavedPlan(headWidth: number, sections: readonly number[], base: number): RotaryPlan {
  const axes = Array.from({ length: headWidth / 2 }, (_, i) => (i % 3 > 0 && i < 3 * (sections[i % 3] as number) ? i % 3 : 0))
  return { axes, frequencies: axes.map((_, i) => frequency(base, (2 * i) / headWidth)) }
}

/** The vision towers: the first half of the pairs follows the row, the second the column, both with the same frequencies. */
export function planePlan(headWidth: number, base: number): RotaryPlan {
  const quarter = headWidth / 4
  const axes = Array.from({ length: headWidth / 2 }, (_, i) => Math.floor(i / quarter))
  return { axes, frequencies: axes.map((_, i) => frequency(base, (2 * (i % quarter)) / (headWidth / 2))) }
}

/** Tables [T, D] of positions given as `axes` lists of T, one after another. */
export function rotaryOf(plan: RotaryPlan, ids: Int32Array, axes: number, device: Device): Rotary {
  const positions = fromTypedArray(Float32Array.from(ids), { dtype: 'float32', shape: [axes, ids.length / axes], device })
  const axis = int64(plan.axes, { device })
  const speed = fromTypedArray(Float32Array.from(plan.frequencies), { dtype: 'float32', device })
  const angles = positions.indexSelect(0, axis).transpose(0, 1).mul(speed) // [T, D/2]
  const both = ops.cat([angles, angles], 1)
  return { cos: both.cos(), sin: both.sin() }
}

/** Row and column of every patch, as the processor orders them: square by square of `merge` × `merge` patches. Two lists, rows first. */
export function patchPositions(grids: readonly Grid[], merge: number): Int32Array {
  const total = grids.reduce((sum, [, height, width]) => sum + height * width, 0)
  const out = new Int32Array(2 * total)
  let n = 0
  for (const [, height, width] of grids) {
    for (let i = 0; i < height * width; i++, n++) {
      const [within, square] = [i % (merge * merge), Math.floor(i / (merge * merge))]
      const squares = width / merge
      out[n] = Math.floor(square / squares) * merge + Math.floor(within / merge)
      out[total + n] = (square % squares) * merge + (within % merge)
    }
  }
  return out
}
