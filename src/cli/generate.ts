// `sightline generate`: a model's answer to a prompt with images, printed as it comes.

import { loadAdapter } from '../models/peft.ts'
import { type LoadOptions, loadModel } from '../models/registry.ts'
import { openProcessor } from '../processing/processor.ts'
import type { Message } from '../processing/prompt.ts'
import { generate } from '../rollout/generate.ts'
import type { Sampling } from '../rollout/sampling.ts'
import type { Device } from '../torch/dtype.ts'

/** What stands on the command line; what is left out is undefined. */
export interface GenerateArguments {
  readonly folder: string
  readonly prompt: string
  readonly images: readonly string[]
  readonly stop: readonly string[]
  readonly adapter: string | undefined
  readonly system: string | undefined
  readonly prefill: string | undefined
  readonly dtype: NonNullable<LoadOptions['dtype']> | undefined
  readonly device: Device | undefined
  readonly maxTokens: number | undefined
  readonly maxPixels: number | undefined
  readonly seed: number | undefined
  readonly samples: number | undefined
  readonly sampling: Partial<Sampling>
  readonly json: boolean
}

/** Prints the answers and returns the exit status; interrupted (Ctrl-C), what there is is printed and the status is 130. */
export async function generateText(args: GenerateArguments, write: (piece: string) => void): Promise<number> {
  const { samples = 1, seed = 0, maxTokens = 512, prefill = '' } = args
  const processor = await openProcessor(args.folder, args.maxPixels === undefined ? {} : { maxPixels: args.maxPixels })
  const user: Message = {
    role: 'user',
    content: [...args.images.map((image) => ({ type: 'image' as const, image })), { type: 'text' as const, text: args.prompt }],
  }
  const system: Message[] = args.system === undefined ? [] : [{ role: 'system', content: args.system }]
  const { ids, images } = await processor.encode({ messages: [...system, user], prefill })

  using checkpoint = loadModel(args.folder, { ...(args.dtype && { dtype: args.dtype }), ...(args.device && { device: args.device }) })
  using adapter = args.adapter === undefined ? null : loadAdapter(args.adapter, checkpoint.model)
  // Whoever asks for nothing gets the most likely answer; whoever asks for several, or for a filter, wants to draw.
  const drawn = samples > 1 || Object.keys(args.sampling).length > 0
  const sampling = { temperature: drawn ? 1 : 0, ...args.sampling }
  const request = { ids, images, samples, sampling, seed, maxTokens, stop: { ids: processor.stopIds, strings: args.stop } }

  const interrupt = new AbortController()
  const onInterrupt = (): void => interrupt.abort()
  process.once('SIGINT', onInterrupt)
  try {
    const streamed = samples === 1 && !args.json
    if (streamed) write(prefill)
    const options = { adapter, signal: interrupt.signal, text: () => processor.tokenizer.textStream() }
    for await (const event of generate(checkpoint.model, [request], options)) {
      if (event.kind === 'token') {
        if (streamed) write(event.text)
        continue
      }
      const { sample, reason, ids: made, logprobs, text } = event
      if (args.json) {
        write(`${JSON.stringify({ sample, reason, text, ids: Array.from(made), logprobs: Array.from(logprobs) })}\n`)
      } else if (streamed) write('\n')
      else write(`--- answer ${sample + 1} of ${samples} (${reason})\n${prefill}${text}\n`)
    }
  } finally {
    process.removeListener('SIGINT', onInterrupt)
  }
  return interrupt.signal.aborted ? 130 : 0
}
