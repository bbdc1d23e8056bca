// `npm run bench -- generate`: prefill and batched generation on two random models, against transformers on the same folder in the
// same run (where a Python has it), and against what the memory's bandwidth allows.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { plainRun } from '../src/models/linear.ts'
import type { ImageInput, Model } from '../src/models/model.ts'
import { partOf } from '../src/models/teacher.ts'
import { generateAll } from '../src/rollout/generate.ts'
import { inferenceMode, scope } from '../src/torch/context.ts'
import { native } from '../src/torch/native.ts'
import { ops } from '../src/torch/operators.ts'
import { writeSafetensors } from '../src/torch/safetensors-write.ts'
import { matrixRate } from '../src/torch/selftest.ts'
import { median, type Row, ratio, table, time } from './measure.ts'
import { imageToken, type ModelSize, makeModel } from './models.ts'

interface Size extends ModelSize {
  readonly name: string
  readonly newTokens: number
  readonly rounds: number
}

const sizes: readonly Size[] = [
  {
    ...{ name: 'nano', width: 192, inner: 512, layers: 6, heads: 6, groups: 3, headWidth: 32, vocabulary: 4096, newTokens: 64, rounds: 5 },
    vision: { width: 128, depth: 4, heads: 4 },
  },
  {
    ...{ name: 'small', width: 640, inner: 1920, layers: 12, heads: 10, groups: 5, headWidth: 64, vocabulary: 32000, newTokens: 32, rounds: 3 },
    vision: { width: 384, depth: 8, heads: 6 },
  },
]
/** Eight prompts of different lengths, half of them with an image; four samples of each, as on-policy training draws them. */
const textLengths = [24, 40, 64, 96, 32, 120, 48, 80]
const samples = 4
const grid = [1, 16, 16] as const
const pad = 0

interface Prompt {
  readonly ids: readonly number[]
  readonly grid: readonly [number, number, number] | null
}

function promptsOf(vocabulary: number): Prompt[] {
  const imageTokens = (grid[1] * grid[2]) / 4
  return textLengths.map((length, p) => {
    const text = Array.from({ length }, (_, i) => 100 + ((i * 7919 + p * 104729) % (vocabulary - 100)))
    if (p % 2 === 1) return { ids: text, grid: null }
    return { ids: [imageToken + 2, ...new Array<number>(imageTokens).fill(imageToken), imageToken + 3, ...text], grid }
  })
}

function imageOf(model: Model): ImageInput {
  const { channels, temporalPatch, patch } = model.config.vision
  const width = channels * temporalPatch * patch ** 2
  const pixels = Float32Array.from({ length: grid[1] * grid[2] * width }, (_, i) => ((i * 0.6180339887498949) % 1) * 4 - 2)
  return { pixels, grid }
}

