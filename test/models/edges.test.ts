// What a model refuses to read, and numbers that configurations and inspections state: checks that no reference output would miss.

import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { exportModel } from '../../src/models/export.ts'
import { inspectModel } from '../../src/models/inspect.ts'
import { plainRun } from '../../src/models/linear.ts'
import { attachLora, type LoraAdapter } from '../../src/models/lora.ts'
import { loadAdapter, saveAdapter } from '../../src/models/peft.ts'
import { promptPositions, sectionedPlan } from '../../src/models/positions.ts'
import { describeModel, loadModel, randomModel } from '../../src/models/registry.ts'
import { emaTeacher } from '../../src/models/teacher.ts'
import { keep, noGrad, scope } from '../../src/torch/context.ts'
import { ops } from '../../src/torch/operators.ts'
import { openSafetensors } from '../../src/torch/safetensors.ts'
import { writeSafetensors } from '../../src/torch/safetensors-write.ts'
import { withoutLeaks } from '../support.ts'
import { newFolder } from '../torch/safetensors-files.ts'
import { caseOf, families, folderOf, goldensFolder, imagesOf, referenceOf } from './goldens.ts'
import { largestDifference, logitsOf } from './passes.ts'

for (const family of families) {
  test(`${family}: images and prompts that do not fit are refused`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      const { tokens, language } = model.config
      const [image] = imagesOf(model, caseOf(referenceOf(family), 'square'))
      const { pixels, grid } = image ?? assert.fail()
      const [, height, width] = grid
      const encode = (more: object): void => void model.encodeImages([{ pixels, grid, ...more }], plainRun)
      assert.throws(() => encode({ pixels: pixels.subarray(1) }), /image 1: \d+ values for .* was it processed for another model/)
      const longer = new Float32Array(2 * pixels.length)
      assert.throws(() => encode({ pixels: longer }), /image 1: \d+ values for/)
      assert.throws(() => encode({ grid: [2, height, width], pixels: longer }), /2 time steps; videos are not supported/)
      const row = pixels.length / (height * width)
      for (const odd of [
        [1, 3, 4],
        [1, 4, 3],
      ]) {
        assert.throws(() => encode({ grid: odd, pixels: new Float32Array(12 * row) }), /both must be multiples of 2/)
      }
      const hidden = (ids: readonly number[]): void => void model.hidden([{ ids, images: [] }], plainRun)
      assert.throws(() => hidden([1, tokens.video]), { name: 'ArgumentError', message: /token 1 is the video token/ })
      assert.throws(() => hidden([1, 2, language.vocabulary]), { name: 'ArgumentError', message: /token 2 has the id/ })
      assert.throws(() => hidden([]), { name: 'ArgumentError', message: /sequence 0 has no tokens/ })
    })
  })

  test(`${family}: float16 weights compute in float32, and go back as float16`, () => {
    withoutLeaks(() => {
      const folder = join(newFolder(), 'half')
      cpSync(folderOf(family), folder, { recursive: true })
      using source = openSafetensors(folderOf(family))
      scope(() =>
        writeSafetensors(join(folder, 'model.safetensors'), new Map(source.names.map((name) => [name, source.tensor(name).toDtype('float16')]))),
      )
      using plain = loadModel(folderOf(family))
      using half = loadModel(folder, { dtype: 'stored' })
      const difference = largestDifference(logitsOf(family, plain.model), logitsOf(family, half.model))
      assert.ok(difference > 0 && difference < 0.05, `${difference}`)
      exportModel(join(folder, 'out'), half)
      using written = openSafetensors(join(folder, 'out'))
      using first = openSafetensors(folder)
      assert.deepEqual(written.names.toSorted(), first.names.toSorted())
      for (const name of first.names) assert.ok(written.tensor(name).equal(first.tensor(name)) && written.info(name).storedType === 'F16', name)
    })
  })

  test(`${family}: memory of adapter and cache`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      const { model } = checkpoint
      using adapter = attachLora(model, { rank: 5, alpha: 5, seed: 1 })
      const size = [...adapter.parameters.values()].reduce((sum, each) => sum + each.size, 0)
      const all = [...model.parameters.values()].reduce((sum, each) => sum + each.size, 0)
      const { memory, cacheBytesPerToken } = inspectModel(folderOf(family), 5)
      assert.deepEqual(
        memory.slice(0, 2).map(({ weights, training }) => [weights, training]),
        [
          [2 * all + 4 * size, 12 * size],
          [4 * (all + size), 12 * size],
        ],
      )
      const { layers, groups, headWidth } = model.config.language
      assert.equal(cacheBytesPerToken, layers * (4 * groups * headWidth + 4 * groups * headWidth))
    })
  })
}

