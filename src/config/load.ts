// From a name on the command line to a complete configuration: files that extend others, --set, and all problems at once with their places.

import { readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMap, isNode, LineCounter, parseDocument } from 'yaml'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { readTextIfThere } from '../fields.ts'
import { extendsKey, nodeAt } from './json-schema.ts'
import { isObject, type JsonObject, overlay } from './merge-patch.ts'
import { nearest, type Problem, problemsOf, valueAt } from './problems.ts'
import { type Config, configSchema } from './schema.ts'

/** A configuration as it was read. */
export interface Loaded {
  /** Complete: with every default. */
  readonly config: Config
  /** Only what files and --set say. */
  readonly given: JsonObject
  /** The files it came from, the one that extends all others last. */
  readonly files: readonly string[]
}

/** What one file or one --set says. */
interface Layer {
  readonly values: JsonObject
  /** Its path; null for a --set. */
  readonly file: string | null
  /** Where it says something about a path, such as `run.yaml:3:5`; null if it does not. */
  place(path: readonly PropertyKey[]): string | null
}

const packaged = fileURLToPath(new URL('../../configs', import.meta.url))
const ending = '.yaml'

/** The configurations that come with Sightline: names, and the first line of the comment that each opens with. */
export function packagedConfigs(): { readonly name: string; readonly about: string }[] {
  const names = readdirSync(packaged).filter((file) => file.endsWith(ending))
  return names.sort().map((file) => ({
    name: basename(file, ending),
    about: /^# *(.*)/.exec(readTextIfThere(join(packaged, file)) ?? '')?.[1] ?? '',
  }))
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** The file that a name stands for: a path, or else one of the packaged configurations. `asked` says who asks. */
function fileOf(name: string, path: string, asked: string): string {
  if (isFile(path)) return path
  const names = packagedConfigs().map((each) => each.name)
  const plain = name.endsWith(ending) ? name.slice(0, -ending.length) : name
  if (names.includes(plain)) return join(packaged, plain + ending)
  const near = nearest(plain, names)
  const advice = near === null ? `Sightline comes with ${names.join(', ')}` : `did you mean ${near}?`
  throw new FileFormatError(`${asked}"${name}": there is neither such a file nor a configuration of that name; ${advice}`)
}

type Failure = new (message: string, options?: ErrorOptions) => FileFormatError | ArgumentError

/** Faults of one YAML text that are told; what follows the first is often a consequence. */
const toldFaults = 5

/** The plain value of a YAML text, with the places of what it holds. @param placed a place in words; lines and columns count from 1 */
function parseYaml(
  text: string,
  label: string,
  placed: (line: number, column: number) => string,
  failure: Failure,
): { readonly value: unknown; place(path: readonly PropertyKey[]): string | null } {
  if (/[\0\uFFFD]/.test(text)) throw new failure(`${label}: is no text; expected a configuration in YAML`)
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = counter.linePos(offset)
    return placed(line, col)
  }
  // A warning is about a tag that means nothing here: what it marks would be read as something else than was meant.
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) {
    const lines = faults.slice(0, toldFaults).map((fault) => `${at(fault.pos[0])}: no valid YAML: ${fault.message}`)
    throw new failure([...lines, ...(faults.length > toldFaults ? [`and ${faults.length - toldFaults} more`] : [])].join('\n'))
  }
  const place = (path: readonly PropertyKey[]): string | null => {
    const map = document.getIn(path.slice(0, -1), true)
    const key = isMap(map) ? map.items.find((pair) => String(pair.key) === path.at(-1))?.key : document.getIn(path, true)
    return isNode(key) && key.range ? at(key.range[0]) : null
  }
  try {
    const value: unknown = document.toJS()
    // Aliases can build what contains itself; no configuration does, and nothing here could walk it.
    JSON.stringify(value)
    return { value, place }
  } catch (cause) {
    throw new failure(`${label}: no YAML that is plain data: ${(cause as Error).message}`, { cause })
  }
}

/** The layers of a file, those that it extends first. `within` are the files that led here. */
function fileLayers(file: string, within: readonly string[]): Layer[] {
  const real = realpathSync(file)
  if (within.some((each) => realpathSync(each) === real)) {
    throw new FileFormatError(`${file}: extends itself: ${[...within, file].join(' → ')}`)
  }
  const { value, place } = parseYaml(readTextIfThere(file) ?? '', file, (line, column) => `${file}:${line}:${column}`, FileFormatError)
  if (value !== null && !isObject(value)) {
    throw new FileFormatError(`${file}: the whole is ${JSON.stringify(value).slice(0, 200)}; expected a mapping of fields, such as model: {path: …}`)
  }
  const { [extendsKey]: base, ...values } = value ?? {}
  const own: Layer = { values, file, place }
  if (base === undefined || base === null) return [own]
  if (typeof base !== 'string')
    throw new FileFormatError(`${place([extendsKey])}: extends is ${JSON.stringify(base)}; expected the name or path of one file`)
  const path = isAbsolute(base) ? base : join(dirname(file), base)
  return [...fileLayers(fileOf(base, path, `${place([extendsKey])}: extends `), [...within, file]), own]
}

