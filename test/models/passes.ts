// What the tests of adapters, exports and teachers run: passes over the reference cases, and hashes of weights and files.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { plainRun, type Run } from '../../src/models/linear.ts'
import type { LoraAdapter } from '../../src/models/lora.ts'
import type { Model } from '../../src/models/model.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { int64 } from '../../src/torch/create.ts'
import { linearCrossEntropy } from '../../src/torch/divergence.ts'
import { ops } from '../../src/torch/operators.ts'
import { Generator } from '../../src/torch/random.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { caseOf, type FamilyName, imagesOf, referenceOf } from './goldens.ts'

function hiddenOf(family: FamilyName, model: Model, name: string, run: Run): Tensor {
  const one = caseOf(referenceOf(family), name)
  return model.hidden([{ ids: one.ids, images: model.encodeImages(imagesOf(model, one), run) }], run)
}

/** Logits [T, V] of a reference case, without gradients. */
export function logitsOf(family: FamilyName, model: Model, run: Run = plainRun, name = 'square'): Tensor {
  return noGrad(() => scope(() => model.logits(hiddenOf(family, model, name, run))))
}

/** Mean cross-entropy of the tokens after the given positions. */
export function lossOf(family: FamilyName, model: Model, run: Run, positions: readonly number[], name = 'square'): Tensor {
  const { ids } = caseOf(referenceOf(family), name)
  const chosen = hiddenOf(family, model, name, run).indexSelect(0, int64(positions))
  // Widened: the loss takes hidden states and a head of one type.
  return linearCrossEntropy({ hidden: chosen, head: model.language.head.toDtype('float32') }, int64(positions.map((t) => ids[t + 1] as number))).loss
}

/** Fills every B, which starts at zero and would hide mistakes. */
export function fillB(adapter: LoraAdapter, seed = 5, deviation = 0.15): LoraAdapter {
  using generator = Generator.seeded(seed)
  noGrad(() => scope(() => [...adapter.modules.values()].forEach(({ b }) => void b.copy_(ops.empty(b.shape).normal_(0, deviation, { generator })))))
  return adapter
}

/** Dtypes and bits of tensors. */
export function bitsOf(tensors: ReadonlyMap<string, Tensor>): string {
  const hash = createHash('sha256')
  for (const [name, tensor] of tensors) {
    const data = tensor.data()
    hash.update(`${name} ${tensor}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  return hash.digest('hex')
}

export const fileHash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

export const largestDifference = (a: Tensor, b: Tensor): number => scope(() => a.sub(b).abs().amax().item())
