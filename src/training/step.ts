// One optimisation step: rollouts in, gradients of the method's terms, an update that is skipped where the numbers are not finite.

import { activeTerms } from '../supervision/check.ts'
import { advantagesOf, rewardOf } from '../supervision/credit.ts'
import type { Evaluator, Report } from '../supervision/evaluate.ts'
import type { Row } from '../supervision/gather.ts'
import type { Method } from '../supervision/method.ts'
import type { FeatureStore } from '../supervision/scorers.ts'
import { zeroGradients } from '../torch/autograd.ts'
import { dropCheckpoints } from '../torch/backward.ts'
import { type AdamW, clipGradients, gradientNorm } from '../torch/optimizer.ts'
import type { Update } from './record.ts'
import type { Rollout } from './rollouts.ts'
import type { Trainee } from './trainee.ts'

/** A rollout's reward and advantage under a reinforcing term. */
export interface Credit {
  readonly reward: number
  readonly advantage: number
}

/** By term: the credit of each rollout, within the answers to its prompt. */
function creditsOf(method: Method, rollouts: readonly Rollout[]): Map<string, Credit[]> {
  const groups = Map.groupBy(rollouts, ({ prompted }) => prompted)
  return new Map(
    activeTerms(method).flatMap(([name, term]) => {
      if (term.kind !== 'reinforce') return []
      const credit = new Map<Rollout, Credit>()
      for (const group of groups.values()) {
        const rewards = group.map(({ correct, division }) => rewardOf(term, { correct, valid: division.valid }))
        const advantages = advantagesOf(term.advantage, rewards)
        for (const [i, rollout] of group.entries()) credit.set(rollout, { reward: rewards[i] as number, advantage: advantages[i] as number })
      }
      return [[name, rollouts.map((rollout) => credit.get(rollout) as Credit)] as const]
    }),
  )
}

function rowsOf(rollouts: readonly Rollout[], credits: ReadonlyMap<string, readonly Credit[]>): Row[] {
  return rollouts.map(({ ids, division, prompted, logprobs }, i) => ({
    ...{ ids, division, contexts: prompted.contexts },
    advantages: new Map(Array.from(credits, ([name, all]) => [name, (all[i] as Credit).advantage])),
    logprobs: logprobs ?? new Float32Array(ids.length),
  }))
}

export interface StepResult {
  readonly report: Report
  readonly update: Update
  /** Under the first reinforcing term; null where there is none. */
  readonly credits: readonly (Credit | null)[]
  readonly seconds: { readonly teachers: number; readonly student: number; readonly update: number }
}

/**
 * Learns from the rollouts of one step. A loss or gradient that is not finite leaves weights and optimiser as they are.
 * @param step 0 for the first
 */
export function learn(
  {
    method,
    trainee,
    evaluator,
    optimizer,
  }: { readonly method: Method; readonly trainee: Trainee; readonly evaluator: Evaluator; readonly optimizer: AdamW },
  rollouts: readonly Rollout[],
  store: FeatureStore,
  { step, rate, maxNorm }: { readonly step: number; readonly rate: number; readonly maxNorm: number | null },
): StepResult {
  const credits = creditsOf(method, rollouts)
  const parameters = [...trainee.parameters.values()]
  const { scale } = evaluator
  try {
    const report = evaluator.accumulate(rowsOf(rollouts, credits), store, step)
    const started = performance.now()
    const norm = maxNorm === null ? gradientNorm(parameters) : clipGradients(parameters, maxNorm)
    // A measured scale is 0 where a norm overflowed that single gradients did not.
    const skipped = !(Number.isFinite(norm) && Number.isFinite(report.loss) && report.scale > 0)
    if (!skipped) {
      optimizer.step(rate)
      trainee.average?.update()
    } else {
      // It may have been measured on these gradients, and would be used for steps to come.
      evaluator.scale = scale
    }
    const [first] = credits.values()
    return {
      ...{ report, update: { rate, norm, skipped }, credits: first ?? rollouts.map(() => null) },
      seconds: { teachers: report.seconds.frozen, student: report.seconds.trained, update: (performance.now() - started) / 1000 },
    }
  } finally {
    zeroGradients(parameters)
    dropCheckpoints()
  }
}
