// VisualPuzzles: puzzles that take reasoning and no knowledge, with four options in words or in the image.

import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { choice, lettered, list, neededImages, optionalText, text } from './rows.ts'

/** What stands for options that are drawn. */
const drawnOptions = 'Options: Choose from (A) (B) (C) (D) in the image.'

/** Song et al. 2025, arXiv 2504.10342. */
export const visualPuzzles: Benchmark = {
  name: 'visual-puzzles',
  title: 'VisualPuzzles',
  about: 'puzzles that take reasoning and no knowledge',
  source: { hub: 'hf:neulab/VisualPuzzles:train', url: 'https://huggingface.co/datasets/neulab/VisualPuzzles', licence: null },
  columns: ['question', 'options', 'image', 'answer'],
  questions: (cells, row, folder) => {
    const options = list(cells, 'options')
    return [
      {
        id: optionalText(cells, 'id') ?? String(row),
        problem: `Question: ${text(cells, 'question')}\n${options.length > 0 ? `Options:\n${lettered(options, '(A)')}` : drawnOptions}`,
        images: neededImages(cells, 'image', folder),
        expected: choice(text(cells, 'answer'), options),
        groups: { category: optionalText(cells, 'category') ?? 'unknown' },
      },
    ]
  },
  measures: [accuracy],
  groupings: ['category'],
}
