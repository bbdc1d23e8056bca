// Both families against transformers: features, positions, logits and gradients on tiny random checkpoints.

import assert from 'node:assert/strict'
import test from 'node:test'
import { plainRun } from '../../src/models/linear.ts'
import { loadModel } from '../../src/models/registry.ts'
import { gradient, requireGrad } from '../../src/torch/autograd.ts'
import { backward } from '../../src/torch/backward.ts'
import { noGrad } from '../../src/torch/context.ts'
import { int64 } from '../../src/torch/create.ts'
import { linearCrossEntropy } from '../../src/torch/divergence.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { relativeError, withoutLeaks } from '../support.ts'
import { caseOf, families, folderOf, imagesOf, referenceOf, tensorsOf } from './goldens.ts'

/** The largest absolute difference. */
function difference(a: Tensor, b: Tensor): number {
  assert.deepEqual(a.shape, b.shape)
  return a.sub(b).abs().amax().item()
}

const names = ['square', 'tall', 'wide', 'twoImages', 'textOnly']

for (const family of families) {
  const reference = referenceOf(family)

  test(`${family}: rotary positions equal the reference's`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using tensors = tensorsOf(family)
      for (const name of names) {
        const one = caseOf(reference, name)
        const { vision, tokens } = checkpoint.model.config
        const positions = checkpoint.model.positions({ ids: one.ids, images: one.grids.map((grid) => ({ grid, tokens: null as never, layers: [] })) })
        assert.deepEqual(Array.from(positions.ids), tensors.tensor(`${name}.positions`).toArray(), name)
        assert.equal(positions.next, Math.max(...positions.ids) + 1)
        assert.equal(
          one.ids.filter((id) => id === tokens.image).length,
          one.grids.reduce((sum, [, h, w]) => sum + (h * w) / vision.merge ** 2, 0),
        )
      }
    })
  })

  test(`${family}: vision features within 1e-5, logits within 1e-4`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using tensors = tensorsOf(family)
      const { model } = checkpoint
      noGrad(() => {
        for (const name of names) {
          const one = caseOf(reference, name)
          const images = model.encodeImages(imagesOf(model, one), plainRun)
          let row = 0
          const parts = images.map((image) => {
            const count = image.tokens.dim(0)
            row += count
            return { image, start: row - count, count }
          })
          for (const { image, start, count } of parts) {
            const worst = difference(image.tokens, tensors.tensor(`${name}.vision`).narrow(0, start, count))
            assert.ok(worst < 1e-5, `${name}: vision features differ by ${worst}`)
            for (const [i, layer] of image.layers.entries()) {
              assert.ok(difference(layer, tensors.tensor(`${name}.deepstack.${i}`).narrow(0, start, count)) < 1e-5, `${name}: DeepStack ${i}`)
            }
          }
          const logits = model.logits(model.hidden([{ ids: one.ids, images }], plainRun))
          assert.ok(difference(logits, tensors.tensor(`${name}.logits`)) < 1e-4, `${name}: logits`)
        }
      })
    })
  })

  test(`${family}: a packed batch equals the reference's padded one`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using tensors = tensorsOf(family)
      const { model } = checkpoint
      noGrad(() => {
        const rows = reference.ragged.rows.map((name) => caseOf(reference, name))
        const features = model.encodeImages(
          rows.flatMap((row) => imagesOf(model, row)),
          plainRun,
        )
        const sequences = rows.map((row) => ({ ids: row.ids, images: features.splice(0, row.grids.length) }))
        const logits = model.logits(model.hidden(sequences, plainRun)).split(rows.map((row) => row.ids.length))
        for (const [i, own] of logits.entries()) assert.ok(difference(own, tensors.tensor(`ragged.${i}.logits`)) < 1e-4, `row ${i}`)
      })
    })
  })

  for (const recompute of [false, true]) {
    test(`${family}: gradients of a cross-entropy step within 1e-4 for every weight${recompute ? ', recomputed' : ''}`, () => {
      withoutLeaks(() => {
        using checkpoint = loadModel(folderOf(family))
        using wanted = openSafetensors(`${folderOf(family)}/gradients.safetensors`)
        const { model } = checkpoint
        const { crossEntropy } = reference
        const one = caseOf(reference, crossEntropy.case)
        for (const parameter of model.parameters.values()) requireGrad(parameter)
        const run = { adapter: null, training: true, recompute }
        const images = model.encodeImages(imagesOf(model, one), run)
        const hidden = model.hidden([{ ids: one.ids, images }], run)
        const chosen = hidden.indexSelect(0, int64(crossEntropy.positions))
        const targets = int64(crossEntropy.positions.map((t) => one.ids[t + 1] as number))
        const { loss } = linearCrossEntropy({ hidden: chosen, head: model.language.head }, targets)
        assert.ok(Math.abs(loss.item() - crossEntropy.loss) < 1e-5)
        backward(loss)
        const seen = new Set<string>()
        for (const [name, parameter] of model.parameters) {
          const stored = checkpoint.storedNames.get(name) as string
          const own = gradient(parameter)
          assert.ok(own !== null, `${name} has no gradient`)
          assert.ok(relativeError(own, wanted.tensor(stored)) < 1e-4, `${name}: ${relativeError(own, wanted.tensor(stored))}`)
          seen.add(stored)
        }
        assert.deepEqual([...seen].sort(), [...wanted.names].sort())
      })
    })
  }
}
