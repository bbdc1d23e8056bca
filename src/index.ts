// The package's public door.

export { readConfig } from './config/load.ts'
export { type Config, type ConfigInput, configSchema } from './config/schema.ts'
export { type Dataset, type DatasetOptions, openDataset } from './data/dataset.ts'
export type { Sample } from './data/sample.ts'
export { type Diagnosis, diagnose } from './diagnostics/diagnosis.ts'
export { liveInstruments } from './diagnostics/live.ts'
export { openSubject, type Subject } from './diagnostics/subject.ts'
export {
  ArgumentError,
  EngineError,
  FileFormatError,
  NotFiniteError,
  OperatorError,
  SightlineError,
  StorageError,
  UseAfterFreeError,
} from './errors.ts'
export { type EvaluateOptions, evaluate } from './evaluation/evaluate.ts'
export { openJudge } from './evaluation/judge.ts'
export { localResponder } from './evaluation/local.ts'
export { mergedPlan, mergeShards } from './evaluation/merge.ts'
export { type ModeName, promptingOf } from './evaluation/modes.ts'
export { openSets, plannedBenchmarks, wantedBenchmarks } from './evaluation/open.ts'
export { type Plan, planVersion } from './evaluation/plan.ts'
export { presets } from './evaluation/presets.ts'
export { remoteResponder } from './evaluation/remote.ts'
export type { Answer, Responder } from './evaluation/responder.ts'
export type { BenchmarkScores } from './evaluation/scores.ts'
export type { EvaluationScores, SuiteScores } from './evaluation/suite-scores.ts'
export { gradeAnswer, gradeResponse } from './grading/grade.ts'
export type { Expected, Verdict } from './grading/verdict.ts'
export { methods } from './methods/registry.ts'
export { type ExportOptions, exportModel } from './models/export.ts'
export { type Inspection, inspectModel } from './models/inspect.ts'
export { type Adapter, plainRun, type Run } from './models/linear.ts'
export { attachLora, frozenAdapter, type LoraAdapter, type LoraOptions } from './models/lora.ts'
export type { ImageFeatures, ImageInput, Model, Sequence } from './models/model.ts'
export { loadAdapter, saveAdapter } from './models/peft.ts'
export { type Checkpoint, describeModel, type LoadOptions, loadModel, randomModel } from './models/registry.ts'
export { emaAdapter, emaTeacher, frozenCopy, type ModelPart, trainable } from './models/teacher.ts'
export { decodeImage } from './processing/image.ts'
export { type Encoded, openProcessor, type Processor, type ProcessorOverrides, type Prompt } from './processing/processor.ts'
export type { ImageSource, Message, Part } from './processing/prompt.ts'
export type { Raster } from './processing/raster.ts'
export { Tokenizer } from './processing/tokenizer.ts'
export { type GenerateOptions, type GenerationEvent, generate, generateAll, type Request } from './rollout/generate.ts'
export type { DoneEvent, EndReason, TokenEvent } from './rollout/sample.ts'
export { defaultSampling, type Sampling } from './rollout/sampling.ts'
export { checkpoints, isRun, latestCheckpoint, readEvents, readMetrics, readRun, readTranscripts, transcriptSteps } from './runs/read.ts'
export { type Metric, type Metrics, type RunEvent, ratio, type StepMetrics, type Transcript, type TranscriptToken } from './runs/schema.ts'
export { openServer, type Server, type ServerOptions } from './serving/client.ts'
export { defineMethod } from './supervision/check.ts'
export { Evaluator, type Report } from './supervision/evaluate.ts'
export type { Row, TermReport, TokenTerms } from './supervision/gather.ts'
export type { Method, MethodTable, Term, View } from './supervision/method.ts'
export { FeatureStore, type Scorer, type Scorers } from './supervision/scorers.ts'
export { type Division, divide, positionsOf } from './supervision/segments.ts'
export { type AttentionOptions, attention, type Decoding, decodeAttention } from './torch/attention.ts'
export { gradient, gradientsOf, requireGrad, setGradient, zeroGradients } from './torch/autograd.ts'
export { backward, checkpoint, dropCheckpoints } from './torch/backward.ts'
export { dispose, enableGrad, inferenceMode, keep, noGrad, scope } from './torch/context.ts'
export { fromTypedArray, int64, type Nested, scalar, tensor } from './torch/create.ts'
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
export { type Instrument, type Session, train, type Watch } from './training/loop.ts'
export { type OpenSession, openSession, type SessionOptions } from './training/session.ts'
export { DivergedError } from './training/telling.ts'
export { version } from './version.ts'
