// LogicVista: puzzles of inductive, deductive, numerical, spatial and mechanical reasoning; options are in text or image.

import type { Cells } from '../data/columns.ts'
import type { Expected } from '../grading/verdict.ts'
import type { Benchmark } from './benchmark.ts'
import { accuracy } from './measures.ts'
import { choice, expected, list, neededImages, optionalText, text } from './rows.ts'

/** One letter, or several of which none may be missing, as `A, C` or `AC`. */
function letters(answer: string): Expected {
  const parts = /^[a-j]{2,}$/i.test(answer) ? [...answer.toUpperCase()] : answer.toUpperCase().split(/[\s,;]+/)
  if (!parts.every((part) => /^[A-J]$/.test(part))) return expected('text', answer)
  return parts.length > 1 ? expected('set', parts.join(', ')) : choice(answer, [])
}

const named = (cells: Cells, column: string): string =>
  (Array.isArray(cells[column]) ? list(cells, column).join(', ') : optionalText(cells, column)) || 'unknown'

/** Xiao et al. 2024, arXiv 2407.04973. */
export const logicVista: Benchmark = {
  name: 'logicvista',
  title: 'LogicVista',
  about: 'visual puzzles of five kinds of logical reasoning',
  source: { hub: 'hf:lscpku/LogicVista:test', url: 'https://huggingface.co/datasets/lscpku/LogicVista', licence: null },
  columns: ['question', 'answer', 'image', 'skill'],
  questions: (cells, row, folder) => [
    {
      id: optionalText(cells, 'id') ?? String(row),
      problem: text(cells, 'question'),
      images: neededImages(cells, 'image', folder),
      expected: letters(text(cells, 'answer')),
      groups: { skill: named(cells, 'skill'), capability: named(cells, 'broad_capability') },
    },
  ],
  measures: [accuracy],
  groupings: ['skill', 'capability'],
}
