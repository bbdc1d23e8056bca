// MMMU: college questions of thirty subjects, with up to seven images that the text names where they belong.

import type { Cells } from '../data/columns.ts'
import type { SampleImage } from '../data/images.ts'
import { FileFormatError } from '../errors.ts'
import type { Expected } from '../grading/verdict.ts'
import type { Benchmark } from './benchmark.ts'
import { disciplineOf } from './disciplines.ts'
import { accuracy } from './measures.ts'
import { pythonList } from './python-list.ts'
import { choice, expected, images, isNumber, lettered, list, optionalText, text } from './rows.ts'

const imageColumns = [1, 2, 3, 4, 5, 6, 7].map((number) => `image_${number}`)

/**
 * The images in the order in which a text first names them, and the text with `<image 1>`, `<image 2>` … in that order. A text that names
 * none has all that there are.
 *
 * @throws FileFormatError for an image that is named and not there
 */
export function namedImages(problem: string, cells: Cells, folder: string): { readonly problem: string; readonly images: readonly SampleImage[] } {
  const mentioned = [...new Set([...problem.matchAll(/<image (\d+)>/g)].map(([, number]) => `image_${number}`))]
  if (mentioned.length === 0) return { problem, images: imageColumns.flatMap((column) => images(cells, column, folder)) }
  const found = mentioned.map((column) => {
    const image = images(cells, column, folder)[0]
    if (image === undefined) throw new FileFormatError(`the text names <${column.replace('_', ' ')}>, but ${column} holds no image`)
    return image
  })
  const renumbered = problem.replace(/<image (\d+)>/g, (_, number: string) => `<image ${mentioned.indexOf(`image_${number}`) + 1}>`)
  return { problem: renumbered, images: found }
}

/** MMMU compares numbers that are rounded to two places. */
const rounding = { relative: 0, absolute: 0.005 } as const

/** An open question may have several right answers, as a list. */
function openAnswer(answer: string): Expected {
  const [first = answer, ...also] = answer.startsWith('[') ? pythonList(answer) : [answer]
  return [first, ...also].some(isNumber) ? expected('number', first, { also, tolerance: rounding }) : expected('text', first, { also })
}

/** Yue et al. 2023, arXiv 2311.16502: the 900 questions of its validation split, whose answers are public. */
export const mmmu: Benchmark = {
  name: 'mmmu',
  title: 'MMMU',
  about: 'college questions of thirty subjects, with several images',
  source: { hub: 'hf:MMMU/MMMU:validation', url: 'https://huggingface.co/datasets/MMMU/MMMU', licence: 'Apache-2.0' },
  columns: ['id', 'question', 'options', 'answer', 'question_type', 'image_1'],
  questions: (cells, _row, folder) => {
    const id = text(cells, 'id')
    const type = text(cells, 'question_type')
    const options = type === 'multiple-choice' ? list(cells, 'options') : []
    const whole = [text(cells, 'question'), ...(options.length > 0 ? [lettered(options)] : [])].join('\n')
    const answer = text(cells, 'answer')
    // validation_Art_Theory_12
    const subject = /^[^_]+_(.+)_\d+$/.exec(id)?.[1] ?? 'Other'
    return [
      {
        id,
        ...namedImages(whole, cells, folder),
        expected: options.length > 0 ? choice(answer, options) : openAnswer(answer),
        groups: { subject, discipline: disciplineOf(subject), difficulty: optionalText(cells, 'topic_difficulty') ?? 'unknown', type },
      },
    ]
  },
  measures: [accuracy],
  groupings: ['discipline', 'subject', 'difficulty', 'type'],
}
