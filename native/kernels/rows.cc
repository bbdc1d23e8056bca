// Fused element-wise and row-wise kernels for the CPU in float32: one pass over memory where stock operators take several.
// Each has a reference in stock operators in src/torch (used on other devices and dtypes), against which the tests hold it.
#include "vector.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

namespace sightline {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void checkFloat(const at::Tensor& t, const char* name) {
  TORCH_CHECK(t.is_cpu() && t.scalar_type() == at::kFloat, name, " must be a float32 CPU tensor");
}

// Σ body(offset, lanes) along n elements. Partial sums are carried in double every 4,096 elements, so a vocabulary-long row keeps
// full precision.
template <typename Body>
double reduce(int64_t n, Body body) {
  double total = 0;
  for (int64_t i = 0; i < n; i += 4096) {
    vfloat part{};
    blocks(std::min<int64_t>(4096, n - i), [&](int64_t j, int64_t lanes) { part += body(i + j, lanes); });
    total += sum(part);
  }
  return total;
}

// RMSNorm (Zhang & Sennrich, arXiv 1910.07467): y = x / rms(x) · weight over the last axis.
struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, double eps) {
    checkFloat(input, "input"), checkFloat(weight, "weight");
    TORCH_CHECK(input.dim() >= 1 && weight.dim() == 1 && weight.size(0) == input.size(-1), "weight must be [", input.dim() ? input.size(-1) : 0, "]");
    const auto x = input.contiguous(), w = weight.contiguous();
    const int64_t width = w.size(0), rows = width ? x.numel() / width : 0;
    auto out = at::empty(x.sizes(), x.options()), scale = at::empty({rows}, x.options());
    const float *from = x.data_ptr<float>(), *gain = w.data_ptr<float>();
    float *to = out.data_ptr<float>(), *inverse = scale.data_ptr<float>();
    at::parallel_for(0, rows, 1 + 16384 / (width + 1), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* row = from + r * width;
        const double squares = reduce(width, [&](int64_t i, int64_t lanes) { const vfloat v = loadSome(row + i, lanes); return v * v; });
        const float by = inverse[r] = 1 / std::sqrt(squares / width + eps);
        for (int64_t i = 0; i < width; i++) to[r * width + i] = row[i] * by * gain[i];
      }
    });
    context->save_for_backward({x, w, scale});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &w = saved[1], &scale = saved[2];
    const auto gradient = gradients[0].contiguous();
    const int64_t width = w.size(0), rows = scale.numel(), threads = at::get_num_threads();
    auto dx = at::empty(x.sizes(), x.options()), parts = at::zeros({threads, width}, w.options());
    const float *from = x.data_ptr<float>(), *gain = w.data_ptr<float>(), *inverse = scale.data_ptr<float>(), *dy = gradient.data_ptr<float>();
    float *to = dx.data_ptr<float>(), *partial = parts.data_ptr<float>();
    at::parallel_for(0, rows, 1 + 16384 / (width + 1), [&](int64_t begin, int64_t end) {
      float* dw = partial + at::get_thread_num() * width;
      for (int64_t r = begin; r < end; r++) {
        const float *row = from + r * width, *g = dy + r * width, by = inverse[r];
        const float mean = by * by / width * reduce(width, [&](int64_t i, int64_t lanes) { return loadSome(g + i, lanes) * loadSome(gain + i, lanes) * loadSome(row + i, lanes); });
        for (int64_t i = 0; i < width; i++) {
          to[r * width + i] = by * (g[i] * gain[i] - row[i] * mean);
          dw[i] += g[i] * row[i] * by;
        }
      }
    });
    return {dx, parts.sum(0), at::Tensor()};
  }
};

// SwiGLU (Shazeer, arXiv 2002.05202): silu(gate) · up.
struct SwiGlu : torch::autograd::Function<SwiGlu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    checkFloat(gate, "gate"), checkFloat(up, "up");
    TORCH_CHECK(gate.sizes() == up.sizes(), "gate and up must have one shape");
    const auto g = gate.contiguous(), u = up.contiguous();
    auto out = at::empty(g.sizes(), g.options());
    const float *a = g.data_ptr<float>(), *b = u.data_ptr<float>();
    float* to = out.data_ptr<float>();
    at::parallel_for(0, g.numel(), 16384, [&](int64_t begin, int64_t end) {
      blocks(end - begin, [&](int64_t i, int64_t lanes) {
        const vfloat x = loadSome(a + begin + i, lanes);
        storeSome(to + begin + i, x / (vexp(-x) + 1.f) * loadSome(b + begin + i, lanes), lanes);
      });
    });
    context->save_for_backward({g, u});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto gradient = gradients[0].contiguous();
    auto dGate = at::empty(saved[0].sizes(), saved[0].options()), dUp = at::empty(saved[1].sizes(), saved[1].options());
    const float *a = saved[0].data_ptr<float>(), *b = saved[1].data_ptr<float>(), *dy = gradient.data_ptr<float>();
    float *da = dGate.data_ptr<float>(), *db = dUp.data_ptr<float>();
    at::parallel_for(0, saved[0].numel(), 16384, [&](int64_t begin, int64_t end) {
      blocks(end - begin, [&](int64_t offset, int64_t lanes) {
        const int64_t i = begin + offset;
        const vfloat x = loadSome(a + i, lanes), g = loadSome(dy + i, lanes), sigmoid = 1.f / (vexp(-x) + 1.f);
        storeSome(da + i, g * loadSome(b + i, lanes) * sigmoid * (x * (1.f - sigmoid) + 1.f), lanes);
        storeSome(db + i, g * x * sigmoid, lanes);
      });
    });
    return {dGate, dUp};
  }
};

