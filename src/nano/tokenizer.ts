// A small tokenizer in Hugging Face's format: every word of the worlds is one token, anything else is spelled in bytes.
//
// Splitting into words is Qwen's, so tags are several tokens here as they are there. `ignore_merges` (as in Llama 3's tokenizer) takes a
// word that is in the vocabulary whole, so there are no merges.

import { byteCharacters } from '../processing/byte-level.ts'

const splitting = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const pieces = new RegExp(splitting, 'gu')

/** Special tokens by what they are for; their ids follow the words. */
export const specialTokens = {
  pad: '<|endoftext|>',
  turnStart: '<|im_start|>',
  turnEnd: '<|im_end|>',
  visionStart: '<|vision_start|>',
  visionEnd: '<|vision_end|>',
  image: '<|image_pad|>',
  video: '<|video_pad|>',
} as const

export type SpecialName = keyof typeof specialTokens

/** Who speaks, as the template writes it into every prompt. */
const roles = ['system', 'user', 'assistant'] as const

/**
 * Turns between marks, images as in Qwen's templates, no system turn of its own. Line breaks are texts in braces: marks of blocks take away those
 * that stand beside them, and without them `user` and the first word of a question would be one word.
 */
const chatTemplate =
  "{%- for message in messages -%}{{ '<|im_start|>' + message['role'] + '\\n' }}" +
  "{%- if message['content'] is string -%}{{ message['content'] }}{%- else -%}{%- for part in message['content'] -%}" +
  "{%- if part['type'] == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- elif 'text' in part -%}{{ part['text'] }}{%- endif -%}" +
  "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\\n' }}{%- endfor -%}" +
  "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"

export interface NanoTokenizer {
  /** Files by name. */
  readonly files: Readonly<Record<string, string>>
  readonly size: number
  readonly ids: Readonly<Record<SpecialName, number>>
}

/** The tokenizer whose words are those of `texts` and the roles of turns; a function of the set of words alone. */
export function nanoTokenizer(texts: Iterable<string>): NanoTokenizer {
  const characters = byteCharacters
  const encoder = new TextEncoder()
  const asCharacters = (piece: string): string => Array.from(encoder.encode(piece), (byte) => characters[byte]).join('')
  const words = new Set<string>(roles)
  for (const text of texts) {
    for (const [piece] of text.normalize('NFC').matchAll(pieces)) if (encoder.encode(piece).length > 1) words.add(asCharacters(piece))
  }
  const tokens = [...characters, ...[...words].sort()]
  const special = Object.entries(specialTokens) as [SpecialName, string][]
  const ids = Object.fromEntries(special.map(([name], i) => [name, tokens.length + i])) as Record<SpecialName, number>
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false }
  const added = special.map(([name, content]) => ({
    ...{ id: ids[name], content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  }))
  const tokenizer = {
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: added, normalizer: { type: 'NFC' } },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: splitting }, behavior: 'Isolated', invert: false }, byteLevel],
    },
    ...{ post_processor: byteLevel, decoder: byteLevel },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: true,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: [],
      },
    },
  }
  const config = {
    ...{
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: 4096,
      add_prefix_space: false,
      add_bos_token: false,
      bos_token: null,
      unk_token: null,
    },
    ...{ eos_token: specialTokens.turnEnd, pad_token: specialTokens.pad, clean_up_tokenization_spaces: false, split_special_tokens: false },
    added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [id, token])),
    chat_template: chatTemplate,
  }
  return {
    files: {
      'tokenizer.json': JSON.stringify(tokenizer),
      'tokenizer_config.json': JSON.stringify(config, null, 2),
      'chat_template.jinja': chatTemplate,
    },
    size: tokens.length + special.length,
    ids,
  }
}
