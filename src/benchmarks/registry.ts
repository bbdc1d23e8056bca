// The benchmarks by name.

import { ArgumentError } from '../errors.ts'
import type { Benchmark } from './benchmark.ts'
import { cvBench } from './cv-bench.ts'
import { blindWorldBenchmark, priorWorldBenchmark } from './drawn.ts'
import { geo3k } from './geo3k.ts'
import { hallusionBench } from './hallusion-bench.ts'
import { logicVista } from './logicvista.ts'
import { math500 } from './math500.ts'
import { mathVerse, mathVerseVisionDominant, mathVerseVisionOnly } from './mathverse.ts'
import { mathVision } from './mathvision.ts'
import { mathVista } from './mathvista.ts'
import { mmVet } from './mm-vet.ts'
import { mmmu } from './mmmu.ts'
import { mmmuPro4, mmmuPro10, mmmuProVision } from './mmmu-pro.ts'
import { mmsi } from './mmsi.ts'
import { realWorldQA } from './realworldqa.ts'
import { vilpF, vilpP } from './vilp.ts'
import { visualPuzzles } from './visual-puzzles.ts'
import { vlind } from './vlind.ts'
import { vlmsAreBlind } from './vlms-are-blind.ts'
import { weMath } from './we-math.ts'

export const benchmarks: readonly Benchmark[] = [
  mmVet,
  mmmu,
  mmmuPro10,
  mmmuPro4,
  mmmuProVision,
  mathVerse,
  mathVerseVisionDominant,
  mathVerseVisionOnly,
  mathVista,
  mathVision,
  logicVista,
  visualPuzzles,
  vlmsAreBlind,
  mmsi,
  realWorldQA,
  cvBench,
  vilpF,
  vilpP,
  vlind,
  hallusionBench,
  geo3k,
  weMath,
  math500,
  priorWorldBenchmark,
  blindWorldBenchmark,
]

/** @throws ArgumentError for a name that no benchmark has */
export function benchmarkNamed(name: string): Benchmark {
  const benchmark = benchmarks.find((each) => each.name === name)
  if (benchmark === undefined)
    throw new ArgumentError(`there is no benchmark ${JSON.stringify(name)}; expected one of ${benchmarks.map((each) => each.name).join(', ')}`)
  return benchmark
}
