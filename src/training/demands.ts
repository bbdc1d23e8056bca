// What a method asks of a configuration and of samples: refused, with what to do about it, before anything is loaded or written.

import type { Config } from '../config/schema.ts'
import type { Sample } from '../data/sample.ts'
import { ArgumentError } from '../errors.ts'
import { activeTerms, needsDependency, usedViews } from '../supervision/check.ts'
import { borrowsImages, promptOf } from '../supervision/contexts.ts'
import type { Method, Term, View } from '../supervision/method.ts'
import { emptyReport, rolloutMetrics, stepMetrics } from './record.ts'
import { answering, validationPrefix } from './validation.ts'

/** Terms that take the student's own tokens for draws from the distribution that they train. */
const estimates = (term: Term): boolean => term.kind === 'reinforce' || (term.kind === 'distill' && term.over === 'sampledToken')

/**
 * Where a gradient is estimated from the student's own tokens, other draws than from what is trained bias it. Reinforcement is allowed top-p
 * (the paper's own has 0.99): what it cuts off is hardly ever drawn.
 */
function checkDraws({ rollout, adapter }: Config, method: Method): void {
  if (method.rollout.by !== 'student') return
  for (const [name, term] of activeTerms(method).filter(([, each]) => estimates(each))) {
    const wanted = {
      'rollout.temperature': [rollout.temperature, term.kind === 'distill' ? term.temperature : 1],
      'rollout.topP': [rollout.topP, term.kind === 'distill' ? 1 : rollout.topP],
      'rollout.topK': [rollout.topK, 0],
      'rollout.minP': [rollout.minP, 0],
      // Rollouts are written without dropout, and scored with it.
      'adapter.dropout': [adapter?.dropout ?? 0, 0],
    } as const
    const wrong = Object.entries(wanted).filter(([, [given, needed]]) => given !== needed)
    if (wrong.length === 0) continue
    throw new ArgumentError(
      `the term ${name} learns from tokens that must be drawn from the very distribution that it trains: set ` +
        wrong.map(([field, [given, needed]]) => `${field} to ${needed} (it is ${given})`).join(', '),
    )
  }
}

/** The metrics of a step, by the names that `stepMetrics` gives them. */
function metricsOf(method: Method): string[] {
  const dependencies = needsDependency(method) ? [Float32Array.of(0)] : []
  return Object.keys(stepMetrics([], { ...emptyReport(method), dependencies }, { rate: 0, norm: 0, skipped: false }, method))
}

/** A misspelt metric would never have a best checkpoint, and nobody would know. */
function checkBest({ checkpoints: { every, best }, validation }: Config, method: Method): void {
  if (best === null) return
  const validated = Object.keys(rolloutMetrics([], answering(method))).map((name) => validationPrefix + name)
  if (!validated.includes(best.metric)) {
    const known = [...metricsOf(method), ...(validation === null ? [] : validated)]
    if (!known.includes(best.metric)) throw new ArgumentError(`checkpoints.best.metric is ${best.metric}; this run has ${known.join(', ')}`)
  } else if (validation === null || every % validation.every !== 0) {
    throw new ArgumentError(
      `checkpoints.best.metric is ${best.metric}, which the steps with checkpoints must have: give validation, and checkpoints.every as a multiple of validation.every`,
    )
  }
}

/** What a method asks of the configuration. @throws ArgumentError that says what to set */
export function checkTogether(config: Config, method: Method): void {
  const { samples } = config.rollout
  const reinforcing = activeTerms(method).find(([, { kind }]) => kind === 'reinforce')
  if (reinforcing !== undefined && samples < 2) {
    throw new ArgumentError(`rollout.samples is ${samples}; the term ${reinforcing[0]} compares the rollouts of one prompt: give 2 or more`)
  }
  checkDraws(config, method)
  checkBest(config, method)
  if (borrowsImages(method) && config.optimisation.batch < 2) {
    throw new ArgumentError('optimisation.batch is 1; a view of the method sees the next sample of the batch: give 2 or more')
  }
  if (method.rollout.by === 'data' && samples > 1) {
    throw new ArgumentError(`rollout.samples is ${samples}; the answers of the method ${method.name} come from the data: give 1`)
  }
}

/** Why a sample is of no use to a method, in words; null if it is of use. */
export function faultFor({ data }: Config, method: Method): (sample: Sample) => string | null {
  const views = [...usedViews(method)]
  const imitated = method.rollout.by === 'data' && data.response.includes('{solution}')
  const referred = data.reference === 'solution' && views.some(([, { sees }]) => sees.includes('reference'))
  const advice = imitated ? 'a data.response without {solution}' : 'data.reference: answer'
  // Without a prompt a view sees an image alone.
  const bare = views.find(([, { prompt }]) => prompt === null)?.[0]
  const looking = bare !== undefined ? `the view ${bare} sees nothing else` : needsDependency(method) ? 'visual dependency is measured by it' : null
  const shown = views.map(([, view]) => view).filter(({ sees }) => sees.includes('image') || sees.includes('blackImage'))
  return (sample) => {
    const { solution, images } = sample
    if (solution === null && (imitated || referred)) return `there is no solution; give data.columns.solution, or ${advice}`
    if (images.length === 0 && looking !== null) return `there is no image, and ${looking}; give data.columns.images, or leave the row out`
    return shown.map((view) => wordingFault(sample, view, method)).find((fault) => fault !== null) ?? null
  }
}

/** Why a view cannot be worded for a sample; null if it can. */
function wordingFault({ problem, images }: Sample, view: View, { prompts }: Method): string | null {
  try {
    promptOf(view, prompts, { problem, reference: '', images }, images)
    return null
  } catch (error) {
    if (error instanceof ArgumentError) return error.message
    throw error
  }
}
