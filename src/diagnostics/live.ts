// Instruments that look at a run while it trains, on the rollouts that a step has written anyway and before it learns from them.
//
// They draw from no generator that training draws from and leave weights, gradients and optimiser alone: a run that is watched is the run
// that is not.

import type { Config } from '../config/schema.ts'
import { sameAnswer } from '../data/answers.ts'
import { ArgumentError } from '../errors.ts'
import { positionsOf } from '../supervision/segments.ts'
import type { Instrument } from '../training/loop.ts'
import { type Rollout, seedAt } from '../training/rollouts.ts'
import { palrFault } from './active.ts'
import { palrOfRollouts } from './diagnosis.ts'
import { dynamicsMetrics, measureDynamics } from './dynamics.ts'
import { palrGroups, palrSums } from './palr.ts'
import { probeOf } from './probe.ts'
import { probedRows, type Subject } from './subject.ts'

/** The part of a session that they look at. */
export type Watched = Pick<Subject, 'method' | 'trainee' | 'config'>

const checkCount = (name: string, value: number): void => {
  if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} is ${value}; expected an integer from 1 up`)
}

export interface LivePalrOptions {
  /** Steps between two measurements. */
  readonly every: number
  /** Rollouts of a step that are looked at, at most: the first of each of so many prompts. */
  readonly rollouts: number
  /** Wrong answers for each; they are those of the other prompts. With one, two more passes of the teachers a rollout. */
  readonly wrongAnswers: number
  /** Upper bound of log-ratios in nats; null for none. */
  readonly cap: number | null
}

/** `palr/GROUP` as Σ s·c^A over Σ s·(c^A + c^I), so that steps add up. Counts nothing where all prompts of a step have one answer. */
export function livePalr(watched: Watched, { every, rollouts: most, wrongAnswers, cap }: LivePalrOptions): Instrument {
  checkCount('every', every)
  checkCount('rollouts', most)
  const { method, config } = watched
  return async (step, rollouts, store) => {
    if (step % every !== 0) return {}
    const chosen = rollouts.filter(({ index }) => index === 0).slice(0, most)
    const groups = [...palrGroups(method.format)]
    const first = chosen[0]?.prompted.sample.answer ?? ''
    const comparable = chosen.some(({ prompted }) => !sameAnswer(prompted.sample.answer, first))
    const tokens = comparable
      ? await palrOfRollouts({ ...watched, seed: seedAt(config.run.seed, step) }, chosen, store, { wrongAnswers, cap })
      : chosen.map(() => null)
    return Object.fromEntries(
      groups.map(([name, positions]) => {
        const sums = tokens.flatMap((own, i) => (own === null ? [] : [palrSums(own, positionsOf((chosen[i] as Rollout).division, positions))]))
        return [`palr/${name}`, sums.reduce((a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }), { sum: 0, count: 0 })]
      }),
    )
  }
}

/** The dynamics of VGS by the names that `dynamicsMetrics` gives. Costs about a step's passes for so many rollouts, and two backward passes. */
export function liveDynamics(watched: Watched, { every, rollouts: most }: { readonly every: number; readonly rollouts: number }): Instrument {
  checkCount('every', every)
  checkCount('rollouts', most)
  const { method, trainee, config } = watched
  const probe = probeOf(method)
  const measured = { probe, scorers: trainee.scorers, parameters: [...trainee.parameters.values()], tokensPerPass: config.optimisation.tokensPerPass }
  return async (step, rollouts, store) => {
    if (step % every !== 0) return {}
    const rows = await probedRows(probe, rollouts.slice(0, most), trainee, config)
    return dynamicsMetrics(measureDynamics(measured, rows, store))
  }
}

/** The instruments that a configuration asks for. @throws ArgumentError where the method has not what one needs */
export function liveInstruments(watched: Watched & { readonly config: Pick<Config, 'diagnostics'> }): Instrument[] {
  const { diagnostics } = watched.config
  if (diagnostics === null) return []
  const { palr, dynamics, every, rollouts, wrongAnswers, cap } = diagnostics
  const fault = palr ? palrFault(watched.method) : null
  if (fault !== null) throw new ArgumentError(`diagnostics.palr: ${fault}`)
  return [
    ...(palr ? [livePalr(watched, { every, rollouts, wrongAnswers, cap })] : []),
    ...(dynamics ? [liveDynamics(watched, { every, rollouts })] : []),
  ]
}
