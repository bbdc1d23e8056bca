// Which teacher a method makes active at each token of valid rollouts, as PALR asks it: read from the method's own terms.

import { ArgumentError } from '../errors.ts'
import { activeTerms, summandsOf } from '../supervision/check.ts'
import type { Summand } from '../supervision/joint-terms.ts'
import type { DistillTerm, Method } from '../supervision/method.ts'
import { type Divided, planTerms } from '../supervision/plan.ts'
import type { Division } from '../supervision/segments.ts'

/** A term's target with the student view that it is compared with. */
export interface ActiveTeacher {
  /** The term's name. */
  readonly term: string
  readonly student: string
  readonly target: readonly Summand[]
}

/** No teacher. */
export const nobody = -1

export interface ActiveTeachers {
  readonly teachers: readonly ActiveTeacher[]
  /** By row: for each token an index into `teachers`, or `nobody`; in invalid rollouts nobody is active. */
  readonly byRow: readonly Int16Array[]
}

const same = (a: ActiveTeacher, b: ActiveTeacher): boolean =>
  a.student === b.student &&
  JSON.stringify(a.target.map(({ view, times }) => [view, times])) === JSON.stringify(b.target.map(({ view, times }) => [view, times]))

/**
 * The active teachers. Terms that imitate or reinforce have none; terms with the same student and target have one.
 * @throws ArgumentError where no term distils, where gates decide (by quantiles of a batch, so no token has a teacher of its own), and where
 * terms with different targets meet at a token
 */
export function activeTeachers(method: Method, rows: readonly Divided[]): ActiveTeachers {
  const distilling = activeTerms(method).flatMap(([name, term]) => (term.kind === 'distill' ? [[name, term] as const] : []))
  if (distilling.length === 0) throw new ArgumentError(`the method ${method.name} has no term that distils, so no teacher is active at any token`)
  const gated = distilling.find(([, { gates }]) => gates !== null)
  if (gated !== undefined)
    throw new ArgumentError(
      `the method ${method.name}: gates by visual dependency decide where the term ${gated[0]} has a teacher; leave the term out`,
    )
  const teachers = distilling.map(([term, each]: readonly [string, DistillTerm]) => ({ term, student: each.student, target: summandsOf(each) }))
  const byRow = rows.map(({ ids }) => new Int16Array(ids.length).fill(nobody))
  for (const { name, claims } of planTerms(method, rows)) {
    const own = teachers.findIndex(({ term }) => term === name)
    if (own < 0) continue
    for (const { row, positions } of claims) {
      if (rows[row]?.division.valid !== true) continue
      const here = byRow[row] as Int16Array
      for (const t of positions) {
        const other = teachers[here[t] as number]
        if (other !== undefined && !same(other, teachers[own] as ActiveTeacher)) {
          throw new ArgumentError(
            `the method ${method.name}: the terms ${other.term} and ${name} have different teachers at the same token; PALR is defined for one`,
          )
        }
        if (other === undefined) here[t] = own
      }
    }
  }
  return { teachers, byRow }
}

/** A valid rollout with a token of every kind that the method's format knows. */
function specimen({ format }: Method): Divided {
  const parts = format.parts.map(({ segment }) => segment)
  const segments = [...parts.flatMap((part) => ['delimiters', part, 'delimiters']), 'other', 'end']
  const places = Object.fromEntries(parts.map((part, i) => [part, { from: 3 * i + 1, through: 3 * i + 3 }]))
  const division: Division = { valid: true, fault: null, parts, segments, texts: {}, places }
  return { ids: new Int32Array(segments.length), division }
}

/** Why PALR cannot be measured of a method; null if it can. */
export function palrFault(method: Method): string | null {
  try {
    const { byRow } = activeTeachers(method, [specimen(method)])
    return byRow[0]?.every((teacher) => teacher === nobody) === true ? `the method ${method.name} has no teacher in valid rollouts` : null
  } catch (error) {
    if (error instanceof ArgumentError) return error.message
    throw error
  }
}
