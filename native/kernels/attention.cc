// Softmax attention over packed sequences of different lengths, with rotary embedding, on the CPU in float32.
//
// Works through keys in blocks with a running softmax (Dao et al., FlashAttention, arXiv 2205.14135), so scores of a whole
// sequence are never stored; the backward pass recomputes them from the saved log-sum-exp. One task is one sequence and one
// key/value head with all query heads that share it, hence no two tasks write the same gradient and results do not depend on
// the order in which threads take tasks.
#include "heads.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace sightline {
namespace {

// Scores are kept transposed, [keys × queries]: a vector then holds one key for several queries, so the softmax needs no sums across a
// vector, and neither keys nor values need a transposed copy.
constexpr int64_t kQueryBlock = 32, kKeyBlock = 256;
constexpr float kMasked = -std::numeric_limits<float>::infinity();

struct Problem {
  std::vector<int64_t> queryStarts, keyStarts;
  bool causal;
  float scale;
  int64_t heads, groups, width;  // query heads, key/value heads, head dimension D
  const float *cos, *sin;        // [tokens, D], or null for no rotation

  void rotate(const float* from, float* to, int64_t token, float by, bool transposed) const {
    if (cos) sightline::rotate(from, to, cos + token * width, sin + token * width, width, by, transposed);
    else for (int64_t d = 0; d < width; d++) to[d] = from[d] * by;
  }
};

// One sequence of the packed batch and one block of its queries.
struct Span {
  int64_t query0, queries, key0, keys, offset;  // query i sees keys 0 … i + offset
  Span(const Problem& p, int64_t s)
      : query0(p.queryStarts[s]), queries(p.queryStarts[s + 1] - query0), key0(p.keyStarts[s]),
        keys(p.keyStarts[s + 1] - key0), offset(p.causal ? keys - queries : keys) {}
  int64_t visible(int64_t query) const { return std::min(keys, query + offset + 1); }
};

// `count` rows of a head from token0 on, rotated and scaled: rows[count × stride], zero beyond the width, and (where wanted) also
// transposed[width × lanes], zero beyond the count.
void pack(const Problem& p, const Heads& source, int64_t head, int64_t token0, int64_t count, float by, bool rotated, float* rows, int64_t stride,
          float* transposed, int64_t lanes) {
  for (int64_t i = 0; i < count; i++) {
    float* row = rows + i * stride;
    const float* from = source.at(token0 + i, head);
    if (rotated) p.rotate(from, row, token0 + i, by, false);
    else std::memcpy(row, from, p.width * sizeof(float));
    std::fill(row + p.width, row + stride, 0.f);
  }
  if (!transposed) return;
  for (int64_t d = 0; d < p.width; d++) {
    for (int64_t i = 0; i < count; i++) transposed[d * lanes + i] = rows[i * stride + d];
    std::fill(transposed + d * lanes + count, transposed + (d + 1) * lanes, 0.f);
  }
}

// Rows of values as a matrix with rows `stride` apart: the tensor itself where its width fills whole vectors, else a padded copy.
struct Rows {
  const float* data;
  int64_t stride;
  Rows(const Problem& p, const Heads& source, int64_t head, int64_t token0, int64_t count, float* copy)
      : data(source.at(token0, head)), stride(source.token) {
    if (p.width % kLanes == 0) return;
    data = copy, stride = padded(p.width);
    pack(p, source, head, token0, count, 1, false, copy, stride, nullptr, 0);
  }
};

// Hides from each query of the block the keys that follow it; key j0 is the first row of scores.
void mask(const Span& span, int64_t i0, int64_t rows, int64_t j0, int64_t keys, float* scores, int64_t lanes) {
  for (int64_t j = std::max<int64_t>(0, span.visible(i0) - j0); j < keys; j++) {
    const int64_t hidden = std::min(rows, j0 + j - span.offset - i0);
    std::fill(scores + j * lanes, scores + j * lanes + std::max<int64_t>(0, hidden), kMasked);
  }
}

void forward(const Problem& p, const Heads& q, const Heads& k, const Heads& v, const Heads& out, float* lse, int64_t tokens) {
  const int64_t sequences = p.queryStarts.size() - 1, share = p.heads / p.groups, D = p.width, Dp = padded(D);
  eachTask(sequences * p.groups, [&](int64_t task) {
    const Span span(p, task / p.groups);
    const int64_t group = task % p.groups;
    static thread_local std::vector<float> sources, block;
    float* keys = scratch(sources, 2 * span.keys * Dp);
    float* queries = scratch(block, kQueryBlock * (2 * Dp + D + kKeyBlock + 2));
    float *queriesT = queries + kQueryBlock * Dp, *sums = queriesT + kQueryBlock * D, *scores = sums + kQueryBlock * Dp;
    float *most = scores + kQueryBlock * kKeyBlock, *total = most + kQueryBlock;
    pack(p, k, group, span.key0, span.keys, 1, true, keys, Dp, nullptr, 0);
    const Rows values(p, v, group, span.key0, span.keys, keys + span.keys * Dp);
    for (int64_t head = group * share; head < (group + 1) * share; head++) {
      for (int64_t i0 = 0; i0 < span.queries; i0 += kQueryBlock) {
        const int64_t rows = std::min(kQueryBlock, span.queries - i0), lanes = padded(rows), end = span.visible(i0 + rows - 1);
        pack(p, q, head, span.query0 + i0, rows, p.scale, true, queries, Dp, queriesT, lanes);
        std::fill(sums, sums + rows * Dp, 0.f);
        std::fill(most, most + lanes, kMasked);
        std::fill(total, total + lanes, 0.f);
        for (int64_t j0 = 0; j0 < end; j0 += kKeyBlock) {
          const int64_t count = std::min(kKeyBlock, end - j0);
          multiply(count, lanes, D, keys + j0 * Dp, Dp, 1, queriesT, lanes, scores, lanes, false);
          mask(span, i0, rows, j0, count, scores, lanes);
          float decay[kQueryBlock];
          for (int64_t r = 0; r < lanes; r += kLanes) {
            const vfloat before = load(most + r);
            vfloat top = before, added{};
            for (int64_t j = 0; j < count; j++) top = vmax(load(scores + j * lanes + r), top);
            const vfloat shift = top == kMasked ? vfloat{} : top;
            for (int64_t j = 0; j < count; j++) {
              const vfloat weight = vexp(load(scores + j * lanes + r) - shift);
              store(scores + j * lanes + r, weight);
              added += weight;
            }
            const vfloat factor = vexp(before - shift);
            store(decay + r, factor);
            store(total + r, load(total + r) * factor + added);
            store(most + r, top);
          }
          if (j0 > 0)
            for (int64_t r = 0; r < rows; r++)
              for (int64_t d = 0; d < Dp; d += kLanes) store(sums + r * Dp + d, load(sums + r * Dp + d) * decay[r]);
          multiply(rows, Dp, count, scores, 1, lanes, values.data + j0 * values.stride, values.stride, sums, Dp, true);
        }
        for (int64_t r = 0; r < rows; r++) {
          float* to = out.at(span.query0 + i0 + r, head);
          const float by = 1 / total[r];
          for (int64_t d = 0; d < D; d++) to[d] = sums[r * Dp + d] * by;
          lse[head * tokens + span.query0 + i0 + r] = most[r] + std::log(total[r]);
        }
      }
    }
  });
}

void backward(const Problem& p, const Heads& q, const Heads& k, const Heads& v, const Heads& out, const Heads& dOut, const float* lse,
              int64_t tokens, const Heads& dq, const Heads& dk, const Heads& dv) {
  const int64_t sequences = p.queryStarts.size() - 1, share = p.heads / p.groups, D = p.width, Dp = padded(D);
  eachTask(sequences * p.groups, [&](int64_t task) {
    const Span span(p, task / p.groups);
    const int64_t group = task % p.groups, L = span.keys;
    static thread_local std::vector<float> sources, block;
    float *keys = scratch(sources, 3 * L * Dp), *dK = keys + L * Dp, *dV = dK + L * Dp;
    float* queries = scratch(block, kQueryBlock * (3 * Dp + 2 * D + 2 * kKeyBlock));
    float *queriesT = queries + kQueryBlock * Dp, *dO = queriesT + kQueryBlock * D, *dOT = dO + kQueryBlock * Dp;
    float *dQ = dOT + kQueryBlock * D, *weights = dQ + kQueryBlock * Dp, *dScores = weights + kQueryBlock * kKeyBlock;
    pack(p, k, group, span.key0, L, 1, true, keys, Dp, nullptr, 0);
    const float* values = v.at(span.key0, group);  // only ever read element by element: no copy at any width
    std::fill(dK, dV + L * Dp, 0.f);
    for (int64_t head = group * share; head < (group + 1) * share; head++) {
      for (int64_t i0 = 0; i0 < span.queries; i0 += kQueryBlock) {
        const int64_t rows = std::min(kQueryBlock, span.queries - i0), lanes = padded(rows), end = span.visible(i0 + rows - 1), token0 = span.query0 + i0;
        pack(p, q, head, token0, rows, p.scale, true, queries, Dp, queriesT, lanes);
        pack(p, dOut, head, token0, rows, 1, false, dO, Dp, dOT, lanes);
        std::fill(dQ, dQ + rows * Dp, 0.f);
        float shift[kQueryBlock] = {}, delta[kQueryBlock] = {};
        for (int64_t r = 0; r < rows; r++) {
          const float *o = out.at(token0 + r, head), *go = dO + r * Dp;
          shift[r] = lse[head * tokens + token0 + r];
          float dot = 0;
#pragma omp simd reduction(+ : dot)
          for (int64_t d = 0; d < D; d++) dot += o[d] * go[d];
          delta[r] = dot;
        }
        for (int64_t j0 = 0; j0 < end; j0 += kKeyBlock) {
          const int64_t count = std::min(kKeyBlock, end - j0);
          multiply(count, lanes, D, keys + j0 * Dp, Dp, 1, queriesT, lanes, weights, lanes, false);
          multiply(count, lanes, D, values + j0 * v.token, v.token, 1, dOT, lanes, dScores, lanes, false);
          mask(span, i0, rows, j0, count, weights, lanes);
          for (int64_t r = 0; r < lanes; r += kLanes) {
            const vfloat shifts = load(shift + r), deltas = load(delta + r);
            for (int64_t j = r; j < count * lanes; j += lanes) {
              const vfloat weight = vexp(load(weights + j) - shifts);
              store(weights + j, weight);
              store(dScores + j, weight * (load(dScores + j) - deltas));
            }
          }
          multiply(rows, Dp, count, dScores, 1, lanes, keys + j0 * Dp, Dp, dQ, Dp, true);
          multiply(count, Dp, rows, dScores, lanes, 1, queries, Dp, dK + j0 * Dp, Dp, true);
          multiply(count, Dp, rows, weights, lanes, 1, dO, Dp, dV + j0 * Dp, Dp, true);
        }
        for (int64_t r = 0; r < rows; r++) p.rotate(dQ + r * Dp, dq.at(token0 + r, head), token0 + r, p.scale, true);
      }
    }
    for (int64_t j = 0; j < L; j++) {
      p.rotate(dK + j * Dp, dk.at(span.key0 + j, group), span.key0 + j, 1, true);
      std::memcpy(dv.at(span.key0 + j, group), dV + j * Dp, D * sizeof(float));
    }
  });
}

void checkStarts(const std::vector<int64_t>& starts, int64_t tokens, const char* name) {
  TORCH_CHECK(starts.size() >= 2 && starts.front() == 0 && starts.back() == tokens, name, " must begin with 0 and end with the ", tokens, " tokens");
  for (size_t i = 1; i < starts.size(); i++) TORCH_CHECK(starts[i] >= starts[i - 1], name, " must not decrease");
}

using OptionalTensor = decltype(c10::IValue().toOptional<at::Tensor>());  // c10's or, in later releases, std's

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const OptionalTensor& cosTable, const OptionalTensor& sinTable, std::vector<int64_t> queryStarts,
                            std::vector<int64_t> keyStarts, bool causal, double scale) {
    const auto cos = cosTable.value_or(at::Tensor()), sin = sinTable.value_or(at::Tensor());
    checkHeads(query, "query"), checkHeads(key, "key"), checkHeads(value, "value");
    const int64_t tokens = query.size(0), heads = query.size(1), width = query.size(2);
    TORCH_CHECK(key.sizes() == value.sizes() && key.size(2) == width, "key and value must both be [tokens, heads, ", width, "]");
    TORCH_CHECK(key.size(1) > 0 && heads % key.size(1) == 0, "the ", heads, " query heads must be a multiple of the ", key.size(1), " key heads");
    checkStarts(queryStarts, tokens, "query_starts"), checkStarts(keyStarts, key.size(0), "key_starts");
    TORCH_CHECK(queryStarts.size() == keyStarts.size(), "query_starts and key_starts must name equally many sequences");
    for (size_t s = 0; s + 1 < queryStarts.size(); s++) {
      const int64_t queries = queryStarts[s + 1] - queryStarts[s], keys = keyStarts[s + 1] - keyStarts[s];
      TORCH_CHECK(queries == 0 || keys > 0, "sequence ", s, " has queries but no keys");
      TORCH_CHECK(!causal || queries <= keys, "causal: sequence ", s, " has ", queries, " queries but only ", keys, " keys");
    }
    for (const auto& table : {cos, sin})
      if (table.defined())
        TORCH_CHECK(table.dim() == 2 && table.size(0) == tokens && table.size(1) == width && table.scalar_type() == at::kFloat && width % 2 == 0 &&
                    queryStarts == keyStarts && table.is_cpu(), "cos and sin must be float32 [", tokens, ", ", width, "] for equal query and key sequences of even width");
    TORCH_CHECK(cos.defined() == sin.defined(), "cos and sin go together");
    const auto q = unitColumns(query), k = unitColumns(key), v = unitColumns(value);
    const auto c = cos.defined() ? cos.contiguous() : cos, s = sin.defined() ? sin.contiguous() : sin;
    auto out = at::empty(query.sizes(), query.options());
    auto lse = at::empty({heads, tokens}, query.options());
    const Problem problem{queryStarts, keyStarts, causal, static_cast<float>(scale), heads, key.size(1), width,
                          c.defined() ? c.data_ptr<float>() : nullptr, s.defined() ? s.data_ptr<float>() : nullptr};
    sightline::forward(problem, Heads(q), Heads(k), Heads(v), Heads(out), lse.data_ptr<float>(), tokens);
    context->save_for_backward({q, k, v, c, s, out, lse});
    context->saved_data["query_starts"] = queryStarts;
    context->saved_data["key_starts"] = keyStarts;
    context->saved_data["causal"] = causal;
    context->saved_data["scale"] = scale;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &c = saved[3], &s = saved[4], &out = saved[5], &lse = saved[6];
    const auto gradient = unitColumns(gradients[0]);
    auto dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), k.options()), dv = at::empty(v.sizes(), v.options());
    const Problem problem{context->saved_data["query_starts"].toIntVector(), context->saved_data["key_starts"].toIntVector(),
                          context->saved_data["causal"].toBool(), static_cast<float>(context->saved_data["scale"].toDouble()), q.size(1), k.size(1), q.size(2),
                          c.defined() ? c.data_ptr<float>() : nullptr, s.defined() ? s.data_ptr<float>() : nullptr};
    sightline::backward(problem, Heads(q), Heads(k), Heads(v), Heads(out), Heads(gradient), lse.data_ptr<float>(), q.size(0), Heads(dq), Heads(dk), Heads(dv));
    return {dq, dk, dv, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const OptionalTensor& cos, const OptionalTensor& sin,
                     at::IntArrayRef queryStarts, at::IntArrayRef keyStarts, bool causal, double scale) {
  return Attention::apply(query, key, value, cos, sin, queryStarts.vec(), keyStarts.vec(), causal, scale);
}

TORCH_LIBRARY_FRAGMENT(sightline, library) {
  library.def("attention(Tensor query, Tensor key, Tensor value, Tensor? cos, Tensor? sin, int[] query_starts, int[] key_starts, bool causal, float scale) -> Tensor", attention);
}

}  // namespace
}  // namespace sightline