// AdamW (Loshchilov & Hutter, arXiv 1711.05101) on each parameter in place; weight decay is decoupled from the gradient.
void adamw(at::TensorList parameters, at::TensorList gradients, at::TensorList firsts, at::TensorList seconds, double rate,
           double beta1, double beta2, double eps, double decay, int64_t step) {
  TORCH_CHECK(parameters.size() == gradients.size() && parameters.size() == firsts.size() && parameters.size() == seconds.size(), "lists must be equally long");
  const float correction2 = std::sqrt(1 - std::pow(beta2, step)), size = rate / (1 - std::pow(beta1, step)), keep = 1 - rate * decay;
  const float b1 = beta1, b2 = beta2, c1 = 1 - beta1, c2 = 1 - beta2, e = eps;
  for (size_t n = 0; n < parameters.size(); n++) {
    const auto gradient = gradients[n].contiguous();
    for (const auto* t : {&parameters[n], &gradient, &firsts[n], &seconds[n]}) {
      checkFloat(*t, "every tensor");
      TORCH_CHECK(t->is_contiguous() && t->sizes() == parameters[n].sizes(), "parameter ", n, ": moments and gradient need its shape, contiguous");
    }
    float *p = parameters[n].data_ptr<float>(), *m = firsts[n].data_ptr<float>(), *v = seconds[n].data_ptr<float>();
    const float* g = gradient.data_ptr<float>();
    at::parallel_for(0, parameters[n].numel(), 16384, [&](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; i++) {
        m[i] = b1 * m[i] + c1 * g[i];
        v[i] = b2 * v[i] + c2 * g[i] * g[i];
        p[i] = p[i] * keep - size * m[i] / (std::sqrt(v[i]) / correction2 + e);
      }
    });
  }
}

// `value` with a gradient that is already known: backward hands `input` that gradient times the incoming one, and `value` the incoming
// one, so that calls can be chained over several inputs.
struct WithGradient : torch::autograd::Function<WithGradient> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& value, const at::Tensor& input, const at::Tensor& gradient) {
    TORCH_CHECK(value.dim() == 0 && input.sizes() == gradient.sizes(), "value must be a scalar, and gradient of the shape of input");
    context->save_for_backward({gradient});
    return value.clone();
  }

  static variable_list backward(AutogradContext* context, variable_list incoming) {
    const auto gradient = context->get_saved_variables()[0];
    return {incoming[0], incoming[0].item<double>() == 1 ? gradient : at::mul(gradient, incoming[0]), at::Tensor()};
  }
};

// log Σ exp(row · sharpness)
float normaliser(const float* row, int64_t width, float sharpness) {
  vfloat top = splat(row[0]);
  blocks(width, [&](int64_t i, int64_t lanes) { top = vmax(loadSome(row + i, lanes, row[0]), top); });
  const float most = maximum(top) * sharpness;
  return most + static_cast<float>(std::log(reduce(width, [&](int64_t i, int64_t lanes) {
    return vexp(loadSome(row + i, lanes, -INFINITY) * sharpness - most);
  })));
}

// −log softmax(row / temperature)[target] of each row; `logits` becomes the gradient, softmax − 1[target], over the temperature.
at::Tensor crossEntropy(const at::Tensor& logits, const at::Tensor& targets, double temperature) {
  checkFloat(logits, "logits");
  TORCH_CHECK(logits.dim() == 2 && logits.is_contiguous() && targets.dim() == 1 && targets.size(0) == logits.size(0) && temperature > 0 &&
              targets.scalar_type() == at::kLong && targets.is_cpu(), "logits must be contiguous [tokens, vocabulary] with int64 targets [tokens]");
  const int64_t rows = logits.size(0), width = logits.size(1);
  const auto chosen = targets.contiguous();
  auto values = at::empty({rows}, logits.options());
  float *x = logits.data_ptr<float>(), *out = values.data_ptr<float>();
  const int64_t* y = chosen.data_ptr<int64_t>();
  for (int64_t r = 0; r < rows; r++) TORCH_CHECK(y[r] >= 0 && y[r] < width, "target ", y[r], " of token ", r, " is outside the vocabulary of ", width);
  const float sharpness = 1 / temperature;
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float* row = x + r * width;
      const float total = normaliser(row, width, sharpness);
      out[r] = total - row[y[r]] * sharpness;
      blocks(width, [&](int64_t i, int64_t lanes) { storeSome(row + i, vexp(loadSome(row + i, lanes) * sharpness - total) * sharpness, lanes); });
      row[y[r]] -= sharpness;
    }
  });
  return values;
}

