// Brings a public data set of the Hugging Face Hub onto this machine, as its parquet files.

import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ArgumentError, FileFormatError, SightlineError } from '../errors.ts'

export interface HubOptions {
  /** Folder in which downloaded files stay. */
  readonly cache: string
  /** Another server that speaks the same language; null: the Hub itself. */
  readonly endpoint?: string | null
  /** Access token for gated and private data sets. It is sent to the endpoint only. */
  readonly token?: string | null
  /** Called with a line of text before each file that is fetched. */
  readonly progress?: (line: string) => void
}

const defaultEndpoint = 'https://huggingface.co'
const defaultSplit = 'train'
/** What the Hub calls the one configuration of data sets that have no others. */
const defaultConfiguration = 'default'
const defaultRevision = 'main'
/** Pages of a file listing, of a thousand files each. */
const mostPages = 100

export interface HubName {
  /** As OWNER/NAME. */
  readonly name: string
  readonly revision: string | null
  /** Which of several parts with columns of their own; absent: the one that data sets without parts have, or whatever files the split has. */
  readonly configuration?: string
  readonly split: string
}

/** Reads hf:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT]. @throws ArgumentError for anything else */
export function readHubName(source: string): HubName {
  const part = '[A-Za-z0-9][A-Za-z0-9._-]*'
  const parts = '[A-Za-z0-9][A-Za-z0-9 ()._-]*'
  const match = new RegExp(`^hf:(${part}/${part})(?:@(${part}(?:/${part})*))?(?::(?:(${parts})/)?(${part}))?$`).exec(source)
  const [, name, revision, configuration, split] = match ?? []
  if (name === undefined || source.includes('..')) throw new ArgumentError(`${source}: expected hf:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT]`)
  return { name, revision: revision ?? null, ...(configuration === undefined ? {} : { configuration }), split: split ?? defaultSplit }
}

interface RemoteFile {
  readonly url: string
  /** Name in the cache, relative. */
  readonly name: string
  /** Bytes, null where the listing does not say. */
  readonly size: number | null
}

/**
 * The parquet files of a split, downloaded unless they are in the cache. Without a revision the Hub's own conversion to parquet is asked for
 * first; otherwise, and where there is none, the parquet files of the repository whose names or folders begin with the split. A file comes
 * under its name only when it is whole. Without a network the files of the last complete download are taken. A converted file in the cache is
 * not compared with the Hub's again; delete it, or name a revision, to have the data of a certain day.
 *
 * @throws ArgumentError if the data set, split or server cannot be had
 */
export async function downloadDataset(wanted: HubName, options: HubOptions): Promise<readonly string[]> {
  const { configuration, split } = wanted
  const folder = join(
    options.cache,
    wanted.name.replace('/', '--'),
    wanted.revision ?? defaultRevision,
    ...(configuration ? [configuration] : []),
    split,
  )
  const record = join(folder, 'files.json')
  let files: readonly RemoteFile[]
  try {
    files = (await convertedFiles(wanted, options)) ?? (await repositoryFiles(wanted, options))
  } catch (error) {
    const complete = error instanceof NoNetworkError ? await lastComplete(record, folder) : null
    if (complete === null) throw error
    options.progress?.(`${wanted.name}: no network, so the files of the last download are taken`)
    return complete
  }
  for (const [i, file] of files.entries()) {
    const path = join(folder, file.name)
    if (await isThere(path, file.size)) continue
    options.progress?.(`${wanted.name}: file ${i + 1} of ${files.length}, ${file.size === null ? file.name : `${(file.size / 1e6).toFixed(0)} MB`}`)
    await download(file, path, options)
  }
  const names = files.map(({ name }) => name)
  await writeFile(`${record}.part`, JSON.stringify(names))
  await rename(`${record}.part`, record)
  return names.map((name) => join(folder, name))
}

/** The server cannot be reached at all. */
class NoNetworkError extends ArgumentError {}

const localCopy = 'or download it elsewhere and name the folder of its parquet files instead'

async function lastComplete(record: string, folder: string): Promise<readonly string[] | null> {
  if (!(await isThere(record, null))) return null
  const names: unknown = JSON.parse(await readFile(record, 'utf8'))
  if (!Array.isArray(names)) throw new FileFormatError(`${record}: expected a list of names; delete it`)
  const paths = names.map((name) => join(folder, String(name)))
  for (const path of paths) if (!(await isThere(path, null))) return null
  return paths
}

async function isThere(path: string, size: number | null): Promise<boolean> {
  try {
    const status = await stat(path)
    return status.isFile() && (size === null || status.size === size)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw new ArgumentError(`${path}: cannot be looked at: ${(cause as Error).message}`, { cause })
  }
}

function endpointOf(options: HubOptions): string {
  return (options.endpoint ?? defaultEndpoint).replace(/\/+$/, '')
}

async function ask(url: string, options: HubOptions): Promise<Response> {
  const token = options.token ?? null
  const trusted = token !== null && new URL(url).origin === new URL(endpointOf(options)).origin
  // Sizes are compared, so nothing may be compressed on the way.
  const headers = { 'accept-encoding': 'identity', ...(trusted ? { authorization: `Bearer ${token}` } : {}) }
  try {
    return await fetch(url, { headers })
  } catch (cause) {
    throw new NoNetworkError(`${url}: cannot be reached: ${reasonOf(cause)}; check the network, ${localCopy}`, { cause })
  }
}

