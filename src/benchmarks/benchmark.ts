// What a benchmark is: where its public data set lies, how a row becomes questions, and what is counted. Each is a value in a file of its own.

import type { Cells } from '../data/columns.ts'
import type { SampleImage } from '../data/images.ts'
import type { Expected, Verdict } from '../grading/verdict.ts'

/** A question as its benchmark puts it. */
export interface Question {
  /** Unique within the benchmark and the same whatever part of it is read. */
  readonly id: string
  /** All that the user says, options included, in the benchmark's own words; prompt modes are put around it. */
  readonly problem: string
  /** In the order in which the model sees them; none for a question of text alone. */
  readonly images: readonly SampleImage[]
  readonly expected: Expected
  /** By the name of a grouping, such as `task` or `position`, the group of this question. */
  readonly groups: { readonly [grouping: string]: string }
}

/** A question with its verdict on one answer. */
export interface Graded {
  readonly question: Pick<Question, 'id' | 'groups'>
  readonly verdict: Verdict
}

/** A number that the benchmark's authors report. */
export interface Measure {
  readonly name: string
  /** For tables and figures. */
  readonly label: string
  /**
   * The units that it is a mean over, each a value from 0 to 1: mostly questions, but also pairs and groups of them. Given one answer to every
   * question (those of one sample). A unit whose questions are not all there (`limit`) is left out where it can be told how many it has.
   */
  readonly units: (graded: readonly Graded[]) => readonly Unit[]
}

/** What a measure is a mean over. */
export interface Unit {
  readonly id: string
  readonly value: number
  /** How much it counts in the mean, where authors average over groups of unequal size; absent: as much as all others. See `meanOf`. */
  readonly weight?: number
}

export interface Benchmark {
  /** As it is typed: lower case with hyphens. */
  readonly name: string
  readonly title: string
  /** One line for people. */
  readonly about: string
  /** Where it is published. Nothing of it is shipped. */
  readonly source: {
    /** Its parquet files on the Hugging Face Hub, as `hf:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT]`; null where there are none. */
    readonly hub: string | null
    readonly url: string
    /** As its authors state it; null where they state none. */
    readonly licence: string | null
  }
  /** Columns that rows must have; a file without them is refused with their names. */
  readonly columns: readonly string[]
  /** Columns of another form of the data, which is read as well. */
  readonly otherColumns?: readonly string[]
  /** The questions of a row, from 0. @throws FileFormatError, whose message names no file, for a row that cannot be used */
  readonly questions: (cells: Cells, row: number, folder: string) => readonly Question[]
  /** The first is the one that tables show. */
  readonly measures: readonly [Measure, ...Measure[]]
  /** Groupings by which accuracy is also reported. */
  readonly groupings: readonly string[]
}
