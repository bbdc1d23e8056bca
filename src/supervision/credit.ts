// Rewards of rollouts and what follows from them for reinforcement: how much better each is than the others of its prompt.

import type { ReinforceTerm } from './method.ts'

/** What was found out about a rollout. */
export interface Judged {
  readonly correct: boolean
  readonly valid: boolean
}

/** What a rollout earns under a term. */
export function rewardOf({ rewards }: ReinforceTerm, { correct, valid }: Judged): number {
  return (correct ? (rewards.correct ?? 0) : 0) + (valid ? (rewards.valid ?? 0) : 0)
}

const centring: { readonly [K in ReinforceTerm['advantage']]: { readonly divides: boolean } } = {
  group: { divides: true },
  groupCentred: { divides: false },
}

/**
 * Advantages of the rollouts of one prompt: (r − mean) / s with the sample standard deviation s (GRPO, arXiv 2402.03300), or r − mean.
 * Equal rewards give exactly zero.
 */
export function advantagesOf(kind: ReinforceTerm['advantage'], rewards: readonly number[]): number[] {
  if (rewards.every((reward) => reward === rewards[0])) return rewards.map(() => 0)
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length
  const centred = rewards.map((reward) => reward - mean)
  if (!centring[kind].divides) return centred
  const deviation = Math.sqrt(centred.reduce((sum, each) => sum + each * each, 0) / (rewards.length - 1))
  return centred.map((each) => each / deviation)
}
