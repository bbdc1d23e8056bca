// `npm run bench -- step`: one optimisation step, rollouts given, against the straightforward way to compute it, against the arithmetic
// that it cannot do without, and that of VGS against standard distillation.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { opd, vgs } from '../src/methods/vgs.ts'
import { vigos } from '../src/methods/vigos.ts'
import { type Adapter, plainRun } from '../src/models/linear.ts'
import { attachLora } from '../src/models/lora.ts'
import type { Model } from '../src/models/model.ts'
import { modelParts, trainable } from '../src/models/teacher.ts'
import { Evaluator, type Report } from '../src/supervision/evaluate.ts'
import type { Row } from '../src/supervision/gather.ts'
import type { Method } from '../src/supervision/method.ts'
import { FeatureStore, type Scorers } from '../src/supervision/scorers.ts'
import { gradient, zeroGradients } from '../src/torch/autograd.ts'
import { scope } from '../src/torch/context.ts'
import { memory, resetPeakMemory } from '../src/torch/memory.ts'
import { native } from '../src/torch/native.ts'
import { ops } from '../src/torch/operators.ts'
import { AdamW } from '../src/torch/optimizer.ts'
import type { Tensor } from '../src/torch/tensor.ts'
import { median, peakResident, ratio, type Row as TableRow, table } from './measure.ts'
import { makeModel, merge } from './models.ts'
import { extentOf, languageFlops, pairsOf, visionFlops, vocabularyFlops } from './step-bound.ts'
import { rowsOf, type StepSize, sizes, steeredRows } from './step-data.ts'
import { straightforward } from './step-naive.ts'

/** Rows of a micro-batch of the straightforward way; ours packs as many tokens into a pass as these take there. */
const rowsPerPass = 2
const rate = 1e-5
/** Of adapters, as ViGOS trains them. */
const dropout = 0.05
/** Wider than usual, so that clips bite on some tokens and not on others. */
const deviation = 0.05

interface Peaks {
  /** Bytes of tensors beyond those that were there before. */
  readonly tensors: number
  /** Bytes of the process, likewise. */
  readonly resident: number
}

function peaksOf(body: () => void): Peaks {
  const [tensors, resident] = [memory().cpuBytes, process.memoryUsage.rss()]
  resetPeakMemory()
  const peak = peakResident(body)
  return { tensors: memory().cpuPeakBytes - tensors, resident: peak - resident }
}

/** Milliseconds of processor time that `body` takes: on one thread its time on a machine of its own, whatever else runs on this one. */
function processorTime(body: () => void): number {
  const before = process.cpuUsage()
  body()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** Floating-point operations a second of processor time in large matrix products. */
function matrixRate(): number {
  const side = 1024
  return scope(() => {
    const [a, b] = [ops.rand([side, side]), ops.rand([side, side])]
    const times = Array.from({ length: 9 }, () => processorTime(() => void scope(() => a.mm(b))))
    return (2 * side ** 3) / (median(times) / 1000)
  })
}

/** The contestants in turn; they have run before. Milliseconds of processor time by name. */
function rounds<K extends string>(contestants: { readonly [Name in K]: () => void }, count: number): { readonly [Name in K]: number[] } {
  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, [] as number[]])) as { [Name in K]: number[] }
  for (let round = 0; round < count; round++) for (const name of Object.keys(contestants) as K[]) times[name].push(processorTime(contestants[name]))
  return times
}

interface Step {
  /** Gradients, an update, gradients cleared. If `inspect` is to see the gradients, the update has rate 0. */
  run(inspect?: () => void): Report
  dispose(): void
}

