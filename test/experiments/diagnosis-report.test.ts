// The page of a diagnosis holds the numbers of the diagnosis, leaves out what was not asked for, and escapes what models write.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiagnosedRollout, Diagnosis } from '../../src/diagnostics/diagnosis.ts'
import type { DynamicsStep } from '../../src/experiments/diagnosis-charts.ts'
import { diagnosisReport } from '../../src/experiments/diagnosis-report.ts'
import { all, type Element, only, parsePage, textOf } from '../report/xml.ts'
import { diagnosisOf } from './made.ts'

const hostile = '</title><script>alert("1")</script>&amp;\u0000\ud800'
const shown = hostile.replace('\u0000', '\u2400').replace('\ud800', '\ufffd')

const pageOf = (diagnosis: Diagnosis): Element => parsePage(diagnosisReport(diagnosis))
const headings = (page: Element): string[] => all(page, 'h2').map(textOf)
/** What the chart of a title says in words: wide and narrow say the same. */
function described(page: Element, title: string): string {
  const [wide, narrow, ...others] = all(page, 'svg').filter((svg) => all(svg, 'title').some((each) => textOf(each) === title))
  const said = wide === undefined ? assert.fail(`no chart "${title}"`) : textOf(only(wide, 'desc'))
  assert.deepEqual([narrow && textOf(only(narrow, 'desc')), others.length], [said, 0])
  return said
}
const rowsOf = (page: Element): string[][] =>
  all(page, 'tr').map((row) => row.children.flatMap((cell) => (typeof cell === 'string' ? [] : textOf(cell))))
const keys = (page: Element): string[] => all(page, 'dt').map((dt, i) => `${textOf(dt)}: ${textOf(all(page, 'dd')[i] as Element)}`)

const rollout = (changes: Partial<DiagnosedRollout>): DiagnosedRollout => ({
  ...{ id: '1', row: 0, problem: 'what?', answer: 'two', answerGiven: 'two', correct: true, valid: true },
  ...{ tokens: [], segments: [], palr: null, dependency: null, ...changes },
})
const ratio = (sum: number, count: number) => ({ sum, count })

test('PALR: groups in percent with intervals, and tokens by what drives their teacher', () => {
  const tokens = ['a', 'b', 'c', hostile, '\n']
  const made = diagnosisOf({
    palr: { [hostile]: 0.4, reasoning: 0.1, all: 0.2, none: null },
    rollouts: [
      rollout({
        ...{ tokens, segments: [hostile, 'reasoning', 'reasoning', 'answer'], problem: hostile, answer: hostile },
        palr: {
          terms: [hostile, 'reasoning', 'reasoning', 'reasoning', null],
          ...{ shift: [0.3, 2, 0.001, 0.06, 0], answer: [0.01, 0, 0.004, 0.2, 0], image: [0.03, 5, 0.005, 0, 0] },
        },
      }),
      rollout({ tokens: ['d'], segments: ['other'], valid: false }),
      rollout({ tokens: ['e'], segments: ['answer'], correct: false }),
      ...[1, 2, 3, 4].map(() => rollout({})),
    ],
  })
  const page = pageOf({ ...made, palr: made.palr && { ...made.palr, cap: 2 }, correct: ratio(3, 8), valid: ratio(7, 8) })
  assert.equal(all(page, 'script').length, 0)
  assert.deepEqual(headings(page), ['Leakage', 'The first 6 rollouts'])
  assert.deepEqual(keys(page), ['Valid: 88 % of 8 rollouts', 'Correct: 38 %', 'PALR, all tokens: 20.0 % 95 %: 18.0 to 22.0'])
  const said = described(page, 'PALR by group of tokens')
  assert.ok(said.includes(`${shown} PALR 40.0 [36.0, 44.0]; reasoning PALR 10.0 [9.0, 11.0]; all PALR 20.0 [18.0, 22.0]; none PALR –.`), said)
  assert.match(textOf(page), /1 valid of 1 rollouts\..* reasoning 3, .*4; log-ratios up to 2 nats\./)
  const cards = all(page, 'article', 'rollout')
  assert.deepEqual(
    cards.slice(0, 3).map((card) => textOf(only(card, 'h4'))),
    ['own rollout ✓ right', 'own rollout ✓ malformed', 'own rollout ✗ wrong'],
  )
  assert.equal(cards.length, 6)
  const spans = all(only(cards[0] as Element, 'div', 'tokens'), 'span')
  // Shares from the image: 3/4, all, too little to tell, none, no teacher. Losses: 0.3, 2 (the bound), 0.001, 0.06.
  assert.deepEqual(
    spans.map((span) => span.attributes['class']),
    ['m8 u0 w3', 'm10 u1 w4 cl', 'u1 w0', 'm0 u1 w2', ''],
  )
  assert.equal(spans[0]?.attributes['title'], `"a" · ${shown} · teacher ${shown} · loss 0.300 · 75 % from the image`)
  assert.equal(textOf(spans[3] as Element), shown)
  assert.equal(all(cards[1] as Element, 'span').at(-1)?.attributes['class'], '')
})

