// When a failed request is tried again, and how many run at once.

import { setTimeout as delay } from 'node:timers/promises'

/** What waiting needs of the world, so that tests need not wait. */
export interface Waiting {
  /** Milliseconds since 1970. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
  /** @throws the signal's reason once it is aborted */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

export const realWaiting: Waiting = {
  now: Date.now,
  random: Math.random,
  async sleep(milliseconds, signal) {
    signal.throwIfAborted()
    try {
      await delay(milliseconds, undefined, { signal })
    } catch (error) {
      // The timer's own error says less than the reason.
      throw signal.aborted ? signal.reason : error
    }
  },
}

export interface Backoff {
  /** The longest pause after the first failure, in milliseconds; it doubles with each further one. */
  readonly firstMs: number
  /** Where the doubling ends. */
  readonly longestMs: number
}

/**
 * The pause after so many failures (from 1): uniform between nothing and the doubled limit ("full jitter"), so that clients that failed
 * together do not come back together. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015.
 */
export function pauseAfter(failures: number, { firstMs, longestMs }: Backoff, random: () => number): number {
  return random() * Math.min(longestMs, firstMs * 2 ** (failures - 1))
}

/** What a Retry-After header asks for, in milliseconds: seconds or a date (RFC 9110, 10.2.3); null if there is none that can be read. */
export function askedPause(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? ''
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  // Words like "-1" are dates to Date.parse, but not to the standard, whose dates begin with a day's name.
  const date = /^[A-Za-z]{3}/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

/** A bound on what runs at once; who waits goes in turn. */
export class Slots {
  #free: number
  readonly #waiting = new Set<() => void>()

  constructor(count: number) {
    this.#free = count
  }

  /** Waits for a slot; disposing of what comes back frees it. @throws the signal's reason once it is aborted */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free--
    else await this.#turn(signal)
    return { [Symbol.dispose]: () => this.#give() }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = (): void => {
      if (this.#waiting.delete(resolve)) reject(signal.reason)
    }
    this.#waiting.add(resolve)
    signal.addEventListener('abort', leave, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  /** Hands the slot to the next in turn, so that nobody gets in between. */
  #give(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#free++
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}
