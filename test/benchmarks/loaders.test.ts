// Each benchmark reads a small file of its real columns: exact texts, options, answers, groups and images.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { expected } from '../../src/benchmarks/rows.ts'
import { image, inFolder, namesOf, read, readLines, writeLines, writeParquet } from './support.ts'

const hub = (name: string) => ({ bytes: image(name), path: `${name}.png` })
const picked = (answer: string, options: readonly string[]) => expected('choice', answer, { options })

test('MMMU: parquet of several subjects in folders; images in the order of their mention', async () => {
  const imageColumns = Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((number) => [`image_${number}`, 'image' as const]))
  const columns = {
    id: 'text',
    question: 'text',
    options: 'text',
    answer: 'text',
    question_type: 'text',
    topic_difficulty: 'text',
    ...imageColumns,
  } as const
  const art = {
    id: 'validation_Art_Theory_3',
    question: 'Which of <image 2> and <image 1> is older?',
    options: `['<image 3>', "it's <image 1>", 'neither']`,
    answer: 'B',
    question_type: 'multiple-choice',
    topic_difficulty: 'Hard',
    image_1: hub('one'),
    image_2: hub('two'),
    image_3: hub('three'),
  }
  const open = { question: 'The mean of <image 1>?', options: '[]', question_type: 'open', topic_difficulty: 'Easy', image_1: hub('table') }
  await inFolder(async (folder) => {
    await writeParquet(join(folder, 'Art_Theory', 'validation-00000-of-00001.parquet'), columns, [art])
    await writeParquet(join(folder, 'Art_Theory', 'dev-00000-of-00001.parquet'), columns, [{ ...art, id: 'dev_Art_Theory_1' }])
    await writeParquet(join(folder, 'Math', 'validation-00000-of-00001.parquet'), columns, [
      { ...open, id: 'validation_Math_1', answer: "['24/7', '3.43']" },
      { ...open, id: 'validation_Math_2', answer: 'blue' },
    ])
    const [first, second, third, ...others] = await read('mmmu', folder)
    assert.equal(others.length, 0)
    assert.equal(first?.problem, "Which of <image 1> and <image 2> is older?\nA. <image 3>\nB. it's <image 2>\nC. neither")
    assert.deepEqual(first && namesOf(first), ['two', 'one', 'three'])
    assert.deepEqual(first?.expected, picked('B', ['<image 3>', "it's <image 1>", 'neither']))
    assert.deepEqual(first?.groups, { subject: 'Art_Theory', discipline: 'Art and Design', difficulty: 'Hard', type: 'multiple-choice' })
    assert.deepEqual(second?.expected, expected('number', '24/7', { also: ['3.43'], tolerance: { relative: 0, absolute: 0.005 } }))
    assert.equal(second?.id, 'validation_Math_1')
    assert.deepEqual(third?.expected, expected('text', 'blue'))
    assert.equal((await read('mmmu', folder, { limit: 2 })).length, 2)
    await assert.rejects(
      read('mmmu', join(folder, 'Art_Theory')).then(() => read('mmmu-pro-vision', join(folder, 'Math'))),
      (error: Error) => {
        assert.match(error.message, /no file of MMMU-Pro \(vision\): it lacks the columns image, subject; it has id, question, options/)
        return true
      },
    )
  })
})

test('MMMU: an image that is named and missing is told with file and row', async () => {
  const row = {
    id: 'validation_Math_1',
    question: 'See <image 2>',
    options: "['a', 'b']",
    answer: 'A',
    question_type: 'multiple-choice',
    image_1: image('one'),
  }
  await inFolder(async (folder) => {
    await writeLines(join(folder, 'rows.jsonl'), [row])
    await assert.rejects(read('mmmu', folder), /rows\.jsonl:1: row 0: the text names <image 2>, but image_2 holds no image/)
  })
})