/** transformers in a process of its own, asked by lines. */
class Peer {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  private constructor(child: ChildProcess) {
    this.#child = child
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  }
  /** Null where no Python has transformers. */
  static async start(folder: string, threads: number): Promise<{ peer: Peer; versions: Record<string, string> } | null> {
    const pythons = [process.env['LIBTORCH'] ?? '', 'python3'].filter((python) => python.endsWith('python') || python.endsWith('python3'))
    const python = pythons.find((each) => spawnSync(each, ['-c', 'import transformers, torchvision'], { stdio: 'ignore' }).status === 0)
    if (python === undefined) return null
    const script = fileURLToPath(new URL('baseline/generate.py', import.meta.url))
    const peer = new Peer(spawn(python, [script, folder, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] }))
    return { peer, versions: await peer.#answer<Record<string, string>>() }
  }
  async #answer<T>(): Promise<T> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the transformers process ended')
    return JSON.parse(value) as T
  }
  async ask(request: object): Promise<{ seconds: number; tokens: number }> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`)
    return await this.#answer()
  }
  stop(): void {
    this.#child.stdin?.end()
  }
}

/** Bytes a second that all threads read: the sum of a matrix far larger than the caches. */
function readBandwidth(): number {
  return scope(() => {
    const large = ops.ones([64 << 20])
    const taken = Array.from({ length: 5 }, () => time(() => void scope(() => large.sum().item())))
    return (4 * large.size) / (Math.min(...taken) / 1000)
  })
}

interface Machine {
  /** Bytes a second. */
  readonly bandwidth: number
  /** Floating-point operations a second, in matrix products. */
  readonly rate: number
}

export async function generateBench(report: (text: string) => void): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-bench-'))
  const figures: Record<string, unknown> = {}
  try {
    const machine = { bandwidth: readBandwidth(), rate: matrixRate('cpu') * 1e9 }
    report(
      `${native().threads()} threads read ${(machine.bandwidth / 1e9).toFixed(1)} GB/s and multiply at ${(machine.rate / 1e9).toFixed(0)} GFLOP/s`,
    )
    figures['machine'] = machine
    for (const size of sizes) figures[size.name] = await oneSize(join(folder, size.name), size, machine, report)
  } finally {
    rmSync(folder, { recursive: true })
  }
  return figures
}

async function oneSize(folder: string, size: Size, { bandwidth, rate }: Machine, report: (text: string) => void): Promise<object> {
  using checkpoint = makeModel(folder, size)
  const { model } = checkpoint
  writeSafetensors(join(folder, 'model.safetensors'), model.parameters)
  const prompts = promptsOf(size.vocabulary)
  const image = imageOf(model)
  const promptTokens = prompts.reduce((sum, { ids }) => sum + ids.length, 0)
  const weights = [...model.parameters.values()].reduce((sum, { size }) => sum + size, 0)
  const vision = [...model.parameters].filter(([name]) => partOf(name) !== 'language').reduce((sum, [, each]) => sum + each.size, 0)
  const language = weights - vision

  const own = {
    prefill: async (): Promise<void> =>
      inferenceMode(() =>
        scope(() => {
          const shown = prompts.filter((prompt) => prompt.grid !== null)
          const features = model.encodeImages(
            shown.map(() => image),
            plainRun,
          )
          const sequences = prompts.map((prompt) => ({ ids: prompt.ids, images: prompt.grid === null ? [] : features.splice(0, 1) }))
          const hidden = model.hidden(sequences, plainRun)
          let end = 0
          const last = sequences.map(({ ids }) => {
            end += ids.length
            return hidden.narrow(0, end - 1, 1)
          })
          model.logits(ops.cat(last)).amax().item()
        }),
      ),
    generate: async (): Promise<void> => {
      const requests = prompts.map((prompt, p) => ({
        ids: Int32Array.from(prompt.ids),
        images: prompt.grid === null ? [] : [image],
        ...{ samples, seed: p, maxTokens: size.newTokens, sampling: {}, stop: { ids: [], strings: [] } },
      }))
      await generateAll(model, requests, {})
    },
  }
  const requests = {
    prefill: { kind: 'prefill', prompts, pad },
    generate: { kind: 'generate', prompts, pad, samples, tokens: size.newTokens },
  }
  const started = await Peer.start(folder, native().threads())
  const times = { prefill: { own: [] as number[], peer: [] as number[] }, generate: { own: [] as number[], peer: [] as number[] } }
  for (let round = -1; round < size.rounds; round++) {
    for (const kind of ['prefill', 'generate'] as const) {
      const start = performance.now()
      await own[kind]()
      const mine = (performance.now() - start) / 1000
      const theirs = started === null ? null : (await started.peer.ask(requests[kind])).seconds
      if (round < 0) continue
      times[kind].own.push(mine)
      if (theirs !== null) times[kind].peer.push(theirs)
    }
  }
  started?.peer.stop()

  const generated = prompts.length * samples * size.newTokens
  const seconds = { prefill: median(times.prefill.own), generate: median(times.generate.own) }
  // The arithmetic of the products alone; a step of decoding also reads every weight of the language model once, whatever its rows.
  const embedding = size.vocabulary * size.width
  const images = prompts.filter((prompt) => prompt.grid !== null).length
  const patches = images * grid[1] * grid[2]
  const prefillFlop = 2 * ((language - embedding) * promptTokens + vision * patches + embedding * prompts.length)
  const stepSeconds = Math.max((4 * language) / bandwidth, (2 * language * prompts.length * samples) / rate)
  const bound = { prefill: prefillFlop / rate, generate: prefillFlop / rate + (size.newTokens - 1) * stepSeconds }
  const figures = {
    weights,
    promptTokens,
    prefillTokensPerSecond: promptTokens / seconds.prefill,
    generatedTokensPerSecond: generated / seconds.generate,
    prefillSpeedup: started === null ? null : ratio(times.prefill.peer, times.prefill.own),
    generateSpeedup: started === null ? null : ratio(times.generate.peer, times.generate.own),
    prefillOverBound: seconds.prefill / bound.prefill,
    generateOverBound: seconds.generate / bound.generate,
    peer: started?.versions ?? null,
  }
  const against = (speedup: number | null): string => (speedup === null ? 'no Python with transformers here' : `${speedup.toFixed(2)} × transformers`)
  const rows: Row[] = [
    { what: 'prefill and images, tokens/s', value: figures.prefillTokensPerSecond.toFixed(0), bar: against(figures.prefillSpeedup) },
    { what: '  over the arithmetic bound', value: figures.prefillOverBound.toFixed(2), bar: `${(prefillFlop / 1e9).toFixed(1)} GFLOP` },
    { what: 'generation, all included, tokens/s', value: figures.generatedTokensPerSecond.toFixed(0), bar: against(figures.generateSpeedup) },
    {
      what: '  over the bound',
      value: figures.generateOverBound.toFixed(2),
      bar: `a step: ${((4 * language) / 1e6).toFixed(0)} MB of weights, ${((2 * language * prompts.length * samples) / 1e9).toFixed(1)} GFLOP; the slower counts`,
    },
  ]
  const million = (weights / 1e6).toFixed(1)
  report(
    table(
      `${size.name}, ${million} M weights: ${prompts.length} prompts of ${promptTokens} tokens, ${samples} samples of ${size.newTokens} tokens each`,
      rows,
    ),
  )
  return figures
}
