// A low-rank adapter on the language model: a few steps, then its file for PEFT, and the base is as it was.  node examples/05-lora.ts

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AdamW,
  attachLora,
  backward,
  int64,
  linearCrossEntropy,
  loadAdapter,
  loadModel,
  plainRun,
  saveAdapter,
  scope,
  zeroGradients,
} from '../src/index.ts'

const folder = 'test/goldens/qwen3_vl'
using checkpoint = loadModel(folder)
const { model } = checkpoint
using adapter = attachLora(model, { rank: 4, alpha: 8, dropout: 0.05, seed: 1 })
using optimizer = new AdamW(adapter.parameters, { rate: 1e-2 })

const text = [12, 40, 7, 99, 12, 40, 7, 99, 12, 40, 7]
const loss = (run: typeof plainRun): number =>
  scope(() => {
    const hidden = model.hidden([{ ids: text, images: [] }], run)
    const [inputs, targets] = [hidden.narrow(0, 0, text.length - 1), int64(text.slice(1))]
    const { loss } = linearCrossEntropy({ hidden: inputs, head: model.language.head }, targets)
    if (run.training) {
      backward(loss)
      optimizer.step()
      zeroGradients(adapter.parameters.values())
    }
    return loss.item()
  })

console.log(`before: ${loss(plainRun).toFixed(3)}`)
for (let step = 0; step < 30; step++) loss({ adapter, training: true, recompute: false })
console.log(`with the adapter: ${loss({ ...plainRun, adapter }).toFixed(3)}, without: ${loss(plainRun).toFixed(3)}`)

const target = mkdtempSync(join(tmpdir(), 'sightline-'))
saveAdapter(join(target, 'adapter'), adapter, { baseModel: folder })
using again = loadAdapter(join(target, 'adapter'), model)
console.log(`loaded again: ${loss({ ...plainRun, adapter: again }).toFixed(3)}`)
rmSync(target, { recursive: true })
