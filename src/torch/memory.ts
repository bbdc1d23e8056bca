// What the engine holds right now, counted exactly by its own allocator.

import { native } from './native.ts'

/** Live tensors are those of this thread; bytes are those of the process. */
export interface MemoryUse {
  readonly tensors: number
  readonly cpuBytes: number
  readonly cpuPeakBytes: number
  /** 0 without a GPU, or with a PyTorch before 2.9, which does not tell. */
  readonly cudaBytes: number
  readonly cudaPeakBytes: number
}

/** Live tensors and bytes of tensor memory, now and at the highest point since `resetPeakMemory`. */
export function memory(): MemoryUse {
  return native().memory()
}

/** Lets the peaks begin again from what is held now. */
export function resetPeakMemory(): void {
  native().resetPeakMemory()
}
