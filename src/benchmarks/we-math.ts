// We-Math: problems of two and three steps, each together with its steps as problems of their own, so that rote answers show.

import type { Benchmark, Graded, Measure } from './benchmark.ts'
import { accuracy, byKey, groupOf, isRight, over } from './measures.ts'
import { choiceIn, neededImages, text } from './rows.ts'

/** A problem of several steps: which steps are right, and whether the whole is. */
interface Solved {
  readonly id: string
  readonly steps: readonly boolean[]
  readonly whole: boolean
}

/** The problems of several steps of which all parts are there. */
function solved(graded: readonly Graded[]): readonly Solved[] {
  const problems = byKey(graded, (each) => `${groupOf(each, 'steps')}-${groupOf(each, 'problem')}`)
  return [...problems].flatMap(([id, parts]) => {
    const whole = parts.find((each) => groupOf(each, 'part') === 'multi')
    const steps = parts.filter((each) => each !== whole).map(isRight)
    return whole === undefined || steps.length !== Number.parseInt(id, 10) ? [] : [{ id, steps, whole: isRight(whole) }]
  })
}

/** What the whole needs so that it was mastered: every step by the strict rule, any by the loose one. */
const knows = {
  strict: ({ steps }: Solved): boolean => steps.every(Boolean),
  loose: ({ steps }: Solved): boolean => steps.some(Boolean),
} as const
type Rule = keyof typeof knows

function problems(name: string, label: string, value: (problem: Solved) => number, counts: (problem: Solved) => boolean = () => true): Measure {
  return {
    name,
    label,
    units: (graded) =>
      solved(graded)
        .filter(counts)
        .map((problem) => ({ id: problem.id, value: value(problem) })),
  }
}

/** Mastery counts one; knowing all steps but not the whole, inadequate generalization, a half. */
const score = (rule: Rule, label: string): Measure =>
  problems(`score-${rule}`, label, (problem) => (problem.whole ? Number(knows[rule](problem)) : knows.strict(problem) ? 0.5 : 0))

/** Of the wholes that are right, those without the steps. */
const rote = (rule: Rule, label: string): Measure =>
  problems(
    `rote-${rule}`,
    label,
    (problem) => Number(!knows[rule](problem)),
    ({ whole }) => whole,
  )

const accuracyOf = (name: string, label: string, counts: (steps: string, part: string) => boolean): Measure =>
  over(name, label, (graded) => counts(groupOf(graded, 'steps'), groupOf(graded, 'part')))

/** Qiao et al. 2024, arXiv 2407.01284: testmini, whose keys are such as `2steps_1`, `2steps_multi`. */
export const weMath: Benchmark = {
  name: 'we-math',
  title: 'We-Math',
  about: 'problems of several steps together with their steps',
  source: { hub: 'hf:We-Math/We-Math:testmini', url: 'https://huggingface.co/datasets/We-Math/We-Math', licence: 'CC-BY-NC-4.0' },
  columns: ['ID', 'key', 'question', 'option', 'answer', 'image_path', 'knowledge concept'],
  questions: (cells, _row, folder) => {
    const [id, key, option] = [text(cells, 'ID'), text(cells, 'key'), text(cells, 'option')]
    const [steps = '', part = ''] = key.split('_')
    return [
      {
        id: `${id}-${key}`,
        problem: `${text(cells, 'question')}\n${option}`,
        images: neededImages(cells, 'image_path', folder),
        expected: choiceIn(text(cells, 'answer'), option),
        groups: { problem: id, steps, part, concept: text(cells, 'knowledge concept') },
      },
    ]
  },
  measures: [
    score('strict', 'Score (strict)'),
    score('loose', 'Score (loose)'),
    accuracy,
    accuracyOf('one-step', 'One step', (_, part) => part !== 'multi'),
    accuracyOf('two-step', 'Two steps', (steps, part) => steps === '2steps' && part === 'multi'),
    accuracyOf('three-step', 'Three steps', (steps, part) => steps === '3steps' && part === 'multi'),
    problems('insufficient-knowledge', 'Insufficient knowledge', (problem) => Number(!problem.whole && !knows.strict(problem))),
    problems('inadequate-generalization', 'Inadequate generalization', (problem) => Number(!problem.whole && knows.strict(problem))),
    problems('mastery-strict', 'Complete mastery (strict)', (problem) => Number(problem.whole && knows.strict(problem))),
    problems('mastery-loose', 'Complete mastery (loose)', (problem) => Number(problem.whole && knows.loose(problem))),
    rote('strict', 'Rote memorization (strict)'),
    rote('loose', 'Rote memorization (loose)'),
  ],
  groupings: ['steps'],
}
