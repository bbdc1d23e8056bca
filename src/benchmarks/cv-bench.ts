// CV-Bench: counting and relations in two dimensions, depth and distance in three, from data sets of classic computer vision.

import type { Benchmark } from './benchmark.ts'
import { accuracy, among, balanced, groupOf, within } from './measures.ts'
import { choice, list, neededImages, text } from './rows.ts'

/** Tong et al. 2024 (Cambrian-1), arXiv 2406.16860. Its score is the mean of 2D, itself the mean of ADE20K and COCO, and of 3D. */
export const cvBench: Benchmark = {
  name: 'cv-bench',
  title: 'CV-Bench',
  about: 'counting, relations, depth and distance in photographs',
  source: { hub: 'hf:nyu-visionx/CV-Bench:test', url: 'https://huggingface.co/datasets/nyu-visionx/CV-Bench', licence: 'Apache-2.0' },
  columns: ['idx', 'type', 'task', 'image', 'choices', 'answer', 'prompt', 'source'],
  questions: (cells, _row, folder) => {
    const type = text(cells, 'type')
    return [
      {
        // Both parts count from 0.
        id: `${type}-${text(cells, 'idx')}`,
        problem: text(cells, 'prompt'),
        images: neededImages(cells, 'image', folder),
        expected: choice(text(cells, 'answer'), list(cells, 'choices')),
        groups: { type, task: text(cells, 'task'), source: text(cells, 'source') },
      },
    ]
  },
  measures: [
    balanced('overall', 'Mean of 2D and 3D', ['type', 'source']),
    accuracy,
    among(balanced('2d', '2D', ['source']), (graded) => groupOf(graded, 'type') === '2D'),
    within('type', '3D', '3d', '3D'),
  ],
  groupings: ['type', 'task', 'source'],
}
