// Attention over packed sequences: rows of different lengths lie one after another without padding, and no token sees another row. And
// its counterpart for generating text: one query for each row against what the row has cached.

import { ArgumentError } from '../errors.ts'
import { applyRotary, fusable, type Rotary, wide } from './nn.ts'
import { ops, supports } from './operators.ts'
import type { Tensor } from './tensor.ts'

export interface AttentionOptions {
  /** Where each sequence's queries begin, and the end of the last: [0, …, T]. */
  readonly queryStarts: readonly number[]
  /** The same for keys; by default the queries' (self-attention). */
  readonly keyStarts?: readonly number[]
  /** Query i of n sees the keys up to i + (keys − n): the last query sees all keys, as with a cache. */
  readonly causal: boolean
  /** Multiplies the scores; 1/√D by default. */
  readonly scale?: number
  /** Rotates queries and keys first; for self-attention only. */
  readonly rotary?: Rotary | null
}

/**
 * softmax(scale · query · keyᵀ) · value within each sequence.
 * @param query [T, heads, D]
 * @param key [S, groups, D]; each group serves heads/groups neighbouring query heads (grouped-query attention, arXiv 2305.13245)
 * @param value [S, groups, D]
 * @returns [T, heads, D]
 */
export function attention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
  const { queryStarts, keyStarts = queryStarts, causal, scale = query.dim(-1) ** -0.5, rotary = null } = options
  if (fusable(query, key, value)) {
    return ops.fusedAttention(query, key, value, rotary?.cos ?? null, rotary?.sin ?? null, queryStarts, keyStarts, causal, scale)
  }
  const rotated = rotary === null ? [query, key] : [applyRotary(query, rotary), applyRotary(key, rotary)]
  return attentionReference(rotated[0] as Tensor, rotated[1] as Tensor, value, { queryStarts, keyStarts, causal, scale })
}

/** `attention` without rotation in stock operators, one sequence at a time; PyTorch 2's fused operator where there is one. */
export function attentionReference(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { queryStarts, keyStarts, causal, scale }: { queryStarts: readonly number[]; keyStarts: readonly number[]; causal: boolean; scale: number },
): Tensor {
  if (queryStarts.length !== keyStarts.length) {
    throw new ArgumentError(`attention: ${queryStarts.length - 1} query sequences but ${keyStarts.length - 1} key sequences`)
  }
  const share = query.dim(1) / key.dim(1)
  // [n, groups, D] → [heads, n, D]
  const byHead = (x: Tensor): Tensor => {
    const [n, groups, width] = x.shape as [number, number, number]
    const shared =
      share === 1
        ? x
        : x
            .unsqueeze(2)
            .expand([n, groups, share, width])
            .reshape([n, groups * share, width])
    return shared.transpose(0, 1)
  }
  const pieces: Tensor[] = []
  for (let s = 0; s + 1 < queryStarts.length; s++) {
    const [q0, q1] = [queryStarts[s] as number, queryStarts[s + 1] as number]
    const [k0, k1] = [keyStarts[s] as number, keyStarts[s + 1] as number]
    if (causal && q1 - q0 > k1 - k0) throw new ArgumentError(`attention: causal sequence ${s} has ${q1 - q0} queries but only ${k1 - k0} keys`)
    const q = query.narrow(0, q0, q1 - q0).transpose(0, 1) // [heads, n, D]
    const k = byHead(key.narrow(0, k0, k1 - k0)) // [heads, m, D]
    const v = byHead(value.narrow(0, k0, k1 - k0))
    // false above the diagonal that ends at the last key
    const visible = causal && q1 - q0 > 1 ? ops.ones([q1 - q0, k1 - k0], { dtype: 'bool', device: query.device }).tril(k1 - k0 - (q1 - q0)) : null
    pieces.push(oneSequence(q, k, v, visible, scale).transpose(0, 1))
  }
  return ops.cat(pieces, 0)
}

