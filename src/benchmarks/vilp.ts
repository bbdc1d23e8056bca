// ViLP: one question on three pictures, of which the first shows what everybody expects and the others what nobody does.

import type { Benchmark } from './benchmark.ts'
import { groupOf, over } from './measures.ts'
import { expected, isNumber, neededImages, text } from './rows.ts'

const positions = [1, 2, 3] as const

/** The question without the fact that is stated before it. */
function withoutFact(question: string): string {
  const stop = question.indexOf('.')
  return stop === -1 ? question : question.slice(stop + 1).trim() || question
}

function vilp(mode: 'F' | 'P', about: string, question: (whole: string) => string): Benchmark {
  return {
    name: `vilp-${mode.toLowerCase()}`,
    title: `ViLP-${mode}`,
    about,
    source: { hub: 'hf:ViLP/ViLP:train', url: 'https://huggingface.co/datasets/ViLP/ViLP', licence: null },
    columns: ['question', 'image1', 'answer1', 'image2', 'answer2', 'image3', 'answer3'],
    questions: (cells, row, folder) =>
      positions.map((position) => {
        const answer = text(cells, `answer${position}`)
        return {
          id: `${row}-${position}`,
          problem: `Please answer with one word: ${question(text(cells, 'question'))}`,
          images: neededImages(cells, `image${position}`, folder),
          expected: expected(isNumber(answer) ? 'number' : 'text', answer),
          groups: { position: String(position) },
        }
      }),
    measures: [
      // As many pictures are second as third, so the mean over both is the mean of both.
      over('score', 'Score', (graded) => groupOf(graded, 'position') !== '1'),
      over('prior', 'Prior', (graded) => groupOf(graded, 'position') === '1'),
    ],
    groupings: ['position'],
  }
}

/** Luo et al. 2025, arXiv 2501.00569. Their script also takes some synonyms as equal, which is left to a judge here. */
export const vilpF = vilp('F', 'one question on three pictures, after a fact that two of them contradict', (whole) => whole)
export const vilpP = vilp('P', 'the same without the fact', withoutFact)
