// `sightline demo`: the engine at work on real text. A byte-level decoder learns this repository's licence, writes some of it, and
// teaches a smaller one by on-policy distillation: the student writes, the teacher scores the student's own bytes.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createDecoder, type Decoder, type DecoderSize, decode, parametersOf } from '../models/decoder.ts'
import { zeroGradients } from '../torch/autograd.ts'
import { backward } from '../torch/backward.ts'
import { dispose, noGrad, scope } from '../torch/context.ts'
import { tensor } from '../torch/create.ts'
import { linearCrossEntropy, linearDivergence } from '../torch/divergence.ts'
import { memory } from '../torch/memory.ts'
import { ops } from '../torch/operators.ts'
import { AdamW, clipGradients } from '../torch/optimizer.ts'
import { Generator, seed } from '../torch/random.ts'
import { learningRate, type Schedule } from '../torch/schedule.ts'
import type { Tensor } from '../torch/tensor.ts'

const text = readFileSync(fileURLToPath(new URL('../../LICENSE', import.meta.url)))
const vocabulary = 256
const [rows, length, prompt] = [16, 96, 24]
const teacherSize: DecoderSize = { width: 128, layers: 4, heads: 4, inner: 352, vocabulary }
const studentSize: DecoderSize = { width: 96, layers: 2, heads: 3, inner: 256, vocabulary }
const starts = (count: number): number[] => Array.from({ length: rows + 1 }, (_, i) => i * count)

/** `rows` stretches of the text, each `count` bytes long, from random places. */
function stretches(count: number, generator: Generator): number[][] {
  const places = scope(() => ops.randint(0, text.length - count, [rows], { generator }).toArray())
  return places.map((place) => [...text.subarray(place, place + count)])
}

const ids = (lists: readonly (readonly number[])[]): Tensor => tensor(lists.flat(), { dtype: 'int64' })

/** One optimisation step; returns the loss. */
function step(model: Decoder, optimizer: AdamW, rate: number, lossOf: () => Tensor): number {
  const parameters = parametersOf(model).map(([, each]) => each)
  return scope(() => {
    const loss = lossOf()
    backward(loss)
    clipGradients(parameters, 1)
    optimizer.step(rate)
    zeroGradients(parameters)
    return loss.item()
  })
}

/** Continues each list byte by byte, drawn at temperature 1; every list ends equally long. */
function write(model: Decoder, begun: readonly (readonly number[])[], count: number, generator: Generator): number[][] {
  const lists = begun.map((list) => [...list])
  for (let i = 0; i < count; i++) {
    const next = noGrad(() =>
      scope(() => {
        const each = (lists[0] as number[]).length
        const ends = lists.map((_, row) => row * each)
        const hidden = decode(model, ids(lists), [...ends, lists.length * each])
        const last = hidden.indexSelect(
          0,
          tensor(
            ends.map((end) => end + each - 1),
            { dtype: 'int64' },
          ),
        )
        return last.matmul(model.head.transpose(0, 1)).softmax(-1).multinomial(1, false, { generator }).toArray()
      }),
    )
    for (const [row, list] of lists.entries()) list.push(next[row] as number)
  }
  return lists
}

type Progress = (done: number, total: number, text: string) => void

function learn(steps: number, generator: Generator, progress: Progress): Decoder {
  const model = createDecoder(teacherSize)
  const schedule: Schedule = { kind: 'cosine', peak: 3e-3, warmup: Math.round(steps / 15), total: steps }
  using optimizer = new AdamW(parametersOf(model), { rate: 0, weightDecay: 0.01 })
  for (let i = 0; i < steps; i++) {
    const loss = step(model, optimizer, learningRate(schedule, i), () => {
      const lists = stretches(length + 1, generator)
      const hidden = decode(model, ids(lists.map((list) => list.slice(0, -1))), starts(length))
      return linearCrossEntropy({ hidden, head: model.head }, ids(lists.map((list) => list.slice(1)))).loss
    })
    progress(i + 1, steps, `teacher learns the text: ${(loss / Math.LN2).toFixed(2)} bits per byte`)
  }
  return model
}

function distil(teacher: Decoder, steps: number, generator: Generator, progress: Progress): Decoder {
  const student = createDecoder(studentSize)
  using optimizer = new AdamW(parametersOf(student), { rate: 2e-3 })
  for (let i = 0; i < steps; i++) {
    const lists = write(student, stretches(prompt, generator), 24, generator)
    const value = step(student, optimizer, 2e-3, () => {
      const [input, at] = [ids(lists), starts((lists[0] as number[]).length)]
      const hidden = decode(student, input, at)
      const target = noGrad(() => decode(teacher, input, at))
      return linearDivergence({ hidden, head: student.head }, { hidden: target, head: teacher.head }, { kind: 'reverseKl' }).loss
    })
    progress(i + 1, steps, `student learns from its own writing: KL to the teacher ${value.toFixed(3)} nats per byte`)
  }
  return student
}

export interface DemoOptions {
  /** Multiplies the number of steps; tests use less than 1. */
  readonly scale?: number
  readonly print: (line: string) => void
  /** Overwrites the current line; absent where the output is no terminal. */
  readonly status?: ((line: string) => void) | undefined
}

/** Bits per byte of a model on fixed stretches of the text. */
function bitsPerByte(model: Decoder): number {
  const generator = Generator.seeded(999)
  return noGrad(() =>
    scope(() => {
      const lists = stretches(length + 1, generator)
      const hidden = decode(model, ids(lists.map((list) => list.slice(0, -1))), starts(length))
      return linearCrossEntropy({ hidden, head: model.head }, ids(lists.map((list) => list.slice(1)))).loss.item() / Math.LN2
    }),
  )
}

export interface DemoResult {
  readonly teacherBits: number
  readonly studentBits: number
}

/** Runs the demonstration, about a minute on two cores. The same seed gives the same text. */
export function demo({ scale = 1, print, status }: DemoOptions): DemoResult {
  seed(0)
  const generator = Generator.seeded(0)
  const progress = (): Progress => {
    const begin = performance.now()
    return (done, total, line) => {
      const left = ((performance.now() - begin) / done / 1000) * (total - done)
      const full = `${line}, step ${done} of ${total}, ${left.toFixed(0)} s left`
      if (status !== undefined) status(full)
      if (done === total || (status === undefined && done % Math.ceil(total / 5) === 0)) print(full)
    }
  }
  const teacher = learn(Math.max(2, Math.round(300 * scale)), generator, progress())
  const opening = [[...Buffer.from('Subject to the terms and')]]
  print(
    `\nteacher writes: ${JSON.stringify(Buffer.from(write(teacher, opening, Math.round(120 * scale), generator)[0] as number[]).toString('latin1'))}\n`,
  )
  const student = distil(teacher, Math.max(2, Math.round(120 * scale)), generator, progress())
  print(
    `\nstudent writes: ${JSON.stringify(Buffer.from(write(student, opening, Math.round(120 * scale), generator)[0] as number[]).toString('latin1'))}`,
  )
  const result = { teacherBits: bitsPerByte(teacher), studentBits: bitsPerByte(student) }
  print(
    `\nbits per byte of the text: teacher ${result.teacherBits.toFixed(2)}, student ${result.studentBits.toFixed(2)} (which never saw it), uniform 8.00`,
  )
  dispose([parametersOf(teacher), parametersOf(student)])
  const { cpuPeakBytes, tensors } = memory()
  print(`tensor memory: ${(cpuPeakBytes / 1e6).toFixed(0)} MB at the peak, ${tensors} tensors left`)
  return result
}
