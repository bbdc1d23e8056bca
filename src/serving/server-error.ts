// What is thrown when a model server cannot be used: it says which request, what was wrong with its answer, and what to do.

import { SightlineError } from '../errors.ts'

/** A server refused a request, or kept failing until the tries were used up. No message holds an API key. */
export class ServerError extends SightlineError {
  /** Of the last answer; null where none came. */
  readonly status: number | null
  constructor(message: string, status: number | null, cause?: unknown) {
    super(message, { cause })
    this.status = status
  }
}

/** Characters of a server's text that an error shows. */
const shown = 400

/** A server's text as an error shows it: on one line, without the key, cut to a length. */
export function excerpt(text: string, apiKey: string | null): string {
  // The key goes first: a cut through it would leave a part that is not found.
  const safe = apiKey === null ? text : text.replaceAll(apiKey, '[API key]')
  const line = safe.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim()
  return line.length > shown ? `${line.slice(0, shown)}… (${line.length} characters)` : line
}