test('the rotary base of the vision tower is read where the configuration states it', () => {
  const folder = newFolder()
  const config = JSON.parse(readFileSync(`${goldensFolder}/qwen2_5_vl_nested/config.json`, 'utf8'))
  const speeds = (): readonly number[] => {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
    return describeModel(folder).config.vision.rotary.frequencies
  }
  const before = speeds()
  config.vision_config.rope_parameters.rope_theta = 100
  const { heads, width } = describeModel(folder).config.vision
  const pairs = width / heads / 4
  const expected = Array.from({ length: 2 * pairs }, (_, i) => 100 ** (-(i % pairs) / pairs))
  const after = speeds()
  assert.notDeepEqual(before, after)
  after.forEach((speed, i) => {
    assert.ok(Math.abs(speed - (expected[i] as number)) < 1e-6, `pair ${i}: ${speed}, expected ${expected[i]}`)
  })
})

test('an export in the types of a mixed source leaves config.json as it is', () => {
  withoutLeaks(() => {
    const [source, folder] = [newFolder(), join(newFolder(), 'out')]
    cpSync(folderOf('qwen2_5_vl'), source, { recursive: true })
    const config = readFileSync(join(source, 'config.json'), 'utf8')
    writeFileSync(join(source, 'config.json'), config.replace('"torch_dtype": "float32"', '"torch_dtype": "auto"'))
    using file = openSafetensors(folderOf('qwen2_5_vl'))
    scope(() => {
      const mixed = file.names.map((name) => [name, file.tensor(name).toDtype(file.info(name).shape.length === 2 ? 'bfloat16' : 'float32')] as const)
      writeSafetensors(join(source, 'model.safetensors'), new Map(mixed))
    })
    using checkpoint = loadModel(source)
    exportModel(folder, checkpoint)
    assert.equal(readFileSync(join(folder, 'config.json'), 'utf8'), readFileSync(join(source, 'config.json'), 'utf8'))
    using written = openSafetensors(folder)
    assert.deepEqual(new Set(written.names.map((name) => written.info(name).storedType)), new Set(['BF16', 'F32']))
  })
})

test('an adapter whose A has another width is refused before anything is written', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen3_vl'))
    using adapter = attachLora(checkpoint.model, { rank: 2, alpha: 2, seed: 1 })
    const [module, { b }] = [...adapter.modules][0] ?? assert.fail()
    const a = noGrad(() => keep(ops.zeros([2, 7])))
    const wrong: LoraAdapter = { ...adapter, modules: new Map([[module, { a, b, scale: 1 }]]) }
    assert.throws(() => exportModel(join(newFolder(), 'out'), checkpoint, { adapter: wrong }), ArgumentError)
    a.dispose()
  })
})

test('images and image tokens must be as many', () => {
  assert.throws(() => promptPositions([1, 2], 9, [[1, 2, 2]], 2), /1 images were given, but the prompt has image tokens for 0/)
  assert.throws(() => promptPositions([1, 9], 9, [], 2), /image tokens at 1 belong to image 1, but 0 images were given/)
  assert.throws(() => promptPositions([1, 9], 9, [[1, 2, 4]], 2), /needs 2 image tokens, the prompt has 1 at 1/)
})

