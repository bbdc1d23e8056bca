// What the command line of `sightline eval` comes to: who answers, how questions are put, and how answers are decoded.

import { ArgumentError } from '../errors.ts'
import { modelDigest } from '../evaluation/identity.ts'
import { type LocalModel, localResponder } from '../evaluation/local.ts'
import { type ModeName, promptingOf } from '../evaluation/modes.ts'
import type { Plan, Shard } from '../evaluation/plan.ts'
import { defaultPreset, type PresetName, presets } from '../evaluation/presets.ts'
import { remoteDefaults, remoteResponder } from '../evaluation/remote.ts'
import type { Responder } from '../evaluation/responder.ts'
import { baseOf, openServer, type ServerOptions, serverDefaults } from '../serving/client.ts'

/** What stands on the command line; null is what is left out. */
export interface EvalArguments {
  readonly action: 'run' | 'grade-only' | 'merge'
  /** A folder, or the address of a server. */
  readonly model: string | null
  readonly suites: readonly string[]
  readonly out: string
  readonly data: string | null
  readonly limit: number | null
  readonly shard: string | null
  readonly preset: PresetName | null
  readonly mode: ModeName | null
  readonly prefill: boolean | null
  /** A configuration whose prompts are used. */
  readonly wording: string | null
  readonly samples: number | null
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
  readonly maxTokens: number | null
  readonly seed: number | null
  readonly local: Omit<LocalModel, 'folder'> & { readonly rows: number | null; readonly threads: number | null }
  readonly remote: RemoteArguments
  readonly judge:
    | (Pick<RemoteArguments, 'name' | 'keyFrom' | 'concurrency'> & {
        readonly url: string
        readonly perMinute: number | null
        readonly maxTokens: number | null
      })
    | null
  readonly json: boolean
}

export interface RemoteArguments {
  /** The model's name at the server; null for its only one. */
  readonly name: string | null
  /** Environment variable that holds the API key; null for none. */
  readonly keyFrom: string | null
  readonly concurrency: number | null
  readonly timeoutSeconds: number | null
  readonly groupSamples: boolean
  readonly echo: boolean
  /** Sends only fields that OpenAI's protocol has: servers that know no others refuse them. */
  readonly standardFields: boolean
}

const isAddress = (model: string): boolean => /^https?:\/\//.test(model)

export function shardOf(text: string | null): Shard | null {
  if (text === null) return null
  const [, index, of] = (/^([1-9]\d*)\/([1-9]\d*)$/.exec(text) ?? []).map(Number)
  if (index === undefined || of === undefined || index > of) throw new ArgumentError(`--shard ${text}: expected I/N with I from 1 to N, such as 1/4`)
  return { index, of }
}

/** What the environment holds. @throws ArgumentError if it holds nothing */
function keyOf(name: string | null, option: string): string | null {
  if (name === null) return null
  const key = process.env[name]
  if (key === undefined || key === '') throw new ArgumentError(`${option} ${name}: the environment has no such variable; set it to the API key`)
  return key
}

export function serverOptions(url: string, option: string, given: Pick<RemoteArguments, 'name' | 'keyFrom' | 'concurrency'>): ServerOptions {
  return {
    ...serverDefaults,
    ...{ url: baseOf(url), model: given.name, apiKey: keyOf(given.keyFrom, option) },
    ...(given.concurrency !== null && { concurrency: given.concurrency }),
  }
}

/** Who answers: what is known of it before it is loaded, and how it is loaded. */
export interface Engine {
  readonly model: Plan['model']
  readonly responder: () => Promise<Responder>
}

/** The name of a server's model. @throws ServerError if it has several, and none is named */
async function servedName(options: ServerOptions, signal: AbortSignal): Promise<string> {
  if (options.model !== null) return options.model
  await using server = await openServer(options, signal)
  return server.model
}

async function remoteEngine(url: string, given: RemoteArguments, decoding: Plan['decoding'], signal: AbortSignal): Promise<Engine> {
  const { timeoutSeconds, groupSamples, echo, standardFields } = given
  const plain = serverOptions(url, '--api-key-env', given)
  const options = { ...plain, timeoutMs: timeoutSeconds === null ? plain.timeoutMs : timeoutSeconds * 1000 }
  const model = await servedName(options, signal)
  // They change how an answer is drawn, or what of the server's text it is.
  const changed = {
    ...(groupSamples !== remoteDefaults.groupSamples && { groupSamples: 'yes' }),
    ...(echo !== remoteDefaults.echo && { echo: 'yes' }),
    ...(standardFields && { standardFields: 'yes' }),
  }
  return {
    model: { name: `${baseOf(url)} ${model}`, identity: model, options: changed },
    responder: async () =>
      remoteResponder(await openServer({ ...options, model }, signal), decoding, { groupSamples, echo, ...(standardFields && { extra: {} }) }),
  }
}

