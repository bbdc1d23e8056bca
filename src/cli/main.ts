// The command line: the only place that reads arguments and prints.

import { type ParseArgsConfig, parseArgs } from 'node:util'
import { ArgumentError, SightlineError } from '../errors.ts'
import { version } from '../version.ts'

const help = `sightline: visually grounded on-policy distillation of vision-language models

  sightline generate --model DIR --image FILE --prompt TEXT
                              a model's answer, printed as it comes; several --image are allowed, or none
      --adapter DIR           with a PEFT adapter
      --system TEXT           a system message
      --prefill TEXT          what the answer starts with
      --max-tokens N          at most so many tokens (512)
      --temperature X  --top-p X  --top-k N  --min-p X  --repetition-penalty X  --presence-penalty X
      --frequency-penalty X
                              how to draw; without any of them (and one sample), the most likely token each time
      --seed N  --samples N   the seed of the first sample (0), how many to draw (1)
      --stop TEXT             ends the answer; may be given several times
      --max-pixels N          images are scaled down to this many pixels at most (the checkpoint's own bound)
      --dtype stored|float32|bfloat16   --device cpu|cuda
      --json                  one line of JSON for each answer, with token ids and log-probabilities
  sightline inspect DIR       what a checkpoint is, its sizes, the memory that training it takes
      --rank N                of the LoRA adapter to plan for (64)   --context N   tokens of a training step (4096)
  sightline train CONFIG      trains as a configuration says: a YAML file, or the name of one that comes with Sightline
      --set PATH=VALUE        a change of it, such as optimisation.rate=1e-5; several are allowed
      --resume                goes on with the run in its folder, if there is one; CONFIG may be that folder, and --set what may change then
      --quiet  --json         nothing but errors; one line of JSON for each step and each other event
                              exit status: 0 finished, 3 diverged, 130 stopped by a signal (and saved)
  sightline config CONFIG     a configuration complete with defaults and help; --set as above
      --list  --schema        the configurations that come with Sightline; JSON Schema for editors
  sightline world make NAME --out DIR
                              draws pictures and questions: prior, natural, blind; see  sightline world list
      --count N  --seed N  --tasks A,B  --splits A,B  --pixels N  --format jsonl|parquet
  sightline base make DIR     brings up a nano model from random weights (minutes); goes on where it was stopped
      --family qwen2_5_vl|qwen3_vl   --size student|teacher   --recipe tempted|candid|apprentice|sibling   --seed N
      --from DIR              a base that has had the first courses of the recipe already
  sightline base check DIR    holds one against the rules by which bases are accepted (exit status 4: broken)
  sightline grade --model DIR how a nano model answers questions of PriorWorld
      --weights DIR           with the weights of a checkpoint of a run
      --mode question|reference|caption   --count N   --samples N   --seed N   --temperature X   --pixels N
      --out FILE              every answer with its grade, as JSON
  sightline eval --model DIR|URL --suite NAME[=SOURCE] --out DIR
                              answers benchmarks (several --suite), grades and counts; stopped at any moment, the same command goes on
      --limit N  --data DIR   only the first rows of each; folder with local copies, by the benchmarks' names
      --preset plain|vigos|vgs-greedy|vgs-16
                              the papers' settings, which those below change
      --mode plain|structured|reason  --prefill on|off  --wording CONFIG
                              how questions are put; with the prompts of a configuration, such as nano
      --samples N  --temperature X  --top-p X  --top-k N  --max-tokens N  --seed N
      --adapter DIR  --weights DIR  --max-pixels N  --dtype stored|float32|bfloat16  --device cpu|cuda  --rows N  --threads N
                              a model of this machine: with a PEFT adapter, or the weights of a checkpoint of a run
      --model-name NAME  --api-key-env VAR  --concurrency N  --timeout SECONDS  --group-samples  --echo  --standard-fields
                              a server that speaks the OpenAI protocol, such as vLLM; one that refuses fields of vLLM's own
      --judge URL  --judge-model NAME  --judge-key-env VAR  --judge-concurrency N  --judge-per-minute N
      --judge-max-tokens N    asks a model about answers that no rule can decide
      --shard I/N             only this part; the last part that is done joins all, or  sightline eval merge OUT
      --grade-only            grades the answers that are there anew
      --json                  one line of JSON for each event
  sightline experiment NAME [DIR]
                              a comparison that replicates over bases, with a report; goes on where it was stopped; list: all
      --blindtest DIR         local copy of VlmsAreBlind, whose real pictures are asked for besides (steering)
  sightline diagnose RUN --out FILE
                              what moves the teachers and where the gradients point (docs/diagnostics.md)
      --what palr,dependency,geometry,dynamics   --checkpoint best|last|STEP|none   --data SOURCE   --samples N
      --seed N  --wrong N  --cap NATS  --above LOSS  --batches N
      --report FILE           a page with every figure, in one file
  sightline doctor [--json]   what was found (libtorch, BLAS, threads, CUDA), what is missing, and a self-test
  sightline demo [DIR]        the main job on a nano model: asked, post-trained with OPSD and ViGOS, asked again; a report (minutes)
      --base DIR              another base than the stored one
  sightline --version
`

