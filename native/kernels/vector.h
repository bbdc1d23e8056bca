// One register of floats at a time, with the compiler's own vector types: 16 lanes with AVX-512, 8 with AVX, else 4 (SSE, NEON).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace sightline {

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16;
#elif defined(__AVX__)
constexpr int64_t kLanes = 8;
#else
constexpr int64_t kLanes = 4;
#endif
typedef float vfloat __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t vint __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline vfloat load(const float* p) { return *reinterpret_cast<const vfloat*>(p); }
inline void store(float* p, vfloat v) { *reinterpret_cast<vfloat*>(p) = v; }
// bfloat16 is the upper half of a float32.
inline vfloat load(const uint16_t* p) {
  typedef uint16_t vhalf __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));
  const vint bits = __builtin_convertvector(*reinterpret_cast<const vhalf*>(p), vint) << 16;
  vfloat v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
inline vfloat splat(float x) { return x - vfloat{}; }

// Folds halves onto each other until one lane is left: short chains, and one order for every vector.
inline vfloat fold(vfloat v, int32_t width) {
#pragma GCC unroll 4
  for (; width > 0; width /= 2) {
    vint other;
    for (int32_t i = 0; i < kLanes; i++) other[i] = i ^ width;
    v += __builtin_shuffle(v, other);
  }
  return v;
}
inline float sum(vfloat v) { return fold(v, kLanes / 2)[0]; }
// The sums of two vectors, bit for bit, for fewer steps.
inline void sums(vfloat a, vfloat b, float* to) {
  vint low, high;
  for (int32_t i = 0; i < kLanes; i++) low[i] = i + i / (kLanes / 2) * (kLanes / 2), high[i] = low[i] + kLanes / 2;
  const vfloat both = fold(__builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high), kLanes / 4);
  to[0] = both[0], to[1] = both[kLanes / 2];
}
inline float maximum(vfloat v) {
  float most = v[0];
  for (int i = 1; i < kLanes; i++) most = v[i] > most || v[i] != v[i] ? v[i] : most;
  return most;
}
inline vfloat vmax(vfloat a, vfloat b) { return a > b || a != a ? a : b; }

// exp by range reduction to |r| ≤ ln2/2 and a degree-6 polynomial: about 1 ulp. NaN stays NaN; below -87.3 the result is 0; above 88
// it saturates at e^88.
inline vfloat vexp(vfloat x) {
  const vfloat lowest = splat(-87.33654f), highest = splat(88.f), magic = splat(12582912.f);  // 1.5 · 2^23: adding it rounds to integer
  const vfloat c = x > highest ? highest : x < lowest ? lowest : x;
  const vfloat shifted = c * 1.44269504f + magic, n = shifted - magic;
  const vfloat r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  vfloat p = splat(1.9875691500e-4f);
  for (const float k : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) p = p * r + k;
  vint bits;  // n is in the low bits of the sum that rounded it
  std::memcpy(&bits, &shifted, sizeof bits);
  const vint power = (bits - 0x4b400000 + 127) << 23;
  vfloat scale;
  std::memcpy(&scale, &power, sizeof scale);
  const vfloat result = (p * r * r + r + 1.f) * scale;
  return x < lowest ? vfloat{} : result;
}

// log by x = 2^e · m with m in [√½, √2) and Cephes' degree-8 polynomial: about 1 ulp. 0 gives about -88, below any use here.
inline vfloat vlog(vfloat x) {
  const vfloat smallest = splat(1.17549435e-38f);
  const vfloat normal = x < smallest ? smallest : x;
  vint bits;
  std::memcpy(&bits, &normal, sizeof bits);
  const vint exponent = (bits - 0x3f3504f3) >> 23;
  const vint mantissa = bits - (exponent << 23);
  vfloat m;
  std::memcpy(&m, &mantissa, sizeof m);
  const vfloat e = __builtin_convertvector(exponent, vfloat), r = m - 1.f, z = r * r;
  vfloat p = splat(7.0376836292e-2f);
  for (const float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = p * r + c;
  return p * r * z + e * -2.12194440e-4f - z * 0.5f + r + e * 0.693359375f;
}

// Applies `body(offset, lanes)` along n elements; the last call may have fewer lanes than kLanes.
template <typename Body>
inline void blocks(int64_t n, Body body) {
  for (int64_t i = 0; i < n; i += kLanes) body(i, n - i < kLanes ? n - i : kLanes);
}
inline vfloat loadSome(const float* p, int64_t lanes, float otherwise = 0) {
  if (lanes == kLanes) return load(p);
  vfloat v = splat(otherwise);
  std::memcpy(&v, p, lanes * sizeof(float));
  return v;
}
inline vfloat loadSome(const uint16_t* p, int64_t lanes) {
  if (lanes == kLanes) return load(p);
  uint16_t some[kLanes] = {};
  std::memcpy(some, p, lanes * sizeof(uint16_t));
  return load(some);
}
inline void storeSome(float* p, vfloat v, int64_t lanes) {
  if (lanes == kLanes) store(p, v);
  else std::memcpy(p, &v, lanes * sizeof(float));
}

}  // namespace sightline
