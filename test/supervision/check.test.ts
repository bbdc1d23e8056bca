// Tables that make no sense are refused where they do not, and the presets are what the papers print.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ArgumentError } from '../../src/errors.ts'
import { methods } from '../../src/methods/registry.ts'
import { languageSteering, vgs } from '../../src/methods/vgs.ts'
import { vigos, vigosReleased } from '../../src/methods/vigos.ts'
import { activeTerms, commonSegments, defineMethod, needsDependency, trainedViews, usedViews } from '../../src/supervision/check.ts'
import type { Method, MethodTable } from '../../src/supervision/method.ts'

// biome-ignore lint/suspicious/noExplicitAny: the tests write what the types forbid
type Loose = any

/** A copy of a method after a change that no type restrains. */
function changed(method: Method, change: (table: Loose) => void): MethodTable {
  const table = structuredClone(method) as Loose
  change(table)
  return table as MethodTable
}

/** What is said about a table; fails if it is accepted. */
function refusal(table: MethodTable): string {
  let message = ''
  assert.throws(
    () => defineMethod(table),
    (error) => {
      assert.ok(error instanceof ArgumentError)
      message = error.message
      return true
    },
  )
  return message
}

const ema = (t: Loose): void => {
  t.views.reference.weights = 'ema'
}

