// The worlds by name.

import { ArgumentError } from '../../errors.ts'
import { blindWorld } from './blind/blind.ts'
import { naturalWorld, priorWorld } from './prior/world.ts'
import type { World } from './world.ts'

export const worlds: readonly World[] = [priorWorld, naturalWorld, blindWorld]

/** @throws ArgumentError for a name that no world has */
export function worldNamed(name: string): World {
  const world = worlds.find((each) => each.name === name)
  if (world === undefined)
    throw new ArgumentError(`there is no world ${JSON.stringify(name)}; expected one of ${worlds.map((each) => each.name).join(', ')}`)
  return world
}
