// Whether a method makes sense beyond the shape of its fields: every name leads somewhere, no teacher trains, no student sees the answer.

import * as z from 'zod'
import { ArgumentError } from '../errors.ts'
import { type DistillTerm, type Method, type MethodTable, methodSchema, type Positions, type Term, type View } from './method.ts'

/** Segments that every rollout has, whatever its format: all its tokens, and what the format's own segments leave over. */
export const commonSegments = ['all', 'delimiters', 'end', 'other'] as const

/** What a term's target is built from; a single view counts once. */
export function summandsOf({ target }: DistillTerm): Exclude<DistillTerm['target'], string>['sum'] {
  return typeof target === 'string' ? [{ view: target, times: 1, gradient: 'stopped' }] : target.sum
}

/** The views that a term needs. */
export function viewsOf(term: Term): readonly string[] {
  return term.kind === 'distill' ? [term.student, ...summandsOf(term).map(({ view }) => view)] : [term.student]
}

/** The terms that count: one of weight 0 is not computed. */
export function activeTerms({ terms }: Method): [string, Term][] {
  return Object.entries(terms).filter(([, { weight }]) => weight !== 0)
}

const gated = (term: Term): boolean => term.kind === 'distill' && term.gates !== null

/** Whether visual dependency decides over some term that counts. */
export function needsDependency(method: Method): boolean {
  return activeTerms(method).some(([, term]) => gated(term))
}

/** The views that something needs: the rollouts, a term that counts, or visual dependency. */
export function usedViews(method: Method): Map<string, View> {
  const { rollout, views, dependency } = method
  const pair = dependency !== null && needsDependency(method) ? [dependency.sighted, dependency.blind] : []
  const names = new Set([rollout.view, ...activeTerms(method).flatMap(([, term]) => viewsOf(term)), ...pair])
  return new Map(Object.entries(views).filter(([name]) => names.has(name)))
}

/** The views that gradients reach. */
export function trainedViews(method: Method): Set<string> {
  return new Set(
    activeTerms(method).flatMap(([, term]) => {
      const flowing = term.kind === 'distill' ? summandsOf(term).filter(({ gradient }) => gradient === 'flows') : []
      return [term.student, ...flowing.map(({ view }) => view)]
    }),
  )
}

