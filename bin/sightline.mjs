#!/usr/bin/env node
// Starts the command line, with the project's own Node where the caller's is too old to run TypeScript.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runEnvironment } from '../setup/environment.mjs'
import { start } from '../setup/start.mjs'

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const own = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
const recent = Number(process.versions.node.split('.')[0]) >= 24
if (recent || existsSync(own)) {
  process.exitCode = await start(recent ? process.execPath : own, [main, ...process.argv.slice(2)], { env: runEnvironment() })
} else {
  process.stderr.write(`sightline needs Node 24 or later, found ${process.version}; \`npm run doctor\` in the package installs one beside it\n`)
  process.exitCode = 1
}
