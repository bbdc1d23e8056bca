// Every experiment that can be asked for by name.

import { ArgumentError } from '../errors.ts'
import { grounding } from './grounding.ts'
import { mixed } from './mixed.ts'
import type { ExperimentPlan } from './plan.ts'
import { reinforcement } from './reinforcement.ts'
import { steering } from './steering.ts'

export const experiments: readonly ExperimentPlan[] = [grounding, steering, reinforcement, mixed]

/** @throws ArgumentError for a name that no experiment has */
export function experimentNamed(name: string): ExperimentPlan {
  const found = experiments.find((each) => each.name === name)
  if (found === undefined) {
    throw new ArgumentError(`there is no experiment ${JSON.stringify(name)}; expected one of ${experiments.map((each) => each.name).join(', ')}`)
  }
  return found
}
