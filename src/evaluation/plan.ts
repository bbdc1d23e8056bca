// What an evaluation is: everything that its answers depend on, kept beside them, so that answers of another one are never mixed in.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import * as z from 'zod'
import { ArgumentError } from '../errors.ts'
import { readVersionedIfThere, replaceJson } from '../runs/files.ts'
import { modeNames } from './modes.ts'

/** The newest form of an evaluation's folder that this code reads; the form in which it writes. */
export const planVersion = 1

export const planFile = 'evaluation.json'

const text = z.string()
const natural = z.int().min(0)

const benchmark = z.object({
  name: text,
  /** Where its rows lie: a path, or a data set of the Hub; null where they are drawn. */
  source: text.nullable(),
  /** How they are drawn; null where they are read. */
  drawn: z.object({ seed: natural, count: natural }).nullable(),
  /** Only the first so many rows; null for all. */
  limit: natural.nullable(),
  /** In all shards together. */
  questions: natural,
  /** sha256 of ids, problems, right answers, groups and images. */
  sha256: text,
})

const shard = z.object({ index: z.int().positive(), of: z.int().positive() })

const planSchema = z.object({
  version: z.int(),
  /** The version of Sightline that answers. */
  sightline: text,
  model: z.object({
    /** A folder, or a server and the name of its model, for people. */
    name: text,
    /** What it is: a digest of files, or the server's name of the model. */
    identity: text,
    /** How it is run; empty for a server. */
    options: z.record(text, z.union([text, z.number()])),
  }),
  prompting: z.object({ mode: z.enum(modeNames), system: text.nullable(), user: text, prefill: text }),
  decoding: z.object({ temperature: z.number(), topP: z.number(), topK: natural.nullable(), maxTokens: natural }),
  samples: natural,
  seed: natural,
  benchmarks: z.array(benchmark).readonly(),
  /** Which part of the questions is answered here; null for all. */
  shard: shard.nullable(),
})

export type Plan = z.output<typeof planSchema>
export type PlannedBenchmark = z.output<typeof benchmark>
export type Shard = z.output<typeof shard>

/** Whether a shard answers the question at a place: shards take turns, so that each has some of every kind. */
export const takes = (part: Shard | null, place: number): boolean => part === null || place % part.of === part.index - 1

/** The folder of a shard in that of the whole. */
export const shardFolder = (out: string, { index, of }: Shard): string => join(out, 'shards', `${index}-of-${of}`)

/** Fields that say where things lie: a folder that was moved holds the same. */
const whereabouts = [/^model\.name$/, /^benchmarks\.[^.]+\.source$/]

function leaves(value: unknown, path: string): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]]
  const entries = Array.isArray(value) ? value.map((each, i) => [(each as { name?: string }).name ?? String(i), each]) : Object.entries(value)
  return (entries as [string, unknown][]).flatMap(([key, each]) => leaves(each, path === '' ? key : `${path}.${key}`))
}

const shown = (value: unknown): string => {
  const written = value === undefined ? 'not there' : JSON.stringify(value)
  return written.length > 80 ? `${written.slice(0, 80)}…` : written
}

/** What two plans disagree about, a line each; whereabouts do not count. */
export function differences(there: Plan, here: Plan): string[] {
  const [old, now] = [new Map(leaves(there, '')), new Map(leaves(here, ''))]
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((path) => !whereabouts.some((pattern) => pattern.test(path)) && old.get(path) !== now.get(path))
    .map((path) => `${path}: there ${shown(old.get(path))}, asked for ${shown(now.get(path))}`)
}

/** @throws ArgumentError if questions that were read are not those that a plan is about */
export function checkQuestions(plan: Plan, read: Plan['benchmarks']): void {
  const lines = differences(plan, { ...plan, benchmarks: read })
  if (lines.length > 0) throw new ArgumentError(['these are not the questions that were answered:', ...lines.map((line) => `  ${line}`)].join('\n'))
}

/** The plan of a folder; null where there is none. @throws FileFormatError */
export const readPlan = (folder: string): Plan | null => readVersionedIfThere(join(folder, planFile), planSchema, planVersion)

/**
 * Puts a plan into a folder, or finds it there.
 * @returns whether it was there
 * @throws ArgumentError that names what differs, if another one is there
 */
export function settlePlan(folder: string, plan: Plan): boolean {
  const found = holdsPlan(folder, plan)
  if (!found) replaceJson(join(folder, planFile), plan)
  return found
}

/** Whether a folder holds a plan; false where it holds none. @throws ArgumentError that names what differs, if it holds another one */
export function holdsPlan(folder: string, plan: Plan): boolean {
  const there = readPlan(folder)
  if (there === null) return false
  const lines = differences(there, plan)
  if (lines.length === 0) return true
  throw new ArgumentError(
    [`${folder}: holds another evaluation; give another --out, or ask for what is there:`, ...lines.map((line) => `  ${line}`)].join('\n'),
  )
}

/** The seed of an answer: 53 bits that differ between seeds, benchmarks, questions and samples. */
export function seedOf(seed: number, benchmark: string, id: string, sample: number): number {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, benchmark, id, sample]))
    .digest()
  return Number(digest.readBigUInt64BE() >> 11n)
}
