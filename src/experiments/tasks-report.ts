// Tables of accuracy by task and by visual dependency, and arms against each other on figures and on real pictures.

import { type Html, html } from '../report/html.ts'
import { type Cell, type Column, table } from '../report/table.ts'
import { holm } from '../statistics/decide.ts'
import { meanOf } from '../statistics/mean.ts'
import { signFlipTest } from '../statistics/permutation.ts'
import { armNames, armLabel as labelOf, overBases } from './compare.ts'
import { type ExperimentFiles, type ExperimentPlan, untrained } from './plan.ts'
import { dependencyGroups, overTasks, type Place, type TaskAccuracy, taskAccuracies } from './tasks.ts'

const titles: { readonly [P in Place]: string } = {
  scenes: 'scenes (PriorWorld)',
  figures: 'figures (BlindWorld)',
  benchmark: 'real pictures (VlmsAreBlind)',
}

function byDependency(plan: ExperimentPlan, tasks: readonly TaskAccuracy[]): Html | null {
  const groups = dependencyGroups(tasks)
  if (groups.some((group) => group.length === 0)) return null
  const range = (group: readonly TaskAccuracy[]): string => {
    const values = group.map(({ dependency }) => dependency as number)
    return `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)}`
  }
  const names = ['low', 'middle', 'high']
  return table({
    caption: 'Accuracy by visual dependency of tasks: means over bases with 95 % t intervals',
    columns: [
      { header: 'Arm', kind: 'text' },
      ...groups.map((group, i): Column => ({ header: `${names[i]}: ${range(group)} nats`, kind: 'number', best: 'highest' })),
    ],
    rows: armNames(plan).map((arm) => ({ cells: [labelOf(plan, arm), ...groups.map((group): Cell => overBases(overTasks(group, arm)))] })),
    note: html`Visual dependency of a task: mean KL(q‖q₀) of the sibling over the tokens of the bases’ answers. ${groups.map(
      (group, i) => `${names[i]}: ${group.map(({ place, task }) => `${titles[place].split(' ')[0]} ${task}`).join('; ')}. `,
    )}`,
  })
}

function byTask(plan: ExperimentPlan, place: Place, tasks: readonly TaskAccuracy[]): Html | null {
  const own = tasks.filter((each) => each.place === place)
  if (own.length === 0) return null
  const arms = armNames(plan)
  const rows = own.map(({ task, count, dependency, accuracy }) => ({
    cells: [`${task} (${count})`, dependency, ...arms.map((arm): Cell => overBases(accuracy[arm] ?? []))],
  }))
  const all = { cells: ['all tasks', null, ...arms.map((arm): Cell => overBases(overTasks(own, arm)))], emphasis: true }
  return table({
    caption: `Accuracy by task, ${titles[place]}: means over bases with 95 % t intervals`,
    columns: [
      { header: 'Task (questions)', kind: 'text' },
      { header: 'Dependency', kind: 'number' },
      ...arms.map((arm): Column => ({ header: labelOf(plan, arm), kind: 'number' })),
    ],
    rows: [...rows, all],
    note:
      place === 'benchmark'
        ? 'Real pictures of the public benchmark, scaled down to what a nano model takes; nobody was trained or tuned on them.'
        : 'All tasks: each counts the same.',
  })
}

function differences(plan: ExperimentPlan, tasks: readonly TaskAccuracy[]): Html | null {
  const [{ arm: second = untrained } = {}] = plan.against
  const places = (['figures', 'benchmark'] as const).filter((place) => tasks.some((each) => each.place === place))
  if (places.length === 0) return null
  const values = (place: Place, arm: string): number[] =>
    overTasks(
      tasks.filter((each) => each.place === place),
      arm,
    )
  const arms = armNames(plan).filter((arm) => arm !== second)
  const columns = places.map((place) => {
    const other = values(place, second)
    const paired = arms.map((arm) => values(place, arm).map((value, base) => value - (other[base] as number)))
    const p = paired.map((each) => signFlipTest(each).p)
    const adjusted = holm(p)
    return paired.map((each, i): Cell[] => {
      const { value, low, high } = meanOf(each)
      return [{ value, low, high }, `${(p[i] as number).toFixed(3)} (${(adjusted[i] as number).toFixed(2)})`]
    })
  })
  return table({
    caption: `Figures: arms less ${labelOf(plan, second)}, mean paired difference over bases, 95 % t interval`,
    columns: [
      { header: 'Arm', kind: 'text' },
      ...places.flatMap((place): Column[] => [
        { header: titles[place], kind: 'number', digits: 3 },
        { header: 'p', kind: 'text' },
      ]),
    ],
    rows: arms.map((arm, i) => ({ cells: [labelOf(plan, arm), ...columns.flatMap((column) => column[i] ?? [])] })),
    note: 'p: exact two-sided sign-flip test over bases, in brackets corrected after Holm over the arms of the column.',
  })
}

/** Tables of an experiment that asks for figures; null for others. */
export function taskTables(plan: ExperimentPlan, files: ExperimentFiles): Html | null {
  if (plan.figures === null) return null
  const tasks = taskAccuracies(plan, files)
  return html`${byDependency(plan, tasks)}${differences(plan, tasks)}${(['scenes', 'figures', 'benchmark'] as const).map((place) => byTask(plan, place, tasks))}${
    tasks.every(({ place }) => place !== 'benchmark') ? html`<p class="note">The benchmark’s real pictures were not given (--blindtest).</p>` : null
  }`
}
