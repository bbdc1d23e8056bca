// Puts the instruments to a run: rollouts of held-out samples, what each instrument says of them, and the result as plain data that a file
// can hold.

import { ArgumentError } from '../errors.ts'
import type { Checkpoint } from '../runs/read.ts'
import type { Ratio } from '../supervision/gather.ts'
import type { FeatureStore } from '../supervision/scorers.ts'
import type { Prompted, Rollout } from '../training/rollouts.ts'
import type { BootstrapOptions } from './bootstrap.ts'
import { counterfactualsOf, drawWrong } from './counterfactuals.ts'
import { equalFrequencyBins, measureDependency } from './dependency.ts'
import { type Dynamics, measureDynamics } from './dynamics.ts'
import { type Geometry, measureGeometry } from './geometry.ts'
import { measurePalr, type Palr, type PalrTokens, summarisePalr } from './palr.ts'
import { probeOf } from './probe.ts'
import { probedRows, referenceOf, type Subject } from './subject.ts'

export const instruments = ['palr', 'dependency', 'geometry', 'dynamics'] as const
export type Instrument = (typeof instruments)[number]

/** The version of the form of a diagnosis. */
export const diagnosisVersion = 1

/** Visual dependency of the rollouts' tokens. */
export interface DependencyReport {
  /** Of equal frequency: low < VDS ≤ high, in the lowest low ≤ VDS. */
  readonly bins: readonly { readonly low: number; readonly high: number; readonly dependency: Ratio }[]
  /** By segment of the format. */
  readonly segments: { readonly [segment: string]: Ratio }
}

/** A rollout token by token; lists have an entry for each token. */
export interface DiagnosedRollout {
  /** Id and row of the sample. */
  readonly id: string
  readonly row: number
  readonly problem: string
  readonly answer: string
  readonly answerGiven: string | null
  readonly correct: boolean
  readonly valid: boolean
  readonly tokens: readonly string[]
  readonly segments: readonly string[]
  /** Null where PALR was not asked for, and for invalid rollouts. The term whose teacher is active, and s, c^A and c^I. */
  readonly palr: {
    readonly terms: readonly (string | null)[]
    readonly shift: readonly number[]
    readonly answer: readonly number[]
    readonly image: readonly number[]
  } | null
  /** Null where it was not asked for. */
  readonly dependency: readonly number[] | null
}

/** What `sightline diagnose` writes. Null is what was not asked for. */
export interface Diagnosis {
  readonly version: typeof diagnosisVersion
  readonly method: string
  /** The step of the checkpoint; null for the student as it begins. */
  readonly checkpoint: number | null
  readonly seed: number
  readonly samples: number
  readonly correct: Ratio
  readonly valid: Ratio
  readonly palr: (Palr & { readonly wrongAnswers: number; readonly cap: number | null }) | null
  readonly dependency: DependencyReport | null
  readonly geometry: Geometry | null
  /** By checkpoint, ascending. */
  readonly dynamics: readonly (Dynamics & { readonly step: number })[] | null
  readonly rollouts: readonly DiagnosedRollout[]
}

export interface DiagnoseOptions extends BootstrapOptions {
  /** The checkpoint to look at; null: the student as it begins. */
  readonly checkpoint: Checkpoint | null
  /** Those that dynamics go through. */
  readonly checkpoints: readonly Checkpoint[]
  /** Wrong answers for each sample. */
  readonly wrongAnswers: number
  /** Upper bound of PALR's log-ratios in nats; null for none. */
  readonly cap: number | null
  /** Batches of the geometry: what its intervals resample. */
  readonly batches: number
  /** Leaves tokens of a standard loss up to it out of the geometry; null: none. */
  readonly above: number | null
  /** Told what begins. */
  readonly watch: (phase: string) => void
}

/** As many parts of a list as equal as they can be, in order; none empty. */
function divided<T>(items: readonly T[], parts: number): T[][] {
  const count = Math.min(parts, items.length)
  return Array.from({ length: count }, (_, i) => items.slice(Math.floor((i * items.length) / count), Math.floor(((i + 1) * items.length) / count)))
}

const share = <T>(items: readonly T[], test: (item: T) => boolean): Ratio => ({ sum: items.filter(test).length, count: items.length })
const total = (values: readonly number[]): Ratio => ({ sum: values.reduce((sum, value) => sum + value, 0), count: values.length })

/** How many are drawn from the other samples' (see `drawWrong`), or what is shown in the place of a prompt's reference. */
export type WrongAnswers = number | ((prompt: Prompted) => readonly string[])