/** Whether a field takes a text and nothing else but null. */
function takesText(path: readonly string[]): boolean {
  const node = nodeAt(path)
  const types = (node?.anyOf ?? [node]).map((each) => each?.type)
  return types.includes('string') && types.every((type) => type === 'string' || type === 'null')
}

/** `a.b=c` as a layer; c is YAML, so that `null`, `3`, `[a, b]` and `{c: d}` mean what they mean in a file. */
function setLayer(set: string): Layer {
  const cut = set.indexOf('=')
  const path = set.slice(0, Math.max(cut, 0)).split('.')
  if (path.some((name) => name === '')) throw new ArgumentError(`--set ${set}: expected PATH=VALUE, such as rollout.topP=0.95`)
  if (path[0] === extendsKey) throw new ArgumentError(`--set ${set}: only a file can extend another; give a file, or the name of the other itself`)
  const raw = set.slice(cut + 1)
  const placed = (_: number, column: number): string => `--set ${set} (character ${column} of the value)`
  // The braces of {answer} are meant as they stand where nothing but a text fits.
  const value = /^\s*[[{]/.test(raw) && takesText(path) ? raw : parseYaml(raw, `--set ${set}`, placed, ArgumentError).value
  const values = path.reduceRight<unknown>((inner, name) => Object.fromEntries([[name, inner]]), value) as JsonObject
  return { values, file: null, place: (other) => (valueAt(values, other) === undefined ? null : `--set ${set}`) }
}

interface Layers {
  readonly given: JsonObject
  readonly files: readonly string[]
  /** The error that tells of problems, each with the place that it comes from. */
  refusal(problems: readonly Problem[]): FileFormatError | ArgumentError
}

function readLayers(name: string, sets: readonly string[]): Layers {
  const file = fileOf(name, name, '')
  const layers = [...fileLayers(file, []), ...sets.map(setLayer)]
  const given = layers.reduce<unknown>((base, layer) => overlay(base, layer.values), {}) as JsonObject
  const refusal = (problems: readonly Problem[]): FileFormatError | ArgumentError => {
    const sources = problems.map(({ path }) => layers.findLast((layer) => layer.place(path) !== null))
    const lines = problems.map(({ path, text }, i) => `${sources[i]?.place(path) ?? file}: ${text}`)
    const failure = sources.every((source) => source?.file === null) ? ArgumentError : FileFormatError
    return new failure(lines.join('\n'))
  }
  return { given, files: layers.flatMap((layer) => layer.file ?? []), refusal }
}

/**
 * Reads a configuration: a YAML file, or the name of one that comes with Sightline (a file of that name goes first). Under it lie the files
 * that it `extends`, over it the `sets` in their order, each `a.b=c` with c in YAML. Mappings are merged, anything else (null too) replaces.
 * Paths inside are not resolved: they are relative to the working directory, but for `extends`, which is relative to its file.
 * @throws FileFormatError with all problems and their places (file:line:column); ArgumentError if all of them lie in `sets`
 */
export function readConfig(name: string, sets: readonly string[] = []): Loaded {
  const { given, files, refusal } = readLayers(name, sets)
  const parsed = configSchema.safeParse(given)
  if (!parsed.success) throw refusal(problemsOf(parsed.error.issues, given))
  return { config: parsed.data, given, files }
}

/** As `readConfig`, but required fields may be missing: they hold a filler, and `missing` has their paths. For showing, not for running. */
export function draftConfig(name: string, sets: readonly string[] = []): { readonly config: Config; readonly missing: readonly string[] } {
  const { given, refusal } = readLayers(name, sets)
  const first = configSchema.safeParse(given)
  const found = first.success ? [] : problemsOf(first.error.issues, given)
  const gaps = found.filter((problem) => problem.missing).map(({ path }) => path.map(String))
  const filled = gaps.reduce<unknown>(
    (values, path) =>
      overlay(
        values,
        path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), 'required'),
      ),
    given,
  )
  const parsed = configSchema.safeParse(filled)
  if (!parsed.success) throw refusal(problemsOf(parsed.error.issues, filled))
  return { config: parsed.data, missing: gaps.map((path) => path.join('.')) }
}
