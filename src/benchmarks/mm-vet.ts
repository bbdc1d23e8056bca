// MM-Vet: open questions that take several abilities at once; a judge gives each answer a credit from 0 to 1.

import type { Benchmark, Measure } from './benchmark.ts'
import { accuracy, groupOf, over } from './measures.ts'
import { expected, list, neededImages, text } from './rows.ts'

const capabilities = {
  rec: 'Recognition',
  ocr: 'OCR',
  know: 'Knowledge',
  gen: 'Language generation',
  spat: 'Spatial awareness',
  math: 'Math',
} as const

/** The reference lists what must be said with `<AND>` and what may be said instead with `<OR>`; a judge sees it whole. */
function openAnswer(reference: string) {
  const alternatives = reference.includes('<AND>') ? [] : reference.split('<OR>').map((each) => each.trim())
  const spaced = reference.replace(/\s*<(AND|OR)>\s*/g, ' <$1> ')
  return expected('open', spaced, { also: alternatives.length > 1 ? alternatives : [] })
}

/** Questions of several abilities count for each of them. */
const measures = Object.entries(capabilities).map(
  ([name, label]): Measure => over(name, label, (graded) => groupOf(graded, 'capabilities').split(',').includes(name)),
)

/** Yu et al. 2023, arXiv 2308.02490. */
export const mmVet: Benchmark = {
  name: 'mm-vet',
  title: 'MM-Vet',
  about: 'open questions that take several abilities at once; needs a judge',
  source: { hub: 'hf:lmms-lab/MMVet:test', url: 'https://huggingface.co/datasets/lmms-lab/MMVet', licence: null },
  columns: ['question', 'answer', 'image', 'capability', 'question_id'],
  questions: (cells, _row, folder) => {
    // One text with commas, or a list.
    const named = Array.isArray(cells['capability']) ? list(cells, 'capability') : text(cells, 'capability').split(',')
    return [
      {
        id: text(cells, 'question_id'),
        problem: text(cells, 'question'),
        images: neededImages(cells, 'image', folder),
        expected: openAnswer(text(cells, 'answer')),
        groups: {
          capabilities: [...named]
            .map((name) => name.trim())
            .sort()
            .join(','),
        },
      },
    ]
  },
  measures: [{ ...accuracy, label: 'Mean credit' }, ...measures],
  groupings: ['capabilities'],
}
