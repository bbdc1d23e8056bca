// Autograd's switches: modes, backward, gradients, and the random generators.
#include "engine.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <mutex>

namespace sightline {

const at::Generator& findGenerator(Environment& environment, int64_t index) {
  const auto& generators = environment.generators;
  if (index < 0 || index >= static_cast<int64_t>(generators.size()) || !generators[index].defined())
    throw std::invalid_argument("unknown or released generator");
  return generators[index];
}

static at::Tensor tensorAt(const Arguments& args, size_t index) {
  return environment(args.env).tensors.get(toHandle(args.env, args.at(index)));
}

// setMode(0 gradients, 1 no gradients, 2 inference): the mode of this thread until the next call.
static napi_value setMode(const Arguments& args) {
  auto& inference = environment(args.env).inference;
  const auto mode = toInt64(args.env, args.at(0));
  if (mode < 0 || mode > 2) throw std::invalid_argument("mode must be 0, 1 or 2");
  inference.reset();  // restores the state that it found, before another is set
  c10::GradMode::set_enabled(mode == 0);
  if (mode == 2) inference = std::make_unique<c10::InferenceMode>(true);
  return undefined(args.env);
}

// backward(roots, gradients, retainGraph)
static napi_value backward(const Arguments& args) {
  torch::autograd::backward(toTensors(args.env, args.at(0)), toTensors(args.env, args.at(1)), toBool(args.env, args.at(2)), false);
  return undefined(args.env);
}

// gradients(outputs, inputs, output gradients, retainGraph, createGraph): handle 0 for an input that the outputs do not depend on
static napi_value gradients(const Arguments& args) {
  const auto env = args.env;
  return fromTensors(env, torch::autograd::grad(
      toTensors(env, args.at(0)), toTensors(env, args.at(1)), toTensors(env, args.at(2)), toBool(env, args.at(3)),
      toBool(env, args.at(4)), true));
}

static napi_value gradient(const Arguments& args) {
  return fromTensor(args.env, tensorAt(args, 0).grad());
}

static napi_value setGradient(const Arguments& args) {
  const auto env = args.env;
  const auto tensor = tensorAt(args, 0);
  const auto handle = toHandle(env, args.at(1));
  if (handle == 0) {
    tensor.mutable_grad().reset();
    return undefined(env);
  }
  const auto& value = environment(env).tensors.get(handle);
  TORCH_CHECK(
      value.sizes() == tensor.sizes() && value.scalar_type() == tensor.scalar_type() && value.device() == tensor.device(),
      "a gradient needs the shape, dtype and device of its tensor");
  tensor.mutable_grad() = value.detach();
  return undefined(env);
}

static napi_value setRequiresGrad(const Arguments& args) {
  tensorAt(args, 0).set_requires_grad(toBool(args.env, args.at(1)));
  return undefined(args.env);
}

static at::Device deviceAt(const Arguments& args, size_t index) {
  return at::Device(toString(args.env, args.at(index)));
}

static napi_value addGenerator(const Arguments& args, at::Generator generator) {
  auto& generators = environment(args.env).generators;
  auto free = std::find_if(generators.begin(), generators.end(), [](const auto& each) { return !each.defined(); });
  const auto index = free - generators.begin();
  if (free == generators.end()) generators.push_back(std::move(generator));
  else *free = std::move(generator);
  return fromDouble(args.env, index);
}

// createGenerator(device): a generator of its own, cloned from the default one because only that is reachable without CUDA headers
static napi_value createGenerator(const Arguments& args) {
  return addGenerator(args, at::globalContext().defaultGenerator(deviceAt(args, 0)).clone());
}

static napi_value defaultGenerator(const Arguments& args) {
  return addGenerator(args, at::globalContext().defaultGenerator(deviceAt(args, 0)));
}

static at::Generator generatorAt(const Arguments& args) {
  return findGenerator(environment(args.env), toInt64(args.env, args.at(0)));
}

static napi_value releaseGenerator(const Arguments& args) {
  generatorAt(args);
  environment(args.env).generators[toInt64(args.env, args.at(0))] = at::Generator();
  return undefined(args.env);
}

static napi_value seedGenerator(const Arguments& args) {
  auto generator = generatorAt(args);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(static_cast<uint64_t>(toInt64(args.env, args.at(1))));
  return undefined(args.env);
}

static napi_value generatorState(const Arguments& args) {
  auto generator = generatorAt(args);
  std::lock_guard<std::mutex> lock(generator.mutex());
  return fromTensor(args.env, generator.get_state());
}

static napi_value setGeneratorState(const Arguments& args) {
  auto generator = generatorAt(args);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(tensorAt(args, 1));
  return undefined(args.env);
}

void defineAutograd(napi_env env, napi_value exports) {
  define(env, exports, "setMode", exported<setMode>);
  define(env, exports, "backward", exported<backward>);
  define(env, exports, "gradients", exported<gradients>);
  define(env, exports, "gradient", exported<gradient>);
  define(env, exports, "setGradient", exported<setGradient>);
  define(env, exports, "setRequiresGrad", exported<setRequiresGrad>);
  define(env, exports, "createGenerator", exported<createGenerator>);
  define(env, exports, "defaultGenerator", exported<defaultGenerator>);
  define(env, exports, "releaseGenerator", exported<releaseGenerator>);
  define(env, exports, "seedGenerator", exported<seedGenerator>);
  define(env, exports, "generatorState", exported<generatorState>);
  define(env, exports, "setGeneratorState", exported<setGeneratorState>);
}

}  // namespace sightline