/** A step as the trainer makes it, features included. */
function stepOf(
  method: Method,
  scorers: Scorers,
  parameters: ReadonlyMap<string, Tensor>,
  rows: readonly Row[],
  tokensPerPass: number,
): Step & Disposable {
  const all = [...parameters.values()]
  const evaluator = new Evaluator(method, scorers, all, { tokensPerPass })
  const optimizer = new AdamW(parameters, { rate })
  const dispose = (): void => optimizer[Symbol.dispose]()
  return {
    run: (inspect) => {
      using store = new FeatureStore(4 * tokensPerPass)
      const report = evaluator.accumulate(rows, store, 1)
      inspect?.()
      optimizer.step(inspect === undefined ? rate : 0)
      zeroGradients(all)
      return report
    },
    ...{ dispose, [Symbol.dispose]: dispose },
  }
}

const longestOf = (rows: readonly Row[], view: string): number =>
  Math.max(...rows.map(({ contexts }) => contexts.get(view)?.ids.length ?? 0)) + Math.max(...rows.map(({ ids }) => ids.length))

const parametersOf = (model: Model): number => [...model.parameters.values()].reduce((sum, each) => sum + each.size, 0)
const million = (count: number): string => `${(count / 1e6).toFixed(1)} M`
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
const seconds = (ms: readonly number[]): string => `${(median(ms) / 1000).toFixed(2)} s`
const against = (flops: number, ms: readonly number[], perSecond: number): string =>
  `${(flops / 1e9).toFixed(0)} GFLOP; ${(median(ms) / 1000 / (flops / perSecond)).toFixed(2)} × their time`

// ---- ViGOS against the straightforward way --------------------------------------------------------------------------------------

/** Gradients as numbers, to be compared with others. */
const copyOf = (parameters: ReadonlyMap<string, Tensor>): Float32Array[] =>
  Array.from(parameters.values(), (each) => scope(() => Float32Array.from((gradient(each) as Tensor).dataAs('float32'))))

/** The largest difference of two lists of gradients, relative to the largest number. */
function apart(own: readonly Float32Array[], other: readonly Float32Array[]): number {
  let [difference, largest] = [0, 0]
  for (const [i, numbers] of own.entries()) {
    for (const [j, value] of numbers.entries()) {
      difference = Math.max(difference, Math.abs(value - (other[i]?.[j] as number)))
      largest = Math.max(largest, Math.abs(value))
    }
  }
  return difference / largest
}

