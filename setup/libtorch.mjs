// Finds a libtorch: LIBTORCH first, then the system's, then a Python's. Plain JavaScript, since it runs before anything is installed.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * @typedef {object} Libtorch
 * @property {'LIBTORCH' | 'system' | 'python'} kind how it was found
 * @property {string} version such as 2.11.0
 * @property {string[]} includes folders with its headers; empty for the compiler's own
 * @property {string} libraryFolder
 * @property {boolean} cuda whether it has CUDA kernels
 * @property {boolean} oldStrings whether it was compiled with the C++ strings of before 2011, as PyTorch's packages before 2.6
 */

/** @param {string} includes the folder with libtorch's headers: the version's header moved in 2.10 */
function versionIn(includes) {
  const headers = ['torch/headeronly/version.h', 'torch/csrc/api/include/torch/version.h'].map((name) => join(includes, name))
  const text = headers
    .filter((header) => existsSync(header))
    .map((header) => readFileSync(header, 'utf8'))
    .join('\n')
  const part = (/** @type {string} */ name) => new RegExp(`#define TORCH_VERSION_${name} (\\d+)`).exec(text)?.[1] ?? '0'
  return [part('MAJOR'), part('MINOR'), part('PATCH')].join('.')
}

/**
 * A folder that holds include/ and lib/, as the libtorch archive and the `torch` package of a Python do.
 * @returns {Libtorch | undefined}
 */
function inFolder(/** @type {string} */ folder, /** @type {Libtorch['kind']} */ kind) {
  const header = join(folder, 'include/torch/csrc/api/include/torch/version.h')
  const libraryFolder = join(folder, 'lib')
  if (!existsSync(header) || !existsSync(join(libraryFolder, 'libtorch_cpu.so'))) return undefined
  return {
    kind,
    version: versionIn(join(folder, 'include')),
    includes: [join(folder, 'include'), join(folder, 'include/torch/csrc/api/include')],
    libraryFolder,
    cuda: existsSync(join(libraryFolder, 'libtorch_cuda.so')),
    oldStrings: !readFileSync(join(libraryFolder, 'libc10.so')).includes('__cxx11'),
  }
}

/** @returns {Libtorch | undefined} */
function inSystem() {
  const header = '/usr/include/torch/csrc/api/include/torch/version.h'
  if (!existsSync(header)) return undefined
  const folders = readdirSync('/usr/lib')
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join('/usr/lib', name))
  const libraryFolder = [...folders, '/usr/lib', '/usr/lib64'].find((folder) => existsSync(join(folder, 'libtorch_cpu.so')))
  if (!libraryFolder) return undefined
  return {
    kind: 'system',
    version: versionIn('/usr/include'),
    includes: ['/usr/include/torch/csrc/api/include'],
    libraryFolder,
    cuda: existsSync(join(libraryFolder, 'libtorch_cuda.so')),
    oldStrings: false,
  }
}

/** The folder of the `torch` package of a Python, or what went wrong. */
function ofPython(/** @type {string} */ python) {
  const code = 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")'
  try {
    return execFileSync(python, ['-c', code], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}

/**
 * @returns {{ found: Libtorch | undefined, looked: string[] }} the first that is there, and every place that was looked in
 */
export function findLibtorch() {
  const looked = []
  const named = process.env['LIBTORCH']
  if (named) {
    const path = resolve(named)
    const isFile = existsSync(path) && statSync(path).isFile()
    const folder = isFile ? ofPython(path) : path
    const found = folder ? inFolder(folder, 'LIBTORCH') : undefined
    // A wrong LIBTORCH is never passed over for another torch: the user asked for this one.
    return { found, looked: [`LIBTORCH=${named}${isFile ? ` (a Python; torch in ${folder || 'none'})` : ''}`] }
  }
  looked.push('the system (/usr/include/torch)')
  const system = inSystem()
  if (system) return { found: system, looked }
  for (const python of ['python3', '/usr/bin/python3']) {
    looked.push(python)
    const folder = ofPython(python)
    const found = folder ? inFolder(realpathSync(folder), 'python') : undefined
    if (found) return { found, looked }
  }
  return { found: undefined, looked }
}

export const waysToGetTorch = `  Debian or Ubuntu:  apt-get install libtorch-dev libopenblas0-openmp
  PyTorch you have:  LIBTORCH=/path/to/python (an interpreter that can import torch), or its folder …/site-packages/torch
  an archive:        LIBTORCH=/path/to/libtorch (the folder with include/ and lib/)`
