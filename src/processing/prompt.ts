// What a caller says to a model: messages of text and images.

import type { Raster } from './raster.ts'

/** A piece of a message. An image is a path, a data: URI, encoded bytes, or decoded pixels. */
export type Part = { readonly type: 'text'; readonly text: string } | { readonly type: 'image'; readonly image: string | Uint8Array | Raster }

/** A turn of a conversation. Roles are the chat template's; all known ones have system, user and assistant. */
export interface Message {
  readonly role: string
  readonly content: string | readonly Part[]
}
