// What distribution a token is drawn from, in plain numbers: settings, their defaults and ranges, and the filters on a list of candidates.

import { ArgumentError } from '../errors.ts'

/**
 * How a distribution over the next token is made of the model's logits, in this order (as transformers ≥ 4.50 and vLLM ≥ 0.8 have it,
 * but for min-p, which vLLM applies before top-k and top-p): penalties, temperature, top-k, top-p, min-p.
 */
export interface Sampling {
  /** Divides the logits; 0 takes the most probable token (of equals, that with the lowest id). 0, or from 1e-6 up. */
  readonly temperature: number
  /** Keeps the K most probable tokens, and those that equal the K-th (as both libraries do); 0 keeps all. */
  readonly topK: number
  /**
   * Nucleus sampling (arXiv 1904.09751): keeps the most probable tokens until their sum reaches this share of what top-k left; equals
   * count in the order of their ids. In (0, 1]; 1 keeps all.
   */
  readonly topP: number
  /** Keeps tokens of at least this share of the highest probability (arXiv 2407.01082). In [0, 1]; 0 keeps all. */
  readonly minP: number
  /**
   * Divides positive logits, and multiplies negative ones, of tokens in the prompt or the output (CTRL, arXiv 1909.05858). Above 0;
   * 1 changes nothing.
   */
  readonly repetitionPenalty: number
  /** Subtracted from the logits of tokens in the output (OpenAI, vLLM). */
  readonly presencePenalty: number
  /** Subtracted from a token's logit for each time that it is in the output (OpenAI, vLLM). */
  readonly frequencyPenalty: number
}

/** The model's own distribution. */
export const defaultSampling: Sampling = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
}

const rules: { readonly [K in keyof Sampling]: { readonly allowed: string; accepts(value: number): boolean } } = {
  temperature: { allowed: '0 or a number from 1e-6 up', accepts: (value) => value === 0 || (value >= 1e-6 && value < Infinity) },
  topK: { allowed: 'an integer from 0 (off) up', accepts: (value) => Number.isSafeInteger(value) && value >= 0 },
  topP: { allowed: 'above 0 and at most 1 (off)', accepts: (value) => value > 0 && value <= 1 },
  minP: { allowed: 'from 0 (off) to 1', accepts: (value) => value >= 0 && value <= 1 },
  repetitionPenalty: { allowed: 'above 0; 1 is off', accepts: (value) => value > 0 && value < Infinity },
  presencePenalty: { allowed: 'a finite number; 0 is off', accepts: Number.isFinite },
  frequencyPenalty: { allowed: 'a finite number; 0 is off', accepts: Number.isFinite },
}

/** Settings completed with the defaults. @throws ArgumentError for values out of range and names that are no setting */
export function samplingOf(settings: Partial<Sampling>): Sampling {
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(rules, name)) throw new ArgumentError(`sampling: there is no setting ${name}; there are ${Object.keys(rules).join(', ')}`)
    const { allowed, accepts } = rules[name as keyof Sampling]
    if (!accepts(value)) throw new ArgumentError(`sampling: ${name} is ${value}; it must be ${allowed}`)
  }
  return { ...defaultSampling, ...settings }
}

/** Whether the settings look at single tokens' logits before temperature. */
export function hasPenalties({ repetitionPenalty, presencePenalty, frequencyPenalty }: Sampling): boolean {
  return repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0
}

/** Whether the settings leave out tokens. */
export function hasFilters({ topK, topP, minP }: Sampling): boolean {
  return topK > 0 || topP < 1 || minP > 0
}

/** The most probable tokens of a vocabulary, in descending order; equals in the order of their ids. */
export interface Candidates {
  readonly ids: ArrayLike<number>
  /** After penalties and temperature. */
  readonly logits: ArrayLike<number>
  /** Logs of their shares of the whole vocabulary's probability. */
  readonly logprobs: ArrayLike<number>
  /** Whether no token of the vocabulary is missing. */
  readonly complete: boolean
}

/**
 * How many of the first candidates top-k, top-p and min-p keep; null where that cannot be told without more candidates, since one that is
 * missing may equal the last that counts.
 */
export function keptBy({ topK, topP, minP }: Sampling, { logits, logprobs, complete }: Candidates): number | null {
  const at = (i: number): number => logits[i] as number
  const settled = (count: number): boolean => complete || (count < logits.length && at(count - 1) > at(logits.length - 1))
  let kept = logits.length
  let mass = 1
  if (topK > 0) {
    kept = Math.min(topK, kept)
    while (kept < logits.length && at(kept) === at(kept - 1)) kept++
    if (!settled(kept)) return null
    mass = 0
    for (let i = 0; i < kept; i++) mass += Math.exp(logprobs[i] as number)
  }
  if (topP < 1) {
    let [sum, count] = [0, 0]
    while (count < kept && sum < topP * mass) sum += Math.exp(logprobs[count++] as number)
    kept = count
  }
  if (minP > 0) {
    const least = at(0) + Math.log(minP)
    while (at(kept - 1) < least) kept--
  }
  return topK > 0 || settled(kept) ? kept : null
}

/** The candidate among the first `kept` at which their running sum exceeds the share `uniform` of it, and the log of its own share. */
export function drawFrom({ ids, logits }: Candidates, kept: number, uniform: number): { readonly id: number; readonly logprob: number } {
  const weights = Array.from({ length: kept }, (_, i) => Math.exp((logits[i] as number) - (logits[0] as number)))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let [sum, chosen] = [0, 0]
  for (let i = 0; i < kept && sum <= uniform * total; i++) {
    chosen = i
    sum += weights[i] as number
  }
  return { id: ids[chosen] as number, logprob: Math.log((weights[chosen] as number) / total) }
}