/** Whether somebody still reads what is printed, and whether the command ends when nobody does. */
const reader = { there: true, needed: true }
const write = (text: string): void => void (reader.there && process.stdout.write(text))
const print = (line: string): void => write(`${line}\n`)

type Options = NonNullable<ParseArgsConfig['options']>
type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

interface Command {
  readonly options: Options
  /** How many arguments that are not options it takes, at least and at most. */
  readonly positionals: number | readonly [least: number, most: number]
  readonly run: (values: Values, positionals: readonly string[]) => Promise<number>
}

const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const
const flag = { type: 'boolean', default: false } as const

/** The number of an option, or undefined where it was not given. */
function numberOf(values: Values, name: string): number | undefined {
  const value = values[name]
  if (value === undefined) return undefined
  const number = Number(value)
  if (value === '' || !Number.isFinite(number)) throw new ArgumentError(`--${name} ${JSON.stringify(value)}: expected a number`)
  return number
}

function required(values: Values, name: string): string {
  const value = values[name]
  if (typeof value !== 'string') throw new ArgumentError(`--${name} is missing; see sightline --help`)
  return value
}

function oneOf<T extends string>(values: Values, name: string, allowed: readonly T[]): T | undefined {
  const value = values[name] as T | undefined
  if (value !== undefined && !allowed.includes(value)) throw new ArgumentError(`--${name} ${value}: expected one of ${allowed.join(', ')}`)
  return value
}

/** Lines that stay, and on a terminal a line below them that is written over. */
function watched(): { readonly print: (line: string) => void; readonly status: ((line: string) => void) | undefined } {
  if (!process.stdout.isTTY) return { print, status: undefined }
  const clear = '\r\x1b[2K'
  return { print: (line) => print(clear + line), status: (line) => write(clear + line.slice(0, process.stdout.columns - 1)) }
}

const listOf = (values: Values, name: string): string[] => (values[name] ?? []) as string[]