/** PALR of rollouts with what it takes: wrong answers of the other samples, and the next sample's image. */
export async function palrOfRollouts(
  { method, trainee, config, seed }: Pick<Subject, 'method' | 'trainee' | 'config' | 'seed'>,
  rollouts: readonly Rollout[],
  store: FeatureStore,
  { wrongAnswers, cap }: { readonly wrongAnswers: WrongAnswers; readonly cap: number | null },
): Promise<(PalrTokens | null)[]> {
  const prompts = [...new Set(rollouts.map(({ prompted }) => prompted))]
  const references = prompts.map((prompt) => referenceOf(prompt, config))
  const shown = prompts.map(({ sample }, i) => ({ answer: sample.answer, reference: references[i] as string }))
  const wrong = typeof wrongAnswers === 'number' ? drawWrong(shown, wrongAnswers, seed) : prompts.map(wrongAnswers)
  const made = await counterfactualsOf(method, prompts, { wrong, references, processors: trainee.processors })
  const rows = rollouts.map(({ ids, division, prompted }) => {
    const { wrong: answers, swapped } = made[prompts.indexOf(prompted)] as (typeof made)[number]
    return { ids, division, contexts: prompted.contexts, wrong: answers, swapped }
  })
  return measurePalr(method, trainee.scorers, rows, store, { tokensPerPass: config.optimisation.tokensPerPass, cap })
}

function dependencyReport(rollouts: readonly Rollout[], values: readonly Float32Array[]): DependencyReport {
  const flat = values.flatMap((each) => Array.from(each))
  const { edges, bins } = equalFrequencyBins(flat)
  const segments = rollouts.flatMap(({ division }) => [...division.segments])
  const names = [...new Set(segments)].sort()
  return {
    bins: edges.slice(0, -1).map((low, bin) => ({
      ...{ low, high: edges[bin + 1] as number },
      dependency: total(flat.filter((_, i) => bins[i] === bin)),
    })),
    segments: Object.fromEntries(names.map((name) => [name, total(flat.filter((_, i) => segments[i] === name))])),
  }
}

/**
 * Diagnoses a run: the instruments that are asked for, on one rollout for each of the subject's samples.
 * @throws ArgumentError where the method does not have what an instrument needs (see `palrFault`, `probeFault`)
 */
export async function diagnose(subject: Subject, what: ReadonlySet<Instrument>, options: DiagnoseOptions): Promise<Diagnosis> {
  const { method, trainee, config, seed } = subject
  const { watch, wrongAnswers, cap, above, draws = 1000 } = options
  const resampling = { seed, draws }
  if (what.has('dynamics') && options.checkpoints.length === 0)
    throw new ArgumentError('dynamics go through the checkpoints of a run, and there are none')
  const probe = what.has('dependency') || what.has('geometry') || what.has('dynamics') ? probeOf(method) : null
  if (options.checkpoint !== null) subject.load(options.checkpoint.folder)
  using store = subject.store()
  watch('rollouts')
  const rollouts = await subject.write(store)
  let palr: (PalrTokens | null)[] | null = null
  if (what.has('palr')) {
    watch('PALR')
    palr = await palrOfRollouts(subject, rollouts, store, { wrongAnswers, cap })
  }
  const rows = probe === null ? [] : await probedRows(probe, rollouts, trainee, config)
  let dependencies: Float32Array[] | null = null
  if (what.has('dependency') && probe !== null) {
    watch('visual dependency')
    dependencies = measureDependency(probe, trainee.scorers, rows, store, config.optimisation)
  }
  let geometry: Geometry | null = null
  if (what.has('geometry') && probe !== null) {
    watch('geometry')
    geometry = measureGeometry(subject.measured(probe), divided(rows, options.batches), store, { ...resampling, above })
  }
  // Last, since it leaves the student at the last checkpoint.
  const dynamics: (Dynamics & { step: number })[] = []
  if (what.has('dynamics') && probe !== null) {
    for (const { step, folder } of options.checkpoints) {
      watch(`dynamics of step ${step}`)
      subject.load(folder)
      using own = subject.store()
      const rows = await probedRows(probe, await subject.write(own), trainee, config)
      dynamics.push({ step, ...measureDynamics(subject.measured(probe), rows, own) })
    }
  }
  return {
    ...{ version: diagnosisVersion, method: method.name, checkpoint: options.checkpoint?.step ?? null, seed, samples: subject.prompts.length },
    correct: share(rollouts, ({ correct }) => correct),
    valid: share(rollouts, ({ division }) => division.valid),
    palr: palr && { ...summarisePalr(method.format, rollouts, palr, resampling), wrongAnswers, cap },
    dependency: dependencies && dependencyReport(rollouts, dependencies),
    geometry,
    dynamics: what.has('dynamics') ? dynamics : null,
    rollouts: rollouts.map((rollout, i) => diagnosedRollout(rollout, palr?.[i] ?? null, dependencies?.[i] ?? null)),
  }
}

function diagnosedRollout(rollout: Rollout, palr: PalrTokens | null, dependency: Float32Array | null): DiagnosedRollout {
  const { sample } = rollout.prompted
  return {
    ...{ id: sample.id, row: sample.row, problem: sample.problem, answer: sample.answer, answerGiven: rollout.answer, correct: rollout.correct },
    valid: rollout.division.valid,
    tokens: rollout.spans.map(([start, end]) => rollout.text.slice(start, end)),
    segments: rollout.division.segments,
    palr: palr && { terms: palr.terms, shift: Array.from(palr.shift), answer: Array.from(palr.answer), image: Array.from(palr.image) },
    dependency: dependency && Array.from(dependency),
  }
}
