// What a run can be told: every field of a configuration once, with its default, its bounds and its help.
//
// Checks, error texts, the JSON Schema for editors, the printed configuration and the table in the documentation are all made from this.

import * as z from 'zod'
import { isObject } from './merge-patch.ts'

const text = z.string().min(1)
const count = z.int().min(1)
const natural = z.int().min(0)

/** A field that may be null, and is null unless it is given. */
const orNull = <T extends z.ZodType>(schema: T): z.ZodPrefault<z.ZodNullable<T>> => z.nullable(schema).prefault(null)

const sources = z
  .union([text, z.array(text).min(1)])
  .transform((given): readonly string[] => (typeof given === 'string' ? [given] : given))
  .describe(
    'Where samples come from, one or a list: a .jsonl, .json or .parquet file, a folder of such files or of images, or hf:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT].',
  )

const column = (what: string): z.ZodPrefault<z.ZodNullable<z.ZodString>> =>
  orNull(text).describe(`Column of ${what}; null: the usual names are tried.`)

/** The fields by which samples are found, for training and for validation. */
const dataset = {
  sources,
  columns: z
    .strictObject({
      problem: column('the problem'),
      images: column('the images'),
      answer: column('the short final answer'),
      solution: column('the worked solution'),
      id: column("the sample's id"),
    })
    .prefault({})
    .describe('What the columns are called.'),
  imageRoot: orNull(text).describe('Folder that relative image paths start from; null: that of the file that names them.'),
  limit: orNull(count).describe('Only the first so many rows; null: all.'),
}

/** Bounds of image sizes, as far as both are given. */
const pixelsFit = ({ minPixels, maxPixels }: { readonly minPixels: number | null; readonly maxPixels: number | null }): boolean =>
  minPixels === null || maxPixels === null || minPixels <= maxPixels

const model = z
  .strictObject({
    path: text.describe('Folder of the checkpoint that is trained, in the format of Hugging Face.'),
    dtype: orNull(z.enum(['stored', 'float32', 'bfloat16'])).describe('What weights are kept in; null: as stored on a GPU, float32 on the CPU.'),
    device: z
      .union([z.enum(['cpu', 'cuda']), z.templateLiteral(['cuda:', z.int()]).refine((name) => !name.includes('-'))])
      .meta({ title: 'cpu, cuda or cuda:N' })
      .default('cpu')
      .describe('Where it computes, and a teacher with it.'),
    minPixels: orNull(count).describe('Images are scaled up to this many pixels at least; null: the bound of the checkpoint.'),
    maxPixels: orNull(count).describe('Images are scaled down to this many pixels at most; null: the bound of the checkpoint.'),
  })
  .refine(pixelsFit, { path: ['maxPixels'], error: 'no fewer than model.minPixels' })
  .describe('The student. All paths are relative to the working directory, not to the file that holds them.')

const teacher = orNull(
  z
    .strictObject({
      path: text.describe('Folder of its checkpoint.'),
      adapter: orNull(text).describe('Folder of a PEFT adapter that is put on it; null for none.'),
      dtype: model.shape.dtype,
      minPixels: model.shape.minPixels,
      maxPixels: model.shape.maxPixels,
    })
    .refine(pixelsFit, { path: ['maxPixels'], error: 'no fewer than teacher.minPixels' }),
).describe('Another checkpoint, for methods with views whose weights are "teacher"; null for none. It computes where the student does.')

const data = z
  .strictObject({
    ...dataset,
    shuffle: z
      .boolean()
      .default(true)
      .describe('Whether every epoch has an order of its own, from the seed; else rows come in the order of the data.'),
    onBad: z
      .enum(['stop', 'skip'])
      .default('stop')
      .describe('What a row does, of validation too, whose image or answer is missing or broken: it stops the run, or is skipped and told.'),
    reference: z.enum(['answer', 'solution']).default('answer').describe('What teachers read where a prompt has {reference}.'),
    response: text
      .refine((template) => /\{(answer|solution)\}/.test(template), { error: 'a text with {answer} or {solution} in it' })
      .default('{solution}')
      .describe('What is imitated where the rollouts of the method come from the data; {answer} and {solution} stand for the columns.'),
  })
  .describe('The samples to train on.')

