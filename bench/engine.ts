// `npm run bench -- engine`: what the engine costs beside plain C++ libtorch, the arithmetic bound, and the naive distillation loss.

import { createRequire } from 'node:module'
import { findLibtorch } from '../setup/libtorch.mjs'
import { compile, root } from '../setup/native.mjs'
import { attention } from '../src/torch/attention.ts'
import { gradient, requireGrad, zeroGradients } from '../src/torch/autograd.ts'
import { backward } from '../src/torch/backward.ts'
import { noGrad, scope } from '../src/torch/context.ts'
import { crossEntropyOfLogits, linearCrossEntropy, linearDivergence } from '../src/torch/divergence.ts'
import { memory, resetPeakMemory } from '../src/torch/memory.ts'
import { native } from '../src/torch/native.ts'
import { rmsNorm, rotaryTables, swiglu } from '../src/torch/nn.ts'
import { ops } from '../src/torch/operators.ts'
import { AdamW } from '../src/torch/optimizer.ts'
import { seed } from '../src/torch/random.ts'
import type { Tensor } from '../src/torch/tensor.ts'
import { createDecoder, type Decoder, type DecoderSize, decode, parametersOf } from './decoder.ts'
import { inTurn, median, peakResident, type Row, ratio, table, time } from './measure.ts'

interface Baseline {
  additions(count: number): number
  createDecoder(...numbers: number[]): void
  trainStep(rate: number): number
}

function loadBaseline(): Baseline {
  native() // first, so that both sides have its allocator and BLAS
  const { found } = findLibtorch()
  if (found === undefined) throw new Error('libtorch disappeared since the set-up')
  const file = compile('bench/baseline', 'baseline', found, (line) => process.stderr.write(`bench: ${line}\n`))
  return createRequire(import.meta.url)(`${root}build/${file}`) as Baseline
}

export interface EngineFigures {
  dispatch_ratio: number
  step_ratio: number
  gemm_bound_ratio: number
  scope_memory_ratio: number
  fused_grad_error: number
  fused_memory_ratio: number
  fused_time_ratio: number
}

// ---- a tiny operator ------------------------------------------------------------------------------------------------------------

function dispatch(baseline: Baseline): { ratio: number; rows: Row[] } {
  const count = 20_000
  const [a, b] = [ops.ones([8]), ops.ones([8])]
  const times = inTurn(
    {
      typescript: () =>
        noGrad(() => {
          for (let i = 0; i < count / 100; i++) {
            scope(() => {
              for (let j = 0; j < 100; j++) a.add(b)
            })
          }
        }),
      cpp: () => baseline.additions(count),
    },
    41,
  )
  a.dispose()
  b.dispose()
  const each = (values: readonly number[]): string => `${((median(values) / count) * 1e3).toFixed(2)} µs`
  const value = ratio(times.typescript, times.cpp)
  return {
    ratio: value,
    rows: [
      { what: 'add of 8 numbers, TypeScript, freed by scope', value: each(times.typescript) },
      { what: 'the same loop in C++', value: each(times.cpp) },
      { what: 'dispatch_ratio', value: value.toFixed(2), bar: '≤ 1.5' },
    ],
  }
}

// ---- a training step ------------------------------------------------------------------------------------------------------------

const size: DecoderSize = { width: 192, layers: 6, heads: 6, inner: 512, vocabulary: 1024 }
const [length, batch] = [160, 16]
const tokens = length * batch
const starts = Array.from({ length: batch + 1 }, (_, i) => i * length)

interface Product {
  readonly m: number
  readonly k: number
  readonly n: number
  readonly count: number
}