// Commands are imported when they run: help and version do not load the engine.
const commands: { readonly [name: string]: Command } = {
  generate: {
    positionals: 0,
    options: {
      ...{ model: text, image: texts, prompt: text, adapter: text, system: text, prefill: text, stop: texts, json: flag },
      ...{ 'max-tokens': text, temperature: text, 'top-p': text, 'top-k': text, 'min-p': text, seed: text, samples: text },
      ...{ 'repetition-penalty': text, 'presence-penalty': text, 'frequency-penalty': text, 'max-pixels': text, dtype: text, device: text },
    },
    run: async (values) => {
      const number = (name: string): number | undefined => numberOf(values, name)
      const optional = (name: string): string | undefined => values[name] as string | undefined
      const given = Object.entries({
        ...{ temperature: number('temperature'), topP: number('top-p'), topK: number('top-k'), minP: number('min-p') },
        ...{ repetitionPenalty: number('repetition-penalty'), presencePenalty: number('presence-penalty') },
        frequencyPenalty: number('frequency-penalty'),
      }).filter(([, value]) => value !== undefined)
      const { generateText } = await import('./generate.ts')
      return await generateText(
        {
          ...{ folder: required(values, 'model'), prompt: required(values, 'prompt'), images: listOf(values, 'image'), stop: listOf(values, 'stop') },
          ...{ adapter: optional('adapter'), system: optional('system'), prefill: optional('prefill') },
          ...{ dtype: oneOf(values, 'dtype', ['stored', 'float32', 'bfloat16']), device: oneOf(values, 'device', ['cpu', 'cuda']) },
          ...{ maxTokens: number('max-tokens'), maxPixels: number('max-pixels'), seed: number('seed'), samples: number('samples') },
          sampling: Object.fromEntries(given),
          json: values['json'] === true,
        },
        write,
      )
    },
  },
  inspect: {
    positionals: 1,
    options: { rank: text, context: text },
    run: async (values, [folder]) =>
      (await import('./inspect.ts')).inspect(folder as string, { rank: numberOf(values, 'rank'), context: numberOf(values, 'context') }, print),
  },
  train: {
    positionals: 1,
    options: { set: texts, resume: flag, quiet: flag, json: flag },
    run: async (values, [config]) => {
      if (values['quiet'] === true && values['json'] === true) throw new ArgumentError('--quiet and --json: give one of the two')
      const show = values['json'] === true ? 'json' : values['quiet'] === true ? 'nothing' : 'line'
      reader.needed = false
      const { trainCommand } = await import('./train.ts')
      return await trainCommand({ config: config as string, sets: listOf(values, 'set'), resume: values['resume'] === true, show }, watched())
    },
  },
  config: {
    positionals: [0, 1],
    options: { set: texts, schema: flag, list: flag },
    run: async (values, [name]) => {
      const { config } = await import('./config.ts')
      return config({ config: name, sets: listOf(values, 'set'), schema: values['schema'] === true, list: values['list'] === true }, print)
    },
  },
  world: {
    positionals: [1, 2],
    options: { out: text, count: text, seed: text, tasks: text, splits: text, pixels: text, format: text },
    run: async (values, [action, name]) => {
      const { worldCommand } = await import('./world.ts')
      const optional = (option: string): string | undefined => values[option] as string | undefined
      const number = (option: string): number | undefined => numberOf(values, option)
      return await worldCommand(
        {
          ...{ action: action as string, name, out: optional('out'), tasks: optional('tasks'), splits: optional('splits') },
          ...{ count: number('count'), seed: number('seed'), pixels: number('pixels'), format: oneOf(values, 'format', ['jsonl', 'parquet']) },
        },
        watched(),
      )
    },
  },
  base: {
    positionals: 2,
    options: { family: text, size: text, recipe: text, seed: text, from: text, json: flag },
    run: async (values, [action, folder]) => {
      const { checkBaseCommand, makeBaseCommand } = await import('./base.ts')
      if (action === 'check') return await checkBaseCommand(folder as string, watched())
      if (action !== 'make') throw new ArgumentError(`sightline base ${action}: expected "make DIR" or "check DIR"`)
      const options = {
        family: oneOf(values, 'family', ['qwen2_5_vl', 'qwen3_vl']) ?? 'qwen2_5_vl',
        size: oneOf(values, 'size', ['student', 'teacher']) ?? 'student',
        recipe: oneOf(values, 'recipe', ['tempted', 'candid', 'apprentice', 'sibling']) ?? 'tempted',
        seed: numberOf(values, 'seed') ?? 0,
        from: (values['from'] as string | undefined) ?? null,
      } as const
      return await makeBaseCommand(folder as string, options, { ...watched(), json: values['json'] === true })
    },
  },
  grade: {
    positionals: 0,
    options: {
      ...{ model: text, weights: text, mode: text, count: text, samples: text, seed: text, temperature: text, out: text },
      ...{ pixels: text, threads: text },
      json: flag,
    },
    run: async (values) => {
      const { grade, gradeDefaults } = await import('./grade.ts')
      const number = (name: keyof typeof gradeDefaults): number => numberOf(values, name) ?? (gradeDefaults[name] as number)
      return await grade(
        {
          ...{
            model: required(values, 'model'),
            weights: (values['weights'] as string | undefined) ?? null,
            out: (values['out'] as string | undefined) ?? null,
          },
          ...{ mode: oneOf(values, 'mode', ['question', 'reference', 'caption']) ?? gradeDefaults.mode, maxTokens: gradeDefaults.maxTokens },
          ...{ count: number('count'), samples: number('samples'), seed: number('seed'), temperature: number('temperature') },
          ...{ pixels: numberOf(values, 'pixels') ?? null, threads: numberOf(values, 'threads') ?? null, json: values['json'] === true },
        },
        watched(),
      )
    },
  },
  eval: {
    positionals: [0, 2],
    options: {
      ...{ model: text, suite: texts, out: text, data: text, limit: text, shard: text, preset: text, mode: text, prefill: text, wording: text },
      ...{ samples: text, temperature: text, 'top-p': text, 'top-k': text, 'max-tokens': text, seed: text, json: flag, 'grade-only': flag },
      ...{ adapter: text, weights: text, 'max-pixels': text, dtype: text, device: text, rows: text, threads: text },
      ...{ 'model-name': text, 'api-key-env': text, concurrency: text, timeout: text, 'group-samples': flag, echo: flag },
      'standard-fields': flag,
      ...{ judge: text, 'judge-model': text, 'judge-key-env': text, 'judge-concurrency': text, 'judge-per-minute': text, 'judge-max-tokens': text },
    },
    run: async (values, [action, folder]) => {
      if (action !== undefined && (action !== 'merge' || folder === undefined)) {
        throw new ArgumentError(`sightline eval ${action}: expected options alone, or "merge OUT"`)
      }
      const { evalCommand } = await import('./eval.ts')
      const { modeNames } = await import('../evaluation/modes.ts')
      const { presetNames } = await import('../evaluation/presets.ts')
      const optional = (name: string): string | null => (values[name] as string | undefined) ?? null
      const number = (name: string): number | null => numberOf(values, name) ?? null
      const prefill = oneOf(values, 'prefill', ['on', 'off'])
      const judge = optional('judge')
      for (const name of ['judge-model', 'judge-key-env', 'judge-concurrency', 'judge-per-minute', 'judge-max-tokens']) {
        if (judge === null && values[name] !== undefined) throw new ArgumentError(`--${name} is for a judge; give --judge URL, or leave it out`)
      }
      // A reader that goes away must not end hours of answers.
      reader.needed = false
      return await evalCommand(
        {
          ...{ action: action === 'merge' ? 'merge' : values['grade-only'] === true ? 'grade-only' : 'run', out: folder ?? required(values, 'out') },
          ...{ model: optional('model'), suites: listOf(values, 'suite'), data: optional('data'), limit: number('limit'), shard: optional('shard') },
          ...{ preset: oneOf(values, 'preset', presetNames) ?? null, mode: oneOf(values, 'mode', modeNames) ?? null, wording: optional('wording') },
          ...{ prefill: prefill === undefined ? null : prefill === 'on', samples: number('samples'), temperature: number('temperature') },
          ...{ topP: number('top-p'), topK: number('top-k'), maxTokens: number('max-tokens'), seed: number('seed') },
          local: {
            ...{ adapter: optional('adapter'), weights: optional('weights'), maxPixels: number('max-pixels'), rows: number('rows') },
            ...{ dtype: oneOf(values, 'dtype', ['stored', 'float32', 'bfloat16'] as const) ?? null, threads: number('threads') },
            device: oneOf(values, 'device', ['cpu', 'cuda']) ?? 'cpu',
          },
          remote: {
            ...{ name: optional('model-name'), keyFrom: optional('api-key-env'), concurrency: number('concurrency') },
            ...{ timeoutSeconds: number('timeout'), groupSamples: values['group-samples'] === true, echo: values['echo'] === true },
            standardFields: values['standard-fields'] === true,
          },
          judge:
            judge === null
              ? null
              : {
                  ...{ url: judge, name: optional('judge-model'), keyFrom: optional('judge-key-env') },
                  ...{ concurrency: number('judge-concurrency'), perMinute: number('judge-per-minute'), maxTokens: number('judge-max-tokens') },
                },
          json: values['json'] === true,
        },
        watched(),
      )
    },
  },
  diagnose: {
    positionals: 1,
    options: {
      ...{ set: texts, what: text, checkpoint: text, samples: text, out: text, report: text, seed: text, data: texts },
      ...{ wrong: text, cap: text, above: text, batches: text },
    },
    run: async (values, [target]) => {
      const { diagnoseCommand, diagnoseDefaults: defaults } = await import('./diagnose.ts')
      const optional = (name: string): string | undefined => values[name] as string | undefined
      const number = (name: string): number | undefined => numberOf(values, name)
      return await diagnoseCommand(
        {
          ...{ target: target as string, sets: listOf(values, 'set'), what: optional('what') ?? defaults.what, checkpoint: optional('checkpoint') },
          ...{ samples: number('samples') ?? defaults.samples, data: listOf(values, 'data'), out: required(values, 'out'), seed: number('seed') },
          report: optional('report'),
          ...{ wrong: number('wrong') ?? defaults.wrong, cap: number('cap'), above: number('above'), batches: number('batches') ?? defaults.batches },
        },
        watched(),
      )
    },
  },
  experiment: {
    positionals: [1, 2],
    options: { blindtest: text },
    run: async (values, [name, folder]) => {
      const { experiment } = await import('./experiment.ts')
      return await experiment(
        { name: name as string, folder: folder ?? `experiments/${name}`, blindtest: values['blindtest'] as string | undefined },
        watched(),
      )
    },
  },
  doctor: {
    positionals: 0,
    options: { json: flag },
    run: async ({ json }) => (await import('./doctor.ts')).doctor({ json: json === true }, print),
  },
  demo: {
    positionals: [0, 1],
    options: { base: text },
    run: async (values, [folder]) => {
      const { demo } = await import('./demo.ts')
      return await demo({ folder: folder ?? 'demo', base: values['base'] as string | undefined }, watched())
    },
  },
}

