// MATH500: competition mathematics in words alone; shows whether teaching to see cost reasoning.

import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { mathematical, text } from './rows.ts'

/** Lightman et al. 2023, arXiv 2305.20050: 500 problems of the test split of MATH (Hendrycks et al. 2021). */
export const math500: Benchmark = {
  name: 'math500',
  title: 'MATH500',
  about: 'competition mathematics in words alone',
  source: { hub: 'hf:HuggingFaceH4/MATH-500:test', url: 'https://huggingface.co/datasets/HuggingFaceH4/MATH-500', licence: null },
  columns: ['problem', 'answer', 'subject', 'level', 'unique_id'],
  questions: (cells) => [
    {
      id: text(cells, 'unique_id'),
      problem: text(cells, 'problem'),
      images: [],
      expected: mathematical(text(cells, 'answer')),
      groups: { subject: text(cells, 'subject'), level: text(cells, 'level') },
    },
  ],
  measures: [accuracy],
  groupings: ['subject', 'level'],
}
