// VLMs are blind (BlindTest): what is easy to see, such as whether circles touch, how many there are, and where paths lead.

import type { Benchmark } from './benchmark.ts'
import { accuracy, balanced } from './measures.ts'
import { brief, images, neededImages, optionalText, text } from './rows.ts'

/** The paper counts both kinds of grids as one task. */
function taskOf(name: string): string {
  const task = name.trim().toLowerCase().replaceAll('_', ' ')
  return task.startsWith('counting grid') ? 'counting grid' : task
}

/**
 * Rahmanzadehgervi et al. 2024, arXiv 2407.06581. Also read are rows with `images`, `problem` and `answer`, as worlds are written. Answers are
 * judged by how they look: Yes or No, numbers, pairs `4,5` of rows and columns, letters.
 */
export const vlmsAreBlind: Benchmark = {
  name: 'vlms-are-blind',
  title: 'VlmsAreBlind',
  about: 'circles, lines, squares, grids, letters and paths that people see at a glance',
  source: { hub: 'hf:XAI/vlmsareblind:valid', url: 'https://huggingface.co/datasets/XAI/vlmsareblind', licence: 'MIT' },
  columns: ['task', 'image', 'prompt', 'groundtruth'],
  otherColumns: ['task', 'images', 'problem', 'answer'],
  questions: (cells, row, folder) => {
    const own = optionalText(cells, 'prompt') !== null
    return [
      {
        id: optionalText(cells, 'id') ?? String(row),
        problem: text(cells, own ? 'prompt' : 'problem'),
        images: own ? neededImages(cells, 'image', folder) : images(cells, 'images', folder),
        expected: brief(text(cells, own ? 'groundtruth' : 'answer')),
        groups: { task: taskOf(text(cells, 'task')) },
      },
    ]
  },
  measures: [accuracy, balanced('task-mean', 'Mean over tasks', ['task'])],
  groupings: ['task'],
}
