// A model folder of Hugging Face's format, an image, a question, an answer.  node examples/04-generate.ts [FOLDER] [IMAGE] [QUESTION]

import { generate, loadModel, openProcessor } from '../src/index.ts'

// Without arguments: a tiny checkpoint with random weights, which answers nonsense.
const [folder = 'test/goldens/qwen3_vl', image = 'test/goldens/images/photo-444.jpg', question = 'What is this?'] = process.argv.slice(2)
const processor = await openProcessor(folder)
using checkpoint = loadModel(folder)

const { ids, images } = await processor.encode({
  messages: [
    {
      role: 'user',
      content: [
        { type: 'image', image },
        { type: 'text', text: question },
      ],
    },
  ],
})
const request = {
  ids,
  images,
  samples: 2,
  sampling: { temperature: 0.7, topP: 0.9 },
  seed: 1,
  maxTokens: 32,
  stop: { ids: processor.stopIds, strings: [] },
}
for await (const event of generate(checkpoint.model, [request], { text: () => processor.tokenizer.textStream() })) {
  if (event.kind === 'done') console.log(`${event.sample}: ${JSON.stringify(event.text)} (${event.ids.length} tokens, ${event.reason})`)
}
