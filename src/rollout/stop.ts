// The text of a sample as it grows, cut where a stop string begins even if several tokens make it.

/** Turns ids that arrive one by one into text: `push` gives what is certain by now, `end` the rest. `Tokenizer.textStream` makes one. */
export interface TextStream {
  push(id: number): string
  end(): string
}

/** Text that leaves only once it can no longer be the start of a stop string. */
export class StopText {
  readonly #stream: TextStream
  readonly #strings: readonly string[]
  #held = ''
  #text = ''

  constructor(stream: TextStream, strings: readonly string[]) {
    this.#stream = stream
    this.#strings = strings
  }

  /** All text that has left so far. */
  get text(): string {
    return this.#text
  }

  /** The text that a token lets go, and whether it completed a stop string; what stands before the first one has then left. */
  push(id: number): { readonly text: string; readonly stopped: boolean } {
    const all = this.#held + this.#stream.push(id)
    const starts = this.#strings.map((stop) => all.indexOf(stop)).filter((start) => start >= 0)
    if (starts.length > 0) {
      this.#held = ''
      return { text: this.#leave(all.slice(0, Math.min(...starts))), stopped: true }
    }
    const kept = Math.max(0, ...this.#strings.map((stop) => overlap(all, stop)))
    this.#held = all.slice(all.length - kept)
    return { text: this.#leave(all.slice(0, all.length - kept)), stopped: false }
  }

  /** Whatever was held back, once no token follows. */
  end(): string {
    const rest = this.#held + this.#stream.end()
    this.#held = ''
    return this.#leave(rest)
  }

  #leave(text: string): string {
    this.#text += text
    return text
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) if (stop.startsWith(text.slice(-length))) return length
  return 0
}
