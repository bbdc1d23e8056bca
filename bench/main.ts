// `npm run bench -- NAME [--json]`: figures as ratios inside one run, since machines differ and share.

import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { engineBench } from './engine.ts'
import { generateBench } from './generate.ts'
import { stepBench } from './step.ts'

type Bench = (report: (text: string) => void) => object | Promise<object>
const benches: { readonly [name: string]: Bench } = { engine: engineBench, generate: generateBench, step: stepBench }

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean', default: false } } })
const [name = ''] = positionals
const bench = benches[name]
if (bench === undefined || positionals.length > 1) {
  console.error(`bench: "${positionals.join(' ')}"; expected one of ${Object.keys(benches).join(', ')}, and --json for one object`)
  process.exit(2)
}
const load = loadavg()[0] as number
if (load > 1) console.error(`bench: other work is running here (load ${load.toFixed(1)}); times will be noisy`)
const figures = await bench((text) => {
  if (!values.json) console.log(text)
})
if (values.json) console.log(JSON.stringify(figures))