/** What is wrong, the change that makes it so, and every line of what is said (the method's name stands before). */
const nonsense: readonly (readonly [string, Method, (table: Loose) => void, string | RegExp])[] = [
  // Shape of the fields.
  ['an unknown field', vigos, (t) => (t.lambda = 1), /Unrecognized key: "lambda"/],
  ['an unknown field of a term', vigos, (t) => (t.terms.reference.wieght = 1), /"wieght"[\s\S]*terms\.reference/],
  ['an unknown kind of term', vigos, (t) => (t.terms.reference.kind = 'distil'), /terms\.reference\.kind/],
  ['a divergence without its β in (0, 1)', vigos, (t) => (t.terms.reference.divergence = { jsd: 1 }), /terms\.reference\.divergence/],
  ['weights of nobody', vigos, (t) => (t.views.reference.weights = 'oracle'), /views\.reference\.weights/],
  ['a thing nobody sees', vigos, (t) => (t.views.reference.sees = ['sound']), /views\.reference\.sees\[0\]/],
  ['a clip of 0', vigos, (t) => (t.terms.reference.clip.token = 0), /terms\.reference\.clip\.token/],
  ['a temperature of 0', vigos, (t) => (t.terms.reference.temperature = 0), /terms\.reference\.temperature/],
  ['a quantile of 1', vgs, (t) => (t.terms.preservation.gates = [{ above: 1, factor: 1 }]), /terms\.preservation\.gates\[0\]\.above/],
  ['gates that are none', vgs, (t) => (t.terms.preservation.gates = []), /terms\.preservation\.gates/],
  ['positions of neither', vigos, (t) => (t.terms.reference.on = {}), /positions of valid or of invalid rollouts/],
  ['a segment of invalid rollouts', vigos, (t) => (t.terms.reference.on = { invalid: 'reasoning' }), /terms\.reference\.on/],
  ['a target of no views', vgs, (t) => (t.terms.visual.target = { sum: [] }), /terms\.visual\.target/],
  ['a scale of 0', vgs, (t) => (t.scale = 0), /scale/],
  ['a name with spaces', vgs, (t) => (t.name = 'my method'), /a name of letters, digits and hyphens/],
  ['a decay beyond 1', vigos, (t) => (t.ema = { decay: 1.5 }), /ema\.decay/],
  ['a ratio clip of 1', methods.get('grpo') ?? vigos, (t) => (t.terms.correctness.ratioClip.low = 1), /terms\.correctness\.ratioClip\.low/],
  ['a part without an opening', vigos, (t) => (t.format.parts[0].open = ''), /format\.parts\[0\]\.open/],
  ['no terms at all', vigos, (t) => delete t.terms, /terms/],
  // The format.
  [
    'two parts of one name',
    vigos,
    (t) => (t.format.parts[1].segment = 'description'),
    /^ {2}format\.parts\[1\]: the segment description exists already; name each part differently, and not all, delimiters, end, other$/m,
  ],
  [
    'a part with a name that every rollout has',
    vigos,
    (t) => (t.format.parts[0].segment = 'all'),
    /^ {2}format\.parts\[0\]: the segment all exists already/m,
  ],
  [
    'a balanced part without a brace',
    vigos,
    (t) => (t.format.parts[2].open = '\\boxed'),
    /^ {2}format\.parts\[2\]: open is \\boxed, but a part that closes "balanced" must open with a brace/m,
  ],
  // Views.
  [
    'a view of two images',
    vigos,
    (t) => (t.views.reference.sees = ['image', 'blackImage', 'problem', 'reference']),
    '  views.reference: sees image and blackImage; a view sees one image at most',
  ],
  [
    'a view that sees a thing twice',
    vigos,
    (t) => (t.views.reference.sees = ['image', 'problem', 'problem', 'reference']),
    '  views.reference: sees image, problem, problem, reference: something stands twice',
  ],
  [
    'a view that sees nothing and has no prompt',
    vigos,
    (t) => (t.views.perception.sees = []),
    '  views.perception: sees nothing without a prompt; without one a view sees an image and nothing else',
  ],
  [
    'a view that sees a problem and has no prompt',
    vigos,
    (t) => (t.views.perception.sees = ['image', 'problem']),
    /^ {2}views\.perception: sees image, problem without a prompt/m,
  ],
  [
    'a view with a problem alone and no prompt',
    vigos,
    (t) => (t.views.perception.sees = ['problem']),
    /^ {2}views\.perception: sees problem without a prompt/m,
  ],
  [
    'a prompt that is not there',
    vigos,
    (t) => (t.views.reference.prompt = 'formal'),
    '  views.reference: there is no prompt formal; there are structured, reasonWithReference, fullFormatWithReference',
  ],
  [
    'a prompt named like a property of every object',
    vigos,
    (t) => (t.views.reference.prompt = 'toString'),
    /^ {2}views\.reference: there is no prompt toString/m,
  ],
  [
    'a prompt that shows what the view does not see',
    vigos,
    (t) => (t.views.reference.sees = ['image', 'problem']),
    '  views.reference: its prompt fullFormatWithReference shows {reference}, which the view does not see',
  ],
  [
    'a view whose prompt does not show what it sees',
    vigos,
    (t) => (t.prompts.fullFormatWithReference.user = '{problem}'),
    '  views.reference: sees the reference, but its prompt fullFormatWithReference has no {reference}',
  ],
  [
    'a system turn that shows what is not seen',
    vigos,
    (t) => (t.prompts.structured.system = '{reference}'),
    '  views.student: its prompt structured shows {reference}, which the view does not see',
  ],
  [
    'a view that reads from a part that is not there',
    vigosReleased,
    (t) => (t.views.reasoning.reads.from = 'thinking'),
    /^ {2}views\.reasoning\.reads: the format has no part thinking; there are description, reasoning, answer$/m,
  ],
  [
    'a view that reads from all',
    vigosReleased,
    (t) => (t.views.reasoning.reads.from = 'all'),
    /^ {2}views\.reasoning\.reads: the format has no part all/m,
  ],
  ['an average without its decay', vigos, ema, '  views.reference: has the weights "ema", but ema.decay is not given'],
  ['a decay without an average', vigos, (t) => (t.ema = { decay: 0.9 }), '  ema: no view has the weights "ema"; remove it'],
  // Rollouts.
  [
    'rollouts under a view that is not there',
    vigos,
    (t) => (t.rollout.view = 'author'),
    '  rollout.view: there is no view author; there are student, perception, reasoning, reference',
  ],
  [
    'rollouts by the student under a teacher',
    vigos,
    (t) => (t.rollout.view = 'perception'),
    '  rollout.view: perception has the weights "base", but rollouts by student need a view of "student"',
  ],
  [
    'rollouts by the teacher under the student',
    vgs,
    (t) => (t.rollout.by = 'teacher'),
    '  rollout.view: student has the weights "student", but rollouts by teacher need a view of "teacher"',
  ],
  [
    'rollouts of one who reads a part',
    vigosReleased,
    (t) => (t.views.student.reads = { from: 'description' }),
    /^ {2}rollout\.view: student reads only a part of what it is to write; let it read all$/m,
  ],
  // Visual dependency.
  ['a dependency on a view that is not there', vgs, (t) => (t.dependency.blind = 'blind'), /^ {2}dependency\.blind: there is no view blind/m],
  [
    'a dependency of a view that trains',
    vgs,
    (t) => (t.dependency = { sighted: 'student', blind: 'studentBlind' }),
    /^ {2}dependency\.sighted: student trains; visual dependency is measured between frozen views$/m,
  ],
  ['a sighted view without an image', vgs, (t) => (t.dependency.sighted = 'teacherBlind'), '  dependency.sighted: teacherBlind sees no image'],
  ['a blind view with an image', vgs, (t) => (t.dependency.blind = 'teacher'), '  dependency.blind: teacher sees an image'],
  [
    'a dependency of different weights',
    vgs,
    (t) => (t.views.teacherBlind.weights = 'base'),
    '  dependency: its views have different weights; they must differ in the image alone',
  ],
  [
    'gates without a dependency',
    vgs,
    (t) => (t.dependency = null),
    "  terms.preservation.gates: visual dependency needs its two views: give the method's dependency",
  ],
  [
    'gates that descend',
    vgs,
    (t) =>
      (t.terms.preservation.gates = [
        { above: 0.7, factor: 1 },
        { above: 0.4, factor: 0.5 },
      ]),
    '  terms.preservation.gates: quantiles must ascend',
  ],
  [
    'gates that stand twice',
    vgs,
    (t) =>
      (t.terms.preservation.gates = [
        { above: 0.7, factor: 1 },
        { above: 0.7, factor: 0.5 },
      ]),
    '  terms.preservation.gates: quantiles must ascend',
  ],
  // Terms.
  ['no terms', vigos, (t) => (t.terms = {}), '  terms: there is none of a weight other than 0: nothing would train'],
  [
    'terms of no weight',
    vigos,
    (t) => {
      for (const term of Object.values(t.terms as Record<string, Loose>)) term.weight = 0
    },
    '  terms: there is none of a weight other than 0: nothing would train',
  ],
  [
    'a student that is not there',
    vigos,
    (t) => (t.terms.reference.student = 'pupil'),
    '  terms.reference.student: there is no view pupil; there are student, perception, reasoning, reference',
  ],
  [
    'a student that is frozen',
    vigos,
    (t) => (t.terms.reference.student = 'perception'),
    '  terms.reference.student: perception has the weights "base", which do not train',
  ],
  [
    'a student that sees the answer',
    vigos,
    (t) => {
      t.views.reasoning.weights = 'student'
      t.terms.reference.student = 'reasoning'
      delete t.terms.reasoning
    },
    '  terms.reference.student: reasoning sees the reference, which it will not have when it is used',
  ],
  [
    'a segment that the format does not make',
    vigos,
    (t) => (t.terms.perception.on = { valid: 'summary' }),
    '  terms.perception.on: the format makes no segment summary; there are description, reasoning, answer, all, delimiters, end, other',
  ],
  [
    'one such segment of several',
    vigos,
    (t) => (t.terms.reasoning.on = { valid: ['reasoning', 'proof'] }),
    /^ {2}terms\.reasoning\.on: the format makes no segment proof/m,
  ],
  [
    'a range from what is no part',
    vigos,
    (t) => (t.terms.reasoning.on = { valid: { from: 'delimiters', through: 'answer' } }),
    /^ {2}terms\.reasoning\.on: the format has no part delimiters/m,
  ],
  [
    'a range that runs backwards',
    vigos,
    (t) => (t.terms.reasoning.on = { valid: { from: 'answer', through: 'reasoning' } }),
    '  terms.reasoning.on: answer comes after reasoning',
  ],
  ['a target that is not there', vigos, (t) => (t.terms.reference.target = 'answer'), /^ {2}terms\.reference\.target: there is no view answer/m],
  [
    'a teacher that would train',
    vigos,
    (t) => (t.views.reference.weights = 'student'),
    /^ {2}terms\.reference\.target: reference would train: it has the student's weights\. Use "base", "ema" or "teacher", or say what is meant/m,
  ],
  [
    'a gradient to frozen weights',
    vgs,
    (t) => (t.terms.visual.target.sum[1].gradient = 'flows'),
    '  terms.visual.target: no gradient can flow to teacher: its weights are "teacher"',
  ],
  [
    'a gradient to a target over few entries',
    vgs,
    (t) => {
      t.terms.visual.target.sum[0].gradient = 'flows'
      t.terms.visual.over = { topK: 3, of: 'target' }
    },
    '  terms.visual.target: a gradient flows through a target only over the whole vocabulary',
  ],
  [
    'a comparison with itself',
    vigos,
    (t) => (t.terms.reference.target = 'student'),
    /^ {2}terms\.reference\.target: student would be compared with itself$/m,
  ],
  [
    'a comparison with itself as a sum',
    vigos,
    (t) => (t.terms.reference.target = { sum: [{ view: 'student', times: 2 }] }),
    '  terms.reference.target: student would be compared with itself',
  ],
  [
    'a forward divergence of the sampled token',
    vigos,
    (t) => (t.terms.perception.over = 'sampledToken'),
    '  terms.perception.over: the sampled token estimates reverseKl only',
  ],
  [
    'a clip that bounds nothing',
    vigos,
    (t) => (t.terms.reference.clip = { how: 'scale' }),
    '  terms.reference.clip: it bounds nothing; give token, first or last, or null for none',
  ],
  [
    'a teacher that has not read what it judges',
    vigosReleased,
    (t) => (t.terms.reasoning.on = { valid: 'description' }),
    "  terms.reasoning.on: reasoning reads from reasoning on only, so the term's tokens must lie there, in valid rollouts",
  ],
  [
    'such a teacher on several segments',
    vigosReleased,
    (t) => (t.terms.reasoning.on = { valid: ['reasoning', 'description'] }),
    /^ {2}terms\.reasoning\.on: reasoning reads from reasoning on only/m,
  ],
  [
    'such a teacher on a range',
    vigosReleased,
    (t) => (t.terms.reasoning.on = { valid: { from: 'description', through: 'answer' } }),
    /^ {2}terms\.reasoning\.on: reasoning reads from reasoning on only/m,
  ],
  [
    'such a teacher on invalid rollouts',
    vigosReleased,
    (t) => (t.terms.reasoning.on = { valid: 'answer', invalid: 'all' }),
    /^ {2}terms\.reasoning\.on: reasoning reads from reasoning on only/m,
  ],
  [
    'such a teacher on everything',
    vigosReleased,
    (t) => (t.terms.reasoning.on = 'all'),
    /^ {2}terms\.reasoning\.on: reasoning reads from reasoning on only/m,
  ],
  [
    'such a teacher on delimiters',
    vigosReleased,
    (t) => (t.terms.reasoning.on = { valid: 'delimiters' }),
    /^ {2}terms\.reasoning\.on: reasoning reads from reasoning on only/m,
  ],
  [
    'reinforcement of answers by others',
    methods.get('grpo') ?? vigos,
    (t) => (t.rollout.by = 'data'),
    '  terms.correctness: rollouts by data cannot reinforce the student; they must be its own',
  ],
  [
    'rewards of nothing',
    methods.get('grpo') ?? vigos,
    (t) => (t.terms.correctness.rewards = { correct: 0 }),
    '  terms.correctness.rewards: nothing earns a reward; give correct or valid a number',
  ],
  [
    'a reward for a format without parts',
    methods.get('grpo') ?? vigos,
    (t) => {
      t.format.parts = []
      t.terms.correctness.rewards = { valid: 1 }
    },
    '  terms.correctness.rewards: every rollout is valid: the format has no parts',
  ],
  // Scale.
  [
    'a scale by a term that is not there',
    languageSteering,
    (t) => t.scale.under.push('visual'),
    /^ {2}scale: there is no term visual; there are standard, language, visualPreservation$/m,
  ],
  [
    'a scale that compares a sum with itself',
    languageSteering,
    (t) => (t.scale.under = ['standard']),
    '  scale: keep must be a part of under, and not all of it',
  ],
  [
    'a scale that keeps a gradient of nothing',
    languageSteering,
    (t) => (t.terms.standard.weight = 0),
    '  scale: the terms to keep have the weight 0: they have no gradient to keep',
  ],
  [
    'a scale that keeps what is not under it',
    languageSteering,
    (t) => (t.scale.keep = ['visualPreservation']),
    '  scale: keep must be a part of under, and not all of it',
  ],
]

