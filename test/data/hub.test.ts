// Data sets of the Hub, from a small server in this file that speaks its language.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openDataset } from '../../src/data/dataset.ts'
import { downloadDataset, type HubOptions, readHubName } from '../../src/data/hub.ts'
import { ArgumentError } from '../../src/errors.ts'

const folder = await mkdtemp(join(tmpdir(), 'sightline-hub-'))
after(() => rm(folder, { recursive: true }))
const files = join(import.meta.dirname, 'files')
const [struct, bytes] = await Promise.all(['struct', 'bytes'].map((name) => readFile(join(files, `${name}.parquet`))))
assert.ok(struct && bytes)

type Routes = { readonly [path: string]: (request: IncomingMessage, response: ServerResponse) => void }
const json =
  (value: unknown, headers = {}) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(value))
  }
const raw = (content: Uint8Array) => (_: IncomingMessage, response: ServerResponse) => {
  response.end(content)
}
const status = (code: number) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(code)
  response.end('no')
}

/** Runs `body` against a server with these routes; what else is asked for is 404. */
async function serving(
  routes: (origin: string) => Routes,
  body: (hub: HubOptions & { endpoint: string }, asked: readonly string[], stop: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.url}${request.headers.authorization === undefined ? '' : ` ${request.headers.authorization}`}`)
    const answer = routes(origin)[request.url ?? ''] ?? status(404)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  try {
    await body({ endpoint: origin, cache: await mkdtemp(join(folder, 'cache-')) }, asked, stop)
  } finally {
    await stop()
  }
}

const api = '/api/datasets/own/set'

test('names of data sets', () => {
  assert.deepEqual(readHubName('hf:own/set'), { name: 'own/set', revision: null, split: 'train' })
  assert.deepEqual(readHubName('hf:own/set-1.b:test'), { name: 'own/set-1.b', revision: null, split: 'test' })
  assert.deepEqual(readHubName('hf:own/set@v1'), { name: 'own/set', revision: 'v1', split: 'train' })
  assert.deepEqual(readHubName('hf:own/set@refs/pr/1:val'), { name: 'own/set', revision: 'refs/pr/1', split: 'val' })
  for (const wrong of ['hf:', 'hf:set', 'hf:a/b/c', 'hf:a/b@', 'hf:a/b:', 'hf:../b', 'hf:a/b@../c', 'hf:a/b c', 'hf:a/b?x'])
    assert.throws(() => readHubName(wrong), ArgumentError, wrong)
})

test('the conversion to parquet is taken first, kept, and read as a data set', async () => {
  const routes = (origin: string): Routes => ({
    [`${api}/parquet/default/train`]: json([`${origin}/files/0.parquet`, `${origin}/files/1.parquet`]),
    '/files/0.parquet': raw(struct),
    '/files/1.parquet': raw(bytes),
  })
  await serving(routes, async (hub, asked, stop) => {
    const lines: string[] = []
    const dataset = await openDataset(['hf:own/set'], { hub: { ...hub, progress: (line) => lines.push(line) } })
    assert.equal(dataset.size, 16)
    assert.equal((await dataset.sample(10)).answer, '4')
    await dataset.close()
    assert.equal(lines.length, 2)
    assert.deepEqual(asked, [`${api}/parquet/default/train`, '/files/0.parquet', '/files/1.parquet'])
    const again = await downloadDataset(readHubName('hf:own/set'), hub)
    assert.equal(asked.length, 4)
    const folderOf = join(hub.cache, 'own--set', 'main', 'train')
    assert.deepEqual(again, [join(folderOf, 'converted-00000.parquet'), join(folderOf, 'converted-00001.parquet')])
    assert.deepEqual((await readdir(folderOf)).sort(), ['converted-00000.parquet', 'converted-00001.parquet', 'files.json'])
    assert.deepEqual(await readFile(again[1] as string), bytes)

    await stop()
    assert.deepEqual(await downloadDataset(readHubName('hf:own/set'), hub), again)
    await assert.rejects(downloadDataset(readHubName('hf:own/other'), hub), (error: Error) => {
      assert.ok(error instanceof ArgumentError)
      assert.match(error.message, /cannot be reached: .*ECONNREFUSED.*; check the network, or download it elsewhere and name the folder/)
      return true
    })
  })
})

test('else the files of the repository: by split, over pages, with their sizes; the token goes to the endpoint only', async () => {
  const file = (path: string, size: number) => ({ type: 'file', path, size })
  const tree = `${api}/tree/v1%2Fa?recursive=true`
  await serving(
    () => ({ '/cdn': raw(bytes) }),
    async (other, askedOther) => {
      const routes = (origin: string): Routes => ({
        [tree]: json([file('data/train-1.parquet', bytes.length), file('train_more.parquet', 1), { type: 'directory', path: 'train' }], {
          link: `<${origin}/next>; rel="next"`,
        }),
        '/next': json([file('data/train-0.parquet', struct.length), file('test.parquet', 1), file('train.csv', 1)]),
        '/datasets/own/set/resolve/v1%2Fa/data/train-0.parquet': raw(struct),
        '/datasets/own/set/resolve/v1%2Fa/data/train-1.parquet': (_, response) => {
          response.writeHead(302, { location: `${other.endpoint}/cdn` })
          response.end()
        },
      })
      await serving(routes, async (hub, asked) => {
        const paths = await downloadDataset(readHubName('hf:own/set@v1/a'), { ...hub, token: 'secret' })
        const folderOf = join(hub.cache, 'own--set', 'v1/a', 'train', 'data')
        assert.deepEqual(paths, [join(folderOf, 'train-0.parquet'), join(folderOf, 'train-1.parquet')])
        assert.deepEqual(await readFile(paths[1] as string), bytes)
        assert.equal(asked.length, 4)
        assert.ok(asked.every((line) => line.endsWith(' Bearer secret')))
        assert.deepEqual(askedOther, ['/cdn'])
        await assert.rejects(
          downloadDataset(readHubName('hf:own/set@v1/a:dev'), hub),
          /no parquet files of split dev; the repository has data\/train-1/,
        )
      })
    },
  )
})

test('addresses of another server are asked without the token', async () => {
  await serving(
    () => ({ '/0.parquet': raw(struct) }),
    async (other, askedOther) => {
      await serving(
        () => ({ [`${api}/parquet/default/train`]: json([`${other.endpoint}/0.parquet`]) }),
        async (hub) => {
          await downloadDataset(readHubName('hf:own/set'), { ...hub, token: 'secret' })
          assert.deepEqual(askedOther, ['/0.parquet'])
        },
      )
    },
  )
})

test('what goes wrong says what to do, and leaves no half files', async () => {
  const tree = `${api}/tree/main?recursive=true`
  const path = '/datasets/own/set/resolve/main/train.parquet'
  const listed = (size: number | null) => json([{ type: 'file', path: 'train.parquet', size }])
  const broken = (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, { 'content-length': struct.length })
    response.write(struct.subarray(0, 100), () => response.destroy())
  }
  const cases: readonly (readonly [Routes, RegExp])[] = [
    [{}, /answers 404: there is no such data set, revision or file; check the name, or download it elsewhere/],
    [{ [tree]: status(401) }, /answers 401: .*private or gated; accept its terms and give a token, or download it elsewhere/],
    [{ [tree]: status(403) }, /answers 403: .*private or gated/],
    [{ [tree]: status(500) }, /answers 500; try again later, or download it elsewhere/],
    [{ [tree]: raw(Buffer.from('<html>')) }, /the answer is no JSON: .*; is this a Hub\?/],
    [{ [tree]: json({ error: 'x' }) }, /the answer is no list of files/],
    [{ [tree]: json([{ type: 'file', path: '../../train.parquet' }]) }, /which would leave the cache folder/],
    [{ [tree]: json([]) }, /no parquet files of split train; the repository has no parquet files/],
    [{ [tree]: listed(struct.length) }, /train\.parquet: .* answers 404/],
    [{ [tree]: listed(struct.length + 1), [path]: raw(struct) }, /1675 bytes arrived instead of 1676; try again/],
    [{ [tree]: listed(null), [path]: broken }, /the download broke off: .*; try again, or download it elsewhere/],
  ]
  for (const [routes, message] of cases) {
    await serving(
      () => routes,
      async (hub) => {
        await assert.rejects(downloadDataset(readHubName('hf:own/set'), hub), (error: Error) => {
          assert.ok(error instanceof ArgumentError, error.stack)
          assert.match(error.message, message)
          return true
        })
        const left = await readdir(hub.cache, { recursive: true, withFileTypes: true })
        assert.deepEqual(
          left.filter((entry) => entry.isFile()).map((entry) => entry.name),
          [],
        )
      },
    )
  }
})
