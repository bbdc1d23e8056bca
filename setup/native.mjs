// Compiles the addon against the libtorch that was found, and caches it: one folder in build/ for each libtorch, source and processor.

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Node-API's headers, from the node package that this project runs on. */
function nodeHeaders() {
  return join(dirname(createRequire(join(root, 'package.json')).resolve(`node-linux-${process.arch}/package.json`)), 'include/node')
}

/** OpenMP's OpenBLAS beside the system's default: the pthread one fights with libtorch's own threads and is several times slower. */
function openblas(/** @type {import('./libtorch.mjs').Libtorch} */ libtorch) {
  const folder = join(libtorch.libraryFolder, 'openblas-openmp')
  return libtorch.kind === 'system' && existsSync(join(folder, 'libblas.so.3')) ? folder : undefined
}

/**
 * Compiles a folder of C++ by its Makefile into build/NAME-…/NAME.node, unless that is there already.
 * @param {string} source the folder, from the root
 * @param {string} name
 * @param {import('./libtorch.mjs').Libtorch} libtorch
 * @param {(line: string) => void} say
 * @returns {string} the path of the compiled file, from build/
 */
export function compile(source, name, libtorch, say) {
  const compiler = process.env['CXX'] ?? 'g++'
  const hash = createHash('sha256').update(JSON.stringify(libtorch))
  for (const entry of readdirSync(join(root, source), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) hash.update(entry.name).update(readFileSync(join(entry.parentPath, entry.name)))
  }
  // What -march=native means here: on another processor the addon is built again.
  hash.update(execFileSync(compiler, ['-march=native', '-dM', '-E', '-x', 'c++', '/dev/null']))
  const folder = `${name}-${libtorch.version}-${hash.digest('hex').slice(0, 12)}`
  const target = `${folder}/${name}.node`
  if (existsSync(join(root, 'build', target))) return target

  say(`compiling ${source} against libtorch ${libtorch.version} (about half a minute, once)`)
  const out = join(root, 'build', folder)
  mkdirSync(out, { recursive: true })
  const blas = openblas(libtorch)
  // RPATH, not RUNPATH: it also holds for the libraries that libtorch itself asks for, such as libblas.so.3.
  const rpath = (/** @type {string} */ path) => `-Wl,--disable-new-dtags -Wl,-rpath,${path}`
  const libraries = [
    ...(blas ? [`-L${blas}`, rpath(blas), '-Wl,--no-as-needed -l:libblas.so.3 -Wl,--as-needed'] : []),
    `-L${libtorch.libraryFolder}`,
    ...(libtorch.kind === 'system' ? [] : [rpath(libtorch.libraryFolder)]),
    '-ltorch_cpu -lc10 -ldl',
  ]
  const defines = [
    ...(libtorch.cuda ? [`-DSIGHTLINE_CUDA_LIBRARY='"${join(libtorch.libraryFolder, 'libtorch_cuda.so')}"'`] : []),
    ...(libtorch.oldStrings ? ['-D_GLIBCXX_USE_CXX11_ABI=0'] : []),
  ]
  const settings = {
    CXX: compiler,
    OUT: out,
    NODE_INCLUDE: nodeHeaders(),
    INCLUDES: libtorch.includes.join(' '),
    LIBRARIES: libraries.join(' '),
    DEFINES: defines.join(' '),
  }
  const words = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  const made = spawnSync('make', ['-C', join(root, source), `-j${availableParallelism()}`, '--no-print-directory', '-s', ...words], {
    encoding: 'utf8',
  })
  if (made.status !== 0) {
    const output = `${made.stdout}${made.stderr}${made.error?.message ?? ''}`
    throw new Error(`${source} did not compile (${compiler}, libtorch ${libtorch.version} in ${libtorch.libraryFolder}):\n${output}`)
  }
  return target
}

/** Compiles the addon and records what it was built against, for src/torch/native.ts. */
export function buildAddon(/** @type {import('./libtorch.mjs').Libtorch} */ libtorch, /** @type {(line: string) => void} */ say) {
  const addon = compile('native', 'sightline', libtorch, say)
  const record = { addon, libtorch: { kind: libtorch.kind, version: libtorch.version, libraryFolder: libtorch.libraryFolder } }
  writeFileSync(join(root, 'build', 'engine.json'), `${JSON.stringify(record, null, 2)}\n`)
}
