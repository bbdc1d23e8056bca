// The yardstick of `npm run bench -- engine`: the same work in plain C++ libtorch with stock operators, loaded into the same process
// so that both sides share the allocator, the BLAS and the threads.
#define NAPI_VERSION 9
#include <node_api.h>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <cmath>
#include <vector>

namespace {

using at::Tensor;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds for `count` additions of two small tensors, each result freed at once.
double additions(int64_t count) {
  const auto a = at::ones({8}), b = at::ones({8});
  const double start = seconds();
  for (int64_t i = 0; i < count; i++) at::add(a, b);
  return seconds() - start;
}

struct Decoder {
  int64_t width, layers, heads, inner, vocabulary, length, batch;
  Tensor embedding, head, finalNorm, cos, sin, mask;
  struct Layer { Tensor norm1, q, k, v, o, norm2, gate, up, down; };
  std::vector<Layer> blocks;
  std::vector<Tensor> parameters, first, second;
  int64_t steps = 0;

  Tensor add(Tensor t) {
    t.set_requires_grad(true);
    parameters.push_back(t);
    first.push_back(at::zeros_like(t));
    second.push_back(at::zeros_like(t));
    return t;
  }
  Tensor weight(int64_t out, int64_t in) { return add(at::randn({out, in}).mul_(0.02)); }

  Decoder(int64_t width, int64_t layers, int64_t heads, int64_t inner, int64_t vocabulary, int64_t length, int64_t batch)
      : width(width), layers(layers), heads(heads), inner(inner), vocabulary(vocabulary), length(length), batch(batch) {
    embedding = weight(vocabulary, width);
    for (int64_t i = 0; i < layers; i++) {
      Layer l;
      l.norm1 = add(at::ones({width}));
      l.q = weight(width, width), l.k = weight(width, width), l.v = weight(width, width), l.o = weight(width, width);
      l.norm2 = add(at::ones({width}));
      l.gate = weight(inner, width), l.up = weight(inner, width), l.down = weight(width, inner);
      blocks.push_back(l);
    }
    finalNorm = add(at::ones({width}));
    head = weight(vocabulary, width);
    const int64_t d = width / heads;
    const auto frequencies = at::exp(at::arange(0, d, 2, at::kFloat).mul(-std::log(10000.0) / d));
    const auto angles = at::arange(length, at::kFloat).unsqueeze(1).mul(frequencies);
    const auto both = at::cat({angles, angles}, 1);
    cos = both.cos(), sin = both.sin();
    mask = at::full({length, length}, -INFINITY).triu(1);
  }

  static Tensor norm(const Tensor& x, const Tensor& w) { return x * at::rsqrt(x.square().mean(-1, true) + 1e-6) * w; }
  Tensor rotate(const Tensor& x) const {
    const auto halves = x.chunk(2, -1);
    return x * cos + at::cat({-halves[1], halves[0]}, -1) * sin;
  }

  double step(const Tensor& ids, const Tensor& targets, double rate) {
    auto h = at::embedding(embedding, ids);  // [B, T, D]
    const int64_t d = width / heads;
    const auto split = [&](const Tensor& x) { return x.view({batch, length, heads, d}).transpose(1, 2); };
    for (const auto& l : blocks) {
      const auto x = norm(h, l.norm1);
      const auto q = rotate(split(at::linear(x, l.q))), k = rotate(split(at::linear(x, l.k))), v = split(at::linear(x, l.v));
      const auto weights = at::softmax(at::matmul(q, k.transpose(-2, -1)) * (1 / std::sqrt(double(d))) + mask, -1);
      h = h + at::linear(at::matmul(weights, v).transpose(1, 2).reshape({batch, length, width}), l.o);
      const auto y = norm(h, l.norm2);
      h = h + at::linear(at::silu(at::linear(y, l.gate)) * at::linear(y, l.up), l.down);
    }
    const auto logits = at::linear(norm(h, finalNorm), head);
    const auto loss = at::cross_entropy_loss(logits.view({-1, vocabulary}), targets.view({-1}));
    torch::autograd::backward({loss}, {Tensor()}, false, false);
    steps++;
    at::NoGradGuard off;
    for (size_t i = 0; i < parameters.size(); i++) {
      auto &p = parameters[i], &m = first[i], &v = second[i];
      const auto g = p.grad();
      p.mul_(1 - rate * 0.01);
      m.mul_(0.9).add_(g, 0.1);
      v.mul_(0.999).addcmul_(g, g, 0.001);
      const auto denominator = (v.sqrt() / std::sqrt(1 - std::pow(0.999, steps))).add_(1e-8);
      p.addcdiv_(m, denominator, -rate / (1 - std::pow(0.9, steps)));
      p.mutable_grad().reset();
    }
    return loss.item<double>();
  }
};

std::unique_ptr<Decoder> decoder;
Tensor ids, targets;

std::vector<double> numbers(napi_env env, napi_callback_info info) {
  size_t count = 8;
  napi_value values[8];
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  std::vector<double> result(count);
  for (size_t i = 0; i < count; i++) napi_get_value_double(env, values[i], &result[i]);
  return result;
}

napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

napi_value runAdditions(napi_env env, napi_callback_info info) {
  at::NoGradGuard off;
  return number(env, additions(numbers(env, info)[0]));
}

// createDecoder(seed, width, layers, heads, inner, vocabulary, length, batch)
napi_value createDecoder(napi_env env, napi_callback_info info) {
  const auto n = numbers(env, info);
  c10::GradMode::set_enabled(true);
  at::manual_seed(static_cast<uint64_t>(n[0]));
  decoder = std::make_unique<Decoder>(n[1], n[2], n[3], n[4], n[5], n[6], n[7]);
  const int64_t vocabulary = n[5], length = n[6], batch = n[7];
  ids = at::arange(batch * length).mul(7919).remainder(vocabulary).view({batch, length});
  targets = ids.mul(31).add(17).remainder(vocabulary);
  return number(env, 0);
}

napi_value trainStep(napi_env env, napi_callback_info info) {
  const auto n = numbers(env, info);
  c10::GradMode::set_enabled(true);
  return number(env, decoder->step(ids, targets, n[0]));
}

}  // namespace

NAPI_MODULE_INIT() {
  const auto define = [&](const char* name, napi_callback callback) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    napi_set_named_property(env, exports, name, function);
  };
  define("additions", runAdditions);
  define("createDecoder", createDecoder);
  define("trainStep", trainStep);
  return exports;
}
