// Makes a run ready to train: data looked through, models loaded, folder opened, and, for a run that goes on, everything as it was.

import type { Config } from '../config/schema.ts'
import { type BadRow, inspectRows, listing } from '../data/check.ts'
import { type DatasetOptions, openDataset } from '../data/dataset.ts'
import { ArgumentError, SightlineError } from '../errors.ts'
import { latestCheckpoint, orWithout } from '../runs/read.ts'
import { createRun, openRun, type Run } from '../runs/run.ts'
import type { DataInfo, RunEvent } from '../runs/schema.ts'
import { Evaluator } from '../supervision/evaluate.ts'
import type { Method } from '../supervision/method.ts'
import { native, setThreads } from '../torch/native.ts'
import { AdamW } from '../torch/optimizer.ts'
import { Generator } from '../torch/random.ts'
import type { Tensor } from '../torch/tensor.ts'
import { version } from '../version.ts'
import { Batches, prepare } from './batches.ts'
import { loadState, type Resumable } from './checkpoint.ts'
import { checkTogether, faultFor } from './demands.ts'
import type { Instrument, Session } from './loop.ts'
import { checkData, goesOn } from './resuming.ts'
import { responseOf, type WritingOptions } from './rollouts.ts'
import { openTrainee, type Trainee } from './trainee.ts'
import { answering, Validation } from './validation.ts'

/** What a session needs to know besides its configuration and method. */
export interface SessionOptions {
  /** Whether to go on with the run that the folder holds; a folder without a run begins one either way. False by default. */
  readonly resume?: boolean
  /** What was called, for people who read the run folder. */
  readonly command?: readonly string[]
  /** Where data sets of a hub come from; without it only local data can be read. */
  readonly hub?: DatasetOptions['hub']
  /** Told after each row that is looked at before training how many were, and how many there are. */
  readonly progress?: (what: 'data' | 'validation', done: number, size: number) => void
  /** Told of every event of the run as it is written. */
  readonly onEvent?: (event: RunEvent) => void
  /** Makes what `diagnostics` of the configuration asks for; `liveInstruments` does. */
  readonly instruments?: (watched: Pick<Session, 'config' | 'method' | 'trainee'>) => readonly Instrument[]
}

/** A session that owns its models, data and run folder. */
export interface OpenSession extends Session, AsyncDisposable {
  /** What a run that goes on does otherwise than it began, in words. */
  readonly changes: readonly string[]
  /** Rows of the data that cannot be used, and are left out from the beginning. */
  readonly leftOut: readonly BadRow[]
}

/** The run's folder, opened; `from` is null and `changes` are none where it begins. */
interface Opened {
  readonly run: Run
  readonly from: ReturnType<typeof latestCheckpoint>
  readonly changes: readonly string[]
}

function openFolder(config: Config, method: Method, data: DataInfo, { resume = false, command = [] }: SessionOptions): Opened {
  const { folder } = config.run
  const { keep, best } = config.checkpoints
  const policy = { keep, best }
  const going = goesOn(config, method, resume)
  if (going === null) {
    const { torch, cudaDevices } = native().describe()
    const engine = `libtorch ${torch}, ${cudaDevices} CUDA devices`
    return { run: createRun(folder, { config, method, sightline: version, command, engine, checkpoints: policy, data }), from: null, changes: [] }
  }
  checkData(folder, data)
  const run = openRun(folder, policy)
  const from = latestCheckpoint(folder)
  run.rewindTo(from?.step ?? 0)
  return { run, from, ...going }
}

const datasetOptions = (
  section: 'data' | 'validation',
  { columns, imageRoot, limit }: Pick<Config['data'], 'columns' | 'imageRoot' | 'limit'>,
  hub: DatasetOptions['hub'],
): DatasetOptions => ({
  ...{ columns, imageRoot, limit, section },
  hub: hub ?? null,
})

function writingOptions({ rollout, run, data }: Config): WritingOptions {
  const { samples, maxTokens, temperature, topP, topK, minP, maxRows, stop } = rollout
  return { samples, maxTokens, sampling: { temperature, topP, topK, minP }, maxRows, stop, seed: run.seed, response: data.response }
}

const rolloutTokens = 'rollout.maxTokens'

/** Tokens that every model has room for before an answer. @throws ArgumentError where `field` asks for answers that leave none */
function longestContext({ scorers: { student, teacher } }: Trainee, maxTokens: number, field: string): number {
  const room = Math.min(...[student, teacher].map((scorer) => scorer?.model.config.language.maxPositions ?? Infinity))
  if (maxTokens < room) return room - maxTokens
  throw new ArgumentError(`${field} is ${maxTokens}; the model has room for ${room} tokens, those before an answer among them: give fewer`)
}

