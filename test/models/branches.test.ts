// Sequences that share a beginning: hidden states and gradients are those of each alone, and what is shared is chosen and counted right.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { type Branch, branchHidden, type Trunk, tokensOf, trunksOf } from '../../src/models/branches.ts'
import { plainRun, type Run } from '../../src/models/linear.ts'
import { attachLora } from '../../src/models/lora.ts'
import type { ImageFeatures, Model } from '../../src/models/model.ts'
import { loadModel } from '../../src/models/registry.ts'
import { modelParts, trainable } from '../../src/models/teacher.ts'
import { gradient, zeroGradients } from '../../src/torch/autograd.ts'
import { backward, dropCheckpoints } from '../../src/torch/backward.ts'
import { noGrad, scope } from '../../src/torch/context.ts'
import { int64 } from '../../src/torch/create.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { close, randomTensor, withoutLeaks } from '../support.ts'
import { caseOf, type FamilyName, families, folderOf, imagesOf, referenceOf } from './goldens.ts'
import { fillB } from './passes.ts'

const [image, visionStart, visionEnd] = [492, 489, 490]

const text = (length: number, from: number): number[] => Array.from({ length }, (_, i) => (37 * i + from) % 480)
const shown = ({ grid }: ImageFeatures): number[] => [visionStart, ...new Array<number>((grid[1] * grid[2]) / 4).fill(image), visionEnd]
const branch = (ids: readonly number[], images: readonly ImageFeatures[], needed: number): Branch => ({ ids, images, needed })

/** Features of the first image of some cases. */
function features(family: FamilyName, model: Model, run: Run, names: readonly string[]): ImageFeatures[] {
  return model.encodeImages(
    names.flatMap((name) => imagesOf(model, caseOf(referenceOf(family), name)).slice(0, 1)),
    run,
  )
}

/** Branches that begin alike in several ways: with images, with two, with text alone, and one that shares nothing. */
function branchesOf([square, tall]: readonly ImageFeatures[]): Branch[] {
  assert.ok(square && tall)
  const [header, other] = [text(14, 3), text(20, 300)]
  const one = [...header, ...shown(square), ...text(4, 50)]
  const both = [...header, ...shown(square), ...text(3, 9), ...shown(tall)]
  return [
    branch([...one, ...text(6, 100)], [square], one.length - 1),
    branch([...one, ...text(9, 200)], [square], one.length + 2),
    branch([...both, ...text(3, 70)], [square, tall], both.length),
    branch([...both, ...text(5, 80)], [square, tall], both.length + 1),
    branch([...other, 1, 2, 3], [], 20),
    branch([...other, 4, 5], [], 19),
    branch(text(4, 400), [], 0),
    branch([...shown(tall), 7, 8], [tall], 3),
  ]
}

/** Needed hidden states of each branch, by branches together and by each alone. */
function together(model: Model, trunks: readonly Trunk[], run: Run): Map<Branch, Tensor> {
  const { hidden, first } = branchHidden(model, trunks, run)
  return new Map(
    trunks.flatMap(({ branches }, i) =>
      branches.map((each, j): [Branch, Tensor] => {
        const start = first[i]?.[j] ?? assert.fail()
        return [each, hidden.indexSelect(0, int64(Array.from({ length: each.ids.length - each.needed }, (_, t) => start + each.needed + t)))]
      }),
    ),
  )
}
const alone = (model: Model, each: Branch, run: Run): Tensor => model.hidden([each], run).narrow(0, each.needed, each.ids.length - each.needed)

test('what begins alike is gathered, images being the same objects', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const made = noGrad(() => features('qwen2_5_vl', checkpoint.model, plainRun, ['square', 'tall', 'square']))
    const [square, tall, copy] = made
    assert.ok(square && tall && copy)
    const branches = branchesOf(made)
    const trunks = trunksOf(branches)
    const found = trunks.map((trunk) => [trunk.shared, trunk.branches.map((each) => branches.indexOf(each))])
    // 14 of header, 6 of the image and 4 of text, the last of which the first branch needs; header, image, text, and 14 of the other image.
    assert.deepEqual(found, [
      [23, [0, 1]],
      [37, [2, 3]],
      [19, [4, 5]],
      [0, [6]],
      [0, [7]],
    ])
    assert.equal(tokensOf(trunks), 23 + 7 + 10 + 37 + 3 + 5 + 19 + 4 + 3 + 4 + 16)
    // Equal ids are not enough: features of another object may be another image's.
    const twin = branches.slice(0, 2).map((each, i) => (i === 0 ? each : { ...each, images: [copy] }))
    assert.deepEqual(
      trunksOf(twin).map(({ shared }) => shared),
      [0, 0],
    )
    assert.deepEqual(trunksOf([]), [])
  })
})

