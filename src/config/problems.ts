// What is wrong with a configuration, in words: where, what was given, what is allowed, and which name was probably meant.

import type * as z from 'zod'
import { configFields, nodeAt, propertiesOf, requiredFields, wordsOf } from './json-schema.ts'
import { isObject } from './merge-patch.ts'

/** One thing that is wrong with a configuration. */
export interface Problem {
  readonly path: readonly PropertyKey[]
  readonly text: string
  /** Whether the field is required and was not given. */
  readonly missing: boolean
}

/** A path as people write it: `data.sources[0]`. */
export const written = (path: readonly PropertyKey[]): string =>
  path.map((each, i) => (typeof each === 'number' ? `[${each}]` : `${i === 0 ? '' : '.'}${String(each)}`)).join('')

const shown = (value: unknown): string => (typeof value === 'number' ? String(value) : JSON.stringify(value).slice(0, 200))

/** What lies at a path, or undefined. */
export function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  let value = values
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<PropertyKey, unknown>>)[name]
  }
  return value
}

/** Letters that must be inserted, removed or replaced to make one word of the other (Levenshtein's distance). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

/** Names are compared without case, hyphens and underscores: max_tokens is meant as maxTokens. */
const plain = (name: string): string => name.replace(/[-_]/g, '').toLowerCase()

/** The candidate that is spelt most alike, or null if none comes near: at most one letter in three differs. */
export function nearest(name: string, candidates: readonly string[]): string | null {
  const ranked = candidates.map((candidate) => ({ candidate, far: distance(plain(name), plain(candidate)) })).sort((a, b) => a.far - b.far)
  const best = ranked[0]
  return best !== undefined && best.far <= plain(name).length / 3 ? best.candidate : null
}

/** What fields are called by others (Hugging Face's Trainer and TRL), as `plain` has it. */
const aliases: Readonly<Record<string, string>> = {
  lr: 'optimisation.rate',
  learningrate: 'optimisation.rate',
  batchsize: 'optimisation.batch',
  perdevicetrainbatchsize: 'optimisation.batch',
  maxgradnorm: 'optimisation.maxNorm',
  numtrainepochs: 'optimisation.epochs',
  maxsteps: 'optimisation.steps',
  warmupsteps: 'optimisation.warmup',
  gradientcheckpointing: 'optimisation.recompute',
  numgenerations: 'rollout.samples',
  maxcompletionlength: 'rollout.maxTokens',
  savesteps: 'checkpoints.every',
  outputdir: 'run.folder',
}

/** The fields of the whole configuration that a name may mean: those of the same name, else the one that is spelt most alike. */
function anywhere(name: string): string[] {
  const alias = Object.hasOwn(aliases, plain(name)) ? aliases[plain(name)] : undefined
  if (alias !== undefined) return [alias]
  const leaf = (path: string): string => path.split('.').at(-1) ?? ''
  const paths = configFields().map(({ path }) => path)
  const near = paths.some((path) => plain(leaf(path)) === plain(name)) ? name : nearest(name, paths.map(leaf))
  return near === null ? [] : paths.filter((path) => plain(leaf(path)) === plain(near))
}

function unknownName(path: readonly PropertyKey[], name: string): string {
  const siblings = Object.keys(propertiesOf(nodeAt(path) ?? {}) ?? {})
  const near = nearest(name, siblings)
  const meant = near === null ? anywhere(name) : [written([...path, near])]
  const advice = meant.length > 0 ? `did you mean ${meant.join(' or ')}?` : `there are ${siblings.join(', ')}`
  return `${written([...path, name])}: there is no such field; ${advice}`
}

function missing(path: readonly PropertyKey[]): Problem {
  const node = nodeAt(path) ?? {}
  return { path, text: `${written(path)} is missing; expected ${wordsOf(node)}: ${node.description}`, missing: true }
}

/** The issues that the schema found with a configuration, as problems; a missing section counts as its missing fields. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], given: unknown): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const { path } = issue
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((name) => ({ path: [...path, name], text: unknownName(path, name), missing: false }))
    }
    const node = nodeAt(path) ?? {}
    const value = valueAt(given, path)
    if (issue.code === 'custom') return [{ path, text: `${written(path)} is ${shown(value ?? null)}; expected ${issue.message}`, missing: false }]
    if (value === undefined) return isObject(propertiesOf(node)) ? requiredFields(node).map((rest) => missing([...path, ...rest])) : [missing(path)]
    return [{ path, text: `${written(path)} is ${shown(value)}; expected ${wordsOf(node)}`, missing: false }]
  })
}
