// How the benchmarks measure: everything that is compared runs in turn within one process, and ratios are formed round by round.

import { readFileSync, writeFileSync } from 'node:fs'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** Milliseconds that `body` takes. */
export function time(body: () => void): number {
  const start = performance.now()
  body()
  return performance.now() - start
}

/** Runs the contestants in turn, `rounds` times after one warm-up: a machine that slows down slows them all. Milliseconds by name. */
export function inTurn<K extends string>(contestants: { readonly [Name in K]: () => void }, rounds: number): { readonly [Name in K]: number[] } {
  const names = Object.keys(contestants) as K[]
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as { [Name in K]: number[] }
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const taken = time(contestants[name])
      if (round >= 0) times[name].push(taken)
    }
  }
  return times
}

/** The median of the ratios round by round. */
export function ratio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, i) => value / (below[i] as number)))
}

/** The highest resident set (bytes) while `body` runs, from the kernel's own accounting. */
export function peakResident(body: () => void): number {
  writeFileSync('/proc/self/clear_refs', '5')
  body()
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
}

export interface Row {
  readonly what: string
  readonly value: string
  /** The bound that the value is held against, where there is one. */
  readonly bar?: string
}

/** Rows as a table with aligned columns. */
export function table(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map((row) => row.what.length))
  const middle = Math.max(...rows.map((row) => row.value.length))
  const lines = rows.map((row) => `  ${row.what.padEnd(width)}  ${row.value.padStart(middle)}${row.bar === undefined ? '' : `   ${row.bar}`}`)
  return [title, ...lines].join('\n')
}
