// `sightline world`: makes data sets of pictures and questions that Sightline draws itself.

import { worldNamed, worlds } from '../data/worlds/registry.ts'
import { chosenParts, samplesOf } from '../data/worlds/world.ts'
import { type Format, writeWorld } from '../data/worlds/write.ts'
import { ArgumentError } from '../errors.ts'

/** What to make; undefined: the defaults below, or everything the world has. */
export interface WorldArguments {
  readonly action: string
  readonly name: string | undefined
  readonly out: string | undefined
  readonly count: number | undefined
  readonly seed: number | undefined
  /** Names with commas between them. */
  readonly tasks: string | undefined
  readonly splits: string | undefined
  readonly pixels: number | undefined
  readonly format: Format | undefined
}

export interface WorldOutput {
  readonly print: (line: string) => void
  /** A line that is written over; undefined where there is no terminal. */
  readonly status: ((line: string) => void) | undefined
}

const defaults = { count: 1000, seed: 0, format: 'jsonl' } as const

/** Runs `world list` or `world make NAME`; returns the exit status. */
export async function worldCommand(given: WorldArguments, output: WorldOutput): Promise<number> {
  const { action, name } = given
  if (action === 'list' && name === undefined) list(output.print)
  else if (action === 'make' && name !== undefined) await make(name, given, output)
  else throw new ArgumentError(`sightline world ${[action, name].filter(Boolean).join(' ')}: expected "list" or "make NAME"`)
  return 0
}

function list(print: (line: string) => void): void {
  for (const { name, about, tasks, splits } of worlds) {
    print(`${name}: ${about}`)
    print(`  tasks   ${tasks.join(' ')}`)
    print(`  splits  ${splits.join(' ')}`)
  }
}

async function make(name: string, given: WorldArguments, { print, status }: WorldOutput): Promise<void> {
  const world = worldNamed(name)
  const { out, count = defaults.count, seed = defaults.seed, format = defaults.format } = given
  if (out === undefined) throw new ArgumentError('--out is missing: the folder to be made')
  if (!(Number.isSafeInteger(count) && count > 0)) throw new ArgumentError(`--count ${count}: expected an integer from 1 up`)
  const names = (text: string | undefined): string[] | null => text?.split(',').map((each) => each.trim()) ?? null
  const parts = chosenParts(world, { tasks: names(given.tasks), splits: names(given.splits), pixels: given.pixels ?? null })
  const written = await writeWorld(out, samplesOf(world, { ...parts, seed, count }), {
    format,
    facts: { world, seed, ...parts },
    onProgress: (done) => status?.(`${done} of ${count}`),
  })
  status?.('')
  print(`${out}: ${written} samples of the world ${name}`)
}
