// Kernels for generating text, in float32 on the CPU: a few rows against large weights, and one query for each row against its cache.
//
// No result depends on how many rows are computed together or on how many threads: each number has one accumulator that runs along the
// depth in order and is summed in one way. A sample is thus the same, bit for bit, alone and among others.
#include "heads.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <numeric>

namespace sightline {
namespace {

using OptionalTensor = decltype(c10::IValue().toOptional<at::Tensor>());  // c10's or, in later releases, std's

// Both sides of a product of rows: rows of inputs and of weights, each `stride` apart, unit stride along the depth.
template <typename T>
struct Matrix {
  const T* data;
  int64_t stride;
  Matrix from(int64_t row) const { return {data + row * stride, stride}; }
};

constexpr int kRows = 4, kWeights = kLanes == 16 ? 6 : 2;  // of a tile: as many sums as registers hold

// out[r, n] = x[r] · w[n] (+ bias[n]) for R rows and N weights. R·N sums stay in registers, so a load serves R or N products; vectors
// run along the depth, which needs no transposed copy of the weights. The shape of the tile does not change a sum.
template <int R, int N, typename W>
inline void dots(int64_t depth, Matrix<float> x, Matrix<W> w, const float* bias, float* out, int64_t outStride) {
  vfloat parts[R][N] = {};
  const auto step = [&](auto fetch) {
    vfloat weights[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) weights[n] = fetch(w.data + n * w.stride);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const vfloat row = fetch(x.data + r * x.stride);
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) parts[r][n] += row * weights[n];
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) step([&](const auto* p) { return load(p + k); });
  if (k < depth) step([&](const auto* p) { return loadSome(p + k, depth - k); });
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    float* to = out + r * outStride;
#pragma GCC unroll 8
    for (int n = 0; n + 1 < N; n += 2) sums(parts[r][n], parts[r][n + 1], to + n);
    if (N % 2) to[N - 1] = sum(parts[r][N - 1]);
    for (int n = 0; bias && n < N; n++) to[n] += bias[n];
  }
}

// All rows against N weights, R at a time and then fewer.
template <int R, int N, typename W>
void eachRow(int64_t rows, int64_t depth, Matrix<float> x, Matrix<W> w, const float* bias, float* out, int64_t outStride) {
  int64_t r = 0;
  for (; r + R <= rows; r += R) dots<R, N>(depth, x.from(r), w, bias, out + r * outStride, outStride);
  if constexpr (R > 1)
    if (r < rows) eachRow<R / 2, N>(rows - r, depth, x.from(r), w, bias, out + r * outStride, outStride);
}

// The outer loop goes over the weights: a few rows of them come from memory once and stay in the cache for all input rows. bfloat16 that
// more than one tile of rows will read is widened once.
template <typename W>
void product(int64_t rows, int64_t count, int64_t depth, Matrix<float> x, Matrix<W> w, const float* bias, float* out, int64_t outStride) {
  static thread_local std::vector<float> buffer;
  int64_t n = 0;
  for (; n + kWeights <= count; n += kWeights) {
    const auto run = [&](auto part) { eachRow<kRows, kWeights>(rows, depth, x, part, bias ? bias + n : nullptr, out + n, outStride); };
    if (sizeof(W) == sizeof(float) || rows <= kRows) {
      run(w.from(n));
      continue;
    }
    float* wide = scratch(buffer, kWeights * depth);
    for (int i = 0; i < kWeights; i++)
      blocks(depth, [&](int64_t k, int64_t lanes) { storeSome(wide + i * depth + k, loadSome(w.from(n + i).data + k, lanes), lanes); });
    run(Matrix<float>{wide, depth});
  }
  for (; n < count; n++) eachRow<kRows, 1>(rows, depth, x, w.from(n), bias ? bias + n : nullptr, out + n, outStride);
}

void refuseGradient(std::initializer_list<at::TensorList> lists, const char* name) {
  if (!at::GradMode::is_enabled()) return;
  for (const auto& list : lists)
    for (const auto& each : list) TORCH_CHECK(!each.defined() || !each.requires_grad(), name, " has no gradient: run it without recording (noGrad)");
}