for (const [what, method, change, said] of nonsense) {
  test(`refused: ${what}`, () => {
    const message = refusal(changed(method, change))
    if (typeof said === 'string') assert.equal(message, `method ${method.name}:\n${said}`)
    else assert.match(message, said)
  })
}

test('everything that is wrong is said at once', () => {
  const message = refusal(
    changed(vigos, (t) => {
      t.terms.reference.target = 'nobody'
      t.rollout.view = 'perception'
    }),
  )
  assert.equal(message.split('\n').length, 3)
  assert.match(refusal(null as never), /^method:\n/)
})

test('every preset is accepted, unchanged by a second reading, and survives JSON', () => {
  assert.equal(methods.size, 23)
  for (const [name, method] of methods) {
    assert.equal(method.name, name)
    assert.deepEqual(defineMethod(JSON.parse(JSON.stringify(method)) as MethodTable), method)
  }
})

test('edges that make sense are accepted', () => {
  const accepted = (method: Method, change: (table: Loose) => void): Method => defineMethod(changed(method, change))
  accepted(vigosReleased, (t) => (t.terms.reasoning.on = { valid: 'end' }))
  accepted(vigosReleased, (t) => (t.terms.reasoning.on = { valid: ['answer', 'end'] }))
  accepted(vigos, (t) => (t.terms.reference.on = { valid: ['delimiters', 'end', 'other', 'all'] }))
  accepted(vigos, (t) => (t.terms.reference.clip = { first: 0.1 }))
  accepted(vgs, (t) => (t.terms.visual.target.sum[0].gradient = 'flows'))
  accepted(vgs, (t) => {
    t.views.teacher.sees = ['nextImage', 'problem']
    t.views.teacherBlind.sees = ['blackImage', 'problem']
  })
  accepted(vigos, (t) => (t.views.perception.sees = ['blackImage']))
  accepted(vigos, (t) => {
    ema(t)
    t.ema = { decay: 0 }
  })
  accepted(methods.get('grpo') ?? vigos, (t) => (t.terms.correctness.rewards = { valid: 0.5 }))
})