/** What fetch reports hides in the causes of its errors. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error
  return cause instanceof Error ? `${message} (${cause.message || (cause as NodeJS.ErrnoException).code})` : message
}

function refusal(response: Response, name: string): ArgumentError {
  const status = `${name}: ${response.url} answers ${response.status}`
  if (response.status === 401 || response.status === 403)
    return new ArgumentError(`${status}: there is no such data set, or it is private or gated; accept its terms and give a token, ${localCopy}`)
  if (response.status === 404) return new ArgumentError(`${status}: there is no such data set, revision or file; check the name, ${localCopy}`)
  return new ArgumentError(`${status}; try again later, ${localCopy}`)
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch (cause) {
    throw new ArgumentError(`${response.url}: the answer is no JSON: ${(cause as Error).message}; is this a Hub?`, { cause })
  }
}

/** The files of the Hub's conversion; null if there is none, or a revision is wanted, which it does not know. */
async function convertedFiles(
  { name, revision, configuration = defaultConfiguration, split }: HubName,
  options: HubOptions,
): Promise<readonly RemoteFile[] | null> {
  if (revision !== null) return null
  const response = await ask(`${endpointOf(options)}/api/datasets/${name}/parquet/${encodeURIComponent(configuration)}/${split}`, options)
  // What is wrong, if it is more than a missing conversion, the next question tells.
  if (!response.ok) return null
  const urls = await jsonOf(response)
  if (!Array.isArray(urls) || urls.length === 0 || !urls.every((url) => typeof url === 'string' && URL.canParse(url))) return null
  return (urls as readonly string[]).map((url, i) => ({ url, name: `converted-${String(i).padStart(5, '0')}.parquet`, size: null }))
}

async function repositoryFiles(wanted: HubName, options: HubOptions): Promise<readonly RemoteFile[]> {
  const { name, revision, configuration, split } = wanted
  const endpoint = endpointOf(options)
  const at = encodeURIComponent(revision ?? defaultRevision)
  const files: RemoteFile[] = []
  let url: string | null = `${endpoint}/api/datasets/${name}/tree/${at}?recursive=true`
  for (let page = 0; url !== null; page++) {
    if (page === mostPages) throw new ArgumentError(`${name}: the listing has more than ${mostPages} pages; name the folder of a local copy instead`)
    const response = await ask(url, options)
    if (!response.ok) throw refusal(response, name)
    const entries = await jsonOf(response)
    if (!Array.isArray(entries)) throw new ArgumentError(`${response.url}: the answer is no list of files; is this a Hub?`)
    files.push(...entries.flatMap((entry) => parquetFile(entry, `${endpoint}/datasets/${name}/resolve/${at}`)))
    const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1]
    url = next === undefined ? null : new URL(next, response.url).href
  }
  const chosen = files.filter((file) => belongsTo(file.name, wanted))
  if (chosen.length > 0) return chosen.sort((a, b) => (a.name < b.name ? -1 : 1))
  const there = files.map((file) => file.name).slice(0, 10)
  throw new ArgumentError(
    `${name}: no parquet files of split ${configuration === undefined ? '' : `${configuration}/`}${split}; the repository has ${there.length > 0 ? there.join(', ') : 'no parquet files'}`,
  )
}

/** Whether a file of a data set, named from its root, is of a split: data/train-00000-of-00004.parquet, train.parquet, train/0000.parquet. */
export function belongsTo(file: string, { configuration, split }: Pick<HubName, 'configuration' | 'split'>): boolean {
  const parts = file.split('/')
  // train_sft is another split.
  const ofSplit = (part: string): boolean => part.startsWith(split) && /^(?:$|[-.])/.test(part.slice(split.length))
  return (configuration === undefined || parts.includes(configuration)) && parts.some(ofSplit)
}

/** An entry of a listing as a file, if it is a parquet file. */
function parquetFile(entry: unknown, base: string): readonly RemoteFile[] {
  const { type, path, size } = (entry ?? {}) as { readonly type?: unknown; readonly path?: unknown; readonly size?: unknown }
  if (type !== 'file' || typeof path !== 'string' || !path.endsWith('.parquet')) return []
  const parts = path.split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..') || path.includes('\\') || path.includes('\0'))
    throw new ArgumentError(`the listing names a file ${JSON.stringify(path)}, which would leave the cache folder`)
  return [{ url: `${base}/${parts.map(encodeURIComponent).join('/')}`, name: path, size: typeof size === 'number' ? size : null }]
}

/** Downloads under another name, checks the size, and only then gives the file its name. */
async function download(file: RemoteFile, path: string, options: HubOptions): Promise<void> {
  const response = await ask(file.url, options)
  if (!response.ok || response.body === null) throw refusal(response, file.name)
  const length = response.headers.get('content-length')
  const expected = file.size ?? (length === null ? null : Number(length))
  const part = `${path}.${process.pid}.part`
  await mkdir(dirname(path), { recursive: true })
  try {
    await pipeline(Readable.fromWeb(response.body), createWriteStream(part))
    const { size } = await stat(part)
    if (expected !== null && size !== expected) throw new ArgumentError(`${file.url}: ${size} bytes arrived instead of ${expected}; try again`)
    await rename(part, path)
  } catch (cause) {
    await rm(part, { force: true })
    if (cause instanceof SightlineError) throw cause
    throw new ArgumentError(`${file.url}: the download broke off: ${reasonOf(cause)}; try again, ${localCopy}`, { cause })
  }
}