/** The linear layers of one step: [m, k] · [k, n], each also backward with respect to input and weight. */
const products: readonly Product[] = [
  { m: tokens, k: size.width, n: size.width, count: 4 * size.layers },
  { m: tokens, k: size.width, n: size.inner, count: 2 * size.layers },
  { m: tokens, k: size.inner, n: size.width, count: size.layers },
  { m: tokens, k: size.width, n: size.vocabulary, count: 1 },
]
const linearFlops = 3 * products.reduce((sum, { m, k, n, count }) => sum + 2 * m * k * n * count, 0)
// Scores and values, forward and twice backward; only the causal half, which is all that is needed.
const attentionFlops = (3 * 2 * 2 * size.layers * batch * size.width * length * (length + 1)) / 2

/** Operands for each product of its own, as in a step: none is in the cache because the one before used it too. */
function operandsOfAll(): (readonly [Tensor, Tensor, Tensor])[] {
  return products.flatMap(({ m, k, n, count }) =>
    Array.from({ length: count }, () => [ops.randn([m, k]), ops.randn([n, k]), ops.randn([m, n])] as const),
  )
}

/** Runs every matrix product of the linear layers of one step once, in the three forms it has there. */
function allProducts(operands: readonly (readonly [Tensor, Tensor, Tensor])[]): void {
  for (const [x, w, dy] of operands) {
    scope(() => {
      x.mm(w.transpose(0, 1)) // forward
      dy.mm(w) // to the input
      dy.transpose(0, 1).mm(x) // to the weight
    })
  }
}

function trainStep(model: Decoder, optimizer: AdamW, ids: Tensor, targets: Tensor): number {
  return scope(() => {
    const hidden = decode(model, ids, starts)
    const { loss } = linearCrossEntropy({ hidden, head: model.head }, targets)
    backward(loss)
    optimizer.step()
    zeroGradients(parametersOf(model).map(([, each]) => each))
    return loss.item()
  })
}

function step(baseline: Baseline): { stepRatio: number; boundRatio: number; rows: Row[] } {
  const rate = 1e-3
  baseline.createDecoder(0, size.width, size.layers, size.heads, size.inner, size.vocabulary, length, batch)
  seed(0)
  const model = createDecoder(size)
  using optimizer = new AdamW(parametersOf(model), { rate })
  return scope(() => {
    const ids = ops.arange(0, tokens).mul(7919).remainder(size.vocabulary)
    const targets = ids.mul(31).add(17).remainder(size.vocabulary)
    const losses = Array.from({ length: 3 }, () => [trainStep(model, optimizer, ids, targets), baseline.trainStep(rate)] as const)
    const apart = Math.max(...losses.map(([own, other]) => Math.abs(own - other)))
    if (apart > 1e-3) throw new Error(`the two sides do not compute the same: losses differ by ${apart}`)

    const operands = operandsOfAll()
    const times = inTurn(
      {
        typescript: () => trainStep(model, optimizer, ids, targets),
        cpp: () => baseline.trainStep(rate),
        gemm: () => noGrad(() => allProducts(operands)),
      },
      11,
    )
    const flopRate = times.gemm.map((ms) => linearFlops / ms)
    const bound = flopRate.map((perMs) => (linearFlops + attentionFlops) / perMs)
    const [stepRatio, boundRatio] = [ratio(times.typescript, times.cpp), ratio(times.typescript, bound)]
    const ms = (value: number): string => `${value.toFixed(1)} ms`
    return {
      stepRatio,
      boundRatio,
      rows: [
        { what: 'step, TypeScript', value: ms(median(times.typescript)) },
        { what: 'step, C++ with stock operators', value: ms(median(times.cpp)) },
        { what: 'losses of three steps differ by', value: apart.toExponential(1) },
        { what: 'step_ratio', value: stepRatio.toFixed(2), bar: '≤ 1.0' },
        { what: 'matrix FLOPs of a step', value: `${((linearFlops + attentionFlops) / 1e9).toFixed(1)} GFLOP` },
        { what: 'GEMM rate at its shapes', value: `${(median(flopRate) / 1e6).toFixed(0)} GFLOP/s` },
        { what: 'bound: those FLOPs at that rate', value: ms(median(bound)) },
        { what: 'gemm_bound_ratio', value: boundRatio.toFixed(2), bar: '≤ 1.3' },
        ...remainder(model, optimizer, median(times.gemm), median(times.typescript)),
      ],
    }
  })
}

