// A scene: up to three things, one to a quarter of the picture, as it truly is. Pure values; the picture is drawn from them.

import type { Random } from '../random.ts'
import { type Attribute, attributes, type Kind, kinds, type Place, places, values } from './things.ts'

export interface Thing extends Readonly<Record<Attribute, string>> {
  readonly name: string
  readonly place: Place
}

/** Between them every attribute of a thing is free unless it is what everybody expects. */
export interface SceneOptions {
  readonly things: number
  /** Probability that a thing shows its typical value. */
  readonly typical: number
}

/** Things come in ones, unless their number is what is remarkable about them. */
function freeValue(random: Random, kind: Kind, attribute: Attribute, except?: string): string {
  if (attribute === 'count' && kind.attribute !== 'count') return 'one'
  return random.choose(values[attribute].filter((value) => value !== except))
}

/** A thing of a kind at a place; `typical` says whether it is as everybody expects. */
export function drawThing(random: Random, kind: Kind, place: Place, typical: boolean): Thing {
  const drawn = Object.fromEntries(
    attributes.map((attribute) => {
      if (attribute !== kind.attribute) return [attribute, freeValue(random, kind, attribute)]
      return [attribute, typical ? kind.typical : freeValue(random, kind, attribute, kind.typical)]
    }),
  ) as Record<Attribute, string>
  return { name: kind.name, place, ...drawn }
}

/** A scene in which the thing of kind `first` is as `firstTypical` says; things stand in reading order. */
export function drawScene(random: Random, first: Kind, firstTypical: boolean, { things, typical }: SceneOptions): readonly Thing[] {
  const others = random.shuffled(kinds.filter(({ name }) => name !== first.name)).slice(0, things - 1)
  const where = random.shuffled(places).slice(0, things)
  const drawn = [first, ...others].map((kind, i) => drawThing(random, kind, where[i] as Place, i === 0 ? firstTypical : random.chance(typical)))
  return drawn.sort((a, b) => places.indexOf(a.place) - places.indexOf(b.place))
}
