// Where the goldens of src/processing lie, and how to read them (tools/goldens/processing.py writes them).

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const goldens = fileURLToPath(new URL('../goldens', import.meta.url))

/** The folders of the two families' tiny checkpoints. */
export const families = ['qwen2_5_vl', 'qwen3_vl'] as const

/** The path of a file under test/goldens. */
export function golden(...parts: readonly string[]): string {
  return [goldens, ...parts].join('/')
}

/** The contents of test/goldens/processing/<name>, in the shape that the caller knows its writer gave it. */
export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(golden('processing', name), 'utf8'))
}
