// VLind-Bench: does a model believe a picture that contradicts what is usual? Asked in four stages, each of which the next one takes for granted.

import { join } from 'node:path'
import { FileFormatError } from '../errors.ts'
import type { Benchmark, Graded, Measure } from './benchmark.ts'
import { byKey, groupOf, isRight } from './measures.ts'
import { expected, struct, text } from './rows.ts'

/** Of three people, how many must call a picture good. */
const votes = 2

const ending = (by: string): string => `Based on ${by}, is the given statement true or false?`
const only = 'Only respond in True or False.'
const forget = (source: string): string => `Forget real-world common sense and just follow the information provided in the ${source}.`

/** What is known of one instance: which stages it passes, and the last one for each good picture. */
interface Passed {
  readonly id: string
  readonly knowledge: boolean
  readonly perception: boolean
  readonly context: boolean
  readonly pictures: readonly boolean[]
}

/** Instances of which all questions are there. A stage is passed by being right on a true and on a false statement. */
function instances(graded: readonly Graded[]): readonly Passed[] {
  return [...byKey(graded, (each) => groupOf(each, 'instance'))].flatMap(([id, questions]) => {
    const [first] = questions
    if (first === undefined || questions.length !== Number(groupOf(first, 'questions'))) return []
    const stages = byKey(questions, (each) => groupOf(each, 'stage'))
    const passes = (stage: string): boolean => (stages.get(stage) ?? []).every(isRight)
    const pictures = byKey(stages.get('prior') ?? [], (each) => groupOf(each, 'picture'))
    return [
      {
        id,
        knowledge: passes('knowledge'),
        perception: passes('perception'),
        context: passes('context'),
        pictures: [...pictures.values()].map((both) => both.every(isRight)),
      },
    ]
  })
}

const share = (right: readonly boolean[]): number => right.filter(Boolean).length / right.length

/** The mean of a value over the instances that a measure is about. */
function stage(name: string, label: string, about: (passed: Passed) => boolean, value: (passed: Passed) => number): Measure {
  return {
    name,
    label,
    units: (graded) =>
      instances(graded)
        .filter(about)
        .map((passed) => ({ id: passed.id, value: value(passed) })),
  }
}

const all = (): boolean => true

/**
 * Lee et al. 2024, arXiv 2406.08702. A pipeline score counts only instances that pass the stages before; language prior is the share of an
 * instance's good pictures. Reads `data.json`, beside which lie `images/`; it is not on the Hub as parquet.
 */
export const vlind: Benchmark = {
  name: 'vlind',
  title: 'VLind-Bench',
  about: 'statements about pictures that contradict what is usual, in four stages',
  source: { hub: null, url: 'https://huggingface.co/datasets/klee972/VLind-Bench', licence: 'CC-BY-SA-4.0' },
  columns: [
    'concept',
    'context_id',
    'context',
    'factual_context',
    'true_statement',
    'false_statement',
    'existent_noun',
    'non-existent_noun',
    'best_img_id',
    'aggregated_human_label_good_images',
  ],
  questions: (cells, row, folder) => {
    const good = Object.entries(struct(cells, 'aggregated_human_label_good_images')).flatMap(([id, count]) => (Number(count) >= votes ? [id] : []))
    if (good.length === 0) return []
    const [concept, number, context] = [text(cells, 'concept'), text(cells, 'context_id'), text(cells, 'context')]
    // The paths are made of cells, which must not lead elsewhere.
    const picture = (kind: string, of: string, id: string): string => {
      const parts = [concept, `${number}_${of}`, `${id}.jpg`]
      if (parts.some((part) => /[/\\\0]|^\.\.?$/.test(part))) throw new FileFormatError(`${parts.join(', ')} make no path of an image`)
      return join(folder, 'images', kind, ...parts)
    }
    const factual = picture('factual', text(cells, 'factual_context'), '0')
    const best = picture('counterfactual', context, text(cells, 'best_img_id'))
    const [isTrue, isFalse] = [text(cells, 'true_statement'), text(cells, 'false_statement')]
    const there = (column: string): string => `There is ${text(cells, column)} in the given image.`
    const asked = (stageName: string, image: string, id: string, write: (statement: string) => string, pair: readonly [string, string]) =>
      pair.map((statement, i) => ({
        id: `${row}-${stageName}${id === '' ? '' : `-${id}`}-${i === 0 ? 'true' : 'false'}`,
        problem: write(statement),
        images: [image],
        expected: expected('yesNo', i === 0 ? 'True' : 'False'),
        groups: { instance: String(row), concept, stage: stageName, picture: id, questions: String(6 + 2 * good.length) },
      }))
    const byImage = (statement: string): string => `Statement: ${statement}\n${ending('the image')}`
    return [
      // What is usual is true here, so the statements change places.
      ...asked('knowledge', factual, '', (statement) => `Statement: ${statement}\n${ending('the common sense')} ${only}`, [isFalse, isTrue]),
      ...asked('perception', best, '', (statement) => `${byImage(statement)} ${only}`, [there('existent_noun'), there('non-existent_noun')]),
      ...asked(
        'context',
        best,
        '',
        (statement) => `Context: ${context}\nStatement: ${statement}\n${ending('the context')} ${forget('context')} ${only}`,
        [isTrue, isFalse],
      ),
      ...good.flatMap((id) =>
        asked('prior', picture('counterfactual', context, id), id, (statement) => `${byImage(statement)} ${forget('image')} ${only}`, [
          isTrue,
          isFalse,
        ]),
      ),
    ]
  },
  measures: [
    stage(
      'language-prior',
      'Language prior (pipeline)',
      ({ knowledge, perception, context }) => knowledge && perception && context,
      ({ pictures }) => share(pictures),
    ),
    stage('knowledge', 'Commonsense knowledge', all, ({ knowledge }) => Number(knowledge)),
    stage('perception', 'Visual perception', all, ({ perception }) => Number(perception)),
    stage(
      'context',
      'Commonsense bias (pipeline)',
      ({ knowledge }) => knowledge,
      ({ context }) => Number(context),
    ),
    stage('context-accuracy', 'Commonsense bias (all)', all, ({ context }) => Number(context)),
    stage('language-prior-accuracy', 'Language prior (all)', all, ({ pictures }) => share(pictures)),
  ],
  groupings: ['concept'],
}