test('MMMU-Pro: each configuration from one copy of the repository', async () => {
  const standard = {
    id: 'text',
    question: 'text',
    options: 'text',
    answer: 'text',
    subject: 'text',
    topic_difficulty: 'text',
    image_1: 'image',
    image_2: 'image',
  } as const
  const ten = Array.from({ length: 10 }, (_, i) => `option ${i}`)
  const row = { id: 'test_History_7', subject: 'History', topic_difficulty: 'Medium', question: '<image 1> What?', image_1: hub('map'), answer: 'J' }
  await inFolder(async (folder) => {
    const written = `[${ten.map((each) => `'${each}'`).join(', ')}]`
    await writeParquet(join(folder, 'standard (10 options)', 'test-00000-of-00002.parquet'), standard, [{ ...row, options: written }])
    await writeParquet(join(folder, 'standard (10 options)', 'test-00001-of-00002.parquet'), standard, [
      { ...row, id: 'test_History_8', options: written },
    ])
    await writeParquet(join(folder, 'standard (4 options)', 'test-00000-of-00001.parquet'), standard, [
      { ...row, options: "['a', 'b', 'c', 'd']", answer: 'D' },
    ])
    const vision = { id: 'text', image: 'image', options: 'text', answer: 'text', subject: 'text' } as const
    await writeParquet(join(folder, 'vision', 'test-00000-of-00001.parquet'), vision, [
      { id: 'test_History_7', image: hub('whole'), options: "['a', 'b']", answer: 'A', subject: 'History' },
    ])
    const tens = await read('mmmu-pro-10', folder)
    assert.deepEqual(
      tens.map(({ id }) => id),
      ['test_History_7', 'test_History_8'],
    )
    assert.equal(tens[0]?.problem, `<image 1> What?\n${ten.map((each, i) => `${'ABCDEFGHIJ'[i]}. ${each}`).join('\n')}`)
    assert.deepEqual(tens[0]?.expected, picked('J', ten))
    const [four] = await read('mmmu-pro-4', folder)
    assert.equal(four?.problem, '<image 1> What?\nA. a\nB. b\nC. c\nD. d')
    assert.deepEqual(four?.groups, { subject: 'History', discipline: 'Humanities and Social Science', difficulty: 'Medium' })
    const [seen, ...others] = await read('mmmu-pro-vision', folder)
    assert.equal(others.length, 0)
    assert.equal(seen?.problem, 'Please answer the question shown in the image.')
    assert.deepEqual(seen && namesOf(seen), ['whole'])
    assert.deepEqual(seen?.expected, picked('A', ['a', 'b']))
  })
})

test('MathVerse: all versions, and one alone', async () => {
  const columns = {
    sample_index: 'text',
    problem_index: 'text',
    problem_version: 'text',
    question: 'text',
    image: 'image',
    answer: 'text',
    question_type: 'text',
    question_for_eval: 'text',
  } as const
  const whole = 'Angle A is 40°. Angle B is ()\nChoices:\nA:40°\nB:60°\nC:80°'
  const row = { problem_index: '9', answer: 'B', question_type: 'multi-choice', question_for_eval: whole }
  await inFolder(async (folder) => {
    const path = join(folder, 'testmini.parquet')
    await writeParquet(path, columns, [
      { ...row, sample_index: '41', problem_version: 'Text Dominant', question: whole, image: hub('td') },
      { ...row, sample_index: '44', problem_version: 'Vision Dominant', question: 'Angle B is ()\nChoices:\nA:40°\nB:60°\nC:80°', image: hub('vd') },
      { ...row, sample_index: '45', problem_version: 'Vision Only', question: '', image: hub('vo') },
      {
        ...row,
        sample_index: '46',
        problem_version: 'Vision Only',
        question: '',
        image: hub('free'),
        question_type: 'free-form',
        answer: '3\\sqrt{2}',
      },
    ])
    const all = await read('mathverse', folder)
    assert.deepEqual(
      all.map(({ id, groups }) => [id, groups['version']]),
      [
        ['41', 'Text Dominant'],
        ['44', 'Vision Dominant'],
        ['45', 'Vision Only'],
        ['46', 'Vision Only'],
      ],
    )
    assert.equal(all[0]?.problem, whole)
    assert.deepEqual(all[0]?.expected, picked('B', ['40°', '60°', '80°']))
    assert.deepEqual(all[2]?.expected, picked('B', ['40°', '60°', '80°']))
    assert.equal(all[2]?.problem, 'Please answer the question shown in the image.')
    assert.deepEqual(all[3]?.expected, expected('math', '3\\sqrt{2}'))
    assert.deepEqual(all.flatMap(namesOf), ['td', 'vd', 'vo', 'free'])
    assert.deepEqual(
      (await read('mathverse-vision-dominant', path)).map(({ id }) => id),
      ['44'],
    )
    assert.deepEqual(
      (await read('mathverse-vision-only', path)).map(({ id }) => id),
      ['45', '46'],
    )
  })
})

