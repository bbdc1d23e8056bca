// A method of one's own: a table in one's own file. This one trains on images that a blackened copy cannot see, and teaches the tags.
//
// On the command line:  sightline train CONFIG --set method=examples/06-method.ts   Here, through the package:  node examples/06-method.ts

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configSchema, defineMethod, type MethodTable, openSession, ratio, train } from '../src/index.ts'

/** What the image adds: the student is drawn to p · q / q₀, where q₀ is the frozen base before a black image. */
export const method = {
  name: 'black-image-gain',
  format: { parts: [{ segment: 'answer', open: '\\boxed{', close: 'balanced' }] },
  prompts: { plain: { user: '{problem} Answer in \\boxed{}.' } },
  views: {
    student: { weights: 'student', sees: ['image', 'problem'], prompt: 'plain' },
    sighted: { weights: 'base', sees: ['image', 'problem'], prompt: 'plain' },
    dark: { weights: 'base', sees: ['blackImage', 'problem'], prompt: 'plain' },
  },
  dependency: null,
  terms: {
    gain: {
      kind: 'distill',
      target: {
        sum: [
          { view: 'sighted', times: 2 },
          { view: 'dark', times: -1 },
        ],
      },
      divergence: { jsd: 0.5 },
      clip: { token: 1, how: 'scale' },
    },
  },
} as const satisfies MethodTable

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-'))
  const images = ['chelsea.jpg', 'coffee.jpg'].map((name) => join(import.meta.dirname, '../test/goldens/images', name))
  const rows = images.map((image, i) => JSON.stringify({ problem: 'What is this?', images: [image], answer: ['a cat', 'a cup'][i] }))
  writeFileSync(join(folder, 'data.jsonl'), rows.join('\n'))
  const config = configSchema.parse({
    model: { path: 'test/goldens/qwen3_vl', maxPixels: 16384 },
    data: { sources: join(folder, 'data.jsonl') },
    adapter: { rank: 4, alpha: 8 },
    rollout: { samples: 2, maxTokens: 12 },
    optimisation: { steps: 3, batch: 2, rate: 1e-3 },
    run: { folder: join(folder, 'run') },
  })
  {
    await using session = await openSession(config, defineMethod(method))
    await train(session, new AbortController().signal, ({ step, metrics }) => {
      console.log(
        `step ${step}: ${Object.entries(metrics)
          .map(([name, metric]) => `${name} ${ratio(metric).toPrecision(3)}`)
          .join(', ')}`,
      )
    })
  }
  rmSync(folder, { recursive: true })
}
