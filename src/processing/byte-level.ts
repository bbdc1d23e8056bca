// Bytes and text of byte-level BPE: the alphabet that writes bytes as characters, and UTF-8 decoding that knows where each character lies.

/** GPT-2's alphabet, byte → code: printable Latin-1 stands for itself, the other 68 bytes for U+0100 … U+0143. */
function alphabet(): readonly number[] {
  const printable = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad)
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => (printable(byte) ? byte : next++))
}

const codes = alphabet()

/** The characters of the alphabet, one for each byte. */
export const byteCharacters: readonly string[] = codes.map((code) => String.fromCodePoint(code))

/** Code → byte, −1 outside the alphabet. */
const byteOf = new Int16Array(0x144).fill(-1)
for (const [byte, code] of codes.entries()) byteOf[code] = byte

/** The bytes that a token of the vocabulary stands for, or null if a character is not of the alphabet. */
export function tokenBytes(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = byteOf[token.charCodeAt(i)] ?? -1
    if (byte < 0) return null
    bytes[i] = byte
  }
  return bytes
}

/** A character, or a run of invalid bytes that decodes to one U+FFFD; `unfinished` if more bytes could make it valid. */
export interface Utf8Character {
  readonly length: number
  readonly code: number
  readonly unfinished: boolean
}

const replacement = 0xfffd

/**
 * The character at `at` of UTF-8 bytes. Invalid bytes are grouped as WHATWG's decoder, Python's errors='replace' and Rust's from_utf8_lossy
 * group them: the longest prefix of a valid character, or one byte.
 */
export function characterAt(bytes: Uint8Array, at: number): Utf8Character {
  const lead = bytes[at] as number
  if (lead < 0x80) return { length: 1, code: lead, unfinished: false }
  const following = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1
  if (lead < 0xc2 || lead > 0xf4) return { length: 1, code: replacement, unfinished: false }
  // The second byte's range excludes overlong forms, surrogates and codes above U+10FFFF.
  let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  let code = lead & (0x3f >> following)
  for (let i = 1; i <= following; i++) {
    const byte = bytes[at + i]
    if (byte === undefined || byte < low || byte > high) return { length: i, code: replacement, unfinished: byte === undefined }
    code = (code << 6) | (byte & 0x3f)
    low = 0x80
    high = 0xbf
  }
  return { length: following + 1, code, unfinished: false }
}

/** Turns bytes that arrive in pieces into text, holding back a character until its last byte is there. */
export class TextStream {
  #rest = new Uint8Array(0)

  /** The text that `bytes` complete. */
  push(bytes: Uint8Array): string {
    const all = new Uint8Array(this.#rest.length + bytes.length)
    all.set(this.#rest)
    all.set(bytes, this.#rest.length)
    let text = ''
    let at = 0
    while (at < all.length) {
      const { length, code, unfinished } = characterAt(all, at)
      if (unfinished) break
      text += String.fromCodePoint(code)
      at += length
    }
    this.#rest = all.slice(at)
    return text
  }

  /** What is left at the end: U+FFFD for an unfinished character, or nothing. */
  end(): string {
    const text = this.#rest.length > 0 ? '\ufffd' : ''
    this.#rest = new Uint8Array(0)
    return text
  }
}
