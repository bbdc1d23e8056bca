// Stop strings in text that arrives in pieces: against the whole text, for every way to cut it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { StopText } from '../../src/rollout/stop.ts'

/** Pushes pieces one by one, ids being their indices; what left at each, and at the end. */
function run(pieces: readonly string[], stops: readonly string[], rest = ''): { pushed: string[]; stopped: boolean; text: string } {
  const own = new StopText({ push: (id) => pieces[id] as string, end: () => rest }, stops)
  const pushed: string[] = []
  for (let i = 0; i < pieces.length; i++) {
    const { text, stopped } = own.push(i)
    pushed.push(text)
    if (stopped) return { pushed, stopped, text: own.text }
  }
  pushed.push(own.end())
  return { pushed, stopped: false, text: own.text }
}

test('text that may begin a stop string is held back until that is settled', () => {
  assert.deepEqual(run(['He', 'llo S', 'T', 'O', 'ne'], ['STOP']), {
    pushed: ['He', 'llo ', '', '', 'STOne', ''],
    stopped: false,
    text: 'Hello STOne',
  })
  assert.deepEqual(run(['He', 'llo S', 'T', 'OP!'], ['STOP']), { pushed: ['He', 'llo ', '', ''], stopped: true, text: 'Hello ' })
  assert.deepEqual(run(['aab', 'aa', 'b'], ['aabaab']), { pushed: ['', '', ''], stopped: true, text: '' })
  assert.deepEqual(run(['aa', 'a', 'b'], ['aab']), { pushed: ['', 'a', ''], stopped: true, text: 'a' })
  assert.deepEqual(run(['ab', 'c'], ['abcd', 'bc']), { pushed: ['', 'a'], stopped: true, text: 'a' }, 'another stop string within')
  assert.deepEqual(run(['x', 'ST'], ['STOP'], '\ufffd'), { pushed: ['x', '', 'ST\ufffd'], stopped: false, text: 'xST\ufffd' }, 'let go at the end')
  assert.deepEqual(run(['one', 'two'], []), { pushed: ['one', 'two', ''], stopped: false, text: 'onetwo' })
})

test('however the text is cut, it ends before the first stop string', () => {
  const whole = 'abaabaab\n\nUser: aba'
  for (const stops of [['aab'], ['\n\n'], ['User:', '\n\nU'], ['baab', 'aabaab'], ['zzz']]) {
    const starts = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0)
    for (let mask = 0; mask < 2 ** (whole.length - 1); mask += 37) {
      const pieces: string[] = ['']
      for (let i = 0; i < whole.length; i++) {
        pieces.push(`${pieces.pop()}${whole[i]}`)
        if (mask & (1 << i)) pieces.push('')
      }
      const { text, stopped, pushed } = run(pieces, stops)
      assert.equal(pushed.join(''), text)
      assert.equal(stopped, starts.length > 0)
      // One stop string may complete before another that begins earlier; with a single one the place is certain.
      if (starts.length === 0) assert.equal(text, whole)
      else if (stops.length === 1) assert.equal(text, whole.slice(0, starts[0]))
      else assert.ok(starts.includes(text.length) && whole.startsWith(text))
    }
  }
})
