// BlindWorld: the tasks of the VlmsAreBlind benchmark, drawn anew without end; what is easy for people and hard for models that look badly.

import { paper, picture, side } from '../draw.ts'
import { Random, turn } from '../random.ts'
import { cellAt, chosenParts, type World } from '../world.ts'
import { overlappingCircles, touchingCircles } from './circles.ts'
import { rowsColumns } from './grid.ts'
import { circledLetter } from './letter.ts'
import { lineIntersections } from './lines.ts'
import { countingShapes } from './shapes.ts'
import { nestedSquares } from './squares.ts'
import { subwayPaths } from './subway.ts'
import { type BlindTask, type Level, levels } from './task.ts'

const tasks = {
  touching_circles: touchingCircles,
  overlapping_circles: overlappingCircles,
  line_intersections: lineIntersections,
  counting_shapes: countingShapes,
  nested_squares: nestedSquares,
  rows_columns: rowsColumns,
  circled_letter: circledLetter,
  subway_paths: subwayPaths,
} as const satisfies { readonly [name: string]: BlindTask }

type TaskName = keyof typeof tasks
const taskNames = Object.keys(tasks) as readonly TaskName[]

/** Sides of pictures where none is asked for. */
const sizes = [224, 280, 336, 448] as const

/**
 * The tasks of "Vision language models are blind" (Rahmanzadehgervi et al., arXiv 2407.06581) by a renderer of our own. Splits are levels of
 * difficulty. Answers are balanced within each task and level.
 */
export const blindWorld: World = {
  name: 'blind',
  about: 'circles, lines, shapes, squares, grids, letters and paths: the tasks of VlmsAreBlind, drawn anew',
  tasks: taskNames,
  splits: levels,
  attribution: null,
  sample: (seed, index, options) => {
    const parts = chosenParts(blindWorld, options)
    const { task, split, round } = cellAt(seed, index, parts)
    const [name, level] = [task as TaskName, split as Level]
    // The same numbers whatever was chosen: 0 is the order of tasks and splits.
    const which = 1 + taskNames.indexOf(name) * levels.length + levels.indexOf(level)
    const random = new Random(seed, index)
    const pixels = parts.pixels ?? random.choose(sizes)
    const { answers, make } = tasks[name]
    const background = paper(random)
    const drawn = make(random, { level, pixel: side / pixels }, turn(seed, which, round, answers(level)))
    return {
      id: `blind-${seed}-${index}`,
      problem: drawn.question,
      answer: drawn.answer,
      solution: `<description> ${drawn.description} </description> <think> ${drawn.reasoning} </think> \\boxed{${drawn.answer}}`,
      task,
      split,
      svg: picture(pixels, background, drawn.shapes),
      pixels,
      truth: drawn.truth,
    }
  },
}