function selfDistillation(size: StepSize, model: Model, rows: readonly Row[], perSecond: number, report: (text: string) => void) {
  trainable(model, [])
  using adapter = attachLora(model, { rank: size.rank, alpha: 2 * size.rank, seed: 1, dropout })
  // The two ways drop other inputs, so they are compared without.
  const sure = { ...adapter, dropout: 0 }
  const { parameters } = adapter
  const tower = {}
  const scorersWith = (each: Adapter): Scorers => ({
    student: { model, run: { adapter: each, training: true, recompute: false }, tower },
    base: { model, run: plainRun, tower },
    ...{ towerTrains: false, ema: null, teacher: null },
  })
  const tokensPerPass = rowsPerPass * longestOf(rows, 'student')
  using own = stepOf(vigos, scorersWith(adapter), parameters, rows, tokensPerPass)
  using compared = stepOf(vigos, scorersWith(sure), parameters, rows, tokensPerPass)
  using optimizer = new AdamW(parameters, { rate })
  const naive = (each: Adapter, inspect?: () => void): number => {
    const loss = straightforward(vigos, model, each, rows, rowsPerPass)
    inspect?.()
    optimizer.step(inspect === undefined ? rate : 0)
    zeroGradients(parameters.values())
    return loss
  }

  // Ours first: memory that the other way gave back stays with the process.
  const ownPeaks = peaksOf(() => void own.run())
  const naivePeaks = peaksOf(() => void naive(adapter))
  let [ownGradients, difference] = [[] as Float32Array[], 0]
  const { loss, computed, terms } = compared.run(() => {
    ownGradients = copyOf(parameters)
  })
  const naiveLoss = naive(sure, () => {
    difference = apart(ownGradients, copyOf(parameters))
  })
  if (!(Math.abs(loss - naiveLoss) <= 1e-4 * Math.abs(loss)) || !(difference <= 1e-3)) {
    throw new Error(`the two ways do not compute the same: losses ${loss} and ${naiveLoss}, gradients ${difference} apart`)
  }
  const times = rounds({ own: () => own.run(), naive: () => naive(adapter) }, size.rounds.self)
  const [speedup, memoryRatio] = [ratio(times.naive, times.own), ownPeaks.tensors / naivePeaks.tensors]

  const extent = extentOf(vigos, rows)
  const supervised = [...terms.values()].reduce((sum, { value }) => sum + value.count, 0)
  const flops =
    languageFlops(model, computed.frozen, pairsOf(rows, ['perception', 'reasoning', 'reference'], extent), 1) +
    languageFlops(model, computed.trained, pairsOf(rows, ['student'], extent), 2, adapter) +
    visionFlops(model, rows.length, size.patches ** 2, 1) +
    vocabularyFlops(model, 3 * supervised)
  const clipped = [...terms.values()].reduce((sum, each) => sum + each.clipped.sum, 0) / supervised
  const padded = rows.length * longestOf(rows, 'student')
  report(
    table(`\nViGOS, ${size.name}: ${million(parametersOf(model))} parameters, vocabulary ${size.self.vocabulary}, adapter of rank ${size.rank}`, [
      { what: 'step', value: seconds(times.own), bar: against(flops, times.own, perSecond) },
      { what: 'step, the straightforward way', value: seconds(times.naive) },
      { what: 'speedup', value: speedup.toFixed(2), bar: '≥ 3 at the largest' },
      { what: 'peak of tensors', value: mb(ownPeaks.tensors), bar: `resident ${mb(ownPeaks.resident)}` },
      { what: 'peak of tensors, the straightforward way', value: mb(naivePeaks.tensors), bar: `resident ${mb(naivePeaks.resident)}` },
      { what: 'memory_ratio', value: memoryRatio.toFixed(3), bar: '≤ 0.333 at the largest' },
      { what: 'tokens through teachers', value: `${computed.frozen}`, bar: `of ${3 * rows.length * longestOf(rows, 'reference')} padded` },
      { what: 'tokens through the student', value: `${computed.trained}`, bar: `of ${padded} padded` },
      { what: 'supervised tokens', value: `${supervised}`, bar: `${(100 * clipped).toFixed(0)} % clipped` },
      { what: 'losses differ by', value: Math.abs(loss / naiveLoss - 1).toExponential(1), bar: `gradients ${difference.toExponential(1)}` },
    ]),
  )
  return { speedup, memoryRatio, residentRatio: ownPeaks.resident / naivePeaks.resident, overBound: median(times.own) / 1000 / (flops / perSecond) }
}

// ---- VGS against standard distillation ------------------------------------------------------------------------------------------

/** How much of the student trains. */
const regimes = ['whole', 'adapter'] as const
type Regime = (typeof regimes)[number]

