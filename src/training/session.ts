// Makes a run ready to train: data looked through, models loaded, folder opened, and, for a run that goes on, everything as it was.

import { mergePatch } from '../config/merge-patch.ts'
import type { Config } from '../config/schema.ts'
import { inspectRows } from '../data/check.ts'
import { type DatasetOptions, openDataset } from '../data/dataset.ts'
import type { Sample } from '../data/sample.ts'
import { ArgumentError } from '../errors.ts'
import { isRun, latestCheckpoint, readRun } from '../runs/read.ts'
import { createRun, openRun, type Run } from '../runs/run.ts'
import { activeTerms, usedViews } from '../supervision/check.ts'
import { borrowsImages } from '../supervision/contexts.ts'
import { Evaluator } from '../supervision/evaluate.ts'
import type { Method } from '../supervision/method.ts'
import { native, setThreads } from '../torch/native.ts'
import { AdamW } from '../torch/optimizer.ts'
import { Generator } from '../torch/random.ts'
import { version } from '../version.ts'
import { Batches } from './batches.ts'
import { loadState, type Resumable } from './checkpoint.ts'
import type { Session } from './loop.ts'
import { responseOf, type WritingOptions } from './rollouts.ts'
import { openTrainee, type Trainee } from './trainee.ts'
import { answering, Validation, validationPrefix } from './validation.ts'

/** What a session needs to know besides its configuration and method. */
export interface SessionOptions {
  /** Whether to go on with the run that the folder holds; a folder without a run begins one either way. False by default. */
  readonly resume?: boolean
  /** What was called, for people who read the run folder. */
  readonly command?: readonly string[]
  /** Where data sets of a hub come from; without it only local data can be read. */
  readonly hub?: DatasetOptions['hub']
}

/** A session that owns its models, data and run folder. */
export type OpenSession = Session & AsyncDisposable

/** Paths at which two JSON values differ, with both values. */
function differences(stored: unknown, given: unknown, path = ''): string[] {
  if (JSON.stringify(stored) === JSON.stringify(given)) return []
  const parts = [stored, given].every((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
  if (!parts) return [`${path}: ${JSON.stringify(stored)} in the run, ${JSON.stringify(given)} now`]
  const [a, b] = [stored, given] as [Record<string, unknown>, Record<string, unknown>]
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) => differences(a[key], b[key], path === '' ? key : `${path}.${key}`))
}

/** A run goes on as it began: another configuration would make it neither the one run nor the other. */
function checkUnchanged(folder: string, config: Config, method: Method): void {
  const stored = readRun(folder)
  // A folder that was moved, or is called by another path, is still the run.
  const placed = (given: unknown): unknown => mergePatch(given, { run: { folder } })
  const found = [
    ...differences(placed(stored.config), placed(JSON.parse(JSON.stringify(config)))),
    ...differences(stored.method, JSON.parse(JSON.stringify(method)), 'method'),
  ]
  if (found.length === 0) return
  throw new ArgumentError(
    `${folder}: the run began with another configuration:\n${found.map((each) => `  ${each}`).join('\n')}\n` +
      'Resume it with what it began with (give the run folder in the place of the configuration), or give another run.folder',
  )
}

/** Whether the folder holds a run to go on with. @throws ArgumentError where it holds one that may not go on */
function goesOn(config: Config, method: Method, { resume = false }: SessionOptions): boolean {
  const { folder } = config.run
  if (!isRun(folder)) return false
  if (!resume) throw new ArgumentError(`${folder}: holds a run already; go on with it with --resume, or give another run.folder`)
  checkUnchanged(folder, config, method)
  return true
}

function openFolder(config: Config, method: Method, options: SessionOptions): { run: Run; from: ReturnType<typeof latestCheckpoint> } {
  const { folder } = config.run
  const { keep, best } = config.checkpoints
  const policy = { keep, best }
  if (!goesOn(config, method, options)) {
    const { command = [] } = options
    const { torch, cudaDevices } = native().describe()
    const engine = `libtorch ${torch}, ${cudaDevices} CUDA devices`
    return { run: createRun(folder, { config, method, sightline: version, command, engine, checkpoints: policy }), from: null }
  }
  const run = openRun(folder, policy)
  const from = latestCheckpoint(folder)
  run.rewindTo(from?.step ?? 0)
  return { run, from }
}

const datasetOptions = (
  { columns, imageRoot, limit }: Pick<Config['data'], 'columns' | 'imageRoot' | 'limit'>,
  hub: DatasetOptions['hub'],
): DatasetOptions => ({
  ...{ columns, imageRoot, limit },
  hub: hub ?? null,
})

function writingOptions({ rollout, run, data }: Config): WritingOptions {
  const { samples, maxTokens, temperature, topP, topK, minP, maxRows, stop } = rollout
  return { samples, maxTokens, sampling: { temperature, topP, topK, minP }, maxRows, stop, seed: run.seed, response: data.response }
}

/** Tokens that every model has room for before an answer. */
function longestContext({ scorers: { student, teacher } }: Trainee, maxTokens: number): number {
  const room = [student, teacher].map((scorer) => scorer?.model.config.language.maxPositions ?? Infinity)
  return Math.min(...room) - maxTokens
}

