// What attention over packed sequences and attention to a cache share: products of small matrices held in registers, the heads of a
// tensor, their rotation, and tasks for threads.
#pragma once

#include "vector.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace sightline {

inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// C[R × V·lanes] (+)= A[R × depth] · B[depth × V·lanes], held in registers. A is addressed by two strides, so it may be transposed.
template <int R, int V>
inline void tile(int64_t depth, const float* a, int64_t aRow, int64_t aColumn, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  vfloat sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) sums[r][v] = add ? load(c + r * ldc + v * kLanes) : vfloat{};
  for (int64_t k = 0; k < depth; k++) {
    vfloat row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) row[v] = load(b + k * ldb + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const vfloat x = splat(a[r * aRow + k * aColumn]);
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) sums[r][v] += x * row[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) store(c + r * ldc + v * kLanes, sums[r][v]);
}

template <int V>
void columns(int64_t rows, int64_t depth, const float* a, int64_t aRow, int64_t aColumn, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  constexpr int R = (kLanes == 16 ? 24 : 12) / V;  // as many sums as registers hold
  int64_t i = 0;
  for (; i + R <= rows; i += R) tile<R, V>(depth, a + i * aRow, aRow, aColumn, b, ldb, c + i * ldc, ldc, add);
  for (; i + 4 <= rows; i += 4) tile<4, V>(depth, a + i * aRow, aRow, aColumn, b, ldb, c + i * ldc, ldc, add);
  for (; i < rows; i++) tile<1, V>(depth, a + i * aRow, aRow, aColumn, b, ldb, c + i * ldc, ldc, add);
}

// C[rows × cols] (+)= A[rows × depth] · B[depth × cols]; cols is a multiple of kLanes, B and C have unit column stride.
inline void multiply(int64_t rows, int64_t cols, int64_t depth, const float* a, int64_t aRow, int64_t aColumn, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  int64_t j = 0;
  for (; j + 3 * kLanes <= cols && cols - j != 4 * kLanes; j += 3 * kLanes) columns<3>(rows, depth, a, aRow, aColumn, b + j, ldb, c + j, ldc, add);
  for (; j + 2 * kLanes <= cols; j += 2 * kLanes) columns<2>(rows, depth, a, aRow, aColumn, b + j, ldb, c + j, ldc, add);
  if (j < cols) columns<1>(rows, depth, a, aRow, aColumn, b + j, ldb, c + j, ldc, add);
}

// Where row `token` of head `head` of a [tokens, heads, D] tensor begins; D has unit stride, the others are free.
struct Heads {
  float* data;
  int64_t token, head;
  explicit Heads(const at::Tensor& t) : data(t.data_ptr<float>()), token(t.stride(0)), head(t.stride(1)) {}
  float* at(int64_t i, int64_t h) const { return data + i * token + h * head; }
};

// x·cos + rotateHalf(x)·sin of one head, times `by`; transposed: the map that carries gradients back.
inline void rotate(const float* __restrict x, float* __restrict to, const float* __restrict cos, const float* __restrict sin, int64_t width, float by, bool transposed) {
  const int64_t half = width / 2;
  if (transposed) {
    for (int64_t d = 0; d < half; d++) {
      const float first = x[d], second = x[d + half];
      to[d] = (first * cos[d] + second * sin[d + half]) * by;
      to[d + half] = (second * cos[d + half] - first * sin[d]) * by;
    }
  } else {
    for (int64_t d = 0; d < half; d++) {
      const float first = x[d], second = x[d + half];
      to[d] = (first * cos[d] - second * sin[d]) * by;
      to[d + half] = (second * cos[d + half] + first * sin[d + half]) * by;
    }
  }
}

// Threads take the next task when they are free, as tasks differ in length.
template <typename Task>
void eachTask(int64_t tasks, Task task) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), tasks), 1, [&](int64_t begin, int64_t end) {
    for (; begin < end; begin++)
      for (int64_t t = next++; t < tasks; t = next++) task(t);
  });
}

// Memory of a thread that lasts from task to task.
inline float* scratch(std::vector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(size);
  return buffer.data();
}

inline void checkHeads(const at::Tensor& t, const char* name) {
  TORCH_CHECK(t.dim() == 3 && t.scalar_type() == at::kFloat && t.is_cpu(), name, " must be a float32 CPU tensor [tokens, heads, width]");
}

inline at::Tensor unitColumns(const at::Tensor& t) { return t.stride(2) == 1 ? t : t.contiguous(); }

}  // namespace sightline
