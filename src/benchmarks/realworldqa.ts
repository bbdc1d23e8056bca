// RealWorldQA: spatial understanding of photographs, many of them from cars; answers are letters, numbers or words.

import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { brief, choiceIn, neededImages, text } from './rows.ts'

/** xAI 2024. The question has its options, and how to answer, in it. */
export const realWorldQA: Benchmark = {
  name: 'realworldqa',
  title: 'RealWorldQA',
  about: 'spatial understanding of photographs, many of them from cars',
  source: { hub: 'hf:xai-org/RealworldQA:test', url: 'https://huggingface.co/datasets/xai-org/RealworldQA', licence: 'CC-BY-ND-4.0' },
  columns: ['image', 'question', 'answer'],
  questions: (cells, row, folder) => {
    const question = text(cells, 'question')
    const answer = text(cells, 'answer')
    const right = /^[A-D]$/.test(answer) ? choiceIn(answer, question) : brief(answer)
    return [
      {
        id: String(row),
        problem: question,
        images: neededImages(cells, 'image', folder),
        expected: right,
        groups: { type: right.kind },
      },
    ]
  },
  measures: [accuracy],
  groupings: ['type'],
}