test('short beginnings are not worth sharing, needed tokens are never shared, and joining must not cost more than it saves', () => {
  const plain = (length: number, end: number, needed = length): Branch => branch([...text(length, 5), end, end], [], needed)
  const sharedBy = (...branches: Branch[]): unknown => trunksOf(branches).map(({ shared, branches: own }) => [shared, own.length])
  assert.deepEqual(sharedBy(plain(15, 1), plain(15, 2)), [
    [0, 1],
    [0, 1],
  ])
  assert.deepEqual(sharedBy(plain(16, 1), plain(16, 2)), [[16, 2]])
  assert.deepEqual(sharedBy(plain(40, 1, 20), plain(40, 2)), [[20, 2]])
  assert.deepEqual(sharedBy(plain(40, 1), plain(40, 2, 20)), [[20, 2]])
  assert.deepEqual(sharedBy(plain(40, 1, 0), plain(40, 2)), [
    [0, 1],
    [0, 1],
  ])
  // The third would cut 100 shared by two to 20: 80 lost, 20 won. With 60 it wins more than it costs.
  const long = [plain(100, 1), plain(100, 2)]
  assert.deepEqual(sharedBy(...long, plain(20, 3)), [
    [100, 2],
    [0, 1],
  ])
  assert.deepEqual(sharedBy(...long, plain(60, 3)), [[60, 3]])
  // Of two trunks it joins the one with which it shares more, wherever that stands.
  const apart = [8, 9, 10].map((end) => branch([...text(20, 5), ...text(80, 77), end], [], 100))
  const [a, b, c] = apart
  assert.ok(a && b && c)
  assert.deepEqual(sharedBy(...long, a, b), [
    [100, 2],
    [100, 2],
  ])
  assert.deepEqual(sharedBy(a, b, plain(100, 1), c), [
    [100, 3],
    [0, 1],
  ])
})

for (const family of families) {
  test(`${family}: branches equal each sequence alone`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      noGrad(() => {
        const branches = branchesOf(features(family, model, plainRun, ['square', 'tall']))
        const all = together(model, trunksOf(branches), plainRun)
        assert.equal(all.size, branches.length)
        for (const [i, each] of branches.entries()) {
          close(all.get(each) ?? assert.fail(), alone(model, each, plainRun), { absolute: 2e-5, relative: 1e-5 }, `branch ${i}`)
        }
        // Any trunks will do, and nothing shared is nothing but packing.
        const separate = together(
          model,
          branches.map((each) => ({ shared: 0, branches: [each] })),
          plainRun,
        )
        for (const [i, each] of branches.entries()) {
          close(separate.get(each) ?? assert.fail(), alone(model, each, plainRun), { absolute: 2e-5, relative: 1e-5 }, `branch ${i}, packed`)
        }
      })
    })
  })

  test(`${family}: gradients through shared beginnings equal those of each sequence alone`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const parameters = trainable(model, modelParts)
      using adapter = fillB(attachLora(model, { rank: 2, alpha: 4, seed: 2 }))
      for (const [name, { a, b }] of adapter.modules) parameters.set(`${name} a`, a).set(`${name} b`, b)
      const run: Run = { adapter, training: true, recompute: false }
      const gradients = (of: (branches: readonly Branch[]) => ReadonlyMap<Branch, Tensor>): number[][] => {
        zeroGradients(parameters.values())
        scope(() => {
          const branches = branchesOf(features(family, model, run, ['square', 'tall']))
          const states = of(branches)
          const losses = branches.map((each, i) => {
            const one = states.get(each) ?? assert.fail()
            return one.mul(randomTensor(one.shape, i).toDtype('float32')).sum()
          })
          backward(losses.reduce((a, b) => a.add(b)))
        })
        return scope(() => Array.from(parameters.values(), (each) => gradient(each)?.toArray() ?? []))
      }
      const got = gradients((branches) => together(model, trunksOf(branches), run))
      const expected = gradients((branches) => new Map(branches.map((each) => [each, alone(model, each, run)])))
      const largest = (values: readonly number[]): number => values.reduce((most, each) => Math.max(most, Math.abs(each)), 0)
      const scale = Math.max(...expected.map(largest))
      for (const [i, name] of [...parameters.keys()].entries()) {
        const [a = [], b = []] = [got[i], expected[i]]
        assert.equal(a.length, b.length, name)
        const difference = largest(b.map((each, at) => each - (a[at] as number)))
        assert.ok(difference <= 1e-5 * Math.max(largest(b), scale / 10), `${name}: ${difference} of ${largest(b)}`)
      }
      zeroGradients(parameters.values())
    })
  })
}

test('recomputed blocks cannot share a beginning while gradients are recorded', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const { model } = checkpoint
    const recompute: Run = { ...plainRun, recompute: true }
    scope(() => {
      const branches = [1, 2].map((end) => branch([...text(20, 5), end, end], [], 20))
      const trunks = trunksOf(branches)
      assert.throws(
        () => branchHidden(model, trunks, recompute),
        (error) => error instanceof ArgumentError && /give trunks with shared = 0/.test(error.message),
      )
      const separate = branches.map((each) => ({ shared: 0, branches: [each] }))
      const [a, b] = [together(model, separate, recompute), noGrad(() => together(model, trunks, recompute))]
      for (const each of branches) close(a.get(each) ?? assert.fail(), b.get(each) ?? assert.fail(), { absolute: 2e-5, relative: 1e-5 })
    })
    dropCheckpoints()
  })
})

test('a beginning that ends inside an image is refused, and leaves nothing behind', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const { model } = checkpoint
    noGrad(() =>
      scope(() => {
        const [square] = features('qwen2_5_vl', model, plainRun, ['square'])
        assert.ok(square)
        const branches = [1, 2].map((end) => branch([...text(16, 5), ...shown(square), end], [square], 22))
        assert.throws(
          () => branchHidden(model, [{ shared: 18, branches }], plainRun),
          (error) => error instanceof ArgumentError && /ends inside an image/.test(error.message),
        )
      }),
    )
  })
})
