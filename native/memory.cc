// A CPU allocator that counts: exact current and peak bytes of tensor memory, which resident-set size only approximates.
#include "engine.h"

#include <ATen/Context.h>
#include <c10/core/CPUAllocator.h>
#if SIGHTLINE_TORCH_AT_LEAST(2, 9)
#include <c10/core/CachingDeviceAllocator.h>
#endif

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace sightline {

static std::atomic<int64_t> currentBytes{0}, peakBytes{0};

// Each block comes from malloc, whose per-thread cache serves small tensors several times faster than posix_memalign, with room to
// align the data and to keep in front of it what freeing needs.
struct Header {
  int64_t bytes;
  void* block;
};
static constexpr size_t kAlignment = 64;

static void countedFree(void* data) {
  if (!data) return;
  const Header header = static_cast<Header*>(data)[-1];
  currentBytes.fetch_sub(header.bytes, std::memory_order_relaxed);
  std::free(header.block);
}

static void* countedAllocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  void* block = bytes < (size_t{1} << 62) ? std::malloc(bytes + kAlignment + sizeof(Header)) : nullptr;
  TORCH_CHECK(block, "out of CPU memory: could not allocate ", bytes, " bytes (", currentBytes.load(), " are in use by tensors)");
  const auto first = reinterpret_cast<uintptr_t>(block) + sizeof(Header);
  void* data = reinterpret_cast<void*>((first + kAlignment - 1) & ~(kAlignment - 1));
  static_cast<Header*>(data)[-1] = {static_cast<int64_t>(bytes), block};
  const int64_t now = currentBytes.fetch_add(bytes, std::memory_order_relaxed) + static_cast<int64_t>(bytes);
  int64_t peak = peakBytes.load(std::memory_order_relaxed);
  while (now > peak && !peakBytes.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  return data;
}

struct CountingAllocator final : at::Allocator {
#if SIGHTLINE_TORCH_AT_LEAST(2, 2)
  at::DataPtr allocate(size_t bytes) override {
    void* data = countedAllocate(bytes);
    return {data, data, &countedFree, at::Device(at::kCPU)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
#else
  at::DataPtr allocate(size_t bytes) const override {
    void* data = countedAllocate(bytes);
    return {data, data, &countedFree, at::Device(at::kCPU)};
  }
#endif
  at::DeleterFnPtr raw_deleter() const override { return &countedFree; }
};

void installAllocator() {
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, 100);
}

MemoryCount cpuMemory() {
  return {currentBytes, peakBytes};
}

#if SIGHTLINE_TORCH_AT_LEAST(2, 9)
template <typename Visit>
static void eachGpu(Visit visit) {
  if (!at::hasCUDA()) return;
  auto* allocator = c10::getDeviceAllocator(c10::DeviceType::CUDA);
  // The allocator sets itself up with the first tensor on a GPU, and cannot be asked before.
  if (allocator->initialized()) for (size_t device = 0; device < at::getNumGPUs(); device++) visit(*allocator, static_cast<c10::DeviceIndex>(device));
}

MemoryCount cudaMemory() {
  MemoryCount total{0, 0};
  eachGpu([&](c10::DeviceAllocator& allocator, c10::DeviceIndex device) {
    const auto bytes = allocator.getDeviceStats(device).allocated_bytes[0];
    total.current += bytes.current;
    total.peak += bytes.peak;
  });
  return total;
}

void resetPeak() {
  peakBytes = currentBytes.load();
  eachGpu([](c10::DeviceAllocator& allocator, c10::DeviceIndex device) { allocator.resetPeakStats(device); });
}
#else
MemoryCount cudaMemory() {
  return {0, 0};
}

void resetPeak() {
  peakBytes = currentBytes.load();
}
#endif

}  // namespace sightline
