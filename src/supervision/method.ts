// The language in which methods are written: a table of views, terms and weights that the trainer executes without knowing its name.
//
// Everything here is plain data, so a run folder can store it and a viewer can draw it. What a table means is in docs/methods.md; what makes
// sense beyond the shape of single fields is checked in check.ts.

import * as z from 'zod'

const name = z.string().regex(/^[a-zA-Z][a-zA-Z0-9-]*$/, 'a name of letters, digits and hyphens that begins with a letter')

/** What can stand in a view's context. At most one of the images. */
export const seenThings = ['image', 'blackImage', 'nextImage', 'problem', 'reference'] as const
/** Whose weights score: the one that trains, its frozen beginning, its moving average, another checkpoint. */
export const weightSources = ['student', 'base', 'ema', 'teacher'] as const

const prompt = z
  .strictObject({
    system: z.string().nullable().default(null).describe('A system turn; null for none.'),
    user: z.string().describe('The user turn after the images, with {problem} and {reference} where these go.'),
  })
  .describe('Wording of a context.')

const part = z.strictObject({
  segment: name.describe('What the segment is called.'),
  open: z.string().min(1).describe('Text that begins the part, such as <think>.'),
  close: z.union([z.string().min(1), z.literal('balanced')]).describe('Text that ends it, or "balanced": the brace that closes the one in `open`.'),
  mayBeEmpty: z.boolean().default(false).describe('Whether a rollout is valid if the segment holds no token.'),
})

const format = z
  .strictObject({
    parts: z.array(part).readonly().default([]).describe('In the order in which a valid rollout has them; none: every rollout is valid.'),
  })
  .describe('The form of an answer, by which its tokens are divided into segments.')

const view = z.strictObject({
  weights: z.enum(weightSources).describe('Whose weights score the tokens.'),
  sees: z
    .array(z.enum(seenThings))
    .readonly()
    .describe("What is in its context: an image (its own, a black one, or the next sample's), problem, reference."),
  prompt: name.nullable().default(null).describe('Which of the prompts words its context; null: a user turn with the image alone.'),
  prefill: z.string().default('').describe("Text of the assistant's turn before the rollout."),
  reads: z
    .union([z.literal('all'), z.strictObject({ from: name })])
    .default('all')
    .describe('Which part of the rollout it reads: all, or from the beginning of a segment on (of valid rollouts).'),
})

const range = z.strictObject({ from: name, through: name }).describe('From the first token of one segment to the closing delimiter of another.')
const positions = z.union([name, z.array(name).min(1).readonly(), range])

const on = z
  .union([
    z.literal('all'),
    z
      .strictObject({ valid: positions.optional(), invalid: z.literal('all').optional() })
      .refine((value) => value.valid !== undefined || value.invalid !== undefined, {
        error: 'positions of valid or of invalid rollouts',
      }),
  ])
  .default('all')
  .describe('Which tokens: of valid rollouts by segment, of invalid ones all; "all" is every token of every rollout.')

const gates = z
  .array(
    z.strictObject({
      above: z.number().min(0).lt(1).describe('Quantile of visual dependency over the batch, such as 0.7.'),
      factor: z.number().describe("What multiplies the term's weight above it; the highest quantile that a token exceeds counts."),
    }),
  )
  .min(1)
  .readonly()
  .nullable()
  .default(null)
  .describe('Factors by quantiles of visual dependency (VGS, eq. 12, 16 and 24); tokens above none of them count with 0. null: no gate.')

const clip = z
  .strictObject({
    token: z.number().positive().nullable().default(null).describe("Upper bound of a token's divergence; null for none."),
    first: z.number().positive().nullable().default(null).describe("The same for the term's first token in a rollout."),
    last: z.number().positive().nullable().default(null).describe("The same for the term's last token in a rollout."),
    how: z
      .enum(['clamp', 'scale'])
      .default('clamp')
      .describe('clamp: a token above the bound gives no gradient (ViGOS); scale: its gradient is scaled so that its share is the bound.'),
  })
  .nullable()
  .default(null)
  .describe('Bounds of per-token values; null for none.')

const mean = z
  .enum(['tokens', 'responses'])
  .default('tokens')
  .describe('Mean over all tokens of the batch, or over the tokens of each response and then over responses.')

const shared = {
  student: name.default('student').describe('The view whose distribution is trained.'),
  on,
  mean,
  weight: z.number().default(1).describe('What multiplies the term.'),
}