/** Where the time beyond the linear layers goes: each piece alone, forward and backward, as often as in a step. */
function remainder(model: Decoder, optimizer: AdamW, gemm: number, whole: number): Row[] {
  const { width, heads, inner, layers } = size
  const leaf = (...shape: number[]): Tensor => requireGrad(ops.randn(shape))
  const heads3 = [leaf(tokens, heads, width / heads), leaf(tokens, heads, width / heads), leaf(tokens, heads, width / heads)] as const
  const [gate, up, x, norm] = [leaf(tokens, inner), leaf(tokens, inner), leaf(tokens, width), leaf(width)]
  const rotary = rotaryTables(ops.arange(0, tokens).remainder(length), width / heads)
  const both = (body: () => Tensor): number =>
    median(
      Array.from({ length: 7 }, () =>
        time(() =>
          scope(() => {
            const out = body()
            backward(out, { gradient: out.detach() })
          }),
        ),
      ),
    )
  const parts: Record<string, number> = {
    'linear layers (the GEMMs above)': gemm,
    'attention with rotation': layers * both(() => attention(...heads3, { queryStarts: starts, causal: true, rotary })),
    swiglu: layers * both(() => swiglu(gate, up)),
    rmsNorm: (2 * layers + 1) * both(() => rmsNorm(x, norm, 1e-6)),
    'residual additions': 2 * layers * both(() => x.add(x)),
    'softmax and loss without GEMMs': lossOnly(),
    AdamW: (() => {
      for (const [, each] of parametersOf(model)) backward(each.sum())
      const taken = time(() => optimizer.step(0))
      zeroGradients(parametersOf(model).map(([, each]) => each))
      return taken
    })(),
  }
  const known = Object.values(parts).reduce((a, b) => a + b)
  parts['the rest (autograd, embedding, calls, noise)'] = whole - known
  return Object.entries(parts).map(([what, value]) => ({
    what: `  · ${what}`,
    value: `${value.toFixed(1)} ms`,
    bar: `${((100 * value) / whole).toFixed(0)} %`,
  }))
}

function lossOnly(): number {
  const logits = ops.randn([tokens, size.vocabulary])
  const chosen = ops.zeros([tokens], { dtype: 'int64' })
  return time(() => scope(() => crossEntropyOfLogits(logits, chosen, 1)))
}

// ---- memory of scopes -----------------------------------------------------------------------------------------------------------

function scopeMemory(): { ratio: number; rows: Row[] } {
  const iterations = (count: number) => () => {
    for (let i = 0; i < count; i++) {
      scope(() => {
        for (let j = 0; j < 10; j++) ops.zeros([250_000]).add(1) // 2 · 1 MB each
      })
    }
  }
  iterations(20)()
  const tensors = memory().tensors
  const few = peakResident(iterations(20))
  const many = peakResident(iterations(2000))
  if (memory().tensors !== tensors) throw new Error(`live tensors grew from ${tensors} to ${memory().tensors}`)
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
  return {
    ratio: many / few,
    rows: [
      { what: 'peak resident memory of 20 iterations of 20 MB', value: mb(few) },
      { what: 'of 2,000 iterations', value: mb(many), bar: 'live tensors equal' },
      { what: 'scope_memory_ratio', value: (many / few).toFixed(3), bar: '≤ 1.1' },
    ],
  }
}

// ---- the fused loss -------------------------------------------------------------------------------------------------------------

