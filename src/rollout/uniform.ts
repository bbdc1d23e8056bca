// Uniform numbers that are a function of a seed and a place, so that a sample draws the same ones whatever else runs: the counter-based
// generator Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011).

type Four = readonly [number, number, number, number]

/** The upper 32 bits of a product of two 32-bit numbers. */
function upperProduct(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = ah * bl + ((al * bl) >>> 16)
  // Sums of 16-bit products stay below 2^53, so nothing is rounded.
  return (ah * bh + Math.floor((middle + al * bh) / 65536)) >>> 0
}

/** Ten rounds: four 32-bit numbers from a counter of four and a key of two. */
export function philox(counter: Four, key: readonly [number, number]): Four {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const [low0, low1] = [Math.imul(0xd2511f53, c0), Math.imul(0xcd9e8d57, c2)]
    const [high0, high1] = [upperProduct(0xd2511f53, c0), upperProduct(0xcd9e8d57, c2)]
    ;[c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1 >>> 0, (high0 ^ c3 ^ k1) >>> 0, low0 >>> 0]
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [c0, c1, c2, c3]
}

/**
 * The uniform number in [0, 1), of 53 bits, with which sample number `sample` of a seed draws token number `step`.
 * @param seed integer in [0, 2^53)
 */
export function uniformAt(seed: number, sample: number, step: number): number {
  const [a, b] = philox([step, sample, 0, 0], [seed >>> 0, Math.floor(seed / 2 ** 32)])
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53
}
