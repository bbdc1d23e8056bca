// Looks at every row before training starts, so that a missing image is found in minutes and not in the night.

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { FileFormatError } from '../errors.ts'
import type { Dataset } from './dataset.ts'
import { imageFault } from './images.ts'
import { RowError, type Sample } from './sample.ts'

/** Bad rows that are listed; the rest is counted. */
const listedRows = 10

export interface BadRow {
  readonly row: number
  readonly source: string
  /** From 1; absent in files without lines. */
  readonly line?: number
  readonly reason: string
}

export interface Inspection {
  /** The rows that can be used, ascending. */
  readonly good: Int32Array
  readonly bad: readonly BadRow[]
  /**
   * Of the rows that can be used: their places, their texts, and how many images they have under which names or of which sizes. Wherever
   * the data lie, equal ones have the same.
   */
  readonly sha256: string
}

export interface InspectOptions {
  readonly onBad: 'stop' | 'skip'
  /** What else makes a sample useless to this reader, in words; null if nothing. Nothing by default. */
  readonly fault?: (sample: Sample) => string | null | Promise<string | null>
  /** Told after each row how many were looked at, and how many there are. */
  readonly progress?: (done: number, size: number) => void
}

/**
 * Reads every row once, without decoding images: problem and answer are there and of the right type, images are files that exist or bytes,
 * and begin as an image does. What is damaged farther inside shows when it is decoded.
 *
 * @throws FileFormatError with `stop` if a row is bad, and always if none is good
 */
export async function inspectRows(dataset: Dataset, options: InspectOptions): Promise<Inspection> {
  const good: number[] = []
  const bad: BadRow[] = []
  const hash = createHash('sha256')
  for (let row = 0; row < dataset.size; row++) {
    const found = await lookAt(dataset, row, options)
    options.progress?.(row + 1, dataset.size)
    if (typeof found !== 'string') {
      good.push(row)
      hash.update(JSON.stringify(traitsOf(found)))
      continue
    }
    const { source, line } = dataset.where(row)
    bad.push({ row, source, ...(line === null ? {} : { line }), reason: found })
  }
  if (bad.length > 0 && (options.onBad === 'stop' || good.length === 0)) {
    const advice = good.length === 0 ? 'No row is left.' : "Mend them, or leave them out with data.onBad 'skip'."
    throw new FileFormatError(`${listing(bad, dataset.size)}\n${advice}`)
  }
  return { good: Int32Array.from(good), bad, sha256: hash.digest('hex') }
}

/** What data are known again by; the pixels of images are not among it. */
function traitsOf({ row, id, problem, answer, solution, images }: Sample): unknown {
  return [
    row,
    id,
    problem,
    answer,
    solution,
    images.map((image) => (typeof image !== 'string' || image.startsWith('data:') ? image.length : basename(image))),
  ]
}

/** The sample of a row, or why it cannot be used. */
async function lookAt(dataset: Dataset, row: number, { fault = () => null }: InspectOptions): Promise<Sample | string> {
  try {
    const sample = await dataset.sample(row)
    for (const image of sample.images) {
      const broken = await imageFault(image)
      if (broken !== null) return broken
    }
    return (await fault(sample)) ?? sample
  } catch (error) {
    if (error instanceof RowError) return error.reason
    throw error
  }
}

/** Bad rows in words: how many, and the first of them. */
export function listing(bad: readonly BadRow[], size: number): string {
  const rows = bad
    .slice(0, listedRows)
    .map(({ row, source, line, reason }) => `  row ${row} (${source}${line === undefined ? '' : `:${line}`}): ${reason}`)
  const more = bad.length > listedRows ? [`  and ${bad.length - listedRows} more`] : []
  return [`${bad.length} of ${size} rows cannot be used:`, ...rows, ...more].join('\n')
}