test('what makes little sense but some is accepted', () => {
  const negative = defineMethod(changed(vigos, (t) => (t.terms.perception.weight = -0.5)))
  assert.equal(activeTerms(negative).length, 3)
  defineMethod(
    changed(vgs, (t) => {
      t.terms.visual.target.sum[0].view = 'student'
    }),
  )
  defineMethod(
    changed(methods.get('grpo') ?? vigos, (t) => {
      t.format.parts = []
    }),
  )
})

test('what a method uses, trains and asks', () => {
  assert.deepEqual(commonSegments, ['all', 'delimiters', 'end', 'other'])
  assert.deepEqual([...usedViews(vgs).keys()], ['student', 'studentBlind', 'teacher', 'teacherBlind'])
  assert.deepEqual([...trainedViews(vgs)].sort(), ['student', 'studentBlind'])
  assert.deepEqual([...trainedViews(vigos)], ['student'])
  assert.deepEqual([needsDependency(vgs), needsDependency(vigos)], [true, false])
  const quiet = defineMethod(
    changed(vgs, (t) => {
      t.terms.preservation.weight = 0
      t.terms.visual.weight = 0
    }),
  )
  assert.deepEqual(
    activeTerms(quiet).map(([name]) => name),
    ['standard'],
  )
  assert.deepEqual([...usedViews(quiet).keys()], ['student', 'teacher'])
  assert.deepEqual([[...trainedViews(quiet)], needsDependency(quiet)], [['student'], false])
  const flowing = defineMethod(
    changed(vgs, (t) => {
      t.terms = { visual: t.terms.visual }
      t.terms.visual.target.sum[0].gradient = 'flows'
    }),
  )
  assert.deepEqual([...trainedViews(flowing)].sort(), ['student', 'studentBlind'])
  assert.deepEqual([...trainedViews(defineMethod(changed(vgs, (t) => (t.terms = { visual: t.terms.visual }))))], ['student'])
  const alone = defineMethod(changed(vgs, (t) => (t.terms = { preservation: { ...t.terms.preservation, target: 'teacher' } })))
  assert.deepEqual([...usedViews(alone).keys()], ['student', 'studentBlind', 'teacher', 'teacherBlind'])
})
