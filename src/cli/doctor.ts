// `sightline doctor`: what was found, what is missing or slow and what to do about it, and a self-test.

import { availableParallelism, loadavg } from 'node:os'
import { buildRecord, native } from '../torch/native.ts'
import { type Check, matrixRate, selfTest } from '../torch/selftest.ts'

export interface Diagnosis {
  readonly found: { readonly [what: string]: string }
  readonly advice: readonly string[]
  readonly checks: readonly Check[]
}

export function diagnose(): Diagnosis {
  const record = buildRecord()
  const engine = native().describe()
  const threads = native().threads()
  const cores = availableParallelism()
  const load = loadavg()[0] as number
  const capability = /CPU capability usage: (\S+)/.exec(engine.build)?.[1] ?? 'unknown'
  const advice: string[] = []

  if (engine.blasLibrary.includes('openblas-pthread')) {
    advice.push(
      'BLAS has threads of its own that fight with libtorch’s (2 to 3 times slower): apt-get install libopenblas0-openmp, then `npm run doctor`',
    )
  }
  if (threads < cores) advice.push(`${threads} of ${cores} threads are used, since OMP_NUM_THREADS says so`)
  if (load > cores * 0.6)
    advice.push(`other work is running (load ${load.toFixed(1)} on ${cores} cores): training will be slow; OMP_NUM_THREADS=1 suffers least`)

  const one = withThreads(1, () => matrixRate('cpu'))
  const all = threads === 1 ? one : matrixRate('cpu')
  if (all < 20 * threads)
    advice.push(`a matrix product runs at ${all.toFixed(0)} GFLOP/s, little for ${threads} threads: a slow BLAS, or a busy machine`)

  const checks = [...selfTest('cpu')]
  const gpu: Record<string, string> = {}
  if (engine.cudaDevices > 0) {
    gpu['bfloat16 matrix product on cuda'] = `${(matrixRate('cuda', 'bfloat16', 8192) / 1000).toFixed(0)} TFLOP/s`
    checks.push(...selfTest('cuda').map((check) => ({ ...check, name: `${check.name}, cuda` })))
  }
  return {
    found: {
      libtorch: `${engine.torch}, ${record.libtorch.kind === 'LIBTORCH' ? 'named by LIBTORCH' : `of the ${record.libtorch.kind}`}, in ${record.libtorch.libraryFolder}`,
      'Node.js': process.version,
      BLAS: engine.blasLibrary || 'inside libtorch',
      'BLAS kernels': process.env['OPENBLAS_CORETYPE'] ?? 'its own choice',
      OpenMP: engine.openmpLibrary,
      threads: `${threads} of ${cores}`,
      'vector instructions': capability,
      'matrix product': `${one.toFixed(0)} GFLOP/s on one thread, ${all.toFixed(0)} on ${threads}`,
      CUDA:
        engine.cudaDevices > 0
          ? `${engine.cudaDevices} device${engine.cudaDevices > 1 ? 's' : ''}`
          : `none (${engine.cudaProblem || 'no device answers'})`,
      ...gpu,
    },
    advice,
    checks,
  }
}

function withThreads<T>(count: number, body: () => T): T {
  const before = native().threads()
  native().threads(count)
  try {
    return body()
  } finally {
    native().threads(before)
  }
}

/** Prints the diagnosis; the exit code is 1 when a check failed. */
export function doctor(options: { readonly json: boolean }, print: (line: string) => void): number {
  const diagnosis = diagnose()
  const failed = diagnosis.checks.some((check) => !check.passed)
  if (options.json) {
    print(JSON.stringify(diagnosis))
    return failed ? 1 : 0
  }
  const width = Math.max(...Object.keys(diagnosis.found).map((key) => key.length))
  for (const [what, value] of Object.entries(diagnosis.found)) print(`${what.padEnd(width)}  ${value}`)
  for (const line of diagnosis.advice) print(`\nadvice: ${line}`)
  print('')
  for (const { name, passed, detail } of diagnosis.checks) print(`${passed ? 'passed' : 'FAILED'}  ${name} (${detail})`)
  return failed ? 1 : 0
}
