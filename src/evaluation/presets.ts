// The papers' settings of evaluation by name, so that numbers are held against theirs under the same decoding.

import type { ModeName } from './modes.ts'
import type { Decoding } from './responder.ts'

export interface Settings extends Decoding {
  readonly mode: ModeName
  /** As the mode has it where null. */
  readonly prefill: boolean | null
  /** Answers to each question. */
  readonly samples: number
  readonly seed: number
}

interface Preset {
  /** What it reproduces, and what of it the source does not say. */
  readonly about: string
  readonly settings: Settings
}

export const presetNames = ['plain', 'vigos', 'vgs-greedy', 'vgs-16'] as const
export type PresetName = (typeof presetNames)[number]

const vgs = { mode: 'reason', prefill: false, topP: 1, topK: null, maxTokens: 2048, seed: 0 } as const

export const presets: { readonly [P in PresetName]: Preset } = {
  plain: {
    about: 'one greedy answer to a plain prompt; what holds where no preset is given',
    settings: { mode: 'plain', prefill: null, samples: 1, temperature: 0, topP: 1, topK: null, maxTokens: 2048, seed: 0 },
  },
  vigos: {
    about: 'ViGOS (arXiv 2606.19120), as its released evaluation is set: Pass@5 and Avg@5 of the structured prompt',
    settings: { mode: 'structured', prefill: true, samples: 5, temperature: 1, topP: 0.9, topK: 50, maxTokens: 4096, seed: 42 },
  },
  'vgs-greedy': {
    about: 'VGS (arXiv 2606.00564), Acc@1; the length is that of its training',
    settings: { ...vgs, samples: 1, temperature: 0 },
  },
  'vgs-16': {
    about: 'VGS (arXiv 2606.00564), Acc@16; temperature and length are those of its training',
    settings: { ...vgs, samples: 16, temperature: 1 },
  },
}

/** What holds where no preset is named. */
export const defaultPreset: PresetName = 'plain'
