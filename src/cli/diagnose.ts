// `sightline diagnose`: what the papers' instruments say of a run, as a table for people and a file for reports.

import { join, resolve } from 'node:path'
import { readConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { palrFault } from '../diagnostics/active.ts'
import type { Estimate } from '../diagnostics/bootstrap.ts'
import { type Diagnosis, diagnose, type Instrument, instruments } from '../diagnostics/diagnosis.ts'
import { probeFault } from '../diagnostics/probe.ts'
import { openSubject } from '../diagnostics/subject.ts'
import { ArgumentError } from '../errors.ts'
import { diagnosisReport } from '../experiments/diagnosis-report.ts'
import { methods } from '../methods/registry.ts'
import { checkWritable, replaceText } from '../runs/files.ts'
import { names } from '../runs/layout.ts'
import { bestCheckpoint, type Checkpoint, checkpointAt, checkpoints, isRun, latestCheckpoint, readRun } from '../runs/read.ts'
import { defineMethod } from '../supervision/check.ts'
import type { Ratio } from '../supervision/gather.ts'
import type { Method, MethodTable } from '../supervision/method.ts'
import { hubAccess } from './hub.ts'
import { resolveMethod } from './method.ts'
import type { Output } from './train.ts'

export interface DiagnoseArguments {
  /** The folder of a run, a configuration file, or the name of a packaged configuration. */
  readonly target: string
  /** Changes of a configuration, `a.b=c` each. */
  readonly sets: readonly string[]
  /** Instruments, separated by commas. */
  readonly what: string
  /** best, last, a step, or none for the student as it begins; undefined: last for a run, none for a configuration. */
  readonly checkpoint: string | undefined
  readonly samples: number
  /** Sources of samples, one after the other; none: the run's validation. */
  readonly data: readonly string[]
  /** Where the diagnosis is written, as JSON. */
  readonly out: string
  /** Where it is written as a page for people; undefined: nowhere. */
  readonly report: string | undefined
  readonly seed: number | undefined
  /** Wrong answers of PALR for each sample. */
  readonly wrong: number
  /** Upper bound of its log-ratios in nats. */
  readonly cap: number | undefined
  /** Least standard loss of a token in the geometry. */
  readonly above: number | undefined
  /** Batches of the geometry. */
  readonly batches: number
}

/** What the command's options are where they are not given. */
export const diagnoseDefaults = { what: 'palr,dependency,geometry', samples: 64, wrong: 4, batches: 8 } as const

/** Why an instrument cannot be put to a method, or null. */
const faults: { readonly [I in Instrument]: (method: Method) => string | null } = {
  palr: palrFault,
  dependency: probeFault,
  geometry: probeFault,
  dynamics: probeFault,
}

function instrumentsOf(what: string, method: Method): Set<Instrument> {
  const asked = what.split(',').map((each) => each.trim())
  for (const each of asked) {
    if (!(instruments as readonly string[]).includes(each))
      throw new ArgumentError(`--what ${what}: "${each}" is none of ${instruments.join(', ')}; give some of them, separated by commas`)
  }
  const chosen = new Set(asked as Instrument[])
  for (const each of chosen) {
    const fault = faults[each](method)
    if (fault === null) continue
    const able = [...methods.values()].filter((other) => faults[each](other) === null).map(({ name }) => name)
    throw new ArgumentError(`--what ${each}: ${fault}. Methods of which it can be measured: ${able.join(', ')}`)
  }
  return chosen
}

async function opened({ target, sets }: DiagnoseArguments): Promise<{ config: Config; method: Method; run: string | null }> {
  if (!isRun(target)) {
    const { config } = readConfig(target, sets)
    return { config, method: await resolveMethod(config), run: null }
  }
  if (sets.length > 0) throw new ArgumentError(`${target}: a run is what it was; leave --set out, or give a configuration`)
  const { method } = readRun(target)
  return { config: readConfig(join(target, names.config)).config, method: defineMethod(method as MethodTable), run: target }
}

/** The checkpoint that is asked for; null for none. */
function checkpointOf(run: string | null, asked: string | undefined): Checkpoint | null {
  const name = asked ?? (run === null ? 'none' : 'last')
  if (name === 'none') return null
  if (run === null) throw new ArgumentError(`--checkpoint ${name}: a configuration has no checkpoints; give the folder of a run, or none`)
  const find = (): Checkpoint | null => {
    if (name === 'last') return latestCheckpoint(run)
    if (name === 'best') return bestCheckpoint(run)
    if (/^\d+$/.test(name)) return checkpointAt(run, Number(name))
    throw new ArgumentError(`--checkpoint ${name}: expected best, last, none or a step`)
  }
  const found = find()
  if (found !== null) return found
  const steps = checkpoints(run).map(({ step }) => step)
  throw new ArgumentError(
    `--checkpoint ${name}: ${run} has none; ${steps.length === 0 ? 'it has no checkpoints' : `there are those of steps ${steps.join(', ')}`}`,
  )
}

const number = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits))
const interval = ({ value, low, high }: Estimate, digits: number): string =>
  low === null ? number(value, digits) : `${number(value, digits)} [${number(low, digits)}, ${number(high, digits)}]`
