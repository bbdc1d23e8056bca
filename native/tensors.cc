// Tensor memory: handles, typed arrays in and out, memory-mapped files, and the facts about a tensor.
#include "engine.h"

#include <ATen/ATen.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sightline {

int32_t TensorTable::add(at::Tensor tensor) {
  uint32_t slot;
  if (free_.empty()) {
    if (slots_.size() >= (1u << kSlotBits)) throw std::runtime_error("more than 4,194,304 live tensors: free some with scopes");
    slot = slots_.size();
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].tensor = std::move(tensor);
  slots_[slot].used = true;
  live_++;
  return static_cast<int32_t>(slots_[slot].generation << kSlotBits | slot);
}

size_t TensorTable::slotOf(int32_t handle) const {
  const uint32_t bits = static_cast<uint32_t>(handle);
  const size_t slot = bits & ((1u << kSlotBits) - 1);
  if (slot >= slots_.size() || !slots_[slot].used || slots_[slot].generation != bits >> kSlotBits)
    throw std::invalid_argument("the tensor was freed");
  return slot;
}

const at::Tensor& TensorTable::get(int32_t handle) const {
  return slots_[slotOf(handle)].tensor;
}

void TensorTable::remove(int32_t handle) {
  const auto slot = slotOf(handle);
  slots_[slot].tensor.reset();
  slots_[slot].used = false;
  slots_[slot].generation = slots_[slot].generation % (kGenerations - 1) + 1;  // 1 … kGenerations - 1: a handle is never 0
  free_.push_back(slot);
  live_--;
}

at::ScalarType toScalarType(int64_t code) {
  switch (static_cast<at::ScalarType>(code)) {
    case at::kFloat: case at::kDouble: case at::kBFloat16: case at::kHalf:
    case at::kLong: case at::kInt: case at::kByte: case at::kBool:
      return static_cast<at::ScalarType>(code);
    default:
      throw std::invalid_argument("unknown dtype code " + std::to_string(code));
  }
}

// The number of bytes of a shape, refusing negative sizes and overflow before anything is allocated.
static int64_t bytesOf(const std::vector<int64_t>& shape, at::ScalarType dtype) {
  int64_t bytes = c10::elementSize(dtype);
  for (const auto size : shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) throw std::invalid_argument("invalid shape");
  return bytes;
}

// fromBytes(Uint8Array, dtype, shape): a new CPU tensor holding a copy of the bytes.
static napi_value fromBytes(const Arguments& args) {
  const auto env = args.env;
  size_t length;
  void* data;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, args.at(0), &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_uint8_array)
    throw std::invalid_argument("expected a Uint8Array");
  const auto dtype = toScalarType(toInt64(env, args.at(1)));
  const auto shape = toInts(env, args.at(2));
  if (bytesOf(shape, dtype) != static_cast<int64_t>(length)) throw std::invalid_argument("the bytes do not fill the shape");
  auto tensor = at::empty(shape, at::TensorOptions(dtype));
  if (length) std::memcpy(tensor.data_ptr(), data, length);
  return fromTensor(env, std::move(tensor));
}

// toBytes(handle): an ArrayBuffer holding a copy of the elements in row-major order.
static napi_value toBytes(const Arguments& args) {
  const auto env = args.env;
  const auto tensor = environment(env).tensors.get(toHandle(env, args.at(0))).detach().to(at::kCPU).contiguous();
  void* data;
  napi_value result;
  check(env, napi_create_arraybuffer(env, tensor.nbytes(), &data, &result));
  if (tensor.nbytes()) std::memcpy(data, tensor.data_ptr(), tensor.nbytes());
  return result;
}

// facts(handle): [dtype, device type, device index, requires grad, is contiguous, ...shape].
static napi_value facts(const Arguments& args) {
  const auto env = args.env;
  const auto& tensor = environment(env).tensors.get(toHandle(env, args.at(0)));
  std::vector<int64_t> values = {
      static_cast<int64_t>(tensor.scalar_type()), static_cast<int64_t>(tensor.device().type()), tensor.device().index(),
      tensor.requires_grad(), tensor.is_contiguous()};
  for (const auto size : tensor.sizes()) values.push_back(size);
  napi_value result;
  check(env, napi_create_array_with_length(env, values.size(), &result));
  for (size_t i = 0; i < values.size(); i++) check(env, napi_set_element(env, result, i, fromDouble(env, values[i])));
  return result;
}

// item(handle): the one element as a number; an int64 beyond the safe integers comes as a bigint.
static napi_value item(const Arguments& args) {
  const auto env = args.env;
  const auto value = environment(env).tensors.get(toHandle(env, args.at(0))).item();
  napi_value result;
  if (value.isIntegral(true)) {
    const int64_t number = value.isBoolean() ? value.to<bool>() : value.to<int64_t>();
    if (number > 9007199254740991 || number < -9007199254740991) {
      check(env, napi_create_bigint_int64(env, number, &result));
      return result;
    }
    return fromDouble(env, number);
  }
  return fromDouble(env, value.to<double>());
}

