// `sightline base`: brings up a nano base from random weights, and holds one against the rules of acceptance.

import { examine, type MakeOptions, makeBase, readRecord } from '../nano/base.ts'
import { type Acceptance, judge } from '../nano/recipe.ts'
import { setThreads } from '../torch/native.ts'
import type { Output } from './train.ts'

const share = (value: number): string => value.toFixed(3)

function printVerdicts(verdicts: readonly Acceptance[], print: Output['print']): void {
  for (const { measure, value, least, most, kept } of verdicts) {
    print(`${kept ? 'kept  ' : 'broken'}  ${measure.padEnd(26)} ${value === null ? 'none ' : share(value)}  (${share(least)} to ${share(most)})`)
  }
}

/** Tells of progress on a terminal's last line, or now and then as lines. */
function telling({ print, status }: Output, json: boolean): (what: string, done: number, detail: string) => void {
  let last = Number.NEGATIVE_INFINITY
  const started = performance.now()
  return (what, done, detail) => {
    const line = `${what}: ${(100 * done).toFixed(0)} %, ${detail}, ${((performance.now() - started) / 1000).toFixed(0)} s`
    if (json) return print(JSON.stringify({ type: 'progress', share: done, what }))
    if (status !== undefined) return status(line)
    if (done < 1 && performance.now() - last < 10_000) return
    last = performance.now()
    print(line)
  }
}

/** `base make`: a base that is not accepted is written all the same. Exit status 130 after a signal. */
export async function makeBaseCommand(folder: string, options: MakeOptions, output: Output & { readonly json: boolean }): Promise<number> {
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  const record = await makeBase(folder, `${folder}.work`, options, stop.signal, telling(output, output.json))
  process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal)
  if (record === null) {
    output.print(`stopped; the same command goes on with what is in ${folder}.work`)
    return 130
  }
  if (output.json) return 0
  printVerdicts(record.verdicts, output.print)
  output.print(`${folder}: ${record.accepted ? 'accepted' : 'not accepted'}, ${record.seconds} s`)
  return 0
}

/** `base check`: measures it again; the exit status is 0 if it keeps the rules. */
export async function checkBaseCommand(folder: string, output: Output): Promise<number> {
  setThreads(1)
  const record = readRecord(folder)
  const verdicts = judge(record.recipe, await examine(folder, record, telling(output, false)))
  printVerdicts(verdicts, output.print)
  return verdicts.every(({ kept }) => kept) ? 0 : 4
}
