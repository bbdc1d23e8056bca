// Rollouts as their tokens: which segment each belongs to, which teacher supervised it, how much it cost, what drove the teacher.

import { ArgumentError } from '../errors.ts'
import { type Content, type Html, html } from './html.ts'
import { significant } from './numbers.ts'
import { seriesColours } from './palette.ts'
import { lossSteps, shareGrades } from './token-scale.ts'

export interface ReportToken {
  readonly text: string
  readonly segment: string
  /** null where no teacher supervises it. */
  readonly teacher: string | null
  /** In nats; null where nothing supervises it. */
  readonly loss: number | null
  /** Whether the loss reached its bound, so that the token teaches nothing. */
  readonly clipped: boolean
  /** What multiplies its loss; 0 where the gate is shut, 1 where there is none. */
  readonly gate: number
  /** Of what the teacher adds here: the share that comes from the image, against the answer; from 0 to 1. */
  readonly imageShare?: number
}

/** How tokens are shown, for the legend and for all rollouts that share it. */
export interface TokenStyle {
  /** Segments that have a colour, in the order of colours; all others stay grey. */
  readonly segments: readonly string[]
  /** In the order of colours, which begins after the segments'. */
  readonly teachers: readonly string[]
  /** What the ground shows. */
  readonly ground: 'segment' | 'imageShare'
}

const colourOf = (index: number): number => index % seriesColours.length

function teacherColour(teacher: string, { segments, teachers }: TokenStyle): number {
  const index = teachers.indexOf(teacher)
  if (index === -1) throw new ArgumentError(`a token has the teacher "${teacher}"; the style names ${teachers.join(', ') || 'none'}`)
  return colourOf(segments.length + index)
}

function ground(token: ReportToken, { segments, ground: shows }: TokenStyle): string {
  if (shows === 'imageShare') return token.imageShare === undefined ? '' : `m${Math.round(token.imageShare * shareGrades)}`
  const index = segments.indexOf(token.segment)
  return index === -1 ? 'g' : `b${colourOf(index)}`
}

/** What the tooltip says: the token as it is, and its numbers. */
function titleOf(token: ReportToken): string {
  const { text, segment, teacher, loss, clipped, gate, imageShare } = token
  const parts = [
    JSON.stringify(text),
    segment,
    teacher === null ? 'no teacher' : `teacher ${teacher}`,
    loss === null ? '' : `loss ${significant(loss)}`,
    clipped ? 'at its bound' : '',
    gate === 1 ? '' : `weight × ${significant(gate)}`,
    imageShare === undefined ? '' : `${Math.round(100 * imageShare)} % from the image`,
  ]
  return parts.filter((part) => part !== '').join(' · ')
}

/** Text with marks where a reader would see nothing. The marks are drawn by the style sheet, so that copied text is the rollout's own. */
function faithful(text: string): Content {
  if (text === '') return html`<i class="none"></i>`
  return text.split(/(\n|\t| {2,}|^ $| $)/).map((part) => {
    if (part === '') return null
    if (part === '\n') return html`<i class="nl"></i>\n`
    if (part === '\t') return html`<i class="tab">\t</i>`
    return / {2,}/.test(part) || part === ' ' ? [...part].map(() => html`<i class="sp"> </i>`) : part
  })
}

function check(token: ReportToken, index: number): void {
  const { loss, gate, imageShare } = token
  const bad =
    loss !== null && !Number.isFinite(loss)
      ? `loss is ${loss}`
      : !Number.isFinite(gate)
        ? `gate is ${gate}`
        : imageShare !== undefined && !(imageShare >= 0 && imageShare <= 1)
          ? `imageShare is ${imageShare}, expected 0 to 1`
          : null
  if (bad !== null) throw new ArgumentError(`token ${index} (${JSON.stringify(token.text)}): ${bad}`)
}

