// From what a configuration calls its method to the table that is executed: a preset or a file of the user's, and the changes on top.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import { isObject, mergePatch } from '../config/merge-patch.ts'
import type { Config } from '../config/schema.ts'
import { ArgumentError, FileFormatError } from '../errors.ts'
import { methods } from '../methods/registry.ts'
import { defineMethod } from '../supervision/check.ts'
import type { Method, MethodTable } from '../supervision/method.ts'

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
    throw new FileFormatError(`${file}: cannot be loaded as a method: ${(cause as Error).message}`, { cause })
  }
  if (module.method === undefined)
    throw new FileFormatError(`${file}: exports no \`method\`; write  export const method = { name: …, views: …, terms: … }`)
  return module.method
}

/**
 * The method of a configuration, complete and checked.
 * @throws ArgumentError for an unknown name, and for a table that makes no sense, with all that is wrong; FileFormatError for files
 */
export async function resolveMethod({ method: asked, change }: Pick<Config, 'method' | 'change'>): Promise<Method> {
  let table: unknown = methods.get(asked)
  if (table === undefined && /\.(json|ya?ml)$/.test(asked)) table = readTable(asked)
  if (table === undefined && /\.[cm]?[jt]s$/.test(asked)) table = await importTable(asked)
  if (table === undefined) {
    throw new ArgumentError(
      `method ${asked}: there is no such preset; there are ${[...methods.keys()].join(', ')}, or give a .json, .yaml, .ts or .js file`,
    )
  }
  if (!isObject(table)) throw new FileFormatError(`${asked}: holds ${JSON.stringify(table)}; expected a method's table`)
  return defineMethod(mergePatch(table, change) as MethodTable)
}
