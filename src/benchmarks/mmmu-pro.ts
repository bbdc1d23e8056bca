// MMMU-Pro: MMMU's questions that texts alone do not answer, with ten options, with four, or as one image of question and options.

import type { Benchmark, Question } from './benchmark.ts'
import { disciplineOf } from './disciplines.ts'
import { accuracy } from './measures.ts'
import { namedImages } from './mmmu.ts'
import { choice, lettered, list, neededImages, optionalText, shownInImage, text } from './rows.ts'

const source = (configuration: string) => ({
  hub: `hf:MMMU/MMMU_Pro:${configuration}/test`,
  url: 'https://huggingface.co/datasets/MMMU/MMMU_Pro',
  licence: 'Apache-2.0',
})

function standard(options: 10 | 4): Benchmark {
  return {
    name: `mmmu-pro-${options}`,
    title: `MMMU-Pro (${options} options)`,
    about: `MMMU's harder questions with up to ${options} options`,
    source: source(`standard (${options} options)`),
    columns: ['id', 'question', 'options', 'answer', 'subject', 'image_1'],
    questions: (cells, _row, folder): Question[] => {
      const choices = list(cells, 'options')
      const subject = text(cells, 'subject')
      return [
        {
          id: text(cells, 'id'),
          ...namedImages(`${text(cells, 'question')}\n${lettered(choices)}`, cells, folder),
          expected: choice(text(cells, 'answer'), choices),
          groups: { subject, discipline: disciplineOf(subject), difficulty: optionalText(cells, 'topic_difficulty') ?? 'unknown' },
        },
      ]
    },
    measures: [accuracy],
    groupings: ['discipline', 'subject', 'difficulty'],
  }
}

/** Yue et al. 2024, arXiv 2409.02813. Its overall score is the mean of this one's and of `mmmuProVision`'s. */
export const mmmuPro10 = standard(10)
export const mmmuPro4 = standard(4)

/** Options are in the image; their texts are here only so that an answer can be graded by them. */
export const mmmuProVision: Benchmark = {
  name: 'mmmu-pro-vision',
  title: 'MMMU-Pro (vision)',
  about: "MMMU's harder questions as one image that shows question and options",
  source: source('vision'),
  columns: ['id', 'image', 'options', 'answer', 'subject'],
  questions: (cells, _row, folder) => {
    const subject = text(cells, 'subject')
    return [
      {
        id: text(cells, 'id'),
        problem: shownInImage,
        images: neededImages(cells, 'image', folder),
        expected: choice(text(cells, 'answer'), list(cells, 'options')),
        groups: { subject, discipline: disciplineOf(subject) },
      },
    ]
  },
  measures: [accuracy],
  groupings: ['discipline', 'subject'],
}