/** Samples without a worked solution, where one is imitated or referred to. */
function faultFor({ data }: Config, method: Method): (sample: Sample) => string | null {
  const imitated = method.rollout.by === 'data' && data.response.includes('{solution}')
  const referred = data.reference === 'solution' && [...usedViews(method).values()].some(({ sees }) => sees.includes('reference'))
  if (!imitated && !referred) return () => null
  const advice = imitated ? 'a data.response without {solution}' : 'data.reference: answer'
  return ({ solution }) => (solution === null ? `there is no solution; give data.columns.solution, or ${advice}` : null)
}

/** What a method asks of the configuration. */
function checkTogether(config: Config, method: Method): void {
  const reinforcing = activeTerms(method).find(([, { kind }]) => kind === 'reinforce')
  if (reinforcing !== undefined && config.rollout.samples < 2) {
    throw new ArgumentError(
      `rollout.samples is ${config.rollout.samples}; the term ${reinforcing[0]} compares the rollouts of one prompt: give 2 or more`,
    )
  }
  const { every, best } = config.checkpoints
  if (best?.metric.startsWith(validationPrefix) && (config.validation === null || every % config.validation.every !== 0)) {
    throw new ArgumentError(
      `checkpoints.best.metric is ${best.metric}, which the steps with checkpoints must have: give validation, and checkpoints.every as a multiple of validation.every`,
    )
  }
  if (borrowsImages(method) && config.optimisation.batch < 2) {
    throw new ArgumentError('optimisation.batch is 1; a view of the method sees the next sample of the batch: give 2 or more')
  }
  if (method.rollout.by === 'data' && config.rollout.samples > 1) {
    throw new ArgumentError(`rollout.samples is ${config.rollout.samples}; the answers of the method ${method.name} come from the data: give 1`)
  }
}

async function openValidation(
  config: Config,
  method: Method,
  trainee: Trainee,
  hub: DatasetOptions['hub'],
  stack: AsyncDisposableStack,
): Promise<Validation | null> {
  if (config.validation === null) return null
  const { sources, every, maxTokens } = config.validation
  const dataset = stack.adopt(await openDataset(sources, datasetOptions(config.validation, hub)), (open) => open.close())
  const { good } = await inspectRows(dataset, { onBad: 'stop' })
  const { seed } = config.run
  const own = writingOptions(config)
  const writing = { ...own, maxTokens: maxTokens ?? own.maxTokens }
  const answers = answering(method)
  const options = {
    shuffle: false,
    reference: 'answer',
    onBad: 'stop',
    longestContext: longestContext(trainee, writing.maxTokens),
    check: () => {},
  } as const
  const batches = new Batches(dataset, good, answers, trainee.processors, { seed, ...options })
  return new Validation(answers, trainee, batches, {
    ...{ every, writing },
    patchesPerPass: 4 * config.optimisation.tokensPerPass,
  })
}

/**
 * Opens everything that a run needs; with `resume` at its last checkpoint.
 * @throws ArgumentError where the folder holds a run and `resume` is not asked, or the run began otherwise; errors of data and models
 */
export async function openSession(config: Config, method: Method, options: SessionOptions = {}): Promise<OpenSession> {
  checkTogether(config, method)
  await using stack = new AsyncDisposableStack()
  if (config.run.threads !== null) setThreads(config.run.threads)
  const { seed } = config.run
  // What costs least is looked at first, and the folder is not touched before it is clear that the run can begin.
  goesOn(config, method, options)
  const trainee = stack.use(await openTrainee(config, method))
  const dataset = stack.adopt(await openDataset(config.data.sources, datasetOptions(config.data, options.hub)), (open) => open.close())
  const validation = await openValidation(config, method, trainee, options.hub, stack)
  const { shuffle, reference, onBad } = config.data
  const writing = writingOptions(config)
  const { good, bad } = await inspectRows(dataset, { onBad, fault: faultFor(config, method) })
  const batches = new Batches(dataset, good, method, trainee.processors, {
    ...{ seed, shuffle, reference, onBad },
    longestContext: longestContext(trainee, config.rollout.maxTokens),
    check: (sample) => {
      if (method.rollout.by === 'data') responseOf(sample, trainee.processors.student, writing)
    },
  })
  const { rate, beta1, beta2, eps, weightDecay, steps, epochs, batch, tokensPerPass, warmup } = config.optimisation
  const total = steps ?? Math.ceil(((epochs ?? 1) * batches.size) / batch)
  if (warmup > total) throw new ArgumentError(`optimisation.warmup is ${warmup}, but the run has ${total} steps in all; give fewer`)
  const { run, from } = openFolder(config, method, options)
  stack.use(run)
  const optimizer = stack.use(new AdamW(trainee.parameters, { rate, beta1, beta2, eps, weightDecay }))
  const evaluator = new Evaluator(method, trainee.scorers, [...trainee.parameters.values()], { tokensPerPass })
  Generator.default(trainee.scorers.student.model.device).seed(seed)

  const resumable: Resumable = { trainee, optimizer, evaluator, progress: { position: 0, bad: 0 } }
  const done = from?.step ?? 0
  if (from === null) {
    run.addEvent({ type: 'started', step: 0 })
    for (const { row, reason } of bad) run.addEvent({ type: 'row-skipped', step: 0, row, reason })
  } else {
    loadState(from.folder, resumable)
    run.addEvent({ type: 'resumed', step: done, fromStep: done })
  }
  for (const { file, bytes } of run.repairs)
    run.addEvent({ type: 'warning', step: done, message: `${file}: ${bytes} bytes of a broken last line were cut off` })
  const owned = stack.move()
  return {
    ...resumable,
    config,
    method,
    batches,
    validation,
    run,
    writing,
    done,
    total,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