test('ViLP: three questions a row; P drops the fact', async () => {
  const columns = { question: 'text', image1: 'bytes', answer1: 'text', image2: 'bytes', answer2: 'text', image3: 'bytes', answer3: 'text' } as const
  const row = {
    question: 'A cat has four legs. How many legs has the animal in the image?',
    ...{ image1: image('four'), answer1: '4', image2: image('five'), answer2: '5', image3: image('none'), answer3: 'None' },
  }
  await inFolder(async (folder) => {
    await writeParquet(join(folder, 'ViLP.parquet'), columns, [row, { ...row, question: 'No fact?' }])
    const full = await read('vilp-f', folder)
    assert.deepEqual(
      full.slice(0, 3).map((question) => [question.id, question.problem, namesOf(question), question.expected, question.groups]),
      [['four', expected('number', '4')] as const, ['five', expected('number', '5')] as const, ['none', expected('text', 'None')] as const].map(
        ([name, right], i) => [`0-${i + 1}`, `Please answer with one word: ${row.question}`, [name], right, { position: String(i + 1) }],
      ),
    )
    const plain = await read('vilp-p', folder)
    assert.equal(plain[1]?.problem, 'Please answer with one word: How many legs has the animal in the image?')
    assert.equal(plain[5]?.problem, 'Please answer with one word: No fact?')
  })
})

test('MM-Vet: open answers with parts and alternatives', async () => {
  const row = { question: 'What is x?', image: image('equation'), capability: 'ocr,math', question_id: 'v1_0' }
  const [both, either] = await readLines('mm-vet', [
    { ...row, answer: '-1<AND>-5' },
    { ...row, question_id: 'v1_1', answer: 'sedan<OR>car' },
  ])
  assert.deepEqual(both?.expected, expected('open', '-1 <AND> -5'))
  assert.deepEqual(either?.expected, expected('open', 'sedan <OR> car', { also: ['sedan', 'car'] }))
  assert.deepEqual(both?.groups, { capabilities: 'math,ocr' })
  assert.equal(both?.problem, 'What is x?')
})

test('MathVista: options by text, numbers by places', async () => {
  const metadata = { task: 'figure question answering', category: 'general-vqa', context: 'bar chart', grade: 'daily life', source: 'FigureQA' }
  const row = { question: 'How long?', decoded_image: image('chart'), unit: null, precision: null, metadata }
  const [chosen, whole, places, listed, spaced] = await readLines('mathvista', [
    { ...row, pid: '1', choices: ['1 m', '2 m'], answer: '2 m', question_type: 'multi_choice', answer_type: 'text' },
    { ...row, pid: '2', choices: null, unit: 'cm', answer: '14', question_type: 'free_form', answer_type: 'integer' },
    { ...row, pid: '3', choices: null, precision: 1, answer: '1.2', question_type: 'free_form', answer_type: 'float' },
    { ...row, pid: '4', choices: null, answer: '[1, 2]', question_type: 'free_form', answer_type: 'list' },
    { ...row, pid: '5', choices: ['1 m ', ' 2 m'], answer: ' 2 m', question_type: 'multi_choice', answer_type: 'text' },
  ])
  assert.equal(chosen?.problem, 'How long?\nChoices:\n(A) 1 m\n(B) 2 m')
  assert.deepEqual(chosen?.expected, picked('B', ['1 m', '2 m']))
  assert.deepEqual(chosen?.groups, { type: 'multi_choice', ...metadata })
  assert.equal(whole?.problem, 'How long? (Unit: cm)')
  assert.deepEqual(whole?.expected, expected('number', '14'))
  assert.deepEqual(places?.expected, expected('number', '1.2', { tolerance: { relative: 0, absolute: 0.05 } }))
  assert.deepEqual(listed?.expected, expected('tuple', '[1, 2]'))
  assert.equal(spaced?.expected.answer, 'B')
})

