// No text becomes markup, and a page is well-formed, whole and without addresses.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beside, details, figure, keyFigures, paragraph } from '../../src/report/blocks.ts'
import { escapeText, html, page } from '../../src/report/html.ts'
import { lineChart } from '../../src/report/line.ts'
import { all, only, parsePage, parseXml, textOf } from './xml.ts'

const hostile = [
  '<script>alert(1)</script>',
  '</title></style></svg>--><img src=x onerror=alert(1)>',
  '" onmouseover="alert(1)" x="',
  "' onfocus='alert(1)'",
  '&lt;b&gt; &amp;amp; &#x3c;',
  '🍌🏳️‍🌈 é 漢字 \u202eabc',
  'a\tb\n c',
  ']]> <![CDATA[ <!-- -->',
]

test('text comes back from an element and from an attribute as it was', () => {
  for (const text of hostile) {
    const root = parseXml(html`<p title="${text}">${text}</p>`.text)
    assert.equal(root.attributes['title'], text)
    assert.deepEqual(root.children, [text])
  }
})

test('characters that markup cannot hold become pictures or U+FFFD', () => {
  assert.equal(escapeText('a\u0000b\u001bc\r\u007f\u0085'), 'a\u2400b\u241bc\u240d\u2421\ufffd')
  assert.equal(escapeText(`&<>"'`), '&amp;&lt;&gt;&quot;&#39;')
  assert.equal(escapeText('\ud83c|\udf4c|\uffff'), '\ufffd|\ufffd|\ufffd')
  for (let code = 0; code < 0x100; code++) parseXml(`<p>${escapeText(String.fromCharCode(code))}</p>`)
})

test('Html is written as it is, lists are joined, null is nothing, numbers are numbers', () => {
  const inner = html`<b>${'<'}</b>`
  assert.equal(html`${inner}|${[inner, 'x', null, [1.5]]}|${null}|${0}`.text, '<b>&lt;</b>|<b>&lt;</b>x1.5||0')
})

const chart = lineChart({
  x: { label: hostile[0] as string },
  y: { label: hostile[1] as string },
  series: [{ name: hostile[2] as string, points: [{ x: 0, y: 1 }] }],
})

test('a whole page with hostile text everywhere is well-formed and holds that text only as text', () => {
  const bad = hostile.join(' ')
  const text = page({
    title: bad,
    subtitle: bad,
    head: keyFigures([{ label: bad, value: bad, note: bad }]),
    sections: hostile.map((title) => ({
      title,
      lead: title,
      body: [
        paragraph(title),
        details(title, title),
        beside(figure({ title, subtitle: title, chart, note: title }), figure({ title, chart, size: 'half' })),
      ],
    })),
    footer: bad,
  })
  const root = parsePage(text)
  assert.equal(textOf(only(only(root, 'head'), 'title')), bad)
  assert.deepEqual(all(root, 'h2').map(textOf), hostile)
  const tags = new Set(text.match(/<[a-zA-Z]+/g))
  for (const tag of ['<script', '<img']) assert.ok(!tags.has(tag), tag)
})

test('a page has one heading, sections that its contents point to, and both drawings of each figure', () => {
  const section = (title: string) => ({ title, body: figure({ title: 'Figure', chart }) })
  const root = parsePage(page({ title: 'T', sections: ['one', 'two', 'three', 'four'].map(section) }))
  assert.equal(textOf(only(root, 'h1')), 'T')
  assert.deepEqual(all(root, 'h2').map(textOf), ['one', 'two', 'three', 'four'])
  const targets = all(only(root, 'nav'), 'a').map((link) => link.attributes['href']?.slice(1))
  assert.deepEqual(
    targets,
    all(root, 'section').map((each) => each.attributes['id']),
  )
  const drawings = all(all(root, 'section')[0] ?? root, 'svg').map((svg) => svg.attributes['viewBox']?.split(' ')[2])
  assert.deepEqual(drawings, ['720', '360'])
  assert.equal(all(parsePage(page({ title: 'T', sections: [section('one')] })), 'nav').length, 0)
})

test('a page has no script and loads nothing', () => {
  const text = page({ title: 'T', sections: [{ title: 'S', body: figure({ title: 'F', chart }) }] })
  const root = parsePage(text)
  assert.equal(all(root, 'script').length + all(root, 'link').length + all(root, 'iframe').length, 0)
  assert.doesNotMatch(text, /@import|url\(|\son\w+="|javascript:/)
  assert.deepEqual([...new Set(text.match(/https?:[^"' )]*/g))], ['http://www.w3.org/2000/svg'])
  assert.match(text, /content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/)
})
