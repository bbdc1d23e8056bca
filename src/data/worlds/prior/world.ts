// PriorWorld: things with a strongly typical colour, size or number, which a picture may contradict. After the idea of ViLP (arXiv 2501.00569):
// who answers by what is usual is right on the split `prior` and wrong on `score`.

import { ArgumentError } from '../../../errors.ts'
import { Random, turn } from '../random.ts'
import { chosenParts, type Json, type World } from '../world.ts'
import { attribution, drawPicture, side } from './picture.ts'
import { drawQuestion, reason, response, type Split, splits, type Task, tasks, tasksOf } from './sample.ts'
import { describe } from './words.ts'

interface Cell {
  readonly split: Split
  readonly task: Task
}

/** Pairs of split and task that exist, of those that were asked for. @throws ArgumentError if none does */
function cellsOf(wanted: { readonly splits: readonly string[]; readonly tasks: readonly string[] }): Cell[] {
  const cells = splits
    .filter((split) => wanted.splits.includes(split))
    .flatMap((split) => tasksOf[split].filter((task) => wanted.tasks.includes(task)).map((task) => ({ split, task })))
  if (cells.length > 0) return cells
  const there = splits.map((split) => `${split} has ${tasksOf[split].join(', ')}`).join('; ')
  throw new ArgumentError(`no split of ${wanted.splits.join(', ')} has a task of ${wanted.tasks.join(', ')}; ${there}`)
}

/** A world of these questions. `typical`: how often things that are not asked for are as everybody expects. */
function worldOf(
  facts: Pick<World, 'name' | 'about'>,
  typical: number,
  cellAt: (cells: readonly Cell[], random: Random, seed: number, index: number) => Cell,
): World {
  const world: World = {
    ...facts,
    tasks,
    splits,
    attribution,
    sample(seed, index, options) {
      const { pixels, ...wanted } = chosenParts(world, options)
      const random = new Random(seed, index)
      const cell = cellAt(cellsOf(wanted), random, seed, index)
      const question = drawQuestion(random, cell.split, cell.task, typical)
      const { things, problem, answer, asked } = question
      return {
        id: `${world.name}-${seed}-${index}`,
        problem,
        answer,
        solution: response(describe(random, things), reason(random, question, things).reasoning, answer),
        ...cell,
        svg: drawPicture(random, things, pixels ?? side),
        pixels: pixels ?? side,
        truth: { things: things as unknown as Json, asked: asked as unknown as Json },
      }
    },
  }
  return world
}

/** All splits and tasks come equally often, and other things are as expected as often as not, so that a description cannot be guessed. */
export const priorWorld = worldOf(
  { name: 'prior', about: 'things with a typical colour, size or number, which the picture may contradict; for evaluation' },
  0.5,
  (cells, _, seed, index) => cells[turn(seed, 0, index, cells.length)] as Cell,
)

/** Of things that are as expected or not, and that something is expected of. */
const share = { prior: 0.9, neutral: 0.3 } as const

/** As pictures usually are: nine of ten things are as everybody expects. */
export const naturalWorld = worldOf(
  { name: 'natural', about: 'the same as it usually is, nine of ten things as everybody expects; for training' },
  share.prior,
  (cells, random) => {
    const wanted: Split = random.chance(share.neutral) ? 'neutral' : random.chance(share.prior) ? 'prior' : 'score'
    const found = cells.filter(({ split }) => split === wanted)
    return random.choose(found.length > 0 ? found : cells)
  },
)
