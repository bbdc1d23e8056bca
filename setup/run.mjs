// `node setup/run.mjs [--checks] [--format] [--test [FILES…]] [SCRIPT ARGUMENTS…]`: installs what is missing, then runs the checks, the
// tests (all, or those named) or a script.
//
// Every npm script goes through here, so each one works on a fresh machine. It needs nothing but Node 18 and npm, says what it
// installs, and costs a few milliseconds when all is there.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { runEnvironment } from './environment.mjs'
import { findLibtorch, waysToGetTorch } from './libtorch.mjs'
import { buildAddon, root } from './native.mjs'
import { start } from './start.mjs'

const started = Date.now()
let worked = false

/** @param {string} line */
function say(line) {
  worked = true
  process.stderr.write(`set-up: ${line}\n`)
}

/** @param {string} reason @returns {never} */
function stop(reason) {
  process.stderr.write(`set-up failed: ${reason}\n`)
  process.exit(1)
}

/** @param {string} command @param {string[]} args @param {import('node:child_process').SpawnSyncOptions} [options] */
function run(command, args, options) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', ...options })
  if (done.error || done.status !== 0) stop(`\`${command} ${args.join(' ')}\`: ${done.error?.message ?? `${done.stdout}${done.stderr}`}`)
}

function has(/** @type {string} */ command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

/** Debian packages, when this is Debian and we are root; otherwise the command to run. */
function installSystemPackages(/** @type {string[]} */ packages, /** @type {string} */ why) {
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (!has('apt-get')) stop(`${why}, and this is no Debian system.\n${waysToGetTorch}`)
  if (process.getuid?.() !== 0) stop(`${why}. Run as root:  ${command}\n${waysToGetTorch}`)
  say(`${why}: installing ${packages.join(', ')} from Debian (about 130 MB for libtorch, half a minute)`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['update'], { env })
  run('apt-get', command.split(' ').slice(1), { env })
}

function ensureNpmPackages() {
  const stamp = join(root, 'node_modules', '.sightline-lock')
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  say('installing npm packages: Node 24 (runs TypeScript directly), image decoding, tokenizer, chat templates, TypeScript, Biome')
  run('npm', ['ci', '--loglevel=error'])
  writeFileSync(stamp, lock)
}

function ensureEngine() {
  let { found, looked } = findLibtorch()
  const tools = has('make') && has(process.env['CXX'] ?? 'g++') ? [] : ['g++', 'make']
  if (!found && process.env['LIBTORCH'])
    stop(`no libtorch there (include/ with headers and lib/libtorch_cpu.so): ${looked.join(', ')}\n${waysToGetTorch}`)
  const missing = [...tools, ...(found ? [] : ['libtorch-dev', 'libopenblas0-openmp'])]
  if (missing.length > 0) {
    installSystemPackages(missing, found ? 'no C++ compiler found' : `no libtorch found (looked in ${looked.join(', ')})`)
    ;({ found, looked } = findLibtorch())
  }
  if (!found) stop(`no libtorch found, looked in ${looked.join(', ')}\n${waysToGetTorch}`)
  mkdirSync(join(root, 'build'), { recursive: true })
  buildAddon(found, say)
}

/** Runs one step and ends with its exit code if that is not 0. */
async function step(/** @type {string} */ command, /** @type {string[]} */ args) {
  const status = await start(command, args, { cwd: root, env: runEnvironment() })
  if (status !== 0) process.exit(status)
}

const [, , ...words] = process.argv
const ownNode = join(root, 'node_modules', '.bin', 'node')
try {
  ensureNpmPackages()
  ensureEngine()
} catch (error) {
  stop(/** @type {Error} */ (error).message)
}
if (worked) say(`done in ${((Date.now() - started) / 1000).toFixed(0)} s`)

const biome = join(root, `node_modules/@biomejs/cli-linux-${process.arch}/biome`)
while (words[0]?.startsWith('--')) {
  const option = words.shift()
  if (option === '--checks') {
    await step(biome, ['ci', '--error-on-warnings', '.'])
    await step(ownNode, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
  } else if (option === '--format') {
    await step(biome, ['check', '--write', '.'])
  } else if (option === '--test') {
    const chosen = words.splice(0)
    // Node would leave one core out, which is half of a small machine.
    const atOnce = `--test-concurrency=${availableParallelism()}`
    await step(ownNode, ['--test', atOnce, '--test-reporter=spec', ...(chosen.length > 0 ? chosen : ['test/**/*.test.ts'])])
  } else stop(`unknown option ${option}`)
}
if (words.length > 0) await step(ownNode, words)
