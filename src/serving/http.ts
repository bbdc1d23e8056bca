// One HTTP exchange, whole or not at all. On node:http, because the fetch of Node gives up on a server that thinks for five minutes, whatever
// timeout the caller asks for, and long answers that are not streamed take longer.

import { type IncomingHttpHeaders, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Empty for none. */
  readonly body: string
}

export interface HttpReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Sends a request and reads the whole reply. It follows no redirect: the key is for the given address only. */
export type Exchange = (request: HttpRequest, signal: AbortSignal) => Promise<HttpReply>

/**
 * Exchanges over connections that are kept and used again; `close` ends them.
 * The exchange throws the signal's reason when it is aborted, and Node's errors where the connection fails or ends before the reply does.
 */
export function openHttp(secure: boolean): { readonly exchange: Exchange; readonly close: () => void } {
  const agent = secure ? new SecureAgent({ keepAlive: true }) : new PlainAgent({ keepAlive: true })
  const open = secure ? secureRequest : plainRequest
  const exchange: Exchange = ({ method, url, headers, body }, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<HttpReply>()
    const fail = (error: Error): void => reject(signal.aborted ? signal.reason : error)
    const bytes = Buffer.from(body)
    // A length, because not every server takes a body in chunks.
    const lengths = bytes.length > 0 ? { 'content-length': String(bytes.length) } : {}
    const request = open(url, { method, headers: { ...headers, ...lengths }, agent, signal }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.on('error', fail)
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks).toString() }))
    })
    request.on('error', fail)
    request.end(bytes)
    return promise
  }
  return { exchange, close: () => agent.destroy() }
}
