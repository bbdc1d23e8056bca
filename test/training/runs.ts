// What the tests of training share: small data sets and configurations, runs that are stopped or broken, and what a run leaves behind.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { TestContext } from 'node:test'
import { type Config, type ConfigInput, configSchema } from '../../src/config/schema.ts'
import { methods } from '../../src/methods/registry.ts'
import { exportModel } from '../../src/models/export.ts'
import { randomModel } from '../../src/models/registry.ts'
import { latestCheckpoint } from '../../src/runs/read.ts'
import { defineMethod } from '../../src/supervision/check.ts'
import type { Method, MethodTable } from '../../src/supervision/method.ts'
import { type Session, train, type Watch } from '../../src/training/loop.ts'
import { openSession } from '../../src/training/session.ts'
import { folderOf, goldensFolder } from '../models/goldens.ts'

export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-training-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface DataRow {
  readonly problem: string
  readonly answer: string | null
  readonly images: readonly string[]
  readonly solution?: string
}

export const imagePath = (name: string): string => join(goldensFolder, 'images', name)
const pictures = ['alpha.png', 'astronaut.jpg', 'figure.png', 'grey.jpg', 'rocket.jpg', 'palette.png', 'tall.png']

/** Numbered questions about pictures of different sizes. */
export function questions(count: number): DataRow[] {
  return Array.from({ length: count }, (_, i) => ({
    problem: `Which number is ${i}?`,
    answer: String(i),
    solution: `It is \\boxed{${i}}`,
    images: [imagePath(pictures[i % pictures.length] as string)],
  }))
}

/** Questions without pictures. */
export const bareQuestions = (count: number): DataRow[] => questions(count).map((row) => ({ ...row, images: [] }))

/** A PNG whose beginning is sound and whose pixels are not there. */
export function brokenImage(folder: string): string {
  const path = join(folder, 'broken.png')
  writeFileSync(path, readFileSync(imagePath('alpha.png')).subarray(0, 200))
  return path
}

export function writeRows(path: string, rows: readonly DataRow[]): string {
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

/** A checkpoint of its own, with other weights than the student's. */
export function otherCheckpoint(folder: string, seed: number, deviation = 0.05): string {
  using model = randomModel(folderOf('qwen2_5_vl'), { seed, deviation })
  exportModel(folder, model)
  return folder
}

/** Pictures of a few tokens, short answers, no transcripts. */
export function configOf(folder: string, rows: readonly DataRow[], { model, rollout, run, ...rest }: Partial<ConfigInput> = {}): Config {
  return configSchema.parse({
    model: { path: folderOf('qwen2_5_vl'), minPixels: 784, maxPixels: 3136, ...model },
    data: { sources: writeRows(join(folder, 'data.jsonl'), rows) },
    rollout: { maxTokens: 6, ...rollout },
    run: { folder: join(folder, 'run'), transcripts: null, ...run },
    ...rest,
  })
}

/** A preset with a patch that replaces whole fields of its table. */
export function presetOf(name: string, changes: Partial<MethodTable> = {}): Method {
  const preset = methods.get(name)
  assert.ok(preset !== undefined, name)
  return defineMethod({ ...preset, ...changes })
}

export interface Interruption {
  readonly resume?: boolean
  /** Asked to stop when this step ends. */
  readonly stopAfter?: number
  /** An error after this step, before it can be saved. */
  readonly failAfter?: number
  readonly watch?: (session: Session, event: Parameters<Watch>[0]) => void
}

/** Runs as long as it is let, and says how it ended. */
export async function runTo(config: Config, method: Method, { resume = false, stopAfter, failAfter, watch }: Interruption = {}): Promise<string> {
  await using session = await openSession(config, method, { resume })
  const stop = new AbortController()
  try {
    return await train(session, stop.signal, (event) => {
      watch?.(session, event)
      if (event.step === stopAfter) stop.abort()
      if (event.step === failAfter) throw new Error('as a test asks')
    })
  } catch (error) {
    if ((error as Error).message !== 'as a test asks') throw error
    return 'failed'
  }
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesIn(path) : [path]))
}

/** Everything that two equal runs have in common, byte for byte: metrics, transcripts, result, and the last checkpoint. */
export function remains(run: string): Map<string, string> {
  const last = latestCheckpoint(run)?.folder
  const parts = [join(run, 'rollouts'), join(run, 'final'), ...(last === undefined ? [] : [last])]
  const files = [join(run, 'metrics.jsonl'), ...parts.flatMap(filesIn)].sort()
  return new Map(
    files.map((path) => {
      const bytes = readFileSync(path)
      const short = path.endsWith('.jsonl') && bytes.length < 4000
      return [relative(run, path), short ? bytes.toString() : createHash('sha256').update(bytes).digest('hex')]
    }),
  )
}

/** Asserts that one run left what another did. */
export function sameRun(run: string, other: string, what: string): void {
  const [a, b] = [remains(run), remains(other)]
  assert.deepEqual([...a.keys()], [...b.keys()], what)
  const differing = [...a].filter(([name, hash]) => b.get(name) !== hash).map(([name]) => name)
  assert.deepEqual(differing, [], `${what}: files that differ`)
}
