// What a caller says to a model: messages of text and images.

import type { EncodedImage } from './patches.ts'
import type { Raster } from './raster.ts'

/** A path, a `data:` URI, an encoded file, decoded samples, or what the same processor made of one of these before. */
export type ImageSource = string | Uint8Array | Raster | EncodedImage

/** A piece of a message. */
export type Part = { readonly type: 'text'; readonly text: string } | { readonly type: 'image'; readonly image: ImageSource }

/** A turn of a conversation. Roles are the chat template's; all known ones have system, user and assistant. */
export interface Message {
  readonly role: string
  readonly content: string | readonly Part[]
}