const seesImage = ({ sees }: View): boolean => sees.some((thing) => thing === 'image' || thing === 'nextImage')
const quoted = (names: readonly string[]): string => (names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`)

/** Gathers what is wrong with one method. */
class Check {
  readonly faults: string[] = []
  readonly method: Method
  readonly parts: readonly string[]

  constructor(method: Method) {
    this.method = method
    this.parts = method.format.parts.map(({ segment }) => segment)
  }

  fault(where: string, what: string): void {
    this.faults.push(`${where}: ${what}`)
  }

  view(where: string, name: string): View | null {
    const view = Object.hasOwn(this.method.views, name) ? this.method.views[name] : undefined
    if (view === undefined) this.fault(where, `there is no view ${name}; ${quoted(Object.keys(this.method.views))}`)
    return view ?? null
  }

  segment(where: string, name: string): void {
    const known = [...this.parts, ...commonSegments]
    if (!known.includes(name)) this.fault(where, `the format makes no segment ${name}; ${quoted(known)}`)
  }

  format(): void {
    for (const [i, { segment, open, close }] of this.method.format.parts.entries()) {
      const where = `format.parts[${i}]`
      if ((commonSegments as readonly string[]).includes(segment) || this.parts.indexOf(segment) < i) {
        this.fault(where, `the segment ${segment} exists already; name each part differently, and not ${commonSegments.join(', ')}`)
      }
      if (close === 'balanced' && !open.endsWith('{'))
        this.fault(where, `open is ${open}, but a part that closes "balanced" must open with a brace at its end`)
    }
  }

  views(): void {
    for (const [name, view] of Object.entries(this.method.views)) {
      const where = `views.${name}`
      const images = view.sees.filter((thing) => thing.endsWith('mage'))
      if (images.length > 1) this.fault(where, `sees ${images.join(' and ')}; a view sees one image at most`)
      if (new Set(view.sees).size < view.sees.length) this.fault(where, `sees ${view.sees.join(', ')}: something stands twice`)
      if (view.prompt === null) {
        if (images.length !== 1 || view.sees.length !== 1) {
          this.fault(where, `sees ${view.sees.join(', ') || 'nothing'} without a prompt; without one a view sees an image and nothing else`)
        }
      } else this.wording(where, view, view.prompt)
      if (view.reads !== 'all' && !this.parts.includes(view.reads.from)) {
        this.fault(`${where}.reads`, `the format has no part ${view.reads.from}; ${quoted(this.parts)}`)
      }
      if (view.weights === 'ema' && this.method.ema === null) this.fault(where, 'has the weights "ema", but ema.decay is not given')
    }
    const averaged = Object.values(this.method.views).some(({ weights }) => weights === 'ema')
    if (this.method.ema !== null && !averaged) this.fault('ema', 'no view has the weights "ema"; remove it')
  }

  wording(where: string, { sees }: View, name: string): void {
    const prompt = Object.hasOwn(this.method.prompts, name) ? this.method.prompts[name] : undefined
    if (prompt === undefined) {
      this.fault(where, `there is no prompt ${name}; ${quoted(Object.keys(this.method.prompts))}`)
      return
    }
    const text = `${prompt.system ?? ''}${prompt.user}`
    for (const thing of ['problem', 'reference'] as const) {
      const shown = text.includes(`{${thing}}`)
      if (shown && !sees.includes(thing)) this.fault(where, `its prompt ${name} shows {${thing}}, which the view does not see`)
      if (!shown && sees.includes(thing)) this.fault(where, `sees the ${thing}, but its prompt ${name} has no {${thing}}`)
    }
  }

  rollout(): void {
    const { by, view: name } = this.method.rollout
    const view = this.view('rollout.view', name)
    if (view === null) return
    const weights = by === 'teacher' ? 'teacher' : 'student'
    if (view.weights !== weights)
      this.fault('rollout.view', `${name} has the weights "${view.weights}", but rollouts by ${by} need a view of "${weights}"`)
    if (view.sees.includes('reference')) this.fault('rollout.view', `${name} sees the reference: its answers would be copies`)
    if (view.reads !== 'all') this.fault('rollout.view', `${name} reads only a part of what it is to write; let it read all`)
  }

  dependency(): void {
    const { dependency } = this.method
    if (dependency === null) return
    for (const role of ['sighted', 'blind'] as const) {
      const where = `dependency.${role}`
      const view = this.view(where, dependency[role])
      if (view === null) continue
      if (view.weights === 'student') this.fault(where, `${dependency[role]} trains; visual dependency is measured between frozen views`)
      if (view.reads !== 'all') this.fault(where, `${dependency[role]} must read all of the rollout`)
      if (seesImage(view) !== (role === 'sighted')) this.fault(where, `${dependency[role]} ${role === 'sighted' ? 'sees no image' : 'sees an image'}`)
    }
    const [sighted, blind] = [this.method.views[dependency.sighted], this.method.views[dependency.blind]]
    if (sighted && blind && sighted.weights !== blind.weights)
      this.fault('dependency', 'its views have different weights; they must differ in the image alone')
  }

  terms(): void {
    if (activeTerms(this.method).length === 0) this.fault('terms', 'there is none of a weight other than 0: nothing would train')
    for (const [name, term] of Object.entries(this.method.terms)) {
      const where = `terms.${name}`
      const student = this.view(`${where}.student`, term.student)
      if (student !== null) {
        if (student.weights !== 'student') this.fault(`${where}.student`, `${term.student} has the weights "${student.weights}", which do not train`)
        if (student.sees.includes('reference'))
          this.fault(`${where}.student`, `${term.student} sees the reference, which it will not have when it is used`)
      }
      this.positions(where, term)
      if (term.kind === 'distill') this.distillation(where, term)
      if (term.kind === 'reinforce') this.reinforcement(where, term)
    }
  }

  positions(where: string, { on }: Term): void {
    if (on !== 'all' && on.invalid !== undefined && this.parts.length === 0) {
      this.fault(`${where}.on`, 'no rollout is invalid: the format has no parts; leave invalid out')
    }
    if (on === 'all' || on.valid === undefined) return
    const { valid } = on
    if (typeof valid === 'string') this.segment(`${where}.on`, valid)
    else if (Array.isArray(valid)) for (const each of valid) this.segment(`${where}.on`, each)
    else {
      const { from, through } = valid as Extract<Positions, { from: string }>
      for (const end of [from, through])
        if (!this.parts.includes(end)) this.fault(`${where}.on`, `the format has no part ${end}; ${quoted(this.parts)}`)
      if (this.parts.indexOf(from) > this.parts.indexOf(through)) this.fault(`${where}.on`, `${from} comes after ${through}`)
    }
  }

  distillation(where: string, term: DistillTerm): void {
    const { over, divergence, gates, clip } = term
    const summands = summandsOf(term)
    const flows = summands.some(({ gradient }) => gradient === 'flows')
    for (const { view: name, gradient } of summands) {
      const view = this.view(`${where}.target`, name)
      if (view === null) continue
      if (typeof term.target === 'string' && view.weights === 'student') {
        this.fault(
          `${where}.target`,
          `${name} would train: it has the student's weights. Use "base", "ema" or "teacher", or say what is meant: { sum: [{ view: ${name}, times: 1, gradient: stopped }] }`,
        )
      }
      if (gradient === 'flows' && view.weights !== 'student')
        this.fault(`${where}.target`, `no gradient can flow to ${name}: its weights are "${view.weights}"`)
      this.reading(where, term, name, view)
    }
    if (typeof term.target === 'string' ? term.target === term.student : summands.every(({ view }) => view === term.student)) {
      this.fault(`${where}.target`, `${term.student} would be compared with itself`)
    }
    const student = this.method.views[term.student]
    if (student !== undefined) this.reading(where, term, term.student, student)
    if (over !== 'vocabulary' && flows) this.fault(`${where}.target`, 'a gradient flows through a target only over the whole vocabulary')
    if (over === 'sampledToken' && divergence !== 'reverseKl') this.fault(`${where}.over`, 'the sampled token estimates reverseKl only')
    if (gates !== null) {
      if (this.method.dependency === null) this.fault(`${where}.gates`, "visual dependency needs its two views: give the method's dependency")
      if (gates.some(({ above }, i) => i > 0 && above <= (gates[i - 1]?.above ?? 0))) this.fault(`${where}.gates`, 'quantiles must ascend')
    }
    if (clip !== null && clip.token === null && clip.first === null && clip.last === null)
      this.fault(`${where}.clip`, 'it bounds nothing; give token, first or last, or null for none')
  }

  /** A view that reads from a segment on says nothing about invalid rollouts, nor about earlier tokens. */
  reading(where: string, { on }: Term, name: string, { reads }: View): void {
    if (reads === 'all') return
    const valid = on === 'all' ? 'all' : on.valid
    const begins = typeof valid === 'string' ? [valid] : Array.isArray(valid) ? valid : [(valid as { from: string } | undefined)?.from ?? 'all']
    const first = this.parts.indexOf(reads.from)
    if (on === 'all' || on.invalid !== undefined || begins.some((each) => each !== 'end' && this.parts.indexOf(each) < first)) {
      this.fault(`${where}.on`, `${name} reads from ${reads.from} on only, so the term's tokens must lie there, in valid rollouts`)
    }
  }

  reinforcement(where: string, { rewards }: Extract<Term, { kind: 'reinforce' }>): void {
    if (this.method.rollout.by !== 'student')
      this.fault(where, `rollouts by ${this.method.rollout.by} cannot reinforce the student; they must be its own`)
    if (Object.values(rewards).every((value) => value === 0)) this.fault(`${where}.rewards`, 'nothing earns a reward; give correct or valid a number')
    if ((rewards.valid ?? 0) !== 0 && this.parts.length === 0) this.fault(`${where}.rewards`, 'every rollout is valid: the format has no parts')
  }

  scale(): void {
    const { scale, terms } = this.method
    if (typeof scale === 'number') return
    for (const name of [...scale.keep, ...scale.under])
      if (!Object.hasOwn(terms, name)) this.fault('scale', `there is no term ${name}; ${quoted(Object.keys(terms))}`)
    if (scale.keep.every((name) => terms[name]?.weight === 0))
      this.fault('scale', 'the terms to keep have the weight 0: they have no gradient to keep')
    const [keep, under] = [new Set(scale.keep), new Set(scale.under)]
    if (!keep.isSubsetOf(under) || keep.size === under.size) this.fault('scale', 'keep must be a part of under, and not all of it')
  }

  run(): void {
    this.format()
    this.views()
    this.rollout()
    this.dependency()
    this.terms()
    this.scale()
  }
}

/**
 * Completes a table with the defaults and checks that it makes sense.
 * @throws ArgumentError that lists everything that is wrong
 */
export function defineMethod(table: MethodTable): Method {
  const parsed = methodSchema.safeParse(table)
  const called = typeof (table as { name?: unknown } | null)?.name === 'string' ? ` ${table.name}` : ''
  if (!parsed.success) {
    throw new ArgumentError(`method${called}:\n${z.prettifyError(parsed.error)}`)
  }
  const check = new Check(parsed.data)
  check.run()
  if (check.faults.length > 0) throw new ArgumentError(`method${called}:\n${check.faults.map((each) => `  ${each}`).join('\n')}`)
  return parsed.data
}