// Bits of torch's 1 / 1e6 ** (arange(0, 128, 2).float() / 128), which Qwen2.5-VL is trained with.
const inverseFrequencies = [
  1065353216, 1062095789, 1059470816, 1057355503, 1054337179, 1051589887, 1049376004, 1046607925, 1043732615, 1041415569, 1038909398, 1035900102,
  1033475085, 1031243027, 1028093503, 1025555485, 1023510243, 1020314024, 1017657739, 1015517192, 1012562930, 1009782866, 1007542573, 1004841542,
  1001931932, 999587246, 997151246, 994106053, 991652109, 989493488, 986306396, 983738103, 981668463, 978534184, 975846212, 973680130, 970790693,
  967977467, 965710450, 963077266, 960132947, 957760292, 955395298, 952313781, 949830564, 947746260, 944521150, 941922219, 939827890, 936756289,
  934036253, 931844333, 929020495, 926173710, 923879651, 921315122, 918335681, 915934722, 913641584, 910523307, 908010468, 905985516, 902737785,
  900107852,
]

test('rotary frequencies have the bits of float32 arithmetic', () => {
  const own = new Int32Array(Float32Array.from(sectionedPlan(128, [16, 24, 24], 1e6).frequencies).buffer)
  const distances = inverseFrequencies.map((bits, i) => Math.abs(bits - (own[i] as number)))
  // torch's power itself is off by a bit once; without the roundings between, 24 of the 64 differ.
  assert.ok(Math.max(...distances) <= 1 && distances.filter((distance) => distance > 0).length <= 2, `${distances}`)
})

