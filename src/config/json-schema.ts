// The schema in the forms that others read: JSON Schema for editors, a flat list for documentation, and words for error messages.

import * as z from 'zod'
import { isObject, type JsonObject } from './merge-patch.ts'
import { configSchema } from './schema.ts'

/** The part of JSON Schema (draft 2020-12) that the configuration needs. */
export interface Node {
  readonly type?: string
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Node[]
  readonly items?: Node
  readonly properties?: { readonly [name: string]: Node }
  readonly required?: readonly string[]
  readonly minLength?: number
  readonly minItems?: number
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly exclusiveMaximum?: number
}

/** A field, or a section of them, as documentation lists it. */
export interface Field {
  /** Such as `rollout.topP`. */
  readonly path: string
  /** What is allowed, in words. */
  readonly type: string
  /** As it is written in YAML; null where the field is required, and for sections. */
  readonly default: string | null
  readonly required: boolean
  readonly help: string
}

const wide = Number.MAX_SAFE_INTEGER

/** A complete configuration: required fields are listed where they belong. */
export const rootNode: Node = z.toJSONSchema(configSchema, {
  io: 'input',
  target: 'draft-2020-12',
  override: ({ jsonSchema }) => {
    // The bounds of exact integers say nothing to a reader.
    if (jsonSchema.maximum === wide) delete jsonSchema.maximum
    if (jsonSchema.minimum === -wide) delete jsonSchema.minimum
  },
}) as Node

/** The fields of a section, also of one that may be null; null for anything else. */
export function propertiesOf(node: Node): Readonly<Record<string, Node>> | null {
  return node.properties ?? node.anyOf?.find((each) => each.properties !== undefined)?.properties ?? null
}

const requiredOf = (node: Node): readonly string[] => node.required ?? node.anyOf?.find((each) => each.required !== undefined)?.required ?? []

/** The section, the field or the element of a list at a path, or null if there is none. */
export function nodeAt(path: readonly PropertyKey[]): Node | null {
  let node: Node | undefined = rootNode
  for (const name of path) {
    const properties: Readonly<Record<string, Node>> = propertiesOf(node) ?? {}
    if (typeof name === 'number') node = node.items
    else node = Object.hasOwn(properties, name) ? properties[String(name)] : undefined
    if (node === undefined) return null
  }
  return node
}

/** Every field that must be given in a section, by its path from there. */
export function requiredFields(node: Node): string[][] {
  return requiredOf(node).flatMap((name) => {
    const child = propertiesOf(node)?.[name] as Node
    const inner = propertiesOf(child) === null ? [[]] : requiredFields(child)
    return inner.map((path) => [name, ...path])
  })
}

const typeWords: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'true or false',
  string: 'text',
  integer: 'integer',
  number: 'number',
  object: 'mapping of fields',
}

function alternativesOf(node: Node): string[] {
  if (node.title !== undefined) return [node.title]
  if (node.anyOf !== undefined) return node.anyOf.flatMap(alternativesOf)
  if (node.const !== undefined) return [JSON.stringify(node.const)]
  if (node.enum !== undefined) return node.enum.map(String)
  const filled = (node.minLength ?? node.minItems ?? 0) > 0 ? 'non-empty ' : ''
  if (node.type === 'array') return [`${filled}list of ${alternativesOf(node.items ?? {}).join(' / ')}`]
  const bounds = [
    ...(node.minimum === undefined ? [] : [`≥ ${node.minimum}`]),
    ...(node.exclusiveMinimum === undefined ? [] : [`> ${node.exclusiveMinimum}`]),
    ...(node.maximum === undefined ? [] : [`≤ ${node.maximum}`]),
    ...(node.exclusiveMaximum === undefined ? [] : [`< ${node.exclusiveMaximum}`]),
  ]
  return [[`${filled}${typeWords[node.type ?? ''] ?? 'anything'}`, bounds.join(' and ')].filter((each) => each !== '').join(' ')]
}

/** What a value must be, in words, such as `stored, float32, bfloat16 or null`. */
export function wordsOf(node: Node): string {
  const all = alternativesOf(node)
  return [all.slice(0, -1).join(', '), ...all.slice(-1)].filter((each) => each !== '').join(' or ')
}

/** Every section and field, in the order of the schema. */
export function configFields(node: Node = rootNode, prefix = ''): Field[] {
  return Object.entries(propertiesOf(node) ?? {}).flatMap(([name, child]) => {
    const path = `${prefix}${name}`
    const required = requiredOf(node).includes(name)
    const section = propertiesOf(child) !== null
    const own: Field = {
      path,
      type: wordsOf(child),
      default: required || (section && child.default !== null) ? null : JSON.stringify(child.default),
      required: required && !section,
      help: child.description ?? '',
    }
    return [own, ...configFields(child, `${path}.`)]
  })
}

/** The schema with nothing required, since a file may leave fields to the one that it extends and to the command line. */
function withoutRequired(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRequired)
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([name, each]) => name !== 'required' || !Array.isArray(each))
  return Object.fromEntries(kept.map(([name, each]) => [name, withoutRequired(each)]))
}

/** What is required where, and nothing else. */
function onlyRequired(node: Node): JsonObject {
  const inner = Object.entries(propertiesOf(node) ?? {})
    .map(([name, child]) => [name, onlyRequired(child)] as const)
    .filter(([, child]) => Object.keys(child).length > 0)
  return {
    ...(requiredOf(node).length === 0 ? {} : { required: requiredOf(node) }),
    ...(inner.length === 0 ? {} : { properties: Object.fromEntries(inner) }),
  }
}

/** The key of a file by which it builds on another; it is read before all others and is no field of a run. */
export const extendsKey = 'extends'
const extendsNode: Node = {
  type: 'string',
  description: 'A configuration that this one is laid over: the name of one that comes with Sightline, or a path relative to this file.',
}

/** JSON Schema (draft 2020-12) of a configuration file. Required fields are required only of a file that extends no other. */
export function jsonSchema(): JsonObject {
  const { $schema, description, properties, ...rest } = withoutRequired(rootNode) as JsonObject
  return {
    $schema,
    title: 'Sightline configuration',
    description,
    ...rest,
    properties: { [extendsKey]: extendsNode, ...(properties as JsonObject) },
    if: { not: { required: [extendsKey] } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: onlyRequired(rootNode),
  }
}
