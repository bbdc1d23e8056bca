// Bases that are brought up in a second: courses of a few lessons, and hardly any questions. They learn nothing.

import { mock } from 'node:test'
import { exportModel } from '../../src/models/export.ts'
import { randomModel } from '../../src/models/registry.ts'
import { nanoSizes, writeNanoFolder } from '../../src/nano/architecture.ts'
import { measured, recipes, type Stage } from '../../src/nano/recipe.ts'
import { nanoTokenizer } from '../../src/nano/tokenizer.ts'

/** As few as the warm-up of every course allows. */
export const tinySteps = 20

const stage = (course: Stage['course']): Stage => ({ course, lessons: 4, steps: tinySteps, rate: 1e-3, schedule: 'constant', change: {} })

/**
 * From here on bases of the recipe "tempted" take two tiny courses, those of "apprentice" one of figures besides, and all are asked two
 * questions in each mode.
 */
export function tinyRecipe(): void {
  const { mix, deviation } = recipes.tempted
  const stages = [stage('reading'), stage('closeUps')]
  const begin = { mix, deviation, batch: 1 }
  mock.property(recipes as { tempted: object }, 'tempted', { ...begin, stages })
  mock.property(recipes as { apprentice: object }, 'apprentice', { ...begin, stages: [...stages, stage('figures')] })
  for (const mode of Object.keys(measured)) {
    mock.property(measured as Record<string, object>, mode, { seed: 5, count: 2, samples: 1, temperature: 1, maxTokens: 3 })
  }
}

/** A model of the student's size with random weights and few words. */
export function writeRandomNano(folder: string, seed = 1): string {
  writeNanoFolder(`${folder}.shape`, 'qwen2_5_vl', nanoSizes.student, nanoTokenizer(['<description> banana </description>']))
  using checkpoint = randomModel(`${folder}.shape`, { seed, deviation: 0.05 })
  exportModel(folder, checkpoint)
  return folder
}