/** A mistake on the command line: the message, the help and exit status 2. */
class UsageError extends Error {}

/** The part of the help that is about a command; all of it where there is no such part. */
function helpOf(name: string | undefined): string {
  const parts = help.split(/\n(?= {2}sightline )/).filter((part) => part.startsWith(`  sightline ${name} `))
  return parts.length === 0 ? help : parts.join('\n')
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === '--version') {
    print(version)
    return 0
  }
  if (name === undefined || rest.includes('--help') || ['--help', '-h'].includes(name)) {
    print(helpOf(name))
    return name === undefined ? 2 : 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new UsageError(`"${name}"; expected one of ${Object.keys(commands).join(', ')}`)
  const { values, positionals } = parseArgs({ args: rest, allowPositionals: true, options: command.options })
  const [least, most] = typeof command.positionals === 'number' ? [command.positionals, command.positionals] : command.positionals
  if (positionals.length < least || positionals.length > most) {
    throw new UsageError(
      `${name} takes ${least === most ? least : `${least} to ${most}`} arguments besides options, got ${positionals.length}: ${positionals.join(' ')}`,
    )
  }
  return await command.run(values, positionals)
}

// A reader that has seen enough (`| head`) ends the command, as it ends others; a run trains on unwatched.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  const [first, enough] = [reader.there, error.code === 'EPIPE']
  reader.there = false
  if (first && !enough) process.stderr.write(`sightline: nothing more can be printed: ${error.message}\n`)
  if (reader.needed) process.exit(enough ? 0 : 1)
})

// Whoever started this as a part of something larger is gone: nobody waits for the rest.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref()

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  // What the user can act on comes as its message alone; anything else is a defect and keeps its stack.
  const usage = error instanceof UsageError || (error as { code?: unknown }).code?.toString().startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`sightline: ${error instanceof SightlineError || usage ? (error as Error).message : (error as Error).stack}\n`)
  if (usage) process.stderr.write(`\n${help}`)
  process.exitCode = usage ? 2 : 1
}
