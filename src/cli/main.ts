// The command line: the only place that reads arguments and prints.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { ArgumentError, SightlineError } from '../errors.ts'

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
  sightline doctor [--json]   what was found (libtorch, BLAS, threads, CUDA), what is missing, and a self-test
  sightline demo              the engine at work: a small decoder learns a text and teaches a smaller one (a minute)
  sightline --version
`

const print = (line: string): void => void process.stdout.write(`${line}\n`)

type Options = NonNullable<ParseArgsConfig['options']>
type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

interface Command {
  readonly options: Options
  /** How many arguments that are not options it takes. */
  readonly positionals: number
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
        (piece) => void process.stdout.write(piece),
      )
    },
  },
  inspect: {
    positionals: 1,
    options: { rank: text, context: text },
    run: async (values, [folder]) =>
      (await import('./inspect.ts')).inspect(folder as string, { rank: numberOf(values, 'rank'), context: numberOf(values, 'context') }, print),
  },
  doctor: {
    positionals: 0,
    options: { json: flag },
    run: async ({ json }) => (await import('./doctor.ts')).doctor({ json: json === true }, print),
  },
  demo: {
    positionals: 0,
    options: {},
    run: async () => {
      const status = process.stdout.isTTY ? (line: string): void => void process.stdout.write(`\r\x1b[2K${line}`) : undefined
      const { demo } = await import('./demo.ts')
      demo({ print: (line) => print(status === undefined ? line : `\r\x1b[2K${line}`), status })
      return 0
    },
  },
}

/** A mistake on the command line: the message, the help and exit status 2. */
class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === '--version') {
    const path = fileURLToPath(new URL('../../package.json', import.meta.url))
    print((JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version)
    return 0
  }
  if (name === undefined || rest.includes('--help') || ['--help', '-h'].includes(name)) {
    print(help)
    return name === undefined ? 2 : 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new UsageError(`"${name}"; expected one of ${Object.keys(commands).join(', ')}`)
  const { values, positionals } = parseArgs({ args: rest, allowPositionals: true, options: command.options })
  if (positionals.length !== command.positionals) {
    throw new UsageError(`${name} takes ${command.positionals} arguments besides options, got ${positionals.length}: ${positionals.join(' ')}`)
  }
  return await command.run(values, positionals)
}

// A reader that has seen enough (`| head`) ends the command, as it ends others.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  // What the user can act on comes as its message alone; anything else is a defect and keeps its stack.
  const usage = error instanceof UsageError || (error as { code?: unknown }).code?.toString().startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`sightline: ${error instanceof SightlineError || usage ? (error as Error).message : (error as Error).stack}\n`)
  if (usage) process.stderr.write(`\n${help}`)
  process.exitCode = usage ? 2 : 1
}
