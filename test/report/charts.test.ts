// Every mark of a chart stands where its numbers say, at every width, and input that cannot be drawn is refused by its name.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { binChart } from '../../src/report/bins.ts'
import { type Chart, wrapped } from '../../src/report/chart.ts'
import { histogram, histogramCounts, histogramEdges } from '../../src/report/histogram.ts'
import { type LineChart, lineChart } from '../../src/report/line.ts'
import { barChart, intervalChart } from '../../src/report/rows.ts'
import { random } from '../support.ts'
import { axis, corners, drawn, insideBox, near, pointOf, widths } from './axes.ts'
import { all, numeric, only, textOf } from './xml.ts'

const value = (middle: number, half = 0.05) => ({ value: middle, low: middle - half, high: middle + 1.5 * half })

const lines: LineChart = {
  x: { label: 'Step' },
  y: { label: 'Score' },
  series: [
    { name: 'first', points: [0, 20, 40, 60].map((x) => ({ x, y: 0.3 + x / 150, low: 0.27 + x / 160, high: 0.35 + x / 140 })) },
    { name: 'second & <last>', points: [5, 60].map((x) => ({ x, y: 0.31 - x / 900 })) },
  ],
  references: [{ at: 0.5, label: 'half' }],
}

for (const width of widths) {
  test(`lines, bands and level lines, ${width} wide`, () => {
    const chart = drawn(lineChart(lines), width)
    insideBox(chart)
    const [x, y] = [axis(chart, 'x'), axis(chart, 'y')]
    const series = all(chart, 'g', 'series')
    for (const [i, { name, points }] of lines.series.entries()) {
      const group = series[i] ?? chart
      const line = corners(only(group, 'path', 'line', `s${i}`))
      const marks = all(group, 'g', 'mark')
      assert.equal(marks.length, points.length)
      for (const [k, point] of points.entries()) {
        for (const [px, py] of [line[k] ?? [0, 0], pointOf(only(marks[k] ?? group, 'path', 'point'))]) {
          near(px, x(point.x), `${name} ${k}, x`)
          near(py, y(point.y), `${name} ${k}, y`)
        }
        assert.ok(textOf(only(marks[k] ?? group, 'title')).startsWith(`${name}, Step ${point.x}: `))
      }
    }
    const band = corners(only(chart, 'path', 'band'))
    const { points } = lines.series[0] as LineChart['series'][number]
    const edge = [...points.map((point) => [point.x, point.high]), ...points.toReversed().map((point) => [point.x, point.low])]
    assert.equal(band.length, edge.length)
    for (const [k, [at = 0, bound = 0]] of edge.entries()) {
      near(band[k]?.[0] ?? 0, x(at), `band ${k}, x`)
      near(band[k]?.[1] ?? 0, y(bound), `band ${k}, y`)
    }
    near(numeric(only(chart, 'line', 'reference'), 'y1'), y(0.5), 'level line')
    // Wide: named at their ends. Narrow: in a legend.
    assert.equal(all(chart, 'text', 'name').length, width >= 480 ? 2 : 0)
    assert.equal(all(chart, 'g', 'legend').length, width >= 480 ? 0 : 1)
  })
}

test('a logarithmic line, without marks where points are many', () => {
  const points = Array.from({ length: 100 }, (_, i) => ({ x: i + 1, y: 3 * Math.exp(-i / 12) }))
  const chart = drawn(lineChart({ x: { label: 'x' }, y: { label: 'y', log: true }, series: [{ name: 'loss', points }] }))
  insideBox(chart)
  const [x, y] = [axis(chart, 'x'), axis(chart, 'y', { log: true })]
  const places = corners(only(chart, 'path', 'line'))
  for (const [i, point] of points.entries()) {
    near(places[i]?.[0] ?? 0, x(point.x), `x ${i}`)
    near(places[i]?.[1] ?? 0, y(point.y), `y ${i}`)
  }
  assert.equal(all(chart, 'path', 'point').length, 0)
})

