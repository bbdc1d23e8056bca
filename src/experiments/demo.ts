// The demonstration: a nano base that believes what is usual is post-trained with OPSD and with ViGOS, and asked before and after.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { opsd, vigos } from './arms.ts'
import { diagnoseJob, gradeJob, trainJob, worldJob } from './commands.ts'
import type { Job } from './jobs.ts'

/** Fixed before it was run. */
export const demoPlan = {
  steps: 60,
  batch: 32,
  questions: 600,
  answers: 4,
  /** Rollouts for PALR, and those that are shown. */
  diagnosed: 96,
  shown: 8,
  seeds: { data: 71, run: 1, questions: 4242, diagnosis: 7 },
} as const

/** Where everything of a demonstration lies. */
export function demoFiles(folder: string) {
  const at = (...names: readonly string[]): string => join(folder, ...names)
  return {
    /** Which base the rest is of. */
    base: at('base.json'),
    /** Which command made what. */
    commands: at('commands.json'),
    data: at('data'),
    asked: at('asked'),
    grades: { base: at('base-grades.json'), opsd: at('opsd-grades.json'), vigos: at('vigos-grades.json') },
    runs: { opsd: at('opsd'), vigos: at('vigos') },
    diagnoses: { before: at('before-diagnosis.json'), opsd: at('opsd-diagnosis.json'), vigos: at('vigos-diagnosis.json') },
    report: at('report.html'),
    summary: at('summary.json'),
  } as const
}

/** The commands of the demonstration on a base. @param pixels side of the scenes; null: the world's own */
export function demoJobs(folder: string, base: string, pixels: number | null): Job[] {
  const { steps, batch, questions, answers, diagnosed, seeds } = demoPlan
  const files = demoFiles(folder)
  mkdirSync(folder, { recursive: true })
  const grading = { count: questions, samples: answers, seed: seeds.questions, pixels }
  const training = { base, data: [files.data], seed: seeds.run, steps, sets: ['checkpoints.every=20'] }
  const diagnosing = { what: 'palr', data: [files.asked], samples: diagnosed, seed: seeds.diagnosis }
  const arms = { opsd, vigos }
  const names = ['opsd', 'vigos'] as const
  return [
    worldJob('data', { world: 'natural', folder: files.data, count: steps * batch, seed: seeds.data, pixels, tasks: null, splits: null }),
    worldJob('asked', { world: 'prior', folder: files.asked, count: diagnosed, seed: seeds.data + 1, pixels, tasks: null, splits: ['score'] }),
    ...names.map((name) => trainJob(`train ${name}`, ['data'], { ...training, arm: arms[name], folder: files.runs[name] })),
    gradeJob('grade base', [], { ...grading, model: base, out: files.grades.base }),
    ...names.map((name) =>
      gradeJob(`grade ${name}`, [`train ${name}`], { ...grading, model: join(files.runs[name], 'final'), out: files.grades[name] }),
    ),
    diagnoseJob('diagnose base', ['train vigos', 'asked'], { ...diagnosing, run: files.runs.vigos, checkpoint: 'none', out: files.diagnoses.before }),
    ...names.map((name) =>
      diagnoseJob(`diagnose ${name}`, [`train ${name}`, 'asked'], {
        ...diagnosing,
        run: files.runs[name],
        checkpoint: 'last',
        out: files.diagnoses[name],
      }),
    ),
  ]
}
