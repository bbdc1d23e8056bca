// MATH-Vision: problems of mathematics competitions with pictures, in sixteen subjects and five levels.

import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { choice, images, lettered, list, mathematical, neededImages, text } from './rows.ts'

/** Wang et al. 2024, arXiv 2402.14804. */
export const mathVision: Benchmark = {
  name: 'mathvision',
  title: 'MATH-Vision',
  about: 'competition mathematics with pictures, in sixteen subjects and five levels',
  source: { hub: 'hf:MathLLMs/MathVision:test', url: 'https://huggingface.co/datasets/MathLLMs/MathVision', licence: 'MIT' },
  columns: ['id', 'question', 'options', 'decoded_image', 'answer', 'level', 'subject'],
  otherColumns: ['id', 'question', 'options', 'image', 'answer', 'level', 'subject'],
  questions: (cells, _row, folder) => {
    const options = list(cells, 'options')
    // `<image1>` marks a place, as in no prompt.
    const question = text(cells, 'question')
      .replace(/\s*<image\d+>/g, '')
      .trim()
    const decoded = images(cells, 'decoded_image', folder)
    const answer = text(cells, 'answer')
    return [
      {
        id: text(cells, 'id'),
        problem: options.length > 0 ? `${question}\nChoices:\n${lettered(options)}` : question,
        images: decoded.length > 0 ? decoded : neededImages(cells, 'image', folder),
        expected: options.length > 0 ? choice(answer, options) : mathematical(answer),
        groups: { subject: text(cells, 'subject'), level: text(cells, 'level') },
      },
    ]
  },
  measures: [accuracy],
  groupings: ['subject', 'level'],
}