test('visual dependency: bins, segments, tokens', () => {
  const bins = [
    { low: 0, high: 0.001, dependency: ratio(0.0008, 4) },
    { low: 0.001, high: 0.001, dependency: ratio(0, 0) },
    { low: 0.001, high: 2, dependency: ratio(3, 4) },
  ]
  const rollouts = [
    rollout({ tokens: ['a', 'b', hostile, 'd'], segments: ['description', 'description', 'answer'], dependency: [0.0099, 0.01, 0.3, 1] }),
  ]
  const made = diagnosisOf({ rollouts })
  const page = pageOf({
    ...made,
    dependency: { bins, segments: { [hostile]: ratio(1.5, 2), end: ratio(0, 0), reasoning: ratio(1.5, 6) } },
  })
  assert.deepEqual(headings(page), ['Visual dependency', 'A rollout'])
  // 3.0008 nats over 8 tokens.
  assert.ok(keys(page).includes('Visual dependency: 0.375 nats a token'))
  // The lowest edge is drawn at the least number above zero.
  assert.match(described(page, 'Visual dependency by bin'), /VDS: 0: 0\.000200 \[0\.000200, 0\.00100\], 1: none, 2: 0\.750 \[0\.00100, 2\]\.$/)
  const segments = described(page, 'Visual dependency by segment')
  assert.ok(segments.endsWith(`${shown} VDS 0.750; end VDS –; reasoning VDS 0.250.`), segments)
  const spans = all(only(only(page, 'article'), 'div', 'tokens'), 'span')
  assert.deepEqual(
    spans.map((span) => /(\d+)%/.exec(span.attributes['style'] ?? '')?.[1]),
    ['0', '12', '36', '48'],
  )
  assert.equal(spans[0]?.attributes['title'], '"a" · description · VDS 0.00990 nats')
  assert.equal(textOf(spans[2] as Element), shown)
  const none = pageOf({ ...made, dependency: { bins: [{ low: 0, high: 0, dependency: ratio(0, 4) }], segments: { end: ratio(0, 4) } } })
  assert.match(textOf(none), /No token depends on the picture/)
})

test('geometry: angles with intervals over norms, faint where a norm is small, tokens and losses of bins', () => {
  const { geometry, ...rest } = diagnosisOf({ angles: [30, null, 80] })
  if (geometry === null) assert.fail('no geometry')
  const [first, second, third] = geometry.bins
  if (first === undefined || second === undefined || third === undefined) assert.fail('three bins')
  const small = { ...first.norms, vis: { value: 0.00009, low: 0.00008, high: 0.0001 } }
  const bins = [
    { ...first, norms: small, losses: { std: 0, vis: 0.3, lang: 0.4 } },
    { ...second, tokens: 0, losses: { std: null, vis: null, lang: null } },
    third,
  ]
  const page = pageOf({ ...rest, geometry: { ...geometry, bins, above: 0.001 } })
  assert.deepEqual(headings(page), ['Geometry'])
  assert.ok(keys(page).includes('Angle of Vis and Lang: 80° 95 %: 72 to 88'))
  const said = described(page, 'Angles by visual dependency')
  for (const name of ['Std, Vis', 'Std, Lang', 'Vis, Lang']) assert.ok(said.includes(`${name}: 0: 30 [27, 33], 1: none, 2: 80 [72, 88]`), said)
  const [chart] = all(page, 'svg')
  const faint = all(chart as Element, 'g', 'mark', 'faint').map((mark) => textOf(only(mark, 'title')))
  assert.deepEqual(
    faint.map((each) => each.replace(/:.*/, '')),
    ['Std, Vis, 0', 'Vis, Lang, 0'],
  )
  const titles = all(chart as Element, 'title').map(textOf)
  assert.ok(titles.includes('0: VDS 0 to 1 nats, 5 tokens') && titles.includes('1: VDS 1 to 2 nats, 0 tokens'), titles.join('; '))
  assert.ok(titles.includes('Vis, 0: 9.00 × 10⁻⁵'))
  assert.match(textOf(chart as Element), /perpendicular/)
  assert.match(textOf(page), /8 batches; tokens of a standard loss above 0\.001 nats\./)
  assert.match(described(page, 'Tokens by bin'), /tokens/)
  const points = all(page, 'title').map(textOf)
  // What is zero has no place on a logarithmic axis.
  assert.ok(points.some((each) => /^Vis, .* 0: 0\.300$/.test(each)) && !points.some((each) => /^Std, tenth.* 0: 0$/.test(each)))
  const rows = rowsOf(page)
  assert.deepEqual(rows[1], ['0', '5', '0.100', '0', '0.300', '0.400', '0.0100', '9.00 × 10⁻⁵', '0.0100'])
  assert.deepEqual(rows[2], ['1', '0', '0.100', '–', '–', '–', '–', '–', '–'])
  assert.equal(rows.at(-1)?.[0], 'all')
  // One batch has no intervals; without any gradient there is no second panel.
  const alone = (value: number | null) => ({ value, low: null, high: null })
  const angles = { stdVis: alone(30), stdLang: alone(null), visLang: alone(null) }
  const norms = { std: alone(0), vis: alone(0), lang: alone(0) }
  const one = pageOf({
    ...rest,
    geometry: { ...geometry, batches: 1, bins: [{ ...first, angles, norms }], whole: { ...geometry.whole, angles, norms } },
  })
  assert.match(described(one, 'Angles by visual dependency'), /Std, Vis: 0: 30 \[30, 30\]; Std, Lang: 0: none/)
  assert.ok(keys(one).includes('Angle of Vis and Lang: –'))
  assert.match(textOf(one), /1 batch, which gives no intervals\./)
})

