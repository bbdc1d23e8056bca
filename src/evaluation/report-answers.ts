// Some answers to a benchmark for its report: each with its picture, its parts in colour, and what was found of it.

import sharp from 'sharp'
import type { Question } from '../benchmarks/benchmark.ts'
import { type Html, html } from '../report/html.ts'
import { imageSource, type ReportImage, type ReportToken, rolloutCard } from '../report/tokens.ts'
import { imageBytes } from './identity.ts'
import { formOf, type Prompting, segmentsOf } from './modes.ts'
import type { Finished } from './scores.ts'
import type { StoredAnswer, VerdictLine } from './store.ts'

/** Answers of each outcome that are shown, the first of the list. */
const shownOf: { readonly [O in VerdictLine['outcome']]: number } = { right: 3, wrong: 3, undecided: 2 }

/** Characters of an answer and of a problem that are shown, and the side of a picture in pixels. */
const shownText = 2000
const shownSide = 336

export interface ShownAnswer {
  readonly answer: StoredAnswer
  readonly verdict: VerdictLine
}

/** The first answers of each outcome, of different questions, in their order: not chosen by hand. */
export function shownAnswers({ answers, verdicts }: Pick<Finished, 'answers' | 'verdicts'>): ShownAnswer[] {
  const left = { ...shownOf }
  const seen = new Set<string>()
  return answers.flatMap((answer, i) => {
    const verdict = verdicts[i] as VerdictLine
    if (left[verdict.outcome] === 0 || seen.has(answer.id)) return []
    left[verdict.outcome]--
    seen.add(answer.id)
    return [{ answer, verdict }]
  })
}

const cut = (text: string): string => (text.length <= shownText ? text : `${text.slice(0, shownText)}…`)

/** A text in runs of one segment each. */
function runsOf(prompting: Prompting, text: string): ReportToken[] {
  const { segments } = formOf(prompting, text)
  const runs: ReportToken[] = []
  for (let from = 0; from < Math.min(text.length, shownText); ) {
    let to = from + 1
    while (to < Math.min(text.length, shownText) && segments[to] === segments[from]) to++
    const shown = to < shownText || to === text.length ? text.slice(from, to) : `${text.slice(from, to)}…`
    runs.push({ text: shown, segment: segments[from] as string, teacher: null, loss: null, clipped: false, gate: 1 })
    from = to
  }
  return runs
}

async function pictureOf({ id, images }: Question): Promise<ReportImage | null> {
  const [first] = images
  if (first === undefined) return null
  const inside = { width: shownSide, height: shownSide, fit: 'inside', withoutEnlargement: true } as const
  const small = await sharp(await imageBytes(first))
    .rotate()
    .resize(inside)
    .webp({ quality: 82 })
    .toBuffer()
  const which = images.length === 1 ? 'picture' : `first of ${images.length} pictures`
  return { source: imageSource(small, 'image/webp'), alt: `${which} of question ${id}` }
}

/** The answers, one under the other. @param questions by id, with their images */
export async function answerCards(prompting: Prompting, shown: readonly ShownAnswer[], questions: ReadonlyMap<string, Question>): Promise<Html> {
  const style = { segments: segmentsOf(prompting.mode), teachers: [], ground: 'segment' } as const
  const cards: Html[] = []
  for (const { answer, verdict } of shown) {
    const question = questions.get(answer.id)
    if (question === undefined) continue
    const image = await pictureOf(question)
    const { answer: reference, also } = question.expected
    const found = `${verdict.outcome}: ${verdict.given === null ? 'no answer found' : `“${cut(verdict.given)}”`} (${verdict.rule})`
    cards.push(
      rolloutCard({
        ...(image === null ? {} : { image }),
        ...{ problem: cut(question.problem), answer: [reference, ...also].join(' or '), style },
        rollouts: [
          {
            label: `${answer.id}, answer ${answer.index + 1}`,
            ...{ verdict: verdict.valid ? found : `${found}, not of the form asked for` },
            right: verdict.outcome === 'undecided' ? null : verdict.outcome === 'right',
            tokens: runsOf(prompting, answer.text),
          },
        ],
      }),
    )
  }
  return html`<h3>Answers to read</h3><p class="note">The first right, wrong and undecided ones in the order of the questions, not chosen. Coloured: ${style.segments.join(', ')}.</p>${cards}`
}