// input [R, K] · weight [N, K]ᵀ + bias [N], weight float32 or bfloat16 (widened in registers: half the memory to read).
at::Tensor linearRows(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& biasOrNone) {
  const auto bias = biasOrNone.value_or(at::Tensor());
  const bool half = weight.scalar_type() == at::kBFloat16;
  TORCH_CHECK(input.is_cpu() && input.dim() == 2 && input.scalar_type() == at::kFloat, "input must be a float32 CPU tensor [rows, depth]");
  const int64_t rows = input.size(0), depth = input.size(1), count = weight.dim() == 2 ? weight.size(0) : 0;
  TORCH_CHECK(weight.is_cpu() && weight.dim() == 2 && weight.size(1) == depth && (half || weight.scalar_type() == at::kFloat),
              "weight must be a float32 or bfloat16 CPU tensor [width, ", depth, "]");
  TORCH_CHECK(!bias.defined() || (bias.is_cpu() && bias.scalar_type() == at::kFloat && bias.dim() == 1 && bias.size(0) == count),
              "bias must be a float32 CPU tensor [", count, "]");
  refuseGradient({{input, weight, bias}}, "linear_rows");
  const auto x = input.contiguous(), w = weight.stride(1) == 1 ? weight : weight.contiguous(), b = bias.defined() ? bias.contiguous() : bias;
  auto out = at::empty({rows, count}, input.options());
  const Matrix<float> from{x.data_ptr<float>(), depth};
  const float* add = b.defined() ? b.data_ptr<float>() : nullptr;
  float* to = out.data_ptr<float>();
  constexpr int64_t kWork = 1 << 18;  // products worth waking a thread for: a few microseconds
  at::parallel_for(0, (count + kWeights - 1) / kWeights, 1 + kWork / (kWeights * rows * depth + 1), [&](int64_t begin, int64_t end) {
    const int64_t n = kWeights * begin, some = std::min(count, kWeights * end) - n;
    const auto run = [&](auto matrix) { product(rows, some, depth, from, matrix.from(n), add ? add + n : nullptr, to + n, count); };
    if (half) run(Matrix<uint16_t>{static_cast<const uint16_t*>(w.data_ptr()), w.stride(0)});
    else run(Matrix<float>{w.data_ptr<float>(), w.stride(0)});
  });
  return out;
}

// x [T, heads, D] rotated by tables [T, D], in one pass instead of six; the tables get no gradient.
struct Rotary : torch::autograd::Function<Rotary> {
  static at::Tensor turn(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool transposed) {
    const auto source = unitColumns(x);
    auto out = at::empty(x.sizes(), x.options());
    const int64_t tokens = x.size(0), heads = x.size(1), width = x.size(2);
    const Heads from(source), to(out);
    const float *c = cos.data_ptr<float>(), *s = sin.data_ptr<float>();
    at::parallel_for(0, tokens, 1 + 16384 / (heads * width + 1), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; t++)
        for (int64_t h = 0; h < heads; h++) rotate(from.at(t, h), to.at(t, h), c + t * width, s + t * width, width, 1, transposed);
    });
    return out;
  }
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
    checkHeads(x, "x");
    const int64_t tokens = x.size(0), width = x.size(2);
    TORCH_CHECK(width % 2 == 0, "the width must be even, got ", width);
    for (const auto* table : {&cos, &sin})
      TORCH_CHECK(table->is_cpu() && table->scalar_type() == at::kFloat && table->dim() == 2 && table->size(0) == tokens && table->size(1) == width,
                  "cos and sin must be float32 CPU tensors [", tokens, ", ", width, "]");
    const auto c = cos.contiguous(), s = sin.contiguous();
    context->save_for_backward({c, s});
    return turn(x, c, s, false);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {turn(gradients[0], saved[0], saved[1], true), at::Tensor(), at::Tensor()};
  }
};

// Keys and values that follow one another, of one group.
struct Piece {
  Matrix<float> keys, values;
  int64_t count;
};

// softmax(scale · q · keyᵀ) · value over the pieces, for the `share` query heads of one group: its keys are read once for all of them.
// Vectors run along D in the products (a key is a row in memory) and along the keys in the softmax, so that no lane is idle although
// there is only one query. All scores of the group are kept: they are few, and two plain passes need no rescaling.
void attend(Matrix<float> queries, int64_t share, int64_t width, std::initializer_list<Piece> pieces, float scale, float* out) {
  static thread_local std::vector<float> buffer;
  int64_t total = 0, done = 0;
  for (const auto& piece : pieces) total += piece.count;
  const int64_t lanes = padded(width);
  float *scores = scratch(buffer, share * (total + lanes + 1)), *sums = scores + share * total, *weight = sums + share * lanes;
  for (const auto& piece : pieces) {
    product(share, piece.count, width, queries, piece.keys, nullptr, scores + done, total);
    done += piece.count;
  }
  for (int64_t h = 0; h < share; h++) {
    float* row = scores + h * total;
    vfloat top = splat(row[0] * scale), added{};
    blocks(total, [&](int64_t j, int64_t n) {
      const vfloat scaled = loadSome(row + j, n) * scale;
      storeSome(row + j, scaled, n);
      top = vmax(n == kLanes ? scaled : loadSome(row + j, n, row[0]), top);
    });
    const float most = maximum(top);
    blocks(total, [&](int64_t j, int64_t n) {
      const vfloat part = vexp(loadSome(row + j, n, -INFINITY) - most);
      storeSome(row + j, part, n);
      added += part;
    });
    weight[h] = 1 / sum(added);
  }
  std::fill(sums, sums + share * lanes, 0.f);
  done = 0;
  for (const auto& [keys, values, count] : pieces) {
    if (width == lanes) multiply(share, width, count, scores + done, total, 1, values.data, values.stride, sums, lanes, true);
    else for (int64_t j = 0; j < count; j++)
      for (int64_t h = 0; h < share; h++) {
        const float by = scores[h * total + done + j];
        for (int64_t d = 0; d < width; d++) sums[h * lanes + d] += by * values.data[j * values.stride + d];
      }
    done += count;
  }
  for (int64_t h = 0; h < share; h++)
    for (int64_t d = 0; d < width; d++) out[h * width + d] = sums[h * lanes + d] * weight[h];
}

