// Finds and loads the compiled addon, once per thread, and says what to do when it is not there.

import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { EngineError, OperatorError } from '../errors.ts'

/** What the addon was built against; written beside it by the set-up. */
export interface BuildRecord {
  readonly addon: string
  readonly libtorch: { readonly kind: string; readonly version: string; readonly libraryFolder: string }
}

export interface EngineDescription {
  readonly torch: string
  readonly build: string
  readonly blasLibrary: string
  readonly openmpLibrary: string
  readonly cudaDevices: number
  readonly cudaProblem: string
}

/** An operator of the library; the arguments beyond the first `least` may be left away for their defaults. */
export interface NativeOperator {
  (...args: unknown[]): unknown
  readonly least: number
}

/** The addon's functions, as native/ exports them. Tensors are handles (positive integers; 0 is none). */
export interface Native {
  describe(): EngineDescription
  threads(count?: number): number
  operator(name: string, overload: string, argumentNames: readonly string[], defaults: readonly unknown[]): NativeOperator
  fromBytes(bytes: Uint8Array, dtype: number, shape: readonly number[]): number
  toBytes(handle: number): ArrayBuffer
  facts(handle: number): number[]
  item(handle: number): number | bigint
  release(handles: Int32Array, count: number): void
  alias(handle: number): number
  memory(): { tensors: number; cpuBytes: number; cpuPeakBytes: number; cudaBytes: number; cudaPeakBytes: number }
  resetPeakMemory(): void
  mapFile(path: string): number
  mapTensor(mapping: number, offset: number, dtype: number, shape: readonly number[]): number
  unmapFile(mapping: number): void
  setMode(mode: number): void
  backward(roots: readonly number[], gradients: readonly (number | null)[], retainGraph: boolean): void
  gradients(
    outputs: readonly number[],
    inputs: readonly number[],
    outputGradients: readonly (number | null)[],
    retainGraph: boolean,
    createGraph: boolean,
  ): number[]
  gradient(handle: number): number
  setGradient(handle: number, gradient: number): void
  setRequiresGrad(handle: number, value: boolean): void
  createGenerator(device: string): number
  defaultGenerator(device: string): number
  releaseGenerator(generator: number): void
  seedGenerator(generator: number, seed: number): void
  generatorState(generator: number): number
  setGeneratorState(generator: number, state: number): void
}

const folder = fileURLToPath(new URL('../../build/', import.meta.url))

/** The record of the addon that will be loaded. */
export function buildRecord(): BuildRecord {
  const path = `${folder}engine.json`
  if (!existsSync(path)) {
    throw new EngineError(
      'the engine is not built yet: run `npm run doctor` in the package (it installs and compiles what is missing), ' +
        'or set LIBTORCH to a libtorch or a Python with torch and run it again',
    )
  }
  return JSON.parse(readFileSync(path, 'utf8')) as BuildRecord
}

/**
 * OpenBLAS chooses its kernels by a list of processor models and falls back to 1990s SSE code (measured: 8 times slower) on models
 * that are newer than itself. The instruction sets tell it better; a choice made by the user stays.
 */
function openblasCore(): string | undefined {
  if (process.arch !== 'x64' || !existsSync('/proc/cpuinfo')) return undefined
  const information = readFileSync('/proc/cpuinfo', 'utf8')
  const flags = new Set(/^flags\s*:(.*)$/m.exec(information)?.[1]?.split(' '))
  if (['avx512f', 'avx512dq', 'avx512bw', 'avx512vl'].every((flag) => flags.has(flag))) return 'SKYLAKEX'
  if (flags.has('avx2') && flags.has('fma')) return information.includes('AuthenticAMD') ? 'ZEN' : 'HASWELL'
  return undefined
}

/**
 * Settings of the libraries that are read when these are loaded. GNU OpenMP lets idle threads spin for milliseconds; where another
 * process wants the core, each of the many short parallel regions then waits for a time slice (measured beside a busy process: a test of
 * small operators 10 times slower). A shorter spin costs nothing on an idle machine.
 */
function prepareLibraries(): void {
  const core = openblasCore()
  if (core !== undefined) process.env['OPENBLAS_CORETYPE'] ??= core
  if (process.env['OMP_WAIT_POLICY'] === undefined) process.env['GOMP_SPINCOUNT'] ??= '10000'
}

let loaded: Native | undefined

function load(): Native {
  const record = buildRecord()
  if (isMainThread) prepareLibraries()
  let engine: Native
  try {
    engine = createRequire(import.meta.url)(`${folder}${record.addon}`) as Native
  } catch (cause) {
    throw new EngineError(
      `the engine could not be loaded: ${(cause as Error).message}\n` +
        `  built against: libtorch ${record.libtorch.version} (${record.libtorch.kind}) in ${record.libtorch.libraryFolder}\n` +
        '  run `npm run doctor` to find libtorch again and rebuild; set LIBTORCH=/path/to/libtorch (or to a Python that has torch) to choose one',
      { cause },
    )
  }
  const wanted = Number(process.env['OMP_NUM_THREADS'])
  engine.threads(Number.isInteger(wanted) && wanted > 0 ? wanted : availableParallelism())
  return engine
}

/** The addon, loaded on first use: `--help` and pure code never pay for libtorch. */
export function native(): Native {
  loaded ??= load()
  return loaded
}

/** Sets how many threads an operator of this JavaScript thread may use (each worker has its own setting); returns the number in force. */
export function setThreads(count: number): number {
  return native().threads(count)
}

/** Runs a call of the engine about these tensors: an error of the engine becomes an `OperatorError` that names `name` and shows them. */
export function about<T>(name: string, involved: readonly unknown[], takes: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    if (typeof (cause as { code?: unknown }).code !== 'string') throw cause
    throw new OperatorError(name, (cause as Error).message, involved.join(', '), [takes], cause)
  }
}