/** A rollout's tokens, in order; whitespace and line breaks as they are. */
export function tokenText(tokens: readonly ReportToken[], style: TokenStyle): Html {
  const shown = tokens.map((token, i) => {
    check(token, i)
    const underline =
      token.teacher === null ? '' : `u${teacherColour(token.teacher, style)} w${lossSteps.filter((step) => (token.loss ?? 0) >= step).length}`
    const classes = [ground(token, style), underline, token.clipped ? 'cl' : '', token.gate === 0 ? 'shut' : '']
    return html`<span class="${classes.filter((name) => name !== '').join(' ')}" title="${titleOf(token)}">${faithful(token.text)}</span>`
  })
  return html`<div class="tokens">${shown}</div>`
}

/** What colours and lines of tokens mean. */
export function tokenLegend(style: TokenStyle): Html {
  const { segments, teachers, ground: shows } = style
  const grounds =
    shows === 'segment'
      ? [
          ...segments.map((name, i) => html`<li><span class="b${colourOf(i)}">${name}</span></li>`),
          html`<li><span class="g">outside of these</span></li>`,
        ]
      : [html`<li>driven by the answer ${[0, 2, 5, 8, shareGrades].map((grade) => html`<span class="m${grade}">\u2003</span>`)} by the image</li>`]
  const lines = teachers.map((name) => html`<li><span class="u${teacherColour(name, style)} w3">teacher: ${name}</span></li>`)
  const [example] = teachers
  const steps = ['below', ...lossSteps.map((step) => `≥\u202f${step}`)]
  const losses =
    example === undefined
      ? null
      : html`<li>loss ${steps.map((text, i) => html`<span class="u${teacherColour(example, style)} w${i}">${text}</span> `)} nats</li>`
  const marks = html`<li><span class="cl">at its bound</span></li><li><span class="shut">weight 0</span></li>`
  return html`<ul class="tokenkey tokens">${[grounds, lines, losses, marks]}</ul>`
}

const imageTypes = ['image/png', 'image/jpeg', 'image/webp', 'image/gif'] as const

/** A picture within the page itself. */
export interface ReportImage {
  /** A data address. */
  readonly source: string
  /** What it shows, for those who do not see it. */
  readonly alt: string
  /** Whether its pixels stay squares when it is enlarged. */
  readonly pixelated?: boolean
}

/** The data address of an image file's bytes. */
export function imageSource(bytes: Uint8Array, type: (typeof imageTypes)[number]): string {
  return `data:${type};base64,${Buffer.from(bytes).toString('base64')}`
}

export interface RolloutView {
  /** Such as "before" or "after 60 steps of ViGOS". */
  readonly label: string
  readonly verdict: string
  /** null where there is nothing right or wrong. */
  readonly right: boolean | null
  readonly tokens: readonly ReportToken[]
}

/**
 * An image with its question, and what was written for it, side by side where there is room.
 * @throws ArgumentError if an image is not a data address: a report loads nothing
 */
export function rolloutCard(options: {
  readonly image?: ReportImage
  readonly problem: string
  readonly answer: string
  readonly rollouts: readonly RolloutView[]
  readonly style: TokenStyle
}): Html {
  const { image, problem, answer, rollouts, style } = options
  if (image !== undefined && !imageTypes.some((type) => image.source.startsWith(`data:${type};base64,`))) {
    throw new ArgumentError(
      `the image "${image.alt}" begins with "${image.source.slice(0, 24)}"; expected a data address of ${imageTypes.join(', ')}`,
    )
  }
  const picture =
    image === undefined ? null : html`<img src="${image.source}" alt="${image.alt}" class="${image.pixelated === true ? 'pixels' : 'smooth'}"/>`
  const columns = rollouts.map(({ label, verdict, right, tokens }) => {
    const mark = right === null ? '' : right ? '✓ ' : '✗ '
    return html`<div><h4>${label} <span class="${right === null ? 'open' : right ? 'right' : 'wrong'}">${mark}${verdict}</span></h4>${tokenText(tokens, style)}</div>`
  })
  return html`<article class="rollout"><div class="asked">${picture}<p class="problem">${problem}</p><p class="answer">Answer: <b>${answer}</b></p></div>
<div class="written">${columns}</div></article>`
}