// Divergence of rows of logits over the whole vocabulary, see src/torch/divergence.ts. Overwrites `student` with the gradient of
// each row's value with respect to that row's student logits, and `target` with scratch. Kinds: 0 KL(target‖student),
// 1 KL(student‖target), 2 JSD_beta.
at::Tensor divergence(const at::Tensor& student, const at::Tensor& target, int64_t kind, double beta, double temperature) {
  checkFloat(student, "student"), checkFloat(target, "target");
  TORCH_CHECK(student.dim() == 2 && student.sizes() == target.sizes() && student.is_contiguous() && target.is_contiguous(), "student and target must be contiguous [tokens, vocabulary]");
  TORCH_CHECK(kind >= 0 && kind <= 2 && temperature > 0 && beta >= 0 && beta <= 1, "kind is 0, 1 or 2; temperature positive; beta in [0, 1]");
  const int64_t rows = student.size(0), width = student.size(1);
  TORCH_CHECK(width > 0, "the vocabulary is empty");
  auto values = at::empty({rows}, student.options());
  float *s = student.data_ptr<float>(), *t = target.data_ptr<float>(), *out = values.data_ptr<float>();
  const float sharpness = 1 / temperature, b = beta;
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float *x = s + r * width, *y = t + r * width;
      const float logP = normaliser(x, width, sharpness), logQ = normaliser(y, width, sharpness);
      // `keep`: what pass 2 needs is left in place, x as the weighted log-ratio and y as the probability.
      const double value = reduce(width, [&](int64_t i, int64_t lanes) {
        const vfloat lp = loadSome(x + i, lanes, -INFINITY) * sharpness - logP, lq = loadSome(y + i, lanes, -INFINITY) * sharpness - logQ;
        const vfloat p = vexp(lp), q = vexp(lq);
        if (kind == 0) {
          storeSome(x + i, (p - q) * sharpness, lanes);
          return q == 0.f ? q : q * (lq - lp);
        }
        if (kind == 1) {
          const vfloat term = p == 0.f ? p : p * (lp - lq);
          storeSome(x + i, term, lanes), storeSome(y + i, p, lanes);
          return term;
        }
        const vfloat mixture = (1.f - b) * p + b * q, logM = vlog(mixture);
        const vfloat ratio = p == 0.f ? p : p * (lp - logM);
        storeSome(x + i, (1.f - b) * ratio, lanes), storeSome(y + i, (1.f - b) * p, lanes);
        return (1.f - b) * ratio + (q == 0.f ? q : b * q * (lq - logM));
      });
      out[r] = value;
      if (kind == 0) continue;
      // The gradient is p·(log-ratio − its mean under p); for the JSD the mean is KL(p‖M), not the value.
      const float mean = kind == 1 ? value : reduce(width, [&](int64_t i, int64_t lanes) { return loadSome(x + i, lanes); }) / (1 - beta);
      blocks(width, [&](int64_t i, int64_t lanes) { storeSome(x + i, (loadSome(x + i, lanes) - loadSome(y + i, lanes) * mean) * sharpness, lanes); });
    }
  });
  return values;
}

TORCH_LIBRARY_FRAGMENT(sightline, library) {
  library.def("rms_norm(Tensor input, Tensor weight, float eps) -> Tensor",
              [](const at::Tensor& input, const at::Tensor& weight, double eps) { return RmsNorm::apply(input, weight, eps); });
  library.def("swiglu(Tensor gate, Tensor up) -> Tensor", [](const at::Tensor& gate, const at::Tensor& up) { return SwiGlu::apply(gate, up); });
  library.def("adamw_(Tensor[] parameters, Tensor[] gradients, Tensor[] first_moments, Tensor[] second_moments, float rate, float beta1, "
              "float beta2, float eps, float weight_decay, int step) -> ()", adamw);
  library.def("with_gradient(Tensor value, Tensor input, Tensor gradient) -> Tensor",
              [](const at::Tensor& value, const at::Tensor& input, const at::Tensor& gradient) { return WithGradient::apply(value, input, gradient); });
  library.def("cross_entropy_(Tensor logits, Tensor targets, float temperature) -> Tensor", crossEntropy);
  library.def("divergence_(Tensor student, Tensor target, int kind, float beta, float temperature) -> Tensor", divergence);
}

}  // namespace
}  // namespace sightline
