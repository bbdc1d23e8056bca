// Looks at every row before training starts, so that a missing image is found in minutes and not in the night.

import { FileFormatError } from '../errors.ts'
import type { Dataset } from './dataset.ts'
import { imageFault } from './images.ts'
import { RowError, type Sample } from './sample.ts'

/** Bad rows that an error lists; it counts the rest. */
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
}

export interface InspectOptions {
  readonly onBad: 'stop' | 'skip'
  /** What else makes a sample useless to this reader, in words; null if nothing. Nothing by default. */
  readonly fault?: (sample: Sample) => string | null
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
  for (let row = 0; row < dataset.size; row++) {
    const reason = await faultOf(dataset, row, options)
    if (reason === null) {
      good.push(row)
      continue
    }
    const { source, line } = dataset.where(row)
    bad.push({ row, source, ...(line === null ? {} : { line }), reason })
  }
  if (bad.length > 0 && (options.onBad === 'stop' || good.length === 0)) throw new FileFormatError(listing(bad, dataset.size, good.length))
  return { good: Int32Array.from(good), bad }
}

async function faultOf(dataset: Dataset, row: number, { fault = () => null }: InspectOptions): Promise<string | null> {
  try {
    const sample = await dataset.sample(row)
    for (const image of sample.images) {
      const broken = await imageFault(image)
      if (broken !== null) return broken
    }
    return fault(sample)
  } catch (error) {
    if (error instanceof RowError) return error.reason
    throw error
  }
}

function listing(bad: readonly BadRow[], size: number, good: number): string {
  const rows = bad
    .slice(0, listedRows)
    .map(({ row, source, line, reason }) => `  row ${row} (${source}${line === undefined ? '' : `:${line}`}): ${reason}`)
  const more = bad.length > listedRows ? [`  and ${bad.length - listedRows} more`] : []
  const advice = good === 0 ? 'No row is left.' : "Mend them, or leave them out with data.onBad 'skip'."
  return [`${bad.length} of ${size} rows cannot be used:`, ...rows, ...more, advice].join('\n')
}