// query [R, heads, D]: row r sees all of prefix prefixOf[r] (−1: none), then the first lengths[r] entries of slot slots[r] of the cache
// keys and values [slots, capacity, groups, D]. A task is one row and one group, all rows of a prefix one after another, while the
// prefix is in the cache of the processor.
at::Tensor decodeAttention(const at::Tensor& query, at::TensorList prefixKeys, at::TensorList prefixValues, at::IntArrayRef prefixOf, const at::Tensor& keys,
                           const at::Tensor& values, at::IntArrayRef slots, at::IntArrayRef lengths, double scale) {
  checkHeads(query, "query");
  const int64_t rows = query.size(0), heads = query.size(1), width = query.size(2), prefixes = prefixKeys.size();
  const auto check = [&](const at::Tensor& t, int64_t rank, int64_t groups, const at::Tensor& twin, const char* name) {
    TORCH_CHECK(t.is_cpu() && t.scalar_type() == at::kFloat && t.dim() == rank && t.size(-1) == width && t.size(-2) == groups && t.sizes() == twin.sizes(),
                name, " must be float32 CPU tensors of one shape that ends with [", groups, ", ", width, "]");
    TORCH_CHECK(width == 1 || t.stride(-1) == 1, name, " must have unit stride along the width: copying them for each token would be slow");
  };
  const int64_t groups = keys.dim() == 4 ? keys.size(2) : 0;
  for (const auto* t : {&keys, &values}) check(*t, 4, groups, keys, "keys and values [slots, capacity, groups, width]");
  TORCH_CHECK(groups > 0 && heads % groups == 0, "the ", heads, " query heads must be a multiple of the ", groups, " key heads");
  TORCH_CHECK(prefixKeys.size() == prefixValues.size(), "prefix_keys and prefix_values must be equally long");
  for (int64_t i = 0; i < prefixes; i++)
    for (const auto* t : {&prefixKeys[i], &prefixValues[i]}) check(*t, 3, groups, prefixKeys[i], "prefix_keys and prefix_values [tokens, groups, width]");
  for (const auto& list : {prefixOf, slots, lengths})
    TORCH_CHECK(static_cast<int64_t>(list.size()) == rows, "prefix_of, slots and lengths must each have ", rows, " elements, one for each query row");
  for (int64_t r = 0; r < rows; r++) {
    TORCH_CHECK(prefixOf[r] >= -1 && prefixOf[r] < prefixes, "prefix_of of row ", r, " is ", prefixOf[r], ", but there are ", prefixes, " prefixes (-1 is none)");
    TORCH_CHECK(slots[r] >= 0 && slots[r] < keys.size(0), "slot ", slots[r], " of row ", r, " is outside the ", keys.size(0), " of the cache");
    TORCH_CHECK(lengths[r] >= 0 && lengths[r] <= keys.size(1), "length ", lengths[r], " of row ", r, " is outside the capacity of ", keys.size(1));
    TORCH_CHECK(lengths[r] + (prefixOf[r] < 0 ? 0 : prefixKeys[prefixOf[r]].size(0)) > 0, "row ", r, " sees no key");
  }
  refuseGradient({{query, keys, values}, prefixKeys, prefixValues}, "decode_attention");
  const auto q = unitColumns(query);
  auto out = at::empty(query.sizes(), query.options());
  const Heads from(q), to(out);
  const auto rowsOf = [](const at::Tensor& t, int64_t group, int64_t slot = 0) {
    return Matrix<float>{t.data_ptr<float>() + slot * t.stride(0) + group * t.stride(-2), t.stride(-3)};
  };
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return prefixOf[a] < prefixOf[b]; });
  const int64_t share = heads / groups;
  eachTask(rows * groups, [&](int64_t task) {
    const int64_t group = task / rows, r = order[task % rows], head = group * share, prefix = prefixOf[r];
    const Piece before = prefix < 0 ? Piece{} : Piece{rowsOf(prefixKeys[prefix], group), rowsOf(prefixValues[prefix], group), prefixKeys[prefix].size(0)};
    const Piece own{rowsOf(keys, group, slots[r]), rowsOf(values, group, slots[r]), lengths[r]};
    attend({from.at(r, head), from.head}, share, width, {before, own}, scale, to.at(r, head));
  });
  return out;
}

TORCH_LIBRARY_FRAGMENT(sightline, library) {
  library.def("linear_rows(Tensor input, Tensor weight, Tensor? bias) -> Tensor", linearRows);
  library.def("rotary(Tensor x, Tensor cos, Tensor sin) -> Tensor",
              [](const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) { return Rotary::apply(x, cos, sin); });
  library.def("decode_attention(Tensor query, Tensor[] prefix_keys, Tensor[] prefix_values, int[] prefix_of, Tensor keys, Tensor values, "
              "int[] slots, int[] lengths, float scale) -> Tensor", decodeAttention);
}

}  // namespace
}  // namespace sightline
