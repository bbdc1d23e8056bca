// From what a configuration calls its method to the table that is executed: a preset or a file of the user's, and the changes on top.

import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import { isObject, type JsonObject, mergePatch } from '../config/merge-patch.ts'
import { nearest, valueAt, written } from '../config/problems.ts'
import type { Config } from '../config/schema.ts'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { methods } from '../methods/registry.ts'
import { defineMethod } from '../supervision/check.ts'
import { type Method, type MethodTable, methodSchema } from '../supervision/method.ts'

const endings = { data: /\.(json|ya?ml)$/, code: /\.[cm]?[jt]s$/ } as const

/** This package, for whoever imports it from a file elsewhere. */
const home = fileURLToPath(new URL('../..', import.meta.url))

function readTable(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new FileFormatError(`${file}: cannot be read as a method: ${(cause as Error).message}`, { cause })
  }
}

async function importTable(file: string): Promise<unknown> {
  let module: { readonly method?: unknown }
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as typeof module
  } catch (cause) {
    const { message } = cause as Error
    const hint = message.includes("package 'sightline'") ? `\nIn the folder of that file:  npm install ${home}   (a table needs no import)` : ''
    throw new FileFormatError(`${file}: cannot be loaded as a method: ${message}${hint}`, { cause })
  }
  if (module.method === undefined)
    throw new FileFormatError(`${file}: exports no \`method\`; write  export const method = { name: …, views: …, terms: … }`)
  return module.method
}

/** The table that a configuration asks for, as it is there. */
async function tableOf(asked: string): Promise<unknown> {
  const preset = methods.get(asked)
  if (preset !== undefined) return preset
  const [isData, isCode] = [endings.data.test(asked), endings.code.test(asked)]
  if (isData || isCode) {
    if (!existsSync(asked)) throw new FileFormatError(`method ${asked}: there is no such file`)
    return isData ? readTable(asked) : await importTable(asked)
  }
  if (existsSync(asked)) throw new ArgumentError(`method ${asked}: a method's file ends in .json, .yaml, .yml, .ts, .js or .mjs`)
  const near = nearest(asked, [...methods.keys()])
  throw new ArgumentError(
    `method ${asked}: there is no such preset; there are ${[...methods.keys()].join(', ')}, or give a .json, .yaml, .ts or .js file` +
      (near === null ? '' : `. Did you mean ${near}?`),
  )
}

/** What a path in a method's table begins with where the change says it. */
const prefixOf = (path: string, change: JsonObject): string => (valueAt(change, path.split('.')) === undefined ? '' : 'change.')

/** What is wrong with the shape of a table, each with its path, which begins with `change.` where the change says so. */
function shapeFaults(table: unknown, change: JsonObject): string[] {
  const { error } = methodSchema.safeParse(table)
  const placed = (path: readonly PropertyKey[]): string => {
    const missing = valueAt(table, path) === undefined
    const changed = valueAt(change, missing ? path.slice(0, -1) : path) !== undefined && (path.length > 1 || !missing)
    return written(changed ? ['change', ...path] : path) || 'the whole'
  }
  return (error?.issues ?? []).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${placed([...issue.path, key])}: there is no such field`)
    const value = valueAt(table, issue.path)
    const told = value === undefined ? 'is missing' : `is ${JSON.stringify(value).slice(0, 200)}`
    return [
      `${placed(issue.path)} ${told}; ${issue.message.replace(/^Invalid input: /, '').replace(/^Invalid discriminator value\. Expected/, 'expected')}`,
    ]
  })
}

/**
 * The method of a configuration, complete and checked.
 * @throws ArgumentError for an unknown name, and for a table that makes no sense, with all that is wrong; FileFormatError for files
 */
export async function resolveMethod({ method: asked, change }: Pick<Config, 'method' | 'change'>): Promise<Method> {
  const table = await tableOf(asked)
  if (!isObject(table)) throw new FileFormatError(`${asked}: holds ${JSON.stringify(table)}; expected a method's table`)
  const merged = mergePatch(table, change)
  const called = `method ${asked}${Object.keys(change).length > 0 ? ' with the change' : ''}:`
  const faults = shapeFaults(merged, change)
  if (faults.length > 0) throw new ArgumentError([called, ...faults.map((each) => `  ${each}`)].join('\n'))
  try {
    return defineMethod(merged as MethodTable)
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause
    const lines = cause.message.split('\n').slice(1)
    throw new ArgumentError(
      [called, ...lines.map((line) => line.replace(/^ {2}(?=([\w.-]+): )/, (_, path: string) => `  ${prefixOf(path, change)}`))].join('\n'),
      { cause },
    )
  }
}