const percent = ({ sum, count }: Ratio): string => (count === 0 ? '–' : `${((100 * sum) / count).toFixed(0)} %`)
const meanOf = ({ sum, count }: Ratio): string => (count === 0 ? '–' : (sum / count).toPrecision(3))

/** Lines of equal columns. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join('  '))
}

/** A diagnosis for people. */
export function diagnosisTable({ samples, correct, valid, palr, dependency, geometry, dynamics, method, checkpoint }: Diagnosis): string[] {
  const at = checkpoint === null ? 'as it begins' : `at step ${checkpoint}`
  const lines = [`${method} ${at}: ${samples} rollouts, valid ${percent(valid)}, correct ${percent(correct)}`]
  if (palr !== null) {
    lines.push('', `PALR, ${palr.wrongAnswers} wrong answers${palr.cap === null ? '' : `, log-ratios up to ${palr.cap} nats`}`)
    const rows = Object.entries(palr.groups).map(([name, group]) => [name, interval(group, 3), String(group.tokens)])
    lines.push(...columns([['tokens of', 'PALR', 'supervised'], ...rows]))
  }
  if (dependency !== null) {
    lines.push('', 'visual dependency, nats')
    const rows = Object.entries(dependency.segments).map(([name, mean]) => [name, meanOf(mean), String(mean.count)])
    lines.push(...columns([['segment', 'mean', 'tokens'], ...rows]))
  }
  if (geometry !== null) {
    const { above, batches, bins, whole } = geometry
    lines.push('', `angles by visual dependency, degrees, ${batches} batches${above === null ? '' : `, tokens of a standard loss above ${above}`}`)
    const row = (name: string, { tokens, dependency: mean, angles, norms }: (typeof bins)[number] | typeof whole): string[] => [
      ...[name, String(tokens), mean === null ? '–' : mean.toPrecision(3)],
      ...[angles.visLang, angles.stdVis, angles.stdLang].map((angle) => interval(angle, 0)),
      [norms.std, norms.vis, norms.lang].map(({ value }) => (value === null ? '–' : value.toPrecision(2))).join(' '),
    ]
    const head = ['bin', 'tokens', 'VDS', 'Vis-Lang', 'Std-Vis', 'Std-Lang', 'norms Std Vis Lang']
    lines.push(...columns([head, ...bins.map((bin, i) => row(String(i), bin)), row('all', whole)]))
  }
  if (dynamics !== null) {
    lines.push('', 'dynamics, by checkpoint')
    const rows = dynamics.map(({ step, all, dependent, norms, cosine }) => [
      ...[String(step), meanOf(all.vis), meanOf(all.lang), meanOf(dependent.vis), meanOf(dependent.lang)],
      ...[norms.std.toPrecision(2), norms.vis.toPrecision(2), number(cosine, 2)],
    ])
    lines.push(...columns([['step', 'Vis', 'Lang', 'Vis 7-9', 'Lang 7-9', '‖∇Std‖', '‖∇Vis‖', 'cos'], ...rows]))
  }
  return lines
}

/** Measures, writes the files, prints the table; returns the exit status. */
export async function diagnoseCommand(args: DiagnoseArguments, { print, status }: Output): Promise<number> {
  const { config, method, run } = await opened(args)
  // What costs nothing is refused before models are loaded.
  const what = instrumentsOf(args.what, method)
  const checkpoint = checkpointOf(run, args.checkpoint)
  const { out, report } = args
  if (report !== undefined && resolve(report) === resolve(out))
    throw new ArgumentError(`--out and --report are both ${out}; give the page a file of its own, such as ${out.replace(/\.json$/, '')}.html`)
  for (const file of [out, report]) if (file !== undefined) checkWritable(file)
  await using subject = await openSubject(config, method, {
    ...{ sources: args.data.length === 0 ? null : args.data, samples: args.samples },
    ...(args.seed !== undefined && { seed: args.seed }),
    hub: hubAccess(),
  })
  const diagnosis = await diagnose(subject, what, {
    ...{ checkpoint, checkpoints: run === null ? [] : checkpoints(run), wrongAnswers: args.wrong, batches: args.batches },
    ...{ cap: args.cap ?? null, above: args.above ?? null, watch: (phase) => status?.(`${phase} …`) },
  })
  // The numbers first: what was measured is kept, whatever becomes of the page.
  replaceText(out, [`${JSON.stringify(diagnosis)}\n`])
  if (report !== undefined) replaceText(report, [diagnosisReport(diagnosis)])
  for (const line of diagnosisTable(diagnosis)) print(line)
  print('')
  print(`written to ${report === undefined ? out : `${out} and ${report}`}`)
  return 0
}
