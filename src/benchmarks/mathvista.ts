// MathVista: mathematics in charts, figures, geometry and photographs, with options or a number as the answer.

import type { Cells } from '../data/columns.ts'
import { FileFormatError } from '../errors.ts'
import type { Expected } from '../grading/verdict.ts'
import type { Benchmark } from './benchmark.ts'
import { accuracy, within } from './measures.ts'
import { choice, expected, images, lettered, letterOf, list, neededImages, optionalText, struct, text } from './rows.ts'

/** Free answers are compared after rounding to the places that the row names. */
function freeAnswer(cells: Cells): Expected {
  const answer = text(cells, 'answer')
  const type = text(cells, 'answer_type')
  if (type === 'integer') return expected('number', answer)
  if (type === 'list') return expected('tuple', answer)
  if (type !== 'float') return expected('text', answer)
  const places = Number(optionalText(cells, 'precision') ?? 0)
  return expected('number', answer, { tolerance: { relative: 0, absolute: 0.5 * 10 ** -places } })
}

/** The data has the text of the right option. */
function chosen(answer: string, options: readonly string[]): Expected {
  const index = options.findIndex((option) => option.trim() === answer)
  if (index === -1) throw new FileFormatError(`the answer ${JSON.stringify(answer)} is none of the choices`)
  return choice(letterOf(index), options)
}

/** Lu et al. 2023, arXiv 2310.02255: the 1000 questions of testmini, whose answers are public. */
export const mathVista: Benchmark = {
  name: 'mathvista',
  title: 'MathVista',
  about: 'mathematics in charts, figures, geometry and photographs',
  source: { hub: 'hf:AI4Math/MathVista:testmini', url: 'https://huggingface.co/datasets/AI4Math/MathVista', licence: 'CC-BY-SA-4.0' },
  columns: ['pid', 'question', 'decoded_image', 'choices', 'answer', 'question_type', 'answer_type'],
  otherColumns: ['pid', 'question', 'image', 'choices', 'answer', 'question_type', 'answer_type'],
  questions: (cells, _row, folder) => {
    const options = list(cells, 'choices')
    const unit = optionalText(cells, 'unit')
    const question = `${text(cells, 'question')}${unit === null ? '' : ` (Unit: ${unit.trim()})`}`
    const decoded = images(cells, 'decoded_image', folder)
    const type = text(cells, 'question_type')
    const metadata = struct(cells, 'metadata')
    return [
      {
        id: text(cells, 'pid'),
        problem: options.length > 0 ? `${question}\nChoices:\n${lettered(options, '(A)')}` : question,
        images: decoded.length > 0 ? decoded : neededImages(cells, 'image', folder),
        expected: options.length > 0 ? chosen(text(cells, 'answer'), options) : freeAnswer(cells),
        groups: {
          type,
          ...Object.fromEntries(['task', 'category', 'context', 'grade', 'source'].map((key) => [key, optionalText(metadata, key) ?? 'unknown'])),
        },
      },
    ]
  },
  measures: [accuracy, within('type', 'multi_choice', 'multi-choice', 'Multiple choice'), within('type', 'free_form', 'free-form', 'Free form')],
  groupings: ['type', 'task', 'category', 'context', 'grade', 'source'],
}