// release(Int32Array, count): frees that many handles.
static napi_value release(const Arguments& args) {
  size_t length;
  void* data;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(args.env, args.at(0), &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_int32_array)
    throw std::invalid_argument("expected an Int32Array");
  const auto count = toInt64(args.env, args.at(1));
  if (count < 0 || count > static_cast<int64_t>(length)) throw std::invalid_argument("more handles than the array holds");
  auto& tensors = environment(args.env).tensors;
  for (int64_t i = 0; i < count; i++) tensors.remove(static_cast<int32_t*>(data)[i]);
  return undefined(args.env);
}

// alias(handle): a second handle on the same tensor, for the scope that shall own it.
static napi_value alias(const Arguments& args) {
  return fromTensor(args.env, environment(args.env).tensors.get(toHandle(args.env, args.at(0))));
}

static napi_value memory(const Arguments& args) {
  const auto env = args.env;
  const auto cpu = cpuMemory(), cuda = cudaMemory();
  napi_value result;
  check(env, napi_create_object(env, &result));
  setProperty(env, result, "tensors", fromDouble(env, environment(env).tensors.live()));
  setProperty(env, result, "cpuBytes", fromDouble(env, cpu.current));
  setProperty(env, result, "cpuPeakBytes", fromDouble(env, cpu.peak));
  setProperty(env, result, "cudaBytes", fromDouble(env, cuda.current));
  setProperty(env, result, "cudaPeakBytes", fromDouble(env, cuda.peak));
  return result;
}

static napi_value resetPeakMemory(const Arguments& args) {
  resetPeak();
  return undefined(args.env);
}

// A file mapped privately: pages come from the file when touched, and a write (an in-place operation) copies the page first.
struct Mapping {
  void* data = nullptr;
  int64_t bytes = 0;
  ~Mapping() {
    if (data) munmap(data, bytes);
  }
};

static napi_value mapFile(const Arguments& args) {
  const auto env = args.env;
  const auto path = toString(env, args.at(0));
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error(std::strerror(errno));
  auto mapping = std::make_shared<Mapping>();
  struct stat status;
  int problem = fstat(file, &status) == 0 ? 0 : errno;
  if (!problem && status.st_size > 0) {
    mapping->bytes = status.st_size;
    void* data = mmap(nullptr, mapping->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    if (data == MAP_FAILED) problem = errno;
    else mapping->data = data;
  }
  close(file);
  if (problem) throw std::runtime_error(std::strerror(problem));
  auto& mappings = environment(env).mappings;
  const auto index = std::find(mappings.begin(), mappings.end(), nullptr) - mappings.begin();
  if (index == static_cast<int64_t>(mappings.size())) mappings.emplace_back();
  mappings[index] = std::move(mapping);
  return fromDouble(env, index);
}

static std::shared_ptr<Mapping>& mappingOf(const Arguments& args) {
  auto& mappings = environment(args.env).mappings;
  const auto index = toInt64(args.env, args.at(0));
  if (index < 0 || index >= static_cast<int64_t>(mappings.size()) || !mappings[index]) throw std::invalid_argument("the file is not mapped");
  return mappings[index];
}

// mapTensor(mapping, byteOffset, dtype, shape): a view of the file; a misaligned tensor is copied instead.
static napi_value mapTensor(const Arguments& args) {
  const auto env = args.env;
  const auto mapping = mappingOf(args);
  const auto offset = toInt64(env, args.at(1));
  const auto dtype = toScalarType(toInt64(env, args.at(2)));
  const auto shape = toInts(env, args.at(3));
  const auto bytes = bytesOf(shape, dtype);
  if (offset < 0 || bytes > mapping->bytes || offset > mapping->bytes - bytes) throw std::invalid_argument("the tensor lies outside the file");
  if (bytes == 0) return fromTensor(env, at::empty(shape, at::TensorOptions(dtype)));
  char* data = static_cast<char*>(mapping->data) + offset;
  if (offset % c10::elementSize(dtype) != 0) {
    auto copy = at::empty(shape, at::TensorOptions(dtype));
    std::memcpy(copy.data_ptr(), data, bytes);
    return fromTensor(env, std::move(copy));
  }
  return fromTensor(env, at::from_blob(data, shape, [mapping](void*) {}, at::TensorOptions(dtype)));
}

// unmapFile(mapping): gives up this reference; the pages stay while a tensor views them.
static napi_value unmapFile(const Arguments& args) {
  mappingOf(args).reset();
  return undefined(args.env);
}

void defineTensors(napi_env env, napi_value exports) {
  define(env, exports, "fromBytes", exported<fromBytes>);
  define(env, exports, "toBytes", exported<toBytes>);
  define(env, exports, "facts", exported<facts>);
  define(env, exports, "item", exported<item>);
  define(env, exports, "release", exported<release>);
  define(env, exports, "alias", exported<alias>);
  define(env, exports, "memory", exported<memory>);
  define(env, exports, "resetPeakMemory", exported<resetPeakMemory>);
  define(env, exports, "mapFile", exported<mapFile>);
  define(env, exports, "mapTensor", exported<mapTensor>);
  define(env, exports, "unmapFile", exported<unmapFile>);
}

}  // namespace sightline
