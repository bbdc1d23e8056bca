// The course of figures: every second lesson is a figure of BlindWorld, the others are lessons as before, in the sizes in which a model takes them.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import sharp from 'sharp'
import { blindWorld } from '../../src/data/worlds/blind/blind.ts'
import { lesson } from '../../src/data/worlds/prior/cold-start.ts'
import { renderPng } from '../../src/data/worlds/write.ts'
import { type CourseOptions, figureParts, lessonsOf, writeCourse } from '../../src/nano/lessons.ts'
import { recipes } from '../../src/nano/recipe.ts'

const sides = { scene: 56, figure: 112 }
const options: CourseOptions = { seed: 11, count: 48, mix: recipes.tempted.mix, sides }
const lessons = [...lessonsOf('figures', options)]
const [figures, others] = [lessons.filter((_, i) => i % 2 === 1), lessons.filter((_, i) => i % 2 === 0)]

async function sideOf(svg: string | null): Promise<number | undefined> {
  const { width, height } = await sharp(await renderPng(svg ?? '')).metadata()
  assert.equal(width, height)
  return width
}

test('every second lesson is a figure of the tasks and levels that are learned, asked like any question', async () => {
  assert.equal(figures.length, 24)
  for (const [i, figure] of figures.entries()) {
    const sample = blindWorld.sample(11, i, { ...figureParts, pixels: sides.figure })
    assert.ok((figureParts.tasks as readonly string[]).includes(sample.task) && (figureParts.splits as readonly string[]).includes(sample.split))
    assert.equal(figure.problem, `${sample.problem} Describe, think, answer.`)
    assert.deepEqual([figure.solution, figure.answer, figure.svg, figure.pixels], [sample.solution, sample.answer, sample.svg, sides.figure])
    assert.match(figure.solution, /^<description> .* <\/description> <think> .* <\/think> \\boxed\{.+\}$/)
    assert.equal(figure.task, 'question')
  }
  assert.equal(await sideOf(figures[0]?.svg ?? null), sides.figure)
  // All tasks come equally often: what is left over of a round is at most one of each.
  const cells = figureParts.tasks.length * figureParts.splits.length
  const counts = new Map<string, number>()
  for (let i = 0; i < figures.length; i++) {
    const { task, split } = blindWorld.sample(11, i, figureParts)
    counts.set(`${task} ${split}`, (counts.get(`${task} ${split}`) ?? 0) + 1)
  }
  assert.equal(counts.size, cells)
  for (const [cell, count] of counts) assert.ok(count === Math.floor(24 / cells) || count === Math.ceil(24 / cells), `${cell}: ${count}`)
})

test('the others are lessons of the mixture, with pictures as small as a model that learned without figures sees them', async () => {
  const before = [...lessonsOf('questions', options)]
  for (const [i, other] of others.entries()) {
    const { problem, response, answer, svg, kind } = lesson(11, 2 * i, options.mix, sides.scene)
    assert.deepEqual([other.solution, other.answer, other.svg, other.task, other.pixels], [response, answer, svg, kind, sides.scene])
    assert.ok(other.problem.startsWith(problem))
    // In words they are what the course before has in the same place; only their pictures are smaller.
    const same = before[2 * i]
    assert.deepEqual(
      [other.problem, other.solution, other.answer, other.svg === null],
      [same?.problem, same?.solution, same?.answer, same?.svg === null],
    )
    if (other.svg !== null) assert.notEqual(other.svg, same?.svg)
  }
  assert.deepEqual([...new Set(others.map(({ task }) => task))].sort(), ['caption', 'question', 'reference'])
  assert.equal(await sideOf(others.find(({ svg }) => svg !== null)?.svg ?? null), sides.scene)
})

test('of the figures of the last course about half are not shown, of every task; all else is as in the course before', () => {
  const count = 480
  const unseen = [...lessonsOf('unseenFigures', { ...options, count })]
  const tasks = new Map<string, number>()
  for (const [i, { id: _, split: __, ...shown }] of [...lessonsOf('figures', { ...options, count })].entries()) {
    const { id: ___, split: ____, ...one } = unseen[i] as (typeof unseen)[number]
    if (i % 2 === 0 || one.svg !== null) assert.deepEqual(one, shown)
    else {
      assert.deepEqual(one, { ...shown, svg: null })
      const { task } = blindWorld.sample(11, (i - 1) / 2, figureParts)
      tasks.set(task, (tasks.get(task) ?? 0) + 1)
    }
  }
  // 40 of each task, half of them by chance: 20 ± 3.2.
  assert.deepEqual([...tasks.keys()].sort(), [...figureParts.tasks].sort())
  for (const [task, times] of tasks) assert.ok(times > 7 && times < 33, `${task}: ${times}`)
})

test('lessons are a function of seed and index; other courses do not look at sizes', () => {
  assert.deepEqual([...lessonsOf('figures', options)], lessons)
  assert.deepEqual([...lessonsOf('figures', { ...options, count: 6 })], lessons.slice(0, 6))
  const different = [...lessonsOf('figures', { ...options, seed: 12 })]
  for (const [i, each] of different.entries()) assert.notEqual(each.svg ?? each.solution, lessons[i]?.svg ?? lessons[i]?.solution, `${i}`)
  assert.equal(new Set(lessons.map(({ id }) => id)).size, lessons.length)
  for (const course of ['reading', 'closeUps', 'captions', 'questions'] as const) {
    const [one, other] = [sides, { scene: 64, figure: 128 }].map((each) => [...lessonsOf(course, { ...options, count: 4, sides: each })])
    assert.deepEqual(other, one)
  }
})

test('a written course has the pictures in their sizes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-lessons-'))
  after(() => rmSync(folder, { recursive: true }))
  const [path, told] = [join(folder, 'course'), [] as number[]]
  await writeCourse(path, 'figures', { ...options, count: 8 }, (done) => told.push(done))
  assert.equal(told.at(-1), 8)
  const rows = readFileSync(join(path, 'samples.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { images: string[]; solution: string; problem: string })
  assert.deepEqual(
    rows.map(({ problem, solution }) => [problem, solution]),
    lessons.slice(0, 8).map(({ problem, solution }) => [problem, solution]),
  )
  for (const [i, { images }] of rows.entries()) {
    assert.equal(images.length, lessons[i]?.svg === null ? 0 : 1)
    for (const image of images) assert.equal((await sharp(join(path, image)).metadata()).width, i % 2 === 1 ? sides.figure : sides.scene)
  }
})
