// The command line: the only place that reads arguments and prints.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SightlineError } from '../errors.ts'

const help = `sightline: visually grounded on-policy distillation of vision-language models

  sightline doctor [--json]   what was found (libtorch, BLAS, threads, CUDA), what is missing, and a self-test
  sightline demo              the engine at work: a small decoder learns a text and teaches a smaller one (a minute)
  sightline --version
`

const print = (line: string): void => void process.stdout.write(`${line}\n`)

// Commands are imported when they run: help and version do not load the engine.
const commands: { readonly [name: string]: (json: boolean) => Promise<number> } = {
  doctor: async (json) => (await import('./doctor.ts')).doctor({ json }, print),
  demo: async () => {
    const status = process.stdout.isTTY ? (line: string): void => void process.stdout.write(`\r\x1b[2K${line}`) : undefined
    const { demo } = await import('./demo.ts')
    demo({ print: (line) => print(status === undefined ? line : `\r\x1b[2K${line}`), status })
    return 0
  },
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
  })
  if (values.version) {
    const path = fileURLToPath(new URL('../../package.json', import.meta.url))
    print((JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version)
    return 0
  }
  const [name, ...rest] = positionals
  if (values.help || name === undefined) {
    print(help)
    return values.help ? 0 : 2
  }
  const command = commands[name]
  if (command === undefined || rest.length > 0) {
    process.stderr.write(`sightline: "${positionals.join(' ')}"; expected one of ${Object.keys(commands).join(', ')}\n\n${help}`)
    return 2
  }
  return await command(values.json)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  // What the user can act on comes as its message alone; anything else is a defect and keeps its stack.
  const usage = (error as { code?: unknown }).code?.toString().startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`sightline: ${error instanceof SightlineError || usage ? (error as Error).message : (error as Error).stack}\n`)
  process.exitCode = usage ? 2 : 1
}