test('names at the ends do not cover each other, and keep their order', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const ends of [
    [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    [0, 0, 0, 1, 1, 1],
    [0.9, 0.1, 0.91, 0.11, 0.5, 0.92],
  ]) {
    const series = names.map((name, i) => ({
      name,
      points: [
        { x: 0, y: 0.5 },
        { x: 1, y: ends[i] as number },
      ],
    }))
    const chart = drawn(lineChart({ x: { label: 'x' }, y: { label: 'y', include: [0, 1] }, series }))
    insideBox(chart)
    const places = all(chart, 'text', 'name').map((text) => ({ name: textOf(text), y: numeric(text, 'y') }))
    const sorted = places.toSorted((a, b) => a.y - b.y)
    for (let i = 1; i < sorted.length; i++) assert.ok((sorted[i]?.y ?? 0) - (sorted[i - 1]?.y ?? 0) >= 14.9)
    for (const a of places) {
      for (const b of places) {
        const [above, below] = [ends[names.indexOf(a.name)] as number, ends[names.indexOf(b.name)] as number]
        if (above > below) assert.ok(a.y < b.y, `${a.name} above ${b.name}`)
      }
    }
  }
})

for (const width of widths) {
  test(`a forest plot, ${width} wide`, () => {
    const rows = [
      { label: 'a base with a rather long name that needs two lines', ...value(0.2), group: 'Bases' },
      { label: 'short', ...value(-0.11), group: 'Bases' },
      { label: 'mean', ...value(0.1, 0.02), group: 'All', emphasis: true },
    ]
    const chart = drawn(intervalChart({ x: { label: 'Difference' }, rows, reference: { at: 0, label: 'no difference' } }), width)
    insideBox(chart)
    const x = axis(chart, 'x')
    const marks = all(chart, 'g', 'mark')
    assert.equal(marks.length, rows.length)
    for (const [i, row] of rows.entries()) {
      const mark = marks[i] ?? chart
      const line = only(mark, 'line', 'interval')
      const [px, py] = pointOf(only(mark, 'path', 'point'))
      near(px, x(row.value), `${row.label}, value`)
      near(numeric(line, 'x1'), x(row.low), `${row.label}, low`)
      near(numeric(line, 'x2'), x(row.high), `${row.label}, high`)
      assert.equal(numeric(line, 'y1'), py)
      assert.equal(numeric(line, 'y2'), py)
    }
    near(numeric(only(chart, 'line', 'reference'), 'x1'), x(0), 'reference')
    assert.deepEqual(all(chart, 'text', 'value').map(textOf), ['0.20 [0.15, 0.28]', '−0.11 [−0.16, −0.03]', '0.10 [0.08, 0.13]'])
    assert.deepEqual(all(chart, 'text', 'group').map(textOf), ['Bases', 'All'])
    // Rows follow each other, each below its group.
    const heights = marks.map((mark) => pointOf(only(mark, 'path', 'point'))[1])
    assert.deepEqual(
      heights,
      heights.toSorted((a, b) => a - b),
    )
    const [first = 0, second = 0] = all(chart, 'text', 'group').map((text) => numeric(text, 'y'))
    assert.ok(first < (heights[0] as number) && second > (heights[1] as number) && second < (heights[2] as number))
  })

  test(`bars with whiskers, ${width} wide`, () => {
    const rows = [
      { label: 'touching circles', values: [value(0.4), 0.6] },
      { label: 'subway', values: [null, value(-0.2)] },
    ]
    const chart = drawn(barChart({ x: { label: 'Accuracy' }, series: ['base', 'VGS'], rows }), width)
    insideBox(chart)
    const x = axis(chart, 'x')
    const bars = all(chart, 'g', 'mark')
    const expected = [
      { series: 0, from: 0, to: 0.4, whisker: [0.35, 0.475] },
      { series: 1, from: 0, to: 0.6, whisker: null },
      { series: 1, from: -0.2, to: 0, whisker: [-0.25, -0.125] },
    ]
    assert.equal(bars.length, expected.length)
    for (const [i, { series, from, to, whisker }] of expected.entries()) {
      const rect = only(bars[i] ?? chart, 'rect', 'bar', `s${series}`)
      near(numeric(rect, 'x'), x(from), `bar ${i}, from`)
      near(numeric(rect, 'x') + numeric(rect, 'width'), x(to), `bar ${i}, to`)
      const lines = all(bars[i] ?? chart, 'line', 'whisker')
      assert.equal(lines.length, whisker === null ? 0 : 1)
      for (const [k, end] of (['x1', 'x2'] as const).entries()) {
        if (lines[0] !== undefined) near(numeric(lines[0], end), x(whisker?.[k] ?? 0), `whisker ${i}, ${end}`)
      }
    }
    near(numeric(only(chart, 'line', 'zero'), 'x1'), x(0), 'zero')
    assert.deepEqual(all(chart, 'text', 'value').map(textOf), ['0.40 [0.35, 0.48]', '0.60', '–', '−0.20 [−0.25, −0.13]'])
  })

  test(`angles by bins over norms, ${width} wide`, () => {
    const bins = Array.from({ length: 10 }, (_, i) => ({ label: String(i + 1), detail: `up to ${i}` }))
    const angles = [60, 62, null, 70, 75, 80, 85, 88, 90, 93]
    const norms = Array.from({ length: 10 }, (_, i) => 0.002 * 3 ** i)
    const chart = drawn(
      binChart({
        bins,
        binsLabel: 'tenth',
        y: { label: 'Angle', unit: '°' },
        series: [
          { name: 'lang', values: angles.map((angle, i) => (angle === null ? null : { ...value(angle, 4), faint: i < 2 })) },
          { name: 'std', values: angles.map((_, i) => value(50 + i, 2)) },
        ],
        reference: { at: 90, label: 'orthogonal' },
        under: { y: { label: 'Norm', log: true }, series: [{ name: 'vis', values: norms }] },
      }),
      width,
    )
    insideBox(chart)
    const texts = all(chart, 'g', 'tick', 'y').map(textOf)
    const split = texts.findIndex((text) => !text.endsWith('°'))
    const [upper, lower] = [axis(chart, 'y', { to: split }), axis(chart, 'y', { from: split, log: true })]
    const middles = all(chart, 'g', 'tick', 'x').map((tick) => numeric(only(tick, 'line'), 'x1'))
    assert.equal(middles.length, 10)
    const step = ((middles[9] as number) - (middles[0] as number)) / 9
    const [lang, std, vis] = all(chart, 'g', 'series')
    assert.ok(lang && std && vis)
    const kept = angles.flatMap((angle, bin) => (angle === null ? [] : [{ angle, bin }]))
    const marks = all(lang, 'g', 'mark')
    assert.equal(marks.length, kept.length)
    for (const [k, { angle, bin }] of kept.entries()) {
      const mark = marks[k] ?? lang
      const [px, py] = pointOf(only(mark, 'path', 'point'))
      assert.ok(Math.abs(px - (middles[bin] as number)) < step / 2, `bin ${bin} lies in its bin`)
      near(py, upper(angle), `bin ${bin}`)
      near(numeric(only(mark, 'line', 'interval'), 'y1'), upper(angle - 4), `bin ${bin}, low`)
      near(numeric(only(mark, 'line', 'interval'), 'y2'), upper(angle + 6), `bin ${bin}, high`)
    }
    assert.equal(all(lang, 'g', 'faint').length, 2)
    // The line breaks where a bin has no value.
    assert.equal(only(lang, 'path', 'line').attributes['d']?.match(/M/g)?.length, 2)
    assert.equal(only(std, 'path', 'line').attributes['d']?.match(/M/g)?.length, 1)
    for (const [bin, mark] of all(vis, 'g', 'mark').entries()) {
      const [px, py] = pointOf(only(mark, 'path', 'point'))
      near(px, middles[bin] as number, `norm ${bin}, x`)
      near(py, lower(norms[bin] as number), `norm ${bin}, y`)
    }
    near(numeric(only(chart, 'line', 'reference'), 'y1'), upper(90), '90°')
  })

  test(`histograms, ${width} wide`, () => {
    const next = random(4)
    const [a, b] = [Array.from({ length: 200 }, () => 10 * next()), Array.from({ length: 90 }, () => 5 + 8 * next() ** 2)]
    for (const series of [
      [{ name: 'a', values: a }],
      [
        { name: 'a', values: a },
        { name: 'b', values: b },
      ],
    ]) {
      const chart = drawn(histogram({ x: { label: 'Length' }, series, references: [{ at: 12, label: 'limit' }] }), width)
      insideBox(chart)
      const [x, y] = [axis(chart, 'x'), axis(chart, 'y')]
      for (const [i, { values }] of series.entries()) {
        let total = 0
        for (const rect of all(all(chart, 'g', 'series')[i] ?? chart, 'rect')) {
          const [from, to] = [numeric(rect, 'x'), numeric(rect, 'x') + numeric(rect, 'width')]
          // No value of random numbers lies on an edge, so a count by place is exact.
          const count = values.filter((each) => x(each) >= from && x(each) < to).length
          near(numeric(rect, 'y'), y(series.length === 1 ? count : count / values.length), `bar from ${from}`)
          near(numeric(rect, 'y') + numeric(rect, 'height'), y(0), 'foot')
          total += count
        }
        assert.equal(total, values.length)
      }
      near(numeric(only(chart, 'line', 'reference'), 'x1'), x(12), 'limit')
    }
  })
}

