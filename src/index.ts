// The package's public door.

export { ArgumentError, EngineError, FileFormatError, OperatorError, SightlineError, UseAfterFreeError } from './errors.ts'
export { type AttentionOptions, attention } from './torch/attention.ts'
export { gradient, gradientsOf, requireGrad, setGradient, zeroGradients } from './torch/autograd.ts'
export { backward, checkpoint, dropCheckpoints } from './torch/backward.ts'
export { dispose, enableGrad, inferenceMode, keep, noGrad, scope } from './torch/context.ts'
export { fromTypedArray, type Nested, scalar, tensor } from './torch/create.ts'
export {
  type Divergence,
  type LinearLoss,
  type Logits,
  type LossOptions,
  linearCrossEntropy,
  linearDivergence,
  type PerToken,
  type WeightedLogits,
} from './torch/divergence.ts'
export type { Device, DType, DTypeArrays, TypedArray } from './torch/dtype.ts'
export { type MemoryUse, memory, resetPeakMemory } from './torch/memory.ts'
export { setThreads } from './torch/native.ts'
export { applyRotary, embedding, layerNorm, linear, type Rotary, rmsNorm, rotaryTables, swiglu } from './torch/nn.ts'
export { operator, ops, supports } from './torch/operators.ts'
export { AdamW, type AdamWOptions, clipGradients, type OptimizerState } from './torch/optimizer.ts'
export { Generator, seed } from './torch/random.ts'
export { openSafetensors, type Safetensors, type TensorInfo } from './torch/safetensors.ts'
export { writeSafetensors, writeShardedSafetensors } from './torch/safetensors-write.ts'
export { learningRate, type Schedule } from './torch/schedule.ts'
export { Tensor } from './torch/tensor.ts'
