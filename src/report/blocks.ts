// The pieces of which a report's sections are made: figures with their headings and notes, numbers that matter most, things to open.

import type { Chart } from './chart.ts'
import { type Content, type Html, html } from './html.ts'

/** Widths at which figures are drawn, for wide and for narrow places. The style sheet says where one takes the other's place. */
const widths = { whole: [720, 360], half: [460, 360] } as const

export interface FigureOptions {
  readonly title: string
  /** What is shown, of what, in which units. */
  readonly subtitle?: string
  readonly chart: Chart
  /** Sources, counts, and how to read it. */
  readonly note?: Content
  /** A half stands beside another one in `beside`. */
  readonly size?: 'whole' | 'half'
}

/** A chart with its heading and note. It is drawn for wide and for narrow screens, of which the page shows one, so that text stays readable. */
export function figure({ title, subtitle, chart, note = null, size = 'whole' }: FigureOptions): Html {
  const described = subtitle === undefined ? { title } : { title, description: subtitle }
  const drawn = widths[size].map((width, i) => html`<div class="${i === 0 ? 'wide' : 'narrow'}">${chart({ ...described, width })}</div>`)
  return html`<figure class="${size}"><div class="sheet"><figcaption><b>${title}</b>${subtitle === undefined ? null : html` <span>${subtitle}</span>`}</figcaption>
<div class="drawn">${drawn}</div>${note === null ? null : html`<p class="note">${note}</p>`}</div></figure>`
}

/** Things side by side where there is room. */
export function beside(...things: readonly Html[]): Html {
  return html`<div class="beside">${things}</div>`
}

export interface KeyFigure {
  readonly label: string
  readonly value: string
  readonly note?: string
}

/** The few numbers that a reader should take away. */
export function keyFigures(figures: readonly KeyFigure[]): Html {
  const items = figures.map(
    ({ label, value, note }) => html`<div><dt>${label}</dt><dd><b>${value}</b>${note === undefined ? null : html` <span>${note}</span>`}</dd></div>`,
  )
  return html`<dl class="key">${items}</dl>`
}

/** Something that opens when it is asked for. It needs no script. */
export function details(summary: Content, body: Content): Html {
  return html`<details><summary>${summary}</summary>${body}</details>`
}

export function paragraph(text: Content): Html {
  return html`<p>${text}</p>`
}