const step = (at: number, cosine: number | null = at / 10): DynamicsStep => ({
  ...{ step: at, tokens: 10, dependency: ratio(1, 10), norms: { std: at / 4, vis: at / 2 }, cosine },
  all: { std: ratio(1, 10), vis: ratio(at, 10), lang: ratio(2 * at, 10) },
  dependent: { std: ratio(1, 3), vis: ratio(3 * at, 4), lang: ratio(0, 0) },
})

test('dynamics: lines by step, a table of one checkpoint', () => {
  const page = pageOf({ ...diagnosisOf({}), dynamics: [step(2), step(4)] })
  assert.deepEqual(headings(page), ['Dynamics'])
  const points = all(page, 'title').map(textOf)
  const has = (title: string, ...texts: readonly string[]): void => {
    assert.notEqual(described(page, title), '')
    for (const text of texts) assert.ok(points.includes(text), `${text}: ${points.join('; ')}`)
  }
  has('Losses, all tokens', 'Vis, step 2: 0.200', 'Vis, step 4: 0.400', 'Lang, step 2: 0.400', 'Lang, step 4: 0.800')
  has('Losses, dependent tokens', 'Vis, step 2: 1.50', 'Vis, step 4: 3')
  has('Gradient norms', 'Std, step 2: 0.500', 'Std, step 4: 1', 'Vis, step 4: 2')
  has('Cosine', 'cosine, step 2: 0.200', 'cosine, step 4: 0.400')
  const single = pageOf({ ...diagnosisOf({}), dynamics: [step(4, null)] })
  assert.equal(all(single, 'svg').length, 0)
  assert.deepEqual(rowsOf(single), [
    ['Measure', 'step 4'],
    ['Tokens', '10'],
    ['Visual loss, nats', '0.400'],
    ['Language loss, nats', '0.800'],
    ['Visual loss, dependent tokens, nats', '3'],
    ['Language loss, dependent tokens, nats', '–'],
    ['Norm of the standard gradient', '1'],
    ['Norm of the visual gradient', '2'],
    ['Cosine of standard and visual gradient', '–'],
  ])
  const unknown = pageOf({ ...diagnosisOf({}), dynamics: [step(2, null), step(4, null)] })
  assert.ok(!all(unknown, 'figcaption').map(textOf).join().includes('Cosine'))
})

test('what was not asked for is left out, and a name is only a name', () => {
  const page = pageOf({ ...diagnosisOf({ rollouts: [rollout({})] }), method: hostile, checkpoint: null, samples: 2 })
  assert.deepEqual(headings(page), [])
  assert.equal(textOf(only(page, 'h1')), `Diagnosis of ${shown}, as it begins`)
  assert.match(textOf(page), /2 held-out samples, one rollout of the student for each; seed 7\./)
})
