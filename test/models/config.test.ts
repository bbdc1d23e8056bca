// Configurations and weight files that are wrong: each is an error that names what is wrong, and none is believed.

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { FileFormatError, SightlineError } from '../../src/errors.ts'
import { plainRun } from '../../src/models/linear.ts'
import { describeModel, loadModel } from '../../src/models/registry.ts'
import { scope } from '../../src/torch/context.ts'
import { ops } from '../../src/torch/operators.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import { writeSafetensors } from '../../src/torch/safetensors-write.ts'
import type { Tensor } from '../../src/torch/tensor.ts'
import { random, withoutLeaks } from '../support.ts'
import { caseOf, type FamilyName, families, folderOf, goldensFolder, imagesOf, referenceOf } from './goldens.ts'

type Json = { [name: string]: unknown }

/** A copy of a golden folder with another config.json. */
function inCopy<T>(family: FamilyName, change: (config: Json) => void, body: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-'))
  try {
    cpSync(folderOf(family), folder, { recursive: true })
    const path = join(folder, 'config.json')
    const config = JSON.parse(readFileSync(path, 'utf8')) as Json
    change(config)
    writeFileSync(path, JSON.stringify(config))
    return body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Sets a field of nested objects: `at(config, 'vision_config.depth', 2)`. */
function at(config: Json, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() as string
  let part = config
  for (const name of names) part = part[name] as Json
  part[last] = value
}

const wrong: readonly [FamilyName, string, unknown, RegExp][] = [
  ['qwen3_vl', 'model_type', 'qwen3_vl_moe', /model_type is "qwen3_vl_moe"; expected one of qwen2_5_vl, qwen3_vl/],
  ['qwen2_5_vl', 'model_type', undefined, /model_type is missing/],
  ['qwen2_5_vl', 'rope_scaling.type', 'yarn', /rope_scaling.type is "yarn"; expected one of default, mrope/],
  ['qwen3_vl', 'text_config.rope_scaling.rope_type', 'dynamic', /text_config.rope_scaling.rope_type is "dynamic"/],
  [
    'qwen3_vl',
    'text_config.rope_scaling.mrope_section',
    [4, 4, 4],
    /mrope_section is \[4,4,4\]; expected three numbers .* add up to half the head width of 16/,
  ],
  ['qwen2_5_vl', 'rope_scaling', undefined, /rope_scaling is missing; expected a JSON object/],
  ['qwen2_5_vl', 'rope_theta', -1, /rope_theta is -1; expected a number above 0/],
  ['qwen2_5_vl', 'hidden_act', 'gelu', /hidden_act is "gelu"; expected one of silu/],
  ['qwen2_5_vl', 'use_sliding_window', true, /sliding-window attention is not supported/],
  ['qwen2_5_vl', 'num_key_value_heads', 3, /num_key_value_heads is 3; expected a divisor of the 4/],
  ['qwen3_vl', 'text_config.num_hidden_layers', 0, /num_hidden_layers is 0; expected a positive integer, at most/],
  ['qwen3_vl', 'text_config.num_hidden_layers', 1e9, /num_hidden_layers is 1000000000; expected a positive integer, at most 1000/],
  ['qwen2_5_vl', 'vision_config.depth', 1e9, /depth is 1000000000; expected a positive integer, at most 1000/],
  ['qwen3_vl', 'text_config.num_hidden_layers', '4', /num_hidden_layers is "4"; expected a positive integer, at most/],
  ['qwen3_vl', 'text_config.quantization_config', { bits: 4 }, /quantised checkpoints are not supported/],
  ['qwen3_vl', 'quantization_config', { bits: 4 }, /quantised checkpoints are not supported/],
  ['qwen3_vl', 'vision_config', null, /vision_config is null; expected a JSON object/],
  ['qwen3_vl', 'vision_config.num_position_embeddings', 26, /num_position_embeddings is 26; expected a square number/],
  ['qwen3_vl', 'vision_config.deepstack_visual_indexes', [1, 9], /deepstack_visual_indexes is \[1,9\]; expected ascending layers below 4/],
  ['qwen3_vl', 'vision_config.deepstack_visual_indexes', [2, 1], /deepstack_visual_indexes is \[2,1\]; expected ascending/],
  ['qwen3_vl', 'vision_config.out_hidden_size', 31, /out_hidden_size is 31; expected the language model's hidden_size, 32/],
  ['qwen2_5_vl', 'vision_config.window_size', 50, /window_size is 50; expected a multiple of patch_size · spatial_merge_size = 28/],
  ['qwen2_5_vl', 'vision_config.hidden_size', 36, /hidden_size is 36; expected a multiple of 4 · num_heads = 8/],
  // These agree with themselves, but not with the weights.
  ['qwen3_vl', 'text_config.num_hidden_layers', 5, /11 weights that are not there: model\.language_model\.layers\.4\./],
  ['qwen3_vl', 'text_config.num_hidden_layers', 3, /11 weights do not belong to the qwen3_vl of config.json: model\.language_model\.layers\.3\./],
  ['qwen2_5_vl', 'vocab_size', 511, /model\.embed_tokens\.weight has the shape \[512, 64\]; config.json says \[511, 64\]/],
  ['qwen2_5_vl', 'tie_word_embeddings', true, /tie_word_embeddings is true in config.json, but lm_head.weight differs/],
]

for (const [family, path, value, message] of wrong) {
  test(`${family} with ${path} = ${JSON.stringify(value)}`, () => {
    withoutLeaks(() =>
      inCopy(
        family,
        (config) => at(config, path, value),
        (folder) => assert.throws(() => loadModel(folder), { name: 'FileFormatError', message }),
      ),
    )
  })
}

test('a weight stored twice, under its old name and its new one', () => {
  withoutLeaks(() =>
    inCopy(
      'qwen2_5_vl',
      () => undefined,
      (folder) => {
        using file = openSafetensors(folder)
        const tensors = Object.fromEntries(file.names.map((name): [string, Tensor] => [name, file.tensor(name)]))
        writeSafetensors(join(folder, 'model.safetensors'), { ...tensors, 'model.language_model.norm.weight': ops.ones([64]) })
        assert.throws(() => loadModel(folder), {
          name: 'FileFormatError',
          message: /the weights model\.language_model\.norm\.weight and model\.norm\.weight are both/,
        })
      },
    ),
  )
})

test('buffers that old checkpoints carry, and a tied head that is stored, are no surprise', () => {
  withoutLeaks(() =>
    inCopy(
      'qwen2_5_vl',
      (config) => at(config, 'tie_word_embeddings', true),
      (folder) => {
        using file = openSafetensors(folder)
        const tensors = new Map(file.names.map((name): [string, Tensor] => [name, file.tensor(name)]))
        tensors.set('lm_head.weight', file.tensor('model.embed_tokens.weight'))
        tensors.set('model.rotary_emb.inv_freq', ops.ones([8]))
        writeSafetensors(join(folder, 'model.safetensors'), tensors)
        using checkpoint = loadModel(folder)
        assert.equal(checkpoint.model.language.head, checkpoint.model.language.embed)
      },
    ),
  )
})

test('the configuration as transformers 5 writes it says the same as the published layout', () => {
  const [published, nested] = [folderOf('qwen2_5_vl'), `${goldensFolder}/qwen2_5_vl_nested`].map((folder) => describeModel(folder))
  assert.deepEqual(nested?.config, published?.config)
  assert.deepEqual(nested?.shapes, published?.shapes)
})

test('weights in bfloat16 are half the size, and what they compute is what their rounding explains', () => {
  for (const family of families) {
    withoutLeaks(() => {
      using wide = loadModel(folderOf(family))
      using half = loadModel(folderOf(family), { dtype: 'bfloat16' })
      for (const [name, parameter] of half.model.parameters) {
        const original = wide.model.parameters.get(name) as Tensor
        assert.equal(parameter.dtype, original.rank === 2 ? 'bfloat16' : 'float32', name)
        assert.ok(
          original
            .toDtype('bfloat16')
            .toDtype('float32')
            .equal(original.rank === 2 ? parameter.toDtype('float32') : original.toDtype('bfloat16').toDtype('float32')),
        )
      }
      // The reference for its logits: a float32 model of the same rounded weights.
      const rounded = wide.model.rebuild((name) => (half.model.parameters.get(name) as Tensor).toDtype('float32'))
      const one = caseOf(referenceOf(family), 'wide')
      const logits = [half.model, rounded].map((model) => {
        const images = model.encodeImages(imagesOf(model, one), plainRun)
        return model.logits(model.hidden([{ ids: one.ids, images }], plainRun))
      })
      const [own, wanted] = logits as [Tensor, Tensor]
      assert.ok(own.sub(wanted).abs().amax().item() < 1e-5)
    })
  }
})

test('200 mutated configurations: a model that agrees with the weights, or an error of ours', () => {
  const next = random(7)
  const values = [null, -1, 0, 1, 2, 1.5, 1e9, 2 ** 31, '', 'mrope', true, [], [0], {}, Number.MAX_SAFE_INTEGER]
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
  let refused = 0
  for (const family of families) {
    const original = readFileSync(join(folderOf(family), 'config.json'), 'utf8')
    for (let i = 0; i < 100; i++) {
      inCopy(
        family,
        () => undefined,
        (folder) => {
          let text = original
          if (i % 4 === 0) {
            const place = Math.floor(next() * text.length)
            text = text.slice(0, place) + String.fromCharCode(32 + Math.floor(next() * 95)) + text.slice(place + 1)
          } else {
            const config = JSON.parse(text) as Json
            const parts = [
              config,
              ...Object.values(config).filter((value): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)),
            ]
            const part = pick(parts)
            part[pick(Object.keys(part))] = pick(values)
            text = JSON.stringify(config)
          }
          writeFileSync(join(folder, 'config.json'), text)
          scope(() => {
            try {
              loadModel(folder)[Symbol.dispose]()
            } catch (error) {
              assert.ok(error instanceof SightlineError, `${(error as Error).stack}\n${text}`)
              if (error instanceof FileFormatError) refused++
            }
          })
        },
      )
    }
  }
  assert.ok(refused > 60, `only ${refused} of 200 were refused`)
})