test('MATH-Vision: options, and answers without', async () => {
  const row = { image: 'images/1.jpg', decoded_image: image('cubes'), level: 2, subject: 'solid geometry', question: 'How many cubes?\n<image1>' }
  const [chosen, free] = await readLines('mathvision', [
    { ...row, id: '1', options: ['A', 'B', 'C'], answer: 'C' },
    { ...row, id: '2', options: [], answer: '\\frac{1}{2}' },
  ])
  assert.equal(chosen?.problem, 'How many cubes?\nChoices:\nA. A\nB. B\nC. C')
  assert.deepEqual(chosen?.expected, picked('C', ['A', 'B', 'C']))
  assert.deepEqual(chosen && namesOf(chosen), ['cubes'])
  assert.equal(free?.problem, 'How many cubes?')
  assert.deepEqual(free?.expected, expected('math', '\\frac{1}{2}'))
  assert.deepEqual(free?.groups, { subject: 'solid geometry', level: '2' })
})

test('LogicVista: one letter, or a set', async () => {
  const row = {
    question: 'Which comes next? Select from A, B, C, D.',
    image: image('row'),
    skill: 'inductive',
    broad_capability: ['patterns', 'ocr'],
  }
  const [one, several, compact] = await readLines('logicvista', [
    { ...row, id: 'v1_0', answer: 'c' },
    { ...row, id: 'v1_1', answer: 'A, C' },
    { ...row, id: 'v1_2', answer: 'ac' },
  ])
  assert.deepEqual(one?.expected, picked('C', []))
  assert.deepEqual([several?.expected, compact?.expected], [expected('set', 'A, C'), expected('set', 'A, C')])
  assert.deepEqual(one?.groups, { skill: 'inductive', capability: 'patterns, ocr' })
  assert.equal(one?.problem, row.question)
})

test('VisualPuzzles: options in words or in the image', async () => {
  const row = { image: image('puzzle'), answer: 'D', category: 'Spatial', question: 'Which fits? ' }
  const [words, drawn] = await readLines('visual-puzzles', [
    { ...row, id: 'p1', options: ['w', 'x', 'y', 'z'] },
    { ...row, id: 'p2', options: null },
  ])
  assert.equal(words?.problem, 'Question: Which fits?\nOptions:\n(A) w\n(B) x\n(C) y\n(D) z')
  assert.equal(drawn?.problem, 'Question: Which fits?\nOptions: Choose from (A) (B) (C) (D) in the image.')
  assert.deepEqual([words?.expected, drawn?.expected], [picked('D', ['w', 'x', 'y', 'z']), picked('D', [])])
  assert.deepEqual(drawn?.groups, { category: 'Spatial' })
})

test('VlmsAreBlind: the public columns, and those of rows with problems', async () => {
  const row = { image: image('drawing'), prompt: 'How many? Answer in {}.' }
  const published = await readLines('vlms-are-blind', [
    { ...row, task: 'Counting Grid - Blank Grids', groundtruth: '4,5' },
    { ...row, task: 'Touching Circles', groundtruth: 'Yes' },
    { ...row, task: 'Circled Letter', groundtruth: 'o' },
    { ...row, task: 'Olympic Counting - Circles', groundtruth: '6' },
  ])
  assert.deepEqual(
    published.map(({ id, groups, expected: right }) => [id, groups['task'], right]),
    [
      ['0', 'counting grid', expected('tuple', '(4,5)')],
      ['1', 'touching circles', expected('yesNo', 'yes')],
      ['2', 'circled letter', expected('text', 'o')],
      ['3', 'olympic counting - circles', expected('number', '6')],
    ],
  )
  await inFolder(async (folder) => {
    const rows = [{ id: 'rows_columns/1', task: 'rows_columns', images: ['images/1.png'], problem: 'Rows and columns?', answer: '(4,5)', meta: {} }]
    await writeLines(join(folder, 'test.jsonl'), rows)
    const [question] = await read('vlms-are-blind', folder)
    assert.deepEqual(question, {
      ...{ id: 'rows_columns/1', problem: 'Rows and columns?', images: [join(folder, 'images/1.png')] },
      ...{ expected: expected('tuple', '(4,5)'), groups: { task: 'rows columns' } },
    })
    await writeLines(join(folder, 'test.jsonl'), [{ task: 'rows_columns', images: [] }])
    await assert.rejects(read('vlms-are-blind', folder), /it lacks the columns image, prompt, groundtruth; or, of its other form, problem, answer;/)
  })
})

