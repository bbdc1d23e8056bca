// `sightline inspect DIR`: what a checkpoint is, its sizes, and the memory that training it takes.

import { ArgumentError } from '../errors.ts'
import { inspectModel } from '../models/inspect.ts'

const count = (value: number): string => value.toLocaleString('en-US')
const gigabytes = (bytes: number): string => (bytes < 1e7 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e9).toFixed(2)} GB`)

function positive(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1) throw new ArgumentError(`--${name} ${value}: expected a positive integer`)
  return value
}

/** Prints the inspection of a model folder and returns the exit status. */
export function inspect(
  folder: string,
  options: { readonly rank: number | undefined; readonly context: number | undefined },
  print: (line: string) => void,
): number {
  const rank = positive('rank', options.rank ?? 64)
  const context = positive('context', options.context ?? 4096)
  const found = inspectModel(folder, rank)
  const { language, vision } = found.config
  const row = (name: string, value: string): void => print(`  ${name.padEnd(22)}${value}`)
  const part = (name: 'vision' | 'merger' | 'language'): void => {
    const { weights, bytes } = found[name]
    row(name, `${count(weights)} weights${bytes === 0 ? '' : `, ${gigabytes(bytes)} stored`}`)
  }
  print(`${folder}: ${found.family}`)
  part('vision')
  part('merger')
  part('language')
  row('together', `${count(found.vision.weights + found.merger.weights + found.language.weights)} weights`)
  row(
    'stored as',
    found.storedTypes.size === 0
      ? 'no weights in this folder'
      : [...found.storedTypes].map(([type, weights]) => `${type} (${count(weights)})`).join(', '),
  )
  row(
    'language model',
    `${language.layers} layers of ${language.width}, ${language.heads} heads on ${language.groups} of ${language.headWidth}, ${count(language.vocabulary)} tokens, ` +
      `${language.tied ? 'tied' : 'untied'} head, ${count(language.maxPositions)} positions`,
  )
  const side = vision.patch * vision.merge
  row('vision tower', `${vision.depth} layers of ${vision.width}, patches of ${vision.patch} pixels, one token for ${side}×${side} pixels`)
  row('generation', `${(found.cacheBytesPerToken / 1024).toFixed(1)} KB of keys and values a token (float32)`)
  print(`training on the CPU, ${count(context)} tokens a step (weights + optimiser + activations; in brackets: blocks recomputed):`)
  for (const { way, weights, training, activationsPerToken } of found.memory) {
    const [kept, recomputed] = [activationsPerToken.kept, activationsPerToken.recomputed].map((each) => weights + training + each * context)
    row(way.padEnd(52), `${gigabytes(kept as number)} (${gigabytes(recomputed as number)})`)
  }
  return 0
}
