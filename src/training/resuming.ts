// Whether a run may go on: as it began, but for the few settings that decide over its memory, its files or its rescue and not over what it learns.

import { mergePatch } from '../config/merge-patch.ts'
import type { Config } from '../config/schema.ts'
import { ArgumentError } from '../errors.ts'
import { isRun, readRun } from '../runs/read.ts'
import { checkVacant } from '../runs/run.ts'
import type { DataInfo } from '../runs/schema.ts'
import type { Method } from '../supervision/method.ts'

interface Difference {
  readonly path: string
  readonly stored: unknown
  readonly given: unknown
}

const bits = 'the last bits of its numbers may differ'
const packing = `${bits}, and with adapter.dropout what is dropped`

/** What may change, and what that does to the numbers. */
const changeable: { readonly [path: string]: string } = {
  'data.onBad': 'rows that cannot be used are left out from now on',
  'run.badSteps': '',
  'run.transcripts': '',
  'run.threads': bits,
  'checkpoints.every': '',
  'checkpoints.keep': '',
  'optimisation.tokensPerPass': packing,
  'optimisation.recompute': packing,
  'rollout.maxRows': bits,
}

/** Where two JSON values differ. */
function differences(stored: unknown, given: unknown, path = ''): Difference[] {
  if (JSON.stringify(stored) === JSON.stringify(given)) return []
  const parts = [stored, given].every((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
  if (!parts) return [{ path, stored, given }]
  const [a, b] = [stored, given] as [Record<string, unknown>, Record<string, unknown>]
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) => differences(a[key], b[key], path === '' ? key : `${path}.${key}`))
}

/** The changeable setting that a difference lies in; undefined for none. */
function settingOf({ path, given }: Difference): string | undefined {
  // The other way would stop over rows that the run has done without so far.
  if (path === 'data.onBad' && given !== 'skip') return undefined
  return Object.keys(changeable).find((setting) => path === setting || path.startsWith(`${setting}.`))
}

/**
 * What a run that goes on does otherwise than it began, in words; nothing where all is as it was.
 * @throws ArgumentError for any other difference, with all of them
 */
function changesOf(folder: string, config: Config, method: Method): string[] {
  const run = readRun(folder)
  // A folder that was moved, or is called by another path, is still the run.
  const placed = (given: unknown): unknown => mergePatch(given, { run: { folder } })
  const found = [
    ...differences(placed(run.config), placed(JSON.parse(JSON.stringify(config)))),
    ...differences(run.method, JSON.parse(JSON.stringify(method)), 'method'),
  ]
  const refused = found.filter((each) => settingOf(each) === undefined)
  if (refused.length > 0) {
    const lines = refused.map(({ path, stored, given }) => `  ${path}: ${JSON.stringify(stored)} in the run, ${JSON.stringify(given)} now`)
    throw new ArgumentError(
      `${folder}: the run began with another configuration:\n${lines.join('\n')}\n` +
        'Resume it with what it began with (give the run folder in the place of the configuration), or give another run.folder. ' +
        `What may change is data.onBad to skip, ${Object.keys(changeable).slice(1).join(', ')}`,
    )
  }
  return found.map((each) => {
    const effect = changeable[settingOf(each) ?? '']
    return `${each.path}: ${JSON.stringify(each.stored)} → ${JSON.stringify(each.given)}${effect === '' ? '' : ` (${effect})`}`
  })
}

/**
 * Whether the folder holds a run to go on with, and with what changes; null where a run begins.
 * @throws ArgumentError where it holds one that may not go on
 */
export function goesOn(config: Config, method: Method, resume: boolean): { readonly changes: readonly string[] } | null {
  const { folder } = config.run
  if (!isRun(folder)) {
    checkVacant(folder)
    return null
  }
  if (!resume) throw new ArgumentError(`${folder}: holds a run already; go on with it with --resume, or give another run.folder`)
  return { changes: changesOf(folder, config, method) }
}

/**
 * Refuses to go on with other data than a run began with: its place in their order would mean other samples.
 * @throws ArgumentError that says what differs
 */
export function checkData(folder: string, now: DataInfo): void {
  const { data: then } = readRun(folder).run
  if (then === undefined) return
  const counts = (['rows', 'usable'] as const).flatMap((name) =>
    then[name] === now[name] ? [] : [`${then[name]} ${name === 'rows' ? 'rows' : 'usable rows'} when it began, ${now[name]} now`],
  )
  if (counts.length === 0 && then.sha256 === now.sha256) return
  const what = counts.length > 0 ? counts.join('; ') : 'as many rows as when it began, but some hold something else'
  throw new ArgumentError(`${folder}: the data of this run have changed: ${what}. Restore them, or begin another run in another run.folder`)
}
