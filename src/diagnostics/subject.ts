// What instruments are held to: the models of a run at one of its checkpoints, and rollouts of held-out samples. Reads run folders, never
// writes them.

import type { Config } from '../config/schema.ts'
import { inspectRows } from '../data/check.ts'
import { type DatasetOptions, openDataset } from '../data/dataset.ts'
import { ArgumentError } from '../errors.ts'
import type { Encoded } from '../processing/processor.ts'
import { contextsOf } from '../supervision/contexts.ts'
import { Evaluator } from '../supervision/evaluate.ts'
import type { Method } from '../supervision/method.ts'
import type { Readable } from '../supervision/passes.ts'
import { FeatureStore } from '../supervision/scorers.ts'
import { setThreads } from '../torch/native.ts'
import { AdamW } from '../torch/optimizer.ts'
import { Batches } from '../training/batches.ts'
import { loadState } from '../training/checkpoint.ts'
import { faultFor } from '../training/demands.ts'
import { type Prompted, type Rollout, writeRollouts } from '../training/rollouts.ts'
import { openTrainee, type Trainee } from '../training/trainee.ts'
import { answering } from '../training/validation.ts'
import { viewAlone } from './counterfactuals.ts'
import type { Measured } from './gradients.ts'
import type { Probe } from './probe.ts'

/** What a prompt's teachers are shown in truth. */
export function referenceOf({ sample }: Prompted, { data }: Pick<Config, 'data'>): string {
  return data.reference === 'solution' ? (sample.solution ?? '') : sample.answer
}

/** Rollouts as a probe reads them: with the contexts of views that it has beyond the method's, all of which see no image. */
export async function probedRows(probe: Probe, rollouts: readonly Rollout[], trainee: Trainee, config: Pick<Config, 'data'>): Promise<Readable[]> {
  const completed = new Map<Prompted, ReadonlyMap<string, Encoded>>()
  for (const { prompted } of rollouts) {
    if (completed.has(prompted)) continue
    const contexts = new Map(prompted.contexts)
    const example = { problem: prompted.sample.problem, reference: referenceOf(prompted, config), images: [] }
    for (const [name, view] of Object.entries(probe.method.views)) {
      if (contexts.has(name)) continue
      const own = await contextsOf(viewAlone(probe.method, name, view), example, example, trainee.processors)
      contexts.set(name, own.get(name) as Encoded)
    }
    completed.set(prompted, contexts)
  }
  return rollouts.map(({ ids, division, prompted }) => ({ ids, division, contexts: completed.get(prompted) as ReadonlyMap<string, Encoded> }))
}

export interface SubjectOptions {
  /** Where samples come from; null: the run's validation. */
  readonly sources: readonly string[] | null
  /** How many of them are answered, in their order. */
  readonly samples: number
  /** Of the rollouts; the run's by default. */
  readonly seed?: number
  readonly hub?: DatasetOptions['hub']
}

/** A run to measure. `dispose` frees its models. */
export interface Subject extends AsyncDisposable {
  readonly config: Config
  readonly method: Method
  readonly trainee: Trainee
  readonly prompts: readonly Prompted[]
  readonly seed: number
  /** Takes over the weights of a checkpoint's folder, and all else that it holds (for which the optimiser's memory is taken meanwhile). */
  load(folder: string): void
  /** One answer to each prompt by the student of the moment, drawn as in training. */
  write(store: FeatureStore): Promise<Rollout[]>
  /** For one state of the weights. */
  store(): FeatureStore
  measured(probe: Probe): Measured
}

/** Opens models and samples of a configuration. @throws errors of data and models; ArgumentError where there is nothing held out */
export async function openSubject(
  config: Config,
  method: Method,
  { sources, samples, seed = config.run.seed, hub = null }: SubjectOptions,
): Promise<Subject> {
  const given = sources ?? config.validation?.sources
  if (given === undefined) throw new ArgumentError('the configuration has no validation; say which held-out samples to take (--data SOURCE)')
  if (!Number.isSafeInteger(samples) || samples < 1) throw new ArgumentError(`${samples} samples; expected an integer from 1 up`)
  await using stack = new AsyncDisposableStack()
  if (config.run.threads !== null) setThreads(config.run.threads)
  const { columns, imageRoot } = sources === null ? (config.validation ?? config.data) : config.data
  const dataset = stack.adopt(await openDataset(given, { columns, imageRoot, limit: samples, hub }), (open) => open.close())
  // Whoever writes what it learns from: what it would say itself is looked at.
  const own = { ...method, rollout: answering(method).rollout }
  const { good } = await inspectRows(dataset, { onBad: 'stop', fault: faultFor(config, own) })
  const trainee = stack.use(await openTrainee(config, method))
  const maxTokens = config.validation?.maxTokens ?? config.rollout.maxTokens
  const room = [trainee.scorers.student, trainee.scorers.teacher].map((scorer) => scorer?.model.config.language.maxPositions ?? Infinity)
  const batches = new Batches(dataset, good, own, trainee.processors, {
    ...{ seed, shuffle: false, reference: config.data.reference, onBad: 'stop', longestContext: Math.min(...room) - maxTokens, check: () => {} },
  })
  const { prompts } = await batches.draw(0, good.length, () => {})
  const { temperature, topP, topK, minP, maxRows, stop } = config.rollout
  const { tokensPerPass } = config.optimisation
  const owned = stack.move()
  return {
    ...{ config, method, trainee, prompts, seed },
    load: (folder) => {
      using optimizer = new AdamW(trainee.parameters, { rate: 0 })
      const evaluator = new Evaluator(method, trainee.scorers, [...trainee.parameters.values()], { tokensPerPass })
      loadState(folder, { trainee, optimizer, evaluator, progress: { position: 0, bad: 0 } })
    },
    write: (store) => {
      const sampling = { temperature, topP, topK, minP }
      return writeRollouts(own, trainee, prompts, store, {
        ...{ samples: 1, maxTokens, sampling, maxRows, stop, seed },
        response: config.data.response,
      })
    },
    // Patches are smaller than tokens, and each is seen once.
    store: () => new FeatureStore(4 * tokensPerPass),
    measured: (probe) => ({ probe, scorers: trainee.scorers, parameters: [...trainee.parameters.values()], tokensPerPass }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
