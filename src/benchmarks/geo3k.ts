// Geometry3K: problems of school geometry with a diagram, answered freely.

import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { mathematical, neededImages, optionalText, text } from './rows.ts'

/** Lu et al. 2021 (Inter-GPS), arXiv 2105.04165: the 601 problems of its test split. */
export const geo3k: Benchmark = {
  name: 'geo3k',
  title: 'Geometry3K',
  about: 'school geometry with a diagram, answered freely',
  source: { hub: 'hf:hiyouga/geometry3k:test', url: 'https://huggingface.co/datasets/hiyouga/geometry3k', licence: 'MIT' },
  columns: ['images', 'problem', 'answer'],
  questions: (cells, row, folder) => [
    {
      id: optionalText(cells, 'id') ?? String(row),
      // `<image>` marks a place, as in no prompt.
      problem: text(cells, 'problem').replace(/<image>\s*/g, ''),
      images: neededImages(cells, 'images', folder),
      expected: mathematical(text(cells, 'answer')),
      groups: {},
    },
  ],
  measures: [accuracy],
  groupings: [],
}
