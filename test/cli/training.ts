// What the tests of `sightline train` share: configurations in files, and the command inside this process.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Output, trainCommand } from '../../src/cli/train.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { bareQuestions, configOf, type DataRow } from '../training/runs.ts'

/** Cheap steps: whole answers from the data, no pictures. */
export const cheap = { method: 'sft', adapter: { rank: 1 }, rollout: { maxTokens: 60 } } as const

/** A configuration in a file of its own. */
export function written(
  folder: string,
  changes: Partial<ConfigInput> = {},
  rows: readonly DataRow[] = bareQuestions(3),
): { path: string; run: string } {
  const config = configOf(folder, rows, { ...cheap, optimisation: { batch: 1, steps: 3, rate: 1e-3 }, ...changes })
  const path = join(folder, 'config.yaml')
  writeFileSync(path, stringify(config))
  return { path, run: config.run.folder }
}

export interface Called {
  readonly status: number
  readonly lines: readonly string[]
  readonly statuses: readonly string[]
}

/** The command inside this process. */
export async function call(
  config: string,
  {
    sets = [],
    resume = false,
    show = 'line',
    terminal = false,
  }: { sets?: readonly string[]; resume?: boolean; show?: 'line' | 'json' | 'nothing'; terminal?: boolean } = {},
): Promise<Called> {
  const [lines, statuses]: [string[], string[]] = [[], []]
  const output: Output = { print: (line) => void lines.push(line), status: terminal ? (line) => void statuses.push(line) : undefined }
  return { status: await trainCommand({ config, sets, resume, show }, output), lines, statuses }
}
