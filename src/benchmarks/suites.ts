// Lists of benchmarks as the papers report them: what is a row of their tables, and how much each depends on seeing.

import { ArgumentError } from '../errors.ts'
import type { Benchmark } from './benchmark.ts'
import { benchmarkNamed, benchmarks } from './registry.ts'

/** How much of the answer is in the image; `text` for questions without one. */
export type Dependency = 'high' | 'low' | 'text'

export interface SuiteRow {
  readonly title: string
  /** Names of benchmarks; the row is the mean of their first measures. */
  readonly benchmarks: readonly [string, ...string[]]
  /** Null where the paper puts it in no such group. */
  readonly dependency: Dependency | null
}

export interface Suite {
  readonly name: string
  readonly about: string
  readonly rows: readonly SuiteRow[]
}

const row = (title: string, names: SuiteRow['benchmarks'], dependency: Dependency | null = null): SuiteRow => ({
  title,
  benchmarks: names,
  dependency,
})

export const suites: readonly Suite[] = [
  {
    name: 'vigos',
    about: "ViGOS's eight benchmarks (arXiv 2606.19120); its script runs MMMU-Pro with ten options and as images",
    rows: [
      row('MM-Vet', ['mm-vet']),
      row('MMMU', ['mmmu']),
      row('MMMU-Pro', ['mmmu-pro-10', 'mmmu-pro-vision']),
      row('MathVerse', ['mathverse']),
      row('MathVista', ['mathvista']),
      row('MMSI', ['mmsi']),
      row('RealWorldQA', ['realworldqa']),
      row('CV-Bench', ['cv-bench']),
    ],
  },
  { name: 'vilp', about: "ViGOS's measure of priors: ViLP with the fact and without", rows: [row('ViLP-F', ['vilp-f']), row('ViLP-P', ['vilp-p'])] },
  { name: 'mmmu-pro', about: "MMMU-Pro's overall score (arXiv 2409.02813)", rows: [row('MMMU-Pro', ['mmmu-pro-10', 'mmmu-pro-vision'])] },
  {
    name: 'vgs',
    about: "VGS's seven benchmarks (arXiv 2606.00564, table 1)",
    rows: [
      row('MMMU-Pro-4', ['mmmu-pro-4'], 'high'),
      row('LogicVista', ['logicvista'], 'high'),
      row('MathVerse-VD', ['mathverse-vision-dominant']),
      row('MathVerse-VO', ['mathverse-vision-only']),
      row('VisualPuzzles', ['visual-puzzles']),
      row('MathVision', ['mathvision']),
      row('VlmsAreBlind', ['vlms-are-blind']),
    ],
  },
  {
    name: 'vgs-dependency',
    about: "VGS's benchmarks by visual dependency (figure 10), but for AIME25 and OlympiadBench",
    rows: [
      row('MMMU-Pro-4', ['mmmu-pro-4'], 'high'),
      row('LogicVista', ['logicvista'], 'high'),
      row('Geo3K', ['geo3k'], 'low'),
      row('We-Math', ['we-math'], 'low'),
      row('MATH500', ['math500'], 'text'),
    ],
  },
  {
    name: 'worlds',
    about: 'what is drawn here and needs no download',
    rows: [row('PriorWorld', ['prior-world']), row('BlindWorld', ['blind-world'])],
  },
]

/** The benchmarks that names of benchmarks and of suites stand for, each once, in their order. @throws ArgumentError for a name of neither */
export function benchmarksNamed(names: readonly string[]): readonly Benchmark[] {
  const found = names.flatMap((name) => {
    if (benchmarks.some((each) => each.name === name)) return [name]
    const suite = suites.find((each) => each.name === name)
    if (suite !== undefined) return suite.rows.flatMap((each) => each.benchmarks)
    const [single, several] = [benchmarks, suites].map((all) => all.map((each) => each.name).join(', '))
    throw new ArgumentError(`there is no benchmark or suite ${JSON.stringify(name)}; benchmarks: ${single}; suites: ${several}`)
  })
  return [...new Set(found)].map(benchmarkNamed)
}
