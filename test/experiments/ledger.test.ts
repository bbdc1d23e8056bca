// What is known of how results were made: kept over restarts and moves, and held against what is asked for.

import assert from 'node:assert/strict'
import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Ledger } from '../../src/experiments/ledger.ts'
import { newFolder } from './made.ts'

const job = (id: string, folder: string, ...command: string[]) => ({ id, command, output: join(folder, id), needs: [], work: 1 })

test('a result is taken only from the command that made it, wherever its folder and its data lie', () => {
  const folder = newFolder()
  mkdirSync(folder, { recursive: true })
  const open = (at: string, data: string): Ledger =>
    new Ledger(join(at, 'commands.json'), [
      [data, 'DATA'],
      [dirname(at), '..'],
    ])
  const trained = (at: string, data: string, steps: number) =>
    job('train', at, 'train', '--set', `run.folder="${at}/run"`, '--set', `data.sources=["${data}"]`, '--set', `optimisation.steps=${steps}`)
  const ledger = open(folder, '/data')
  assert.throws(() => ledger.check(trained(folder, '/data', 60)), {
    name: 'ArgumentError',
    message: `${folder}/train is there, but not which command made it (${folder}/commands.json, train); name a new folder, or remove the result and what was made from it`,
  })
  ledger.begin(trained(folder, '/data', 60))
  ledger.check(trained(folder, '/data', 60))
  open(folder, '/data').check(trained(folder, '/data', 60))
  const moved = join(newFolder(), 'experiment')
  mkdirSync(dirname(moved), { recursive: true })
  renameSync(folder, moved)
  open(moved, '/elsewhere').check(trained(moved, '/elsewhere', 60))
  assert.throws(() => open(moved, '/data').check(trained(moved, '/data', 120)), {
    name: 'ArgumentError',
    message: `${moved}/train (train) was made by another command: then optimisation.steps=60, now optimisation.steps=120; name a new folder, or remove the result and what was made from it`,
  })
  // What begins anew is what will have made it.
  open(moved, '/data').begin(trained(moved, '/data', 120))
  open(moved, '/data').check(trained(moved, '/data', 120))
  // The same words in another order are another command.
  open(moved, '/data').begin(job('order', moved, 'a', 'b'))
  assert.throws(() => open(moved, '/data').check(job('order', moved, 'b', 'a')), /then nothing else, now nothing else/)
})
