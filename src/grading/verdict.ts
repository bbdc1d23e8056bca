// What a grader is told and what it says: the contract between benchmarks, graders and whoever counts verdicts.

/**
 * How an answer is compared:
 * - `choice`: the letter of an option, or its text where options are given;
 * - `yesNo`: yes or no, also as true and false;
 * - `number`: a number, with units and separators, within a tolerance;
 * - `tuple`: numbers or words in an order, such as `(5,6)` and `rows={5} columns={6}`;
 * - `set`: the same without an order;
 * - `math`: a mathematical expression, up to equivalence;
 * - `text`: a word or a short phrase, normalised;
 * - `open`: a sentence, which no rule can judge unless it is literally the same.
 */
export const answerKinds = ['choice', 'yesNo', 'number', 'tuple', 'set', 'math', 'text', 'open'] as const
export type AnswerKind = (typeof answerKinds)[number]

/** What a right answer is. */
export interface Expected {
  readonly kind: AnswerKind
  /** The reference; further ones in `also` are as right. For a choice its letter. */
  readonly answer: string
  readonly also: readonly string[]
  /** Texts of the options A, B, …; none where the question has none. */
  readonly options: readonly string[]
  /** Of numbers: how far off an answer may be, as a share of the reference and absolutely; the larger of both holds. */
  readonly tolerance: { readonly relative: number; readonly absolute: number }
}

export interface Verdict {
  readonly outcome: 'right' | 'wrong' | 'undecided'
  /** From 0 to 1: 1 for right, 0 for wrong and undecided, anything for what a judge says of open answers. */
  readonly credit: number
  /** The answer that was found in the response; null where there is none. */
  readonly given: string | null
  /** Which rule decided, or why none could, in a few words. */
  readonly rule: string
}