const validation = orNull(
  z.strictObject({
    ...dataset,
    every: count.default(50).describe('Optimisation steps between two validations.'),
    maxTokens: orNull(count).describe('New tokens of an answer at most; null: rollout.maxTokens.'),
  }),
).describe('Samples that are answered now and then to measure accuracy; null for none. All are decoded once before training.')

const diagnostics = orNull(
  z.strictObject({
    palr: z.boolean().default(true).describe('Whether PALR is measured: how far the answer, and not the image, moves the teachers (ViGOS).'),
    dynamics: z.boolean().default(false).describe('Whether losses and gradients by visual dependency are measured (VGS); about as dear as a step.'),
    every: count.default(20).describe('Optimisation steps between two measurements.'),
    rollouts: count.default(8).describe('Rollouts of a step that are looked at, at most.'),
    wrongAnswers: count.default(1).describe('Wrong answers that PALR shows the teachers in the place of the right one.'),
    cap: orNull(z.number().positive()).describe('Upper bound of its log-ratios in nats; null for none.'),
  }),
).describe('Instruments that look at rollouts before a step learns from them, and change nothing; null for none.')

const moduleNames = z.union([text, z.array(text)])

const adapter = z
  .strictObject({
    rank: count.default(64).describe('Rank of the update of a matrix.'),
    alpha: z.number().positive().default(128).describe('The update is scaled by alpha / rank, or alpha / √rank with rsLora.'),
    dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0.05)
      .describe('Probability with which an input of the update is dropped in training; 0 for terms that learn from sampled tokens (GRPO).'),
    targets: orNull(moduleNames).describe(
      'Modules that are updated: names or their ends, or one regular expression; null: all projections of attention and MLP in the language model.',
    ),
    exclude: moduleNames.default([]).describe('Modules left out of the targets, written alike.'),
    rsLora: z.boolean().default(false).describe('Rank-stabilised scaling (arXiv 2312.03732).'),
    vision: z
      .boolean()
      .default(false)
      .describe('Whether modules of the vision tower may be targets. Frozen, its features are shared by student and teachers.'),
    from: orNull(text).describe(
      'Folder of a PEFT adapter of the same form to begin from; null for a new one. Views with the weights "base" stay the model without it.',
    ),
  })
  .nullable()
  .prefault({})
  .describe('The LoRA adapter that is trained; null: the weights named in parts train themselves.')

const defaultParts = ['language'] as const
const parts = z
  .array(z.enum(['vision', 'merger', 'language']))
  .min(1)
  .default([...defaultParts])
  .describe('Which weights train if adapter is null.')

const rollout = z
  .strictObject({
    samples: count.default(1).describe('Rollouts of one prompt.'),
    maxTokens: count.default(1024).describe('New tokens of a rollout at most.'),
    temperature: z
      .union([z.literal(0), z.number().min(1e-6)])
      .default(1)
      .describe('Divides the logits; 0 takes the most probable token.'),
    topP: z.number().gt(0).max(1).default(1).describe('Keeps the most probable tokens until their sum reaches this share; 1 keeps all.'),
    topK: natural.default(0).describe('Keeps the so many most probable tokens; 0 keeps all.'),
    minP: z.number().min(0).max(1).default(0).describe('Keeps tokens of at least this share of the highest probability; 0 keeps all.'),
    maxRows: count.default(64).describe('Rollouts that are decoded together at most: memory of keys and values.'),
    stop: z.array(text).default([]).describe('Texts that end a rollout, besides the tokens that end one of this model.'),
  })
  .prefault({})
  .describe('How rollouts are written.')

