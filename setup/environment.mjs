// Settings of the C library that only count when they are there at the start of a process.

/**
 * The environment to run in. A scope frees dozens of small tensors at once; malloc's cache per thread holds seven blocks of a size by
 * default and is slow beyond (measured: a small operator takes 1.2 times as long). A choice made by the user stays.
 */
export function runEnvironment() {
  return { GLIBC_TUNABLES: 'glibc.malloc.tcache_count=2000', ...process.env }
}
