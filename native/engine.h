// What the addon's files share: the state of one Node environment, handles, and the one border that exceptions cross.
//
// One `Environment` exists per Node environment (the main thread or a worker) and is only ever touched from its own thread, so
// nothing here needs a lock and the addon can be loaded in the main thread and in workers at once.
#pragma once

#define NAPI_VERSION 9
#include <node_api.h>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <torch/csrc/api/include/torch/version.h>

static_assert(
    TORCH_VERSION_MAJOR >= 2 || (TORCH_VERSION_MAJOR == 1 && TORCH_VERSION_MINOR >= 13),
    "Sightline needs libtorch 1.13 or a later release");

#define SIGHTLINE_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace sightline {

// A handle is a positive 31-bit integer: the slot in its low bits, the slot's generation above. Handle 0 is "no tensor". The
// generation makes a stale handle (freed, slot reused) an error instead of somebody else's tensor.
class TensorTable {
 public:
  int32_t add(at::Tensor tensor);
  const at::Tensor& get(int32_t handle) const;
  void remove(int32_t handle);
  int64_t live() const { return live_; }

 private:
  static constexpr int kSlotBits = 22;
  static constexpr uint32_t kGenerations = 1u << (31 - kSlotBits);
  struct Slot {
    at::Tensor tensor;
    uint32_t generation = 1;
    bool used = false;
  };
  size_t slotOf(int32_t handle) const;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  int64_t live_ = 0;
};

struct Mapping;   // a memory-mapped file, tensors.cc
struct Operator;  // an operator with its arguments decoded, operators.cc

struct Environment {
  TensorTable tensors;
  std::vector<at::Generator> generators;
  std::vector<std::shared_ptr<Mapping>> mappings;
  std::vector<std::shared_ptr<Operator>> operators;
  std::unique_ptr<c10::InferenceMode> inference;
};
const at::Generator& findGenerator(Environment& environment, int64_t index);

// Thrown where a Node-API call has already left a JavaScript exception pending.
struct JavaScriptPending {};

void check(napi_env env, napi_status status);
Environment& environment(napi_env env);

// Readers of JavaScript values; each throws std::invalid_argument that says what was expected.
struct Arguments {
  Arguments(napi_env env, napi_callback_info info);
  napi_env env;
  void* data = nullptr;
  size_t count = kMost;
  static constexpr size_t kMost = 12;
  napi_value values[kMost];
  napi_value at(size_t index) const;
};
bool isNullish(napi_env env, napi_value value);
double toDouble(napi_env env, napi_value value);
int64_t toInt64(napi_env env, napi_value value);
int32_t toHandle(napi_env env, napi_value value);
bool toBool(napi_env env, napi_value value);
std::string toString(napi_env env, napi_value value);
std::vector<int64_t> toInts(napi_env env, napi_value value);
// Null or undefined elements become undefined tensors.
std::vector<at::Tensor> toTensors(napi_env env, napi_value value);
at::ScalarType toScalarType(int64_t code);

napi_value fromDouble(napi_env env, double value);
napi_value fromString(napi_env env, const std::string& value);
napi_value fromTensor(napi_env env, at::Tensor tensor);
napi_value fromTensors(napi_env env, const std::vector<at::Tensor>& tensors);
napi_value undefined(napi_env env);
void setProperty(napi_env env, napi_value object, const char* name, napi_value value);

// The border: every exported function runs inside it, and every C++ exception leaves as one JavaScript Error without a backtrace.
napi_value raise(napi_env env, const char* code, const char* message);

template <typename Body>
napi_value guarded(napi_env env, Body body) {
  try {
    return body();
  } catch (const JavaScriptPending&) {
    return nullptr;
  } catch (const c10::Error& error) {
    return raise(env, "SIGHTLINE_TORCH", error.what_without_backtrace());
  } catch (const std::invalid_argument& error) {
    return raise(env, "SIGHTLINE_ARGUMENT", error.what());
  } catch (const std::exception& error) {
    return raise(env, "SIGHTLINE_NATIVE", error.what());
  } catch (...) {
    return raise(env, "SIGHTLINE_NATIVE", "unknown C++ exception");
  }
}

using Exported = napi_value (*)(const Arguments&);
template <Exported function>
napi_value exported(napi_env env, napi_callback_info info) {
  return guarded(env, [&] { return function(Arguments(env, info)); });
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback);
void defineOperators(napi_env env, napi_value exports);
void defineTensors(napi_env env, napi_value exports);
void defineAutograd(napi_env env, napi_value exports);

// The counting CPU allocator, memory.cc.
void installAllocator();
struct MemoryCount {
  int64_t current, peak;
};
MemoryCount cpuMemory();
MemoryCount cudaMemory();  // of all GPUs together
void resetPeak();

}  // namespace sightline
