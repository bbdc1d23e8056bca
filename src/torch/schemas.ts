// The operators that Sightline uses: the one list from which the argument parser, the types, the methods of Tensor and the error
// texts are made. Two schemas under one name are told apart by their arguments' types.
//
// Shapes: B, M, K, N … are sizes, `…` is any leading shape, and two shapes that meet are broadcast as in PyTorch. An operator is an
// ATen one unless a namespace is written; those in `sightline::` are compiled from native/ (float32 on the CPU only; nn.ts chooses).

export const schemas = {
  // ---- arithmetic, element by element --------------------------------------------------------------------------------------
  /** add(other, {alpha}): self + alpha · other; shapes broadcast. */
  add: ['add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor', 'add.Scalar(Tensor self, Scalar other, *, Scalar alpha=1) -> Tensor'],
  /** sub(other, {alpha}): self − alpha · other. */
  sub: ['sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor', 'sub.Scalar(Tensor self, Scalar other, *, Scalar alpha=1) -> Tensor'],
  /** mul(other): self · other. */
  mul: ['mul.Tensor(Tensor self, Tensor other) -> Tensor', 'mul.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** div(other): self / other; always true division. */
  div: ['div.Tensor(Tensor self, Tensor other) -> Tensor', 'div.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** pow(exponent): self ^ exponent. */
  pow: ['pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor', 'pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor'],
  /** remainder(other): self mod other, with the sign of other. */
  remainder: ['sightline::remainder.Tensor(Tensor self, Tensor other) -> Tensor', 'sightline::remainder.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** rsub(other, {alpha}): other − alpha · self. */
  rsub: [
    'rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor',
    'rsub.Scalar(Tensor self, Scalar other, *, Scalar alpha=1) -> Tensor',
  ],
  /** lerp(end, weight): self + weight · (end − self). */
  lerp: ['lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor', 'lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor'],
  /** maximum(other): the larger of each pair; NaN wins. */
  maximum: 'maximum(Tensor self, Tensor other) -> Tensor',
  /** minimum(other): the smaller of each pair; NaN wins. */
  minimum: 'minimum(Tensor self, Tensor other) -> Tensor',
  /** clamp(min, max): limited to [min, max]; null for no limit. */
  clamp: 'clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor',
  neg: 'neg(Tensor self) -> Tensor',
  abs: 'abs(Tensor self) -> Tensor',
  sign: 'sign(Tensor self) -> Tensor',
  square: 'square(Tensor self) -> Tensor',
  sqrt: 'sqrt(Tensor self) -> Tensor',
  rsqrt: 'rsqrt(Tensor self) -> Tensor',
  reciprocal: 'reciprocal(Tensor self) -> Tensor',
  exp: 'exp(Tensor self) -> Tensor',
  expm1: 'expm1(Tensor self) -> Tensor',
  log: 'log(Tensor self) -> Tensor',
  log1p: 'log1p(Tensor self) -> Tensor',
  sin: 'sin(Tensor self) -> Tensor',
  cos: 'cos(Tensor self) -> Tensor',
  acos: 'acos(Tensor self) -> Tensor',
  tanh: 'tanh(Tensor self) -> Tensor',
  erf: 'erf(Tensor self) -> Tensor',
  sigmoid: 'sigmoid(Tensor self) -> Tensor',
  logSigmoid: 'log_sigmoid(Tensor self) -> Tensor',
  relu: 'relu(Tensor self) -> Tensor',
  /** x · sigmoid(x). */
  silu: 'silu(Tensor self) -> Tensor',
  /** gelu({approximate}): 'none' is x · Φ(x); 'tanh' is its approximation. */
  gelu: "gelu(Tensor self, *, str approximate='none') -> Tensor",
  floor: 'floor(Tensor self) -> Tensor',
  ceil: 'ceil(Tensor self) -> Tensor',
  round: 'round(Tensor self) -> Tensor',

  // ---- comparison and selection --------------------------------------------------------------------------------------------
  /** eq(other): bool. */
  eq: ['eq.Tensor(Tensor self, Tensor other) -> Tensor', 'eq.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** ne(other): bool. */
  ne: ['ne.Tensor(Tensor self, Tensor other) -> Tensor', 'ne.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** lt(other): bool, self < other. */
  lt: ['lt.Tensor(Tensor self, Tensor other) -> Tensor', 'lt.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** le(other): bool, self ≤ other. */
  le: ['le.Tensor(Tensor self, Tensor other) -> Tensor', 'le.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** gt(other): bool, self > other. */
  gt: ['gt.Tensor(Tensor self, Tensor other) -> Tensor', 'gt.Scalar(Tensor self, Scalar other) -> Tensor'],
  /** ge(other): bool, self ≥ other. */
  ge: ['ge.Tensor(Tensor self, Tensor other) -> Tensor', 'ge.Scalar(Tensor self, Scalar other) -> Tensor'],
  logicalAnd: 'logical_and(Tensor self, Tensor other) -> Tensor',
  logicalOr: 'logical_or(Tensor self, Tensor other) -> Tensor',
  logicalNot: 'logical_not(Tensor self) -> Tensor',
  isnan: 'isnan(Tensor self) -> Tensor',
  isfinite: 'isfinite(Tensor self) -> Tensor',
  /** where(condition, self, other): self where the bool condition holds, else other. */
  where: 'where.self(Tensor condition, Tensor self, Tensor other) -> Tensor',
  /** maskedFill(mask, value): value where mask holds. */
  maskedFill: [
    'masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor',
    'masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor',
  ],
  /** maskedScatter(mask, source): the places of mask filled with source's elements in order. */
  maskedScatter: 'masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor',
  /** maskedSelect(mask): the elements where mask holds, [count]. */
  maskedSelect: 'masked_select(Tensor self, Tensor mask) -> Tensor',
  /** nonzero(): the positions of non-zero elements, int64 [count, axes]. */
  nonzero: 'nonzero(Tensor self) -> Tensor',
  /** equal(other): whether shapes and all elements agree, a boolean. */
  equal: 'equal(Tensor self, Tensor other) -> bool',

  // ---- reduction -----------------------------------------------------------------------------------------------------------
  /** sum(dim, keepdim): over one axis, several, or all (null). */
  sum: 'sum.dim_IntList(Tensor self, int[1]? dim=None, bool keepdim=False) -> Tensor',
  /** mean(dim, keepdim): over one axis, several, or all (null). */
  mean: 'mean.dim(Tensor self, int[1]? dim=None, bool keepdim=False) -> Tensor',
  /** variance(dim, unbiased, keepdim): divided by the count, less 1 where unbiased. */
  variance: 'var.dim(Tensor self, int[1]? dim=None, bool unbiased=True, bool keepdim=False) -> Tensor',
  /** norm(ord, dim, keepdim): the vector norm of the given order. */
  norm: 'linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False) -> Tensor',
  /** amax(dim, keepdim): the largest along the axes. */
  amax: 'amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor',
  /** amin(dim, keepdim): the smallest along the axes. */
  amin: 'amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor',
  /** argmax(dim, keepdim): int64 position of the largest. */
  argmax: 'argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor',
  /** logsumexp(dim, keepdim): log Σ exp, computed stably. */
  logsumexp: 'logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor',
  /** cumsum(dim): running sums. */
  cumsum: 'cumsum(Tensor self, int dim) -> Tensor',
  /** any(): a bool scalar. */
  any: 'any(Tensor self) -> Tensor',
  /** all(): a bool scalar. */
  all: 'all(Tensor self) -> Tensor',
  /** topk(k, dim, largest, sorted): [values, int64 positions]. */
  topk: 'topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor, Tensor)',
  /** sort(dim, descending): [values, int64 positions]. */
  sort: 'sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor, Tensor)',

  // ---- matrix products -----------------------------------------------------------------------------------------------------
  /** matmul(other): […, M, K] · […, K, N] → […, M, N]. */
  matmul: 'matmul(Tensor self, Tensor other) -> Tensor',
  /** mm(mat2): [M, K] · [K, N] → [M, N]. */
  mm: 'mm(Tensor self, Tensor mat2) -> Tensor',
  /** bmm(mat2): [B, M, K] · [B, K, N] → [B, M, N]. */
  bmm: 'bmm(Tensor self, Tensor mat2) -> Tensor',
  /** addmm(mat1, mat2, {beta, alpha}): beta · self [M, N] + alpha · mat1 [M, K] · mat2 [K, N]. */
  addmm: 'addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor',
  /** linear(input, weight, bias): input […, in] · weight [out, in]ᵀ + bias [out] → […, out]. */
  linear: 'linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor',

  // ---- shape ---------------------------------------------------------------------------------------------------------------
  /** view(size): the same memory in another shape; −1 is inferred. */
  view: 'view(Tensor self, int[] size) -> Tensor',
  /** reshape(shape): a view where possible, else a copy. */
  reshape: 'reshape(Tensor self, int[] shape) -> Tensor',
  /** flatten(startDim, endDim): those axes become one. */
  flatten: 'flatten.using_ints(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor',
  unsqueeze: 'unsqueeze(Tensor self, int dim) -> Tensor',
  squeeze: 'squeeze.dim(Tensor self, int dim) -> Tensor',
  /** transpose(dim0, dim1): swaps two axes; a view. */
  transpose: 'transpose.int(Tensor self, int dim0, int dim1) -> Tensor',
  /** permute(dims): reorders the axes; a view. */
  permute: 'permute(Tensor self, int[] dims) -> Tensor',
  /** expand(size): repeats axes of size 1 without copying; −1 keeps an axis. */
  expand: 'expand(Tensor self, int[] size) -> Tensor',
  /** repeat(repeats): copies along each axis. */
  repeat: 'repeat(Tensor self, int[] repeats) -> Tensor',
  /** repeatInterleave(repeats, dim): each slice repeated repeats[i] times. */
  repeatInterleave: 'repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None) -> Tensor',
  contiguous: 'contiguous(Tensor self) -> Tensor',
  /** cat(tensors, dim): joined along an axis that exists. */
  cat: 'cat(Tensor[] tensors, int dim=0) -> Tensor',
  /** stack(tensors, dim): joined along a new axis. */
  stack: 'stack(Tensor[] tensors, int dim=0) -> Tensor',
  /** split(sizes, dim): pieces of the given sizes, as views. */
  split: 'split_with_sizes(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]',
  /** chunk(chunks, dim): at most that many equal pieces, as views. */
  chunk: 'chunk(Tensor self, int chunks, int dim=0) -> Tensor[]',
  /** unbind(dim): the slices along an axis, without it. */
  unbind: 'unbind.int(Tensor self, int dim=0) -> Tensor[]',
  /** narrow(dim, start, length): a view of a range along an axis. */
  narrow: 'narrow(Tensor self, int dim, int start, int length) -> Tensor',
  /** slice(dim, start, end, step): a view; ends are clipped as in Python. */
  slice: 'slice.Tensor(Tensor self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor',
  /** select(dim, index): one slice along an axis, without it. */
  select: 'select.int(Tensor self, int dim, int index) -> Tensor',
  /** flip(dims): reversed along the axes. */
  flip: 'flip(Tensor self, int[] dims) -> Tensor',
  /** roll(shifts, dims): shifted cyclically. */
  roll: 'roll(Tensor self, int[1] shifts, int[1] dims=[]) -> Tensor',
  /** tril(diagonal): zero above the diagonal. */
  tril: 'tril(Tensor self, int diagonal=0) -> Tensor',
  /** triu(diagonal): zero below the diagonal. */
  triu: 'triu(Tensor self, int diagonal=0) -> Tensor',
  /** pad(pad, mode, value): pad lists (before, after) from the last axis backwards. */
  pad: 'constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor',

  // ---- indexing ------------------------------------------------------------------------------------------------------------
  /** index([tensor | null, …]): one int64 or bool tensor for each axis; null takes the axis whole. */
  index: 'index.Tensor(Tensor self, Tensor?[] indices) -> Tensor',
  /** indexSelect(dim, index): the slices at index [n]. */
  indexSelect: 'index_select(Tensor self, int dim, Tensor index) -> Tensor',
  /** indexAdd(dim, index, source, {alpha}): slices of source added at index. */
  indexAdd: 'index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor',
  /** gather(dim, index): out[…, i, …] = self[…, index[…, i, …], …]. */
  gather: 'gather(Tensor self, int dim, Tensor index) -> Tensor',
  /** scatter(dim, index, src): the inverse of gather. */
  scatter: [
    'scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor',
    'scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor',
  ],
  /** scatterAdd(dim, index, src): as scatter, adding. */
  scatterAdd: 'scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor',
  /** embedding(weight, indices): weight [V, D] at int64 indices […] → […, D]. */
  embedding: 'embedding(Tensor weight, Tensor indices) -> Tensor',

  // ---- normalisation, softmax, losses --------------------------------------------------------------------------------------
  /** softmax(dim): exp(self) / Σ exp(self). */
  softmax: 'softmax.int(Tensor self, int dim) -> Tensor',
  /** logSoftmax(dim): self − log Σ exp(self). */
  logSoftmax: 'log_softmax.int(Tensor self, int dim) -> Tensor',
  /** layerNorm(input, normalizedShape, weight, bias, eps): over the last axes. */
  layerNorm: 'layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> Tensor',
  /** crossEntropy(logits [T, V], target int64 [T], weight, reduction 0 none | 1 mean | 2 sum, ignoreIndex). */
  crossEntropy: 'cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int ignore_index=-100) -> Tensor',
  /** scaledDotProductAttention(query, key, value, mask, dropout, causal): […, T, D]; PyTorch 2 only. */
  scaledDotProductAttention:
    'scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None) -> Tensor',

  // ---- creation ------------------------------------------------------------------------------------------------------------
  empty: 'empty.memory_format(int[] size, *, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  zeros: 'zeros(int[] size, *, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  ones: 'ones(int[] size, *, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  full: 'full(int[] size, Scalar fill_value, *, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  /** arange(start, end, step, {dtype}): int64 unless told otherwise. */
  arange: 'arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType dtype=int64, Device device=cpu) -> Tensor',
  linspace: 'linspace(Scalar start, Scalar end, int steps, *, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  eye: 'eye(int n, *, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  emptyLike: 'empty_like(Tensor self) -> Tensor',
  zerosLike: 'zeros_like(Tensor self) -> Tensor',
  onesLike: 'ones_like(Tensor self) -> Tensor',
  /** rand(size, {generator}): uniform in [0, 1). */
  rand: 'rand.generator(int[] size, *, Generator? generator=None, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  /** randn(size, {generator}): standard normal. */
  randn: 'randn.generator(int[] size, *, Generator? generator=None, ScalarType dtype=float32, Device device=cpu) -> Tensor',
  /** randint(low, high, size, {generator}): integers in [low, high). */
  randint: 'randint.low_generator(int low, int high, int[] size, *, Generator? generator=None, ScalarType dtype=int64, Device device=cpu) -> Tensor',
  /** randperm(n, {generator}): a permutation of 0 … n − 1. */
  randperm: 'randperm.generator(int n, *, Generator? generator=None, ScalarType dtype=int64, Device device=cpu) -> Tensor',
  /** multinomial(count, replacement, {generator}): positions drawn in proportion to the weights self […, n]. */
  multinomial: 'multinomial(Tensor self, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor',
  /** bernoulli({generator}): 1 with the probabilities self, else 0. */
  bernoulli: 'bernoulli(Tensor self, *, Generator? generator=None) -> Tensor',

  // ---- conversion ----------------------------------------------------------------------------------------------------------
  /** toDtype(dtype): converted; the tensor itself where it has that dtype. */
  toDtype: 'to.dtype(Tensor self, ScalarType dtype) -> Tensor',
  /** to({dtype, device}): copied to a device and dtype. */
  to: '_to_copy(Tensor self, *, ScalarType? dtype=None, Device? device=None) -> Tensor',
  /** The same values, cut off from the gradient; a view. */
  detach: 'detach(Tensor self) -> Tensor',
  /** A copy with memory of its own; gradients flow through. */
  clone: 'clone(Tensor self) -> Tensor',

  // ---- in place: for optimisers, caches and buffers ------------------------------------------------------------------------
  add_: [
    'add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)',
    'add_.Scalar(Tensor(a!) self, Scalar other, *, Scalar alpha=1) -> Tensor(a!)',
  ],
  sub_: [
    'sub_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)',
    'sub_.Scalar(Tensor(a!) self, Scalar other, *, Scalar alpha=1) -> Tensor(a!)',
  ],
  mul_: ['mul_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)', 'mul_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)'],
  div_: ['div_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)', 'div_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)'],
  /** lerp_(end, weight): self + weight · (end − self); the step of an exponential moving average. */
  lerp_: 'lerp_.Scalar(Tensor(a!) self, Tensor end, Scalar weight) -> Tensor(a!)',
  exp_: 'exp_(Tensor(a!) self) -> Tensor(a!)',
  sqrt_: 'sqrt_(Tensor(a!) self) -> Tensor(a!)',
  /** addcmul_(tensor1, tensor2, {value}): self + value · tensor1 · tensor2. */
  addcmul_: 'addcmul_(Tensor(a!) self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor(a!)',
  /** addcdiv_(tensor1, tensor2, {value}): self + value · tensor1 / tensor2. */
  addcdiv_: 'addcdiv_(Tensor(a!) self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor(a!)',
  addmm_: 'addmm_(Tensor(a!) self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor(a!)',
  copy_: 'copy_(Tensor(a!) self, Tensor src) -> Tensor(a!)',
  zero_: 'zero_(Tensor(a!) self) -> Tensor(a!)',
  fill_: 'fill_.Scalar(Tensor(a!) self, Scalar value) -> Tensor(a!)',
  maskedFill_: 'masked_fill_.Scalar(Tensor(a!) self, Tensor mask, Scalar value) -> Tensor(a!)',
  indexCopy_: 'index_copy_(Tensor(a!) self, int dim, Tensor index, Tensor source) -> Tensor(a!)',
  indexAdd_: 'index_add_(Tensor(a!) self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor(a!)',
  scatterAdd_: 'scatter_add_(Tensor(a!) self, int dim, Tensor index, Tensor src) -> Tensor(a!)',
  /** normal_(mean, std, {generator}): filled with normal numbers. */
  normal_: 'normal_(Tensor(a!) self, float mean=0, float std=1, *, Generator? generator=None) -> Tensor(a!)',
  /** uniform_(from, to, {generator}): filled with uniform numbers. */
  uniform_: 'uniform_(Tensor(a!) self, float from=0, float to=1, *, Generator? generator=None) -> Tensor(a!)',

  // ---- lists of tensors in one call ----------------------------------------------------------------------------------------
  /** foreachNorm(tensors, ord): a norm of each. */
  foreachNorm: '_foreach_norm.Scalar(Tensor[] self, Scalar ord=2) -> Tensor[]',
  /** foreachMul_(tensors, scalar): each scaled in place. */
  foreachMul_: '_foreach_mul_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()',

  // ---- kernels of native/ (float32, CPU) -----------------------------------------------------------------------------------
  /** Softmax attention over packed sequences, query [T, heads, D], key and value [S, groups, D]; see attention.ts. */
  fusedAttention:
    'sightline::attention(Tensor query, Tensor key, Tensor value, Tensor? cos, Tensor? sin, int[] query_starts, int[] key_starts, bool causal, float scale) -> Tensor',
  /** input […, D] / rms(input) · weight [D]. */
  fusedRmsNorm: 'sightline::rms_norm(Tensor input, Tensor weight, float eps) -> Tensor',
  /** input [R, K] · weight [N, K]ᵀ + bias [N], weight float32 or bfloat16: fast for few rows, which do not influence each other's bits; no gradient. */
  fusedLinearRows: 'sightline::linear_rows(Tensor input, Tensor weight, Tensor? bias) -> Tensor',
  /** x [T, heads, D] rotated by tables [T, D], which get no gradient. */
  fusedRotary: 'sightline::rotary(Tensor x, Tensor cos, Tensor sin) -> Tensor',
  /** One query for each row, [R, heads, D], against a prefix [P, groups, D] and a cache [slots, capacity, groups, D]; see attention.ts; no gradient. */
  fusedDecodeAttention:
    'sightline::decode_attention(Tensor query, Tensor[] prefix_keys, Tensor[] prefix_values, int[] prefix_of, Tensor keys, Tensor values, int[] slots, int[] lengths, float scale) -> Tensor',
  /** silu(gate) · up, of one shape. */
  fusedSwiglu: 'sightline::swiglu(Tensor gate, Tensor up) -> Tensor',
  /** One AdamW step on each parameter in place. */
  fusedAdamw_:
    'sightline::adamw_(Tensor[] parameters, Tensor[] gradients, Tensor[] first_moments, Tensor[] second_moments, float rate, float beta1, float beta2, float eps, float weight_decay, int step) -> ()',
  /** −log softmax(logits / temperature) at targets [T]; logits [T, V] become the gradient. */
  fusedCrossEntropy_: 'sightline::cross_entropy_(Tensor logits, Tensor targets, float temperature) -> Tensor',
  /** Values [T] of a divergence between rows of logits [T, V]; the first tensor becomes its gradient, the second is used up. */
  fusedDivergence_: 'sightline::divergence_(Tensor student, Tensor target, int kind, float beta, float temperature) -> Tensor',
  /** `value` (a scalar) with an addition to its gradient that is already known: that with respect to `input`. */
  withGradient: 'sightline::with_gradient(Tensor value, Tensor input, Tensor gradient) -> Tensor',
} as const
