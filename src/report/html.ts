// Writes HTML and SVG in which no text of a model, a data set or a run can become markup: everything is escaped unless it is Html already.

import { styleSheet } from './style.ts'

/** Markup that is safe to put into a page. Made by `html` only, so that a plain string can never be taken for it. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

/** What may stand in a template. null writes nothing; lists are joined without separators. */
export type Content = string | number | Html | null | readonly Content[]

const entities: { readonly [character: string]: string } = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/**
 * Escapes text for an element or a quoted attribute. Control characters, which neither HTML nor XML can hold, become their pictures (U+2400
 * and following); lone surrogates and non-characters become U+FFFD. Tab and newline stay.
 */
export function escapeText(text: string): string {
  return (
    text
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be replaced
      .replace(/[\u0000-\u0008\u000b-\u001f]/g, (control) => String.fromCharCode(0x2400 + control.charCodeAt(0)))
      .replace(/[\u007f-\u009f\ufffe\uffff]/g, (control) => (control === '\u007f' ? '\u2421' : '\ufffd'))
      .replace(/[&<>"']/g, (character) => entities[character] as string)
  )
}

function written(content: Content): string {
  if (content === null) return ''
  if (content instanceof Html) return content.text
  if (typeof content === 'number') return String(content)
  return typeof content === 'string' ? escapeText(content) : content.map(written).join('')
}

/** Markup with values in it, each escaped unless it is Html. Attribute values must stand in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(parts.map((part, i) => (i === 0 ? part : written(values[i - 1] as Content) + part)).join(''))
}

export interface Section {
  readonly title: string
  /** A sentence or two that say what is to be seen. */
  readonly lead?: Content
  readonly body: Content
}

/** From this many sections on the page begins with a list of them. */
const sectionsWithContents = 4

/**
 * A whole page in one file: no script, no font, no address outside of it (a content security policy forbids them), readable at any
 * width, in light and dark, and on paper.
 * @param options.head what stands between subtitle and sections, such as the figures that matter most
 */
export function page(options: {
  readonly title: string
  readonly subtitle?: Content
  readonly head?: Content
  readonly sections: readonly Section[]
  readonly footer?: Content
}): string {
  const { title, subtitle = null, head = null, sections, footer = null } = options
  const links = sections.map((section, i) => html`<li><a href="#s${i + 1}">${section.title}</a></li>`)
  const contents = sections.length < sectionsWithContents ? null : html`<nav aria-label="Contents"><ol>${links}</ol></nav>`
  const bodies = sections.map(
    ({ title: heading, lead = null, body }, i) => html`
<section id="s${i + 1}"><h2>${heading}</h2>
${lead === null ? null : html`<p class="lead">${lead}</p>`}${body}</section>`,
  )
  return html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
<style>${new Html(styleSheet())}</style></head>
<body><header><h1>${title}</h1>${subtitle === null ? null : html`<p class="subtitle">${subtitle}</p>`}</header>
${head}${contents}<main>${bodies}</main>${footer === null ? null : html`<footer>${footer}</footer>`}</body></html>
`.text
}
