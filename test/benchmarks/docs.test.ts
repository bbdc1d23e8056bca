// docs/benchmarks.md says what the registry has: its tables are made from it. UPDATE_DOCS=1 writes them anew.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { Benchmark } from '../../src/benchmarks/benchmark.ts'
import { benchmarks } from '../../src/benchmarks/registry.ts'
import { suites } from '../../src/benchmarks/suites.ts'

const path = join(import.meta.dirname, '../../docs/benchmarks.md')
const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

function sourceOf({ source: { hub, url } }: Benchmark): string {
  return hub === null ? `[${url.replace('https://huggingface.co/datasets/', '')}](${url.replace(/^docs\//, '')})` : `[\`${hub}\`](${url})`
}

const tables: Readonly<Record<string, string>> = {
  benchmarks: table(
    ['name', 'what', 'public data', 'licence'],
    benchmarks.map((each) => [`\`${each.name}\``, `${each.title}: ${each.about}`, sourceOf(each), each.source.licence ?? 'not stated']),
  ),
  columns: table(
    ['name', 'columns', 'grouped by', 'measures'],
    benchmarks.map(({ name, columns, otherColumns, groupings, measures }) => [
      `\`${name}\``,
      code(columns) + (otherColumns === undefined ? '' : `; or ${code(otherColumns)}`),
      code(groupings) || '-',
      measures.map(({ label }) => label).join(', '),
    ]),
  ),
  suites: table(
    ['name', 'what', 'rows'],
    suites.map(({ name, about, rows }) => [
      `\`${name}\``,
      about,
      rows.map(({ title, benchmarks: of, dependency }) => `${title} (${code(of)}${dependency === null ? '' : `, ${dependency}`})`).join('; '),
    ]),
  ),
}

/** Without what the formatter puts between the marks of tables. */
const unpadded = (text: string): string => text.replace(/ +\|/g, ' |').replace(/-{3,}/g, '---')

test('the tables of docs/benchmarks.md are those of the registry', async () => {
  const written = await readFile(path, 'utf8')
  const fresh = written.replace(
    /(<!-- (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => `${start}${tables[name]}\n${end}`,
  )
  for (const name of Object.keys(tables)) assert.ok(written.includes(`<!-- ${name} -->`), `docs/benchmarks.md has no table ${name}`)
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(path, fresh)
  else
    assert.equal(unpadded(written), unpadded(fresh), 'docs/benchmarks.md is stale: UPDATE_DOCS=1 node --test test/benchmarks/docs.test.ts writes it')
})
