// The addon's entry: process-wide settings, once, then one set of functions per Node environment.
#include "engine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <dlfcn.h>
#include <malloc.h>

#include <mutex>

namespace sightline {

void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) throw JavaScriptPending{};
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  throw std::runtime_error(info && info->error_message ? info->error_message : "Node-API call failed");
}

Environment& environment(napi_env env) {
  void* data = nullptr;
  check(env, napi_get_instance_data(env, &data));
  return *static_cast<Environment*>(data);
}

napi_value raise(napi_env env, const char* code, const char* message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, code, message);
  return nullptr;
}

Arguments::Arguments(napi_env env, napi_callback_info info) : env(env) {
  check(env, napi_get_cb_info(env, info, &count, values, nullptr, &data));
  if (count > kMost) throw std::invalid_argument("too many arguments");
}

napi_value Arguments::at(size_t index) const {
  return index < count ? values[index] : undefined(env);
}

static napi_valuetype typeOf(napi_env env, napi_value value) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  return type;
}

bool isNullish(napi_env env, napi_value value) {
  const auto type = typeOf(env, value);
  return type == napi_undefined || type == napi_null;
}

double toDouble(napi_env env, napi_value value) {
  double result;
  if (napi_get_value_double(env, value, &result) != napi_ok) throw std::invalid_argument("expected a number");
  return result;
}

int64_t toInt64(napi_env env, napi_value value) {
  if (typeOf(env, value) == napi_bigint) {
    int64_t result;
    bool lossless;
    check(env, napi_get_value_bigint_int64(env, value, &result, &lossless));
    if (!lossless) throw std::invalid_argument("bigint does not fit into 64 bits");
    return result;
  }
  const double number = toDouble(env, value);
  if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0) || number != static_cast<double>(static_cast<int64_t>(number)))
    throw std::invalid_argument("expected a safe integer");
  return static_cast<int64_t>(number);
}

int32_t toHandle(napi_env env, napi_value value) {
  int32_t result;
  if (napi_get_value_int32(env, value, &result) != napi_ok) throw std::invalid_argument("expected a tensor handle");
  return result;
}

bool toBool(napi_env env, napi_value value) {
  bool result;
  if (napi_get_value_bool(env, value, &result) != napi_ok) throw std::invalid_argument("expected a boolean");
  return result;
}

std::string toString(napi_env env, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) throw std::invalid_argument("expected a string");
  std::string result(length, '\0');
  check(env, napi_get_value_string_utf8(env, value, result.data(), length + 1, &length));
  return result;
}

template <typename Each>
static void eachElement(napi_env env, napi_value value, Each each) {
  bool isArray;
  check(env, napi_is_array(env, value, &isArray));
  if (!isArray) throw std::invalid_argument("expected an array");
  uint32_t length;
  check(env, napi_get_array_length(env, value, &length));
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    check(env, napi_get_element(env, value, i, &element));
    each(element);
  }
}

std::vector<int64_t> toInts(napi_env env, napi_value value) {
  std::vector<int64_t> result;
  eachElement(env, value, [&](napi_value element) { result.push_back(toInt64(env, element)); });
  return result;
}

std::vector<at::Tensor> toTensors(napi_env env, napi_value value) {
  std::vector<at::Tensor> result;
  auto& tensors = environment(env).tensors;
  eachElement(env, value, [&](napi_value element) {
    result.push_back(isNullish(env, element) ? at::Tensor() : tensors.get(toHandle(env, element)));
  });
  return result;
}

napi_value fromDouble(napi_env env, double value) {
  napi_value result;
  check(env, napi_create_double(env, value, &result));
  return result;
}

napi_value fromString(napi_env env, const std::string& value) {
  napi_value result;
  check(env, napi_create_string_utf8(env, value.data(), value.size(), &result));
  return result;
}

napi_value fromTensor(napi_env env, at::Tensor tensor) {
  napi_value result;
  const int32_t handle = tensor.defined() ? environment(env).tensors.add(std::move(tensor)) : 0;
  check(env, napi_create_int32(env, handle, &result));
  return result;
}

napi_value fromTensors(napi_env env, const std::vector<at::Tensor>& tensors) {
  napi_value result;
  check(env, napi_create_array_with_length(env, tensors.size(), &result));
  for (size_t i = 0; i < tensors.size(); i++) check(env, napi_set_element(env, result, i, fromTensor(env, tensors[i])));
  return result;
}

napi_value undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

void setProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  check(env, napi_set_named_property(env, object, name, value));
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function));
  setProperty(env, exports, name, function);
}

static std::string cudaProblem;

// Settings of the process, made by whichever environment loads the addon first. Load it on the main thread before a worker:
// glibc then keeps one arena, and freed blocks are reused instead of being returned to the kernel and faulted in again.
static void setUpProcess() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MXFAST, 160);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2000000000);
  mallopt(M_TOP_PAD, 256 << 20);
  installAllocator();
  // The CUDA kernels live in a library of their own, which needs the driver's: without them the CPU still works.
#ifdef SIGHTLINE_CUDA_LIBRARY
  if (!dlopen(SIGHTLINE_CUDA_LIBRARY, RTLD_NOW | RTLD_GLOBAL)) cudaProblem = dlerror();
#else
  cudaProblem = "this libtorch was built without CUDA";
#endif
}

static std::string libraryOf(const char* symbol) {
  void* address = dlsym(RTLD_DEFAULT, symbol);
  Dl_info found;
  return address && dladdr(address, &found) && found.dli_fname ? found.dli_fname : "";
}

// What was found, for `sightline doctor`.
static napi_value describe(const Arguments& args) {
  const auto env = args.env;
  napi_value result;
  check(env, napi_create_object(env, &result));
  setProperty(env, result, "torch", fromString(env, TORCH_VERSION));
  setProperty(env, result, "build", fromString(env, at::show_config()));
  setProperty(env, result, "blasLibrary", fromString(env, libraryOf("sgemm_")));
  setProperty(env, result, "openmpLibrary", fromString(env, libraryOf("omp_get_num_threads")));
  const int64_t devices = at::hasCUDA() ? at::getNumGPUs() : 0;
  setProperty(env, result, "cudaDevices", fromDouble(env, devices));
  setProperty(env, result, "cudaProblem", fromString(env, cudaProblem));
  return result;
}

static napi_value threads(const Arguments& args) {
  if (args.count > 0) {
    const auto count = toInt64(args.env, args.at(0));
    if (count < 1 || count > 1024) throw std::invalid_argument("thread count must be between 1 and 1024");
    at::set_num_threads(count);
  }
  return fromDouble(args.env, at::get_num_threads());
}

}  // namespace sightline

NAPI_MODULE_INIT() {
  using namespace sightline;
  return guarded(env, [&] {
    // The kernels are compiled for the processor of the machine that built them; elsewhere they would be an illegal instruction.
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) throw std::runtime_error("the addon was compiled for a processor with AVX-512");
#elif defined(__AVX2__)
    if (!__builtin_cpu_supports("avx2")) throw std::runtime_error("the addon was compiled for a processor with AVX2");
#endif
#endif
    static std::once_flag once;
    std::call_once(once, setUpProcess);
    check(env, napi_set_instance_data(
        env, new Environment(), [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr));
    define(env, exports, "describe", exported<describe>);
    define(env, exports, "threads", exported<threads>);
    defineOperators(env, exports);
    defineTensors(env, exports);
    defineAutograd(env, exports);
    return exports;
  });
}
