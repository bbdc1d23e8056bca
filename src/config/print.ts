// A configuration as YAML that explains itself: every field under its help, so that a printed configuration is a file to start from.

import { Document, isMap, isScalar, isSeq, type YAMLMap } from 'yaml'
import { configFields, type Field } from './json-schema.ts'
import type { JsonObject } from './merge-patch.ts'
import type { Config } from './schema.ts'

const width = 120

/** The lines of a comment, none wider than `room` where words allow it. */
function wrapped(text: string, room: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(` ${word}`)
  }
  return lines.join('\n')
}

/** The fields of the section at a path with their defaults, required ones empty; null where there is no section. */
function sectionAt(path: string): JsonObject | null {
  const inside = configFields().filter((field) => field.path.startsWith(`${path}.`))
  if (inside.length === 0) return null
  const own = inside.map((field) => [field.path.slice(path.length + 1), field] as const).filter(([name]) => !name.includes('.'))
  return Object.fromEntries(
    own.map(([name, field]) => [name, field.default === null ? sectionAt(field.path) : (JSON.parse(field.default) as unknown)]),
  )
}

/** Puts their help before the fields of a section, and the fields of sections that are null after these. */
function annotate(map: YAMLMap, prefix: string, missing: readonly string[], room: number): void {
  const fields = new Map(configFields().map((field) => [field.path, field]))
  for (const [i, pair] of map.items.entries()) {
    const path = `${prefix}${isScalar(pair.key) ? pair.key.value : pair.key}`
    const field = fields.get(path)
    if (field === undefined || !isScalar(pair.key)) continue
    pair.key.spaceBefore = prefix === '' && i > 0
    pair.key.commentBefore = wrapped(commentOf(field), room - 2)
    if (missing.includes(path)) pair.value = null
    if (isSeq(pair.value)) pair.value.flow = true
    if (isMap(pair.value)) annotate(pair.value, `${path}.`, missing, room - 2)
    const section = sectionAt(path)
    if (isScalar(pair.value) && pair.value.value === null && section !== null) pair.value.comment = outlined(section, `${path}.`, room - 4)
  }
}

/** A section that is null, as its fields would stand under its name. */
function outlined(section: JsonObject, prefix: string, room: number): string {
  const document = new Document(section)
  annotate(document.contents as YAMLMap, prefix, [], room)
  return textOf(document, room).trimEnd().replace(/^/gm, ' ')
}

const textOf = (document: Document, room: number): string => document.toString({ lineWidth: room, nullStr: 'null' })

/**
 * The YAML of a complete configuration, each field with its help, what is allowed and its default as a comment; so are the fields of sections
 * that are null. The fields in `missing` are left empty, so that the file is refused until they are filled in.
 */
export function annotated(config: Config, missing: readonly string[] = []): string {
  const document = new Document(config)
  if (isMap(document.contents)) annotate(document.contents, '', missing, width)
  return textOf(document, width)
}

function commentOf({ help, type, default: fallback, required }: Field): string {
  if (required) return `${help} (${type}; required)`
  return fallback === null ? help : `${help} (${type}; default ${fallback})`
}
