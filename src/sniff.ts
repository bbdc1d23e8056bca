// Tells an image format by its first bytes, so that only formats that we mean to support are decoded or listed, and others are refused by name.

/** The formats that decodeImage reads. */
export const readableFormats = ['JPEG', 'PNG', 'WebP', 'GIF', 'TIFF', 'AVIF'] as const
export type ReadableFormat = (typeof readableFormats)[number]

/** Format, offset and the bytes there (latin-1). The first match counts. */
const signatures: readonly (readonly [string, number, string])[] = [
  ['JPEG', 0, '\xff\xd8\xff'],
  ['PNG', 0, '\x89PNG\r\n\x1a\n'],
  ['WebP', 8, 'WEBP'],
  ['GIF', 0, 'GIF87a'],
  ['GIF', 0, 'GIF89a'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['TIFF', 0, 'II+\0'],
  ['TIFF', 0, 'MM\0+'],
  ['AVIF', 4, 'ftypavif'],
  ['AVIF', 4, 'ftypavis'],
  ['HEIC', 4, 'ftyphei'],
  ['HEIC', 4, 'ftyphev'],
  ['HEIF', 4, 'ftypmif1'],
  ['HEIF', 4, 'ftypmsf1'],
  ['an ISO media file (video)', 4, 'ftyp'],
  ['BMP', 0, 'BM'],
  ['PDF', 0, '%PDF'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XL', 4, 'JXL \r\n'],
  ['JPEG 2000', 4, 'jP  \r\n'],
  ['JPEG 2000', 0, '\xff\x4f\xff\x51'],
  ['ICO', 0, '\0\0\x01\0'],
  ['PSD', 0, '8BPS'],
  ['OpenEXR', 0, 'v/1\x01'],
  ['Radiance HDR', 0, '#?'],
  ['a ZIP archive', 0, 'PK\x03\x04'],
  ['gzip data', 0, '\x1f\x8b'],
]

/** How many of a file's first bytes `sniff` looks at: the longest signature, and enough of a text to tell SVG and HTML. */
export const headBytes = 512

function isReadable(format: string): format is ReadableFormat {
  return (readableFormats as readonly string[]).includes(format)
}

/** The format of `bytes` if decodeImage reads it; otherwise what the bytes look like, in words for an error. */
export function sniff(bytes: Uint8Array): { readonly readable: ReadableFormat } | { readonly refused: string } {
  if (bytes.length === 0) return { refused: 'an empty file' }
  const head = Buffer.from(bytes.subarray(0, headBytes)).toString('latin1')
  const format = signatures.find(([, offset, signature]) => head.startsWith(signature, offset))?.[0]
  if (format !== undefined) return isReadable(format) ? { readable: format } : { refused: format }
  if (/<svg[\s>]/i.test(head)) return { refused: 'SVG' }
  if (/<(!doctype html|html|head|body)[\s>]/i.test(head)) return { refused: 'an HTML page' }
  if (/^\s*<\?xml/.test(head)) return { refused: 'XML (SVG?)' }
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return { refused: `an unknown format (first bytes ${start})` }
}
