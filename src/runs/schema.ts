// What the files of a run folder hold: the contract between the trainer that writes it and every viewer that reads it.
//
// Fields that are not listed here are passed over, so that a viewer reads what a somewhat newer trainer wrote; a change that would mislead
// it gets a new version.

import * as z from 'zod'

/** The newest form of a run folder, and of its checkpoints, that this code reads; the form in which it writes. */
export const runVersion = 1
export const checkpointVersion = 1

/** Any number, also those for which JSON has no word: they stand in the files as texts. */
const real = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)])
const natural = z.int().min(0)
const list = <T extends z.ZodType>(item: T) => z.array(item).readonly()

/** One line of JSON, or a file of it. Numbers that are not finite become texts, which the schemas here turn back. */
export function encode(value: unknown, indent = 0): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'number' && !Number.isFinite(part) ? String(part) : part), indent)
}

const metric = z.object({ sum: real, count: real })
const metrics = z.record(z.string(), metric)

/** A mean as numerator and count, so that means of several steps or machines can be made exactly. */
export type Metric = Readonly<z.output<typeof metric>>
export type Metrics = Readonly<Record<string, Metric>>

/** The value of a metric: sum / count; NaN if it counted nothing. */
export const ratio = ({ sum, count }: Metric): number => sum / count

export const metricsLine = z.object({ step: natural, metrics })
/** The metrics of one optimisation step. */
export type StepMetrics = Readonly<z.output<typeof metricsLine>>

const dataInfo = z.object({
  rows: natural,
  /** Rows that can be used. */
  usable: natural,
  /** Of what these hold, in words of the data's reader. */
  sha256: z.string(),
})
/** By what data are known again. */
export type DataInfo = Readonly<z.output<typeof dataInfo>>

export const runInfo = z.object({
  version: z.literal(runVersion),
  id: z.string(),
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  /** Version of the package that began the run. */
  sightline: z.string(),
  command: list(z.string()),
  machine: z.object({ platform: z.string(), cpus: natural, memoryBytes: natural, node: z.string() }),
  /** The engine and its version, in words for people. */
  engine: z.string(),
  /** The data that it trains on; absent where the writer did not say. */
  data: dataInfo.optional(),
})
export type RunInfo = Readonly<z.output<typeof runInfo>>

/** Fields of every event: when it was written, and the number of optimisation steps done by then. */
const common = { time: z.iso.datetime(), step: natural }
const kind = <T extends string, F extends z.ZodRawShape>(type: T, fields: F) => z.object({ type: z.literal(type), ...common, ...fields })

export const event = z.discriminatedUnion('type', [
  kind('started', {}),
  /** `changes`: what is done otherwise than config.json says, in words. */
  kind('resumed', { fromStep: natural, changes: list(z.string()).default([]) }),
  kind('step', {
    /** Wall time by phase; that of rollouts with drawing and preparing their samples. */
    seconds: z.object({ rollout: real, teachers: real, student: real, update: real }),
    /** Written; read by frozen views; read by views that train, contexts included. */
    tokens: z.object({ rollout: natural, scored: natural, trained: natural }),
    tokensPerSecond: real,
  }),
  /** `folder` as from the run folder. */
  kind('checkpoint', { folder: z.string(), best: z.boolean() }),
  kind('validation', { metrics }),
  kind('row-skipped', { row: natural, reason: z.string() }),
  /** `rows`: the file with the rollouts of that step, as from the run folder; null where none could be written. */
  kind('step-skipped', { reason: z.string(), rows: z.string().nullable() }),
  kind('warning', { message: z.string() }),
  kind('stopped', { reason: z.enum(['signal', 'limit']) }),
  kind('finished', {}),
  kind('failed', { message: z.string() }),
])
export type RunEvent = Readonly<z.output<typeof event>>
type WithoutTime<E> = E extends unknown ? Omit<E, 'time'> : never
/** An event as the trainer gives it; the run folder adds the time. */
export type NewEvent = WithoutTime<RunEvent>

const token = z.object({
  id: natural,
  text: z.string(),
  /** A part of the method's format, or what lies outside of them. */
  segment: z.string(),
  /** Under the policy that wrote it; null where no policy did (answers from the data). */
  logprob: real.nullable(),
  /** By term: its loss at this token, whether a bound was reached, and the product of gate and weight factors. */
  terms: z.record(z.string(), z.object({ value: real, clipped: z.boolean(), factor: real })),
  /** Visual dependency: KL(sighted‖blind). */
  dependency: real.optional(),
})
export type TranscriptToken = Readonly<z.output<typeof token>>

export const transcript = z.object({
  step: natural,
  /** Index in the data, and what the data call it. */
  row: natural,
  id: z.string(),
  /** Index among the rollouts of this row. */
  sample: natural,
  /** null for answers from the data. */
  seed: natural.nullable(),
  /** Number of updates of the policy that wrote it. */
  policyStep: natural,
  /** Sizes in pixels. */
  image: list(z.object({ sha256: z.string(), width: natural.optional(), height: natural.optional() })),
  problem: z.string(),
  /** The right answer. */
  answer: z.string(),
  /** As rendered for the model, special tokens included. */
  prompt: z.string(),
  prefill: z.string(),
  text: z.string(),
  /** Why it ended. */
  reason: z.string(),
  tokens: list(token),
  valid: z.boolean(),
  /** Why it is not valid; null if it is. */
  fault: z.string().nullable(),
  /** null if none was found. */
  answerGiven: z.string().nullable(),
  correct: z.boolean(),
  reward: real.optional(),
  advantage: real.optional(),
})
/** One rollout with what became of each of its tokens. */
export type Transcript = Readonly<z.output<typeof transcript>>

export const checkpointInfo = z.object({ version: z.literal(checkpointVersion), step: natural, metrics })
export const bestInfo = z.object({ step: natural, metric: z.string(), value: real })
export type BestInfo = Readonly<z.output<typeof bestInfo>>