/** @returns what answers the held-out samples, and in words those that it leaves out; null for neither */
async function openValidation(
  config: Config,
  method: Method,
  trainee: Trainee,
  { hub, progress }: SessionOptions,
  stack: AsyncDisposableStack,
): Promise<{ readonly validation: Validation | null; readonly without: string | null }> {
  if (config.validation === null) return { validation: null, without: null }
  const { sources, every, maxTokens } = config.validation
  const { onBad } = config.data
  const dataset = stack.adopt(await openDataset(sources, datasetOptions('validation', config.validation, hub)), (open) => open.close())
  const own = writingOptions(config)
  const writing = { ...own, maxTokens: maxTokens ?? own.maxTokens }
  const answers = answering(method)
  const maxTokensField = maxTokens === null ? rolloutTokens : 'validation.maxTokens'
  const options = { reference: 'answer', longestContext: longestContext(trainee, writing.maxTokens, maxTokensField), check: () => {} } as const
  const faultIn = faultFor(config, answers)
  const { good, bad } = await inspectRows(dataset, {
    onBad,
    // They are few, and the same every time: all are decoded now, so that none breaks in the midst of training.
    fault: async (sample) => faultIn(sample) ?? (await whyNot(() => prepare(sample, answers, trainee.processors, options))),
    progress: (done, size) => progress?.('validation', done, size),
  })
  const batches = new Batches(dataset, good, answers, trainee.processors, { ...options, seed: config.run.seed, shuffle: false, onBad })
  const validation = new Validation(answers, trainee, batches, { every, writing, patchesPerPass: 4 * config.optimisation.tokensPerPass })
  return { validation, without: bad.length === 0 ? null : `validation: ${listing(bad, dataset.size)}` }
}

/** The message of the error with which something fails; null where it succeeds. */
async function whyNot(attempt: () => Promise<unknown>): Promise<string | null> {
  try {
    await attempt()
    return null
  } catch (error) {
    if (error instanceof SightlineError) return error.message
    throw error
  }
}

/**
 * Opens everything that a run needs; with `resume` at its last checkpoint.
 * @throws ArgumentError where the folder holds a run and `resume` is not asked, or the run began otherwise; errors of data and models
 */
export async function openSession(config: Config, method: Method, options: SessionOptions = {}): Promise<OpenSession> {
  checkTogether(config, method)
  if (config.diagnostics !== null && options.instruments === undefined) {
    throw new ArgumentError('diagnostics are configured, but openSession is given no instruments; give it { instruments: liveInstruments }')
  }
  await using stack = new AsyncDisposableStack()
  if (config.run.threads !== null) setThreads(config.run.threads)
  const { seed } = config.run
  // What costs least is looked at first, and the folder is not touched before it is clear that the run can begin.
  goesOn(config, method, options.resume ?? false)
  const trainee = stack.use(await openTrainee(config, method))
  const room = longestContext(trainee, config.rollout.maxTokens, rolloutTokens)
  const dataset = stack.adopt(await openDataset(config.data.sources, datasetOptions('data', config.data, options.hub)), (open) => open.close())
  const { validation, without } = await openValidation(config, method, trainee, options, stack)
  const { shuffle, reference, onBad } = config.data
  const writing = writingOptions(config)
  const { good, bad, sha256 } = await inspectRows(dataset, {
    ...{ onBad, fault: faultFor(config, method) },
    progress: (done, size) => options.progress?.('data', done, size),
  })
  const batches = new Batches(dataset, good, method, trainee.processors, {
    ...{ seed, shuffle, reference, onBad },
    longestContext: room,
    check: (sample) => {
      if (method.rollout.by === 'data') responseOf(sample, trainee.processors.student, writing)
    },
  })
  const { rate, beta1, beta2, eps, weightDecay, steps, epochs, batch, tokensPerPass, warmup } = config.optimisation
  const total = steps ?? Math.ceil(((epochs ?? 1) * batches.size) / batch)
  if (warmup > total) throw new ArgumentError(`optimisation.warmup is ${warmup}, but the run has ${total} steps in all; give fewer`)
  const { run, from, changes } = openFolder(config, method, { rows: dataset.size, usable: good.length, sha256 }, options)
  stack.use(run)
  if (options.onEvent !== undefined) run.listen(options.onEvent)
  const decay = (_: string, { rank }: Tensor): number => (rank >= 2 ? weightDecay : 0)
  const optimizer = stack.use(new AdamW(trainee.parameters, { rate, beta1, beta2, eps, weightDecay: decay }))
  const evaluator = new Evaluator(method, trainee.scorers, [...trainee.parameters.values()], { tokensPerPass })
  Generator.default(trainee.scorers.student.model.device).seed(seed)

  const resumable: Resumable = { trainee, optimizer, evaluator, progress: { position: 0, bad: 0 } }
  const done = from?.step ?? 0
  if (from === null) {
    run.addEvent({ type: 'started', step: 0 })
    for (const { row, reason } of bad) run.addEvent({ type: 'row-skipped', step: 0, row, reason })
  } else {
    orWithout(run.folder, done, () => loadState(from.folder, resumable))
    run.addEvent({ type: 'resumed', step: done, fromStep: done, changes: [...changes] })
  }
  const repaired = run.repairs.map(({ file, bytes }) => `${file}: ${bytes} bytes of a broken last line were cut off`)
  for (const message of [run.takenOver, ...repaired, without]) if (message !== null) run.addEvent({ type: 'warning', step: done, message })
  const owned = stack.move()
  return {
    ...resumable,
    config,
    method,
    batches,
    validation,
    instruments: options.instruments?.({ config, method, trainee }) ?? [],
    run,
    writing,
    done,
    total,
    changes,
    leftOut: bad,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
