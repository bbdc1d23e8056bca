// A ten-second proof that the engine computes rightly on this machine, for `sightline doctor`.

import { attention, attentionReference } from './attention.ts'
import { gradient, requireGrad } from './autograd.ts'
import { backward } from './backward.ts'
import { noGrad, scope } from './context.ts'
import { linearDivergence } from './divergence.ts'
import type { Device, DType } from './dtype.ts'
import { memory } from './memory.ts'
import { ops } from './operators.ts'
import { Generator } from './random.ts'
import type { Tensor } from './tensor.ts'

export interface Check {
  readonly name: string
  readonly passed: boolean
  /** What was measured, in words. */
  readonly detail: string
}

function relative(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item() / Math.max(b.abs().amax().item(), 1e-30)
}

function within(name: string, error: number, limit: number): Check {
  return { name, passed: error <= limit, detail: `relative error ${error.toExponential(1)}, allowed ${limit.toExponential(0)}` }
}

/** The gradient of a small network against central differences in float64. */
function gradients(device: Device): Check {
  const generator = Generator.seeded(1, device)
  const draw = (...shape: number[]): Tensor => ops.randn(shape, { generator, dtype: 'float64', device })
  const [x, w] = [draw(5, 4), requireGrad(draw(3, 4))]
  const loss = (weight: Tensor): Tensor => ops.linear(x, weight).silu().logSoftmax(-1).square().sum()
  backward(loss(w))
  const direction = draw(3, 4)
  const h = 1e-6
  const numeric = noGrad(() => (loss(w.add(direction.mul(h))).item() - loss(w.sub(direction.mul(h))).item()) / (2 * h))
  const analytic = (gradient(w) as Tensor).mul(direction).sum().item()
  return within('gradient against finite differences', Math.abs(analytic - numeric) / Math.abs(numeric), 1e-6)
}

/** The attention that training uses against the formula in float64. */
function attentionCheck(device: Device): Check {
  const generator = Generator.seeded(2, device)
  const draw = (heads: number): Tensor => ops.randn([70, heads, 32], { generator, device })
  const [q, k, v] = [draw(4), draw(2), draw(2)]
  const starts = [0, 50, 70]
  const own = attention(q, k, v, { queryStarts: starts, causal: true })
  const double = [q, k, v].map((each) => each.toDtype('float64')) as [Tensor, Tensor, Tensor]
  const exact = attentionReference(...double, { queryStarts: starts, keyStarts: starts, causal: true, scale: 32 ** -0.5 })
  return within('attention against float64', relative(own.toDtype('float64'), exact), 1e-5)
}

/** A distribution diverges from itself by nothing. */
function divergenceCheck(device: Device): Check {
  const generator = Generator.seeded(3, device)
  const side = { hidden: ops.randn([64, 32], { generator, device }), head: ops.randn([500, 32], { generator, device }) }
  const { values } = linearDivergence(side, side, { kind: 'forwardKl' })
  const largest = values.abs().amax().item()
  return { name: 'divergence of a model from itself', passed: largest <= 1e-5, detail: `${largest}` }
}

/** GFLOP/s of a square matrix product, the best of a few. */
export function matrixRate(device: Device, dtype: DType = 'float32', side = 1024, budgetMs = 700): number {
  return scope(() => {
    const [a, b] = [ops.rand([side, side], { dtype, device }), ops.rand([side, side], { dtype, device })]
    const wait = (x: Tensor): number => x.select(0, 0).select(0, 0).item()
    let best = Number.POSITIVE_INFINITY
    const end = performance.now() + budgetMs
    for (let i = 0; i < 3 || performance.now() < end; i++) {
      scope(() => {
        const start = performance.now()
        wait(a.mm(b))
        best = Math.min(best, performance.now() - start)
      })
    }
    return (2 * side ** 3) / best / 1e6
  })
}

/** Runs every check on a device. A check that throws fails with its message. */
export function selfTest(device: Device): Check[] {
  const before = memory().tensors
  const checks = [gradients, attentionCheck, divergenceCheck].map((run): Check => {
    try {
      return scope(() => run(device))
    } catch (error) {
      return { name: run.name, passed: false, detail: (error as Error).message }
    }
  })
  const left = memory().tensors - before
  return [...checks, { name: 'memory freed by scopes', passed: left === 0, detail: `${left} tensors left` }]
}
