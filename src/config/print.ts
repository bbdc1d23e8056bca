// A configuration as YAML that explains itself: every field under its help, so that a printed configuration is a file to start from.

import { Document, isMap, isScalar, isSeq, type YAMLMap } from 'yaml'
import { configFields, type Field } from './json-schema.ts'
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

/**
 * The YAML of a complete configuration, each field with its help, what is allowed and its default as a comment. The fields in `missing`
 * are left empty, so that the file is refused until they are filled in.
 */
export function annotated(config: Config, missing: readonly string[] = []): string {
  const document = new Document(config)
  const fields = new Map(configFields().map((field) => [field.path, field]))
  const annotate = (map: YAMLMap, prefix: string): void => {
    for (const [i, pair] of map.items.entries()) {
      const path = `${prefix}${isScalar(pair.key) ? pair.key.value : pair.key}`
      const field = fields.get(path)
      if (field === undefined || !isScalar(pair.key)) continue
      pair.key.spaceBefore = prefix === '' && i > 0
      pair.key.commentBefore = wrapped(commentOf(field), width - 2 * path.split('.').length)
      if (missing.includes(path)) pair.value = null
      if (isSeq(pair.value)) pair.value.flow = true
      if (isMap(pair.value)) annotate(pair.value, `${path}.`)
    }
  }
  if (isMap(document.contents)) annotate(document.contents, '')
  return document.toString({ lineWidth: width, nullStr: 'null' })
}

function commentOf({ help, type, default: fallback, required }: Field): string {
  if (required) return `${help} (${type}; required)`
  return fallback === null ? help : `${help} (${type}; default ${fallback})`
}