const optimisationFields = z
  .strictObject({
    epochs: z.number().positive().nullable().default(1).describe('How often the data is gone through; null if steps say how long. One of the two.'),
    steps: orNull(count).describe('Optimisation steps in all; null if epochs say how long. One of the two.'),
    batch: count.default(32).describe('Prompts of one optimisation step.'),
    rate: z.number().positive().default(5e-6).describe('Learning rate of AdamW at its peak.'),
    schedule: z.enum(['constant', 'linear', 'cosine']).default('linear').describe('How the rate runs after the warm-up; linear and cosine end at 0.'),
    warmup: natural.default(0).describe('Steps in which the rate rises from 0.'),
    weightDecay: z
      .number()
      .min(0)
      .default(0)
      .describe('Decoupled weight decay: the share of the rate by which matrices (embeddings too) shrink in a step; norms and biases do not.'),
    beta1: z.number().min(0).lt(1).default(0.9).describe('Decay of the running mean of gradients.'),
    beta2: z.number().min(0).lt(1).default(0.999).describe('Decay of the running mean of squared gradients.'),
    eps: z.number().positive().default(1e-8).describe('What is added to the root of that mean before it divides.'),
    maxNorm: z.number().positive().nullable().default(1).describe('Gradients are scaled down to this norm at most; null: they are not.'),
    tokensPerPass: count
      .default(8192)
      .describe('Tokens that are packed into one pass of the model. It decides the memory of a step; the loss does not depend on it.'),
    recompute: z.boolean().default(false).describe('Whether blocks are computed again in the backward pass: less memory, more time.'),
  })
  .refine(({ steps, epochs }) => (typeof steps === 'number') !== (typeof epochs === 'number'), {
    path: ['epochs'],
    error: 'one of epochs and steps as a number and the other null',
    when: ({ value }) => isObject(value),
  })
  .refine(({ steps, warmup }) => !(typeof steps === 'number' && warmup > steps), {
    path: ['warmup'],
    error: 'at most as many steps of warm-up as steps in all',
    when: ({ value }) => isObject(value),
  })

/** Given steps stand in the place of the default epochs; whoever gives both is asked which. */
const stepsOrEpochs = (given: z.input<typeof optimisationFields>): z.input<typeof optimisationFields> =>
  isObject(given) && typeof given.steps === 'number' && given.epochs === undefined ? { ...given, epochs: null } : given

const optimisation = z
  .preprocess(stepsOrEpochs, optimisationFields)
  .prefault({})
  .describe('How long, in which portions and with what the weights are updated.')

const checkpoints = z
  .strictObject({
    every: count.default(50).describe('Optimisation steps between two checkpoints; the last step always has one.'),
    keep: count.default(2).describe('How many of the latest stay, besides the best.'),
    best: orNull(
      z.strictObject({
        metric: text.describe('Name of a metric of this run, such as one of its validation.'),
        goal: z.enum(['max', 'min']).default('max').describe('Which of its values is best.'),
      }),
    ).describe('The checkpoint that is kept for its metric; null for none.'),
  })
  .prefault({})
  .describe('What is saved to go on from.')

const run = z
  .strictObject({
    folder: text.describe('Where the run is written; a new folder, or that of a run to resume.'),
    seed: natural.default(0).describe('Seed of the order of the data, the rollouts, the adapter and its dropout.'),
    transcripts: z
      .strictObject({
        every: count.default(10).describe('Optimisation steps between two transcripts.'),
        rollouts: count.default(8).describe('Rollouts of such a step that are written, token by token.'),
      })
      .nullable()
      .prefault({})
      .describe('Rollouts kept for reading; null for none.'),
    badSteps: count
      .default(5)
      .describe(
        'Steps with a loss or gradients that are not finite are skipped; the run stops at this many in a row (a good step sets the count to 0).',
      ),
    threads: orNull(count.max(1024)).describe('Threads of the CPU; null: one for each core.'),
  })
  .describe('Where the run is kept, and how it is watched.')

export const configSchema = z
  .strictObject({
    model,
    teacher,
    method: text
      .default('vigos')
      .describe('A preset by its name, or a file that holds a method: .json or .yaml, or .ts, .js or .mjs with an export named method.'),
    change: z
      .record(z.string(), z.unknown())
      .default({})
      .describe("Changes of the method's table as a JSON Merge Patch (RFC 7396); null removes, as in terms: {perception: {clip: null}}."),
    data,
    validation,
    diagnostics,
    adapter,
    parts,
    rollout,
    optimisation,
    checkpoints,
    run,
  })
  .refine((given) => given.adapter === null || `${given.parts}` === `${defaultParts}`, {
    path: ['parts'],
    error: 'nothing besides an adapter, which is all that trains then; set adapter to null, or adapter.vision to true',
    when: ({ value }) => isObject(value),
  })
  .describe('A training run of Sightline.')

/** A configuration as it is written: what is left out has its default. */
export type ConfigInput = z.input<typeof configSchema>
/** A configuration as it is run: complete. */
export type Config = z.output<typeof configSchema>