const summand = z.strictObject({
  view: name,
  times: z.number().describe('What multiplies its log-probabilities.'),
  gradient: z.enum(['stopped', 'flows']).default('stopped').describe('Whether the loss also trains this view, which must then be a student view.'),
})

const distill = z.strictObject({
  kind: z.literal('distill'),
  ...shared,
  target: z
    .union([name, z.strictObject({ sum: z.array(summand).min(1).readonly() })])
    .describe('A view, or a distribution built from views: softmax of a sum of log-probabilities (VGS, eq. 10).'),
  divergence: z
    .union([z.enum(['forwardKl', 'reverseKl']), z.strictObject({ jsd: z.number().gt(0).lt(1) })])
    .describe('forwardKl = KL(target‖student), reverseKl = KL(student‖target), jsd with its β.'),
  over: z
    .union([
      z.enum(['vocabulary', 'sampledToken']),
      z.strictObject({
        topK: z.int().positive().describe('How many entries are compared one by one.'),
        of: z.enum(['target', 'student']).describe('Whose most probable entries.'),
        tail: z.boolean().default(true).describe('Whether all others are compared as one bucket; else the entries are renormalised.'),
      }),
    ])
    .default('vocabulary')
    .describe('The whole vocabulary, the top k entries, or the sampled token alone (a policy gradient).'),
  temperature: z.number().positive().default(1).describe('Divides the logits of both sides.'),
  gates,
  clip,
})

const imitate = z
  .strictObject({ kind: z.literal('imitate'), ...shared })
  .describe("Cross-entropy of the rollout's own tokens: supervised fine-tuning.")

const reinforce = z.strictObject({
  kind: z.literal('reinforce'),
  ...shared,
  rewards: z.partialRecord(z.enum(['correct', 'valid']), z.number()).describe('What a rollout earns for a correct answer and for a valid format.'),
  advantage: z
    .enum(['group', 'groupCentred'])
    .default('group')
    .describe('Reward less the mean over the rollouts of one prompt; "group" also divides by their standard deviation (GRPO).'),
  ratioClip: z
    .strictObject({ low: z.number().min(0).lt(1).default(0.2), high: z.number().min(0).default(0.2) })
    .prefault({})
    .describe('The probability ratio to the policy that wrote the rollout is clipped to [1 − low, 1 + high].'),
})

const term = z.discriminatedUnion('kind', [distill, imitate, reinforce])

const scale = z
  .union([
    z.number().positive(),
    z.strictObject({
      keep: z.array(name).min(1).readonly().describe('Terms whose gradient norm is kept,'),
      under: z.array(name).min(1).readonly().describe('when these terms are added up: η = ‖∇keep‖ / ‖∇under‖ (VGS, eq. 15).'),
      every: z.int().positive().default(1).describe('Steps between two measurements.'),
    }),
  ])
  .default(1)
  .describe('What multiplies the sum of all terms: a number η, or one that is measured.')

export const methodSchema = z.strictObject({
  name: name.describe('What the method is called in reports.'),
  source: z.string().default('').describe('The paper, and where in it.'),
  rollout: z
    .strictObject({
      by: z.enum(['student', 'teacher', 'data']).default('student').describe('Who writes the answers that are scored.'),
      view: name.default('student').describe('The view under whose prompt and prefill they are written.'),
    })
    .prefault({}),
  format: format.prefault({}),
  prompts: z.record(name, prompt).default({}),
  views: z.record(name, view),
  dependency: z
    .strictObject({ sighted: name, blind: name })
    .nullable()
    .default(null)
    .describe('Visual dependency of a token: KL(sighted‖blind) of two frozen views (VGS, eq. 12).'),
  ema: z
    .strictObject({ decay: z.number().min(0).max(1) })
    .nullable()
    .default(null)
    .describe('For views with the weights "ema"; updated after each step.'),
  terms: z.record(name, term),
  scale,
})

/** A method as it is written: what is left out has its default. */
export type MethodTable = z.input<typeof methodSchema>
/** A method as it is executed: complete. */
export type Method = z.output<typeof methodSchema>
export type View = Method['views'][string]
export type PromptTemplate = Method['prompts'][string]
export type Format = Method['format']
export type Term = Method['terms'][string]
export type DistillTerm = Extract<Term, { kind: 'distill' }>
export type ReinforceTerm = Extract<Term, { kind: 'reinforce' }>
export type Positions = z.output<typeof positions>
export type WeightSource = (typeof weightSources)[number]
export type Seen = (typeof seenThings)[number]
