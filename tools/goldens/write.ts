// Writes adapters and merged exports of the tiny checkpoints, with the logits they should give, for check.py to open with PEFT and
// transformers: node setup/run.mjs tools/goldens/write.ts FOLDER

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportModel } from '../../src/models/export.ts'
import { plainRun } from '../../src/models/linear.ts'
import { attachLora, type LoraOptions } from '../../src/models/lora.ts'
import { saveAdapter } from '../../src/models/peft.ts'
import { type Checkpoint, loadModel, randomModel } from '../../src/models/registry.ts'
import { writeSafetensors } from '../../src/torch/safetensors-write.ts'
import { type FamilyName, families, folderOf, goldensFolder } from '../../test/models/goldens.ts'
import { fillB, logitsOf } from '../../test/models/passes.ts'

const [, , out] = process.argv
if (out === undefined) throw new Error('usage: node setup/run.mjs tools/goldens/write.ts FOLDER')

const adapters: Readonly<Record<string, Partial<LoraOptions>>> = {
  plain: {},
  vision: { vision: true },
  expression: { targets: String.raw`.*layers\.\d+\.(self_attn|mlp)\.\w+_proj`, exclude: ['o_proj'] },
  patterns: { rsLora: true, rankPattern: { [String.raw`layers\.1\.mlp\.\w+`]: 5, down_proj: 2 }, alphaPattern: { v_proj: 3 } },
  everything: { targets: 'all-linear', exclude: String.raw`.*\.(k|up)_proj`, vision: true },
}
const exports = {
  single: { dtype: 'stored' },
  sharded: { dtype: 'stored', maxShardBytes: 100_000 },
  half: { dtype: 'bfloat16' },
} as const

/** The logits stand beside the folder, not in it. */
function expect(folder: string, family: FamilyName, { model }: Checkpoint, adapter = plainRun.adapter): void {
  writeSafetensors(`${folder}.expected.safetensors`, { logits: logitsOf(family, model, { ...plainRun, adapter }) })
}

for (const family of families) {
  const root = join(out, family)
  mkdirSync(root, { recursive: true })
  using checkpoint = loadModel(folderOf(family))
  for (const [name, options] of Object.entries(adapters)) {
    using adapter = fillB(attachLora(checkpoint.model, { rank: 4, alpha: 6, seed: 1, ...options }))
    const folder = join(root, `adapter-${name}`)
    saveAdapter(folder, adapter, { baseModel: folderOf(family) })
    expect(folder, family, checkpoint, adapter)
  }
  using adapter = fillB(attachLora(checkpoint.model, { rank: 4, alpha: 6, seed: 1, vision: true }))
  for (const [name, options] of Object.entries(exports)) {
    const folder = join(root, `export-${name}`)
    exportModel(folder, checkpoint, { ...options, adapter })
    using written = loadModel(folder)
    expect(folder, family, written)
  }
  // A folder of a configuration alone, nested, whose head is tied where that of the checkpoint is not.
  const source = join(root, 'source')
  const config = readFileSync(join(goldensFolder, family === 'qwen2_5_vl' ? 'qwen2_5_vl_nested' : family, 'config.json'), 'utf8')
  mkdirSync(source)
  const turned = (_: string, field: string, value: string): string => `${field}${value === 'true' ? 'false' : 'true'}`
  writeFileSync(join(source, 'config.json'), config.replaceAll(/("tie_word_embeddings": )(true|false)/g, turned))
  using made = randomModel(source, { seed: 3, deviation: 0.15 })
  exportModel(join(root, 'export-random'), made)
  expect(join(root, 'export-random'), family, made)
}
