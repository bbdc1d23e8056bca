// What each view of a sample reads before the rollout: its turns, worded by its prompt, as token ids and images.

import { ArgumentError } from '../errors.ts'
import type { EncodedImage } from '../processing/patches.ts'
import type { Encoded, Processor, Prompt } from '../processing/processor.ts'
import type { ImageSource, Message, Part } from '../processing/prompt.ts'
import { usedViews } from './check.ts'
import type { Method, View } from './method.ts'

/** What the views of one problem are made of. */
export interface Example {
  readonly problem: string
  /** What views that see the reference are shown. */
  readonly reference: string
  readonly images: readonly ImageSource[]
}

/** Marks in a problem that say where its images stand; without one they stand before it. */
const imageMark = '<image>'

/** The texts of a wording with problem and reference filled in, cut where the problem marks an image. What is filled in is not looked at again. */
function cutTexts(template: string, { problem, reference }: Example): readonly string[] {
  const texts = ['']
  for (const piece of template.split(/(\{problem\}|\{reference\})/)) {
    const [first = '', ...others] = piece === '{problem}' ? problem.split(imageMark) : [piece === '{reference}' ? reference : piece]
    texts[texts.length - 1] += first
    texts.push(...others)
  }
  return texts
}

/** The user's turn: images where the problem marks them, else before the text. Borrowed ones may be of another number: then before the text. */
function parts(texts: readonly string[], images: readonly ImageSource[], borrowed: boolean): readonly Part[] {
  const marks = texts.length - 1
  const shown = images.map((image): Part => ({ type: 'image', image }))
  const worded = (text: string): Part[] => (text === '' ? [] : [{ type: 'text', text }])
  if (marks > 0 && marks === images.length) return texts.flatMap((text, i) => [...worded(text), ...shown.slice(i, i + 1)])
  if (marks > 0 && images.length > 0 && !borrowed) {
    throw new ArgumentError(`the problem marks ${marks} images with ${imageMark}, but ${images.length} are given`)
  }
  return [...shown, ...worded(texts.join('').trim())]
}

/** The turns of a view. @param images what it is shown */
export function promptOf(view: View, prompts: Method['prompts'], example: Example, images: readonly ImageSource[]): Prompt {
  const template = view.prompt === null ? null : (prompts[view.prompt] ?? null)
  const content = parts(cutTexts(template?.user ?? '', example), images, view.sees.includes('nextImage'))
  const system: Message[] = template?.system ? [{ role: 'system', content: cutTexts(template.system, example).join('') }] : []
  return { messages: [...system, { role: 'user', content }], prefill: view.prefill }
}

/** Who reads an image and a prompt: the student and its copies, or another checkpoint with a processor of its own. */
export interface Processors {
  readonly student: Processor
  readonly teacher: Processor | null
}

/** Images as processors see them, each decoded once: views that show the same image share the object, by which its features are found. */
export class ImageCache {
  readonly #encoded = new Map<Processor, Map<ImageSource, Promise<EncodedImage>>>()
  /** By grid. */
  readonly #black = new Map<Processor, Map<string, Promise<EncodedImage>>>()

  /** @throws errors of `Processor.encodeImage` */
  async of(processor: Processor, images: readonly ImageSource[]): Promise<EncodedImage[]> {
    const known = this.#encoded.get(processor) ?? new Map<ImageSource, Promise<EncodedImage>>()
    this.#encoded.set(processor, known)
    const encoded: EncodedImage[] = []
    // One after the other, so that only one image is in memory at full size.
    for (const image of images) {
      const one = known.get(image) ?? processor.encodeImage(image)
      known.set(image, one)
      encoded.push(await one)
    }
    return encoded
  }

  /** Black in the sizes of images: one object for each size, whoever shows it. @throws errors of `Processor.encodeImage` */
  async blackOf(processor: Processor, images: readonly ImageSource[]): Promise<EncodedImage[]> {
    const known = this.#black.get(processor) ?? new Map<string, Promise<EncodedImage>>()
    this.#black.set(processor, known)
    const own = await this.of(processor, images)
    return await Promise.all(
      own.map((image) => {
        const size = image.grid.join()
        const black = known.get(size) ?? blackened(processor, image)
        known.set(size, black)
        return black
      }),
    )
  }
}

/** Black of the same size, so that nothing but the picture differs. */
async function blackened(processor: Processor, { grid: [, height, width] }: EncodedImage): Promise<EncodedImage> {
  const { patchSize } = processor.imageRule
  const [rows, columns] = [height * patchSize, width * patchSize]
  return await processor.encodeImage({ data: new Uint8Array(rows * columns * 3), height: rows, width: columns })
}

/** Whether some view is shown another sample's image. */
export function borrowsImages(method: Method): boolean {
  return [...usedViews(method).values()].some(({ sees }) => sees.includes('nextImage'))
}

/**
 * The contexts of the views that a method uses, for one sample.
 * @param next the sample whose image "nextImage" shows
 * @throws errors of `Processor.encode`
 */
export async function contextsOf(
  method: Method,
  example: Example,
  next: Example,
  processors: Processors,
  cache: ImageCache = new ImageCache(),
): Promise<Map<string, Encoded>> {
  const contexts = new Map<string, Encoded>()
  for (const [name, view] of usedViews(method)) {
    const processor = view.weights === 'teacher' ? processors.teacher : processors.student
    if (processor === null) throw new ArgumentError(`the view ${name} has a teacher's weights, but no teacher is given; set teacher.path`)
    let images: readonly EncodedImage[] = []
    if (view.sees.includes('image')) images = await cache.of(processor, example.images)
    else if (view.sees.includes('nextImage')) images = await cache.of(processor, next.images)
    else if (view.sees.includes('blackImage')) images = await cache.blackOf(processor, example.images)
    contexts.set(name, await processor.encode(promptOf(view, method.prompts, example, images)))
  }
  return contexts
}