function fusedLoss(): { error: number; memoryRatio: number; timeRatio: number; rows: Row[] } {
  const [count, vocabulary, width] = [2048, 32_768, 512]
  return scope(() => {
    seed(0)
    const make = (rows: number, scale: number): Tensor => ops.randn([rows, width]).mul_(scale)
    const [hidden, head] = [requireGrad(make(count, 1)), requireGrad(make(vocabulary, 0.05))]
    const teacher = { hidden: make(count, 1), head: make(vocabulary, 0.05) }
    const kept: Record<string, Tensor[]> = {}
    const peaks: Record<string, number> = {}
    const run = (name: string, loss: () => Tensor) => () => {
      zeroGradients([hidden, head])
      const before = memory().cpuBytes
      resetPeakMemory()
      scope(() => backward(loss()))
      peaks[name] = memory().cpuPeakBytes - before
      kept[name] ??= [gradient(hidden) as Tensor, gradient(head) as Tensor].map((each) => each.clone())
    }
    const logits = (h: Tensor, w: Tensor): Tensor => h.matmul(w.transpose(0, 1))
    const times = inTurn(
      {
        fused: run('fused', () => linearDivergence({ hidden, head }, teacher, { kind: 'forwardKl' }).loss),
        naive: run('naive', () => {
          const logP = logits(hidden, head).logSoftmax(-1)
          const logQ = noGrad(() => logits(teacher.hidden, teacher.head).logSoftmax(-1))
          return logQ.exp().mul(logQ.sub(logP)).sum().div(count)
        }),
      },
      3,
    )
    const error = Math.max(
      ...(kept['fused'] as Tensor[]).map((own, i) => {
        const naive = (kept['naive'] as Tensor[])[i] as Tensor
        return own.sub(naive).abs().amax().item() / naive.abs().amax().item()
      }),
    )
    const [fused, naive] = [peaks['fused'] as number, peaks['naive'] as number]
    const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
    const timeRatio = ratio(times.fused, times.naive)
    const flops = 2 * count * vocabulary * width
    return {
      error,
      memoryRatio: fused / naive,
      timeRatio,
      rows: [
        { what: `fused loss, T = ${count}, V = ${vocabulary}, D = ${width}`, value: `${median(times.fused).toFixed(0)} ms`, bar: mb(fused) },
        { what: 'the same through whole logits', value: `${median(times.naive).toFixed(0)} ms`, bar: mb(naive) },
        {
          what: 'of which four matrix products',
          value: `${((4 * flops) / 1e9).toFixed(0)} GFLOP`,
          bar: `${((4 * flops) / median(times.fused) / 1e6).toFixed(0)} GFLOP/s`,
        },
        { what: 'fused_grad_error', value: error.toExponential(1), bar: '≤ 1e-5' },
        { what: 'fused_memory_ratio', value: (fused / naive).toFixed(3), bar: '≤ 0.167' },
        { what: 'fused_time_ratio', value: timeRatio.toFixed(2), bar: '≤ 1.0' },
      ],
    }
  })
}

/** Runs all parts; `report` is called with a table after each. */
export function engineBench(report: (text: string) => void): EngineFigures {
  const baseline = loadBaseline()
  const { torch, blasLibrary } = native().describe()
  report(`libtorch ${torch}, ${native().threads()} threads, BLAS ${blasLibrary}\n`)
  const scopes = scopeMemory() // first, while little memory is in use
  const tiny = dispatch(baseline)
  report(table('One tiny operator', tiny.rows))
  const training = step(baseline)
  report(
    table(
      `\nOne training step: width ${size.width}, ${size.layers} layers, ${batch} × ${length} tokens, vocabulary ${size.vocabulary}`,
      training.rows,
    ),
  )
  report(table('\nMemory', scopes.rows))
  const loss = fusedLoss()
  report(table('\nThe distillation loss', loss.rows))
  return {
    dispatch_ratio: tiny.ratio,
    step_ratio: training.stepRatio,
    gemm_bound_ratio: training.boundRatio,
    scope_memory_ratio: scopes.ratio,
    fused_grad_error: loss.error,
    fused_memory_ratio: loss.memoryRatio,
    fused_time_ratio: loss.timeRatio,
  }
}
