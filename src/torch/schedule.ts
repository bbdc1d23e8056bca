// Learning-rate schedules, as pure functions of the number of optimiser steps already taken.

import { ArgumentError } from '../errors.ts'

/** How the rate runs after the warm-up; the warm-up itself rises linearly from 0. */
export interface Schedule {
  readonly kind: 'constant' | 'linear' | 'cosine'
  readonly peak: number
  /** Steps of warm-up; 0 for none. */
  readonly warmup: number
  /** Steps in all; ignored by a constant schedule. */
  readonly total: number
}

const decay: { readonly [K in Schedule['kind']]: (progress: number) => number } = {
  constant: () => 1,
  linear: (progress) => 1 - progress,
  cosine: (progress) => 0.5 * (1 + Math.cos(Math.PI * progress)),
}

/**
 * The rate of the step after `step` completed ones (0 for the first). The same numbers as the schedules of Hugging Face transformers:
 * with a warm-up the first step has rate 0; after `total` steps a decaying schedule stays at 0.
 */
export function learningRate(schedule: Schedule, step: number): number {
  const { kind, peak, warmup, total } = schedule
  if (!(warmup >= 0) || (kind !== 'constant' && !(total >= warmup))) {
    throw new ArgumentError(`learningRate: warm-up of ${warmup} steps in ${total}; expected 0 ≤ warm-up ≤ total`)
  }
  if (step < warmup) return (peak * step) / warmup
  const progress = Math.min(1, (step - warmup) / Math.max(1, total - warmup))
  return peak * decay[kind](progress)
}
