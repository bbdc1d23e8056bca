// HallusionBench: yes-or-no questions on figures and on figures that were edited, so that what is known or guessed contradicts what is seen.

import { FileFormatError } from '../errors.ts'
import type { Benchmark, Graded } from './benchmark.ts'
import { accuracy, allRight, groupOf } from './measures.ts'
import { expected, images, text } from './rows.ts'

const key = (graded: Graded, last: 'question' | 'figure'): string =>
  ['category', 'subcategory', 'set', last].map((grouping) => groupOf(graded, grouping)).join('_')

/** Supplementary questions without a figure. */
const isBlind = (graded: Graded): boolean => groupOf(graded, 'category') === 'VS' && groupOf(graded, 'figure') === '0'

/**
 * Guan et al. 2023, arXiv 2310.14566. Its scores: per question (aAcc), per question over all its figures (qAcc), per figure over all its
 * questions (fAcc). The split is the one with figures. With a limit the last pairs may be counted before they are whole.
 */
export const hallusionBench: Benchmark = {
  name: 'hallusion-bench',
  title: 'HallusionBench',
  about: 'yes-or-no questions on figures and their edited versions',
  source: { hub: 'hf:lmms-lab/HallusionBench:image', url: 'https://huggingface.co/datasets/lmms-lab/HallusionBench', licence: null },
  columns: ['category', 'subcategory', 'set_id', 'figure_id', 'question_id', 'question', 'gt_answer', 'image'],
  questions: (cells, _row, folder) => {
    const answer = text(cells, 'gt_answer')
    if (answer !== '0' && answer !== '1') throw new FileFormatError(`gt_answer is ${JSON.stringify(answer)}; expected 0 or 1`)
    const [category, subcategory, set] = [text(cells, 'category'), text(cells, 'subcategory'), text(cells, 'set_id')]
    const [figure, question] = [text(cells, 'figure_id'), text(cells, 'question_id')]
    return [
      {
        id: [category, subcategory, set, figure, question].join('_'),
        problem: text(cells, 'question'),
        images: images(cells, 'image', folder),
        expected: expected('yesNo', answer === '1' ? 'yes' : 'no'),
        groups: { category, subcategory, set, figure, question },
      },
    ]
  },
  measures: [
    { ...accuracy, name: 'a-acc', label: 'aAcc' },
    allRight('q-acc', 'qAcc', (graded) => key(graded, 'question')),
    allRight('f-acc', 'fAcc', (graded) => (isBlind(graded) ? null : key(graded, 'figure'))),
  ],
  groupings: ['category', 'subcategory'],
}
