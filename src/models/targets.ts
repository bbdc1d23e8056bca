// Which modules an adapter updates: PEFT's rules, so that an adapter selects here what it selects there.

import { ArgumentError } from '../errors.ts'

/** As in adapter_config.json; names are those of `Model.linears`. */
export interface Selection {
  /** Whole module names or what follows a dot in them; or one regular expression for whole names. */
  readonly targets: readonly string[] | string
  /** The same, for what is left out; `[]` for nothing. */
  readonly exclude: readonly string[] | string
  /** Layers that names found by their end must lie in; null for all. */
  readonly layers: readonly number[] | null
  /** What the numbered lists of layers are called; `[]` for any name. */
  readonly layersPattern: readonly string[]
}

/** Positive numbers by regular expressions for the ends of module names; the first that matches counts. */
export type Patterns = Readonly<Record<string, number>>

function compiled(source: string, what: string): RegExp {
  try {
    // Unicode mode refuses what Python reads differently, such as \Z.
    return new RegExp(source, 'u')
  } catch (cause) {
    throw new ArgumentError(`${what}: not a regular expression that Python and JavaScript read alike: ${(cause as Error).message}`, { cause })
  }
}

const endsIn = (name: string, ends: readonly string[]): boolean => ends.some((end) => name === end || name.endsWith(`.${end}`))

function matcher(names: readonly string[] | string, what: string): (name: string) => boolean {
  if (typeof names !== 'string') return (name) => endsIn(name, names)
  const whole = compiled(`^(?:${names})$`, what)
  return (name) => whole.test(name)
}

/** Whether a module is selected (peft 0.21.2, `check_target_module_exists`). A bad expression is an `ArgumentError`. */
export function selector({ targets, exclude, layers, layersPattern }: Selection): (name: string) => boolean {
  const [included, excluded] = [matcher(targets, 'targets'), matcher(exclude, 'exclude')]
  const lists = layersPattern.length === 0 ? [String.raw`^.*?\.[^.]*`] : layersPattern.map((list) => String.raw`^(?:|.*?\.)${list}`)
  const indices = lists.map((list) => compiled(String.raw`${list}\.(?<index>\d+)\.`, 'layersPattern'))
  const inLayers = (name: string): boolean => {
    if (layers === null) return true
    const found = indices.map((index) => index.exec(name)).find((match) => match !== null)
    return layers.includes(Number(found?.groups?.['index'] ?? -1))
  }
  const whole = new Set(typeof targets === 'string' ? [] : targets)
  return (name) => !excluded(name) && included(name) && (whole.has(name) || inLayers(name))
}

/** The first pattern that a module's name ends in (peft 0.21.2, `get_pattern_key`); undefined where there is none. */
export function patternOf(patterns: Patterns, name: string): string | undefined {
  return Object.keys(patterns).find((pattern) => compiled(`^(.*\\.)?(${pattern})$`, `pattern ${JSON.stringify(pattern)}`).test(name))
}

/** The same exclusion with all that `pattern` matches besides. */
export function excludingAlso(exclude: readonly string[] | string, pattern: string): string {
  const escaped = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  if (typeof exclude === 'string') return `(?:${exclude})|${pattern}`
  return [pattern, ...exclude.map((name) => String.raw`(?:.*\.)?${escaped(name)}`)].join('|')
}
