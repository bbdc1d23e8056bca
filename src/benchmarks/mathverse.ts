// MathVerse: each problem in versions that move what is given from the text into the diagram.

import type { Benchmark } from './benchmark.ts'
import { accuracy, within } from './measures.ts'
import { choiceIn, images, mathematical, optionalText, shownInImage, struct, text } from './rows.ts'

/** Of the versions, those with an image, from the least to the most that must be seen. */
const versions = ['Text Dominant', 'Text Lite', 'Vision Intensive', 'Vision Dominant', 'Vision Only'] as const
type Version = (typeof versions)[number]

const nameOf = (version: Version): string => version.toLowerCase().replace(' ', '-')

/** Rows of other versions than these have no questions. */
function mathverse(only: Version | null, about: string): Benchmark {
  return {
    name: only === null ? 'mathverse' : `mathverse-${nameOf(only)}`,
    title: only === null ? 'MathVerse' : `MathVerse (${only})`,
    about,
    source: { hub: 'hf:AI4Math/MathVerse:testmini', url: 'https://huggingface.co/datasets/AI4Math/MathVerse', licence: 'MIT' },
    columns: ['sample_index', 'problem_index', 'problem_version', 'question', 'image', 'answer', 'question_type'],
    questions: (cells, _row, folder) => {
      const version = text(cells, 'problem_version')
      if (only !== null && version !== only) return []
      const question = optionalText(cells, 'question')?.trim() ?? shownInImage
      const answer = text(cells, 'answer')
      const type = text(cells, 'question_type')
      const metadata = struct(cells, 'metadata')
      return [
        {
          id: text(cells, 'sample_index'),
          problem: question,
          images: images(cells, 'image', folder),
          // Where the question is in the image, its options are written here.
          expected: type === 'multi-choice' ? choiceIn(answer, optionalText(cells, 'question_for_eval') ?? question) : mathematical(answer),
          groups: {
            version,
            problem: text(cells, 'problem_index'),
            type,
            subject: optionalText(metadata, 'subject') ?? 'unknown',
            subfield: optionalText(metadata, 'subfield') ?? 'unknown',
          },
        },
      ]
    },
    measures: only === null ? [accuracy, ...versions.map((version) => within('version', version, nameOf(version), version))] : [accuracy],
    groupings: only === null ? ['version', 'type', 'subject', 'subfield'] : ['type', 'subject', 'subfield'],
  }
}

/** Zhang et al. 2024, arXiv 2403.14624: the 788 problems of testmini in all versions with an image. */
export const mathVerse = mathverse(null, 'mathematics with diagrams, from all in the text to all in the image')
export const mathVerseVisionDominant = mathverse('Vision Dominant', 'MathVerse where the diagram gives most of the problem')
export const mathVerseVisionOnly = mathverse('Vision Only', 'MathVerse where the whole problem is in the image')