/** @throws ArgumentError for options that would do nothing; null is what was left out */
function refuse(why: string, options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) if (value !== null) throw new ArgumentError(`--${name} ${why}; leave it out`)
}

/** @throws ArgumentError if no model is named, or its folder holds none; ServerError if a server must be asked and does not answer */
export async function engineOf({ model, local, remote }: EvalArguments, decoding: Plan['decoding'], signal: AbortSignal): Promise<Engine> {
  if (model === null) throw new ArgumentError('--model is missing: a folder, or the address of a server; see sightline eval --help')
  if (isAddress(model)) {
    refuse('is for a model of this machine, but --model is a server', {
      ...{ adapter: local.adapter, weights: local.weights, 'max-pixels': local.maxPixels, dtype: local.dtype, rows: local.rows },
      ...{ threads: local.threads, device: local.device === 'cpu' ? null : local.device },
    })
    return await remoteEngine(model, remote, decoding, signal)
  }
  refuse('is for a server, but --model is a folder', {
    ...{ 'model-name': remote.name, 'api-key-env': remote.keyFrom, concurrency: remote.concurrency, timeout: remote.timeoutSeconds },
    ...{ 'group-samples': remote.groupSamples || null, echo: remote.echo || null, 'standard-fields': remote.standardFields || null },
  })
  const { adapter, weights, maxPixels, dtype, device, rows } = local
  for (const [name, value] of Object.entries({ 'max-pixels': maxPixels, rows, threads: local.threads })) {
    if (value !== null && !(Number.isSafeInteger(value) && value > 0)) throw new ArgumentError(`--${name} ${value}: expected an integer from 1 up`)
  }
  const folders = { model, ...(adapter !== null && { adapter }), ...(weights !== null && { weights }) }
  const options = { device, ...(dtype !== null && { dtype }), ...(maxPixels !== null && { maxPixels }), ...(rows !== null && { rows }) }
  return {
    model: { name: Object.values(folders).join(' + '), identity: modelDigest(folders), options },
    responder: () => localResponder({ folder: model, ...local, decoding, ...(rows !== null && { batchRows: rows }) }),
  }
}

/** The plan but for its benchmarks. @throws ArgumentError for settings that make no sense together */
export function settingsOf(args: EvalArguments): Pick<Plan, 'prompting' | 'decoding' | 'samples' | 'seed'> {
  const preset = presets[args.preset ?? defaultPreset].settings
  const samples = args.samples ?? preset.samples
  const mode = args.mode ?? preset.mode
  const decoding = {
    // Whoever asks for several answers wants to draw them.
    temperature: args.temperature ?? (args.preset === null && samples > 1 ? 1 : preset.temperature),
    topP: args.topP ?? preset.topP,
    // 0 is how people and servers write that it is off.
    topK: args.topK === 0 ? null : (args.topK ?? preset.topK),
    maxTokens: args.maxTokens ?? preset.maxTokens,
  }
  const seed = args.seed ?? preset.seed
  for (const [name, value, least] of [
    ['samples', samples, 1],
    ['max-tokens', decoding.maxTokens, 1],
    ['seed', seed, 0],
    ['top-k', decoding.topK ?? 0, 0],
  ] as const) {
    if (!(Number.isSafeInteger(value) && value >= least)) throw new ArgumentError(`--${name} ${value}: expected an integer from ${least} up`)
  }
  if (!(decoding.temperature >= 0)) throw new ArgumentError(`--temperature ${decoding.temperature}: expected 0 (the likeliest token) or more`)
  if (!(decoding.topP > 0 && decoding.topP <= 1)) throw new ArgumentError(`--top-p ${decoding.topP}: expected above 0 and at most 1 (off)`)
  if (samples > 1 && decoding.temperature === 0) {
    throw new ArgumentError(`--samples ${samples} at temperature 0 would give one answer ${samples} times; give a --temperature, or one sample`)
  }
  const prefill = args.prefill ?? (mode === preset.mode ? preset.prefill : null)
  return { prompting: promptingOf({ mode, prefill, wording: args.wording }), decoding, samples, seed }
}
