// What tests of clients share: waiting that takes no time, and options that fail fast.

import { openServer, type Server, type ServerOptions, serverDefaults } from '../../src/serving/client.ts'
import type { ChatRequest } from '../../src/serving/protocol.ts'
import type { Waiting } from '../../src/serving/waiting.ts'

/** Waiting whose clock is moved by sleeping alone; `pauses` are the sleeps in milliseconds. Chance is always one half. */
export function instantWaiting(start = 0): Waiting & { readonly pauses: readonly number[] } {
  const pauses: number[] = []
  let now = start
  return {
    pauses,
    now: () => now,
    random: () => 0.5,
    async sleep(milliseconds, signal) {
      signal.throwIfAborted()
      pauses.push(milliseconds)
      now += milliseconds
    },
  }
}

/** A server of the test, with pauses that take no time. */
export async function opened(url: string, options: Partial<ServerOptions> = {}, waiting: Waiting = instantWaiting()): Promise<Server> {
  return await openServer({ ...serverDefaults, url, model: 'fake', retries: 3, concurrency: 4, ...options }, undefined, waiting)
}

/** A request for one answer to a question of text alone. */
export const plainRequest: ChatRequest = {
  messages: [{ role: 'user', content: 'how many?' }],
  ...{ prefill: '', n: 1, seed: 5, temperature: 0, topP: 1, topK: null, maxTokens: 16, logprobs: false, extra: {} },
}

/** For calls that nothing stops. */
export const unstopped = new AbortController().signal