test('edges of histograms are round, and each value is counted once, on the right side of an edge', () => {
  const edges = histogramEdges(0.03, 0.97, 10)
  assert.deepEqual(edges, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
  assert.deepEqual(histogramCounts([0, 0.1, 0.3, 0.30000001, 0.7, 0.99, 1], edges), [1, 1, 0, 2, 0, 0, 0, 1, 0, 2])
  assert.deepEqual(
    histogramCounts([3, 3, 3], histogramEdges(3, 3, 5)).filter((count) => count > 0),
    [3],
  )
  assert.deepEqual(
    histogramCounts([0, 0], histogramEdges(0, 0, 5)).filter((count) => count > 0),
    [2],
  )
})

test('one point, and values that are all equal, are drawn within the figure', () => {
  const one = [{ x: 3, y: 0.5, low: 0.4, high: 0.6 }]
  const same = [0, 1, 2].map((x) => ({ x, y: 7 }))
  const axes = { x: { label: 'x' }, y: { label: 'y' } }
  const charts: readonly Chart[] = [
    lineChart({ ...axes, series: [{ name: 'one', points: one }] }),
    lineChart({ ...axes, series: [{ name: 'same', points: same }] }),
    lineChart({ x: axes.x, y: { label: 'y', log: true }, series: [{ name: 'same', points: same }] }),
    intervalChart({ x: axes.x, rows: [{ label: 'a', value: 0, low: 0, high: 0 }] }),
    barChart({ x: axes.x, series: ['s'], rows: [{ label: 'a', values: [0] }] }),
    barChart({ x: axes.x, series: ['s'], rows: [{ label: 'a', values: [null] }] }),
    binChart({ bins: [{ label: '1' }], binsLabel: 'bin', y: axes.y, series: [{ name: 's', values: [value(1, 0)] }] }),
    histogram({ x: axes.x, series: [{ name: 's', values: [4] }] }),
    histogram({ x: axes.x, series: [{ name: 's', values: [0, 0, 0] }] }),
  ]
  for (const chart of charts) for (const width of widths) insideBox(drawn(chart, width))
  // A single point with bounds has no area: a whisker stands for the band.
  const single = drawn(charts[0] as Chart)
  const y = axis(single, 'y')
  near(numeric(only(single, 'line', 'whisker'), 'y1'), y(0.4), 'low')
  near(numeric(only(single, 'line', 'whisker'), 'y2'), y(0.6), 'high')
})

test('a legend of many long names stays within the figure, and no name covers another', () => {
  const series = Array.from({ length: 6 }, (_, i) => ({ name: `a name that is somewhat long, ${i}`, points: [{ x: 0, y: i }] }))
  for (const width of widths) {
    const chart = drawn(lineChart({ x: { label: 'x' }, y: { label: 'y' }, series }), width)
    insideBox(chart)
    const places = all(only(chart, 'g', 'legend'), 'text').map((text) => [numeric(text, 'x'), numeric(text, 'y'), textOf(text).length * 6] as const)
    for (const [i, [x, y]] of places.entries()) {
      for (const [j, [other, height, length]] of places.entries()) assert.ok(i === j || y !== height || x < other || x > other + length)
    }
  }
})

test('a figure says for screen readers what it shows', () => {
  const chart = drawn(lineChart(lines))
  assert.equal(chart.attributes['role'], 'img')
  const [title, description] = chart.children.filter((child) => typeof child !== 'string')
  assert.ok(title && description)
  assert.deepEqual([title.name, textOf(title)], ['title', 'Title <b>'])
  assert.equal(description.name, 'desc')
  assert.match(
    textOf(description),
    /^Description & more\. Lines of Score over Step: first goes from 0\.300 at 0 to 0\.700 at 60; second & <last> goes/,
  )
})

test('what cannot be drawn is refused by the name of its series', () => {
  const axes = { x: { label: 'x' }, y: { label: 'y' } }
  const line =
    (...points: { x: number; y: number; low?: number; high?: number }[]) =>
    () =>
      lineChart({ ...axes, series: [{ name: 'loss', points }] })
  assert.throws(line({ x: 0, y: Number.NaN }), /series "loss": .*point 0 is NaN/)
  assert.throws(line({ x: Infinity, y: 0 }), /series "loss": x of point 0 is Infinity/)
  assert.throws(line({ x: 0, y: 1, low: 2, high: 1 }), /series "loss": point 0 has low 2 above high 1/)
  assert.throws(line({ x: 0, y: 1, low: 0 }), /series "loss": point 0 has one of low and high/)
  assert.throws(line({ x: 1, y: 1 }, { x: 1, y: 2 }), /series "loss": x of point 1 is 1, not above/)
  assert.throws(line(), /series "loss" has no point/)
  assert.throws(() => lineChart({ ...axes, series: [] }), /at least one series/)
  const seven = Array.from({ length: 7 }, (_, i) => ({ name: `s${i}`, points: [{ x: 0, y: 0 }] }))
  assert.throws(() => lineChart({ ...axes, series: seven }), /7 series; at most 6/)
  assert.throws(() => lineChart({ ...axes, series: [seven[0], seven[0]].flatMap((each) => each ?? []) }), /two series are called "s0"/)
  const log = lineChart({ x: axes.x, y: { label: 'loss', log: true }, series: [{ name: 's', points: [{ x: 0, y: 0 }] }] })
  assert.throws(() => drawn(log), /axis "loss" is logarithmic, but a value is 0/)
  assert.throws(
    () => intervalChart({ x: axes.x, rows: [{ label: 'base 3', value: 1, low: Number.NaN, high: 2 }] }),
    /series "base 3": low of the interval is NaN/,
  )
  assert.throws(() => intervalChart({ x: axes.x, rows: [] }), /at least one row/)
  assert.throws(() => barChart({ x: axes.x, series: ['a'], rows: [{ label: 'r', values: [Number.NaN] }] }), /series "a, r": value of the bar is NaN/)
  assert.throws(() => barChart({ x: axes.x, series: ['a', 'b'], rows: [{ label: 'r', values: [1] }] }), /row "r" has 1 values for the 2 series/)
  assert.throws(() => barChart({ x: { label: 'x', log: true }, series: ['a'], rows: [{ label: 'r', values: [1] }] }), /no logarithmic axis/)
  const bin = (values: readonly (number | null)[]) => () =>
    binChart({
      bins: [{ label: '1' }],
      binsLabel: 'b',
      y: axes.y,
      series: [{ name: 'a', values: [value(1)] }],
      under: { y: axes.y, series: [{ name: 'norm', values }] },
    })
  assert.throws(bin([Number.NaN]), /series "norm": bin 0 is NaN/)
  assert.throws(bin([1, 2]), /series "norm" has 2 values for the 1 bins/)
  assert.throws(() => histogram({ x: axes.x, series: [{ name: 'h', values: [1, Number.NaN] }] }), /series "h": value 1 is NaN/)
  assert.throws(() => histogram({ x: axes.x, series: [{ name: 'h', values: [] }] }), /series "h" has no value/)
})

test('long names break between words, and inside of one that is too long', () => {
  assert.deepEqual(wrapped('one two three', 60), ['one two', 'three'])
  assert.deepEqual(wrapped('abcdefghijkl', 40), ['abcde', 'fghij', 'kl'])
  assert.deepEqual(wrapped('', 40), [''])
  assert.deepEqual(wrapped('🍌🍌🍌🍌🍌🍌', 40), ['🍌🍌🍌🍌🍌', '🍌'])
})