test('an adapter of certain layers is written as it was read', () => {
  withoutLeaks(() => {
    const [first, second] = [newFolder(), newFolder()]
    using checkpoint = loadModel(folderOf('qwen2_5_vl'))
    const { model } = checkpoint
    using made = attachLora(model, { rank: 2, alpha: 2, seed: 1, targets: String.raw`.*language_model\.layers\.1\..*_proj` })
    saveAdapter(first, made, { baseModel: 'base' })
    const path = join(first, 'adapter_config.json')
    const config = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(
      path,
      JSON.stringify({
        ...config,
        target_modules: ['up_proj', 'q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'down_proj'],
        layers_to_transform: [1],
        layers_pattern: ['layers'],
      }),
    )
    using read = loadAdapter(first, model)
    saveAdapter(second, read, { baseModel: 'base' })
    using again = loadAdapter(second, model)
    assert.deepEqual(again.settings, read.settings)
    assert.deepEqual(JSON.parse(readFileSync(join(second, 'adapter_config.json'), 'utf8')).layers_pattern, ['layers'])
    assert.deepEqual([...again.modules.keys()], [...made.modules.keys()])
  })
})

test('an adapter that cannot be written leaves no temporary file', () => {
  withoutLeaks(() => {
    const folder = newFolder()
    using checkpoint = loadModel(folderOf('qwen3_vl'))
    using adapter = attachLora(checkpoint.model, { rank: 2, alpha: 2, seed: 1 })
    // The weights are on the disk when JSON refuses the configuration.
    const unwritable = { ...adapter, settings: { ...adapter.settings, alpha: 1n as never } }
    assert.throws(() => saveAdapter(folder, unwritable, { baseModel: 'base' }), TypeError)
    assert.deepEqual(readdirSync(folder), [])
  })
})

/** What a golden configuration says after a change. */
function described(family: string, change: (config: Record<string, Record<string, unknown>>) => void): ReturnType<typeof describeModel> {
  const folder = newFolder()
  const config = JSON.parse(readFileSync(`${goldensFolder}/${family}/config.json`, 'utf8'))
  change(config)
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  return describeModel(folder)
}

test('a head that is tied in the text part alone is tied', () => {
  for (const family of ['qwen2_5_vl_nested', 'qwen3_vl']) {
    for (const tied of [true, false]) {
      const { config, shapes } = described(family, (json) => {
        delete json['tie_word_embeddings']
        Object.assign(json['text_config'] ?? assert.fail(), { tie_word_embeddings: tied })
      })
      assert.equal(config.language.tied, tied)
      assert.equal(shapes.has('lm_head.weight'), !tied)
    }
  }
})

test('attention_bias of Qwen3-VL gives all four projections a bias', () => {
  const { shapes } = described('qwen3_vl', (json) => void Object.assign(json['text_config'] ?? assert.fail(), { attention_bias: true }))
  for (const name of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) {
    const at = `model.language_model.layers.0.self_attn.${name}`
    assert.deepEqual(shapes.get(`${at}.bias`), shapes.get(`${at}.weight`)?.slice(0, 1), name)
  }
})

test('Qwen2.5-VL with heads of another width than its share is refused', () => {
  const change = (json: Record<string, Record<string, unknown>>): void => {
    Object.assign(json, { head_dim: 32 })
    Object.assign(json['rope_scaling'] ?? assert.fail(), { mrope_section: [4, 6, 6] })
  }
  assert.throws(() => described('qwen2_5_vl', change), /hidden_size is \d+; expected a multiple of the \d+ attention heads/)
})

test('random models have norms of one and weights of the stated deviation', () => {
  withoutLeaks(() => {
    for (const family of families) {
      using made = randomModel(folderOf(family), { seed: 3, deviation: 0.1 })
      const { parameters } = made.model
      const isNorm = (name: string): boolean => /norm\d?\.weight$|ln_q\.weight$/.test(name)
      const norms = [...parameters].filter(([name]) => isNorm(name)).flatMap(([, each]) => each.toArray())
      assert.ok(norms.length > 0 && norms.every((value) => value === 1))
      const others = [...parameters].filter(([name]) => !isNorm(name)).flatMap(([, each]) => each.toArray())
      const variance = others.reduce((sum, value) => sum + value ** 2, 0) / others.length
      // The estimate's own relative deviation is √(2 / n).
      assert.ok(Math.abs(variance / 0.01 - 1) < 6 * Math.sqrt(2 / others.length), `${variance}`)
    }
  })
})

test('saved averages are what a bfloat16 teacher computes with', () => {
  withoutLeaks(() => {
    using checkpoint = loadModel(folderOf('qwen3_vl'), { dtype: 'bfloat16' })
    const { model } = checkpoint
    const name = 'model.visual.merger.linear_fc1.weight'
    using teacher = emaTeacher(model, [name], 0.9)
    const saved = new Map(Array.from(teacher.averages, ([key, value]) => [key, value.add(1)]))
    teacher.load(saved)
    const shown = teacher.model.parameters.get(name) ?? assert.fail()
    assert.ok(shown.equal((saved.get(name) ?? assert.fail()).toDtype('bfloat16')))
    for (const each of saved.values()) each.dispose()
  })
})

test('a list of layers holds no negative number', () => {
  const change = (json: Record<string, Record<string, unknown>>): void => {
    Object.assign(json['vision_config'] ?? assert.fail(), { deepstack_visual_indexes: [-1] })
  }
  assert.throws(() => described('qwen3_vl', change), /deepstack_visual_indexes is \[-1\]; expected a list of integers ≥ 0/)
})

test('a base, an epsilon or a factor of zero is refused', () => {
  assert.throws(() => described('qwen2_5_vl', (json) => void Object.assign(json, { rope_theta: 0 })), /rope_theta is 0; expected a number above 0/)
  assert.throws(
    () => described('qwen2_5_vl', (json) => void Object.assign(json, { rms_norm_eps: 0 })),
    /rms_norm_eps is 0; expected a number above 0/,
  )
})

for (const family of families) {
  test(`${family}: a new adapter in bfloat16 changes nothing either`, () => {
    withoutLeaks(() => {
      using checkpoint = loadModel(folderOf(family))
      using half = attachLora(checkpoint.model, { rank: 3, alpha: 6, seed: 1, dtype: 'bfloat16' })
      const { model } = checkpoint
      assert.ok(logitsOf(family, model).equal(logitsOf(family, model, { ...plainRun, adapter: half })))
    })
  })
}
