// MMSI-Bench: where things and cameras are, from several photographs of one place.

import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { choiceIn, neededImages, optionalText, text } from './rows.ts'

/** Yang et al. 2025, arXiv 2505.23764. The question has its options in it. */
export const mmsi: Benchmark = {
  name: 'mmsi',
  title: 'MMSI-Bench',
  about: 'spatial reasoning over several photographs of one place',
  source: { hub: 'hf:RunsenXu/MMSI-Bench:test', url: 'https://huggingface.co/datasets/RunsenXu/MMSI-Bench', licence: 'CC-BY-NC-4.0' },
  columns: ['id', 'images', 'question_type', 'question', 'answer'],
  questions: (cells, _row, folder) => {
    const question = text(cells, 'question')
    return [
      {
        id: text(cells, 'id'),
        problem: question,
        images: neededImages(cells, 'images', folder),
        expected: choiceIn(text(cells, 'answer'), question),
        groups: { task: text(cells, 'question_type'), difficulty: optionalText(cells, 'difficulty') ?? 'unknown' },
      },
    ]
  },
  measures: [accuracy],
  groupings: ['task', 'difficulty'],
}