test('MMSI: images as bytes in a list, options in the question', async () => {
  const columns = {
    id: 'integer',
    images: 'byteLists',
    question_type: 'text',
    question: 'text',
    answer: 'text',
    thought: 'text',
    difficulty: 'text',
  } as const
  const question = 'Where is the door?\nOptions: A: Left, B: Right, C: Behind, D: Front'
  await inFolder(async (folder) => {
    const row = { id: 12n, images: [image('a'), image('b')], question_type: 'Motion (Cam.)', question, answer: 'C', thought: '…', difficulty: 'easy' }
    await writeParquet(join(folder, 'MMSI_Bench.parquet'), columns, [row])
    const [found] = await read('mmsi', folder)
    assert.equal(found?.id, '12')
    assert.equal(found?.problem, question)
    assert.deepEqual(found && namesOf(found), ['a', 'b'])
    assert.deepEqual(found?.expected, picked('C', ['Left', 'Right', 'Behind', 'Front']))
    assert.deepEqual(found?.groups, { task: 'Motion (Cam.)', difficulty: 'easy' })
  })
})

test('RealWorldQA: letters, numbers and words', async () => {
  const asked = 'Which way?\n\nA. Left\nB. Right\nPlease answer directly with only the letter of the correct option and nothing else.'
  const row = { image: image('road') }
  const [letter, number, word] = await readLines('realworldqa', [
    { ...row, question: asked, answer: 'B' },
    { ...row, question: 'How many cars?', answer: '2' },
    { ...row, question: 'Up or down?', answer: 'Downhill' },
  ])
  assert.equal(letter?.problem, asked)
  assert.deepEqual(letter?.expected, picked('B', ['Left', 'Right']))
  assert.deepEqual([number?.expected, word?.expected], [expected('number', '2'), expected('text', 'Downhill')])
})

test('CV-Bench: letters in brackets, choices in a column', async () => {
  const prompt = 'How many? Select from the following choices.\n(A) 3\n(B) 1'
  const row = { idx: 0, task: 'Count', image: image('street'), question: 'How many?', choices: ['3', '1'], answer: '(B)', prompt, source: 'COCO' }
  const [flat, deep] = await readLines('cv-bench', [
    { ...row, type: '2D' },
    { ...row, type: '3D', source: 'Omni3D', task: 'Depth' },
  ])
  assert.deepEqual([flat?.id, deep?.id], ['2D-0', '3D-0'])
  assert.equal(flat?.problem, prompt)
  assert.deepEqual(flat?.expected, picked('B', ['3', '1']))
  assert.deepEqual(deep?.groups, { type: '3D', task: 'Depth', source: 'Omni3D' })
})

