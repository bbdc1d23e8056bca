// What commands that work for long share: numbers in words, and stopping when a signal asks for it.

/** Exit status of what a signal stopped. */
export const stoppedStatus = 130

/** What asks a command to stop; SIGHUP comes when the terminal goes away. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Signals within so many milliseconds are one request: a terminal or a scheduler may tell the process, its group and its parent. */
const together = 500

export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

export const clock = (seconds: number): string => {
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`
}

/** Until it is disposed of, the first signal aborts and is told; a later one ends the process at once. */
export function stopOnSignals(onFirst: (signal: NodeJS.Signals) => void): Disposable & { readonly signal: AbortSignal } {
  const stop = new AbortController()
  let asked = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted && performance.now() - asked < together) return
    if (stop.signal.aborted) process.exit(stoppedStatus)
    asked = performance.now()
    onFirst(signal)
    stop.abort()
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      for (const signal of signals) process.removeListener(signal, onSignal)
    },
  }
}
