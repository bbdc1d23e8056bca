// What teachers are shown in the place of the truth: wrong answers in the place of the reference, the next sample's image in the place of
// their own.

import { sameAnswer } from '../data/answers.ts'
import { rowAt } from '../data/order.ts'
import { ArgumentError } from '../errors.ts'
import type { Encoded } from '../processing/processor.ts'
import { activeTerms, viewsOf } from '../supervision/check.ts'
import { contextsOf, type Example, type Processors } from '../supervision/contexts.ts'
import type { Method, View } from '../supervision/method.ts'
import { type Prompted, seedAt } from '../training/rollouts.ts'
import type { Counterfactual } from './palr.ts'

/** An answer, and what views that see the reference are shown of it. */
export interface Reference {
  readonly answer: string
  readonly reference: string
}

/**
 * Wrong references for each sample: those of other samples whose answers differ from its own (`sameAnswer`) and from each other, drawn
 * without replacement. Fewer than `count` where there are not so many.
 * @param seed integer in [0, 2^53)
 * @throws ArgumentError where all samples have the same answer
 */
export function drawWrong(samples: readonly Reference[], count: number, seed: number): string[][] {
  if (!Number.isSafeInteger(count) || count < 1) throw new ArgumentError(`${count} wrong answers; expected an integer from 1 up`)
  const distinct: Reference[] = []
  const texts = new Set<string>()
  for (const sample of samples) {
    if (texts.has(sample.answer)) continue
    texts.add(sample.answer)
    if (!distinct.some(({ answer }) => sameAnswer(answer, sample.answer))) distinct.push(sample)
  }
  return samples.map((sample, i) => {
    const others = distinct.filter(({ answer }) => answer !== sample.answer && !sameAnswer(answer, sample.answer))
    if (others.length === 0) throw new ArgumentError(`all samples have the answer ${sample.answer}; give wrong answers, or more samples`)
    const order = { size: others.length, seed: seedAt(seed, i), shuffle: true }
    return Array.from({ length: Math.min(count, others.length) }, (_, k) => (others[rowAt(k, order)] as Reference).reference)
  })
}

/** A method with one view and nothing else to do. */
export function viewAlone(method: Method, name: string, view: View): Method {
  return { ...method, rollout: { by: 'student', view: name }, views: { [name]: view }, terms: {}, dependency: null, ema: null }
}

/**
 * What the teachers of each prompt read with the answer or the image replaced. The other image is that of the next prompt that shows one; the
 * last borrows from the first ("mismatched-next").
 * @param prompts with the contexts of the method's views
 * @param wrong by prompt: what is shown in the place of the reference
 * @param reference of each prompt: what it is shown in truth
 * @throws ArgumentError where images are shown but no other prompt shows one
 */
export async function counterfactualsOf(
  method: Method,
  prompts: readonly Prompted[],
  {
    wrong,
    references,
    processors,
  }: { readonly wrong: readonly (readonly string[])[]; readonly references: readonly string[]; readonly processors: Processors },
): Promise<Counterfactual[]> {
  const teachers = new Set(
    activeTerms(method).flatMap(([, term]) => (term.kind === 'distill' ? viewsOf(term).filter((view) => view !== term.student) : [])),
  )
  const views = Array.from(teachers, (name): [string, View] => [name, method.views[name] as View])
  const imagesOf = ({ contexts }: Prompted, view: string): Encoded['images'] => contexts.get(view)?.images ?? []
  const made: Counterfactual[] = []
  for (const [i, prompt] of prompts.entries()) {
    const example = (view: string, shown: Prompted, reference: string): Example => ({
      problem: prompt.sample.problem,
      reference,
      images: imagesOf(shown, view),
    })
    const read = async (name: string, view: View, own: Example, next: Example): Promise<[string, Encoded]> => [
      name,
      (await contextsOf(viewAlone(method, name, view), own, next, processors)).get(name) as Encoded,
    ]
    const answers: Map<string, Encoded>[] = []
    for (const text of wrong[i] ?? []) {
      const contexts = new Map<string, Encoded>()
      for (const [name, view] of views) {
        if (!view.sees.includes('reference')) continue
        // Its images are those that it was shown, whatever they are; a borrowed one stays borrowed.
        const own = example(name, prompt, text)
        contexts.set(...(await read(name, view, own, own)))
      }
      answers.push(contexts)
    }
    const swapped = new Map<string, Encoded>()
    for (const [name, view] of views) {
      if (!view.sees.includes('image') || imagesOf(prompt, name).length === 0) continue
      const others = Array.from({ length: prompts.length - 1 }, (_, k) => prompts[(i + 1 + k) % prompts.length] as Prompted)
      const next = others.find((other) => imagesOf(other, name).length > 0)
      if (next === undefined) throw new ArgumentError('PALR shows teachers the image of another sample; give 2 samples with images or more')
      const borrowing: View = { ...view, sees: view.sees.map((thing) => (thing === 'image' ? 'nextImage' : thing)) }
      const text = references[i] as string
      swapped.set(...(await read(name, borrowing, example(name, prompt, text), example(name, next, text))))
    }
    made.push({ wrong: answers, swapped })
  }
  return made
}