/** What each of R rows sees when its next token is computed. Keys are already rotated. */
export interface Decoding {
  /** Beginnings that rows share, such as a prompt of several samples: each [P, groups, D]. */
  readonly prefixKeys: readonly Tensor[]
  readonly prefixValues: readonly Tensor[]
  /** Which prefix each row continues; −1 is none. */
  readonly prefixOf: readonly number[]
  /** The rows' own entries, [slots, capacity, groups, D]. */
  readonly keys: Tensor
  readonly values: Tensor
  /** Where in `keys` and `values` each row's entries lie, and how many of them count, this token's included. */
  readonly slots: readonly number[]
  readonly lengths: readonly number[]
  /** Multiplies the scores; 1/√D by default. */
  readonly scale?: number
}

/**
 * softmax(scale · query · keyᵀ) · value for one query of each row, over its prefix and then its own entries. Without gradient. On the CPU
 * in float32 a row's result is the same, bit for bit, whatever rows are computed beside it.
 * @param query [R, heads, D], already rotated; groups serve neighbouring heads as in `attention`
 * @returns [R, heads, D]
 */
export function decodeAttention(query: Tensor, decoding: Decoding): Tensor {
  const { prefixKeys, prefixValues, prefixOf, keys, values, slots, lengths, scale = query.dim(-1) ** -0.5 } = decoding
  if (!fusable(query, keys, values, ...prefixKeys, ...prefixValues)) return decodeAttentionReference(query, decoding)
  return ops.fusedDecodeAttention(query, prefixKeys, prefixValues, prefixOf, keys, values, slots, lengths, scale)
}

/** `decodeAttention` in stock operators: what each row sees, gathered as a packed sequence. */
export function decodeAttentionReference(query: Tensor, decoding: Decoding): Tensor {
  const { prefixKeys, prefixValues, prefixOf, keys, values, slots, lengths, scale = query.dim(-1) ** -0.5 } = decoding
  const rows = query.dim(0)
  for (const [name, list] of Object.entries({ prefixOf, slots, lengths })) {
    if (list.length !== rows) throw new ArgumentError(`decodeAttention: ${rows} query rows but ${list.length} elements in ${name}`)
  }
  const gather = (prefixes: readonly Tensor[], own: Tensor, row: number): readonly Tensor[] => {
    const [which, slot, length] = [prefixOf[row] as number, slots[row] as number, lengths[row] as number]
    const prefix = prefixes[which]
    if (prefix === undefined && which !== -1) {
      throw new ArgumentError(`decodeAttention: prefixOf of row ${row} is ${which}, but there are ${prefixes.length} prefixes (-1 is none)`)
    }
    if (slot < 0 || slot >= own.dim(0))
      throw new ArgumentError(`decodeAttention: slot ${slot} of row ${row} is outside the ${own.dim(0)} of the cache`)
    if (length < 0 || length > own.dim(1)) {
      throw new ArgumentError(`decodeAttention: length ${length} of row ${row} is outside the capacity of ${own.dim(1)}`)
    }
    if (length + (prefix?.dim(0) ?? 0) === 0) throw new ArgumentError(`decodeAttention: row ${row} sees no key`)
    const mine = own.select(0, slot).narrow(0, 0, length)
    return prefix === undefined ? [mine] : [prefix, mine]
  }
  if (rows === 0) return query.clone()
  const all = Array.from({ length: rows }, (_, row) => ({ row, keys: gather(prefixKeys, keys, row), values: gather(prefixValues, values, row) }))
  const keyStarts = [0]
  for (const { row, keys: pieces } of all) keyStarts.push(pieces.reduce((end, piece) => end + piece.dim(0), keyStarts[row] as number))
  return attentionReference(query, ops.cat(all.flatMap((each) => each.keys)), ops.cat(all.flatMap((each) => each.values)), {
    queryStarts: [...all.keys(), rows],
    keyStarts,
    causal: false,
    scale,
  })
}

function oneSequence(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | null, scale: number): Tensor {
  if (q.device !== 'cpu' && supports('scaledDotProductAttention')) {
    const square = visible !== null && q.dim(1) === k.dim(1)
    const batch = [q, k, v].map((x) => x.unsqueeze(0)) as [Tensor, Tensor, Tensor]
    return ops.scaledDotProductAttention(...batch, square ? null : visible, 0, square, { scale }).squeeze(0)
  }
  const scores = q.matmul(k.transpose(1, 2)).mul(scale) // [heads, n, m]
  const masked = visible === null ? scores : scores.maskedFill(visible.logicalNot(), -Infinity)
  return wide(masked).softmax(-1).toDtype(v.dtype).matmul(v)
}