test('VLind: eight questions of one good picture, two more of each further one', async () => {
  const row = {
    ...{ concept: 'climate', context_id: 3, context: 'Snow falls in the desert.', factual_context: 'Sun in the desert', best_img_id: '2' },
    ...{ true_statement: 'The desert is white.', false_statement: 'The desert is yellow.', existent_noun: 'snow', 'non-existent_noun': 'a whale' },
    aggregated_human_label_good_images: { '0': 1, '2': 3, '5': 2 },
  }
  await inFolder(async (folder) => {
    const inside = join(folder, 'VLind-Bench Dataset')
    await mkdir(inside)
    await writeFile(join(inside, 'data.json'), JSON.stringify([row, { ...row, aggregated_human_label_good_images: { '0': 1 } }]))
    const questions = await read('vlind', folder)
    const ids = ['knowledge', 'perception', 'context', 'prior-2', 'prior-5'].flatMap((stage) => [`0-${stage}-true`, `0-${stage}-false`])
    assert.deepEqual(
      questions.map(({ id }) => id),
      ids,
    )
    const [factual, seen] = ['factual/climate/3_Sun in the desert/0.jpg', 'counterfactual/climate/3_Snow falls in the desert./2.jpg']
    assert.deepEqual(
      questions.slice(0, 8).map((question) => namesOf(question)[0]),
      [factual, factual, seen, seen, seen, seen, seen, seen].map((path) => join(inside, 'images', path as string)),
    )
    const problems = questions.map(({ problem }) => problem)
    const told = 'Based on the image, is the given statement true or false?'
    const forget = (what: string) => `Forget real-world common sense and just follow the information provided in the ${what}.`
    const last = 'Only respond in True or False.'
    assert.equal(problems[0], `Statement: The desert is yellow.\nBased on the common sense, is the given statement true or false? ${last}`)
    assert.equal(problems[3], `Statement: There is a whale in the given image.\n${told} ${last}`)
    assert.equal(
      problems[4],
      `Context: Snow falls in the desert.\nStatement: The desert is white.\nBased on the context, is the given statement true or false? ${forget('context')} ${last}`,
    )
    assert.equal(problems[9], `Statement: The desert is yellow.\n${told} ${forget('image')} ${last}`)
    assert.deepEqual(
      questions.map(({ expected: right }) => right.answer),
      questions.map((_, i) => (i % 2 === 0 ? 'True' : 'False')),
    )
    assert.deepEqual(questions[8]?.groups, { instance: '0', concept: 'climate', stage: 'prior', picture: '5', questions: '10' })
    await writeFile(join(inside, 'data.json'), JSON.stringify([{ ...row, concept: '..' }]))
    await assert.rejects(read('vlind', folder), /row 0: .*make no path of an image/)
    await assert.rejects(read('vlind', null), /there are no parquet files of it to download; get it from https/)
  })
})

test('HallusionBench: yes and no, with and without a figure', async () => {
  const row = { category: 'VD', subcategory: 'illusion', set_id: '0', figure_id: '1', question_id: '2', question: 'Are both equal?' }
  const [seen, blind] = await readLines('hallusion-bench', [
    { ...row, gt_answer: '1', image: image('circles') },
    { ...row, category: 'VS', figure_id: '0', gt_answer: '0', image: null },
  ])
  assert.equal(seen?.id, 'VD_illusion_0_1_2')
  assert.deepEqual(seen?.expected, expected('yesNo', 'yes'))
  assert.deepEqual(blind?.expected, expected('yesNo', 'no'))
  assert.deepEqual([seen?.images.length, blind?.images.length], [1, 0])
  assert.deepEqual(blind?.groups, { category: 'VS', subcategory: 'illusion', set: '0', figure: '0', question: '2' })
})

test('Geometry3K, We-Math and MATH500', async () => {
  const [geometry] = await readLines('geo3k', [{ images: [image('triangle')], problem: '<image>Find x.', answer: '2 \\sqrt { 221 }' }])
  assert.deepEqual([geometry?.problem, geometry?.expected], ['Find x.', expected('math', '2 \\sqrt { 221 }')])
  const [step] = await readLines('we-math', [
    {
      ...{ ID: '7', key: '2steps_multi', question: 'The area?', option: 'A. 4; B. 5; C. No correct answer', answer: 'B' },
      ...{ image_path: image('square'), 'knowledge concept': 'Area' },
    },
  ])
  assert.equal(step?.id, '7-2steps_multi')
  assert.equal(step?.problem, 'The area?\nA. 4; B. 5; C. No correct answer')
  assert.deepEqual(step?.expected, picked('B', ['4', '5', 'No correct answer']))
  assert.deepEqual(step?.groups, { problem: '7', steps: '2steps', part: 'multi', concept: 'Area' })
  const [words] = await readLines('math500', [
    {
      problem: 'Solve.',
      solution: '…',
      answer: '\\left( 3, \\frac{\\pi}{2} \\right)',
      subject: 'Precalculus',
      level: 2,
      unique_id: 'test/precalculus/807.json',
    },
  ])
  assert.deepEqual(words, {
    ...{ id: 'test/precalculus/807.json', problem: 'Solve.', images: [] },
    ...{ expected: expected('math', '\\left( 3, \\frac{\\pi}{2} \\right)'), groups: { subject: 'Precalculus', level: '2' } },
  })
})