function steering(
  size: StepSize,
  regime: Regime,
  student: Model,
  teacher: Model,
  rows: readonly Row[],
  perSecond: number,
  report: (text: string) => void,
) {
  const whole = regime === 'whole'
  using stack = new DisposableStack()
  trainable(teacher, [])
  const weights = trainable(student, whole ? modelParts : [])
  const adapter = whole ? null : stack.use(attachLora(student, { rank: size.rank, alpha: 2 * size.rank, seed: 1, dropout }))
  const parameters = adapter?.parameters ?? weights
  const scorers: Scorers = {
    student: { model: student, run: { adapter, training: true, recompute: false }, tower: {} },
    teacher: { model: teacher, run: plainRun, tower: {} },
    ...{ towerTrains: whole, base: null, ema: null },
  }
  const tokensPerPass = rowsPerPass * longestOf(rows, 'student')
  const steps = {
    standard: stack.use(stepOf(opd, scorers, parameters, rows, tokensPerPass)),
    steered: stack.use(stepOf(vgs, scorers, parameters, rows, tokensPerPass)),
  }
  const reports = { standard: steps.standard.run(), steered: steps.steered.run() }
  const times = rounds({ standard: () => steps.standard.run(), steered: () => steps.steered.run() }, size.rounds.steered)
  const overhead = ratio(times.steered, times.standard)

  const [images, patches] = [rows.length, size.patches ** 2]
  const tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0)
  const bound = (method: Method, { computed, terms }: Report): number => {
    const pairs = (views: readonly string[]): number => pairsOf(rows, views, extentOf(method, rows))
    const passes = whole ? 3 : 2
    const gated = terms.get('preservation')?.value.count ?? 0
    const sides = method === vgs ? 2 : 1
    return (
      languageFlops(teacher, computed.frozen, pairs(['teacher', 'teacherBlind']), 1) +
      languageFlops(student, computed.trained, pairs(['student', 'studentBlind']), passes, adapter) +
      visionFlops(teacher, images, patches, 1) +
      visionFlops(student, images, patches, whole ? 3 : 1) +
      vocabularyFlops(teacher, sides * tokens) +
      vocabularyFlops(student, sides * tokens + (passes - 1) * (tokens + gated))
    )
  }
  const [standardFlops, steeredFlops] = [bound(opd, reports.standard), bound(vgs, reports.steered)]
  const what = whole ? 'all of the student trains, its vision tower too' : `an adapter of rank ${size.rank} trains`
  const lines: TableRow[] = [
    { what: 'step of standard distillation', value: seconds(times.standard), bar: against(standardFlops, times.standard, perSecond) },
    { what: 'step of VGS', value: seconds(times.steered), bar: against(steeredFlops, times.steered, perSecond) },
    { what: 'their ratio', value: overhead.toFixed(2), bar: `≤ 1.25 at the largest; of arithmetic ${(steeredFlops / standardFlops).toFixed(2)}` },
    {
      what: 'tokens through the teacher',
      value: `${reports.steered.computed.frozen}`,
      bar: `${reports.standard.computed.frozen} in standard distillation`,
    },
    {
      what: 'tokens through the student',
      value: `${reports.steered.computed.trained}`,
      bar: `${reports.standard.computed.trained} in standard distillation`,
    },
  ]
  report(table(`\nVGS, ${size.name}: student ${million(parametersOf(student))}, teacher ${million(parametersOf(teacher))}; ${what}`, lines))
  return { overhead, arithmetic: steeredFlops / standardFlops }
}

// ---- all ------------------------------------------------------------------------------------------------------------------------

export function stepBench(report: (text: string) => void): object {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-bench-'))
  try {
    native().threads(1)
    const perSecond = matrixRate()
    report(`One thread multiplies at ${(perSecond / 1e9).toFixed(0)} GFLOP/s; times are of the processor`)
    const figures = sizes.map((size) => {
      const rows = rowsOf(size, size.self.vocabulary)
      report(
        `\n${size.name}: ${rows.length} rows, images of ${(size.patches / merge) ** 2} tokens, rollouts of ${rows.map(({ ids }) => ids.length).join(', ')}` +
          ` tokens, one of them invalid; ${rowsPerPass} padded rows, or as many tokens, in a pass`,
      )
      using self = makeModel(join(folder, size.name), size.self, deviation)
      const own = selfDistillation(size, self.model, rows, perSecond, report)
      using student = makeModel(join(folder, `${size.name}-student`), size.student, deviation)
      using teacher = makeModel(join(folder, `${size.name}-teacher`), size.teacher, deviation)
      const steered = steeredRows(rowsOf(size, size.student.vocabulary))
      const [whole, adapted] = regimes.map((regime) => steering(size, regime, student.model, teacher.model, steered, perSecond, report))
      return { name: size.name, ...own, vgs: { whole, adapter: adapted } }
    })
    const largest = figures.at(-1)
    return {
      speedup: largest?.speedup,
      memory_ratio: largest?.memoryRatio,
      vgs_overhead: largest?.vgs.whole?.overhead,
      sizes: figures,
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
