// The four distributions of VGS (arXiv 2606.00564) read off a method: student and teacher, each with and without the image, and the losses
// between them, written in the language of methods.

import { ArgumentError } from '../errors.ts'
import { activeTerms, defineMethod, summandsOf } from '../supervision/check.ts'
import type { DistillTerm, Method, MethodTable, View } from '../supervision/method.ts'

/** ℓ_Std = KL(p‖q), ℓ_Vis = KL(p‖q*) with q* = softmax(log p₀ + log q − log q₀), ℓ_Lang = KL(p₀‖q₀) (eq. 3, 11, 6). */
export const losses = ['std', 'vis', 'lang'] as const
export type Loss = (typeof losses)[number]

/** A method of three terms of weight 1, one for each loss; visual dependency is KL(q‖q₀) (eq. 12). */
export interface Probe {
  readonly method: Method
  readonly terms: { readonly [L in Loss]: DistillTerm }
  /** p, p₀, q and q₀ by the names of their views. */
  readonly views: { readonly student: string; readonly studentBlind: string; readonly teacher: string; readonly teacherBlind: string }
}

const images: readonly string[] = ['image', 'blackImage', 'nextImage']
const blinded = ({ sees }: View): View['sees'] => sees.filter((thing) => !images.includes(thing))

/** The view that is `name` without its image: one that the method has, else a new one. */
function blindOf(method: Method, name: string): [string, View] {
  const view = method.views[name] as View
  if (view.prompt === null)
    throw new ArgumentError(`the method ${method.name}: the view ${name} shows an image and nothing else; without it nothing is left`)
  const blind: View = { ...view, sees: blinded(view) }
  const key = ({ sees, ...rest }: View): string => JSON.stringify([[...sees].sort(), rest.weights, rest.prompt, rest.prefill, rest.reads])
  return Object.entries(method.views).find(([, other]) => key(other) === key(blind)) ?? [`${name}-without-image`, blind]
}

/** Student and teacher: those of the term whose target is the sighted view of the method's `dependency`, else of its only pair. */
function pairOf(method: Method): { readonly student: string; readonly teacher: string } {
  const pairs = activeTerms(method).flatMap(([, term]) => {
    if (term.kind !== 'distill') return []
    const [first, ...others] = summandsOf(term)
    const single = first !== undefined && others.length === 0 && first.times === 1
    const sighted = (name: string): boolean => method.views[name]?.sees.includes('image') === true
    return single && sighted(first.view) && sighted(term.student) ? [{ student: term.student, teacher: first.view }] : []
  })
  const named = method.dependency === null ? pairs : pairs.filter(({ teacher }) => teacher === method.dependency?.sighted)
  const [pair, ...others] = [...new Map(named.map((each) => [`${each.student} ${each.teacher}`, each])).values()]
  if (pair === undefined) {
    throw new ArgumentError(
      `the method ${method.name} has no term that draws a student with the image to one teacher with the image: nothing to measure visual dependency of`,
    )
  }
  if (others.length > 0) {
    const teachers = [pair, ...others].map(({ teacher }) => teacher).join(', ')
    throw new ArgumentError(
      `the method ${method.name} has several teachers that see the image (${teachers}); say which one with its dependency: {sighted, blind}`,
    )
  }
  return pair
}

/**
 * The probe of a method: its own views where it has them, else made by leaving the image out.
 * @param options.gradient whether ∇ℓ_Vis also goes through p₀ inside q* (the paper does not say); it is stopped by default
 * @throws ArgumentError where the method has no such teacher, or several and no `dependency`
 */
export function probeOf(method: Method, { gradient = 'stopped' }: { readonly gradient?: 'stopped' | 'flows' } = {}): Probe {
  const { student, teacher } = pairOf(method)
  const [studentBlind, p0] = blindOf(method, student)
  const [teacherBlind, q0] =
    method.dependency === null ? blindOf(method, teacher) : [method.dependency.blind, method.views[method.dependency.blind] as View]
  const { prompts, format, views, ema } = method
  const reverse = { kind: 'distill', on: 'all', divergence: 'reverseKl', mean: 'tokens' } as const
  const table = {
    ...{ name: `${method.name}-probe`, source: 'arXiv 2606.00564, eq. 3, 6, 11', rollout: { by: 'student', view: student }, prompts, format },
    views: { [student]: views[student] as View, [teacher]: views[teacher] as View, [studentBlind]: p0, [teacherBlind]: q0 },
    dependency: { sighted: teacher, blind: teacherBlind },
    ema: views[teacher]?.weights === 'ema' ? ema : null,
    terms: {
      std: { ...reverse, student, target: teacher },
      vis: {
        ...{ ...reverse, student },
        target: {
          sum: [
            { view: studentBlind, times: 1, gradient },
            { view: teacher, times: 1 },
            { view: teacherBlind, times: -1 },
          ],
        },
      },
      lang: { ...reverse, student: studentBlind, target: teacherBlind },
    },
  } as const satisfies MethodTable
  const defined = defineMethod(table)
  const term = (name: Loss): DistillTerm => defined.terms[name] as DistillTerm
  return {
    method: defined,
    terms: { std: term('std'), vis: term('vis'), lang: term('lang') },
    views: { student, studentBlind, teacher, teacherBlind },
  }
}

/** Why a method has no probe; null if it has one. */
export function probeFault(method: Method): string | null {
  try {
    probeOf(method)
    return null
  } catch (error) {
    if (error instanceof ArgumentError) return error.message
    throw error
  }
}
