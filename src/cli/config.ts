// `sightline config`: what a run can be told, as JSON Schema for editors, and what a configuration comes to.

import { jsonSchema } from '../config/json-schema.ts'
import { draftConfig, packagedConfigs } from '../config/load.ts'
import { annotated } from '../config/print.ts'
import { ArgumentError } from '../errors.ts'

/** What to show: one of the three. */
export interface ConfigArguments {
  /** A configuration file or the name of a packaged one. */
  readonly config: string | undefined
  /** Changes of it, `a.b=c` each. */
  readonly sets: readonly string[]
  readonly schema: boolean
  readonly list: boolean
}

/**
 * Prints the JSON Schema, the packaged configurations, or one configuration complete with defaults and help, in which required fields may
 * still be empty; returns the exit status.
 */
export function config({ config: name, sets, schema, list }: ConfigArguments, print: (line: string) => void): number {
  if ([name !== undefined, schema, list].filter(Boolean).length !== 1) {
    throw new ArgumentError('sightline config: expected one of CONFIG, --schema and --list')
  }
  if (sets.length > 0 && name === undefined) throw new ArgumentError('sightline config: --set goes with a CONFIG')
  if (schema) {
    print(JSON.stringify(jsonSchema(), null, 2))
  } else if (name !== undefined) {
    const { config, missing } = draftConfig(name, sets)
    if (missing.length > 0) print(`# Still to be given: ${missing.join(', ')}.\n`)
    print(annotated(config, missing).trimEnd())
  } else {
    const configs = packagedConfigs()
    const column = Math.max(...configs.map((each) => each.name.length)) + 2
    for (const each of configs) print(`${each.name.padEnd(column)}${each.about}`)
  }
  return 0
}
